"""One carrier behind one blanker: wide samples -> packets."""

import copy
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .allowance import Allowance
from .demodulator import PacketDecoder
from .detect import Candidate, HeaderDetector
from .downconvert import BankFilter, Mixer
from .filters import SAMPLES_PER_BIT, BasebandPlan
from .noise_tiles import Heard, NoiseTiles, Span
from .packet import Packet, ReceiverOptions
from .profile import Profile
from .stream import Past, WideStream
from .tracking import Ending, LoopGains, PacketTracker

_MARGIN: Final = 8 * SAMPLES_PER_BIT  # narrow samples kept before a packet
_BEFORE: Final = 30 * SAMPLES_PER_BIT  # silence before the first sample: a packet may have begun before the stream
_COHERENT: Final = 0.2  # mean coherence of the last words, of which noise has less than 0.1
_KEPT: Final = 4096  # narrow samples that are kept beyond those that are needed, at most
_GHOST_BITS: Final = 3  # bit times within which a packet and its ghost begin
_GHOST_GAIN: Final = 10.0  # least amplitude of the packet over its ghost's
_SURE_GHOST_GAIN: Final = 100.0  # of a shaped packet 230, of NRZ 110; less where the line is weak at the packet's carrier alone
_SECOND_LOOKS: Final = 2.0  # bits that get a second look, on average, over those that fit on the line; interference starts more
_SAVED_LOOKS: Final = 4  # longest packets that may get one in a row
_THOROUGH: Final = 0.25, 2  # the same for what takes as long as the line does, of packets that it did not help
_FINISHED: Final = 64  # packets whose end is remembered
_OPEN: Final = 2.0**60  # narrow sample at which a packet ends that goes on
_FOUND: Final = 29 * SAMPLES_PER_BIT  # narrow samples after a header's end by which it has surely been found


@dataclass(frozen=True, slots=True, eq=False)
class Conclusion:
    """A packet and when it was decided.

    Attributes:
        decided: narrow sample at which it was decided. rank: of the branch, 0 plain, 1 without tones.
        epoch: counts the changes between watching a quiet line and receiving with all means. awaited: whether what might make a
            ghost of it has been waited for.
    """

    decided: int
    rank: int
    packet: Packet
    epoch: int = 0
    awaited: bool = False

    @property
    def order(self) -> tuple[int, int, int]:
        """Earlier decided first, the plain branch first."""
        return self.epoch, self.decided, self.rank

    @property
    def start(self) -> int:
        """Line sample where the packet begins."""
        return self.packet.start_sample


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """A packet that was followed to its end.

    Attributes:
        decided: narrow sample at which that was known. likely: no noise, and not within a good packet.
    """

    decided: int
    tracker: PacketTracker
    likely: bool


def may_be_ghost(position: float, amplitude: float, elsewhere: Iterable[Candidate], gain: float = _GHOST_GAIN) -> bool:
    """Whether a packet at that narrow sample, of that amplitude in V, may be what one leaves in the other carrier's band.

    The carriers are a whole number of bit rates apart, so the little that passes the filters looks like a packet there. It
    rarely passes its CRC, and then with the strong one's octets.
    """
    return any(
        abs(other.position - position) < _GHOST_BITS * SAMPLES_PER_BIT and other.amplitude > gain * amplitude
        for other in elsewhere
    )


def is_ghost(candidate: Candidate, elsewhere: Iterable[Candidate]) -> bool:
    """Whether a packet is so weak beside one on the other carrier that it is hardly anything else than its ghost."""
    return may_be_ghost(candidate.position, candidate.amplitude, elsewhere, _SURE_GHOST_GAIN)


class Branch:
    """Mixer, BitFilter, HeaderDetector and PacketTracker of one carrier, with the samples they still need.

    Attributes:
        trackers: packets that are being followed. candidates: where packets seemed to begin, of late.
        noise: power of what is no packet. found_after: narrow samples from a packet's beginning until it has surely been found.
        finished: where the last packets that were followed began, and when that was over, narrow samples.
        elsewhere: gives the candidates of the other carrier. epoch: see Conclusion. decoder: as given.
        skipped: packets that got no second look because there were too many.
    """

    def __init__(self, profile: Profile, plan: BasebandPlan, decoder: PacketDecoder, options: ReceiverOptions, rank: int) -> None:
        self._profile, self.decoder, self._options, self._rank = profile, decoder, options, rank
        self.mixer = Mixer(plan.carrier_hz, plan.wide_rate)
        self.bit_filter = BankFilter(plan, plan.bit_bank)
        self.detector = HeaderDetector(profile, decoder.cycles_per_bit, options.threshold)
        self.gains = LoopGains(BnT=options.BnT, timing=options.timing)
        self.found_after = self.detector.span + _FOUND
        self.noise = NoiseTiles(self.found_after, plan.narrow_rate)
        self.elsewhere: Callable[[], Iterable[Candidate]] = tuple
        self._ratio = plan.ratio
        longest = profile.header_bits.size + profile.max_octets * profile.code.length
        self._looks = Allowance(_SECOND_LOOKS, _SAVED_LOOKS * longest)
        self._thorough = Allowance(_THOROUGH[0], _THOROUGH[1] * longest)
        self._longest = longest * SAMPLES_PER_BIT
        self.reset()

    def reset(self, first: int = 0) -> None:
        """First-day state; the next wide sample is number `first`, with silence before it."""
        self.restart(first)
        self._looks.reset(self.frontier)
        self._thorough.reset(self.frontier)

    def restart(self, first: int) -> None:
        """The same, but what may be looked at again does not grow by it."""
        self.mixer.reset(first)
        self.bit_filter.reset(first)
        narrow = self.bit_filter.next
        self.detector.reset(narrow + _MARGIN - _BEFORE)
        self.noise.reset(narrow)
        self.trackers: list[PacketTracker] = []
        self.candidates: list[Candidate] = []
        self._good: list[Span] = []  # where good packets began and ended, of late, narrow samples
        self._ended: list[Heard] = []  # of the last packets, good or bad, with their amplitudes
        self._filtered = Past(np.complex64, narrow - _BEFORE)
        self._filtered.room(_BEFORE)[:] = 0
        self.finished: deque[tuple[float, int]] = deque(maxlen=_FINISHED)
        self.epoch = self.skipped = 0

    def fork(self, rank: int) -> "Branch":
        """Another branch that has seen the same samples and follows no packet yet."""
        other = copy.copy(self)
        other._rank = rank
        other.mixer, other.bit_filter = copy.copy(self.mixer), copy.copy(self.bit_filter)
        other.detector, other.noise = copy.copy(self.detector), self.noise.fork()
        other._filtered = self._filtered.copy()
        other._looks, other._thorough = copy.copy(self._looks), copy.copy(self._thorough)
        other.trackers, other.candidates = [], list(self.candidates)
        other._good, other._ended, other.finished = list(self._good), list(self._ended), self.finished.copy()
        return other

    @property
    def frontier(self) -> int:
        """Narrow samples processed: every packet decided before this one has been given out."""
        return self._filtered.end

    @property
    def ahead(self) -> float:
        """Narrow samples that are missing to the end of a word, of whatever packet comes to one first."""
        return min((tracker.next_end for tracker in self.trackers), default=_OPEN) - self.frontier

    @property
    def oldest_needed(self) -> int:
        """Absolute index of the oldest wide sample that a later call may still look at."""
        return int(self._filtered.first * self._ratio) - 64

    @property
    def packets(self) -> list[Heard]:
        """((begin, end), amplitude) of the last packets and of those that go on, narrow samples and V."""
        self._ended = [heard for heard in self._ended if heard[0][1] > self.noise.concerned]
        return [*self._ended, *(((t.candidate.position, _OPEN), t.candidate.amplitude) for t in self.trackers)]

    def push(self, blanked: NDArray[np.complex64]) -> None:
        """(N,) new wide samples behind the blanker: where packets begin in them."""
        y = self.bit_filter.process(self.mixer.process(blanked))
        self._filtered.append(y)
        filtered, base = self._filtered.samples, self._filtered.first
        self.noise.push(filtered, base)
        for candidate in self.detector.push(filtered, base):
            cycles, lost_below = self.decoder.cycles_per_bit, self._options.lost_below
            self.begin(PacketTracker(self._profile, cycles, candidate, self.gains, lost_below))

    def conclude_all(self, stream: WideStream) -> list[Conclusion]:
        """Packets that have ended, good and bad, in the order of their ends; `stream`: where the samples came from.

        Every other branch must have had the same samples: whether a packet is another one's ghost, they know.
        """
        concluded = []
        done = [tracker for tracker in self.trackers if self._has_ended(tracker, self.frontier)]
        for tracker in sorted(done, key=lambda t: t.oldest_needed):
            ended, found = self.end(tracker), tracker.candidate
            ghost = is_ghost(found, self.elsewhere())
            worth_it = ended.likely and not ghost and self._affordable(ended)
            packet = self.decoder.decode(tracker, stream, self.mixer, worth_it and self._thorough)
            if packet.crc_ok or found.sure:
                concluded.append(self.conclude(ended, packet))
        self.noise.judge(self.frontier, self.packets)
        self.forget()
        self.forget_packets()
        return concluded

    def _affordable(self, ended: Ended) -> bool:
        """Whether there has been time for a second look at a packet, should it need one.

        In a tone headers seem to begin everywhere, and each is followed far; packets that are there fit on the line.
        """
        self._looks.go_on(ended.decided)
        self._thorough.go_on(ended.decided)
        affordable = self._looks.affords(ended.tracker.bits)
        if affordable and ended.likely and ended.tracker.complete is None:
            self._looks.spend(ended.tracker.bits)
        self.skipped += not affordable
        return affordable

    def begin(self, tracker: PacketTracker) -> None:
        """Note a place where a packet seems to begin, and follow it from now on."""
        self.candidates.append(tracker.candidate)
        self.trackers.append(tracker)

    def end(self, tracker: PacketTracker) -> Ended:
        """Follow a packet no longer."""
        # What looks like a header in noise, or in the data of a good packet, is not worth a second look.
        start = tracker.candidate.position
        likely = tracker.candidate.sure or tracker.coherence > _COHERENT
        self.trackers.remove(tracker)
        self._ended.append(((start, float(tracker.positions[-1])), tracker.candidate.amplitude))
        over = tracker.oldest_needed
        self.finished.append((start, over))
        return Ended(over, tracker, likely and not self.within_good(start))

    def within_good(self, position: float) -> bool:
        """Whether that narrow sample lies in the data of one of the last good packets."""
        for first, last in reversed(self._good):
            if last <= position:
                return False
            if first + SAMPLES_PER_BIT < position:
                return True
        return False

    def conclude(self, ended: Ended, packet: Packet) -> Conclusion:
        """Note what became of a packet that had ended."""
        if packet.crc_ok:
            span = ended.tracker.candidate.position, float(ended.tracker.positions[-1])
            self._good.append(span)
            self.noise.note(span[1], self.decoder.plan.noise_power(packet.level_v, packet.esn0_db))
        return Conclusion(ended.decided, self._rank, packet, self.epoch)

    def remember(self, other: "Branch", until: float) -> None:
        """Take over from another branch which packets had been seen at narrow sample `until`."""
        self.candidates = [candidate for candidate in other.candidates if candidate.position < until]
        self._good = [span for span in other._good if span[1] < until]

    def forget_packets(self) -> None:
        """Drop what is known of packets so long ago that no packet which has not been given out can have to do with them."""
        oldest = self.frontier - 3 * self._longest
        if self.candidates and self.candidates[0].position < oldest:
            self.candidates = [candidate for candidate in self.candidates if candidate.position >= oldest]
        if self._good and self._good[0][1] < oldest:
            self._good = [span for span in self._good if span[1] >= oldest]

    def forget(self) -> None:
        """Drop the samples that nobody will look at again."""
        starts = [int(t.candidate.position) for t in self.trackers]
        keep = min([self.detector.oldest_needed, *starts]) - _MARGIN
        if keep - self._filtered.first > _KEPT:
            self._filtered.forget(keep)

    def _has_ended(self, tracker: PacketTracker, end: int) -> bool:
        """Go on with a packet up to sample `end`; an end word counts only behind a good CRC, or when the signal goes after it."""
        while True:
            ending = self._go_on(tracker, end)
            if ending is Ending.OPEN:
                return False
            if ending is not Ending.END_WORD or self.decoder.is_complete(tracker):
                return True

    def _go_on(self, tracker: PacketTracker, end: int) -> Ending:
        """Follow a packet as far as the narrow samples before `end` reach."""
        return tracker.push(self._filtered.samples, self._filtered.first, end)
