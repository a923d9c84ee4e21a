"""Who is there: Query ID, Respond to Query, wink and the install commands that share its code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from ..address import check_range
from ..errors import MalformedPdu, TruncatedPdu
from ..message_codes import INSTALL, QUERY_ID, take
from .memory import MemoryMode
from .request import one_of


class QuerySelector(IntEnum):
    """Which nodes shall answer a Query ID."""

    UNCONFIGURED = 0
    SELECTED = 1
    SELECTED_UNCONFIGURED = 2


@dataclass(frozen=True, slots=True)
class QueryId:
    """61: ask nodes for an `IdReport`; those that do not match are silent.

        octet 0  61
              1  selector
        optional: mode(8) offset(16) count(8) octets[count]     only nodes whose memory holds these octets

    Args:
        selector: who shall answer.
        mode, offset, octets: memory that must match; empty octets: no such condition.
    """

    CODE: ClassVar[int] = QUERY_ID

    selector: QuerySelector = QuerySelector.UNCONFIGURED
    mode: MemoryMode = MemoryMode.READ_ONLY
    offset: int = 0
    octets: bytes = b""

    def encode(self) -> bytes:
        """The whole APDU."""
        condition = bytes([self.mode]) + self.offset.to_bytes(2, "big") + bytes([len(self.octets)]) + self.octets
        return bytes([self.CODE, self.selector]) + (condition if self.octets else b"")

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        if len(apdu) < 2:
            raise TruncatedPdu("Query ID without a selector")
        selector = QuerySelector(one_of(QuerySelector, apdu[1], "Query ID selector"))
        if len(apdu) == 2:
            return cls(selector)
        if len(apdu) < 6:
            raise TruncatedPdu("Query ID with an incomplete condition")
        octets = take(apdu[6:], apdu[5], "Query ID condition")
        mode = MemoryMode(one_of(MemoryMode, apdu[2], "memory mode"))
        return cls(selector, mode, int.from_bytes(apdu[3:5], "big"), octets)


@dataclass(frozen=True, slots=True)
class RespondToQuery:
    """62: select the node for Query ID, or unselect it; forgotten at reset."""

    CODE: ClassVar[int] = 0x62

    selected: bool

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.selected])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        octet = take(apdu, 2, "Respond to Query")[1]
        if octet > 1:
            raise MalformedPdu(f"Respond to Query wants 0 or 1, got {octet}")
        return cls(bool(octet))


@dataclass(frozen=True, slots=True)
class WinkCommand:
    """70, or 70 00: the node shall show itself; must not be sent as a request."""

    CODE: ClassVar[int] = INSTALL
    SUBCODE: ClassVar[int] = 0

    def encode(self) -> bytes:
        """The code alone."""
        return bytes([self.CODE])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; parameters of a wink mean nothing."""
        return cls()


@dataclass(frozen=True, slots=True)
class SendIdInfo:
    """70 01: ask for an `IdInfoReport` of one network interface (only number 0 exists here)."""

    CODE: ClassVar[int] = INSTALL
    SUBCODE: ClassVar[int] = 1

    interface: int = 0

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE, self.interface])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; without an interface it is number 0."""
        if len(apdu) > 3:
            raise MalformedPdu(f"send id info has at most 3 octets, got {len(apdu)}")
        return cls(apdu[2] if len(apdu) == 3 else 0)


@dataclass(frozen=True, slots=True)
class QueryNvInfo:
    """70 07: offset(16) count(8); octets of the description of a node's network variables."""

    CODE: ClassVar[int] = INSTALL
    SUBCODE: ClassVar[int] = 7

    offset: int
    count: int

    def __post_init__(self) -> None:
        check_range("offset", self.offset, 0, 0xFFFF)
        check_range("count", self.count, 0, 255)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE]) + self.offset.to_bytes(2, "big") + bytes([self.count])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 5, "query NV info")
        return cls(int.from_bytes(apdu[2:4], "big"), apdu[4])
