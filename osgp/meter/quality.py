"""The power quality subsystem: outages, sags, swells, lost phases, distortion, currents; ET09, ET55 and ET81.

    mains change --> stretches of each condition --> long enough --> alarm, event
                                                 --> over --> count, time, extreme in ET09
    load, piece by piece --> over-current, reverse energy
    average voltages --> DRP, DRC

What disturbances of the mains do decides; the slow wandering of the voltage does not (grade D).
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError, TableError
from ..types import LtimeDate
from .disturbance import SupplyState
from .draw import Columns
from .journal import Journal
from .measuring import Measuring
from .quality_records import CONFIGURATION, DEFAULTS, OFF, read_thresholds, voltage_shares
from .signals import Alarm, LoadSwitched, LogEntry, PowerDown, PowerUp, Signal
from .subsystem import Host, Subsystem
from .timekeeping import to_ms, to_seconds
from .watch import LoadWatch, Stretch

POWER_DOWN, POWER_UP = 1, 2  # event ids; spec/events.json
REVERSE, PHASE_LOSS, DISTORTION, SAG, SWELL = 48, 68, 93, 98, 99
UNBALANCED, MOMENTARY_SAG, MOMENTARY_SWELL, OVER_CURRENT, SAG2 = 3000, 3030, 3031, 3032, 3033
POWER_FAILURE_CAUSE: Final = 3  # ET09.outages.reset_cause; grade A
FREQUENCY_EVERY_MS: Final = 3_600_000  # how often minimum and maximum frequency are looked at: grade D
LOOK_AHEAD_MS: Final = 4 * 3_600_000  # a look at the load ahead must not hold up a request
SMALL_COUNTER, COUNTER = 0xFFFF, 0xFFFFFFFF  # largest values of UINT16 and UINT32
CROSSINGS: Final = 12  # DRP/DRC entries kept; grade A
_VERSION: Final = 1


class Quality(Subsystem):
    """ET09 and ET55; records of ET81 go to the journal.

    Attributes:
        momentary: momentary disturbances so far, (sags, swells): no table field is known for them.
    """

    name: ClassVar[str] = "quality"
    watches = frozenset(("ET04", "ET09", "ET55"))

    def attach(self, host: Host) -> None:
        self._host = host
        measuring, journal = host.find(Measuring), host.find(Journal)
        if measuring is None or journal is None:
            raise ConfigurationError("power quality needs the subsystems Measuring and Journal")
        self._measuring, self._journal = measuring, journal
        settings = host.config.metering
        host.store.encode("ET55", CONFIGURATION | {"energy_register_unit": settings.energy_unit} | dict(settings.configuration))
        host.store.encode("ET09", DEFAULTS | dict(settings.quality))
        phases = range(measuring.phases)
        self._phases = phases
        self._sag = [Stretch(farther=min) for _ in phases]
        self._swell = [Stretch() for _ in phases]
        self._sag2 = [Stretch(farther=min) for _ in phases]
        self._loss = [Stretch() for _ in phases]
        self._dip = [Stretch(farther=min) for _ in phases]
        self._rise = [Stretch() for _ in phases]
        self._distortion = Stretch()
        self._broken, self._zero_fault = Stretch(), Stretch()
        volts = host.config.mains.nominal_voltage
        self._over = [LoadWatch(partial(Columns.current_ma, phase=phase, nominal_voltage=volts), 0) for phase in phases]
        self._reverse = [LoadWatch(partial(Columns.fed_in_ma, phase=phase, nominal_voltage=volts), 0) for phase in phases]
        self._reported = 0  # phases whose reverse energy has been reported
        self.momentary = (0, 0)
        self._hold_until_ms = 0
        self._change_ms = 0
        self._scan_ms = self._horizon_ms = 0
        self._frequency_ms = 0
        self._average_ms = 0
        self._averages: list[deque[int]] = [deque() for _ in phases]
        self._on = True
        self._restored = False

    def start(self, now: float) -> None:
        self._configure()
        if not self._restored:
            self._look(to_ms(now))
        self._scan(to_ms(now))

    def _configure(self) -> None:
        at = self.thresholds = read_thresholds(self._host.store)
        for stretches, hold in (
            (self._sag, at.sag_swell_ms), (self._swell, at.sag_swell_ms), (self._sag2, at.sag2_ms), (self._loss, at.loss_ms),
        ):  # fmt: skip
            for stretch in stretches:
                stretch.hold_ms = hold
        self._distortion.hold_ms = at.thd_ms
        self._broken.hold_ms, self._zero_fault.hold_ms = at.broken_ms, at.zero_fault_ms
        for watch in self._over:
            watch.hold_ms = at.over_current_ms
        for watch in self._reverse:
            watch.hold_ms = at.reverse_ms
        self._averaging = bool(at.proper_mv[1])

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        before = self.thresholds
        self._configure()
        if self.thresholds != before:
            self._scan(to_ms(now))

    # time

    def next_timer(self) -> float | None:
        instants = [self._change_ms, self._scan_ms, self._frequency_ms]
        if self._averaging:
            instants.append(self._average_ms)
        return to_seconds(min(instants))

    def advance(self, now: float) -> None:
        at_ms = to_ms(now)
        if at_ms >= self._frequency_ms:
            self._look_at_frequency(at_ms)
            self._frequency_ms = (at_ms // FREQUENCY_EVERY_MS + 1) * FREQUENCY_EVERY_MS
        if self._averaging and at_ms >= self._average_ms:
            self._average(at_ms)
        if at_ms >= self._change_ms:
            self._look(at_ms)
        if at_ms >= self._scan_ms:
            self._report_load(at_ms)
            if at_ms >= self._horizon_ms:
                self._scan(at_ms)
            else:
                self._plan_load(at_ms)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, PowerDown):
            self._on = False
            for stretch in self._all_stretches():
                stretch.drop()
        elif isinstance(signal, PowerUp):
            self._on = True
            self._hold_until_ms = to_ms(now) + self.thresholds.hold_ms
            self._outage(signal.off_s, now)
            self._look(to_ms(now))
            self._scan(to_ms(now))
        elif isinstance(signal, LoadSwitched):
            self._scan(to_ms(now))

    def _all_stretches(self) -> list[Stretch]:
        each = (*self._sag, *self._swell, *self._sag2, *self._loss, *self._dip, *self._rise)
        return [*each, self._distortion, self._broken, self._zero_fault]

    # outages

    def _outage(self, off_s: float, now: float) -> None:
        at, store, clock = self.thresholds, self._host.store, self._host.clock
        off_ms, down = round(1000 * off_s), now - off_s
        self._host.signal(Alarm("power_failure"), now)
        if off_ms >= at.events_outage_ms:
            self._host.signal(LogEntry(POWER_DOWN, at=down), now)
            self._host.signal(LogEntry(POWER_UP), now)
        if off_ms < at.long_outage_ms:
            store.update("ET09", {"short_outage_count": self._one_more("short_outage_count", COUNTER)})
            return
        record = {
            "power_on": LtimeDate.of(clock.utc(now)), "reset_cause": POWER_FAILURE_CAUSE,
            "power_off": LtimeDate.of(clock.utc(down)), "duration": off_ms // 1000,
        }  # fmt: skip
        outages = store["ET09.outages"]
        store.update("ET09", {"outages": [record, *outages[:-1]]})
        self._journal.append("ET81", LtimeDate.of(clock.local(down)).encode() + LtimeDate.of(clock.local(now)).encode(), now)

    # the mains

    def _look(self, at_ms: int) -> None:
        """Look at the mains: stretches begin, are confirmed and end."""
        if not self._on:
            return
        measuring = self._measuring
        state = measuring.disturbances.state(at_ms)
        recording = at_ms >= self._hold_until_ms
        for phase in self._phases:
            self._look_at_phase(phase, state.percent[phase], at_ms, recording)
        self._look_at_distortion(state, at_ms, recording)
        self._look_at_balance(state, at_ms)
        self._look_at_frequency(at_ms)
        self._confirm(at_ms)
        due = [stretch.due_ms() for stretch in (*self._loss, self._distortion, self._broken, self._zero_fault)]
        instants = [measuring.disturbances.next_change(at_ms), *(one for one in due if one is not None and one > at_ms)]
        if not recording:
            instants.append(self._hold_until_ms)
        self._change_ms = min(instants)
        self.touch()

    def _look_at_phase(self, phase: int, percent: int, at_ms: int, recording: bool) -> None:
        at, volts_mv = self.thresholds, self._measuring.voltage_mv(phase, at_ms)
        self._record("sag1", SAG, phase, self._sag[phase].look(recording and percent < at.sag_percent, volts_mv, at_ms), at_ms)
        self._record(
            "swell", SWELL, phase, self._swell[phase].look(recording and percent > at.swell_percent, volts_mv, at_ms), at_ms
        )
        if at.sag2_percent != 100 - OFF and self._host.config.firmware[:2] >= (4, 10):
            found = self._sag2[phase].look(recording and percent < at.sag2_percent, volts_mv, at_ms)
            self._record("sag2", SAG2, phase, found, at_ms)
        lost = percent < at.loss_percent
        if self._loss[phase].confirmed and not lost:
            self._host.store.update("ET09", {f"phase_loss_l{phase + 1}": False})
        self._loss[phase].look(recording and lost, percent, at_ms)
        if self._host.config.firmware[:2] >= (3, 70):
            self._look_at_momentary(phase, percent, volts_mv, at_ms)

    def _record(self, kind: str, event: int, phase: int, found: tuple[int, int] | None, at_ms: int) -> None:
        """A stretch is over: time, count, extreme value, event."""
        if found is None:
            return
        since_ms, extreme = found
        name, store = f"{kind}_l{phase + 1}", self._host.store
        store.update("ET09", {
            f"{name}_time": self._time(since_ms), f"{name}_count": self._one_more(f"{name}_count"),
            f"{name}_mv": extreme,
        })  # fmt: skip
        self._host.signal(LogEntry(event, (extreme // 1000 & 0xFFFF).to_bytes(2, "little")), to_seconds(at_ms))
        self._host.signal(Alarm("power_quality_event"), to_seconds(at_ms))

    def _look_at_momentary(self, phase: int, percent: int, volts_mv: int, at_ms: int) -> None:
        """Disturbances of some cycles; grade A for the bands, D for the events."""
        store, cycle_ms = self._host.store, 1000 / self._host.config.mains.nominal_frequency
        low, high = store["ET55.mvd_sag_low"], store["ET55.mvd_sag_high"]
        shortest, longest = store["ET55.mvd_min_cycles"] * cycle_ms, store["ET55.mvd_max_cycles"] * cycle_ms
        dip = self._dip[phase].look(low <= percent <= high, volts_mv, at_ms), self._dip
        rise = self._rise[phase].look(percent >= store["ET55.mvd_swell_low"], volts_mv, at_ms), self._rise
        for number, (found, _) in enumerate((dip, rise)):
            if found is not None and shortest <= at_ms - found[0] <= longest:
                sags, swells = self.momentary
                self.momentary = (sags + 1, swells) if number == 0 else (sags, swells + 1)
                argument = (found[1] // 1000 & 0xFFFF).to_bytes(2, "little")
                self._host.signal(LogEntry((MOMENTARY_SAG, MOMENTARY_SWELL)[number], argument), to_seconds(at_ms))

    def _look_at_distortion(self, state: SupplyState, at_ms: int, recording: bool) -> None:
        at, store = self.thresholds, self._host.store
        confirmed = self._distortion.confirmed
        found = self._distortion.look(bool(at.thd) and recording and state.thd > at.thd, state.thd, at_ms)
        if found is None or not confirmed:
            return
        rows = [dict(row) for row in store["ET09.thd"]]
        phases = [dict(row) for row in rows[0]["phases"]]
        for phase in self._phases:
            phases[phase] |= {
                "event_count": min(SMALL_COUNTER, phases[phase]["event_count"] + 1), "event_time": self._time(found[0]),
                "max_thd": found[1], "max_thd_time": self._time(found[0]), "average_thd": found[1],
            }  # fmt: skip
        rows[0]["phases"] = phases
        store.update("ET09", {"thd": rows})
        self._report_distortion(at_ms)

    def _report_distortion(self, at_ms: int) -> None:
        self._host.signal(Alarm("thd_state_changed"), to_seconds(at_ms))
        self._host.signal(LogEntry(DISTORTION), to_seconds(at_ms))

    def _look_at_balance(self, state: SupplyState, at_ms: int) -> None:
        """A broken conductor of the medium voltage, and a zero fault; needs a phase loss threshold of 35 percent or lower."""
        at, percent = self.thresholds, sorted(state.percent)
        if len(self._phases) < 3 or at.loss_percent > 35 or self._host.config.firmware[:2] < (3, 60):
            return
        low, high = at.normal
        normal = percent[2]
        halves = all(abs(2 * one - normal) <= 2 * at.fluctuation for one in percent[:2])
        self._broken.look(low <= normal <= high and halves, 0, at_ms)
        raised = sum(one >= high for one in percent)
        rest = [one for one in percent if one < high]
        fault = bool(at.zero_fault_ms) and raised in (1, 2) and all(at.low_upper <= one <= low for one in rest)
        self._zero_fault.look(fault, 0, at_ms)

    def _confirm(self, at_ms: int) -> None:
        now, store = to_seconds(at_ms), self._host.store
        lost = 0
        for phase in self._phases:
            if self._loss[phase].confirm(at_ms):
                name = f"phase_loss_l{phase + 1}"
                store.update("ET09", {
                    name: True, f"{name}_time": self._time(at_ms),
                    f"{name}_count": self._one_more(f"{name}_count"),
                })  # fmt: skip
                lost |= 1 << phase
        if lost:
            self._host.signal(Alarm("phase_loss"), now)
            self._host.signal(LogEntry(PHASE_LOSS, bytes((lost, 0))), now)
        if self._distortion.confirm(at_ms):
            self._report_distortion(at_ms)
        for stretch in (self._broken, self._zero_fault):
            if stretch.confirm(at_ms):
                self._host.signal(Alarm("unbalanced_voltage"), now)
                self._host.signal(LogEntry(UNBALANCED), now)

    def _look_at_frequency(self, at_ms: int) -> None:
        if not self._on:
            return
        store, value = self._host.store, self._measuring.frequency_mhz(at_ms)
        if not store["ET09.min_frequency"] or value < store["ET09.min_frequency"]:
            store.update("ET09", {"min_frequency": value, "min_frequency_time": self._time(at_ms)})
        if value > store["ET09.max_frequency"]:
            store.update("ET09", {"max_frequency": value, "max_frequency_time": self._time(at_ms)})

    def _one_more(self, name: str, most: int = SMALL_COUNTER) -> int:
        """A counter of ET09, one more; it stops at its largest value (grade D)."""
        return min(most, int(self._host.store[f"ET09.{name}"]) + 1)

    def _time(self, at_ms: int) -> LtimeDate:
        return LtimeDate.of(self._host.clock.utc(to_seconds(at_ms)))

    # the load

    def _scan(self, at_ms: int) -> None:
        """Look ahead some hours, or to the next change of the mains, for currents that last too long."""
        self._horizon_ms = min((at_ms // LOOK_AHEAD_MS + 1) * LOOK_AHEAD_MS, self._measuring.disturbances.next_change(at_ms))
        for watch in self._over:
            self._scan_one(watch, self.thresholds.over_current_ma, at_ms)
        for watch in self._reverse:
            self._scan_one(watch, self._reverse_ma, at_ms)
        self._plan_load(at_ms)

    @property
    def _reverse_ma(self) -> float:
        return self.thresholds.reverse_ma or math.inf  # 0: not looked at

    def _scan_one(self, watch: LoadWatch, limit: float, at_ms: int) -> None:
        watch.scan(self._measuring.gated.columns(max(0, at_ms - watch.hold_ms), self._horizon_ms), limit, at_ms)

    def _plan_load(self, at_ms: int) -> None:
        instants = [one for watch in (*self._over, *self._reverse) for one in (watch.due_ms, watch.end_ms) if one is not None]
        self._scan_ms = max(at_ms + 1, min(self._horizon_ms, *instants, self._horizon_ms))

    def _report_load(self, at_ms: int) -> None:
        now, store = to_seconds(at_ms), self._host.store
        over = 0
        for watches, limit in ((self._over, self.thresholds.over_current_ma), (self._reverse, self._reverse_ma)):
            for phase, watch in enumerate(watches):
                if watch.end_ms is not None and at_ms >= watch.end_ms:
                    watch.active = False
                    self._scan_one(watch, limit, at_ms)
                elif watch.due_ms is not None and at_ms >= watch.due_ms:
                    watch.active = True
                    if watches is self._over:
                        name = f"over_current_l{phase + 1}"
                        store.update("ET09", {name: self._one_more(name, COUNTER)})
                        over |= 1 << phase
                    self._scan_one(watch, limit, at_ms)
        if over:
            self._host.signal(LogEntry(OVER_CURRENT, bytes((over, 0))), now)
        reverse = sum(1 << phase for phase, watch in enumerate(self._reverse) if watch.active)
        if reverse & ~self._reported:
            self._host.signal(Alarm("reverse_energy"), now)
            self._host.signal(LogEntry(REVERSE, bytes((reverse, 0))), now)
        self._reported = reverse
        self.touch()

    # average voltages

    def _average(self, at_ms: int) -> None:
        """DRP and DRC: shares of the averages of a week outside the proper and the medium range, in 0.1 percent; grade A.

        A week that is full gives one entry, then the next begins (grade D).
        """
        at = self.thresholds
        end_ms = at_ms // at.average_ms * at.average_ms
        self._average_ms = end_ms + at.average_ms
        if end_ms < at.average_ms:
            return
        for phase, samples in enumerate(self._averages):
            samples.append(self._measuring.readings.mean_voltage_mv(end_ms - at.average_ms, end_ms, phase))
        if len(self._averages[0]) < at.samples:
            return
        shares = [voltage_shares(samples, at) for samples in self._averages]
        for samples in self._averages:
            samples.clear()
        drp, drc = max(one for one, _ in shares), max(one for _, one in shares)
        store = self._host.store
        row = {"drp": drp, "drc": drc, "time": self._time(end_ms)}
        if "drp_drc" in (store.context.peek("ET09") or ()):
            store.update("ET09", {"drp_drc": [row, *store["ET09.drp_drc"][: CROSSINGS - 1]]})
        self.touch()

    # what must survive

    def snapshot(self) -> bytes:
        running = [(one.since_ms, one.confirmed, one.extreme) for one in self._all_stretches()]
        state: Mapping[str, Any] = {
            "running": running, "active": [one.active for one in (*self._over, *self._reverse)], "reported": self._reported,
            "momentary": self.momentary, "hold": self._hold_until_ms, "averages": [list(one) for one in self._averages],
            "average": self._average_ms, "frequency": self._frequency_ms, "on": self._on,
            "change": self._change_ms,
        }  # fmt: skip
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            for stretch, (since, confirmed, extreme) in zip(self._all_stretches(), state["running"], strict=True):
                stretch.since_ms, stretch.confirmed, stretch.extreme = since, confirmed, extreme
            for watch, active in zip((*self._over, *self._reverse), state["active"], strict=True):
                watch.active = active
            self._averages = [deque(one) for one in state["averages"]]
            self._reported, self.momentary, self._on = state["reported"], tuple(state["momentary"]), state["on"]
            self._hold_until_ms, self._average_ms, self._frequency_ms = state["hold"], state["average"], state["frequency"]
            self._change_ms = state["change"]
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
        self._restored = True
