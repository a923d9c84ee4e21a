"""Streams and their recent past, for those who look again."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blanker import ImpulseBlanker


class Past:
    """The latest samples of a stream, by absolute index.

    Args:
        kind: type of the samples, float32 or complex64. first: index of the first one to come.
    Attributes:
        first, end: index of the oldest sample that is kept, and of the next one to come.
    """

    def __init__(self, kind: type[np.generic], first: int = 0) -> None:
        self._kind = kind
        self.first = self.end = first
        self._samples: NDArray[Any] = np.empty(0, kind)  # with room at its end; sample `first` is at _offset
        self._offset = 0

    def append(self, x: NDArray[Any]) -> None:
        """The next samples."""
        self.room(x.size)[:] = x

    def room(self, count: int) -> NDArray[Any]:
        """(count,) the place of the next samples, to be written at once."""
        kept = self.end - self.first
        at = self._offset + kept
        if at + count > self._samples.size:
            old = self._samples[self._offset : at]
            if self._samples.size < 2 * (kept + count):
                self._samples = np.empty(3 * (kept + count), self._kind)
            self._samples[:kept] = old
            self._offset, at = 0, kept
        self.end += count
        return self._samples[at : at + count]

    def fork(self) -> "Past":
        """Another past that begins here."""
        return Past(self._kind, self.end)

    def copy(self) -> "Past":
        """Another past with the same samples."""
        other = Past(self._kind, self.first)
        other.append(self.samples)
        return other

    @property
    def samples(self) -> NDArray[Any]:
        """All that are kept, to be used before the next ones come."""
        return self._samples[self._offset : self._offset + self.end - self.first]

    def forget(self, before: int) -> None:
        """Samples before index `before` will not be asked for again."""
        count = min(max(before, self.first), self.end) - self.first
        self.first += count
        self._offset += count

    def between(self, first: int, stop: int) -> NDArray[Any]:
        """Samples first .. stop - 1, to be used before the next ones come; 0 where there are none (yet, or any more)."""
        at = self._offset - self.first
        if self.first <= first <= stop <= self.end:
            return self._samples[first + at : stop + at]
        x = np.zeros(max(stop - first, 0), self._kind)
        low, high = max(first, self.first), min(stop, self.end)
        if low < high:
            x[low - first : high - first] = self._samples[low + at : high + at]
        return x


class WideStream:
    """Wide complex samples through the impulse blanker, with the past kept that a second look may ask for.

    Args:
        blanker: see there. line: past of the line samples that the stream comes from, when it is nothing but these filtered.
    Attributes:
        blanker: ImpulseBlanker, or anything with its `process` and `reset`. line: as given.
        raw, blanked: past of the stream before and behind the blanker; `raw` holds samples only when there is no `line`.
    """

    def __init__(self, blanker: ImpulseBlanker, line: Past | None) -> None:
        self.blanker, self.line = blanker, line
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Back to wide sample `first`."""
        self.blanker.reset()
        self.raw, self.blanked = Past(np.complex64, first), Past(np.complex64, first)
        self._count = first

    def fork(self) -> "WideStream":
        """A stream that goes on with other samples: same past, blanker in the same state, no line."""
        other = copy.copy(self)
        other.line = None
        other.blanker = copy.copy(self.blanker)
        other.raw, other.blanked = Past(np.complex64, self._count), self.blanked.fork()
        return other

    def process(self, u: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (M,) complex64, blanked, later by what the blanker looks ahead."""
        self._count += u.size
        if self.line is None:
            self.raw.append(u)
        blanked = self.blanker.process(u)
        self.blanked.append(blanked)
        return blanked

    def forget(self, before: int) -> None:
        """Samples before index `before` will not be asked for again."""
        self.raw.forget(before)
        self.blanked.forget(before)
