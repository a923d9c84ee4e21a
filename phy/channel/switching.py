"""Impulses of a switch-mode supply: periodic, but not tied to the mains frequency."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as kernels
from . import catalogue
from .limits import below_nyquist, between, finite, not_negative, positive
from .source import Source


class PeriodicImpulses(Source):
    """Damped rings A exp(-t/tau) sin(2 pi f t) at a drifting switching frequency, breathing with the rectified mains.

    At 40 to 200 kHz the pulses follow each other within a few samples, so they are made as what they are on the line: a
    harmonic at every multiple of the switching frequency up to half the sample rate, with amplitude and phase of the
    pulse's Fourier series (without its mean value). Nothing is aliased.

    Args:
        amplitude_v: A, V.
        switching_hz: mean switching frequency, below half the sample rate.
        tau_s, ring_hz: decay time and frequency of the ring, as of `MainsImpulses`; ring_hz may be any frequency.
        drift_ppm: largest departure from switching_hz, ppm, 0 .. 1e5.
        drift_ppm_per_s: speed of the drift where it is fastest, ppm/s; the drift is a slow sine.
        am_depth: 0..1, how deeply the amplitude follows the mains; greatest at the crests.
        mains_freq: Hz.    mains_phase: rad, angle of the mains voltage at sample 0.
    """

    def __init__(
        self,
        sample_rate: float,
        amplitude_v: float,
        switching_hz: float,
        tau_s: float,
        ring_hz: float,
        drift_ppm: float = 0.0,
        drift_ppm_per_s: float = 500.0,
        am_depth: float = 0.0,
        mains_freq: float = 50.0,
        mains_phase: float = 0.0,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        fs = self.sample_rate
        amplitude, decay = not_negative("amplitude_v", amplitude_v), 1.0 / positive("tau_s", tau_s)
        ring = 2 * math.pi * positive("ring_hz", ring_hz)
        share = between("drift_ppm", drift_ppm, 0.0, 1e5) * 1e-6
        highest = below_nyquist("switching_hz with its drift", positive("switching_hz", switching_hz) * (1 + share), fs)
        drift_period = 2 * math.pi * share / (positive("drift_ppm_per_s", drift_ppm_per_s) * 1e-6)
        am_hz = 2 * below_nyquist("mains_freq", mains_freq, fs / 2)
        am_cycles = finite("mains_phase", mains_phase) / math.pi + 0.5  # the supply draws most at the crests
        start = np.empty(1)
        kernels.uniforms(start, self._key, self._stream_word, np.uint64(0), 0)
        self._rows = np.zeros((math.ceil(fs / 2 / highest) - 1, 8))
        for order, row in enumerate(self._rows, start=1):
            w = 2 * math.pi * switching_hz * order
            line = 2 * switching_hz * amplitude * ring / ((decay + 1j * w) ** 2 + ring**2)
            row[:3] = abs(line), order * switching_hz / fs, order * start[0] + np.angle(line) / (2 * math.pi)
            row[3:6] = between("am_depth", am_depth, 0.0, 1.0), am_hz / fs, am_cycles
            if drift_period:
                row[6:] = order * switching_hz * share * drift_period / (2 * math.pi), 1.0 / (drift_period * fs)

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_v: float, **changes: Any) -> Self:
        """`supply_65k`. reference_v: V, the level that the preset's decibels count from. changes: any other argument."""
        values = dict(catalogue.entry("noise", "periodic_impulses", name))
        values.pop("source", None)
        values["amplitude_v"] = positive("reference_v", reference_v) * 10 ** (values.pop("level_db") / 20)
        return cls(sample_rate, **{**values, **changes})

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        kernels.tones(y, self._rows, first_sample)
        return y
