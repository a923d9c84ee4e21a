"""Procedure specifications: BPnn and EPnn with their parameters, from osgp/spec/procedures.json.

    BT07: number (2 LE, bits 0..11; EPn = 2048 + n) | sequence number | parameters        all table data is little endian
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .access import AccessLevel
from .errors import TableError
from .fields import build_fields
from .names import EXTENDED, FOLDER
from .table import TableSpec
from .value import TableValue

NUMBER_MASK: Final = 0x0FFF  # bits 12..15 are response handling; grade A
HEADER: Final = 3  # octets in front of the parameters
_COLUMNS: Final = {
    AccessLevel.MBK: "mep", AccessLevel.MAK: "mep", AccessLevel.OMAK: "plc",
    AccessLevel.RK: "optical", AccessLevel.PK: "optical", AccessLevel.MK: "optical",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProcedureSpec:
    """One procedure.

    Attributes:
        id: "BP10", "EP17".    number: as in BT07.    grade: of its existence.    parameters: None when none are published.
        parameters_grade: D for a proposal of this project.    results: codes with a meaning of their own.
    """

    id: str
    number: int
    name: str
    grade: str
    access: Mapping[str, tuple[str, ...]]
    parameters: TableSpec | None
    parameters_grade: str = ""
    results: tuple[tuple[int, str], ...] = ()
    notes: str = ""
    since: str = ""

    def allowed(self, level: AccessLevel) -> bool:
        """Whether a key may start it. Stated for the MEP keys (grade A); the rest is grade D."""
        return level in _COLUMNS and level.value in self.access[_COLUMNS[level]]

    def encode(self, sequence: int, **parameters: Any) -> bytes:
        """What to write into BT07.    sequence: 0..255, another one than before; MEP clients use 5..9."""
        if not 0 <= sequence <= 255:
            raise TableError(f"a procedure sequence number is 0..255, got {sequence}")
        if self.parameters is None:
            if parameters:
                raise TableError(f"the parameters of {self.id} are not published")
            body = b""
        else:
            body = self.parameters.encode(parameters)
        return self.number.to_bytes(2, "little") + bytes((sequence,)) + body

    def decode(self, parameters: bytes) -> TableValue:
        """Parameters (behind the 3 header octets) by name. TableError when they are short or not published."""
        if self.parameters is None:
            raise TableError(f"the parameters of {self.id} are not published")
        return self.parameters.decode(parameters)


@lru_cache(maxsize=1)
def _known() -> dict[str, ProcedureSpec]:
    raw = json.loads((FOLDER / "procedures.json").read_text(encoding="utf-8"))
    return {row["id"]: _build(row, raw["source"]) for row in raw["procedures"]}


@lru_cache(maxsize=1)
def _by_number() -> dict[int, ProcedureSpec]:
    return {spec.number: spec for spec in _known().values()}


def _build(row: dict[str, Any], source: str) -> ProcedureSpec:
    parameters = None
    if "fields" in row:
        fields = build_fields(row["fields"], row["id"], {})
        parameters = TableSpec(
            row["id"], row["number"], row["name"], "parameters", source, row["fields_grade"], {}, {}, None, fields, shared=False
        )
    return ProcedureSpec(
        id=row["id"],
        number=row["number"],
        name=row["name"],
        grade=row["grade"],
        access={column: tuple(keys) for column, keys in row["access"].items()},
        parameters=parameters,
        parameters_grade=row.get("fields_grade", ""),
        results=tuple((int(code), text) for code, text in row.get("results", {}).items()),
        notes=row.get("notes", ""),
        since=row.get("since", ""),
    )


def procedures() -> tuple[ProcedureSpec, ...]:
    """Every procedure that is known by name, basic ones first."""
    return tuple(_known().values())


def procedure(key: str | int) -> ProcedureSpec:
    """A procedure by id (`"EP17"`) or number (2065). TableError when none is known."""
    spec = _known().get(key) if isinstance(key, str) else _by_number().get(key)
    if spec is None:
        raise TableError(f"no procedure {key!r}")
    return spec


def procedure_id(number: int) -> str:
    """`BPnn` or `EPnn` of a number 0..4095."""
    return f"EP{number - EXTENDED:02}" if number >= EXTENDED else f"BP{number:02}"
