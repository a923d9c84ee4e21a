"""The plain measuring subsystem: load model to registers, present values and clocks."""

from __future__ import annotations

import datetime
from typing import ClassVar, Final

from ..types import LtimeDate
from .identity import put
from .load import Household, LoadModel
from .mains import present_values
from .registers import SUMMATIONS, TIERS, Registers
from .subsystem import Host, Subsystem

# Instantaneous values of BT28 in order: the 41 of firmware 3.50 to 3.6x, without average values; grade A.
PRESENT_SOURCES: Final = (
    8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 81, 82, 83, 84, 104, 105, 106, 107,
    *range(185, 200),
)  # fmt: skip


class Measuring(Subsystem):
    """BT20 to BT28 and the clocks BT52, BT53, BT55 of a meter without demand metering.

    Attributes:
        registers: the billing registers.
    """

    name: ClassVar[str] = "measuring"
    live = frozenset(("BT23", "BT28", "BT52", "BT55"))

    def attach(self, host: Host) -> None:
        self._host = host
        config = host.config
        self._origin = config.second_of_day()
        self._load: LoadModel = config.load or Household(
            config.seed, phases=config.phases, pv_peak=config.pv_peak, size=config.size
        )
        self.registers = Registers(self._load, self._origin, config.initial_registers, config.tariff)
        dimensions = {
            "season_field": True,
            "date_time_field": True,
            "number_summations": len(SUMMATIONS),
            "number_occurrences": 1,
            "number_tiers": TIERS,
            "number_present_values": len(PRESENT_SOURCES),
            "daily_self_read": True,
            "weekly_self_read": True,
        }
        for name in ("BT20", "BT21"):
            put(host.store, name, dimensions)
        put(host.store, "BT22", {"summation_sources": SUMMATIONS})
        put(host.store, "BT27", {"value_sources": PRESENT_SOURCES})
        put(host.store, "BT53", {"time_zone_offset": config.utc_offset})
        for name in self.live:
            self.refresh(name, host.now)

    def advance(self, now: float) -> None:
        self.registers.advance(self._origin + now)

    def refresh(self, identifier: str, now: float) -> None:
        store, at = self._host.store, self._origin + now
        match identifier:
            case "BT23":
                block = [{"summations": self.registers.total()}]
                tiers = [{"summations": tier} for tier in self.registers.tiers()]
                put(store, "BT23", {"total": block, "tiers": tiers})
            case "BT28":
                values = present_values(self._load.power(at), self._host.config.mains, at)
                put(store, "BT28", {"present_values": [values[source] for source in PRESENT_SOURCES]})
            case "BT52":
                utc = self._host.clock.utc(now)
                put(store, "BT52", {"clock": LtimeDate.of(utc), "day_of_week": _weekday(utc), "gmt": True})
            case "BT55":
                local = self._host.clock.local(now).replace(second=0)  # renewed each minute
                values55 = {"clock": LtimeDate.of(local), "day_of_week": _weekday(local), "current_tier": self.registers.tier(at)}
                put(store, "BT55", values55 | {"time_zone_applied": True, "dst_applied": True})


def _weekday(moment: datetime.datetime) -> int:
    return moment.isoweekday() % 7  # 0 is Sunday
