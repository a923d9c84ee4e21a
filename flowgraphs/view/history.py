"""Samples by their absolute index: of a recording, all of them; of a live line, the latest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..recording import Recording

KEPT_S: Final = 20.0  # s of a live line
MOST_KEPT: Final = 1 << 24  # samples, 64 MB
PACKETS_MB: Final = 64  # of samples of packets, for those who click one later


class History(Protocol):
    """What pictures are made from.

    Attributes:
        sample_rate: Hz.    end: index behind the newest sample.    oldest: index of the first that is there.
    """

    sample_rate: float

    @property
    def end(self) -> int: ...

    @property
    def oldest(self) -> int: ...

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """(count,) V; 0 where there is nothing."""


class RecordedSamples:
    """A recording. Its readers are not made for several threads, so one reads at a time."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self._lock = recording, threading.Lock()
        self.sample_rate = recording.sample_rate
        self.oldest = 0
        self.end = recording.length

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """See `History`."""
        x = np.zeros(max(0, count), np.float32)
        low, high = max(first, 0), min(first + count, self.end)
        if low < high:
            with self._lock:
                x[low - first : high - first] = self._recording.source.read(low, high - low)
        return np.nan_to_num(x, copy=False, posinf=0.0, neginf=0.0)


class LiveSamples:
    """The latest samples of a live line, in a ring; a gap holds zeros.    size: samples kept."""

    def __init__(self, sample_rate: float, kept_s: float = KEPT_S) -> None:
        self.sample_rate = sample_rate
        self.size = max(1, min(round(kept_s * sample_rate), MOST_KEPT))
        self._ring = np.zeros(self.size, np.float32)
        self._lock = threading.Lock()
        self._first: int | None = None  # index of the first sample that ever came
        self._end = 0

    @property
    def end(self) -> int:
        """Index behind the newest sample."""
        return self._end

    @property
    def oldest(self) -> int:
        """Index of the oldest sample that is kept."""
        return max(self._first or 0, self._end - self.size)

    def append(self, first: int, x: NDArray[np.float32]) -> None:
        """Samples from index `first` on; what was there before is not written again."""
        with self._lock:
            if self._first is None:
                self._first = self._end = first
            if first + x.size <= self._end:
                return
            x = x[max(0, self._end - first) :]
            gap = max(0, first - self._end)
            if gap:
                self._put(self._end + max(0, gap - self.size), np.zeros(min(gap, self.size), np.float32))
            self._put(max(first, self._end), x)

    def _put(self, first: int, x: NDArray[np.float32]) -> None:
        self._end = first + x.size
        x = np.nan_to_num(x[-self.size :], posinf=0.0, neginf=0.0)
        at = (self._end - x.size) % self.size
        head = min(x.size, self.size - at)
        self._ring[at : at + head] = x[:head]
        self._ring[: x.size - head] = x[head:]

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """See `History`."""
        x = np.zeros(max(0, count), np.float32)
        with self._lock:
            low, high = max(first, self.oldest), min(first + count, self._end)
            if low < high:
                at = low % self.size
                head = min(high - low, self.size - at)
                x[low - first : low - first + head] = self._ring[at : at + head]
                x[low - first + head : high - first] = self._ring[: high - low - head]
        return x


class PacketSamples:
    """Samples around packets, the newest of them, for when the ring has gone on."""

    def __init__(self, megabytes: float = PACKETS_MB) -> None:
        self._room = int(megabytes * 1e6)
        self._held = 0
        self._lock = threading.Lock()
        self._pieces: OrderedDict[int, tuple[int, NDArray[np.float32]]] = OrderedDict()

    def keep(self, number: int, first: int, x: NDArray[np.float32]) -> None:
        """Samples of packet `number` from index `first` on."""
        with self._lock:
            self._pieces[number] = (first, x)
            self._held += x.nbytes
            while self._held > self._room and self._pieces:
                self._held -= self._pieces.popitem(last=False)[1][1].nbytes

    def get(self, number: int) -> tuple[int, NDArray[np.float32]] | None:
        """(first index, samples), None when they are gone."""
        with self._lock:
            return self._pieces.get(number)
