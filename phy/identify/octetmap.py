"""From word to octet through the check sequence: every packet gives sixteen linear equations for the unknown map.

With u the coordinates of a word in its code, its octet is M u + b over GF(2), 72 unknown bits. The check sequence is linear
as well, so that "it fits" is sixteen equations in M and b for each packet, and ten packets overdetermine them.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..crc import Crc

UNKNOWNS: Final = 72
SURPLUS: Final = 32  # equations more than unknowns: a wrong assumption passes with 2**-32
_FEW_REFUSED: Final = 0.3  # share of the packets that may be refused without looking for a better choice of the first
_MOST_OPEN: Final = 10  # unknowns that may be left: a thousand maps, of which one can still choose the simplest
SEED_PACKETS: Final = 8  # 128 equations for 72 unknowns: a wrong assumption passes with 2**-56


def missing_packets(independent: int, rank: int = UNKNOWNS) -> int:
    """Independent packets that are missing until `rank` unknowns are determined and what fits cannot be chance."""
    return max(0, -(-(rank + SURPLUS) // 16) - independent)


@cache
def _influence(crc: Crc, octets: int) -> NDArray[np.uint8]:
    """(octets, 16, 8): what bit 7..0 of an octet changes in the check, counted from the last octet of the LPDU back."""
    effect = np.zeros((octets, 16, 8), np.uint8)
    for k in range(octets):
        for bit in range(8):
            if k < 2:
                place = k if crc.high_first else 1 - k
                change = 1 << (8 * place + 7 - bit)
            else:
                length = k - 1
                change = crc.compute(bytes([1 << (7 - bit)]) + bytes(length - 1)) ^ crc.compute(bytes(length))
            effect[k, :, bit] = [change >> (15 - e) & 1 for e in range(16)]
    return effect


class MapEquations:
    """The equations of one packet after another; keeps only packets that do not contradict the ones before.

    Args:
        crc: the check sequence of an LPDU. most_octets: length of the longest.
    Attributes:
        packets: packets taken in. independent: of these, see OctetMaps.
    """

    def __init__(self, crc: Crc, most_octets: int) -> None:
        self._crc, self._most = crc, most_octets
        self._rows: dict[int, int] = {}
        self._spans = Spans()
        self.packets = self.independent = 0

    def add(self, coordinates: NDArray[np.uint8]) -> bool:
        """(n, 8) coordinates of a packet's words -> whether its equations fit; if not, they are left out."""
        rows = dict(self._rows)
        for row in self._equations(coordinates):
            while row >> 1:
                pivot = rows.get(row.bit_length())
                if pivot is None:
                    rows[row.bit_length()] = row
                    break
                row ^= pivot
            else:
                if row:
                    return False
        self._rows = rows
        self.packets += 1
        self.independent += self._spans.add(coordinates)
        return True

    @property
    def undetermined(self) -> int:
        """Dimension of the set of maps that fit."""
        return UNKNOWNS - len(self._rows)

    def solutions(self, most: int = 1 << _MOST_OPEN) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Maps (M (8, 8), b (8,)) that fit, at most so many."""
        free = [c for c in range(UNKNOWNS) if UNKNOWNS - c + 1 not in self._rows]
        first = self._follow(0)
        turns = [self._follow(1 << (UNKNOWNS - c)) ^ first for c in free]
        found = []
        for choice in range(min(most, 1 << min(len(free), 20))):
            value = first
            for i, turn in enumerate(turns):
                value ^= turn * (choice >> i & 1)
            bits = np.array([value >> (UNKNOWNS - c) & 1 for c in range(UNKNOWNS)], np.uint8)
            found.append((bits[:64].reshape(8, 8), bits[64:]))
        return found

    def _follow(self, value: int) -> int:
        """The unknowns, bit 72 - c for unknown c, that follow from the free ones among them; bit 0 is 1."""
        value |= 1
        # Each row's leading unknown follows from those behind it.
        for length in sorted(self._rows):
            value |= ((self._rows[length] & value).bit_count() & 1) << (length - 1)
        return value

    def _equations(self, coordinates: NDArray[np.uint8]) -> list[int]:
        """Sixteen rows, bit 72 - c the coefficient of unknown c, bit 0 the right side."""
        n = coordinates.shape[0]
        # Rounded up, so that few tables are ever made.
        effect = _influence(self._crc, -(-self._most // 64) * 64)[:n][::-1]
        matrix = np.einsum("jer,js->ers", effect.astype(np.int64), coordinates.astype(np.int64)).reshape(16, 64) % 2
        offset = effect.sum(axis=0, dtype=np.int64) % 2
        wanted = self._crc.compute(bytes(n - 2))
        rows = []
        for e in range(16):
            bits = [*matrix[e].tolist(), *offset[e].tolist(), wanted >> (15 - e) & 1]
            rows.append(int("".join(map(str, bits)), 2))
        return rows


@dataclass(frozen=True, eq=False, slots=True)
class OctetMaps:
    """Maps that fit.

    Attributes:
        tables: each (256, 11) uint8, the word of every octet. undetermined: dimension of the set they are from.
        packets: packets whose check sequences fit. refused: the others.
        independent: of the former, those that are not sums of others; only they show that anything fits.
    """

    tables: list[NDArray[np.uint8]]
    undetermined: int
    packets: int
    refused: int
    independent: int


def solve_maps(
    packets: list[NDArray[np.uint8]],
    words: NDArray[np.uint8],
    coordinates: NDArray[np.uint8],
    crc: Crc,
    rng: np.random.Generator,
    attempts: int,
) -> OctetMaps | None:
    """The maps from word to octet under which the check sequences fit, or None when there is none or too few packets prove it.

    Args:
        packets: for each its words as coordinates, (n, 8), the cleanest first. words, coordinates: of all 256 words of the code.
        attempts: how many times to begin with other packets, in case one of the first has errors.
    """
    usable, independent = _independent_first([p for p in packets if p.shape[0] >= 3])
    if not usable:
        return None
    if independent <= SEED_PACKETS:
        attempts = 1  # all are among the first, whatever their order
    most = max(p.shape[0] for p in usable)
    first = min(SEED_PACKETS, len(usable))
    best: OctetMaps | None = None
    for attempt in range(attempts):
        # The first ones are the cleanest; should one of them be wrong all the same, others are taken from ever more.
        order = np.arange(len(usable))
        if attempt:
            pool = min(len(usable), first * (1 + attempt))
            order[:pool] = rng.permutation(pool)
        system = MapEquations(crc, most)
        if not all(system.add(usable[i]) for i in order[:first]):
            continue
        for i in order[first:]:
            system.add(usable[i])
        if system.undetermined > _MOST_OPEN or missing_packets(system.independent, UNKNOWNS - system.undetermined):
            continue
        tables = []
        for matrix, offset in system.solutions():
            octets = (coordinates @ matrix.T + offset) % 2 @ (1 << np.arange(7, -1, -1))
            if np.unique(octets).size == 256:
                table = np.empty_like(words)
                table[octets] = words
                tables.append(table)
        if tables and (best is None or system.packets > best.packets):
            refused = len(packets) - system.packets
            best = OctetMaps(tables, system.undetermined, system.packets, refused, system.independent)
            if refused <= _FEW_REFUSED * len(packets):
                break
    return best


def _independent_first(packets: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], int]:
    """The same packets, those at the end that are sums of others, whose equations test nothing; how many are none."""
    spans = Spans()
    parts: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]] = ([], [])
    for packet in packets:
        parts[not spans.add(packet)].append(packet)
    return parts[0] + parts[1], len(parts[0])


class Spans:
    """Which packets are sums (of an odd number) of others of the same length."""

    def __init__(self) -> None:
        self._bases: dict[int, dict[int, int]] = {}

    def add(self, packet: NDArray[np.uint8]) -> bool:
        """Whether the packet is none of the sums of those before."""
        basis = self._bases.setdefault(packet.shape[0], {})
        row = 1 << packet.size | int.from_bytes(np.packbits(packet).tobytes(), "big")
        while row:
            lead = row.bit_length()
            if lead not in basis:
                basis[lead] = row
                return True
            row ^= basis[lead]
        return False
