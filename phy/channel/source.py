"""What every noise source is: a voltage that depends on the seed and the absolute sample index alone."""

import copy
from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .limits import positive, whole

MAX_SEED = 2**64 - 1
MAX_STREAM = 2**32 - 1
MAX_SAMPLE = 2**62


class Source(ABC):
    """A voltage on the line, produced block by block.

    `samples` is a pure function of the sample index; `generate` walks along it. So the voltage does not depend on how a
    stream is cut, and a simulation can start anywhere.

    Args:
        sample_rate: Hz, above 0.
        seed: 0 .. 2^64 - 1; the same seed gives the same voltage, bit for bit.
        stream: 0 .. 2^32 - 1; sources of one seed that must differ need different streams (`LineNoise.from_specs`
            numbers them).
        first_sample: absolute index of the first sample that `generate` returns.
    """

    def __init__(self, sample_rate: float, seed: int = 0, stream: int = 0, first_sample: int = 0) -> None:
        self.sample_rate = positive("sample_rate", sample_rate)
        self.seed = whole("seed", seed, 0, MAX_SEED)
        self.stream = whole("stream", stream, 0, MAX_STREAM)
        self.first_sample = whole("first_sample", first_sample, 0, MAX_SAMPLE)
        self._next_sample = self.first_sample
        self._key = np.uint64(seed)
        self._stream_word = np.uint64(stream)

    @property
    def next_sample(self) -> int:
        """Absolute index of the sample that `generate` returns next."""
        return self._next_sample

    def generate(self, n: int) -> NDArray[np.float32]:
        """The next n samples, (n,) float32, V."""
        y = self.samples(self._next_sample, whole("n", n, 0, MAX_SAMPLE))
        self._next_sample += n
        return y

    @abstractmethod
    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        """The n samples from absolute index first_sample on, (n,) float32, V. Does not move `next_sample`."""

    def reset(self) -> None:
        """Go back to the first sample."""
        self._next_sample = self.first_sample

    def copy(self) -> Self:
        """An independent source at the same place."""
        return copy.copy(self)
