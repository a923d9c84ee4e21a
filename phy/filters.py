"""Filter design: everything the receiver derives from the profile and the sample rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigurationError
from .profile import Profile

SAMPLES_PER_BIT: Final = 4  # of the narrow baseband; the pulse is below 2 bit rates wide, so this oversamples it twice
FINE_SAMPLES_PER_BIT: Final = 40  # of the second look: its front end's shorter filter smears an impulse less
WIDE_SAMPLES_PER_BIT: Final = 24  # of the wide stream, where impulses are still short: about 80 kHz on the A band
PHASES: Final = 64  # fractional positions of the resampler: image below -55 dB
_FRONT_DB: Final = 66.0  # what the front end's filter takes from what would fold onto the carriers
_LANES: Final = 16  # taps are padded with zeros to a multiple of this, so that no scalar remainder is left in a kernel
_SPAN_BITS: Final = 3.0  # of the bit filter
_STOP: Final = 2.2  # bit rates from the carrier from where on the bit filter also fends off foreign signals
_STOP_WEIGHT: Final = 30.0  # noise density assumed there, over that of the design


@dataclass(frozen=True, eq=False)
class FrontEndPlan:
    """Filter and rates of the wide stream, which holds all carriers that are watched.

    Attributes:
        centre_hz: middle of the carriers. decimation: line samples per wide sample. wide_rate: Hz.
        taps: (L,) complex128 band-pass around centre_hz, gain 2 (real passband -> complex amplitude), L a multiple of 16.
        half: index of the tap that belongs to the output's own instant.
        low_pass: (2 * half + 1,) float64, the same filter at baseband, unit gain.
    """

    centre_hz: float
    decimation: int
    wide_rate: float
    taps: NDArray[np.complex128]
    half: int
    low_pass: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WavePlan:
    """What a packet's waveform and white noise look like behind a front end.

    Attributes:
        samples_per_bit: of its output. noise: variance of a sample for white noise, in units of N0 * bit_rate.
        edge: (1025,) float32, a transition from -1 to +1 from one bit's centre to the next's.
    """

    samples_per_bit: float
    noise: float
    edge: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BasebandPlan:
    """Filters and rates of one carrier.

    Attributes:
        wide_rate, narrow_rate: Hz. decimation: line samples per wide sample. ratio: wide samples per narrow sample.
        carrier_hz: Hz.
        bit_bank: (P + 1, L) float32, linear MMSE estimate of a bit from the wide baseband, 3 bits wide, at P + 1 fractions of
            a wide sample.
        sense_bank: (P + 1, L) float32, matched to the pulse: little delay, and a zero at every multiple of the bit rate,
            where the other carrier is.
        narrow_bank: (P + 1, L) float32, low-pass for the narrow baseband.
        bit_gain: amplitude of the filtered bit relative to the carrier's peak amplitude.
        noise_gain: variance at the bit filter's output for white noise, in units of N0 * bit_rate.
        wave: of the wide stream.
        mean_power: mean of a(t)**2 of random bits.
        pulse: (K,) float64, the received pulse at the narrow rate, centred, unit peak amplitude of the carrier.
        noise_correlation: (L,) float64, white noise's autocorrelation in the narrow baseband, from lag 0 (1) on.
    """

    wide_rate: float
    narrow_rate: float
    decimation: int
    ratio: float
    carrier_hz: float
    bit_bank: NDArray[np.float32]
    sense_bank: NDArray[np.float32]
    narrow_bank: NDArray[np.float32]
    bit_gain: float
    noise_gain: float
    wave: WavePlan
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

    def noise_power(self, level_v: float, esn0_db: float) -> float:
        """Power of the complex noise at the bit filter's output, V^2, of a packet of this level and Es/N0."""
        return self.noise_gain * self.mean_power * level_v**2 / 10 ** (esn0_db / 10)


def _kaiser_length(attenuation_db: float, transition: float) -> int:
    """Taps of a Kaiser-window low-pass; transition in cycles per sample (Kaiser's formula, Oppenheim & Schafer 7.76)."""
    return math.ceil((attenuation_db - 7.95) / (2.285 * 2.0 * math.pi * transition)) + 1


def _kaiser_beta(attenuation_db: float) -> float:
    """Shape of the Kaiser window for a stop band of more than 50 dB (Oppenheim & Schafer 7.75)."""
    return 0.1102 * (attenuation_db - 8.7)


def shaped_edge(alpha: float, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transmitter's transition from 0 to 1 around t = 0, bit times: the integral of a Hann window of alpha bits."""
    if alpha == 0.0:
        return np.where(t == 0, 0.5, (t > 0).astype(float))
    w = np.clip(t / alpha, -0.5, 0.5)
    return 0.5 + w + np.sin(2 * np.pi * w) / (2 * np.pi)


def shaped_pulse(alpha: float, oversampling: int) -> NDArray[np.float64]:
    """One bit of the transmitter: NRZ convolved with a unit-area Hann window of alpha bit times.

    Returns (2 * oversampling + 1,) samples over -1 .. +1 bit times around the bit's centre.
    """
    t = np.arange(-oversampling, oversampling + 1) / oversampling
    return shaped_edge(alpha, t + 0.5) - shaped_edge(alpha, t - 0.5)


def check_rate(profile: Profile, carrier_hz: float, sample_rate: float) -> None:
    """Raises ConfigurationError when the carrier does not fit below half the sample rate."""
    if carrier_hz + profile.bit_rate >= sample_rate / 2:
        raise ConfigurationError(
            f"sample_rate {sample_rate:g} Hz is too low for the carrier at {carrier_hz:.0f} Hz: "
            f"it must exceed {2 * (carrier_hz + profile.bit_rate):.0f} Hz"
        )


def plan_front_end(
    profile: Profile, carriers_hz: Sequence[float], sample_rate: float, samples_per_bit: float = WIDE_SAMPLES_PER_BIT
) -> FrontEndPlan:
    """Design the filter that every carrier shares.

    Args:
        profile: the channel. carriers_hz: the carriers watched, Hz. sample_rate: of the line samples, Hz.
        samples_per_bit: wanted at the output; the decimation is whole.
    Raises:
        ConfigurationError: a carrier does not fit below half the sample rate.
    """
    return _front_end_for(profile, tuple(carriers_hz), sample_rate, samples_per_bit)


@lru_cache(maxsize=16)
def _front_end_for(profile: Profile, carriers_hz: tuple[float, ...], sample_rate: float, samples_per_bit: float) -> FrontEndPlan:
    for carrier_hz in carriers_hz:
        check_rate(profile, carrier_hz, sample_rate)
    bit_rate = profile.bit_rate
    centre = (min(carriers_hz) + max(carriers_hz)) / 2
    offset = max(carriers_hz) - centre
    decimation = max(1, round(sample_rate / bit_rate / samples_per_bit))
    wide_rate = sample_rate / decimation
    passband = offset + 1.2 * bit_rate
    # The image of the real passband signal falls at twice the carriers; it must not reach the blanker.
    image = abs((2 * centre + sample_rate / 2) % sample_rate - sample_rate / 2)
    stop = min(wide_rate - offset - 2.5 * bit_rate, max(image - offset - 1.5 * bit_rate, passband + 3 * bit_rate))
    length = _kaiser_length(_FRONT_DB, (stop - passband) / sample_rate) | 1
    n = np.arange(length) - length // 2  # the window is rounder than the length asks for: a flatter passband
    low_pass = np.kaiser(length, _kaiser_beta(_FRONT_DB + 4.0)) * np.sinc((stop + passband) / sample_rate * n)
    low_pass /= low_pass.sum()
    taps = 2.0 * low_pass * np.exp(2j * np.pi * -centre / sample_rate * n)
    return FrontEndPlan(centre, decimation, wide_rate, np.pad(taps, (0, -length % _LANES)), length // 2, low_pass)


@lru_cache(maxsize=32)
def plan_baseband(
    profile: Profile, carrier_hz: float, sample_rate: float, front: FrontEndPlan, design_esn0_db: float = 9.0
) -> BasebandPlan:
    """Design the filters of one carrier behind a front end.

    Args:
        profile: the channel. carrier_hz: the carrier, Hz. sample_rate: of the line samples, Hz. front: see plan_front_end.
        design_esn0_db: Es/N0 for which the bit filter is the best linear one.
    """
    bit_rate, wide_rate = profile.bit_rate, front.wide_rate
    narrow_rate = SAMPLES_PER_BIT * bit_rate
    # Kaiser window of 80 dB: down to nothing where the narrow rate would fold it onto the pulse.
    narrow_pass, narrow_stop = 1.2 * bit_rate, 2.5 * bit_rate
    span = _kaiser_length(80.0, (narrow_stop - narrow_pass) / wide_rate)
    span += span % 2
    cutoff = (narrow_pass + narrow_stop) / 2
    pulse, correlation = _through_filters(profile, front, sample_rate, span, cutoff)
    mean_power = _mean_power(profile.alpha)
    bit_bank, noise_gain = _bit_bank(profile, front, sample_rate, mean_power, design_esn0_db)
    return BasebandPlan(
        wide_rate, narrow_rate, front.decimation, wide_rate / narrow_rate, carrier_hz, bit_bank,
        _pulse_bank(profile, front, sample_rate), _low_pass_bank(span, cutoff / wide_rate, _kaiser_beta(80.0)),
        1.0, noise_gain, plan_wave(profile, front, sample_rate), mean_power, pulse, correlation,
    )  # fmt: skip


def _instants(length: int) -> NDArray[np.float64]:
    """(P + 1, length), length even: wide samples from each tap to the output's instant, at P + 1 fractions 0..1 of a sample."""
    return np.arange(length)[None, :] - (length // 2 - 1) - np.arange(PHASES + 1)[:, None] / PHASES


def _low_pass_bank(length: int, cutoff: float, beta: float) -> NDArray[np.float32]:
    """(P + 1, L): the windowed sinc of `cutoff` cycles per sample, unit DC gain."""
    t = _instants(length + -length % _LANES)
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1.0 - (2.0 * t / length) ** 2))) * (np.abs(t) <= length / 2)
    bank = np.sinc(2.0 * cutoff * t) * window
    return (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)


def _pulse_bank(profile: Profile, front: FrontEndPlan, sample_rate: float) -> NDArray[np.float32]:
    """(P + 1, L): the filter matched to the received pulse, unit gain for a bit that stands alone."""
    samples = front.wide_rate / profile.bit_rate
    length = 2 * math.ceil(samples)
    grid, edge = _received(profile, front, sample_rate)
    t = _instants(length + -length % _LANES) / samples
    pulse = np.interp(t + 0.5, grid, edge) - np.interp(t - 0.5, grid, edge)
    return (pulse / np.sum(pulse**2, axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=16)
def _received(
    profile: Profile, front: FrontEndPlan, sample_rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(instants in bit times, values) of the transition of `shaped_edge` behind the front end's filter, on a fine grid.

    Kept, because every filter of a carrier is designed from it; the arrays are not to be changed.
    """
    h = front.low_pass / front.low_pass.sum()
    delays = (np.arange(h.size) - front.half) / sample_rate * profile.bit_rate
    t = np.arange(-3072, 3073) / 2048
    values = np.zeros(t.size)
    flat = shaped_edge(profile.alpha, t)
    for tap, delay in zip(h, delays, strict=True):
        values += tap * np.interp(t - delay, t, flat, left=0.0, right=1.0)
    return t, values


def plan_wave(profile: Profile, front: FrontEndPlan, sample_rate: float) -> WavePlan:
    """What comes out of a front end; sample_rate: of its input, Hz."""
    t, values = _received(profile, front, sample_rate)
    edge = (2.0 * np.interp(np.linspace(-0.5, 0.5, 1025), t, values) - 1.0).astype(np.float32)
    return WavePlan(front.wide_rate / profile.bit_rate, float(_noise(profile, front, sample_rate, 1)[0]), edge)


def _noise(profile: Profile, front: FrontEndPlan, sample_rate: float, count: int) -> NDArray[np.float64]:
    """(count,) autocorrelation of white noise behind the front end, in units of N0 * bit_rate."""
    h = front.low_pass / front.low_pass.sum()
    full = np.correlate(h, h, "full")[h.size - 1 :][:: front.decimation]
    return np.pad(full, (0, max(0, count - full.size)))[:count] * sample_rate / profile.bit_rate


def _bit_bank(
    profile: Profile, front: FrontEndPlan, sample_rate: float, mean_power: float, esn0_db: float
) -> tuple[NDArray[np.float32], float]:
    """(P + 1, L) taps, and noise variance behind them in units of N0 * bit_rate.

    The linear MMSE estimate of one bit, w = (sum_k p_k p_k' + N0 C)^-1 p_0 (Proakis, Digital Communications, section on linear
    MMSE equalisers), with stronger noise assumed outside of the signal's band, so that what is there is kept out as well.
    """
    samples = front.wide_rate / profile.bit_rate
    length = _LANES * round(_SPAN_BITS * samples / _LANES)
    lags = np.arange(length)
    noise = _noise(profile, front, sample_rate, length)
    limit = _STOP / samples
    apart = np.where(lags == 0, 1.0, 0.0) - 2 * limit * np.sinc(2 * limit * lags)
    loaded = noise + _STOP_WEIGHT * samples * apart
    index = np.abs(lags[:, None] - lags[None, :])
    covariance = mean_power / 10 ** (esn0_db / 10) * loaded[index]
    bits = np.arange(-4, 5)
    grid, edge = _received(profile, front, sample_rate)
    bank = np.empty((PHASES + 1, length))
    gains = []
    for row, t in enumerate(_instants(length)[: PHASES // 2 + 1] / samples):
        around = t[None, :] - bits[:, None]
        p = np.interp(around + 0.5, grid, edge) - np.interp(around - 0.5, grid, edge)
        w = np.linalg.solve(p.T @ p + covariance, p[bits.size // 2])
        w /= w @ p[bits.size // 2]
        bank[row], bank[PHASES - row] = w, w[::-1]  # the pulse is symmetric
        gains.append(float(w @ noise[index] @ w))
    return bank.astype(np.float32), float(np.mean(gains))


def _through_filters(
    profile: Profile, front: FrontEndPlan, sample_rate: float, span: int, cutoff: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The received pulse at the narrow rate (centred, odd length) and the autocorrelation of white noise behind the filters.

    Computed on a fine grid of 64 points a bit. The correlation has lag 0 first, normalised to it.
    """
    fine = 64
    rate = fine * profile.bit_rate
    t = np.arange(-4 * fine, 4 * fine + 1) / rate
    beta = _kaiser_beta(80.0)
    width = span / front.wide_rate
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1.0 - (2.0 * t / width) ** 2))) * (np.abs(t) <= width / 2)
    narrow = np.sinc(2.0 * cutoff * t) * window
    narrow /= narrow.sum()
    wide = np.interp(t, (np.arange(front.low_pass.size) - front.half) / sample_rate, front.low_pass, left=0.0, right=0.0)
    wide /= wide.sum()
    h = np.convolve(narrow, wide)
    pulse = np.convolve(shaped_pulse(profile.alpha, fine), h)
    centre, step = pulse.size // 2, fine // SAMPLES_PER_BIT
    reach = 5 * SAMPLES_PER_BIT
    padded = np.pad(pulse, reach * step)
    pulse_narrow = padded[centre + reach * step + step * np.arange(-reach, reach + 1)]
    r = np.correlate(h, h, "full")
    r = np.pad(r, 16 * SAMPLES_PER_BIT * step)
    correlation = r[r.size // 2 :: step][: 12 * SAMPLES_PER_BIT]
    return pulse_narrow, correlation / correlation[0]


def _mean_power(alpha: float) -> float:
    """Mean of a(t)^2 for random bits: half of the bit edges carry a transition."""
    v = np.linspace(-0.5, 0.5, 4001)
    a = 2.0 * (v + np.sin(2 * np.pi * v) / (2 * np.pi))
    return float(1.0 - 0.5 * alpha * (1.0 - np.mean(a**2)))
