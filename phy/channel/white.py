"""White Gaussian noise."""

import math

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as kernels
from ..errors import ConfigurationError
from .limits import below_nyquist, not_negative
from .source import Source


class WhiteNoise(Source):
    """White Gaussian noise; give either its rms or its density.

    Args:
        rms_v: standard deviation of a sample, V: the noise between 0 and half the sample rate.
        density: one-sided spectral density, V/sqrt(Hz); rms_v = density * sqrt(sample_rate / 2).

    >>> float(abs(WhiteNoise(400_000, rms_v=0.0).generate(3)).max())
    0.0
    """

    def __init__(
        self,
        sample_rate: float,
        rms_v: float | None = None,
        density: float | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        if rms_v is not None and density is None:
            self.rms_v = not_negative("rms_v", rms_v)
        elif density is not None and rms_v is None:
            self.rms_v = not_negative("density", density) * math.sqrt(self.sample_rate / 2)
        else:
            raise ConfigurationError("WhiteNoise needs exactly one of rms_v and density")

    @property
    def density(self) -> float:
        """One-sided spectral density, V/sqrt(Hz)."""
        return self.rms_v / math.sqrt(self.sample_rate / 2)

    def density_at(self, freq_hz: float) -> float:
        """One-sided density at a frequency, V/sqrt(Hz): the same everywhere."""
        below_nyquist("freq_hz", freq_hz, self.sample_rate)
        return self.density

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.empty(n, np.float32)
        kernels.gaussian(y, self._key, self._stream_word, first_sample, self.rms_v)
        return y
