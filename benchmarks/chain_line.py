"""Stations on a frame-level line in virtual time: each hears its neighbours only, frames overlap, get lost, take time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from mac import ChannelTiming, DomainEntry, DomainId, Event, Node, NodeConfig, RequestReceived

BIT_TIME_S = 277.1e-6  # A band
OVERHEAD_BITS = 57  # preamble and end of packet
BITS_PER_OCTET = 11
CRC_OCTETS = 2
CHANNEL = ChannelTiming.load("pl20a_nes")
DOMAIN = DomainId(b"\x51")
LONGEST_ACCESS_S = CHANNEL.beta1_post_tx + 3 * CHANNEL.w_base_window  # at a backlog of 3 or less


def airtime(octets: bytes) -> float:
    """Duration in s of an LPDU given without its CRC."""
    return (OVERHEAD_BITS + BITS_PER_OCTET * (len(octets) + CRC_OCTETS)) * BIT_TIME_S


@dataclass(frozen=True)
class OnLine:
    """A frame that was on the line.

    Args:
        sender: number of the station.    start, end: when.    octets: LPDU.    alternate: on the alternate path.
        heard_by: stations that received it whole.
    """

    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    heard_by: tuple[int, ...] = ()


@dataclass
class _Running:
    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    spoilt_at: set[int] = field(default_factory=set)


@dataclass
class Chain:
    """Stations 0, 1, .., by default in a row.

    Args:
        nodes: the stations.
        links: pairs of stations that hear each other; None: each the next one.
        lost: says of a link (sender, receiver, alternate path) whether a frame on it is lost this time; it is asked
            for every frame and every station in reach.
        dead: stations that neither hear nor speak.
        keep_log: remember every frame.

    Attributes:
        events: what stations reported that the chain did not answer itself: (time, station, event).
        log: frames that were on the line.
    """

    nodes: list[Node]
    lost: Callable[[int, int, bool], bool] = lambda sender, receiver, alternate: False
    links: frozenset[tuple[int, int]] | None = None
    dead: frozenset[int] = frozenset()
    keep_log: bool = True
    now: float = 0.0
    events: list[tuple[float, int, Event]] = field(default_factory=list)
    log: list[OnLine] = field(default_factory=list)
    _running: list[_Running] = field(default_factory=list)
    _neighbours: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        links = self.links or frozenset((n, n + 1) for n in range(len(self.nodes) - 1))
        for number in range(len(self.nodes)):
            pairs = (pair for pair in links if number in pair)
            others = sorted(a if b == number else b for a, b in pairs)
            self._neighbours[number] = tuple(n for n in others if n not in self.dead)

    def run(self, until: Callable[[], bool] | float) -> None:
        """Advance virtual time up to an instant, or until a condition holds or nothing is left to happen."""
        stop_at = until if isinstance(until, float | int) else float("inf")
        done = until if callable(until) else lambda: False
        while not done():
            due = [at for node in self.nodes if (at := node.next_timer()) is not None]
            due += [frame.end for frame in self._running]
            if not due or min(due) > stop_at:
                break
            self.now = max(self.now, min(due))
            self._step()
        self._collect()
        if stop_at != float("inf"):
            self.now = max(self.now, stop_at)

    def _step(self) -> None:
        for frame in [f for f in self._running if f.end <= self.now]:
            self._finish(frame)
        for number, node in enumerate(self.nodes):
            node.on_timer(self.now)
            for out in node.frames_to_send(self.now):
                self._start(number, out.octets, out.alternate)
        self._collect()

    def _collect(self) -> None:
        """Take the events; a request is answered with its payload reversed."""
        for number, node in enumerate(self.nodes):
            while (event := node.next_event()) is not None:
                if isinstance(event, RequestReceived):
                    node.respond(event.request_id, event.apdu[:1] + event.apdu[:0:-1], self.now)
                self.events.append((self.now, number, event))

    def _hearers(self, sender: int) -> tuple[int, ...]:
        return () if sender in self.dead else self._neighbours[sender]

    def _start(self, sender: int, octets: bytes, alternate: bool) -> None:
        frame = _Running(sender, self.now, self.now + airtime(octets), octets, alternate)
        hearers = set(self._hearers(sender))
        for other in self._running:
            other.spoilt_at.add(sender)
            frame.spoilt_at.add(other.sender)
            both = hearers & set(self._hearers(other.sender))
            other.spoilt_at |= both
            frame.spoilt_at |= both
        self._running.append(frame)
        for number in hearers:
            self.nodes[number].on_channel(True, self.now)

    def _finish(self, frame: _Running) -> None:
        self._running.remove(frame)
        self.nodes[frame.sender].transmission_done(self.now)
        hearers = self._hearers(frame.sender)
        heard_by = []
        for number in hearers:
            if number in frame.spoilt_at or self.lost(frame.sender, number, frame.alternate):
                self.nodes[number].receive_error(self.now)
            else:
                heard_by.append(number)
                self.nodes[number].receive_frame(frame.octets, self.now)
        for number in hearers:
            if not any(number in self._hearers(other.sender) for other in self._running):
                self.nodes[number].on_channel(False, self.now)
        if self.keep_log:
            self.log.append(
                OnLine(frame.sender, frame.start, frame.end, frame.octets, frame.alternate, tuple(heard_by))
            )


def stations(count: int, seed: int = 1, first: int = 1, receive_code: int = 15, **options: object) -> list[Node]:
    """Nodes 35/first, 35/first + 1, .. on one domain, awake from the start."""
    nodes = []
    for node in range(first, first + count):
        config = NodeConfig(
            unique_node_id=bytes.fromhex("02FC000000") + bytes([node]),
            domains=(DomainEntry(DOMAIN, 35, node),),
            receive_code=receive_code,
            reset_silence=0.0,
            **options,  # type: ignore[arg-type]
        )
        nodes.append(Node(config, CHANNEL, Random(seed * 1000 + node)))
    return nodes


def with_loss(ratio: float, seed: int) -> Callable[[int, int, bool], bool]:
    """Loses each frame on each link independently."""
    rng = Random(seed)
    return lambda sender, receiver, alternate: rng.random() < ratio
