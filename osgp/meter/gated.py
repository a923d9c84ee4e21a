"""What the meter measured between two instants: a load behind the contactor and the phases that have voltage.

    draw --> gates: which phases are on since when --> between(start, end)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from .draw import ALL_ON, DAY_MS, NO_FLOW, Columns, Draw, Flow, Piece

KEPT_MS: Final = 26 * 3_600_000  # how far back questions may reach: the longest averaging time is a day


class GatedDraw:
    """A draw with phases that are switched on and off.

    Args:
        draw: the load.    origin_ms: ms from 00:00 of the load's day 0 to the instant 0 of the meter.
    """

    def __init__(self, draw: Draw, origin_ms: int) -> None:
        self._draw, self._origin = draw, origin_ms
        self._instants = [0]
        self._masks = [ALL_ON]

    @property
    def mask(self) -> int:
        """Phases that are on: bit k is phase k."""
        return self._masks[-1]

    def mask_at(self, at_ms: int) -> int:
        """Phases that were on at an instant."""
        return self._masks[max(0, bisect_right(self._instants, at_ms) - 1)]

    def switch(self, at_ms: int, mask: int) -> None:
        """From an instant on, not before the last one, other phases are on."""
        if self._masks[-1] == mask:
            return
        if self._instants[-1] == at_ms:
            self._instants.pop()
            self._masks.pop()
        self._instants.append(at_ms)
        self._masks.append(mask)
        oldest = bisect_right(self._instants, at_ms - KEPT_MS) - 1
        if oldest > 0:
            del self._instants[:oldest], self._masks[:oldest]

    def between(self, start_ms: int, end_ms: int) -> Flow:
        """What was measured from one instant to another."""
        total: Flow = NO_FLOW
        for start, end, mask in self._spans(start_ms, end_ms):
            if not mask:
                continue
            span = (self._origin + start, self._origin + end)
            flow = self._draw.between(*span) if mask == ALL_ON else self._draw.masked(*span, mask)
            total = flow if total is NO_FLOW else tuple([a + b for a, b in zip(total, flow, strict=True)])
        return total

    def pieces(self, start_ms: int, end_ms: int) -> Iterator[tuple[Piece, int]]:
        """Stretches of constant power with the phases that are on, in ms of the meter. Zero-length stretches do not occur."""
        for start, end, mask in self._spans(start_ms, end_ms):
            for piece in self._draw.pieces(self._origin + start, self._origin + end):
                yield Piece(piece.start_ms - self._origin, piece.end_ms - self._origin, piece.power), mask

    def columns(self, start_ms: int, end_ms: int) -> Iterator[Columns]:
        """The same in columns; each has one set of phases that are on."""
        for start, end, mask in self._spans(start_ms, end_ms):
            yield from self._draw.columns(self._origin + start, self._origin + end, self._origin, mask)

    def _spans(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, int]]:
        if self._instants[-1] <= start_ms:
            if start_ms < end_ms:
                yield start_ms, end_ms, self._masks[-1]
            return
        place = max(0, bisect_right(self._instants, start_ms) - 1)
        while place < len(self._instants):
            start = max(start_ms, self._instants[place]) if place else start_ms
            end = min(end_ms, self._instants[place + 1]) if place + 1 < len(self._instants) else end_ms
            if start < end:
                yield start, end, self._masks[place]
            place += 1

    def gates(self) -> list[tuple[int, int]]:
        """(instant, mask), for a saved state."""
        return list(zip(self._instants, self._masks, strict=True))

    def set_gates(self, gates: list[tuple[int, int]]) -> None:
        """Take them back."""
        self._instants = [instant for instant, _ in gates] or [0]
        self._masks = [mask for _, mask in gates] or [ALL_ON]


def end_of_day(at_ms: int) -> int:
    """The next multiple of a day after an instant."""
    return (at_ms // DAY_MS + 1) * DAY_MS
