"""The wide stream and its recent past: blanked for those who search it, as it came for those who look again."""

import copy

import numpy as np
from numpy.typing import NDArray

from .blanker import ImpulseBlanker


class _Past:
    """The latest samples of a stream, by absolute index."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.complex64]] = []
        self.first = 0
        self.end = 0

    def append(self, u: NDArray[np.complex64]) -> None:
        if u.size:
            self._pieces.append(u)
            self.end += u.size

    def forget(self, before: int) -> None:
        while self._pieces and self.first + self._pieces[0].size <= before:
            self.first += self._pieces.pop(0).size

    def between(self, first: int, stop: int) -> NDArray[np.complex64]:
        """Samples first .. stop - 1; those not there any more, not there yet, or before the stream, are 0."""
        u = np.zeros(max(stop - first, 0), np.complex64)
        at = self.first
        for piece in self._pieces:
            low, high = max(first, at), min(stop, at + piece.size)
            if low < high:
                u[low - first : high - first] = piece[low - at : high - at]
            at += piece.size
        return u


class WideStream:
    """Wide complex samples through the impulse blanker, with the past kept that a second look may ask for.

    Attributes:
        blanker: ImpulseBlanker, or anything with its `process` and `reset`.
    """

    def __init__(self, blanker: ImpulseBlanker) -> None:
        self.blanker = blanker
        self.reset()

    def reset(self) -> None:
        """Back to sample 0."""
        self.blanker.reset()
        self._raw, self._blanked = _Past(), _Past()

    def fork(self) -> "WideStream":
        """Another stream with the same past and a blanker in the same state."""
        other = copy.copy(self)
        other.blanker = copy.copy(self.blanker)
        other._raw, other._blanked = copy.deepcopy(self._raw), copy.deepcopy(self._blanked)
        return other

    def process(self, u: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (M,) complex64, blanked, later by what the blanker looks ahead."""
        self._raw.append(u)
        blanked = self.blanker.process(u)
        self._blanked.append(blanked)
        return blanked

    def raw(self, first: int, stop: int) -> NDArray[np.complex64]:
        """(stop - first,) samples as they came; 0 where there are none."""
        return self._raw.between(first, stop)

    def blanked(self, first: int, stop: int) -> NDArray[np.complex64]:
        """(stop - first,) samples behind the blanker; 0 where there are none."""
        return self._blanked.between(first, stop)

    def forget(self, before: int) -> None:
        """Samples before index `before` will not be asked for again."""
        self._raw.forget(before)
        self._blanked.forget(before)
