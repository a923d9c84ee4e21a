"""Noise whose whole spectrum switches within the mains half cycle: the filter bank of the narrow-band PLC standards."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._kernels import noise as noise_kernels
from .._kernels import path as path_kernels
from ..errors import ConfigurationError
from . import catalogue
from .coloured import background_density, noise_filter
from .limits import below_nyquist, between, finite, positive
from .mains import wander
from .source import Source

_TAPS = 257


class SwitchedNoise(Source):
    """n[k] = (h_i * w)[k] in region i of the half cycle, w white and Gaussian: each region has its density.

    Args:
        ends: end of each region as a share of the half cycle, rising, the last 1; region 0 begins at the zero crossing.
        frequencies: Hz, rising, (P,); between them a density is linear in decibels, outside constant.
        densities: one-sided, V/sqrt(Hz), one row of (P,) for each region.
        mains_freq: Hz.    mains_phase: rad, angle of the mains voltage at sample 0.
        mains_drift_hz: slow wander of the mains frequency about mains_freq, Hz (`mains.wander`).
    References:
        M. Nassar et al., Cyclostationary noise modeling in narrowband powerline communication for smart grid
        applications, ICASSP 2012 (recalled); adopted by IEEE 1901.2, annex, clause unverified.
    """

    def __init__(
        self,
        sample_rate: float,
        ends: Sequence[float],
        frequencies: ArrayLike,
        densities: Sequence[ArrayLike],
        mains_freq: float = 50.0,
        mains_phase: float = 0.0,
        mains_drift_hz: float = 0.0,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        fs = self.sample_rate
        edges = np.array([0.0, *(between("end of a region", end, 0.0, 1.0) for end in ends)])
        if len(ends) != len(densities) or edges.size < 2 or np.any(np.diff(edges) <= 0) or edges[-1] != 1.0:
            raise ConfigurationError(f"ends must rise to 1 and have one density each, got {list(ends)!r}")
        self._filters = [noise_filter(fs, frequencies, density, _TAPS) for density in densities]
        self._edges = edges
        swing_cycles, self._swing_step = wander(mains_freq, mains_drift_hz, fs)
        self._swing = 2 * swing_cycles
        self._step = 2 * below_nyquist("mains_freq", mains_freq, fs) / fs
        self._phase = finite("mains_phase", mains_phase) / math.pi

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_ohm: float | None = None, **changes: Any) -> Self:
        """`lv3`: three regions over the background density of `BackgroundNoise`. changes: any other argument of the class."""
        regions = catalogue.entry("noise", "switched", name)["regions"]
        fs = positive("sample_rate", sample_rate)
        corners = {0.0, fs / 2} | {region["flat_above_hz"] for region in regions if "flat_above_hz" in region}
        frequencies = np.array(sorted(f for f in corners if f <= fs / 2))
        arguments: dict[str, Any] = {"ends": [region["end"] for region in regions], "frequencies": frequencies}
        arguments["densities"] = [
            background_density(np.minimum(frequencies, region.get("flat_above_hz", math.inf)), 0.0, reference_ohm)
            * 10 ** (region["level_db"] / 20)
            for region in regions
        ]
        return cls(fs, **{**arguments, **changes})

    def density_at(self, freq_hz: float) -> float:
        """One-sided density, V/sqrt(Hz), its power averaged over the half cycle.

        The hard switching of the model spreads each region a little over frequency, which this leaves out: 0.2 dB at
        86 kHz for `lv3`, whose short loud region is strongest far below.
        """
        turns = np.exp(-2j * np.pi * finite("freq_hz", freq_hz) / self.sample_rate * np.arange(_TAPS))
        power = [abs(np.dot(h.astype(np.float64), turns)) ** 2 for h in self._filters]
        return math.sqrt(float(np.dot(np.diff(self._edges), power)) / (self.sample_rate / 2))

    def regions(self, first_sample: int, n: int) -> NDArray[np.uint8]:
        """Number of the region that each sample lies in, (n,)."""
        region = np.empty(n, np.uint8)
        place = (first_sample, self._step, self._phase, self._swing, self._swing_step)
        noise_kernels.regions(region, self._edges[1:-1], *place)
        return region

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        region = self.regions(first_sample, n)
        borders = np.flatnonzero(region[1:] != region[:-1]) + 1
        white = np.empty(n + _TAPS - 1, np.float32)
        noise_kernels.gaussian(white, self._key, self._stream_word, first_sample - _TAPS // 2, 1.0)
        y = np.empty(n, np.float32)
        for start, stop in pairwise([0, *borders.tolist(), n]):
            if start < stop:
                path_kernels.convolve(white[start : stop + _TAPS - 1], self._filters[region[start]], y[start:stop])
        return y
