"""Places in tables: from the notation of the guides to offset, octets and bits, and to requests that read or write them.

    BT23                       the table
    BT23.total[0].summations   a field; first elements on the way may be left out: BT23.summations
    BT23.summations[0]         an element
    BT21.3                     the field at offset 3, else the octet there
    BT21.0.2, ET55.104.2       bit 2 of the octet at offset 0, 104 (the flag or number that begins there)
    BT23.8..15                 octets 8 to 15
    BT21.1.4..5                bits 4 to 5 of the octet at offset 1
    BT54+4096.calendar_id      a field of the pending copy
    2103.104.2, 0x17           tables by number; ST and MT, the names of older documents, are understood as BT and ET
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from .context import DEFAULT_CONTEXT, Context
from .errors import TableError
from .fields import FieldSpec, Kind
from .leaf import Leaf, bits_leaf, block_leaf
from .names import PENDING_MARK, normal_id
from .services import FullRead, FullWrite, PartialRead, PartialWrite
from .table import PENDING_HEADER, TableSpec, table
from .value import parse_path

_RANGE: Final = re.compile(r"(?:(\d+)\.)?(\d+)\.\.(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A piece of a table.

    Attributes:
        table: id.    path: as asked for, without the table.    offset, size: octets in the table (a pending copy: its data
        follows the 6 octets of the event description).    spec: the field, None for bare octets and for the table.
        bit: lowest bit and width within the octets, None: whole octets.
    """

    table: str
    path: str
    offset: int
    size: int
    spec: FieldSpec | None
    bit: tuple[int, int] | None
    _leaf: Leaf | None
    _context: Context

    def decode(self, octets: bytes) -> Any:
        """Value of `size` octets at the place."""
        if len(octets) < self.size:
            raise TableError(f"{self.table}.{self.path} needs {self.size} octets, got {len(octets)}")
        if self._leaf is not None:
            return self._leaf.read(octets, 0)
        before = bytes(self.offset)
        value = table(self.table).decode(before + octets, self._context, partial=True)
        return value.field(self.path) if self.path else value

    def encode(self, value: Any, before: bytes = b"") -> bytes:
        """Octets of a value at the place. `before`: what stands there; needed only for bits of an octet with others."""
        if self._leaf is not None:
            octets = bytearray(before[: self.size].ljust(self.size, b"\0"))
            try:
                self._leaf.write(octets, 0, value)
            except (TableError, TypeError) as error:
                raise TableError(f"{self.table}.{self.path}: {error}") from error
            return bytes(octets)
        if isinstance(value, bytes | bytearray):
            if len(value) != self.size:
                raise TableError(f"{self.table}.{self.path} has {self.size} octets, got {len(value)}")
            return bytes(value)
        if not self.path:
            return table(self.table).encode(value, self._context)
        return self._encode_records(value, before)

    def _encode_records(self, value: Any, before: bytes) -> bytes:
        layout = self._context.layout(self.table)
        octets = bytearray(bytes(self.offset) + before[: self.size].ljust(self.size, b"\0"))
        layout.write_at(parse_path(self.path, self.table), octets, value)
        return bytes(octets[self.offset :])

    @property
    def whole(self) -> bool:
        """Whether this is a table, not a piece of it."""
        return not self.path

    @property
    def _pending(self) -> bool:
        return self.table.endswith(PENDING_MARK)

    def read_request(self) -> FullRead | PartialRead:
        """What reads the place. Of a pending copy the event description comes with it."""
        number = table(self.table).number
        if self.whole:
            return FullRead(number)
        if self._pending:
            return PartialRead(number, max(0, self.offset - PENDING_HEADER), self.size + PENDING_HEADER)
        return PartialRead(number, self.offset, self.size)

    def write_request(self, value: Any, before: bytes = b"", ped: bytes = b"") -> FullWrite | PartialWrite:
        """What writes a value to the place. `ped`: 6 octets of event description for a pending copy."""
        number, octets = table(self.table).number, self.encode(value, before)
        if self.whole:
            return FullWrite(number, octets)
        if self._pending:
            if len(ped) != PENDING_HEADER or self.offset < PENDING_HEADER:
                raise TableError(f"{self.table} needs {PENDING_HEADER} octets of event description in front, got {len(ped)}")
            return PartialWrite(number, self.offset - PENDING_HEADER, ped + octets)
        return PartialWrite(number, self.offset, octets)


def place(path: str, context: Context = DEFAULT_CONTEXT) -> Place:
    """Where a path leads in a device (see the text of this module).

    Raises:
        TableError: no such table or field, or a dimension is not known; the text says which.
    """
    head, dot, rest = path.partition(".")
    identifier = normal_id(head)
    spec = table(identifier)
    if not dot:
        return Place(identifier, "", 0, spec.size(context), None, None, None, context)
    if bounds := _RANGE.fullmatch(rest):
        return _range(spec, rest, bounds, context)
    parts = parse_path(rest, identifier)
    found = context.layout(identifier).find(parts)
    if found is None:
        raise TableError(f"{identifier} has no field {rest!r} here{_suggestion(spec, parts)}")
    return Place(identifier, rest, found.offset, found.size, found.spec, found.bit, found.leaf, context)


def _range(spec: TableSpec, path: str, bounds: re.Match[str], context: Context) -> Place:
    """`8..15` octets, `1.4..5` bits of an octet."""
    first, last = int(bounds[2]), int(bounds[3])
    if last < first:
        raise TableError(f"{spec.id}.{path}: {last} is before {first}")
    if bounds[1] is None:
        count = last - first + 1
        if last >= spec.size(context):
            raise TableError(f"{spec.id} has {spec.size(context)} octets here, {path} reaches beyond")
        return Place(spec.id, path, first, count, None, None, block_leaf(Kind.OPAQUE, count), context)
    offset, octets = int(bounds[1]), last // 8 + 1
    if offset + octets > spec.size(context) or octets > 8:
        raise TableError(f"{spec.id}.{path} is not in the table")
    return Place(
        spec.id, path, offset, octets, None, (first, last - first + 1), bits_leaf("UINT", first, last, octets), context
    )


def _suggestion(spec: TableSpec, parts: tuple[int | str, ...]) -> str:
    from difflib import get_close_matches  # only for error texts

    names = [part for part in parts if isinstance(part, str)]
    known = [field.name for field in _all_fields(spec.fields) if not field.filler]
    close = get_close_matches(names[-1], known, 1) if names else []
    return f"; did you mean {close[0]!r}?" if close and close[0] != names[-1] else ""


def _all_fields(fields: tuple[FieldSpec, ...]) -> list[FieldSpec]:
    return [found for field in fields for found in (field, *_all_fields(field.fields))]
