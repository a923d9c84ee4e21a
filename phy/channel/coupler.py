"""The filter of a mains coupler."""

import math

import numpy as np
from numpy.typing import NDArray

from .._kernels import path as kernels
from . import catalogue
from .limits import below_nyquist, finite, positive
from .path import Element


class Coupler(Element):
    """Band-pass of a mains coupler: a second-order high-pass and a second-order low-pass (Butterworth), and a loss.

    The slope of 40 dB a decade below the band is what keeps the mains voltage away from the converter.

    Args:
        lowest_hz, highest_hz: -3 dB frequencies, below half the sample rate.
        insertion_loss_db: loss in the middle of the band, dB.
    """

    def __init__(
        self,
        sample_rate: float,
        lowest_hz: float | None = None,
        highest_hz: float | None = None,
        insertion_loss_db: float | None = None,
    ) -> None:
        fs = positive("sample_rate", sample_rate)
        values = catalogue.entry("path", "coupler")
        low = below_nyquist("lowest_hz", values["lowest_hz"] if lowest_hz is None else lowest_hz, fs)
        high = below_nyquist("highest_hz", values["highest_hz"] if highest_hz is None else highest_hz, fs)
        loss = finite("insertion_loss_db", values["insertion_loss_db"] if insertion_loss_db is None else insertion_loss_db)
        self._sections = (_butterworth(low / fs, True), _butterworth(high / fs, False))
        self._sections[0][:3] *= 10 ** (-loss / 20)
        self.reset()

    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        y = x.copy()
        for number, section in enumerate(self._sections):
            self._states[number] = kernels.second_order(y, section, *self._states[number])
        return y

    def reset(self) -> None:
        self._states = [(0.0, 0.0), (0.0, 0.0)]


def _butterworth(turns: float, high_pass: bool) -> NDArray[np.float64]:
    """b0 b1 b2 a1 a2 of a second-order section with -3 dB at `turns` of the sample rate (bilinear transform)."""
    k = math.tan(math.pi * turns)
    norm = 1 + math.sqrt(2) * k + k * k
    b = [1.0, -2.0, 1.0] if high_pass else [k * k, 2 * k * k, k * k]
    return np.array([*(value / norm for value in b), 2 * (k * k - 1) / norm, (1 - math.sqrt(2) * k + k * k) / norm])
