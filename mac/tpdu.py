"""TPDU: acknowledged and repeated messages of the transport layer, acknowledgements, reminders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from .address import check_range
from .errors import ConfigurationError, MalformedPdu, TruncatedPdu, UnknownPdu
from .transaction_header import MAX_ENHANCED_NUMBER, decode_header, encode_header

MAX_REMINDER_LIST: Final = 8  # octets: 64 members
MAX_REM_MSG_LIST: Final = 2  # octets; a longer list travels in a REMINDER of its own


class TpduType(IntEnum):
    """Three-bit type; 3, 6 and 7 are unused."""

    ACKD = 0
    UNACKD_RPT = 1
    ACK = 2
    REMINDER = 4
    REM_MSG = 5


_LIST_LIMITS: Final = {TpduType.REMINDER: MAX_REMINDER_LIST, TpduType.REM_MSG: MAX_REM_MSG_LIST}
_WITHOUT_APDU: Final = frozenset({TpduType.ACK, TpduType.REMINDER})


@dataclass(frozen=True, slots=True)
class Tpdu:
    """Transport PDU.                                          ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  AUTH(1) type(3) transaction number(4)         one octet more in enhanced mode
        then     REMINDER  length(8) M_LIST[length]
                 REM_MSG   length(8) M_LIST[length] APDU       length 0..2
                 ACK       nothing
                 others    APDU

    Args:
        type: kind of TPDU.
        number: transaction number.
        auth: the message asks to be authenticated.
        apdu: application PDU; empty for ACK and REMINDER.
        m_list: member list, only for REMINDER and REM_MSG (see `member_list`).
    """

    type: TpduType
    number: int
    auth: bool = False
    apdu: bytes = b""
    m_list: bytes = b""

    def __post_init__(self) -> None:
        check_range("transaction number", self.number, 0, MAX_ENHANCED_NUMBER)
        limit = _LIST_LIMITS.get(self.type, 0)
        if len(self.m_list) > limit:
            raise ConfigurationError(f"m_list of {self.type.name} has at most {limit} octets, got {len(self.m_list)}")
        if self.apdu and self.type in _WITHOUT_APDU:
            raise ConfigurationError(f"{self.type.name} carries no APDU")

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
            kind = TpduType(flags & 7)
        except ValueError:
            raise UnknownPdu(f"TPDU type {flags & 7} is unused") from None
        m_list = b""
        if kind in _LIST_LIMITS:
            m_list, rest = split_member_list(rest, _LIST_LIMITS[kind])
        if rest and kind in _WITHOUT_APDU:
            raise MalformedPdu(f"{kind.name} followed by {len(rest)} octets")
        return cls(kind, number, bool(flags & 8), rest, m_list)


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
