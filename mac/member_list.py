"""M_LIST: which members of a group have already answered, one bit per member.

Bit m % 8 (counted from the least significant) of octet m // 8 is 1 when member m has answered. Grade L.
"""

from __future__ import annotations

from collections.abc import Iterable


def encode_members(members: Iterable[int]) -> bytes:
    """The shortest list that names all `members`; empty when there is none."""
    octets = bytearray()
    for member in members:
        if member // 8 >= len(octets):
            octets.extend(bytes(member // 8 + 1 - len(octets)))
        octets[member // 8] |= 1 << member % 8
    return bytes(octets)


def has_answered(m_list: bytes, member: int) -> bool:
    """Whether the bit of `member` is set; a list too short says no."""
    return member // 8 < len(m_list) and bool(m_list[member // 8] >> member % 8 & 1)
