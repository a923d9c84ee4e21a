"""A latching switch that takes its time: closed, closing, open, opening; at least ten seconds between operations.

    command --> opening or closing --> random delay, rest of the ten seconds, travel --> open or closed
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

GAP_MS: Final = 10_000  # between two operations; grade A
TRAVEL_MS: Final = 100  # until the contacts have moved; grade D


class SwitchState(IntEnum):
    """ET23.disconnect_state; grade A."""

    CLOSED = 0
    CLOSING = 1
    OPEN = 2
    OPENING = 3


@dataclass(slots=True)
class Switch:
    """One switch.

    Attributes:
        closed: what was done last.    due_ms: instant at which the pending operation is done, None: nothing is pending.
        done_ms: instant of the last operation, None: never.
    """

    closed: bool = True
    due_ms: int | None = None
    done_ms: int | None = None

    @property
    def state(self) -> SwitchState:
        """Commanded state."""
        if self.due_ms is None:
            return SwitchState.CLOSED if self.closed else SwitchState.OPEN
        return SwitchState.OPENING if self.closed else SwitchState.CLOSING

    @property
    def wanted(self) -> bool:
        """Whether it is closed, or will be when the pending operation is done."""
        return self.closed if self.due_ms is None else not self.closed

    def command(self, closed: bool, at_ms: int, delay_ms: int = 0) -> bool:
        """Want another state; False when there is nothing to do. A pending operation is taken back by the opposite command."""
        if closed == self.wanted:
            return False
        if self.due_ms is not None:
            self.due_ms = None
            return False
        ready_ms = 0 if self.done_ms is None else self.done_ms + GAP_MS
        self.due_ms = max(at_ms + delay_ms + TRAVEL_MS, ready_ms)
        return True

    def ready(self, at_ms: int) -> bool:
        """Whether ten seconds have passed since the last operation."""
        return self.done_ms is None or at_ms >= self.done_ms + GAP_MS

    def complete(self, at_ms: int) -> bool:
        """Whether the pending operation is done now."""
        if self.due_ms is None or at_ms < self.due_ms:
            return False
        self.closed = not self.closed
        self.done_ms, self.due_ms = at_ms, None
        return True
