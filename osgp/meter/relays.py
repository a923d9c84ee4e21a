"""The control relays: commands, randomised delays, modes, load management with its heartbeat, the calendar ET61, maintenance.

    EP02 --> random delay --> mode --> RelayModes --> Switch --> alarm, event 67
    ET61 --> LOCAL mode        no heartbeat --> REMOTE mode ends        cover removed --> MAINTENANCE mode
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random
from typing import Any, ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError, TableError
from .identity import Identity, put
from .port_tables import PortTables
from .relay_calendar import OFF, calendar_state
from .relay_modes import Hold, RelayMode, RelayModes
from .signals import Alarm, ClockChanged, ClockSlewed, LogEntry, PowerUp, Signal
from .subsystem import Host, ProcedureResult, Subsystem
from .switchgear import Switch, SwitchState
from .timekeeping import MS_PER_S, to_ms, to_seconds
from .timing import Timing

RELAY_1_EVENT, RELAY_2_EVENT = 67, 3008  # spec/events.json
SECOND_FROM: Final = (4, 30)  # firmware; grade A
MODES_FROM: Final = (4, 50)  # firmware that shows the modes in ET89; grade A
MODES_SHOWN_IN: Final = "ET97"
GROUP_OUTPUT: Final = 3  # EP02 output: the relays of a load management group; project-defined
ENTER_ON_COVER, EXIT_AFTER, EXIT_AT = 1, 1, 2  # ET97 maint_entry and maint_exit; grade A
_VERSION: Final = 1
_HOUR: Final = datetime.timedelta(hours=1)
UNUSED: Final = (31, 63, False)  # an entry of ET61 whose time is none: grade D


class Action(IntEnum):
    """EP02 actions; project-defined, grade D."""

    OPEN = 0
    CLOSE = 1
    LOCK_OPEN = 2
    HEARTBEAT = 3
    RELEASE = 4
    ENTER_MAINTENANCE = 5
    LEAVE_MAINTENANCE = 6


@dataclass(slots=True)
class Relay:
    """One relay.    waiting: (action, duration in s) that a random delay holds back until `random_ms`.    drawn_s: that delay."""

    switch: Switch = field(default_factory=Switch)
    modes: RelayModes = field(default_factory=RelayModes)
    waiting: tuple[int, int] | None = None
    random_ms: int | None = None
    drawn_s: int = 0
    look_ms: int | None = None  # when the calendar is asked again
    leave_ms: int | None = None  # when maintenance ends by itself


class Relays(Subsystem):
    """ET61; the relay fields of ET54 and ET89; reads ET05, ET97.

    Attributes:
        relays: by number, 0 and 1.
    """

    name: ClassVar[str] = "relays"
    watches = frozenset(("ET05", "ET61", "ET97", "BT54"))

    def attach(self, host: Host) -> None:
        self._host = host
        timing = host.find(Timing)
        if timing is None:
            raise ConfigurationError("control relays need the subsystem Timing")
        self._timing, settings = timing, host.config.control
        self._firmware = host.config.firmware[:2]
        fitted = settings.relays if self._firmware >= SECOND_FROM else min(1, settings.relays)
        self.relays = [Relay() for _ in range(fitted)]
        self._draws = 0
        dimensions = host.store.context.peek("ET11")
        count = 0 if dimensions is None else int(dimensions.get("relay_switches", 0))
        if count:
            given = (*settings.relay_switches, (), ())[:2]
            rows = [[*switches, *[UNUSED] * (count - len(switches))] for switches in given]
            put(host.store, "ET61", {"relays": [{"switches": [_switch(one) for one in row]} for row in rows]})
        if MODES_SHOWN_IN in host.store and settings.relay_settings:
            host.store.update(MODES_SHOWN_IN, {"relays": settings.relay_settings})
        identity, ports = host.find(Identity), host.find(PortTables)
        if identity is not None:
            identity.show(self._random)
        if ports is not None and self._firmware >= MODES_FROM:
            ports.show(lambda now: {"relays": [relay.modes.record(to_ms(now)) for relay in self.relays]})

    def start(self, now: float) -> None:
        for number in range(len(self.relays)):
            self._look(number, now)

    # commands

    def command(
        self, action: int, output: int, delay_s: int, duration_s: int, group: int, now: float
    ) -> ProcedureResult:
        """EP02 for a relay.    output: 1, 2, or 3 for a group.    delay_s: largest random delay.    duration_s: 0: no end."""
        if action not in tuple(Action):
            return ProcedureResult.INVALID_PARAMETER
        numbers = [output - 1]
        if output == GROUP_OUTPUT:
            numbers = [one for one in range(len(self.relays)) if group and group in self._setting(one, "group_ids", ())]
        if not all(0 <= one < len(self.relays) for one in numbers):
            return ProcedureResult.CONFLICTS_WITH_SETUP
        accepted = [self._command(one, Action(action), delay_s, duration_s, now) for one in numbers]
        self.touch()
        return ProcedureResult.ACCEPTED if any(accepted) else ProcedureResult.COMPLETED

    def _command(self, number: int, action: Action, delay_s: int, duration_s: int, now: float) -> bool:
        relay = self.relays[number]
        self._heartbeat(number, action, now)
        if action is Action.HEARTBEAT:
            return False
        relay.waiting = relay.random_ms = None
        relay.drawn_s = 0
        if delay_s:
            self._draws += 1
            relay.drawn_s = Random(f"{self._host.config.seed}/{number}/{self._draws}").randint(0, delay_s)
            relay.waiting = (action, duration_s)
            relay.random_ms = to_ms(now) + MS_PER_S * relay.drawn_s
            return True
        return self._carry_out(number, action, duration_s, now)

    def _carry_out(self, number: int, action: Action, duration_s: int, now: float) -> bool:
        modes, at_ms = self.relays[number].modes, to_ms(now)
        until_ms = at_ms + MS_PER_S * duration_s if duration_s else None
        match action:
            case Action.OPEN | Action.CLOSE:
                modes.release(RelayMode.LOCKED)
                modes.hold(RelayMode.REMOTE, action is Action.CLOSE, self._until_heartbeat(number, until_ms, at_ms))
            case Action.LOCK_OPEN:
                modes.hold(RelayMode.LOCKED, False, until_ms)
            case Action.RELEASE:
                modes.release(RelayMode.LOCKED, RelayMode.REMOTE)
            case Action.ENTER_MAINTENANCE:
                self._enter(number, until_ms)
            case _:
                self._leave(number)
        return self._follow(number, now)

    # load management

    def _setting(self, number: int, name: str, default: Any) -> Any:
        """A field of ET97.relays; firmware without that table has the defaults."""
        found = self._host.store.context.peek(MODES_SHOWN_IN) if MODES_SHOWN_IN in self._host.store else None
        rows = () if found is None else found.get("relays", ())
        return rows[number].get(name, default) if number < len(rows) else default

    def _heartbeat_ms(self, number: int) -> int:
        managed = self._setting(number, "mode", 0) == 1
        return 60 * MS_PER_S * int(self._setting(number, "heartbeat_minutes", 0)) if managed else 0

    def _until_heartbeat(self, number: int, until_ms: int | None, at_ms: int) -> int | None:
        """End of a REMOTE mode: its duration, or earlier when no heartbeat comes."""
        heartbeat_ms = self._heartbeat_ms(number)
        if not heartbeat_ms:
            return until_ms
        return at_ms + heartbeat_ms if until_ms is None else min(until_ms, at_ms + heartbeat_ms)

    def _heartbeat(self, number: int, action: Action, now: float) -> None:
        if action is not Action.HEARTBEAT and self._setting(number, "explicit_heartbeat", False):
            return
        hold, heartbeat_ms = self.relays[number].modes.holds.get(RelayMode.REMOTE), self._heartbeat_ms(number)
        if hold is not None and heartbeat_ms:
            hold.until_ms = to_ms(now) + heartbeat_ms

    # maintenance

    def _enter(self, number: int, until_ms: int | None) -> None:
        relay = self.relays[number]
        closed = relay.switch.wanted and not self._setting(number, "maint_open", False)
        relay.modes.hold(RelayMode.MAINTENANCE, closed, until_ms)
        relay.leave_ms = None

    def _leave(self, number: int) -> None:
        self.relays[number].modes.release(RelayMode.MAINTENANCE)
        self.relays[number].leave_ms = None

    def _cover(self, removed: bool, now: float) -> None:
        for number, relay in enumerate(self.relays):
            if removed and self._setting(number, "maint_entry", 0) == ENTER_ON_COVER:
                self._enter(number, None)
                self._follow(number, now)
            elif not removed and RelayMode.MAINTENANCE in relay.modes.holds:
                exit_by = self._setting(number, "maint_exit", 0)
                if exit_by == EXIT_AFTER:
                    relay.leave_ms = to_ms(now) + MS_PER_S * int(self._setting(number, "maint_exit_delay", 0))
                elif exit_by == EXIT_AT:
                    relay.leave_ms = self._next_local(self._setting(number, "maint_exit_time", (0, 0)), now)
        self.touch()

    def _next_local(self, time: tuple[int, int], now: float) -> int:
        """The next instant at which the local clock shows an hour and a minute."""
        local = self._host.clock.local(now)
        due = local.replace(hour=time[0] % 24, minute=time[1] % 60, second=0, microsecond=0)
        due += datetime.timedelta(days=1) if due <= local else datetime.timedelta()
        return to_ms(now) + round((due - local).total_seconds() * MS_PER_S)

    # time

    def advance(self, now: float) -> None:
        at_ms = to_ms(now)
        for number, relay in enumerate(self.relays):
            if relay.random_ms is not None and at_ms >= relay.random_ms and relay.waiting is not None:
                action, duration_s = relay.waiting
                relay.waiting = relay.random_ms = None
                self._carry_out(number, Action(action), duration_s, now)
            if relay.leave_ms is not None and at_ms >= relay.leave_ms:
                self._leave(number)
                self._follow(number, now)
            if relay.modes.expire(at_ms):
                self._follow(number, now)
            if relay.look_ms is not None and at_ms >= relay.look_ms:
                self._look(number, now)
            if relay.switch.complete(at_ms):
                self._completed(number, now)

    def next_timer(self) -> float | None:
        instants = [
            one for relay in self.relays
            for one in (relay.switch.due_ms, relay.random_ms, relay.leave_ms, relay.look_ms, relay.modes.next_ms())
            if one is not None
        ]  # fmt: skip
        return to_seconds(min(instants)) if instants else None

    def _look(self, number: int, now: float) -> None:
        """Ask the calendar: at each of its switches, and every hour since local time may jump."""
        relay, store = self.relays[number], self._host.store
        mode = int(store[f"ET05.relay_{number + 1}_calendar"])
        relay.look_ms = None
        if mode != OFF:
            local = self._host.clock.local(now)
            closed, minute = calendar_state(
                store, number, mode, local, lambda date: self._timing.calendar.plan(date).special
            )
            if closed is not None:
                relay.modes.hold(RelayMode.LOCAL, closed)
            due = local.replace(minute=0, second=0, microsecond=0) + _HOUR
            if minute is not None:
                due = min(due, local.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0))
            relay.look_ms = to_ms(now) + max(1, round((due - local).total_seconds() * MS_PER_S))
        else:
            relay.modes.hold(RelayMode.LOCAL, True)
        self._follow(number, now)
        self.touch()

    def _follow(self, number: int, now: float) -> bool:
        """Let the switch do what the modes say."""
        relay = self.relays[number]
        self.touch()
        return relay.switch.command(relay.modes.closed, to_ms(now))

    def _completed(self, number: int, now: float) -> None:
        self.touch()
        name = ("control_relay_1_open", "control_relay_2_open")[number]
        if not self.relays[number].switch.closed:
            self._host.signal(Alarm(name), now)
            self._host.signal(LogEntry((RELAY_1_EVENT, RELAY_2_EVENT)[number]), now)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, Alarm):
            if signal.name == "cover_removed":
                self._cover(signal.raised, now)
        elif isinstance(signal, ClockChanged | ClockSlewed | PowerUp):
            for number in range(len(self.relays)):
                self._look(number, now)

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        for number in range(len(self.relays)):
            self._look(number, now)

    def state(self, number: int) -> SwitchState:
        """What a relay does, by number 0 or 1."""
        return self.relays[number].switch.state

    def _random(self, now: float) -> dict[str, Any]:
        """The relay fields of ET54."""
        values: dict[str, Any] = {}
        for number, relay in enumerate(self.relays):
            left = 0 if relay.random_ms is None else max(0, relay.random_ms - to_ms(now) + MS_PER_S - 1) // MS_PER_S
            name = f"relay{number + 1}_random"
            values |= {f"{name}_pending": int(bool(left)), f"{name}_remaining": left, f"{name}_total": relay.drawn_s}
        return values

    # what must survive

    def snapshot(self) -> bytes:
        rows = [
            {
                "switch": (relay.switch.closed, relay.switch.due_ms, relay.switch.done_ms),
                "holds": [(int(mode), hold.closed, hold.until_ms) for mode, hold in relay.modes.holds.items()],
                "waiting": relay.waiting, "random": relay.random_ms, "drawn": relay.drawn_s, "leave": relay.leave_ms,
            }
            for relay in self.relays
        ]  # fmt: skip
        return bytes((_VERSION,)) + json.dumps({"draws": self._draws, "relays": rows}).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            self._draws = state["draws"]
            for relay, row in zip(self.relays, state["relays"], strict=True):
                relay.switch = Switch(*row["switch"])
                relay.modes = RelayModes({RelayMode(mode): Hold(closed, until) for mode, closed, until in row["holds"]})
                relay.waiting = None if row["waiting"] is None else (row["waiting"][0], row["waiting"][1])
                relay.random_ms, relay.drawn_s, relay.leave_ms = row["random"], row["drawn"], row["leave"]
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error


def _switch(switch: tuple[int, int, bool]) -> dict[str, int]:
    return {"hour": switch[0], "minute": switch[1], "state": int(switch[2])}
