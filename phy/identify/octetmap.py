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
SEED_PACKETS: Final = 8  # 128 equations for 72 unknowns: a wrong assumption passes with 2**-56


@cache
def _influence(crc: Crc, octets: int) -> NDArray[np.uint8]:
    """(octets, 16, 8): what bit 7..0 of an octet changes in the check, counted from the last octet of the LPDU back."""
    effect = np.zeros((octets, 16, 8), np.uint8)
    for k in range(octets):
        for bit in range(8):
            if k < 2:
                change = 1 << (8 * k + 7 - bit)
            else:
                length = k - 1
                change = crc.compute(bytes([1 << (7 - bit)]) + bytes(length - 1)) ^ crc.compute(bytes(length))
            effect[k, :, bit] = [change >> (15 - e) & 1 for e in range(16)]
    return effect


class MapEquations:
    """The equations of one packet after another; keeps only packets that do not contradict the ones before.

    Args:
        crc: the check sequence of an LPDU.
    """

    def __init__(self, crc: Crc, most_octets: int) -> None:
        self._crc, self._most = crc, most_octets
        self._rows: dict[int, int] = {}
        self.packets = 0

    def copy(self) -> "MapEquations":
        """Another with the same equations."""
        other = MapEquations(self._crc, self._most)
        other._rows, other.packets = dict(self._rows), self.packets
        return other

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
        return True

    @property
    def undetermined(self) -> int:
        """Dimension of the set of maps that fit."""
        return UNKNOWNS - len(self._rows)

    def solutions(self, most: int = 1024) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Maps (M (8, 8), b (8,)) that fit, at most so many."""
        free = [c for c in range(UNKNOWNS) if UNKNOWNS - c + 1 not in self._rows]
        found = []
        for choice in range(min(most, 1 << min(len(free), 20))):
            values = np.zeros(UNKNOWNS, np.uint8)
            for i, c in enumerate(free):
                values[c] = choice >> i & 1
            # Each row's leading unknown follows from those behind it.
            for length in sorted(self._rows):
                row = self._rows[length]
                column = UNKNOWNS + 1 - length
                value = row & 1
                for c in range(column + 1, UNKNOWNS):
                    if row >> (UNKNOWNS - c) & 1:
                        value ^= int(values[c])
                values[column] = value
            found.append((values[:64].reshape(8, 8), values[64:]))
        return found

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
    """

    tables: list[NDArray[np.uint8]]
    undetermined: int
    packets: int
    refused: int


def solve_maps(
    packets: list[NDArray[np.uint8]],
    words: NDArray[np.uint8],
    coordinates: NDArray[np.uint8],
    crc: Crc,
    rng: np.random.Generator,
    attempts: int,
) -> OctetMaps | None:
    """The maps from word to octet under which the check sequences fit, or None when there is none.

    Args:
        packets: for each its words as coordinates, (n, 8). words, coordinates: of all 256 words of the code.
        attempts: how many times to begin with other packets, in case one of the first has errors.
    """
    usable = [p for p in packets if p.shape[0] >= 3]
    if not usable:
        return None
    most = max(p.shape[0] for p in usable)
    first = min(SEED_PACKETS, len(usable))
    for _ in range(attempts):
        order = rng.permutation(len(usable))
        system = MapEquations(crc, most)
        if not all(system.add(usable[i]) for i in order[:first]):
            continue
        for i in order[first:]:
            system.add(usable[i])
        tables = []
        for matrix, offset in system.solutions():
            octets = (coordinates @ matrix.T + offset) % 2 @ (1 << np.arange(7, -1, -1))
            if np.unique(octets).size == 256:
                table = np.empty_like(words)
                table[octets] = words
                tables.append(table)
        if tables:
            return OctetMaps(tables, system.undetermined, system.packets, len(packets) - system.packets)
    return None
