"""Blocks that wait between a thread that brings them and a reader: bounded, and what is dropped shows as a gap."""

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from .contract import Block, SourceStatistics


class BlockQueue:
    """A bounded queue of blocks.

    Args:
        statistics: overruns, gaps and missing samples are counted there.    most_samples: that wait at most.
        patient: a full queue makes the other thread wait instead.
    """

    def __init__(self, statistics: SourceStatistics, most_samples: int, patient: bool = False) -> None:
        self.statistics, self.patient = statistics, patient
        self._most, self._held = most_samples, 0
        self._blocks: deque[tuple[int, NDArray[np.float32], NDArray[np.float32] | None]] = deque()
        self._ready = threading.Condition()
        self._next: int | None = None
        self._finished = False

    @property
    def ended(self) -> bool:
        """Nothing waits and nothing will come."""
        return self._finished and not self._blocks

    def put(self, first_sample: int, samples: NDArray[np.float32], mains: NDArray[np.float32] | None = None) -> None:
        """Add a block; when too much waits, the oldest goes: a reader that is too slow shall at least hear the present."""
        with self._ready:
            while self.patient and self._held > self._most and not self._finished:
                self._ready.wait()
            self._blocks.append((first_sample, samples, mains))
            self._held += samples.size
            while not self.patient and self._held > self._most and len(self._blocks) > 1:
                self._held -= self._blocks.popleft()[1].size
                self.statistics.overruns += 1
            self._ready.notify()

    def finish(self) -> None:
        """Nothing more will come."""
        with self._ready:
            self._finished = True
            self._ready.notify_all()

    def get(self, timeout_s: float) -> Block | None:
        """The next block, None when none came in time."""
        with self._ready:
            if not self._blocks and not self._finished:
                self._ready.wait(timeout_s)
            if not self._blocks:
                return None
            first, samples, mains = self._blocks.popleft()
            self._held -= samples.size
            if self.patient:
                self._ready.notify_all()
        missing = 0 if self._next is None else first - self._next
        self._next = first + samples.size
        return self.statistics.count(Block(first, samples, max(0, missing), mains))
