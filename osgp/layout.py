"""The walker: places every field of a table and reads, writes or measures it on the way.

One walk serves all directions, because the place of a field can depend on the values of fields before it:

    decode    octets given, values come out
    encode    values given, octets come out
    measure   neither; the table's own values are taken from the context when a later place depends on them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .context import Context
from .errors import ExpressionError, TableError, TruncatedTable
from .expression import Node, Part
from .fields import FieldSpec, Kind
from .types import CODECS, NI_FORMATS, Codec, decode_set, decode_text, encode_digits, encode_set, encode_text
from .value import MISSING, Record, descend

if TYPE_CHECKING:
    from .table import TableSpec

# Octets. No documented table comes near; a count read from noise must not ask for more memory than that.
MAX_TABLE: Final = 1 << 20
_ABSENT: Final = object()


class Walk:
    """One pass over the fields of a table. See the module text for the three uses."""

    def __init__(
        self,
        spec: TableSpec,
        context: Context,
        *,
        octets: bytes | None = None,
        partial: bool = False,
        given: Mapping[str, Any] | None = None,
        output: bytearray | None = None,
        ranges: bool = False,
    ) -> None:
        self._spec = spec
        self._context = context
        self._octets = octets
        self._partial = partial
        self._given = given
        self._output = output
        self._locals: list[dict[str, Any]] = []
        self._indices: dict[str, int] = {}
        self._resolving: set[str] = set()
        self._limit = 0
        self._seen = 0  # octets needed so far
        self.places: dict[str, tuple[int, int, int]] = {}  # top level: offset, octets, lowest bit or -1
        self.ranges: dict[tuple[Part, ...], tuple[int, int, int]] = {}  # every field: offset, octets, octets per element
        self._ranging = ranges
        self.end = 0

    def run(self) -> dict[str, Any]:
        """Walk all fields; returns the values by name."""
        self._limit = MAX_TABLE
        if self._spec.limit is not None:
            self._limit = max(0, self._spec.limit.evaluate(self))
        fields: dict[str, Any] = {}
        end = self._record(self._spec.fields, fields, 0, self._given, (), top=True)
        self.end = self._limit if self._spec.limit is not None else end
        return fields

    def encoded(self) -> bytes:
        """Octets written by a walk with `output`."""
        assert self._output is not None
        return bytes(self._output[: self.end].ljust(self.end, b"\0"))

    # the scope of the expressions

    def resolve(self, parts: tuple[Part, ...]) -> int:
        head = str(parts[0])
        if len(parts) == 1:
            for record in reversed(self._locals):
                if head in record:
                    return self._number(record[head], parts)
            if head in self._indices:
                return self._indices[head]
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
        if head == self._spec.id and self._locals:
            own = descend(Record(self._locals[0]), parts[1:])
            if own is not MISSING:
                return self._number(own, parts)
        return self._context.resolve(parts, self._spec.id)

    def size_of(self, table: str) -> int:
        from .table import table as specification

        return specification(table).size(self._context)

    def _number(self, value: Any, parts: tuple[Part, ...]) -> int:
        if not isinstance(value, int):
            raise TableError(f"{self._spec.id}: {'.'.join(map(str, parts))} is no number")
        return int(value)

    def _count(self, node: Node | None, path: tuple[Part, ...]) -> int:
        count = node.evaluate(self) if node is not None else 1
        if count > MAX_TABLE:
            raise TableError(f"{self._path(path)}: a dimension of {count} is beyond {MAX_TABLE}")
        return max(0, count)

    def _path(self, path: tuple[Part, ...]) -> str:
        return ".".join((self._spec.id, *map(str, path)))

    # records and fields

    def _record(
        self, specs: tuple[FieldSpec, ...], fields: dict[str, Any], base: int, given: Any, path: tuple[Part, ...], *,
        top: bool = False,
    ) -> int:
        self._locals.append(fields)
        if isinstance(given, Record):
            given = given.plain()
        elif given is not None and self._output is not None and (unknown := set(given) - {spec.name for spec in specs}):
            raise TableError(f"{self._path(path)} has no fields {sorted(unknown)}")
        position = end = base
        for spec in specs:
            try:
                placed = self._place(spec, base, position)
                if placed is None:
                    continue
                value, after = self._field(spec, placed, given, (*path, spec.name), top)
            except TableError:
                if self._partial and self._exhausted():
                    break  # a dimension lies behind the end of the octets
                raise
            if value is not _ABSENT:
                fields[spec.name] = value
            position = after
            end = max(end, after)
        self._locals.pop()
        return end

    def _exhausted(self) -> bool:
        return self._octets is not None and self._seen > len(self._octets)

    def _place(self, spec: FieldSpec, base: int, position: int) -> int | None:
        """Offset from the start of the table, None: the field is not there."""
        at: int | None = position
        if spec.placed:
            node = spec.at[1 if self._context.generation_4 else 0]
            at = None if node is None else base + node.evaluate(self)
        if at is None or (spec.condition is not None and not spec.condition.evaluate(self)):
            return None
        if at < 0:
            raise TableError(f"{self._spec.id}.{spec.name}: offset {at} is negative")
        return at

    def _field(
        self, spec: FieldSpec, at: int, given: Any, path: tuple[Part, ...], top: bool
    ) -> tuple[Any, int]:
        mine = _ABSENT
        if given is not None and spec.name in given:
            mine = given[spec.name]
            if mine is None:
                mine = _ABSENT
        if spec.kind is Kind.RECORDS:
            value, after = self._records(spec, at, mine, path)
            size, element = after - at, 0
        else:
            size, element = self._extent(spec, path)
            after = at + size
            if after > self._limit:
                return _ABSENT, at
            value = self._leaf(spec, at, size, element, mine, path)
        if top:
            self.places[spec.name] = (at, size, spec.lo if spec.kind is Kind.BITS else -1)
        if self._ranging:
            self.ranges[path] = (at, size, element)
        return value, after

    def _extent(self, spec: FieldSpec, path: tuple[Part, ...]) -> tuple[int, int]:
        """(octets of the field, octets of one element of an array)."""
        match spec.kind:
            case Kind.BITS:
                return spec.container, 0
            case Kind.SCALAR | Kind.FORMAT:
                return self._codec(spec).size, 0
            case Kind.ARRAY:
                element = self._codec(spec).size
                return element * self._count(spec.count, path), element
            case _:
                return self._count(spec.count, path), 1 if spec.kind is Kind.OPAQUE else 0

    def _records(self, spec: FieldSpec, at: int, given: Any, path: tuple[Part, ...]) -> tuple[Any, int]:
        until = min(spec.until.evaluate(self), self._limit) if spec.until is not None else None
        elements = () if given is _ABSENT else tuple(given)
        if until is None:
            count = self._count(spec.count, path)
        else:
            count = len(elements) if self._octets is None else MAX_TABLE
        if self._octets is None and self._output is None and not self._ranging and spec.stride is not None:
            return (), at + count * spec.stride.evaluate(self)  # only the size is asked for
        done: list[Record] = []
        position = at
        while len(done) < count and (until is None or self._octets is None or position < until):
            number = len(done)
            if self._octets is not None and position >= len(self._octets) and self._partial:
                self._seen = max(self._seen, len(self._octets) + 1)
                break
            if spec.index:
                self._indices[spec.index] = number
            stride = spec.stride.evaluate(self) if spec.stride is not None else None
            fields: dict[str, Any] = {}
            own = elements[number] if number < len(elements) else None
            end = self._record(spec.fields, fields, position, own, (*path, number))
            if stride is not None:
                if end - position > stride and self._octets is None:
                    raise TableError(f"{self._path(path)}: fields take {end - position} octets of {stride}")
                end = position + stride
                self._need(end, path)
                if self._output is not None:
                    self._grow(end)
            if end <= position and until is not None:
                break
            position = end
            if position > MAX_TABLE:
                raise TableError(f"{self._path(path)}: the table is larger than {MAX_TABLE} octets")
            done.append(Record(fields))
        return tuple(done), position

    def _need(self, end: int, path: tuple[Part, ...]) -> bool:
        """Whether the octets reach `end`; short octets are an error unless a partial decode is wanted."""
        self._seen = max(self._seen, end)
        if self._octets is None or end <= len(self._octets):
            return True
        if self._partial:
            return False
        raise TruncatedTable(f"{self._path(path)} needs {end} octets, got {len(self._octets)}")

    # single values

    def _codec(self, spec: FieldSpec) -> Codec:
        if spec.base not in ("NI_FMAT1", "NI_FMAT2"):
            return CODECS[spec.base]
        own = self._context.peek("BT00")
        code = own.get(f"ni_format_{spec.base[-1]}", 8) if own is not None else 8
        if code not in NI_FORMATS:
            raise TableError(f"{self._spec.id}.{spec.name}: number format {code} of BT00 is not supported")
        return CODECS[NI_FORMATS[code]]

    def _leaf(self, spec: FieldSpec, at: int, size: int, element: int, given: Any, path: tuple[Part, ...]) -> Any:
        if self._octets is not None:
            if not self._need(at + size, path):
                return _ABSENT
            return self._read(spec, self._octets[at : at + size], element)
        if given is _ABSENT:
            if self._output is None:
                return _ABSENT
            self._grow(at + size)
            return self._read(spec, bytes(size), element) if spec.kind is not Kind.BITS else 0
        if self._output is not None:
            try:
                self._write(spec, at, size, given)
            except TableError as error:
                raise TableError(f"{self._path(path)}: {error}") from error
        return given

    def _read(self, spec: FieldSpec, octets: bytes, element: int) -> Any:
        match spec.kind:
            case Kind.BITS:
                width = spec.hi - spec.lo + 1
                number = int.from_bytes(octets, "little") >> spec.lo & (1 << width) - 1
                if spec.base == "BOOL":
                    return bool(number)
                return number - (1 << width) if spec.base == "INT" and number >> width - 1 else number
            case Kind.SCALAR | Kind.FORMAT:
                return self._codec(spec).decode(octets)
            case Kind.ARRAY:
                decode = self._codec(spec).decode
                return tuple(decode(octets[i : i + element]) for i in range(0, len(octets), element))
            case Kind.TEXT:
                return decode_text(octets)
            case Kind.DIGITS:
                return octets.hex()
            case Kind.SET:
                return decode_set(octets)
            case _:
                return octets

    def _write(self, spec: FieldSpec, at: int, size: int, value: Any) -> None:
        match spec.kind:
            case Kind.BITS:
                self._write_bits(spec, at, value)
                return
            case Kind.SCALAR | Kind.FORMAT:
                octets = self._codec(spec).encode(value)
            case Kind.ARRAY:
                codec = self._codec(spec)
                if len(value) * codec.size > size:
                    raise TableError(f"holds {size // codec.size} elements, got {len(value)}")
                octets = b"".join(codec.encode(one) for one in value).ljust(size, b"\0")
            case Kind.TEXT:
                octets = encode_text(value, size)
            case Kind.DIGITS:
                octets = encode_digits(value, size)
            case Kind.SET:
                octets = encode_set(value, size)
            case _:
                if not isinstance(value, bytes | bytearray) or len(value) > size:
                    raise TableError(f"needs at most {size} octets, got {value!r}")
                octets = bytes(value).ljust(size, b"\0")
        self._grow(at + size)
        assert self._output is not None
        self._output[at : at + size] = octets

    def _write_bits(self, spec: FieldSpec, at: int, value: Any) -> None:
        width = spec.hi - spec.lo + 1
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if spec.base == "INT" else (0, (1 << width) - 1)
        if not isinstance(value, int) or not low <= value <= high:
            raise TableError(f"{spec.type} must be an integer in {low}..{high}, got {value!r}")
        self._grow(at + spec.container)
        assert self._output is not None
        place = slice(at, at + spec.container)
        bits = (int(value) & (1 << width) - 1) << spec.lo  # the octets are zero here: no two fields share a bit
        word = int.from_bytes(self._output[place], "little") | bits
        self._output[place] = word.to_bytes(spec.container, "little")

    def _grow(self, end: int) -> None:
        assert self._output is not None
        if end > MAX_TABLE:
            raise TableError(f"{self._spec.id}: the table is larger than {MAX_TABLE} octets")
        if end > len(self._output):
            self._output.extend(bytes(end - len(self._output)))
