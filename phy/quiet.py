"""Receiving on a quiet line: one filter per carrier, and a keen ear for anything that needs more than that.

Most lines are, most of the time, white noise with packets in it, and then impulse blanker, tone canceller and the stream that
they work on change nothing. `QuietLine` listens without them, at a fraction of the cost. The line samples are kept, so that the
`Receiver` can go back and use all its means as soon as a packet fails or the noise is not what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from .branch import Branch, Conclusion, Ended, is_ghost
from .carrier import CarrierReceiver
from .detect import Candidate
from .direct import DirectFilter
from .filters import SAMPLES_PER_BIT
from .noise_tiles import EVERY, Heard
from .runs import merged
from .stream import Past
from .tracking import PacketTracker

_LEAD: Final = 48 * SAMPLES_PER_BIT  # narrow samples that the receiver gets before what it is to look at
_SLACK: Final = 16 * SAMPLES_PER_BIT
_STRETCH: Final = 256 * SAMPLES_PER_BIT  # narrow samples of a packet that are completed at once; most packets are not longer
_CROWDED: Final = 0.4  # of the time there are packets: then all samples are computed at once


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
    """Goes on where the plain branch of a carrier stands, with samples from a DirectFilter.

    Of these it takes every other one, and those between only where there may be a packet, unless there are packets all the time.

    Args:
        plain: the branch whose packets, samples and noise tiles are taken over. direct: the filter.
        floor: noise power, V^2, of which the line may not be far above. epoch: see Conclusion.
    """

    def __init__(self, plain: Branch, direct: DirectFilter, floor: float, epoch: int) -> None:
        self.__dict__.update(plain.fork(0).__dict__)
        self.trackers, self.epoch = plain.trackers, epoch
        self._direct, self._floor = direct, floor
        direct.next = plain.frontier
        self._line = Past(np.float32)
        self._complete = [(self._base, plain.frontier)]  # narrow samples without gaps
        self._crowded = False
        self.heard: list[Ended] = []  # of the last call

    def listen(self, line: Past, end: int) -> tuple[list[Conclusion], list[Trouble]]:
        """Line samples up to `end` -> good packets, and bad ones."""
        good, troubles = [], []
        self.heard, self._line = [], line
        y, first = self._direct.process(line, end, 1 if self._crowded else EVERY), self.frontier
        if self._crowded:
            self._complete = merged([*self._complete, (first, first + y.size)])
        for ended in self.follow(y):
            self.heard.append(ended)
            packet = self._decoder.first_look(ended.tracker)
            if packet.crc_ok:
                good.append(self.conclude(ended, packet))
            elif ended.likely or ended.tracker.candidate.sure:
                troubles.append(Trouble(ended.decided, ended.tracker.candidate.position, ended.tracker.candidate))
        bits = sum(tracker.bits for tracker in (*(e.tracker for e in self.heard), *self.trackers))
        self._crowded = bits * SAMPLES_PER_BIT > _CROWDED * y.size
        return good, troubles

    def listen_to_noise(self, across: Sequence[Heard]) -> list[Trouble]:
        """Whether the noise between the packets is what it was. across: packets of the other carrier."""
        loud = self.noise.judge(self.frontier, self.packets, across, self._floor)
        self.forget()
        return [] if loud is None else [Trouble(self.noise.judged_at(loud), self.noise.begin(loud))]

    def _find(self) -> list[Candidate]:
        return self.detector.push(self._filtered, self._base, self._fill, self._crowded)

    def _has_ended(self, tracker: PacketTracker, end: int) -> bool:
        stop = 0
        while stop < end:
            stop = end if self._crowded else min(tracker.oldest_needed + _STRETCH, end)
            self._fill(tracker.oldest_needed, stop)
            if super()._has_ended(tracker, stop):
                return True
        return False

    def _fill(self, first: int, stop: int) -> None:
        """Compute the odd narrow samples in [first, stop) that have not been computed before."""
        first, stop = max(first, self._base), min(stop, self.frontier)
        if any(begin <= first and stop <= end for begin, end in self._complete):
            return
        at = first
        for begin, end in [*self._complete, (stop, stop)]:
            if at < begin <= stop:
                lead = at | 1
                odd = self._filtered[lead - self._base : begin - self._base : 2]
                odd[:] = self._direct.at(self._line, lead, odd.size, 2)
            if begin <= stop:
                at = max(at, end)
        self._complete = merged([*(span for span in self._complete if span[1] > self._base), (first, stop)])

    def unfinished(self, at: int) -> list[float]:
        """Where those packets began that had not ended at narrow sample `at`."""
        open_then = [*(e.tracker for e in self.heard if e.decided > at), *self.trackers]
        return [t.candidate.position for t in open_then if t.candidate.position < at]

    @property
    def first_unsettled(self) -> float:
        """Narrow sample before which nothing can cause trouble any more."""
        starts = [t.candidate.position for t in self.trackers]
        return min([*starts, self.noise.unjudged, self.frontier - self.found_after - _SLACK])


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
        good, troubles = zip(*(branch.listen(line, end) for branch in self.branches), strict=True)
        packets = [branch.packets for branch in self.branches]
        for i, branch in enumerate(self.branches):
            troubles[i].extend(branch.listen_to_noise([p for j, heard in enumerate(packets) if j != i for p in heard]))
        serious = (
            t
            for branch, found in zip(self.branches, troubles, strict=True)
            for t in found
            if t.candidate is None or not is_ghost(t.candidate.position, t.candidate.amplitude, branch.elsewhere())
        )
        trouble = min(serious, key=lambda t: t.known, default=None)
        for chain, concluded in zip(self._chains, good, strict=True):
            chain.hold([c for c in concluded if trouble is None or c.decided <= trouble.known])
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

    def end(self) -> None:
        """Hand the carriers back."""
        for chain, branch in zip(self._chains, self.branches, strict=True):
            chain.quiet = None
            chain.plain.remember(branch)
