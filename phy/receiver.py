"""The receiver: line samples in any blocks -> packets, on both carriers at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blanker import ImpulseBlanker
from .detect import Candidate, CarrierSense, HeaderDetector, header_signs
from .downconvert import BitFilter, DownConverter, NarrowFilter
from .equaliser import Decide, second_looks
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT, BasebandPlan, plan_baseband
from .framing import order_octets
from .profile import CARRIERS, Carrier, Profile
from .tones import ToneCanceller
from .tracking import Ending, LoopGains, PacketTracker
from .words import WordCode

_BLOCK: Final = 1 << 15  # samples worked on at once: small enough for the caches
_LARGEST_V: Final = 1e9  # nothing on a line; beyond it single precision would overflow
_MARGIN: Final = 8 * SAMPLES_PER_BIT  # narrow samples kept before a packet for the second look
WORD_DECODERS: Final[dict[str, Callable[[WordCode, NDArray[np.float32]], bytes]]] = {
    "ml": WordCode.decode_ml,
    "weakest_flip": WordCode.decode_weakest_flip,
    "hard": WordCode.decode_hard,
}


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    """What a user may tune; every default is for an ordinary line.

    Attributes:
        threshold: of the header detector, (0, 1). blanker: power factor of the impulse blanker, 0 switches off.
        tones_db: threshold of the tone canceller, 0 switches off.
        BnT, timing: tracking loops, see LoopGains. word_decoder: ml, weakest_flip or hard.
        second_look: try again with smoothed phase and a fitted filter when the CRC fails.
        lost_below: see PacketTracker. design_esn0_db: of the bit filter. sense_rise_db: carrier sense over the floor.
    """

    threshold: float = 0.4
    blanker: float = 9.0
    tones_db: float = 16.0
    BnT: float = 0.015
    timing: float = 0.03
    word_decoder: str = "ml"
    second_look: bool = True
    lost_below: float = 0.3
    design_esn0_db: float = 9.0
    sense_rise_db: float = 3.0

    def __post_init__(self) -> None:
        if self.word_decoder not in WORD_DECODERS:
            raise ConfigurationError(
                f"word_decoder must be one of {', '.join(WORD_DECODERS)}, got {self.word_decoder!r}"
            )
        if not 0 < self.lost_below < 1:
            raise ConfigurationError(f"lost_below must be in (0, 1), got {self.lost_below}")
        if not -10 <= self.design_esn0_db <= 60:
            raise ConfigurationError(f"design_esn0_db must be in -10..60, got {self.design_esn0_db}")
        if not 2.6 <= self.sense_rise_db <= 12:
            raise ConfigurationError(f"sense_rise_db must be in 2.6..12, got {self.sense_rise_db}")


@dataclass(frozen=True, eq=False)
class Packet:
    """One packet as received.

    Attributes:
        lpdu: octets with the CRC. crc_ok: whether the CRC holds.
        start_sample, end_sample: line samples where bit 0 begins and the last word ends.
        carrier: "primary" or "secondary". level_v: peak amplitude of the carrier, V.
        esn0_db: energy per coded bit over noise density, dB. clock_ppm: the sender's clock against ours and the profile.
        corrected_bits: bits of the words that the decoder changed.
        symbols: (B,) complex64, one per bit from the preamble on, unit amplitude, + means 1.
        method: how the bits were estimated.
    """

    lpdu: bytes
    crc_ok: bool
    start_sample: int
    end_sample: int
    carrier: Carrier
    level_v: float
    esn0_db: float
    clock_ppm: float
    corrected_bits: int
    symbols: NDArray[np.complex64] = field(repr=False)
    method: str = "tracked"


@dataclass(slots=True)
class _Decoded:
    octets: bytes
    crc_ok: bool
    corrected: int
    symbols: NDArray[np.complex64]
    method: str


class CarrierReceiver:
    """The chain of one carrier, from line samples to packets.

        DownConverter -> ImpulseBlanker -> NarrowFilter -> ToneCanceller -> BitFilter -> HeaderDetector -> PacketTracker
             \\-> ImpulseBlanker (short) -> NarrowFilter (one bit) -> CarrierSense

    Carrier sense has a branch of its own with a blanker that looks ahead only two bits: it must answer within a slot.

    A stage is an attribute and can be replaced by an object with the same `process` or `push`.

    Attributes:
        candidates: the last places where a packet seemed to begin. false_starts: headers found in the data of good packets.
    """

    def __init__(self, profile: Profile, carrier: Carrier, sample_rate: float, options: ReceiverOptions) -> None:
        hz = profile.carrier_hz(carrier)
        self.profile, self.carrier, self.sample_rate, self.options = profile, carrier, sample_rate, options
        self.plan: BasebandPlan = plan_baseband(profile, hz, sample_rate, options.design_esn0_db)
        self.cycles_per_bit = hz / profile.bit_rate
        self.down_converter = DownConverter(self.plan)
        self.blanker = ImpulseBlanker(self.plan.wide_rate / profile.bit_rate, options.blanker)
        self.narrow_filter = NarrowFilter(self.plan)
        self.tone_canceller = ToneCanceller(options.tones_db)
        self.bit_filter = BitFilter(self.plan)
        self.sense_blanker = ImpulseBlanker(self.plan.wide_rate / profile.bit_rate, options.blanker, window=4)
        self.sense_filter = NarrowFilter(self.plan, self.plan.sense_bank)
        self.detector = HeaderDetector(profile, self.cycles_per_bit, options.threshold)
        rise = 10 ** (options.sense_rise_db / 10)
        self.sense = CarrierSense(profile, rise=rise, fall=min(1.8, rise))
        self.gains = LoopGains(BnT=options.BnT, timing=options.timing)
        self.reset()

    def reset(self) -> None:
        """First-day state."""
        for stage in (
            self.down_converter, self.blanker, self.narrow_filter, self.tone_canceller, self.bit_filter, self.detector,
            self.sense_blanker, self.sense_filter, self.sense,
        ):  # fmt: skip
            stage.reset()
        self._trackers: list[PacketTracker] = []
        self.candidates: list[Candidate] = []
        self._concluded: list[tuple[int, Packet]] = []
        self._held: list[tuple[int, Packet]] = []
        self.false_starts = 0
        # Some silence before the first sample lets a packet start at once.
        self._base = -_MARGIN
        self._narrow = np.zeros(_MARGIN, np.complex64)
        self._filtered = np.zeros(_MARGIN, np.complex64)

    @property
    def busy(self) -> bool:
        """A carrier is sensed."""
        return self.sense.busy

    @property
    def frontier(self) -> int:
        """Narrow samples processed: every packet decided before this one has been given out."""
        return self._base + self._filtered.size

    def push(self, x: NDArray[np.float32]) -> list[tuple[int, Packet]]:
        """(N,) float32 line samples -> packets that ended, good and bad, with the narrow sample at which that was decided."""
        z = self.down_converter.process(x)
        self.sense.push(self.sense_filter.process(self.sense_blanker.process(z)))
        r = self.tone_canceller.process(self.narrow_filter.process(self.blanker.process(z)))
        if r.size == 0:
            return []
        y = self.bit_filter.process(r)
        self._narrow = np.concatenate((self._narrow, r))
        self._filtered = np.concatenate((self._filtered, y))
        for candidate in self.detector.push(self._filtered, self._base):
            self.candidates = [*self.candidates[-31:], candidate]
            self._trackers.append(
                PacketTracker(self.profile, self.cycles_per_bit, candidate, self.gains, self.options.lost_below)
            )
        end = self._base + self._filtered.size
        for tracker in list(self._trackers):
            packet = self._follow(tracker, end)
            if packet is not None:
                self._concluded = [*self._concluded[-31:], (tracker.oldest_needed, packet)]
                self._held.append((tracker.oldest_needed, packet))
                self._trackers.remove(tracker)
        self._forget()
        return self._resolve()

    def _resolve(self) -> list[tuple[int, Packet]]:
        """Give out what has ended. A bad packet waits for those that began before it: their data may look like a header."""
        unit = self.sample_rate / self.plan.narrow_rate
        running = min((t.candidate.position * unit for t in self._trackers), default=math.inf)
        packets, held = [], []
        for decided, packet in self._held:
            if packet.crc_ok:
                packets.append((decided, packet))
                continue
            if running < packet.start_sample:
                held.append((decided, packet))
                continue
            earlier = [(d, p) for d, p in self._concluded if p.start_sample < packet.start_sample]
            if any(p.crc_ok and packet.start_sample < p.end_sample for _, p in earlier):
                self.false_starts += 1
            else:
                packets.append((max([decided, *(d for d, _ in earlier)]), packet))
        self._held = held
        return packets

    def _forget(self) -> None:
        """Drop samples that nobody will look at again."""
        starts = [int(t.candidate.position) for t in self._trackers]
        keep = min([self.detector.oldest_needed, *starts]) - _MARGIN
        if keep - self._base > 4096:
            self._narrow = self._narrow[keep - self._base :].copy()
            self._filtered = self._filtered[keep - self._base :].copy()
            self._base = keep

    def _follow(self, tracker: PacketTracker, end: int) -> Packet | None:
        """The packet, once it has ended; an end word counts only with a good CRC or when the signal goes after it."""
        while True:
            ending = tracker.push(self._filtered, self._base, end)
            if ending is Ending.OPEN:
                return None
            if ending is not Ending.END_WORD:
                return self._conclude(tracker)
            octets = self._decode_words(tracker.soft[:-1])[0]
            if self.profile.crc.ok(octets) and len(octets) >= self.profile.min_octets:
                return self._conclude(tracker)

    def _decode_words(self, soft: NDArray[np.float32]) -> tuple[bytes, int]:
        """(W, n) soft words -> (octets in transmission order undone, bits changed)."""
        if soft.shape[0] == 0:
            return b"", 0
        code = self.profile.code
        coded = WORD_DECODERS[self.options.word_decoder](code, soft)
        sent = code.table[np.frombuffer(coded, np.uint8)]
        changed = int(np.count_nonzero((soft < 0).astype(np.uint8) != sent))
        return order_octets(coded, self.profile), changed

    def _conclude(self, tracker: PacketTracker) -> Packet:
        header = header_signs(self.profile)
        lengths = self._possible_lengths(tracker)
        symbols = (tracker.raw * np.exp(-1j * tracker.phases) / tracker.amplitude).astype(np.complex64)
        decoded = self._check(tracker.soft, lengths, symbols, "tracked")
        if not decoded.crc_ok and self.options.second_look and lengths and not self.profile.differential:
            bits = header.size + max(lengths) * self.profile.code.length
            for look in second_looks(
                self._narrow, self._base, tracker.positions[:bits], tracker.raw[:bits], tracker.phases[:bits],
                self.plan.pulse, header, Decide(header, self.profile.code.table),
            ):  # fmt: skip
                soft = -look.symbols.real[header.size :].reshape(-1, self.profile.code.length)
                again = self._check(soft.astype(np.float32), lengths, look.symbols, look.method)
                # Noise finds one CRC in 65536 by chance; words that needed many corrections are not believed.
                if again.crc_ok and again.corrected <= 0.12 * soft.size:
                    decoded = again
                    break
        return self._packet(tracker, decoded)

    def _possible_lengths(self, tracker: PacketTracker) -> list[int]:
        """Octet counts to try, the likeliest first."""
        words = tracker.words
        if tracker.ending is Ending.END_WORD:
            guesses = [words - 1]
        else:
            ended = self._end_word_at(tracker)
            guesses = [*([ended] if ended is not None else []), words - 1, words - 2, words - 3]
        low, high = self.profile.min_octets, self.profile.max_octets
        return [n for n in dict.fromkeys(guesses) if low <= n <= high]

    def _end_word_at(self, tracker: PacketTracker) -> int | None:
        """Index of the last word that is likelier the end word than any code word."""
        soft = tracker.soft
        if self.profile.end_words == 0 or soft.shape[0] == 0:
            return None
        best = (soft @ (1.0 - 2.0 * self.profile.code.table.T)).max(axis=1)
        hits = np.flatnonzero(soft @ (1.0 - 2.0 * self.profile.end_word) > best)
        return int(hits[-1]) if hits.size else None

    def _check(
        self, soft: NDArray[np.float32], lengths: list[int], symbols: NDArray[np.complex64], method: str
    ) -> _Decoded:
        first: _Decoded | None = None
        for length in lengths or [max(0, soft.shape[0] - 1)]:
            octets, changed = self._decode_words(soft[:length])
            good = len(octets) >= self.profile.min_octets and self.profile.crc.ok(octets)
            decoded = _Decoded(octets, good, changed, symbols, method)
            if good:
                return decoded
            first = first or decoded
        assert first is not None
        return first

    def _packet(self, tracker: PacketTracker, decoded: _Decoded) -> Packet:
        bits = header_signs(self.profile).size + len(decoded.octets) * self.profile.code.length
        bits = min(bits, tracker.bits)
        unit = self.sample_rate / self.plan.narrow_rate
        positions, phases = tracker.positions[:bits], tracker.phases[:bits]
        z = tracker.raw[:bits] * np.exp(-1j * phases)
        amplitude = float(np.mean(np.abs(z.real)))
        # Bits that were partly blanked or hit would spoil a mean; the median of a squared Gaussian is 0.4549 variances.
        variance = float(np.median(z.imag.astype(np.float64) ** 2)) / 0.4549
        freq = (phases[-1] - phases[0]) / max(1, bits - 1)
        half = SAMPLES_PER_BIT / 2
        return Packet(
            lpdu=decoded.octets,
            crc_ok=decoded.crc_ok,
            start_sample=round((positions[0] - half) * unit),
            end_sample=round((positions[-1] + half) * unit),
            carrier=self.carrier,
            level_v=amplitude / self.plan.bit_gain,
            esn0_db=10 * math.log10(max(self.plan.esn0(amplitude, variance), 1e-9)),
            clock_ppm=freq / (2 * math.pi * self.cycles_per_bit) * 1e6,
            corrected_bits=decoded.corrected,
            symbols=decoded.symbols[:bits],
            method=decoded.method,
        )


class Receiver:
    """Receives both carriers of one channel at once, in real passband samples.

        x -> DownConverter -> ImpulseBlanker -> NarrowFilter -> BitFilter -> HeaderDetector -> PacketTracker -> words -> CRC
                                                                     \\-> CarrierSense -> channel_busy

    Args:
        profile: the channel. sample_rate: Hz. options: see ReceiverOptions.
    Attributes:
        carriers: carrier name -> CarrierReceiver; a carrier that does not fit below half the sample rate is left out.
        rejected: counts of what was dropped: "not finite" samples, "ghost" packets.
    Raises:
        ConfigurationError: an argument is out of range, or no carrier fits.
    """

    def __init__(self, profile: Profile, sample_rate: float, options: ReceiverOptions | None = None) -> None:
        if not (math.isfinite(sample_rate) and sample_rate > 0):
            raise ConfigurationError(f"sample_rate must be positive, got {sample_rate}")
        self.profile, self.sample_rate = profile, float(sample_rate)
        self.options = options or ReceiverOptions()
        self.carriers: dict[Carrier, CarrierReceiver] = {}
        problem: ConfigurationError | None = None
        for carrier in CARRIERS:
            try:
                self.carriers[carrier] = CarrierReceiver(profile, carrier, self.sample_rate, self.options)
            except ConfigurationError as error:
                problem = error
        if not self.carriers and problem is not None:
            raise problem
        self.reset()

    def reset(self) -> None:
        """First-day state: the next sample is sample 0."""
        for chain in self.carriers.values():
            chain.reset()
        self.rejected = {"not finite": 0, "ghost": 0}
        self._waiting: list[tuple[int, Packet]] = []

    @property
    def channel_busy(self) -> bool:
        """Whether a carrier is present, of either frequency; what the MAC listens to."""
        return any(chain.busy for chain in self.carriers.values())

    def push(self, x: NDArray[np.float32]) -> list[Packet]:
        """Next samples of the stream -> packets that ended, in the order of their ends; bad ones have crc_ok False.

        Args:
            x: (N,) real, V (or full scale = 1), any N. Samples that are not finite, or
                beyond 1e9, are taken as 0 and counted.
        """
        x = np.ascontiguousarray(x, np.float32)
        if x.ndim != 1:
            raise ConfigurationError(f"x must have one dimension, got shape {x.shape}")
        packets: list[Packet] = []
        for first in range(0, x.size, _BLOCK):
            block = x[first : first + _BLOCK]
            if not max(float(block.max()), -float(block.min())) < _LARGEST_V:
                bad = ~(np.abs(block) < _LARGEST_V)
                self.rejected["not finite"] += int(np.count_nonzero(bad))
                block = np.where(bad, np.float32(0), block)
            for chain in self.carriers.values():
                self._waiting += chain.push(block)
            packets += self._release()
        return packets

    def flush(self) -> list[Packet]:
        """End of the stream: packets that were still open, as if silence followed."""
        silence = np.zeros(math.ceil(60 * self.sample_rate * self.profile.bit_time), np.float32)
        return self.push(silence)

    def _release(self) -> list[Packet]:
        """Packets that both carriers' chains have passed, so that their order does not depend on how the stream is cut."""
        if not self._waiting:
            return []
        frontier = min(chain.frontier for chain in self.carriers.values())
        due = sorted((w for w in self._waiting if w[0] < frontier), key=lambda w: (w[0], w[1].carrier))
        self._waiting = [w for w in self._waiting if w[0] >= frontier]
        packets = [packet for _, packet in due if not self._is_ghost(packet)]
        self.rejected["ghost"] += len(due) - len(packets)
        return packets

    def _is_ghost(self, packet: Packet) -> bool:
        """Whether it is what a strong packet leaves in the other carrier's band.

        The carriers are a whole number of bit rates apart, so the little that passes the filters looks like a packet there.
        """
        unit = self.sample_rate / (SAMPLES_PER_BIT * self.profile.bit_rate)
        return any(
            abs((candidate.position - SAMPLES_PER_BIT / 2) * unit - packet.start_sample) < 3 * SAMPLES_PER_BIT * unit
            and candidate.amplitude > 10 * packet.level_v
            for name, chain in self.carriers.items()
            if name != packet.carrier
            for candidate in chain.candidates
        )
