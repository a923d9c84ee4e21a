"""Kernel of the impulse blanker."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _ranked(values, first, last, fraction, scratch):
    """The value at `fraction` of the sorted values[first:last]."""
    count = last - first
    for i in range(count):
        v = values[first + i]
        j = i
        while j > 0 and scratch[j - 1] > v:
            scratch[j] = scratch[j - 1]
            j -= 1
        scratch[j] = v
    return scratch[int(fraction * (count - 1) + 0.5)]


@njit(cache=True, nogil=True)
def blank_impulses(z, size, first, window, fraction, factor, y, power):
    """Zero the samples that stand out of their surroundings.

    z: (N,) complex64, cut in sub-blocks of `size`; output are those from sub-block `first` of z on, as many as y holds.
    The threshold of sub-block b is `factor` times the larger of two ranked mean powers: of the `window` sub-blocks up to b
    and of those from b on. Two sides, so that the edge of a packet is not taken for an impulse. y: (M * size,) complex64
    and power: (N // size,) float32 are written. Returns the number of zeroed samples.
    """
    blocks = z.size // size
    peak = np.empty(blocks, np.float32)
    for b in range(blocks):
        total = 0.0
        largest = np.float32(0.0)
        for i in range(b * size, (b + 1) * size):
            v = z[i].real * z[i].real + z[i].imag * z[i].imag
            total += v
            largest = max(largest, v)
        power[b] = total / size
        peak[b] = largest
    scratch = np.empty(window + 1, np.float32)
    zeroed = 0
    for b in range(first, first + y.size // size):
        lowest = power[b]
        for k in range(max(b - window, 0), b):
            lowest = min(lowest, power[k])
        if peak[b] <= factor * lowest:  # no rank is below the smallest: nothing to zero, and no need to sort
            y[(b - first) * size : (b - first + 1) * size] = z[b * size : (b + 1) * size]
            continue
        before = _ranked(power, max(b - window, 0), b + 1, fraction, scratch)
        after = _ranked(power, b, min(b + window + 1, blocks), fraction, scratch)
        limit = factor * max(before, after)
        for i in range(size):
            v = z[b * size + i]
            if v.real * v.real + v.imag * v.imag > limit:
                y[(b - first) * size + i] = 0.0
                zeroed += 1
            else:
                y[(b - first) * size + i] = v
    return zeroed
