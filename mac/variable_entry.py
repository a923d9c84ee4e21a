"""Rows of the network variable table and of the alias table, as network management reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar, Final, Self

from .address import check_range
from .errors import MalformedPdu, TruncatedPdu

UNBOUND_FIRST: Final = 0x3000  # selectors from here on mean "not connected"; ISO/IEC 14908-1, clause unverified (grade B)
UNBOUND_LAST: Final = 0x3FFF
NO_ADDRESS_ROW: Final = 15  # address index that stands for none, as a 4-bit field has it (grade B)
UNUSED_ALIAS: Final = 0xFFFF
_SHORT_ESCAPE: Final = 0xFF  # in the short form of an alias row: its primary follows in 16 bits


class Direction(IntEnum):
    """Whether a network variable takes values from the network or gives them to it."""

    INPUT = 0
    OUTPUT = 1


class VariableService(IntEnum):
    """Service code by which an output variable is sent."""

    ACKNOWLEDGED = 0
    REPEATED = 1
    UNACKNOWLEDGED = 2


@dataclass(frozen=True, slots=True)
class VariableConfig:
    """One row of the network variable table.                 ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  priority(1) direction(1) selector, high bits(6)
              1  selector, low bits
              2  turnaround(1) service(2) authenticated(1) address index, low bits(4)
        extended form only:
              3  address index, high bits(4) 0(4)

    Args:
        selector: 0..0x3FFF, what connects variables; from 0x3000 on the variable is not connected.
        direction: input or output.
        address_index: row of the address table to send to, 15 for none (0..255 in the extended form).
        service: of an output.    authenticated: only believe, or send, authenticated messages.
        priority: send in the priority class.    turnaround: connected to a variable of the same node.
    """

    LENGTH: ClassVar[int] = 3
    EXTENDED_LENGTH: ClassVar[int] = 4

    selector: int
    direction: Direction = Direction.INPUT
    address_index: int = NO_ADDRESS_ROW
    service: VariableService = VariableService.ACKNOWLEDGED
    authenticated: bool = False
    priority: bool = False
    turnaround: bool = False

    def __post_init__(self) -> None:
        check_range("selector", self.selector, 0, UNBOUND_LAST)
        check_range("address_index", self.address_index, 0, 255)

    @property
    def bound(self) -> bool:
        """Whether the variable is connected."""
        return self.selector < UNBOUND_FIRST

    @property
    def address_row(self) -> int | None:
        """Row of the address table, None for none."""
        return None if self.address_index == NO_ADDRESS_ROW else self.address_index

    def with_selector(self, selector: int) -> Self:
        """The same row with another selector."""
        return replace(self, selector=selector)

    def encode(self, extended: bool = False) -> bytes:
        """3 octets, or 4 in the extended form. The short form has room for the low four bits of the address index."""
        head = bytes([self.priority << 7 | self.direction << 6 | self.selector >> 8, self.selector & 0xFF])
        flags = self.turnaround << 7 | self.service << 5 | self.authenticated << 4 | self.address_index & 15
        return head + bytes([flags, self.address_index & 0xF0] if extended else [flags])

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From 3 or 4 octets."""
        if len(octets) not in (cls.LENGTH, cls.EXTENDED_LENGTH):
            raise TruncatedPdu(f"network variable row has {cls.LENGTH} or {cls.EXTENDED_LENGTH} octets, got {len(octets)}")
        service = octets[2] >> 5 & 3
        if service not in list(VariableService):
            raise MalformedPdu(f"service code {service} of a network variable is unused")
        high = octets[3] & 0xF0 if len(octets) == cls.EXTENDED_LENGTH else 0
        return cls(
            (octets[0] & 0x3F) << 8 | octets[1],
            Direction(octets[0] >> 6 & 1),
            high | octets[2] & 15,
            VariableService(service),
            bool(octets[2] & 0x10),
            bool(octets[0] & 0x80),
            bool(octets[2] & 0x80),
        )


@dataclass(frozen=True, slots=True)
class AliasConfig:
    """One row of the alias table: a second connection of a variable.      ISO/IEC 14908-1, clause unverified (grade B)

        short form     row[3] primary(8), 0xFF: primary(16) follows
        answers        row[3] primary(8) primary(16)
        extended form  row[4] primary(16)

    Args:
        config: selector, address and service of the alias.
        primary: index of the variable it stands for, 0xFFFF: row not in use.
    """

    EXTENDED_LENGTH: ClassVar[int] = VariableConfig.EXTENDED_LENGTH + 2

    config: VariableConfig
    primary: int = UNUSED_ALIAS

    def __post_init__(self) -> None:
        check_range("primary", self.primary, 0, UNUSED_ALIAS)

    @property
    def used(self) -> bool:
        """Whether the row stands for a variable."""
        return self.primary != UNUSED_ALIAS

    def encode(self, extended: bool = False) -> bytes:
        """6 octets of either form."""
        wide = self.primary.to_bytes(2, "big")
        if extended:
            return self.config.encode(extended=True) + wide
        if self.primary < _SHORT_ESCAPE:
            return self.config.encode() + bytes([self.primary]) + UNUSED_ALIAS.to_bytes(2, "big")
        return self.config.encode() + bytes([_SHORT_ESCAPE]) + wide

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From the short form, of 4 octets or, with a 16-bit primary, 6."""
        if len(octets) not in (VariableConfig.LENGTH + 1, VariableConfig.LENGTH + 3):
            raise TruncatedPdu(f"alias row has 4 or 6 octets, got {len(octets)}")
        config, primary = VariableConfig.decode(octets[:3]), octets[3]
        if primary == _SHORT_ESCAPE:
            return cls(config, int.from_bytes(octets[4:6], "big") if len(octets) == 6 else UNUSED_ALIAS)
        return cls(config, primary)

    @classmethod
    def decode_extended(cls, octets: bytes) -> Self:
        """From the extended form."""
        if len(octets) != cls.EXTENDED_LENGTH:
            raise TruncatedPdu(f"extended alias row has {cls.EXTENDED_LENGTH} octets, got {len(octets)}")
        return cls(VariableConfig.decode(octets[:4]), int.from_bytes(octets[4:], "big"))
