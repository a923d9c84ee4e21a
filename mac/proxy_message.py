"""Messages of enhanced proxy repeating (LTEP): what repeaters remove from a message, and what its agent reads.

    4D | header | hop list | tx control | ------------ agent part -------------- |
       |        | only with hops        | SICB [key block] target address, APDU  |

Layout and meaning after two independent code bases, exercised on a live peer (grade B, L); no standard was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import ClassVar, Final, Self

from .address import MAX_MEMBER, MAX_NODE, UNIQUE_NODE_ID_LENGTH, Broadcast, Destination, Group, SubnetNode, UniqueId, check_range
from .errors import ConfigurationError, MalformedPdu, TruncatedPdu
from .events import Service
from .lpdu import MAX_DELTA_BACKLOG

PROXY_CODE: Final = 0x4D
MAX_HOPS: Final = 15
MAX_TARGET_DATA: Final = 102  # octets behind the code of the target APDU (grade B)
MIN_PAYLOAD: Final = 4  # octets behind the code; shorter messages are dropped (grade B)
KEY_INCREMENT_LENGTHS: Final = (6, 12)  # key types 0 and 1

_UNIFORM_BY_DESTINATION: Final = 0x80
_LONG_TIMER: Final = 0x40
_ALL_AGENTS: Final = 0x20
_UNIFORM_BY_SOURCE: Final = 0x10
_COUNT: Final = 0x0F
_PATH: Final = 0x80
_BACKLOG: Final = MAX_DELTA_BACKLOG

SERVICE_CODES: Final = {Service.ACKNOWLEDGED: 0, Service.REPEATED: 1, Service.UNACKNOWLEDGED: 2, Service.REQUEST: 3}
_SERVICES: Final = {code: service for service, code in SERVICE_CODES.items()}


class ProxyMode(IntEnum):
    """How the agent transmits. The modes 1 and 3 are for the transceiver; here they change nothing."""

    NORMAL = 0
    ZERO_CROSSING = 1
    ALTERNATE_KEY = 2
    ATTENUATED = 3


class TargetKind(IntEnum):
    """Three-bit type of the target address. `COMPACT` kinds leave out what the agent knows or does not need."""

    GROUP = 0  # group, size
    SUBNET_NODE = 1  # subnet, node
    UNIQUE_ID = 2  # subnet, id[6]
    BROADCAST = 3  # subnet, backlog
    GROUP_COMPACT = 4  # group of size 0: only services without acknowledgement
    NODE_OF_SENDER = 5  # node; subnet of the station that sent the message to the agent
    UNIQUE_ID_COMPACT = 6  # id[6], routing subnet 0
    NODE_OF_AGENT = 7  # node; subnet of the agent


_ADDRESS_LENGTHS: Final = {
    TargetKind.GROUP: 2,
    TargetKind.SUBNET_NODE: 2,
    TargetKind.UNIQUE_ID: 1 + UNIQUE_NODE_ID_LENGTH,
    TargetKind.BROADCAST: 2,
    TargetKind.GROUP_COMPACT: 1,
    TargetKind.NODE_OF_SENDER: 1,
    TargetKind.UNIQUE_ID_COMPACT: UNIQUE_NODE_ID_LENGTH,
    TargetKind.NODE_OF_AGENT: 1,
}


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """Whom the agent addresses.

    Args:
        kind: type of the address on the wire.
        destination: the address; of the kinds that leave the subnet to the agent only the node counts.
        backlog: answers announced by a broadcast, 0..63.
    """

    kind: TargetKind
    destination: Destination
    backlog: int = 0

    def __post_init__(self) -> None:
        check_range("backlog", self.backlog, 0, MAX_DELTA_BACKLOG)
        if not isinstance(self.destination, _DESTINATIONS[self.kind]):
            raise ConfigurationError(f"{self.destination} is no target of kind {self.kind.name}")

    def resolve(self, sender_subnet: int, own_subnet: int) -> Destination:
        """The whole address, as the agent sees it."""
        if isinstance(self.destination, SubnetNode):
            if self.kind is TargetKind.NODE_OF_SENDER:
                return SubnetNode(sender_subnet, self.destination.node)
            if self.kind is TargetKind.NODE_OF_AGENT:
                return SubnetNode(own_subnet, self.destination.node)
        return self.destination

    def encode(self) -> bytes:
        """Octets of the address."""
        match self.destination:
            case Group(group, size):
                return bytes([group] if self.kind is TargetKind.GROUP_COMPACT else [group, size])
            case Broadcast(subnet):
                return bytes([subnet, self.backlog])
            case SubnetNode(subnet, node):
                return bytes([subnet, node] if self.kind is TargetKind.SUBNET_NODE else [node])
            case UniqueId(unique_node_id, subnet):
                return (b"" if self.kind is TargetKind.UNIQUE_ID_COMPACT else bytes([subnet])) + unique_node_id

    @classmethod
    def decode(cls, kind: TargetKind, octets: bytes) -> Self:
        """From exactly the octets of this kind; raises `MalformedPdu` for a group size that cannot be."""
        match kind:
            case TargetKind.GROUP:
                if octets[1] > MAX_MEMBER + 1:
                    raise MalformedPdu(f"group size must be 0..{MAX_MEMBER + 1}, got {octets[1]}")
                return cls(kind, Group(octets[0], octets[1]))
            case TargetKind.GROUP_COMPACT:
                return cls(kind, Group(octets[0]))
            case TargetKind.SUBNET_NODE:
                return cls(kind, SubnetNode(octets[0], octets[1] & MAX_NODE))
            case TargetKind.NODE_OF_SENDER | TargetKind.NODE_OF_AGENT:
                return cls(kind, SubnetNode(0, octets[0] & MAX_NODE))
            case TargetKind.UNIQUE_ID:
                return cls(kind, UniqueId(octets[1:], octets[0]))
            case TargetKind.UNIQUE_ID_COMPACT:
                return cls(kind, UniqueId(octets))
            case TargetKind.BROADCAST:
                return cls(kind, Broadcast(octets[0]), octets[1] & _BACKLOG)


_DESTINATIONS: Final[dict[TargetKind, type]] = {
    TargetKind.GROUP: Group,
    TargetKind.SUBNET_NODE: SubnetNode,
    TargetKind.UNIQUE_ID: UniqueId,
    TargetKind.BROADCAST: Broadcast,
    TargetKind.GROUP_COMPACT: Group,
    TargetKind.NODE_OF_SENDER: SubnetNode,
    TargetKind.UNIQUE_ID_COMPACT: UniqueId,
    TargetKind.NODE_OF_AGENT: SubnetNode,
}


@dataclass(frozen=True, slots=True)
class AgentPart:
    """What the agent has to do: how, whom and what to send.

        octet 0   target kind(3) path(1) service(2) mode(2)
              1   retries(4) timer code(4)
              ..  only in mode 2: 0(6) key type(2), then 6 or 12 key increments
              ..  target address, its length by kind
              ..  target APDU up to the end of the message

    Args:
        target: the address.    apdu: the message for it, code first.
        service: how the agent sends it.
        retries: tries after the first, 0..15.    timer_code: transmit or repeat timer, 0..15.
        alternate: path of all tries.    mode: see `ProxyMode`.
        key_increment: 6 or 12 octets in mode 2, otherwise empty; added to the agent's key (mod 256 each) they give
            the target's. Never shown by `repr`.
    """

    target: TargetAddress
    apdu: bytes
    service: Service = Service.REQUEST
    retries: int = 0
    timer_code: int = 0
    alternate: bool = False
    mode: ProxyMode = ProxyMode.NORMAL
    key_increment: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        check_range("retries", self.retries, 0, 15)
        check_range("timer_code", self.timer_code, 0, 15)
        lengths = KEY_INCREMENT_LENGTHS if self.mode is ProxyMode.ALTERNATE_KEY else (0,)
        if len(self.key_increment) not in lengths:
            wanted = " or ".join(map(str, lengths))
            raise ConfigurationError(f"mode {self.mode.value} goes with {wanted} key increments, got {len(self.key_increment)}")

    def encode(self) -> bytes:
        """Octets behind header and hops."""
        sicb = self.target.kind << 5 | self.alternate << 4 | SERVICE_CODES[self.service] << 2 | self.mode
        octets = bytes([sicb, self.retries << 4 | self.timer_code])
        if self.mode is ProxyMode.ALTERNATE_KEY:
            octets += bytes([KEY_INCREMENT_LENGTHS.index(len(self.key_increment))]) + self.key_increment
        return octets + self.target.encode() + self.apdu

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Read it; raises `DecodeError`."""
        if len(octets) < MIN_PAYLOAD - 1:
            raise TruncatedPdu(f"agent part needs {MIN_PAYLOAD - 1} octets, got {len(octets)}")
        kind, mode, at = TargetKind(octets[0] >> 5), ProxyMode(octets[0] & 3), 2
        increment = b""
        if mode is ProxyMode.ALTERNATE_KEY:
            key_type = octets[at] & 3
            if key_type >= len(KEY_INCREMENT_LENGTHS):
                raise MalformedPdu(f"key type must be 0 or 1, got {key_type}")
            end = at + 1 + KEY_INCREMENT_LENGTHS[key_type]
            increment, at = octets[at + 1 : end], end
        end = at + _ADDRESS_LENGTHS[kind]
        if end >= len(octets):
            raise TruncatedPdu(f"agent part with its target APDU needs {end + 1} octets, got {len(octets)}")
        return cls(
            TargetAddress.decode(kind, octets[at:end]),
            octets[end:],
            _SERVICES[octets[0] >> 2 & 3],
            octets[1] >> 4,
            octets[1] & 15,
            bool(octets[0] & 0x10),
            mode,
            increment,
        )


@dataclass(frozen=True, slots=True)
class HopEntry:
    """A station of the hop list.

    Args:
        node: 0..127.    subnet: 0..255; not on the wire, and None, in a uniform list.
        alternate: path that the station before takes to this one.
    """

    node: int
    subnet: int | None = None
    alternate: bool = False

    def __post_init__(self) -> None:
        check_range("node", self.node, 0, MAX_NODE)
        if self.subnet is not None:
            check_range("subnet", self.subnet, 0, 255)

    def encode(self) -> bytes:
        """Two octets, or one without subnet."""
        last = bytes([self.alternate << 7 | self.node])
        return last if self.subnet is None else bytes([self.subnet]) + last

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From one or two octets."""
        return cls(octets[-1] & MAX_NODE, octets[0] if len(octets) == 2 else None, bool(octets[-1] & _PATH))


@dataclass(frozen=True, slots=True)
class ProxyMessage:
    """A message to be repeated.

        octet 0      4D
              1      UNIFORM_BY_DEST(1) LONG_TIMER(1) ALL_AGENTS(1) UNIFORM_BY_SRC(1) count(4)
              2..    count entries: subnet(8) path(1) node(7), without subnet in a uniform list
              then   retries(4) timer code(4), only when count > 0
              then   agent part

    Args:
        hops: stations after the receiving one, the agent last; 0..15.
        agent_part: octets for the agent, see `AgentPart`; a repeater passes them on unread.
        retries, timer_code: of every repeater; timer_code counts from 16 on with `long_timer`. Without hops both are 0.
        uniform_by_destination: all hops lie in the subnet of the receiver.
        uniform_by_source: all hops lie in the subnet of the sender; goes before the other flag.
        long_timer: long timers.    all_agents: every repeater acts as agent, too.
    """

    CODE: ClassVar[int] = PROXY_CODE

    hops: tuple[HopEntry, ...]
    agent_part: bytes = field(repr=False)  # may hold key increments
    retries: int = 0
    timer_code: int = 0
    uniform_by_destination: bool = False
    uniform_by_source: bool = False
    long_timer: bool = False
    all_agents: bool = False

    def __post_init__(self) -> None:
        check_range("number of hops", len(self.hops), 0, MAX_HOPS)
        check_range("retries", self.retries, 0, 15)
        check_range("timer_code", self.timer_code, 0, 15)
        if any((hop.subnet is None) != self.uniform for hop in self.hops):
            raise ConfigurationError("the hops of a uniform list come without subnet, all others with")

    @property
    def uniform(self) -> bool:
        """Whether the hop list leaves out the subnet."""
        return self.uniform_by_destination or self.uniform_by_source

    @property
    def count(self) -> int:
        """Stations after the receiving one."""
        return len(self.hops)

    def next_station(self, sender_subnet: int, own_subnet: int) -> SubnetNode:
        """Address of the first hop."""
        hop = self.hops[0]
        if hop.subnet is not None:
            return SubnetNode(hop.subnet, hop.node)
        return SubnetNode(sender_subnet if self.uniform_by_source else own_subnet, hop.node)

    def forwarded(self) -> Self:
        """The message for the first hop: same flags, one hop less, no tx control when that was the last."""
        hops = self.hops[1:]
        if hops:
            return replace(self, hops=hops)
        return replace(self, hops=hops, retries=0, timer_code=0)

    def encode(self) -> bytes:
        """The whole APDU."""
        flags = (
            self.uniform_by_destination * _UNIFORM_BY_DESTINATION
            | self.long_timer * _LONG_TIMER
            | self.all_agents * _ALL_AGENTS
            | self.uniform_by_source * _UNIFORM_BY_SOURCE
        )
        octets = bytes([PROXY_CODE, flags | len(self.hops)]) + b"".join(hop.encode() for hop in self.hops)
        if self.hops:
            octets += bytes([self.retries << 4 | self.timer_code])
        return octets + self.agent_part

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """Read the whole APDU; raises `DecodeError` when it is too short or its hop list runs past its end."""
        if len(apdu) < 1 + MIN_PAYLOAD:
            raise TruncatedPdu(f"proxy message needs {1 + MIN_PAYLOAD} octets, got {len(apdu)}")
        flags, count = apdu[1], apdu[1] & _COUNT
        size = 1 if flags & (_UNIFORM_BY_DESTINATION | _UNIFORM_BY_SOURCE) else 2
        end = 2 + count * size
        if end >= len(apdu):
            raise TruncatedPdu(f"hop list of {count} entries needs more than {end} octets, got {len(apdu)}")
        hops = tuple(HopEntry.decode(apdu[at : at + size]) for at in range(2, end, size))
        tx_control = apdu[end] if count else 0
        return cls(
            hops,
            apdu[end + 1 :] if count else apdu[end:],
            tx_control >> 4,
            tx_control & 15,
            bool(flags & _UNIFORM_BY_DESTINATION),
            bool(flags & _UNIFORM_BY_SOURCE),
            bool(flags & _LONG_TIMER),
            bool(flags & _ALL_AGENTS),
        )
