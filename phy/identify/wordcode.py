"""The word code from many words: which sums of bits are constant, found by a Walsh-Hadamard transform of their histogram.

A parity equation, an inverted one and a constant bit are all alike: a set of bits whose sum modulo 2 is the same in every
word. The transform gives for all 2048 sets at once how often the sum is 0 and how often 1, so that words with errors only
weaken an equation instead of destroying it, as they would in a null space.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

WORD_BITS: Final = 11  # 3987.2 b/s x 11/8 = 10 MHz / 1824, grade C
EQUATIONS: Final = WORD_BITS - 8
# How often the same word counts at most. Once: frequent octets do not look like equations; oftener: errors weigh less.
_CAPS: Final = (1, 2, 4)
_HOLDS: Final = 0.6  # share of words that fulfil an equation less share that do not


@dataclass(frozen=True, eq=False, slots=True)
class CodeSpace:
    """The words that fulfil all equations.

    Attributes:
        masks: (r, 11) uint8, the equations in reduced form: masks @ word % 2 == values. values: (r,) uint8.
        holds: share of all words that fulfil every equation. distinct: different words among these.
        words: (2 ** (11 - r), 11) uint8, all words of the code.
        coordinates: (2 ** (11 - r), 11 - r) uint8, their bits at the positions that no equation names first.
    """

    masks: NDArray[np.uint8]
    values: NDArray[np.uint8]
    holds: float
    distinct: int
    words: NDArray[np.uint8]
    coordinates: NDArray[np.uint8]

    @property
    def equations(self) -> int:
        """How many independent equations."""
        return int(self.masks.shape[0])

    def nearest(self, soft: NDArray[np.float64]) -> NDArray[np.intp]:
        """(N, 11) soft bits, + means 1 -> (N,) index of the word with the largest correlation."""
        return np.argmax(soft @ (2.0 * self.words.T - 1.0), axis=1)


def find_code(words: NDArray[np.uint8]) -> CodeSpace:
    """(N, 11) hard bits -> the equations that nearly all of them fulfil, possibly none."""
    values = words @ (1 << np.arange(WORD_BITS - 1, -1, -1))
    counts = np.bincount(values, minlength=1 << WORD_BITS)
    for cap in _CAPS:
        basis = _equations(np.minimum(counts, cap).astype(np.float64))
        if len(basis) == EQUATIONS:
            break
    masks = np.array([[row >> (WORD_BITS - i) & 1 for i in range(WORD_BITS)] for row in basis], np.uint8)
    masks = masks.reshape(-1, WORD_BITS)
    right = np.array([row & 1 for row in basis], np.uint8)
    every = (np.arange(1 << WORD_BITS)[:, None] >> np.arange(WORD_BITS - 1, -1, -1) & 1).astype(np.uint8)
    inside = (every @ masks.T % 2 == right).all(axis=1)
    leads = {WORD_BITS - (row.bit_length() - 1) for row in basis}
    free = [i for i in range(WORD_BITS) if i not in leads]
    return CodeSpace(
        masks, right, float(counts[inside].sum() / max(1, values.size)), int(np.count_nonzero(counts[inside])),
        every[inside], every[inside][:, free],
    )  # fmt: skip


def equation_text(code: CodeSpace) -> list[str]:
    """The equations with the bits of a word as b1, b2 ... in the order they are sent."""
    return [
        "+".join(f"b{i + 1}" for i in np.flatnonzero(mask)) + f"={int(value)}"
        for mask, value in zip(code.masks, code.values, strict=True)
    ]


def _equations(weights: NDArray[np.float64]) -> list[int]:
    """Independent equations in reduced form: mask << 1 | value, from how often each word counts."""
    balance = _walsh_hadamard(weights) / max(float(weights.sum()), 1.0)
    basis: list[int] = []
    for mask in np.argsort(-np.abs(balance), kind="stable"):
        if abs(balance[mask]) < _HOLDS:
            break
        row = int(mask) << 1 | int(balance[mask] < 0)
        if mask and (row := _reduce(row, basis)) >> 1:
            lead = row.bit_length() - 1
            basis = sorted([b ^ row if b >> lead & 1 else b for b in basis] + [row], reverse=True)
    return basis


def _walsh_hadamard(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """sum_w histogram[w] (-1)^(bits that w and m share), for every m."""
    a = histogram.copy()
    step = 1
    while step < a.size:
        pairs = a.reshape(-1, 2, step)
        a = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel()
        step *= 2
    return a


def _reduce(row: int, basis: list[int]) -> int:
    """The row with the leading bits of all rows of the basis cleared."""
    for b in basis:
        if row >> (b.bit_length() - 1) & 1:
            row ^= b
    return row
