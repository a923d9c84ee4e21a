"""How far a campaign is: a line that is written over on a terminal, plain lines elsewhere; both on stderr."""

import sys
import time
from collections.abc import Sequence
from typing import Final

from .plan import Plan
from .runner import PointState, Status

_EVERY_S: Final = 0.2
_UNITS: Final = (("s", 1), ("min", 60), ("h", 3600))


class Progress:
    """Writes where the campaign is. Call it with every status.

    Args:
        plan: to name the points.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown_at = 0.0
        self._width = 0
        self.states: Sequence[PointState] = ()

    def __call__(self, status: Status) -> None:
        now = time.monotonic()
        for k in status.finished:
            state, point = self.states[k], self._plan.campaign.points[k]
            where = ", ".join(f"{name} {value}" for name, value in point.coordinates.items())
            found = ", ".join(
                f"{receiver.name} {tally.errors / state.packets:.3g}"
                for receiver, tally in zip(state.setup.receivers, state.totals, strict=True)
            )
            self._line(f"{where}: {found} of {state.packets} packets")
        if self._terminal and (now - self._shown_at > _EVERY_S or status.points_done == status.points):
            self._shown_at = now
            text = f"{status.points_done} of {status.points} points, {self._left(status, now)}"
            sys.stderr.write("\r" + text.ljust(self._width))
            self._width = len(text)
            sys.stderr.flush()

    def _left(self, status: Status, now: float) -> str:
        if status.points_done == status.points:
            return "done"
        if not status.packets_now:
            return "starting"
        seconds = status.packets_left * (now - self._started) / status.packets_now
        unit, size = next((u for u in _UNITS if seconds < 100 * u[1]), ("days", 86_400))
        return f"{status.packets_now} packets now, about {seconds / size:.0f} {unit} left"

    def _line(self, text: str) -> None:
        if self._terminal:
            sys.stderr.write("\r" + " " * self._width + "\r")
            self._width = 0
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the terminal at the start of a line."""
        if self._terminal and self._width:
            sys.stderr.write("\n")
            sys.stderr.flush()
