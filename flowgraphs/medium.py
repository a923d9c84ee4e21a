"""A line at the level of frames: who hears a frame, who senses its carrier, and what a collision leaves of it.

    start ---- airtime of the profile ---- end
      |  sense_delay                        |  release_delay
      +------> carrier sensed               +------> frame reported, carrier gone

What becomes of a frame at a receiver is a pure function of the frame, of the frames that overlap it and of the seed, so it
can be worked out when somebody wants to know. Losses come from the modem's own measured curves (`error_table.py`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Final

import mac
from mac.access import BAD_FRAME, BECAME_BUSY, BECAME_IDLE, ChannelAccess, LineState
from mac.lpdu import decode_lpdu
from mac.network import Overheard, overheard
from phy import Profile

from .error_table import ErrorTable, load_table
from .paths import Paths

CRC_OCTETS: Final = 2
_TOGETHER_BITS: Final = 4.0  # frames that start so close are a collision of one slot; as in benchmarks/error_table.py
_MASK: Final = (1 << 64) - 1


class Outcome(Enum):
    """What a receiver makes of a frame."""

    GOOD = auto()
    BAD = auto()  # reported with a bad CRC
    MISSED = auto()  # not noticed: too weak, covered by another, or the receiver was sending


@dataclass(slots=True, eq=False)
class Frame:
    """A frame on the line. `overlaps`: others on the line at the same time. `delta_backlog` of its header."""

    number: int
    sender: int
    start: float
    end: float
    octets: bytes
    alternate: bool
    kind: Overheard
    overlaps: list["Frame"] = field(default_factory=list)

    @property
    def delta_backlog(self) -> int:
        """Of its header."""
        return self.octets[0] & 0x3F


@dataclass(frozen=True, slots=True)
class LineTiming:
    """Delays of a receiver, s.

    Args:
        sense_delay: from the start of a frame until its carrier is sensed; within it another may start, a collision.
        release_delay: from the end of a frame until it is reported and the line taken for free.
    """

    sense_delay: float
    release_delay: float


def uniform(seed: int, frame: int, receiver: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments (splitmix64)."""
    z = (seed * 0x9E3779B97F4A7C15 + frame * 0xBF58476D1CE4E5B9 + receiver * 0x94D049BB133111EB + 0x2545F4914F6CDD1D) & _MASK
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        z = ((z ^ (z >> 30)) * factor) & _MASK
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


class Line:
    """One line. Frames are put on it with `start`; `sensed`, `end` and `report` follow at their instants.

    Args:
        profile: of the physical layer, for airtime and error curves.    timing: of the 14908 channel.
        paths: how well stations hear each other.    seed: of the losses.
        delays: of the receivers; None: as measured with the modem.
        capture: a strong frame survives a weak one; off: frames that overlap at a receiver destroy each other.
        errors: curves; None: the shipped ones of the profile, or lossless where a profile has none.
    """

    def __init__(
        self,
        profile: Profile,
        timing: mac.ChannelTiming,
        paths: Paths,
        seed: int,
        delays: LineTiming | None = None,
        capture: bool = True,
        errors: ErrorTable | None = None,
    ) -> None:
        self.profile, self.timing, self.paths = profile, timing, paths
        self._seed = seed
        self._capture = capture
        self.errors = load_table(profile.name) if errors is None else errors
        bit = profile.bit_time
        self.delays = delays or LineTiming(self.errors.sense_bits * bit, self.errors.release_bits * bit)
        self._together = _TOGETHER_BITS * bit
        self.on_air: list[Frame] = []
        self.history = History(timing)

    def airtime(self, octets: bytes) -> float:
        """Duration of a frame given without CRC, s."""
        return self.profile.airtime(len(octets) + CRC_OCTETS)

    def start(self, number: int, sender: int, octets: bytes, alternate: bool, now: float) -> Frame:
        """A station puts a frame on the line."""
        frame = Frame(number, sender, now, now + self.airtime(octets), octets, alternate, overheard(octets))
        for other in self.on_air:
            other.overlaps.append(frame)
            frame.overlaps.append(other)
        self.on_air.append(frame)
        return frame

    def end(self, frame: Frame) -> None:
        """It has left the line."""
        self.on_air.remove(frame)

    def note_sensed(self, frame: Frame, at: float) -> bool:
        """Its carrier can be sensed from now on; returns whether all sense it."""
        alike = self._sensed_by_all(frame)
        self.history.add(at, frame, True, alike)
        return alike

    def note_report(self, frame: Frame, at: float) -> bool:
        """It is being reported by those who received it; returns whether these are all, and all sensed it."""
        alike = self._sensed_by_all(frame) and self._received_by_all(frame)
        self.history.add(at, frame, False, alike)
        return alike

    def senses(self, frame: Frame, receiver: int) -> bool:
        """Whether a station notices the carrier of a frame."""
        level = self.paths.esn0_db(frame.sender, receiver, frame.alternate)
        return level is not None and level >= self.errors.sense_esn0_db

    def outcome(self, frame: Frame, receiver: int) -> Outcome:
        """What a station makes of a frame that has ended."""
        level = self.paths.esn0_db(frame.sender, receiver, frame.alternate)
        if level is None or any(other.sender == receiver for other in frame.overlaps):
            return Outcome.MISSED
        loss = self.errors.loss(level, len(frame.octets) + CRC_OCTETS)
        good, noticed = 1.0 - loss.total, 1.0 - loss.missed
        for other in frame.overlaps:
            other_level = self.paths.esn0_db(other.sender, receiver, other.alternate)
            if other.alternate is not frame.alternate or other_level is None:
                continue  # the receiver filters the carriers apart
            together = abs(frame.start - other.start) <= self._together
            if not self._capture:
                return Outcome.BAD if (frame.start, frame.number) < (other.start, other.number) else Outcome.MISSED
            first = self.errors.first if frame.start < other.start else self.errors.second
            hit = (self.errors.together if together else first).loss(level - other_level)
            good, noticed = good * (1.0 - hit.total), noticed * (1.0 - hit.missed)
        if good >= 1.0:
            return Outcome.GOOD
        drawn = uniform(self._seed, frame.number, receiver)
        if drawn < good:
            return Outcome.GOOD
        return Outcome.BAD if drawn < noticed else Outcome.MISSED

    def _sensed_by_all(self, frame: Frame) -> bool:
        return self.paths.floor_db(frame.alternate) >= self.errors.sense_esn0_db

    def _received_by_all(self, frame: Frame) -> bool:
        if frame.overlaps:
            return False
        return self.errors.loss(self.paths.floor_db(frame.alternate), len(frame.octets) + CRC_OCTETS).total == 0.0

    def follow(self, listener: "Listener", first: int, last: int) -> None:
        """Tell a listener what happened in the entries first..last-1 of the history, one by one."""
        changes: list[tuple[int, float]] = []
        packets: dict[Overheard, int] = {}
        receiver, senses = listener.index, self.senses
        for at, frame, begins in self.history.entries[first:last]:
            if frame.sender == receiver:
                continue
            if begins:
                if senses(frame, receiver):
                    listener.carriers += 1
                    if listener.carriers == 1:
                        changes.append((BECAME_BUSY, at))
                continue
            outcome = self.outcome(frame, receiver)
            if outcome is Outcome.GOOD:
                changes.append((frame.delta_backlog, at))
                packets[frame.kind] = packets.get(frame.kind, 0) + 1
            elif outcome is Outcome.BAD:
                changes.append((BAD_FRAME, at))
            if senses(frame, receiver):
                listener.carriers -= 1
                if listener.carriers == 0:
                    changes.append((BECAME_IDLE, at))
        if changes:
            listener.node.overhear(changes, packets)

    def catch_up(self, listener: "Listener", last: int | None = None) -> None:
        """Bring a node that had nothing to send up to date, exactly as if it had been told everything in time.

        Args:
            last: entries that it shall know then; None: all.
        """
        history, at = self.history, listener.cursor
        last = len(history.entries) if last is None else last
        listener.cursor = last
        while at < last:
            if listener.in_step:
                until, bad = history.next_special(at), 0
                while until < last and (errors := self._errors_alone(listener, until)) is not None:
                    until, bad = history.next_special(until + 1), bad + errors
                until = min(until, last)
                if until > at:
                    listener.carriers = history.join(listener.node, at, until, bad)
                    at = until
                    continue
            # Entry by entry until the node is where everybody else is.
            listener.in_step = False
            until = min(history.next_report(at) + 1, last)
            self.follow(listener, at, until)
            at = until
            listener.in_step = history.is_in_step(listener, at)


    def _errors_alone(self, listener: "Listener", entry: int) -> int | None:
        """Whether an entry leaves a node in step with one who received nothing, and how many bad frames it counts then."""
        _, frame, begins = self.history.entries[entry]
        if frame.sender == listener.index or not self.senses(frame, listener.index):
            return None
        outcome = Outcome.MISSED if begins else self.outcome(frame, listener.index)
        return None if outcome is Outcome.GOOD else int(outcome is Outcome.BAD)


@dataclass(slots=True, eq=False)
class Listener:
    """A node as the line sees it.

    Attributes:
        index: its number in the network.    cursor: entries of the history that it knows.
        carriers: how many it senses now.    in_step: its access machine is in the state of an undisturbed listener's.
    """

    index: int
    node: mac.Node
    cursor: int = 0
    carriers: int = 0
    in_step: bool = False


class History:
    """What happened on a line, in order, and the access machine of a listener who received all that everybody received.

    On a line where everybody hears everybody, a node with nothing to send is after a frame or two in the same state as that
    listener, whatever it did before, and stays so until something happens that not everybody hears alike. So it
    costs a node the same to make up for one frame or for thousands.
    """

    def __init__(self, timing: mac.ChannelTiming) -> None:
        self.entries: list[tuple[float, Frame, bool]] = []
        self._special: list[int] = []  # entries that not every node hears alike
        self._reports: list[int] = []  # entries that report a frame
        self._kinds: dict[Overheard, list[int]] = {}  # entries that reported a frame of this kind to all
        self._good: list[int] = []  # entries that reported a good frame to all
        self._statistics = mac.Statistics()
        self._access = ChannelAccess(timing, Random(0), self._statistics)
        self._carriers = 0
        # After each entry: state, carriers, overflows so far; and before the first one.
        self._states: list[tuple[LineState | None, int, int]] = []
        self._at_first = self._access.line_state(), 0, 0

    def add(self, at: float, frame: Frame, begins: bool, heard_alike: bool) -> None:
        """A new entry."""
        index = len(self.entries)
        self.entries.append((at, frame, begins))
        if not heard_alike:
            self._special.append(index)
        if begins:
            self._carriers += 1
            if self._carriers == 1:
                self._access.on_channel(True, at)
        else:
            self._reports.append(index)
            if heard_alike:
                self._good.append(index)
                self._kinds.setdefault(frame.kind, []).append(index)
                self._access.on_frame(frame.delta_backlog, at)
            self._carriers -= 1
            if self._carriers == 0:
                self._access.on_channel(False, at)
        self._states.append((self._access.line_state(), self._carriers, self._statistics.backlog_overflows))

    def next_special(self, first: int) -> int:
        """First entry from `first` on that not every node hears alike."""
        k = bisect_left(self._special, first)
        return self._special[k] if k < len(self._special) else len(self.entries)

    def next_report(self, first: int) -> int:
        """First entry from `first` on that reports a frame."""
        k = bisect_left(self._reports, first)
        return self._reports[k] if k < len(self._reports) else len(self.entries)

    def is_in_step(self, listener: Listener, after: int) -> bool:
        """Whether a node that knows the first `after` entries is in the undisturbed listener's state."""
        state, carriers, _ = self._states[after - 1] if after else self._at_first
        return state is not None and listener.carriers == carriers and listener.node.line_state() == state

    def join(self, node: mac.Node, first: int, last: int, bad: int) -> int:
        """Bring a node that is in step over the entries first..last-1, with so many bad frames; returns its carriers."""
        state, carriers, overflows = self._states[last - 1]
        assert state is not None
        before = self._states[first - 1][2] if first else 0
        packets = {kind: n for kind, at in self._kinds.items() if (n := _between(at, first, last))}
        node.join(state, _between(self._good, first, last), bad, overflows - before, packets)
        return carriers


def _between(indices: Sequence[int], first: int, last: int) -> int:
    """How many of the sorted indices are in first..last-1."""
    return bisect_left(indices, last) - bisect_left(indices, first)


def addressees(octets: bytes) -> tuple[tuple[object, ...], ...] | None:
    """Addresses under which stations must look at a frame: whom it is for, and its source; None: everybody.

    A node whose own address is the source has a double on the line and counts the frame differently.
    """
    try:
        npdu = decode_lpdu(octets).npdu
    except mac.DecodeError:
        return ()
    source = ("node", npdu.domain, npdu.source)
    match npdu.destination:
        case mac.Broadcast():
            return None
        case mac.Group(group):
            return (("group", npdu.domain, group), source)
        case mac.UniqueId(unique_node_id):
            return (("id", unique_node_id), source)
        case mac.GroupReply(address):
            return (("node", npdu.domain, address), source)
        case mac.SubnetNode() as address:
            return (("node", npdu.domain, address), source)


def addresses_of(
    unique_node_id: bytes,
    domains: Sequence[mac.DomainEntry | None],
    groups: Sequence[mac.GroupEntry],
) -> frozenset[tuple[object, ...]]:
    """Addresses of a node, as `addressees` names them."""
    found: set[tuple[object, ...]] = {("id", unique_node_id)}
    found |= {("node", entry.domain, entry.address) for entry in domains if entry is not None}
    for group in groups:
        entry = domains[group.domain_index] if group.domain_index < len(domains) else None
        if entry is not None:
            found.add(("group", entry.domain, group.group))
    return frozenset(found)
