"""The tariff calendar of BT54: what is special about a local day, which season it lies in, and which tariff each minute has.

    one-off dates, recurring dates --> DayPlan of a date --> season, special schedule --> day schedule --> tariff of a minute
                                                         --> daylight saving on or off at its time of day

Everything is a function of the date alone, so that a clock that is set, or an outage, needs no repair afterwards.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..types import AnsiDate, RecurringDate
from ..value import TableValue
from .recurring import DAY, one_off, recurrences

DST_ON: Final = 1  # actions of BT54; grade A
DST_OFF: Final = 2
FIRST_SEASON: Final = 3
LAST_SEASON: Final = 14
FIRST_SPECIAL: Final = 19
LAST_SPECIAL: Final = 20
SWITCHES_PER_SCHEDULE: Final = 10
MINUTES_PER_DAY: Final = 1440
_MEMORY_YEARS: Final = 2  # how far back the last season or daylight saving date may lie


@dataclass(frozen=True, slots=True)
class CalendarDate:
    """A date of the calendar and what happens then.    action: 0 none, 1/2 DST on/off, 3..14 season, 19/20 special schedule."""

    rule: AnsiDate | RecurringDate
    action: int = 0
    demand_reset: bool = False
    self_read: bool = False


@dataclass(frozen=True, slots=True)
class DaySchedule:
    """Tariffs of a day: (minute of the day, tariff) of every switch, ascending, the first at minute 0."""

    switches: tuple[tuple[int, int], ...]

    def tier(self, minute: int) -> int:
        """Tariff of a minute of the day."""
        return self.switches[bisect_right(self.switches, (minute, 255)) - 1][1]


@dataclass(frozen=True, slots=True)
class SeasonSchedules:
    """Numbers of the day schedules of a season. `weekdays` is Sunday first, seven of them."""

    weekdays: tuple[int, ...]
    special: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What the dates of the calendar say about one local day. None: nothing."""

    dst: bool | None = None
    season: int | None = None
    special: int | None = None
    demand_reset: bool = False
    self_read: bool = False


_PLAIN: Final = DayPlan()


class Calendar:
    """BT54, understood.

    Precedence on one day (grade D): the first one-off date wins over recurring dates, the first of those over the day type;
    flags of all dates of that day are joined.

    Args:
        dates: one-off and recurring dates.    schedules: day schedules by number.    seasons: schedules by season.
        calendar_id: the host's number of this calendar.
    """

    def __init__(
        self,
        dates: Iterable[CalendarDate],
        schedules: tuple[DaySchedule, ...],
        seasons: tuple[SeasonSchedules, ...],
        calendar_id: int = 0,
    ) -> None:
        self._dates = tuple(sorted(dates, key=lambda date: isinstance(date.rule, RecurringDate)))
        self._schedules = schedules
        self._seasons = seasons
        self.calendar_id = calendar_id
        self._years: dict[int, dict[datetime.date, DayPlan]] = {}
        self._known: dict[datetime.date, tuple[int, DaySchedule]] = {}  # season and schedule of days asked for lately

    @classmethod
    def of(cls, value: TableValue) -> Calendar:
        """From a decoded BT54; numbers that lead nowhere are taken as 0 (grade D)."""
        dates = [
            CalendarDate(row["date"], row["action"], row["demand_reset"], row["self_read"])
            for kind in ("non_recurring", "recurring")
            for row in value.get(kind, ())
        ]
        rows = value["tier_switches"]
        count = len(rows) // SWITCHES_PER_SCHEDULE
        groups = (rows[i * SWITCHES_PER_SCHEDULE : (i + 1) * SWITCHES_PER_SCHEDULE] for i in range(count))
        schedules = tuple(
            _schedule([(row["hour"] * 60 + row["minute"], row["tier"]) for row in group]) for group in groups
        )
        seasons = tuple(
            SeasonSchedules(
                (row["sunday"], *(row["weekday"],) * 5, row["saturday"]), (row["special_0"], row["special_1"])
            )
            for row in value["seasons"]
        )
        return cls(dates, schedules, seasons, value["calendar_id"])

    def plan(self, date: datetime.date) -> DayPlan:
        """What the dates say about a local day."""
        return self._year(date.year).get(date, _PLAIN)

    def season(self, date: datetime.date) -> int:
        """Season of a local day: the one that the latest season date names, 0 when there is none in the last years."""
        return self._day(date)[0]

    def dst_dates(self, year: int) -> list[tuple[datetime.date, bool]]:
        """Days of a year on which daylight saving starts (True) or ends."""
        plans = self._year(year)
        return sorted((date, plan.dst) for date, plan in plans.items() if plan.dst is not None)

    def schedule(self, date: datetime.date) -> DaySchedule:
        """Day schedule of a local day."""
        return self._day(date)[1]

    def _day(self, date: datetime.date) -> tuple[int, DaySchedule]:
        if date not in self._known:
            if len(self._known) > 8:
                self._known.clear()
            season = self._latest_season(date)
            self._known[date] = (season, self._schedule_of(date, season))
        return self._known[date]

    def _schedule_of(self, date: datetime.date, season: int) -> DaySchedule:
        if not self._schedules or not self._seasons:
            return DaySchedule(((0, 0),))
        row = self._seasons[season if season < len(self._seasons) else 0]
        special = self.plan(date).special
        number = row.special[special] if special is not None else row.weekdays[date.isoweekday() % 7]
        return self._schedules[number if number < len(self._schedules) else 0]

    def _latest_season(self, date: datetime.date) -> int:
        for year in range(date.year, date.year - _MEMORY_YEARS - 1, -1):
            seasons = {day: plan.season for day, plan in self._year(year).items() if day <= date and plan.season is not None}
            if seasons:
                return seasons[max(seasons)]
        return 0

    def _year(self, year: int) -> dict[datetime.date, DayPlan]:
        if year not in self._years:
            if len(self._years) > 6:
                self._years.pop(next(iter(self._years)))
            self._years[year] = self._build(year)
        return self._years[year]

    def _build(self, year: int) -> dict[datetime.date, DayPlan]:
        plans: dict[datetime.date, DayPlan] = {}
        if not datetime.MINYEAR < year < datetime.MAXYEAR:
            return plans
        for entry in self._dates:
            if isinstance(entry.rule, AnsiDate):
                single = one_off(entry.rule)
                days: tuple[datetime.date, ...] = (single,) if single is not None and single.year == year else ()
            else:
                days = recurrences(entry.rule, year)
            for day in days:
                plans[day] = _joined(plans.get(day, _PLAIN), entry)
        return plans


def _joined(plan: DayPlan, entry: CalendarDate) -> DayPlan:
    action = entry.action
    if action in (DST_ON, DST_OFF) and plan.dst is None:
        plan = replace(plan, dst=action == DST_ON)
    elif FIRST_SEASON <= action <= LAST_SEASON and plan.season is None:
        plan = replace(plan, season=action - FIRST_SEASON)
    elif FIRST_SPECIAL <= action <= LAST_SPECIAL and plan.special is None:
        plan = replace(plan, special=action - FIRST_SPECIAL)
    return replace(
        plan, demand_reset=plan.demand_reset or entry.demand_reset, self_read=plan.self_read or entry.self_read
    )


def _schedule(rows: list[tuple[int, int]]) -> DaySchedule:
    """The records of one day; those that are not later than the one before are unused (grade D)."""
    switches = [(0, rows[0][1])] if rows else [(0, 0)]
    for minute, tier in rows[1:]:
        if switches[-1][0] < minute < MINUTES_PER_DAY:
            switches.append((minute, tier))
    return DaySchedule(tuple(switches))


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Zone and daylight saving: UTC to local time.

    Args:
        zone: minutes east of UTC.    dst_minutes: minutes added while daylight saving is on.
        dst_time: minute of the day at which it starts, by the clock before the change.
        off_delta: minutes by which the end is later in the day (ET04.dst_off_time_delta), by the clock before the change
            (grade D: which clock is not said).
    """

    zone: int = 0
    dst_minutes: int = 60
    dst_time: int = 120
    off_delta: int = 60

    def transitions(self, calendar: Calendar, year: int) -> list[tuple[datetime.datetime, bool]]:
        """(UTC instant, on) of the changes of a year of the calendar, ascending."""
        found = []
        for date, on in calendar.dst_dates(year):
            minute = self.dst_time if on else self.dst_time + self.off_delta
            local = datetime.datetime.combine(date, datetime.time()) + datetime.timedelta(minutes=minute)
            offset = self.zone + (0 if on else self.dst_minutes)
            found.append((local - datetime.timedelta(minutes=offset), on))
        return sorted(found)


class LocalClock:
    """UTC to local time with the daylight saving dates of a calendar; remembers the stretch between two changes."""

    def __init__(self, calendar: Calendar, rule: LocalTime) -> None:
        self.calendar, self.rule = calendar, rule
        self._from = self._until = datetime.datetime.min
        self._dst = False

    def dst(self, utc: datetime.datetime) -> bool:
        """Whether daylight saving is on."""
        if not self._from <= utc < self._until:
            self._look_up(utc)
        return self._dst

    def offset(self, utc: datetime.datetime) -> datetime.timedelta:
        """Local time minus UTC."""
        return datetime.timedelta(minutes=self.rule.zone + (self.rule.dst_minutes if self.dst(utc) else 0))

    def local(self, utc: datetime.datetime) -> datetime.datetime:
        """Local time."""
        return utc + self.offset(utc)

    def next_change(self, utc: datetime.datetime) -> datetime.datetime:
        """UTC of the next daylight saving date; when none is in sight, an instant at which to ask again."""
        self.dst(utc)
        return self._until

    def _look_up(self, utc: datetime.datetime) -> None:
        changes = [
            change for year in range(utc.year - _MEMORY_YEARS, utc.year + 2)
            for change in self.rule.transitions(self.calendar, year)
        ]  # fmt: skip
        place = bisect_right([instant for instant, _ in changes], utc)
        self._dst = changes[place - 1][1] if place else False
        # Without a change in sight the question is asked again a day later.
        self._from = changes[place - 1][0] if place else utc
        self._until = changes[place][0] if place < len(changes) else utc + DAY


def midnight(date: datetime.date) -> datetime.datetime:
    """00:00 of a local day."""
    return datetime.datetime.combine(date, datetime.time())
