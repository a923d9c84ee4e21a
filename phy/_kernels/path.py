"""Kernels of the line path: a finite impulse response and a second-order section.

Both add in a fixed order per sample, so that the result is the same, bit for bit, wherever a stream is cut.
"""

import numpy as np
from numba import njit

_TILE = 1024  # outputs per pass: the accumulator stays in the first-level cache


@njit(cache=True, nogil=True)
def convolve(x, h, y):
    """y[n] = sum over k of h[k] * x[n + L - 1 - k].  x: (N + L - 1,), h: (L,), y: (N,), all float32."""
    taps = h.size
    for start in range(0, y.size, _TILE):
        part = y[start : min(start + _TILE, y.size)]
        part[:] = np.float32(0.0)
        for k in range(taps):
            source = x[start + taps - 1 - k : start + taps - 1 - k + part.size]
            gain = h[k]
            for i in range(part.size):
                part[i] += gain * source[i]


@njit(cache=True, nogil=True)
def second_order(y, coefficients, state_1, state_2):
    """Filter y (N,) float32 in place; coefficients: (5,) float64 = b0 b1 b2 a1 a2. Returns the two new states.

    Transposed direct form II, in double precision because a narrow resonance has its poles next to the unit circle.
    """
    b0, b1, b2, a1, a2 = coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4]
    for n in range(y.size):
        x = float(y[n])
        out = b0 * x + state_1
        state_1 = b1 * x - a1 * out + state_2
        state_2 = b2 * x - a2 * out
        y[n] = np.float32(out)
    return state_1, state_2
