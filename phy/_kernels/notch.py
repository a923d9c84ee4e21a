"""Kernel of the tone canceller."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def notch_cascade(z, phasors, rho, state, y):
    """First-order complex notches in series: H(q) = (1 - p q^-1) / (1 - rho p q^-1) for each p of `phasors`.

    z: (N,) complex64; phasors: (K,) complex128 of unit modulus; rho: pole radius, 0..1; state: (K, 2) complex128, last input
    and last output of each notch, updated; y: (N,) complex64, written.
    """
    for n in range(z.size):
        v = complex(z[n])
        for k in range(phasors.size):
            w = v - phasors[k] * (state[k, 0] - rho * state[k, 1])
            state[k, 0] = v
            state[k, 1] = w
            v = w
        y[n] = np.complex64(v)
