"""AuthPDU: challenge and reply of the authentication protocol; the transform is in `authentication`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final, Self

from .address import MAX_GROUP, check_length, check_range
from .errors import ConfigurationError, MalformedPdu, TruncatedPdu
from .transaction_header import MAX_ENHANCED_NUMBER, decode_header, encode_header

_BROADCAST: Final = 0  # address format codes
_MULTICAST: Final = 1


class AuthPduType(IntEnum):
    """Two-bit type; OMA marks the 96-bit algorithm."""

    CHALLENGE = 0
    CHALLENGE_OMA = 1
    REPLY = 2
    REPLY_OMA = 3


@dataclass(frozen=True, slots=True)
class AuthPdu:
    """Authentication PDU.                                     ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  format(2) type(2) transaction number(4)       one octet more in enhanced mode
        then     value[8], and group(8) only when format = 1; with format 0 some stacks add the subnet

    Args:
        type: challenge or reply.
        number: transaction number of the message in question.
        address_format: format code of that message: 0 broadcast, 1 group, 2 subnet/node, 3 unique id.
        value: 8 octets, the random challenge or the computed reply; not shown by `repr`.
        group: the group when address_format is 1. For a broadcast its subnet, or None: one stack read for this adds it,
            another does not (grade B). Otherwise None.
    """

    VALUE_LENGTH: ClassVar[int] = 8

    type: AuthPduType
    number: int
    address_format: int
    value: bytes = field(repr=False)
    group: int | None = None

    def __post_init__(self) -> None:
        check_range("transaction number", self.number, 0, MAX_ENHANCED_NUMBER)
        check_range("address_format", self.address_format, 0, 3)
        check_length("value", self.value, self.VALUE_LENGTH)
        if self.address_format != _BROADCAST and (self.group is not None) != (self.address_format == _MULTICAST):
            raise ConfigurationError("group is given when address_format is 1, and never when it is 2 or 3")
        if self.group is not None:
            check_range("group", self.group, 0, MAX_GROUP)

    @property
    def is_challenge(self) -> bool:
        """Challenge, not reply."""
        return self.type <= AuthPduType.CHALLENGE_OMA

    def encode(self, enhanced: bool = False) -> bytes:
        """Octets of the PDU."""
        octets = encode_header(self.address_format << 2 | self.type, self.number, enhanced) + self.value
        return octets if self.group is None else octets + bytes([self.group])

    @classmethod
    def decode(cls, octets: bytes, enhanced: bool = False) -> Self:
        """Read a PDU; raises `DecodeError`."""
        flags, number, rest = decode_header(octets, enhanced)
        address_format = flags >> 2
        least = cls.VALUE_LENGTH + (address_format == _MULTICAST)
        most = cls.VALUE_LENGTH + (address_format <= _MULTICAST)
        if len(rest) < least:
            raise TruncatedPdu(f"AuthPDU needs {least} octets after its header, got {len(rest)}")
        if len(rest) > most:
            raise MalformedPdu(f"AuthPDU followed by {len(rest) - most} octets")
        group = rest[cls.VALUE_LENGTH] if len(rest) > cls.VALUE_LENGTH else None
        return cls(AuthPduType(flags & 3), number, address_format, rest[: cls.VALUE_LENGTH], group)
