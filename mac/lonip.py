"""LON/IP over UDP and IPv4: LPDUs to datagrams and back, octets only.           grades L (live peer) and B, see each

The domain, the source and, for unicast, the destination of a packet move into the IP addresses:

        octet 0  version(4: 0, or 1 for 12-bit transaction numbers) 0(3) arbitrary source(1)
              1  address format(4) backlog follows(1) priority(1) PDU type(2)
        [backlog(8)]          low six bits: delta backlog
        [source block]        subnet(8) domain follows(1) node(7) [domain length code(8) domain id]
        [destination]         by address format
        PDU                   as in the NPDU, behind the domain

    format  meaning               enclosed                              sent to
    0       unique id unicast     -                                     IPv6 only, refused here
    1       subnet/node           -                                     the address derived from it
    2       domain broadcast      -                                     239.192.0.0
    3       subnet broadcast      subnet                                239.192.0.subnet
    4       group                 group                                 239.192.1.group
    5       group response        group, member                         the derived address of the requester
    6       unique id             routing subnet, id[6]                 239.192.0.0
    7       explicit subnet/node  subnet, node, and with bit 7 of it    the address it was heard from; a node never heard
                                  group, member                         of: 239.192.0.subnet

The alternate path is lost on the way, and the delta backlog where none is announced.
ISO/IEC 14908-7, clause unverified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from importlib.resources import files
from pathlib import Path
from typing import Final

from .address import DOMAIN_LENGTHS, NO_ADDRESS, NODE_MARK, DomainId, SubnetNode, check_length
from .entries import DomainEntry
from .errors import TruncatedPdu, UnknownPdu
from .lonip_npdu import Kind, NpduParts
from .management.expanded import AddressMappingReport

UDP_PORT: Final = 2541
MULTICAST_TTL: Final = 32
MIN_DATAGRAM: Final = 3
ADDRESS_LENGTH: Final = 4
MAX_KNOWN_PEERS: Final = 4096  # addresses remembered; the oldest makes room (our choice, grade D)

_MULTICAST_PREFIX: Final = bytes([239, 192])
_TO_SUBNET, _TO_GROUP = 0, 1  # third octet of a multicast address
_ZERO_LENGTH_PREFIX: Final = bytes([192, 168])
_ONE_OCTET_PREFIX: Final = 10
_ENHANCED: Final = 1
_ARBITRARY: Final = 0x01
_BACKLOG: Final = 0x08
_PRIORITY: Final = 0x04
_DOMAIN_FOLLOWS: Final = 0x80
_MEMBER_FOLLOWS: Final = 0x80
_APDU: Final = 3
_ANNOUNCEMENTS: Final = 0x60  # APDU code; the next octet says which


class Announcement(IntEnum):
    """What follows the code of an address announcement."""

    DEVICE = 0x15  # the source uses the IPv4 address it sends from
    SUBNETS = 0x16  # set(8) map[32]: which subnets use derived addresses
    TIMERS = 0x17  # announce seconds(32) 0(16) forget seconds(32)


class AddressFormat(IntEnum):
    """Address formats of a datagram."""

    UNIQUE_ID_UNICAST = 0
    SUBNET_NODE = 1
    DOMAIN_BROADCAST = 2
    SUBNET_BROADCAST = 3
    GROUP = 4
    GROUP_RESPONSE = 5
    UNIQUE_ID = 6
    EXPLICIT_SUBNET_NODE = 7


@dataclass(frozen=True, slots=True)
class LonIpDatagram:
    """What to send.

    Args:
        payload: octets of the UDP datagram.
        to: 4 octets of the IPv4 address it goes to, on port 2541.
    """

    payload: bytes
    to: bytes


def derived_address(domain: DomainId, address: SubnetNode) -> bytes | None:
    """IPv4 address that belongs to a subnet/node; None for domains that have none (six octets, or a third one not 0).

    Without a subnet or node the form of the zero-length domain is used (grade B).
    """
    tail = bytes([address.subnet, address.node])
    if 0 in tail or not domain.octets:
        return _ZERO_LENGTH_PREFIX + tail
    prefix = _prefix(domain)
    return None if prefix is None else prefix + tail


def _prefix(domain: DomainId) -> bytes | None:
    octets = domain.octets
    if not octets:
        return _ZERO_LENGTH_PREFIX
    if len(octets) == 1:
        return bytes([_ONE_OCTET_PREFIX]) + octets
    if len(octets) == 3 and octets[2] == 0 and octets[0] != _ONE_OCTET_PREFIX and octets[:2] != _ZERO_LENGTH_PREFIX:
        return octets[:2]
    return None


def domain_of(address: bytes) -> DomainId:
    """Domain that an IPv4 address stands for: its prefix decides the length."""
    if address[:2] == _ZERO_LENGTH_PREFIX:
        return DomainId()
    if address[0] == _ONE_OCTET_PREFIX:
        return DomainId(address[1:2])
    return DomainId(address[:2] + b"\0")


def subnet_node_of(address: bytes) -> SubnetNode:
    """Subnet/node that an IPv4 address stands for; of the node, seven bits."""
    return SubnetNode(address[2], address[3] & ~NODE_MARK)


def subnet_multicast(subnet: int) -> bytes:
    """Address of all nodes of a subnet; subnet 0: of a domain."""
    return _MULTICAST_PREFIX + bytes([_TO_SUBNET, subnet])


def group_multicast(group: int) -> bytes:
    """Address of a group."""
    return _MULTICAST_PREFIX + bytes([_TO_GROUP, group])


def memberships(domains: Iterable[DomainEntry | None], groups: Iterable[int]) -> frozenset[bytes]:
    """Multicast addresses a node must listen to: its domain, its subnets, its groups."""
    subnets = {entry.subnet for entry in domains if entry is not None}
    return frozenset({subnet_multicast(0), *map(subnet_multicast, subnets), *map(group_multicast, groups)})


def lonip_channel() -> Path:
    """The channel of LON/IP, for `ChannelTiming.load`: no medium access."""
    return Path(str(files(__package__) / "spec" / "lonip.toml"))


class LonIpLink:
    """The link of one LON/IP node: its address, and what it knows of the addresses of others.

    Args:
        address: 4 octets of its own IPv4 address.

    Attributes:
        own: subnet/node of row 0 of the domain table, the destination of formats 1 and 5; 0/0 when there is none.
        domain: of that row, for announcements.
        mapping: periods of address announcements, as the network set them; none are sent before.
    """

    def __init__(self, address: bytes) -> None:
        check_length("IPv4 address", address, ADDRESS_LENGTH)
        self.address: Final = address
        self.own = NO_ADDRESS
        self.domain = DomainId()
        self.mapping = AddressMappingReport()
        # (domain, subnet, node) -> arbitrary address, None: the derived one
        self._peers: dict[tuple[bytes, int, int], bytes | None] = {}
        self._forget_at: float | None = None
        self._announce_at: float | None = None

    def next_timer(self) -> float | None:
        """When to call `on_timer`."""
        return min((at for at in (self._forget_at, self._announce_at) if at is not None), default=None)

    def on_timer(self, now: float) -> list[LonIpDatagram]:
        """Forget the addresses of others when their time is over; returns our announcement when it is time for one."""
        if self._forget_at is not None and self._forget_at <= now:
            self._peers.clear()
            self._forget_at = now + self.mapping.forget_s
        if self._announce_at is None or self._announce_at > now:
            return []
        self._announce_at = now + self.mapping.announce_s
        return [] if self.own == NO_ADDRESS else [self._announcement()]

    def _announcement(self) -> LonIpDatagram:
        """To all of the domain: this subnet/node uses the address the datagram comes from (grade B)."""
        pdu = bytes([_ANNOUNCEMENTS, Announcement.DEVICE])
        parts = NpduParts(False, 0, False, _APDU, "broadcast", self.own, b"\0", self.domain, pdu)
        return self.encode(parts.join())

    # --- out ----------------------------------------------------------------------------------------------------

    def encode(self, lpdu: bytes) -> LonIpDatagram:
        """An LPDU without CRC as a datagram; raises `DecodeError` for octets that are none."""
        parts = NpduParts.split(lpdu)
        flags = (_PRIORITY if parts.priority else 0) | parts.pdu_type
        to, address_format, enclosed = self._destination(parts)
        backlog = b""
        if address_format in _MULTICAST_FORMATS and parts.expects_answers:
            flags |= _BACKLOG
            backlog = bytes([parts.delta_backlog])
        source = self._source_block(parts)
        first = (_ENHANCED if parts.enhanced else 0) << 4 | (_ARBITRARY if source else 0)
        payload = bytes([first, address_format << 4 | flags]) + backlog + source + enclosed + parts.pdu
        return LonIpDatagram(payload, to)

    def _destination(self, parts: NpduParts) -> tuple[bytes, AddressFormat, bytes]:
        octets = parts.destination
        match parts.kind:
            case "broadcast" if octets[0] == 0:
                return subnet_multicast(0), AddressFormat.DOMAIN_BROADCAST, b""
            case "broadcast":
                return subnet_multicast(octets[0]), AddressFormat.SUBNET_BROADCAST, octets
            case "group":
                return group_multicast(octets[0]), AddressFormat.GROUP, octets
            case "unique_id":
                return subnet_multicast(0), AddressFormat.UNIQUE_ID, octets
        address = SubnetNode(octets[0], octets[1] & ~NODE_MARK)
        member = octets[2:]
        key = parts.domain.octets, address.subnet, address.node
        known = key in self._peers
        arbitrary = self._peers.get(key)
        derived = derived_address(parts.domain, address)
        if known and arbitrary is None and derived is not None:
            return derived, AddressFormat.GROUP_RESPONSE if member else AddressFormat.SUBNET_NODE, member
        explicit = bytes([address.subnet, address.node | (_MEMBER_FOLLOWS if member else 0)]) + member
        to = subnet_multicast(address.subnet) if arbitrary is None else arbitrary
        return to, AddressFormat.EXPLICIT_SUBNET_NODE, explicit

    def _source_block(self, parts: NpduParts) -> bytes:
        """Nothing when our IPv4 address says it; else subnet and node, and the domain where the address has another."""
        source = parts.source
        prefix = _prefix(parts.domain)
        if prefix is not None and derived_address(parts.domain, source) == self.address:
            return b""
        if prefix == self.address[:2]:
            return bytes([source.subnet, source.node])
        head = bytes([source.subnet, _DOMAIN_FOLLOWS | source.node, parts.domain.length_code])
        return head + parts.domain.octets

    # --- in -----------------------------------------------------------------------------------------------------

    def decode(self, payload: bytes, source_address: bytes, now: float) -> bytes | None:
        """A datagram as an LPDU without CRC; None when it was an announcement for this link.

        Raises `DecodeError`; a `TruncatedPdu` of fewer than three octets counts as a transmission error.
        """
        if len(payload) < MIN_DATAGRAM:
            raise TruncatedPdu(f"a datagram has at least {MIN_DATAGRAM} octets, got {len(payload)}")
        version, flags = payload[0] >> 4, payload[1]
        if version > _ENHANCED:
            raise UnknownPdu(f"UDP version {version} is unused")
        reader = _Reader(payload, 2)
        delta_backlog = reader.take(1)[0] & 0x3F if flags & _BACKLOG else 0
        arbitrary = bool(payload[0] & _ARBITRARY)
        domain, source = domain_of(source_address), subnet_node_of(source_address)
        if arbitrary:
            domain, source = self._read_source(reader, domain)
        kind, destination = self._read_destination(reader, flags >> 4)
        parts = NpduParts(
            priority=bool(flags & _PRIORITY),
            delta_backlog=delta_backlog,
            enhanced=version == _ENHANCED,
            pdu_type=flags & 3,
            kind=kind,
            source=source,
            destination=destination,
            domain=domain,
            pdu=reader.rest(),
        )
        if not parts.pdu:
            raise TruncatedPdu("datagram without a PDU")
        self._learn(domain, source, source_address if arbitrary else None)
        return None if self._is_announcement(parts, source_address, now) else parts.join()

    @staticmethod
    def _read_source(reader: _Reader, domain: DomainId) -> tuple[DomainId, SubnetNode]:
        subnet, node = reader.take(2)
        if node & _DOMAIN_FOLLOWS:
            domain = DomainId(reader.take(DOMAIN_LENGTHS[reader.take(1)[0] & 3]))
        return domain, SubnetNode(subnet, node & ~NODE_MARK)

    def _read_destination(self, reader: _Reader, code: int) -> tuple[Kind, bytes]:
        match code:
            case AddressFormat.SUBNET_NODE:
                return "subnet_node", self.own.encode()
            case AddressFormat.DOMAIN_BROADCAST:
                return "broadcast", b"\0"
            case AddressFormat.SUBNET_BROADCAST:
                return "broadcast", reader.take(1)
            case AddressFormat.GROUP:
                return "group", reader.take(1)
            case AddressFormat.GROUP_RESPONSE:
                return "group_reply", self.own.encode() + reader.take(2)
            case AddressFormat.UNIQUE_ID:
                return "unique_id", reader.take(7)
            case AddressFormat.EXPLICIT_SUBNET_NODE:
                subnet, node = reader.take(2)
                address = bytes([subnet, node | NODE_MARK])
                if node & _MEMBER_FOLLOWS:
                    return "group_reply", address + reader.take(2)
                return "subnet_node", address
        raise UnknownPdu(f"address format {code} is not used over IPv4")

    def _learn(self, domain: DomainId, source: SubnetNode, arbitrary: bytes | None) -> None:
        key = domain.octets, source.subnet, source.node
        if key not in self._peers and len(self._peers) >= MAX_KNOWN_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[key] = arbitrary

    def _is_announcement(self, parts: NpduParts, source_address: bytes, now: float) -> bool:
        """Take an address announcement; they are for the link and go no further."""
        pdu = parts.pdu
        if parts.pdu_type != _APDU or len(pdu) < 2 or pdu[0] != _ANNOUNCEMENTS:
            return False
        match pdu[1]:
            case Announcement.DEVICE:
                derived = derived_address(parts.domain, parts.source) == source_address
                self._learn(parts.domain, parts.source, None if derived else source_address)
            case Announcement.SUBNETS if len(pdu) >= 35:
                self._learn_subnets(parts.domain, bool(pdu[2]), pdu[3:35])
            case Announcement.TIMERS if len(pdu) >= 12:
                self.mapping = AddressMappingReport(int.from_bytes(pdu[2:6], "big"), int.from_bytes(pdu[8:12], "big"))
                self._forget_at = now + self.mapping.forget_s if self.mapping.forget_s else None
                self._announce_at = now + self.mapping.announce_s if self.mapping.announce_s else None
            case _:
                return False
        return True

    def _learn_subnets(self, domain: DomainId, derived: bool, bits: bytes) -> None:
        """Bit s, counted from the first octet's most significant bit: nodes of subnet s do, or do not, use derived addresses."""
        for key in [key for key in self._peers if key[0] == domain.octets and bits[key[1] // 8] & 0x80 >> key[1] % 8]:
            if derived:
                self._peers[key] = None
            else:
                del self._peers[key]


_MULTICAST_FORMATS: Final = frozenset(
    {AddressFormat.DOMAIN_BROADCAST, AddressFormat.SUBNET_BROADCAST, AddressFormat.GROUP}
)


class _Reader:
    """Takes fields off the front of a datagram."""

    def __init__(self, octets: bytes, start: int) -> None:
        self._octets = octets
        self._at = start

    def take(self, length: int) -> bytes:
        part = self._octets[self._at : self._at + length]
        if len(part) < length:
            raise TruncatedPdu("datagram ends inside its header")
        self._at += length
        return part

    def rest(self) -> bytes:
        return self._octets[self._at :]
