"""Gaussian noise with a spectrum: any density, the background of Hooijen, the mains-periodic noise of Katayama."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._kernels import noise as noise_kernels
from .._kernels import path as path_kernels
from ..errors import ConfigurationError
from . import catalogue
from .limits import below_nyquist, finite, positive, whole
from .mains import wander
from .source import MAX_SEED, Source

_GRID = 8192  # frequencies of the filter design
_KAISER_BETA = 8.0
_SILENT_FROM = 0.8  # of the lowest frequency of the broadband floor, at _SILENCE of the density there
_SILENCE = 1e-4
_BROADBAND_TAPS = 1025
_TABLE_LENGTH = 16384  # of half a mains cycle: 0.6 us, a thirtieth of Katayama's pulse


def noise_filter(sample_rate: float, frequencies: ArrayLike, density: ArrayLike, n_taps: int) -> NDArray[np.float32]:
    """Linear-phase filter that turns white noise of rms 1 into noise of a density (V/sqrt(Hz) at each frequency, Hz)."""
    if whole("n_taps", n_taps, 3, 8191) % 2 == 0:
        raise ConfigurationError(f"n_taps must be odd, got {n_taps}")
    try:
        f, d = np.asarray(frequencies, np.float64), np.asarray(density, np.float64)
    except (TypeError, ValueError):
        raise ConfigurationError("frequencies and density must be lists of numbers") from None
    if f.ndim != 1 or f.shape != d.shape or f.size == 0 or np.any(np.diff(f) <= 0) or not np.all(d > 0):
        raise ConfigurationError("frequencies must rise, and density must have one value above 0 for each of them")
    grid = np.linspace(0.0, sample_rate / 2, _GRID + 1)
    # White noise of rms 1 has the density 1 / sqrt(sample_rate / 2).
    wanted = np.exp(np.interp(grid, f, np.log(d))) * math.sqrt(sample_rate / 2)
    half = n_taps // 2
    h = np.roll(np.fft.irfft(wanted), half)[:n_taps] * np.kaiser(n_taps, _KAISER_BETA)
    return h.astype(np.float32)


class ColouredNoise(Source):
    """Stationary Gaussian noise of a given density: white noise through a linear-phase filter whose delay is taken out.

    Args:
        frequencies: Hz, rising, (P,); between them the density is linear in decibels, outside it is constant.
        density: one-sided density at those frequencies, V/sqrt(Hz), above 0, (P,).
        n_taps: odd length of the filter; details finer than sample_rate / n_taps are smoothed.
    """

    def __init__(
        self,
        sample_rate: float,
        frequencies: Sequence[float] | NDArray[np.float64],
        density: Sequence[float] | NDArray[np.float64],
        n_taps: int = 257,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        self._h = noise_filter(self.sample_rate, frequencies, density, n_taps)

    @property
    def rms_v(self) -> float:
        """Standard deviation of a sample, V: the noise between 0 and half the sample rate."""
        return float(np.sqrt(np.sum(self._h.astype(np.float64) ** 2)))

    def density_at(self, freq_hz: float) -> float:
        """One-sided spectral density at a frequency, V/sqrt(Hz), as the filter really gives it."""
        turns = np.exp(-2j * np.pi * finite("freq_hz", freq_hz) / self.sample_rate * np.arange(self._h.size))
        return float(abs(np.dot(self._h.astype(np.float64), turns))) / math.sqrt(self.sample_rate / 2)

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.empty(n, np.float32)
        path_kernels.convolve(self._white(first_sample, n), self._h, y)
        return y

    def _white(self, first_sample: int, n: int) -> NDArray[np.float32]:
        """What the filter needs for n samples: (n + taps - 1,)."""
        white = np.empty(n + self._h.size - 1, np.float32)
        noise_kernels.gaussian(white, self._key, self._stream_word, first_sample - self._h.size // 2, 1.0)
        return white


def background_density(freq_hz: ArrayLike, level_sigma: float = 0.0, reference_ohm: float | None = None) -> NDArray[np.float64]:
    """One-sided density of `BackgroundNoise` by its formula, V/sqrt(Hz), at each frequency (Hz)."""
    values = catalogue.entry("noise", "background")
    ohm = values["reference"]["ohm"] if reference_ohm is None else positive("reference_ohm", reference_ohm)
    exponent = values["K_mean"] + values["K_sigma"] * finite("level_sigma", level_sigma)
    density: NDArray[np.float64] = np.sqrt(ohm * 10 ** (exponent - values["slope_per_hz"] * np.asarray(freq_hz, np.float64)))
    return density


class BackgroundNoise(ColouredNoise):
    """The coloured floor of residential networks: 10^(K - 3.95e-5 f) W/Hz, falling by 0.395 dB per kHz.

    Args:
        level_sigma: how noisy the place is, in standard deviations (5 dB each) above the mean of all places.
        reference_ohm: turns W/Hz into V^2/Hz. The paper's impedance is unknown to us; the default 1 ohm is our reading.
    References:
        O. G. Hooijen, IEEE Trans. Electromagn. Compat. 40(4), 1998; parameters recalled, see `spec/noise.toml`.
    """

    def __init__(
        self,
        sample_rate: float,
        level_sigma: float = 0.0,
        reference_ohm: float | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        fs = positive("sample_rate", sample_rate)
        ends = np.array([0.0, fs / 2])  # a straight line in decibels
        density = background_density(ends, level_sigma, reference_ohm)
        super().__init__(fs, ends, density, seed=seed, stream=stream, first_sample=first_sample)


def place_sigma(seed: int, place: int = 0) -> float:
    """How noisy place number `place` is: the level_sigma of `BackgroundNoise`, standard normal (K of the model is normal)."""
    normal = np.empty(1, np.float32)
    key = np.uint64(whole("seed", seed, 0, MAX_SEED))
    noise_kernels.gaussian(normal, key, np.uint64(0), whole("place", place, 0, 2**61), 1.0)
    return float(normal[0])


def broadband_density(name: str, freq_hz: ArrayLike, reference_ohm: float | None = None) -> NDArray[np.float64]:
    """One-sided density of the broadband floor by its formula, V/sqrt(Hz), at each frequency (Hz), 1 to 100 MHz.

    Args:
        name: `best` or `worst`.    reference_ohm: turns dBm into V^2; the default 50 ohm is our reading.
    Raises:
        ConfigurationError: a frequency outside of the model's range; it says nothing about narrow-band carriers.
    """
    values, family = catalogue.entry("noise", "broadband_floor", name), catalogue.entry("noise", "broadband_floor")
    ohm = family["reference"]["ohm"] if reference_ohm is None else positive("reference_ohm", reference_ohm)
    freqs = np.asarray(freq_hz, np.float64)
    if not np.all((freqs >= family["lowest_hz"]) & (freqs <= family["highest_hz"])):
        raise ConfigurationError(
            f"the broadband floor is known from {family['lowest_hz']:g} to {family['highest_hz']:g} Hz only, got {freq_hz!r}"
        )
    dbm = values["offset_dbm"] + values["slope_db"] * (freqs / 1e6) ** values["exponent"]
    density: NDArray[np.float64] = np.sqrt(1e-3 * ohm * 10 ** (dbm / 10))
    return density


class BroadbandFloor(ColouredNoise):
    """The coloured floor above 1 MHz; reference only, for systems there. Below 1 MHz it is silent, not extrapolated.

    Args:
        sample_rate: above 2 MHz, at most 200 MHz.
        floor: `best` or `worst`.    reference_ohm: as of `broadband_density`.
    References:
        Esmailian's and the OMEGA project's floors; parameters recalled, see `spec/noise.toml`.
    """

    def __init__(
        self,
        sample_rate: float,
        floor: str = "best",
        reference_ohm: float | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        fs = positive("sample_rate", sample_rate)
        lowest = catalogue.entry("noise", "broadband_floor")["lowest_hz"]
        if fs / 2 <= lowest:
            raise ConfigurationError(f"sample_rate must exceed {2 * lowest:g} Hz: this floor is not known below {lowest:g} Hz")
        freqs = np.geomspace(lowest, fs / 2, 65)
        freqs[[0, -1]] = lowest, fs / 2  # not a digit beside
        density = broadband_density(floor, freqs, reference_ohm)
        freqs, density = np.insert(freqs, 0, _SILENT_FROM * lowest), np.insert(density, 0, _SILENCE * density[0])
        super().__init__(fs, freqs, density, _BROADBAND_TAPS, seed, stream, first_sample)
        self._lowest_hz = lowest

    def density_at(self, freq_hz: float) -> float:
        """As of `ColouredNoise`; ConfigurationError below 1 MHz."""
        if freq_hz < self._lowest_hz:
            raise ConfigurationError(f"the broadband floor is not known below {self._lowest_hz:g} Hz, got {freq_hz!r}")
        return super().density_at(freq_hz)


def katayama_power(mains_phase: ArrayLike) -> NDArray[np.float64]:
    """Sum of Katayama's three classes at an angle of the mains voltage (rad); period pi, mean 0.947."""
    angle = np.asarray(mains_phase, np.float64)
    power = np.zeros_like(angle)
    for part in catalogue.entry("noise", "cyclostationary")["classes"]:
        power += part["A"] * np.abs(np.sin(angle + math.radians(part["theta_deg"]))) ** part["n"]
    return power


class CyclostationaryNoise(ColouredNoise):
    """Gaussian noise that follows the mains: a floor, a slow swing and, at 50 Hz, a 19 us pulse in each half cycle.

    Args:
        rms_v: rms over the mains cycle and the band up to half the sample rate, V.
        mains_freq: Hz.    mains_phase: rad, angle of the mains voltage at sample 0.
        mains_drift_hz: slow wander of the mains frequency about mains_freq, Hz (`mains.wander`).
    References:
        M. Katayama, T. Yamazato, H. Okada, IEEE J. Sel. Areas Commun. 24(7), 2006; parameters recalled, see
        `spec/noise.toml`.
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float,
        mains_freq: float = 50.0,
        mains_phase: float = 0.0,
        mains_drift_hz: float = 0.0,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        fs = positive("sample_rate", sample_rate)
        decay = catalogue.entry("noise", "cyclostationary")["a_s"]
        ends = np.array([0.0, fs / 2])  # alpha(f) is a straight line in decibels
        density = np.exp(-decay * ends / 2)
        super().__init__(fs, ends, density, n_taps=129, seed=seed, stream=stream, first_sample=first_sample)
        self._h *= np.float32(positive("rms_v", rms_v) / self.rms_v)
        power = katayama_power(np.pi * np.arange(_TABLE_LENGTH + 1) / _TABLE_LENGTH)
        self._envelope = np.sqrt(power / power[:-1].mean()).astype(np.float32)
        swing_cycles, self._swing_step = wander(mains_freq, mains_drift_hz, fs)
        self._swing = 2 * swing_cycles  # the table is half a cycle
        self._step = 2 * below_nyquist("mains_freq", mains_freq, fs) / fs
        self._phase = finite("mains_phase", mains_phase) / math.pi

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        envelope = np.empty(n, np.float32)
        place = (first_sample, self._step, self._phase, self._swing, self._swing_step)
        noise_kernels.periodic(envelope, self._envelope, *place)
        return envelope * super().samples(first_sample, n)
