"""RDATE: which days of a year a recurring date of BT54 means. Rules in the table specification, grade A unless marked."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
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
# offset rule: days by which a Saturday and a Sunday move.
_MOVES: Final = {8: (0, 1), 9: (0, -2), 10: (2, 0), 11: (-1, 0), 12: (2, 1), 13: (-1, -2), 14: (-1, 1)}


def weekday(day: datetime.date) -> int:
    """0 is Sunday, 6 is Saturday."""
    return day.isoweekday() % 7


def one_off(date: AnsiDate) -> datetime.date | None:
    """The day of an ANSI_DATE, None when it is none (all zero: unused)."""
    return _date(2000 + date.year, date.month, date.day)


def recurrences(rule: RecurringDate, year: int) -> tuple[datetime.date, ...]:
    """Days of `year` that the rule means, ascending. Days that a month does not have are left out (grade D)."""
    first, last = datetime.date(year, 1, 1), datetime.date(year, 12, 31)
    if rule.month == PERIODIC:
        if not rule.period:
            return ()
        start = first + DAY * ((rule.delta - (first - PERIOD_ORIGIN).days) % rule.period)
        return tuple(_steps(start, last, rule.period))
    if rule.month == WEEKLY:
        if rule.weekday == NO_WEEKDAY:
            return ()
        return tuple(_steps(first + DAY * ((rule.weekday - weekday(first)) % 7), last, 7))
    # A moved date may lie in the year after or before the one it is counted from.
    found = {day for base in (year - 1, year, year + 1) for day in _of_year(rule, base) if first <= day <= last}
    return tuple(sorted(found))


def _steps(start: datetime.date, last: datetime.date, days: int) -> Iterator[datetime.date]:
    while start <= last:
        yield start
        start += DAY * days


def _of_year(rule: RecurringDate, year: int) -> Iterator[datetime.date]:
    if not 1 <= rule.month <= MONTHLY:
        return
    for month in range(1, 13) if rule.month == MONTHLY else (rule.month,):
        day = _date(year, month, rule.day)
        if day is not None:
            yield from _moved(rule, day)


def _moved(rule: RecurringDate, day: datetime.date) -> Iterator[datetime.date]:
    offset = rule.offset
    if offset == 0:
        yield day
    elif offset == 7:
        yield day
        yield day + DAY
    elif offset == 15:
        yield day + DAY
    elif offset in _MOVES:
        saturday, sunday = _MOVES[offset]
        yield day + DAY * {_SATURDAY: saturday, _SUNDAY: sunday}.get(weekday(day), 0)
    elif rule.weekday != NO_WEEKDAY:
        after = day + DAY * ((rule.weekday - weekday(day)) % 7)  # the first such weekday on or after the date
        if offset == 1:
            yield after - DAY * 7  # strictly before: grade D
        elif offset == 6:
            while (after + DAY * 7).month == day.month:
                after += DAY * 7
            if after.month == day.month:
                yield after
        else:
            yield after + DAY * 7 * (offset - 2)


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
