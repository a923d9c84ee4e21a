"""Carrier and bit rate of bursts: the line of the squared signal at twice the carrier, the line of the envelope at the bit rate.

The square of BPSK has lost its data and is a line at twice the carrier; its envelope dips where bits change and so has a line
at the bit rate. Carrier and bit clock come from one oscillator: their ratio is a whole number of cycles, whatever its error.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .baseband import limited, to_baseband
from .bursts import Burst

_PASSBAND_HZ: Final = 6e3  # holds a bit rate of 5.5 kb/s and leaves out the other carrier, 10.8 kHz away on the A band
_RATE_HZ: Final = 48e3
_SLOWEST_BIT_RATE: Final = 1500.0
_FASTEST_BIT_RATE: Final = 11e3
_LOWEST_COHERENCE: Final = 0.15  # of the squared signal; noise has about 0.02, BPSK above 10 dB more than 0.5
_CLUSTER_PPM: Final = 1500.0  # two stations differ less, two carriers more
_LEAST_LINE: Final = 8.0  # of the envelope over what surrounds it
_SURROUNDING_HZ: Final = 1000.0  # of the envelope's spectrum, that a line is held against: broader than a short burst's line


@dataclass(frozen=True, eq=False, slots=True)
class TunedBurst:
    """A burst and its carrier.

    Attributes:
        x: its samples without impulses, (N,) float32, V.
        carrier_hz: Hz, to a fraction of a hertz. coherence: share of the squared signal's power in one line, 0..1.
    """

    burst: Burst
    x: NDArray[np.float32]
    carrier_hz: float
    coherence: float


@dataclass(frozen=True, eq=False, slots=True)
class CarrierGroup:
    """Bursts of one nominal carrier.

    Attributes:
        cycles_per_bit: carrier cycles per bit as measured, not rounded. line_to_floor: strength of the bit rate's line.
    """

    bursts: list[TunedBurst]
    cycles_per_bit: float
    line_to_floor: float

    @property
    def carrier_hz(self) -> float:
        """Middle of the carriers, without the outermost twentieths."""
        low, high = np.quantile([b.carrier_hz for b in self.bursts], (0.05, 0.95))
        return float(low + high) / 2

    @property
    def bit_rate(self) -> float:
        """Bits per second."""
        return self.carrier_hz / self.cycles_per_bit


def tune(burst: Burst) -> TunedBurst | None:
    """The burst's carrier, or None where the squared signal has no line: no BPSK."""
    x = limited(burst.x, burst.sample_rate, burst.coarse_hz, burst.start, burst.stop)
    base = to_baseband(x, burst.sample_rate, burst.coarse_hz, _PASSBAND_HZ, _PASSBAND_HZ * 4 / 3, _RATE_HZ)
    first, stop = (int(n / burst.sample_rate * base.rate) for n in (burst.start, burst.stop))
    square = base.z[first:stop] ** 2
    energy = float(np.sum(np.abs(square) ** 2))
    if square.size < 64 or energy <= 0.0:
        return None
    window = np.hanning(square.size)
    size = 1 << int(np.ceil(np.log2(8 * square.size)))
    spectrum = np.abs(np.fft.fft(square * window, size)) ** 2
    frequencies = np.fft.fftfreq(size, 1 / base.rate)
    spectrum[np.abs(frequencies) > 6e3] = 0.0
    peak = int(np.argmax(spectrum))
    offset = _parabola(np.log(spectrum[(peak + np.arange(-1, 2)) % size] + 1e-300))
    coherence = float(spectrum[peak] / (energy * np.sum(window**2)))
    if coherence < _LOWEST_COHERENCE:
        return None
    line = frequencies[peak] + offset * base.rate / size
    return TunedBurst(burst, x, burst.coarse_hz + line / 2, coherence)


def group_carriers(bursts: list[TunedBurst]) -> list[CarrierGroup]:
    """Bursts of the same nominal carrier, the largest group first; without those whose envelope shows no bit rate."""
    ordered = sorted(bursts, key=lambda b: b.carrier_hz)
    groups: list[list[TunedBurst]] = []
    for burst in ordered:
        if groups and burst.carrier_hz / groups[-1][-1].carrier_hz - 1 < _CLUSTER_PPM * 1e-6:
            groups[-1].append(burst)
        else:
            groups.append([burst])
    found = []
    for group in groups:
        cycles, strength = _cycles_per_bit(group)
        if strength > _LEAST_LINE:
            found.append(CarrierGroup(group, cycles, strength))
    return sorted(found, key=lambda g: -len(g.bursts))


def _cycles_per_bit(group: list[TunedBurst], most: int = 60) -> tuple[float, float]:
    """Carrier cycles per bit from the envelope's line, and how far the line is above what surrounds it."""
    # The axis is the bit rate as a fraction of each burst's own carrier, so that clock errors drop out.
    middle = float(np.median([b.carrier_hz for b in group]))
    group = sorted(group, key=lambda b: b.burst.start - b.burst.stop)[:most]
    longest = (group[0].burst.stop - group[0].burst.start) / group[0].burst.sample_rate
    axis = np.arange(_SLOWEST_BIT_RATE, _FASTEST_BIT_RATE, 0.2 / longest) / middle
    raw = _envelope_lines(group, axis, _PASSBAND_HZ)
    first = _over_surroundings(raw, axis, middle)
    peak = int(np.argmax(first))
    # Rectangular bits dip so briefly that in a wide filter a harmonic is the stronger line; in a narrow one it is not.
    harmonic = 0
    while peak != harmonic:
        harmonic = peak
        raw = _envelope_lines(group, axis, max(0.62 * axis[harmonic] * middle, _SLOWEST_BIT_RATE))
        lines = _over_surroundings(raw, axis, middle)
        strongest = float(raw[harmonic])
        for order in range(2, int(axis[harmonic] / axis[0]) + 1):
            at = int(np.argmin(np.abs(axis - axis[harmonic] / order)))
            near = slice(max(1, at - 3), at + 4)
            # What is strong only because there is much of everything around it is no line.
            if raw[near].max() > strongest and lines[near].max() > _LEAST_LINE:
                peak, first, strongest = near.start + int(np.argmax(lines[near])), lines, float(raw[near].max())
    offset = _parabola(first[peak - 1 : peak + 2]) if 0 < peak < axis.size - 1 else 0.0
    rate = axis[peak] + offset * (axis[1] - axis[0])
    return float(1.0 / rate), float(first[peak])


def _over_surroundings(lines: NDArray[np.float64], axis: NDArray[np.float64], middle_hz: float) -> NDArray[np.float64]:
    """Spectrum over the median of what surrounds each frequency: a narrow pulse's envelope wavers slowly and strongly."""
    width = round(_SURROUNDING_HZ / ((axis[1] - axis[0]) * middle_hz)) | 1
    around = ndimage.median_filter(lines, width, mode="nearest")
    return np.asarray(lines / np.maximum(around, 1e-3 * float(around.max()) + 1e-300))


def _envelope_lines(group: list[TunedBurst], axis: NDArray[np.float64], passband_hz: float) -> NDArray[np.float64]:
    """Power spectrum of the bursts' envelopes over frequency / carrier, each burst relative to its own median."""
    total = np.zeros(axis.size)
    for tuned in group:
        burst = tuned.burst
        base = to_baseband(tuned.x, burst.sample_rate, tuned.carrier_hz, passband_hz, passband_hz * 4 / 3, _RATE_HZ)
        first, stop = (int(n / burst.sample_rate * base.rate) for n in (burst.start, burst.stop))
        envelope = np.abs(base.z[first:stop]) ** 2
        envelope = (envelope - envelope.mean()) * np.hanning(envelope.size)
        size = 1 << int(np.ceil(np.log2(8 * envelope.size)))
        spectrum = np.abs(np.fft.rfft(envelope, size)) ** 2
        values = np.interp(axis * tuned.carrier_hz / base.rate * size, np.arange(spectrum.size), spectrum)
        # Behind a narrow filter most of the axis holds nothing but rounding.
        total += values / (np.median(values) + 1e-3 * values.mean() + 1e-300)
    return total


def _parabola(values: NDArray[np.float64]) -> float:
    """Position of the vertex of the parabola through three values at -1, 0, 1."""
    left, middle, right = (float(v) for v in values)
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip((left - right) / (2 * bend), -1.0, 1.0))
