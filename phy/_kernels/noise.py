"""Kernels of the noise sources: a counter-based random generator, Gaussian samples, pulse trains, bursts, tones.

Every sample is a function of (seed, stream, absolute sample index): cutting a stream into blocks cannot change it, and
no generator state travels. The 128-bit Philox counter is spent as

    word 0, 1   index of the draw (block of four samples, pulse or slot number), low and high 32 bits
    word 2      stream: which source of the line
    word 3      purpose of the draw within that source, and its number within the purpose

The Gaussian samples come from polynomials instead of the maths library: the compiler can vectorise them, and IEEE sums,
products, quotients and roots do not differ from machine to machine as the last digit of a library's logarithm does.
"""

import math

import numpy as np
from numba import njit

F = np.float32
U = np.uint64
I32 = np.int32

# Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.3
_MULTIPLIER_0 = U(0xD2511F53)
_MULTIPLIER_1 = U(0xCD9E8D57)
_WEYL_0 = U(0x9E3779B9)
_WEYL_1 = U(0xBB67AE85)
_LOW = U(0xFFFFFFFF)
_SHIFT = U(32)
_LOW_I = 0xFFFFFFFF
_TWO_TO_MINUS_32 = 2.0**-32

# purposes (counter word 3)
_SAMPLES = U(0)
_PULSES = U(1)
_SLOT_COUNT = U(2)
_SLOT_START = U(3)
_UNIFORMS = U(4)  # plus the number of the sequence
_SLOT_IMPULSES = U(0x10000)  # plus the number of the impulse in its slot
_SLOT_STAYS = U(0x1000000)  # plus the number of the stay in its slot

_TILE = 256  # counters per pass: the scratch arrays stay in the first-level cache

_SQRT_HALF_BITS = I32(0x3F3504F3)  # float32 bit pattern of sqrt(1/2)
_MANTISSA = I32(0x007FFFFF)
_MANTISSA_LENGTH = I32(23)
_ANGLE_MASK = np.uint32(0x3FFFFFFF)
_ANGLE_STEP = F(math.pi / 2**31)  # 30 bits span a quarter turn
_EIGHTH_TURN = F(math.pi / 4)
_LN2 = F(math.log(2.0))
_HALF = F(0.5)
_ONE = F(1.0)
_TWO = F(2.0)
# atanh, sine and cosine series; the first term left out is below half a unit of float32 on the ranges used
_A3, _A5, _A7, _A9 = F(1 / 3), F(1 / 5), F(1 / 7), F(1 / 9)
_S3, _S5, _S7, _S9 = F(-1 / 6), F(1 / 120), F(-1 / 5040), F(1 / 362880)
_C2, _C4, _C6, _C8 = F(-1 / 2), F(1 / 24), F(-1 / 720), F(1 / 40320)


@njit(cache=True, nogil=True)
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Counter and key words (uint64 below 2^32) -> four random words (uint64 below 2^32)."""
    for _ in range(10):
        p0 = _MULTIPLIER_0 * c0
        p1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@njit(cache=True, nogil=True)
def draw(index, stream, purpose, seed):
    """Four random words for draw number `index` (int, may be negative)."""
    low = U(index & _LOW_I)
    high = U((index >> 32) & _LOW_I)
    return philox4x32(low, high, stream, purpose, seed & _LOW, seed >> _SHIFT)


@njit(cache=True, nogil=True)
def uniform(word):
    """Random word -> float in (0, 1), both ends excluded."""
    return (float(word) + 0.5) * _TWO_TO_MINUS_32


@njit(cache=True, nogil=True)
def gaussian(y, seed, stream, first_sample, rms):
    """Fill y (N,) float32 with independent Gaussian samples of standard deviation rms, mean 0.

    Box-Muller: two words give two samples. The angle is drawn as a quarter turn and two signs, so that both polynomials
    run on +-1/8 turn. Counter b yields samples 4b .. 4b+3.
    """
    words = np.empty((4, _TILE), np.uint32)
    exponent = np.empty(_TILE, np.int32)
    x = np.empty(_TILE, np.float32)
    bits = x.view(np.int32)
    samples = np.empty((_TILE, 4), np.float32)
    flat = samples.reshape(-1)
    scale = F(rms)
    done = 0
    while done < y.size:
        block = (first_sample + done) >> 2
        skip = (first_sample + done) & 3
        m = min(_TILE, (skip + y.size - done + 3) >> 2)
        for j in range(m):
            w0, w1, w2, w3 = draw(block + j, stream, _SAMPLES, seed)
            words[0, j] = w0
            words[1, j] = w1
            words[2, j] = w2
            words[3, j] = w3
        for pair in range(2):
            for j in range(m):
                x[j] = F(words[2 * pair, j]) + _HALF
            for j in range(m):  # x = mantissa * 2^exponent, mantissa in [sqrt(1/2), sqrt(2))
                offset = bits[j] - _SQRT_HALF_BITS
                exponent[j] = offset >> _MANTISSA_LENGTH
                bits[j] = (offset & _MANTISSA) + _SQRT_HALF_BITS
            for j in range(m):
                s = (x[j] - _ONE) / (x[j] + _ONE)
                z = s * s
                ln_mantissa = _TWO * s * (_ONE + z * (_A3 + z * (_A5 + z * (_A7 + z * _A9))))
                minus_ln = F(I32(32) - exponent[j]) * _LN2 - ln_mantissa  # of x / 2^32, never negative
                radius = scale * np.sqrt(minus_ln)  # the sqrt(2) of Box-Muller cancels that of the eighth turn
                word = words[2 * pair + 1, j]
                phi = F(I32(word & _ANGLE_MASK)) * _ANGLE_STEP - _EIGHTH_TURN
                q = phi * phi
                sine = phi * (_ONE + q * (_S3 + q * (_S5 + q * (_S7 + q * _S9))))
                cosine = _ONE + q * (_C2 + q * (_C4 + q * (_C6 + q * _C8)))
                sign_0 = _ONE - _TWO * F(I32(word >> np.uint32(31)))
                sign_1 = _ONE - _TWO * F(I32((word >> np.uint32(30)) & np.uint32(1)))
                samples[j, 2 * pair] = sign_0 * radius * (cosine - sine)
                samples[j, 2 * pair + 1] = sign_1 * radius * (cosine + sine)
        take = min(y.size - done, 4 * m - skip)
        for i in range(take):
            y[done + i] = flat[skip + i]
        done += take


@njit(cache=True, nogil=True)
def uniforms(y, seed, stream, sequence, first_sample):
    """Fill y (N,) float64 with independent numbers, uniform in (0, 1). sequence: uint64, one of several of a source."""
    for i in range(y.size):
        place = first_sample + i
        words = draw(place >> 2, stream, _UNIFORMS + sequence, seed)
        y[i] = uniform(words[place & 3])


@njit(cache=True, nogil=True)
def ring_train(
    y, seed, stream, first_sample, origin, period, jitter, amplitude, spread, alternate, tau, freq, phase, random_phase,
    swing, swing_step,
):  # fmt: skip
    """Add damped rings a * exp(-t/tau) * sin(2 pi freq t + phase) to y (N,) float32.

    origin, period, jitter (standard deviation), tau: samples (float). freq: cycles per sample. phase: rad.
    spread: standard deviation of ln(a). alternate: odd pulses change sign. random_phase: phase uniform on the circle.
    swing, swing_step: the pulse due at n0 comes at the n with n + swing sin(2 pi swing_step n) = n0 (samples, cycles per sample).
    """
    support = 14.0 * tau  # e^-14: below the resolution of float32
    reach = 7.0 * jitter + abs(swing)  # the largest Gaussian that 32 bits can give is 6.8 standard deviations
    first_pulse = math.floor((first_sample - support - reach - origin) / period)
    last_pulse = math.ceil((first_sample + y.size + reach - origin) / period)
    for k in range(first_pulse, last_pulse + 1):
        w0, w1, w2, _ = draw(k, stream, _PULSES, seed)
        radius = math.sqrt(-2.0 * math.log(uniform(w0)))
        angle = 2.0 * math.pi * uniform(w1)
        due = origin + k * period
        onset = due
        if swing != 0.0:
            for _ in range(8):  # the slope of the swing is below 1/50: each pass gains almost two digits
                onset = due - swing * math.sin(2.0 * math.pi * swing_step * onset)
        onset += jitter * radius * math.cos(angle)
        start = max(0, math.ceil(onset) - first_sample)
        stop = min(y.size, math.ceil(onset + support) - first_sample)
        if start >= stop:
            continue
        a = amplitude * math.exp(spread * radius * math.sin(angle))
        if alternate and k & 1:
            a = -a
        start_phase = phase
        if random_phase:
            start_phase = 2.0 * math.pi * uniform(w2)
        for i in range(start, stop):
            t = first_sample + i - onset
            y[i] += F(a * math.exp(-t / tau) * math.sin(2.0 * math.pi * freq * t + start_phase))


@njit(cache=True, nogil=True)
def burst_power(y, seed, stream, first_sample, slot, mean_count, mean_width, longest, ln_lowest, ln_highest):
    """Add the power (V^2) of the bursts alive at each sample to y (N,) float32; returns how many bursts touch y.

    Arrivals are Poisson: mean_count per slot of `slot` samples, each placed uniformly in its slot. Widths are
    exponential with mean_width, cut at longest (samples). The rms of a burst is log-uniform between exp(ln_lowest) and
    exp(ln_highest).
    """
    touched = 0
    first_slot = math.floor((first_sample - longest) / slot)
    last_slot = (first_sample + y.size - 1) // slot
    for s in range(first_slot, last_slot + 1):
        w0, w1, _, _ = draw(s, stream, _SLOT_COUNT, seed)
        remaining = (float(w0) + uniform(w1)) * _TWO_TO_MINUS_32 - math.exp(-mean_count)
        term = math.exp(-mean_count)
        count = 0
        while remaining > 0.0 and count < 64:
            count += 1
            term *= mean_count / count
            remaining -= term
        for i in range(count):
            w0, w1, w2, _ = draw(s, stream, _SLOT_IMPULSES + U(i), seed)
            onset = (s + uniform(w0)) * slot
            width = min(longest, -mean_width * math.log(uniform(w1)))
            start = max(0, math.ceil(onset) - first_sample)
            stop = min(y.size, math.ceil(onset + width) - first_sample)
            if start >= stop:
                continue
            touched += 1
            power = F(math.exp(2.0 * (ln_lowest + (ln_highest - ln_lowest) * uniform(w2))))
            for j in range(start, stop):
                y[j] += power
    return touched


@njit(cache=True, nogil=True)
def two_states(y, seed, stream, first_sample, slot, shares, ln_stay, starts):
    """Fill y (N,) float32 with a chain of stays: 0 during a gap, 1 during a burst, gaps and bursts in turn.

    A stay follows one of K geometric laws, chosen afresh each time: it outlasts n samples with probability
    exp(ln_stay[state, law] * n). shares: (2, K) float64, cumulative probabilities of the laws in each state. Every slot
    of `slot` samples starts anew from the stationary distribution; starts: (2 K,) cumulative, gap laws first.
    """
    laws = shares.shape[1]
    stop = first_sample + y.size
    for s in range(first_sample // slot, (stop + slot - 1) // slot):
        w0, w1, _, _ = draw(s, stream, _SLOT_START, seed)
        u = uniform(w0)
        law = 0
        while law < 2 * laws - 1 and u >= starts[law]:
            law += 1
        state = law // laws
        law -= state * laws
        place = s * slot
        end = min(place + slot, stop)
        number = 0
        while place < end:
            u = uniform(w1)
            length = slot  # the ratio below may be anything up to infinity
            if math.log(u) > ln_stay[state, law] * slot:
                length = max(1, math.ceil(math.log(u) / ln_stay[state, law]))
            low = max(0, place - first_sample)
            place = min(place + length, end)
            for i in range(low, place - first_sample):
                y[i] = F(state)
            state = 1 - state
            w0, w1, _, _ = draw(s, stream, _SLOT_STAYS + U(number), seed)
            number += 1
            u = uniform(w0)
            law = 0
            while law < laws - 1 and u >= shares[state, law]:
                law += 1


@njit(cache=True, nogil=True)
def periodic(y, table, first_sample, step, phase, swing, swing_step):
    """Fill y (N,) float32 with a periodic waveform: table (L,) float32 is one period, read with linear interpolation.

    The place at sample n is step n + phase + swing sin(2 pi swing_step n), in periods.
    """
    for i in range(y.size):
        n = first_sample + i
        turns = step * n + phase
        if swing != 0.0:
            turns += swing * math.sin(2.0 * math.pi * swing_step * n)
        place = (turns - math.floor(turns)) * table.size
        left = int(place)
        mu = F(place - left)
        if left >= table.size:  # rounding of a place just below one period
            left = 0
        right = left + 1
        if right == table.size:
            right = 0
        y[i] = table[left] + mu * (table[right] - table[left])


@njit(cache=True, nogil=True)
def tones(y, rows, first_sample):
    """Add modulated tones to y (N,) float32.

    rows: (T, 8) float64, one tone each: amplitude, step (cycles per sample), phase (cycles), AM depth, AM step, AM
    phase, FM index (cycles of phase swing), FM step. The tone is amplitude * (1 + depth cos(AM)) * cos(2 pi (step n +
    phase + index sin(FM))), every angle counted from sample 0.
    """
    for r in range(rows.shape[0]):
        amplitude = rows[r, 0]
        depth = rows[r, 3]
        index = rows[r, 6]
        for i in range(y.size):
            n = first_sample + i
            turns = rows[r, 1] * n + rows[r, 2]
            if index != 0.0:
                swing = rows[r, 7] * n
                turns += index * math.sin(2.0 * math.pi * (swing - math.floor(swing)))
            a = amplitude
            if depth != 0.0:
                swing = rows[r, 4] * n + rows[r, 5]
                a *= 1.0 + depth * math.cos(2.0 * math.pi * (swing - math.floor(swing)))
            # cos(2 pi t) = sin(2 pi (1/4 - |t|)) for |t| <= 1/2, by its Taylor series: vectorises, 6e-8 at worst
            u = 2.0 * math.pi * (0.25 - abs(turns - math.floor(turns + 0.5)))
            q = u * u
            sine = u * (1 + q * (-1 / 6 + q * (1 / 120 + q * (-1 / 5040 + q * (1 / 362880 - q / 39916800)))))
            y[i] += F(a * sine)
