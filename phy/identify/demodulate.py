"""Bits of a burst of which only carrier and bit rate are known: timing from the envelope, phase from the decisions."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..equaliser import smooth_phase
from .baseband import Baseband, low_pass, to_baseband
from .carriers import TunedBurst

FINE: Final = 8  # samples per bit of the waveform kept for pulse and ramps
PASSBAND: Final = 1.25  # of the low-pass before the bits, in bit rates; the other carrier's main lobe begins two away
STOPBAND: Final = 1.75
PAD: Final = 24  # bits kept before the burst's first and after its last, for the ramps
_INNER: Final = slice(1, FINE - 1)  # what of a bit is averaged: its ends belong to the transitions


@dataclass(frozen=True, eq=False, slots=True)
class BurstBits:
    """A demodulated burst, in bit times of its own clock; its sign is not known.

    Attributes:
        tuned: where it comes from. bit_time: s, of its own clock.
        waveform: ((PAD + bits + PAD) * FINE,) float64: the real part, 1 = the carrier's amplitude.
        soft: (PAD + bits + PAD,) float64, mean of each bit's waveform.
        length: bit times from where the envelope reaches half its level to where it falls below, not rounded.
        lead: bit times from bit PAD's start back to the former, within -0.5..0.5.
        esn0_db: signal to noise, from the quadrature component.
    """

    tuned: TunedBurst
    bit_time: float
    waveform: NDArray[np.float64]
    soft: NDArray[np.float64]
    length: float
    lead: float
    esn0_db: float


def filtered(waveform: NDArray[np.float64], per_bit: int) -> NDArray[np.float64]:
    """A transmitted baseband waveform as `demodulate` would see it; silence at both ends must be part of it."""
    spectrum = np.fft.rfft(waveform)
    gain = low_pass(np.fft.rfftfreq(waveform.size, 1 / per_bit), PASSBAND, STOPBAND)
    return np.fft.irfft(spectrum * gain, waveform.size)


def demodulate(tuned: TunedBurst, cycles_per_bit: float) -> BurstBits | None:
    """Bits of a burst; None where it holds no packet's worth of steady signal."""
    burst = tuned.burst
    bit_rate = tuned.carrier_hz / cycles_per_bit
    if (burst.stop - burst.start) / burst.sample_rate * bit_rate < 40:
        return None
    base = to_baseband(
        tuned.x, burst.sample_rate, tuned.carrier_hz, PASSBAND * bit_rate, STOPBAND * bit_rate, 2 * FINE * bit_rate
    )
    edges = _envelope_edges(base, burst.start / burst.sample_rate, burst.stop / burst.sample_rate, bit_rate)
    if edges is None:
        return None
    start, stop = edges
    times = np.arange(start, stop, 1 / (FINE * bit_rate))
    power = np.abs(base.at(times)) ** 2
    # The envelope dips at the bits' edges, so its line's maximum is at their centres.
    line = np.sum(power * np.exp(-2j * np.pi * bit_rate * times))
    centre = -np.angle(line) / (2 * np.pi * bit_rate)
    edge = centre - 0.5 / bit_rate
    first = round((start - edge) * bit_rate)
    count = round((stop - edge) * bit_rate) - first
    if count < 40:
        return None
    origin = edge + first / bit_rate
    total = count + 2 * PAD
    grid = origin + ((np.arange(total * FINE) + 0.5) / FINE - PAD) / bit_rate
    wave = base.at(grid)
    # Beyond the samples there is nothing; the resampler would hold the last value there.
    wave[(grid < 0) | (grid > (base.z.size - 2) / base.rate)] = 0.0
    symbols = wave.reshape(total, FINE)[:, _INNER].mean(axis=1)
    body = symbols[PAD + 1 : PAD + count - 1]
    phases = np.full(body.size, 0.5 * np.angle(np.sum(body**2)))
    for _ in range(2):
        signs = np.where((body * np.exp(-1j * phases)).real >= 0, 1.0, -1.0)
        phases = smooth_phase(body.astype(np.complex64), phases, signs)
    level = body * np.exp(-1j * phases)
    amplitude = float(np.median(np.abs(level.real)))
    if amplitude <= 0.0:
        return None
    centres = PAD + 1 + np.arange(body.size) + 0.5
    turn = np.interp((np.arange(total * FINE) + 0.5) / FINE, centres, np.unwrap(phases))
    rotated = wave * np.exp(-1j * turn) / amplitude
    waveform = rotated.real
    noise = float(np.median(level.imag**2)) / 0.4549 / amplitude**2
    return BurstBits(
        tuned, 1 / bit_rate, waveform, waveform.reshape(total, FINE)[:, _INNER].mean(axis=1),
        (stop - start) * bit_rate, (origin - start) * bit_rate, float(10 * np.log10(0.5 / max(noise, 1e-9))),
    )  # fmt: skip


def _envelope_edges(base: Baseband, start: float, stop: float, bit_rate: float) -> tuple[float, float] | None:
    """Times in s between which the level, over two bit times, is at least half the burst's own."""
    width = max(1, round(2 * base.rate / bit_rate))
    level = np.sqrt(np.convolve(np.abs(base.z) ** 2, np.ones(width) / width, "same"))
    first, last = int(start * base.rate), min(int(stop * base.rate), level.size)
    if last - first < width:
        return None
    half = 0.5 * float(np.median(level[first:last]))
    above = level >= half
    middle = (first + last) // 2
    below = np.flatnonzero(~above)
    before, after = below[below < middle], below[below > middle]
    left = int(before[-1]) + 1 if before.size else 0
    right = int(after[0]) if after.size else level.size
    return (left / base.rate, right / base.rate) if right - left > width else None
