"""Expanded network management: code 60 and a sub-command octet that the answer repeats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import ClassVar, Final, Self

from ..address import check_length, check_range
from ..entries import DomainEntry
from ..errors import TruncatedPdu
from ..message_codes import EXPANDED, take
from ..variable_entry import AliasConfig, VariableConfig
from .request import IndexedRequest, PlainRequest, need

OMA_KEY_LENGTH: Final = 2 * DomainEntry.KEY_LENGTH
ROW_WITHOUT_KEY: Final = DomainEntry.LENGTH - DomainEntry.KEY_LENGTH
EXPANDED_VERSION: Final = 2  # version of the expanded command set (grade L)


class Capability(IntFlag):
    """What a node says of itself in Query Version: the high octet above the low one (grade B, L)."""

    OMA = 0x0001
    PROXY = 0x0002  # enhanced proxy repeating
    PHASE = 0x0004
    SIGNAL_STRENGTH = 0x0008
    INIT_CONFIG = 0x0010
    MEMORY_MAP = 0x0020
    UPDATE_VARIABLE_BY_INDEX = 0x0040
    SECURITY_II = 0x0080
    ENHANCED_ONLY = 0x0100  # 12-bit transaction numbers only
    COMPATIBLE_OR_ENHANCED = 0x0200  # both kinds of transaction numbers
    ADDRESS_ANNOUNCEMENTS = 0x0400  # LON/IP address mapping announcements


class QueryVersion(PlainRequest):
    """60 01: ask for a `CapabilityReport`."""

    __slots__ = ()
    CODE = EXPANDED
    SUBCODE = 0x01


@dataclass(frozen=True, slots=True)
class UpdateVariableByIndex:
    """60 02: index(16) value; write an input network variable whatever its selector."""

    CODE: ClassVar[int] = EXPANDED
    SUBCODE: ClassVar[int] = 0x02

    index: int
    value: bytes

    def __post_init__(self) -> None:
        check_range("index", self.index, 0, 0xFFFF)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE]) + self.index.to_bytes(2, "big") + self.value

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        need(apdu, 5, "Update NV by index")
        return cls(int.from_bytes(apdu[2:4], "big"), apdu[4:])


@dataclass(frozen=True, slots=True)
class UpdateDomainNoKey:
    """60 07: index(8), the first 9 octets of a domain row; the key of the row stays."""

    CODE: ClassVar[int] = EXPANDED
    SUBCODE: ClassVar[int] = 0x07

    index: int
    entry: DomainEntry | None

    def encode(self) -> bytes:
        """The whole APDU."""
        row = b"\xff" * ROW_WITHOUT_KEY if self.entry is None else self.entry.encode()[:ROW_WITHOUT_KEY]
        return bytes([self.CODE, self.SUBCODE, self.index]) + row

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; octets behind the row are ignored (grade B)."""
        need(apdu, 3 + ROW_WITHOUT_KEY, "Update Domain without key")
        return cls(apdu[2], DomainEntry.decode(apdu[3 : 3 + ROW_WITHOUT_KEY] + bytes(DomainEntry.KEY_LENGTH)))


class QueryDomainNoKey(IndexedRequest):
    """60 08: ask for a row of the domain table without its key."""

    __slots__ = ()
    CODE = EXPANDED
    SUBCODE = 0x08


class QueryKey(PlainRequest):
    """60 09: ask for the keys of both domain rows, 12 octets."""

    __slots__ = ()
    CODE = EXPANDED
    SUBCODE = 0x09


@dataclass(frozen=True, slots=True)
class UpdateOmaKey:
    """60 0A: increment(8) octets[12]; add to the keys of both rows, or with increment False replace them."""

    CODE: ClassVar[int] = EXPANDED
    SUBCODE: ClassVar[int] = 0x0A

    increment: bool
    octets: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_length("key", self.octets, OMA_KEY_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE, self.increment]) + self.octets

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; an increment flag other than 1 means replace, octets behind the key are ignored (grade B)."""
        need(apdu, 3 + OMA_KEY_LENGTH, "Update Key of 96 bits")
        return cls(apdu[2] == 1, apdu[3 : 3 + OMA_KEY_LENGTH])


@dataclass(frozen=True, slots=True)
class InitConfig:
    """60 0F: length(8) bits[length]; unbind everything, and ask for authentication of the variables whose bit is set.

    Bit i stands for variable i, counted from the least significant bit of the first octet. Variables behind the last
    bit take the value of the last one; with length 0 none is authenticated (grade B).
    """

    CODE: ClassVar[int] = EXPANDED
    SUBCODE: ClassVar[int] = 0x0F

    bits: bytes = b""

    def authenticated(self, index: int) -> bool:
        """Whether variable `index` shall be authenticated."""
        if not self.bits:
            return False
        index = min(index, 8 * len(self.bits) - 1)
        return bool(self.bits[index // 8] >> index % 8 & 1)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE, len(self.bits)]) + self.bits

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        need(apdu, 3, "Init Config")
        return cls(take(apdu[3:], apdu[2], "bits of Init Config"))


@dataclass(frozen=True, slots=True)
class _WideIndexed:
    """Sub-command of the index of a row in 16 bits."""

    CODE: ClassVar[int] = EXPANDED
    SUBCODE: ClassVar[int]

    index: int

    def __post_init__(self) -> None:
        check_range("index", self.index, 0, 0xFFFF)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE]) + self.index.to_bytes(2, "big")

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        return cls(int.from_bytes(take(apdu, 4, cls.__name__)[2:], "big"))


@dataclass(frozen=True, slots=True)
class _WideRow(_WideIndexed):
    """Sub-command of the index of a row in 16 bits, and the row itself in its extended form."""

    row: VariableConfig | AliasConfig

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.SUBCODE]) + self.index.to_bytes(2, "big") + self.row.encode(extended=True)

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        need(apdu, 4, cls.__name__)
        return cls(int.from_bytes(apdu[2:4], "big"), cls._row(apdu[4:]))

    @staticmethod
    def _row(octets: bytes) -> VariableConfig | AliasConfig:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class UpdateVariableRow(_WideRow):
    """60 11: index(16) row[4] of the network variable table in its extended form.

    A row of 3 octets is accepted as well, as the stack read for this does (grade B).
    """

    SUBCODE = 0x11

    row: VariableConfig

    @staticmethod
    def _row(octets: bytes) -> VariableConfig:
        return VariableConfig.decode(octets)


class QueryVariableRow(_WideIndexed):
    """60 12: ask for a row of the network variable table in its extended form."""

    __slots__ = ()
    SUBCODE = 0x12


@dataclass(frozen=True, slots=True)
class UpdateAliasRow(_WideRow):
    """60 13: index(16) row[6] of the alias table in its extended form; the index counts from its first row."""

    SUBCODE = 0x13

    row: AliasConfig

    @staticmethod
    def _row(octets: bytes) -> AliasConfig:
        return AliasConfig.decode_extended(octets)


class QueryAliasRow(_WideIndexed):
    """60 14: ask for a row of the alias table in its extended form."""

    __slots__ = ()
    SUBCODE = 0x14


class QueryAddressMapping(PlainRequest):
    """60 18: ask for the periods of LON/IP address announcements: two 32-bit numbers, s."""

    __slots__ = ()
    CODE = EXPANDED
    SUBCODE = 0x18


class QueryIpAddress(PlainRequest):
    """60 19: ask for the IP address of a LON/IP node."""

    __slots__ = ()
    CODE = EXPANDED
    SUBCODE = 0x19


@dataclass(frozen=True, slots=True)
class CapabilityReport:
    """Response to Query Version: 20 01 version(8) capabilities(16)."""

    SUBCODE: ClassVar[int] = 0x01

    version: int
    capabilities: Capability

    def encode(self) -> bytes:
        """Octets behind the sub-command."""
        return bytes([self.version]) + int(self.capabilities).to_bytes(2, "big")

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From the octets behind the sub-command; unknown bits are kept."""
        take(octets, 3, "capability report")
        return cls(octets[0], Capability(int.from_bytes(octets[1:], "big")))


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Response to the key query: 12 octets, never shown by `repr`."""

    octets: bytes = field(repr=False)

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From the octets behind the sub-command."""
        return cls(take(octets, OMA_KEY_LENGTH, "key report"))


@dataclass(frozen=True, slots=True)
class AddressMappingReport:
    """Response to 60 18: how often a LON/IP node announces its address and when it forgets others', s; 0 for never."""

    announce_s: int = 0
    forget_s: int = 0

    def encode(self) -> bytes:
        """Octets behind the sub-command."""
        return self.announce_s.to_bytes(4, "big") + self.forget_s.to_bytes(4, "big")

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From the octets behind the sub-command."""
        take(octets, 8, "address mapping report")
        return cls(int.from_bytes(octets[:4], "big"), int.from_bytes(octets[4:], "big"))


def without_key(entry: DomainEntry) -> DomainEntry:
    """A domain row as it travels without its key."""
    return replace(entry, key=bytes(DomainEntry.KEY_LENGTH))


def decode_domain_without_key(octets: bytes) -> DomainEntry | None:
    """Answer to 60 08, behind the sub-command."""
    if len(octets) != ROW_WITHOUT_KEY:
        raise TruncatedPdu(f"domain row without key needs {ROW_WITHOUT_KEY} octets, got {len(octets)}")
    return DomainEntry.decode(octets + bytes(DomainEntry.KEY_LENGTH))
