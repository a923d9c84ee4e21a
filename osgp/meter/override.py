"""ET47: a tariff set by hand, and when the calendar rules again."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ..types import LtimeDate

CANCEL: Final = 255  # grade A
OCTETS: Final = 16


class Drive(IntEnum):
    """BT55.tier_drive: why a tariff is in force; grade A."""

    CALENDAR = 0
    UNTIL_SWITCH = 1
    INDEFINITE = 2
    TIMED = 3  # also over-power and consumption tariffs


class Cancellation(IntEnum):
    """ET47.cancellation; grade A."""

    NEXT_SWITCH = 0
    NEVER = 1
    DURATION = 2
    TIME = 3


_DRIVES: Final[dict[int, Drive]] = {
    Cancellation.NEXT_SWITCH: Drive.UNTIL_SWITCH,
    Cancellation.NEVER: Drive.INDEFINITE,
    Cancellation.DURATION: Drive.TIMED,
    Cancellation.TIME: Drive.TIMED,
}


@dataclass(frozen=True, slots=True)
class Override:
    """An override in force.

    Args:
        tier: tariff.    drive: see `Drive`.    calendar_tier: what the calendar said when it began.
        end_ms: instant of the meter at which a duration ends.    end_utc: UTC at which it ends.
    """

    tier: int
    drive: Drive
    calendar_tier: int
    end_ms: int | None = None
    end_utc: datetime.datetime | None = None

    def over(self, calendar_tier: int, at_ms: int, utc: datetime.datetime) -> bool:
        """Whether it has ended."""
        if self.drive is Drive.UNTIL_SWITCH:
            return calendar_tier != self.calendar_tier  # the next switch is the next other tariff: grade D
        return (self.end_ms is not None and at_ms >= self.end_ms) or (self.end_utc is not None and utc >= self.end_utc)


def decode_override(
    octets: bytes, calendar_tier: int, tiers: int, at_ms: int, utc: datetime.datetime
) -> Override | None:
    """What ET47 asks for; None: nothing, or something that has no meaning (a tariff that is not there, a time gone by)."""
    tier, rule = octets[0], octets[1]
    if tier >= tiers or rule not in _DRIVES:
        return None
    cancellation = Cancellation(rule)
    end_ms, end_utc = None, None
    if cancellation is Cancellation.DURATION:
        seconds = int.from_bytes(octets[2:6], "little")
        if not seconds:  # grade A: no switch
            return None
        end_ms = at_ms + 1000 * seconds
    elif cancellation is Cancellation.TIME:
        end_utc = LtimeDate.decode(octets[6:12]).moment()
        if end_utc is None or end_utc <= utc:
            return None
    return Override(tier, _DRIVES[cancellation], calendar_tier, end_ms, end_utc)
