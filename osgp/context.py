"""What is known about one device while a table is laid out: its other tables and its firmware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .errors import TableError
from .expression import Part

if TYPE_CHECKING:
    from .value import TableValue

# Assumed while neither the caller nor BT01 gives the firmware: the plain Gen 3 layout with one load profile set. Grade D.
DEFAULT_FIRMWARE: Final = (3, 10)
MULTIPLE_SETS_FROM: Final = (3, 50)  # firmware that has four load profile sets; grade A
GENERATION_4_FROM: Final = (4, 0)  # grade A
LOAD_PROFILE_SETS: Final = 4


class Context:
    """Tables of one device by id, decoded when a layout asks for them.

    Args:
        tables: octets by table id; they may be shorter than the table.
        firmware: (major, minor), None: read from BT01, else DEFAULT_FIRMWARE.
    """

    def __init__(self, tables: Mapping[str, bytes] | None = None, firmware: tuple[int, int] | None = None) -> None:
        self._octets: dict[str, bytes] = dict(tables or {})
        self._values: dict[str, TableValue] = {}
        self._decoding: set[str] = set()
        self._firmware = firmware

    def put(self, table: str, octets: bytes) -> None:
        """Remember the octets of a table; everything decoded before is decoded anew when asked for."""
        if self._octets.get(table) != octets:
            self._octets[table] = bytes(octets)
            self._values.clear()

    def forget(self, table: str) -> None:
        """Drop a table."""
        if self._octets.pop(table, None) is not None:
            self._values.clear()

    def octets(self, table: str) -> bytes | None:
        """Octets of a table, None when it is not known."""
        return self._octets.get(table)

    def known(self) -> tuple[str, ...]:
        """Ids of the tables with octets."""
        return tuple(self._octets)

    def peek(self, table: str) -> TableValue | None:
        """The table as far as its octets reach, or None when it is not known (or is just being decoded)."""
        if table in self._values:
            return self._values[table]
        if table not in self._octets or table in self._decoding:
            return None
        from .table import table as specification  # the one loop between the modules: layouts need contexts and vice versa

        self._decoding.add(table)
        try:
            value = specification(table).decode(self._octets[table], self, partial=True)
        finally:
            self._decoding.discard(table)
        self._values[table] = value
        return value

    def resolve(self, parts: tuple[Part, ...], asking: str) -> int:
        """Integer value of a reference into another table."""
        identifier = str(parts[0])
        value = self.peek(identifier)
        if value is None:
            raise TableError(f"{asking} needs {identifier}, which is not known")
        found = value.follow(parts[1:])
        if not isinstance(found, int):
            raise TableError(f"{asking} needs a number from {identifier}, got {found!r}")
        return int(found)

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


def unpack_firmware(version: int, revision: int) -> tuple[int, int, int]:
    """BT01 firmware_version and firmware_revision -> x, yy, zz.    bits 15..12 x, 11..5 yy, 4..0 zz: 0x3018 is 3.00.24"""
    word = version << 8 | revision
    return word >> 12, word >> 5 & 0x7F, word & 0x1F


def pack_firmware(major: int, minor: int, build: int) -> tuple[int, int]:
    """The two octets of BT01, high octet first; the other way round of unpack_firmware."""
    if not (0 <= major <= 15 and 0 <= minor <= 127 and 0 <= build <= 31):
        raise TableError(f"firmware must be 0..15, 0..127, 0..31, got {major}, {minor}, {build}")
    word = major << 12 | minor << 5 | build
    return word >> 8, word & 0xFF


DEFAULT_CONTEXT: Final = Context()
