"""Tables explained field by field: where it is, what type, what it means, and its value when octets are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .context import Context
from .errors import TableError
from .expression import Part, unparse
from .fields import FieldSpec, Kind
from .json_form import plain_value
from .layout import Block, Item, Slot
from .leaf import Buffer
from .table import TableSpec

ELEMENTS_SHOWN: Final = 64  # elements of an array of records shown with values


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of a table.

    Attributes:
        path: "total[0].summations".    place: "BT23.0", "BT21.0.2"; an expression when the dimensions are not known.
        offset, size: octets, None when not known.    value: plain value, None without octets.    note: meaning of the value.
    """

    path: str
    place: str
    type: str
    meaning: str
    offset: int | None = None
    size: int | None = None
    vci: str = ""
    since: str = ""
    values: tuple[tuple[str, str], ...] = ()
    depth: int = 0
    value: Any = None
    note: str = ""


def explain(
    spec: TableSpec, context: Context, octets: bytes | None = None, *, first: int = 0, fillers: bool = False
) -> tuple[FieldRow, ...]:
    """The fields of a table for a device; with octets also their values.

    Args:
        octets: table data from offset `first` on; may end early.    fillers: show reserved octets and bits too.

    Without all dimensions the rows say with expressions where the fields are.
    """
    try:
        layout = spec.layout(context) if octets is None or first else spec.decode(octets, context, partial=True).layout
    except TableError:
        return tuple(row for row in _symbolic(spec, spec.fields, (), 0) if fillers or not row.type.startswith("FILL"))
    window = None if octets is None else (first, octets)
    return tuple(_block(spec, layout.block, 0, (), 0, window, fillers))


Window = tuple[int, Buffer]


def _block(
    spec: TableSpec, block: Block, base: int, path: tuple[Part, ...], depth: int, window: Window | None, fillers: bool
) -> Iterator[FieldRow]:
    for name, item in block.items.items():
        if (item.spec.filler and not fillers) or item.end == item.at:
            continue
        at = base + item.at
        yield _row(spec, item, at, (*path, name), depth, window)
        if isinstance(item, Slot):
            continue
        shown = ELEMENTS_SHOWN if window is not None else 1
        for number, (place, below) in enumerate(item.elements()):
            if number >= shown or (window is not None and base + place >= window[0] + len(window[1])):
                break
            yield from _block(spec, below, base + place, (*path, name, number), depth + 1, window, fillers)


def _row(spec: TableSpec, item: Item, at: int, path: tuple[Part, ...], depth: int, window: Window | None) -> FieldRow:
    field = item.spec
    place = f"{spec.id}.{at}"
    if field.kind is Kind.BITS:
        octet, bit = at + field.lo // 8, field.lo % 8
        place = f"{spec.id}.{octet}.{bit}" + (f"..{bit + field.hi - field.lo}" if field.hi > field.lo else "")
    if not isinstance(item, Slot):
        kind = f"{item.count} x {(item.end - item.at) // max(1, item.count)} octets"
    elif field.kind is Kind.ARRAY:
        kind = f"ARRAY[{item.leaf.size // max(1, item.leaf.element)}] OF {field.base}"
    elif field.kind in (Kind.SET, Kind.OPAQUE):
        kind = f"{field.base}[{item.leaf.size}]"
    else:
        kind = field.type
    value, note = None, ""
    if isinstance(item, Slot) and window is not None:
        first, octets = window
        if first <= at and at + item.leaf.size <= first + len(octets):
            raw = item.leaf.read(octets, at - first)
            value = plain_value(raw)
            note = dict(field.values).get(str(int(raw) if isinstance(raw, bool) else raw), "")
    size = item.leaf.size if isinstance(item, Slot) else item.end - item.at
    return FieldRow(
        text_of(path), place, kind, field.meaning, at, size, field.vci, field.since, field.values, depth, value, note
    )


def _symbolic(spec: TableSpec, fields: tuple[FieldSpec, ...], path: tuple[Part, ...], depth: int) -> Iterator[FieldRow]:
    for field in fields:
        own = (*path, field.name)
        third, fourth = (None if node is None else unparse(node) for node in field.at)
        if not field.placed:
            place = "behind it"
        elif third == fourth:
            place = f"at {third}"
        else:
            place = f"at {third} / {fourth}" if third is not None else f"at {fourth} (4.x)"
        kind = field.type + (f" if {unparse(field.condition)}" if field.condition is not None else "")
        yield FieldRow(text_of(own), place, kind, field.meaning, vci=field.vci, since=field.since, values=field.values,
                       depth=depth)  # fmt: skip
        if field.fields:
            yield from _symbolic(spec, field.fields, (*own, 0), depth + 1)


def text_of(path: tuple[Part, ...]) -> str:
    """`("total", 0, "summations")` as "total[0].summations"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
