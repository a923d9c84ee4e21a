"""The authentication transform of EN 14908-1, classic and OMA: the digest's ancestor, and the source of OSGP's RC4 key.

    state: the 8 octets of the challenge;  message: consumed from the LAST octet to the first;  pass: R key octets of 8 steps
    R = 6 with a key of 6 octets, 18 (octets 0..11, 0..5) with one of 12;  passes until the message is used up
    step: as in oma.py

Source: open LON stack, 200 of 200 random cases (grade B).  WEAK: invertible and linear in its differences, like the digest.
"""

from __future__ import annotations

from typing import Final

from ..errors import ConfigurationError
from .oma import block_octets, mix

CHALLENGE_OCTETS: Final = 8
_PAD: Final = 0xFF  # unused octets of the destination field


def transform(key: bytes, challenge: bytes, message: bytes, at_least_once: bool = False) -> bytes:
    """Reply (8 octets) to a challenge.

    Args:
        key: 6 octets (classic) or 12 (OMA).    challenge: 8 octets.    message: octets that are authenticated.
        at_least_once: an empty message takes one pass; else it leaves the challenge as it is.
    """
    if len(key) not in (6, 12) or len(challenge) != CHALLENGE_OCTETS:
        sizes = len(key), len(challenge)
        del key
        raise ConfigurationError(f"key of 6 or 12 octets and challenge of {CHALLENGE_OCTETS}, got {sizes[0]} and {sizes[1]}")
    block = block_octets(len(key))
    passes = max(-(-len(message) // block), 1 if at_least_once else 0)
    return mix(challenge, key, message[::-1].ljust(passes * block, b"\0"))


def destination(
    *, domain: bytes = b"", subnet: int | None = None, node: int | None = None, group: int | None = None,
    unique_node_id: bytes | None = None,
) -> bytes:
    """The 9 octets that the OMA variant puts in front of the message: to whom it is addressed.

    Give a unique node id (6 octets), or the domain (0, 1, 3 or 6) with subnet and node, a group, or neither: a broadcast.
    """  # fmt: skip
    if unique_node_id is not None:
        return unique_node_id + bytes((_PAD,) * 3)
    head = domain.ljust(6, b"\0") + bytes((len(domain),))
    if group is not None:
        return head + bytes((group, _PAD))
    if subnet is not None and node is not None:
        return head + bytes((subnet, node & 0x7F))
    return head + bytes((_PAD, _PAD))


def oma_reply(key: bytes, challenge: bytes, to: bytes, message: bytes) -> bytes:
    """Reply of the OMA variant. `key`: 12 octets; `to`: see `destination`."""
    return transform(key, challenge, to + message)
