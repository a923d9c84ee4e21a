"""Decoded table data: records with fields by name, path, offset or bit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .errors import TableError
from .expression import Part

if TYPE_CHECKING:
    from .layout import Layout
    from .table import TableSpec

MISSING: Final = object()
_PATH: Final = re.compile(r"(?:^|\.)([A-Za-z_]\w*|\d+)|\[(\d+)\]")


@lru_cache(maxsize=4096)
def parse_path(path: str, table: str = "") -> tuple[Part, ...]:
    """`total[0].summations` -> ("total", 0, "summations"); a leading table id is dropped, `BT21.0.2` -> (0, 2)."""
    parts: list[Part] = []
    position = 0
    for match in _PATH.finditer(path):
        if match.start() != position:
            break
        position = match.end()
        text = match[1] or match[2]
        parts.append(int(text) if text.isdigit() else text)
    if position != len(path) or not parts:
        raise TableError(f"{table}: {path!r} is no field path")
    if table and parts[0] == table:
        parts = parts[1:]
    return tuple(parts)


class Record(Mapping[str, Any]):
    """The fields of one record, in table order. A field that is not there (condition, firmware, short read) is absent."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def plain(self) -> dict[str, Any]:
        """The fields as a dict of their own."""
        return dict(self._fields)

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, Record) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._fields))

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{name}={value!r}' for name, value in self._fields.items())})"


class TableValue(Record):
    """A decoded table.

    `value["total[0].summations"]`, `value["summations"]` (the first field of that name, first element of arrays on the way),
    `value["BT23.0"]` (the field at offset 0) and `value["BT21.0.2"]` (bit 2 of offset 0) all work.

    Attributes:
        spec: the specification.    octets: what was decoded.    layout: where the fields are.
    """

    __slots__ = ("layout", "octets", "spec")

    def __init__(self, spec: TableSpec, fields: dict[str, Any], octets: bytes, layout: Layout) -> None:
        super().__init__(fields)
        self.spec = spec
        self.octets = octets
        self.layout = layout

    def __getitem__(self, name: str) -> Any:
        if name in self._fields:
            return self._fields[name]
        return self.field(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Field or `default` when it is absent."""
        try:
            return self[name]
        except TableError:
            return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def field(self, path: str) -> Any:
        """Value of a field path; TableError names what is missing."""
        return self.follow(parse_path(path, self.spec.id))

    def follow(self, parts: tuple[Part, ...]) -> Any:
        """Value of a parsed path."""
        if not parts:
            return self
        first = parts[0]
        if isinstance(first, int):
            return self._at(first, parts[1:])
        found = _first(self, first)
        if found is None:
            self._fail(parts)
        value = descend(found, parts[1:])
        if value is MISSING:
            self._fail(parts)
        return value

    def _at(self, offset: int, rest: tuple[Part, ...]) -> Any:
        found = self.layout.find((offset, *rest))
        if found is not None and found.offset + found.size <= len(self.octets):
            if found.leaf is not None:
                return found.leaf.read(self.octets, found.offset)
            if found.item is not None and found.spec is not None and found.spec.name in self._fields:
                return self._fields[found.spec.name]
        self._fail((offset, *rest))

    def _fail(self, parts: tuple[Part, ...]) -> NoReturn:
        raise TableError(f"{self.spec.id}.{'.'.join(map(str, parts))} is not in the decoded {len(self.octets)} octets")

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON: dates as text, octets as hex digits, sets as sorted lists; fillers only when they are not zero.

        `TableSpec.from_json` is the other way round.
        """
        from .json_form import plain_record

        return plain_record(self._fields, self.spec.fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TableValue):
            return NotImplemented
        return self.spec.id == other.spec.id and self._fields == other._fields

    def __hash__(self) -> int:
        return hash((self.spec.id, self.octets))

    def __repr__(self) -> str:
        return f"TableValue({self.spec.id}, {len(self.octets)} octets)"


def descend(current: Any, parts: tuple[Part, ...]) -> Any:
    """Follow names into records and numbers into tuples; MISSING when the way ends."""
    for part in parts:
        if isinstance(part, str):
            if not isinstance(current, Record) or part not in current:
                return MISSING
            current = current[part]
        elif isinstance(current, tuple) and part < len(current):
            current = current[part]
        else:
            return MISSING
    return current


def _first(record: Record, name: str) -> Any:
    """The field of that name, looked for in this record and then below, first elements first."""
    fields = record._fields
    if name in fields:
        return fields[name]
    for value in fields.values():
        if isinstance(value, tuple) and value and isinstance(value[0], Record):
            found = _first(value[0], name)
            if found is not None:
                return found
    return None
