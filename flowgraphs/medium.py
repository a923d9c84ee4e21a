"""A line at the level of frames: who hears a frame, who senses its carrier, and what a collision leaves of it.

    start ---- airtime of the profile ---- end
      |  sense_delay                        |  release_delay
      +------> carrier sensed               +------> frame reported, carrier gone

What becomes of a frame at a receiver is a pure function of the frame, of the frames that overlap it and of the seed, so it
can be worked out when somebody wants to know. Losses come from the modem's own measured curves (`error_table.py`).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import mac
from mac.access import BAD_FRAME, BECAME_BUSY, BECAME_IDLE
from mac.network import Overheard, overheard
from phy import Profile

from .error_table import ErrorTable, load_table
from .line_history import Frame, History, Listener
from .paths import Paths

CRC_OCTETS: Final = 2
_TOGETHER_BITS: Final = 4.0  # frames that start so close are a collision of one slot; as in benchmarks/error_table.py
_MASK: Final = (1 << 64) - 1


class Outcome(Enum):
    """What a receiver makes of a frame."""

    GOOD = auto()
    BAD = auto()  # reported with a bad CRC
    MISSED = auto()  # not noticed: too weak, covered by another, or the receiver was sending


# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_GOOD: Final = Outcome.GOOD
_BAD: Final = Outcome.BAD
_MISSED: Final = Outcome.MISSED


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
        self._airtimes: dict[int, float] = {}  # of lengths that were seen
        self.on_air: list[Frame] = []
        self.history = History(timing)

    def airtime(self, octets: bytes) -> float:
        """Duration of a frame given without CRC, s."""
        length = len(octets)
        if length not in self._airtimes:
            self._airtimes[length] = self.profile.airtime(length + CRC_OCTETS)
        return self._airtimes[length]

    def start(self, number: int, sender: int, octets: bytes, alternate: bool, now: float) -> Frame:
        """A station puts a frame on the line."""
        frame = Frame(number, sender, now, now + self.airtime(octets), octets, alternate, overheard(octets), octets[0] & 0x3F)
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
        alike = frame.sensed_by_all = self._sensed_by_all(frame)
        self.history.add(at, frame, True, alike)
        return alike

    def note_report(self, frame: Frame, at: float) -> bool:
        """It is being reported by those who received it; returns whether these are all, and all sensed it."""
        alike = not frame.overlaps and frame.sensed_by_all and self._received_by_all(frame)
        self.history.add(at, frame, False, alike)
        return alike

    def senses(self, frame: Frame, receiver: int) -> bool:
        """Whether a station notices the carrier of a frame."""
        level = self.paths.esn0_db(frame.sender, receiver, frame.alternate)
        return level is not None and level >= self.errors.sense_esn0_db

    def outcome(self, frame: Frame, receiver: int) -> Outcome:
        """What a station makes of a frame that has ended."""
        for other in frame.overlaps:
            if other.sender == receiver:
                return _MISSED
        chances = frame.chances
        if chances is None:
            chances = self._chances(frame, receiver)
            if self.paths.are_alike:
                frame.chances = chances  # the same for everybody
        good, noticed = chances
        if good >= 1.0:
            return _GOOD
        if noticed <= 0.0:
            return _MISSED
        drawn = uniform(self._seed, frame.number, receiver)
        if drawn < good:
            return _GOOD
        return _BAD if drawn < noticed else _MISSED

    def _chances(self, frame: Frame, receiver: int) -> tuple[float, float]:
        """Probabilities that a station that is not sending receives a frame, and that it notices it."""
        level = self.paths.esn0_db(frame.sender, receiver, frame.alternate)
        if level is None:
            return 0.0, 0.0
        loss = self.errors.loss(level, len(frame.octets) + CRC_OCTETS)
        good, noticed = 1.0 - loss.total, 1.0 - loss.missed
        for other in frame.overlaps:
            other_level = self.paths.esn0_db(other.sender, receiver, other.alternate)
            if other.alternate is not frame.alternate or other_level is None:
                continue  # the receiver filters the carriers apart
            together = abs(frame.start - other.start) <= self._together
            if not self._capture:
                return 0.0, float((frame.start, frame.number) < (other.start, other.number))
            first = self.errors.first if frame.start < other.start else self.errors.second
            hit = (self.errors.together if together else first).loss(level - other_level)
            good, noticed = good * (1.0 - hit.total), noticed * (1.0 - hit.missed)
        return good, noticed

    def _sensed_by_all(self, frame: Frame) -> bool:
        return self.paths.floor_db(frame.alternate) >= self.errors.sense_esn0_db

    def _received_by_all(self, frame: Frame) -> bool:
        return self.errors.loss(self.paths.floor_db(frame.alternate), len(frame.octets) + CRC_OCTETS).total == 0.0

    def follow(self, listener: Listener, first: int, last: int) -> None:
        """Tell a listener what happened in the entries first..last-1 of the history, one by one."""
        receiver, entries, special = listener.index, self.history.entries, self.history.is_special
        if last - first == 1:
            at, frame, begins = entries[first]
            if begins:  # so it is for a node that has just sent and now gets its answer
                if frame.sender != receiver and (not special[first] or self.senses(frame, receiver)):
                    listener.carriers += 1
                    if listener.carriers == 1:
                        listener.node.on_channel(True, at)
                return
        changes: list[tuple[int, float]] = []
        packets: list[tuple[Overheard, int]] = []
        for index in range(first, last):
            at, frame, begins = entries[index]
            if frame.sender == receiver:
                continue
            heard_alike = not special[index]
            if begins:
                if heard_alike or self.senses(frame, receiver):
                    listener.carriers += 1
                    if listener.carriers == 1:
                        changes.append((BECAME_BUSY, at))
                continue
            outcome = _GOOD if heard_alike else self.outcome(frame, receiver)
            if outcome is _GOOD:
                changes.append((frame.delta_backlog, at))
                packets.append((frame.kind, 1))
            elif outcome is _BAD:
                changes.append((BAD_FRAME, at))
            if heard_alike or self.senses(frame, receiver):
                listener.carriers -= 1
                if listener.carriers == 0:
                    changes.append((BECAME_IDLE, at))
        if changes:
            listener.node.overhear(changes, packets)

    def catch_up(self, listener: Listener, last: int | None = None) -> None:
        """Bring a node that had nothing to send up to date, exactly as if it had been told everything in time.

        Args:
            last: entries that it shall know then; None: all.
        """
        history, at = self.history, listener.cursor
        entries = history.entries
        last = len(entries) if last is None else last
        listener.cursor = last
        while at < last:
            if listener.in_step:
                until = self._advance(listener, at, last)
                if until > at:
                    at = until
                    continue
            # Entry by entry until the node is where everybody else is.
            until = min(history.next_report(at) + 1, last)
            self.follow(listener, at, until)
            at = until
            listener.in_step = not entries[until - 1][2] and history.is_in_step(listener, at)

    def arrive(self, listener: Listener, last: int, frame: Frame) -> bool:
        """Bring a node that is in step up to date in one go, with the last entry, which reports a frame that it takes itself.

        Returns False, and does nothing, when something on the way was not heard alike by everybody.
        """
        history, first = self.history, listener.cursor
        if history.next_special(first) < last:
            return False
        walk = history.set_out(listener.node, first)
        history.walk(walk, last)
        listener.carriers = history.join(listener.node, walk, first, frame.kind)
        listener.cursor = last
        return True

    def _advance(self, listener: Listener, first: int, last: int) -> int:
        """Take a node that is in step over the entries from `first` on; returns how many it knows then.

        That is `last`, or fewer when it falls out of step with the next one.
        """
        history, receiver = self.history, listener.index
        walk = history.set_out(listener.node, first)
        at = first
        while at < last:
            at = min(history.next_special(at), last)
            if at == last:
                break
            _, frame, begins = history.entries[at]
            if frame.sender == receiver or not (frame.sensed_by_all or self.senses(frame, receiver)):
                listener.in_step = False
                break
            at += 1
            if begins:
                continue
            outcome = self.outcome(frame, receiver)
            if outcome is _GOOD:
                history.walk(walk, at)
                history.receive(walk, frame)
            elif outcome is _BAD:
                walk.bad += 1
        if at > first:
            history.walk(walk, at)
            listener.carriers = history.join(listener.node, walk, first)
        return at
