"""The key of the OMA digest from digests of chosen messages.

    step    s            message octet + 80: one state octet differs by 80
            s+1 .. s+7   each adds its neighbour: all eight octets differ by 80
            s+8 .. s+15  each is complemented and rotated: beside what the neighbour adds, the difference is +-1 for a key bit 1
                         (the highest bit went left, to bit 0) and +-40 for a key bit 0 (right, to bit 6)

A pair of digests whose bits behind step s+15 are known gives eight bits at once: 13 queries for 96 bits (eprint 2015/428).
When some of those bits are not known they are guessed: a wrong guess hardly ever leaves eight such differences, so up to 24
guessed bits cost work and no query: 4 queries and 2^25 steps for 96 bits. The same way an oracle is used that lets nobody choose
the end of the block, such as a refusal in a message of limited length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from ..security.oma import block_octets, oma_digest
from .steps import States, backward, key_from_bits, place

HIGHEST: Final = 0x80
MAX_GUESSED: Final = 24
MAX_HYPOTHESES: Final = 64  # more survive only when the digests are no OMA digests

Oracle = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What an attack found.    key: octets.    queries: messages sent.    guesses: hypotheses that were tried for it."""

    key: bytes = field(repr=False)
    queries: int
    guesses: int


def recover_by_oracle(
    oracle: Oracle, base: bytes, first: int, last: int, key_octets: int = 12, guessed_bits: int = 16
) -> Recovery | None:
    """The key of somebody who tells the digest of a message that we choose in part.

    Args:
        oracle: digest (8 octets) of a block whose octets `first` .. `last` are ours; the others are as in `base`.
        base: a whole block as the oracle sees it, what is not ours included.
        first, last: octets of the block that we choose.    key_octets: 6, 12 or 16.
        guessed_bits: bits that may be guessed at once, 0..24; more where `last` leaves no choice.

    None when the digests contradict each other. Raises ConfigurationError when more bits would have to be guessed than 24.
    """
    block = block_octets(key_octets)
    if len(base) != block:
        raise ConfigurationError(f"base must have {block} octets, got {len(base)}")
    hypotheses: list[dict[int, int]] = [{}]  # bits by step
    known, goal = block, block - 8 * key_octets  # bits of the steps from `known` on are known
    queries, guesses = 1, 0
    plain = np.frombuffer(oracle(base), np.uint8)
    while known > goal:
        step = min(last, max(first, known - 16 - guessed_bits, goal - 8))
        unknown = known - (step + 8)
        if unknown - 8 > MAX_GUESSED or step < first:
            raise ConfigurationError(f"octets {first}..{last} leave {unknown - 8} bits to guess; {MAX_GUESSED} are possible")
        changed = bytearray(base)
        changed[step] ^= HIGHEST
        other = np.frombuffer(oracle(bytes(changed)), np.uint8)
        queries += 1
        guesses += len(hypotheses) << max(0, unknown - 8)
        hypotheses = [
            bits | more
            for bits in hypotheses
            for more in _search(plain, other, base, step + 8, known, block, bits)
        ]  # fmt: skip
        if not 1 <= len(hypotheses) <= MAX_HYPOTHESES:
            return None
        known = step + 8
    for bits in hypotheses:
        key = key_from_bits(bits, key_octets)
        if oma_digest(key, base) == plain.tobytes():
            return Recovery(key, queries, guesses)
    return None


def _search(
    plain: NDArray[np.uint8], other: NDArray[np.uint8], octets: bytes, start: int, known: int, block: int, bits: dict[int, int]
) -> list[dict[int, int]]:
    """Bits of the steps `start` .. `known` - 1; before `start` all eight state octets of the pair differ by 80.

    There may be several: a wrong bit now and then leaves the same difference. The next pair of digests tells them apart.
    """
    pair = np.stack([plain, other])
    for step in range(block - 1, known - 1, -1):
        backward(pair, step, octets[step], bits[step])
    one, two = pair[:1].copy(), pair[1:].copy()
    guess = np.zeros(1, np.uint64)  # bit k: that of step start + k
    for step in range(known - 1, start - 1, -1):
        part = _both if step >= start + 8 else _read
        one, two, guess = part(one, two, guess, octets[step], step, start)
        if not guess.size:
            return []
    return [{step: int(value) >> step - start & 1 for step in range(start, known)} for value in guess[: MAX_HYPOTHESES + 1]]


def _both(
    one: States, two: States, guess: NDArray[np.uint64], m: int, step: int, start: int
) -> tuple[States, States, NDArray[np.uint64]]:
    """Every hypothesis goes on with either bit."""
    ones, twos = [one.copy(), one], [two.copy(), two]
    for bit in (0, 1):
        backward(ones[bit], step, m, bit)
        backward(twos[bit], step, m, bit)
    return np.concatenate(ones), np.concatenate(twos), np.concatenate([guess, guess | np.uint64(1 << step - start)])


def _read(
    one: States, two: States, guess: NDArray[np.uint64], m: int, step: int, start: int
) -> tuple[States, States, NDArray[np.uint64]]:
    """The difference tells the bit; hypotheses that it contradicts are dropped."""
    j, neighbour = place(step)
    kept: list[tuple[States, States, NDArray[np.uint64]]] = []
    # The neighbour of the first step of a pass is untouched yet and differs by 80; the others' octets are there.
    added = two[:, neighbour] - one[:, neighbour]
    difference = two[:, j] - one[:, j] - added
    for bit, low, high in ((1, 0x01, 0xFF), (0, 0x40, 0xC0)):
        fits = (difference == low) | (difference == high)
        a, b, g = one[fits], two[fits], guess[fits]
        backward(a, step, m, bit)
        backward(b, step, m, bit)
        right = (a[:, j] ^ b[:, j]) == HIGHEST
        kept.append((a[right], b[right], g[right] | np.uint64(bit << step - start)))
    (a, b, g), (c, d, e) = kept
    return np.concatenate([a, c]), np.concatenate([b, d]), np.concatenate([g, e])
