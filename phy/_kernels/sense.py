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
def judge_tiles(powers, first, size, before, after, own, fades, left, across, seen, most, free):
    """Tell noise from something that is neither noise nor a packet.

    powers: (T,) float64, of tile number `first` and after; own, across: packets of this carrier and of the other one, with
    before .. left, and `seen` as the part of the power of those of the other: see _cover_tiles. most: power of what is noise.
    free: (T,) int64, written with the tiles that no packet covers. Returns (number of these, the first that is too loud or -1).
    """
    limit = np.full(powers.size, most)
    covered = np.zeros(powers.size, np.bool_)
    _cover_tiles(across, first, size, before, after, 0, seen, limit, covered)
    covered[:] = False
    _cover_tiles(own, first, size, before, after, fades, left, limit, covered)
    count = 0
    for t in range(powers.size):
        if not covered[t]:
            if powers[t] > limit[t]:
                return count, first + t
            free[count] = first + t
            count += 1
    return count, -1


@njit(cache=True, nogil=True)
def _cover_tiles(packets, first, size, before, after, fades, left, limit, covered):
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
