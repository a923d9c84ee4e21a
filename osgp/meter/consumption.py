"""Tariffs by consumption: over-power (a power that lasts too long) and steps (thresholds of energy in a billing month); ET55.

    load, piece by piece --> power above the threshold long enough --> over-power tariff, until it falls
    flow since the last reset --> thresholds passed --> step tariff --> Timing.force

The instant at which a threshold is passed is exact: the load's future is known. Precedence over the calendar: override ET47,
over-power, steps (grade D).
"""

from __future__ import annotations

import datetime
import json
from typing import ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError, TableError
from ..types import Date
from .draw import DAY_MS, FORWARD, REVERSE, Flow
from .measuring import Measuring
from .registers import WATT_MS_PER_WH
from .signals import ClockChanged, ClockSlewed, LoadSwitched, PowerUp, Signal
from .subsystem import Host, Subsystem
from .timekeeping import milliseconds, to_ms, to_seconds
from .timing import Timing
from .watch import LoadWatch

# Signs of forward and reverse energy in a source; grade A.
POWER_SOURCES: Final = ((1, 1), (1, 0), (1, -1))  # ET55.over_power_source
STEP_SOURCES: Final = ((1, 0), (0, 1), (1, 1), (1, -1))  # ET55.step_source
_VERSION: Final = 1


class Consumption(Subsystem):
    """The over-power and the step tariff.

    Attributes:
        over_power: whether the over-power tariff is in force.    step: thresholds passed in this billing month.
    """

    name: ClassVar[str] = "consumption"
    watches = frozenset(("ET55",))

    def attach(self, host: Host) -> None:
        self._host = host
        measuring, timing = host.find(Measuring), host.find(Timing)
        if measuring is None or timing is None:
            raise ConfigurationError("consumption tariffs need the subsystems Measuring and Timing")
        self._measuring, self._timing = measuring, timing
        self.over_power, self.step = False, 0
        self._watch = LoadWatch(lambda columns: columns.drawn(*self._signs), 0)
        self._limit, self._signs, self._tier = 0, (0, 0), 0
        self._thresholds: tuple[int, ...] = ()
        self._step_signs = (0, 0)
        self._base: Flow = measuring.flow  # what had flowed at the last reset
        self._reset_at: datetime.datetime | None = None  # local time of the next reset
        self._next_ms: int | None = None

    def start(self, now: float) -> None:
        self._configure(now, keep=True)

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        self._configure(now)

    def _configure(self, now: float, keep: bool = False) -> None:
        """Read ET55.    keep: a reset that is due already stays due."""
        value = self._host.store.context.peek("ET55")
        if value is None:
            return
        powers = value.get("consumption_tariff", False) and not value.get("disable_consumption_tariff", False)
        self._limit = value.get("over_power_threshold", 0) if powers else 0
        self._watch.hold_ms = 1000 * value.get("over_power_seconds", 0)
        self._signs = POWER_SOURCES[min(value.get("over_power_source", 0), len(POWER_SOURCES) - 1)]
        self._tier = value.get("over_power_tier", 0)
        steps = value.get("step_tariff", False) and not value.get("disable_step_tariff", False)
        unit = self._measuring.registers.unit * WATT_MS_PER_WH
        self._thresholds = tuple(sorted(one * unit for one in value.get("step_thresholds", ()) if one)) if steps else ()
        self._step_signs = STEP_SOURCES[min(value.get("step_source", 0), len(STEP_SOURCES) - 1)]
        when = [value.get(f"step_reset_{part}", 0) for part in ("day", "hour", "minute", "second")]
        self._reset_time = (max(1, min(28, when[0])), min(23, when[1]), min(59, when[2]), min(59, when[3]))
        if self._thresholds:
            if self._reset_at is None:
                self._base = self._measuring.flow
            if self._reset_at is None or not keep:
                self._reset_at = self._next_reset(now)
        else:
            self._reset_at = None
        self._evaluate(now)

    # time

    def next_timer(self) -> float | None:
        return None if self._next_ms is None else to_seconds(self._next_ms)

    def advance(self, now: float) -> None:
        if self._next_ms is not None and to_ms(now) >= self._next_ms:
            self._evaluate(now)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, PowerUp | LoadSwitched | ClockChanged | ClockSlewed) and (self._limit or self._thresholds):
            if isinstance(signal, ClockChanged) and self._reset_at is not None and signal.new < signal.old:
                self._reset_at = min(self._reset_at, self._next_reset(now))
            self._evaluate(now)

    def _next_reset(self, now: float) -> datetime.datetime:
        local, (day, hour, minute, second) = self._host.clock.local(now), self._reset_time
        reset = local.replace(day=day, hour=hour, minute=minute, second=second, microsecond=0)
        if reset <= local:
            reset = (reset.replace(day=1) + datetime.timedelta(days=32)).replace(day=day)
        return reset

    def _evaluate(self, now: float) -> None:
        self._measuring.count(now)
        at_ms = to_ms(now)
        horizon = min((at_ms // DAY_MS + 1) * DAY_MS, self._measuring.disturbances.next_change(at_ms))
        instants = [horizon]
        self._look_at_power(at_ms, horizon, instants)
        self._look_at_energy(now, at_ms, horizon, instants)
        self._next_ms = max(at_ms + 1, min(instants)) if self._limit or self._thresholds else None
        tier = None
        if self.over_power:
            tier = self._tier
        elif self._thresholds:
            tier = self.step
        self._timing.force(tier, now)
        if "ET54" in self._host.store:
            self._host.store.update("ET54", {"over_power": self.over_power, "step_tariff": bool(self._thresholds)})

    def _look_at_power(self, at_ms: int, horizon: int, instants: list[int]) -> None:
        if not self._limit:
            self.over_power = self._watch.active = False
            return
        watch = self._watch
        for _ in range(2):  # what is due now changes what comes next
            watch.scan(self._measuring.gated.columns(max(0, at_ms - watch.hold_ms), horizon), self._limit, at_ms)
            if watch.due_ms is not None and watch.due_ms <= at_ms:
                watch.active = True
            elif watch.end_ms is not None and watch.end_ms <= at_ms:
                watch.active = False
            else:
                break
        if watch.active != self.over_power:
            self.over_power = watch.active
            self.touch()
        instants += [one for one in (watch.due_ms, watch.end_ms) if one is not None and one > at_ms]

    def _look_at_energy(self, now: float, at_ms: int, horizon: int, instants: list[int]) -> None:
        if not self._thresholds or self._reset_at is None:
            self.step = 0
            return
        local = self._host.clock.local(now)
        if local >= self._reset_at:
            self._base, self.step = self._measuring.flow, 0
            self._reset_at = self._next_reset(now)
            if "ET54" in self._host.store:
                day = Date(local.year - 2000 & 0xFF, local.month, local.day)
                self._host.store.update("ET54", {"last_step_reset": day})
        used = self._used(self._measuring.flow) - self._used(self._base)
        step = sum(one <= used for one in self._thresholds)
        if step != self.step:
            self.step = step
            self.touch()
        instants.append(at_ms + milliseconds(self._reset_at) - milliseconds(local))
        for threshold in (one for one in self._thresholds if one > used):
            crossing = self._crossing(threshold - used, at_ms, horizon)
            if crossing is not None:
                instants.append(crossing)
            break

    def _used(self, flow: Flow) -> int:
        ratio = self._measuring.registers.ratio
        return (self._step_signs[0] * flow[FORWARD] + self._step_signs[1] * flow[REVERSE]) * ratio

    def _crossing(self, missing: int, at_ms: int, horizon: int) -> int | None:
        """Instant at which `missing` W ms more will have been used, None: not before the horizon."""
        ratio = self._measuring.registers.ratio
        forward, reverse = self._step_signs
        for columns in self._measuring.gated.columns(at_ms, horizon):
            bounds = columns.bounds
            for place, rate in enumerate(columns.drawn(forward * ratio, reverse * ratio)):
                gain = rate * (bounds[place + 1] - bounds[place])
                if gain >= missing:
                    return bounds[place] - -missing // rate
                missing -= gain
        return None

    # what must survive

    def snapshot(self) -> bytes:
        reset = None if self._reset_at is None else milliseconds(self._reset_at)
        state = {"active": self._watch.active, "step": self.step, "base": self._base, "reset": reset}
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            self._watch.active = self.over_power = state["active"]
            self.step, self._base = state["step"], tuple(state["base"])
            if state["reset"] is not None:
                self._reset_at = datetime.datetime(2000, 1, 1) + datetime.timedelta(milliseconds=state["reset"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
