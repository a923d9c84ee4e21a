"""Table specifications: loaded on demand from osgp/spec, laid out, decoded and encoded against other tables.

    BT21 octets --> Context --+
                              v
    BT23 octets --> table("BT23").decode(octets, context) --> TableValue
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from .compiler import Compiler
from .context import DEFAULT_CONTEXT, Context
from .errors import TableError
from .expression import Node, Number, Part, references
from .fields import FieldSpec, Kind, build_fields, expression
from .json_form import values_of
from .layout import Layout
from .leaf import Buffer, Leaf
from .names import EXTENDED, FOLDER, PENDING, PENDING_MARK, TableName, known, table_id, table_number, tables
from .value import TableValue, parse_path

__all__ = [
    "EXTENDED", "PENDING", "PENDING_HEADER", "TableName", "TableSpec", "table", "table_id", "table_number", "tables",
]  # fmt: skip

LAYOUTS_KEPT: Final = 16  # layouts of one table for different dimensions
PENDING_HEADER: Final = 6  # octets of the pending event description in front of the data of a pending copy; grade A


@dataclass(frozen=True, slots=True)
class _Known:
    """A layout and what it follows from."""

    layout: Layout
    firmware: tuple[int, int]
    uses: tuple[tuple[tuple[Part, ...], int | None], ...]
    own: tuple[tuple[int, Leaf, Any], ...]

    def holds(self, context: Context, firmware: tuple[int, int], octets: Buffer | None) -> bool:
        """Whether it is the layout of these octets."""
        if firmware != self.firmware or (self.own and octets is None):
            return False
        for at, leaf, value in self.own:
            if octets is None or at + leaf.size > len(octets) or leaf.read(octets, at) != value:
                return False
        return all(context.same(parts, value) for parts, value in self.uses)


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Layout, access rights and source of one table.

    `access`: key kinds by (direction, port), e.g. ("read", "mep"); None when the source says nothing. `read_only_from`: firmware
    in which writing is not possible any more. `documented` is False when only some or no fields are known; the rest is octets.
    `pending`: a pending copy, with the event description in front. `layouts`: those made so far, newest first.
    """

    id: str
    number: int
    name: str
    purpose: str
    source: str
    grade: str
    access: Mapping[tuple[str, str], tuple[str, ...] | None]
    where: Mapping[str, Node]
    limit: Node | None
    fields: tuple[FieldSpec, ...]
    notes: str = ""
    since: str = ""
    read_only_from: str = ""
    documented: bool = True
    pending: bool = False
    shared: bool = field(default=True, compare=False)
    layouts: list[_Known] = field(default_factory=list, compare=False, repr=False)

    def layout(self, context: Context = DEFAULT_CONTEXT) -> Layout:
        """Places of all fields for a device. TableError when a dimension is not known (the text says which)."""
        return self._layout(context, context.buffer(self.id), partial=True, measure=True)

    def decode(self, octets: bytes, context: Context = DEFAULT_CONTEXT, *, partial: bool = False) -> TableValue:
        """Table data (little endian) to values.

        Octets behind the last field are ignored (older and newer firmware). When octets are short, TruncatedTable names table,
        field, needed and available octets; with `partial` the fields that are not there are left out instead.
        """
        layout = self._layout(context, octets, partial=partial)
        return TableValue(self, layout.decode(octets, partial=partial), bytes(octets), layout)

    def encode(self, value: Mapping[str, Any], context: Context = DEFAULT_CONTEXT, *, newer: bool = True) -> bytes:
        """Values to table data (little endian); fields that `value` does not give are zero.

        With `newer` fields at the end that the firmware does not have yet are written when a value is given.
        """
        firmware = context.firmware
        for entry in self.layouts:
            if not entry.own and entry.holds(context, firmware, None):
                return entry.layout.encode(value, newer=newer)
        compiler = Compiler(self, context, given=value)
        layout = compiler.run()
        self._keep(compiler, layout, firmware)
        return layout.encode(value, newer=newer)

    def from_json(self, plain: Mapping[str, Any], context: Context = DEFAULT_CONTEXT) -> bytes:
        """Octets of what `TableValue.to_json` gave; TableError names a field that does not fit."""
        return self.encode(values_of(plain, self.fields, self.id), context)

    def size(self, context: Context = DEFAULT_CONTEXT) -> int:
        """Octets of the table. TableError when a dimension is not known (the text says which)."""
        return context.layout(self.id).size if self.shared else self.layout(context).size

    def field_range(self, path: str, context: Context = DEFAULT_CONTEXT) -> tuple[int, int]:
        """(offset, octets) of a field path, for partial reads; a bit field gives its container."""
        parts = parse_path(path, self.id)
        layout = self.layout(context)
        found = layout.find(parts)
        if found is not None and found.spec is None and len(parts) == 1 and isinstance(parts[0], int):
            found = layout.find((*parts, 0))  # an octet of flags: all of them
        if found is None or found.spec is None:
            raise TableError(f"{self.id} has no field {path!r} here")
        return found.offset, found.size

    def _layout(self, context: Context, octets: Buffer | None, *, partial: bool, measure: bool = False) -> Layout:
        """A layout made before for the same dimensions, or a new one."""
        firmware = context.firmware
        for entry in self.layouts:
            if entry.holds(context, firmware, octets):
                return entry.layout
        compiler = Compiler(self, context, octets=octets, partial=partial)
        layout = compiler.run()
        if compiler.short and measure:
            raise TableError(f"the dimensions of {self.id} lie behind the {len(octets or b'')} octets known")
        self._keep(compiler, layout, firmware)
        return layout

    def _keep(self, compiler: Compiler, layout: Layout, firmware: tuple[int, int]) -> None:
        if compiler.fixed and not compiler.short:
            self.layouts.insert(0, _Known(layout, firmware, tuple(compiler.uses.items()), tuple(compiler.own)))
            del self.layouts[LAYOUTS_KEPT:]

    def depends_on(self) -> frozenset[str]:
        """Ids of the other tables whose values the layout uses."""
        nodes = [node for field in self.fields for node in field.expressions()]
        nodes += [*self.where.values(), *([self.limit] if self.limit else [])]
        used = set().union(*(references(node) for node in nodes), set())
        formats = {"BT00"} if any(_uses_format(field) for field in self.fields) else set()
        return frozenset((used & known().keys()) | formats) - {self.id}

    def variant(self, path: str, name: str, octets: bytes, context: Context = DEFAULT_CONTEXT) -> TableValue:
        """The octets of a UNION field read as one of its variants, e.g. `variant("devices.body", "mep", ...)`."""
        fields: tuple[FieldSpec, ...] = self.fields
        for part in parse_path(path):
            field = next((field for field in fields if field.name == part), None)
            if field is None:
                raise TableError(f"{self.id} has no field {path!r}")
            fields, variants = field.fields, dict(field.variants)
        if name not in variants:
            raise TableError(f"{self.id}.{path} has the variants {sorted(variants)}, got {name!r}")
        spec = TableSpec(
            self.id, self.number, name, self.purpose, self.source, self.grade, self.access, self.where, None, variants[name],
            shared=False,
        )  # fmt: skip
        return spec.decode(octets, context, partial=True)


def _uses_format(field: FieldSpec) -> bool:
    return field.base in ("NI_FMAT1", "NI_FMAT2") or any(_uses_format(below) for below in field.fields)


def table(key: str | int) -> TableSpec:
    """Specification of a table by id (`"BT23"`) or number (23, 2051, 4150). TableError when no such table is known.

    A table without published fields has one field `octets`; a pending copy has `ped` in front of the table's own fields.
    """
    return _load(table_id(key) if isinstance(key, int) else key)


@cache
def _load(identifier: str) -> TableSpec:
    if identifier.endswith(PENDING_MARK):
        return _pending(_load(identifier.removesuffix(PENDING_MARK)))
    if identifier not in known():
        raise TableError(f"no table {identifier!r}")
    raw = _raw(identifier)
    replace: dict[str, str] = raw.get("replace", {})
    body = _raw(raw["like"]) if "like" in raw else raw
    return TableSpec(
        id=raw["id"],
        number=raw["number"],
        name=raw["name"],
        purpose=raw["purpose"],
        source=raw["source"],
        grade=raw["grade"],
        access={
            (direction, port): None if keys is None else tuple(keys)
            for direction, ports in raw["access"].items()
            for port, keys in ports.items()
        },
        where={name: expression(text, replace) for name, text in raw.get("where", {}).items()},
        limit=expression(raw["size"], replace) if "size" in raw else None,
        fields=build_fields(body["fields"], identifier, replace),
        notes=raw.get("notes", ""),
        since=raw.get("since", ""),
        read_only_from=raw.get("read_only_from", ""),
        documented=known()[identifier].documented,
    )


def _pending(live: TableSpec) -> TableSpec:
    """The pending copy of a table: PED, then the data."""
    rows: list[dict[str, Any]] = json.loads((FOLDER / "pending.json").read_text(encoding="utf-8"))["fields"]
    header = build_fields(rows, "PED", {})
    data = FieldSpec("data", "ARRAY[1] OF RECORD", Kind.RECORDS, "RECORD", count=Number(1), fields=live.fields)
    return TableSpec(
        id=live.id + PENDING_MARK,
        number=live.number + PENDING,
        name=f"{live.name} (pending)",
        purpose=f"what {live.id} becomes at the time of the event description in front",
        source=live.source,
        grade=live.grade,
        access=live.access,
        where=live.where,
        limit=None,
        fields=(*header, data),
        notes=live.notes,
        since=live.since,
        documented=live.documented,
        pending=True,
    )


def _raw(identifier: str) -> dict[str, Any]:
    path = FOLDER / f"{identifier}.json"
    entry = known()[identifier]
    if path.exists():
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return raw
    nothing = {"read": {"mep": None, "optical": None}, "write": {"mep": None, "optical": None}}
    octets = {"name": "octets", "type": "BINARY[*]", "at": 0, "meaning": "no fields are published"}
    return {
        "id": entry.id, "number": entry.number, "name": entry.name, "purpose": entry.purpose, "source": "named only",
        "grade": "D", "access": nothing, "fields": [octets],
    }  # fmt: skip
