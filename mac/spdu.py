"""SPDU: requests and responses of the session layer, and their reminders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from .address import check_range
from .errors import ConfigurationError, MalformedPdu, UnknownPdu
from .tpdu import MAX_REM_MSG_LIST, MAX_REMINDER_LIST, split_member_list
from .transaction_header import MAX_ENHANCED_NUMBER, decode_header, encode_header


class SpduType(IntEnum):
    """Three-bit type; 1, 3, 6 and 7 are unused."""

    REQUEST = 0
    RESPONSE = 2
    REMINDER = 4
    REM_MSG = 5


_LIST_LIMITS: Final = {SpduType.REMINDER: MAX_REMINDER_LIST, SpduType.REM_MSG: MAX_REM_MSG_LIST}


@dataclass(frozen=True, slots=True)
class Spdu:
    """Session PDU.                                            ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  AUTH(1) type(3) transaction number(4)         one octet more in enhanced mode
        then     REMINDER  length(8) M_LIST[length]
                 REM_MSG   length(8) M_LIST[length] APDU       length 0..2
                 others    APDU

    Args: as `Tpdu`.
    """

    type: SpduType
    number: int
    auth: bool = False
    apdu: bytes = b""
    m_list: bytes = b""

    def __post_init__(self) -> None:
        check_range("transaction number", self.number, 0, MAX_ENHANCED_NUMBER)
        limit = _LIST_LIMITS.get(self.type, 0)
        if len(self.m_list) > limit:
            raise ConfigurationError(f"m_list of {self.type.name} has at most {limit} octets, got {len(self.m_list)}")
        if self.apdu and self.type is SpduType.REMINDER:
            raise ConfigurationError("REMINDER carries no APDU")

    def encode(self, enhanced: bool = False) -> bytes:
        """Octets of the PDU; `enhanced` selects 12-bit transaction numbers."""
        octets = encode_header(self.auth << 3 | self.type, self.number, enhanced)
        if self.type in _LIST_LIMITS:
            octets += bytes([len(self.m_list)]) + self.m_list
        return octets + self.apdu

    @classmethod
    def decode(cls, octets: bytes, enhanced: bool = False) -> Self:
        """Read a PDU; raises `DecodeError`."""
        flags, number, rest = decode_header(octets, enhanced)
        try:
            kind = SpduType(flags & 7)
        except ValueError:
            raise UnknownPdu(f"SPDU type {flags & 7} is unused") from None
        m_list = b""
        if kind in _LIST_LIMITS:
            m_list, rest = split_member_list(rest, _LIST_LIMITS[kind])
        if rest and kind is SpduType.REMINDER:
            raise MalformedPdu(f"REMINDER followed by {len(rest)} octets")
        return cls(kind, number, bool(flags & 8), rest, m_list)
