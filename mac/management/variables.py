"""Network variables over the network: configuration rows, values, and the description of the interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from ..address import check_range
from ..errors import TruncatedPdu
from ..message_codes import take

INDEX_ESCAPE = 0xFF  # the index follows in 16 bits
MAX_INDEX = 0xFFFF


def encode_index(index: int, wide: bool) -> bytes:
    """One octet, or FF and two octets for indices from 255 on and where `wide` asks for it."""
    return bytes([INDEX_ESCAPE]) + index.to_bytes(2, "big") if wide or index >= INDEX_ESCAPE else bytes([index])


def split_index(octets: bytes, what: str) -> tuple[int, bool, bytes]:
    """Index, whether it stood in the wide form, and the octets behind it; raises `TruncatedPdu`."""
    if not octets or (octets[0] == INDEX_ESCAPE and len(octets) < 3):
        raise TruncatedPdu(f"{what} without a complete index")
    if octets[0] == INDEX_ESCAPE:
        return int.from_bytes(octets[1:3], "big"), True, octets[3:]
    return octets[0], False, octets[1:]


@dataclass(frozen=True, slots=True)
class _VariableRequest:
    """A request of its code and the index of a network variable."""

    CODE: ClassVar[int]

    index: int
    wide: bool = False

    def __post_init__(self) -> None:
        check_range("index", self.index, 0, MAX_INDEX)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE]) + encode_index(self.index, self.wide)

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        index, wide, rest = split_index(apdu[1:], cls.__name__)
        take(rest, 0, f"octets behind {cls.__name__}")
        return cls(index, wide)


class QueryVariableConfig(_VariableRequest):
    """68: ask for a row of the network variable table; indices behind its end stand for the alias table."""

    __slots__ = ()
    CODE = 0x68


class FetchVariable(_VariableRequest):
    """73: ask for the value of a network variable; the answer repeats the index in the form of the request."""

    __slots__ = ()
    CODE = 0x73

    def answer_index(self) -> bytes:
        """The index as the answer repeats it."""
        return encode_index(self.index, self.wide)


@dataclass(frozen=True, slots=True)
class UpdateVariableConfig:
    """6B: index, row: `VariableConfig` of 3 octets, or `AliasConfig` of 4 or 6 for indices behind the variables."""

    CODE: ClassVar[int] = 0x6B

    index: int
    row: bytes
    wide: bool = False

    def __post_init__(self) -> None:
        check_range("index", self.index, 0, MAX_INDEX)
        check_range("row length", len(self.row), 3, 6)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE]) + encode_index(self.index, self.wide) + self.row

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        index, wide, row = split_index(apdu[1:], "Update NV Config")
        if len(row) < 3:
            raise TruncatedPdu(f"row of Update NV Config needs 3 octets, got {len(row)}")
        take(row[6:], 0, "octets behind Update NV Config")
        return cls(index, row, wide)


@dataclass(frozen=True, slots=True)
class QuerySelfIdentification:
    """72: offset(16) count(8); octets of the node's self-identification (SNVT) data."""

    CODE: ClassVar[int] = 0x72

    offset: int
    count: int

    def __post_init__(self) -> None:
        check_range("offset", self.offset, 0, 0xFFFF)
        check_range("count", self.count, 0, 255)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE]) + self.offset.to_bytes(2, "big") + bytes([self.count])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 4, "Query SI Data")
        return cls(int.from_bytes(apdu[1:3], "big"), apdu[3])
