"""The time-based relay calendar ET61: eighty switches per relay, ten for each of eight day blocks.

    mode (ET05), local date --> day block --> its switches --> state now, minute of the next switch
Which day a block stands for is not published; the modes are choices of this project, grade D.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

from ..store import TableStore

SWITCHES_PER_BLOCK: Final = 10  # grade A
OCTETS: Final = 2
OFF, DAILY, WEEKLY, BY_PLAN = range(4)
SPECIAL_BLOCK: Final = 7  # in mode WEEKLY
DAY: Final = datetime.timedelta(days=1)

Special = Callable[[datetime.date], int | None]  # special schedule of a date, None: an ordinary day


def read_switches(store: TableStore, relay: int, block: int) -> list[tuple[int, bool]]:
    """(minute of the day, closed) of a block, ascending; entries with an impossible time are not in use (grade D)."""
    count = int(store["ET11.relay_switches"])
    octets = store.octets("ET61")
    found = []
    for number in range(block * SWITCHES_PER_BLOCK, min(count, (block + 1) * SWITCHES_PER_BLOCK)):
        place = (relay * count + number) * OCTETS
        word = int.from_bytes(octets[place : place + OCTETS], "little")
        hour, minute = word >> 11, word >> 5 & 0x3F
        if hour < 24 and minute < 60:
            found.append((60 * hour + minute, bool(word & 1)))
    return sorted(found, key=lambda switch: switch[0])


def day_block(mode: int, date: datetime.date, special: Special) -> int:
    """Which block holds on a local date."""
    schedule = special(date)
    if mode == WEEKLY:
        return SPECIAL_BLOCK if schedule is not None else date.isoweekday() % 7
    if mode == BY_PLAN:
        if schedule is not None:
            return 3 + schedule
        return {5: 0, 6: 1}.get(date.weekday(), 2)
    return 0


def calendar_state(
    store: TableStore, relay: int, mode: int, local: datetime.datetime, special: Special
) -> tuple[bool | None, int | None]:
    """(closed, minute of the day of the next switch today) at a local time; None: the calendar says nothing.

    Before the first switch of a day the last one of the day before still holds.
    """
    if mode not in (DAILY, WEEKLY, BY_PLAN) or "ET61" not in store:
        return None, None
    minute = 60 * local.hour + local.minute
    today = read_switches(store, relay, day_block(mode, local.date(), special))
    past = [closed for at, closed in today if at <= minute]
    ahead = [at for at, _ in today if at > minute]
    if not past:
        past = [closed for _, closed in read_switches(store, relay, day_block(mode, local.date() - DAY, special))]
    return (past[-1] if past else None), (ahead[0] if ahead else None)
