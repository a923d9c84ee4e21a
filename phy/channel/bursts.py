"""Impulsive noise with memory: a chain of states says when, Gaussian noise says what.

    gap ... gap | burst ... burst | gap ...      length of each stay: one of K geometric laws, drawn anew each time
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as kernels
from .._kernels import path as path_kernels
from ..errors import ConfigurationError
from . import catalogue
from .coloured import ColouredNoise
from .limits import below_nyquist, finite, not_negative, positive
from .source import Source

_CYCLES_PER_SLOT = 512  # each slot starts anew from the stationary distribution, which cuts one stay in 512
_SKIRT_HZ = 4e3
_SKIRT = 1e-3  # density outside of the band relative to inside
_BAND_TAPS = 513

Laws = Sequence[tuple[float, float]]  # (share, ln of the probability to stay one sample longer)


class StateChain:
    """Gaps and bursts in turn, as a function of the sample index.

    Args:
        gaps, bursts: (share, ln_stay) of each law; shares of a state sum to 1. A stay outlasts n samples with
            probability sum of share * exp(ln_stay n).
    Attributes:
        duty: share of the samples in bursts.    mean_gap, mean_burst: samples.
    """

    def __init__(self, gaps: Laws, bursts: Laws) -> None:
        laws = max(len(gaps), len(bursts))
        shares, ln_stay = np.zeros((2, laws)), np.full((2, laws), -1.0)
        for state, members in enumerate((gaps, bursts)):
            for law, (share, stay) in enumerate(members):
                shares[state, law], ln_stay[state, law] = share, stay
        weights = shares * -1 / np.expm1(ln_stay)  # share times mean length
        self.mean_gap, self.mean_burst = (float(mean) for mean in weights.sum(axis=1))
        self.duty = self.mean_burst / (self.mean_gap + self.mean_burst)
        slot = math.ceil(_CYCLES_PER_SLOT * (self.mean_gap + self.mean_burst))
        starts = np.cumsum(weights.ravel()) / weights.sum()
        self._arguments = (slot, np.cumsum(shares, axis=1), ln_stay, starts)

    def states(self, key: np.uint64, stream: np.uint64, first_sample: int, n: int) -> NDArray[np.float32]:
        """1 where a burst is on, 0 elsewhere, (n,) float32."""
        y = np.empty(n, np.float32)
        kernels.two_states(y, key, stream, first_sample, *self._arguments)
        return y


def _mean_law(name: str, mean_s: float, sample_rate: float) -> Laws:
    """One geometric law of a mean length."""
    mean = positive(name, mean_s) * sample_rate
    if mean <= 1.0:
        raise ConfigurationError(f"{name} must be above one sample, got {mean_s!r} at {sample_rate:g} Hz")
    return [(1.0, math.log1p(-1.0 / mean))]


def _laws(name: str, members: Sequence[Mapping[str, float]], sample_rate: float) -> Laws:
    """Laws from a list of {share, constant_s}."""
    if not members or any(set(member) != {"share", "constant_s"} for member in members):
        raise ConfigurationError(f"{name} must be a list of {{share, constant_s}}, got {members!r}")
    shares = [not_negative(f"share in {name}", member["share"]) for member in members]
    if abs(sum(shares) - 1.0) > 1e-9:
        raise ConfigurationError(f"the shares in {name} must sum to 1, got {sum(shares):g}")
    constants = [positive(f"constant_s in {name}", member["constant_s"]) for member in members]
    return [(share, -1.0 / (constant * sample_rate)) for share, constant in zip(shares, constants, strict=True)]


class MarkovImpulses(Source):
    """Bursts of white Gaussian noise timed by a partitioned Markov chain; silence between them.

    P(gap > t) = sum of share exp(-t / constant_s), and the same form for the width of a burst. In the chain's own words:
    quiet states and impulse states, u_ii = exp(-1 / (constant_s sample_rate)), every change from one group to the other.

    Args:
        rms_v: rms inside a burst, V, over the band up to half the sample rate.
        gaps, bursts: lists of {share, constant_s}; the shares of each list sum to 1.
    References:
        M. Zimmermann, K. Dostert, IEEE Trans. Electromagn. Compat. 44(1), 2002 (recalled).
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        gaps: Sequence[Mapping[str, float]],
        bursts: Sequence[Mapping[str, float]],
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        self.rms_v = not_negative("rms_v", rms_v)
        self.chain = StateChain(_laws("gaps", gaps, self.sample_rate), _laws("bursts", bursts, self.sample_rate))

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_v: float, **changes: Any) -> Self:
        """`bursty`. reference_v: V, the rms that the preset's decibels count from. changes: any other argument."""
        values = catalogue.entry("noise", "markov_impulses", name)
        arguments: dict[str, Any] = {key: values[key] for key in ("gaps", "bursts")}
        arguments["rms_v"] = positive("reference_v", reference_v) * 10 ** (values["level_db"] / 20)
        return cls(sample_rate, **{**arguments, **changes})

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = self.chain.states(self._key, self._stream_word, first_sample, n)
        if y.any():
            noise = np.empty(n, np.float32)
            kernels.gaussian(noise, self._key, self._stream_word, first_sample, self.rms_v)
            y *= noise
        return y


class GilbertElliottNoise(Source):
    """White Gaussian noise whose power jumps between a good and a bad state: Bernoulli-Gaussian noise with memory.

    Args:
        rms_v: rms in the good state, V, over the band up to half the sample rate.
        mean_good_s, mean_bad_s: mean stay in each state, s (geometric, in samples).
        bad_db: power in the bad state above that in the good state, dB.
    Attributes:
        density: one-sided long-term mean, V/sqrt(Hz).    background_density: the same in the good state.
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        mean_good_s: float,
        mean_bad_s: float,
        bad_db: float,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        fs = self.sample_rate
        self.rms_v = not_negative("rms_v", rms_v)
        self.chain = StateChain(_mean_law("mean_good_s", mean_good_s, fs), _mean_law("mean_bad_s", mean_bad_s, fs))
        ratio = 10 ** (finite("bad_db", bad_db) / 20)
        self._rise = np.float32(ratio - 1.0)
        self.background_density = self.rms_v / math.sqrt(fs / 2)
        self.density = self.background_density * math.sqrt(1 + self.chain.duty * (ratio**2 - 1))

    @classmethod
    def preset(cls, name: str, sample_rate: float, rms_v: float, **changes: Any) -> Self:
        """`bursty`. changes: any other argument of the class."""
        values = catalogue.entry("noise", "gilbert_elliott", name)
        return cls(sample_rate, rms_v, **{**values, **changes})

    def density_at(self, freq_hz: float) -> float:
        """One-sided density at a frequency, V/sqrt(Hz), long-term mean: the same everywhere."""
        below_nyquist("freq_hz", freq_hz, self.sample_rate)
        return self.density

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.empty(n, np.float32)
        kernels.gaussian(y, self._key, self._stream_word, first_sample, self.rms_v)
        return y * (np.float32(1.0) + self._rise * self.chain.states(self._key, self._stream_word, first_sample, n))


class BandBursts(ColouredNoise):
    """Bursts of Gaussian noise that fill a band: the packets of another power-line system, seen as noise.

    Args:
        rms_v: rms while a burst lasts, V.
        lowest_hz, highest_hz: band; the density falls to a thousandth within 4 kHz outside of it.
        mean_burst_s, mean_gap_s: mean lengths, s, both exponential.
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        lowest_hz: float,
        highest_hz: float,
        mean_burst_s: float,
        mean_gap_s: float,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        fs = positive("sample_rate", sample_rate)
        low, high = below_nyquist("lowest_hz", lowest_hz, fs), below_nyquist("highest_hz", highest_hz, fs)
        if low >= high:
            raise ConfigurationError(f"lowest_hz must be below highest_hz, got {lowest_hz!r} and {highest_hz!r}")
        corners = [low - _SKIRT_HZ, low, high, high + _SKIRT_HZ]
        super().__init__(fs, corners, [_SKIRT, 1.0, 1.0, _SKIRT], _BAND_TAPS, seed, stream, first_sample)
        self._h *= np.float32(not_negative("rms_v", rms_v) / self.rms_v)
        self.chain = StateChain(_mean_law("mean_gap_s", mean_gap_s, fs), _mean_law("mean_burst_s", mean_burst_s, fs))

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_v: float, **changes: Any) -> Self:
        """`ofdm_plc` or `bpsk_86k`. reference_v: V, the rms of 0 dB. changes: any other argument."""
        values = dict(catalogue.entry("noise", "band_bursts", name))
        values.pop("source", None)
        values["rms_v"] = positive("reference_v", reference_v) * 10 ** (values.pop("level_db") / 20)
        return cls(sample_rate, **{**values, **changes})

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        half = self._h.size // 2
        gate = self.chain.states(self._key, self._stream_word, first_sample - half, n + 2 * half)
        y = np.zeros(n, np.float32)
        if gate.any():  # the gate stands before the filter, so that its edges stay in the band
            path_kernels.convolve(self._white(first_sample, n) * gate, self._h, y)
        return y
