"""An event log: a ring of 14-octet entries, as in BT74 and ET79; several share one sequence number. Guide, grade A."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from ..errors import TableError
from ..types import LtimeDate

ENTRY: Final = 14
ARGUMENT: Final = 2
OVERFLOW: Final = 2
CIRCULAR: Final = 4
_STATE: Final = struct.Struct("<HHHIHB")


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One entry.    time: UTC.    sequence: 32 bits, the entry keeps the low half.    event: 0..4095.    argument: 2 octets."""

    time: LtimeDate
    sequence: int
    user_id: int
    event: int
    argument: bytes = bytes(ARGUMENT)

    def encode(self) -> bytes:
        """14 octets."""
        numbers = struct.pack("<HHH", self.sequence & 0xFFFF, self.user_id, self.event & 0xFFF)
        return self.time.encode() + numbers + self.argument.ljust(ARGUMENT, b"\0")[:ARGUMENT]


@dataclass(slots=True)
class EventLog:
    """A ring of entries.    entries: capacity, 0: switched off."""

    entries: int
    octets: bytearray = field(init=False)
    valid: int = field(default=0, init=False)
    last: int = field(default=0, init=False)
    sequence: int = field(default=0, init=False)  # of the newest entry
    unread: int = field(default=0, init=False)
    overflow: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.octets = bytearray(ENTRY * self.entries)

    def append(self, record: EventRecord) -> None:
        """Add an entry; the oldest one goes when the log is full."""
        if not self.entries:
            return
        self.last = (self.last + 1) % self.entries if self.valid else 0
        self.valid = min(self.valid + 1, self.entries)
        if self.unread == self.entries:
            self.overflow = True
        else:
            self.unread += 1
        self.sequence = record.sequence
        self.octets[self.last * ENTRY : (self.last + 1) * ENTRY] = record.encode()

    def acknowledge(self, count: int) -> None:
        """BP05: a host has read so many of the unread entries."""
        self.unread = max(0, self.unread - count)
        self.overflow = False

    def clear(self, sequence: bool) -> None:
        """BP04: forget all entries; `sequence`: the number begins anew as well (firmware before 3.70, grade A)."""
        self.valid = self.last = self.unread = 0
        self.overflow = False
        self.octets = bytearray(ENTRY * self.entries)
        if sequence:
            self.sequence = 0

    def table(self) -> bytes:
        """Octets of the table."""
        flags = CIRCULAR | (OVERFLOW if self.overflow else 0)
        return struct.pack("<BHHIH", flags, self.valid, self.last, self.sequence, self.unread) + bytes(self.octets)

    def snapshot(self) -> bytes:
        """For a saved state."""
        head = _STATE.pack(self.entries, self.valid, self.last, self.sequence, self.unread, self.overflow)
        return head + bytes(self.octets)

    def restore(self, octets: bytes) -> int:
        """Take a snapshot back from the begin of `octets`; returns how many octets it had. TableError when it does not fit."""
        if len(octets) < _STATE.size:
            raise TableError(f"a saved event log has at least {_STATE.size} octets, got {len(octets)}")
        entries, valid, last, sequence, unread, overflow = _STATE.unpack_from(octets)
        end = _STATE.size + ENTRY * entries
        if entries != self.entries or len(octets) < end or max(valid, unread) > entries or last >= max(1, entries):
            raise TableError(f"a saved event log does not fit one of {self.entries} entries")
        self.valid, self.last, self.sequence, self.unread, self.overflow = valid, last, sequence, unread, bool(overflow)
        self.octets[:] = octets[_STATE.size : end]
        return int(end)
