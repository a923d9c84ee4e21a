"""Table specifications: loaded on demand from osgp/spec, laid out, decoded and encoded against other tables.

    BT21 octets --> Context --+
                              v
    BT23 octets --> table("BT23").decode(octets, context) --> TableValue
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from .context import DEFAULT_CONTEXT, Context
from .errors import TableError
from .expression import Node, references
from .fields import FieldSpec, build_fields, expression
from .layout import Walk
from .value import TableValue, parse_path

_FOLDER: Final = Path(__file__).parent / "spec"
EXTENDED: Final = 2048  # ETn has the number 2048 + n; grade A
PENDING: Final = 4096  # added for the pending copy of a table; grade A


@dataclass(frozen=True, slots=True)
class TableName:
    """A table that the standard knows.    `documented`: its fields are known to us."""

    id: str
    number: int
    name: str
    documented: bool


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Layout, access rights and source of one table.

    `access`: key kinds by (direction, port), e.g. ("read", "mep"); None when the source says nothing.
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

    def decode(self, octets: bytes, context: Context = DEFAULT_CONTEXT, *, partial: bool = False) -> TableValue:
        """Table data (little endian) to values.

        Octets behind the last field are ignored (older and newer firmware). When octets are short, TruncatedTable names table,
        field, needed and available octets; with `partial` the fields that are not there are left out instead.
        """
        walk = Walk(self, context, octets=bytes(octets), partial=partial)
        fields = walk.run()
        return TableValue(self, fields, bytes(octets), walk.places)

    def encode(self, value: Mapping[str, Any], context: Context = DEFAULT_CONTEXT) -> bytes:
        """Values to table data (little endian); fields that `value` does not give are zero."""
        walk = Walk(self, context, given=value, output=bytearray())
        walk.run()
        return walk.encoded()

    def size(self, context: Context = DEFAULT_CONTEXT) -> int:
        """Octets of the table. TableError when a dimension is not known (the text says which)."""
        return self._measure(context, ranges=False).end

    def field_range(self, path: str, context: Context = DEFAULT_CONTEXT) -> tuple[int, int]:
        """(offset, octets) of a field path, for partial reads; a bit field gives its container."""
        walk = self._measure(context)
        parts = parse_path(path, self.id)
        if isinstance(parts[0], int):
            bit = parts[1] if len(parts) > 1 and isinstance(parts[1], int) else 0
            for name, (offset, _, lowest) in walk.places.items():
                if 8 * offset + max(lowest, 0) == 8 * parts[0] + bit and (lowest >= 0 or len(parts) == 1):
                    return walk.ranges[(name,)][:2]
            raise TableError(f"{self.id}: no field at {path!r}")
        for candidate in (parts, parts[:-1]):
            for place, (offset, size, element) in walk.ranges.items():
                if place == candidate or _abbreviates(candidate, place):
                    if candidate == parts:
                        return offset, size
                    index = parts[-1]
                    if isinstance(index, int) and element and (index + 1) * element <= size:
                        return offset + index * element, element
        raise TableError(f"{self.id} has no field {path!r} here")

    def depends_on(self) -> frozenset[str]:
        """Ids of the other tables whose values the layout uses."""
        nodes = [node for field in self.fields for node in field.expressions()]
        nodes += [*self.where.values(), *([self.limit] if self.limit else [])]
        used = set().union(*(references(node) for node in nodes), set())
        known = _numbers()
        formats = {"BT00"} if any(_uses_format(field) for field in self.fields) else set()
        return frozenset((used & known.keys()) | formats) - {self.id}

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
            self.id, self.number, name, self.purpose, self.source, self.grade, self.access, self.where, None, variants[name]
        )
        return spec.decode(octets, context, partial=True)

    def _measure(self, context: Context, *, ranges: bool = True) -> Walk:
        walk = Walk(self, context, given=context.peek(self.id), ranges=ranges)
        walk.run()
        return walk


def _abbreviates(short: tuple[Any, ...], full: tuple[Any, ...]) -> bool:
    """Whether `short` names `full` when first elements on the way are left out."""
    tail = full[len(full) - len(short):]
    head = full[: len(full) - len(short)]
    return 0 < len(short) < len(full) and tail == short and all(part == 0 for part in head if isinstance(part, int))


def _uses_format(field: FieldSpec) -> bool:
    return field.base in ("NI_FMAT1", "NI_FMAT2") or any(_uses_format(below) for below in field.fields)


@lru_cache(maxsize=1)
def tables() -> tuple[TableName, ...]:
    """Every table that is known by name, in the order of its number."""
    index = json.loads((_FOLDER / "index.json").read_text(encoding="utf-8"))
    return tuple(TableName(row["id"], row["number"], row["name"], row["documented"]) for row in index["tables"])


@lru_cache(maxsize=1)
def _numbers() -> dict[str, int]:
    return {entry.id: entry.number for entry in tables()}


@lru_cache(maxsize=1)
def _ids() -> dict[int, str]:
    return {entry.number: entry.id for entry in tables()}


def table_id(number: int) -> str:
    """`BTnn` or `ETnn` of a table number (also of numbers that no table has)."""
    if number in _ids():
        return _ids()[number]
    return f"ET{number - EXTENDED:02}" if number >= EXTENDED else f"BT{number:02}"


def table_number(identifier: str) -> int:
    """Number of `BTnn` (nn) or `ETnn` (2048 + nn)."""
    if identifier[:2] not in ("BT", "ET") or not identifier[2:].isdigit():
        raise TableError(f"a table id is BTnn or ETnn, got {identifier!r}")
    return int(identifier[2:]) + (EXTENDED if identifier.startswith("ET") else 0)


def table(key: str | int) -> TableSpec:
    """Specification of a table by id (`"BT23"`) or number (23, 2051). TableError when its layout is not known."""
    return _load(table_id(key) if isinstance(key, int) else key)


@cache
def _load(identifier: str) -> TableSpec:
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
    )


def _raw(identifier: str) -> dict[str, Any]:
    known = {entry.id: entry for entry in tables()}
    if identifier not in known:
        raise TableError(f"no table {identifier!r}")
    if not known[identifier].documented:
        raise TableError(f"the layout of {identifier} ({known[identifier].name}) is not known")
    raw: dict[str, Any] = json.loads((_FOLDER / f"{identifier}.json").read_text(encoding="utf-8"))
    return raw
