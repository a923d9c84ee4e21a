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
        for i in range(part.size):
            part[i] = np.float32(0.0)
        k = 0
        while k + 8 <= taps:  # eight taps for each time that the accumulator is read and written
            source = x[start + taps - 8 - k : start + taps - 1 - k + part.size]
            h0, h1, h2, h3 = h[k], h[k + 1], h[k + 2], h[k + 3]
            h4, h5, h6, h7 = h[k + 4], h[k + 5], h[k + 6], h[k + 7]
            for i in range(part.size):
                total = part[i] + h0 * source[i + 7] + h1 * source[i + 6] + h2 * source[i + 5] + h3 * source[i + 4]
                part[i] = total + h4 * source[i + 3] + h5 * source[i + 2] + h6 * source[i + 1] + h7 * source[i]
            k += 8
        while k < taps:
            source = x[start + taps - 1 - k : start + taps - 1 - k + part.size]
            gain = h[k]
            for i in range(part.size):
                part[i] += gain * source[i]
            k += 1


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


@njit(cache=True, nogil=True)
def polynomial(bank, bank_first, y, first, step):
    """y[i] = sum over p of bank[p, left] mu^p at the place (first + i) * step = left + 1/2 + mu: Farrow's interpolator.

    bank: (7, M) float32, the outputs of seven filters at the places bank_first ..; y: (N,) float32. Fast where there are
    many outputs to an input, and the same on every machine.
    """
    left = np.empty(_TILE, np.uint32)  # unsigned: no test for an index that counts from the end
    mu = np.empty(_TILE, np.float32)
    for start in range(0, y.size, _TILE):
        part = y[start : min(start + _TILE, y.size)]
        base = math.floor((first + start) * step)
        for j in range(part.size):
            place = (first + start + j) * step - base
            whole = math.floor(place)
            left[j] = np.uint32(whole)
            mu[j] = np.float32(place - whole - 0.5)
        rows = bank[:, base - bank_first :]
        b0, b1, b2, b3, b4, b5, b6 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
        for j in range(part.size):
            k, m = left[j], mu[j]
            part[j] = b0[k] + m * (b1[k] + m * (b2[k] + m * (b3[k] + m * (b4[k] + m * (b5[k] + m * b6[k])))))
