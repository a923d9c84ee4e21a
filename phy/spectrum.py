"""Mean power of a waveform by frequency, and what a measuring receiver reads of it."""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigurationError

_SEGMENT_S: Final = 0.05  # of a periodogram: lines 20 Hz apart
_WINDOW_SIGMAS: Final = 5.0
_HOPS_PER_SIGMA: Final = 4
_BATCH: Final = 256


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Mean power of a waveform by frequency.

    Attributes:
        frequencies_hz: (F,), evenly spaced from 0 to half the sample rate.
        power: (F,), V^2 in one spacing about each frequency, one-sided; the sum is the mean power.
    """

    frequencies_hz: NDArray[np.float64]
    power: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[np.float32], sample_rate: float) -> Self:
        """Welch's mean of periodograms, 50 ms with a Hann window, half overlapped.  x: (N,) V, one segment or more."""
        size = round(_SEGMENT_S * sample_rate)
        if np.ndim(x) != 1 or len(x) < size:
            raise ConfigurationError(f"x must be {size} samples or more at {sample_rate:g} Hz, got shape {np.shape(x)}")
        window = np.hanning(size + 1)[:-1]
        segments = np.lib.stride_tricks.sliding_window_view(x, size)[:: size // 2]
        power = np.zeros(size // 2 + 1)
        for segment in segments:
            power += np.abs(np.fft.rfft(segment * window)) ** 2
        power *= 2 / (len(segments) * size * np.sum(window**2))
        power[0] /= 2
        if size % 2 == 0:
            power[-1] /= 2
        return cls(_lines(size, sample_rate), power)

    @property
    def total(self) -> float:
        """Mean power, V^2."""
        return float(self.power.sum())

    def slices(self, width_hz: float) -> NDArray[np.float64]:
        """Mean power in width_hz about each frequency, (F,), V^2."""
        count = max(1, round(width_hz / self.frequencies_hz[1]))
        smooth: NDArray[np.float64] = np.convolve(self.power, np.full(count, width_hz / self.frequencies_hz[1] / count), "same")
        return smooth

    def band_within(self, drop_db: float, slice_hz: float) -> tuple[float, float]:
        """Lowest and highest frequency whose slice is within drop_db of the densest one, Hz."""
        slices = self.slices(slice_hz)
        inside = self.frequencies_hz[slices > slices.max() * 10 ** (-drop_db / 10)]
        return float(inside[0]), float(inside[-1])

    def width_of_share(self, share: float) -> float:
        """Bandwidth that holds this share (0..1) of the power, as much left out below as above, Hz."""
        held = np.cumsum(self.power) / self.total
        low, high = np.searchsorted(held, [(1 - share) / 2, (1 + share) / 2])
        return float(self.frequencies_hz[high] - self.frequencies_hz[low])

    def power_above(self, freq_hz: float) -> float:
        """Mean power above a frequency, V^2."""
        return float(self.power[self.frequencies_hz > freq_hz].sum())


def measuring_receiver(
    x: NDArray[np.float32], sample_rate: float, *, width_hz: float, charge_s: float, discharge_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Peak and quasi-peak readings of a measuring receiver in the manner of CISPR 16-1-1, tuned to every frequency.

    The quasi-peak detector charges towards the envelope and always discharges; its mean over the second half of x is the
    reading (the meter's own inertia).

    Args:
        x: (N,) V.    sample_rate: Hz.
        width_hz: -6 dB bandwidth of the filter, which is Gaussian.    charge_s, discharge_s: time constants, s.
    Returns:
        frequencies (F,) Hz, peak (F,) and quasi-peak (F,), both as V rms of a sine that reads the same.
    """
    sigma_s = math.sqrt(2 * math.log(2)) / (math.pi * width_hz)
    half = round(_WINDOW_SIGMAS * sigma_s * sample_rate)
    window = np.exp(-0.5 * (np.arange(-half, half + 1) / (sigma_s * sample_rate)) ** 2)
    size = 1 << math.ceil(math.log2(window.size))
    hop = max(1, round(sigma_s * sample_rate / _HOPS_PER_SIGMA))
    padded = np.concatenate([np.zeros(half, np.float32), np.asarray(x, np.float32), np.zeros(half, np.float32)])
    places = np.lib.stride_tricks.sliding_window_view(padded, window.size)[::hop]
    peak, charge = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1)
    total = np.zeros(size // 2 + 1)
    up, down = hop / sample_rate / charge_s, hop / sample_rate / discharge_s
    for start in range(0, len(places), _BATCH):
        envelopes = np.abs(np.fft.rfft(places[start : start + _BATCH] * window, size)) * (math.sqrt(2) / window.sum())
        np.maximum(peak, envelopes.max(axis=0), out=peak)
        for number, envelope in enumerate(envelopes, start):
            charge += up * np.maximum(envelope - charge, 0.0) - down * charge
            if number >= len(places) // 2:
                total += charge
    quasi = total / (len(places) - len(places) // 2) * (1 + down / up)  # a steady sine reads its rms
    return _lines(size, sample_rate), peak, quasi


def _lines(size: int, sample_rate: float) -> NDArray[np.float64]:
    """Frequencies of a transform of `size` samples, Hz."""
    return np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate / size)
