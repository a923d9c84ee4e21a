"""Kernel of the symbol-level simulator: octets -> code words -> +-1 in white Gaussian noise -> word decoder -> errors.

Work is done on `LANES` words at once, arrays [bit][lane], so that every inner loop runs over words and the compiler turns
it into vector instructions. Every random number is a function of (seed, stream, absolute word index): how a run is split
cannot change it. The 128-bit Philox counter is spent as

    word 0, 1   index of the word (noise) or of sixteen words (octets), low and high 32 bits
    word 2      stream
    word 3      which four noise values of the word, or _OCTETS
"""

import math

import numpy as np
from numba import njit

F = np.float32
U = np.uint64
I32 = np.int32
U32 = np.uint32

LANES = 128

# Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.3
_M0 = U(0xD2511F53)
_M1 = U(0xCD9E8D57)
_W0 = U(0x9E3779B9)
_W1 = U(0xBB67AE85)
_LOW = U(0xFFFFFFFF)
_SHIFT = U(32)
_OCTETS = U(0x80000000)

_SQRT_HALF = I32(0x3F3504F3)  # float32 bit pattern of sqrt(1/2)
_MANTISSA = I32(0x007FFFFF)
_MANTISSA_LENGTH = I32(23)
_LN2 = F(math.log(2.0))
_HALF, _ONE, _TWO = F(0.5), F(1.0), F(2.0)
_INFINITY = F(np.inf)
# ln m = 2 artanh s, s = (m - 1) / (m + 1); |s| < 0.172: the first term left out is below half a unit of float32
_L3, _L5, _L7, _L9 = F(1 / 3), F(1 / 5), F(1 / 7), F(1 / 9)
# sine and cosine on an eighth of a turn either side of 0
_S3, _S5, _S7, _S9 = F(-1 / 6), F(1 / 120), F(-1 / 5040), F(1 / 362880)
_C2, _C4, _C6, _C8 = F(-1 / 2), F(1 / 24), F(-1 / 720), F(1 / 40320)
_STEP = F(math.pi / 2**33)  # a signed 32-bit word spans -pi/4 .. pi/4

_BATCH = 16 * LANES
MAXIMUM_LIKELIHOOD, WEAKEST_FLIP, HARD = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def _random_words(first, stream, purpose, seed, words):
    """words (4, LANES) uint32: the four Philox words of counters first .. first + LANES - 1."""
    for lane in range(LANES):
        index = U(first + lane)
        c0, c1, c2, c3 = index & _LOW, index >> _SHIFT, stream, purpose
        k0, k1 = seed & _LOW, seed >> _SHIFT
        for _ in range(10):
            p0 = _M0 * c0
            p1 = _M1 * c2
            c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
            k0 = (k0 + _W0) & _LOW
            k1 = (k1 + _W1) & _LOW
        words[0, lane] = U32(c0)
        words[1, lane] = U32(c1)
        words[2, lane] = U32(c2)
        words[3, lane] = U32(c3)


@njit(cache=True, nogil=True, error_model="numpy")
def _normal_pair(radius_words, angle_words, x, bits, first, second):
    """Box-Muller on LANES pairs: uint32 words -> two rows of independent normal float32 numbers.

    The angle is drawn as two signs and a part of an eighth of a turn, so that both polynomials run on +-1/8 turn. x and bits
    are one scratch row, seen as float32 and as int32.
    """
    for lane in range(LANES):
        x[lane] = F(radius_words[lane]) + _HALF
    for lane in range(LANES):  # x = mantissa * 2^exponent, mantissa in [sqrt(1/2), sqrt(2))
        offset = bits[lane] - _SQRT_HALF
        first[lane] = F(I32(32) - (offset >> _MANTISSA_LENGTH)) * _LN2
        bits[lane] = (offset & _MANTISSA) + _SQRT_HALF
    for lane in range(LANES):
        s = (x[lane] - _ONE) / (x[lane] + _ONE)
        z = s * s
        minus_ln = first[lane] - _TWO * s * (_ONE + z * (_L3 + z * (_L5 + z * (_L7 + z * _L9))))  # of x / 2^32, never negative
        radius = np.sqrt(minus_ln)  # the sqrt(2) of Box-Muller cancels that of the eighth turn
        word = angle_words[lane]
        phi = F(I32(word << U32(2))) * _STEP
        q = phi * phi
        sine = phi * (_ONE + q * (_S3 + q * (_S5 + q * (_S7 + q * _S9))))
        cosine = _ONE + q * (_C2 + q * (_C4 + q * (_C6 + q * _C8)))
        sign_0 = _ONE - _TWO * F(I32(word >> U32(31)))
        sign_1 = _ONE - _TWO * F(I32((word >> U32(30)) & U32(1)))
        first[lane] = sign_0 * radius * (cosine - sine)
        second[lane] = sign_1 * radius * (cosine + sine)


@njit(cache=True, nogil=True, error_model="numpy")
def _octets(first, stream, seed, octets):
    """octets (LANES + 16,) uint8: those of words first .. first + LANES - 1, four from each random word."""
    lane = -(first & 15)
    while lane < LANES:
        index = U((first + lane) >> 4)
        c0, c1, c2, c3 = index & _LOW, index >> _SHIFT, stream, _OCTETS
        k0, k1 = seed & _LOW, seed >> _SHIFT
        for _ in range(10):
            p0 = _M0 * c0
            p1 = _M1 * c2
            c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
            k0 = (k0 + _W0) & _LOW
            k1 = (k1 + _W1) & _LOW
        words = (c0, c1, c2, c3)
        for w in range(4):
            for part in range(4):
                place = lane + 4 * w + part
                if 0 <= place < LANES:
                    octets[place] = (words[w] >> U(8 * part)) & U(255)
        lane += 16


@njit(cache=True, nogil=True, error_model="numpy")
def _sign_sums(soft, first_bit, bits, sums):
    """sums (2^bits, LANES): the sums of soft bits first_bit .. first_bit + bits - 1 under every pattern of signs.

    Bit i of the pattern, counted from the last one, inverts soft bit first_bit + bits - 1 - i. Each row is the row with one
    bit fewer, less twice that soft bit.
    """
    for lane in range(LANES):
        total = F(0.0)
        for i in range(bits):
            total += soft[first_bit + i, lane]
        sums[0, lane] = total
    for i in range(bits):
        row = soft[first_bit + bits - 1 - i]
        size = 1 << i
        for pattern in range(size):
            source = sums[pattern]
            target = sums[size + pattern]
            for lane in range(LANES):
                target[lane] = source[lane] - _TWO * row[lane]


@njit(cache=True, nogil=True, error_model="numpy")
def _largest(rows, chosen, first, last, y):
    """y (LANES,): the largest of the rows that chosen[first:last] names, four a pass."""
    start = rows[chosen[first]]
    for lane in range(LANES):
        y[lane] = start[lane]
    place = first + 1
    while place + 4 <= last:
        a, b, c, d = rows[chosen[place]], rows[chosen[place + 1]], rows[chosen[place + 2]], rows[chosen[place + 3]]
        for lane in range(LANES):
            p = a[lane] if a[lane] > b[lane] else b[lane]
            q = c[lane] if c[lane] > d[lane] else d[lane]
            p = p if p > q else q
            y[lane] = p if p > y[lane] else y[lane]
        place += 4
    while place < last:
        a = rows[chosen[place]]
        for lane in range(LANES):
            y[lane] = a[lane] if a[lane] > y[lane] else y[lane]
        place += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _best_metric(head, tail, head_starts, heads, tail_starts, tails, x, y, best):
    """best (LANES,): the largest correlation of any code word.

    The words are grouped: in group g every head of heads[head_starts[g]:head_starts[g + 1]] occurs with every tail of
    tails[tail_starts[g]:tail_starts[g + 1]], so the best of the group is its best head and its best tail. x, y: scratch.
    """
    for lane in range(LANES):
        best[lane] = -_INFINITY
    for g in range(head_starts.size - 1):
        _largest(head, heads, head_starts[g], head_starts[g + 1], x)
        _largest(tail, tails, tail_starts[g], tail_starts[g + 1], y)
        for lane in range(LANES):
            total = x[lane] + y[lane]
            best[lane] = total if total > best[lane] else best[lane]


@njit(cache=True, nogil=True, error_model="numpy")
def _send(block, stream, seed, code, length, sigma, scratch, random, octets, sent, soft, hard, errors):
    """Soft bits (length + 3, LANES) of words block .. block + LANES - 1, their hard words and the wrong bits in each.

    scratch: one row float32. random: (4, LANES) uint32. octets: uint8; sent, hard, errors: int32, (LANES,) each.
    """
    bits = scratch.view(np.int32)
    spread = F(sigma)
    _octets(block, stream, seed, octets)
    for lane in range(LANES):
        sent[lane] = code[octets[lane]]
        hard[lane] = 0
        errors[lane] = 0
    for i in range(0, length, 4):
        _random_words(block, stream, U(i), seed, random)
        _normal_pair(random[0], random[1], scratch, bits, soft[i], soft[i + 1])
        _normal_pair(random[2], random[3], scratch, bits, soft[i + 2], soft[i + 3])
    for i in range(length):
        row = soft[i]
        shift = I32(length - 1 - i)
        for lane in range(LANES):
            bit = (sent[lane] >> shift) & I32(1)
            value = spread * row[lane] + F(I32(1) - I32(2) * bit)
            decided = I32(value < F(0.0))
            row[lane] = value
            hard[lane] |= decided << shift
            errors[lane] += decided ^ bit


@njit(cache=True, nogil=True, error_model="numpy")
def send_words(first_word, code, length, sigma, seed, stream, octets, soft):
    """The octets (W,) uint8 and soft bits (W, length) float32, + means 0, that `simulate_words` decodes from first_word on."""
    scratch = np.empty(LANES, np.float32)
    random = np.empty((4, LANES), np.uint32)
    rows = np.empty((length + 3, LANES), np.float32)
    block_octets = np.empty(LANES, np.uint8)
    ints = np.empty((3, LANES), np.int32)
    for done in range(0, octets.size, LANES):
        _send(
            first_word + done, stream, seed, code, length, sigma, scratch, random, block_octets, ints[0], rows, ints[1], ints[2]
        )
        for lane in range(min(LANES, octets.size - done)):
            octets[done + lane] = block_octets[lane]
            for i in range(length):
                soft[done + lane, i] = rows[i, lane]


@njit(cache=True, nogil=True, error_model="numpy")
def _flip_weakest(soft, length, constant_mask, constant, columns, fault, syndrome, weakest, flips, hard):
    """hard (LANES,): constant bits restored, then the weakest of the bits inverted that explain the syndrome alone."""
    for lane in range(LANES):
        hard[lane] = (hard[lane] & ~constant_mask) | constant
        syndrome[lane] = fault[hard[lane]]
        weakest[lane] = _INFINITY
        flips[lane] = 0
    for i in range(length):
        flip = I32(1) << I32(length - 1 - i)
        if flip & constant_mask:
            continue
        row = soft[i]
        column = columns[i]
        for lane in range(LANES):
            strength = abs(row[lane])
            explains = syndrome[lane] != 0 and syndrome[lane] == column and strength < weakest[lane]
            weakest[lane] = strength if explains else weakest[lane]
            flips[lane] = flip if explains else flips[lane]
    for lane in range(LANES):
        hard[lane] ^= flips[lane]


@njit(cache=True, nogil=True, error_model="numpy")
def simulate_words(
    first_word, words, packet_octets, sigma, seed, stream, decoder, code, length, constant_mask, octet_of, nearest, columns,
    fault, head_starts, heads, tail_starts, tails, counts,
):  # fmt: skip
    """Send words first_word .. first_word + words - 1 and add what went wrong to counts.

    packet_octets: words in a packet; packet k is words k * packet_octets and on. sigma: standard deviation of the noise on
    soft bits of +-1. decoder: _BATCH = 16 * LANES
MAXIMUM_LIKELIHOOD, WEAKEST_FLIP or HARD. code: (256,) int32, the words, first bit sent = most
    significant of `length`. constant_mask: the bits that no word changes. Of every hard word, (2^length,): octet_of int16 its
    octet or -1, nearest uint8 the octet of the nearest word, fault int32 its syndrome; columns (length,) int32: the syndrome of
    an error in this bit. heads ... tails: see `_best_metric`. counts: (4,) int64: packets, words, bits of octets and channel
    bits in error.

    A hard word that is a code word is the likeliest one: no other has so large a correlation. Maximum likelihood is therefore
    worked out for the others alone, which are gathered until a row of lanes is full.
    """
    scratch = np.empty(LANES, np.float32)
    random = np.empty((4, LANES), np.uint32)
    soft = np.empty((length + 3, LANES), np.float32)
    octets = np.empty(LANES, np.uint8)
    sent = np.empty(LANES, np.int32)
    hard = np.empty(LANES, np.int32)
    errors = np.empty(LANES, np.int32)
    best = np.empty(LANES, np.float32)
    y = np.empty(LANES, np.float32)
    tail_bits = length // 2
    mask = (1 << tail_bits) - 1
    head = np.empty((1 << (length - tail_bits), LANES), np.float32)
    tail = np.empty((1 << tail_bits, LANES), np.float32)
    open_soft = np.zeros((length, LANES), np.float32)
    open_places = np.empty(LANES, np.int64)
    opened = 0
    batch_octets = np.empty(_BATCH, np.uint8)
    difference = np.empty(_BATCH, np.uint8)  # decoded octet xor sent octet
    constant = code[0] & constant_mask
    last_bad = -1
    end = first_word + words
    for batch in range(first_word, end, _BATCH):
        size = min(_BATCH, end - batch)
        for done in range(0, size, LANES):
            valid = min(LANES, size - done)
            _send(batch + done, stream, seed, code, length, sigma, scratch, random, octets, sent, soft, hard, errors)
            for lane in range(valid):
                counts[3] += errors[lane]
            if decoder == WEAKEST_FLIP:
                _flip_weakest(soft, length, constant_mask, constant, columns, fault, errors, scratch, sent, hard)
            for lane in range(valid):
                place = done + lane
                batch_octets[place] = octets[lane]
                if decoder == MAXIMUM_LIKELIHOOD:
                    decoded = octet_of[(hard[lane] & ~constant_mask) | constant]
                    if decoded < 0:
                        for i in range(length):
                            open_soft[i, opened] = soft[i, lane]
                        open_places[opened] = place
                        opened += 1
                    else:
                        difference[place] = np.uint8(decoded) ^ octets[lane]
                else:
                    difference[place] = nearest[hard[lane]] ^ octets[lane]
                if opened == LANES or (opened > 0 and place == size - 1):
                    _sign_sums(open_soft, 0, length - tail_bits, head)
                    _sign_sums(open_soft, length - tail_bits, tail_bits, tail)
                    _best_metric(head, tail, head_starts, heads, tail_starts, tails, scratch, y, best)
                    for k in range(opened):
                        octet = batch_octets[open_places[k]]
                        word = code[octet]
                        decoded = np.int16(octet)
                        if head[word >> tail_bits, k] + tail[word & mask, k] != best[k]:
                            for c in range(256):
                                word = code[c]
                                if head[word >> tail_bits, k] + tail[word & mask, k] == best[k]:
                                    decoded = np.int16(c)
                                    break
                        difference[open_places[k]] = np.uint8(decoded) ^ octet
                    opened = 0
        for place in range(size):
            wrong = difference[place]
            if wrong:
                counts[1] += 1
                while wrong:
                    wrong &= wrong - 1
                    counts[2] += 1
                packet = (batch + place) // packet_octets
                if packet != last_bad:
                    counts[0] += 1
                    last_bad = packet
