"""Naming a word code: which of the equivalent ways to write it is the simplest."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..words import WordCode

REVERSED = np.array([int(f"{octet:08b}"[::-1], 2) for octet in range(256)])  # octets turned end for end


@dataclass(frozen=True, eq=False, slots=True)
class WrittenCode:
    """A word code as a profile writes it.

    Attributes:
        value: name, or table of 256 words as integers. inversion: (11,) uint8, on top of it.
        lsb_first: octets are sent least significant bit first. inverted: all bits of the line were inverted to write it so.
        equations: the bits of a word in the order they are sent, as sums of the data bits d7..d0.
    """

    value: str | list[int]
    inversion: NDArray[np.uint8]
    lsb_first: bool
    inverted: bool
    equations: tuple[str, ...]


def code_names() -> list[str]:
    """Names of the codes that come with the package."""
    return list(tomllib.loads((files(__package__.rpartition(".")[0]) / "profiles" / "codes.toml").read_text("utf-8")))


def write_code(table: NDArray[np.uint8], may_invert: bool, prefer_inverted: bool) -> WrittenCode:
    """Choose polarity, bit order and name.

    Args:
        table: (256, 11) uint8, the word of every octet with the octet's bits most significant first.
        may_invert: whether the line's polarity is open. prefer_inverted: the one to take when the code does not decide.
    """
    polarities = (prefer_inverted, not prefer_inverted) if may_invert else (False,)
    best: tuple[int, WrittenCode] | None = None
    for name in code_names():
        named = WordCode.named(name).table
        if named.shape != table.shape:
            continue
        for inverted in polarities:
            for lsb_first in (False, True):
                mine = (table[REVERSED] if lsb_first else table) ^ np.uint8(inverted)
                mask = mine[0] ^ named[0]
                if np.array_equal(mine ^ mask, named):
                    cost = int(mask.sum())
                    if best is None or cost < best[0]:
                        best = cost, WrittenCode(name, mask, lsb_first, inverted, equations(mine))
    if best is not None:
        return best[1]
    inverted = polarities[0]
    lsb_first = _ascending(table)
    mine = (table[REVERSED] if lsb_first else table) ^ np.uint8(inverted)
    values = (mine.astype(np.int64) @ (1 << np.arange(mine.shape[1] - 1, -1, -1))).tolist()
    return WrittenCode(values, np.zeros(mine.shape[1], np.uint8), lsb_first, inverted, equations(mine))


def equations(table: NDArray[np.uint8]) -> tuple[str, ...]:
    """Each bit of a word as a sum of data bits; "1+" in front of an inverted one."""
    columns = []
    for column in range(table.shape[1]):
        terms = [f"d{k}" for k in range(7, -1, -1) if table[1 << k, column] != table[0, column]]
        if table[0, column] or not terms:
            terms.insert(0, str(int(table[0, column])))
        columns.append("+".join(terms))
    return tuple(columns)


def simplicity(table: NDArray[np.uint8]) -> tuple[int, int]:
    """Smaller is simpler: data bits that a word's bits are sums of, then inverted bits."""
    weight = sum(int((table[1 << k] ^ table[0]).sum()) for k in range(8))
    return weight, int(table[0].sum())


def _ascending(table: NDArray[np.uint8]) -> bool:
    """Whether the data bits that a word carries openly stand in the order d0, d1, ... d7."""
    change = np.array([table[1 << k] ^ table[0] for k in range(8)])
    openly = [int(np.argmax(change[:, c])) for c in range(table.shape[1]) if change[:, c].sum() == 1]
    return len(openly) >= 6 and all(a < b for a, b in pairwise(openly))
