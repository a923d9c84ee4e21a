"""Kernels from line samples to baseband at a fixed number of samples per bit, and on to carrier sense.

Slices, not offsets, in the inner loops: only then does the compiler see contiguous memory and use vector instructions. Where a
loop runs over samples, products and sums are not contracted: what is left over at a block's end would round differently from the
rest, and the output depend on how the stream was cut.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def band_pass_decimate(x, base, first, step, half, taps_re, taps_im, u):
    """Band-pass and decimate: u[i] = sum_k taps[k] x(n - half + k) at line sample n = (first + i) * step.

    x: (N,) float32, x[0] is line sample `base`, and reaches L - 1 - half samples beyond the last n; taps_re, taps_im: (L,)
    float32, L a multiple of 16 for speed; u: (M,) complex64, written.
    """
    length = taps_re.size
    for i in range(u.size):
        start = (first + i) * step - half - base
        v = x[start : start + length]
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(length):
            re += v[k] * taps_re[k]
            im += v[k] * taps_im[k]
        u[i] = np.complex64(complex(re, im))


@njit(cache=True, nogil=True, fastmath={"arcp", "nsz"})
def move_to_baseband(u, first, table, phase_step, z):
    """z[i] = u[i] * exp(-2 pi j n phase_step / 2^64), n = first + i.

    u: (N,) complex64, u[0] has index `first` >= 0; table: (T,) complex64, the factors of the first T samples; phase_step: uint64,
    cycles per sample in units of 2**-64, so that the phase of any sample is exact however long the stream runs; z: (N,)
    complex64, written. One sine and cosine per tile of T samples; tiles begin at whole multiples of T.
    """
    size = table.size
    i = 0
    while i < u.size:
        tile = (first + i) // size
        offset = first + i - tile * size
        count = min(size - offset, u.size - i)
        turns = (np.uint64(tile * size) * phase_step) >> np.uint64(11)
        angle = -2.0 * np.pi * (np.float64(turns) * 2.0**-53)
        c = np.float32(np.cos(angle))
        s = np.float32(np.sin(angle))
        a = u[i : i + count]
        factors = table[offset : offset + count]
        out = z[i : i + count]
        for k in range(count):
            re = factors[k].real * c - factors[k].imag * s
            im = factors[k].real * s + factors[k].imag * c
            out[k] = np.complex64(complex(a[k].real * re - a[k].imag * im, a[k].real * im + a[k].imag * re))
        i += count


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def resample(z, base, first, ratio, bank, y):
    """Fractional resampling: y[i] is the input at position (first + i) * ratio, filtered.

    z: (N,) complex64, z[0] has position `base`; bank: (P + 1, L) float32, L even: the filter at P fractions of a sample, and
    once more at 1 so that rounding needs no wrap; y: (M,) complex64, written.
    """
    phases = bank.shape[0] - 1
    length = bank.shape[1]
    for i in range(y.size):
        position = (first + i) * ratio
        whole = int(np.floor(position))
        taps = bank[int((position - whole) * phases + 0.5)]
        start = whole - length // 2 + 1 - base
        v = z[start : start + length]
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(length):
            re += v[k].real * taps[k]
            im += v[k].imag * taps[k]
        y[i] = np.complex64(complex(re, im))


@njit(cache=True, nogil=True)
def filter_bank(z, ratio, bank, past, place, y):
    """The next samples of a stream through `resample`; every output that can be computed by now. Returns how many.

    z: (N,) complex64; past: complex64, as many inputs as may be needed again; place: (3,) int64 = index of the first of them, how
    many there are, index of the next output; both updated. y: complex64, with room for N / ratio + 2, written.
    """
    half = bank.shape[1] // 2
    base = place[0]
    kept = place[1]
    first = place[2]
    window = np.empty(kept + z.size, np.complex64)
    window[:kept] = past[:kept]
    window[kept:] = z
    # The filter of position p reaches the wide sample floor(p) + half.
    limit = base + window.size - 1 - half
    stop = int(np.floor((limit + 1) / ratio)) + 2
    while stop > first and int(np.floor((stop - 1) * ratio)) > limit:
        stop -= 1
    count = max(0, stop - first)
    if count > 0:
        resample(window, base, first, ratio, bank, y[:count])
        place[0] = int(np.floor(stop * ratio)) - half + 1
        place[2] = stop
    window = window[place[0] - base :]
    place[1] = window.size
    past[: window.size] = window
    return count


@njit(cache=True, nogil=True)
def take_samples(x, largest, line):
    """line[i] = x[i], or 0 where x[i] is not a number below `largest`; returns how many were not. Both (N,) float32."""
    bad = 0
    for i in range(x.size):
        good = abs(x[i]) < largest
        line[i] = x[i] if good else np.float32(0.0)
        bad += not good
    return bad


@njit(cache=True, nogil=True, fastmath={"nsz"})
def _correlate_opening(y, pattern, stride, power, coherent, total):
    """Correlation of the last bits with the bits that open every packet, at every sample.

    y: (N + (L - 1) * stride,) complex64; pattern: (L,) float32 of +-1. Written, (N,) float32 each, for the windows that end at
    sample (L - 1) * stride and after: power = |y|^2 of the last sample, coherent = |sum c y|^2, total = sum |y|^2.
    """
    tile = 256
    length = pattern.size
    lead = (length - 1) * stride
    re = np.empty(tile, np.float32)
    im = np.empty(tile, np.float32)
    for start in range(0, power.size, tile):
        count = min(tile, power.size - start)
        out = total[start : start + count]
        for n in range(count):
            re[n] = 0.0
            im[n] = 0.0
            out[n] = 0.0
        for k in range(length):
            w = y[start + k * stride : start + k * stride + count]
            sign = pattern[k]
            for n in range(count):
                re[n] += sign * w[n].real
                im[n] += sign * w[n].imag
                out[n] += w[n].real * w[n].real + w[n].imag * w[n].imag
        w = y[start + lead : start + lead + count]
        p = power[start : start + count]
        c = coherent[start : start + count]
        for n in range(count):
            p[n] = w[n].real * w[n].real + w[n].imag * w[n].imag
            c[n] = re[n] * re[n] + im[n] * im[n]


@njit(cache=True, nogil=True)
def _sense_carrier(power, coherent, total, bits, stride, levels, rates, holds, state):
    """Carrier sense, sample by sample.

    power, coherent, total: (N,) float32, see _correlate_opening, `bits` being its L; stride: samples a bit.
    levels: (9,) float64 = coherent power over its mean in noise, least normalised correlation, strong energy and fall over the
    floor, drop (part of the packet's own level), most that a sample's power counts over the floor, slow energy over the floor
    that counts, low energy, slow energy that may be a packet; rates: (8,) float64, each per sample = smoothing of the energy, of
    the packet's level and of the coherent power's mean, relative steps of the floor up, down, and down when the energy has been
    low, smoothing of the slow energy, step up when there may be a packet;
    holds: (6,) float64 samples, of the carrier after its energy fell, of strong energy and of raised slow energy before they
    count, of low energy before the floor follows it at once, most and least of what may be a packet.
    state: (15,) float64 = energy V^2, floor V^2, level of the packet V^2, samples left of the hold, samples since the onset,
    samples seen, mean coherent power V^2, samples of strong, of raised and of low energy in a row, slow energy V^2, sum and
    number of coherent powers of the present batch of 8 bits and sum of the one before, samples of what may be a packet; updated.
    Onset: coherent power well above its mean, and the last bits look like the packet's first; or strong energy for long, or
    raised energy for very long: a packet whose beginning was missed must not become part of the floor. The carrier is
    gone when the energy has stayed below floor * fall, or below its own level * drop, for the hold.
    Returns whether the carrier is present after the last sample.
    """
    energy, floor, level, held, age, seen, quiet, strong, raised, low, slow, learning, learnt, waiting, above = state
    hold = holds[0]
    batch = 8.0 * stride
    for n in range(power.size):
        p = power[n]
        if floor > 0.0:
            p = min(p, levels[5] * floor)
        energy += rates[0] * (p - energy)
        slow += rates[6] * (min(p, 3.0 * floor) - slow)  # impulses hardly count
        seen += 1.0
        if floor <= 0.0:
            if seen > 4 * stride:
                floor = energy
        elif held <= 0.0 or age > 300.0 * hold:  # a carrier that never ends is a disturbance, and becomes part of the floor
            # What lasts no longer than a packet does may be one whose beginning was missed.
            up = rates[7] if holds[5] < above <= holds[4] else rates[3]
            down = rates[5] if low >= holds[3] else rates[4]
            floor *= 1.0 + (up if energy > floor else -down)
        strong = strong + 1.0 if floor > 0.0 and energy > floor * levels[2] else 0.0
        raised = raised + 1.0 if floor > 0.0 and slow > floor * levels[6] else 0.0
        above = above + 1.0 if slow > floor * levels[8] else 0.0
        low = low + 1.0 if energy < floor * levels[7] else 0.0
        if held > 0.0:
            age += 1.0
            if age < 8 * stride:
                level = max(level, energy)
            else:
                level += rates[1] * (energy - level)
            if energy > floor * levels[3] and energy > level * levels[4]:
                held = hold
            else:
                held -= 1.0
                if held <= 0.0:
                    # What is left in the average of a strong packet must not look like another one.
                    energy = min(energy, p)
                    strong = 0.0
                    raised = 0.0
                    slow = min(slow, floor)
            continue
        if seen > (bits + 2) * stride and (quiet <= 0.0 or total[n] < 3.0 * bits * floor):
            # Limited to three means, which takes e^-3 from an exponential law, so that a packet that was missed does not raise it
            # much.
            learning += coherent[n] if quiet <= 0.0 else min(coherent[n], 3.0 * quiet) / 0.95
            learnt += 1.0
            if learnt >= batch:
                # Batches wait for the next one, so that the beginning of a packet is never learnt: at an onset both are dropped.
                # Exact average at first, then one that forgets.
                if waiting > 0.0:
                    part = min(max(rates[2], 1.0 / (seen - (bits + 1) * stride - batch)) * batch, 1.0)
                    quiet += part * (waiting / batch - quiet)
                waiting = learning
                learning = 0.0
                learnt = 0.0
        found = quiet > 0.0 and coherent[n] > levels[0] * quiet and coherent[n] > levels[1] * bits * total[n]
        if found or strong >= holds[1] or raised >= holds[2]:
            held = hold
            age = 0.0
            level = energy
            learning = 0.0
            learnt = 0.0
            waiting = 0.0
    state[:] = (energy, floor, level, held, age, seen, quiet, strong, raised, low, slow, learning, learnt, waiting, above)
    return held > 0.0


@njit(cache=True, nogil=True)
def sense_opening(y, tail, pattern, stride, levels, rates, holds, state):
    """Carrier sense on the next samples, and whether a carrier is present after the last one.

    y: (N,) complex64; tail: ((L - 1) * stride,) complex64, those before, updated; the rest: see _correlate_opening and
    _sense_carrier.
    """
    lead = tail.size
    window = np.empty(lead + y.size, np.complex64)
    window[:lead] = tail
    window[lead:] = y
    power = np.empty(y.size, np.float32)
    coherent = np.empty(y.size, np.float32)
    total = np.empty(y.size, np.float32)
    _correlate_opening(window, pattern, stride, power, coherent, total)
    tail[:] = window[y.size :]
    return _sense_carrier(power, coherent, total, pattern.size, stride, levels, rates, holds, state)


@njit(cache=True, nogil=True)
def sense_wide(u, first, table, phase_step, ratio, bank, past, place, tail, pattern, stride, levels, rates, holds, state):
    """From the wide stream to carrier sense at once: move_to_baseband, filter_bank, sense_opening; see there."""
    z = np.empty(u.size, np.complex64)
    move_to_baseband(u, first, table, phase_step, z)
    y = np.empty(int(u.size / ratio) + 2, np.complex64)
    count = filter_bank(z, ratio, bank, past, place, y)
    return sense_opening(y[:count], tail, pattern, stride, levels, rates, holds, state)
