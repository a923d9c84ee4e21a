"""Where words begin and end, and what they mean: the alignment under which code and check sequence both fit."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..crc import Crc
from .header import AlignedPackets
from .octetmap import SEED_PACKETS, UNKNOWNS, OctetMaps, solve_maps
from .wordcode import EQUATIONS, WORD_BITS, CodeSpace, find_code

_SHORTEST_HEADER: Final = 8
_MOST_END_WORDS: Final = 4
_LONGEST_PACKET: Final = 300  # words
_SURPLUS: Final = 32  # equations more than unknowns: a wrong assumption passes with 2**-32


@dataclass(frozen=True, eq=False, slots=True)
class WordAlignment:
    """One of the eleven ways to cut the bits into words.

    Attributes:
        offset: bits from the common column where words were cut first. code: the equations that hold then.
    """

    offset: int
    code: CodeSpace


@dataclass(frozen=True, eq=False, slots=True)
class Framing:
    """How packets are built.

    Attributes:
        header_bits: preamble and sync. end_words: words behind the check sequence. differential: see Profile.
        code: the code. maps: the maps from word to octet that fit.
    """

    header_bits: int
    end_words: int
    differential: bool
    code: CodeSpace
    maps: OctetMaps


class PacketRows:
    """The soft bits of aligned packets from their first bit on.

    Args:
        aligned: the packets. column: of the first bit. ramp_bits: see Start. differential: undo differential encoding.
    """

    def __init__(self, aligned: AlignedPackets, column: int, ramp_bits: float, differential: bool) -> None:
        self.rows: list[NDArray[np.float64]] = []
        self.lengths: list[float] = []
        for index in range(len(aligned.packets)):
            row = aligned.soft(index, column)
            if differential:
                # A bit is 1 where the line changes; it is as sure as the less sure of the two.
                change = -np.sign(row[1:] * row[:-1]) * np.minimum(np.abs(row[1:]), np.abs(row[:-1]))
                row = np.concatenate([row[:1], change])
            self.rows.append(row)
            self.lengths.append(aligned.end(index) - ramp_bits / 2 - column)

    def words(self, index: int, first: int, drop: int = 0) -> NDArray[np.float64]:
        """(n, 11) soft words of a packet from bit `first` on, without the last `drop`."""
        count = round((self.lengths[index] - first) / WORD_BITS) - drop
        row = self.rows[index]
        count = max(0, min(count, (row.size - first) // WORD_BITS))
        return row[first : first + count * WORD_BITS].reshape(count, WORD_BITS)


def word_alignments(rows: PacketRows, common: int) -> list[WordAlignment]:
    """All eleven alignments behind the first `common` bits, those with the right number of equations first."""
    found = []
    for offset in range(WORD_BITS):
        words = [(rows.words(i, common + offset) > 0) for i in range(len(rows.rows))]
        found.append(WordAlignment(offset, find_code(np.concatenate(words).astype(np.uint8))))
    return sorted(found, key=lambda a: (abs(a.code.equations - EQUATIONS), -a.code.holds))


def enough_equations(maps: OctetMaps) -> bool:
    """Whether so many packets agree that it cannot be chance."""
    rank = UNKNOWNS - maps.undetermined
    return 16 * maps.packets >= rank + _SURPLUS and maps.packets >= maps.refused


def solve_framing(
    rows: PacketRows, alignments: list[WordAlignment], common: int, differential: bool, crc: Crc, rng: np.random.Generator
) -> Framing | None:
    """Try where words begin and how many of the last are no octets, until the check sequence fits."""
    for attempts in (3, 24):
        for alignment in alignments:
            if alignment.code.equations != EQUATIONS:
                continue
            for header in _headers(rows, alignment, common):
                for end_words in _end_words(rows, header):
                    maps = _try(rows, alignment.code, header, end_words, crc, rng, attempts)
                    if maps is not None and enough_equations(maps):
                        return Framing(header, end_words, differential, alignment.code, maps)
        if len(rows.rows) < SEED_PACKETS:
            break
    return None


def _headers(rows: PacketRows, alignment: WordAlignment, common: int) -> list[int]:
    """Lengths the header may have: words may be common to all packets, but they are words of the code."""
    first = common + alignment.offset
    # One word more than seems common: a few packets with errors may have cut the common part short.
    headers = [first, first + WORD_BITS]
    for header in range(first - WORD_BITS, _SHORTEST_HEADER - 1, -WORD_BITS):
        words = np.array([row[header : header + WORD_BITS] > 0 for row in rows.rows], np.uint8)
        fits = (words @ alignment.code.masks.T % 2 == alignment.code.values).all(axis=1)
        if fits.mean() < 0.5:
            break
        headers.append(header)
    return [h for h in headers if h >= _SHORTEST_HEADER]


def _end_words(rows: PacketRows, header: int) -> list[int]:
    """Numbers of end words, likeliest first: as many as are the same word at the end of all packets."""
    same = 0
    tails = [rows.words(i, header)[-_MOST_END_WORDS:] > 0 for i in range(len(rows.rows))]
    tails = [t for t in tails if t.shape[0] == _MOST_END_WORDS]
    if tails:
        share = np.mean(tails, axis=0)
        alike = (np.maximum(share, 1 - share) > 0.8).all(axis=1)
        word = share[-1] > 0.5
        while same < _MOST_END_WORDS and alike[-1 - same] and np.array_equal(share[-1 - same] > 0.5, word):
            same += 1
    return list(range(same, -1, -1))


def _try(
    rows: PacketRows, code: CodeSpace, header: int, end_words: int, crc: Crc, rng: np.random.Generator, attempts: int
) -> OctetMaps | None:
    packets = []
    for index in range(len(rows.rows)):
        soft = rows.words(index, header, end_words)
        if 3 <= soft.shape[0] <= _LONGEST_PACKET:
            packets.append(code.coordinates[code.nearest(soft)])
    return solve_maps(packets, code.words, code.coordinates, crc, rng, attempts)
