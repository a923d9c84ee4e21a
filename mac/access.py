"""Channel access: predictive p-persistent CSMA, when may a waiting packet start?

    BUSY --line idle--> BETA1 --beta1 over--> PRIORITY_IDLE --area over--> RANDOM_WAIT --slot--> START_TX --> BUSY
                          |                       |                          ^
                          | own priority slot     | nothing to send          | packet ready, new draw
                          v                       v                          |
                    PRIORITY_WAIT --> START_TX   RANDOM_IDLE ----------------+
    carrier in any state --> BUSY; a running or expired draw is discarded
    frame refused by whoever sends it --> BETA1 anew

Source: informative reference implementation for special-purpose-mode transceivers, single source (grade B);
ISO/IEC 14908-1 MAC sublayer, clause unverified.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from .access_rule import AccessRule
from .access_states import (
    ACCEPTED,
    AFTER,
    AREA_BEGINS,
    BETA1,
    BUSY,
    CARRIER,
    LINE_IDLE,
    NOTHING_TO_SEND,
    PACKET_DRAWS,
    PRIORITY_IDLE,
    PRIORITY_TURN,
    PRIORITY_WAIT,
    RANDOM_IDLE,
    RANDOM_WAIT,
    SLOT_REACHED,
    START_TX,
    AccessEvent,
    AccessState,
    next_state,
)
from .backlog import Backlog
from .errors import LocalProtocolError
from .statistics import Statistics
from .timing import ChannelTiming

# Changes of the line as `ChannelAccess.overhear` takes them; a frame with good CRC is its delta backlog, 0..63.
BECAME_BUSY: Final = -3
BECAME_IDLE: Final = -2
BAD_FRAME: Final = -1

LineState = tuple[AccessState, int, bool, bool, float, float, int, float | None]

_ROUNDING: Final = 1e-6  # of a window: a wait of exactly n windows counts n, however the sum was rounded
_COUNTING_STATES: Final = frozenset({RANDOM_IDLE, RANDOM_WAIT, START_TX})


class ChannelAccess:
    """One access machine per node, shared by the priority and the ordinary queue.

    Every method takes `now` in s, never smaller than before. Timers that ran out before `now` are worked off first,
    each at its own instant, so the result does not depend on how late or how often the caller looks, except for the
    start of a frame.

    Args:
        timing: times of the channel; its access rule, if it has one, stands in front of START_TX.
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
        self._rule = None if timing.access_rule is None else AccessRule(timing.access_rule, rng, started_at)
        self.backlog = Backlog(timing.limits, statistics)
        self._carrier = False
        self._transmitting = False
        self._last_was_own = False  # kind of the last activity, chooses beta1 and the priority area
        self._kind_before = False  # the same before the frame on the line, in case it is refused
        self._ready = False
        self._priority_ready = False
        self._cycle_left = self._cycle
        self._since = started_at  # start of the waiting or idling that is being counted into the backlog
        self._counted = 0  # windows or packet cycles counted of it so far
        self._due_at: float | None = None
        self._expire: Final[dict[AccessState, Callable[[float], None]]] = {
            BETA1: self._end_of_beta1,
            PRIORITY_WAIT: self._slot_reached,
            PRIORITY_IDLE: self._end_of_area,
            RANDOM_WAIT: self._slot_reached,
        }
        self.state = BUSY
        self._begin_idle(started_at)

    @property
    def may_transmit(self) -> bool:
        """The machine stands at START_TX: a frame taken now starts now."""
        return self.state is START_TX

    @property
    def transmitting(self) -> bool:
        """Our own frame is on the line."""
        return self._transmitting

    def next_timer(self) -> float | None:
        """When to call `on_timer`; None when only an input can change anything."""
        return self._due_at

    def next_start_timer(self) -> float | None:
        """The same for the sake of a waiting packet alone: without one the states pass unseen and may be worked off later.

        A frame that is reported when its carrier has long gone makes a packet ready in the middle of them; so this is for
        those who know that none will be.
        """
        if not self._ready:
            return None
        if self.state is BETA1 and self._due_at is not None and not self._node_priority:
            return self._due_at + self._area[self._last_was_own]  # nothing is decided before the end of the priority area
        return self._due_at

    def on_timer(self, now: float) -> None:
        """Work off the timers that ran out up to `now`."""
        due_at = self._due_at
        while due_at is not None and due_at <= now:
            if self._ready or self.state is not BETA1 or due_at + self._area[self._last_was_own] > now:
                self._expire[self.state](due_at)
                due_at = self._due_at
            else:  # both steps at once, for a machine that nothing waits for
                self.state, self._due_at = RANDOM_IDLE, None
                self._since, self._counted = due_at + self._area[self._last_was_own], 0
                break
        if self.state in _COUNTING_STATES:
            self._count_waiting(now)

    def set_ready(self, ready: bool, priority_ready: bool, now: float) -> None:
        """Tell which packets wait: any at all, and one that may use the priority slot."""
        if self.state is not BUSY:
            self.on_timer(now)
        self._ready, self._priority_ready = ready, priority_ready
        if ready and self.state is RANDOM_IDLE:
            self._draw(now)
        elif not ready and self.state is START_TX:
            self._enter(NOTHING_TO_SEND, now)

    def on_channel(self, busy: bool, now: float) -> None:
        """Carrier sense; repeating the same value changes nothing."""
        if busy == self._carrier:
            return
        if busy and not (self._ready or self._transmitting or self._rule) and self._busy_quickly(now):
            return
        if self.state is not BUSY:
            self.on_timer(now)
        self._carrier = busy
        if self._rule is not None:
            self._rule.on_channel(busy, now)
        if self._transmitting:
            return
        if busy:
            self._last_was_own = False
            self._enter(CARRIER, now)
        else:
            self._begin_idle(now)

    def on_frame(self, delta_backlog: int | None, now: float) -> None:
        """A frame was received; delta_backlog is None when its CRC was bad."""
        if self.state is not BUSY:
            self.on_timer(now)
        self._set_received_last()
        if delta_backlog is not None:
            self.backlog.packet_on_line(delta_backlog)
            self._restart_cycle(now)

    def overhear(self, changes: Sequence[tuple[int, float]]) -> None:
        """The same as `on_channel` and `on_frame` for each change in turn, at a fraction of the time.

        For a simulation of many nodes of which few have something to send: the others need not follow the line, but
        can make up for it when they are asked for something.

        Args:
            changes: (what, when) in order of time; what is BECAME_BUSY, BECAME_IDLE, BAD_FRAME or the delta backlog of a
                frame with good CRC; when in s.
        """
        first = 0
        if self._ready and not (self._transmitting or self._rule):
            first = self._overhear_quickly(changes, 0)  # until the line is idle, nobody asks what waits
        elif not (self._transmitting or self._rule):
            # From the first busy line on, idle stretches are worked off without the machine.
            last = len(changes)
            while first < last and not (changes[first][0] == BECAME_BUSY or self._carrier):
                self._follow(*changes[first])
                first += 1
            if first < last:
                if not self._carrier:
                    if not self._busy_quickly(changes[first][1]):
                        self._follow(*changes[first])
                    first += 1
                first = self._overhear_quickly(changes, first)
            if first == last:
                return
        for change in changes[first:] if first else changes:
            self._follow(*change)

    def line_state(self) -> LineState | None:
        """What the line's past has left in this machine, to compare with another one that hears the same.

        None while it has anything of its own: a packet, a frame on the line, or draws of an access rule.
        """
        if self._ready or self._transmitting or self._rule is not None:
            return None
        return (
            self.state,
            self.backlog.value,
            self._carrier,
            self._last_was_own,
            self._cycle_left,
            self._since,
            self._counted,
            self._due_at,
        )

    def join(self, state: LineState) -> None:
        """Take over the `line_state` of a machine on the same channel that was in the same state before.

        What is the same and hears the same stays the same. The overflows of the backlog in between are the caller's to count.
        """
        (
            self.state,
            self.backlog.value,
            self._carrier,
            self._last_was_own,
            self._cycle_left,
            self._since,
            self._counted,
            self._due_at,
        ) = state

    def _follow(self, what: int, at: float) -> None:
        if what <= BECAME_IDLE:
            self.on_channel(what == BECAME_BUSY, at)
        else:
            self.on_frame(None if what == BAD_FRAME else what, at)

    def _busy_quickly(self, at: float) -> bool:
        """`on_channel(True)` for a machine that nothing waits for; False when it is in one of the rarer states."""
        if self.state is RANDOM_IDLE:
            idle_from = self._since
        elif self._due_at is not None and self.state is BETA1:
            idle_from = self._due_at + self._area[self._last_was_own]
        elif self._due_at is not None and self.state is PRIORITY_IDLE:
            idle_from = self._due_at
        else:
            return False
        if at >= idle_from:
            expired, self._cycle_left = cycles(at - idle_from, self._cycle_left, self._cycle)
            counted = self._counted if self.state is RANDOM_IDLE else 0
            if expired != counted:
                self.backlog.subtract(expired - counted)
        self._carrier, self._last_was_own = True, False
        self.state, self._due_at = BUSY, None
        self._since, self._counted = at, 0
        return True

    def _overhear_quickly(self, changes: Sequence[tuple[int, float]], first: int) -> int:
        """Changes from `first` on, the line being busy now; returns the index of the first one not worked off."""
        if self.state is not BUSY or not self._carrier:
            return first
        beta1, area, cycle, left = self._beta1[False], self._area[False], self._cycle, self._cycle_left
        backlog, busy, since = self.backlog, True, self._since
        index = first
        for index in range(first, len(changes)):
            what, at = changes[index]
            if what >= 0:
                if not busy:
                    break
                backlog.packet_on_line(what)
                left = cycle
            elif what == BECAME_BUSY:
                if not busy:
                    if self._ready:
                        break
                    busy, idle, since = True, at - (since + beta1 + area), at
                    if idle >= 0.0:
                        expired, left = cycles(idle, left, cycle)
                        backlog.subtract(expired)
            elif what == BECAME_IDLE:
                if busy:
                    busy, since = False, at
            elif not busy:
                break
        else:
            index = len(changes)
        self._cycle_left, self._since = left, since
        if not busy:
            self._carrier = False
            self.state, self._due_at = BETA1, since + beta1
        return index

    def on_collision(self, now: float) -> None:
        """The transceiver gave up our frame during its preamble."""
        self.on_timer(now)
        self.backlog.add(1)
        self._statistics.collisions += 1
        self._end_transmission(now)

    def on_refused(self, now: float) -> None:
        """Our frame was not accepted, nothing went on the line: the access starts over (how far back: choice, grade D)."""
        self.on_timer(now)
        self._last_was_own = self._kind_before
        self._end_transmission(now)

    def transmission_started(self, now: float) -> None:
        """The frame was taken at START_TX and is on the line from `now`."""
        self.on_timer(now)
        self._enter(ACCEPTED, now)
        self._transmitting = True
        self._kind_before, self._last_was_own = self._last_was_own, True

    def transmission_done(self, delta_backlog: int, now: float) -> None:
        """The frame has left the line completely."""
        if self.state is not BUSY:
            self.on_timer(now)
        self.backlog.packet_on_line(delta_backlog)
        self._restart_cycle(now)
        if self._rule is not None:
            self._rule.own_frame_ended(now)
        self._end_transmission(now)

    def _end_transmission(self, now: float) -> None:
        if not self._transmitting:
            raise LocalProtocolError("no transmission is under way")
        self._transmitting = False
        if self._carrier:
            self._last_was_own = False  # the last thing seen while busy is another's carrier
        else:
            self._begin_idle(now)

    def _set_received_last(self) -> None:
        if self._last_was_own and self.state is BETA1 and self._due_at is not None:
            self._due_at += self._beta1[False] - self._beta1[True]
        self._last_was_own = False

    def _enter(self, event: AccessEvent, at: float, due_at: float | None = None) -> None:
        state = self.state
        if state in _COUNTING_STATES:
            self._count_waiting(at)
            if state is RANDOM_IDLE:
                self._cycle_left = cycles(at - self._since, self._cycle_left, self._cycle)[1]
        if event is not SLOT_REACHED:  # waiting goes on being counted at START_TX
            self._since, self._counted = at, 0
        try:
            self.state = AFTER[event][state]
        except KeyError:
            next_state(state, event)  # says what is wrong
        self._due_at = due_at

    def _begin_idle(self, at: float) -> None:
        self._enter(LINE_IDLE, at, at + self._beta1[self._last_was_own])

    def _end_of_beta1(self, at: float) -> None:
        if self._priority_ready and self._node_priority and not self._last_was_own:
            self._enter(PRIORITY_TURN, at, at + (self._node_priority - 1) * self._beta2)
        else:
            self._enter(AREA_BEGINS, at, at + self._area[self._last_was_own])

    def _end_of_area(self, at: float) -> None:
        if self._ready:
            self._draw(at)
        else:
            self._enter(NOTHING_TO_SEND, at)

    def _draw(self, at: float) -> None:
        slot = self._rng.randrange(self.backlog.value * self._w_base)
        self._enter(PACKET_DRAWS, at, at + slot * self._beta2)

    def _slot_reached(self, at: float) -> None:
        if not self._ready:
            self._enter(NOTHING_TO_SEND, at)
            return
        if self._rule is not None and (opens_at := self._rule.opens_at()) > at:
            self._due_at = opens_at
            return
        self._enter(SLOT_REACHED, at)

    def _restart_cycle(self, at: float) -> None:
        self._cycle_left = self._cycle
        if self.state is RANDOM_IDLE:
            self._since, self._counted = at, 0

    def _count_waiting(self, now: float) -> None:
        """Lower the backlog by the windows waited since the draw, or the packet cycles idled in RANDOM_IDLE.

        Counted from the start of the waiting each time, so that looking in between changes no rounding.
        """
        if self.state is RANDOM_IDLE:
            total = cycles(now - self._since, self._cycle_left, self._cycle)[0]
        else:
            total = math.floor((now - self._since) / self._window + _ROUNDING)
        if total != self._counted:
            self.backlog.subtract(total - self._counted)
            self._counted = total


def cycles(idle: float, left: float, cycle: float) -> tuple[int, float]:
    """Packet cycles that run out in `idle` s of which the first has `left` s to go, and what the next one has to go then."""
    if idle < left:
        return 0, left - idle
    cycles, into_next = divmod(idle - left, cycle)
    return 1 + int(cycles), cycle - into_next
