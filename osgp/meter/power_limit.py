"""Limits of power and current that open the contactor: momentary ones of ET05 and ET30, the average one of ET80.

    pieces of the load ahead --> first instant at which the limit has been exceeded long enough
    energy of the last main interval --> average power
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..store import TableStore
from .draw import DAY_MS, FORWARD, Columns
from .measuring import Measuring
from .watch import LoadWatch

BY_CURRENT: Final = 1  # ET46.disconnect_control_type; grade A
MULTIPLIERS: Final = range(1, 16)  # ET80; grade A


@dataclass(frozen=True, slots=True)
class Limit:
    """What is in force.    power: W, 0: none.    current: mA in any phase, 0: none.    hold_ms: how long."""

    power: int = 0
    current: int = 0
    hold_ms: int = 0


@dataclass(frozen=True, slots=True)
class AverageLimit:
    """ET80.    sub_ms: sub-interval.    main_ms: what is averaged.    threshold: W."""

    sub_ms: int
    main_ms: int
    threshold: int


def read_limit(store: TableStore, by_current: bool) -> Limit:
    """The momentary limit of ET05 and ET30 at the level in force."""
    if not store["ET05.power_limits"]:
        return Limit()
    level = "secondary" if store["ET30.secondary_level"] else "primary"
    hold_ms = 1000 * int(store["ET30.hold_seconds"])
    if by_current:
        return Limit(current=int(store[f"ET30.{level}_max_current"]), hold_ms=hold_ms)
    return Limit(power=int(store[f"ET05.{level}_max_power"]), hold_ms=hold_ms)


def read_average(store: TableStore) -> AverageLimit | None:
    """The average limit; None when it is off or its times are none that the guide allows."""
    if "ET80" not in store or not store["ET80.enabled"]:
        return None
    seconds, multiplier = int(store["ET80.sub_interval"]), int(store["ET80.multiplier"])
    if not divides(seconds) or multiplier not in MULTIPLIERS:
        return None
    return AverageLimit(1000 * seconds, 1000 * seconds * multiplier, int(store["ET80.threshold"]))


def divides(seconds: int) -> bool:
    """The divisor rule of averaging times: a divisor of 60 s, minutes that divide 60, or hours that divide 24; grade A."""
    if seconds <= 0:
        return False
    for unit, whole in ((1, 60), (60, 60), (3600, 24)):
        if seconds % unit == 0 and seconds // unit <= whole and whole % (seconds // unit) == 0:
            return True
    return False


class LimitWatch:
    """Looks ahead for the instant at which a limit opens the contactor.

    Args:
        measuring: the load.    nominal_voltage: V, for currents.

    Attributes:
        due_ms: when the momentary limit opens, None: not in sight.    horizon_ms: how far ahead was looked, None: not at all.
    """

    def __init__(self, measuring: Measuring, nominal_voltage: float) -> None:
        self._measuring, self._voltage = measuring, nominal_voltage
        self._limit = Limit()
        self._watch = LoadWatch(self._quantity, 0)
        self._average: AverageLimit | None = None
        self._sub_ms: int | None = None
        self.horizon_ms: int | None = None

    def configure(self, limit: Limit, average: AverageLimit | None, at_ms: int) -> None:
        """Other limits are in force."""
        self._limit, self._average = limit, average
        self._watch.hold_ms = limit.hold_ms
        self._sub_ms = None if average is None else (at_ms // average.sub_ms + 1) * average.sub_ms
        self.look(at_ms)

    def look(self, at_ms: int) -> None:
        """Look ahead anew: the load, the mains or the contactor have changed."""
        self._watch.active = False
        self._scan(at_ms)

    def _scan(self, at_ms: int) -> None:
        if not (self._limit.power or self._limit.current):
            self._watch.due_ms = self._watch.end_ms = self.horizon_ms = None
            return
        ahead = (at_ms // DAY_MS + 1) * DAY_MS
        self.horizon_ms = min(ahead, self._measuring.disturbances.next_change(at_ms))
        start = max(0, at_ms - self._limit.hold_ms)
        limit = self._limit.power or self._limit.current
        self._watch.scan(self._measuring.gated.columns(start, self.horizon_ms), limit, at_ms)

    def _quantity(self, columns: Columns) -> Sequence[float]:
        """What is limited: the power of all phases, or the largest current of a phase."""
        if self._limit.power:
            return columns.watts()
        currents = [columns.current_ma(phase, self._voltage) for phase in range(self._measuring.phases)]
        return currents[0] if len(currents) == 1 else list(map(max, *currents))

    def next_ms(self) -> int | None:
        """When to ask `exceeded` again."""
        if self.horizon_ms is None and self._sub_ms is None:  # no limit is in force, the usual case
            return None
        instants = [self._watch.due_ms, self._watch.end_ms, self.horizon_ms, self._sub_ms]
        return min((one for one in instants if one is not None), default=None)

    def exceeded(self, at_ms: int) -> bool:
        """Whether a limit has just been exceeded for long enough."""
        found = False
        watch = self._watch
        if watch.due_ms is not None and at_ms >= watch.due_ms:
            found = watch.active = True
            self._scan(at_ms)
        elif (watch.end_ms is not None and at_ms >= watch.end_ms) or (
            self.horizon_ms is not None and at_ms >= self.horizon_ms
        ):
            if watch.end_ms is not None and at_ms >= watch.end_ms:
                watch.active = False
            self._scan(at_ms)
        if self._average is not None and self._sub_ms is not None and at_ms >= self._sub_ms:
            found |= self._too_much(self._average, at_ms)
        return found

    def _too_much(self, average: AverageLimit, at_ms: int) -> bool:
        end_ms = at_ms // average.sub_ms * average.sub_ms
        self._sub_ms = end_ms + average.sub_ms
        if end_ms < average.main_ms:
            return False
        flow = self._measuring.gated.between(end_ms - average.main_ms, end_ms)
        return flow[FORWARD] > average.threshold * average.main_ms
