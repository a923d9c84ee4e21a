"""How loud a line is: rms and peak in V, twice a second."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .frontends.contract import SourceStatistics

EVERY_S: Final = 0.5


class LevelMeter:
    """Gathers samples; tells the level of each stretch of `every_s`.

    Attributes:
        rms_v, peak_v: of the last whole stretch, V.
    """

    def __init__(self, sample_rate: float, every_s: float = EVERY_S) -> None:
        self.rms_v = self.peak_v = 0.0
        self._every = round(every_s * sample_rate)
        self._count, self._power, self._peak = 0, 0.0, 0.0

    def add(self, x: NDArray[np.float32]) -> bool:
        """(N,) float32 V. True when a stretch is over and there is something new to show."""
        self._power += float(np.dot(x, x))
        self._peak = max(self._peak, float(np.abs(x).max(initial=0.0)))
        self._count += x.size
        if self._count < self._every:
            return False
        self.rms_v, self.peak_v = math.sqrt(self._power / self._count), self._peak
        self._count, self._power, self._peak = 0, 0.0, 0.0
        return True

    def text(self, statistics: SourceStatistics) -> str:
        """One line for a person."""
        decibels = 20 * math.log10(max(self.rms_v, 1e-9) / 1e-6)
        return (
            f"rms {self.rms_v:.3g} V ({decibels:.1f} dBuV)  peak {self.peak_v:.3g} V  clipped {statistics.clipped}  "
            f"missing {statistics.missing}"
        )
