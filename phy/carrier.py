"""The chain of one carrier: line samples -> packets."""

import copy
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blanker import ImpulseBlanker
from .demodulator import PacketDecoder
from .detect import Candidate, CarrierSense, HeaderDetector
from .downconvert import BitFilter, DownConverter, NarrowFilter
from .filters import SAMPLES_PER_BIT, BasebandPlan, plan_baseband
from .packet import Packet, ReceiverOptions
from .profile import Carrier, Profile
from .tones import ToneCanceller
from .tracking import Ending, LoopGains, PacketTracker

_MARGIN: Final = 8 * SAMPLES_PER_BIT  # narrow samples kept before a packet for the second look
_BEFORE: Final = 30 * SAMPLES_PER_BIT  # silence before the first sample: a packet may have begun before the stream
_BATCH: Final = 96  # wide samples, about 2 ms: smaller blocks are gathered before the packet chain, to spare its calls
_KEPT: Final = 4096  # narrow samples: less is not worth a copy
_TWINS: Final = 2  # bit times: two packets that start closer are one, seen by both branches


@dataclass(frozen=True, slots=True)
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
    """Narrow baseband -> packets: BitFilter, HeaderDetector, PacketTracker, with the samples they still need."""

    def __init__(self, profile: Profile, plan: BasebandPlan, decoder: PacketDecoder, options: ReceiverOptions, rank: int) -> None:
        self._profile, self._decoder, self._options, self._rank = profile, decoder, options, rank
        self.bit_filter = BitFilter(plan)
        self.detector = HeaderDetector(profile, decoder.cycles_per_bit, options.threshold)
        self.gains = LoopGains(BnT=options.BnT, timing=options.timing)
        self.reset()

    def reset(self) -> None:
        """First-day state."""
        self.bit_filter.reset()
        self.detector.reset(_MARGIN - _BEFORE)
        self.trackers: list[PacketTracker] = []
        self.candidates: list[Candidate] = []
        self._base = -_BEFORE
        self._narrow = np.zeros(_BEFORE, np.complex64)
        self._filtered = np.zeros(_BEFORE, np.complex64)

    def fork(self, rank: int) -> "Branch":
        """Another branch that has seen the same samples and follows no packet yet."""
        other = copy.copy(self)
        other._rank = rank
        other.bit_filter, other.detector = copy.copy(self.bit_filter), copy.copy(self.detector)
        other.trackers, other.candidates = [], list(self.candidates)
        return other

    @property
    def frontier(self) -> int:
        """Narrow samples processed: every packet decided before this one has been given out."""
        return self._base + self._filtered.size

    def push(self, r: NDArray[np.complex64]) -> list[Conclusion]:
        """(N,) narrow baseband -> packets that ended, good and bad."""
        y = self.bit_filter.process(r)
        self._narrow = np.concatenate((self._narrow, r))
        self._filtered = np.concatenate((self._filtered, y))
        for candidate in self.detector.push(self._filtered, self._base):
            self.candidates = [*self.candidates[-31:], candidate]
            self.trackers.append(
                PacketTracker(self._profile, self._decoder.cycles_per_bit, candidate, self.gains, self._options.lost_below)
            )
        concluded = []
        for tracker in list(self.trackers):
            if self._has_ended(tracker):
                packet = self._decoder.decode(tracker, self._narrow, self._base)
                concluded.append(Conclusion(tracker.oldest_needed, self._rank, packet))
                self.trackers.remove(tracker)
        starts = [int(t.candidate.position) for t in self.trackers]
        keep = min([self.detector.oldest_needed, *starts]) - _MARGIN
        if keep - self._base > _KEPT:
            self._narrow = self._narrow[keep - self._base :].copy()
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


class CarrierReceiver:
    """The chain of one carrier, from line samples to packets.

        DownConverter -> ImpulseBlanker -> NarrowFilter -+-----------------> BitFilter -> HeaderDetector -> PacketTracker
             |                                           \\-> ToneCanceller -> BitFilter -> HeaderDetector -> PacketTracker
             \\-> ImpulseBlanker (short) -> NarrowFilter (one bit) -> CarrierSense

    The branch behind the tone canceller works only while there are tones. Both are needed then: repeated octets are a set
    of lines as well, and a packet that carries them survives only without the canceller. Carrier sense
    has a branch of its own with a blanker that looks ahead only two bits, because it must answer within a slot.

    A stage is an attribute and can be replaced by an object with the same `process` or `push`.

    Attributes:
        plain: the Branch without tone canceller. false_starts: headers found in the data of good packets.
    """

    def __init__(self, profile: Profile, carrier: Carrier, sample_rate: float, options: ReceiverOptions) -> None:
        self.carrier, self.sample_rate = carrier, sample_rate
        self.plan: BasebandPlan = plan_baseband(profile, profile.carrier_hz(carrier), sample_rate, options.design_esn0_db)
        self.down_converter = DownConverter(self.plan)
        self.blanker = ImpulseBlanker(self.plan.wide_rate / profile.bit_rate, options.blanker)
        self.narrow_filter = NarrowFilter(self.plan)
        self.tone_canceller = ToneCanceller(options.tones_db)
        self.decoder = PacketDecoder(profile, carrier, self.plan, sample_rate, options)
        self.plain = Branch(profile, self.plan, self.decoder, options, 0)
        self.sense_blanker = ImpulseBlanker(self.plan.wide_rate / profile.bit_rate, options.blanker, window=4)
        self.sense_filter = NarrowFilter(self.plan, self.plan.sense_bank)
        rise = 10 ** (options.sense_rise_db / 10)
        self.sense = CarrierSense(profile, rise=rise, fall=min(1.8, rise))
        self.reset()

    def reset(self) -> None:
        """First-day state."""
        for stage in (
            self.down_converter, self.blanker, self.narrow_filter, self.tone_canceller, self.plain,
            self.sense_blanker, self.sense_filter, self.sense,
        ):  # fmt: skip
            stage.reset()
        self._wide: list[NDArray[np.complex64]] = []
        self._waiting = 0
        self._without_tones: Branch | None = None
        self._idle = 0
        self._concluded: list[Conclusion] = []
        self._held: list[Conclusion] = []
        self.false_starts = 0

    @property
    def busy(self) -> bool:
        """A carrier is sensed."""
        return self.sense.busy

    @property
    def frontier(self) -> int:
        """Narrow samples processed: every packet decided before this one has been given out."""
        return self.plain.frontier

    @property
    def candidates(self) -> list[Candidate]:
        """The last places where a packet seemed to begin, in either branch."""
        return self.plain.candidates + (self._without_tones.candidates if self._without_tones else [])

    def push(self, x: NDArray[np.float32]) -> list[Conclusion]:
        """(N,) float32 line samples -> packets that ended, good and bad."""
        z = self.down_converter.process(x)
        self.sense.push(self.sense_filter.process(self.sense_blanker.process(z)))
        self._wide.append(z)
        self._waiting += z.size
        if self._waiting < _BATCH:
            return []
        r = self.narrow_filter.process(self.blanker.process(np.concatenate(self._wide)))
        self._wide, self._waiting = [], 0
        if r.size == 0:
            return []
        clean = self.tone_canceller.process(r)
        for first, last, active in self.tone_canceller.runs:
            if active and self._without_tones is None:
                self._without_tones = self.plain.fork(1)
            self._held += self.plain.push(r[first:last])
            if self._without_tones is not None:
                self._held += self._without_tones.push(clean[first:last])
                self._idle = 0 if active else self._idle + last - first
                # Long after the last tone both branches see the same; only an open packet keeps the second one.
                if self._idle > _KEPT and not self._without_tones.trackers:
                    self._without_tones = None
        return self._resolve()

    def _resolve(self) -> list[Conclusion]:
        """Give out what has ended: each packet once, and no headers that were found in the data of a good packet.

        A good packet leaves at once, unless the other branch has given it before. A bad one waits for all that began before
        it or with it.
        """
        if not self._held:
            return []
        unit = self.sample_rate / self.plan.narrow_rate
        near = _TWINS * SAMPLES_PER_BIT * unit
        trackers = self.plain.trackers + (self._without_tones.trackers if self._without_tones else [])
        running = min((t.candidate.position * unit for t in trackers), default=math.inf)
        self._concluded = sorted([*self._concluded, *(c for c in self._held if c not in self._concluded)], key=lambda c: c.order)
        self._concluded = self._concluded[-32:]
        given, held = [], []
        for mine in sorted(self._held, key=lambda c: c.order):
            packet, start = mine.packet, mine.packet.start_sample
            others = [c for c in self._concluded if c is not mine]
            twins = [c for c in others if abs(c.packet.start_sample - start) < near]
            if packet.crc_ok:
                if not any(c.packet.crc_ok and c.order < mine.order for c in twins):
                    given.append(mine)
                continue
            if running < start + near:
                held.append(mine)
                continue
            if any(c.packet.crc_ok or c.order < mine.order for c in twins):
                continue
            earlier = [c for c in others if c.packet.start_sample < start]
            if any(c.packet.crc_ok and start < c.packet.end_sample for c in earlier):
                self.false_starts += 1
                continue
            decided = max([mine.decided, *(c.decided for c in earlier), *(c.decided for c in twins)])
            given.append(Conclusion(decided, mine.rank, packet))
        self._held = held
        return given
