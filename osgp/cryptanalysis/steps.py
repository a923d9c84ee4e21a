"""The steps of the OMA digest forwards and backwards, for many states at once.

A step changes one state octet: state[j] = state[j+1] + m +- rotation of NOT (state[j] + j). Whoever knows the key bit undoes it:
subtract, rotate back, invert, subtract j. So a known end of the key turns the digest back to the state before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..security.oma import DIGEST_OCTETS, block_octets, schedule

States = NDArray[np.uint8]  # (N, 8)

_N = np.arange(256, dtype=np.uint8)
ROTATED_LEFT = (_N << 1 | _N >> 7).astype(np.uint8)
ROTATED_RIGHT = (_N >> 1 | _N << 7).astype(np.uint8)


def place(step: int) -> tuple[int, int]:
    """State octet that a step changes, and the neighbour that it adds."""
    j = 7 - step % 8
    return j, (j + 1) % 8


def forward(states: States, step: int, m: int, bit: int) -> None:
    """Take a step, in place. `m`: message octet."""
    j, neighbour = place(step)
    n = ~(states[:, j] + np.uint8(j))
    turned = ROTATED_LEFT[n] if bit else (-ROTATED_RIGHT[n].astype(np.int16)).astype(np.uint8)
    states[:, j] = states[:, neighbour] + np.uint8(m) + turned


def backward(states: States, step: int, m: int, bit: int) -> None:
    """Undo a step, in place."""
    j, neighbour = place(step)
    turned = states[:, j] - states[:, neighbour] - np.uint8(m)
    n = ROTATED_RIGHT[turned] if bit else ROTATED_LEFT[(-turned.astype(np.int16)).astype(np.uint8)]
    states[:, j] = ~n - np.uint8(j)


def key_from_bits(bits: dict[int, int], key_octets: int) -> bytes:
    """The key from the bits of its last passes, by step."""
    key = bytearray(key_octets)
    for step, bit in bits.items():
        key[step // 8 % key_octets] |= bit << step % 8
    return bytes(key)


def oma_digests(key: bytes, messages: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digests (N, 8) of N messages of one length (N, L) at once: what a long recording holds."""
    steps = schedule(key)
    block = block_octets(len(key))
    states = np.zeros((len(messages), DIGEST_OCTETS), np.uint8)
    for start in range(0, messages.shape[1], block):
        for step, (j, neighbour, bit) in enumerate(steps):
            n = ~(states[:, j] + np.uint8(j))
            turned = ROTATED_LEFT[n] if bit else np.uint8(0) - ROTATED_RIGHT[n]
            m = messages[:, start + step] if start + step < messages.shape[1] else np.uint8(0)
            states[:, j] = states[:, neighbour] + m + turned
    return states
