"""The tariff calendar of BT54: what is special about a local day, which season it lies in, and which tariff each minute has.

    one-off dates, recurring dates --> DayPlan of a date --> season, special schedule --> day schedule --> tariff of a minute
                                                         --> daylight saving on or off at its time of day

Everything is a function of the date alone, so that a clock that is set, or an outage, needs no repair afterwards.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ..layout import Block, Layout, read_record
from ..types import AnsiDate, RecurringDate
from .recurring import DAY, dates_of, days_of_year, one_off

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


@dataclass(slots=True)
class _Year:
    """What the dates say about a year, a set of days for each thing: bit k is the day k days after 1 January."""

    dst_on: int = 0
    dst_off: int = 0
    seasons: dict[int, int] = field(default_factory=dict)
    specials: dict[int, int] = field(default_factory=dict)
    demand_reset: int = 0
    self_read: int = 0

    def join(self, entry: CalendarDate, days: int) -> None:
        """A date of the calendar; what an earlier one has said about a day stays."""
        action = entry.action
        if action in (DST_ON, DST_OFF):
            free = days & ~(self.dst_on | self.dst_off)
            if action == DST_ON:
                self.dst_on |= free
            else:
                self.dst_off |= free
        elif FIRST_SEASON <= action <= LAST_SEASON:
            _claim(self.seasons, action - FIRST_SEASON, days)
        elif FIRST_SPECIAL <= action <= LAST_SPECIAL:
            _claim(self.specials, action - FIRST_SPECIAL, days)
        if entry.demand_reset:
            self.demand_reset |= days
        if entry.self_read:
            self.self_read |= days

    def plan(self, day: int) -> DayPlan:
        """What they say about one day."""
        dst = True if self.dst_on >> day & 1 else False if self.dst_off >> day & 1 else None
        return DayPlan(
            dst, _claimant(self.seasons, day), _claimant(self.specials, day), bool(self.demand_reset >> day & 1),
            bool(self.self_read >> day & 1),
        )  # fmt: skip

    def latest_season(self, day: int) -> int | None:
        """The season that the last season date up to a day names."""
        until = (2 << day) - 1
        last = max(((days & until).bit_length() for days in self.seasons.values()), default=0)
        return _claimant(self.seasons, last - 1) if last else None


def _claim(sets: dict[int, int], number: int, days: int) -> None:
    for taken in sets.values():
        days &= ~taken
    sets[number] = sets.get(number, 0) | days


def _claimant(sets: dict[int, int], day: int) -> int | None:
    return next((number for number, days in sets.items() if days >> day & 1), None)


FARTHEST: Final = datetime.timedelta(days=36)  # that a change may lie from midnight UTC of its date: zone, delta, time of day
_LAST_DAY: Final = 365  # of a leap year


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
        self._years: dict[int, _Year] = {}
        self._known: dict[datetime.date, tuple[int, DaySchedule]] = {}  # season and schedule of days asked for lately

    @classmethod
    def of(cls, octets: bytes, layout: Layout) -> Calendar:
        """From the octets of BT54; numbers that lead nowhere are taken as 0 (grade D).

        Records that were understood before are not looked at again: writing one octet of a calendar must not cost the whole.
        """
        dates = []
        for kind in ("non_recurring", "recurring"):
            if kind in layout.block.items:
                element, rows = layout.records(kind, octets)
                dates += [_date_of(element, row) for row in rows]
        element, rows = layout.records("tier_switches", octets)
        groups = range(0, len(rows) - SWITCHES_PER_SCHEDULE + 1, SWITCHES_PER_SCHEDULE)
        schedules = tuple(_schedule_of(element, tuple(rows[at : at + SWITCHES_PER_SCHEDULE])) for at in groups)
        element, rows = layout.records("seasons", octets)
        seasons = tuple(_season_of(element, row) for row in rows)
        return cls(dates, schedules, seasons, layout.resolve(("calendar_id",), octets))

    def plan(self, date: datetime.date) -> DayPlan:
        """What the dates say about a local day."""
        return self._year(date.year).plan(_day_of_year(date))

    def season(self, date: datetime.date) -> int:
        """Season of a local day: the one that the latest season date names, 0 when there is none in the last years."""
        return self._day(date)[0]

    def dst_dates(self, year: int) -> list[tuple[datetime.date, bool]]:
        """Days of a year on which daylight saving starts (True) or ends."""
        plan = self._year(year)
        return [(date, bool(plan.dst_on >> _day_of_year(date) & 1)) for date in dates_of(plan.dst_on | plan.dst_off, year)]

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
        day = _day_of_year(date)
        for year in range(date.year, date.year - _MEMORY_YEARS - 1, -1):
            season = self._year(year).latest_season(day)
            if season is not None:
                return season
            day = _LAST_DAY
        return 0

    def _year(self, year: int) -> _Year:
        if year not in self._years:
            if len(self._years) > 6:
                self._years.pop(next(iter(self._years)))
            self._years[year] = self._build(year)
        return self._years[year]

    def _build(self, year: int) -> _Year:
        plan = _Year()
        if datetime.MINYEAR < year < datetime.MAXYEAR:
            for entry in self._dates:
                if isinstance(entry.rule, AnsiDate):
                    single = one_off(entry.rule)
                    days = 1 << _day_of_year(single) if single is not None and single.year == year else 0
                else:
                    days = days_of_year(entry.rule, year)
                if days:
                    plan.join(entry, days)
        return plan


def _day_of_year(date: datetime.date) -> int:
    """0 for 1 January."""
    return date.timetuple().tm_yday - 1


@lru_cache(maxsize=4096)
def _date_of(element: Block, octets: bytes) -> CalendarDate:
    row = read_record(element, octets)
    return CalendarDate(row["date"], row["action"], row["demand_reset"], row["self_read"])


@lru_cache(maxsize=1024)
def _schedule_of(element: Block, octets: tuple[bytes, ...]) -> DaySchedule:
    """The records of one day; those that are not later than the one before are unused (grade D)."""
    rows = [read_record(element, one) for one in octets]
    switches = [(0, rows[0]["tier"])]
    for row in rows[1:]:
        minute = row["hour"] * 60 + row["minute"]
        if switches[-1][0] < minute < MINUTES_PER_DAY:
            switches.append((minute, row["tier"]))
    return DaySchedule(tuple(switches))


@lru_cache(maxsize=1024)
def _season_of(element: Block, octets: bytes) -> SeasonSchedules:
    row = read_record(element, octets)
    weekdays = (row["sunday"], *(row["weekday"],) * 5, row["saturday"])
    return SeasonSchedules(weekdays, (row["special_0"], row["special_1"]))


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
        # Only years that can hold the change before or the change after need a look.
        changes = self._changes(utc.year)
        ahead = datetime.datetime(utc.year + 1, 1, 1) - FARTHEST if utc.year < datetime.MAXYEAR else datetime.datetime.max
        if utc > ahead or not any(utc < instant < ahead for instant, _ in changes):
            changes += self._changes(utc.year + 1)
        for year in range(utc.year, utc.year - _MEMORY_YEARS, -1):
            back = datetime.datetime(year, 1, 1) + FARTHEST
            if utc > back and any(back < instant <= utc for instant, _ in changes):
                break
            changes += self._changes(year - 1)
        changes.sort()
        place = bisect_right([instant for instant, _ in changes], utc)
        self._dst = changes[place - 1][1] if place else False
        # Without a change in sight the question is asked again a day later.
        self._from = changes[place - 1][0] if place else utc
        self._until = changes[place][0] if place < len(changes) else utc + DAY

    def _changes(self, year: int) -> list[tuple[datetime.datetime, bool]]:
        return self.rule.transitions(self.calendar, year)


def midnight(date: datetime.date) -> datetime.datetime:
    """00:00 of a local day."""
    return datetime.datetime.combine(date, datetime.time())
