"""Receiving on a quiet line: one filter per carrier, and a keen ear for anything that needs more than that.

Most lines are, most of the time, white noise with packets in it, and then impulse blanker, tone canceller and the stream that
they work on change nothing. `QuietLine` listens without them, at a fraction of the cost. The line samples are kept, so that the
`Receiver` can go back and use all its means as soon as a packet fails or the noise is not what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from .branch import Branch, Conclusion, Ended, is_ghost
from .carrier import CarrierReceiver
from .detect import Candidate
from .direct import DirectFilter
from .filters import SAMPLES_PER_BIT
from .line_search import LineSearch
from .noise_tiles import Heard
from .stream import Past
from .tracking import Ending, PacketTracker, tracking_settings

_LEAD: Final = 48 * SAMPLES_PER_BIT  # narrow samples that the receiver gets before what it is to look at
_SLACK: Final = 16 * SAMPLES_PER_BIT
BEFORE_ALL: Final = 2 * _LEAD  # narrow samples before those that a plain branch needs, which going back may need


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that a quiet line does not do.

    Attributes:
        known: narrow sample at which it was known. begin: where it began. candidate: of the packet that failed, if it was one.
    """

    known: int
    begin: float
    candidate: Candidate | None = None


class QuietBranch(Branch):
    """Goes on where the plain branch of a carrier stands, with a LineSearch.

    Args:
        plain: the branch whose packets, samples and noise tiles are taken over. direct: the filter.
        floor: noise power, V^2, of which the line may not be far above. epoch: see Conclusion.
    """

    def __init__(self, plain: Branch, direct: DirectFilter, floor: float, epoch: int) -> None:
        self.__dict__.update(plain.fork(0).__dict__)
        self.trackers, self.epoch = plain.trackers, epoch
        self._direct, self._floor = direct, floor
        settings = tracking_settings(self._profile, self.decoder.cycles_per_bit, self.gains, self._options.lost_below)
        self._search = LineSearch(self._profile, self.detector, settings, direct, self._filtered.samples, self._filtered.first)
        self._line = Past(np.float32)
        self._reached = plain.frontier
        self._bad: list[Ended] = []  # that began in a packet which goes on
        self.heard: list[Ended] = []  # of the last call
        self._heard_good: list[Conclusion] = []
        self._troubles: list[Trouble] = []

    @property
    def frontier(self) -> int:
        """Narrow samples that the line has come to: every packet decided before this one has been given out."""
        return self._reached

    def listen(self, line: Past, end: int) -> tuple[list[Conclusion], list[Trouble]]:
        """Line samples up to `end` -> good packets, and bad ones."""
        self.heard, self._heard_good, self._troubles = [], [], []
        self.forget_packets()
        self._line, self._reached = line, self._direct.reached(end)
        while True:
            over = [t for t in self.trackers if self._has_ended(t, end)]
            for tracker in sorted(over, key=lambda t: t.oldest_needed):
                # It may have been left out by a good one just now.
                if tracker in self.trackers and self._is_good(tracker):
                    self._search.leave_out(float(tracker.positions[-1]))
            found = self._search.find(line, end)
            for one in found:
                self.begin(one.tracker)
                if not (self._is_over(one.tracker) and self._is_good(one.tracker)):
                    self._search.go_back(one)
                    break
            if not found:
                return self._heard_good, self._troubles

    def _is_over(self, tracker: PacketTracker) -> bool:
        """Whether that is surely the packet's end, where it has been followed to."""
        ending = tracker.ending
        return self.decoder.is_complete(tracker) if ending is Ending.END_WORD else ending is not Ending.OPEN

    def _is_good(self, tracker: PacketTracker) -> bool:
        """Conclude a packet that has ended: a good one at once, and nothing counts that seemed to begin in it."""
        ended = self.end(tracker)
        packet = self.decoder.first_look(tracker)
        if packet.crc_ok:
            self.heard.append(ended)
            self._heard_good.append(self.conclude(ended, packet))
            self.trackers = [t for t in self.trackers if not self.within_good(t.candidate.position)]
            self._bad = [e for e in self._bad if not self.within_good(e.tracker.candidate.position)]
        else:
            self._bad.append(ended)
        self._settle()
        return packet.crc_ok

    def _settle(self) -> None:
        """Of bad packets: those that no packet which began earlier, and goes on, may turn out to contain. That is known when the
        last one that began earlier has ended, in whatever order they were followed."""
        waiting = []
        for ended in self._bad:
            start = ended.tracker.candidate.position
            if any(tracker.candidate.position < start for tracker in self.trackers):
                waiting.append(ended)
                continue
            before = (e.decided for e in (*self.heard, *self._bad) if e.tracker.candidate.position < start)
            known = max([ended.decided, *before])
            self.heard.append(replace(ended, decided=known))
            if ended.likely or ended.tracker.candidate.sure:
                self._troubles.append(Trouble(known, start, ended.tracker.candidate))
        self._bad = waiting

    def listen_to_noise(self, own: Sequence[Heard], across: Sequence[Heard]) -> list[Trouble]:
        """Whether the noise between the packets is what it was. own: `packets`. across: those of the other carrier."""
        self.noise.push_even(self._search.even(self.noise.next), self.noise.next // 2)
        loud = self.noise.judge(self._reached, own, across, self._floor)
        self._search.forget(min(self._search.oldest_needed, self.noise.next))
        return [] if loud is None else [Trouble(self.noise.judged_at(loud), self.noise.begin(loud))]

    def _go_on(self, tracker: PacketTracker, end: int) -> Ending:
        return tracker.push_on_line(self._direct, self._line, end)

    @property
    def _unsettled(self) -> list[PacketTracker]:
        return [*self.trackers, *(ended.tracker for ended in self._bad)]

    def unfinished(self, at: int) -> list[float]:
        """Where those packets began that had not ended at narrow sample `at`."""
        open_then = [*(e.tracker for e in self.heard if e.decided > at), *self._unsettled]
        return [t.candidate.position for t in open_then if t.candidate.position < at]

    @property
    def first_unsettled(self) -> float:
        """Narrow sample before which nothing can cause trouble any more."""
        starts = [t.candidate.position for t in self._unsettled]
        return min([*starts, self.noise.unjudged, self._search.searched - self.found_after - _SLACK])


class QuietLine:
    """All carriers of a receiver on a quiet line.

    Args:
        chains: of the carriers, from which it takes over. floors: noise power of each, V^2. epoch: see Conclusion.
    """

    def __init__(self, chains: Sequence[CarrierReceiver], floors: Sequence[float], epoch: int) -> None:
        self._chains = chains
        self.branches = [
            QuietBranch(chain.plain, chain.direct, floor, epoch) for chain, floor in zip(chains, floors, strict=True)
        ]
        for chain, branch in zip(chains, self.branches, strict=True):
            chain.quiet = branch
        self.hop = self.branches[0]._direct.plan.hop

    def listen(self, line: Past, end: int) -> Trouble | None:
        """Line samples up to `end`; good packets go to the carriers, those after the first trouble are left for later."""
        results = [branch.listen(line, end) for branch in self.branches]
        troubles = [found for _, found in results]
        packets = [branch.packets for branch in self.branches]
        for i, branch in enumerate(self.branches):
            across = [p for j, heard in enumerate(packets) if j != i for p in heard]
            troubles[i].extend(branch.listen_to_noise(packets[i], across))
        serious = (
            t
            for branch, found in zip(self.branches, troubles, strict=True)
            for t in found
            if t.candidate is None or not is_ghost(t.candidate, branch.elsewhere())
        )
        trouble = min(serious, key=lambda t: (t.known, t.begin), default=None)
        for chain, (good, _) in zip(self._chains, results, strict=True):
            chain.hold([c for c in good if trouble is None or c.decided <= trouble.known])
        return trouble

    def resume_at(self, trouble: Trouble) -> int:
        """Line sample from which the receiver has to look again."""
        starts = [start for branch in self.branches for start in branch.unfinished(trouble.known)]
        found = trouble.known - self.branches[0].found_after
        return int((min([trouble.begin, found, *starts]) - _LEAD) * self.hop)

    @property
    def oldest_needed(self) -> int:
        """Line sample before which nothing will be looked at again."""
        return int((min(branch.first_unsettled for branch in self.branches) - _LEAD - _SLACK) * self.hop)

    def end(self, trouble: Trouble) -> None:
        """Hand the carriers back, as they were when the trouble was known."""
        for chain, branch in zip(self._chains, self.branches, strict=True):
            chain.quiet = None
            chain.plain.remember(branch, trouble.known)
