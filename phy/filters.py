"""Filter design: everything the receiver derives from the profile and the sample rate."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from .errors import ConfigurationError
from .profile import Profile

SAMPLES_PER_BIT = 4  # of the narrow baseband; the pulse is below 2 bit rates wide, so this oversamples it twice
WIDE_SAMPLES_PER_BIT = 14  # wide baseband, where impulses are still short: about 50 kHz on the A band
_PHASES = 64  # fractional positions of the resampler: image below -55 dB


@dataclass(frozen=True, eq=False)
class BasebandPlan:
    """Filters and rates of one carrier.

    Attributes:
        decimation: line samples per wide-baseband sample. wide_rate, narrow_rate: Hz.
        taps: (L,) complex128 band-pass around the carrier, L odd, gain 2 (real passband -> complex amplitude).
        phase_step: carrier cycles per line sample, in units of 2**-64.
        bank: (P + 1, L) float32, the resampler. ratio: wide samples per narrow sample.
        sense_bank: (P + 1, L) float32, resampler whose filter is a boxcar of one bit: little delay, and zeros at every
            multiple of the bit rate, where the other carrier is.
        bit_filter: (13,) float32, linear MMSE estimate of a bit from the narrow baseband, 3 bits wide.
        bit_gain: amplitude of the filtered bit relative to the carrier's peak amplitude.
        noise_gain: variance at the bit filter's output for white noise, in units of N0 * bit_rate.
        mean_power: mean of a(t)**2 of random bits.
        pulse: (K,) float64, the received pulse at the narrow rate, centred, unit peak amplitude of the carrier.
        noise_correlation: (L,) float64, white noise's autocorrelation behind the filters, narrow rate, from lag 0 (1) on.
    """

    decimation: int
    wide_rate: float
    narrow_rate: float
    taps: NDArray[np.complex128]
    phase_step: int
    bank: NDArray[np.float32]
    sense_bank: NDArray[np.float32]
    ratio: float
    bit_filter: NDArray[np.float32]
    bit_gain: float
    noise_gain: float
    mean_power: float
    pulse: NDArray[np.float64]
    noise_correlation: NDArray[np.float64]

    def esn0(self, amplitude: float, quadrature_variance: float) -> float:
        """Es/N0 (linear) from a filtered bit's amplitude and the variance of its quadrature component, both in V, V^2.

        Es = (amplitude / bit_gain)^2 * mean_power * T and N0 from the noise that the filters let through; the quadrature
        component of BPSK holds noise alone.
        """
        n0 = 2.0 * quadrature_variance / self.noise_gain  # times the bit rate, which cancels against Es = ... * T
        return (amplitude / self.bit_gain) ** 2 * self.mean_power / max(n0, 1e-30)


def _kaiser_length(attenuation_db: float, transition: float) -> int:
    """Taps of a Kaiser-window low-pass; transition in cycles per sample (Kaiser's formula, Oppenheim & Schafer 7.76)."""
    return math.ceil((attenuation_db - 7.95) / (2.285 * 2.0 * math.pi * transition)) + 1


def shaped_pulse(alpha: float, oversampling: int) -> NDArray[np.float64]:
    """One bit of the transmitter: NRZ convolved with a unit-area Hann window of alpha bit times.

    Returns (2 * oversampling + 1,) samples over -1 .. +1 bit times around the bit's centre.
    """
    t = np.arange(-oversampling, oversampling + 1) / oversampling

    def step(u: NDArray[np.float64]) -> NDArray[np.float64]:
        if alpha == 0.0:
            return np.where(u == 0, 0.5, (u > 0).astype(float))
        w = np.clip(u / alpha, -0.5, 0.5)
        return 0.5 + w + np.sin(2 * np.pi * w) / (2 * np.pi)

    return step(t + 0.5) - step(t - 0.5)


def plan_baseband(
    profile: Profile, carrier_hz: float, sample_rate: float, design_esn0_db: float = 9.0
) -> BasebandPlan:
    """Design the filters of one carrier.

    Args:
        profile: the channel. carrier_hz: the carrier, Hz. sample_rate: of the line samples, Hz.
        design_esn0_db: Es/N0 for which the bit filter is the best linear one.
    Raises:
        ConfigurationError: the carrier does not fit below half the sample rate.
    """
    bit_rate = profile.bit_rate
    if carrier_hz + bit_rate >= sample_rate / 2:
        raise ConfigurationError(
            f"sample_rate {sample_rate:g} Hz is too low for the carrier at {carrier_hz:.0f} Hz: "
            f"it must exceed {2 * (carrier_hz + bit_rate):.0f} Hz"
        )
    decimation = max(1, round(sample_rate / bit_rate / WIDE_SAMPLES_PER_BIT))
    wide_rate = sample_rate / decimation
    narrow_rate = SAMPLES_PER_BIT * bit_rate
    passband, narrow_stop = 1.2 * bit_rate, 2.5 * bit_rate
    # The image of the real passband signal falls at twice the carrier; it must not reach the blanker.
    image = abs((2 * carrier_hz + sample_rate / 2) % sample_rate - sample_rate / 2)
    stop = min(wide_rate - narrow_stop, max(image - 1.5 * bit_rate, 2 * narrow_stop))
    length = _kaiser_length(70.0, (stop - narrow_stop) / sample_rate) | 1
    cutoff = (stop + narrow_stop) / 2
    beta = signal.kaiser_beta(70.0)
    low_pass = signal.firwin(length, cutoff, window=("kaiser", beta), fs=sample_rate)
    n = np.arange(length) - length // 2
    taps = 2.0 * low_pass * np.exp(-2j * np.pi * carrier_hz / sample_rate * n)

    span = _kaiser_length(80.0, (narrow_stop - passband) / wide_rate)
    span += span % 2
    bank = _resampler_bank(span, (passband + narrow_stop) / 2 / wide_rate, signal.kaiser_beta(80.0))
    pulse, correlation = _through_filters(profile, low_pass, sample_rate, span, (passband + narrow_stop) / 2, wide_rate)
    mean_power = _mean_power(profile.alpha)
    bit_filter, bit_gain, noise_gain = _mmse_bit_filter(pulse, correlation, mean_power, design_esn0_db)
    return BasebandPlan(
        decimation, wide_rate, narrow_rate, taps, round(carrier_hz / sample_rate * 2**64) % 2**64, bank,
        _boxcar_bank(wide_rate / bit_rate), wide_rate / narrow_rate, bit_filter.astype(np.float32), bit_gain, noise_gain,
        mean_power, pulse, correlation / correlation[0],
    )  # fmt: skip


def _resampler_bank(length: int, cutoff: float, beta: float) -> NDArray[np.float32]:
    """(P + 1, length): the windowed sinc of `cutoff` cycles per sample at P + 1 fractions 0..1 of a sample, unit DC gain."""
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    t = np.arange(length)[None, :] - (length // 2 - 1) - fraction
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1.0 - (2.0 * t / length) ** 2)))
    bank = np.sinc(2.0 * cutoff * t) * window
    return (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)


def _boxcar_bank(width: float) -> NDArray[np.float32]:
    """(P + 1, L), L even: the mean over `width` samples around P + 1 fractions 0..1 of a sample; border samples count in part."""
    length = 2 * math.ceil(width / 2 + 1)
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    t = np.arange(length)[None, :] - (length // 2 - 1) - fraction
    return (np.clip(width / 2 + 0.5 - np.abs(t), 0.0, 1.0) / width).astype(np.float32)


def _through_filters(
    profile: Profile, low_pass: NDArray[np.float64], sample_rate: float, span: int, cutoff: float, wide_rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The received pulse at the narrow rate (centred, odd length) and the autocorrelation of white noise behind the filters.

    Computed on a fine grid of 64 points a bit. The correlation has lag 0 first, in units of N0 * narrow_rate.
    """
    fine = 64
    rate = fine * profile.bit_rate
    t = np.arange(-4 * fine, 4 * fine + 1) / rate
    beta = signal.kaiser_beta(80.0)
    width = span / wide_rate
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1.0 - (2.0 * t / width) ** 2))) * (np.abs(t) <= width / 2)
    narrow = np.sinc(2.0 * cutoff * t) * window
    narrow /= narrow.sum()
    half = low_pass.size // 2
    wide = np.interp(t, (np.arange(low_pass.size) - half) / sample_rate, low_pass, left=0.0, right=0.0)
    wide /= wide.sum()
    h = np.convolve(narrow, wide)
    pulse = np.convolve(shaped_pulse(profile.alpha, fine), h)
    centre, step = pulse.size // 2, fine // SAMPLES_PER_BIT
    reach = 5 * SAMPLES_PER_BIT
    padded = np.pad(pulse, reach * step)
    pulse_narrow = padded[centre + reach * step + step * np.arange(-reach, reach + 1)]
    r = np.correlate(h, h, "full")
    r = np.pad(r, 16 * SAMPLES_PER_BIT * step)
    # White noise of density N0 on the fine grid has variance N0 * rate per sample.
    correlation = r[r.size // 2 :: step][: 12 * SAMPLES_PER_BIT] * rate / (SAMPLES_PER_BIT * profile.bit_rate)
    return pulse_narrow, correlation


def _mean_power(alpha: float) -> float:
    """Mean of a(t)^2 for random bits: half of the bit edges carry a transition."""
    v = np.linspace(-0.5, 0.5, 4001)
    a = 2.0 * (v + np.sin(2 * np.pi * v) / (2 * np.pi))
    return float(1.0 - 0.5 * alpha * (1.0 - np.mean(a**2)))


def _mmse_bit_filter(
    pulse: NDArray[np.float64], correlation: NDArray[np.float64], mean_power: float, esn0_db: float
) -> tuple[NDArray[np.float64], float, float]:
    """(13 taps, gain of the wanted bit, noise variance in units of N0 * bit_rate): the linear MMSE estimate of one bit.

    w = (sum_k p_k p_k' + N0 C)^-1 p_0 (Proakis, Digital Communications, section on linear MMSE equalisers).
    """
    reach = 6
    centre = pulse.size // 2
    index = np.arange(-reach, reach + 1)
    rows = []
    for k in range(-5, 6):
        at = centre + index - k * SAMPLES_PER_BIT
        inside = (at >= 0) & (at < pulse.size)
        rows.append(np.where(inside, pulse[np.clip(at, 0, pulse.size - 1)], 0.0))
    p = np.array(rows)
    c = correlation[np.abs(index[:, None] - index[None, :])]
    # With unit carrier amplitude Es = mean_power * T, so N0 * narrow_rate = mean_power * SAMPLES_PER_BIT / (Es/N0).
    n0_rate = mean_power * SAMPLES_PER_BIT / 10 ** (esn0_db / 10)
    w = np.linalg.solve(p.T @ p + n0_rate * c, p[5])
    w = (w + w[::-1]) / 2
    w /= w @ p[5]
    return w, float(w @ p[5]), float(w @ c @ w) * SAMPLES_PER_BIT
