"""From the samples of a burst to its complex baseband: mix, low-pass and resample, in the frequency domain."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..equaliser import cubic

_LIMITER_HZ: Final = 15e3  # wide enough for either bit rate when the carrier is known to 2 kHz, and for short impulses
_LIMIT: Final = 2.5  # times the median level; noise at 10 dB stays below


@dataclass(frozen=True, eq=False, slots=True)
class Baseband:
    """Complex baseband of a burst.

    Attributes:
        z: (N,) complex128, V of the carrier's peak amplitude. rate: Hz. z[0] is at the burst's sample 0.
    """

    z: NDArray[np.complex128]
    rate: float

    def at(self, times: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Values at `times`, s."""
        return cubic(self.z, times * self.rate)  # type: ignore[arg-type]


def low_pass(frequency: NDArray[np.float64], passband: float, stopband: float) -> NDArray[np.float64]:
    """Gain at `frequency`: 1 up to the passband, raised cosine down to 0 at the stopband, all in the same unit."""
    fall = np.clip((np.abs(frequency) - passband) / (stopband - passband), 0.0, 1.0)
    return 0.5 + 0.5 * np.cos(np.pi * fall)


def limited(x: NDArray[np.float32], sample_rate: float, centre_hz: float, first: int, stop: int) -> NDArray[np.float32]:
    """The samples within 25 kHz of `centre_hz`, with impulses cut down to a little above the signal's own level.

    Impulses must be cut while they are short: behind a narrow filter each would hide several bits.

    Args:
        x: (N,) float32, V. sample_rate: Hz. first, stop: samples between which the signal is, for its level.
    """
    n = fft.next_fast_len(x.size + 64)
    spectrum = fft.fft(x.astype(np.float64), n)
    frequencies = fft.fftfreq(n, 1 / sample_rate)
    gain = low_pass(frequencies - centre_hz, _LIMITER_HZ, _LIMITER_HZ * 5 / 3) * (frequencies > 0)
    z = 2.0 * fft.ifft(spectrum * gain)[: x.size]
    level = np.abs(z)
    most = _LIMIT * float(np.median(level[first:stop])) + 1e-300
    return (z.real * np.minimum(1.0, most / np.maximum(level, 1e-300))).astype(np.float32)


def to_baseband(
    x: NDArray[np.float32], sample_rate: float, carrier_hz: float, passband_hz: float, stopband_hz: float, rate_hz: float
) -> Baseband:
    """Mix from `carrier_hz` down to 0 and low-pass; the result has at least `rate_hz` samples a second.

    Exact up to the ends of x, where the spectrum of a finite piece wraps round; a burst has margins for that.
    """
    n = fft.next_fast_len(x.size + 64, real=True)
    spectrum = fft.rfft(x.astype(np.float64), n)
    step = sample_rate / n
    centre = round(carrier_hz / step)
    m = fft.next_fast_len(max(8, int(np.ceil(max(rate_hz, 2.2 * stopband_hz) / step))))
    reach = min(int(stopband_hz / step) + 1, m // 2 - 1)
    offsets = np.arange(-reach, reach + 1)
    bins = centre + offsets
    inside = (bins > 0) & (bins < spectrum.size)
    gain = low_pass(bins * step - carrier_hz, passband_hz, stopband_hz) * inside
    shifted = np.zeros(m, np.complex128)
    shifted[offsets % m] = spectrum[np.clip(bins, 0, spectrum.size - 1)] * gain
    z = fft.ifft(shifted) * (2.0 * m / n)
    rate = step * m
    z = z[: int(x.size / sample_rate * rate)]
    residual = carrier_hz - centre * step
    return Baseband(z * np.exp(-2j * np.pi * residual / rate * np.arange(z.size)), rate)
