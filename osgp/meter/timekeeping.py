"""The meter's UTC clock: it follows `now`, is set by a step, or slewed by small steps in the middle of a minute.

Instants are whole milliseconds: `at_ms` since the meter was first started, `utc_ms` since 2000-01-01 00:00 UTC.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Final

EPOCH: Final = datetime.datetime(2000, 1, 1)
MS_PER_S: Final = 1000
MS_PER_MINUTE: Final = 60_000
# Second of the minute at which a slewing step is made: no step of 16 s or less then crosses an interval end. Grade D.
SLEW_SECOND: Final = 30
_ROUNDING: Final = 1e-3  # ms; a timer that was given as ms/1000 must not fall short of itself


def to_ms(now: float) -> int:
    """Whole milliseconds of an instant given in s."""
    return int(now * MS_PER_S + _ROUNDING)


def to_seconds(at_ms: int) -> float:
    """The other way round; `to_ms` gives the same number back."""
    return at_ms / MS_PER_S


def moment(utc_ms: int) -> datetime.datetime:
    """Naive datetime of ms since EPOCH."""
    return EPOCH + datetime.timedelta(milliseconds=utc_ms)


def milliseconds(utc: datetime.datetime) -> int:
    """ms since EPOCH of a naive datetime, rounded down."""
    return (utc - EPOCH) // datetime.timedelta(milliseconds=1)


@dataclass(slots=True)
class UtcClock:
    """UTC from the instant, plus what setting and slewing added.

    Args:
        started_ms: UTC of `at_ms` = 0.    offset_ms: what setting and slewing added so far.
        slew_s: seconds still to go by slewing.    slew_after_ms: instant before which no slewing step is made.
    """

    started_ms: int
    offset_ms: int = 0
    slew_s: int = 0
    slew_after_ms: int = 0
    slewed_s: int = field(default=0)  # by the adjustment that is going on

    def utc_ms(self, at_ms: int) -> int:
        """UTC at an instant."""
        return self.started_ms + at_ms + self.offset_ms

    def instant(self, utc_ms: int) -> int:
        """Instant at which the clock shows `utc_ms` if nobody sets it."""
        return utc_ms - self.started_ms - self.offset_ms

    def set(self, at_ms: int, utc_ms: int) -> None:
        """Set by a step; an adjustment that was going on is given up."""
        self.offset_ms += utc_ms - self.utc_ms(at_ms)
        self.slew_s = self.slewed_s = 0

    def slew(self, seconds: int, at_ms: int) -> None:
        """Move by `seconds` in small steps from now on; replaces an adjustment that is going on."""
        self.slew_s, self.slewed_s = seconds, 0
        self.slew_after_ms = at_ms

    def next_step(self) -> int | None:
        """Instant of the next slewing step."""
        if not self.slew_s:
            return None
        utc = self.utc_ms(self.slew_after_ms)
        return self.slew_after_ms + (SLEW_SECOND * MS_PER_S - utc) % MS_PER_MINUTE

    def step(self, at_ms: int, most_s: int) -> int:
        """Make the step that is due; returns the seconds of it."""
        step = max(-most_s, min(most_s, self.slew_s))
        self.offset_ms += step * MS_PER_S
        self.slew_s -= step
        self.slewed_s += step
        # A step back shows second 30 once more; the next one waits for the next minute.
        self.slew_after_ms = at_ms + MS_PER_MINUTE // 2
        return step
