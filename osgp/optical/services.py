"""The services of a C12.18 session around the table services, as octets. Header fields are big endian.

    0x20 identification      -                                   result std(1) version(1) revision(1) features .. 00
    0x21 terminate           -                                   result
    0x50 logon               user id(2) user(10)                 result
    0x51 security            password(20)                        result
    0x52 logoff              -                                   result
    0x60+n negotiate         packet size(2) packets(1) n codes   result packet size(2) packets(1) code(1)
    0x70 wait                seconds(1)                          result
    table data is followed by a checksum(1) in both directions

Grade A/B for codes and layouts, C for wait and for baud codes other than 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from ..errors import ConfigurationError, DecodeError, TruncatedMessage

IDENTIFICATION: Final = 0x20
TERMINATE: Final = 0x21
LOGON: Final = 0x50
SECURITY: Final = 0x51
LOGOFF: Final = 0x52
NEGOTIATE: Final = 0x60
MAX_BAUD_CODES: Final = 11
WAIT: Final = 0x70
PASSWORD_OCTETS: Final = 20
USER_OCTETS: Final = 10
# ANSI C12.18; grade C, but 6 grade B. 0: set from outside.
BAUD_RATES: Final = {
    1: 300, 2: 600, 3: 1200, 4: 2400, 5: 4800, 6: 9600, 7: 14400, 8: 19200, 9: 28800, 10: 57600, 11: 38400, 12: 115200,
}  # fmt: skip
DEFAULT_BAUD_CODE: Final = 6
# Standard 0 (ANSI C12.18), version 2, revision 0, no features; grade B (reply of real meters).
IDENTITY: Final = bytes((0, 2, 0, 0))
FULL_READ: Final = 0x30
DEFAULT_READ: Final = 0x3E
PARTIAL_READ: Final = 0x3F
FULL_WRITE: Final = 0x40
PARTIAL_WRITE: Final = 0x4F
READS: Final = frozenset(range(0x30, 0x40))
WRITES: Final = frozenset(range(0x40, 0x50))


def checksum(data: bytes) -> int:
    """Of table data: two's complement of the sum of its octets, modulo 256. Grade B; a PED in front is included, grade A."""
    return -sum(data) & 0xFF


def write_header(pdu: bytes) -> int:
    """Octets in front of the data of a write request: code, table, offset or indices, count. Grade C for the indexed forms."""
    if pdu[0] == FULL_WRITE:
        return 5
    if pdu[0] == PARTIAL_WRITE:
        return 8
    return 5 + 2 * (pdu[0] - FULL_WRITE)


def add_checksum(pdu: bytes) -> bytes:
    """A write request as it rides on this port."""
    return pdu + bytes((checksum(pdu[write_header(pdu) :]),))


def take_checksum(message: bytes) -> bytes:
    """The write request without its checksum. DecodeError when that is wrong."""
    head = write_header(message)
    if len(message) <= head:
        raise TruncatedMessage(f"a write 0x{message[0]:02x} has at least {head + 1} octets, got {len(message)}")
    if checksum(message[head:-1]) != message[-1]:
        raise DecodeError("the checksum of the table data is wrong")
    return message[:-1]


@dataclass(frozen=True, slots=True)
class Logon:
    """0x50.    user_id: 0..65535, goes into event log entries.    user: 10 octets, space padded."""

    user_id: int
    user: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.user_id <= 0xFFFF:
            raise ConfigurationError(f"user_id must be 0..65535, got {self.user_id}")
        if len(self.user) > USER_OCTETS:
            raise ConfigurationError(f"a user name has at most {USER_OCTETS} octets, got {len(self.user)}")

    def encode(self) -> bytes:
        return bytes((LOGON,)) + self.user_id.to_bytes(2, "big") + self.user.ljust(USER_OCTETS, b" ")

    @classmethod
    def decode(cls, message: bytes) -> Self:
        if len(message) != 3 + USER_OCTETS:
            raise DecodeError(f"logon has {3 + USER_OCTETS} octets, got {len(message)}")
        return cls(int.from_bytes(message[1:3], "big"), message[3:])


@dataclass(frozen=True, slots=True)
class Negotiate:
    """0x60 to 0x6B.    packet_size: octets of a whole packet.    packets: in a message.    codes: see BAUD_RATES."""

    packet_size: int
    packets: int
    codes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.packet_size <= 0xFFFF or not 0 <= self.packets <= 255 or len(self.codes) > MAX_BAUD_CODES:
            raise ConfigurationError(
                f"negotiate: packet_size 0..65535, packets 0..255, up to {MAX_BAUD_CODES} codes, "
                f"got {self.packet_size}, {self.packets}, {self.codes}"
            )

    def encode(self) -> bytes:
        head = bytes((NEGOTIATE + len(self.codes),)) + self.packet_size.to_bytes(2, "big")
        return head + bytes((self.packets, *self.codes))

    @classmethod
    def decode(cls, message: bytes) -> Self:
        count = message[0] - NEGOTIATE
        if len(message) != 4 + count:
            raise DecodeError(f"negotiate with {count} baud codes has {4 + count} octets, got {len(message)}")
        return cls(int.from_bytes(message[1:3], "big"), message[3], tuple(message[4:]))

    def encode_answer(self) -> bytes:
        """What follows the result of the answer; exactly one code."""
        return self.packet_size.to_bytes(2, "big") + bytes((self.packets, *self.codes))

    @classmethod
    def decode_answer(cls, octets: bytes) -> Self:
        """The other way round."""
        if len(octets) != 4:
            raise DecodeError(f"the answer to negotiate has 4 octets behind its result, got {len(octets)}")
        return cls(int.from_bytes(octets[:2], "big"), octets[2], (octets[3],))
