"""Routes of proxy repeating: through which stations, and over which carriers, a message goes to its target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from .address import Broadcast, Destination, Group, SubnetNode, UniqueId
from .errors import ConfigurationError
from .events import Service
from .proxy_message import (
    MAX_HOPS,
    MAX_TARGET_DATA,
    AgentPart,
    HopEntry,
    ProxyMessage,
    ProxyMode,
    TargetAddress,
    TargetKind,
)
from .proxy_timing import ProxyTiming
from .transaction import ANSWERED_SERVICES


@dataclass(frozen=True, slots=True)
class ProxyHop:
    """A station on the way.

    Args:
        station: its address.    alternate: path by which the message reaches it.
    """

    station: SubnetNode
    alternate: bool = False


@dataclass(frozen=True, slots=True)
class ProxyLink:
    """One step of a route on one carrier.

    Args:
        sender: None for the source itself.    receiver: next station, or the target.    alternate: path.
    """

    sender: SubnetNode | None
    receiver: Destination
    alternate: bool = False

    def __str__(self) -> str:
        return f"{self.sender or 'source'} -> {self.receiver}{' (alternate)' if self.alternate else ''}"


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A way to a target, and how the message is carried along it.

        source --link 1--> hops[0] --link 2--> hops[1] .. --> hops[-1], the agent --last link--> target

    Args:
        hops: stations on the way, the agent last; at most 16. Without any, the source sends to the target itself.
        target: a node, a unique id, a group or a broadcast.    target_alternate: path of the last link.
        service: between agent and target.
        timing: retries and timers; None: chosen by the number of stations, see `ProxyTiming`.
        backlog: answers announced by a broadcast target, 0..63; 0 means 15.
        key_increment: 6 or 12 octets that turn the agent's key into the target's, see `AgentPart`; not shown by `repr`.
        all_agents: every station sends the message to the target, without telling what became of it.
        compact: leave out what the stations know themselves: the subnet when all hops share it, the subnet of a target
            in that of the agent, routing subnet 0, the size of a group that is not to acknowledge.
        source_service: between the stations. Only a request brings a result back; the others are for what is worth
            no answer, as with `all_agents`.
    """

    hops: tuple[ProxyHop, ...]
    target: Destination
    target_alternate: bool = False
    service: Service = Service.REQUEST
    timing: ProxyTiming | None = None
    backlog: int = 0
    key_increment: bytes = field(default=b"", repr=False)
    all_agents: bool = False
    compact: bool = True
    source_service: Service = Service.REQUEST

    def __post_init__(self) -> None:
        if len(self.hops) > 1 + MAX_HOPS:
            raise ConfigurationError(f"a route has at most {1 + MAX_HOPS} stations, got {len(self.hops)}")
        if self.key_increment and not self.hops:
            raise ConfigurationError("an alternate key is used by an agent, and this route has none")
        answered = self.service in ANSWERED_SERVICES
        if isinstance(self.target, Group) and answered and self.hops and self.target.size < 2:
            raise ConfigurationError(f"size of group {self.target.group} must be 2 or more, got {self.target.size}")

    @property
    def count(self) -> int:
        """Stations after the first one."""
        return max(len(self.hops) - 1, 0)

    @property
    def links(self) -> tuple[ProxyLink, ...]:
        """Every step, in order."""
        senders = (None, *(hop.station for hop in self.hops))
        steps = [(hop.station, hop.alternate) for hop in self.hops] + [(self.target, self.target_alternate)]
        return tuple(ProxyLink(sender, *step) for sender, step in zip(senders, steps, strict=True))

    @property
    def chosen_timing(self) -> ProxyTiming:
        """The given timing, or the rule of thumb."""
        if self.timing is not None:
            return self.timing
        return ProxyTiming.for_count(self.count) if self.source_service in ANSWERED_SERVICES else ProxyTiming.for_copies()

    def with_paths(self, alternates: tuple[bool, ...]) -> Self:
        """The same stations, every link on the path given: as many as `links` has."""
        *hop_paths, target_path = alternates
        hops = tuple(replace(hop, alternate=path) for hop, path in zip(self.hops, hop_paths, strict=True))
        return replace(self, hops=hops, target_alternate=target_path)

    def message(self, apdu: bytes) -> ProxyMessage:
        """What the first station gets to read; `apdu` is for the target."""
        if not 1 <= len(apdu) <= 1 + MAX_TARGET_DATA:
            raise ConfigurationError(f"APDU for a target has 1..{1 + MAX_TARGET_DATA} octets, got {len(apdu)}")
        if not self.hops:
            raise ConfigurationError("a route without stations has no proxy message")
        timing, later = self.chosen_timing, self.hops[1:]
        part = AgentPart(
            target=self._target_address(),
            apdu=bytes(apdu),
            service=self.service,
            retries=timing.target_retries,
            timer_code=timing.target_timer_code,
            alternate=self.target_alternate,
            mode=ProxyMode.ALTERNATE_KEY if self.key_increment else ProxyMode.NORMAL,
            key_increment=self.key_increment,
        )
        uniform = self.compact and bool(later) and len({hop.station.subnet for hop in self.hops}) == 1
        entries = [HopEntry(hop.station.node, None if uniform else hop.station.subnet, hop.alternate) for hop in later]
        return ProxyMessage(
            hops=tuple(entries),
            agent_part=part.encode(),
            retries=timing.hop_retries if later else 0,
            timer_code=timing.hop_timer_code if later else 0,
            uniform_by_destination=uniform,
            long_timer=timing.long_timer and bool(later),
            all_agents=self.all_agents,
        )

    def _target_address(self) -> TargetAddress:
        agent = self.hops[-1].station
        kind, compact_kind, may_be_compact = TargetKind.BROADCAST, TargetKind.BROADCAST, False
        match self.target:
            case SubnetNode(subnet):
                kind, compact_kind = TargetKind.SUBNET_NODE, TargetKind.NODE_OF_AGENT
                may_be_compact = subnet == agent.subnet and not self.all_agents
            case UniqueId(_, subnet):
                kind, compact_kind, may_be_compact = TargetKind.UNIQUE_ID, TargetKind.UNIQUE_ID_COMPACT, subnet == 0
            case Group():
                kind, compact_kind = TargetKind.GROUP, TargetKind.GROUP_COMPACT
                may_be_compact = self.service not in ANSWERED_SERVICES
            case Broadcast():
                pass
        return TargetAddress(compact_kind if self.compact and may_be_compact else kind, self.target, self.backlog)
