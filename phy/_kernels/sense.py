"""Kernels that tell noise from signals: power by tiles, peaks of a statistic, carrier sense."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"nsz"})
def tile_powers(y, powers):
    """powers[t] = mean of |y|^2 over tile t. y: (T * size,) complex64; powers: (T,) float64, written."""
    size = y.size // max(powers.size, 1)
    for t in range(powers.size):
        tile = y[t * size : (t + 1) * size]
        total = 0.0
        for n in range(size):
            total += tile[n].real * tile[n].real + tile[n].imag * tile[n].imag
        powers[t] = total / size


@njit(cache=True, nogil=True)
def cover_tiles(packets, first, size, before, after, fades, left, limit, covered):
    """Which tiles packets lie in, and how loud the tiles may be because of them.

    packets: (P, 3) float64 = begin, end (samples), amplitude; first: number of the first tile; size: samples of one; before,
    after: samples around a packet that count as its own; fades: tiles behind it, and left: part of its power that may be seen
    in all these. limit: (T,) float64, raised; covered: (T,) bool, set.
    """
    for begin, end, amplitude in packets:
        low = max(int(np.floor((begin - before) / size)) - first, 0)
        high = int(min(np.floor((end + after) / size) - first + 1, limit.size))
        covered[low : max(high, low)] = True
        for t in range(low, min(high + fades, limit.size)):
            limit[t] = max(limit[t], left * amplitude * amplitude)


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
