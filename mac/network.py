"""Network layer: which packets are for this node, and from which address it answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from .address import (
    NO_ADDRESS,
    Broadcast,
    Destination,
    DomainId,
    Group,
    GroupReply,
    SubnetNode,
    UniqueId,
    check_range,
)
from .apdu import Apdu
from .authentication import BLANK_KEY, AuthenticationKeys
from .entries import DomainEntry, GroupEntry
from .errors import DecodeError, DropReason, LocalProtocolError
from .link import LinkLayer
from .lpdu import Lpdu, LpduHeader, decode_lpdu
from .npdu import NORMAL_VERSION, EnclosedPdu, Npdu
from .statistics import Statistics

DOMAIN_TABLE_SIZE: Final = 2
SERVICE_MESSAGE_CODE: Final = 0x7F
# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_NOT_ADDRESSED: Final = DropReason.NOT_ADDRESSED


class OverheardPacket(NamedTuple):
    """What decides why a packet that is not for a node goes no further there: its domain, and whether it names a unique id."""

    domain: bytes
    by_unique_id: bool


Overheard = OverheardPacket | DropReason


def overheard(octets: bytes) -> Overheard:
    """How a frame counts at a node that it is not addressed to and whose address is not its source.

    A broadcast is addressed to everybody. The frame is an LPDU without CRC; one that cannot be decoded is its `DropReason`.
    """
    try:
        npdu = decode_lpdu(octets).npdu
    except DecodeError as error:
        return error.reason
    return OverheardPacket(npdu.domain.octets, type(npdu.destination) is UniqueId)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet for this node.

    Args:
        npdu: the packet.    header: link header it came with.
        domain_index: row of the domain table, None on a "flex" domain, one that is not in the table.
        own_address: our source address for answers, 0/0 on a flex domain.
        member: the group row through which a multicast was accepted.
        authenticated: the sender has shown that it knows the key of the domain.
    """

    npdu: Npdu
    header: LpduHeader
    domain_index: int | None
    own_address: SubnetNode
    member: GroupEntry | None = None
    authenticated: bool = False

    @property
    def key(self) -> bytes:
        """What tells transactions of different senders apart: priority, domain, address format and addresses."""
        to = self.npdu.destination
        return self.key_of(to.FORMAT, to.subnet if type(to) is Broadcast else to.group if type(to) is Group else 0)

    def key_of(self, address_format: int, part: int) -> bytes:
        """The same for a message of this sender in some format; part: the subnet of a broadcast, the group of a multicast."""
        npdu = self.npdu
        start = self.header.priority, address_format, npdu.source.subnet, npdu.source.node, part
        return bytes(start) + npdu.domain.octets

    @property
    def answer_destination(self) -> SubnetNode | GroupReply:
        """Where an answer goes: format 2a to the source, or 2b after a multicast."""
        if self.member is None:
            return self.npdu.source
        return GroupReply(self.npdu.source, self.member.group, self.member.member)


class NetworkLayer:
    """Domain table, group table and the receive rules.

    Args:
        unique_node_id: 6 octets.
        domains: rows of the domain table, at most two; None is an empty row.
        groups: group memberships.
        link: the layer below.
        statistics: counters to keep.
        hear_service_messages: accept service messages of any domain even when configured. The receive rules would
            drop them; a concentrator wants them (our choice, grade D).

    Attributes:
        configured: an unconfigured node listens to broadcasts and its unique id only, and answers without address.
        spare_keys: keys of rows that are blank; OMA uses both keys even when only one row is in use.
    """

    def __init__(
        self,
        unique_node_id: bytes,
        domains: tuple[DomainEntry | None, ...],
        groups: tuple[GroupEntry, ...],
        link: LinkLayer,
        statistics: Statistics,
        hear_service_messages: bool,
    ) -> None:
        self.unique_node_id = unique_node_id
        self.domains: list[DomainEntry | None] = [*domains, *[None] * (DOMAIN_TABLE_SIZE - len(domains))]
        self.groups = list(groups)
        self.configured = False
        self.spare_keys: list[bytes] = [BLANK_KEY] * DOMAIN_TABLE_SIZE
        self._link = link
        self._statistics = statistics
        self._hear_service_messages = hear_service_messages

    @property
    def keys(self) -> AuthenticationKeys:
        """Keys of both rows of the domain table."""
        first, second = (
            spare if entry is None else entry.key for entry, spare in zip(self.domains, self.spare_keys, strict=True)
        )
        return AuthenticationKeys((first, second))

    def domain_index(self, domain: DomainId) -> int | None:
        """Row of `domain` in the table of a configured node."""
        return self._row_of(domain.octets)

    def _row_of(self, domain: bytes) -> int | None:
        if self.configured:
            for index, entry in enumerate(self.domains):
                if entry is not None and entry.domain.octets == domain:
                    return index
        return None

    @property
    def groups(self) -> list[GroupEntry]:
        """Group memberships; assign a new list to change them."""
        return self._groups

    @groups.setter
    def groups(self, groups: list[GroupEntry]) -> None:
        self._groups = groups
        self._members: dict[tuple[int, int], GroupEntry] = {}
        for entry in groups:
            known = self._members.setdefault((entry.group, entry.domain_index), entry)
            if entry.receive_code > known.receive_code:  # of several rows the longest receive timer counts (grade B)
                self._members[entry.group, entry.domain_index] = replace(known, receive_code=entry.receive_code)

    def group_entry(self, group: int, domain_index: int) -> GroupEntry | None:
        """Our membership of a group."""
        return self._members.get((group, domain_index))

    def is_member(self, group: int, domain_index: int) -> bool:
        """Whether we belong to a group."""
        return self.group_entry(group, domain_index) is not None

    def resolve_domain(self, domain: int | DomainId) -> tuple[int | None, DomainId, SubnetNode]:
        """Row, domain id and source address to send with; row None and source 0/0 on a domain that is not ours."""
        if isinstance(domain, DomainId):
            index = self.domain_index(domain)
            if index is None:
                return None, domain, NO_ADDRESS
        else:
            check_range("domain", domain, 0, DOMAIN_TABLE_SIZE - 1)
            index = domain
        entry = self.domains[index]
        if entry is None:
            raise LocalProtocolError(f"row {index} of the domain table is blank")
        return index, entry.domain, entry.address

    def resolve_group(self, destination: Destination, domain_index: int | None) -> tuple[int, int | None]:
        """Size of the addressed group and our member number in it; 0 and None where there is none."""
        if not isinstance(destination, Group):
            return 0, None
        entry = None if domain_index is None else self.group_entry(destination.group, domain_index)
        if entry is None:
            return destination.size, None
        return destination.size or entry.size, entry.member

    def receive(self, lpdu: Lpdu) -> Arrival | None:
        """Apply the receive rules; None when the packet is not for us."""
        npdu = lpdu.npdu
        index = self.domain_index(npdu.domain)
        entry = None if index is None else self.domains[index]
        own_address = NO_ADDRESS if entry is None else entry.address
        member = None
        if type(npdu.destination) is Group and index is not None:
            member = self.group_entry(npdu.destination.group, index)
        arrival = Arrival(npdu, lpdu.header, index, own_address, member)
        reason = self._refusal(arrival, entry)
        if reason is not None:
            self._statistics.drops[reason] += 1
            return None
        self._statistics.l3_received += 1
        return arrival

    def overhear(self, packets: Iterable[tuple[Overheard, int]]) -> None:
        """Count packets that were for others, as `receive` would have done one by one; see `overheard`."""
        for packet, number in packets:
            self._statistics.drops[packet if isinstance(packet, DropReason) else self._not_for_us(packet)] += number

    def _not_for_us(self, packet: OverheardPacket) -> DropReason:
        if packet.by_unique_id or not self.configured or self._row_of(packet.domain) is not None:
            return _NOT_ADDRESSED
        return DropReason.FOREIGN_DOMAIN

    def send(
        self,
        source: SubnetNode,
        destination: Destination,
        domain: DomainId,
        pdu: EnclosedPdu,
        header: LpduHeader,
        now: float,
        ticket: Hashable | None = None,
        version: int = NORMAL_VERSION,
    ) -> None:
        """Hand a packet of our own to the link layer."""
        self._statistics.l3_transmitted += 1
        self._link.submit(Lpdu(header, Npdu(source, destination, domain, pdu, version)), ticket, now)

    def answer(self, arrival: Arrival, source: SubnetNode, pdu: EnclosedPdu, now: float, ticket: Hashable) -> None:
        """Send an answer the way its message came: same priority, path, version and domain; it causes no backlog.

        An answer with this ticket that still waits for the line is replaced: two copies would help nobody.
        """
        self._statistics.l3_transmitted += 1
        header = LpduHeader(arrival.header.priority, arrival.header.alt_path, 0)
        npdu = Npdu(source, arrival.answer_destination, arrival.npdu.domain, pdu, arrival.npdu.version)
        if not self._link.replace(Lpdu(header, npdu), ticket, now):
            self._statistics.lost += 1
            self._statistics.drops[DropReason.NO_OUTPUT_BUFFER] += 1

    def _refusal(self, arrival: Arrival, entry: DomainEntry | None) -> DropReason | None:
        npdu = arrival.npdu
        kind = type(npdu.destination)
        if entry is None:
            if kind is Broadcast and self.configured and not self._is_service_message(npdu):
                return DropReason.FOREIGN_DOMAIN
            if kind is not Broadcast and kind is not UniqueId:
                return DropReason.FOREIGN_DOMAIN if self.configured else _NOT_ADDRESSED
        elif arrival.domain_index == 0 and entry.nonclone and npdu.source == entry.address:
            return DropReason.OWN_SOURCE  # checked on row 0 only; a clone shares its address (grade B)
        elif not entry.nonclone and (kind is SubnetNode or kind is GroupReply):
            return _NOT_ADDRESSED  # the address of a clone names nobody (grade L)
        return None if self._accepts(arrival) else _NOT_ADDRESSED

    def _is_service_message(self, npdu: Npdu) -> bool:
        return self._hear_service_messages and isinstance(npdu.pdu, Apdu) and npdu.pdu.code == SERVICE_MESSAGE_CODE

    def _accepts(self, arrival: Arrival) -> bool:
        match arrival.npdu.destination:
            case Broadcast(subnet):
                # Without an address there is no own subnet; such a node hears every broadcast (grade L).
                return subnet == 0 or arrival.domain_index is None or subnet == arrival.own_address.subnet
            case Group():
                return arrival.member is not None
            case SubnetNode() as address:
                return address == arrival.own_address
            case GroupReply(address, group):
                index = arrival.domain_index
                return address == arrival.own_address and index is not None and self.is_member(group, index)
            case UniqueId(unique_node_id):
                return unique_node_id == self.unique_node_id
