"""The word code: octets <-> 11-bit words, through a table of 256 words and a parity-check matrix, nothing else."""

import tomllib
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ._kernels.words import best_words, changed_bits
from .errors import ConfigurationError, ProfileError


def _null_space_gf2(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Basis of {v : rows v = 0 (mod 2)}. rows: (m, n) of 0/1 -> (n - rank, n)."""
    a = rows.copy() % 2
    m, n = a.shape
    pivots: list[int] = []
    r = 0
    for c in range(n):
        hits = np.flatnonzero(a[r:, c])
        if hits.size == 0:
            continue
        a[[r, r + hits[0]]] = a[[r + hits[0], r]]
        others = a[:, c] == 1
        others[r] = False
        a[others] ^= a[r]
        pivots.append(c)
        r += 1
        if r == m:
            break
    free = [c for c in range(n) if c not in pivots]
    basis = np.zeros((len(free), n), np.uint8)
    for k, c in enumerate(free):
        basis[k, c] = 1
        for i, p in enumerate(pivots):
            basis[k, p] = a[i, c]
    return basis


@dataclass(frozen=True, eq=False)
class WordCode:
    """A code of 256 words, one for each octet.

    Args:
        name: name of the code.
        table: (256, n) uint8, the bits of each octet's word in the order they are sent.
    Attributes:
        checks: (r, n) uint8, parity-check matrix over GF(2): `checks @ word % 2 == syndrome` for every word of the table.
        syndrome: (r,) uint8, the value all words share (not zero where bits are inverted or constantly one).
        live: (n,) bool, False where the bit is the same in every word.
        signs: (256, n) float32, the table as soft bits: +1 for a 0.
        inverse: (2^n,) int16, the octet of every word, first bit most significant; -1 for what is no word.
    Raises:
        ConfigurationError: the table has the wrong shape, holds other values than 0 and 1, or uses a word twice.
    """

    name: str
    table: NDArray[np.uint8]
    checks: NDArray[np.uint8] = field(init=False)
    syndrome: NDArray[np.uint8] = field(init=False)
    live: NDArray[np.bool_] = field(init=False)
    signs: NDArray[np.float32] = field(init=False)
    inverse: NDArray[np.int16] = field(init=False)

    def __post_init__(self) -> None:
        table = np.ascontiguousarray(self.table, np.uint8)
        if table.ndim != 2 or table.shape[0] != 256 or not 8 <= table.shape[1] <= 16:
            raise ConfigurationError(f"table must be (256, 8..16), got {table.shape}")
        if table.max() > 1:
            raise ConfigurationError(f"table must hold bits 0 and 1, got {table.max()}")
        if np.unique(table, axis=0).shape[0] != 256:
            raise ConfigurationError("table uses the same word for two octets")
        object.__setattr__(self, "table", table)
        # A code with inversions is a coset: its differences from one word are linear, and that is where H is found.
        checks = _null_space_gf2(table ^ table[0])
        object.__setattr__(self, "checks", checks)
        object.__setattr__(self, "syndrome", (checks @ table[0] % 2).astype(np.uint8))
        object.__setattr__(self, "live", table.min(axis=0) != table.max(axis=0))
        object.__setattr__(self, "signs", (1.0 - 2.0 * table).astype(np.float32))
        inverse = np.full(1 << table.shape[1], -1, np.int16)
        inverse[table.astype(np.int64) @ (1 << np.arange(table.shape[1] - 1, -1, -1))] = np.arange(256)
        object.__setattr__(self, "inverse", inverse)

    @property
    def length(self) -> int:
        """Bits in a word."""
        return int(self.table.shape[1])

    @classmethod
    def named(cls, name: str) -> Self:
        """The code `name` of `profiles/codes.toml`. Raises ProfileError when there is none."""
        codes = _codes()
        if name not in codes:
            raise ProfileError(f"codes.toml: no word code {name!r}; known: {', '.join(codes)}")
        return cls(name, _table_from_equations(name, codes[name]))

    def inverted(self, mask: NDArray[np.uint8]) -> "WordCode":
        """The same code with the bits of `mask` ((n,) of 0/1) inverted in every word."""
        return WordCode(self.name, self.table ^ mask)

    def encode(self, octets: bytes) -> NDArray[np.uint8]:
        """(N octets) -> (N*n,) bits in the order they are sent."""
        return self.table[np.frombuffer(octets, np.uint8)].ravel()

    def is_word(self, words: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """(N, n) hard bits -> (N,): True where every parity check holds."""
        return ((words @ self.checks.T % 2) == self.syndrome).all(axis=1)

    def decode_ml(self, soft: NDArray[np.float32]) -> bytes:
        """(N, n) soft bits, + means 0 -> N octets by maximum likelihood: the word of the largest correlation."""
        return bytes(self.best(soft)[0])

    def best(self, soft: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(N, n) soft bits, + means 0 -> (N,) octets of the likeliest words and (N,) their correlations."""
        octets = np.empty(soft.shape[0], np.uint8)
        metrics = np.empty(soft.shape[0], np.float32)
        best_words(np.ascontiguousarray(soft, np.float32), self.signs, self.inverse, octets, metrics)
        return octets, metrics

    def changed(self, soft: NDArray[np.float32], octets: bytes) -> int:
        """(N, n) soft bits, + means 0, and N octets -> bits of their words that differ from the soft bits' signs."""
        return int(changed_bits(np.ascontiguousarray(soft, np.float32), self.signs, np.frombuffer(octets, np.uint8)))

    def disagreement(self, soft: NDArray[np.float32], octets: bytes) -> float:
        """(N, n) soft bits, + means 0, and N octets -> part of the soft bits' strength that speaks against the words, 0..1."""
        signs = self.signs[np.frombuffer(octets, np.uint8)]
        against = np.maximum(-soft * signs, 0)
        return float(against.sum() / max(float(np.abs(soft).sum()), 1e-30))

    @cached_property
    def disagreement_of_chance(self) -> float:
        """What the nearest words have of bits of equal strength that were never words of this code, on average."""
        n = self.length
        bits = np.arange(1 << n)[:, None] >> np.arange(n) & 1
        return float(np.mean((n - self.best((1 - 2 * bits).astype(np.float32))[1]) / (2 * n)))

    def decode_weakest_flip(self, soft: NDArray[np.float32]) -> bytes:
        """(N, n) soft bits, + means 0 -> N octets: where a check fails, the weakest bit that explains it is inverted.

        For a single-parity code this is maximum likelihood (Wagner decoding); US 5,461,629 describes the rule.
        """
        hard = (soft < 0).astype(np.uint8)
        fault = (hard @ self.checks.T % 2) ^ self.syndrome
        constant = self.table[0] * ~self.live
        octets = bytearray()
        for bits, syndrome, strength in zip(hard, fault, np.abs(soft), strict=True):
            if syndrome.any():
                # A constant bit's check names only that bit; the rest is explained by one live bit.
                repaired = np.where(self.live, bits, constant)
                rest = (self.checks @ repaired % 2) ^ self.syndrome
                if rest.any():
                    candidates = [i for i in np.flatnonzero(self.live) if ((self.checks[:, i] ^ rest) == 0).all()]
                    if candidates:
                        repaired[min(candidates, key=lambda i: float(strength[i]))] ^= 1
                bits = repaired
            octets.append(int(np.argmin((self.table ^ bits).sum(axis=1))))
        return bytes(octets)

    def decode_hard(self, soft: NDArray[np.float32]) -> bytes:
        """(N, n) soft bits, + means 0 -> N octets of the words nearest in Hamming distance, without soft information."""
        hard = (soft < 0).astype(np.uint8)
        return bytes(np.array([np.argmin((self.table ^ w).sum(axis=1)) for w in hard], np.uint8))


@cache
def _codes() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((files(__package__) / "profiles" / "codes.toml").read_text("utf-8"))


def _table_from_equations(name: str, code: dict[str, list[str]]) -> NDArray[np.uint8]:
    octets = np.arange(256, dtype=np.uint8)
    columns = []
    for equation in code["bits"]:
        column = np.zeros(256, np.uint8)
        for term in equation.split("+"):
            if term in ("0", "1"):
                column ^= np.uint8(int(term))
            elif len(term) == 2 and term[0] == "d" and term[1] in "01234567":
                column ^= octets >> int(term[1]) & 1
            else:
                raise ProfileError(f"codes.toml: {name}: cannot read the term {term!r}")
        columns.append(column)
    return np.stack(columns, axis=1)
