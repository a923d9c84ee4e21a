"""What one pass brought from one meter, as named quantities."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..context import Context, unpack_firmware
from ..errors import TableError
from ..sources import source
from ..types import LtimeDate
from ..value import Record, TableValue


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit ("Wh", "mV", "1/1000", ...)."""

    value: int
    unit: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One meter, read once. What a meter does not have or refused is empty.

    Attributes:
        at: instant of the last answer, s.    clock: the meter's UTC clock (BT52).
        registers: totals of BT23 by source name.    tiers: the same per tariff, those that are kept per tariff.
        present: instantaneous values of BT28 by source name.    alarms: names of the BT03 bits that are set.
        tables: raw octets by table id.    missing: tables of the read set that could not be read.

    BT23 and BT28 are longer than a message: the total block comes in one piece, tariffs may be a few seconds younger.
    """

    at: float
    unique_node_id: bytes
    subnet: int
    node: int
    manufacturer: str
    model: str
    serial: str
    utility_serial: str
    firmware: str
    clock: datetime.datetime | None
    registers: Mapping[str, Quantity]
    tiers: tuple[Mapping[str, Quantity], ...]
    present: Mapping[str, Quantity]
    alarms: tuple[str, ...]
    tables: Mapping[str, bytes]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON: octets as hex digits, the clock as text."""
        return {
            "at": self.at,
            "unique_node_id": self.unique_node_id.hex(),
            "address": f"{self.subnet}/{self.node}",
            "manufacturer": self.manufacturer,
            "model": self.model,
            "serial": self.serial,
            "utility_serial": self.utility_serial,
            "firmware": self.firmware,
            "clock_utc": None if self.clock is None else self.clock.isoformat(),
            "registers": _plain(self.registers),
            "tiers": [_plain(tier) for tier in self.tiers],
            "present": _plain(self.present),
            "alarms": list(self.alarms),
            "tables": {name: octets.hex() for name, octets in self.tables.items()},
            "missing": list(self.missing),
        }


def _plain(quantities: Mapping[str, Quantity]) -> dict[str, dict[str, int | str]]:
    return {name: {"value": quantity.value, "unit": quantity.unit} for name, quantity in quantities.items()}


def build_reading(
    context: Context, tables: tuple[str, ...], missing: tuple[str, ...], unique_node_id: bytes, address: tuple[int, int],
    at: float,
) -> Reading:
    """Put a reading together from the tables of a context, as far as they are there."""

    def get(identifier: str, field: str) -> Any:
        value = _value(context, identifier)
        return None if value is None else value.get(field)

    clock = get("BT52", "clock")
    ids = get("BT22", "summation_sources") or ()
    total = get("BT23", "total") or ()
    unit = get("ET55", "energy_register_unit") or 1
    present_ids = get("BT27", "value_sources") or ()
    return Reading(
        at=at,
        unique_node_id=unique_node_id,
        subnet=address[0],
        node=address[1],
        manufacturer=_text(get("BT01", "manufacturer")),
        model=_text(get("BT01", "model")),
        serial=(get("BT01", "manufacturer_serial") or "").lstrip("0"),
        utility_serial=_text(get("ET03", "utility_serial")),
        firmware=_firmware(context),
        clock=clock.moment() if isinstance(clock, LtimeDate) else None,
        registers=_registers(ids, total[0], unit) if total else {},
        tiers=tuple(_per_tier(ids, tier, unit) for tier in get("BT23", "tiers") or ()),
        present=_named(present_ids, get("BT28", "present_values") or ()),
        alarms=_alarms(_value(context, "BT03")),
        tables={name: octets for name in tables if (octets := context.octets(name)) is not None},
        missing=missing,
    )


def _value(context: Context, identifier: str) -> TableValue | None:
    try:
        return context.peek(identifier)
    except TableError:
        return None


def _text(text: str | None) -> str:
    return (text or "").split("\0")[0].strip()


def _firmware(context: Context) -> str:
    maker = _value(context, "BT01")
    if maker is None or maker.get("firmware_revision") is None:
        return ""
    major, minor, build = unpack_firmware(maker["firmware_version"], maker["firmware_revision"])
    return f"{major}.{minor:02}.{build:02}"


def _named(ids: tuple[int, ...], values: tuple[int, ...]) -> dict[str, Quantity]:
    return {source(one).name: Quantity(value, source(one).unit) for one, value in zip(ids, values, strict=False)}


def _registers(ids: tuple[int, ...], block: Record, unit: int) -> dict[str, Quantity]:
    """Energies times the register unit (ET55.energy_register_unit, Wh or varh per count)."""
    named = _named(ids, block.get("summations") or ())
    return {
        name: Quantity(one.value * unit, one.unit) if one.unit in ("Wh", "varh") else one for name, one in named.items()
    }


def _per_tier(ids: tuple[int, ...], block: Record, unit: int) -> dict[str, Quantity]:
    """Only energies are kept per tariff."""
    return {name: one for name, one in _registers(ids, block, unit).items() if one.unit in ("Wh", "varh")}


def _alarms(value: TableValue | None) -> tuple[str, ...]:
    """Names of the bits that are set; `metering_mode` is a state, not an alarm."""
    if value is None:
        return ()
    flags = {spec.name for spec in value.spec.fields if spec.base == "BOOL"} - {"metering_mode"}
    return tuple(name for name in value if name in flags and value[name])
