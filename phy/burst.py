"""The second look at a packet as a whole: waveform fit, mains-weighted trellis and words by maximum likelihood.

        +--> fit_waveform --> gain (amplitude, phase), timing, noise over the packet --+
        |                                                                              v
    decisions <-- best words <-- word trellis <-- branch metrics (clipped, weighted) <-+
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.burst import branch_metrics, echo_metrics, fit_waveform, render, soft_bits, word_scores
from .filters import WavePlan
from .interference import Cleaned
from .mains import MAINS_HZ
from .profile import Profile

_WINDOWS: Final = (63, 23, 9)  # bits over which gain is averaged; the best predictor of left-out bits is taken
_BINS: Final = 24  # of half a mains cycle
_GAP: Final = 3  # samples between two that are hit, up to which those between are taken as hit
_PENALTY: Final = 4.0  # log-likelihood that each free variance must be worth (Bayesian information criterion, some hundred bits)


@dataclass(frozen=True, eq=False)
class Estimate:
    """One estimate of a packet's bits.

    Attributes:
        scores: (W, 256) float32 log-likelihood of every octet at every word position, best sequence through it.
        soft: (B,) float32 bits by the trellis alone, + means 0, log-likelihood ratio.
        symbols: (B,) complex64 matched-filter output of each bit over its gain; real part +1 means 1. amplitude: V, carrier peak.
        variance: noise power of a sample, V^2, mean over the packet. cycle: "constant", "50 Hz" or "60 Hz", how the noise was
        found to vary. excess: what the fit leaves in the signal's band over what white noise of that power would leave there.
        esn0: Es/N0 from what is left in the signal's band, linear. signs: (B,) float32 of +-1, bits on the line by the words.
        gains: (B,) complex64, the carrier at each bit.
    """

    scores: NDArray[np.float32]
    soft: NDArray[np.float32]
    symbols: NDArray[np.complex64]
    amplitude: float
    variance: float
    cycle: str
    excess: float
    esn0: float
    signs: NDArray[np.float32]
    gains: NDArray[np.complex64]

    @property
    def distorted(self) -> bool:
        """Whether something else than white noise is in the way, so that filters fitted to the packet may do better."""
        return self.excess > 1.5 or self.esn0 > 7.0

    @property
    def octets(self) -> bytes:
        """The likeliest octets, as sent (bit order of the line)."""
        return bytes(self.scores.argmax(axis=1).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class _Fit:
    correlation: NDArray[np.complex64]
    energy: NDArray[np.float32]
    lateness: NDArray[np.float32]
    slope_energy: NDArray[np.float32]
    residual: NDArray[np.float32]
    inliers: NDArray[np.float32]
    quiet: NDArray[np.float32]


def _left_out(
    c: NDArray[np.complex128], e: NDArray[np.float64], others: NDArray[np.complex128], energy: NDArray[np.float64]
) -> float:
    """Squared error of every bit's c = gain * e, its gain predicted as others / energy, which it has no part in."""
    return float(np.sum(np.abs(c - others / np.maximum(energy, 1e-30) * e) ** 2 / np.maximum(e, 1e-3)))


Clean = Callable[[NDArray[np.complex64], NDArray[np.complex64]], Cleaned]


def _without_gaps(z: NDArray[np.complex64], limit: float) -> NDArray[np.complex64]:
    """Samples with an impulse's power to both sides are in it, whatever their own power is: they get their neighbour's.

    z: (N,) complex64. limit: V^2, power that no packet and its noise have.
    """
    hit = np.flatnonzero(z.real**2 + z.imag**2 > limit)
    between = np.diff(hit)
    closed = z
    for gap in range(2, _GAP + 2):
        before = hit[:-1][between == gap]
        if before.size:
            closed = z.copy() if closed is z else closed
            for k in range(1, gap):
                closed[before + k] = z[before]
    return closed


class BurstDemodulator:
    """Estimates all bits of a packet together, from its wide baseband.

    Gain, timing and noise are fitted to the whole packet with the decisions so far; then the transitions of the profile's own
    pulse are compared with the samples, each sample weighted with the noise at its place in the mains cycle and
    limited in what it can tell, so that impulses do not count; then whole words are searched by maximum likelihood over
    the trellis of the pulse's interference between neighbouring bits. Words decided so feed the next fit.

    Args:
        profile: the channel. wave: how a packet arrives. clip: squared error over noise variance beyond which a sample tells
            nothing more; 9 costs nothing in white noise. rounds: fits at most. weights: noise may vary over the packet.
    """

    def __init__(
        self, profile: Profile, wave: WavePlan, clip: float = 9.0, rounds: int = 3, weights: bool = True
    ) -> None:
        self.profile, self.wave = profile, wave
        self._clip, self._rounds, self._weights = clip, rounds, weights
        n = profile.code.length
        own = (profile.code.table.astype(np.int64) << np.arange(n - 1, -1, -1)).sum(axis=1)
        if profile.differential:
            toggled = np.cumsum(profile.code.table, axis=1) % 2
            own = (toggled.astype(np.int64) << np.arange(n - 1, -1, -1)).sum(axis=1)
            self._lines = np.stack((own, own ^ ((1 << n) - 1)))
        else:
            self._lines = np.stack((own, own))
        # Samples of the stream are not quite independent: their variance stands for more bandwidth than the metric's.
        self._scale = wave.noise / wave.samples_per_bit

    def estimates(
        self,
        z: NDArray[np.complex64],
        at: float,
        step: float,
        gains: NDArray[np.complex64],
        signs: NDArray[np.float32],
        words: int,
        clean: Clean | None = None,
    ) -> Iterator[Estimate]:
        """Estimates, each from the decisions of the one before; ends when the decisions repeat or after `rounds`.

        Args:
            z: (N,) complex64 wide baseband. at: index of bit 0's centre. step: samples per bit.
            gains: (B,) complex64, first guess of the carrier at each bit, B = header + words * n + 1.
            signs: (B,) float32 of +-1, first guess of the bits, those of the header known. words: W.
            clean: (samples, packet as it would arrive alone) -> the samples without what else can be told apart; before each fit.
        """
        received, cleaned = z, None
        n = self.profile.code.length
        known = signs.size - 1 - words * n
        fit = self._fit(z, at, step, signs, gains, np.full(signs.size, np.inf, np.float32))
        floor = 1e-7 * float(np.mean(np.abs(gains) ** 2)) + 1e-30
        variance = np.full(signs.size, max(float(np.median(fit.quiet)), floor), np.float32)
        received = z = _without_gaps(z, (float(np.abs(gains).max()) + math.sqrt(self._clip * float(variance[0]))) ** 2)
        seen: set[bytes] = set()
        for _ in range(self._rounds if clean is None else 2 * self._rounds):
            if clean is not None:
                packet = np.empty_like(received)
                render(at, step, self.wave.edge, signs, gains, packet)
                cleaned = clean(received, packet)
                z = cleaned.z
                fit = self._fit(z, at, step, signs, gains, np.full(signs.size, np.inf, np.float32))
                variance = np.full(signs.size, max(float(np.median(fit.quiet)), floor), np.float32)
            fit = self._fit(z, at, step, signs, gains, np.float32(self._clip) * variance)
            gains = self._gain(fit, gains)
            at += self._late(fit) * step
            fit = self._fit(z, at, step, signs, gains, np.float32(self._clip) * variance)
            variance, cycle = self._noise(fit, floor)
            weights = (self._scale / variance).astype(np.float32)
            if cleaned is not None and cleaned.echoes.size:
                metrics = np.empty((signs.size - 1, 4, 2), np.float32)
                paths, amplitudes = np.append(0.0, cleaned.delays), np.append(np.complex64(1), cleaned.echoes)
                echo_metrics(
                    received, at, step, self.wave.edge, signs, gains, paths, amplitudes, weights,
                    self._scale * self._clip, metrics,
                )  # fmt: skip
            else:
                metrics = np.empty((signs.size - 1, 2, 2), np.float32)
                branch_metrics(z, at, step, self.wave.edge, gains, weights, self._scale * self._clip, metrics)
            self._force(metrics, signs[:known])
            estimate = self._decide(metrics, fit, gains, known, words, signs, float(np.mean(variance)), cycle)
            yield estimate
            signs = estimate.signs
            decided = signs.tobytes()
            if decided in seen:
                return
            seen.add(decided)

    def packet(self, size: int, at: float, step: float, estimate: Estimate) -> NDArray[np.complex64]:
        """(size,) complex64: the packet of an estimate as it would arrive alone."""
        y = np.empty(size, np.complex64)
        render(at, step, self.wave.edge, estimate.signs, estimate.gains, y)
        return y

    def _fit(
        self, z: NDArray[np.complex64], at: float, step: float, signs: NDArray[np.float32], gains: NDArray[np.complex64],
        limits: NDArray[np.float32],
    ) -> _Fit:  # fmt: skip
        fit = _Fit(np.empty(signs.size, np.complex64), *(np.empty(signs.size, np.float32) for _ in range(6)))
        fit_waveform(
            z, at, step, self.wave.edge, signs, gains, limits, fit.correlation, fit.energy, fit.lateness, fit.slope_energy,
            fit.residual, fit.inliers, fit.quiet,
        )  # fmt: skip
        return fit

    def _gain(self, fit: _Fit, gains: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """The carrier at each bit: the average, over neighbours or over the same place in other half cycles of the mains, that
        predicts left-out bits best."""
        turn = gains / np.maximum(np.abs(gains), 1e-30)
        c, e = fit.correlation * turn.conj(), fit.energy.astype(np.float64)
        best, smallest = gains, math.inf
        slow: NDArray[np.complex128] | None = None
        for width in _WINDOWS:
            if width >= 2 * c.size:
                continue
            window = np.hanning(width + 2)[1:-1]
            c_sum, e_sum = np.convolve(c, window, "same")[: c.size], np.convolve(e, window, "same")[: e.size]
            own = window[width // 2]
            error = _left_out(c, e, c_sum - own * c, e_sum - own * e)
            average = c_sum / np.maximum(e_sum, 1e-9)
            slow = average if slow is None else slow
            if error < smallest:
                smallest, best = error, (average * turn).astype(np.complex64)
        if slow is None or c.size < 2 * self.profile.bit_rate / (2 * min(MAINS_HZ)):
            return best
        power = e * np.abs(slow) ** 2
        along = c * slow.conj()
        for mains in MAINS_HZ:
            bins = round(self.profile.bit_rate / (2 * mains))
            place = (np.arange(c.size) / self.profile.bit_rate * 2 * mains % 1.0 * bins).astype(np.int64)
            c_sum = np.bincount(place, along.real, bins) + 1j * np.bincount(place, along.imag, bins)
            e_sum = np.bincount(place, power, bins)
            error = _left_out(c, e, slow * (c_sum[place] - along), e_sum[place] - power)
            if error < smallest:
                smallest = error
                best = (slow * (c_sum / np.maximum(e_sum, 1e-30))[place] * turn).astype(np.complex64)
        return best

    @staticmethod
    def _late(fit: _Fit) -> float:
        """Timing error of the whole packet in bit times, one Gauss-Newton step."""
        total = float(fit.slope_energy.sum())
        return min(max(-float(fit.lateness.sum()) / total, -0.1), 0.1) if total > 0 else 0.0

    def _noise(self, fit: _Fit, floor: float) -> tuple[NDArray[np.float32], str]:
        """(B,) noise power of a sample at each bit, and the name of the law that explains it best."""
        q, n = fit.residual.astype(np.float64), fit.inliers.astype(np.float64)
        total = n.sum()
        constant = max(float(q.sum() / max(total, 1.0)), floor)
        best, name = np.full(q.size, constant), "constant"
        if not self._weights or total < 8 * _BINS:
            return best.astype(np.float32), name
        reference = float(total * math.log(constant) + q.sum() / constant)
        most = _PENALTY * _BINS
        time = np.arange(q.size) / self.profile.bit_rate
        for mains in MAINS_HZ:
            place = (time * 2 * mains % 1.0 * _BINS).astype(np.int64)
            power, count = np.bincount(place, q, _BINS), np.bincount(place, n, _BINS)
            power = power + 0.5 * (np.roll(power, 1) + np.roll(power, -1))
            count = count + 0.5 * (np.roll(count, 1) + np.roll(count, -1))
            law = np.maximum((power + constant) / (count + 1.0), floor)[place]
            gain = reference - float(np.sum(n * np.log(law) + q / law))
            if gain > most:
                most, best, name = gain, law, f"{mains:.0f} Hz"
        return best.astype(np.float32), name

    @staticmethod
    def _force(metrics: NDArray[np.float32], known: NDArray[np.float32]) -> None:
        """Rules out every path that contradicts the known first bits."""
        wrong = np.where(known > 0, 0, 1)
        i = np.arange(wrong.size)
        for state in range(0, metrics.shape[1], 2):
            metrics[i, wrong + state, :] = -1e20
        metrics[i[:-1], :, wrong[1:]] = -1e20

    def _decide(
        self, metrics: NDArray[np.float32], fit: _Fit, gains: NDArray[np.complex64], known: int, words: int,
        signs: NDArray[np.float32], variance: float, cycle: str,
    ) -> Estimate:  # fmt: skip
        profile = self.profile
        tail = metrics[-1].max(axis=1)
        if profile.end_words:
            first = int(profile.end_word[0])
            tail = np.array(
                [metrics[-1, s, s & 1 ^ first if profile.differential else first] for s in range(tail.size)], np.float32
            )
        start = int(signs[known - 1] > 0)
        if metrics.shape[1] == 4:
            start += 2 * int(signs[known - 2] > 0)
        scores = np.empty((words, 256), np.float32)
        word_scores(metrics, known - 1, self._lines, profile.code.length, start, tail, scores)
        soft = np.empty(signs.size, np.float32)
        soft_bits(metrics, soft)
        symbols = fit.correlation * signs / np.maximum(fit.energy, 1e-6) / np.where(np.abs(gains) > 0, gains, 1)
        left = fit.correlation - gains * fit.energy
        energy = max(float(fit.energy.sum()), 1e-9)
        in_band = float(np.sum(np.abs(left) ** 2)) / energy
        amplitude = float(np.mean(np.abs(gains)))
        power = float(np.mean(np.abs(gains) ** 2 * fit.energy))
        return Estimate(
            scores, soft, symbols.astype(np.complex64), amplitude, variance, cycle,
            in_band * self._scale / max(variance, 1e-30), power / max(in_band, 1e-30),
            self._signs(signs, known, bytes(scores.argmax(axis=1).astype(np.uint8))), gains,
        )  # fmt: skip

    def _signs(self, before: NDArray[np.float32], known: int, octets: bytes) -> NDArray[np.float32]:
        """(B,) +-1 on the line for these octets."""
        signs = before.copy()
        bits = self.profile.code.encode(octets)
        if self.profile.end_words:
            bits = np.append(bits, self.profile.end_word[0])
        if self.profile.differential:
            bits = (np.cumsum(bits) + int(before[known - 1] > 0)) % 2
        signs[known : known + bits.size] = 2.0 * bits - 1.0
        return signs
