"""Names of the per-phase fields of ET09, and the thresholds that decide what is recorded; defaults of the guide, grade A."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ..store import TableStore

PHASES: Final = 3
OFF: Final = 255  # sag2_threshold
LONG_OUTAGES: Final = 65535  # ET04.events_outage_threshold: as ET09.long_outage_threshold
DEFAULTS: Final = {
    "sag1_threshold": 10,
    "swell_threshold": 10,
    "power_up_hold": 2,
    "over_current_seconds": 10,
    "sag2_threshold": OFF,
    "average_current_interval": 600,
}
CONFIGURATION: Final = {
    "delta_time_increment": 1,
    "plc_active_timeout": 60,
    "phase_loss_seconds": 10,
    "ct_secondary": 1,
    "cover_removed_seconds": 10,
    "pq_cover_removed_seconds": 10,
    "broken_mv_seconds": 600,
    "zero_fault_seconds": 10,
    "normal_upper": 115,
    "normal_lower": 85,
    "low_upper": 60,
    "fluctuation_limit": 5,
    "reverse_icon_ma": 1000,
    "step_reset_day": 1,
    "rms_cycles": 15,
    "average_voltage_seconds": 600,
    "voltage_samples": 1008,
    "mvd_min_cycles": 1,
    "mvd_max_cycles": 180,
    "mvd_sag_low": 10,
    "mvd_sag_high": 90,
    "mvd_swell_low": 110,
    "energy_register_unit": 1,
    "optical_timeout": 600,
    "optical_holdoff": 300,
    "ext_tamper_1_used": True,
    "ext_tamper_2_used": True,
    "ext_tamper_seconds": 5,
    "cover_removed_seconds_2": 10,
    "magnetic_seconds": 10,
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a host has set in ET04, ET09 and ET55. Percent of the rated voltage, ms, mA."""

    long_outage_ms: int
    events_outage_ms: int
    sag_percent: int
    swell_percent: int
    sag_swell_ms: int
    sag2_percent: int
    sag2_ms: int
    hold_ms: int
    loss_percent: int
    loss_ms: int
    over_current_ma: int
    over_current_ms: int
    reverse_ma: int
    reverse_ms: int
    thd: int
    thd_ms: int
    momentary: bool
    broken_ms: int
    zero_fault_ms: int
    normal: tuple[int, int]
    low_upper: int
    fluctuation: int
    proper_mv: tuple[int, int]
    medium_mv: tuple[int, int]
    samples: int
    average_ms: int


def read_thresholds(store: TableStore) -> Thresholds:
    """From the tables as they stand; fields that this firmware lacks have their defaults."""

    def get(path: str, default: int = 0) -> int:
        identifier, name = path.split(".")
        return int(store.value(identifier, name, default=default))

    long_ms = 1000 * get("ET09.long_outage_threshold")
    events = get("ET04.events_outage_threshold")
    maximum_ma = 1000 * get("ET04.max_current", 100)
    thd, thd_time = (store.value("ET09", "thd", 0, name, default=0) for name in ("threshold", "time_threshold"))
    generates = get("ET04.premise_generation")
    return Thresholds(
        long_outage_ms=long_ms,
        events_outage_ms=long_ms if events == LONG_OUTAGES else 1000 * events,
        sag_percent=100 - get("ET09.sag1_threshold"),
        swell_percent=100 + get("ET09.swell_threshold"),
        sag_swell_ms=1000 * (60 * get("ET09.sag_swell_minutes") + get("ET09.sag_swell_seconds")),
        sag2_percent=100 - get("ET09.sag2_threshold", OFF),
        sag2_ms=1000 * get("ET09.sag2_seconds"),
        hold_ms=1000 * get("ET09.power_up_hold", 2),
        loss_percent=get("ET04.phase_loss_threshold"),
        loss_ms=1000 * get("ET55.phase_loss_seconds", 10),
        over_current_ma=maximum_ma * (100 + get("ET09.over_current_threshold")) // 100,
        over_current_ms=1000 * get("ET09.over_current_seconds", 10),
        reverse_ma=0 if generates else get("ET04.reverse_energy_current"),
        reverse_ms=1000 * get("ET04.reverse_energy_time_s", 10) + get("ET04.reverse_energy_time_ms"),
        thd=thd,
        thd_ms=10_000 * thd_time,
        momentary=get("ET55.mvd_max_cycles") > 0,
        broken_ms=1000 * get("ET55.broken_mv_seconds"),
        zero_fault_ms=1000 * get("ET55.zero_fault_seconds"),
        normal=(get("ET55.normal_lower", 85), get("ET55.normal_upper", 115)),
        low_upper=get("ET55.low_upper", 60),
        fluctuation=get("ET55.fluctuation_limit", 5),
        proper_mv=(get("ET55.delta_adinf"), get("ET55.delta_adsup")),
        medium_mv=(get("ET55.delta_prinf"), get("ET55.delta_prsup")),
        samples=get("ET55.voltage_samples", 1008),
        average_ms=1000 * max(1, get("ET55.average_voltage_seconds", 600)),
    )


def voltage_shares(samples: Collection[int], at: Thresholds) -> tuple[int, int]:
    """DRP and DRC of average voltages in mV: outside the proper range but in the medium one, and outside both; 0.1 percent."""
    low, high = at.proper_mv
    below, above = at.medium_mv
    critical = sum(not low - below <= one <= high + above for one in samples)
    outside = sum(not low <= one <= high for one in samples)
    return 1000 * (outside - critical) // len(samples), 1000 * critical // len(samples)
