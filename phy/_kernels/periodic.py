"""Kernels of the periodic canceller."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"})
def subtract_periods(u, first, lags, near, far, y):
    """y[i] = u[first + i] - sum over k of near[k] * u[first + i - lags[k]] + far[k] * u[first + i - lags[k] - 1].

    u: (N,) complex64, first > max(lags); lags: (K,) int64; near, far: (K,) complex64; y: (M,) complex64, M <= N - first, written.
    """
    for i in range(y.size):
        y[i] = u[first + i]
    for k in range(lags.size):
        a, b, at = near[k], far[k], first - lags[k]
        for i in range(y.size):
            y[i] -= a * u[at + i] + b * u[at + i - 1]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"})
def correlate_lags(u, first, low, c):
    """c[j] = sum over i >= first of u[i] * conj(u[i - low - j]), the stream against itself at lags low, low + 1, ...

    u: (N,) complex64, first >= low + c.size - 1; c: (J,) complex128, written.
    """
    for j in range(c.size):
        re = np.float32(0.0)
        im = np.float32(0.0)
        lag = low + j
        for i in range(first, u.size):
            a, b = u[i], u[i - lag]
            re += a.real * b.real + a.imag * b.imag
            im += a.imag * b.real - a.real * b.imag
        c[j] = complex(re, im)
