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


@njit(cache=True, nogil=True, error_model="numpy")
def _words(words, count, block, stream, purpose, seed):
    """Words of the draws number block .. block + count - 1 into words (4, _TILE) uint32: `draw` in a loop that vectorises."""
    key_0 = seed & _LOW
    key_1 = seed >> _SHIFT
    for j in range(count):
        index = U(np.int64(block + j))
        c0, c1, c2, c3 = index & _LOW, index >> _SHIFT, stream, purpose
        k0, k1 = key_0, key_1
        for _ in range(10):
            p0 = _MULTIPLIER_0 * c0
            p1 = _MULTIPLIER_1 * c2
            c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
            k0 = (k0 + _WEYL_0) & _LOW
            k1 = (k1 + _WEYL_1) & _LOW
        words[0, j] = np.uint32(c0)
        words[1, j] = np.uint32(c1)
        words[2, j] = np.uint32(c2)
        words[3, j] = np.uint32(c3)


@njit(cache=True, nogil=True, error_model="numpy")
def _box_muller(magnitude, angle, x, exponent, a, b, scale, count):
    """Two words (uint32) -> two Gaussian samples: magnitude, angle, a, b: (_TILE,), the first `count` are used.

    The angle is drawn as a quarter turn and two signs, so that both polynomials run on +-1/8 turn.
    """
    bits = x.view(np.int32)
    for j in range(count):
        x[j] = F(magnitude[j]) + _HALF
    for j in range(count):  # x = mantissa * 2^exponent, mantissa in [sqrt(1/2), sqrt(2))
        offset = bits[j] - _SQRT_HALF_BITS
        exponent[j] = offset >> _MANTISSA_LENGTH
        bits[j] = (offset & _MANTISSA) + _SQRT_HALF_BITS
    for j in range(count):
        s = (x[j] - _ONE) / (x[j] + _ONE)
        z = s * s
        ln_mantissa = _TWO * s * (_ONE + z * (_A3 + z * (_A5 + z * (_A7 + z * _A9))))
        minus_ln = F(I32(32) - exponent[j]) * _LN2 - ln_mantissa  # of x / 2^32, never negative
        radius = scale * np.sqrt(minus_ln)  # the sqrt(2) of Box-Muller cancels that of the eighth turn
        word = angle[j]
        phi = F(I32(word & _ANGLE_MASK)) * _ANGLE_STEP - _EIGHTH_TURN
        q = phi * phi
        sine = phi * (_ONE + q * (_S3 + q * (_S5 + q * (_S7 + q * _S9))))
        cosine = _ONE + q * (_C2 + q * (_C4 + q * (_C6 + q * _C8)))
        a[j] = (_ONE - _TWO * F(I32(word >> np.uint32(31)))) * radius * (cosine - sine)
        b[j] = (_ONE - _TWO * F(I32((word >> np.uint32(30)) & np.uint32(1)))) * radius * (cosine + sine)


@njit(cache=True, nogil=True, error_model="numpy")
def gaussian(y, seed, stream, first_sample, rms):
    """Fill y (N,) float32 with independent Gaussian samples of standard deviation rms, mean 0.

    Box-Muller: two words give two samples. Counter b yields samples 4b .. 4b+3. Every loop is free of branches and of
    library calls, or it would not vectorise; that is a factor of four.
    """
    words = np.empty((4, _TILE), np.uint32)
    exponent = np.empty(_TILE, np.int32)
    x = np.empty(_TILE, np.float32)
    rows = np.empty((4, _TILE), np.float32)
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    edge = np.empty(4 * _TILE, np.float32)
    scale = F(rms)
    done = 0
    while done < y.size:
        block = (first_sample + done) >> 2
        skip = (first_sample + done) & 3
        count = min(_TILE, (skip + y.size - done + 3) >> 2)
        _words(words, count, block, stream, _SAMPLES, seed)
        _box_muller(words[0], words[1], x, exponent, r0, r1, scale, count)
        _box_muller(words[2], words[3], x, exponent, r2, r3, scale, count)
        take = min(y.size - done, 4 * count - skip)
        whole = take == 4 * count
        out = y[done : done + take] if whole else edge
        for j in range(count):
            out[4 * j] = r0[j]
            out[4 * j + 1] = r1[j]
            out[4 * j + 2] = r2[j]
            out[4 * j + 3] = r3[j]
        if not whole:
            for i in range(take):
                y[done + i] = edge[skip + i]
        done += take


@njit(cache=True, nogil=True, error_model="numpy")
def uniforms(y, seed, stream, sequence, first_sample):
    """Fill y (N,) float64 with independent numbers, uniform in (0, 1). sequence: uint64, one of several of a source."""
    words = np.empty((4, _TILE), np.uint32)
    tile = np.empty(4 * _TILE, np.float64)
    done = 0
    while done < y.size:
        skip = (first_sample + done) & 3
        count = min(_TILE, (skip + y.size - done + 3) >> 2)
        _words(words, count, (first_sample + done) >> 2, stream, _UNIFORMS + sequence, seed)
        for k in range(4):
            for j in range(count):
                tile[4 * j + k] = (float(words[k, j]) + 0.5) * _TWO_TO_MINUS_32
        take = min(y.size - done, 4 * count - skip)
        for i in range(take):
            y[done + i] = tile[skip + i]
        done += take


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
def _cosine(turns):
    """cos(2 pi turns), |turns| below 2^51, good to 1e-9: a polynomial that vectorises."""
    # cos(2 pi t) = sin(2 pi (1/4 - |t|)) for |t| <= 1/2, by the Taylor series of the sine
    u = 2.0 * math.pi * (0.25 - abs(turns - math.floor(turns + 0.5)))
    q = u * u
    return u * (
        1 + q * (-1 / 6 + q * (1 / 120 + q * (-1 / 5040 + q * (1 / 362880 + q * (-1 / 39916800 + q / 6227020800)))))
    )


@njit(cache=True, nogil=True)
def _places(turns, count, first, step, phase, swing, swing_step):
    """step n + phase + swing sin(2 pi swing_step n) for n = first .. first + count - 1, in periods."""
    for j in range(count):
        turns[j] = step * (first + j) + phase
    if swing != 0.0:
        for j in range(count):
            turns[j] += swing * _cosine(swing_step * (first + j) - 0.25)


@njit(cache=True, nogil=True)
def periodic(y, table, first_sample, step, phase, swing, swing_step):
    """Fill y (N,) float32 with a periodic waveform, read from a table with linear interpolation.

    table: (L + 1,) float32, one period and its first value again. The place at sample n is
    step n + phase + swing sin(2 pi swing_step n), in periods.
    """
    length = table.size - 1
    upper = table[1:]
    turns = np.empty(_TILE, np.float64)
    left = np.empty(_TILE, np.uint32)  # unsigned: no test for an index that counts from the end
    mu = np.empty(_TILE, np.float32)
    for start in range(0, y.size, _TILE):
        part = y[start : min(start + _TILE, y.size)]
        _places(turns, part.size, first_sample + start, step, phase, swing, swing_step)
        for j in range(part.size):
            place = (turns[j] - math.floor(turns[j])) * length
            whole = math.floor(min(place, length - 1.0))  # rounding of a place just below one period
            left[j] = np.uint32(whole)
            mu[j] = F(place - whole)
        for j in range(part.size):
            k = left[j]
            part[j] = table[k] + mu[j] * (upper[k] - table[k])


@njit(cache=True, nogil=True)
def regions(y, edges, first_sample, step, phase, swing, swing_step):
    """Fill y (N,) uint8 with how many of the edges (E,), shares of a period, the place of `periodic` has passed."""
    turns = np.empty(_TILE, np.float64)
    for start in range(0, y.size, _TILE):
        count = min(_TILE, y.size - start)
        _places(turns, count, first_sample + start, step, phase, swing, swing_step)
        part = y[start : start + count]
        for j in range(count):
            part[j] = np.uint8(0)
        for edge in edges:
            for j in range(count):
                part[j] += np.uint8(turns[j] - math.floor(turns[j]) >= edge)


@njit(cache=True, nogil=True)
def tones(y, rows, first_sample):
    """Add modulated tones to y (N,) float32.

    rows: (T, 8) float64, one tone each: amplitude, step (cycles per sample), phase (cycles), AM depth, AM step, AM
    phase, FM index (cycles of phase swing), FM step. The tone is amplitude * (1 + depth cos(AM)) * cos(2 pi (step n +
    phase + index sin(FM))), every angle counted from sample 0.
    """
    turns = np.empty(_TILE, np.float64)
    envelope = np.empty(_TILE, np.float64)
    for start in range(0, y.size, _TILE):
        count = min(_TILE, y.size - start)
        part = y[start : start + count]
        first = first_sample + start
        for r in range(rows.shape[0]):
            amplitude, step, phase, depth = rows[r, 0], rows[r, 1], rows[r, 2], rows[r, 3]
            am_step, am_phase, index, fm_step = rows[r, 4], rows[r, 5], rows[r, 6], rows[r, 7]
            _places(turns, count, first, step, phase, index, fm_step)
            if depth == 0.0:
                for j in range(count):
                    part[j] += F(amplitude * _cosine(turns[j]))
            else:
                for j in range(count):
                    envelope[j] = amplitude * (1.0 + depth * _cosine(am_step * (first + j) + am_phase))
                for j in range(count):
                    part[j] += F(envelope[j] * _cosine(turns[j]))


@njit(cache=True, nogil=True)
def upconvert(in_phase, quadrature, first_sample, step):
    """in_phase (N,) float32 becomes the real part of (in_phase + j quadrature) exp(2 pi j step n), n from first_sample on."""
    for j in range(in_phase.size):
        turns = step * (first_sample + j)
        in_phase[j] = in_phase[j] * F(_cosine(turns)) - quadrature[j] * F(_cosine(turns - 0.25))
