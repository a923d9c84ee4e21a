"""Kernels of the line path: a finite impulse response, a second-order section, and values between the samples.

Each adds in a fixed order per sample, so that the result is the same, bit for bit, wherever a stream is cut.
"""

import math

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


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def weighted_sum(x, lower, upper, mu):
    """Sum of x * (lower + mu (upper - lower)), all (L,) float32; mu: float32.

    The compiler may split the sum into lanes: which, depends on L alone. `interpolate` may not be compiled this way, for
    its places must not depend on where a block begins.
    """
    total = np.float32(0.0)
    for k in range(x.size):
        total += x[k] * (lower[k] + mu * (upper[k] - lower[k]))
    return total


@njit(cache=True, nogil=True)
def interpolate(x, x_first, table, y, first, step):
    """y[i] = x at the place (first + i) * step, in samples of x.  x: (M,), y: (N,), both float32; x[0] stands at x_first.

    table: (P + 1, L) float32. Row p is the interpolator for the fraction p / P, tap k of it weighs
    the sample at floor(place) - L / 2 + 1 + k; between rows it is linear. x must hold every sample that is weighed.
    """
    phases = table.shape[0] - 1
    taps = table.shape[1]
    for i in range(y.size):
        place = (first + i) * step
        left = math.floor(place)
        fine = (place - left) * phases
        row = min(int(fine), phases - 1)
        mu = np.float32(fine - row)
        start = left - taps // 2 + 1 - x_first
        y[i] = weighted_sum(x[start : start + taps], table[row], table[row + 1], mu)
