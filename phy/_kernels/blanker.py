"""Kernel of the impulse blanker."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _ranked(values, first, last, rank, scratch):
    """The value of that rank (0 = smallest) among values[first:last]."""
    for i in range(last - first):
        v = values[first + i]
        j = i
        while j > 0 and scratch[j - 1] > v:
            scratch[j] = scratch[j - 1]
            j -= 1
        scratch[j] = v
    return scratch[rank]


@njit(cache=True, nogil=True)
def _reaches(values, first, last, rank, limit):
    """Whether the value of that rank among values[first:last] is at least `limit`: at most `rank` of them are smaller."""
    smaller = 0
    for i in range(first, last):
        smaller += values[i] < limit
    return smaller <= rank


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def blank_impulses(z, size, first, window, fraction, factor, y, level, peak):
    """Zero the samples that stand out of their surroundings.

    z: (N,) complex64, cut in sub-blocks of `size`; output are those from sub-block `first` of z on, as many as y holds.
    The level of a sub-block is three times the mean of the least of three powers a third of it apart: for Gaussian noise that
    is the mean power, and an impulse must cover all three to raise it. The threshold of sub-block b
    is `factor` times the larger of two ranked levels: of the `window` sub-blocks up to b and of those from b on. Two sides, so
    that the edge of a packet is not taken for an impulse. y: (M * size,) complex64, level and peak: (N // size,) float32 are
    written. Returns the number of zeroed samples.
    """
    blocks = z.size // size
    third = size // 3
    powers = np.empty(blocks * size, np.float32)
    for i in range(powers.size):
        powers[i] = z[i].real * z[i].real + z[i].imag * z[i].imag
    for b in range(blocks):
        p = powers[b * size : (b + 1) * size]
        largest = np.float32(0.0)
        for i in range(size):
            largest = max(largest, p[i])
        total = np.float32(0.0)
        for i in range(third):
            total += min(p[i], min(p[i + third], p[i + 2 * third]))
        level[b] = np.float32(3.0) * total / np.float32(third)
        peak[b] = largest
    scratch = np.empty(window + 1, np.float32)
    zeroed = 0
    for i in range(y.size):
        y[i] = z[first * size + i]
    for b in range(first, first + y.size // size):
        low = max(b - window, 0)
        high = min(b + window + 1, blocks)
        rank_before = int(fraction * (b - low) + 0.5)
        rank_after = int(fraction * (high - 1 - b) + 0.5)
        limit = peak[b] / np.float32(factor)
        # Most sub-blocks end here, without sorting.
        if _reaches(level, low, b + 1, rank_before, limit) or _reaches(level, b, high, rank_after, limit):
            continue
        before = _ranked(level, low, b + 1, rank_before, scratch)
        after = _ranked(level, b, high, rank_after, scratch)
        limit = np.float32(factor) * max(before, after)
        for i in range((b - first) * size, (b - first + 1) * size):
            if y[i].real * y[i].real + y[i].imag * y[i].imag > limit:
                y[i] = 0.0
                zeroed += 1
    return zeroed
