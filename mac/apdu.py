"""APDU: message code and payload, and the families into which the codes are divided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from .address import check_range
from .errors import TruncatedPdu

OFFLINE: Final = 0x3F  # response of a node whose application is off-line (grade L)
FOREIGN_OFFLINE: Final = 0x4F  # the same for a foreign frame (grade B)


class ApduFamily(StrEnum):
    """Families of message codes."""

    APPLICATION = "application"
    FOREIGN = "foreign"
    DIAGNOSTIC = "diagnostic"
    MANAGEMENT = "management"
    NETWORK_VARIABLE = "network_variable"


FAMILY_RANGES: Final = (  # first code, last code; ISO/IEC 14908-1, clause unverified (grade A, L)
    (0x00, 0x3F, ApduFamily.APPLICATION),
    (0x40, 0x4F, ApduFamily.FOREIGN),
    (0x50, 0x5F, ApduFamily.DIAGNOSTIC),
    (0x60, 0x7F, ApduFamily.MANAGEMENT),
    (0x80, 0xFF, ApduFamily.NETWORK_VARIABLE),
)
_FAMILIES: Final = tuple(family for first, last, family in FAMILY_RANGES for _ in range(first, last + 1))


def family_of(code: int) -> ApduFamily:
    """Family of a message code 0..255, when it opens a request or a message."""
    return _FAMILIES[code]


@dataclass(frozen=True, slots=True)
class Apdu:
    """Application PDU.

        octet 0   message code
              1.. payload

    A code means what its family says only in a request; responses reuse the low codes.
    """

    code: int
    payload: bytes = b""

    def __post_init__(self) -> None:
        check_range("message code", self.code, 0, 255)

    @property
    def family(self) -> ApduFamily:
        """Family of the code, when this is a request or a message."""
        return _FAMILIES[self.code]

    def encode(self, enhanced: bool = False) -> bytes:
        """Code, then payload; `enhanced` changes nothing here."""
        return bytes([self.code]) + self.payload

    @classmethod
    def decode(cls, octets: bytes, enhanced: bool = False) -> Self:
        """Split code and payload."""
        if not octets:
            raise TruncatedPdu("APDU needs 1 octet, got 0")
        return cls(octets[0], octets[1:])
