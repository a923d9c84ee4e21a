"""The time subsystem: UTC and local clock, calendar, tariff in force, scheduled self-reads and demand resets.

    now --> UTC clock --> local clock --> calendar --> season, day schedule, tariff --> signals
                                                  --> moments that are due --> SelfRead, DemandReset

What is in force is a function of the clock and of BT54; only edges (a moment that is due) are remembered. A moment that the
clock jumped over (an outage, a clock set forward, the hour that daylight saving skips) is made up once, at the first instant
after; after a clock was set back by less than a day it is not repeated. Grade D.
"""

from __future__ import annotations

import datetime
import json
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..access import AccessLevel, Session
from ..errors import TableError
from ..types import LtimeDate, TimeOfDay
from .calendar import Calendar, LocalClock, LocalTime, midnight
from .identity import put
from .override import CANCEL, Drive, Override, decode_override
from .settings import CALENDAR_LIMITS, built_calendar
from .signals import (
    Alarm,
    ClockChanged,
    ClockSlewed,
    DemandReset,
    LogEntry,
    PowerUp,
    SeasonChanged,
    SelfRead,
    Signal,
    TariffSwitched,
)
from .subsystem import Host, Procedure, ProcedureResult, Subsystem
from .timekeeping import UtcClock, milliseconds, moment, to_ms, to_seconds

SET_CLOCK: Final = 10  # BP10
SLEW_CLOCK: Final = 2048 + 16  # EP16
OLD_TIME, NEW_TIME = 3, 4  # event ids; spec/events.json
DST_BEGINS, DST_ENDS, SEASON_EVENT, SPECIAL_EVENT, TARIFF_EVENT = 22, 23, 24, 26, 27
CLOCK_ERROR: Final = 1 << 6  # bit of BT03 octet 1; its tariff is ET04.clock_error_tier; grade A
NO_SPECIAL: Final = 15  # BT55.special_schedule when there is none; C12.19, grade C
SCHEDULED: Final = 0  # reason code of ET41; grade A
DAY: Final = datetime.timedelta(days=1)
LOOK_BACK: Final = 400  # days that a jump of the clock is searched for moments that were due
ADJUSTED: Final = 1_000_000  # s; the most that a clock may be slewed by: grade D
_VERSION: Final = 1


class Timing(Subsystem):
    """BT50, BT52 to BT55 and ET47; BP10 and EP16. It is the meter's clock.

    Attributes:
        tier, drive, season, special, dst: what is in force.    slew_left: s that an adjustment still has to go.
    """

    name: ClassVar[str] = "timing"
    live = frozenset(("BT52", "BT55"))
    watches = frozenset(("BT53", "BT54", "ET04", "ET47"))

    def attach(self, host: Host) -> None:
        self._host = host
        config, store = host.config, host.store
        settings = config.metering
        self._clock = UtcClock(milliseconds(config.utc(0.0)))
        host.clock = self
        put(store, "BT50", CALENDAR_LIMITS)
        put(store, "BT53", {"time_zone_offset": config.utc_offset, "dst_adjustment": 60, "dst_time": _time(120)})
        put(store, "BT54", dict(settings.calendar or built_calendar(config.tariff, settings)))
        put(store, "ET47", {"tariff": CANCEL})
        store.put("BT52", bytes(7))
        store.put("BT55", bytes(9))
        self.tier, self.drive, self.season, self.special, self.dst = 0, Drive.CALENDAR, 0, NO_SPECIAL, False
        self._tiers = settings.tiers
        self._override: Override | None = None
        self._forced: int | None = None  # by consumption
        self._marker = datetime.datetime.min  # local time up to which due moments have been dealt with
        self._started = False
        self._next_ms: int | None = None
        self._known: tuple[bytes, ...] = ()
        self._local: LocalClock
        self._configure()

    def start(self, now: float) -> None:
        self._configure()
        if self._marker == datetime.datetime.min:
            self._marker = self.local(now)
        if self._next_ms is None:
            self._evaluate(to_ms(now))

    def _configure(self) -> None:
        """Read the tables that a host may have written."""
        store = self._host.store
        octets = (store.octets("BT53"), store.octets("BT54"), store.octets("ET04")[63:67])
        if octets == self._known:
            return
        calendar = self.calendar if self._known[1:2] == octets[1:2] else None
        self._known = octets
        hour, minute, _, adjustment, zone = struct.unpack("<BBBBh", octets[0][:6])
        off_delta, read_hour, read_minute = struct.unpack("<hBB", octets[2])
        rule = LocalTime(max(-720, min(840, zone)), adjustment, hour * 60 + minute, off_delta)
        self._local = LocalClock(calendar or Calendar.of(octets[1], store.context.layout("BT54")), rule)
        self._read_after = datetime.timedelta(minutes=min(read_hour, 23) * 60 + min(read_minute, 59))

    # the clock of the meter

    def utc(self, now: float) -> datetime.datetime:
        """See `Clock`."""
        return moment(self._clock.utc_ms(to_ms(now)))

    def local(self, now: float) -> datetime.datetime:
        """See `Clock`."""
        return self._local.local(self.utc(now))

    def instant(self, utc: datetime.datetime) -> float:
        """See `Clock`."""
        return to_seconds(self._clock.instant(milliseconds(utc)))

    def dst_at(self, utc: datetime.datetime) -> bool:
        """Whether daylight saving is on at a UTC instant, by the calendar in force."""
        return self._local.dst(utc)

    def dst_until(self, utc: datetime.datetime) -> datetime.datetime:
        """UTC instant up to which daylight saving stays what it is at an instant, at least."""
        return self._local.next_change(utc)

    def local_of(self, utc: datetime.datetime) -> datetime.datetime:
        """Local time of a UTC instant, by the calendar in force."""
        return self._local.local(utc)

    @property
    def calendar(self) -> Calendar:
        """BT54 in force."""
        return self._local.calendar

    @property
    def slew_left(self) -> int:
        """Seconds that an adjustment still has to go."""
        return self._clock.slew_s

    # what is in force

    def advance(self, now: float) -> None:
        at_ms = to_ms(now)
        step_ms = self._clock.next_step()
        if step_ms is not None and at_ms >= step_ms:
            self._slew_step(now)
        if self._next_ms is not None and at_ms >= self._next_ms:
            self._evaluate(at_ms)

    def next_timer(self) -> float | None:
        step_ms = self._clock.next_step()
        instants = [one for one in (step_ms, self._next_ms) if one is not None]
        return to_seconds(min(instants)) if instants else None

    def _evaluate(self, at_ms: int) -> None:
        now, signal = to_seconds(at_ms), self._host.signal
        utc = moment(self._clock.utc_ms(at_ms))
        local = self._local.local(utc)
        first, self._started = not self._started, True
        dst = self._local.dst(utc)
        if dst != self.dst:
            self.dst = dst
            if not first:
                signal(LogEntry(DST_BEGINS if dst else DST_ENDS), now)
        read_due, reset_due = self._due(local)
        self._marker = max(self._marker, local)
        season = self.calendar.season(local.date())
        changed = season != self.season and not first
        if read_due or changed:  # a season change reads registers too (BT50.season_self_read); one read is enough: grade D
            signal(SelfRead(), now)
        if changed:
            signal(SeasonChanged(season), now)
            signal(LogEntry(SEASON_EVENT, _word(season)), now)
        self.season = season
        if reset_due:
            signal(DemandReset(SCHEDULED), now)
        special = self.calendar.plan(local.date()).special
        if special is not None and special != self.special and not first:
            signal(LogEntry(SPECIAL_EVENT, _word(special)), now)
        self.special = NO_SPECIAL if special is None else special
        self._choose_tier(local, at_ms, utc, first)
        self._plan(local, at_ms, utc)
        self.touch()

    def _choose_tier(self, local: datetime.datetime, at_ms: int, utc: datetime.datetime, first: bool) -> None:
        calendar_tier = self.calendar.schedule(local.date()).tier(local.hour * 60 + local.minute)
        if self._host.store.octets("BT03")[1] & CLOCK_ERROR:
            calendar_tier = self._host.store.octets("ET04")[113]
        tier, self.drive = min(calendar_tier, self._tiers - 1), Drive.CALENDAR
        if self._forced is not None:
            tier, self.drive = min(self._forced, self._tiers - 1), Drive.TIMED
        if self._override is not None:
            if self._override.over(calendar_tier, at_ms, utc):
                self._override = None
                self._host.store.write("ET47", 0, bytes((CANCEL,)))
            else:
                tier, self.drive = self._override.tier, self._override.drive
        if tier != self.tier or first:
            self.tier = tier
            self._host.signal(TariffSwitched(tier), to_seconds(at_ms))
            if not first:
                self._host.signal(LogEntry(TARIFF_EVENT, _word(tier)), to_seconds(at_ms))

    def _due(self, local: datetime.datetime) -> tuple[bool, bool]:
        """Whether a self-read and a demand reset came due after the marker."""
        read = reset = False
        date = max(self._marker.date(), local.date() - DAY * LOOK_BACK)
        while date <= local.date():
            plan = self.calendar.plan(date)
            read = read or (plan.self_read and self._marker < midnight(date) + self._read_after <= local)
            reset = reset or (plan.demand_reset and self._marker < midnight(date) <= local)
            date += DAY
        return read, reset

    def _plan(self, local: datetime.datetime, at_ms: int, utc: datetime.datetime) -> None:
        """When to look again, at the latest."""
        date = local.date()
        ahead = [midnight(date) + DAY]
        minute = local.hour * 60 + local.minute
        later = [start for start, _ in self.calendar.schedule(date).switches if start > minute]
        if later:
            ahead.append(midnight(date) + datetime.timedelta(minutes=later[0]))
        read_at = midnight(date) + self._read_after
        if self.calendar.plan(date).self_read and read_at > local:
            ahead.append(read_at)
        instants = [at_ms + milliseconds(min(ahead)) - milliseconds(local)]
        instants.append(at_ms + milliseconds(self._local.next_change(utc)) - milliseconds(utc))
        if self._override is not None:
            if self._override.end_ms is not None:
                instants.append(self._override.end_ms)
            if self._override.end_utc is not None:
                instants.append(at_ms + milliseconds(self._override.end_utc) - milliseconds(utc))
        self._next_ms = max(at_ms + 1, min(instants))

    # changes from outside

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        at_ms = to_ms(now)
        if identifier == "ET47":
            if offset == 0:  # the tariff is the octet that sets or cancels
                self._begin_override(at_ms)
        else:
            self._configure()
        self._evaluate(at_ms)

    def _begin_override(self, at_ms: int) -> None:
        utc = moment(self._clock.utc_ms(at_ms))
        local = self._local.local(utc)
        calendar_tier = self.calendar.schedule(local.date()).tier(local.hour * 60 + local.minute)
        octets = self._host.store.octets("ET47")
        self._override = decode_override(octets, calendar_tier, self._tiers, at_ms, utc)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, Alarm) and signal.name == "clock_error" and self._started:
            self._evaluate(to_ms(now))
        elif isinstance(signal, PowerUp):
            self._clock.slew_after_ms = max(self._clock.slew_after_ms, to_ms(now))
            self._evaluate(to_ms(now))

    def force(self, tier: int | None, now: float) -> None:
        """A tariff by consumption instead of the calendar's; None: the calendar rules. An override by hand goes first."""
        if tier != self._forced:
            self._forced = tier
            self._evaluate(to_ms(now))

    def set_clock(self, utc: datetime.datetime, now: float, user: int) -> None:
        """Set the clock by a step: events 3 and 4, ClockChanged, then whatever the new time brings."""
        signal, old = self._host.signal, self.utc(now)
        signal(LogEntry(OLD_TIME, user_id=user), now)
        self._clock.set(to_ms(now), milliseconds(utc))
        signal(LogEntry(NEW_TIME, user_id=user), now)
        if (local := self.local(now)) < self._marker - DAY:
            self._marker = local
        signal(ClockChanged(old, utc), now)
        self._evaluate(to_ms(now))

    def slew(self, seconds: int, now: float) -> None:
        """Move the clock by some seconds in small steps from now on."""
        self._clock.slew(seconds, to_ms(now))
        self.touch()

    def _slew_step(self, now: float) -> None:
        step = self._clock.step(to_ms(now), max(1, self._increment()))
        self._host.signal(ClockSlewed(step), now)
        if not self._clock.slew_s:  # the entries show what the clock would have been, and what it is: grade D
            slewed, self._clock.slewed_s = self._clock.slewed_s, 0
            self._host.signal(LogEntry(OLD_TIME, at=now - slewed), now)
            self._host.signal(LogEntry(NEW_TIME), now)
        self._evaluate(to_ms(now))

    def _increment(self) -> int:
        """ET55.delta_time_increment, 1 where the meter has no such table."""
        if "ET55" not in self._host.store:
            return 1
        return min(16, self._host.store.octets("ET55")[4])

    def procedures(self) -> Mapping[int, Procedure]:
        return {SET_CLOCK: self._set_clock, SLEW_CLOCK: self._slew_clock}

    def _may(self, session: Session) -> bool:
        """ET04.71 bit 0 keeps the read-only key from the clock."""
        return session.level is not AccessLevel.RK or not self._host.store.octets("ET04")[71] & 1

    def _set_clock(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """BP10: UINT8 mask (bit 0 time, bit 1 date), LTIME_DATE in UTC, UINT8 flags (ignored). C12.19 shape, grade C.

        The response holds the old and the new time.
        """
        if not self._may(session):
            return ProcedureResult.NOT_AUTHORISED, b""
        if len(parameters) < 7:
            return ProcedureResult.INVALID_PARAMETER, b""
        old = self.utc(now)
        wanted = LtimeDate.decode(parameters[1:7]).moment()
        if wanted is None:
            return ProcedureResult.INVALID_PARAMETER, b""
        time = wanted.time() if parameters[0] & 1 else old.time()
        date = wanted.date() if parameters[0] & 2 else old.date()
        if parameters[0] & 3:
            self.set_clock(datetime.datetime.combine(date, time), now, session.user)
        return ProcedureResult.COMPLETED, LtimeDate.of(old).encode() + LtimeDate.of(self.utc(now)).encode()

    def _slew_clock(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP16: INT32 seconds. Project-defined, grade D; a new adjustment replaces one that is going on."""
        if not self._may(session):
            return ProcedureResult.NOT_AUTHORISED, b""
        if len(parameters) < 4:
            return ProcedureResult.INVALID_PARAMETER, b""
        if not self._increment():
            return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        seconds = int.from_bytes(parameters[:4], "little", signed=True)
        if abs(seconds) > ADJUSTED:
            return ProcedureResult.INVALID_PARAMETER, b""
        self.slew(seconds, now)
        return ProcedureResult.COMPLETED, b""

    # tables

    def refresh(self, identifier: str, now: float) -> None:
        store, utc = self._host.store, self.utc(now)
        dst = 8 if self._local.dst(utc) else 0
        if identifier == "BT52":
            store.put("BT52", LtimeDate.of(utc).encode() + bytes((_weekday(utc) | dst | _GMT,)))
            return
        local = self._local.local(utc).replace(second=0)  # renewed each minute
        state = self.tier | self.drive << 6 | self.special << 8 | self.season << 12
        octets = LtimeDate.of(local).encode() + bytes((_weekday(local) | dst | _ZONE_AND_DST,))
        store.put("BT55", octets + state.to_bytes(2, "little"))

    # what must survive

    def snapshot(self) -> bytes:
        clock, override = self._clock, self._override
        state: dict[str, Any] = {
            "offset": clock.offset_ms, "slew": (clock.slew_s, clock.slew_after_ms, clock.slewed_s),
            "tier": self.tier, "season": self.season, "special": self.special, "dst": self.dst,
            "marker": milliseconds(self._marker), "override": None, "drive": self.drive,
            "forced": self._forced, "next": self._next_ms,
        }  # fmt: skip
        if override is not None:
            end = None if override.end_utc is None else milliseconds(override.end_utc)
            state["override"] = (override.tier, override.drive, override.calendar_tier, override.end_ms, end)
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state = json.loads(octets[1:])
            clock = self._clock
            clock.offset_ms = state["offset"]
            clock.slew_s, clock.slew_after_ms, clock.slewed_s = state["slew"]
            self.tier, self.season, self.special, self.dst = (state[key] for key in ("tier", "season", "special", "dst"))
            self._marker, self.drive, self._next_ms = moment(state["marker"]), Drive(state["drive"]), state["next"]
            self._forced = state["forced"]
            if state["override"] is not None:
                tier, drive, calendar_tier, end_ms, end = state["override"]
                self._override = Override(tier, Drive(drive), calendar_tier, end_ms, None if end is None else moment(end))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
        self._started = True


_GMT: Final = 16
_ZONE_AND_DST: Final = 32 | 64


def _weekday(when: datetime.datetime) -> int:
    return when.isoweekday() % 7  # 0 is Sunday


def _word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _time(minutes: int) -> TimeOfDay:
    return TimeOfDay(minutes // 60, minutes % 60, 0)
