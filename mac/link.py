"""Link layer: the two queues of outgoing frames, and the first look at incoming ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from .access import BAD_FRAME, ChannelAccess, LineState
from .errors import DecodeError, DropReason, LocalProtocolError
from .lpdu import MIN_LPDU, Lpdu, LpduHeader, decode_lpdu
from .statistics import Statistics
from .timing import ChannelTiming

ANSWER_BUFFERS: Final = 64  # frames of a priority class that may wait before answers are lost; our choice (grade D)


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """A frame that starts now.

    Args:
        octets: LPDU without CRC.
        alternate: send it on the alternate path (secondary carrier).
    """

    octets: bytes
    alternate: bool


@dataclass(slots=True)
class QueuedFrame:
    """A frame waiting for access. `ticket` names what it belongs to: positive numbers are own messages."""

    lpdu: Lpdu
    ticket: Hashable | None = None
    collisions: int = 0


class LinkLayer:
    """Queues, the priority queue first, in front of one access machine.

    Args:
        timing, rng, node_priority, started_at: see `ChannelAccess`.
        statistics: counters to keep.
    """

    def __init__(
        self,
        timing: ChannelTiming,
        rng: Random,
        statistics: Statistics,
        node_priority: int = 0,
        started_at: float = 0.0,
    ) -> None:
        self._limits = timing.limits
        self._statistics = statistics
        self.access = ChannelAccess(timing, rng, statistics, node_priority, started_at)
        self._queues: Final[dict[bool, deque[QueuedFrame]]] = {True: deque(), False: deque()}
        self._on_line: QueuedFrame | None = None

    def __len__(self) -> int:
        """Frames waiting for access."""
        return len(self._queues[True]) + len(self._queues[False])

    def submit(self, lpdu: Lpdu, ticket: Hashable | None, now: float) -> None:
        """Queue a frame behind those of its priority class."""
        self._queues[lpdu.header.priority].append(QueuedFrame(lpdu, ticket))
        self._update_access(now)

    def replace(self, lpdu: Lpdu, ticket: Hashable, now: float) -> bool:
        """Put a frame in the place of one with the same ticket that still waits, or queue it.

        Returns False when too many frames wait already: on a line without a gap answers must not pile up.
        """
        queue = self._queues[lpdu.header.priority]
        for frame in queue:
            if frame.ticket == ticket:
                frame.lpdu = lpdu
                return True
        if len(queue) >= ANSWER_BUFFERS:
            return False
        self.submit(lpdu, ticket, now)
        return True

    def withdraw(self, ticket: Hashable, now: float) -> None:
        """Take back the frames of a transaction that has ended while they were waiting."""
        for priority, queue in self._queues.items():
            if queue:
                self._queues[priority] = deque(frame for frame in queue if frame.ticket != ticket)
        self._update_access(now)

    def clear(self, now: float) -> None:
        """Forget every waiting frame."""
        for queue in self._queues.values():
            queue.clear()
        self._update_access(now)

    def frames_to_send(self, now: float) -> list[OutgoingFrame]:
        """The frame that has won access, which counts as started; an empty list otherwise."""
        if not self.access.may_transmit:
            return []
        queue = self._queues[True] or self._queues[False]
        self._on_line = queue.popleft()
        self.access.transmission_started(now)
        self._update_access(now)
        return [OutgoingFrame(self._on_line.lpdu.encode(), self._on_line.lpdu.header.alt_path)]

    def transmission_done(self, now: float) -> QueuedFrame:
        """The frame has left the line; returns it."""
        frame = self._on_line
        if frame is None:
            raise LocalProtocolError("transmission_done without a frame on the line")
        self._on_line = None
        self.access.transmission_done(frame.lpdu.header.delta_backlog, now)
        return frame

    def on_collision(self, now: float) -> QueuedFrame | None:
        """The transceiver gave up the frame in its preamble: back into the queue, or lost after too many times.

        Returns the frame when it is given up for good.
        """
        frame = self._on_line
        if frame is None:
            raise LocalProtocolError("collision reported without a frame on the line")
        self._on_line = None
        self.access.on_collision(now)
        frame.collisions += 1
        given_up = frame.collisions >= self._limits.collision_limit
        if not given_up:
            self._queues[frame.lpdu.header.priority].appendleft(frame)
        self._update_access(now)
        return frame if given_up else None

    def on_refused(self, now: float) -> None:
        """The frame that was handed out was not taken after all: it stays first in its queue, the access starts over."""
        frame = self._on_line
        if frame is None:
            raise LocalProtocolError("refusal reported without a frame on the line")
        self._on_line = None
        self.access.on_refused(now)
        self._queues[frame.lpdu.header.priority].appendleft(frame)
        self._update_access(now)

    def overhear(self, changes: Sequence[tuple[int, float]]) -> None:
        """What happened on the line since this node last looked; see `ChannelAccess.overhear`.

        The same as carrier sense and `receive` or `receive_error` of each frame, of which none was for this node.
        """
        good = bad = 0
        for what, _ in changes:
            if what > BAD_FRAME:
                good += 1
            elif what == BAD_FRAME:
                bad += 1
        self._count_overheard(good, bad)
        self.access.overhear(changes)

    def join(self, state: LineState, good: int, bad: int, overflows: int) -> None:
        """Take over the line's past from another node; see `Node.join`."""
        self._count_overheard(good, bad)
        self._statistics.backlog_overflows += overflows
        self.access.join(state)

    def _count_overheard(self, good: int, bad: int) -> None:
        self._statistics.l2_received += good
        self._statistics.transmission_errors += bad

    def receive(self, octets: bytes, now: float) -> Lpdu | None:
        """Count a frame with good CRC, note its backlog and decode it; None when it was dropped."""
        if self.access.transmitting:
            self._statistics.drops[DropReason.WHILE_TRANSMITTING] += 1
            return None
        if len(octets) < MIN_LPDU:
            self._statistics.drops[DropReason.TOO_SHORT] += 1
            self.receive_error(now)
            return None
        self._statistics.l2_received += 1
        self.access.on_frame(LpduHeader.decode(octets).delta_backlog, now)
        return self.decode(octets)

    def decode(self, octets: bytes) -> Lpdu | None:
        """A good frame, or None when it was dropped."""
        try:
            return decode_lpdu(octets)
        except DecodeError as error:
            self._statistics.drops[error.reason] += 1
            return None

    def receive_error(self, now: float) -> None:
        """A frame with bad CRC went by: no change of the backlog, but the last activity was a reception."""
        if self.access.transmitting:
            return
        self._statistics.transmission_errors += 1
        self.access.on_frame(None, now)

    def _update_access(self, now: float) -> None:
        priority, ordinary = self._queues[True], self._queues[False]
        may_use_slot = bool(priority) and priority[0].collisions <= self._limits.priority_collision_limit
        self.access.set_ready(bool(priority or ordinary), may_use_slot, now)
