"""What TPDU and SPDU share: header with transaction number, member list of reminders, APDU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from .address import check_range
from .errors import ConfigurationError, MalformedPdu, TruncatedPdu, UnknownPdu
from .transaction_header import MAX_ENHANCED_NUMBER, decode_header, encode_header

_FIRST_REMINDER: Final = 4  # types from here on have a member list
_set: Final = object.__setattr__
MAX_REMINDER_LIST: Final = 8  # octets: 64 members
MAX_REM_MSG_LIST: Final = 2  # octets; a longer list travels in a REMINDER of its own


@dataclass(frozen=True, slots=True)
class TransactionPdu:
    """A PDU of a transaction; `Tpdu` and `Spdu` name its types.

    Class attributes:
        BY_CODE: types by their code. NAME: for messages. LIST_LIMITS: octets of the member list by type.
        WITHOUT_APDU: types that carry no APDU.
    """

    BY_CODE: ClassVar[Mapping[int, IntEnum]]
    NAME: ClassVar[str]
    LIST_LIMITS: ClassVar[Mapping[IntEnum, int]]
    WITHOUT_APDU: ClassVar[frozenset[IntEnum]]

    type: IntEnum
    number: int
    auth: bool = False
    apdu: bytes = b""
    m_list: bytes = b""

    def __post_init__(self) -> None:
        check_range("transaction number", self.number, 0, MAX_ENHANCED_NUMBER)
        limit = self.LIST_LIMITS.get(self.type, 0)
        if len(self.m_list) > limit:
            raise ConfigurationError(f"m_list of {self.type.name} has at most {limit} octets, got {len(self.m_list)}")
        if self.apdu and self.type in self.WITHOUT_APDU:
            raise ConfigurationError(f"{self.type.name} carries no APDU")

    def encode(self, enhanced: bool = False) -> bytes:
        """Octets of the PDU; `enhanced` selects 12-bit transaction numbers."""
        octets = encode_header(self.auth << 3 | self.type, self.number, enhanced)
        if self.type >= _FIRST_REMINDER:
            octets += bytes([len(self.m_list)]) + self.m_list
        return octets + self.apdu

    @classmethod
    def decode(cls, octets: bytes, enhanced: bool = False) -> Self:
        """Read a PDU; raises `DecodeError`."""
        flags, number, rest = decode_header(octets, enhanced)
        kind = cls.BY_CODE.get(flags & 7)
        if kind is None:
            raise UnknownPdu(f"{cls.NAME} type {flags & 7} is unused")
        m_list = b""
        if kind >= _FIRST_REMINDER:
            m_list, rest = split_member_list(rest, cls.LIST_LIMITS[kind])
        if rest and kind in cls.WITHOUT_APDU:
            raise MalformedPdu(f"{kind.name} followed by {len(rest)} octets")
        pdu = object.__new__(cls)  # without the checks of a new value: the octets have passed all of them
        _set(pdu, "type", kind)
        _set(pdu, "number", number)
        _set(pdu, "auth", flags >= 8)
        _set(pdu, "apdu", rest)
        _set(pdu, "m_list", m_list)
        return pdu


def split_member_list(octets: bytes, limit: int) -> tuple[bytes, bytes]:
    """Split `length(8) M_LIST[length] rest` into (M_LIST, rest)."""
    if not octets:
        raise TruncatedPdu("reminder without a list length")
    length = octets[0]
    if length > limit:
        raise MalformedPdu(f"member list of at most {limit} octets expected, got {length}")
    if len(octets) < 1 + length:
        raise TruncatedPdu(f"member list needs {length} octets, got {len(octets) - 1}")
    return octets[1 : 1 + length], octets[1 + length :]
