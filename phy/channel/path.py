"""The line between two stations: loss, echoes, resonances, and gain that follows the mains."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as noise_kernels
from .._kernels import path as kernels
from ..errors import ConfigurationError
from . import catalogue
from .limits import below_nyquist, between, finite, not_negative, positive, whole
from .mains import wander

_HALF_WIDTH = 16  # samples: half the length of the interpolator of a fractional delay
_KAISER_BETA = 8.0  # with 2 * 16 taps: flat within 0.01 dB up to 0.4 of the sample rate
_MAX_TAPS = 8192
_HILBERT_HALF_WIDTH = 32
_SHAPED_TAPS = 256
_LARGEST_TILT_DB = 40.0
_TABLE_LENGTH = 16384


class Element(ABC):
    """A piece of the path: voltage in, voltage out, same length; state is kept between blocks.

    Attributes:
        latency_samples: delay that the model itself adds, beyond the physical one.
    """

    latency_samples: int = 0

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) float32 -> (N,) float32, V. The result does not depend on how the stream is cut."""
        x = np.asarray(x, np.float32)
        if x.ndim != 1:
            raise ConfigurationError(f"x must have one dimension, got shape {x.shape}")
        return self._process(x) if x.size else x.copy()

    @abstractmethod
    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]: ...

    @abstractmethod
    def reset(self) -> None:
        """Forget the past."""

    def copy(self) -> Self:
        """An independent element in the same state."""
        return copy.deepcopy(self)


class Attenuation(Element):
    """A loss that is the same at every frequency.

    Args:
        attenuation_db: loss, dB; negative amplifies.
    """

    def __init__(self, attenuation_db: float) -> None:
        self.attenuation_db = finite("attenuation_db", attenuation_db)
        self._gain = np.float32(10 ** (-self.attenuation_db / 20))

    @classmethod
    def preset(cls, name: str) -> Self:
        """`same_phase_near`, `same_phase_far`, `industrial`, `cross_phase`, `limit`, `maker_primary` or `maker_secondary`."""
        return cls(catalogue.entry("path", "attenuation", name)["attenuation_db"])

    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return x * self._gain

    def reset(self) -> None:
        """Nothing to forget."""


def echo_paths(name: str, freq_hz: float) -> tuple[tuple[float, float], ...]:
    """The (delay_s, gain) of each path of a published set (`four_path`, `fifteen_path`), its loss taken at freq_hz."""
    values = catalogue.entry("path", "echoes", name)
    if "gains" not in values:
        raise ConfigurationError(f"{name!r} is not a set of paths")
    velocity = catalogue.entry("path", "echoes", "velocity")["m_per_s"]
    loss_per_m = values["a0_per_m"] + values["a1_s_per_m"] * not_negative("freq_hz", freq_hz) ** values["k"]
    return tuple(
        (length / velocity, gain * math.exp(-loss_per_m * length))
        for length, gain in zip(values["lengths_m"], values["gains"], strict=True)
    )


class _Filter(Element):
    """A finite impulse response with its past."""

    def __init__(self, h: NDArray[np.float32]) -> None:
        self._h = h
        self._past = np.zeros(h.size - 1, np.float32)

    def _with_past(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        joined = np.concatenate((self._past, x))
        self._past = joined[x.size :]
        return joined

    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        y = np.empty_like(x)
        kernels.convolve(self._with_past(x), self._h, y)
        return y

    def reset(self) -> None:
        self._past = np.zeros(self._h.size - 1, np.float32)


def _hilbert() -> NDArray[np.float64]:
    """The filter that turns every phase by -90 degrees, good from 0.03 to 0.47 of the sample rate; its middle is time 0."""
    n = np.arange(1 - _HILBERT_HALF_WIDTH, _HILBERT_HALF_WIDTH)
    h: NDArray[np.float64] = np.where(n % 2 == 1, 2 / (np.pi * np.where(n == 0, 1, n)), 0.0) * np.kaiser(n.size, _KAISER_BETA / 2)
    return h


class Flat(_Filter):
    """One gain and one phase for the whole band: the narrow-band picture of a path, gain exp(j angle).

    Args:
        attenuation_db: loss, dB.    angle_deg: turn of the carrier's phase, degrees; good from 0.03 to 0.47 of the sample rate.
    Attributes:
        latency_samples: of the filter that turns the phase.
    """

    def __init__(self, attenuation_db: float, angle_deg: float) -> None:
        gain, angle = 10 ** (-finite("attenuation_db", attenuation_db) / 20), math.radians(finite("angle_deg", angle_deg))
        self.latency_samples = _HILBERT_HALF_WIDTH - 1
        h = -gain * math.sin(angle) * _hilbert()
        h[self.latency_samples] += gain * math.cos(angle)
        super().__init__(h.astype(np.float32))


class Echoes(_Filter):
    """Several copies of the signal, each with its delay and gain: y(t) = sum of gain * x(t - delay).

    Delays need not be whole samples: each copy is interpolated by a windowed sinc, which adds `latency_samples` to all.

    Args:
        paths: (delay_s, gain) of each copy; delays in s, 0 or above; gains signed.
    Attributes:
        latency_samples: the delay of a copy whose delay_s is 0.
    """

    def __init__(self, sample_rate: float, paths: Sequence[tuple[float, float]]) -> None:
        fs = positive("sample_rate", sample_rate)
        if len(paths) == 0 or any(len(path) != 2 for path in paths):
            raise ConfigurationError(f"paths must be a list of (delay_s, gain), got {paths!r}")
        delays = [not_negative("delay_s", delay) * fs for delay, _ in paths]
        n_taps = 2 * _HALF_WIDTH + math.ceil(max(delays)) + 1
        if n_taps > _MAX_TAPS:
            raise ConfigurationError(f"delay_s must be at most {(_MAX_TAPS - 2 * _HALF_WIDTH) / fs:g} s")
        self.latency_samples = _HALF_WIDTH
        n = np.arange(n_taps)
        h = np.zeros(n_taps)
        for delay, (_, gain) in zip(delays, paths, strict=True):
            distance = n - delay - _HALF_WIDTH
            inside = np.clip(1.0 - (distance / _HALF_WIDTH) ** 2, 0.0, None)
            window = np.where(inside > 0.0, np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA), 0.0)
            h += finite("gain", gain) * np.sinc(distance) * window
        super().__init__(h.astype(np.float32))

    @classmethod
    def preset(cls, name: str, sample_rate: float, freq_hz: float) -> Self:
        """`four_path` or `fifteen_path`, with the path losses of freq_hz (the carrier)."""
        return cls(sample_rate, echo_paths(name, freq_hz))


class Resonance(Element):
    """A series-resonant load across the line: H(f) = 1 - depth / (1 + j q (f/f0 - f0/f)).

    Args:
        freq_hz: f0, Hz.    q: quality factor, 1 or above; the notch is f0 / q wide.    depth: 0..1; 1 - depth is left at f0.
    """

    def __init__(self, sample_rate: float, freq_hz: float, q: float, depth: float) -> None:
        fs = positive("sample_rate", sample_rate)
        w0 = 2 * math.pi * below_nyquist("freq_hz", freq_hz, fs) / fs
        # Bilinear transform that keeps f0 and the width f0 / q; without the tangent the notch would come out narrower.
        alpha = math.tan(w0 / (2 * between("q", q, 1.0, 1e6)))
        notch = between("depth", depth, 0.0, 1.0) * alpha
        a0 = 1 + alpha
        a1, a2 = -2 * math.cos(w0), 1 - alpha
        self._coefficients = np.array([a0 - notch, a1, a2 + notch, a1, a2]) / a0
        self._state = (0.0, 0.0)

    @classmethod
    def preset(cls, name: str, sample_rate: float, carrier_hz: float) -> Self:
        """`centred` (on the carrier) or `beside` (2 kHz above it)."""
        values = catalogue.entry("path", "resonance", name)
        return cls(sample_rate, carrier_hz + values["offset_hz"], values["q"], values["depth"])

    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        y = x.copy()
        self._state = kernels.second_order(y, self._coefficients, *self._state)
        return y

    def reset(self) -> None:
        self._state = (0.0, 0.0)


def _grid(sample_rate: float) -> NDArray[np.float64]:
    return np.linspace(0.0, sample_rate / 2, _TABLE_LENGTH // 2 + 1)


def _minimum_phase(gain_db: NDArray[np.float64]) -> NDArray[np.float32]:
    """The filter of minimum phase with a gain given on `_grid`, dB: what passive networks are. It adds no latency."""
    cepstrum = np.fft.irfft(gain_db * (math.log(10) / 20))
    cepstrum[1 : _TABLE_LENGTH // 2] *= 2.0  # the causal part carries it all
    cepstrum[_TABLE_LENGTH // 2 + 1 :] = 0.0
    h = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[:_SHAPED_TAPS]
    taps: NDArray[np.float32] = (h * np.hanning(2 * _SHAPED_TAPS + 1)[_SHAPED_TAPS:-1]).astype(np.float32)
    return taps


class StopBand(_Filter):
    """A band that the line takes away, as low as it is wide: several loads resonating side by side.

    Args:
        centre_hz: its middle.    depth_db: loss across it, dB, 0 .. 60.
        width_hz: how far the full depth reaches, both sides together.    edge_hz: from the full depth to no loss, 1 kHz or more.
    """

    def __init__(self, sample_rate: float, centre_hz: float, depth_db: float, width_hz: float, edge_hz: float) -> None:
        fs = positive("sample_rate", sample_rate)
        outside = np.abs(_grid(fs) - below_nyquist("centre_hz", centre_hz, fs)) - not_negative("width_hz", width_hz) / 2
        share = np.clip(1.0 - outside / between("edge_hz", edge_hz, 1e3, fs / 2), 0.0, 1.0)
        super().__init__(_minimum_phase(-between("depth_db", depth_db, 0.0, 60.0) * share))

    @classmethod
    def preset(cls, name: str, sample_rate: float, carrier_hz: float) -> Self:
        """`carrier_blocked`: 30 dB over the band of one carrier."""
        return cls(sample_rate, carrier_hz, **catalogue.entry("path", "stop_band", name))


class Tilt(_Filter):
    """A gain that rises or falls with frequency, in a straight line of decibels about a carrier: a capacitor across the line.

    The filter has minimum phase.

    Args:
        centre_hz: where the gain is 0 dB.    db_per_khz: slope, dB per kHz.
        span_hz: the line goes this far to each side; beyond, the gain stays.
    """

    def __init__(self, sample_rate: float, centre_hz: float, db_per_khz: float, span_hz: float) -> None:
        fs = positive("sample_rate", sample_rate)
        centre = below_nyquist("centre_hz", centre_hz, fs)
        span = positive("span_hz", span_hz)
        if abs(finite("db_per_khz", db_per_khz)) * span / 1e3 > _LARGEST_TILT_DB:
            raise ConfigurationError(f"db_per_khz over span_hz must stay within {_LARGEST_TILT_DB:g} dB, got {db_per_khz!r}")
        super().__init__(_minimum_phase(db_per_khz / 1e3 * np.clip(_grid(fs) - centre, -span, span)))

    @classmethod
    def preset(cls, name: str, sample_rate: float, carrier_hz: float, **changes: float) -> Self:
        """`emi_filter`: 12 dB across 10 kHz. changes: db_per_khz or span_hz."""
        return cls(sample_rate, carrier_hz, **{**catalogue.entry("path", "tilt", name), **changes})


class SlowGain(_Filter):
    """Gain and phase that switch near each crest of the mains voltage, as rectifiers load and unload the line.

    With w(t) = 1 in a window about the crest, 0 outside and smooth edges, the gain is (1 + depth w) exp(j angle w). The
    phase turns by a Hilbert filter, good from 0.03 to 0.47 of the sample rate; it costs `latency_samples`.

    Args:
        depth: change of the gain in the window, -1 or above (-0.6: down to 0.4).
        angle_deg: turn of the phase in the window, degrees.
        duty: width of the window as a share of the half cycle, 0..1.
        edge_s: duration of each edge, s.
        mains_freq: Hz.    mains_phase: rad, angle of the mains voltage at sample 0.
        mains_drift_hz: slow wander of the mains frequency about mains_freq, Hz (`mains.wander`).
        first_sample: absolute index of the first sample to be processed.
    """

    def __init__(
        self,
        sample_rate: float,
        depth: float,
        angle_deg: float,
        duty: float,
        edge_s: float | None = None,
        mains_freq: float = 50.0,
        mains_phase: float = 0.0,
        mains_drift_hz: float = 0.0,
        first_sample: int = 0,
    ) -> None:
        fs = positive("sample_rate", sample_rate)
        if finite("depth", depth) < -1.0:
            raise ConfigurationError(f"depth must be -1 or above, got {depth!r}")
        half_cycle_s = 0.5 / below_nyquist("mains_freq", mains_freq, fs)
        edge = catalogue.entry("path", "slow_gain")["edge_s"] if edge_s is None else positive("edge_s", edge_s)
        # One half cycle; the crest lies in the middle. The edge is half a cosine, centred on the border of the window.
        distance_s = np.abs(np.arange(_TABLE_LENGTH + 1) / _TABLE_LENGTH - 0.5) * half_cycle_s
        into_edge = (distance_s - between("duty", duty, 0.0, 1.0) * half_cycle_s / 2) / edge
        window = 0.5 - 0.5 * np.sin(np.pi * np.clip(into_edge, -0.5, 0.5))
        angle = math.radians(finite("angle_deg", angle_deg)) * window
        self._in_phase = ((1 + depth * window) * np.cos(angle)).astype(np.float32)
        self._quadrature = ((1 + depth * window) * np.sin(angle)).astype(np.float32)
        swing_cycles, self._swing_step = wander(mains_freq, mains_drift_hz, fs)
        self._swing = 2 * swing_cycles  # the tables are half a cycle
        self._step = 1 / (half_cycle_s * fs)
        self._phase = finite("mains_phase", mains_phase) / math.pi
        self.latency_samples = _HILBERT_HALF_WIDTH - 1
        self.first_sample = whole("first_sample", first_sample, 0, 2**62)
        self._next_sample = self.first_sample
        super().__init__(_hilbert().astype(np.float32))

    @classmethod
    def preset(cls, name: str, sample_rate: float, **changes: Any) -> Self:
        """`mild`, `hard` or `commuted`. changes: any other argument of the class."""
        values = catalogue.entry("path", "slow_gain", name)
        return cls(sample_rate, **{**values, **changes})

    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        joined = self._with_past(x)
        turned = np.empty_like(x)
        kernels.convolve(joined, self._h, turned)
        first = self._next_sample - self.latency_samples
        place = (first, self._step, self._phase, self._swing, self._swing_step)
        in_phase, quadrature = np.empty_like(x), np.empty_like(x)
        noise_kernels.periodic(in_phase, self._in_phase, *place)
        noise_kernels.periodic(quadrature, self._quadrature, *place)
        self._next_sample += x.size
        delayed = joined[self.latency_samples : self.latency_samples + x.size]
        return in_phase * delayed - quadrature * turned

    def reset(self) -> None:
        super().reset()
        self._next_sample = self.first_sample
