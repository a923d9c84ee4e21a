"""The walker: lays a table out for given dimensions. One walk serves decoding, encoding, measuring and addressing.

    TableSpec + values of the dimensions --> Layout

A dimension is a field of another table (from the context) or of the table itself: then it is read at the place that the walk
has just given it, from octets when a table is decoded, from the values when it is encoded, else from the context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from .context import Context
from .errors import ExpressionError, TableError, TruncatedTable
from .expression import Node, Part
from .fields import FieldSpec, Kind
from .firmware import has
from .layout import Block, Item, Layout, Listed, Repeated, Slot
from .leaf import Buffer, Leaf, leaf_of
from .types import NI_FORMATS
from .value import MISSING, Record, descend

if TYPE_CHECKING:
    from .table import TableSpec

# Octets. No documented table comes near; a count read from noise must not ask for more memory than that.
MAX_TABLE: Final = 1 << 20


class _Short(Exception):
    """A dimension lies behind the end of the octets."""


class _Frame:
    """A record that is being laid out."""

    __slots__ = ("base", "given", "index", "items", "varies")

    def __init__(self, base: int, given: Mapping[str, Any] | None, index: tuple[str, int] | None) -> None:
        self.base = base
        self.given = given
        self.index = index  # name and number of the element, when its fields may ask for it
        self.items: dict[str, Item] = {}
        self.varies = False  # whether another element of the same array can look different


class _Alike:
    """Records of one array that depend on values of their own: those with the same values share a layout.

    Args:
        octets: of the table, None: there are none.    own: what has been read from them; see `Compiler`.
    """

    def __init__(self, octets: Buffer | None, own: list[tuple[int, Leaf, Any]]) -> None:
        self._octets, self._own = octets, own
        self._places: tuple[tuple[int, Leaf], ...] = ()  # from the start of the record
        self._blocks: dict[tuple[Any, ...], Block] = {}

    def keep(self, start: int, read: int, block: Block) -> None:
        """A record at `start` was laid out; what it depends on was read since `own` had `read` entries."""
        reads = self._own[read:]
        places = tuple((at - start, leaf) for at, leaf, _ in reads)
        if reads and all(at >= 0 for at, _ in places) and self._places in ((), places):
            self._places = places
            self._blocks[tuple(value for _, _, value in reads)] = block

    def block(self, start: int, limit: int) -> Block | None:
        """Layout of the record at `start`, when one with the same values is known and it ends before the limit."""
        octets = self._octets
        if not self._blocks or octets is None or any(start + at + leaf.size > len(octets) for at, leaf in self._places):
            return None
        values = tuple([leaf.read(octets, start + at) for at, leaf in self._places])
        block = self._blocks.get(values)
        if block is None or not block.size or start + block.size > limit:
            return None
        self._own.extend([(start + at, leaf, value) for (at, leaf), value in zip(self._places, values, strict=True)])
        return block


class Compiler:
    """Lays out one table. Also the scope in which the expressions of the specification are evaluated.

    Args:
        octets: read own dimensions from these.    given: or from these values.
        partial: octets may end early.

    Attributes:
        uses: references to other tables with the values they had.    own: places of this table's octets with their values.
        short: whether the walk ended early because a dimension lies behind the octets.
        fixed: whether the layout follows from `uses` and `own` alone, so that it can be used again.
    """

    def __init__(
        self,
        spec: TableSpec,
        context: Context,
        *,
        octets: Buffer | None = None,
        given: Mapping[str, Any] | None = None,
        partial: bool = False,
    ) -> None:
        self._spec, self._context = spec, context
        self._octets, self._given, self._partial = octets, given, partial
        self._frames: list[_Frame] = []
        self._resolving: set[str] = set()
        self._limit = MAX_TABLE
        self._cut = False  # a field reached beyond the table
        self.uses: dict[tuple[Part, ...], int | None] = {}
        self.own: list[tuple[int, Leaf, Any]] = []
        self.short = False
        self.fixed = True

    def run(self) -> Layout:
        """Walk all fields."""
        if self._spec.limit is not None:
            self._limit = min(MAX_TABLE, max(0, self._spec.limit.evaluate(self)))
        block = self._block(self._spec.fields, 0, self._given, None, top=True)[0]
        size = self._limit if self._spec.limit is not None else self._size(block)
        return Layout(self._spec.id, block, size, own=bool(self.own) or not self.fixed or self.short)

    def _size(self, block: Block) -> int:
        return max((item.end for item in block.items.values() if not item.optional), default=0)

    # the scope of the expressions

    def resolve(self, parts: tuple[Part, ...]) -> int:
        """Value of a reference."""
        head = str(parts[0])
        if head == self._spec.id and len(parts) > 1 and self._frames:
            value = self._own(parts[1:])
            if value is not MISSING:
                return self._number(value, parts)
        if len(parts) > 1:
            return self._foreign(parts)
        for depth in range(len(self._frames) - 1, -1, -1):
            frame = self._frames[depth]
            if head in frame.items:
                value = self._local(frame, head)
                for outer in self._frames[: depth + 1]:
                    outer.varies = True
                return self._number(value, parts)
            if frame.index is not None and frame.index[0] == head:
                for outer in self._frames[: depth + 1]:
                    outer.varies = True
                return frame.index[1]
        if head in self._spec.where:
            if head in self._resolving:
                raise ExpressionError(f"{self._spec.id}: {head} is defined by itself")
            self._resolving.add(head)
            try:
                return self._spec.where[head].evaluate(self)
            finally:
                self._resolving.discard(head)
        if head == "X":
            return int(self._context.generation_4)
        if head == "sets":
            return self._context.load_profile_sets
        raise TableError(f"{self._spec.id}: {head} is not known before the octets are")

    def resolve_or(self, parts: tuple[Part, ...], fallback: int) -> int:
        """Value of a reference into another table, the fallback when that table ends before the field."""
        value = self._context.resolve_or(parts, self._spec.id)
        self.uses[parts] = value
        return fallback if value is None else value

    def size_of(self, table: str) -> int:
        """Octets of another table."""
        size = self._context.size_of(table)
        self.uses["sizeof", table] = size
        return size

    def _foreign(self, parts: tuple[Part, ...]) -> int:
        value = self._context.resolve(parts, self._spec.id)
        self.uses[parts] = value
        return value

    def _local(self, frame: _Frame, name: str) -> Any:
        item = frame.items[name]
        if not isinstance(item, Slot):
            raise TableError(f"{self._spec.id}: {name} is no number")
        if self._octets is not None:
            at = frame.base + item.at
            if at + item.leaf.size > len(self._octets):
                raise _Short
            value = item.leaf.read(self._octets, at)
            self.own.append((at, item.leaf, value))
            return value
        if frame.given is not None:
            self.fixed = False
            value = frame.given.get(name)
            return item.leaf.zero if value is None else value
        return self._foreign((self._spec.id, name)) if len(self._frames) == 1 else self._unknown(name)

    def _unknown(self, name: str) -> int:
        raise TableError(f"{self._spec.id}: {name} is not known before the octets are")

    def _own(self, parts: tuple[Part, ...]) -> Any:
        """A field of the table itself by its path from the top, MISSING when the walk has not come to it."""
        top = self._frames[0]
        if len(parts) == 1 and parts[0] in top.items:
            return self._local(top, str(parts[0]))
        if self._octets is not None:
            layout = Layout(self._spec.id, Block(top.items, 0, frozenset()), 0)
            found = layout.find(parts)
            if found is None or found.leaf is None:
                return MISSING
            if found.offset + found.size > len(self._octets):
                raise _Short
            value = found.leaf.read(self._octets, found.offset)
            self.own.append((found.offset, found.leaf, value))
            return value
        if top.given is not None:
            self.fixed = False
            return descend(top.given if isinstance(top.given, Record) else Record(dict(top.given)), parts)
        return MISSING

    def _number(self, value: Any, parts: tuple[Part, ...]) -> int:
        if not isinstance(value, int):
            raise TableError(f"{self._spec.id}: {'.'.join(map(str, parts))} is no number")
        return int(value)

    def _count(self, node: Node | None, name: str) -> int:
        count = node.evaluate(self) if node is not None else 1
        if count > MAX_TABLE:
            raise TableError(f"{self._spec.id}.{name}: a dimension of {count} is beyond {MAX_TABLE}")
        return max(0, count)

    # records and fields

    def _block(
        self,
        specs: tuple[FieldSpec, ...],
        base: int,
        given: Mapping[str, Any] | None,
        index: tuple[str, int] | None,
        *,
        top: bool = False,
        room: int | None = None,
    ) -> tuple[Block, bool]:
        """Layout of one record that starts at `base`; and whether it depends on which element it is."""
        frame = _Frame(base, given, index)
        self._frames.append(frame)
        position = 0
        optional_from = _optional_from(specs, self._context.firmware) if top else len(specs)
        for number, spec in enumerate(specs):
            try:
                at = self._place(spec, position)
                if at is None:
                    continue
                item = self._item(spec, base, at, number >= optional_from)
            except _Short:
                if not self._partial:
                    raise self._truncated(spec, base + position) from None
                self.short = True
                break
            except TableError:
                if number < optional_from:
                    raise
                self.fixed = self.fixed and self._given is None
                break  # a dimension that this firmware does not have yet
            if base + item.end > self._limit or (room is not None and item.end > room):
                self._cut = True
                continue
            frame.items[spec.name] = item
            position = item.end
            if self.short:
                break
        self._frames.pop()
        size = max((item.end for item in frame.items.values()), default=0)
        return Block(frame.items, size, frozenset(spec.name for spec in specs)), frame.varies

    def _truncated(self, spec: FieldSpec, position: int) -> TableError:
        have = len(self._octets) if self._octets is not None else 0
        return TruncatedTable(f"{self._spec.id}.{spec.name} needs more than {max(position, have)} octets, got {have}")

    def _place(self, spec: FieldSpec, position: int) -> int | None:
        """Place from the start of the record, None: the field is not there."""
        at: int | None = position
        if spec.placed:
            node = spec.at[1 if self._context.generation_4 else 0]
            at = None if node is None else node.evaluate(self)
        if at is None or (spec.condition is not None and not spec.condition.evaluate(self)):
            return None
        if at < 0:
            raise TableError(f"{self._spec.id}.{spec.name}: offset {at} is negative")
        return at

    def _item(self, spec: FieldSpec, base: int, at: int, optional: bool) -> Item:
        if spec.kind is Kind.RECORDS:
            return self._records(spec, base, at, optional)
        count = self._count(spec.count, spec.name) if spec.count is not None else 1
        if spec.rest:
            count = self._rest(spec.name, base + at)
        leaf = leaf_of(spec, self._base(spec), count)
        if base + at + leaf.size > MAX_TABLE:
            raise TableError(f"{self._spec.id}.{spec.name}: the table is larger than {MAX_TABLE} octets")
        return Slot(spec, at, leaf, optional)

    def _rest(self, name: str, at: int) -> int:
        """Octets of a field that goes on to the end of the table."""
        self.fixed = False
        if self._octets is not None:
            return max(0, len(self._octets) - at)
        given = self._frames[-1].given
        return len(given.get(name) or b"") if given is not None else 0

    def _base(self, spec: FieldSpec) -> str:
        if spec.base not in ("NI_FMAT1", "NI_FMAT2"):
            return spec.base
        code = self._context.number_format(spec.base[-1])
        self.uses["BT00", f"ni_format_{spec.base[-1]}"] = code
        if code not in NI_FORMATS:
            raise TableError(f"{self._spec.id}.{spec.name}: number format {code} of BT00 is not supported")
        return NI_FORMATS[code]

    def _records(self, spec: FieldSpec, base: int, at: int, optional: bool) -> Item:
        above = self._frames[-1].given
        given = above.get(spec.name) if above is not None else None
        elements: Sequence[Any] = () if given is None else given
        until = None
        if spec.until is not None:
            until = min(spec.until.evaluate(self), self._limit) - base
            count = len(elements) if self._octets is None else MAX_TABLE
            self.fixed = self.fixed and self._given is None
        else:
            count = self._count(spec.count, spec.name)
        stride = max(0, spec.stride.evaluate(self)) if spec.stride is not None else None
        blocks: list[tuple[int, Block]] = []
        alike = _Alike(self._octets, self.own)
        position = at
        for number in range(count):
            if until is not None and self._octets is not None and position >= until:
                break
            if self._octets is not None and number and base + position >= len(self._octets) and until is not None:
                if not self._partial:
                    raise _Short
                self.fixed = False
                break
            known = alike.block(base + position, self._limit)
            if known is not None:
                blocks.append((position, known))
                position += known.size if stride is None else stride
                continue
            own = elements[number] if number < len(elements) else (None if above is None else {})
            index = (spec.index, number) if spec.index else None
            read, self._cut = len(self.own), False
            block, varies = self._block(spec.fields, base + position, own, index, room=stride)
            if varies and index is None and not self.short and base + position + block.size <= self._limit:
                alike.keep(base + position, read, block)
            step = block.size if stride is None else stride
            if not step:
                break
            if not varies and not self.short:
                if base + at + count * step > MAX_TABLE:
                    raise TableError(f"{self._spec.id}.{spec.name}: the table is larger than {MAX_TABLE} octets")
                return Repeated(spec, at, count, step, block, optional)
            blocks.append((position, block))
            position += step
            if until is not None and self._cut:
                break  # behind a record that says that it reaches beyond the table there is none
            if base + position > MAX_TABLE:
                raise TableError(f"{self._spec.id}.{spec.name}: the table is larger than {MAX_TABLE} octets")
            if self.short:
                break
        return Listed(spec, at, position, tuple(blocks), optional)


def _optional_from(specs: tuple[FieldSpec, ...], firmware: tuple[int, int]) -> int:
    """Index behind which all fields came with a firmware newer than this one."""
    first = len(specs)
    while first and specs[first - 1].since and not has(specs[first - 1].since, firmware):
        first -= 1
    return first


