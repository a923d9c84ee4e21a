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
    """

    def __init__(self, kind: type[np.generic], first: int = 0) -> None:
        self._kind = kind
        self._pieces: list[NDArray[Any]] = []
        self._first = self._end = first

    def append(self, x: NDArray[Any]) -> None:
        """The next samples; they must not be changed any more."""
        if x.size:
            self._pieces.append(x)
            self._end += x.size

    def fork(self) -> "Past":
        """Another past that begins here."""
        return Past(self._kind, self._end)

    def forget(self, before: int) -> None:
        """Samples before index `before` will not be asked for again."""
        while self._pieces and self._first + self._pieces[0].size <= before:
            self._first += self._pieces.pop(0).size
        if not self._pieces:
            self._first = self._end

    def between(self, first: int, stop: int) -> NDArray[Any]:
        """Samples first .. stop - 1; those not there any more, not there yet, or before the stream, are 0."""
        x = np.zeros(max(stop - first, 0), self._kind)
        at = self._first
        for piece in self._pieces:
            low, high = max(first, at), min(stop, at + piece.size)
            if low < high:
                x[low - first : high - first] = piece[low - at : high - at]
            at += piece.size
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

    def reset(self) -> None:
        """Back to sample 0."""
        self.blanker.reset()
        self.raw, self.blanked = Past(np.complex64), Past(np.complex64)
        self._count = 0

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
