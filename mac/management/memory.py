"""Memory of a node over the network: read, write, checksums, refresh."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from ..address import check_range
from ..errors import TruncatedPdu
from ..message_codes import take
from .request import need, one_of


class MemoryMode(IntEnum):
    """Address space of a memory access."""

    ABSOLUTE = 0
    READ_ONLY = 1
    CONFIGURATION = 2
    STATISTICS = 3


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
        """From the whole APDU; octets behind the count are ignored (grade B)."""
        need(apdu, 5, "Read Memory")
        mode = MemoryMode(one_of(MemoryMode, apdu[1], "memory mode"))
        return cls(mode, int.from_bytes(apdu[2:4], "big"), apdu[4])


@dataclass(frozen=True, slots=True)
class WriteMemory:
    """6E: mode(8) offset(16) count(8) form(8) octets[count].

    form: 0 nothing, 1 both checksums, 3 delta checksum, 4 configuration checksum, 8 reset afterwards, and sums of these.
    """

    CODE: ClassVar[int] = 0x6E
    BOTH_CHECKSUMS_FORM: ClassVar[int] = 0x01
    CONFIGURATION_CHECKSUM_FORM: ClassVar[int] = 0x04
    RESET_FORM: ClassVar[int] = 0x08

    mode: MemoryMode
    offset: int
    octets: bytes
    form: int = 0

    def __post_init__(self) -> None:
        check_range("offset", self.offset, 0, 0xFFFF)
        check_range("form", self.form, 0, 255)

    @property
    def recalculates(self) -> bool:
        """Whether the configuration checksum is to be made right afterwards."""
        return bool(self.form & (self.BOTH_CHECKSUMS_FORM | self.CONFIGURATION_CHECKSUM_FORM))

    def encode(self) -> bytes:
        """The whole APDU."""
        head = bytes([self.CODE, self.mode]) + self.offset.to_bytes(2, "big")
        return head + bytes([len(self.octets), self.form]) + self.octets

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        if len(apdu) < 6:
            raise TruncatedPdu(f"Write Memory needs 6 octets, got {len(apdu)}")
        mode = MemoryMode(one_of(MemoryMode, apdu[1], "memory mode"))
        octets = take(apdu[6:], apdu[4], "Write Memory")
        return cls(mode, int.from_bytes(apdu[2:4], "big"), octets, apdu[5])


@dataclass(frozen=True, slots=True)
class RecalculateChecksum:
    """6F: make checksums right: 1 both, 4 that of the configuration. Other values act as 4 (grade L)."""

    CODE: ClassVar[int] = 0x6F
    BOTH: ClassVar[int] = 1
    CONFIGURATION: ClassVar[int] = 4

    which: int = CONFIGURATION

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.which])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        return cls(take(apdu, 2, "Checksum Recalculate")[1])


@dataclass(frozen=True, slots=True)
class RefreshMemory:
    """71: rewrite cells of the non-volatile memory: offset(16) count(8) off-chip(8)."""

    CODE: ClassVar[int] = 0x71

    offset: int
    count: int
    off_chip: bool = False

    def __post_init__(self) -> None:
        check_range("offset", self.offset, 0, 0xFFFF)
        check_range("count", self.count, 0, 255)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE]) + self.offset.to_bytes(2, "big") + bytes([self.count, self.off_chip])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 5, "Memory Refresh")
        return cls(int.from_bytes(apdu[1:3], "big"), apdu[3], bool(apdu[4]))
