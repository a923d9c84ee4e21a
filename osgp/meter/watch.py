"""Conditions that count when they last: a stretch that begins, is confirmed after its time, and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .draw import Columns


@dataclass(slots=True)
class Stretch:
    """A condition of the mains that is looked at whenever the mains change.

    Args:
        hold_ms: how long it must last.    farther: which of two values is the more extreme, min or max.

    Attributes:
        since_ms: instant at which it began, None while it does not hold.    confirmed: it has lasted long enough.
        extreme: lowest or highest value of the running or last stretch.
    """

    hold_ms: int = 0
    farther: Callable[[int, int], int] = max
    since_ms: int | None = None
    confirmed: bool = False
    extreme: int = 0

    def look(self, holds: bool, value: int, at_ms: int) -> tuple[int, int] | None:
        """The condition at an instant; (begin, extreme) of a stretch that ended here and was long enough."""
        ended = None
        if holds:
            if self.since_ms is None:
                self.since_ms, self.extreme = at_ms, value
            self.extreme = self.farther(self.extreme, value)
        elif self.since_ms is not None:
            if at_ms - self.since_ms >= self.hold_ms:
                ended = (self.since_ms, self.extreme)
            self.drop()
        return ended

    def drop(self) -> None:
        """Forget the running stretch."""
        self.since_ms, self.confirmed = None, False

    def due_ms(self) -> int | None:
        """Instant at which it will have lasted long enough, None: it does not run or has been confirmed."""
        return None if self.since_ms is None or self.confirmed else self.since_ms + self.hold_ms

    def confirm(self, at_ms: int) -> bool:
        """Whether it has just become long enough."""
        due = self.due_ms()
        if due is None or at_ms < due:
            return False
        self.confirmed = True
        return True


@dataclass(slots=True)
class LoadWatch:
    """A quantity of the load, whose future is known piece by piece, above a limit.

    Args:
        value: the quantity, of each of some pieces.    hold_ms: how long it must stay above the limit.

    Attributes:
        due_ms: instant at which it has lasted long enough, None: not in sight.    active: it has been reported and lasts.
        end_ms: instant at which a reported one ends, None: not in sight.
    """

    value: Callable[[Columns], Sequence[float]]
    hold_ms: int
    active: bool = False
    due_ms: int | None = None
    end_ms: int | None = None

    def scan(self, columns: Iterable[Columns], limit: float, now_ms: int) -> None:
        """Look ahead over the pieces from `hold_ms` before now to the horizon; columns must follow each other."""
        self.due_ms = self.end_ms = None
        since: int | None = None
        active, hold_ms = self.active, self.hold_ms
        for column in columns:
            bounds = column.bounds
            for place, value in enumerate(self.value(column)):
                if value > limit:
                    if since is None:
                        since = bounds[place]
                    if not active and bounds[place + 1] - since >= hold_ms and bounds[place + 1] > now_ms:
                        self.due_ms = max(since + hold_ms, now_ms)
                        return
                    continue
                since = None
                if active and bounds[place + 1] > now_ms:
                    self.end_ms = max(bounds[place], now_ms)
                    return
