"""The contactor: opens and closes the load by command, button, limits and lack of credit, with its locks, events and alarms.

    EP02, button, limits, prepayment --> Switch --> Measuring.connect --> the load is really gone
                                                --> event 66, ET23.disconnect_state, ET46.max_power_open_time
    contacts that do not follow --> event 50         voltage behind the open contactor --> alarm, event 95
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import IntEnum
from random import Random
from typing import Any, ClassVar, Final

from ..access import NOBODY, Session
from ..errors import ConfigurationError, TableError
from ..types import LtimeDate
from .control_settings import BLOCKS
from .identity import Identity, put
from .measuring import Measuring
from .port_tables import PortTables
from .power_limit import BY_CURRENT, LimitWatch, read_average, read_limit
from .signals import Alarm, LoadSwitched, LogEntry, PowerUp, Signal
from .subsystem import Host, ProcedureResult, Subsystem
from .switchgear import Switch
from .timekeeping import to_ms, to_seconds

MISMATCH_EVENT, CONTACTOR_EVENT, LOAD_SIDE_EVENT, LEVEL_EVENT = 50, 66, 95, 97  # spec/events.json
CLOSED, OPEN, LOCKED_OPEN = 1, 2, 3  # low octet of the argument of event 66; grade B
TO_SECONDARY, TO_PRIMARY = 0, 1  # argument of event 97; grade B
_VERSION: Final = 1


class Reason(IntEnum):
    """High octet of the argument of event 66; grade B. Closing by command is REMOTE_RECONNECT: 257 was never seen."""

    COMMAND = 1
    MAX_POWER = 2
    PREPAY = 3
    PREPAY_MAX_POWER = 4
    REMOTE_RECONNECT = 5
    BUTTON = 6


class Contactor(Subsystem):
    """ET23, ET46 and, from firmware 3.70, ET80. Commands come through `operate`.

    Attributes:
        switch: its state as commanded.    locked: only a remote command may close it.    jammed: the contacts do not move.
        prepaid: set by prepayment; limits then have the reason PREPAY_MAX_POWER.    credit: its fields of ET46.
    """

    name: ClassVar[str] = "contactor"
    live = frozenset(("ET23", "ET46"))
    watches = frozenset(("ET05", "ET30", "ET80"))

    def __init__(self) -> None:
        super().__init__()
        self.switch = Switch()
        self.locked = self.jammed = self.prepaid = False
        self._load_side = False
        self._contacts = True  # what the contacts really do
        self._reason, self._lock, self._user = Reason.COMMAND, False, NOBODY
        self._opened_at: LtimeDate | None = None
        self._exceeded = False
        self._reconnect_ms: int | None = None
        self._secondary = False
        self._draws = 0
        self.credit: Callable[[float], Mapping[str, Any]] = lambda now: {}
        self._buttons: list[Callable[[float], bool]] = []
        self._permits: list[Callable[[], bool]] = []

    def attach(self, host: Host) -> None:
        self._host = host
        measuring = host.find(Measuring)
        if measuring is None:
            raise ConfigurationError("a contactor needs the subsystem Measuring")
        self._measuring, self._settings = measuring, host.config.control
        self._limits = LimitWatch(measuring, host.config.mains.nominal_voltage)
        put(host.store, "ET23", {})
        put(host.store, "ET46", {})
        if host.config.firmware[:2] >= (3, 70):
            seconds, multiplier, threshold = self._settings.average or (1, 15, 0)
            values = {"sub_interval": seconds, "multiplier": multiplier, "threshold": threshold}
            put(host.store, "ET80", values | {"enabled": int(self._settings.average is not None)})

        self._identity = identity = host.find(Identity)
        ports = host.find(PortTables)
        if identity is not None:
            identity.show(lambda now: {"push_close_locked": self.button_locked})
        if ports is not None and host.config.firmware[:2] >= (4, 50):
            ports.show(lambda now: {field: block in self._settings.blocked for block, field in BLOCKS.items()})

    def start(self, now: float) -> None:
        self._secondary = bool(self._host.store["ET30.secondary_level"])
        self._configure(now)

    def permit(self, allowed: Callable[[], bool]) -> None:
        """Another subsystem must allow closing."""
        self._permits.append(allowed)

    def at_button(self, pressed: Callable[[float], bool]) -> None:
        """Another subsystem may need the push button first; it says whether it did."""
        self._buttons.append(pressed)

    def _configure(self, now: float) -> None:
        store = self._host.store
        self._limits.configure(read_limit(store, self._settings.by_current), read_average(store), to_ms(now))

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        secondary = bool(self._host.store["ET30.secondary_level"])
        if secondary != self._secondary:
            self._secondary = secondary
            self._log(LEVEL_EVENT, TO_SECONDARY if secondary else TO_PRIMARY, now, session.user)
        self._configure(now)
        self.touch()

    # operations

    def operate(
        self, closed: bool, reason: Reason, now: float, user: int = NOBODY, *, lock: bool = False, delay_s: int = 0
    ) -> ProcedureResult:
        """Want it closed or open.

        Args:
            lock: only a remote command closes it again.    delay_s: until it moves.

        Returns:
            COMPLETED when it is so already, ACCEPTED when it moves (at least ten seconds after it moved last),
            CONFLICTS_WITH_SETUP when a lock, a block, a lack of credit or voltage behind it forbids that.
        """
        if not self._settings.contactor or not self._allowed(closed, reason):
            return ProcedureResult.CONFLICTS_WITH_SETUP
        at_ms = to_ms(now)
        if closed:
            self.locked = False
        self._reconnect_ms = None
        moves = self.switch.command(closed, at_ms, 1000 * delay_s)
        self.touch()
        if not moves:
            if lock and not self.switch.wanted and not self.locked:
                self.locked = True
                self._report(reason, now, user)
            return ProcedureResult.COMPLETED
        self._reason, self._lock, self._user = reason, lock, user
        return ProcedureResult.ACCEPTED

    def _allowed(self, closed: bool, reason: Reason) -> bool:
        blocked = self._settings.blocked if self._host.config.firmware[:2] >= (4, 50) else frozenset[str]()
        remote, local = reason in (Reason.COMMAND, Reason.REMOTE_RECONNECT), reason is Reason.BUTTON
        if not closed:
            if local and (not self._settings.toggle_button or "local" in blocked):
                return False
            return not ((remote and "remote" in blocked) or (not remote and "automatic" in blocked))
        if (remote and "unblock" in blocked) or (not remote and self.locked) or self._load_side:
            return False
        return all(permit() for permit in self._permits)

    def draw(self, most_s: int) -> int:
        """A random delay of 0..most_s seconds; the same in every run of the same meter."""
        self._draws += 1
        return Random(f"contactor/{self._host.config.seed}/{self._draws}").randint(0, most_s)

    def press_button(self, now: float) -> bool:
        """The push button at the meter; whether it did something. Within ten seconds of the last operation it does not."""
        if any(pressed(now) for pressed in self._buttons):
            return True
        if not self.switch.ready(to_ms(now)) or self.switch.due_ms is not None:
            return False
        if self.switch.closed and not self._settings.toggle_button:
            return False
        return self.operate(not self.switch.closed, Reason.BUTTON, now) is ProcedureResult.ACCEPTED

    @property
    def button_locked(self) -> bool:
        """ET54.push_close_locked: the button does not close yet."""
        return not self.switch.closed and not self.switch.ready(to_ms(self._host.now))

    def jam(self, jammed: bool, now: float) -> None:
        """A fault for tests: the contacts stay where they are. Set free, they follow at the next operation."""
        self.jammed = jammed
        self.touch()

    def feed_load_side(self, present: bool, now: float) -> None:
        """Somebody feeds the home behind the open contactor (a generator); seen while the contactor is open."""
        self._load_side = present
        self._look_behind(now)
        self.touch()

    def _look_behind(self, now: float) -> None:
        if self._load_side and not self.switch.closed:
            self._host.signal(Alarm("load_side_voltage"), now)
            self._log(LOAD_SIDE_EVENT, 0, now)

    # time

    def advance(self, now: float) -> None:
        at_ms = to_ms(now)
        if self.switch.complete(at_ms):
            self._completed(now)
        if self._reconnect_ms is not None and at_ms >= self._reconnect_ms:
            self._reconnect_ms = None
            self.operate(True, Reason.MAX_POWER, now)
        next_ms = self._limits.next_ms()
        if next_ms is not None and at_ms >= next_ms and self._limits.exceeded(at_ms) and self.switch.wanted:
            self.operate(False, Reason.PREPAY_MAX_POWER if self.prepaid else Reason.MAX_POWER, now)

    def next_timer(self) -> float | None:
        limit_ms = self._limits.next_ms()
        if self.switch.due_ms is None and self._reconnect_ms is None and limit_ms is None:
            return None
        instants = (self.switch.due_ms, self._reconnect_ms, limit_ms)
        return min((to_seconds(one) for one in instants if one is not None), default=None)

    def _completed(self, now: float) -> None:
        by_limit = self._reason in (Reason.MAX_POWER, Reason.PREPAY_MAX_POWER)
        self.locked = self._lock and not self.switch.closed
        self._exceeded = by_limit and not self.switch.closed
        if self._exceeded:
            self._opened_at = LtimeDate.of(self._host.clock.utc(now))
            reconnect = int(self._host.store["ET30.reconnect_seconds"])
            self._reconnect_ms = to_ms(now) + 1000 * reconnect if reconnect else None
        self._host.store["ET30.exceeded"] = self._exceeded
        self.touch()
        if not self.jammed:
            self._contacts = self.switch.closed
            self._measuring.connect(self._contacts, now)
        self._report(self._reason, now, self._user)
        if self._contacts != self.switch.closed:
            self._host.signal(Alarm("disconnect_switch_error"), now)
            self._log(MISMATCH_EVENT, 0, now)
        self._look_behind(now)

    def _report(self, reason: Reason, now: float, user: int) -> None:
        state = CLOSED if self.switch.closed else LOCKED_OPEN if self.locked else OPEN
        self._host.signal(Alarm("load_disconnect_changed"), now)
        self._log(CONTACTOR_EVENT, reason << 8 | state, now, user)

    def _log(self, event: int, argument: int, now: float, user: int = NOBODY) -> None:
        self._host.signal(LogEntry(event, argument.to_bytes(2, "little"), user), now)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, LoadSwitched | PowerUp):
            self._limits.look(to_ms(now))

    # tables

    def refresh(self, identifier: str, now: float) -> None:
        store = self._host.store
        if identifier == "ET23":
            received, validated = self._identity.messages if self._identity is not None else (0, 0)
            store.update("ET23", {
                "messages_received": received & 0xFFFFFFFF, "messages_validated": validated & 0xFFFFFFFF,
                "disconnect_state": int(self.switch.state), "active_calendar_id": self._calendar_id(),
            })  # fmt: skip
            return
        control = BY_CURRENT if self._settings.by_current else 0
        values: dict[str, Any] = {
            "disconnect_control_type": control, "prepay_negative_credit": self._settings.negative_credit,
        }  # fmt: skip
        if self._opened_at is not None:
            values["max_power_open_time"] = self._opened_at
        store.update("ET46", values | dict(self.credit(now)))

    def _calendar_id(self) -> int:
        """The id of BT54, whose last four octets it is."""
        return int(self._host.store.value("BT54", "calendar_id", default=0))

    # what must survive

    def snapshot(self) -> bytes:
        state = {
            "draws": self._draws, "switch": (self.switch.closed, self.switch.due_ms, self.switch.done_ms), "locked": self.locked,
            "jammed": self.jammed, "load_side": self._load_side, "contacts": self._contacts, "reason": int(self._reason),
            "lock": self._lock, "user": self._user, "exceeded": self._exceeded, "reconnect": self._reconnect_ms,
            "opened": None if self._opened_at is None else self._opened_at.encode().hex(),
        }  # fmt: skip
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            self.switch, self._draws = Switch(*state["switch"]), state["draws"]
            self.locked, self.jammed, self._load_side = state["locked"], state["jammed"], state["load_side"]
            self._contacts, self._reason, self._lock = state["contacts"], Reason(state["reason"]), state["lock"]
            self._user, self._exceeded, self._reconnect_ms = state["user"], state["exceeded"], state["reconnect"]
            opened = state["opened"]
            self._opened_at = None if opened is None else LtimeDate.decode(bytes.fromhex(opened))
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
