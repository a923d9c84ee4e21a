"""What a control relay should do: four modes, each with a state and an end, of which the highest that holds decides.

    maintenance > locked > remote > local          ET89.relays, grade A for the modes and their fields, D for what they mean
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

REMAINING_MAX: Final = 262_143  # s; grade A
OPEN, CLOSED, UNKNOWN = 0, 1, 2  # states in ET89; grade A


class RelayMode(IntEnum):
    """ET89.relays.op_mode; grade A."""

    MAINTENANCE = 0
    LOCKED = 1
    REMOTE = 2
    LOCAL = 3


@dataclass(slots=True)
class Hold:
    """A mode that holds.    closed: what the relay does in it.    until_ms: its end, None: it does not expire."""

    closed: bool
    until_ms: int | None = None


@dataclass(slots=True)
class RelayModes:
    """The modes of one relay.    holds: those that hold, by mode; LOCAL always does."""

    holds: dict[RelayMode, Hold] = field(default_factory=lambda: {RelayMode.LOCAL: Hold(True)})

    @property
    def mode(self) -> RelayMode:
        """The mode that decides."""
        return min(self.holds)

    @property
    def closed(self) -> bool:
        """What the relay should do."""
        return self.holds[self.mode].closed

    def hold(self, mode: RelayMode, closed: bool, until_ms: int | None = None) -> None:
        """A mode holds from now on."""
        self.holds[mode] = Hold(closed, until_ms)

    def release(self, *modes: RelayMode) -> None:
        """Modes hold no longer."""
        for mode in modes:
            if mode is not RelayMode.LOCAL:
                self.holds.pop(mode, None)

    def expire(self, at_ms: int) -> bool:
        """Drop what has expired; whether anything has."""
        over = [mode for mode, hold in self.holds.items() if hold.until_ms is not None and at_ms >= hold.until_ms]
        self.release(*over)
        return bool(over)

    def next_ms(self) -> int | None:
        """When the next mode expires."""
        return min((hold.until_ms for hold in self.holds.values() if hold.until_ms is not None), default=None)

    def record(self, at_ms: int) -> dict[str, Any]:
        """An element of ET89.relays."""
        values: dict[str, Any] = {"op_mode": int(self.mode)}
        for mode in RelayMode:
            hold, name = self.holds.get(mode), mode.name.lower()
            left = 0 if hold is None or hold.until_ms is None else max(0, hold.until_ms - at_ms + 999) // 1000
            values[f"{name}_remaining"] = min(left, REMAINING_MAX)
            values[f"{name}_no_expire"] = hold is not None and hold.until_ms is None
            values[f"{name}_state"] = UNKNOWN if hold is None else CLOSED if hold.closed else OPEN
        return values
