"""One carrier behind one blanker: wide samples -> packets."""

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .demodulator import PacketDecoder
from .detect import Candidate, HeaderDetector
from .downconvert import BankFilter, Mixer
from .filters import SAMPLES_PER_BIT, BasebandPlan
from .packet import Packet, ReceiverOptions
from .profile import Profile
from .stream import WideStream
from .tracking import Ending, LoopGains, PacketTracker

_MARGIN: Final = 8 * SAMPLES_PER_BIT  # narrow samples kept before a packet
_BEFORE: Final = 30 * SAMPLES_PER_BIT  # silence before the first sample: a packet may have begun before the stream
_COHERENT: Final = 0.2  # mean coherence of the last words, of which noise has less than 0.1
_KEPT: Final = 4096  # narrow samples: less is not worth a copy


@dataclass(frozen=True, slots=True, eq=False)
class Conclusion:
    """A packet and when it was decided.

    Attributes:
        decided: narrow sample at which it was decided. rank: of the branch, 0 plain, 1 without tones.
    """

    decided: int
    rank: int
    packet: Packet

    @property
    def order(self) -> tuple[int, int]:
        """Earlier decided first, the plain branch first."""
        return self.decided, self.rank


class Branch:
    """Mixer, BitFilter, HeaderDetector and PacketTracker of one carrier, with the samples they still need.

    Attributes:
        trackers: packets that are being followed. candidates: the last places where a packet seemed to begin.
    """

    def __init__(self, profile: Profile, plan: BasebandPlan, decoder: PacketDecoder, options: ReceiverOptions, rank: int) -> None:
        self._profile, self._decoder, self._options, self._rank = profile, decoder, options, rank
        self.mixer = Mixer(plan.carrier_hz, plan.wide_rate)
        self.bit_filter = BankFilter(plan, plan.bit_bank)
        self.detector = HeaderDetector(profile, decoder.cycles_per_bit, options.threshold)
        self.gains = LoopGains(BnT=options.BnT, timing=options.timing)
        self._ratio = plan.ratio
        self.reset()

    def reset(self) -> None:
        """First-day state."""
        self.mixer.reset()
        self.bit_filter.reset()
        self.detector.reset(_MARGIN - _BEFORE)
        self.trackers: list[PacketTracker] = []
        self.candidates: list[Candidate] = []
        self._good: list[tuple[float, float]] = []  # where the last good packets began and ended, narrow samples
        self._base = -_BEFORE
        self._filtered = np.zeros(_BEFORE, np.complex64)

    def fork(self, rank: int) -> "Branch":
        """Another branch that has seen the same samples and follows no packet yet."""
        other = copy.copy(self)
        other._rank = rank
        other.mixer, other.bit_filter = copy.copy(self.mixer), copy.copy(self.bit_filter)
        other.detector = copy.copy(self.detector)
        other.trackers, other.candidates = [], list(self.candidates)
        return other

    @property
    def frontier(self) -> int:
        """Narrow samples processed: every packet decided before this one has been given out."""
        return self._base + self._filtered.size

    @property
    def oldest_needed(self) -> int:
        """Absolute index of the oldest wide sample that a later call may still look at."""
        return int(self._base * self._ratio) - 64

    def push(self, blanked: NDArray[np.complex64], stream: WideStream) -> list[Conclusion]:
        """(N,) new wide samples behind the blanker of `stream` -> packets that ended, good and bad."""
        y = self.bit_filter.process(self.mixer.process(blanked))
        if y.size == 0:
            return []
        self._filtered = np.concatenate((self._filtered, y))
        for candidate in self.detector.push(self._filtered, self._base):
            self.candidates = [*self.candidates[-31:], candidate]
            self.trackers.append(
                PacketTracker(self._profile, self._decoder.cycles_per_bit, candidate, self.gains, self._options.lost_below)
            )
        concluded = []
        for tracker in list(self.trackers):
            if self._has_ended(tracker):
                # What looks like a header in noise, or in the data of a good packet, is not worth a second look.
                start = tracker.candidate.position
                likely = tracker.candidate.sure or tracker.coherence > _COHERENT
                inside = any(first + SAMPLES_PER_BIT < start < last for first, last in self._good)
                packet = self._decoder.decode(tracker, stream, self.mixer, likely and not inside)
                if packet.crc_ok:
                    self._good = [*self._good[-3:], (start, float(tracker.positions[-1]))]
                if packet.crc_ok or tracker.candidate.sure:
                    concluded.append(Conclusion(tracker.oldest_needed, self._rank, packet))
                self.trackers.remove(tracker)
        starts = [int(t.candidate.position) for t in self.trackers]
        keep = min([self.detector.oldest_needed, *starts]) - _MARGIN
        if keep - self._base > _KEPT:
            self._filtered = self._filtered[keep - self._base :].copy()
            self._base = keep
        return concluded

    def _has_ended(self, tracker: PacketTracker) -> bool:
        """Go on with a packet; an end word counts only behind a good CRC, or when the signal goes after it."""
        while True:
            ending = tracker.push(self._filtered, self._base, self.frontier)
            if ending is Ending.OPEN:
                return False
            if ending is not Ending.END_WORD or self._decoder.is_complete(tracker):
                return True
