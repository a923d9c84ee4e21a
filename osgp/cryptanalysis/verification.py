"""The key of the OMA digest from one recorded message and somebody who says whether a digest is right: one bit a query.

    step    l - 8   message octet + 80: state[j] differs in its highest bit
            l - 7   message octet + 80: the neighbour, which adds state[j], does not differ
            l       state[j] is complemented and rotated: for key bit 1 left (the highest bit lands in bit 0), for 0 right (bit 6)
            l + 1 .. end   known bits: the rest is computed

The key bits behind step l are known (the search goes from the end of the block to its front), so the recorded digest is turned
back to step l under the hypothesis "bit 0", the change is put in, and the digest of the changed message follows. If the other
side takes it, the bit is 0; if not, it is 1. Jovanovic and Neves, eprint 2015/428: 144 queries on average for 96 bits, which is a
second query wherever the first fails; that second one tells nothing new, so here it is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ..errors import ConfigurationError
from ..security.oma import block_octets, oma_digest
from .digest_oracle import Recovery
from .steps import backward, forward, key_from_bits, place

HIGHEST: Final = 0x80

Verify = Callable[[bytes, bytes], bool]


def recover_by_verification(message: bytes, digest: bytes, verify: Verify, key_octets: int = 16) -> Recovery | None:
    """The key, from a message of at most one block and its digest.

    Args:
        message: what the digest covers; it is padded with zeroes to a block, which does not change its digest.
        verify: whether somebody takes a digest (8 octets) for a message of one block.
        key_octets: 6, 12 (power line) or 16 (MEP port).

    None when the last check says that the key is wrong: somebody did not answer truthfully. Raises ConfigurationError for a
    message that is empty or longer than a block.
    """
    block = block_octets(key_octets)
    if not 1 <= len(message) <= block:
        raise ConfigurationError(f"a message of 1..{block} octets, got {len(message)}")
    octets = message.ljust(block, b"\0")
    end = np.frombuffer(digest, np.uint8)[None, :].copy()  # state behind the last step
    bits: dict[int, int] = {}
    queries = 0
    for step in range(block - 1, block - 1 - 8 * key_octets, -1):
        j, _ = place(step)
        changed = bytearray(octets)
        changed[step - 8] ^= HIGHEST
        changed[step - 7] ^= HIGHEST
        state = end.copy()
        backward(state, step, octets[step], 0)
        state[:, j] ^= np.uint8(HIGHEST)
        for later in range(step, block):
            forward(state, later, changed[later], bits.get(later, 0))
        queries += 1
        bits[step] = 0 if verify(bytes(changed), state.tobytes()) else 1
        backward(end, step, octets[step], bits[step])
    key = key_from_bits(bits, key_octets)
    if oma_digest(key, message) != digest:
        return None
    return Recovery(key, queries, 0)
