"""Kernels that tell noise from signals: power by tiles, peaks of a statistic."""

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
