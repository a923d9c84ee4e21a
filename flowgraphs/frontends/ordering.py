"""Blocks that came through a network put back into one stream: order, duplicates, gaps, late ones, a sender that starts anew.

    put(first, samples, run, now) --> [held until the hole before it is filled, or for reorder_s] --> get(now) --> Block

Indices stay those of the sender until it starts anew; from then on they are shifted so that they never go back, and the break
shows as missing samples, as many as the clock says. No clock is read here: `now` is told.
"""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .contract import Block, SourceStatistics

REORDER_S: Final = 0.02  # how long a hole may wait to be filled, of samples and of time
CONFIRM_S: Final = 0.04  # of samples: what does not fit is a new beginning when it goes on for so long
QUIET_S: Final = 0.1  # after so long without a block a new sender is believed at once
FAR_S: Final = 10.0  # a larger step ahead has to be confirmed
HELD_BLOCKS: Final = 512
LOST_RANGES: Final = 256
OLD_RUNS: Final = 8


@dataclass(order=True, frozen=True, slots=True)
class _Piece:
    first: int
    samples: NDArray[np.float32] = field(compare=False)

    @property
    def end(self) -> int:
        return self.first + self.samples.size


class StreamOrder:
    """Puts blocks with an index in order.

    Args:
        statistics: everything that is noticed is counted there.    sample_rate: Hz.    reorder_s: see REORDER_S.
        first: our index of the first sample, 1 of them lost before it; None = the sender's index and nothing lost.
    """

    def __init__(
        self, statistics: SourceStatistics, sample_rate: float, reorder_s: float = REORDER_S, first: int | None = None
    ) -> None:
        self.statistics = statistics
        self._rate, self._window_s, self._window = sample_rate, reorder_s, round(reorder_s * sample_rate)
        self._next: int | None = None  # in the sender's count
        self._shift = 0  # ours minus the sender's
        self._first, self._run = first, 0
        self._old_runs: deque[int] = deque(maxlen=OLD_RUNS)
        self._held: list[_Piece] = []
        self._held_since = 0.0
        self._break = 0  # samples that are missing before the first block of a new run
        self._last_at = 0.0
        self._lost: deque[tuple[int, int]] = deque(maxlen=LOST_RANGES)
        self._odd: list[_Piece] = []  # consecutive blocks that do not fit: perhaps a new beginning
        self._odd_run, self._odd_since = 0, 0.0
        self._ready: deque[Block] = deque()

    def put(self, first_sample: int, samples: NDArray[np.float32], run: int, now: float) -> None:
        """Take a block.

        Args:
            first_sample: index in the sender's count.    samples: (N,) V, N at least 1.
            run: number that the sender drew when it started, 0 = it tells none.    now: s, instant of arrival.
        """
        piece = _Piece(first_sample, samples)
        if self._next is None:
            self._next, self._run = first_sample, run
            if self._first is not None:
                self._shift, self._break = self._first - first_sample, 1
        if run != self._run or self._jumps(piece):
            self._put_odd(piece, run, now)
            return
        if self._odd:  # the stream goes on: what did not fit was no new beginning
            self._drop_odd()
        self._last_at = now
        self._hold(piece, now)

    def get(self, now: float) -> Block | None:
        """The next block in order, None when there is none yet."""
        self._release(now)
        return self._ready.popleft() if self._ready else None

    def wait_s(self, now: float) -> float | None:
        """How long until a held block is given out even with a hole before it; None when none is held."""
        return None if not self._held else max(0.0, self._held_since + self._window_s - now)

    # ------------------------------------------------------------ blocks that fit

    def _hold(self, piece: _Piece, now: float) -> None:
        assert self._next is not None
        if piece.end <= self._next:
            self._count_old(piece)
            return
        if any(held.first <= piece.first and piece.end <= held.end for held in self._held):
            self.statistics.duplicated += 1
            return
        if self._held and piece.first < self._held[-1].first:
            self.statistics.reordered += 1
        if not self._held:
            self._held_since = now
        insort(self._held, piece)

    def _release(self, now: float) -> None:
        while self._held:
            assert self._next is not None
            hole = self._held[0].first - self._next
            overdue = now >= self._held_since + self._window_s or len(self._held) > HELD_BLOCKS
            if hole > 0 and not overdue and self._held[-1].end - self._next <= self._window:
                return
            self._give(self._held.pop(0))
            if hole > 0:
                self._held_since = now

    def _give(self, piece: _Piece) -> None:
        assert self._next is not None
        samples, missing = piece.samples, piece.first - self._next
        if missing < 0:
            self.statistics.duplicated += 1
            samples = samples[-missing:]
        elif missing > 0:
            self._lost.append((self._next, piece.first))
        first = max(piece.first, self._next)
        self._next = piece.end
        if samples.size:
            block = Block(first + self._shift, samples, max(0, missing) + self._break)
            self._break = 0
            self._ready.append(self.statistics.count(block))

    def _count_old(self, piece: _Piece) -> None:
        """Of a time that was given out: for a hole it is late, else it came twice."""
        if any(start < piece.end and piece.first < end for start, end in self._lost):
            self.statistics.late += 1
        else:
            self.statistics.duplicated += 1

    # ------------------------------------------------------------ blocks that do not fit

    def _jumps(self, piece: _Piece) -> bool:
        """Farther ahead than one believes, or back although the sender does not tell its run."""
        assert self._next is not None
        return piece.first - self._next > FAR_S * self._rate or (self._run == 0 and piece.end <= self._next)

    def _put_odd(self, piece: _Piece, run: int, now: float) -> None:
        if run in self._old_runs and run != self._run:
            self.statistics.late += 1
            return
        if self._odd and (run != self._odd_run or (run == 0 and piece.first != self._odd[-1].end)):
            self._drop_odd()
        if not self._odd:
            self._odd_run, self._odd_since = run, now
        self._odd.append(piece)
        span = max(odd.end for odd in self._odd) - min(odd.first for odd in self._odd)
        enough = span >= CONFIRM_S * self._rate and len(self._odd) > 1
        if enough or (now - self._last_at >= QUIET_S and not self._is_repeated(piece)) or len(self._odd) >= HELD_BLOCKS:
            self._begin_anew(run, now)

    def _is_repeated(self, piece: _Piece) -> bool:
        """A block of the same run, or of none, from just before: after a pause, too, it is rather late than a new beginning."""
        assert self._next is not None
        return self._odd_run == self._run and 0 <= self._next - piece.end < QUIET_S * self._rate

    def _begin_anew(self, run: int, now: float) -> None:
        while self._held:
            self._give(self._held.pop(0))
        assert self._next is not None
        odd, self._odd = sorted(self._odd), []
        first = odd[0].first
        if run != self._run or first <= self._next or not self._is_pause(first - self._next, run):
            self.statistics.restarts += 1
            if self._run and run != self._run:
                self._old_runs.append(self._run)
            lost = max(1, round((self._odd_since - self._last_at) * self._rate) - odd[0].samples.size)
            self._break += lost
            self._shift += self._next + lost - first
            self._next, self._run = first, run
            self._lost.clear()
        self._last_at = now
        for piece in odd:
            self._hold(piece, now)

    def _is_pause(self, missing: int, run: int) -> bool:
        elapsed_s = self._odd_since - self._last_at
        return run != 0 or missing / self._rate < 2 * elapsed_s + FAR_S

    def _drop_odd(self) -> None:
        for piece in self._odd:
            if self._odd_run != self._run:
                self.statistics.foreign += 1
            else:
                assert self._next is not None
                if piece.end <= self._next:
                    self._count_old(piece)
                else:
                    self.statistics.malformed += 1  # an index far ahead that nothing followed
        self._odd = []


class BareOrder:
    """A stream without an index: samples are counted, and only time tells that some are missing.

    A sender that went away and came back, or a pause of `pause_s`, is a gap as long as the clock says. What a slow link drops in
    between cannot be seen in such a stream; `suspected` tells how many samples the clock has counted more than have come.

    Args:
        statistics, first: see StreamOrder.    sample_rate: Hz.    pause_s: longer is a gap.
    """

    WINDOW_S: Final = 2.0  # arrivals jitter; the earliest within a window tells

    def __init__(
        self, statistics: SourceStatistics, sample_rate: float, pause_s: float = 1.0, first: int | None = None
    ) -> None:
        self.statistics = statistics
        self._rate, self._pause_s = sample_rate, pause_s
        self._next, self._interrupted = (0 if first is None else first), False
        self._break = int(first is not None)
        self._last_at: float | None = None
        self._ready: deque[Block] = deque()
        self._window_end = 0.0
        self._least: float | None = None
        self._usual: float | None = None

    def interrupted(self) -> None:
        """The sender's connection was lost."""
        self._interrupted = self._last_at is not None

    def put(self, samples: NDArray[np.float32], now: float) -> None:
        """Take the samples of a message that arrived at `now` s."""
        missing = 0
        if self._last_at is not None:
            pause = now - self._last_at
            if self._interrupted or pause >= self._pause_s:
                missing = max(1, round(pause * self._rate) - samples.size)
                self.statistics.restarts += self._interrupted
                self._usual = self._least = None
        self._interrupted, self._last_at = False, now
        first = self._next + missing
        self._next = first + samples.size
        self._watch(now)
        missing, self._break = missing + self._break, 0
        self._ready.append(self.statistics.count(Block(first, samples, missing)))

    def get(self, now: float) -> Block | None:
        """The next block."""
        return self._ready.popleft() if self._ready else None

    def wait_s(self, now: float) -> float | None:
        """Nothing is ever held."""
        return None

    def _watch(self, now: float) -> None:
        lag = now - self._next / self._rate
        if self._least is None:
            self._least, self._window_end = lag, now + self.WINDOW_S
        self._least = min(self._least, lag)
        if now >= self._window_end:
            if self._usual is None:
                self._usual = self._least
            self.statistics.suspected = max(0, round((self._least - self._usual) * self._rate))
            self._least = None
