"""Which key may read or write which table: the access data of the specifications, and what holds where they are silent.

Stated per table in osgp/spec (grade A). Rules for what no table states, from the key descriptions of the guides:
    MBK, MAK, MK, PK and RK read every table, RK and the MEP keys none with calibration or download data (grade A, which: D)
    MK and PK write what MAK writes, and tables with fields of the host that name no MEP right (grade D)
    OMAK, the concentrator on the power line, has the rights of MAK where no table says otherwise (grade D)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from .access import AccessLevel
from .fields import FieldSpec
from .firmware import has
from .names import PENDING_MARK
from .table import TableSpec, table

_COLUMNS: Final = {
    AccessLevel.MBK: ("mep", "MBK"),
    AccessLevel.MAK: ("mep", "MAK"),
    AccessLevel.OMAK: ("plc", "OMAK"),
    AccessLevel.RK: ("optical", "RK"),
    AccessLevel.PK: ("optical", "PK"),
    AccessLevel.MK: ("optical", "MK"),
}
# Download data and calibration: closed to the read-only key and the MEP keys where the tables do not say; grade D for the choice.
CLOSED: Final = frozenset(("ET02", "ET17"))
WRITERS: Final = frozenset((AccessLevel.MK, AccessLevel.PK))


@lru_cache(maxsize=8192)
def allowed(identifier: str, direction: str, level: AccessLevel, firmware: tuple[int, int] | None = None) -> bool:
    """Whether a level may "read" or "write" a table; a pending copy has the rights of its table."""
    spec = table(identifier.removesuffix(PENDING_MARK))
    if direction == "write" and spec.read_only_from and firmware is not None and has(spec.read_only_from, firmware):
        return False
    if level is AccessLevel.OPEN:
        return any("open" in (spec.access.get((direction, column)) or ()) for column in ("mep", "optical"))
    column, key = _COLUMNS[level]
    if column == "plc" and (direction, column) not in spec.access:
        column, key = "mep", "MAK"
    keys = spec.access.get((direction, column))
    if keys is not None:
        return key in keys or "open" in keys
    if direction == "read":
        return spec.id not in CLOSED or level in (*WRITERS, AccessLevel.OMAK)
    return level in WRITERS and _writable_by_host(spec)


def _writable_by_host(spec: TableSpec) -> bool:
    stated = spec.access.get(("write", "mep"))
    if stated is not None:
        return "MAK" in stated
    control = "".join(_control(field) for field in spec.fields)
    return "H" in control or not control  # nothing said about any field: a table of the host


def _control(field: FieldSpec) -> str:
    """Who controls a field and the fields below it: letters F, M, H, P."""
    return field.vci + "".join(_control(below) for below in field.fields)
