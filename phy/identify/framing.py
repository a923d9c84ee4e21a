"""Where words begin and end, and what they mean: the alignment under which code and check sequence both fit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..crc import Crc
from .checksearch import find_constants, find_polynomials
from .header import AlignedPackets
from .octetmap import SEED_PACKETS, OctetMaps, Spans, solve_maps
from .wordcode import EQUATIONS, WORD_BITS, CodeSpace, find_code

_SHORTEST_HEADER: Final = 8
_MOST_END_WORDS: Final = 4
_LONGEST_PACKET: Final = 300  # words
_LEFT_OVER: Final = 0.35  # bit times; 0.13 was the largest of 25 lines of seven pulses at 20 dB
_LATE_END: Final = 0.5  # bit times: a level over two bits falls to its half when three quarters of these lie behind the end


@dataclass(frozen=True, eq=False, slots=True)
class WordAlignment:
    """One of the eleven ways to cut the bits into words.

    Attributes:
        offset: bits from the common column where words were cut first. code: the equations that hold then.
        left_over: bits, -5.5..5.5, that packets are longer than whole words, median; about 0 where words are cut rightly.
    """

    offset: int
    code: CodeSpace
    left_over: float


@dataclass(frozen=True, eq=False, slots=True)
class Framing:
    """How packets are built.

    Attributes:
        header_bits: preamble and sync. end_words: words behind the check sequence, of any kind. differential: see Profile.
        code: the code. maps: the maps from word to octet that fit.
        crc: the check sequence under which they do. crc_rank: see CheckFit. left_over: see WordAlignment.
    """

    header_bits: int
    end_words: int
    differential: bool
    code: CodeSpace
    maps: OctetMaps
    crc: Crc
    crc_rank: int
    left_over: float

    @property
    def ends_fit(self) -> bool:
        """Whether packets are whole words long; else their first bit, their ramps or their end is doubtful."""
        return abs(self.left_over) <= _LEFT_OVER


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
            self.lengths.append(aligned.end(index) - _LATE_END - ramp_bits / 2 - column)

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
        rest = (np.array(rows.lengths) - common - offset + WORD_BITS / 2) % WORD_BITS - WORD_BITS / 2
        code = find_code(np.concatenate(words).astype(np.uint8))
        found.append(WordAlignment(offset, code, float(np.median(rest))))
    # A code with a constant bit at one end obeys as many equations one bit further on; only the packets' ends tell then.
    return sorted(found, key=lambda a: (abs(a.code.equations - EQUATIONS), round(abs(a.left_over)), -a.code.holds))


def independent_packets(rows: PacketRows, alignment: WordAlignment, common: int) -> int:
    """How many packets are no sums of others, cut into words at `alignment`."""
    guess = next(_guesses(rows, [alignment], common), None)
    spans = Spans()
    return 0 if guess is None else sum(spans.add(packet) for packet in guess.packets)


def solve_framing(
    rows: PacketRows, alignments: list[WordAlignment], common: int, differential: bool, crc: Crc, rng: np.random.Generator
) -> Framing | None:
    """Try where words begin and how many of the last are no octets, until the check sequence fits."""
    for attempts in (3, 24):
        for guess in _guesses(rows, alignments, common, any_end=attempts == 3):
            maps = guess.maps(crc, rng, attempts)
            if maps is not None and maps.packets >= maps.refused:
                return Framing(guess.header, guess.end_words, differential, guess.code, maps, crc, 0, guess.left_over)
        if len(rows.rows) < SEED_PACKETS:
            break
    return None


def solve_check(
    rows: PacketRows, alignments: list[WordAlignment], common: int, differential: bool, listed: bool, rng: np.random.Generator
) -> Framing | None:
    """The same for a check sequence that is not known: one of the catalogue (`listed`), or any other of 16 bits."""
    fitting = [a for a in alignments if a.code.equations == EQUATIONS and (listed or abs(a.left_over) < 1.0)]
    for alignment in fitting:
        guesses = list(_guesses(rows, [alignment], common, any_end=listed))
        best: Framing | None = None
        # Constant words in front do not hide a polynomial: one header is enough to find it with, the longest that is common.
        header = common + alignment.offset - (WORD_BITS if alignment.offset else 0)
        trials = [(guess, False) for guess in guesses if guess.header == header]
        trials += [(guess, True) for guess, _ in (trials if listed else trials[:1])]
        for trial, swapped in trials:
            for polynomial in find_polynomials(trial.packets, listed, swapped):
                for guess in guesses:
                    fit = find_constants(guess.packets, polynomial, swapped)
                    if fit is None or (best is not None and fit.rank >= best.crc_rank):
                        continue
                    maps = guess.maps(fit.crc, rng, 6)
                    if maps is not None and maps.packets >= maps.refused:
                        best = Framing(
                            guess.header, guess.end_words, differential, guess.code, maps, fit.crc, fit.rank, guess.left_over
                        )
            if best is not None:
                return best
    return None


@dataclass(frozen=True, eq=False, slots=True)
class _Guess:
    """One way to cut packets into words.

    Attributes:
        packets: coordinates of the words of each, (n, 8), those with the surest words first. short: packets left out.
        left_over: see WordAlignment.
    """

    header: int
    end_words: int
    code: CodeSpace
    packets: list[NDArray[np.uint8]]
    short: int
    left_over: float

    def maps(self, crc: Crc, rng: np.random.Generator, attempts: int) -> OctetMaps | None:
        """The maps from word to octet that fit."""
        maps = solve_maps(self.packets, self.code.words, self.code.coordinates, crc, rng, attempts)
        return None if maps is None else replace(maps, refused=maps.refused + self.short)


def _guesses(rows: PacketRows, alignments: list[WordAlignment], common: int, any_end: bool = False) -> Iterator[_Guess]:
    """The likeliest first. any_end: the words behind the check sequence need not be one and the same word."""
    for alignment in alignments:
        if alignment.code.equations != EQUATIONS:
            continue
        code = alignment.code
        for header in _headers(rows, alignment, common):
            decided = [_decided(code, rows.words(i, header)) for i in range(len(rows.rows))]
            for end_words in _end_words(rows, header, any_end):
                cut = [(u[: u.shape[0] - end_words], m[: u.shape[0] - end_words]) for u, m in decided]
                usable = [(u, m) for u, m in cut if 3 <= u.shape[0] <= _LONGEST_PACKET]
                usable.sort(key=lambda packet: -float(packet[1].min()))
                yield _Guess(header, end_words, code, [u for u, _ in usable], len(cut) - len(usable), alignment.left_over)


def _decided(code: CodeSpace, soft: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """(N, 11) soft bits -> (N, 8) coordinates of the likeliest words and (N,) how much likelier they are than the next."""
    metric = soft @ (2.0 * code.words.T - 1.0)
    if metric.shape[0] == 0:
        return np.zeros((0, code.coordinates.shape[1]), np.uint8), np.zeros(0)
    best = np.argmax(metric, axis=1)
    two = np.partition(metric, -2, axis=1)[:, -2:]
    return code.coordinates[best], two[:, 1] - two[:, 0]


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


def _end_words(rows: PacketRows, header: int, any_end: bool) -> list[int]:
    """Numbers of end words, likeliest first: as many as are the same word at the end of all packets, then perhaps more."""
    same = 0
    tails = [rows.words(i, header)[-_MOST_END_WORDS:] > 0 for i in range(len(rows.rows))]
    tails = [t for t in tails if t.shape[0] == _MOST_END_WORDS]
    if tails:
        share = np.mean(tails, axis=0)
        alike = (np.maximum(share, 1 - share) > 0.8).all(axis=1)
        word = share[-1] > 0.5
        while same < _MOST_END_WORDS and alike[-1 - same] and np.array_equal(share[-1 - same] > 0.5, word):
            same += 1
    return [*range(same, -1, -1), *(range(same + 1, _MOST_END_WORDS + 1) if any_end else ())]
