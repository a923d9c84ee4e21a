"""RDATE: which days of a year a recurring date of BT54 means. Rules in the table specification, grade A unless marked."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..types import AnsiDate, RecurringDate

DAY: Final = datetime.timedelta(days=1)
MONTHLY: Final = 13
WEEKLY: Final = 14
PERIODIC: Final = 15
# Day that periods are counted from; BT50 says that there is no anchor date, and no other is published. Grade D.
PERIOD_ORIGIN: Final = datetime.date(2000, 1, 1)
NO_WEEKDAY: Final = 7

_SATURDAY, _SUNDAY = 6, 0
# Months of `_Form.months` in which a rule of one month has its dates: January and December next to the year, too.
_SAME_MONTH: Final = {month: ((1, 13) if month == 1 else (0, 12) if month == 12 else (month,)) for month in range(1, 13)}
# offset rule: days by which a Saturday and a Sunday move.
_MOVES: Final = {8: (0, 1), 9: (0, -2), 10: (2, 0), 11: (-1, 0), 12: (2, 1), 13: (-1, -2), 14: (-1, 1)}


def weekday(day: datetime.date) -> int:
    """0 is Sunday, 6 is Saturday."""
    return day.isoweekday() % 7


def one_off(date: AnsiDate) -> datetime.date | None:
    """The day of an ANSI_DATE, None when it is none (all zero: unused)."""
    return _date(2000 + date.year, date.month, date.day)


@lru_cache(maxsize=4096)
def days_of_year(rule: RecurringDate, year: int) -> int:
    """Days of `year` that the rule means: bit k is set for the day k days after 1 January.

    Days that a month does not have are left out (grade D).
    """
    form = _form(year)
    if rule.month == PERIODIC:
        return _every(rule.period, (rule.delta - form.since_origin) % rule.period, form.length) if rule.period else 0
    if rule.month == WEEKLY:
        return 0 if rule.weekday == NO_WEEKDAY else _every(7, (rule.weekday - form.weekday) % 7, form.length)
    if not 1 <= rule.month <= MONTHLY:
        return 0
    days, day, offset, wanted = 0, rule.day, rule.offset, rule.weekday
    # A date moves by less than a month: it may come from last December or next January.
    for month in range(14) if rule.month == MONTHLY else _SAME_MONTH[rule.month]:
        start, end = form.months[month : month + 2]
        at = start + day - 1
        if start <= at < end:
            for moved in _moved(offset, wanted, at, (form.weekday + at) % 7, end):
                if 0 <= moved < form.length:
                    days |= 1 << moved
    return days


@dataclass(frozen=True, slots=True)
class _Form:
    """How a year lies.    length: days.    weekday: of 1 January.    since_origin: days since PERIOD_ORIGIN.

    months: days after 1 January on which December of the year before, each month, next January and next February begin.
    """

    length: int
    weekday: int
    since_origin: int
    months: tuple[int, ...]


@lru_cache(maxsize=64)
def _form(year: int) -> _Form:
    first = datetime.date(year, 1, 1)
    begins = [(datetime.date(year, month, 1) - first).days for month in range(1, 13)]
    length = begins[-1] + 31
    return _Form(length, weekday(first), (first - PERIOD_ORIGIN).days, (-31, *begins, length, length + 31))


def recurrences(rule: RecurringDate, year: int) -> tuple[datetime.date, ...]:
    """Days of `year` that the rule means, ascending."""
    return dates_of(days_of_year(rule, year), year)


def dates_of(days: int, year: int) -> tuple[datetime.date, ...]:
    """The days of a year whose bits are set, ascending."""
    first = datetime.date(year, 1, 1)
    found = []
    while days:
        lowest = days & -days
        found.append(first + DAY * (lowest.bit_length() - 1))
        days ^= lowest
    return tuple(found)


def _every(period: int, start: int, length: int) -> int:
    """Bits start, start + period, ... below length."""
    if start >= length:
        return 0
    count = (length - 1 - start) // period + 1
    return ((1 << period * count) - 1) // ((1 << period) - 1) << start


def _moved(offset: int, wanted: int, day: int, weekday: int, end: int) -> tuple[int, ...]:
    """What an offset rule makes of a day (days after 1 January) of that weekday in a month that ends before `end`."""
    if offset == 0:
        return (day,)
    if offset == 7:
        return (day, day + 1)
    if offset == 15:
        return (day + 1,)
    if offset in _MOVES:
        saturday, sunday = _MOVES[offset]
        return (day + (saturday if weekday == _SATURDAY else sunday if weekday == _SUNDAY else 0),)
    if wanted == NO_WEEKDAY:
        return ()
    after = day + (wanted - weekday) % 7  # the first such weekday on or after the date
    if offset == 1:
        return (after - 7,)  # strictly before: grade D
    if offset == 6:
        return (after + (end - 1 - after) // 7 * 7,) if after < end else ()
    return (after + 7 * (offset - 2),)


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
