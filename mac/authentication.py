"""Authentication: the transforms of 48 and 96 bits that turn a challenge into its reply.

The 96-bit one is OMA, the open media authentication. Both take a challenge of 8 octets, a key and the message, and
give 8 octets. Restated from working code (grade B); 48 bits and OMA to subnet/node confirmed by known answers of a
live independent stack (L), OMA to group, broadcast and unique id from code alone (B). ISO/IEC 14908-1, clause unverified.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final, Self

from .address import Broadcast, DomainId, Group, NpduDestination, SubnetNode, UniqueId, check_length

KEY_LENGTH: Final = 6  # octets per row of the domain table
CHALLENGE_LENGTH: Final = 8
OMA_TYPE: Final = 1  # authentication type of a domain row that asks for OMA (grade L)
BLANK_KEY: Final = b"\xff" * KEY_LENGTH  # of a row of the domain table that was left or never written (grade B)

_STANDARD_ROUNDS: Final = 6
_OMA_ROUNDS: Final = 18
_OMA_DOMAIN_FIELD: Final = 6
_FILLER: Final = b"\xff"

_STATE: Final = 8  # octets


def _turned(bit: int, j: int) -> bytes:
    """What is added to the state at place j, by the octet there: the complement of it plus j, turned left or right by one bit."""
    complements = (~(octet + j) & 0xFF for octet in range(256))
    return bytes((t << 1 | t >> 7) & 0xFF if bit else -(t >> 1 | t << 7) & 0xFF for t in complements)


_PLACES: Final = tuple(range(_STATE - 1, -1, -1))  # in the order of the steps; the key's bit for place j is 7 - j
_STEPS: Final = tuple(tuple(_turned(bit, j) for bit in (0, 1)) for j in _PLACES)
_TABLES: Final = tuple(tuple(_STEPS[7 - j][key >> (7 - j) & 1] for j in _PLACES) for key in range(256))

@dataclass(frozen=True, slots=True)
class AuthenticationKeys:
    """The keys of both rows of the domain table; never shown by `repr`.

    Args:
        rows: 6 octets each.
    """

    rows: tuple[bytes, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        for key in self.rows:
            check_length("key", key, KEY_LENGTH)

    def increased(self, increments: tuple[bytes, bytes]) -> Self:
        """Keys plus increments, octet by octet modulo 256, as Update Key and alternate keys do."""
        first, second = (_increased(key, by) for key, by in zip(self.rows, increments, strict=True))
        return type(self)((first, second))

    def reply(
        self, challenge: bytes, apdu: bytes, domain_index: int, oma_destination: bytes | None = None
    ) -> bytes:
        """Reply to a challenge: with the key of one row, or with both when the block for OMA is given.

        Args:
            challenge: 8 octets.
            apdu: message code and payload of the message in question.
            domain_index: row 0 or 1 of the domain on which it travels.
            oma_destination: 9 octets of `oma_destination`, for the 96-bit transform; None for the 48-bit one.
        """
        if oma_destination is None:
            return transform(self.rows[domain_index], challenge, apdu, _STANDARD_ROUNDS)
        return transform(self.rows[0] + self.rows[1], challenge, oma_destination + apdu, _OMA_ROUNDS)


def _increased(key: bytes, increment: bytes) -> bytes:
    return bytes((k + i) & 0xFF for k, i in zip(key, increment, strict=True))


def transform(key: bytes, challenge: bytes, octets: bytes, rounds: int) -> bytes:
    """8 octets from a challenge of 8, a key of `rounds` or `rounds` / n octets, and a message consumed from its end."""
    passes = [_TABLES[key[i % len(key)]] for i in range(rounds)]
    block = rounds * _STATE
    message = octets[::-1] + bytes(-len(octets) % block)
    s0, s1, s2, s3, s4, s5, s6, s7 = challenge
    at = 0
    while at < len(message):
        for t7, t6, t5, t4, t3, t2, t1, t0 in passes:
            m7, m6, m5, m4, m3, m2, m1, m0 = message[at : at + _STATE]
            at += _STATE
            s7 = s0 + m7 + t7[s7] & 0xFF
            s6 = s7 + m6 + t6[s6] & 0xFF
            s5 = s6 + m5 + t5[s5] & 0xFF
            s4 = s5 + m4 + t4[s4] & 0xFF
            s3 = s4 + m3 + t3[s3] & 0xFF
            s2 = s3 + m2 + t2[s2] & 0xFF
            s1 = s2 + m1 + t1[s1] & 0xFF
            s0 = s1 + m0 + t0[s0] & 0xFF
    return bytes((s0, s1, s2, s3, s4, s5, s6, s7))

def oma_destination(destination: NpduDestination, domain: DomainId) -> bytes:
    """The 9 octets that OMA puts in front of the APDU: whom the message is for."""
    if isinstance(destination, UniqueId):
        return destination.unique_node_id + _FILLER * 3
    match destination:
        case Group(group):
            address = bytes([group]) + _FILLER
        case Broadcast():
            address = _FILLER * 2
        case SubnetNode(subnet, node):
            address = bytes([subnet, node])
        case _:
            address = bytes([destination.address.subnet, destination.address.node])
    return domain.octets.ljust(_OMA_DOMAIN_FIELD, b"\0") + bytes([len(domain.octets)]) + address


def same(expected: bytes, given: bytes) -> bool:
    """Compare two replies in a time that tells nothing."""
    return hmac.compare_digest(expected, given)
