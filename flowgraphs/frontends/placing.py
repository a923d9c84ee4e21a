"""Blocks at absolute instants made into one stream without gaps, and streams paced by the wall clock."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .contract import SinkStatistics

ZEROS_AT_ONCE = 1 << 16  # samples of silence made at a time


class Placer:
    """Turns blocks at absolute indices into consecutive samples: silence in between, what comes too late is cut off.

    Args:
        statistics: where late and padded samples are counted.    first_sample: index of the first sample of the stream;
            None = that of the first block.
    """

    def __init__(self, statistics: SinkStatistics, first_sample: int | None = None) -> None:
        self.statistics, self.next_sample = statistics, first_sample

    def place(self, first_sample: int, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """The pieces of the stream up to the end of this block."""
        if self.next_sample is None:
            self.next_sample = first_sample
        gap = first_sample - self.next_sample
        if gap < 0:
            late = min(-gap, samples.size)
            self.statistics.late += late
            samples = samples[late:]
        self.statistics.padded += max(0, gap)
        while gap > 0:
            count = min(gap, ZEROS_AT_ONCE)
            self.next_sample += count
            gap -= count
            yield np.zeros(count, np.float32)
        if samples.size:
            self.next_sample += samples.size
            self.statistics.blocks += 1
            self.statistics.samples += samples.size
            yield samples


class Pacer:
    """Lets a stream go no faster than the clock on the wall.

    Args:
        sample_rate: Hz.    clock, sleep: seconds; for tests.
    """

    def __init__(
        self,
        sample_rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = sample_rate, clock, sleep
        self._started_at: float | None = None
        self._first = 0

    def wait(self, end_sample: int, timeout_s: float) -> bool:
        """Wait until sample `end_sample` has been, at most `timeout_s`. True when it has."""
        now = self._clock()
        if self._started_at is None:
            self._started_at, self._first = now, end_sample
            return True
        ahead = (end_sample - self._first) / self._rate - (now - self._started_at)
        if ahead > 0:
            self._sleep(min(ahead, timeout_s))
        return ahead <= timeout_s
