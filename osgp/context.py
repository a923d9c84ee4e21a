"""What is known about one device while a table is laid out: its other tables and its firmware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from .errors import TableError
from .expression import Part
from .firmware import pack_firmware, unpack_firmware
from .leaf import Buffer

if TYPE_CHECKING:
    from .layout import Layout
    from .value import TableValue

__all__ = ["DEFAULT_CONTEXT", "Context", "pack_firmware", "unpack_firmware"]

# Assumed while neither the caller nor BT01 gives the firmware: the plain Gen 3 layout with one load profile set. Grade D.
DEFAULT_FIRMWARE: Final = (3, 10)
MULTIPLE_SETS_FROM: Final = (3, 50)  # firmware that has four load profile sets; grade A
GENERATION_4_FROM: Final = (4, 0)  # grade A
LOAD_PROFILE_SETS: Final = 4
# Old meters lack BT21; BT20 has the same layout and counts instead; grade A.
SUBSTITUTES: Final = {"BT21": "BT20"}
DEFAULT_FORMAT: Final = 8  # BT00.ni_format_1 and ni_format_2: INT32


class Context:
    """Tables of one device by id, decoded when a layout asks for them.

    Args:
        tables: octets by table id; they may be shorter than the table.
        firmware: (major, minor), None: read from BT01, else DEFAULT_FIRMWARE.
    """

    def __init__(self, tables: Mapping[str, bytes] | None = None, firmware: tuple[int, int] | None = None) -> None:
        self._octets: dict[str, Buffer] = dict(tables or {})
        self._values: dict[str, TableValue] = {}
        self._layouts: dict[str, Layout] = {}
        self._uses: dict[str, dict[tuple[Part, ...], int | None]] = {}  # what layouts made so far took from each table
        self._laid_out_for: tuple[int, int] | None = None  # firmware of these layouts
        self._busy: set[str] = set()
        self._firmware = firmware

    @classmethod
    def over(cls, buffers: dict[str, Buffer], firmware: tuple[int, int] | None = None) -> Self:
        """A context over somebody else's octets, who says `changed` when they do."""
        context = cls(firmware=firmware)
        context._octets = buffers
        return context

    def put(self, table: str, octets: bytes) -> None:
        """Remember the octets of a table; everything decoded before is decoded anew when asked for."""
        if self._octets.get(table) != octets:
            self._octets[table] = bytes(octets)
            self.changed(table)

    def changed(self, table: str) -> None:
        """The octets of a table changed where they lie."""
        self._values.pop(table, None)
        if self._moved(table):
            self._values.clear()
            self._layouts.clear()
            self._uses.clear()

    def _moved(self, table: str) -> bool:
        """Whether a layout of another table made so far could be another one now."""
        if table == "BT01" and self._laid_out_for not in (None, self.firmware):
            return True
        uses = self._uses.get(table)
        if uses is None:
            return False
        layout, octets = self._layouts.get(table), self._octets.get(table)
        if layout is None or octets is None:
            return True
        if layout.own:  # it is laid out anew; the others stay when all that they took from it is what it was
            del self._layouts[table]
            if not uses:
                return False
            try:
                layout = self.layout(table)
            except TableError:
                return True
        return not all(self._is(layout, octets, parts, value) for parts, value in uses.items())

    def _is(self, layout: Layout, octets: Buffer, parts: tuple[Part, ...], value: int | None) -> bool:
        """Whether a table still has a value that a layout took from it."""
        from .layout import ABSENT

        if parts[0] == "sizeof":
            return layout.size == value
        found = layout.resolve(parts[1:], octets)
        return (None if found is ABSENT else found) == value

    def forget(self, table: str) -> None:
        """Drop a table."""
        if self._octets.pop(table, None) is not None:
            self.changed(table)

    def octets(self, table: str) -> bytes | None:
        """Octets of a table, None when it is not known."""
        octets = self._octets.get(table)
        return None if octets is None else bytes(octets)

    def known(self) -> tuple[str, ...]:
        """Ids of the tables with octets."""
        return tuple(self._octets)

    def buffer(self, table: str) -> Buffer | None:
        """As `octets`, without a copy: not to be kept."""
        return self._octets.get(table)

    def layout(self, table: str) -> Layout:
        """Layout of a table for this device. TableError when a dimension is not known (the text says which)."""
        layout = self._layouts.get(table)
        if layout is None:
            from .table import table as specification  # the one loop between the modules: layouts need contexts and vice versa

            if table in self._busy:
                raise TableError(f"the layout of {table} depends on itself")
            self._busy.add(table)
            try:
                layout = specification(table).layout(self)
            finally:
                self._busy.discard(table)
            if layout.own:
                self._uses.setdefault(table, {})
            self._laid_out_for = self.firmware
            self._layouts[table] = layout
        return layout

    def peek(self, table: str) -> TableValue | None:
        """The table as far as its octets reach, or None when it is not known (or is just being decoded)."""
        if table in self._values:
            return self._values[table]
        if table not in self._octets or table in self._busy:
            return None
        from .table import table as specification

        value = specification(table).decode(bytes(self._octets[table]), self, partial=True)
        self._values[table] = value
        return value

    def resolve(self, parts: tuple[Part, ...], asking: str) -> int:
        """Integer value of a reference into another table."""
        from .layout import ABSENT

        identifier = str(parts[0])
        if identifier not in self._octets and identifier in SUBSTITUTES:
            self._uses.setdefault(identifier, {})  # when it comes, everything is laid out anew
            identifier = SUBSTITUTES[identifier]
        uses = self._uses.setdefault(identifier, {})
        octets = self._octets.get(identifier)
        if octets is None or identifier in self._busy:
            raise TableError(f"{asking} needs {parts[0]}, which is not known")
        found = self.layout(identifier).resolve(parts[1:], octets)
        if found is ABSENT:
            raise TableError(f"{asking} needs {_text(parts)}, which is not in the {len(octets)} octets known")
        if not isinstance(found, int):
            raise TableError(f"{asking} needs a number from {identifier}, got {found!r}")
        uses[parts] = int(found)
        return int(found)

    def resolve_or(self, parts: tuple[Part, ...], asking: str) -> int | None:
        """As `resolve`, None when the table is known but ends before the field."""
        identifier = str(parts[0])
        if identifier in self._octets and identifier not in self._busy:
            from .layout import ABSENT

            if self.layout(identifier).resolve(parts[1:], self._octets[identifier]) is ABSENT:
                self._uses.setdefault(identifier, {})[parts] = None
                return None
        return self.resolve(parts, asking)

    def size_of(self, table: str) -> int:
        """Octets of a table. TableError when a dimension is not known."""
        size = self.layout(table).size
        self._uses.setdefault(table, {})["sizeof", table] = size
        return size

    def number_format(self, which: str) -> int:
        """Code of BT00.ni_format_1 or 2 ("1", "2"), 8 when BT00 is not known."""
        self._uses.setdefault("BT00", {})
        if "BT00" not in self._octets or "BT00" in self._busy:
            return DEFAULT_FORMAT
        try:
            return self.resolve(("BT00", f"ni_format_{which}"), "NI_FMAT")
        except TableError:
            return DEFAULT_FORMAT

    def same(self, parts: tuple[Part, ...], value: int | None) -> bool:
        """Whether a reference has that value here (None: its table ends before the field)."""
        try:
            if value is None:
                return self.resolve_or(parts, str(parts[0])) is None
            if parts[0] == "sizeof":
                return self.size_of(str(parts[1])) == value
            if parts[0] == "BT00" and str(parts[1]).startswith("ni_format"):
                return self.number_format(str(parts[1])[-1]) == value
            return self.resolve(parts, str(parts[0])) == value
        except TableError:
            return False

    @property
    def firmware(self) -> tuple[int, int]:
        """(major, minor) of the device."""
        if self._firmware is not None:
            return self._firmware
        octets = self._octets.get("BT01", b"")
        if len(octets) < 16:
            return DEFAULT_FIRMWARE
        return unpack_firmware(octets[14], octets[15])[:2]

    @property
    def generation_4(self) -> bool:
        """Whether the Gen 4 offsets hold."""
        return self.firmware >= GENERATION_4_FROM

    @property
    def load_profile_sets(self) -> int:
        """Data sets of the load profile: 1 or 4."""
        return LOAD_PROFILE_SETS if self.firmware >= MULTIPLE_SETS_FROM else 1


def _text(parts: tuple[Part, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) and at > 1 else f".{part}" for at, part in enumerate(parts))[1:]


DEFAULT_CONTEXT: Final = Context()
