"""Kernel of identify: for which generator polynomials packets of unknown octets can carry a CRC at all."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def map_ranks(words, lengths, polynomials, ranks):
    """How many of the 64 unknowns of the map from word to octet each polynomial's equations determine.

    With c(x) an LPDU of n octets, g(x) its CRC's generator: c(x) = initial(x) x^(8 (n-2)) + xor(x) modulo g(x), for the right
    octets. Octets are M u + b, u the 8 coordinates of a word. That is homogeneous in M (64), b (8), initial and xor (16 each):
    the unknowns that are no map are eliminated first, and of the equations that are left the right polynomial has at most 63
    independent ones, because M itself solves them; others have 64 when there are packets enough.

    words: (W,) uint8, coordinates as bits, packets after each other; lengths: (P,) words of each, CRC included.
    polynomials: (K,) int64 without the x^16 term. ranks: (K,) int64, written.
    """
    count = lengths.size
    longest = lengths.max()
    powers = np.empty(8 * longest + 16, np.int64)
    matrix = np.zeros((16 * count, 2), np.uint64)
    for k in range(polynomials.size):
        g = polynomials[k] | 0x10000
        value = 1
        for e in range(powers.size):
            powers[e] = value
            value <<= 1
            if value & 0x10000:
                value ^= g
        matrix[:] = np.uint64(0)
        first = 0
        for p in range(count):
            n = lengths[p]
            # sums[s]: the octets' positions where coordinate s is 1; [8]: all positions. One data bit further is x times as much.
            sums = np.zeros(9, np.int64)
            for i in range(n):
                value = powers[8 * (n - 1 - i)]
                u = np.int64(words[first + i])
                for s in range(8):
                    sums[s] ^= value * (u >> s & 1)
                sums[8] ^= value
            first += n
            for s in range(9):
                value = sums[s]
                for j in range(8):
                    bit = np.uint64(8 * j + s if s < 8 else j)
                    word = 0 if s < 8 else 1
                    for e in range(16):
                        matrix[16 * p + e, word] |= np.uint64(value >> e & 1) << bit
                    value <<= 1
                    if value & 0x10000:
                        value ^= g
            for e in range(16):
                high = np.uint64(1) << np.uint64(24 + e)
                for j in range(16):
                    high |= np.uint64(powers[8 * (n - 2) + j] >> e & 1) << np.uint64(8 + j)
                matrix[16 * p + e, 1] |= high
        ranks[k] = _rank_of_map(matrix)


@njit(cache=True, nogil=True)
def _rank_of_map(matrix):
    """Independent equations in the first column of words alone, after the second has been eliminated; at most 64."""
    basis = np.zeros((128, 2), np.uint64)
    rank = 0
    one = np.uint64(1)
    for r in range(matrix.shape[0]):
        low, high = matrix[r, 0], matrix[r, 1]
        bit = 64
        while high:
            while not high & one << np.uint64(bit - 64):
                bit += 1
            if basis[bit, 1] == 0:
                basis[bit, 0], basis[bit, 1] = low, high
                break
            low ^= basis[bit, 0]
            high ^= basis[bit, 1]
        if high:
            continue
        bit = 0
        while low:
            while not low & one << np.uint64(bit):
                bit += 1
            if basis[bit, 0] == 0:
                basis[bit, 0] = low
                rank += 1
                break
            low ^= basis[bit, 0]
        if rank == 64:
            break
    return rank
