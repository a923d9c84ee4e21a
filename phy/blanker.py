"""The impulse blanker: removes what stands out of the wide baseband for less than a bit."""

import math

import numpy as np
from numpy.typing import NDArray

from ._kernels.blanker import blank_impulses
from .errors import ConfigurationError


class ImpulseBlanker:
    """Zeroes samples of the wide stream whose power exceeds the local level by `factor`.

    The level of a sub-block of half a bit is an estimate that single impulses in it do not raise; the local level is a rank
    of these among the `window` sub-blocks before and after, the larger of the two: neither the edge of a packet nor a strong
    packet beside a weak one is taken for an impulse. Works before the bit filter because an impulse is short only
    there: behind it, one impulse spoils a whole bit.

    Args:
        samples_per_bit: of the stream, at least 6.
        factor: power ratio; 9 costs nothing in white noise (a Rayleigh envelope exceeds it with e^-9 or less). 0 switches off.
        window: sub-blocks to either side; also the delay.
        fraction: rank of the level among the powers, 0..1.
    Attributes:
        blanked: samples zeroed so far.
    Raises:
        ConfigurationError: an argument is out of range.
    """

    def __init__(self, samples_per_bit: float, factor: float = 9.0, window: int = 11, fraction: float = 0.5) -> None:
        if not (factor == 0 or factor > 1):
            raise ConfigurationError(f"blanker factor must be 0 (off) or above 1, got {factor}")
        if not 2 <= window <= 100:
            raise ConfigurationError(f"blanker window must be 2..100 sub-blocks, got {window}")
        if not 0 < fraction <= 1:
            raise ConfigurationError(f"blanker fraction must be in (0, 1], got {fraction}")
        if not 6 <= samples_per_bit < math.inf:
            raise ConfigurationError(f"blanker samples_per_bit must be at least 6, got {samples_per_bit}")
        self._size = round(samples_per_bit / 2)
        self._factor, self._window, self._fraction = factor, window, fraction
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._z = np.empty(0, np.complex64)
        self._behind = 0
        self.blanked = 0

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (M,) complex64: the same stream, delayed until the samples after it are known."""
        if self._factor == 0:
            return z
        self._z = np.concatenate((self._z, z))
        blocks = self._z.size // self._size
        count = max(0, blocks - self._window - self._behind)
        y = np.empty(count * self._size, np.complex64)
        if count:
            # The kernel sees exactly `window` sub-blocks to either side of each one, however the stream was cut.
            used = self._z[: (self._behind + count + self._window) * self._size]
            level = np.empty(used.size // self._size, np.float32)
            self.blanked += blank_impulses(
                used, self._size, self._behind, self._window, self._fraction, self._factor, y, level, np.empty_like(level)
            )
            drop = max(0, self._behind + count - self._window)
            self._behind += count - drop
            self._z = self._z[drop * self._size :].copy()
        return y
