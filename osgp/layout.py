"""The layout of a table for given dimensions: every field has its place. Decodes, encodes and finds fields.

    Layout
      +- Block                fields of one record, places from the start of the record
           +- Slot            a single field: place and Leaf
           +- Repeated        equal records, one behind the other
           +- Listed          records that differ (their dimensions depend on the element)

A layout is made once by `compiler.compile_layout` and shared by every device that has the same dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import TableError, TruncatedTable
from .expression import Part
from .fields import FieldSpec, Kind
from .leaf import Buffer, Leaf, bits_leaf, scalar_leaf
from .value import Record

ABSENT: Final = object()


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One field.    at: octets from the start of its record.    optional: newer firmware; only there when the octets reach it."""

    spec: FieldSpec
    at: int
    leaf: Leaf
    optional: bool = False

    @property
    def end(self) -> int:
        return self.at + self.leaf.size


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """`count` records of `stride` octets that share one layout."""

    spec: FieldSpec
    at: int
    count: int
    stride: int
    element: Block
    optional: bool = False

    @property
    def end(self) -> int:
        return self.at + self.count * self.stride

    def elements(self) -> Iterator[tuple[int, Block]]:
        """(place from the start of the enclosing record, layout) of every element."""
        return ((self.at + number * self.stride, self.element) for number in range(self.count))

    def element_at(self, number: int) -> tuple[int, Block] | None:
        """One element, None when there are fewer."""
        return (self.at + number * self.stride, self.element) if 0 <= number < self.count else None


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Records with a layout each; `places` are from the start of the enclosing record."""

    spec: FieldSpec
    at: int
    end: int
    blocks: tuple[tuple[int, Block], ...]
    optional: bool = False

    @property
    def count(self) -> int:
        return len(self.blocks)

    def elements(self) -> Iterator[tuple[int, Block]]:
        """See `Repeated.elements`."""
        return iter(self.blocks)

    def element_at(self, number: int) -> tuple[int, Block] | None:
        """See `Repeated.element_at`."""
        return self.blocks[number] if 0 <= number < len(self.blocks) else None


Item = Slot | Repeated | Listed


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The fields of a record that exist, by name, in table order.

    size: octets up to the end of the last one.    names: the fields that exist in some firmware or configuration.
    """

    items: dict[str, Item]
    size: int
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """Where a field path leads.    spec: the field, None for a bare octet or bit.    item: its node, None for an element.

    offset: from the start of the table.    size: octets.    bit: lowest bit and width, None: whole octets.
    block: fields of an element that is a record.
    """

    spec: FieldSpec | None
    offset: int
    size: int
    leaf: Leaf | None
    item: Item | None
    bit: tuple[int, int] | None = None
    block: Block | None = None


@dataclass(eq=False, slots=True)
class Layout:
    """All places of one table.

    Attributes:
        table: id.    block: its fields.    size: octets with everything that the firmware has.
        whole: octets with every field of newer firmware too.    own: whether it depends on octets of the table itself.
    """

    table: str
    block: Block
    size: int
    own: bool = False
    whole: int = field(init=False)
    _found: dict[tuple[Part, ...], Found | None] = field(init=False, default_factory=dict)
    _fixed: bytes | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.whole = max((item.end for item in self.block.items.values()), default=0)

    # whole tables

    def decode(self, octets: Buffer, *, partial: bool = False) -> dict[str, Any]:
        """Values by name. TruncatedTable when octets are short; with `partial` what is not there is left out."""
        if len(octets) >= self.whole:
            return _read(self.block, octets, 0)
        return _read_short(self.block, octets, 0, partial, (self.table,))

    def encode(self, given: Mapping[str, Any], *, newer: bool = True) -> bytes:
        """Octets of values; fields without one are zero. With `newer` optional fields are there as far as values are given."""
        end = self.size
        for name, item in self.block.items.items():
            if newer and item.optional and given.get(name) is not None:
                end = max(end, item.end)
        output = bytearray(max(end, self.whole))
        _write(self.block, output, 0, given, (self.table,))
        return bytes(output[:end])

    def update(self, octets: bytearray, values: Mapping[str, Any]) -> None:
        """Write top-level fields into octets of the table; the others stay.

        A field that the table has in other firmware or with other dimensions only is passed over; TableError for any other name.
        """
        for name, value in values.items():
            if name not in self.block.names:
                raise TableError(f"{self.table} has no field {name!r}")
            item = self.block.items.get(name)
            if item is None or value is None or item.end > len(octets):
                continue
            if isinstance(item, Slot):
                try:
                    item.leaf.write(octets, item.at, value)
                except (TableError, TypeError) as error:
                    raise _unfit((self.table, name), error) from error
                continue
            _write(Block({name: item}, 0, self.block.names), octets, 0, {name: value}, (self.table,))

    def write_at(self, parts: tuple[Part, ...], octets: bytearray, value: Any) -> None:
        """Write a field, an element, a record (a mapping) or an array of records at a path."""
        found = self.find(parts)
        if found is None or found.offset + found.size > len(octets):
            raise TableError(f"{self.table} has no field {'.'.join(map(str, parts))} in {len(octets)} octets")
        if found.leaf is not None:
            found.leaf.write(octets, found.offset, value)
        elif found.item is not None and not isinstance(found.item, Slot):
            above = found.offset - found.item.at
            _write(Block({"": found.item}, 0, frozenset(("",))), octets, above, {"": value}, (self.table, *parts))
        elif found.block is not None:
            _write(found.block, octets, found.offset, value, (self.table, *parts))

    def keep_fixed(self, offset: int, new: bytes, old: Buffer) -> bytes:
        """Octets to be written at `offset` in place of `old`, with the bits of fixed fields (F, P) as they are."""
        if self._fixed is None:
            self._fixed = _fixed_bits(self)
        mask = self._fixed[offset : offset + len(new)]
        if not any(mask):
            return new
        return bytes(n & ~m | o & m for n, o, m in zip(new, old, mask.ljust(len(new), b"\0"), strict=True))

    def records(self, name: str, octets: bytes) -> tuple[Block, list[bytes]]:
        """Layout and octets of each record of a top-level array whose records are alike; TableError when there is none."""
        item = self.block.items.get(name)
        if not isinstance(item, Repeated) or item.end > len(octets):
            raise TableError(f"{self.table} has no records {name!r} in {len(octets)} octets")
        return item.element, [octets[at : at + item.stride] for at in range(item.at, item.end, item.stride)]

    # single fields

    def find(self, parts: tuple[Part, ...]) -> Found | None:
        """Where a path leads: names and indices, or an offset and a bit. First elements on the way may be left out."""
        try:
            return self._found[parts]
        except KeyError:
            if len(self._found) > 4096:
                self._found.clear()
            found = self._found[parts] = self._search(parts)
            return found

    def _search(self, parts: tuple[Part, ...]) -> Found | None:
        if not parts:
            return None
        if isinstance(parts[0], int):
            return self._at_offset(parts[0], parts[1:])
        return _descend(self.block, 0, parts) or _abbreviated(self.block, 0, parts)

    def _at_offset(self, offset: int, rest: tuple[Part, ...]) -> Found | None:
        """The field that starts at an octet (and bit); else the bare octet or bit."""
        bit = rest[0] if rest and isinstance(rest[0], int) else None
        bits = 8
        for name, item in self.block.items.items():
            if item.at > offset or item.end <= offset:
                continue
            if isinstance(item, Slot) and item.spec.kind is Kind.BITS:
                if bit is not None and 8 * item.at + item.spec.lo == 8 * offset + bit and len(rest) == 1:
                    return _slot(item, 0)
                bits = 8 * (item.end - offset)
            elif item.at == offset:
                if bit is None:
                    return _descend(self.block, 0, (name, 0, *rest) if rest else (name,))
                if item.spec.kind in (Kind.SCALAR, Kind.FORMAT):
                    bits = 8 * (item.end - offset)
        if len(rest) > 1 or (rest and bit is None) or offset >= max(self.size, self.whole):
            return None
        if bit is None:
            return Found(None, offset, 1, scalar_leaf("UINT8"), None)
        if bit >= bits:
            return None
        return Found(None, offset + bit // 8, 1, bits_leaf("BOOL", bit % 8, bit % 8, 1), None, (bit % 8, 1))

    def resolve(self, parts: tuple[Part, ...], octets: Buffer) -> Any:
        """Value of a path in octets, ABSENT when it leads nowhere or behind their end."""
        found = self.find(parts)
        if found is None or found.leaf is None or found.offset + found.size > len(octets):
            return ABSENT
        return found.leaf.read(octets, found.offset)

    def walk(self) -> Iterator[tuple[tuple[Part, ...], int, Slot]]:
        """Every single field: path, offset from the start of the table, slot."""
        return _walk(self.block, 0, ())


def read_record(block: Block, octets: bytes) -> dict[str, Any]:
    """Values of one record."""
    return _read(block, octets, 0)


def any_fixed(specs: tuple[FieldSpec, ...]) -> bool:
    """Whether `Layout.keep_fixed` of a table with these fields can keep anything."""
    return any(_is_fixed(spec) or any_fixed(spec.fields) for spec in specs)


def _is_fixed(spec: FieldSpec) -> bool:
    return bool(spec.vci) and set(spec.vci) <= set("FP,/")


def _fixed_bits(layout: Layout) -> bytes:
    """One bits where fields are that never change under one firmware: of vci F and P alone."""
    mask = bytearray(layout.whole)
    for _, at, slot in layout.walk():
        if _is_fixed(slot.spec):
            bits = (1 << slot.spec.hi + 1) - (1 << slot.spec.lo) if slot.spec.kind is Kind.BITS else (1 << 8 * slot.leaf.size) - 1
            word = int.from_bytes(mask[at : at + slot.leaf.size], "little") | bits
            mask[at : at + slot.leaf.size] = word.to_bytes(slot.leaf.size, "little")
    return bytes(mask).rstrip(b"\0")


def _read(block: Block, octets: Buffer, base: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, item in block.items.items():
        if isinstance(item, Slot):
            fields[name] = item.leaf.read(octets, base + item.at)
        else:
            fields[name] = tuple([Record(_read(below, octets, base + at)) for at, below in item.elements()])
    return fields


def _read_short(
    block: Block, octets: Buffer, base: int, partial: bool, path: tuple[Part, ...], top: bool = True
) -> dict[str, Any]:
    """As `_read` for octets that may end early."""
    fields: dict[str, Any] = {}
    available = len(octets)
    for name, item in block.items.items():
        if isinstance(item, Slot):
            end = base + item.end
            if end <= available:
                fields[name] = item.leaf.read(octets, base + item.at)
            elif not partial and not item.optional:
                raise TruncatedTable(f"{'.'.join(map(str, (*path, name)))} needs {end} octets, got {available}")
            continue
        if item.optional and base + item.end > available:
            continue
        done = []
        for number, (at, below) in enumerate(item.elements()):
            if base + at >= available and partial:
                break
            done.append(Record(_read_short(below, octets, base + at, partial, (*path, name, number), False)))
            stride = item.stride if isinstance(item, Repeated) else below.size
            if not partial and base + at + stride > available:
                where = ".".join(map(str, (*path, name)))
                raise TruncatedTable(f"{where} needs {base + at + stride} octets, got {available}")
        fields[name] = tuple(done)
    return fields


def _write(block: Block, output: bytearray, base: int, given: Mapping[str, Any], path: tuple[Part, ...]) -> None:
    if isinstance(given, Record):
        given = given._fields
    elif unknown := given.keys() - block.names:
        raise TableError(f"{'.'.join(map(str, path))} has no fields {sorted(unknown)}")
    for name, item in block.items.items():
        value = given.get(name)
        if value is None:
            continue
        if isinstance(item, Slot):
            try:
                item.leaf.write(output, base + item.at, value)
            except (TableError, TypeError) as error:
                raise _unfit((*path, name), error) from error
            continue
        if len(value) > item.count:
            raise TableError(f"{'.'.join(map(str, (*path, name)))} holds {item.count} records, got {len(value)}")
        for number, (one, (at, below)) in enumerate(zip(value, item.elements(), strict=False)):
            _write(below, output, base + at, one, (*path, name, number))


def _unfit(path: tuple[Part, ...], error: Exception) -> TableError:
    return TableError(f"{'.'.join(map(str, path))}: {error}")


def _slot(item: Slot, base: int) -> Found:
    bit = (item.spec.lo, item.spec.hi - item.spec.lo + 1) if item.spec.kind is Kind.BITS else None
    return Found(item.spec, base + item.at, item.leaf.size, item.leaf, item, bit)


def _descend(block: Block, base: int, parts: tuple[Part, ...]) -> Found | None:
    """Follow a path that names every step."""
    item = block.items.get(parts[0]) if isinstance(parts[0], str) else None
    rest = parts[1:]
    if item is None:
        return None
    if isinstance(item, Slot):
        if not rest:
            return _slot(item, base)
        if len(rest) == 1 and isinstance(rest[0], int):
            return _element(item, base, rest[0])
        return None
    if not rest:
        return Found(item.spec, base + item.at, item.end - item.at, None, item)
    if not isinstance(rest[0], int):
        return None
    element = item.element_at(rest[0])
    if element is None:
        return None
    at, below = element
    if len(rest) == 1:
        size = item.stride if isinstance(item, Repeated) else below.size
        return Found(item.spec, base + at, size, None, None, None, below)
    return _descend(below, base + at, rest[1:])


def _element(item: Slot, base: int, number: int) -> Found | None:
    """One element of an array of scalars, one octet of opaque octets, one bit of a SET."""
    if item.spec.kind is Kind.SET:
        if not 0 <= number < 8 * item.leaf.size:
            return None
        flag = bits_leaf("BOOL", number % 8, number % 8, 1)
        return Found(item.spec, base + item.at + number // 8, 1, flag, None, (number % 8, 1))
    element = item.leaf.element
    if not element or not 0 <= number < item.leaf.size // element:
        return None
    return Found(item.spec, base + item.at + number * element, element, scalar_leaf(item.leaf.base), None)


def _abbreviated(block: Block, base: int, parts: tuple[Part, ...]) -> Found | None:
    """Look for the path below, through first elements."""
    for item in block.items.values():
        if isinstance(item, Slot):
            continue
        first = item.element_at(0)
        if first is None:
            continue
        at, below = first
        found = _descend(below, base + at, parts) or _abbreviated(below, base + at, parts)
        if found is not None:
            return found
    return None


def _walk(block: Block, base: int, path: tuple[Part, ...]) -> Iterator[tuple[tuple[Part, ...], int, Slot]]:
    for name, item in block.items.items():
        if isinstance(item, Slot):
            yield (*path, name), base + item.at, item
            continue
        for number, (at, below) in enumerate(item.elements()):
            yield from _walk(below, base + at, (*path, name, number))
