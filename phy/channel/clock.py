"""Two clocks that do not agree: the signal of one sampled by the other, as a stream."""

import copy
import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import path as kernels
from ..errors import ConfigurationError
from .interpolator import interpolation_table
from .limits import between, positive

_HALF_WIDTH = 16  # input samples on each side, when the rate is not lowered
_LARGEST_RATIO = 64.0
_LARGEST_PPM = 1e5


class Resampler:
    """The same voltage at another sample rate: output sample n is the input at the time n / output_rate.

        x(t) = sum over k of x[k] sinc(t input_rate - k) window(t input_rate - k)       (windowed sinc, 32 taps, 512 phases)

    No delay is added; a sample is given out once the input around it has come, so blocks of any size give the same stream.
    Up to 0.4 of the lower rate the error is below -70 dB. The length of the output differs from that of the input.

    Args:
        input_rate, output_rate: Hz; each at most 64 times the other.
    """

    def __init__(self, input_rate: float, output_rate: float) -> None:
        self.input_rate, self.output_rate = positive("input_rate", input_rate), positive("output_rate", output_rate)
        self._step = self.input_rate / self.output_rate
        if not 1 / _LARGEST_RATIO <= self._step <= _LARGEST_RATIO:
            raise ConfigurationError(f"the rates must be within a factor of 64, got {input_rate!r} and {output_rate!r}")
        # A clock error of a few hundred ppm needs no narrower filter: nothing may stand that close to half the rate anyway.
        cutoff = 1.0 if self._step < 1.0 + _LARGEST_PPM * 1e-6 else 1.0 / self._step
        self._half = 2 * math.ceil(_HALF_WIDTH / cutoff / 2)
        self._table = interpolation_table(self._half, cutoff)
        self._first = self._next = 0
        self._past = np.zeros(0, np.float32)
        self.reset()

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) float32 -> (about N * output_rate / input_rate,) float32, V: every sample that is certain by now."""
        x = np.asarray(x, np.float32)
        if x.ndim != 1:
            raise ConfigurationError(f"x must have one dimension, got shape {x.shape}")
        joined = np.concatenate((self._past, x))
        stop = self._first + joined.size  # index of the first input sample that is still to come
        end = max(self._next, math.floor((stop - self._half) / self._step) + 2)
        while end > self._next and math.floor((end - 1) * self._step) + self._half >= stop:
            end -= 1
        y = np.empty(end - self._next, np.float32)
        kernels.interpolate(joined, self._first, self._table, y, self._next, self._step)
        self._next = end
        done = min(max(0, math.floor(end * self._step) - self._half + 1 - self._first), joined.size)
        self._past, self._first = joined[done:].copy(), self._first + done
        return y

    def reset(self) -> None:
        """Forget the past: the next input sample is number 0, and so is the next output sample."""
        self._first = 1 - self._half  # the input is taken as silent before its first sample
        self._past = np.zeros(self._half - 1, np.float32)
        self._next = 0

    def copy(self) -> Self:
        """An independent resampler in the same state."""
        return copy.deepcopy(self)


class ClockError(Resampler):
    """Sampling by a clock that is fast by ppm: more samples come a second, and every frequency appears lower by ppm.

    Args:
        sample_rate: nominal rate, Hz: that of the input, and the rate that a receiver believes to get.
        ppm: -1e5 .. 1e5.
    """

    def __init__(self, sample_rate: float, ppm: float) -> None:
        fs = positive("sample_rate", sample_rate)
        self.ppm = between("ppm", ppm, -_LARGEST_PPM, _LARGEST_PPM)
        super().__init__(fs, fs * (1 + self.ppm * 1e-6))
