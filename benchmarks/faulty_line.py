"""A line in virtual time that loses, doubles, delays and breaks frames: for stacks that stand face to face on it.

Every receiver meets its own faults. What the line does not do is let a copy of one message overtake a later message of
the same sender, priority and way of addressing: a node keeps one receive record for each of these, so an old message that
comes after a newer one is a new message by the rules of ISO/IEC 14908-1, whatever stack receives it. Delays are short against the
receive timers for the same reason. Copies may overtake each other, other senders, other ways of addressing, and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Final

from mac import Event, Node
from mac.lpdu import decode_lpdu

BIT_TIME: Final = 277.1e-6  # s, A band
_OVERHEAD_BITS: Final = 57  # preamble and end of packet
_BITS_PER_OCTET: Final = 11
_MOST_CALLS: Final = 10_000  # at one instant; more is a loop


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities per frame and receiver, and the longest delay.

    Args:
        loss: nothing arrives.    corruption: it arrives with a bad CRC.
        duplication: a second copy arrives later, by up to `max_delay`.
        reordering: the first copy is late as well.
        max_delay: s.
    """

    loss: float = 0.3
    corruption: float = 0.3
    duplication: float = 0.3
    reordering: float = 0.3
    max_delay: float = 0.4


NO_FAULTS: Final = Faults(0.0, 0.0, 0.0, 0.0)


def airtime(octets: bytes) -> float:
    """Duration of an LPDU given without its two CRC octets, s."""
    return (_OVERHEAD_BITS + _BITS_PER_OCTET * (len(octets) + 2)) * BIT_TIME


class FaultyLine:
    """Nodes on one line, driven by the events that are due next. They sense each other's carrier; who talks hears nothing.

    Args:
        nodes: stations.
        faults: see `Faults`; may be replaced while running.
        rng: draws the faults.
        serial_of: which message an APDU belongs to, growing in the order of sending; None when that is unknown.
        on_event: told (node, event, now) of everything that a node reports.

    Attributes:
        now: s.    frames: sent so far.    heard: good copies that arrived.
        first_heard_at: when each node got the first copy of each message, s, by node and serial number.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        faults: Faults,
        rng: Random,
        serial_of: Callable[[bytes], int | None],
        on_event: Callable[[int, Event, float], None],
    ) -> None:
        self.nodes = nodes
        self.faults = faults
        self.now = 0.0
        self.frames = 0
        self.heard = 0
        self.first_heard_at: dict[tuple[int, int], float] = {}
        self._rng = rng
        self._serial_of = serial_of
        self._on_event = on_event
        self._on_air: set[int] = set()
        self._order = 0
        self._due: list[tuple[float, int, Callable[[int, bytes], None], int, bytes]] = []
        self._wake_at: list[float | None] = [None] * len(nodes)
        self._newest: dict[tuple[object, ...], int] = {}
        for index in range(len(nodes)):
            self.touch(index)

    def schedule(self, at: float, call: Callable[[int, bytes], None], index: int, octets: bytes = b"") -> None:
        """Call `call(index, octets)` at an instant."""
        self._order += 1
        heappush(self._due, (at, self._order, call, index, octets))

    def touch(self, index: int) -> None:
        """Let a node start what it can, take its events and note when it wants to be called; after every call on it."""
        node = self.nodes[index]
        for frame in node.frames_to_send(self.now):
            self.frames += 1
            self.schedule(self.now + airtime(frame.octets), self._end, index, frame.octets)
            self._on_air.add(index)
            self._sense()
        while (event := node.next_event()) is not None:
            self._on_event(index, event, self.now)
        self._note_timer(index)

    def _note_timer(self, index: int) -> None:
        at = self.nodes[index].next_timer()
        if at is not None and at != self._wake_at[index]:
            self._wake_at[index] = at
            self.schedule(max(at, self.now), self._wake, index)

    def run(self, until: float) -> None:
        """Advance virtual time to `until`. Raises `RuntimeError` when a node wants to be called for ever without time passing."""
        calls = 0
        while self._due and self._due[0][0] <= until:
            at, _, call, index, octets = heappop(self._due)
            calls = calls + 1 if at == self.now else 0
            if calls > _MOST_CALLS:
                raise RuntimeError(f"time stands still at {at:.3f} s, for node {index}")
            self.now = at
            call(index, octets)
        self.now = max(self.now, until)

    def _wake(self, index: int, octets: bytes) -> None:
        if self._wake_at[index] is not None and self._wake_at[index] <= self.now:
            self._wake_at[index] = None
            self.nodes[index].on_timer(self.now)
            self.touch(index)

    def _sense(self) -> None:
        for index, node in enumerate(self.nodes):
            node.on_channel(bool(self._on_air - {index}), self.now)
            self._note_timer(index)

    def _end(self, sender: int, octets: bytes) -> None:
        self._on_air.discard(sender)
        self.nodes[sender].transmission_done(self.now)
        self._sense()
        faults, draw = self.faults, self._rng.random
        for receiver in range(len(self.nodes)):
            if receiver == sender:
                continue
            for copy in range(1 + (draw() < faults.duplication)):
                fate = draw()
                if fate < faults.loss:
                    continue
                hear = self._hear if draw() >= faults.corruption else self._hear_broken
                if copy or draw() < faults.reordering:
                    self.schedule(self.now + draw() * faults.max_delay, hear, receiver, octets)
                else:
                    hear(receiver, octets)
        self.touch(sender)

    def _hear(self, receiver: int, octets: bytes) -> None:
        if self._is_overtaken(receiver, octets):
            return
        self.heard += 1
        self.nodes[receiver].receive_frame(octets, self.now)
        self.touch(receiver)

    def _hear_broken(self, receiver: int, octets: bytes) -> None:
        self.nodes[receiver].receive_error(self.now)
        self.touch(receiver)

    def _is_overtaken(self, receiver: int, octets: bytes) -> bool:
        lpdu = decode_lpdu(octets)
        serial = self._serial_of(getattr(lpdu.npdu.pdu, "apdu", b""))
        if serial is None:
            return False
        npdu = lpdu.npdu
        key = receiver, lpdu.header.priority, npdu.domain.octets, npdu.source, npdu.destination
        if serial < self._newest.get(key, 0):
            return True
        self._newest[key] = serial
        self.first_heard_at.setdefault((receiver, serial), self.now)
        return False
