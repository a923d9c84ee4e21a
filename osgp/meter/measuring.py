"""The measuring subsystem: the load and the mains become flows, registers and present values; outages come and go.

    load, contactor --> gated flows --> registers (total, tariff in force)
    mains --> disturbances --> power down, power up
          --> present, average and extreme values by source id
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import ClassVar, Final

from ..errors import TableError
from .disturbance import Disturbances, SupplyState
from .draw import NO_FLOW, Draw, Flow
from .gated import GatedDraw
from .load import Household, LoadModel
from .present import AVERAGES, CONTINUOUS, EXTREMES, Readings, phases_on, present_values
from .registers import REGISTERS, Registers, RegisterState
from .signals import Alarm, LoadSwitched, PowerDown, PowerUp, Signal, TariffSwitched
from .subsystem import Host, Subsystem
from .timekeeping import MS_PER_S, to_ms, to_seconds

RIDE_THROUGH_MS: Final = 250  # shorter gaps do not stop the meter; grade A ("about 250 ms")
OUTAGE_PERCENT: Final = 72  # ET04.outage_detection_threshold; grade A
AVERAGE_MS: Final = 600_000  # ET55.average_voltage_seconds, ET09.average_current_interval; grade A
MS_PER_HOUR: Final = 3_600_000
# Alarms that the error counter counts; grade A.
ERRORS: Final = frozenset(("ram_failure", "nv_memory_failure", "clock_error", "measurement_error", "data_backup_incomplete"))
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class _Kinds:
    """What must be worked out for some sources.    registers: those that are.    present: any other."""

    registers: tuple[int, ...]
    present: bool
    continuous: bool
    averages: bool
    extremes: frozenset[int]


@lru_cache(maxsize=256)
def _kinds(sources: tuple[int, ...]) -> _Kinds:
    registers = tuple(one for one in sources if one in REGISTERS)
    rest = frozenset(sources) - REGISTERS
    return _Kinds(registers, bool(rest), bool(rest & CONTINUOUS), bool(rest & AVERAGES), rest & EXTREMES)


class Measuring(Subsystem):
    """What flows through the meter. It owns no table: billing and profile ask it.

    Attributes:
        registers: the billing registers.    flow: W times ms since the meter was first started, see `draw`.
        disturbances: of the mains.    readings: averages and extremes.    gated: the measured load.
        tier: tariff in force, set by TariffSwitched signals.    measuring: false while the meter has no power.
    """

    name: ClassVar[str] = "measuring"
    unpowered: ClassVar[bool] = True

    def attach(self, host: Host) -> None:
        self._host = host
        config = host.config
        settings = config.metering
        self._mains = config.mains
        self._origin_ms = round(config.second_of_day() * MS_PER_S)
        load: LoadModel = config.load or Household(
            config.seed, phases=config.phases, pv_peak=config.pv_peak, size=config.size,
            heat_pump=settings.heat_pump, car=settings.car, first_day=settings.first_day(config.local(0.0)),
        )  # fmt: skip
        self.phases = load.phases
        self._draw = Draw(load, self._mains.nominal_voltage)
        self.gated = GatedDraw(self._draw, self._origin_ms)
        self.disturbances = Disturbances(self._mains.disturbances, self._mains.rates, self._mains.seed)
        self.readings = Readings(self.gated, self._mains, self.disturbances, self._origin_ms, self.phases)
        self.registers = Registers(
            config.initial_registers, tiers=settings.tiers, unit=settings.energy_unit, digits=settings.rollover_digits,
            ratio=settings.transformer_ratio,
        )  # fmt: skip
        self._pulse_rates = settings.pulses_per_hour
        self.flow: Flow = NO_FLOW
        self._averaged: tuple[int, dict[int, int]] = (-1, {})
        self.tier = 0
        self._at_ms = to_ms(host.now)
        self._connected = True
        self.measuring = True
        self._down_ms = 0
        self._up_ms: int | None = None  # when the supply comes back, while it is the supply that is gone
        self._restored = False
        self._change_ms = self._at_ms  # next instant to look at the supply

    def start(self, now: float) -> None:
        if self._restored:
            self._change_ms = self.disturbances.next_change(self._at_ms)
        else:
            self._supply()

    # time

    def count(self, now: float) -> None:
        """Count up to an instant; nothing happens when that is done already."""
        at_ms = to_ms(now)
        if at_ms <= self._at_ms or not self.measuring:
            self._at_ms = max(self._at_ms, at_ms)
            return
        flow = self.gated.between(self._at_ms, at_ms)
        self.flow = tuple([a + b for a, b in zip(self.flow, flow, strict=True)])
        self.registers.count(flow, self.tier)
        for number, rate in enumerate(self._pulse_rates):
            if pulses := at_ms * rate // MS_PER_HOUR - self._at_ms * rate // MS_PER_HOUR:
                self.registers.pulse(number, pulses)
        self._at_ms = at_ms

    def advance(self, now: float) -> None:
        self.count(now)
        if self._up_ms is not None:
            if to_ms(now) >= self._up_ms:
                self._host.power_up(to_seconds(self._up_ms))
        elif self.measuring and to_ms(now) >= self._change_ms:
            self._supply()

    def next_timer(self) -> float | None:
        if self._up_ms is not None:
            return to_seconds(self._up_ms)
        return to_seconds(self._change_ms) if self.measuring else None

    def _supply(self) -> None:
        """Look at the mains: what appliances see, whether the meter goes down, when to look again."""
        at_ms = self._at_ms
        state = self.disturbances.state(at_ms)
        self._change_ms = self.disturbances.next_change(at_ms)
        self._switch(at_ms, state)
        if self._lives_on(state):
            return
        up_ms = self._change_ms
        while not self._lives_on(self.disturbances.state(up_ms)):
            up_ms = self.disturbances.next_change(up_ms)
        if up_ms - at_ms >= RIDE_THROUGH_MS:
            self._up_ms = up_ms
            self._host.power_down(to_seconds(at_ms))

    def _lives_on(self, state: SupplyState) -> bool:
        return max(state.percent[: self.phases]) >= OUTAGE_PERCENT

    def _switch(self, at_ms: int, state: SupplyState) -> None:
        self.gated.switch(at_ms, phases_on(state) if self._connected and self.measuring else 0)

    def connect(self, connected: bool, now: float) -> None:
        """The contactor closes or opens."""
        self.count(now)
        self._connected = connected
        self._switch(self._at_ms, self.disturbances.state(self._at_ms))
        self.touch()
        self._host.signal(LoadSwitched(connected), now)

    def pulse(self, number: int, now: float, count: int = 1) -> None:
        """Pulses arrive at input 0 or 1."""
        self.count(now)
        self.registers.pulse(number, count)
        self.touch()

    def on_signal(self, signal: Signal, now: float) -> None:
        match signal:
            case TariffSwitched():
                self.count(now)
                self.tier = signal.tier
                self.touch()
            case Alarm() if signal.raised and signal.name in ERRORS:
                self.registers.error()
                self.touch()
            case PowerDown():
                self.count(now)
                self.measuring, self._down_ms = False, self._at_ms
                self.gated.switch(self._at_ms, 0)
                self.touch()
            case PowerUp():
                self._at_ms = max(self._at_ms, to_ms(now))
                self.measuring, self._up_ms = True, None
                self.registers.outage(self._at_ms - self._down_ms)
                self.touch()
                self._change_ms = self._at_ms
                self._switch(self._at_ms, self.disturbances.state(self._at_ms))

    # values

    def state(self) -> SupplyState:
        """Disturbances now."""
        return self.disturbances.state(self._at_ms)

    def voltage_mv(self, phase: int, at_ms: int) -> int:
        """Voltage of a phase at an instant not after now."""
        at = (self._origin_ms + at_ms) / MS_PER_S
        power = self._draw.power(self._origin_ms + at_ms)
        p, q = power.active[phase], power.reactive[phase]
        on = self.gated.mask_at(at_ms) >> phase & 1
        current = math.copysign(math.hypot(p, q), p) / self._mains.nominal_voltage if on else 0.0
        return round(10 * self._mains.voltage(at, phase, current) * self.disturbances.state(at_ms).percent[phase])

    def frequency_mhz(self, at_ms: int) -> int:
        """Frequency at an instant."""
        wandering = round(1000 * self._mains.frequency((self._origin_ms + at_ms) / MS_PER_S))
        return wandering + self.disturbances.state(at_ms).frequency_mhz

    def values(self, sources: Sequence[int], now: float, since_ms: int = 0) -> dict[int, int]:
        """Values by source id, extremes since `since_ms`; ids that this meter has no value for are left out."""
        found = self._groups(_kinds(tuple(sources)), now, since_ms)
        return {source: found[source] for source in sources if source in found}

    def listed(self, sources: tuple[int, ...], now: float) -> tuple[int, ...]:
        """Values of sources in their order, 0 where this meter has none."""
        found = self._groups(_kinds(sources), now, 0)
        return tuple([found.get(source, 0) for source in sources])

    def _groups(self, kinds: _Kinds, now: float, since_ms: int) -> dict[int, int]:
        """At least the values asked for."""
        self.count(now)
        groups = self._present(kinds.continuous) if kinds.present else {}
        if kinds.averages:
            groups |= self._averages()
        if kinds.extremes:
            groups |= self.readings.extremes(since_ms, self._at_ms, self.registers.ratio, kinds.extremes)
        for source in kinds.registers:
            groups[source] = self.registers.value(source) or 0
        return groups

    def _present(self, continuous: bool) -> dict[int, int]:
        at = (self._origin_ms + self._at_ms) / MS_PER_S
        return present_values(
            self._draw.power(self._origin_ms + self._at_ms), self._mains, at, self.state(), self.gated.mask,
            self.registers.ratio, continuous,
        )

    def _averages(self) -> dict[int, int]:
        """Averages of the last whole averaging time on the meter's own time scale (grade D: not aligned to the clock)."""
        end_ms = self._at_ms // AVERAGE_MS * AVERAGE_MS
        if self._averaged[0] != end_ms:  # what is over does not change any more
            self._averaged = end_ms, self.readings.averages(max(0, end_ms - AVERAGE_MS), end_ms)
        return self._averaged[1]

    # what must survive

    def snapshot(self) -> bytes:
        state = {
            "at": self._at_ms, "flow": self.flow, "tier": self.tier, "connected": self._connected,
            "measuring": self.measuring, "down": self._down_ms, "up": self._up_ms,
            "gates": self.gated.gates(), "registers": astuple(self.registers.state()),
        }  # fmt: skip
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            self.registers.set_state(RegisterState(*state["registers"]))
            self.gated.set_gates([(instant, mask) for instant, mask in state["gates"]])
            self._at_ms, self.flow, self.tier = state["at"], tuple(state["flow"]), state["tier"]
            self._connected, self.measuring = state["connected"], state["measuring"]
            self._down_ms, self._up_ms = state["down"], state["up"]
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
        self._restored = True

