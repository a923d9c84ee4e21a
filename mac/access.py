"""Channel access: predictive p-persistent CSMA, when may a waiting packet start?

    BUSY --line idle--> BETA1 --beta1 over--> PRIORITY_IDLE --area over--> RANDOM_WAIT --slot--> START_TX --> BUSY
                          |                       |                          ^
                          | own priority slot     | nothing to send          | packet ready, new draw
                          v                       v                          |
                    PRIORITY_WAIT --> START_TX   RANDOM_IDLE ----------------+
    carrier in any state --> BUSY; a running or expired draw is discarded

Source: informative reference implementation for special-purpose-mode transceivers, single source (grade B);
ISO/IEC 14908-1 MAC sublayer, clause unverified.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from random import Random
from typing import Final

from .backlog import Backlog
from .errors import LocalProtocolError
from .statistics import Statistics
from .timing import ChannelTiming


class AccessState(Enum):
    """Where the node is in the packet cycle."""

    BUSY = auto()
    BETA1 = auto()
    PRIORITY_WAIT = auto()
    PRIORITY_IDLE = auto()
    RANDOM_IDLE = auto()
    RANDOM_WAIT = auto()
    START_TX = auto()


class AccessEvent(Enum):
    """What may happen to it."""

    CARRIER = auto()  # the line became busy
    LINE_IDLE = auto()  # the line became idle
    PRIORITY_TURN = auto()  # beta1 over, a priority packet may use its slot
    AREA_BEGINS = auto()  # beta1 over, otherwise
    PACKET_DRAWS = auto()  # a packet is ready and draws a slot
    NOTHING_TO_SEND = auto()
    SLOT_REACHED = auto()
    ACCEPTED = auto()  # the frame was taken and goes on the line


_ROUNDING: Final = 1e-6  # of a window: a wait of exactly n windows counts n, however the sum was rounded
_IDLE_STATES: Final = tuple(state for state in AccessState if state is not AccessState.BUSY)

TRANSITIONS: Final[dict[tuple[AccessState, AccessEvent], AccessState]] = {
    (AccessState.BUSY, AccessEvent.CARRIER): AccessState.BUSY,
    (AccessState.BUSY, AccessEvent.LINE_IDLE): AccessState.BETA1,
    (AccessState.BETA1, AccessEvent.PRIORITY_TURN): AccessState.PRIORITY_WAIT,
    (AccessState.BETA1, AccessEvent.AREA_BEGINS): AccessState.PRIORITY_IDLE,
    (AccessState.PRIORITY_WAIT, AccessEvent.SLOT_REACHED): AccessState.START_TX,
    (AccessState.PRIORITY_WAIT, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    (AccessState.PRIORITY_IDLE, AccessEvent.PACKET_DRAWS): AccessState.RANDOM_WAIT,
    (AccessState.PRIORITY_IDLE, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    (AccessState.RANDOM_IDLE, AccessEvent.PACKET_DRAWS): AccessState.RANDOM_WAIT,
    (AccessState.RANDOM_WAIT, AccessEvent.SLOT_REACHED): AccessState.START_TX,
    (AccessState.RANDOM_WAIT, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    (AccessState.START_TX, AccessEvent.ACCEPTED): AccessState.BUSY,
    (AccessState.START_TX, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    **{(state, AccessEvent.CARRIER): AccessState.BUSY for state in _IDLE_STATES},
}


def next_state(state: AccessState, event: AccessEvent) -> AccessState:
    """State after `event`; refuses pairs that the table does not hold."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LocalProtocolError(f"{event.name} while {state.name}") from None


class ChannelAccess:
    """One access machine per node, shared by the priority and the ordinary queue.

    Every method takes `now` in s, never smaller than before. Timers that ran out before `now` are worked off first,
    each at its own instant, so the result does not depend on how late the caller is, except for the start of a frame.

    Args:
        timing: times of the channel.
        rng: source of the slot draws.
        statistics: counters to keep.
        node_priority: priority slot of this node, 1.., or 0 for none.
        started_at: instant of power-up; the line is taken for idle then.
    """

    def __init__(
        self,
        timing: ChannelTiming,
        rng: Random,
        statistics: Statistics,
        node_priority: int = 0,
        started_at: float = 0.0,
    ) -> None:
        self._rng = rng
        self._node_priority = node_priority
        self._w_base = timing.w_base
        self._beta2 = timing.beta2
        self._window = timing.w_base_window
        self._cycle = timing.packet_cycle
        self._beta1 = {False: timing.beta1_post_rx, True: timing.beta1_post_tx}
        self._area = {False: timing.priority_area_post_rx, True: timing.priority_area_post_tx}
        self._statistics = statistics
        self.backlog = Backlog(timing.limits, statistics)
        self._carrier = False
        self._transmitting = False
        self._last_was_own = False  # kind of the last activity, chooses beta1 and the priority area
        self._ready = False
        self._priority_ready = False
        self._cycle_left = self._cycle
        self._counted_at = started_at  # up to here the waiting time has been counted into the backlog
        self._due_at: float | None = None
        self._expire: Final[dict[AccessState, Callable[[float], None]]] = {
            AccessState.BETA1: self._end_of_beta1,
            AccessState.PRIORITY_WAIT: self._slot_reached,
            AccessState.PRIORITY_IDLE: self._end_of_area,
            AccessState.RANDOM_WAIT: self._slot_reached,
        }
        self.state = AccessState.BUSY
        self._begin_idle(started_at)

    @property
    def may_transmit(self) -> bool:
        """The machine stands at START_TX: a frame taken now starts now."""
        return self.state is AccessState.START_TX

    @property
    def transmitting(self) -> bool:
        """Our own frame is on the line."""
        return self._transmitting

    def next_timer(self) -> float | None:
        """When to call `on_timer`; None when only an input can change anything."""
        return self._due_at

    def on_timer(self, now: float) -> None:
        """Work off the timers that ran out up to `now`."""
        while self._due_at is not None and self._due_at <= now:
            self._expire[self.state](self._due_at)
        self._count_waiting(now)

    def set_ready(self, ready: bool, priority_ready: bool, now: float) -> None:
        """Tell which packets wait: any at all, and one that may use the priority slot."""
        self.on_timer(now)
        self._ready, self._priority_ready = ready, priority_ready
        if ready and self.state is AccessState.RANDOM_IDLE:
            self._draw(now)
        elif not ready and self.state is AccessState.START_TX:
            self._enter(AccessEvent.NOTHING_TO_SEND, now)

    def on_channel(self, busy: bool, now: float) -> None:
        """Carrier sense; repeating the same value changes nothing."""
        if busy == self._carrier:
            return
        self.on_timer(now)
        self._carrier = busy
        if self._transmitting:
            return
        if busy:
            self._last_was_own = False
            self._enter(AccessEvent.CARRIER, now)
        else:
            self._begin_idle(now)

    def on_frame(self, delta_backlog: int | None, now: float) -> None:
        """A frame was received; delta_backlog is None when its CRC was bad."""
        self.on_timer(now)
        self._set_received_last()
        if delta_backlog is not None:
            self.backlog.packet_on_line(delta_backlog)
            self._cycle_left = self._cycle

    def on_collision(self, now: float) -> None:
        """The transceiver gave up our frame during its preamble."""
        self.on_timer(now)
        self.backlog.add(1)
        self._statistics.collisions += 1
        self._end_transmission(now)

    def transmission_started(self, now: float) -> None:
        """The frame was taken at START_TX and is on the line from `now`."""
        self.on_timer(now)
        self._enter(AccessEvent.ACCEPTED, now)
        self._transmitting = True
        self._last_was_own = True

    def transmission_done(self, delta_backlog: int, now: float) -> None:
        """The frame has left the line completely."""
        self.on_timer(now)
        self.backlog.packet_on_line(delta_backlog)
        self._cycle_left = self._cycle
        self._end_transmission(now)

    def _end_transmission(self, now: float) -> None:
        if not self._transmitting:
            raise LocalProtocolError("no transmission is under way")
        self._transmitting = False
        if not self._carrier:
            self._begin_idle(now)

    def _set_received_last(self) -> None:
        if self._last_was_own and self.state is AccessState.BETA1 and self._due_at is not None:
            self._due_at += self._beta1[False] - self._beta1[True]
        self._last_was_own = False

    def _enter(self, event: AccessEvent, at: float, due_at: float | None = None) -> None:
        self._count_waiting(at)
        self.state = next_state(self.state, event)
        self._due_at = due_at
        self._counted_at = at

    def _begin_idle(self, at: float) -> None:
        self._enter(AccessEvent.LINE_IDLE, at, at + self._beta1[self._last_was_own])

    def _end_of_beta1(self, at: float) -> None:
        if self._priority_ready and self._node_priority and not self._last_was_own:
            self._enter(AccessEvent.PRIORITY_TURN, at, at + (self._node_priority - 1) * self._beta2)
        else:
            self._enter(AccessEvent.AREA_BEGINS, at, at + self._area[self._last_was_own])

    def _end_of_area(self, at: float) -> None:
        if self._ready:
            self._draw(at)
        else:
            self._enter(AccessEvent.NOTHING_TO_SEND, at)

    def _draw(self, at: float) -> None:
        slot = self._rng.randrange(self.backlog.value * self._w_base)
        self._enter(AccessEvent.PACKET_DRAWS, at, at + slot * self._beta2)

    def _slot_reached(self, at: float) -> None:
        self._enter(AccessEvent.SLOT_REACHED if self._ready else AccessEvent.NOTHING_TO_SEND, at)

    def _count_waiting(self, now: float) -> None:
        """Lower the backlog by the windows waited in RANDOM_WAIT, or the packet cycles idled in RANDOM_IDLE."""
        if self.state is AccessState.RANDOM_WAIT:
            windows = math.floor((now - self._counted_at) / self._window + _ROUNDING)
            self.backlog.subtract(windows)
            self._counted_at += windows * self._window
        elif self.state is AccessState.RANDOM_IDLE:
            idle = now - self._counted_at
            if idle < self._cycle_left:
                self._cycle_left -= idle
            else:
                cycles, into_next = divmod(idle - self._cycle_left, self._cycle)
                self.backlog.subtract(1 + int(cycles))
                self._cycle_left = self._cycle - into_next
            self._counted_at = now
