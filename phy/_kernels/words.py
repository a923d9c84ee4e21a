"""Kernel of the word decoder."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def best_words(soft, signs, inverse, octets, metrics):
    """For each soft word the code word of the largest correlation.

    soft: (N, n) float32, + means 0; signs: (256, n) float32, +1 for a 0; inverse: (2^n,) int16, the octet of each word, first bit
    most significant, -1 where it is none; written: octets (N,) uint8 and their correlations metrics (N,) float32. The first of
    equal ones wins. Where the signs alone are a code word, no other can correlate better, and none is tried.
    """
    length = soft.shape[1]
    for w in range(soft.shape[0]):
        pattern = 0
        total = np.float32(0.0)
        weakest = np.float32(np.inf)
        for i in range(length):
            v = soft[w, i]
            pattern = 2 * pattern + (v < 0.0)
            total += abs(v)
            weakest = min(weakest, abs(v))
        which = inverse[pattern]
        if which >= 0 and weakest > 0.0:
            octets[w] = which
            metrics[w] = total
            continue
        best = np.float32(-np.inf)
        which = 0
        for c in range(signs.shape[0]):
            total = np.float32(0.0)
            for i in range(length):
                total += soft[w, i] * signs[c, i]
            if total > best:
                best = total
                which = c
        octets[w] = which
        metrics[w] = best


@njit(cache=True, nogil=True)
def changed_bits(soft, signs, octets):
    """How many bits of the words of these octets are not what the soft bits say by themselves.

    soft: (N, n) float32, + means 0; signs: (256, n) float32, word of each octet, +1 for a 0; octets: (N,) uint8.
    """
    count = 0
    for w in range(soft.shape[0]):
        word = signs[octets[w]]
        for i in range(soft.shape[1]):
            count += (soft[w, i] < 0.0) != (word[i] < 0.0)
    return count
