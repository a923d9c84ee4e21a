"""Reading circular tables newest first, as the guides do: self-reads, event logs, adjustable logs, load profile blocks.

    header: number_valid, last_entry --> entries last_entry, last_entry - 1, ... modulo the capacity
    ET21: block and interval sizes, last block --> offset and count of a partial read --> intervals with their end times
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import DecodeError
from .types import StimeDate
from .value import Record, TableValue

_TIME_OCTETS = 5
_DAILY_CODE = 84  # interval_time of 24 hours; grade A


def newest_first(value: TableValue) -> Iterator[Record]:
    """Entries of a table with `number_valid`, `last_entry` and `entries` (BT26, BT74, ET31, ET41, ET75, ET79, ET81)."""
    entries = value["entries"]
    for back in range(min(value["number_valid"], len(entries))):
        yield entries[(value["last_entry"] - back) % len(entries)]


@dataclass(frozen=True, slots=True)
class ProfileInterval:
    """One interval of a load profile.

    Attributes:
        end: UTC, naive.    values: one signed number per channel: the register at the end, not the difference.
        common: flags 1 DST, 2 power fail, 4 clock moved forward, 8 clock moved back.    statuses: code of each channel.
    """

    end: datetime.datetime
    values: tuple[int, ...]
    common: int = 0
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileGeometry:
    """Where the intervals of a data set lie in its table (BT64..BT67).

    Args: as in ET21; `blocks` is from BT61.    `minutes`: of an interval.
    """

    blocks: int
    block_size: int
    header_size: int
    interval_size: int
    channels: int
    minutes: int
    valid_blocks: int
    last_block: int
    last_interval: int

    @classmethod
    def of(cls, element: Mapping[str, Any], blocks: int) -> ProfileGeometry:
        """From an element of ET21.sets and the number of blocks."""
        minutes = element["interval_time"]
        return cls(
            blocks, element["block_size"], element["block_header_size"], element["interval_size"], element["channels"],
            24 * 60 if minutes == _DAILY_CODE else minutes, element["valid_blocks"], element["last_block"],
            element["last_interval"],
        )  # fmt: skip

    def block(self, age: int) -> tuple[int, int]:
        """(offset, count) of a partial read of a block: age 0 is the newest, which may still be filling, 1 the newest full one.

        Raises:
            DecodeError: there is no block of that age.
        """
        if not 0 <= age < min(self.valid_blocks, self.blocks):
            raise DecodeError(f"the load profile has {self.valid_blocks} blocks, none of age {age}")
        return (self.last_block - age) % self.blocks * self.block_size, self.block_size

    def newest_interval(self) -> tuple[int, int]:
        """(offset, count) of a partial read of the newest interval."""
        base = self.last_block * self.block_size + self.header_size
        return base + self.last_interval * self.interval_size, self.interval_size

    def decode(self, octets: bytes) -> tuple[ProfileInterval, ...]:
        """Intervals of a block, oldest first; those that have not been processed are left out.

        Raises:
            DecodeError: the octets are no block of this size, or its end time is no date.
        """
        if len(octets) != self.block_size:
            raise DecodeError(f"a block has {self.block_size} octets, got {len(octets)}")
        processed = int.from_bytes(octets[_TIME_OCTETS : self.header_size], "little")
        if not processed:
            return ()
        when = StimeDate.decode(octets[:_TIME_OCTETS])
        try:
            newest = datetime.datetime(2000 + when.year, when.month, when.day, when.hour, when.minute)
        except ValueError as error:
            raise DecodeError(f"the end of a block is no date: {when}") from error
        top = processed.bit_length() - 1
        step = datetime.timedelta(minutes=self.minutes)
        return tuple(
            self._interval(octets, place, newest - step * (top - place)) for place in range(top + 1) if processed >> place & 1
        )

    def _interval(self, octets: bytes, place: int, end: datetime.datetime) -> ProfileInterval:
        at = self.header_size + place * self.interval_size
        status = octets[at : at + self.channels // 2 + 1]
        nibbles = [nibble for octet in status for nibble in (octet >> 4, octet & 15)]
        values = struct.unpack_from(f"<{self.channels}i", octets, at + len(status))
        return ProfileInterval(end, values, nibbles[0], tuple(nibbles[1 : 1 + self.channels]))
