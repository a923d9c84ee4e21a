"""From a tracked packet's soft bits to its octets: word decoder, end of packet, CRC, second look."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detect import header_signs
from .equaliser import Burst, Decide, second_looks
from .filters import SAMPLES_PER_BIT, BasebandPlan
from .framing import order_octets
from .packet import WORD_DECODERS, Packet, ReceiverOptions
from .profile import Carrier, Profile
from .tracking import Ending, PacketTracker


@dataclass(slots=True)
class _Decoded:
    octets: bytes
    crc_ok: bool
    corrected: int
    symbols: NDArray[np.complex64]
    method: str


class PacketDecoder:
    """Turns what a PacketTracker measured into a Packet.

    Args:
        profile: the channel. carrier: its name in the result. plan: filters of the carrier. sample_rate: of the line, Hz.
        options: word decoder and second look.
    """

    def __init__(
        self, profile: Profile, carrier: Carrier, plan: BasebandPlan, sample_rate: float, options: ReceiverOptions
    ) -> None:
        self.profile, self.carrier, self.plan, self.sample_rate, self.options = profile, carrier, plan, sample_rate, options
        self.cycles_per_bit = profile.carrier_hz(carrier) / profile.bit_rate

    def is_complete(self, tracker: PacketTracker) -> bool:
        """Whether the words before the last one are an LPDU with a good CRC."""
        return self._is_lpdu(self._decode_words(tracker.soft[:-1])[0])

    def _is_lpdu(self, octets: bytes) -> bool:
        return len(octets) >= self.profile.min_octets and self.profile.crc.ok(octets)

    def _decode_words(self, soft: NDArray[np.float32]) -> tuple[bytes, int]:
        """(W, n) soft words -> (octets in transmission order undone, bits changed)."""
        if soft.shape[0] == 0:
            return b"", 0
        code = self.profile.code
        coded = WORD_DECODERS[self.options.word_decoder](code, soft)
        sent = code.table[np.frombuffer(coded, np.uint8)]
        changed = int(np.count_nonzero((soft < 0).astype(np.uint8) != sent))
        return order_octets(coded, self.profile), changed

    def decode(self, tracker: PacketTracker, narrow: NDArray[np.complex64], base: int) -> Packet:
        """The packet that `tracker` followed to its end.

        Args:
            narrow: (N,) complex64 baseband before the bit filter, for a second look; narrow[0] has absolute index `base`.
        """
        header = header_signs(self.profile)
        lengths = self._possible_lengths(tracker)
        symbols = (tracker.raw * np.exp(-1j * tracker.phases) / tracker.amplitude).astype(np.complex64)
        decoded = self._check(tracker.soft, lengths, symbols, "tracked")
        if not decoded.crc_ok and self.options.second_look and lengths and not self.profile.differential:
            bits = header.size + max(lengths) * self.profile.code.length
            burst = Burst(
                narrow, base, tracker.raw[:bits], tracker.positions[:bits], tracker.phases[:bits], tracker.candidate.freq,
                SAMPLES_PER_BIT / (2 * math.pi * self.cycles_per_bit), self.plan.pulse, self.plan.noise_correlation, header,
            )  # fmt: skip
            for look in second_looks(burst, Decide(header, self.profile.code)):
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
            # An end word that is a code word too cannot be told from the data; then only the CRC knows where they end.
            last = range(1, 4 + self.profile.end_words)
            guesses = [*([ended] if ended is not None else []), *(words - k for k in last)]
        low, high = self.profile.min_octets, self.profile.max_octets
        return [n for n in dict.fromkeys(guesses) if low <= n <= high]

    def _end_word_at(self, tracker: PacketTracker) -> int | None:
        """Index of the last word that is likelier the end word than any code word."""
        soft = tracker.soft
        if self.profile.end_words == 0 or soft.shape[0] == 0:
            return None
        best = self.profile.code.best(soft)[1]
        hits = np.flatnonzero(soft @ (1.0 - 2.0 * self.profile.end_word) > best)
        return int(hits[-1]) if hits.size else None

    def _check(
        self, soft: NDArray[np.float32], lengths: list[int], symbols: NDArray[np.complex64], method: str
    ) -> _Decoded:
        first: _Decoded | None = None
        for length in lengths or [max(0, soft.shape[0] - 1)]:
            octets, changed = self._decode_words(soft[:length])
            decoded = _Decoded(octets, self._is_lpdu(octets), changed, symbols, method)
            if decoded.crc_ok:
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
        freq = float(phases[-1] - phases[0]) / max(1, bits - 1)
        half = SAMPLES_PER_BIT / 2
        return Packet(
            lpdu=decoded.octets,
            crc_ok=decoded.crc_ok,
            start_sample=round((positions[0] - half) * unit),
            end_sample=round((positions[-1] + half) * unit),
            carrier=self.carrier,
            level_v=amplitude / self.plan.bit_gain,
            esn0_db=10 * math.log10(max(float(self.plan.esn0(amplitude, variance)), 1e-9)),
            clock_ppm=freq / (2 * math.pi * self.cycles_per_bit) * 1e6,
            corrected_bits=decoded.corrected,
            symbols=decoded.symbols[:bits],
            method=decoded.method,
        )
