"""Prepayment: credit in Wh that energy uses up at the rate of its tariff; warning, acknowledgement, opening when it is gone.

    energy of a tariff x rate --> credit --> warning --> button: event 85
                                         --> - negative credit: contactor opens, event 84 --> top-up, button

Credit is kept in W ms times Wh per kWh, so that nothing is lost however time is cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..access import NOBODY, Session
from ..errors import ConfigurationError, TableError
from .contactor import Contactor, Reason
from .draw import DAY_MS, FORWARD
from .measuring import Measuring
from .registers import WATT_MS_PER_WH
from .signals import Alarm, LoadSwitched, LogEntry, PowerDown, PowerUp, Signal, TariffSwitched
from .subsystem import Host, Subsystem
from .timekeeping import to_ms, to_seconds

EXHAUSTED_EVENT, ACKNOWLEDGED_EVENT = 84, 85  # spec/events.json
UNITS_PER_WH: Final = 1000 * WATT_MS_PER_WH  # a kWh at a rate of 1000 uses up 1000 Wh of credit
TOP_UP: Final = range(30, 34)  # octets of ET05; grade D
_VERSION: Final = 1


class Prepayment(Subsystem):
    """The prepay fields of ET05, ET46 and ET55.

    Attributes:
        enabled: whether energy is paid in advance.    warning: the warning sounds.    exhausted: the credit is gone.
    """

    name: ClassVar[str] = "prepayment"
    watches = frozenset(("ET05", "ET55"))

    def __init__(self) -> None:
        super().__init__()
        self.enabled = self.warning = self.exhausted = False
        self._warned = False  # of this credit
        self._units = 0
        self._at_ms = 0
        self._tier = 0
        self._rates: tuple[int, ...] = ()
        self._warning_wh = 0
        self._due_ms: int | None = None
        self._on = True

    def attach(self, host: Host) -> None:
        self._host = host
        measuring, contactor = host.find(Measuring), host.find(Contactor)
        if measuring is None or contactor is None:
            raise ConfigurationError("prepayment needs the subsystems Measuring and Contactor")
        self._measuring, self._contactor = measuring, contactor
        settings = host.config.control
        self._floor = -settings.negative_credit * UNITS_PER_WH
        self._units = settings.credit * UNITS_PER_WH
        self._at_ms = to_ms(host.now)
        contactor.credit = self._fields
        contactor.permit(lambda: not (self.enabled and self.exhausted))
        contactor.at_button(self.acknowledge)
        if len(settings.rates) > 4 and "ET55" in host.store:
            host.store.update("ET55", {"prepay_rates_5_8": settings.rates[4:]})

    def start(self, now: float) -> None:
        self._configure()
        self._tier = self._measuring.tier
        self._look(to_ms(now))

    def _configure(self) -> None:
        store = self._host.store
        more = store.context.peek("ET55")
        self._rates = (*store["ET05.prepay_rates"], *(() if more is None else more.get("prepay_rates_5_8", ())))
        self._warning_wh = int(store["ET05.prepay_warning"])
        self.enabled = self._contactor.prepaid = bool(store["ET05.prepay"])

    @property
    def credit(self) -> int:
        """Whole Wh of credit left as of the last settling, rounded down."""
        return self._units // UNITS_PER_WH

    def credit_at(self, now: float) -> int:
        """Whole Wh of credit left now."""
        self._settle(to_ms(now))
        return self.credit

    def _fields(self, now: float) -> Mapping[str, Any]:
        credit = max(-(1 << 31), min((1 << 31) - 1, self.credit_at(now)))
        return {"prepay_credit": credit, "prepay_warning_on": self.warning}

    # what energy costs

    def _rate(self) -> int:
        """Units that each W ms uses up."""
        rate = self._rates[self._tier] if self._tier < len(self._rates) else 0
        return rate * self._measuring.registers.ratio

    def _settle(self, at_ms: int) -> None:
        """Take off what has been used since."""
        if at_ms <= self._at_ms:
            return
        if self.enabled and self._on:
            self._units -= self._measuring.gated.between(self._at_ms, at_ms)[FORWARD] * self._rate()
        self._at_ms = at_ms

    def _look(self, at_ms: int) -> None:
        """Find the instant at which the credit reaches the next threshold, at most a day ahead."""
        self._due_ms = None
        if not self.enabled or not self._on:
            return
        thresholds = [] if self.exhausted else [self._floor]
        if not self._warned:
            thresholds.append(self._warning_wh * UNITS_PER_WH)
        horizon_ms = min((at_ms // DAY_MS + 1) * DAY_MS, self._measuring.disturbances.next_change(at_ms))
        self._due_ms = horizon_ms
        if not thresholds:
            return
        left, rate = self._units - max(thresholds), self._rate()
        if left <= 0:
            self._due_ms = at_ms
            return
        for columns in self._measuring.gated.columns(at_ms, horizon_ms):
            bounds = columns.bounds
            for place, used in enumerate(columns.drawn(rate, 0)):
                if not used:
                    continue
                step = used * (bounds[place + 1] - bounds[place])
                if left <= step:
                    self._due_ms = bounds[place] + -(-left // used)
                    return
                left -= step

    # time

    def next_timer(self) -> float | None:
        return None if self._due_ms is None else to_seconds(self._due_ms)

    def advance(self, now: float) -> None:
        at_ms = to_ms(now)
        if self._due_ms is None or at_ms < self._due_ms:
            return
        self._settle(at_ms)
        self._judge(now)
        self._look(at_ms)
        self.touch()

    def _judge(self, now: float) -> None:
        if not self._warned and self._units <= self._warning_wh * UNITS_PER_WH:
            self._warned = self.warning = True
        if not self.exhausted and self._units <= self._floor:
            self.exhausted = True
            self._host.signal(Alarm("prepay_credit_exhausted"), now)
            self._host.signal(LogEntry(EXHAUSTED_EVENT), now)
            self._contactor.operate(False, Reason.PREPAY, now)

    def acknowledge(self, now: float) -> bool:
        """The button while the warning sounds: it is silent until the next credit; whether it sounded."""
        if not self.warning:
            return False
        self.warning = False
        self._host.signal(Alarm("prepay_warning_acknowledged"), now)
        self._host.signal(LogEntry(ACKNOWLEDGED_EVENT), now)
        self.touch()
        return True

    def top_up(self, wh: int, now: float, user: int = NOBODY) -> None:
        """Add credit, or take it away; the button closes the contactor again."""
        self._settle(to_ms(now))
        self._units += wh * UNITS_PER_WH
        if self._units > self._floor:
            self.exhausted = False
        if self._units > self._warning_wh * UNITS_PER_WH:
            self._warned = self.warning = False
        self._look(to_ms(now))
        self.touch()

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        self._settle(to_ms(now))  # at the rates so far
        self._configure()
        store = self._host.store
        if identifier == "ET05" and offset < TOP_UP.stop and offset + len(octets) > TOP_UP.start:
            credit = int(store["ET05.prepay_top_up"])
            store["ET05.prepay_top_up"] = 0
            self.top_up(credit, now, session.user)
        self._look(to_ms(now))
        self.touch()

    def on_signal(self, signal: Signal, now: float) -> None:
        at_ms = to_ms(now)
        match signal:
            case TariffSwitched():
                self._settle(at_ms)
                self._tier = signal.tier
            case PowerDown():
                self._settle(at_ms)
                self._on = False
            case PowerUp():
                self._at_ms, self._on = max(self._at_ms, at_ms), True
            case LoadSwitched():
                self._settle(at_ms)
            case _:
                return
        self._look(at_ms)
        self.touch()

    # what must survive

    def snapshot(self) -> bytes:
        state = {
            "units": self._units, "at": self._at_ms, "tier": self._tier, "warned": self._warned, "warning": self.warning,
            "exhausted": self.exhausted, "on": self._on,
        }  # fmt: skip
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            self._units, self._at_ms, self._tier = int(state["units"]), int(state["at"]), int(state["tier"])
            self._warned, self.warning = bool(state["warned"]), bool(state["warning"])
            self.exhausted, self._on = bool(state["exhausted"]), bool(state["on"])
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
