"""What stands in the tables of the simulated meter."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any, Final

from ..context import pack_firmware
from ..store import AccessLevel, TableStore
from ..table import EXTENDED, table, table_number
from ..types import LtimeDate
from .config import MeterConfig
from .registers import SUMMATIONS, TIERS, Registers

# Instantaneous values of BT28 in order: the 41 of firmware 3.50 to 3.6x, without average values; grade A.
PRESENT_SOURCES: Final = (
    8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 81, 82, 83, 84, 104, 105, 106, 107,
    *range(185, 200),
)  # fmt: skip
# Octets of the bitmaps of BT00 in firmware 3.x, and of the maker's status in BT03; grade A (defaults of the guide).
BITMAP_OCTETS: Final = {"dim_basic_tables": 10, "dim_extended_tables": 13}
PROCEDURE_OCTETS: Final = {"dim_basic_procedures": 2, "dim_extended_procedures": 12}
STATUS_OCTETS: Final = 9
# Tables rewritten from the meter's state before each access.
LIVE: Final = ("BT23", "BT28", "BT52", "BT55", "ET04")


def fill(store: TableStore, config: MeterConfig) -> None:
    """Write the tables that do not change by themselves, then BT00, which lists them all."""
    _put(store, "BT01", _maker(config))
    dimensions: dict[str, Any] = {
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
        _put(store, name, dimensions)
    _put(store, "BT22", {"summation_sources": SUMMATIONS})
    _put(store, "BT27", {"value_sources": PRESENT_SOURCES})
    _put(store, "BT53", {"time_zone_offset": config.utc_offset})
    _put(store, "ET03", {"utility_serial": config.utility_serial})
    for name in ("BT07", "BT08", *LIVE):
        store.put(name, b"")
    store.put("BT03", b"")
    _put(store, "BT00", _root(store))
    _put(store, "BT03", {"metering_mode": True} | dict.fromkeys(config.alarms, True))
    for name in ("BT07", "BT08"):
        _put(store, name, {})


def _put(store: TableStore, name: str, values: dict[str, Any]) -> None:
    store.put(name, table(name).encode(values, store.context))


def _maker(config: MeterConfig) -> dict[str, Any]:
    high, low = pack_firmware(*config.firmware)
    return {
        "manufacturer": config.manufacturer.ljust(4),
        "model": config.model.ljust(8),
        "hardware_version": config.hardware[0],
        "hardware_revision": config.hardware[1],
        "firmware_version": high,
        "firmware_revision": low,
        "manufacturer_serial": config.serial.zfill(16),
    }


def _root(store: TableStore) -> dict[str, Any]:
    numbers = {table_number(name) for name in (*store.known(), "BT00")}
    writable = {table_number(name) for name in store.known() if store.writable(name, AccessLevel.OMAK)}
    return {
        "char_format": 1,
        "time_format": 2,
        "data_access_method": 1,
        "id_format": 1,
        "ni_format_1": 8,
        "ni_format_2": 8,
        "manufacturer": "SIM ",
        "nameplate_type": 2,
        "procedure_param_length": 255,
        "response_data_length": 12,
        "standard_version": 1,
        "manufacturer_status_length": STATUS_OCTETS,
        **BITMAP_OCTETS,
        **PROCEDURE_OCTETS,
        "basic_tables_used": _basic(numbers),
        "extended_tables_used": _extended(numbers),
        "basic_tables_writable": _basic(writable),
        "extended_tables_writable": _extended(writable),
    }


def _basic(numbers: Iterable[int]) -> frozenset[int]:
    return frozenset(number for number in numbers if number < EXTENDED)


def _extended(numbers: Iterable[int]) -> frozenset[int]:
    return frozenset(number - EXTENDED for number in numbers if number >= EXTENDED)


def put_registers(store: TableStore, registers: Registers) -> None:
    """BT23: totals and tariffs."""
    block = [{"summations": registers.total()}]
    _put(store, "BT23", {"total": block, "tiers": [{"summations": tier} for tier in registers.tiers()]})


def put_present(store: TableStore, values: dict[int, int]) -> None:
    """BT28: instantaneous values in the order of BT27."""
    _put(store, "BT28", {"present_values": [values[source] for source in PRESENT_SOURCES]})


def put_clocks(store: TableStore, utc: datetime.datetime, local: datetime.datetime, tier: int) -> None:
    """BT52 and BT55. The local clock is renewed each minute."""
    weekday = utc.isoweekday() % 7  # 0 is Sunday
    _put(store, "BT52", {"clock": LtimeDate.of(utc), "day_of_week": weekday, "gmt": True})
    local = local.replace(second=0)
    values = {"clock": LtimeDate.of(local), "day_of_week": local.isoweekday() % 7, "current_tier": tier}
    _put(store, "BT55", values | {"time_zone_applied": True, "dst_applied": True})


def put_system(store: TableStore, config: MeterConfig, sequence: int, address: tuple[int, int]) -> None:
    """ET04: address, sequence number and ratings. What a host wrote into its own fields stays."""
    values: dict[str, Any] = {}
    if store.octets("ET04"):
        values.update(table("ET04").decode(store.octets("ET04"), store.context))
    else:
        values.update(
            rated_frequency=round(config.mains.nominal_frequency),
            rated_voltage=round(config.mains.nominal_voltage),
            max_power_outages=10,
            unused54=4,
            te_registers=4,
            registration_current=10,
            max_current=100,
            inactive_voltage_l2=config.phases == 1,
            inactive_voltage_l3=config.phases == 1,
            phase_rotation=2 if config.phases == 1 else 0,
            plc_inactive_threshold=1440,
            max_key_usage=1_000_000,
            fcm_message_count=0,
        )
    configured = address != (0, 0)
    values.update(
        plc_sequence_number=sequence,
        transceiver_id=tuple(config.unique_node_id),
        subnet_id=address[0],
        node_id=address[1],
        explicit_message_received=configured,
        program_id=tuple(config.program_id),
        self_identification=tuple(_identification(config)),
        neuron_state=4 if configured else 2,
        plc_signal_quality=4 if configured else 0,
        idt_version=config.idt_version,
        security_mode=0,
    )
    _put(store, "ET04", values)


def _identification(config: MeterConfig) -> bytes:
    """Self-identification, 30 octets: maker (3), class 5 = OSGP, program id and unique id with their lengths; features A."""
    maker = bytes((0x80, 0, 0))
    program, unique = config.program_id[2:6], config.unique_node_id
    return (maker + bytes((5, len(program))) + program + bytes((len(unique),)) + unique).ljust(30, b"\0")
