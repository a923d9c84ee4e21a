"""The adjustable logs: rings of records of equal size behind one 6-octet header, described by ET36. BT26 has the same form.

    header: flags (bit 1 overflow, bit 2 circular), valid, index of the newest, sequence (2), unread
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from ..errors import TableError

HEADER: Final = 6
OVERFLOW: Final = 2
CIRCULAR: Final = 4
SEQUENCES: Final = 1 << 16
_STATE: Final = struct.Struct("<HHHHHHB")  # entry size, entries, valid, last, sequence, unread, overflow


@dataclass(slots=True)
class AdjustableLog:
    """A ring of records.

    Args:
        entry_size: octets.    entries: capacity, 0: nothing is kept.    most: largest capacity, grade A.

    Attributes:
        sequence: number of the newest record, never reset.    unread: records that no host has acknowledged.
    """

    entry_size: int
    entries: int
    most: int = 255
    octets: bytearray = field(init=False)
    valid: int = field(default=0, init=False)
    last: int = field(default=0, init=False)
    sequence: int = field(default=0, init=False)
    unread: int = field(default=0, init=False)
    overflow: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.octets = bytearray(self.entry_size * self.entries)

    @property
    def full(self) -> bool:
        """Whether the next record takes the place of another."""
        return self.valid == self.entries

    def append(self, record: bytes) -> bool:
        """Add a record, zero filled; False when the log keeps none."""
        if not self.entries:
            return False
        if len(record) > self.entry_size:
            raise TableError(f"a record of this log has at most {self.entry_size} octets, got {len(record)}")
        self.last = (self.last + 1) % self.entries if self.valid else 0
        if self.unread == self.entries:
            self.overflow = True
        else:
            self.unread += 1
        self.valid = min(self.valid + 1, self.entries)
        self.sequence = (self.sequence + 1) % SEQUENCES
        place = self.last * self.entry_size
        self.octets[place : place + self.entry_size] = record.ljust(self.entry_size, b"\0")
        return True

    def newest(self) -> bytes:
        """The newest record; empty when there is none."""
        place = self.last * self.entry_size
        return bytes(self.octets[place : place + self.entry_size]) if self.valid else b""

    def take_unread(self) -> bytes:
        """The oldest unread record, which is read by that; empty when there is none."""
        if not self.unread:
            return b""
        place = (self.last - self.unread + 1) % self.entries * self.entry_size
        self.unread -= 1
        self.overflow = False
        return bytes(self.octets[place : place + self.entry_size])

    def acknowledge(self, count: int) -> None:
        """A host has read so many of the unread records."""
        self.unread = max(0, self.unread - count)
        self.overflow = False

    def clear(self) -> None:
        """Forget all records; the sequence goes on."""
        self.valid = self.last = self.unread = 0
        self.overflow = False
        self.octets = bytearray(self.entry_size * self.entries)

    def resize(self, entries: int, entry_size: int) -> None:
        """Another size; the records are lost (grade D)."""
        self.entries, self.entry_size = entries, entry_size
        self.clear()

    def table(self) -> bytes:
        """Octets of the table."""
        flags = (OVERFLOW if self.overflow else 0) | (CIRCULAR if self.entries else 0)
        head = struct.pack("<BBBHB", flags, self.valid & 0xFF, self.last & 0xFF, self.sequence, self.unread & 0xFF)
        return head + bytes(self.octets)

    def wide_table(self) -> bytes:
        """Octets of a table with a header of 9 octets: ET74, whose last count is of entries not yet moved to ET45; grade A."""
        flags = (OVERFLOW if self.overflow else 0) | (CIRCULAR if self.entries else 0)
        return struct.pack("<BHHHH", flags, self.valid, self.last, self.sequence, self.unread) + bytes(self.octets)

    def snapshot(self) -> bytes:
        """For a saved state."""
        head = _STATE.pack(
            self.entry_size, self.entries, self.valid, self.last, self.sequence, self.unread, self.overflow
        )
        return head + bytes(self.octets)

    def restore(self, octets: bytes) -> int:
        """Take a snapshot back from the begin of `octets`; returns how many octets it had. TableError when they are cut off."""
        if len(octets) < _STATE.size:
            raise TableError(f"a saved log has at least {_STATE.size} octets, got {len(octets)}")
        size, entries, valid, last, sequence, unread, overflow = _STATE.unpack_from(octets)
        end = _STATE.size + size * entries
        if len(octets) < end or entries > self.most or valid > entries or last >= max(1, entries) or unread > valid:
            raise TableError("a saved log is damaged")
        self.resize(entries, size)
        self.valid, self.last, self.sequence, self.unread, self.overflow = valid, last, sequence, unread, bool(overflow)
        self.octets[:] = octets[_STATE.size : end]
        return int(end)
