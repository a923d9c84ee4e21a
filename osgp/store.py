"""Table octets of a device.

Rules of the two guides (grade A): reading beyond a table gives zeroes and no error; of a write the surplus is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .access import AccessLevel
from .context import Context
from .errors import TableError
from .expression import Part
from .layout import ABSENT
from .leaf import Buffer
from .place import Place, place
from .rights import allowed
from .table import table

__all__ = ["AccessLevel", "TableStore", "allowed"]


class TableStore:
    """The tables of one device, by id ("BT23", a pending copy is "BT54+4096").

    Args:
        locked: tables that nobody may write, whatever the key (the hardware lock of the guides).

    Attributes:
        context: the same octets for layouts; nothing is copied.

    Example:
        store["BT23.summations[0]"]              # value of a field, an element, an octet ("BT21.3") or a bit ("BT21.0.2")
        store["ET55.104.2"] = True               # the rest of the table stays as it is
    """

    def __init__(self, locked: frozenset[str] = frozenset()) -> None:
        self._octets: dict[str, Buffer] = {}
        self._locked = locked
        self.context = Context.over(self._octets)
        self._changed: set[str] = set()

    def put(self, identifier: str, octets: bytes) -> None:
        """Set a table; it exists from then on."""
        new = bytearray(octets)
        if self._octets.get(identifier) == new:
            return
        self._octets[identifier] = new
        self._changed.add(identifier)
        self.context.changed(identifier)

    def encode(self, identifier: str, values: Mapping[str, Any]) -> None:
        """Set a table from values; fields without one are zero, fields of newer firmware are left out."""
        layout = self.context.layout(identifier) if self._octets.get(identifier) else None
        if layout is None or layout.own:
            self.put(identifier, table(identifier).encode(values, self.context, newer=False))
        else:
            self.put(identifier, layout.encode(values, newer=False))

    def update(self, identifier: str, values: Mapping[str, Any]) -> None:
        """Change top-level fields of a table, the others stay. Fields that this firmware lacks are passed over."""
        layout = self.context.layout(identifier)
        octets = self._buffer(identifier)
        before = bytes(octets)
        layout.update(octets, values)
        if octets != before:
            self._changed.add(identifier)
            self.context.changed(identifier)

    def remove(self, identifier: str) -> None:
        """The table is gone; nothing happens when it was not there."""
        if self._octets.pop(identifier, None) is not None:
            self._changed.add(identifier)
            self.context.changed(identifier)

    def write(self, identifier: str, offset: int, octets: bytes) -> bytes:
        """Change octets of a table from `offset`, 0 or more; what does not fit is cut off. Returns what was stored."""
        buffer = self._buffer(identifier)
        piece = octets[: max(0, len(buffer) - offset)]
        if piece and buffer[offset : offset + len(piece)] != piece:
            buffer[offset : offset + len(piece)] = piece
            self._changed.add(identifier)
            self.context.changed(identifier)
        return piece

    def read(self, identifier: str, offset: int, count: int) -> bytes:
        """`count` octets from `offset`; zeroes behind the end of the table. KeyError when the device lacks it."""
        return bytes(self._octets[identifier][offset : offset + count]).ljust(count, b"\0")

    def take_changed(self) -> frozenset[str]:
        """Ids of the tables put, written or removed since this was asked last."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def octets(self, identifier: str) -> bytes:
        """Octets of a table; KeyError when the device lacks it."""
        return bytes(self._octets[identifier])

    def length(self, identifier: str) -> int:
        """Number of octets of a table; KeyError when the device lacks it."""
        return len(self._octets[identifier])

    def _buffer(self, identifier: str) -> bytearray:
        buffer = self._octets[identifier]
        assert isinstance(buffer, bytearray)
        return buffer

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._octets

    def known(self) -> tuple[str, ...]:
        """Ids of the tables that exist."""
        return tuple(self._octets)

    def place(self, path: str) -> Place:
        """Where a path leads in this device. TableError when it leads nowhere or the device lacks the table."""
        found = place(path, self.context)
        if found.table not in self._octets:
            raise TableError(f"the device has no {found.table}")
        return found

    def __getitem__(self, path: str) -> Any:
        found = self.place(path)
        return found.decode(bytes(self._octets[found.table][found.offset : found.offset + found.size]))

    def __setitem__(self, path: str, value: Any) -> None:
        found = self.place(path)
        before = bytes(self._octets[found.table][found.offset : found.offset + found.size])
        self.write(found.table, found.offset, found.encode(value, before))

    def value(self, identifier: str, *parts: Part, default: Any = None) -> Any:
        """Value of a single field by its path, e.g. `value("ET09", "thd", 0, "threshold")`; else `default`.

        The plain form of `store["ET09.thd[0].threshold"]` for code that asks often: nothing is parsed, and a table or field that
        the device lacks is no error.
        """
        octets = self._octets.get(identifier)
        if octets is None:
            return default
        found = self.context.layout(identifier).resolve(parts, octets)
        return default if found is ABSENT else found

    def readable(self, identifier: str, level: AccessLevel) -> bool:
        """Whether a read of that level would be accepted."""
        return identifier in self._octets and allowed(identifier, "read", level)

    def writable(self, identifier: str, level: AccessLevel) -> bool:
        """Whether a write of that level would be accepted: rights, firmware and the hardware lock."""
        return (
            identifier in self._octets
            and not self.locked(identifier)
            and allowed(identifier, "write", level, self.context.firmware)
        )

    def locked(self, identifier: str) -> bool:
        """Whether the hardware lock holds the table; a pending copy is locked with its table."""
        return identifier in self._locked or identifier.partition("+")[0] in self._locked
