"""Slips: samples that a device lost or repeated without a word, found by comparing their count with the wall clock.

Count and clock drift apart slowly by the device's clock error and jump at a slip. A callback may come late, never early; the
least lag within a window is therefore steady to a millisecond or so, and a jump of it that stays is a slip.
"""

from typing import Final

WINDOW_S: Final = 1.0
LEAST_S: Final = 5e-3  # a smaller jump is not told from scheduling
DRIFT_PER_S: Final = 500e-6  # clock error that is not taken for a slip


class SlipWatch:
    """Watches one stream.

    Args:
        sample_rate: Hz, nominal.    window_s: over which the least lag is taken; a slip is told two windows later.
    """

    def __init__(self, sample_rate: float, window_s: float = WINDOW_S) -> None:
        self._rate, self._window_s = sample_rate, window_s
        self._started_at: float | None = None
        self._window_ends = 0.0
        self._least: float | None = None
        self._usual: float | None = None
        self._suspect: float | None = None

    def feed(self, samples: int, now: float) -> int:
        """Tell the count of samples so far and the time in s.

        Returns:
            Samples lost (above 0) or repeated (below 0) since the last slip was told; nearly always 0. An estimate, good to
            the jitter of the callbacks.
        """
        if self._started_at is None:
            self._started_at, self._window_ends = now - samples / self._rate, now + self._window_s
        lag = now - self._started_at - samples / self._rate
        self._least = lag if self._least is None else min(self._least, lag)
        if now < self._window_ends:
            return 0
        least, self._least = self._least, None
        elapsed = now - self._window_ends + self._window_s
        self._window_ends = now + self._window_s
        return self._judge(least, elapsed)

    def _judge(self, least: float, elapsed: float) -> int:
        if self._usual is None:
            self._usual = least
            return 0
        jump = least - self._usual
        if abs(jump) < LEAST_S + DRIFT_PER_S * elapsed:
            self._usual, self._suspect = least, None
            return 0
        if self._suspect is None or abs(self._suspect - least) > LEAST_S:
            self._suspect = least  # a callback that was only late is back in the next window
            return 0
        self._usual, self._suspect = least, None
        return round(jump * self._rate)
