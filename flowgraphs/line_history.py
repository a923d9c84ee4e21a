"""What happened on a line, and how a node that did not listen makes up for it."""

from bisect import bisect_left
from dataclasses import dataclass, field
from random import Random
from typing import Final

import mac
from mac.access import ChannelAccess, LineState, cycles
from mac.access_states import AccessState
from mac.network import Overheard

# Where they stand in a LineState.
_BACKLOG: Final = 1
_LEFT: Final = 4
_SINCE: Final = 5
_COUNTED: Final = 6
_BUSY, _BETA1 = AccessState.BUSY, AccessState.BETA1
_Mark = tuple[LineState | None, int, int, int, tuple[int, ...]]  # state, carriers, overflows, good frames, and of each kind


@dataclass(slots=True, eq=False)
class Frame:
    """A frame on the line.

    Attributes:
        kind: how it counts where it is overheard.    delta_backlog: of its header.
        overlaps: others on the line at the same time.    sensed_by_all: no station is too far to sense its carrier.
        chances: of being received and of being noticed, when they are the same for everybody and somebody has asked.
    """

    number: int
    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    kind: Overheard
    delta_backlog: int
    overlaps: list["Frame"] = field(default_factory=list)
    sensed_by_all: bool = False
    chances: tuple[float, float] | None = None


@dataclass(slots=True, eq=False)
class Listener:
    """A node as the line sees it.

    Attributes:
        index: its number in the network.    cursor: entries of the history that it knows.    carriers: how many it senses now.
        in_step: its access machine is where an undisturbed listener's is, but for the backlog and its packet cycle.
    """

    index: int
    node: mac.Node
    cursor: int = 0
    carriers: int = 0
    in_step: bool = False


@dataclass(slots=True)
class Walk:
    """A node on its way through a history, with a backlog and a packet cycle of its own.

    Attributes:
        at: entries that it has gone through.    backlog: now.    left: s of the packet cycle.
        counted: packet cycles of the present idle time that the backlog has lost already, because somebody looked.
        overflows: of the backlog on the way.    good: frames received that not everybody received.
        bad: frames with a bad CRC.
    """

    at: int
    backlog: int
    left: float
    counted: int
    overflows: int = 0
    good: list[Overheard] = field(default_factory=list)
    bad: int = 0


class History:
    """What happened on a line, in order, and the access machine of a listener who received all that everybody received.

    That machine knows two of the states of `ChannelAccess` alone: the line is busy, or the last thing that happened is that it
    became idle. Its other states pass unseen, see `ChannelAccess.next_start_timer`.

    On a line where everybody hears everybody, a node with nothing to send is after a frame or two in the same state as that
    listener, whatever it did before, and stays so until something happens that not everybody hears alike. So it
    costs a node the same to make up for one frame or for thousands.
    """

    def __init__(self, timing: mac.ChannelTiming) -> None:
        self.entries: list[tuple[float, Frame, bool]] = []
        self.is_special: list[bool] = []  # of each entry: not every node hears it alike
        self._special: list[int] = []  # entries for which that is so
        self._reports: list[int] = []  # entries that report a frame
        self._kinds: dict[Overheard, int] = {}  # kinds of frames so far, numbered
        self._limits, self._cycle = timing.limits, timing.packet_cycle
        self._beta1, self._area = timing.beta1_post_rx, timing.priority_area_post_rx
        # What each entry does to the backlog: idle time of the line that it ended, s, or the step of a frame; None: nothing.
        self._steps: list[tuple[float, int] | None] = []
        self._good_of_kind: tuple[int, ...] = ()
        # What stands after so many entries. A machine with an access rule has a state of its own always.
        self._marks: list[_Mark] = [(ChannelAccess(timing, Random(0), mac.Statistics()).line_state(), 0, 0, 0, ())]

    def add(self, at: float, frame: Frame, begins: bool, heard_alike: bool) -> None:
        """A new entry."""
        index = len(self.entries)
        self.entries.append((at, frame, begins))
        self.is_special.append(not heard_alike)
        if not heard_alike:
            self._special.append(index)
        state, carriers, overflows, good, counts = self._marks[index]
        step = None
        if begins:
            carriers += 1
            if carriers == 1 and state is not None:
                idle, left, backlog = at - (state[_SINCE] + self._beta1 + self._area), state[_LEFT], state[_BACKLOG]
                if idle >= 0.0:
                    expired, left = cycles(idle, left, self._cycle)
                    backlog, step = max(backlog - expired, self._limits.minimum), (idle, 0)
                state = (_BUSY, backlog, True, False, left, at, 0, None)
        else:
            self._reports.append(index)
            carriers -= 1
            if heard_alike:
                good += 1
                counts = self._count(frame.kind)
                if state is not None:
                    step = (-1.0, frame.delta_backlog or -1)
                    backlog, over = self._moved(state[_BACKLOG], step[1])
                    overflows += over
                    state = (_BUSY, backlog, True, False, self._cycle, *state[_SINCE:])
            if carriers == 0 and state is not None:
                state = (_BETA1, state[_BACKLOG], False, False, state[_LEFT], at, 0, at + self._beta1)
        self._steps.append(step)
        self._marks.append((state, carriers, overflows, good, counts))

    def _moved(self, backlog: int, step: int) -> tuple[int, bool]:
        """A backlog after a frame, and whether it ran over."""
        backlog += step
        if backlog > self._limits.maximum:
            return self._limits.maximum, True
        return max(backlog, self._limits.minimum), False

    def _count(self, kind: Overheard) -> tuple[int, ...]:
        number = self._kinds.setdefault(kind, len(self._kinds))
        counts = self._good_of_kind
        counts = (*counts, 0) if number == len(counts) else counts
        self._good_of_kind = (*counts[:number], counts[number] + 1, *counts[number + 1 :])
        return self._good_of_kind

    def begin_anew(self) -> None:
        """Forget the past; every node knows all of it."""
        self._marks = [self._marks[-1]]
        for entries in (self.entries, self.is_special, self._special, self._reports, self._steps):
            entries.clear()

    def next_special(self, first: int) -> int:
        """First entry from `first` on that not every node hears alike."""
        special = self._special
        if not special or special[-1] < first:
            return len(self.entries)
        return special[bisect_left(special, first)]

    def next_report(self, first: int) -> int:
        """First entry from `first` on that reports a frame."""
        reports = self._reports
        if not reports or reports[-1] < first:
            return len(self.entries)
        return reports[bisect_left(reports, first)]

    def is_in_step(self, listener: Listener, after: int) -> bool:
        """Whether a node that knows the first `after` entries is in the undisturbed listener's state."""
        state, carriers, *_ = self._marks[after]
        if state is None or listener.carriers != carriers:
            return False
        own = listener.node.line_state()
        return own is not None and own[0] is state[0] and own[2:_LEFT] == state[2:_LEFT] and own[_SINCE:] == state[_SINCE:]

    def set_out(self, node: mac.Node, at: int) -> Walk:
        """A node that is in step and knows `at` entries."""
        own = node.line_state()
        assert own is not None
        return Walk(at, own[_BACKLOG], own[_LEFT], own[_COUNTED])

    def walk(self, walk: Walk, last: int) -> None:
        """Go on through the entries up to last-1; once a node meets the undisturbed listener, the two go together."""
        lowest, cycle = self._limits.minimum, self._cycle
        for index in range(walk.at, last):
            state = self._marks[index][0]
            if state is not None and not walk.counted and walk.backlog == state[_BACKLOG] and walk.left == state[_LEFT]:
                walk.overflows += self._marks[last][2] - self._marks[index][2]
                end = self._marks[last][0]
                assert end is not None
                walk.backlog, walk.left = end[_BACKLOG], end[_LEFT]
                break
            step = self._steps[index]
            if step is not None:
                idle, by = step
                if by:
                    walk.backlog, over = self._moved(walk.backlog, by)
                    walk.left = cycle
                    walk.overflows += over
                else:
                    expired, walk.left = cycles(idle, walk.left, cycle)
                    walk.backlog, walk.counted = max(walk.backlog - expired + walk.counted, lowest), 0
        walk.at = last

    def receive(self, walk: Walk, frame: Frame) -> None:
        """A frame that not everybody received."""
        walk.backlog, over = self._moved(walk.backlog, frame.delta_backlog or -1)
        walk.left = self._cycle
        walk.overflows += over
        walk.good.append(frame.kind)

    def join(self, node: mac.Node, walk: Walk, first: int, taken: Overheard | None = None) -> int:
        """Put a node where it has come from `first`; returns its carriers.

        `taken`: kind of a frame on the way that was for the node, which will count what becomes of it.
        """
        _, _, _, good_before, counts_before = self._marks[first]
        state, carriers, _, good, counts = self._marks[walk.at]
        assert state is not None
        packets = [(kind, 1) for kind in walk.good]
        if good != good_before:
            known = len(counts_before)
            for kind, number in self._kinds.items():
                if number == len(counts):
                    break  # came later
                n = counts[number] - counts_before[number] if number < known else counts[number]
                n -= kind == taken
                if n:
                    packets.append((kind, n))
        if walk.backlog != state[_BACKLOG] or walk.left != state[_LEFT]:
            state = (state[0], walk.backlog, state[2], state[3], walk.left, *state[_SINCE:])
        node.join(state, good - good_before + len(walk.good), walk.bad, walk.overflows, packets)
        return carriers
