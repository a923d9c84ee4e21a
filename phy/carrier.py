"""One carrier of the receiver: its branches, its carrier sense, and each packet given out once."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .branch import Branch, Conclusion
from .combining import Combiner
from .demodulator import PacketDecoder
from .detect import Candidate, CarrierSense
from .direct import DirectFilter, plan_direct
from .downconvert import BankFilter, Mixer
from .filters import SAMPLES_PER_BIT, BasebandPlan, FrontEndPlan, plan_baseband
from .packet import ReceiverOptions
from .profile import Carrier, Profile
from .sensing import SensePath
from .stream import WideStream

_SENSE_MEMORY: Final = 0.5  # s: the carrier sense knows its noise floor within a few hundredths
_CONCLUDED: Final = 32  # packets remembered that have ended, and as many good ones
_TWINS: Final = 2  # bit times: two packets that start closer are one, seen by both branches


class CarrierReceiver:
    """What belongs to one carrier: wide samples behind the blanker -> packets, and whether a carrier is present.

        blanked ----------------> Mixer -> BitFilter -> HeaderDetector -> PacketTracker -> PacketDecoder
        without tones, blanked -> Mixer -> BitFilter -> HeaderDetector -> PacketTracker -> PacketDecoder
        wide samples -----------> Mixer -> matched filter -> CarrierSense
        line samples -> LineSearch (DirectFilter, HeaderDetector, PacketTracker) --> PacketDecoder, instead, on a quiet line

    The branch behind the tone canceller exists only while there are tones. Both are needed then: repeated octets are a set
    of lines as well, and a packet that carries them survives only without the canceller. Carrier sense
    has a branch of its own without blanker, which would have to look ahead, because it must answer within a slot.

    A stage is an attribute and can be replaced by an object with the same `process` or `push`.

    Attributes:
        plain, without_tones: the branches; the second may be None. quiet: the one that takes their place on a quiet line
        (`QuietLine`), or None. direct: its filter. sense: CarrierSense. decoder: PacketDecoder of all branches, or anything
        with its `decode`, `first_look`, `is_complete`, `plan` and `cycles_per_bit`.
        false_starts: headers found in the data of good packets.
    """

    def __init__(
        self,
        profile: Profile,
        carrier: Carrier,
        sample_rate: float,
        front: FrontEndPlan,
        options: ReceiverOptions,
        combiner: Combiner | None = None,
    ) -> None:
        self.carrier, self.sample_rate = carrier, sample_rate
        self.plan: BasebandPlan = plan_baseband(
            profile, profile.carrier_hz(carrier), sample_rate, front, options.design_esn0_db
        )
        decoder = PacketDecoder(profile, carrier, self.plan, sample_rate, options, combiner)
        self.plain = Branch(profile, self.plan, decoder, options, 0)
        self.direct = DirectFilter(plan_direct(front, self.plan, sample_rate))
        self.sense_mixer = Mixer(self.plan.carrier_hz, self.plan.wide_rate)
        self.sense_filter = BankFilter(self.plan, self.plan.sense_bank)
        self.sense = CarrierSense(profile, rise_db=options.sense_rise_db)
        self._sense_path = SensePath(self.sense_mixer, self.sense_filter, self.sense)
        self._sense_memory = round(_SENSE_MEMORY * front.wide_rate)
        self._near = _TWINS * SAMPLES_PER_BIT * (sample_rate / self.plan.narrow_rate)  # line samples
        self.reset()

    def reset(self) -> None:
        """First-day state."""
        for stage in (self.plain, self.sense_mixer, self.sense_filter, self.sense):
            stage.reset()
        self.without_tones: Branch | None = None
        self.quiet: Branch | None = None
        self._unsensed: list[NDArray[np.complex64]] = []
        self._unsensed_size = 0
        self._concluded: list[Conclusion] = []  # the last ones
        self._starts: list[int] = []  # of these
        self._held: list[Conclusion] = []
        self.false_starts = 0

    @property
    def decoder(self) -> PacketDecoder:
        """What makes packets of what the trackers measured; see above."""
        return self.plain.decoder

    @decoder.setter
    def decoder(self, stage: PacketDecoder) -> None:
        for branch in (self.plain, self.without_tones, self.quiet):
            if branch is not None:
                branch.decoder = stage

    @property
    def busy(self) -> bool:
        """A carrier is sensed, at the newest sample. Sensing is done when somebody asks: packets do not need it."""
        if self._unsensed:
            u = self._unsensed[0] if len(self._unsensed) == 1 else np.concatenate(self._unsensed)
            self._unsensed, self._unsensed_size = [], 0
            if (self.sense_mixer, self.sense_filter, self.sense) == self._sense_path.stages:
                return self._sense_path.push(u)
            self.sense.push(self.sense_filter.process(self.sense_mixer.process(u)))
        return self.sense.busy

    @property
    def branches(self) -> list[Branch]:
        """One, or two while there are tones."""
        if self.quiet is not None:
            return [self.quiet]
        return [self.plain] if self.without_tones is None else [self.plain, self.without_tones]

    @property
    def frontier(self) -> int:
        """Narrow samples processed: every packet decided before this one has been given out."""
        return (self.quiet or self.plain).frontier

    @property
    def candidates(self) -> list[Candidate]:
        """The last places where a packet seemed to begin, in either branch."""
        return [candidate for branch in self.branches for candidate in branch.candidates]

    def has_given(self, lpdu: bytes, start: int, until: int) -> bool:
        """Whether a good packet of these octets was decided before narrow sample `until` that began within a few bit times of
        line sample `start`."""
        known = (c.packet for c in self._concluded if abs(c.start - start) < self._near and c.decided < until)
        return any(packet.crc_ok and packet.lpdu == lpdu for packet in known)

    def push_sense(self, u: NDArray[np.complex64]) -> None:
        """New wide samples for the carrier sense; when nobody has asked for half a second, it starts anew from the latest."""
        if self._unsensed_size > self._sense_memory:
            self.reset_sense()
        self._unsensed.append(u)
        self._unsensed_size += u.size

    def reset_sense(self) -> None:
        """Carrier sense starts anew: samples are missing before the next ones."""
        self._unsensed, self._unsensed_size = [], 0
        for stage in (self.sense_mixer, self.sense_filter, self.sense):
            stage.reset()

    def hold(self, concluded: list[Conclusion]) -> None:
        """Packets that ended, for `resolve`."""
        if concluded:
            self._held += concluded
            self._remember(sorted([*self._concluded, *concluded], key=lambda c: c.order))

    def _remember(self, concluded: list[Conclusion]) -> None:
        self._concluded, self._starts = concluded, [c.start for c in concluded]

    def restart(self, first: int, epoch: int) -> None:
        """The plain branch begins anew at wide sample `first`."""
        self.plain.restart(first)
        self.plain.epoch = epoch

    def push_plain(self, blanked: NDArray[np.complex64]) -> None:
        """New wide samples behind the blanker."""
        self.plain.push(blanked)

    def push_without_tones(self, blanked: NDArray[np.complex64]) -> None:
        """The same samples behind the tone canceller and its blanker; the branch must exist (`fork`)."""
        assert self.without_tones is not None
        self.without_tones.push(blanked)

    def conclude(self, plain: WideStream, without_tones: WideStream | None) -> None:
        """Packets that ended in what the branches of all carriers have had; the streams behind the two blankers."""
        self.hold(self.plain.conclude_all(plain))
        if self.without_tones is not None and without_tones is not None:
            self.hold(self.without_tones.conclude_all(without_tones))

    def fork(self) -> None:
        """Begin a branch without tones, from the state of the plain one."""
        self.without_tones = self.plain.fork(1)

    def resolve(self) -> list[Conclusion]:
        """Give out what has ended: each packet once, and no headers that were found in the data of a good packet.

        A good packet leaves at once, unless the other branch has given it before. A bad one waits for all that began before
        it or with it.
        """
        if not self._held:
            return []
        unit = self.sample_rate / self.plan.narrow_rate
        running = min((t.candidate.position * unit for branch in self.branches for t in branch.trackers), default=math.inf)
        given, held = [], []
        for mine in sorted(self._held, key=lambda c: c.order):
            start = mine.start
            known = zip(self._starts, self._concluded, strict=True)
            twins = [c for at, c in known if abs(at - start) < self._near and c is not mine]
            if mine.packet.crc_ok:
                if not any(c.packet.crc_ok and c.order < mine.order for c in twins):
                    given.append(mine)
            elif running < start + self._near:
                held.append(mine)
            elif not any(c.packet.crc_ok or c.order < mine.order for c in twins):
                earlier = [c for c in self._concluded if c.start < start and c is not mine]
                if any(c.packet.crc_ok and start < c.packet.end_sample for c in earlier):
                    self.false_starts += 1
                else:
                    # When the last of those that it had to wait for was over, packet or not.
                    waited = (over for branch in self.branches for at, over in branch.finished if at * unit < start + self._near)
                    decided = max([mine.decided, *(c.decided for c in earlier), *(c.decided for c in twins), *waited])
                    given.append(Conclusion(decided, mine.rank, mine.packet))
        self._held = held
        # Not before all have been compared: where data resemble a header, dozens end together, and push out the packet itself.
        if len(self._concluded) > 2 * _CONCLUDED:
            last = self._concluded[-_CONCLUDED:]
            good = [c for c in self._concluded[:-_CONCLUDED] if c.packet.crc_ok]
            self._remember([*good[-_CONCLUDED:], *last])
        return given
