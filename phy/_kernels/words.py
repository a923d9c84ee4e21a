"""Kernels of the bits and words of a packet that has been followed: word decoder, measures."""

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


@njit(cache=True, nogil=True)
def measure_bits(turned, phases, symbols):
    """Filtered bits without their carrier in units of their amplitude, and three measures of them.

    turned, phases: (B,), see packets.track_packet; symbols: (B,) complex64, turned / amplitude, written.
    Returns (amplitude = mean magnitude of the real part, median square of the imaginary part, mean turn of the carrier from one
    bit to the next).
    """
    squares = np.empty(symbols.size, np.float32)
    total = 0.0
    for k in range(symbols.size):
        total += abs(turned[k].real)
        squares[k] = turned[k].imag * turned[k].imag
    amplitude = total / symbols.size
    unit = np.float32(1.0 / max(amplitude, 1e-30))
    for k in range(symbols.size):
        symbols[k] = complex(turned[k].real * unit, turned[k].imag * unit)
    return amplitude, _median(squares), (phases[symbols.size - 1] - phases[0]) / max(1, symbols.size - 1)


@njit(cache=True, nogil=True)
def _median(values):
    """Median of (N,) float32, none negative: their bits are in the order of the values, so it is found bit by bit, by counting,
    without a branch that the processor would have to guess."""
    keys = values.view(np.int32)
    middle = (keys.size - 1) // 2
    lower = np.int32(0)
    for b in range(30, -1, -1):
        trial = np.int32(lower | np.int32(1 << b))
        below = np.int32(0)
        for k in range(keys.size):
            below = np.int32(below + np.int32(keys[k] < trial))
        if below <= middle:
            lower = trial
    upper = np.int32(0x7FFFFFFF)
    up_to = np.int32(0)
    for k in range(keys.size):
        up_to = np.int32(up_to + np.int32(keys[k] <= lower))
        upper = min(upper, keys[k] if keys[k] > lower else np.int32(0x7FFFFFFF))
    pair = np.array([lower, lower if up_to > keys.size // 2 else upper], np.int32).view(np.float32)
    return 0.5 * (np.float64(pair[0]) + np.float64(pair[1]))
