"""Kernel of the word decoder."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def best_words(soft, signs, octets, metrics):
    """For each soft word the code word of the largest correlation.

    soft: (N, n) float32, + means 0; signs: (256, n) float32, +1 for a 0; written: octets (N,) uint8 and their correlations
    metrics (N,) float32. The first of equal ones wins.
    """
    for w in range(soft.shape[0]):
        best = np.float32(-np.inf)
        which = 0
        for c in range(signs.shape[0]):
            total = np.float32(0.0)
            for i in range(soft.shape[1]):
                total += soft[w, i] * signs[c, i]
            if total > best:
                best = total
                which = c
        octets[w] = which
        metrics[w] = best
