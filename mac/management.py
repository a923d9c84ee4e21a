"""Network management and diagnostic messages: one frozen value per request and per response.

Each request class has the message `CODE` and `encode`/`decode` of the whole APDU, code included. The response to a
request repeats part of its code, so it is read with the request at hand: `decode_response(request_code, apdu)`.
ISO/IEC 14908-1 network management, clauses unverified; grades B and L (exercised on a live independent stack).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from .address import check_length, check_range
from .entries import DomainEntry
from .errors import MalformedPdu, TruncatedPdu
from .events import NodeState
from .message_codes import (
    QUERY_DOMAIN,
    QUERY_ID,
    QUERY_STATUS,
    QUERY_STATUS_FLEX,
    QUERY_TRANSCEIVER_STATUS,
    STATE_BY_OCTET,
    STATE_OCTETS,
    failure_code,
    success_code,
    take,
)
from .reports import DomainReport, IdReport, StatusReport, TransceiverReport, encode_row

__all__ = [
    "ClearStatus",
    "DomainReport",
    "Done",
    "IdReport",
    "LeaveDomain",
    "MemoryMode",
    "NodeMode",
    "QueryAddress",
    "QueryDomain",
    "QueryId",
    "QuerySelector",
    "QueryStatus",
    "QueryStatusFlex",
    "QueryTransceiverStatus",
    "ReadMemory",
    "Refused",
    "RespondToQuery",
    "Response",
    "SetNodeMode",
    "StatusReport",
    "TransceiverReport",
    "Unexpected",
    "UpdateAddress",
    "UpdateDomain",
    "UpdateKey",
    "WinkCommand",
    "WriteMemory",
    "decode_response",
    "failure_code",
    "success_code",
]

def _one_of(kinds: type[IntEnum], octet: int, what: str) -> int:
    if octet not in list(kinds):
        raise MalformedPdu(f"{what} {octet} is unknown")
    return octet


@dataclass(frozen=True, slots=True)
class _Plain:
    """A request of its code alone."""

    CODE: ClassVar[int]

    def encode(self) -> bytes:
        """The code."""
        return bytes([self.CODE])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 1, cls.__name__)
        return cls()


class QueryStatus(_Plain):
    """51: ask for a `StatusReport`."""

    __slots__ = ()
    CODE = QUERY_STATUS


class ClearStatus(_Plain):
    """53: set the counters, the reset cause and the error log to zero."""

    __slots__ = ()
    CODE = 0x53


class QueryTransceiverStatus(_Plain):
    """54: ask how this very request was received (`Reception`)."""

    __slots__ = ()
    CODE = QUERY_TRANSCEIVER_STATUS


class QueryStatusFlex(_Plain):
    """56: as Query Status, but answered from source 0/0."""

    __slots__ = ()
    CODE = QUERY_STATUS_FLEX


class QuerySelector(IntEnum):
    """Which nodes shall answer a Query ID."""

    UNCONFIGURED = 0
    SELECTED = 1
    SELECTED_UNCONFIGURED = 2


class MemoryMode(IntEnum):
    """Address space of a memory access."""

    ABSOLUTE = 0
    READ_ONLY = 1
    CONFIGURATION = 2
    STATISTICS = 3


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
        selector = QuerySelector(_one_of(QuerySelector, apdu[1], "Query ID selector"))
        if len(apdu) == 2:
            return cls(selector)
        if len(apdu) < 6:
            raise TruncatedPdu("Query ID with an incomplete condition")
        octets = take(apdu[6:], apdu[5], "Query ID condition")
        mode = MemoryMode(_one_of(MemoryMode, apdu[2], "memory mode"))
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
class UpdateDomain:
    """63: write a row of the domain table: index(8), row[15]. entry None writes a blank row."""

    CODE: ClassVar[int] = 0x63

    index: int
    entry: DomainEntry | None

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index]) + encode_row(self.entry)

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 2 + DomainEntry.LENGTH, "Update Domain")
        return cls(apdu[1], DomainEntry.decode(apdu[2:]))


@dataclass(frozen=True, slots=True)
class _Indexed:
    """A request of its code and the index of a table row."""

    CODE: ClassVar[int]

    index: int

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        return cls(take(apdu, 2, cls.__name__)[1])


class LeaveDomain(_Indexed):
    """64: blank a row of the domain table; a node left without any becomes unconfigured."""

    __slots__ = ()
    CODE = 0x64


class QueryAddress(_Indexed):
    """67: ask for a row of the address table (5 octets)."""

    __slots__ = ()
    CODE = 0x67


class QueryDomain(_Indexed):
    """6A: ask for a row of the domain table."""

    __slots__ = ()
    CODE = QUERY_DOMAIN


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """65: add an increment to a row's key, octet by octet modulo 256; the key itself never travels."""

    CODE: ClassVar[int] = 0x65

    index: int
    increment: bytes

    def __post_init__(self) -> None:
        check_length("increment", self.increment, DomainEntry.KEY_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index]) + self.increment

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 2 + DomainEntry.KEY_LENGTH, "Update Key")
        return cls(apdu[1], apdu[2:])


@dataclass(frozen=True, slots=True)
class UpdateAddress:
    """66: write a row of the address table: index(8), row[5], see `GroupEntry` for the group rows."""

    CODE: ClassVar[int] = 0x66
    ROW_LENGTH: ClassVar[int] = 5

    index: int
    row: bytes

    def __post_init__(self) -> None:
        check_length("address row", self.row, self.ROW_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index]) + self.row

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 2 + cls.ROW_LENGTH, "Update Address")
        return cls(apdu[1], apdu[2:])


class NodeMode(IntEnum):
    """First octet of Set Node Mode."""

    OFFLINE = 0
    ONLINE = 1
    RESET = 2
    CHANGE_STATE = 3
    PHYSICAL_RESET = 6


@dataclass(frozen=True, slots=True)
class SetNodeMode:
    """6C: off-line, on-line, reset, or a new state (mode CHANGE_STATE, then the state octet)."""

    CODE: ClassVar[int] = 0x6C

    mode: NodeMode
    state: NodeState | None = None

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.mode]) + (b"" if self.state is None else bytes([STATE_OCTETS[self.state]]))

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        if len(apdu) < 2:
            raise TruncatedPdu("Set Node Mode without a mode")
        mode = NodeMode(_one_of(NodeMode, apdu[1], "node mode"))
        if mode is not NodeMode.CHANGE_STATE:
            take(apdu, 2, "Set Node Mode")
            return cls(mode)
        octet = take(apdu, 3, "Set Node Mode with a state")[2]
        if octet not in STATE_BY_OCTET:
            raise MalformedPdu(f"node state {octet:02X} is unknown")
        return cls(mode, STATE_BY_OCTET[octet])


@dataclass(frozen=True, slots=True)
class ReadMemory:
    """6D: mode(8) offset(16) count(8); the response carries `count` octets."""

    CODE: ClassVar[int] = 0x6D

    mode: MemoryMode
    offset: int
    count: int

    def __post_init__(self) -> None:
        check_range("offset", self.offset, 0, 0xFFFF)
        check_range("count", self.count, 0, 255)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.mode]) + self.offset.to_bytes(2, "big") + bytes([self.count])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 5, "Read Memory")
        mode = MemoryMode(_one_of(MemoryMode, apdu[1], "memory mode"))
        return cls(mode, int.from_bytes(apdu[2:4], "big"), apdu[4])


@dataclass(frozen=True, slots=True)
class WriteMemory:
    """6E: mode(8) offset(16) count(8) form(8) octets[count].

    form: 0 nothing, 1 both checksums, 4 configuration checksum, 8 reset afterwards, and sums of these.
    """

    CODE: ClassVar[int] = 0x6E
    RESET_FORM: ClassVar[int] = 0x08

    mode: MemoryMode
    offset: int
    octets: bytes
    form: int = 0

    def __post_init__(self) -> None:
        check_range("offset", self.offset, 0, 0xFFFF)
        check_range("form", self.form, 0, 255)

    def encode(self) -> bytes:
        """The whole APDU."""
        head = bytes([self.CODE, self.mode]) + self.offset.to_bytes(2, "big")
        return head + bytes([len(self.octets), self.form]) + self.octets

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        if len(apdu) < 6:
            raise TruncatedPdu(f"Write Memory needs 6 octets, got {len(apdu)}")
        mode = MemoryMode(_one_of(MemoryMode, apdu[1], "memory mode"))
        octets = take(apdu[6:], apdu[4], "Write Memory")
        return cls(mode, int.from_bytes(apdu[2:4], "big"), octets, apdu[5])


class WinkCommand(_Plain):
    """70: the node shall show itself; must not be sent as a request."""

    __slots__ = ()
    CODE = 0x70


@dataclass(frozen=True, slots=True)
class Done:
    """Success; `octets` follow the code where the response has no class of its own."""

    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """The failure code of the request."""


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A response whose code does not belong to the request, such as 3F of an off-line application."""

    apdu: bytes


Response = IdReport | StatusReport | DomainReport | TransceiverReport | Done | Refused | Unexpected

RESPONSES: Final[dict[int, type[IdReport] | type[StatusReport] | type[DomainReport] | type[TransceiverReport]]] = {
    QueryId.CODE: IdReport,
    QueryStatus.CODE: StatusReport,
    QueryStatusFlex.CODE: StatusReport,
    QueryDomain.CODE: DomainReport,
    QueryTransceiverStatus.CODE: TransceiverReport,
}


def decode_response(request_code: int, apdu: bytes) -> Response:
    """Read the response to a request of that code; raises `DecodeError` when it does not fit its layout."""
    if not apdu:
        raise TruncatedPdu("empty response")
    if apdu[0] == failure_code(request_code):
        return Refused()
    if apdu[0] != success_code(request_code):
        return Unexpected(apdu)
    response = RESPONSES.get(request_code)
    return Done(apdu[1:]) if response is None else response.decode(apdu)
