"""The parts of a table specification: fields with their types, places and conditions, read from the data in osgp/spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .errors import TableError
from .expression import Node, Number, parse, references
from .types import BITS, CODECS, OPAQUE

Kind = Enum("Kind", "SCALAR FORMAT ARRAY BITS TEXT DIGITS SET OPAQUE RECORDS")

_ARRAY: Final = re.compile(r"ARRAY\[(.+)\] OF (\w+)")
_REST: Final = "BINARY[*]"  # to the end of the table
_SIZED: Final = re.compile(r"(SET|BITMAP|BINARY|FILL|UNION)\[(.+)\]")
_FORMATS: Final = ("NI_FMAT1", "NI_FMAT2")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field. Expressions are parsed; `None` as a place means "directly behind the field before".

    Attributes:
        base: scalar type, e.g. "UINT16"; for bit fields BOOL, UINT, INT or FILL.
        count: elements of an array, or octets of SET, BINARY, FILL, UNION, CHAR and BCD arrays.
        lo, hi, container: bit range inside a little-endian container of that many octets.
        at: place in the enclosing record by generation, (3, 4); `placed` is False for "directly behind".
        condition: the field exists only when this is not zero.
        stride: octets per element of an array of records, None: the element's own size.
        index: name under which the fields of an element see their element number.
        until: elements follow until this offset from the start of the table.
        rest: opaque octets up to the end of the table, however many there are.
        vci: F fixed, M meter, H host, P per firmware, HD host directly, HI host through a pending table.
    """

    name: str
    type: str
    kind: Kind
    base: str
    count: Node | None = None
    lo: int = 0
    hi: int = 0
    container: int = 0
    at: tuple[Node | None, Node | None] = (None, None)
    placed: bool = False
    condition: Node | None = None
    stride: Node | None = None
    index: str | None = None
    until: Node | None = None
    rest: bool = False
    fields: tuple[FieldSpec, ...] = ()
    variants: tuple[tuple[str, tuple[FieldSpec, ...]], ...] = ()
    meaning: str = ""
    vci: str = ""
    since: str = ""
    default: str = ""
    grade: str = ""
    values: tuple[tuple[str, str], ...] = ()

    @property
    def filler(self) -> bool:
        """Reserved octets or bits: kept on a round trip, not shown."""
        return self.base == "FILL"

    def expressions(self) -> tuple[Node, ...]:
        """Every expression of the field and of the fields below it."""
        own = (self.count, *self.at, self.condition, self.stride, self.until)
        below = (node for field in self.fields for node in field.expressions())
        inside = (node for _, fields in self.variants for field in fields for node in field.expressions())
        return (*(node for node in own if node is not None), *below, *inside)

    def names(self) -> set[str]:
        """Table ids and local names used by the expressions."""
        return set().union(*(references(node) for node in self.expressions()), set())


def expression(raw: int | str, replace: Mapping[str, str]) -> Node:
    """Expression of the data: a number or a text; `replace` serves tables that borrow another one's layout."""
    if isinstance(raw, int):
        return Number(raw)
    for old, new in replace.items():
        raw = raw.replace(old, new)
    return parse(raw)


def build_field(raw: Mapping[str, Any], where: str, replace: Mapping[str, str]) -> FieldSpec:
    """A field from its data row; `where` names table and record for error texts."""
    name = str(raw["name"])
    written = str(raw["type"])
    extra: dict[str, Any] = {}
    if bits := BITS.fullmatch(written):
        base, lo, hi = bits[1], int(bits[2]), int(bits[3] or bits[2])
        container = int(raw.get("container", 1))
        if not lo <= hi < 8 * container:
            raise TableError(f"{where}.{name}: {written} does not fit {container} octets")
        kind, extra = Kind.BITS, {"lo": lo, "hi": hi, "container": container}
    elif written == _REST:
        base, kind, extra = "BINARY", Kind.OPAQUE, {"rest": True}
    elif sized := _SIZED.fullmatch(written):
        base = sized[1]
        kind = Kind.OPAQUE if base in OPAQUE else Kind.SET
        extra = {"count": expression(sized[2], replace)}
    elif array := _ARRAY.fullmatch(written):
        base = array[2]
        kind = {"CHAR": Kind.TEXT, "BCD": Kind.DIGITS, "RECORD": Kind.RECORDS}.get(base, Kind.ARRAY)
        extra = {"count": expression(array[1], replace)}
    elif written == "LIST OF RECORD":
        base, kind = "RECORD", Kind.RECORDS
    elif written in ("CHAR", "BCD"):
        base, kind, extra = written, Kind.TEXT if written == "CHAR" else Kind.DIGITS, {"count": Number(1)}
    else:
        base, kind = written, Kind.FORMAT if written in _FORMATS else Kind.SCALAR
    if kind in (Kind.SCALAR, Kind.ARRAY) and base not in CODECS and base not in _FORMATS:
        raise TableError(f"{where}.{name}: unknown type {written!r}")
    for key in ("if", "stride", "until"):
        if key in raw:
            extra["condition" if key == "if" else key] = expression(raw[key], replace)
    if "at" in raw:
        at = raw["at"]
        each = (at.get("gen3"), at.get("gen4")) if isinstance(at, dict) else (at, at)
        extra["at"] = tuple(None if one is None else expression(one, replace) for one in each)
        extra["placed"] = True
    for key in ("index", "meaning", "vci", "grade", "since", "default"):
        if key in raw:
            extra[key] = str(raw[key])
    extra["values"] = tuple((str(code), str(text)) for code, text in raw.get("values", {}).items())
    extra["variants"] = tuple(
        (key, build_fields(rows, f"{where}.{name}.{key}", replace)) for key, rows in raw.get("variants", {}).items()
    )
    if "fields" in raw:
        extra["fields"] = build_fields(raw["fields"], f"{where}.{name}", replace)
    return FieldSpec(name, written, kind, base, **extra)


def build_fields(rows: list[dict[str, Any]], where: str, replace: Mapping[str, str]) -> tuple[FieldSpec, ...]:
    """The fields of one record; `like` repeats the record of an earlier field of the same record."""
    done: dict[str, FieldSpec] = {}
    bodies: dict[str, Any] = {}
    for row in rows:
        if "like" in row:
            row = {**row, "fields": bodies[row["like"]]}
        if row["name"] in done:
            raise TableError(f"{where}.{row['name']} appears twice")
        bodies[row["name"]] = row.get("fields")
        done[row["name"]] = build_field(row, where, replace)
    return tuple(done.values())
