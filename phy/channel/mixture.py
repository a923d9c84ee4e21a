"""Memoryless impulsive noise: Middleton's class A, Bernoulli-Gaussian, and symmetric alpha-stable samples.

These laws say how one sample is distributed, not how long it lasts; they mean nothing until the time between independent
samples is said. Each class takes it in one of two ways:

    centre_hz and bandwidth_hz   independent complex samples at the rate bandwidth_hz, interpolated to the sample rate and
                                 moved to centre_hz: the noise fills centre_hz +- bandwidth_hz / 2
    hold_s                       independent real samples at the sample rate; the law's hidden state (the number of
                                 impulses, hit or not) is drawn once per block of hold_s: correlated pulses over the whole band
"""

import math
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as kernels
from .._kernels import path as path_kernels
from ..errors import ConfigurationError
from . import catalogue
from .interpolator import interpolation_filters
from .limits import below_nyquist, between, not_negative, positive
from .source import Source

_STATES = np.uint64(0)
_ANGLES = np.uint64(1)
_HALF_WIDTH = 24  # grid samples: the band is flat up to 0.45 of its width
_LEFT_OUT = 1e-12  # probability of more impulses at once than the table of levels holds


class _Mixture(Source):
    """Gaussian samples whose standard deviation is itself drawn; `_levels` is what a law has to give.

    Attributes:
        density: one-sided spectral density in the band, V/sqrt(Hz), long-term mean.
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        centre_hz: float | None,
        bandwidth_hz: float | None,
        hold_s: float | None,
        seed: int,
        stream: int,
        first_sample: int,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        fs = self.sample_rate
        self.rms_v = not_negative("rms_v", rms_v)
        self._hold = 0.0
        if hold_s is not None and centre_hz is None and bandwidth_hz is None:
            self._hold = positive("hold_s", hold_s) * fs
            if self._hold < 1.0:
                raise ConfigurationError(f"hold_s must be one sample or more, got {hold_s!r} at {fs:g} Hz")
            band = fs / 2
        elif hold_s is None and centre_hz is not None and bandwidth_hz is not None:
            band = positive("bandwidth_hz", bandwidth_hz)
            self._centre_hz = positive("centre_hz", centre_hz)
            below_nyquist("centre_hz + bandwidth_hz / 2", self._centre_hz + band / 2, fs)
            positive("centre_hz - bandwidth_hz / 2", self._centre_hz - band / 2)
            self._step = band / fs
            self._filters = interpolation_filters(_HALF_WIDTH)[:, ::-1].copy()  # `convolve` reads backwards
        else:
            raise ConfigurationError("give either centre_hz and bandwidth_hz, or hold_s: the time between independent samples")
        self.density = self.rms_v / math.sqrt(band)

    def density_at(self, freq_hz: float) -> float:
        """One-sided density at a frequency, V/sqrt(Hz), long-term mean; 0 outside of the band."""
        below_nyquist("freq_hz", freq_hz, self.sample_rate)
        return self.density if self._hold or abs(freq_hz - self._centre_hz) < self._step * self.sample_rate / 2 else 0.0

    @abstractmethod
    def _levels(self, first: int, n: int) -> NDArray[np.float64]:
        """Standard deviation of n independent samples relative to rms_v, (n,); the state of sample first + i."""

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        if n == 0:
            return np.zeros(0, np.float32)
        return self._held(first_sample, n) if self._hold else self._in_band(first_sample, n)

    def _held(self, first_sample: int, n: int) -> NDArray[np.float32]:
        blocks = np.floor((first_sample + np.arange(n)) / self._hold).astype(np.int64)
        levels = self._levels(int(blocks[0]), int(blocks[-1] - blocks[0]) + 1).astype(np.float32)
        y = np.empty(n, np.float32)
        kernels.gaussian(y, self._key, self._stream_word, first_sample, self.rms_v)
        y *= levels[blocks - blocks[0]]
        return y

    def _in_band(self, first_sample: int, n: int) -> NDArray[np.float32]:
        first = math.floor(first_sample * self._step) - _HALF_WIDTH + 1
        count = math.floor((first_sample + n - 1) * self._step) + _HALF_WIDTH + 1 - first
        z = np.empty(2 * count, np.float32)
        kernels.gaussian(z, self._key, self._stream_word, 2 * first, self.rms_v)
        levels = self._levels(first, count).astype(np.float32)
        in_phase, quadrature = np.empty(n, np.float32), np.empty(n, np.float32)
        bank = np.empty((len(self._filters), count - 2 * _HALF_WIDTH + 1), np.float32)
        for part, y in ((0, in_phase), (1, quadrature)):
            column = z[part::2] * levels
            for h, row in zip(self._filters, bank, strict=True):
                path_kernels.convolve(column, h, row)
            path_kernels.polynomial(bank, first + _HALF_WIDTH - 1, y, first_sample, self._step)
        # E|z|^2 = 2 rms^2 with rms^2 in each part: the real part of z exp(j angle) has the power rms^2.
        kernels.upconvert(in_phase, quadrature, first_sample, self._centre_hz / self.sample_rate)
        return in_phase

    def _uniforms(self, sequence: np.uint64, first: int, n: int) -> NDArray[np.float64]:
        u = np.empty(n, np.float64)
        kernels.uniforms(u, self._key, self._stream_word, sequence, first)
        return u


class ClassANoise(_Mixture):
    """Middleton's class A: sample m of a Poisson number of impulses in flight, Gaussian given m.

    f(x) = sum over m of exp(-A) A^m / m! N(0, s_m^2),  s_m^2 = rms^2 (m / A + Gamma) / (1 + Gamma)

    Args:
        rms_v: total rms, V, Gaussian and impulsive part together, in the band of the noise.
        overlap: A, mean number of impulses in flight, 1e-4 .. 10: small is impulsive.
        gaussian_ratio: Gamma, power of the Gaussian part over that of the impulsive part, above 0.
        centre_hz, bandwidth_hz, hold_s: the time between independent samples, see the head of this file.
    References:
        D. Middleton, Statistical-physical models of electromagnetic interference, IEEE Trans. Electromagn. Compat. 19(3), 1977.
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        overlap: float,
        gaussian_ratio: float,
        centre_hz: float | None = None,
        bandwidth_hz: float | None = None,
        hold_s: float | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, rms_v, centre_hz, bandwidth_hz, hold_s, seed, stream, first_sample)
        a, gamma = between("overlap", overlap, 1e-4, 10.0), positive("gaussian_ratio", gaussian_ratio)
        self.background_density = self.density * math.sqrt(gamma / (1 + gamma))
        probabilities = [math.exp(-a)]
        while sum(probabilities) < 1 - _LEFT_OUT and len(probabilities) < 100:
            probabilities.append(probabilities[-1] * a / len(probabilities))
        self._cumulative = np.cumsum(probabilities)[:-1]
        self._table_of_levels = np.sqrt((np.arange(len(probabilities)) / a + gamma) / (1 + gamma))

    @classmethod
    def preset(cls, name: str, sample_rate: float, rms_v: float, **changes: Any) -> Self:
        """`A.1_G.01`, `A.1_G.1`, `A.35_G.01` or `A1_G.1`. changes: any other argument; the band or hold_s is needed."""
        values = catalogue.entry("noise", "class_a", name)
        arguments = {key: values[key] for key in ("overlap", "gaussian_ratio")}
        return cls(sample_rate, rms_v, **{**arguments, **changes})

    def _levels(self, first: int, n: int) -> NDArray[np.float64]:
        impulses = np.searchsorted(self._cumulative, self._uniforms(_STATES, first, n), side="right")
        levels: NDArray[np.float64] = self._table_of_levels[impulses]
        return levels


class BernoulliGaussianNoise(_Mixture):
    """Gaussian noise w, and on a share of the samples a stronger Gaussian on top: x = w + b g, b Bernoulli(p).

    Args:
        rms_v: standard deviation of w, V: the background alone.
        probability: p, share of disturbed samples, 0..1.
        power_ratio: K, var g over var w (100 is 20 dB).
        centre_hz, bandwidth_hz, hold_s: the time between independent samples, see the head of this file.
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        probability: float,
        power_ratio: float,
        centre_hz: float | None = None,
        bandwidth_hz: float | None = None,
        hold_s: float | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, rms_v, centre_hz, bandwidth_hz, hold_s, seed, stream, first_sample)
        self._probability = between("probability", probability, 0.0, 1.0)
        self._hit = math.sqrt(1 + not_negative("power_ratio", power_ratio))
        self.background_density = self.density
        self.density *= math.sqrt(1 + self._probability * power_ratio)

    @classmethod
    def preset(cls, name: str, sample_rate: float, rms_v: float, **changes: Any) -> Self:
        """`rare` (p 0.01, K 100) or `frequent` (p 0.05, K 100). changes: any other argument; the band or hold_s is needed."""
        values = catalogue.entry("noise", "bernoulli_gaussian", name)
        arguments = {key: values[key] for key in ("probability", "power_ratio")}
        return cls(sample_rate, rms_v, **{**arguments, **changes})

    def _levels(self, first: int, n: int) -> NDArray[np.float64]:
        return np.where(self._uniforms(_STATES, first, n) < self._probability, self._hit, 1.0)


class AlphaStableNoise(_Mixture):
    """Symmetric alpha-stable noise, as a Gaussian whose variance is a one-sided stable number (sub-Gaussian law).

    The characteristic function of a real sample is exp(-|scale_v w|^alpha). There is no variance below alpha = 2, so no
    density and no Es/N0: levels are compared by scale_v. In a band, a complex sample is isotropic.

    Args:
        scale_v: dispersion^(1/alpha), V; at alpha = 2 the standard deviation is sqrt(2) scale_v.
        alpha: 0.5 .. 2; small is impulsive. Power-line papers find 1.2 .. 1.9.
    References:
        J. M. Chambers, C. L. Mallows, B. W. Stuck, A method for simulating stable random variables, J. Am. Stat. Assoc. 71,
        1976 (recalled); G. Samorodnitsky, M. S. Taqqu, Stable non-Gaussian random processes, 1994, section 2.5 (recalled).
    """

    def __init__(
        self,
        sample_rate: float,
        scale_v: float,
        alpha: float,
        centre_hz: float | None = None,
        bandwidth_hz: float | None = None,
        hold_s: float | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        scale = not_negative("scale_v", scale_v)
        super().__init__(sample_rate, math.sqrt(2) * scale, centre_hz, bandwidth_hz, hold_s, seed, stream, first_sample)
        self.alpha = between("alpha", alpha, 0.5, 2.0)
        if self.alpha < 2.0:
            self.density = math.inf

    def _levels(self, first: int, n: int) -> NDArray[np.float64]:
        if self.alpha == 2.0:
            return np.ones(n)
        # Kanter's form of a positive stable number of index a = alpha / 2, Laplace transform exp(-s^a).
        a = self.alpha / 2
        angle = np.pi * self._uniforms(_ANGLES, first, n)
        exponential = -np.log(self._uniforms(_STATES, first, n))
        shape = np.sin((1 - a) * angle) * np.sin(a * angle) ** (a / (1 - a)) / np.sin(angle) ** (1 / (1 - a))
        levels: NDArray[np.float64] = np.sqrt((shape / exponential) ** ((1 - a) / a))
        return levels
