"""A frame-level line in virtual time on which nodes stand face to face."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import pytest

from mac import ChannelTiming, DomainEntry, DomainId, Event, Node, NodeConfig

BIT_TIME = 277.1e-6  # s, A band
OVERHEAD_BITS = 57  # preamble and end of packet
BITS_PER_OCTET = 11


def airtime(octets: bytes) -> float:
    """Duration of an LPDU given without its two CRC octets, s."""
    return (OVERHEAD_BITS + BITS_PER_OCTET * (len(octets) + 2)) * BIT_TIME


@dataclass(frozen=True)
class OnLine:
    """A frame that was on the line: who sent it, when it started, what it was."""

    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    collided: bool


@dataclass
class _Running:
    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    collided: bool = False


@dataclass
class Line:
    """Nodes on one line. `lost(frame, receiver)` decides who misses a frame; `copies(frame)` how often it is heard."""

    nodes: list[Node]
    lost: Callable[[OnLine, int], bool] = lambda frame, receiver: False
    copies: Callable[[OnLine], int] = lambda frame: 1
    now: float = 0.0
    log: list[OnLine] = field(default_factory=list)
    events: dict[int, list[Event]] = field(default_factory=dict)
    on_event: Callable[[int, Event, float], None] = lambda index, event, now: None
    _running: list[_Running] = field(default_factory=list)

    def run(self, until: float) -> None:
        """Advance virtual time."""
        for _ in count():
            due = [t for node in self.nodes if (t := node.next_timer()) is not None]
            due += [frame.end for frame in self._running]
            at = min(due, default=until)
            if at > until:
                break
            self.now = max(self.now, at)
            self._step()
            if not due:
                break
        self.now = until

    def _step(self) -> None:
        for frame in [f for f in self._running if f.end <= self.now]:
            self._finish(frame)
        for node in self.nodes:
            node.on_timer(self.now)
        started = [(i, out) for i, node in enumerate(self.nodes) for out in node.frames_to_send(self.now)]
        for sender, out in started:
            frame = _Running(sender, self.now, self.now + airtime(out.octets), out.octets, out.alternate)
            for other in self._running:
                other.collided = frame.collided = True
            self._running.append(frame)
        if started:
            self._carrier(True)
        for index, node in enumerate(self.nodes):
            while (event := node.next_event()) is not None:
                self.events.setdefault(index, []).append(event)
                self.on_event(index, event, self.now)

    def _carrier(self, busy: bool) -> None:
        for index, node in enumerate(self.nodes):
            if not any(frame.sender == index for frame in self._running):
                node.on_channel(busy, self.now)

    def _finish(self, frame: _Running) -> None:
        self._running.remove(frame)
        seen = OnLine(frame.sender, frame.start, frame.end, frame.octets, frame.alternate, frame.collided)
        self.log.append(seen)
        self.nodes[frame.sender].transmission_done(self.now)
        for index, node in enumerate(self.nodes):
            if index == frame.sender or any(other.sender == index for other in self._running):
                continue
            if frame.collided:
                node.receive_error(self.now)
            elif not self.lost(seen, index):
                for _ in range(self.copies(seen)):
                    node.receive_frame(frame.octets, self.now)
        if not self._running:
            self._carrier(False)
        else:
            self.nodes[frame.sender].on_channel(True, self.now)

    def of(self, index: int, kind: type[Any]) -> list[Any]:
        """Events of one kind that a node reported so far."""
        return [event for event in self.events.get(index, []) if isinstance(event, kind)]


DOMAIN = DomainId(bytes.fromhex("4E4553444F4D"))


def unique_id(index: int) -> bytes:
    return bytes.fromhex("02FC000000") + bytes([index])


@pytest.fixture(scope="session")
def timing() -> ChannelTiming:
    return ChannelTiming.load("pl20a_nes")


@pytest.fixture
def domain() -> DomainId:
    return DOMAIN


@pytest.fixture(scope="session")
def make_node(timing: ChannelTiming) -> Callable[..., Node]:
    """Node 1/index on the test domain; `address=False` gives an unconfigured one without domain."""

    def build(index: int, address: bool = True, seed: int = 1, **options: Any) -> Node:
        domains = (DomainEntry(DOMAIN, 1, index),) if address else ()
        config = NodeConfig(
            unique_node_id=unique_id(index),
            program_id=bytes.fromhex("9FFFFF0000000001"),
            **{"domains": domains, "reset_silence": 0.0, **options},
        )
        return Node(config, timing, Random(seed * 1000 + index))

    return build


@pytest.fixture(scope="session")
def make_line() -> Callable[[Iterable[Node]], Line]:
    """A line with these nodes on it."""

    def build(nodes: Iterable[Node]) -> Line:
        return Line(list(nodes))

    return build
