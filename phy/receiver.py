"""The receiver: line samples in any blocks -> packets, on both carriers at once."""

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.downconvert import take_samples
from .blanker import ImpulseBlanker
from .branch import Conclusion, may_be_ghost
from .carrier import CarrierReceiver
from .combining import Combiner
from .downconvert import DownConverter
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT, check_rate, plan_front_end
from .packet import Packet, ReceiverOptions
from .periodic import PeriodicCanceller
from .profile import CARRIERS, Carrier, Profile
from .quiet import BEFORE_ALL, QuietLine, Trouble
from .runs import either
from .stream import Past, WideStream
from .tones import ToneCanceller

_BLOCK: Final = 1 << 19  # samples worked on at once
_BATCH: Final = 1e-3  # s: smaller blocks are gathered before the packet chain, to spare its calls
_WAIT: Final = 9e-3  # s that are gathered while no packet is being followed, less when one may be over soon after its header
_TOGETHER: Final = 2e-3  # s that are worked on at once when packets are combined, however the stream is cut
_LARGEST_V: Final = np.float32(1e9)  # nothing on a line; beyond it single precision would overflow
_IDLE: Final = 0.3  # s without a tone after which the branch without tones may end
_CONSIDER: Final = 0.33  # s: how often the line is considered for quiet
_BLANKED: Final = 5e-4  # of the samples may be blanked on a quiet line; of white noise it is 1e-4
_LASTS: Final = 2.0  # s that a line should stay quiet; if it does not, it is left alone for twice as long as the last time
_LONGEST: Final = 16  # times _CONSIDER for which it is left alone
_SENSED: Final = 0.5  # s that carrier sense goes back
_GHOST_WAIT: Final = 24 * SAMPLES_PER_BIT  # narrow samples for which a good packet waits that may be the ghost of another
_SLACK: Final = 0.02  # s: filters' lengths and what waits for the next batch


class Receiver:
    """Receives both carriers of one channel at once, in real passband samples.

        x -> DownConverter -+-> ImpulseBlanker -------------------------------------+-> CarrierReceiver (primary)   -+-> packets
                            +-> PeriodicCanceller, ToneCanceller, ImpulseBlanker ---+-> CarrierReceiver (secondary) -+
                            +-------------------------------------------------------+-> carrier sense -> channel_busy

    While there is nothing but steady noise and packets that are received without trouble, `QuietLine` takes the place of all that
    (option `direct`); at the first trouble the receiver goes back to where it began. A stage that was replaced is never left out.

    Stages to run alone, or to replace by anything that has their methods (names as attributes; chain = carriers[name]):

        down_converter, periodic_canceller, tone_canceller, blanker     reset, process; each says its shapes and units
        chain.plain.mixer, .bit_filter, .detector                       reset(first), process or push
        chain.decoder                                                   PacketTracker -> Packet, see CarrierReceiver
        chain.decoder.word_decoder                                      (WordCode, soft bits) -> octets, see PacketDecoder
        chain.sense_mixer, .sense_filter, .sense                        carrier sense

    Replace them before the first sample.

    Args:
        profile: the channel. sample_rate: Hz. options: see ReceiverOptions. carriers: those to watch; both when not given, and
            then one that does not fit below half the sample rate is left out.
    Attributes:
        carriers: carrier name -> CarrierReceiver. down_converter, periodic_canceller, tone_canceller, blanker: stages that both
            share.
        quiet: the QuietLine that listens at present, or None.
        rejected: counts of what was dropped: "not finite" samples, "ghost" packets.
    Raises:
        ConfigurationError: an argument is out of range, or a carrier does not fit.
    """

    def __init__(
        self,
        profile: Profile,
        sample_rate: float,
        options: ReceiverOptions | None = None,
        carriers: Sequence[Carrier] | None = None,
    ) -> None:
        if not (math.isfinite(sample_rate) and sample_rate > 0):
            raise ConfigurationError(f"sample_rate must be positive, got {sample_rate}")
        self.profile, self.sample_rate = profile, float(sample_rate)
        self.options = options or ReceiverOptions()
        watched = self._fitting(carriers)
        front = plan_front_end(profile, [profile.carrier_hz(name) for name in watched], self.sample_rate)
        samples_per_bit = front.wide_rate / profile.bit_rate
        self.down_converter = DownConverter(front)
        self.periodic_canceller = PeriodicCanceller(front.wide_rate, self.options.periodic)
        self.tone_canceller = ToneCanceller(samples_per_bit, self.options.tones_db)
        self._line = Past(np.float32)
        self._plain = WideStream(ImpulseBlanker(samples_per_bit, self.options.blanker), self._line)
        self._combiner = Combiner(profile, self.options.combine_s) if self.options.combine_s else None
        self.carriers: dict[Carrier, CarrierReceiver] = {
            name: CarrierReceiver(profile, name, self.sample_rate, front, self.options, self._combiner) for name in watched
        }
        for chain in self.carriers.values():
            others = [other for other in self.carriers.values() if other is not chain]
            chain.plain.elsewhere = lambda others=others: [c for other in others for c in other.candidates]
        self._batch = math.ceil(_BATCH * self.sample_rate)
        shortest = profile.packet_bits(profile.min_octets) - profile.header_bits.size
        self._wait = max(self._batch, math.ceil(min(_WAIT, shortest / 3 * profile.bit_time) * self.sample_rate))
        self._together = min(math.ceil(_TOGETHER * self.sample_rate), self._wait)
        self._patience = round(_IDLE * front.wide_rate)
        self._stride = round(_CONSIDER * self.sample_rate)
        self._before = math.ceil(BEFORE_ALL * self.sample_rate / (SAMPLES_PER_BIT * profile.bit_rate))
        self._kept = round((_SENSED + _SLACK) * self.sample_rate)
        self._own = self._stages()
        self.reset()

    def _fitting(self, carriers: Sequence[Carrier] | None) -> list[Carrier]:
        """Names of the carriers to watch."""
        if carriers is not None:
            if not carriers or len(set(carriers)) != len(carriers):
                raise ConfigurationError(f"carriers must name one or both of {', '.join(CARRIERS)}, got {carriers!r}")
            for name in carriers:
                check_rate(self.profile, self.profile.carrier_hz(name), self.sample_rate)
            return list(carriers)
        fitting: list[Carrier] = []
        problem: ConfigurationError | None = None
        for name in CARRIERS:
            try:
                check_rate(self.profile, self.profile.carrier_hz(name), self.sample_rate)
                fitting.append(name)
            except ConfigurationError as error:
                problem = error
        if not fitting and problem is not None:
            raise problem
        return fitting

    @property
    def blanker(self) -> ImpulseBlanker:
        """The impulse blanker of the packet chain; replace it by anything with its `process` and `reset`."""
        return self._plain.blanker

    @blanker.setter
    def blanker(self, stage: ImpulseBlanker) -> None:
        self._plain.blanker = stage

    def _stages(self) -> list[object]:
        """The stages that a quiet line does without."""
        stages: list[object] = [self.down_converter, self.periodic_canceller, self.tone_canceller, self._plain.blanker]
        for chain in self.carriers.values():
            stages += [chain.plain, chain.plain.mixer, chain.plain.bit_filter, chain.plain.detector, chain.decoder]
        return stages

    def reset(self) -> None:
        """First-day state: the next sample is sample 0."""
        for stage in (self.down_converter, self.periodic_canceller, self.tone_canceller, self._plain, *self.carriers.values()):
            stage.reset()
        self._line = self._plain.line = Past(np.float32)
        if self._combiner is not None:
            self._combiner.reset()
        self._without_tones: WideStream | None = None
        self._idle = 0
        self.rejected = {"not finite": 0, "ghost": 0}
        self._gathered: list[NDArray[np.complex64]] = []
        self._waiting: list[Conclusion] = []
        self.quiet: QuietLine | None = None
        self._end = self._at = 0  # line samples that have come, and that have been worked on
        # Line sample before which nothing can come of calling the packet chain, or is to come.
        self._due = 0 if self._combiner is None else self._next_due()
        self._wide = self._sensed = 0  # wide samples that have been made, and that carrier sense has got
        self._epoch = 0
        self._entered = self._not_before = 0  # line samples: when the line was last found quiet, and from when on it may be again
        self._patient = 1
        self._blanked = 0

    @property
    def channel_busy(self) -> bool:
        """Whether a carrier is present, of either frequency; what the MAC listens to."""
        if self.quiet is not None:
            self._catch_up()
        busy = [chain.busy for chain in self.carriers.values()]  # each listens on, whatever the others hear
        return any(busy)

    def push(self, x: NDArray[np.float32]) -> list[Packet]:
        """Next samples of the stream -> packets that ended, in the order of their ends; bad ones have crc_ok False.

        Args:
            x: (N,) real, V (or full scale = 1), any N. Samples that are not finite, or
                beyond 1e9, are taken as 0 and counted.
        Raises:
            ConfigurationError: x is no array of real numbers in one dimension.
        """
        given = np.asarray(x)
        if given.dtype.kind not in "fiu":
            raise ConfigurationError(f"x must be real line samples, got {given.dtype}; for IQ see phy.iq.PassbandConverter")
        x = np.ascontiguousarray(given, np.float32)
        if x.ndim != 1:
            raise ConfigurationError(f"x must have one dimension, got shape {x.shape}")
        packets: list[Packet] = []
        for first in range(0, x.size, _BLOCK):
            block = x[first : first + _BLOCK]
            self.rejected["not finite"] += take_samples(block, _LARGEST_V, self._line.room(block.size))
            self._end += block.size
            packets += self._go_on()
        return packets

    def _go_on(self) -> list[Packet]:
        """Work on the line samples that have come, the one way or the other."""
        packets: list[Packet] = []
        while self._at < self._end:
            if self.quiet is not None:
                if self._end < self._due:
                    break
                trouble = self.quiet.listen(self._line, self._end)
                self._at = self._end
                for chain in self.carriers.values():
                    self._waiting += chain.resolve()
                packets += self._release()
                if trouble is not None:
                    self._resume(self.quiet, trouble)
                else:
                    self._line.forget(min(self.quiet.oldest_needed, self._at - self._kept))
                    self._due = self._next_due()
                continue
            stop = min(self._end, (self._at // self._stride + 1) * self._stride)
            if self._combiner is not None:
                stop = min(stop, self._due)
            u = self.down_converter.process(self._line.between(self._at, stop))
            self._at = stop
            if self._wide + u.size > self._sensed:
                for chain in self.carriers.values():
                    chain.push_sense(u[max(0, self._sensed - self._wide) :])
                self._sensed = self._wide + u.size
            self._wide += u.size
            self._gathered.append(u)
            consider = stop % self._stride == 0
            if stop >= self._due or consider:
                packets += self._work(np.concatenate(self._gathered))
                self._gathered = []
                self._due = self._next_due()
            if consider:
                self._consider()
        return packets

    def _next_due(self) -> int:
        """The line sample at which a packet that is being followed comes to the end of a word, or may be before long.

        Which of two receptions is decided with the other depends on which ended first; so both carriers then go on by like steps.
        """
        if self._combiner is not None:
            return (self._at // self._together + 1) * self._together
        ahead = min(branch.ahead for chain in self.carriers.values() for branch in chain.branches)
        word = math.ceil(ahead / SAMPLES_PER_BIT * self.profile.bit_time * self.sample_rate)
        return self._at + max(self._batch, min(word, self._wait))

    def _consider(self) -> None:
        """Do without the branch without tones long after the last tone, when both see the same and no packet is open in it; go
        over to the quiet line when there has been nothing but steady noise and good packets."""
        blanked = getattr(self._plain.blanker, "blanked", 0)
        steady = blanked - self._blanked <= _BLANKED * self._stride / self.down_converter.plan.decimation
        self._blanked = blanked
        chains = list(self.carriers.values())
        if self._idle > self._patience and not any(c.without_tones and c.without_tones.trackers for c in chains):
            self._without_tones = None
            for chain in chains:
                chain.without_tones = None
        if not (self.options.direct and steady) or self._combiner is not None or self._at < self._not_before:
            return
        if self.tone_canceller.tones or self.periodic_canceller.period or self._without_tones is not None:
            return
        if any(now is not own for now, own in zip(self._stages(), self._own, strict=True)):
            return
        floors = [floor for chain in chains if (floor := chain.plain.noise.floor) is not None]
        if len(floors) == len(chains):
            self._epoch += 1
            self.quiet = QuietLine(chains, floors, self._epoch)
            self._entered = self._at

    def _resume(self, quiet: QuietLine, trouble: Trouble) -> None:
        """Back to where the trouble began, with all means."""
        known = round(trouble.known * quiet.hop)
        self._patient = 1 if known - self._entered > _LASTS * self.sample_rate else min(2 * self._patient, _LONGEST)
        self._not_before = known + self._patient * self._stride
        step = self.down_converter.plan.decimation
        first = max(0, quiet.resume_at(trouble) // step)
        self._epoch += 1
        self.down_converter.reset(first)
        self.periodic_canceller.reset(first)
        self.tone_canceller.reset()
        self._plain.reset(first)
        for chain in self.carriers.values():
            chain.restart(first, self._epoch)
        quiet.end(trouble)
        self.quiet = None
        self._at, self._wide = first * step, first
        self._gathered, self._due = [], self._at
        self._blanked = 0

    def _catch_up(self) -> None:
        """What carrier sense needs, from the line samples that are kept."""
        plan = self.down_converter.plan
        stop = max(self._sensed, (self._end - plan.taps.size + plan.half) // plan.decimation + 1)
        first = max(self._sensed, stop - round(_SENSED * plan.wide_rate))
        if stop > first:
            u = self.down_converter.between(self._line, first, stop)
            for chain in self.carriers.values():
                if first > self._sensed:
                    chain.reset_sense()
                chain.push_sense(u)
            self._sensed = stop

    def flush(self) -> list[Packet]:
        """End of the stream: packets that were still open, as if silence followed."""
        # Of which as much may be left waiting as is gathered at most.
        silence = np.zeros(math.ceil(60 * self.sample_rate * self.profile.bit_time) + self._wait, np.float32)
        return self.push(silence)

    def _work(self, u: NDArray[np.complex64]) -> list[Packet]:
        """The packet chain on a batch of wide samples."""
        chains = list(self.carriers.values())
        clean = self.tone_canceller.process(self.periodic_canceller.process(u))
        for first, last, active in either(self.periodic_canceller.runs, self.tone_canceller.runs):
            if active and self._without_tones is None:
                self._without_tones = self._plain.fork()
                for chain in chains:
                    chain.fork()
            blanked = self._plain.process(u[first:last])
            for chain in chains:
                chain.push_plain(blanked)
            if self._without_tones is not None:
                blanked = self._without_tones.process(clean[first:last])
                for chain in chains:
                    chain.push_without_tones(blanked)
                self._idle = 0 if active else self._idle + last - first
            for chain in chains:
                chain.conclude(self._plain, self._without_tones)
        for chain in chains:
            self._waiting += chain.resolve()
        oldest = min(chain.plain.oldest_needed for chain in chains)
        self._plain.forget(oldest)
        self._line.forget(oldest * self.down_converter.plan.decimation - self._before)
        if self._without_tones is not None:
            self._without_tones.forget(min(c.without_tones.oldest_needed for c in chains if c.without_tones is not None))
        return self._release()

    def _release(self) -> list[Packet]:
        """Packets that both carriers' chains have passed, so that their order does not depend on how the stream is cut."""
        if not self._waiting:
            return []
        frontier = min(chain.frontier for chain in self.carriers.values())
        due = sorted((w for w in self._waiting if w.decided < frontier), key=_given_order)
        self._waiting = [w for w in self._waiting if w.decided >= frontier]
        packets: list[Packet] = []
        while due:
            one = due.pop(0)
            doubtful = one.awaited or self._may_be_ghost(one.packet)
            if not doubtful or (one.awaited and not self._is_repeated(one)):
                packets.append(one.packet)
            elif one.awaited or not one.packet.crc_ok:
                self.rejected["ghost"] += 1
            else:
                later = replace(one, decided=one.decided + _GHOST_WAIT, awaited=True)
                if later.decided < frontier:
                    insort(due, later, key=_given_order)
                else:
                    self._waiting.append(later)
        return packets

    def _others(self, packet: Packet) -> list[CarrierReceiver]:
        return [chain for name, chain in self.carriers.items() if name != packet.carrier]

    def _may_be_ghost(self, packet: Packet) -> bool:
        """Whether it may be what a strong packet leaves in the other carrier's band."""
        narrow = packet.start_sample * SAMPLES_PER_BIT * self.profile.bit_rate / self.sample_rate + SAMPLES_PER_BIT / 2
        return any(may_be_ghost(narrow, packet.level_v, chain.candidates) for chain in self._others(packet))

    def _is_repeated(self, one: Conclusion) -> bool:
        """Whether the other carrier has the same octets at the same time."""
        return any(chain.has_given(one.packet.lpdu, one.start, one.decided) for chain in self._others(one.packet))


def _given_order(one: Conclusion) -> tuple[int, Carrier]:
    return one.decided, one.packet.carrier
