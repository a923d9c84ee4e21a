"""What the measuring side of a meter is told before it starts: registers, calendar, load profile, demand, logs."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ConfigurationError
from ..types import RecurringDate

# Limits of BT50, firmware 3.50 and later; grade A.
NON_RECURRING: Final = 25
RECURRING: Final = 23
SWITCHES: Final = 200
SEASONS: Final = 12
SCHEDULE_SWITCHES: Final = 10
SUNDAY: Final = 0
LAST: Final = 6  # RDATE rule: last such weekday of the month on or after the date; grade A
DST_ON: Final = 1
DST_OFF: Final = 2
MAX_CHANNELS: Final = 16
MAX_SETS: Final = 4
DAILY_CODE: Final = 84  # interval_time of 24 hours; grade A
MAX_DEMANDS: Final = 8


def rdate(month: int, day: int = 0, offset: int = 0, weekday: int = 0) -> RecurringDate:
    """A recurring date from its parts: month 1..12, 13 monthly, 14 weekly; see `types.RecurringDate`."""
    return RecurringDate(month | offset << 4 | weekday << 8 | day << 11)


def every_days(period: int, delta: int = 0) -> RecurringDate:
    """A recurring date every `period` days, 1..63."""
    return RecurringDate(15 | period << 4 | delta << 10)


# Daylight saving of the European Union: last Sundays of March and October.
EUROPEAN_DST: Final = (
    {"date": rdate(3, 25, LAST, SUNDAY), "action": DST_ON},
    {"date": rdate(10, 25, LAST, SUNDAY), "action": DST_OFF},
)


# BT50, firmware 3.50 and later; grade A.
CALENDAR_LIMITS: Final = {
    "tou_self_read": True,
    "season_self_read": True,
    "sort_tier_switches": True,
    "time_zone_offset": True,
    "number_seasons": SEASONS,
    "number_special_schedules": 2,
    "number_non_recurring": NON_RECURRING,
    "number_recurring": RECURRING,
    "number_tier_switches": SWITCHES,
    "calendar_table_size": 808,
}


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """One load profile data set.

    Args:
        channels: extended source ids, 1..16.    interval_time: 1..60 minutes or 84 for 24 hours.
        intervals: per block, 1..1440.    blocks: 2 or more.    start: (hour, minute) UTC at which blocks begin.
        ansi: ANSI compliant: statuses of the standard only.
    """

    channels: tuple[int, ...] = (0, 1, 2, 3)
    interval_time: int = 60
    intervals: int = 24
    blocks: int = 31
    start: tuple[int, int] = (0, 0)
    ansi: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.channels) <= MAX_CHANNELS:
            raise ConfigurationError(f"a load profile set has 1..16 channels, got {len(self.channels)}")
        if any(not 0 <= channel <= 0xFFFF for channel in self.channels):
            raise ConfigurationError(f"a channel is an extended source id of 16 bits, got {self.channels}")
        if not (1 <= self.interval_time <= 60 or (self.interval_time == DAILY_CODE and not self.ansi)):
            raise ConfigurationError(f"interval_time must be 1..60 minutes or 84 (24 h, not ANSI), got {self.interval_time}")
        if not 1 <= self.intervals <= 1440:
            raise ConfigurationError(f"a block has 1..1440 intervals, got {self.intervals}")
        if not 2 <= self.blocks <= 0xFFFF:
            raise ConfigurationError(f"a load profile set has 2..65535 blocks, got {self.blocks}")
        if not (0 <= self.start[0] < 24 and 0 <= self.start[1] < 60):
            raise ConfigurationError(f"blocks start at an hour and a minute of the day, got {self.start}")


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """Demand metering.

    Args:
        sources: of each demand, 1..8 of them: energies 0..3, 6, 7 or powers 8..11, 20, 104..107.
        coincidents: (source, index of the demand) of values kept with a maximum, at most two per demand.
        sub_interval: minutes, divides 60.    multiplier: 1 is a block demand, more is rolling.
        lockout: minutes after a reset in which procedures and buttons may not reset again, 0: none (grade D).
    """

    sources: tuple[int, ...] = (8,)
    coincidents: tuple[tuple[int, int], ...] = ()
    sub_interval: int = 15
    multiplier: int = 1
    lockout: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.sources) <= MAX_DEMANDS:
            raise ConfigurationError(f"a meter has 1..8 demands, got {len(self.sources)}")
        if not (1 <= self.sub_interval <= 60 and 60 % self.sub_interval == 0):
            raise ConfigurationError(f"a demand sub-interval divides 60 minutes, got {self.sub_interval}")
        if not 1 <= self.multiplier <= 15:
            raise ConfigurationError(f"the demand multiplier is 1..15, got {self.multiplier}")
        for _, index in self.coincidents:
            if not 0 <= index < len(self.sources) or sum(1 for _, one in self.coincidents if one == index) > 2:
                raise ConfigurationError(f"a demand has at most two coincident values, got {self.coincidents}")


@dataclass(frozen=True, slots=True)
class MeteringSettings:
    """Registers, calendar, load profile, demand and logs of one meter. Every value has a default.

    Args:
        tiers: 4 or 8 tariffs.    energy_unit: Wh per count, 1, 10, 100.    rollover_digits: 5..9.
        transformer_ratio: of current and voltage transformers.    pulses_per_hour: at inputs 0 and 1.
        heat_pump, car, seasonal: of the built-in Household; `seasonal` lets sun and heating follow the year.
        generation: the premises generate power: energy that flows back is no alarm; so with MeterConfig.pv_peak.
        calendar: values of BT54; None: the switches of MeterConfig.tariff, `dates` and European daylight saving.
        dates: rows of BT54.recurring besides daylight saving; the default reads registers on the first of each month.
        daylight_saving: whether the built calendar has the European dates.
        self_read_minute: minute of the local day of self-reads.    self_reads: kept in BT26, 1..253.
        profile: up to four data sets.    demand: None: no demand metering.
        history_entries: of BT74.    alternate_entries: of ET79, 0: off.    alternate_events: events that go there.
        critical_events: up to 10 sets of events.    outage_log, demand_log, one_time_log: entries of ET81, ET41, ET31.
        overflow_reads: entries of ET74, 0..255, which takes scheduled reads of sub-meters and MEP clients while ET45 is full of
            unread ones; 0: there is none, the oldest are lost. Firmware 3.60 and later.
        quality, configuration: values of ET09 and ET55 that differ from the defaults.
        welmec: load profile changes are logged in ET75 and refused when that is full.
    """

    tiers: int = 4
    energy_unit: int = 1
    rollover_digits: int = 9
    transformer_ratio: int = 1
    pulses_per_hour: tuple[int, int] = (0, 0)
    heat_pump: float = 0.0
    car: float = 0.0
    seasonal: bool = False
    generation: bool = False
    calendar: Mapping[str, Any] | None = None
    dates: tuple[Mapping[str, Any], ...] = ({"date": rdate(13, 1), "self_read": True},)
    daylight_saving: bool = True
    self_read_minute: int = 0
    self_reads: int = 24
    profile: tuple[ProfileSettings, ...] = field(default_factory=lambda: (ProfileSettings(),))
    demand: DemandSettings | None = None
    history_entries: int = 100
    alternate_entries: int = 0
    alternate_events: frozenset[int] = frozenset()
    critical_events: tuple[frozenset[int], ...] = ()
    outage_log: int = 10
    demand_log: int = 12
    overflow_reads: int = 0
    one_time_log: int = 2
    quality: Mapping[str, Any] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    welmec: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.overflow_reads <= 255:
            raise ConfigurationError(f"overflow_reads must be 0..255, got {self.overflow_reads}")
        if not 1 <= self.self_reads <= 253:
            raise ConfigurationError(f"self_reads must be 1..253, got {self.self_reads}")
        if not 0 <= self.self_read_minute < 1440:
            raise ConfigurationError(f"self_read_minute must be 0..1439, got {self.self_read_minute}")
        if len(self.profile) > MAX_SETS:
            raise ConfigurationError(f"a meter has at most {MAX_SETS} load profile sets, got {len(self.profile)}")
        if not 1 <= self.history_entries <= 0xFFFF or not 0 <= self.alternate_entries <= 0xFFFF:
            raise ConfigurationError("event logs have 1..65535 entries (the alternate one 0..65535)")
        if len(self.critical_events) > 10:
            raise ConfigurationError(f"there are at most 10 sets of critical events, got {len(self.critical_events)}")

    def first_day(self, local: datetime.datetime) -> int | None:
        """Day of the year of the load's day 0, when the load follows the year."""
        return local.timetuple().tm_yday if self.seasonal else None


def built_calendar(tariff: tuple[tuple[float, int], ...], settings: MeteringSettings) -> dict[str, Any]:
    """Values of BT54 from (hour of the day, tariff) switches; the last one holds over midnight."""
    hours = [hour for hour, _ in tariff]
    if not tariff or hours != sorted(set(hours)) or not 0.0 <= hours[0] <= hours[-1] < 24.0:
        raise ConfigurationError(f"tariff needs ascending hours in [0, 24), got {tariff}")
    if any(not 0 <= tier < settings.tiers for _, tier in tariff):
        raise ConfigurationError(f"a tariff is 0..{settings.tiers - 1}, got {tariff}")
    switches = [(round(hour * 60), tier) for hour, tier in tariff]
    if switches[0][0]:
        switches.insert(0, (0, switches[-1][1]))
    dates = [*(EUROPEAN_DST if settings.daylight_saving else ()), *settings.dates]
    return calendar_values(dates, [switches], [(0, 0, 0, 0, 0)])


def calendar_values(
    recurring: list[Mapping[str, Any]],
    schedules: list[list[tuple[int, int]]],
    seasons: list[tuple[int, int, int, int, int]],
    non_recurring: list[Mapping[str, Any]] | None = None,
    calendar_id: int = 1,
) -> dict[str, Any]:
    """Values of BT54.

    Args:
        recurring, non_recurring: rows with date, action, demand_reset, self_read.
        schedules: per day schedule its (minute of the day, tariff) switches, the first at minute 0.
        seasons: schedule numbers for Saturday, Sunday, weekday, special 0 and special 1.
    """
    if len(recurring) > RECURRING or len(non_recurring or ()) > NON_RECURRING:
        raise ConfigurationError(f"a calendar has at most {RECURRING} recurring and {NON_RECURRING} one-off dates")
    if len(schedules) > SWITCHES // SCHEDULE_SWITCHES or len(seasons) > SEASONS:
        raise ConfigurationError("a calendar has at most 20 day schedules and 12 seasons")
    rows = []
    for number, switches in enumerate(schedules):
        if len(switches) > SCHEDULE_SWITCHES or not switches or switches[0][0] != 0:
            raise ConfigurationError(f"a day schedule has 1..10 switches, the first at midnight, got {switches}")
        for place in range(SCHEDULE_SWITCHES):
            minute, tier = switches[place] if place < len(switches) else (0, 0)
            rows.append({"tier": tier, "minute": minute % 60, "hour": minute // 60, "schedule": number})
    first = dict(recurring[0]) if recurring else {}
    return {
        "non_recurring": list(non_recurring or ()),
        "recurring": [{**first, "tou_format": True}, *recurring[1:]],
        "tier_switches": rows,
        "seasons": [
            dict(zip(("saturday", "sunday", "weekday", "special_0", "special_1"), row, strict=True)) for row in seasons
        ],
        "calendar_id": calendar_id,
    }
