"""From a tracked packet's soft bits to its octets: word decoder, end of packet, CRC, second look."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ._kernels.words import measure_bits
from .allowance import Allowance
from .burst import BurstDemodulator, Clean, Estimate
from .combining import Combiner
from .detect import header_signs
from .downconvert import BankFilter, FineFrontEnd, Mixer
from .equaliser import Burst, Decide, second_looks, smooth_phase
from .filters import FINE_SAMPLES_PER_BIT, SAMPLES_PER_BIT, BasebandPlan, plan_front_end, plan_wave
from .framing import order_octets, packet_bits
from .interference import echo_gain, envelope_spread, without_echoes, without_swept_tone
from .listdecode import list_decode
from .packet import WORD_DECODERS, Packet, ReceiverOptions, WordDecoder
from .profile import Carrier, Profile
from .stream import WideStream
from .switching import switched_looks
from .tracking import Ending, PacketTracker
from .words import WordCode

_BELIEVED = 0.25  # of what bits by chance disagree with words, the words of later looks may; good ones have less than a tenth
_CREDIBLE = 0.5  # and those of the first look
_ECHO_GAIN = 4.0  # the echoes explain so many times more than they would of white noise: there are echoes
_ENDS = 4  # end words of one packet that are held against its CRC: behind a packet that is lost, noise has many
_LENGTHS = 2  # of the packet that are tried at every second look
_TRIES = 16  # different readings of a packet that are held against its CRC: each may pass it wrongly once in 65536
_TONE_SPREAD = 1.75  # what is left has less than this: there is a tone in it, swept or not
_TONE_BITS = 4.0  # bit times over which a swept tone is averaged
_AROUND = 8  # bit times of the stream to either side of a packet that a second look gets


@dataclass(slots=True)
class _Decoded:
    octets: bytes
    crc_ok: bool
    corrected: int
    method: str
    symbols: NDArray[np.complex64] | None = None  # None: as the tracker saw them


@dataclass(frozen=True, slots=True)
class _View:
    """One packet's baseband and what the tracker knows of it."""

    demodulator: BurstDemodulator
    z: NDArray[np.complex64]
    at: float
    step: float
    gains: NDArray[np.complex64]
    signs: NDArray[np.float32]
    words: int

    def estimates(self, before: Estimate | None = None, clean: Clean | None = None) -> Iterator[Estimate]:
        """Of the whole packet, from the tracker's decisions or from an earlier estimate's."""
        gains, signs = (self.gains, self.signs) if before is None else (before.gains, before.signs)
        return self.demodulator.estimates(self.z, self.at, self.step, gains, signs, self.words, clean)

    def cleaners(self, estimate: Estimate) -> list[Clean]:
        """What may take out that which is in the way of an estimate."""
        samples = self.demodulator.wave.samples_per_bit
        packet = self.demodulator.packet(self.z.size, self.at, self.step, estimate)
        cleaners: list[Clean] = []
        if envelope_spread(self.z - packet, samples) < _TONE_SPREAD:
            cleaners.append(lambda z, packet: without_swept_tone(z, packet, samples, _TONE_BITS))
        noise = estimate.variance * samples / self.demodulator.wave.noise * max(estimate.excess, 1.0)
        if echo_gain(self.z, packet, samples, noise) > _ECHO_GAIN:
            cleaners.append(lambda z, packet: without_echoes(z, packet, samples))
        return cleaners


class PacketDecoder:
    """Turns what a PacketTracker measured into a Packet.

    Args:
        profile: the channel. carrier: its name in the result. plan: filters of the carrier. sample_rate: of the line, Hz.
        options: word decoder and second look. combiner: of all carriers, when failed packets are to be combined.
    Attributes:
        word_decoder: (WordCode, (W, n) float32 soft bits, + means 0, any scale) -> W octets in the bit order of the line; replace
            it by any callable of that kind. Every look at a packet uses it, but for the trellis of the second look, which gives
            scores of whole words: they are taken when it is `WordCode.decode_ml`, else the likelihoods of its bits are decoded.
    """

    def __init__(
        self,
        profile: Profile,
        carrier: Carrier,
        plan: BasebandPlan,
        sample_rate: float,
        options: ReceiverOptions,
        combiner: Combiner | None = None,
    ) -> None:
        self.combiner = combiner
        self.word_decoder: WordDecoder = WORD_DECODERS[options.word_decoder]
        self.profile, self.carrier, self.plan, self.sample_rate, self.options = profile, carrier, plan, sample_rate, options
        self.cycles_per_bit = profile.carrier_hz(carrier) / profile.bit_rate
        carrier_hz = profile.carrier_hz(carrier)
        self._fine = FineFrontEnd(plan_front_end(profile, [carrier_hz], sample_rate, FINE_SAMPLES_PER_BIT), carrier_hz)
        self._fine_burst, self._wide_burst = (
            BurstDemodulator(profile, wave, weights=options.mains_weights)
            for wave in (plan_wave(profile, self._fine.plan, sample_rate), plan.wave)
        )
        self._narrow = BankFilter(plan, plan.narrow_bank)
        # From an end word that is nearly a code word, too, nobody sees where the data end; only the CRC knows.
        self._end_is_clear = bool(profile.end_words) and int((profile.code.table != profile.end_word).sum(axis=1).min()) > 1

    def is_complete(self, tracker: PacketTracker) -> bool:
        """Whether the words before the last one are an LPDU with a good CRC; after a few tries in vain, no more."""
        if tracker.ends_tried >= _ENDS:
            return False
        tracker.ends_tried += 1
        octets, changed = self._decode_words(tracker.soft[:-1])
        good = self._is_lpdu(octets) and self._is_credible(tracker.soft[:-1], octets, changed)
        tracker.complete = (octets, changed) if good else None
        return tracker.complete is not None

    def _is_lpdu(self, octets: bytes) -> bool:
        return self.profile.min_octets <= len(octets) <= self.profile.max_octets and self.profile.crc.ok(octets)

    def _decode_words(self, soft: NDArray[np.float32]) -> tuple[bytes, int]:
        """(W, n) soft words -> (octets in transmission order undone, bits changed)."""
        if soft.shape[0] == 0:
            return b"", 0
        code = self.profile.code
        coded = self.word_decoder(code, soft)
        return order_octets(coded, self.profile), code.changed(soft, coded)

    def decode(
        self, tracker: PacketTracker, stream: WideStream, mixer: Mixer, look_again: bool | Allowance = True
    ) -> Packet:
        """The packet that `tracker` followed to its end.

        Args:
            stream: the wide samples, for a second look. mixer: moves them to the carrier. look_again: when the CRC fails;
            an Allowance is what the line has left for the looks that take long, and is given back by those that succeed.
        """
        packet, lengths = self._first(tracker)
        if packet.crc_ok or not look_again or not self.options.second_look or not lengths:
            return packet
        tried: set[bytes] = set()
        view = self._view(tracker, max(lengths), stream, mixer)
        estimate: Estimate | None = None
        for estimate in view.estimates() if view is not None else ():
            again = self._check_estimate(estimate, lengths, tracker)
            if again.crc_ok:
                return self._packet(tracker, again)
            tried.add(again.octets)
        for again in self._thorough(tracker, lengths, stream, mixer, view, estimate, look_again):
            if again.crc_ok:
                return self._packet(tracker, again)
            tried.add(again.octets)
            if len(tried) >= _TRIES:
                break
        joint = self._jointly(tracker, lengths, estimate) if estimate is not None else None
        if joint is not None:
            return self._packet(tracker, joint)
        if estimate is None:
            return packet
        # A header that noise has raised is found more often than others: the whole packet tells its level better.
        esn0_db = 10 * math.log10(max(estimate.esn0, 1e-9))
        return replace(packet, level_v=estimate.amplitude, esn0_db=esn0_db)

    def first_look(self, tracker: PacketTracker) -> Packet:
        """The packet from what the tracker measured alone."""
        return self._first(tracker)[0]

    def _first(self, tracker: PacketTracker) -> tuple[Packet, list[int]]:
        """That packet, and the lengths in octets that it may have when its CRC does not hold."""
        if tracker.complete is not None:
            octets, changed = tracker.complete
            return self._packet(tracker, _Decoded(octets, True, changed, "tracked")), []
        lengths = self._possible_lengths(tracker)
        likeliest = self._likeliest(tracker.soft, tracker, lengths)
        return self._packet(tracker, self._check(tracker.soft, likeliest, "tracked")), lengths

    def _thorough(
        self, tracker: PacketTracker, lengths: list[int], stream: WideStream, mixer: Mixer,
        view: "_View | None", estimate: Estimate | None, allowance: bool | Allowance,
    ) -> Iterator[_Decoded]:  # fmt: skip
        """What those looks find that take long, as far as the line has something left for them."""
        cleaners = view.cleaners(estimate) if view is not None and estimate is not None else []
        fits = (bool(cleaners) or estimate is None or estimate.distorted) and not self.profile.differential
        if not (cleaners or fits):
            return
        if isinstance(allowance, Allowance):
            if not allowance.affords(tracker.bits):
                return
            allowance.spend(tracker.bits)
        try:
            for again in self._looks(tracker, lengths, stream, mixer, view, estimate, cleaners, fits):
                if again.crc_ok and isinstance(allowance, Allowance):
                    allowance.give_back(tracker.bits)
                yield again
        except np.linalg.LinAlgError:
            pass  # silence within the packet: there is nothing to fit a filter to

    def _looks(
        self, tracker: PacketTracker, lengths: list[int], stream: WideStream, mixer: Mixer,
        view: "_View | None", estimate: Estimate | None, cleaners: list[Clean], fits: bool,
    ) -> Iterator[_Decoded]:  # fmt: skip
        """What further looks at the packet find, without what is in its way, the likeliest to succeed first."""
        if view is not None and estimate is not None and estimate.distorted and not self.profile.differential:
            yield from self._switched(view, lengths, tracker)
        for clean in cleaners:
            assert view is not None
            for cleaned in view.estimates(estimate, clean):
                yield self._check_estimate(cleaned, lengths, tracker)
        if fits:
            yield from self._fitted(tracker, lengths[:_LENGTHS], stream, mixer)

    def _switched(self, view: "_View", lengths: list[int], tracker: PacketTracker) -> Iterator[_Decoded]:
        """Looks for a line whose gain switches with the mains."""
        header, n = header_signs(self.profile), self.profile.code.length
        decide = Decide(header, self.profile.code)
        for look in switched_looks(
            view.z, view.at, view.step, view.demodulator.wave.edge, view.gains, decide, self.profile.bit_rate
        ):
            soft = -look.symbols.real[header.size : header.size + view.words * n].reshape(-1, n).astype(np.float32)
            yield self._check(soft, self._likeliest(soft, tracker, lengths), look.method, look.symbols)

    def _jointly(self, tracker: PacketTracker, lengths: list[int], estimate: Estimate) -> _Decoded | None:
        """The packet together with an earlier reception, or from the list of the likeliest; both are options."""
        soft = self._soft_words(estimate)
        line, method = None, "combined"

        def is_good(line: bytes) -> bool:
            return self._is_lpdu_on_line(line) and self._is_believed(soft[: len(line)], line)

        if self.combiner is not None:
            start_s = float(tracker.positions[0]) / self.plan.narrow_rate
            line = self.combiner.combine(estimate.scores, lengths, self.carrier, start_s, is_good)
        if line is None and self.options.list_size:
            line = list_decode(estimate.scores[: lengths[0]], is_good, self._syndrome, self.options.list_size)
            method = "list"
        if line is None:
            return None
        return _Decoded(order_octets(line, self.profile), True, self._changed(tracker, line), method, estimate.symbols)

    def _view(self, tracker: PacketTracker, words: int, stream: WideStream, mixer: Mixer) -> "_View | None":
        """The packet as a whole: from the line samples where the stream is nothing but these, else from the wide stream."""
        header, n = header_signs(self.profile), self.profile.code.length
        bits = header.size + words * n + 1
        if bits > tracker.bits:
            return None
        raw, phases = tracker.raw[:bits], tracker.phases[:bits]
        signs = np.where((raw * np.exp(-1j * phases)).real >= 0, 1.0, -1.0).astype(np.float32)
        signs[: header.size] = header
        gains = tracker.amplitude / self.plan.bit_gain * np.exp(1j * smooth_phase(raw, phases, signs.astype(np.float64)))
        unit = self.plan.ratio  # samples looked at per narrow sample
        if stream.line is not None:
            unit *= self.plan.decimation / self._fine.plan.decimation
        k = np.arange(bits) - (bits - 1) / 2
        slope = float(k @ tracker.positions[:bits] / (k @ k))
        start = float(np.mean(tracker.positions[:bits])) - slope * (bits - 1) / 2
        around = _AROUND * SAMPLES_PER_BIT * unit
        first, stop = math.floor(start * unit - around), math.ceil((start + slope * bits) * unit + around)
        if stream.line is not None:
            z, demodulator = self._fine.between(stream.line, first, stop), self._fine_burst
        else:
            z, demodulator = mixer.at(stream.raw.between(first, stop), first), self._wide_burst
        return _View(demodulator, z, start * unit - first, slope * unit, gains.astype(np.complex64), signs, words)

    def _fitted(
        self, tracker: PacketTracker, lengths: list[int], stream: WideStream, mixer: Mixer
    ) -> Iterator[_Decoded]:
        """Looks with filters fitted to the line: echoes, resonances, tones within the signal's band."""
        header, n = header_signs(self.profile), self.profile.code.length
        bits = header.size + max(lengths) * n
        first = math.floor(tracker.positions[0]) - _AROUND * SAMPLES_PER_BIT
        count = math.ceil(tracker.positions[-1]) + _AROUND * SAMPLES_PER_BIT - first
        reach = self.plan.narrow_bank.shape[1]
        wide_first, wide_stop = math.floor(first * self.plan.ratio) - reach, math.ceil((first + count) * self.plan.ratio) + reach
        blanked = mixer.at(stream.blanked.between(wide_first, wide_stop), wide_first)
        burst = Burst(
            self._narrow.around(blanked, wide_first, first, count), first,
            tracker.raw[:bits], tracker.positions[:bits], tracker.phases[:bits], tracker.candidate.freq,
            SAMPLES_PER_BIT / (2 * math.pi * self.cycles_per_bit), self.plan.pulse, self.plan.noise_correlation, header,
        )  # fmt: skip
        for look in second_looks(burst, Decide(header, self.profile.code)):
            soft = -look.symbols.real[header.size :].reshape(-1, n).astype(np.float32)
            yield self._check(soft, lengths, look.method, look.symbols)

    def _check_estimate(self, estimate: Estimate, lengths: list[int], tracker: PacketTracker) -> _Decoded:
        """The first length whose CRC holds and whose words are believed, or the likeliest."""
        header, n = header_signs(self.profile).size, self.profile.code.length
        soft = self._soft_words(estimate)
        line = estimate.octets if self.word_decoder is WordCode.decode_ml else self.word_decoder(self.profile.code, soft)
        octets = order_octets(line, self.profile)
        level = np.abs(estimate.gains) / np.mean(np.abs(estimate.gains[: header + min(lengths) * n]))  # less behind the packet
        words = -(level * estimate.symbols.real)[header:][: len(estimate.scores) * n].reshape(-1, n)
        lengths = self._likeliest(words.astype(np.float32), tracker, lengths)
        right = next((k for k in lengths if self._is_lpdu(octets[:k]) and self._is_believed(soft[:k], line[:k])), None)
        length = lengths[0] if right is None else right
        changed = self._changed(tracker, line[:length])
        return _Decoded(octets[:length], right is not None, changed, f"burst, noise {estimate.cycle}", estimate.symbols)

    def _soft_words(self, estimate: Estimate) -> NDArray[np.float32]:
        """(W, n) soft bits of an estimate's words, + means 0, by the trellis alone."""
        header, n = header_signs(self.profile).size, self.profile.code.length
        last = header + len(estimate.scores) * n
        soft = estimate.soft[header:last]
        if self.profile.differential:
            before = estimate.soft[header - 1 : last - 1]
            soft = np.sign(soft * before) * np.minimum(np.abs(soft), np.abs(before))
        return soft.reshape(-1, n)

    def _is_believed(self, soft: NDArray[np.float32], line: bytes) -> bool:
        """Whether soft words look like these octets' (line order). Of each 65536 readings of noise, of a collision or of another
        kind of packet one passes the CRC, and later looks have many."""
        code = self.profile.code
        return code.disagreement(soft, line) <= _BELIEVED * code.disagreement_of_chance

    def _is_credible(self, soft: NDArray[np.float32], octets: bytes, changed: int) -> bool:
        """The same for the first look, which has few readings and must do with what impulses have left of the bits."""
        code = self.profile.code
        if changed <= _BELIEVED * code.disagreement_of_chance * soft.size:
            return True
        return code.disagreement(soft, order_octets(octets, self.profile)) <= _CREDIBLE * code.disagreement_of_chance

    def _changed(self, tracker: PacketTracker, line: bytes) -> int:
        """Bits of these words that the tracker had decided otherwise."""
        return self.profile.code.changed(tracker.soft[: len(line)], line)

    def _is_lpdu_on_line(self, line: bytes) -> bool:
        return self._is_lpdu(order_octets(line, self.profile))

    def _syndrome(self, line: bytes) -> int:
        """What the check octets differ by from what they should be; 0 for a good LPDU. Linear in changes of the octets."""
        octets = order_octets(line, self.profile)
        wanted = self.profile.crc.append(octets[:-2])[-2:]
        return int.from_bytes(wanted, "big") ^ int.from_bytes(octets[-2:], "big")

    def _possible_lengths(self, tracker: PacketTracker) -> list[int]:
        """Octet counts to try, the likeliest first."""
        words = tracker.words
        if tracker.ending is Ending.END_WORD:
            guesses = [words - 1]
        else:
            ended = self._end_word_at(tracker)
            # An end word that is a code word too cannot be told from the data; then only the CRC knows where they end.
            last = range(1, 4 + self.profile.end_words)
            guesses = [*([ended] if ended is not None else []), *(words - k for k in last)]
        low, high = self.profile.min_octets, self.profile.max_octets
        return [n for n in dict.fromkeys(guesses) if low <= n <= high]

    def _likeliest(self, words: NDArray[np.float32], tracker: PacketTracker, lengths: list[int]) -> list[int]:
        """Those of the lengths that the received words speak for most: every length tried lets a wrong packet pass now and then.

        Of a word that was sent the energy is worth more than it costs, of noise behind the packet less; a length's own end word
        counts as a word. words: (W, n) soft bits in units of the amplitude, + means 0.
        """
        if len(lengths) <= _LENGTHS or not self._end_is_clear:
            return lengths
        soft = np.concatenate((words, tracker.soft[len(words) : max(lengths) + 1]))
        cost = 0.5 * soft.shape[1]
        sent = np.concatenate(([0.0], np.cumsum(self.profile.code.best(soft)[1] - cost)))
        ends = np.append(soft @ (1.0 - 2.0 * self.profile.end_word) - cost, 0.0)
        worth = sent[lengths] + ends[np.minimum(lengths, len(soft))]
        # The first one is where an end word was seen, if one was: a packet may go on behind it that is another one.
        return list(dict.fromkeys((lengths[0], *(lengths[k] for k in np.argsort(-worth, kind="stable")))))[:_LENGTHS]

    def _end_word_at(self, tracker: PacketTracker) -> int | None:
        """Index of the last word that is likelier the end word than any code word."""
        soft = tracker.soft
        if self.profile.end_words == 0 or soft.shape[0] == 0:
            return None
        best = self.profile.code.best(soft)[1]
        hits = np.flatnonzero(soft @ (1.0 - 2.0 * self.profile.end_word) > best)
        return int(hits[-1]) if hits.size else None

    def _check(
        self, soft: NDArray[np.float32], lengths: list[int], method: str, symbols: NDArray[np.complex64] | None = None
    ) -> _Decoded:
        """The first length whose CRC holds, or the likeliest. symbols: of a later look, whose words must be believed as well."""
        first: _Decoded | None = None
        for length in lengths or [max(0, soft.shape[0] - 1)]:
            octets, changed = self._decode_words(soft[:length])
            passed = self._is_lpdu(octets) and (
                self._is_credible(soft[:length], octets, changed)
                if symbols is None
                else self._is_believed(soft[:length], order_octets(octets, self.profile))
            )
            decoded = _Decoded(octets, passed, changed, method, symbols)
            if decoded.crc_ok:
                return decoded
            first = first or decoded
        assert first is not None
        return first

    def _packet(self, tracker: PacketTracker, decoded: _Decoded) -> Packet:
        signs = header_signs(self.profile)
        bits = min(signs.size + len(decoded.octets) * self.profile.code.length, tracker.bits)
        unit = self.sample_rate / self.plan.narrow_rate
        positions = tracker.positions
        symbols = np.empty(bits, np.complex64)
        amplitude, square, freq = measure_bits(tracker.turned, tracker.phases, symbols)
        # Bits that were partly blanked or hit would spoil a mean; the median of a squared Gaussian is 0.4549 variances.
        variance = square / 0.4549
        if not decoded.crc_ok:
            # The tracker may have lost it, and its end may be wrong; only the header's bits are known.
            known = amplitude * symbols[: signs.size] * signs
            level = max(float(known.real.mean()), 1e-3 * amplitude)
            variance = float(np.mean(np.abs(known - level) ** 2)) * signs.size / (2 * signs.size - 1)
            symbols *= np.float32(amplitude / level)
            amplitude = level
        elif decoded.corrected and not self.profile.differential:
            # Of wrong decisions the magnitudes would count with the wrong sign.
            sent = 2.0 * packet_bits(decoded.octets, self.profile)[:bits] - 1.0
            right = max(float(symbols[: sent.size].real @ sent) / sent.size, 1e-3)
            symbols *= np.float32(1.0 / right)
            amplitude *= right
        half = SAMPLES_PER_BIT / 2
        return Packet(
            lpdu=decoded.octets,
            crc_ok=decoded.crc_ok,
            start_sample=round((float(positions[0]) - half) * unit),
            end_sample=round((float(positions[bits - 1]) + half) * unit),
            carrier=self.carrier,
            level_v=amplitude / self.plan.bit_gain,
            esn0_db=10 * math.log10(max(float(self.plan.esn0(amplitude, variance)), 1e-9)),
            clock_ppm=freq / (2 * math.pi * self.cycles_per_bit) * 1e6,
            corrected_bits=decoded.corrected,
            symbols=symbols if decoded.symbols is None else decoded.symbols[:bits],
            method=decoded.method,
        )
