"""When a sub-meter is read: the schedule of its ET13 entry on the local clock.  Codes of the guide, grade A."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from ..store import TableStore

HOURLY, DAILY, WEEKLY, MONTHLY, NEVER = range(5)
SUNDAY: Final = 32  # ET13.day 32..38: Sunday to Saturday
SATURDAY: Final = 38
DAY: Final = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Scheduled billing reads of one device."""

    day: int = 0
    hour: int = 0
    minute: int = 0
    frequency: int = NEVER

    @classmethod
    def of(cls, store: TableStore, slot: int) -> Schedule:
        """From ET13."""
        path = f"ET13.devices[{slot}]"
        return cls(*(int(store[f"{path}.{name}"]) for name in ("day", "hour", "minute", "frequency")))

    def next(self, local: datetime.datetime) -> datetime.datetime | None:
        """The next read after a local time; None: never."""
        if self.frequency >= NEVER or self.hour > 23 or self.minute > 59:
            return None
        if self.frequency == HOURLY:
            due = local.replace(minute=self.minute, second=0, microsecond=0)
            return due if due > local else due + datetime.timedelta(hours=1)
        if self.frequency == WEEKLY and not SUNDAY <= self.day <= SATURDAY:
            return None
        if self.frequency == MONTHLY and self.day > 28:
            return None
        due = local.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        while due <= local or not self._on(due.date()):
            due += DAY
        return due

    def _on(self, date: datetime.date) -> bool:
        if self.frequency == WEEKLY:
            return date.isoweekday() % 7 == self.day - SUNDAY
        if self.frequency == MONTHLY:
            return date.day == max(1, self.day)
        return True
