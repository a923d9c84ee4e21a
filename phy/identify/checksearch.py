"""Which check sequence packets carry, when it is not the known one: any polynomial of degree 16, initial value and final XOR.

A packet's octets are unknown, but linear in its words. For each polynomial the equations of a few packets tell whether any map
from word to octet exists under which it divides them, whatever initial value and XOR are: 32768 eliminations, a second or two.
Initial value and XOR also absorb constant words at either end, so that neither the header's nor the tail's length need be known.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._kernels.crcsearch import map_ranks
from ..crc import CRCS, Crc
from .octetmap import Spans

FEWEST: Final = 9  # packets; 144 equations less 32 for what is no map, for 64 unknowns: a wrong polynomial passes with 2**-48
_USED: Final = 11
_MOST_CHOICES: Final = 14  # dimension of the set of solutions that is gone through
_MOST_FITTING, _MOST_LISTED = 64, 4  # polynomials of all, and of the catalogue's
_ALL: Final = np.arange(1, 1 << 16, 2, dtype=np.int64)
_LISTED: Final = np.array(sorted({crc.polynomial for crc in CRCS.values()}), np.int64)
_PLAIN: Final = (0x0000, 0xFFFF)


@dataclass(frozen=True, slots=True)
class CheckFit:
    """A check sequence that fits.

    Attributes:
        crc: the check sequence. rank: 0 it is in the catalogue, 1 its constants are 0 or 0xFFFF, 2 any others.
    """

    crc: Crc
    rank: int


def find_polynomials(packets: list[NDArray[np.uint8]], listed: bool, swapped: bool) -> list[int]:
    """Polynomials under which a map from word to octet exists.

    Args:
        packets: coordinates of the words, (n, 8) each, the cleanest first. listed: try those of the catalogue only.
        swapped: the check octets are sent in the other order.
    """
    long = _useful(packets, swapped)
    polynomials = _LISTED if listed else _ALL
    for first in (0, _USED) if listed else (0,):
        chosen = long[first : first + _USED]
        if len(chosen) < FEWEST:
            break
        words = np.concatenate([p @ (1 << np.arange(8)) for p in chosen]).astype(np.uint8)
        ranks = np.empty(polynomials.size, np.int64)
        map_ranks(words, np.array([p.shape[0] for p in chosen]), polynomials, ranks)
        found = polynomials[ranks < 64]
        # Words in which no check sequence is seen fit many, and tell nothing.
        if 0 < found.size <= (_MOST_LISTED if listed else _MOST_FITTING):
            return [int(p) for p in found]
    return []


def find_constants(packets: list[NDArray[np.uint8]], polynomial: int, swapped: bool) -> CheckFit | None:
    """Initial value and final XOR that belong to a polynomial, the most ordinary ones of those that fit.

    Args:
        packets: as for find_polynomials; a few clean ones.
    """
    chosen = _useful(packets, swapped)[: 2 * _USED]
    basis = _null_space([row for p in chosen for row in _equations(p, polynomial)], 104)
    if not 0 < len(basis) <= _MOST_CHOICES:
        return None
    best: tuple[tuple[int, int, int], CheckFit] | None = None
    for choice in product((0, 1), repeat=len(basis)):
        solution = 0
        for take, row in zip(choice, basis, strict=True):
            solution ^= row * take
        if not _bijective([solution >> (8 * j) & 0xFF for j in range(8)]):
            continue
        offset, initial, final_xor = solution >> 64 & 0xFF, solution >> 72 & 0xFFFF, solution >> 88 & 0xFFFF
        fit = _named(polynomial, initial, final_xor, swapped)
        order = (fit.rank, int(offset != 0), initial)
        if best is None or order < best[0]:
            best = order, fit
    return best[1] if best else None


def mirror_image(crc: Crc) -> Crc:
    """The check sequence that the same line has when every octet is turned end for end."""
    turned = int(f"{crc.final_xor:016b}"[::-1], 2)
    parameters = crc.polynomial, crc.initial, turned, not crc.reflected
    named = [c for c in CRCS.values() if (c.polynomial, c.initial, c.final_xor, c.reflected) == parameters]
    return named[0] if named and not crc.swapped else Crc.parametric(*parameters, crc.swapped)


def _named(polynomial: int, initial: int, final_xor: int, swapped: bool) -> CheckFit:
    plain = Crc.parametric(polynomial, initial, final_xor, swapped=swapped)
    if not swapped:
        for crc in sorted(CRCS.values(), key=lambda c: c.reflected):
            if (crc.polynomial, crc.initial, crc.final_xor) == (polynomial, initial, final_xor) and not crc.reflected:
                return CheckFit(crc, 0)
            if crc.reflected and mirror_image(crc) == plain:
                return CheckFit(crc, 0)
    return CheckFit(plain, 1 if initial in _PLAIN and final_xor in _PLAIN else 2)


def _useful(packets: list[NDArray[np.uint8]], swapped: bool) -> list[NDArray[np.uint8]]:
    """Packets long enough that are no sums of others, with the check octets in their usual order."""
    spans = Spans()
    chosen = [p for p in packets if p.shape[0] >= 4 and spans.add(p)]
    return [np.concatenate([p[:-2], p[:-3:-1]]) if swapped else p for p in chosen]


def _equations(packet: NDArray[np.uint8], polynomial: int) -> list[int]:
    """Sixteen homogeneous rows; bits 0..63 the map, row of octet bit j at 8 j, 64..71 offset, 72..87 initial, 88..103 XOR."""
    n = packet.shape[0]
    powers = [1]
    while len(powers) < 8 * n + 16:
        value = powers[-1] << 1
        powers.append(value ^ (polynomial | 0x10000) if value & 0x10000 else value)
    rows = [1 << (88 + e) for e in range(16)]
    columns = [powers[8 * (n - 1 - i) : 8 * (n - 1 - i) + 8] for i in range(n)]
    for position, word in zip(columns, packet, strict=True):
        u = int(word @ (1 << np.arange(8)))
        for j, value in enumerate(position):
            for e in range(16):
                if value >> e & 1:
                    rows[e] ^= u << (8 * j) ^ 1 << (64 + j)
    for j in range(16):
        for e in range(16):
            if powers[8 * (n - 2) + j] >> e & 1:
                rows[e] ^= 1 << (72 + j)
    return rows


def _null_space(rows: list[int], width: int) -> list[int]:
    """Basis of the vectors that every row is orthogonal to, as integers."""
    pivots: dict[int, int] = {}
    for row in rows:
        for bit, pivot in pivots.items():
            if row >> bit & 1:
                row ^= pivot
        if row:
            lead = row.bit_length() - 1
            pivots = {bit: p ^ row if p >> lead & 1 else p for bit, p in pivots.items()}
            pivots[lead] = row
    return [
        1 << free | sum(1 << bit for bit, row in pivots.items() if row >> free & 1)
        for free in range(width)
        if free not in pivots
    ]


def _bijective(rows: list[int]) -> bool:
    """Whether eight rows of eight bits are independent."""
    rank, rest = 0, [row for row in rows if row]
    while rest:
        pivot = rest.pop()
        lead = pivot.bit_length() - 1
        rest = [r for r in (row ^ pivot if row >> lead & 1 else row for row in rest) if r]
        rank += 1
    return rank == 8
