"""Kernels that find packets: correlation with the known bits, peak search, carrier sense."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"nsz"})
def correlate_header(y, pattern, stride, segment, rotations, least, stat):
    """Normalised correlation of the filtered baseband with the header bits, over several frequency offsets.

    y: (N,) complex64; pattern: (L,) float32 of +-1; stride: samples per bit; segment: bits summed coherently before the
    rotation to a frequency bin; rotations: (B, ceil(L / segment)) complex64. Written for each position n:
    stat[n] = max_b |sum_s c_s r_bs|^2 / (L sum_k |y_k|^2), 0..1 (the CFAR statistic), or 0 where it is surely not above `least`.
    Works on a tile of positions at a time, so that the innermost loops run over neighbouring positions and vectorise.
    """
    tile = 256
    length = pattern.size
    segments = rotations.shape[1]
    segment = min(segment, length)
    whole = length // segment
    parts_re = np.empty((segments, tile), np.float32)
    parts_im = np.empty((segments, tile), np.float32)
    span = (length - 1) * stride
    floor = np.float32(0.999 * least * length)  # of the energy; single precision may be off in its last digits
    powers = np.empty(tile + span, np.float32)
    y_re = np.empty(tile + span, np.float32)
    y_im = np.empty(tile + span, np.float32)
    grouped = np.empty(tile + (whole - 1) * segment * stride, np.float32)  # power of a segment's bits
    energy = np.empty(tile, np.float32)
    most = np.empty(tile, np.float32)
    for start in range(0, stat.size, tile):
        count = min(tile, stat.size - start)
        v = y[start : start + count + span]
        for n in range(v.size):
            y_re[n] = v[n].real
            y_im[n] = v[n].imag
            powers[n] = v[n].real * v[n].real + v[n].imag * v[n].imag
        group = grouped[: count + (whole - 1) * segment * stride]
        for n in range(group.size):
            group[n] = 0.0
        for k in range(segment):
            p = powers[k * stride : k * stride + group.size]
            for n in range(group.size):
                group[n] += p[n]
        for n in range(count):
            energy[n] = 0.0
            most[n] = 0.0
        for s in range(whole):
            p = group[s * segment * stride : s * segment * stride + count]
            for n in range(count):
                energy[n] += p[n]
        for k in range(whole * segment, length):
            p = powers[k * stride : k * stride + count]
            for n in range(count):
                energy[n] += p[n]
        # However the segments are turned, their sum is no longer than all of them stretched out.
        for s in range(segments):
            re = parts_re[s]
            im = parts_im[s]
            for n in range(count):
                re[n] = 0.0
                im[n] = 0.0
            for k in range(s * segment, min((s + 1) * segment, length)):
                a = y_re[k * stride : k * stride + count]
                b = y_im[k * stride : k * stride + count]
                sign = pattern[k]
                for n in range(count):
                    re[n] += sign * a[n]
                    im[n] += sign * b[n]
            for n in range(count):
                most[n] += np.sqrt(re[n] * re[n] + im[n] * im[n])
        out = stat[start : start + count]
        for n in range(count):
            energy[n] = max(energy[n], np.float32(1e-24))
            out[n] = most[n] * most[n] - floor * energy[n]
        for n in range(count):
            out[n] = _best_bin(parts_re, parts_im, n, rotations) / (length * energy[n]) if out[n] > 0.0 else np.float32(0.0)


@njit(cache=True, nogil=True, fastmath={"nsz"})
def _best_bin(parts_re, parts_im, n, rotations):
    """max_b |sum_s c_s r_bs|^2 of the segment sums c_s of position n."""
    best = np.float32(0.0)
    for b in range(rotations.shape[0]):
        re = np.float32(0.0)
        im = np.float32(0.0)
        for s in range(rotations.shape[1]):
            c = rotations[b, s].real
            d = rotations[b, s].imag
            re += parts_re[s, n] * c - parts_im[s, n] * d
            im += parts_re[s, n] * d + parts_im[s, n] * c
        best = max(best, re * re + im * im)
    return best


@njit(cache=True, nogil=True, fastmath={"nsz"})
def tile_powers(y, every, powers):
    """powers[t] = mean of |y|^2 over one in `every` samples of tile t. y: (T * size,) complex64; powers: (T,) float64, out."""
    size = y.size // max(powers.size, 1)
    for t in range(powers.size):
        tile = y[t * size : (t + 1) * size]
        total = 0.0
        for n in range(0, size, every):
            total += tile[n].real * tile[n].real + tile[n].imag * tile[n].imag
        powers[t] = total * every / size


@njit(cache=True, nogil=True)
def pick_peaks(stat, first, threshold, hold, peak_at, peak_stat, none, found):
    """The largest of each run of statistics above the threshold, once `hold` samples have passed without a larger one.

    stat[n] belongs to absolute position first + n. peak_at == none: no run is open. found: (M,) int64 is written with the
    positions. Returns (number found, peak_at, peak_stat).
    """
    count = 0
    for n in range(stat.size):
        if stat[n] > threshold and (peak_at == none or stat[n] > peak_stat):
            peak_at = first + n
            peak_stat = stat[n]
        elif peak_at != none and first + n - peak_at >= hold:
            found[count] = peak_at
            count += 1
            peak_at = none
            peak_stat = 0.0
    return count, peak_at, peak_stat


@njit(cache=True, nogil=True)
def acquire_header(y, start, pattern, stride, max_step, reach, quiet):
    """Timing and frequency of a packet from its known bits, by maximum likelihood on a grid, and the noise before it.

    y: (N,) complex64; start: index of the centre of bit 0, known to about half a sample; pattern: (L,) float32 of +-1;
    max_step: largest frequency, rad per bit; reach: half width of the timing search, samples; quiet: samples in each of two
    stretches that end two bits before the packet, whose lesser mean power is the noise (another packet may have ended in one).
    Returns (position of bit 0's centre, phase at bit 0 in rad, frequency in rad per bit, amplitude, noise power; 0 where y does
    not reach back so far).
    """
    length = pattern.size
    bits = np.empty(length, np.complex128)
    segment = 5
    parts = np.empty((length + segment - 1) // segment, np.complex128)
    best = -1.0
    best_position = float(start)
    steps = 6
    fractions = 9
    best_freq = 0.0
    rotations = np.empty(2 * steps + 1, np.complex128)
    for g in range(-steps, steps + 1):
        rotations[g + steps] = np.exp(-1j * (segment * max_step * g / steps))
    for f in range(-(fractions // 2), fractions // 2 + 1):
        position = start + reach * f / (fractions // 2)
        _interpolate(y, position, stride, pattern, bits)
        for s in range(parts.size):
            total = 0.0j
            for k in range(s * segment, min((s + 1) * segment, length)):
                total += bits[k]
            parts[s] = total
        for g in range(rotations.size):
            total = _turned_sum(parts, rotations[g])
            power = total.real * total.real + total.imag * total.imag
            if power > best:
                best = power
                best_position = position
                best_freq = max_step * (g - steps) / steps
    _interpolate(y, best_position, stride, pattern, bits)
    width = max_step / steps
    for _ in range(4):  # parabola through three points, narrower each time
        left = _power_at(bits, best_freq - width)
        middle = _power_at(bits, best_freq)
        right = _power_at(bits, best_freq + width)
        bend = left - 2.0 * middle + right
        if bend < 0.0:
            best_freq += width * min(max(0.5 * (left - right) / bend, -1.0), 1.0)
        width *= 0.5
    total = _turned_sum(bits, np.exp(-1j * best_freq))
    noise = 0.0
    last = start - 2 * stride
    if last >= 2 * quiet:
        older = 0.0
        newer = 0.0
        for n in range(last - 2 * quiet, last - quiet):
            older += y[n].real * y[n].real + y[n].imag * y[n].imag
        for n in range(last - quiet, last):
            newer += y[n].real * y[n].real + y[n].imag * y[n].imag
        noise = min(older, newer) / quiet
    return best_position, np.angle(total), best_freq, abs(total) / length, noise


@njit(cache=True, nogil=True)
def _turned_sum(bits, rotation):
    """Sum of bits[k] * rotation**k."""
    total = 0.0j
    for k in range(bits.size - 1, -1, -1):
        total = total * rotation + bits[k]
    return total


@njit(cache=True, nogil=True)
def _power_at(bits, freq):
    """Power of the bits turned back by freq rad each."""
    total = _turned_sum(bits, np.exp(-1j * freq))
    return total.real * total.real + total.imag * total.imag


@njit(cache=True, nogil=True)
def _interpolate(y, position, stride, pattern, bits):
    """bits[k] = pattern[k] * y(position + k * stride), by the cubic through four samples (Lagrange)."""
    for k in range(bits.size):
        at = position + k * stride
        n = int(np.floor(at))
        mu = at - n
        inner = mu * (mu - 1.0)
        outer = (mu + 1.0) * (mu - 2.0)
        a = pattern[k] * inner * (2.0 - mu) * (1.0 / 6.0)
        b = pattern[k] * outer * (mu - 1.0) * 0.5
        c = pattern[k] * outer * mu * -0.5
        d = pattern[k] * inner * (mu + 1.0) * (1.0 / 6.0)
        v = y[n - 1 : n + 3]
        bits[k] = complex(
            (a * v[0].real + b * v[1].real) + (c * v[2].real + d * v[3].real),
            (a * v[0].imag + b * v[1].imag) + (c * v[2].imag + d * v[3].imag),
        )


@njit(cache=True, nogil=True, fastmath={"nsz"})
def correlate_opening(y, pattern, stride, power, coherent, total):
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
def sense_carrier(power, coherent, total, bits, stride, levels, rates, holds, state):
    """Carrier sense, sample by sample.

    power, coherent, total: (N,) float32, see correlate_opening, `bits` being its L; stride: samples a bit.
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
