"""One load profile data set: a ring of blocks of intervals in the octets of BT64, and what the clock does to it.

    interval end --> record(values, statuses) --> block, interval --> octets
    outage, clock moved --> statuses of the open interval, skipped intervals, a new block

A block covers a fixed stretch of UTC; an interval has its place by its end. Layout and reading: guide, grade A; what a large
jump of the clock does, and that an interval's place follows from its time: grade D.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from .profile_status import ChannelStatus, CommonStatus, combined, pack_status, put_status
from .settings import DAILY_CODE, ProfileSettings
from .timekeeping import MS_PER_MINUTE, milliseconds, moment

TIME_OCTETS: Final = 5
VALUE_OCTETS: Final = 4
DAY_MS: Final = 86_400_000
_INT32: Final = 1 << 31

WAITING_KEPT: Final = 64  # placeholders that may still be filled: four channels for a quarter of an hour; grade D

# Values and statuses of the channels, now.
Reader = Callable[[], tuple[Sequence[int], Sequence[ChannelStatus]]]
# Whether daylight saving is on in the interval that ends at a UTC instant in ms.
Daylight = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a data set in octets, from channels c, intervals n and blocks; integer divisions; grade A."""

    channels: int
    intervals: int
    blocks: int

    @property
    def status_size(self) -> int:
        """Status octets of an interval: c/2 + 1."""
        return self.channels // 2 + 1

    @property
    def interval_size(self) -> int:
        """c/2 + 1 + 4 c."""
        return self.status_size + VALUE_OCTETS * self.channels

    @property
    def simple_size(self) -> int:
        """Octets of the simple status bits: (n + 7) / 8."""
        return (self.intervals + 7) // 8

    @property
    def header_size(self) -> int:
        """Octets in front of interval 0."""
        return TIME_OCTETS + self.simple_size

    @property
    def block_size(self) -> int:
        """5 + (n + 7) / 8 + n (c/2 + 1 + 4 c)."""
        return self.header_size + self.intervals * self.interval_size

    @property
    def size(self) -> int:
        """Octets of the whole set."""
        return self.blocks * self.block_size


@dataclass(slots=True)
class RingState:
    """Counters of BT63 and ET21, and the open interval. `block_number`: stretch of UTC that the newest block covers."""

    last_block: int = 0
    last_interval: int = 0
    valid_blocks: int = 0
    valid_intervals: int = 0
    sequence: int = 0
    unread: int = 0
    overflow: bool = False
    block_number: int | None = None
    end_ms: int = 0  # UTC end of the open interval
    common: int = 0  # statuses collected for the open interval
    code: int = 0
    recorded_ms: int = 0  # UTC end of the newest interval, 0: none yet


@dataclass(slots=True)
class ProfileSet:
    """A data set that collects.

    Args:
        settings: its configuration.    started_ms: UTC at which it begins to collect.

    Attributes:
        octets: the table.    state: counters.    anchor_ms: UTC of a block start.
        dst_until: UTC ms up to which daylight saving stays what it is in the interval with that end; None: not known.
        waiting: placeholders for values that may still arrive: own status of the interval by its UTC end in ms and channel.
            A restart forgets them: those values never arrive.
    """

    settings: ProfileSettings
    started_ms: int
    octets: bytearray = field(init=False)
    state: RingState = field(default_factory=RingState)
    anchor_ms: int = field(init=False)
    geometry: Geometry = field(init=False)
    interval_ms: int = field(init=False)
    dst_until: Callable[[int], int] | None = None
    waiting: dict[tuple[int, int], ChannelStatus] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        self.geometry = Geometry(len(settings.channels), settings.intervals, settings.blocks)
        self.octets = bytearray(self.geometry.size)
        daily = settings.interval_time == DAILY_CODE
        self.interval_ms = DAY_MS if daily else settings.interval_time * MS_PER_MINUTE
        start_of_day = (settings.start[0] * 60 + settings.start[1]) * MS_PER_MINUTE
        self.anchor_ms = (self.started_ms - start_of_day) // DAY_MS * DAY_MS + start_of_day
        self._open(self.started_ms)

    # time

    def _open(self, utc_ms: int, common: CommonStatus = CommonStatus.NONE) -> None:
        """Begin the interval that contains an instant; `common` holds when it is not the very begin of it."""
        into = (utc_ms - self.anchor_ms) % self.interval_ms
        self.state.end_ms = utc_ms - into + self.interval_ms
        self.state.common = int(common) if into else 0
        self.state.code = int(ChannelStatus.PARTIAL) if into and not common & CommonStatus.POWER_FAIL else 0

    def end_interval(self, dst: Daylight, read: Reader) -> None:
        """The clock shows the end of the open interval."""
        values, codes = read()
        self._record_open(dst, values, codes)
        self._open(self.state.end_ms)

    def _record_open(self, dst: Daylight, values: Sequence[int], codes: Sequence[ChannelStatus]) -> None:
        own = ChannelStatus(self.state.code)
        end_ms = self.state.end_ms
        common = CommonStatus(self.state.common) | (CommonStatus.DST if dst(end_ms) else CommonStatus.NONE)
        self._store(end_ms, common, values, [combined(own, code) for code in codes])
        for channel, code in enumerate(codes):
            if code is ChannelStatus.PLACEHOLDER:
                self.waiting[end_ms, channel] = own
        while len(self.waiting) > WAITING_KEPT:
            del self.waiting[next(iter(self.waiting))]

    def power_back(self, down_ms: int, utc_ms: int, dst: Daylight, read: Reader, skipped: ChannelStatus) -> bool:
        """The power is back; what is missing is filled in. False: too much is missing, a new block begins (event 79).

        An interval that had no power at all is skipped, also when the power went at its very begin.
        """
        self._flag(CommonStatus.POWER_FAIL, ChannelStatus.NONE)
        return self._jump(utc_ms, dst, read, CommonStatus.POWER_FAIL, skipped, down_ms)

    def clock_moved(self, old_ms: int, new_ms: int, dst: Daylight, read: Reader, skipped: ChannelStatus) -> bool:
        """The clock was set or slewed. False: too far to be filled in, a new block begins."""
        if new_ms >= old_ms:
            if new_ms > old_ms:
                self._flag(CommonStatus.CLOCK_FORWARD, ChannelStatus.PARTIAL)
            return self._jump(new_ms, dst, read, CommonStatus.CLOCK_FORWARD, skipped)
        self._flag(CommonStatus.CLOCK_BACK, ChannelStatus.LONG)
        if new_ms >= self.state.end_ms - 2 * self.interval_ms:
            return True  # the open interval becomes longer
        values, codes = read()
        self._record_open(dst, values, codes)
        self._restart(new_ms, CommonStatus.CLOCK_BACK)
        return False

    def _jump(
        self, utc_ms: int, dst: Daylight, read: Reader, common: CommonStatus, skipped: ChannelStatus,
        measured_until_ms: int | None = None,
    ) -> bool:  # fmt: skip
        state = self.state
        if utc_ms < state.end_ms:
            return True
        values, codes = read()
        if measured_until_ms is not None and measured_until_ms <= state.end_ms - self.interval_ms:
            state.end_ms -= self.interval_ms
        else:
            self._record_open(dst, values, codes)
        missing = (utc_ms - state.end_ms) // self.interval_ms
        if missing > (self.geometry.blocks - 1) * self.geometry.intervals:
            self._restart(utc_ms, common)
            return False
        if skipped is ChannelStatus.SKIPPED:
            values = [0] * len(values)
        self._skip(missing, dst, common, values, [skipped] * len(values))
        self._open(utc_ms, common)
        return True

    def _skip(
        self, missing: int, dst: Daylight, common: CommonStatus, values: Sequence[int], codes: Sequence[ChannelStatus]
    ) -> None:
        """Fill in so many intervals from the begin of the open one on; a month of minutes must not hold up a request."""
        state = self.state
        while missing:
            end_ms = state.end_ms + self.interval_ms
            daylight = CommonStatus.DST if dst(end_ms) else CommonStatus.NONE
            alike = 1
            if self.dst_until is not None:
                alike = max(1, min(missing, (self.dst_until(end_ms) - end_ms) // self.interval_ms + 1))
            stored = self._store(end_ms, common | daylight, values, codes, alike)
            state.end_ms += stored * self.interval_ms
            missing -= stored

    def _restart(self, utc_ms: int, common: CommonStatus) -> None:
        """Go on in a new block, whatever stretch the newest one covers."""
        self._leave_block()
        self.state.block_number = None
        self._open(utc_ms, common)

    def _flag(self, common: CommonStatus, code: ChannelStatus) -> None:
        self.state.common |= int(common)
        self.state.code = int(combined(ChannelStatus(self.state.code), code))

    def fill(self, source: int, found: tuple[int, ChannelStatus] | None) -> bool:
        """A value of a source arrived late: it goes where placeholders wait for it. None: it will never arrive.

        Returns whether octets changed. Intervals that have left the newest two blocks are not touched any more.
        """
        changed = False
        for (end_ms, channel), own in tuple(self.waiting.items()):
            if self.settings.channels[channel] != source:
                continue
            del self.waiting[end_ms, channel]
            place = self._place(end_ms)
            if found is None or place is None:
                continue
            value, code = found
            put_status(self.octets, place, channel, combined(own, code), self.settings.ansi)
            at = place + self.geometry.status_size + VALUE_OCTETS * channel
            struct.pack_into("<i", self.octets, at, _int32(value))
            changed = True
        return changed

    def _place(self, end_ms: int) -> int | None:
        """Where the interval with that end lies; None: not in the newest two blocks any more."""
        state, geometry = self.state, self.geometry
        number, interval = divmod((end_ms - self.anchor_ms) // self.interval_ms - 1, geometry.intervals)
        if state.block_number is None or not 0 <= state.block_number - number < min(2, state.valid_blocks):
            return None
        base = (state.last_block - (state.block_number - number)) % geometry.blocks * geometry.block_size
        year, month, day, hour, minute = self.octets[base : base + TIME_OCTETS]
        newest = moment(end_ms).replace(year=2000 + year, month=month, day=day, hour=hour, minute=minute)
        there = (milliseconds(newest) - self.anchor_ms) // self.interval_ms - 1
        if there // geometry.intervals != number:
            return None  # another stretch of time lies there: blocks need not follow each other
        return base + geometry.header_size + interval * geometry.interval_size

    # octets

    def _store(
        self, end_ms: int, common: CommonStatus, values: Sequence[int], codes: Sequence[ChannelStatus], alike: int = 1
    ) -> int:
        """Write the interval with that end and, up to the end of its block, those behind it; returns how many."""
        state, geometry = self.state, self.geometry
        number, interval = divmod((end_ms - self.anchor_ms) // self.interval_ms - 1, geometry.intervals)
        if number != state.block_number:
            self._begin_block(number)
        count = min(alike, geometry.intervals - interval)
        end_ms += (count - 1) * self.interval_ms
        base = state.last_block * geometry.block_size
        when = moment(end_ms)
        self.octets[base : base + TIME_OCTETS] = bytes((when.year - 2000 & 0xFF, when.month, when.day, when.hour, when.minute))
        bits = slice(base + TIME_OCTETS, base + geometry.header_size)
        processed = int.from_bytes(self.octets[bits], "little") | ((1 << count) - 1) << interval
        self.octets[bits] = processed.to_bytes(geometry.simple_size, "little")
        place = base + geometry.header_size + interval * geometry.interval_size
        record = pack_status(common, codes, self.settings.ansi)
        record += struct.pack(f"<{geometry.channels}i", *map(_int32, values))
        self.octets[place : place + count * geometry.interval_size] = record * count
        interval += count - 1
        state.last_interval, state.valid_intervals, state.recorded_ms = interval, interval + 1, end_ms
        if state.valid_intervals == geometry.intervals:
            self._complete()
        return count

    def _begin_block(self, number: int) -> None:
        state, geometry = self.state, self.geometry
        if state.block_number is not None:
            self._leave_block()
        if state.valid_blocks:
            state.last_block = (state.last_block + 1) % geometry.blocks
        if state.valid_blocks == geometry.blocks:
            if state.unread == geometry.blocks:
                state.overflow = True
                state.unread -= 1
        else:
            state.valid_blocks += 1
        state.sequence += 1
        state.block_number = number
        base = state.last_block * geometry.block_size
        self.octets[base : base + geometry.block_size] = bytes(geometry.block_size)

    def _leave_block(self) -> None:
        """A block that is not full will not become it: it counts as unread from now on."""
        if self.state.block_number is not None and self.state.valid_intervals < self.geometry.intervals:
            self._complete()

    def _complete(self) -> None:
        """Unread are blocks to which nothing is added any more: grade D."""
        self.state.unread = min(self.state.unread + 1, self.geometry.blocks)

    def acknowledge(self, blocks: int) -> None:
        """BP05: a host has read so many blocks."""
        self.state.unread = max(0, self.state.unread - blocks)
        self.state.overflow = False


def _int32(value: int) -> int:
    return (value + _INT32) % (2 * _INT32) - _INT32
