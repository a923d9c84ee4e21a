"""The table services as PDUs, common to the power line, MEP and the optical port.

Header fields (table number, offset, count) are BIG endian, table data is little endian.
Source: OSGP Alliance MEP Client Developer Guide v1.1 and Optical Port Programmer Guide v1.1 (grade A unless said otherwise).

    0x30 full read       code(1) table(2)                              answer: result(1) count(2) data
    0x3F partial read    code(1) table(2) offset(3) count(2)           answer: result(1) count(2) data
    0x40 full write      code(1) table(2) count(2) data                answer: result(1)
    0x4F partial write   code(1) table(2) offset(3) count(2) data      answer: result(1)
    0x31..0x39 indexed   code(1) table(2) index(2) x 1..9 count(2)     answer: result(1) count(2) data    grade C
    0x41..0x49 indexed   code(1) table(2) index(2) x 1..9 count(2) data          answer: result(1)    grade C
    0x3E default read    code(1)                                       answer: result(1) count(2) data    grade C
    any request          refused                                       answer: result(1), 0x0C adds sequence number(4)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from .errors import ConfigurationError, DecodeError, TruncatedMessage, UnknownService


class Service(IntEnum):
    """First octet of a request. Not here: the indexed forms of ANSI C12.18, 0x31..0x39 and 0x41..0x49."""

    FULL_READ = 0x30
    DEFAULT_READ = 0x3E
    PARTIAL_READ = 0x3F
    FULL_WRITE = 0x40
    PARTIAL_WRITE = 0x4F


MAX_LEVELS: Final = 9  # index levels of an indexed service; grade C
INDEXED_READS: Final = range(0x31, 0x31 + MAX_LEVELS)
INDEXED_WRITES: Final = range(0x41, 0x41 + MAX_LEVELS)
# Services of ANSI C12.18 that belong to a link, not to tables, answered 0x02 (grade C for the codes, D for the answer):
# identification, terminate, logon, security, logoff, negotiate, wait.
OTHER_SERVICES: Final = frozenset((0x20, 0x21, 0x50, 0x51, 0x52, *range(0x60, 0x6C), 0x70))


class ResultCode(IntEnum):
    """First octet of a response."""

    OK = 0x00
    ERROR = 0x01  # unrecognised request
    SERVICE_NOT_SUPPORTED = 0x02
    INSUFFICIENT_SECURITY = 0x03  # key or hardware lock
    OPERATION_NOT_POSSIBLE = 0x04
    INAPPROPRIATE_ACTION = 0x05  # table operation not possible, or no such table
    BUSY = 0x06  # this and the next three: ANSI C12.18, grade C
    DATA_NOT_READY = 0x07
    DATA_LOCKED = 0x08
    RENEGOTIATE = 0x09
    INVALID_STATE = 0x0A
    AUTHENTICATION_FAILURE = 0x0B
    INVALID_SEQUENCE = 0x0C  # followed by the last accepted sequence number


MAX_COUNT: Final = 0xFFFF
MAX_OFFSET: Final = 0xFFFFFF


def _check(table: int, offset: int = 0, count: int = 0) -> None:
    if not 0 <= table <= 0xFFFF:
        raise ConfigurationError(f"a table number is 0..65535, got {table}")
    if not 0 <= offset <= MAX_OFFSET:
        raise ConfigurationError(f"offset must be 0..{MAX_OFFSET}, got {offset}")
    if not 0 <= count <= MAX_COUNT:
        raise ConfigurationError(f"count must be 0..{MAX_COUNT}, got {count}")


def _need(octets: bytes, count: int, what: str) -> None:
    if len(octets) < count:
        raise TruncatedMessage(f"{what} needs {count} octets, got {len(octets)}")


def _end(octets: bytes, count: int, what: str) -> None:
    if len(octets) != count:
        raise DecodeError(f"{what} has {count} octets, got {len(octets)}")


@dataclass(frozen=True, slots=True)
class FullRead:
    """0x30.    code(1) table(2 BE).  One document shows a two-octet length behind it: accepted, not sent."""

    table: int

    def __post_init__(self) -> None:
        _check(self.table)

    def encode(self) -> bytes:
        return bytes((Service.FULL_READ,)) + self.table.to_bytes(2, "big")

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        _need(octets, 3, "full read")
        if len(octets) != 5:
            _end(octets, 3, "full read")
        return cls(int.from_bytes(octets[1:3], "big"))


@dataclass(frozen=True, slots=True)
class PartialRead:
    """0x3F.    code(1) table(2 BE) offset(3 BE) count(2 BE)"""

    table: int
    offset: int
    count: int

    def __post_init__(self) -> None:
        _check(self.table, self.offset, self.count)

    def encode(self) -> bytes:
        return b"".join(
            (
                bytes((Service.PARTIAL_READ,)),
                self.table.to_bytes(2, "big"),
                self.offset.to_bytes(3, "big"),
                self.count.to_bytes(2, "big"),
            )
        )

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        _need(octets, 8, "partial read")
        _end(octets, 8, "partial read")
        return cls(*(int.from_bytes(octets[a:b], "big") for a, b in ((1, 3), (3, 6), (6, 8))))


@dataclass(frozen=True, slots=True)
class FullWrite:
    """0x40.    code(1) table(2 BE) count(2 BE) data (count octets, little-endian table data)"""

    table: int
    data: bytes

    def __post_init__(self) -> None:
        _check(self.table, 0, len(self.data))

    def encode(self) -> bytes:
        return (
            bytes((Service.FULL_WRITE,)) + self.table.to_bytes(2, "big") + len(self.data).to_bytes(2, "big") + self.data
        )

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        _need(octets, 5, "full write")
        count = int.from_bytes(octets[3:5], "big")
        _need(octets, 5 + count, "full write")
        _end(octets, 5 + count, "full write")
        return cls(int.from_bytes(octets[1:3], "big"), octets[5:])


@dataclass(frozen=True, slots=True)
class PartialWrite:
    """0x4F.    code(1) table(2 BE) offset(3 BE) count(2 BE) data (count octets, little-endian table data)"""

    table: int
    offset: int
    data: bytes

    def __post_init__(self) -> None:
        _check(self.table, self.offset, len(self.data))

    def encode(self) -> bytes:
        return b"".join(
            (
                bytes((Service.PARTIAL_WRITE,)),
                self.table.to_bytes(2, "big"),
                self.offset.to_bytes(3, "big"),
                len(self.data).to_bytes(2, "big"),
                self.data,
            )
        )

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        _need(octets, 8, "partial write")
        count = int.from_bytes(octets[6:8], "big")
        _need(octets, 8 + count, "partial write")
        _end(octets, 8 + count, "partial write")
        return cls(int.from_bytes(octets[1:3], "big"), int.from_bytes(octets[3:6], "big"), octets[8:])


def _check_indices(indices: tuple[int, ...]) -> None:
    if not 1 <= len(indices) <= MAX_LEVELS or any(not 0 <= index <= 0xFFFF for index in indices):
        raise ConfigurationError(f"an indexed service has 1..{MAX_LEVELS} indices of 0..65535, got {indices}")


def _indices(octets: bytes, levels: int) -> tuple[int, ...]:
    return tuple(int.from_bytes(octets[at : at + 2], "big") for at in range(3, 3 + 2 * levels, 2))


@dataclass(frozen=True, slots=True)
class IndexedRead:
    """0x31 to 0x39.    code(1) table(2 BE) index(2 BE) x 1..9 count(2 BE).    `count`: elements, not octets. Grade C."""

    table: int
    indices: tuple[int, ...]
    count: int = 1

    def __post_init__(self) -> None:
        _check(self.table, 0, self.count)
        _check_indices(self.indices)

    def encode(self) -> bytes:
        numbers = (self.table, *self.indices, self.count)
        return bytes((INDEXED_READS[0] - 1 + len(self.indices),)) + b"".join(number.to_bytes(2, "big") for number in numbers)

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        levels = octets[0] - INDEXED_READS[0] + 1
        size = 5 + 2 * levels
        _need(octets, size, "indexed read")
        _end(octets, size, "indexed read")
        return cls(int.from_bytes(octets[1:3], "big"), _indices(octets, levels), int.from_bytes(octets[-2:], "big"))


@dataclass(frozen=True, slots=True)
class IndexedWrite:
    """0x41 to 0x49.    code(1) table(2 BE) index(2 BE) x 1..9 count(2 BE) data.    `count` counts octets. Grade C."""

    table: int
    indices: tuple[int, ...]
    data: bytes

    def __post_init__(self) -> None:
        _check(self.table, 0, len(self.data))
        _check_indices(self.indices)

    def encode(self) -> bytes:
        numbers = (self.table, *self.indices, len(self.data))
        head = bytes((INDEXED_WRITES[0] - 1 + len(self.indices),))
        return head + b"".join(number.to_bytes(2, "big") for number in numbers) + self.data

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        levels = octets[0] - INDEXED_WRITES[0] + 1
        head = 5 + 2 * levels
        _need(octets, head, "indexed write")
        count = int.from_bytes(octets[head - 2 : head], "big")
        _need(octets, head + count, "indexed write")
        _end(octets, head + count, "indexed write")
        return cls(int.from_bytes(octets[1:3], "big"), _indices(octets, levels), octets[head:])


@dataclass(frozen=True, slots=True)
class DefaultRead:
    """0x3E.    code(1).  Reads the table that the device has chosen. Grade C."""

    def encode(self) -> bytes:
        return bytes((Service.DEFAULT_READ,))

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        _end(octets, 1, "default read")
        return cls()


ReadRequest = FullRead | PartialRead | IndexedRead | DefaultRead
WriteRequest = FullWrite | PartialWrite | IndexedWrite
TableRequest = ReadRequest | WriteRequest
REQUESTS: Final[dict[int, type[TableRequest]]] = {
    Service.FULL_READ: FullRead,
    Service.PARTIAL_READ: PartialRead,
    Service.DEFAULT_READ: DefaultRead,
    Service.FULL_WRITE: FullWrite,
    Service.PARTIAL_WRITE: PartialWrite,
    **dict.fromkeys(INDEXED_READS, IndexedRead),
    **dict.fromkeys(INDEXED_WRITES, IndexedWrite),
}


def decode_request(octets: bytes) -> TableRequest:
    """A request PDU. UnknownService for another first octet, DecodeError for a malformed one."""
    _need(octets, 1, "request")
    kind = REQUESTS.get(octets[0])
    if kind is None:
        raise UnknownService(f"service 0x{octets[0]:02x} is no table service (0x30..0x39, 0x3e..0x49, 0x4f)")
    return kind.decode(octets)


@dataclass(frozen=True, slots=True)
class Response:
    """A response PDU.

        OK to a read        result(1) count(2 BE) data (count octets, little-endian table data)
        INVALID_SEQUENCE    result(1) sequence number(4 BE)
        else                result(1)

    `data` is None unless the answer carries table data; `sequence` is None unless the result is INVALID_SEQUENCE.
    """

    result: ResultCode
    data: bytes | None = None
    sequence: int | None = None

    def __post_init__(self) -> None:
        if (self.result is ResultCode.INVALID_SEQUENCE) != (self.sequence is not None):
            raise ConfigurationError("a sequence number goes with INVALID_SEQUENCE and with nothing else")
        if self.data is not None and (self.result is not ResultCode.OK or len(self.data) > MAX_COUNT):
            raise ConfigurationError(f"data goes with OK and has at most {MAX_COUNT} octets")

    def encode(self) -> bytes:
        if self.sequence is not None:
            return bytes((self.result,)) + self.sequence.to_bytes(4, "big")
        if self.data is not None:
            return bytes((self.result,)) + len(self.data).to_bytes(2, "big") + self.data
        return bytes((self.result,))

    @classmethod
    def decode(cls, octets: bytes, request: TableRequest) -> Self:
        """`request` says whether data is due. DecodeError for anything malformed, an unknown result code included."""
        _need(octets, 1, "response")
        try:
            result = ResultCode(octets[0])
        except ValueError:
            raise DecodeError(f"result code 0x{octets[0]:02x} is not known") from None
        if result is ResultCode.INVALID_SEQUENCE:
            _need(octets, 5, "response")
            _end(octets, 5, "response")
            return cls(result, sequence=int.from_bytes(octets[1:5], "big"))
        if result is ResultCode.OK and isinstance(request, ReadRequest):
            _need(octets, 3, "read response")
            count = int.from_bytes(octets[1:3], "big")
            _need(octets, 3 + count, "read response")
            _end(octets, 3 + count, "read response")
            return cls(result, data=octets[3:])
        _end(octets, 1, "response")
        return cls(result)
