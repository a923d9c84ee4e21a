"""What goes into a network of stations in virtual time and what comes out: applications, frames, events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mac


class Application(Protocol):
    """What sits on top of a node; the same as in `station.py`, so that meters and concentrators run on either."""

    def start(self, now: float) -> None:
        """Called once."""

    def on_event(self, event: mac.Event, now: float) -> None:
        """Something happened in the node."""

    def work(self, now: float) -> None:
        """Called after events and when `next_timer` is reached."""

    def next_timer(self) -> float | None:
        """When `work` wants to be called."""

    def reports(self) -> Sequence[Any]:
        """What happened since the last call."""


@dataclass(frozen=True, slots=True)
class SentFrame:
    """A frame that was on a line.

    Attributes:
        number: counts the frames of the network.    line: index of the line.    sender: index of the node.
        start, end: s.    octets: LPDU without CRC.    alternate: on the secondary carrier.
        collided: another frame was on the line at the same time.
    """

    number: int
    line: int
    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    collided: bool

    @property
    def remark(self) -> str:
        """Where it was, for a person."""
        path = "secondary" if self.alternate else "primary"
        return f"node {self.sender}, line {self.line}, {path} frequency" + (", collided" if self.collided else "")


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """An event of a node."""

    at: float
    node: int
    event: mac.Event
