"""ET42, the interface definition: every dimension that can change, in one table; and the flags of ET54 that go with it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..context import MULTIPLE_SETS_FROM
from ..errors import ConfigurationError
from ..layout import Layout
from .billing import Billing
from .journal import Journal
from .profile import ProfileSet
from .profiling import ANSI_OPTION, ProfileChanged, Profiling
from .settings import MAX_CHANNELS, MAX_DEMANDS, MeteringSettings
from .subsystem import Host, Subsystem

FIXED_LENGTH: Final = 41  # octets up to the list of logs; grade A
NEWER_FIELDS_FROM: Final = (3, 70)  # firmware with ET77, ET79, unit and digits at the end of ET42; grade A


class InterfaceDefinition(Subsystem):
    """ET42."""

    name: ClassVar[str] = "interface"
    live = frozenset(("ET42",))

    def attach(self, host: Host) -> None:
        self._host = host
        billing, journal, profile = host.find(Billing), host.find(Journal), host.find(Profiling)
        if billing is None or journal is None or profile is None:
            raise ConfigurationError("an interface definition needs the subsystems Billing, Journal and Profiling")
        self._billing, self._journal, self._profile = billing, journal, profile
        self._settings: MeteringSettings = host.config.metering
        host.store.put("ET42", b"")
        self._shown: dict[str, Any] = {}  # what the octets in the store say
        self._layout: Layout | None = None
        self._length = 0
        if self._settings.welmec:
            profile.guard = self._log_change

    def start(self, now: float) -> None:
        store = self._host.store
        if "ET54" in store:
            several = store.context.firmware >= MULTIPLE_SETS_FROM
            flags = {"multi_lp": several, "et79_entries": self._journal.alternate.entries}
            store.update("ET54", flags | {"welmec_11_2": self._settings.welmec})
        self.refresh("ET42", now)

    def _log_change(self, change: ProfileChanged) -> bool:
        """ET75: what the primary set was before a change; False when the log is full: the change is refused (grade A)."""
        log = self._journal.logs["ET75"]
        if log.full:
            return False
        when, demand = change.at, self._billing.demand
        record = bytes((when.year - 2000, when.month, when.day, when.hour, when.minute))
        record += struct.pack(f"<{len(change.sources)}H", *change.sources).ljust(2 * MAX_CHANNELS, b"\0")
        record += bytes(() if demand is None else demand.settings.sources).ljust(MAX_DEMANDS, b"\0")
        record += bytes((0, 0) if demand is None else (demand.settings.sub_interval, demand.settings.multiplier))
        return self._journal.append("ET75", record, self._host.now)

    def refresh(self, identifier: str, now: float) -> None:
        store = self._host.store
        values = self._values()
        if values == self._shown and store.context.layout("ET42") is self._layout:
            return
        store.encode("ET42", values | {"table_length": self._length})
        if self._length != store.length("ET42"):
            self._length = store.length("ET42")
            store.encode("ET42", values | {"table_length": self._length})
        self._shown, self._layout = values, store.context.layout("ET42")

    def _values(self) -> dict[str, Any]:
        store, profile, journal = self._host.store, self._profile, self._journal
        register = store.context.peek("BT21")
        actual = store.context.peek("BT71")
        assert register is not None and actual is not None
        demand = self._billing.demand
        sets = profile.sets
        others = [(number, one) for number, one in enumerate(sets[1:]) if one is not None]
        return {
            "fixed_length": FIXED_LENGTH,
            "log_count": len(journal.logs),
            "format_2": True,
            "bidn": self._billing.bidn,
            "demand_reset_counter": register["demand_reset_counter"],
            "cumulative_demand": register["cumulative_demand"],
            "continuous_cumulative_demand": register["continuous_cumulative_demand"],
            "demand_configured": demand is not None,
            "unread_bitmap_enabled": True,
            **{name: register[name] for name in _COPIED},
            "demand_sub_interval": 0 if demand is None else demand.settings.sub_interval,
            "demand_multiplier": 0 if demand is None else demand.settings.multiplier,
            "tier_size": self._billing.tier_size,
            **_first_set(sets[0]),
            "log_date_time": actual["date_time"],
            "log_sequence": actual["sequence_number"],
            "history_entries": actual["history_entries"],
            "history_data_length": actual["history_data_length"],
            "logs": [{"entries": log.entries, "entry_size": log.entry_size} for log in journal.logs.values()],
            "demand_sources": () if demand is None else demand.settings.sources,
            "coincident_sources": () if demand is None else tuple(source for source, _ in demand.settings.coincidents),
            "lp1_sources": () if sets[0] is None else sets[0].settings.channels,
            "lp_bitmap": sum(1 << number for number, _ in others),
            "lp_sets": [_other_set(one) for _, one in others],
            "required_length": 8 if store.context.firmware >= NEWER_FIELDS_FROM else 3,
            "et79_entries": journal.alternate.entries,
            "energy_register_unit": self._settings.energy_unit,
            "rollover_digits": self._settings.rollover_digits,
        }


_COPIED: Final = (
    "number_self_reads", "number_summations", "number_demands", "number_coincident", "number_occurrences", "number_tiers",
    "number_present_demands", "number_present_values",
)  # fmt: skip


def _options(one: ProfileSet) -> int:
    return ANSI_OPTION if one.settings.ansi else 0


def _first_set(one: ProfileSet | None) -> Mapping[str, Any]:
    if one is None:
        return {}
    geometry, settings = one.geometry, one.settings
    return {
        "lp1_block_size": geometry.block_size,
        "lp1_blocks": geometry.blocks,
        "lp1_channels": geometry.channels,
        "lp1_interval_time": settings.interval_time,
        "lp1_interval_size": geometry.interval_size,
        "lp1_options": _options(one),
        "lp1_intervals": geometry.intervals,
        "lp1_start_hour": settings.start[0],
        "lp1_start_minute": settings.start[1],
    }


def _other_set(one: ProfileSet) -> Mapping[str, Any]:
    geometry, settings = one.geometry, one.settings
    return {
        "block_size": geometry.block_size,
        "blocks": geometry.blocks,
        "channels": geometry.channels,
        "interval_time": settings.interval_time,
        "interval_size": geometry.interval_size,
        "options": _options(one),
        "intervals": geometry.intervals,
        "start_hour": settings.start[0],
        "start_minute": settings.start[1],
        "sources": settings.channels,
    }
