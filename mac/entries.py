"""Rows of a node's domain table and address table, as network management reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Self

from . import timers
from .address import (
    DOMAIN_LENGTHS,
    MAX_GROUP,
    MAX_MEMBER,
    MAX_NODE,
    MAX_SUBNET,
    DomainId,
    SubnetNode,
    check_length,
    check_range,
    subnet_node,
)
from .errors import MalformedPdu, TruncatedPdu

_ID_FIELD: Final = 6  # octets reserved for the domain id, whatever its length
_NONCLONE: Final = 0x80
_INVALID: Final = 0x80
_LS_MODE: Final = 0x40
_DHCP: Final = 0x20
_GROUP_ROW: Final = 0x80


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """One row of the domain table.                            ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0..5   domain id, left aligned, zero padded
              6      subnet
              7      NONCLONE(1) node(7)
              8      INVALID(1) LSMODE(1) DHCP(1) authentication type(2) domain id length(3)
              9..14  key

    Args:
        domain: domain id.
        subnet: 1..255; 0 while not assigned.    node: 1..127; 0 while not assigned.
        key: 6 octets of the authentication key; never shown by `repr`.
        nonclone: the address belongs to this node alone.
        authentication_type: 0 standard, 1 OMA.
        ls_mode, dhcp: flags of LON/IP; kept, without effect here.
    """

    LENGTH: ClassVar[int] = 15
    KEY_LENGTH: ClassVar[int] = 6

    domain: DomainId
    subnet: int
    node: int
    key: bytes = field(default=bytes(6), repr=False)
    nonclone: bool = True
    authentication_type: int = 0
    ls_mode: bool = False
    dhcp: bool = False

    def __post_init__(self) -> None:
        check_range("subnet", self.subnet, 0, MAX_SUBNET)
        check_range("node", self.node, 0, MAX_NODE)
        check_range("authentication_type", self.authentication_type, 0, 3)
        check_length("key", self.key, self.KEY_LENGTH)

    @property
    def address(self) -> SubnetNode:
        """Subnet and node as one value."""
        return subnet_node(self.subnet, self.node)

    def with_key(self, key: bytes) -> Self:
        """The same row with another key."""
        return replace(self, key=key)

    def encode(self) -> bytes:
        """15 octets."""
        modes = (_LS_MODE if self.ls_mode else 0) | (_DHCP if self.dhcp else 0)
        flags = modes | self.authentication_type << 3 | len(self.domain.octets)
        address = bytes([self.subnet, (_NONCLONE if self.nonclone else 0) | self.node, flags])
        return self.domain.octets.ljust(_ID_FIELD, b"\0") + address + self.key

    @classmethod
    def decode(cls, octets: bytes) -> Self | None:
        """From 15 octets; None for a row marked invalid."""
        if len(octets) != cls.LENGTH:
            raise TruncatedPdu(f"domain row needs {cls.LENGTH} octets, got {len(octets)}")
        flags = octets[8]
        if flags & _INVALID:
            return None
        length = flags & 7
        if length not in DOMAIN_LENGTHS:
            raise MalformedPdu(f"domain id length must be 0, 1, 3 or 6, got {length}")
        node = octets[7]
        return cls(
            DomainId(octets[:length]),
            subnet=octets[6],
            node=node & MAX_NODE,
            key=octets[9:],
            nonclone=bool(node & _NONCLONE),
            authentication_type=flags >> 3 & 3,
            ls_mode=bool(flags & _LS_MODE),
            dhcp=bool(flags & _DHCP),
        )


BLANK_DOMAIN: Final = b"\xff" * DomainEntry.LENGTH  # a left or never used row (grade B)


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """Membership of a group: a group row of the address table.        ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  1(1) size(7)
              1  domain index(1) member(7)
              2  repeat timer code(4) retries(4)
              3  receive timer code(4) transmit timer code(4)
              4  group

    Args:
        group: 0..255.    size: members, 0 (open group)..64.    member: own number 0..63.
        domain_index: row 0 or 1 of the domain table.
        retries: 0..15.   repeat_code, receive_code, transmit_code: timer codes 0..15, see `timers`.
    """

    LENGTH: ClassVar[int] = 5

    group: int
    size: int
    member: int
    domain_index: int = 0
    retries: int = timers.DEFAULT_RETRIES
    repeat_code: int = timers.DEFAULT_REPEAT_CODE
    receive_code: int = timers.DEFAULT_RECEIVE_CODE
    transmit_code: int = timers.DEFAULT_REQUEST_CODE

    def __post_init__(self) -> None:
        check_range("group", self.group, 0, MAX_GROUP)
        check_range("group size", self.size, 0, MAX_MEMBER + 1)
        check_range("member", self.member, 0, MAX_MEMBER)
        check_range("domain_index", self.domain_index, 0, 1)
        for name in ("retries", "repeat_code", "receive_code", "transmit_code"):
            check_range(name, getattr(self, name), 0, 15)

    def encode(self) -> bytes:
        """5 octets."""
        return bytes(
            [
                _GROUP_ROW | self.size,
                self.domain_index << 7 | self.member,
                self.repeat_code << 4 | self.retries,
                self.receive_code << 4 | self.transmit_code,
                self.group,
            ]
        )

    @classmethod
    def decode(cls, octets: bytes) -> Self | None:
        """From 5 octets; None for a row of another kind, or with impossible numbers."""
        if len(octets) != cls.LENGTH:
            raise TruncatedPdu(f"address row needs {cls.LENGTH} octets, got {len(octets)}")
        kind, member, repeat, codes, group = octets
        size = kind & 0x7F
        if not kind & _GROUP_ROW or size > MAX_MEMBER + 1 or member & 0x7F > MAX_MEMBER:
            return None
        return cls(group, size, member & 0x7F, member >> 7, repeat & 15, repeat >> 4, codes >> 4, codes & 15)
