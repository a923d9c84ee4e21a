"""The load profile subsystem: up to four data sets, their tables, procedures, alarms and events.

    clock --> interval ends --> values and statuses of the channels --> ProfileSet --> BT64..BT67
    outages, clock changes --> ProfileSet
    EP11, EP52 --> other sets
"""

from __future__ import annotations

import datetime
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final

from ..access import Session
from ..context import LOAD_PROFILE_SETS
from ..errors import ConfigurationError, TableError
from ..types import LtimeDate
from .identity import put
from .measuring import Measuring
from .profile import Geometry, ProfileSet, RingState
from .profile_status import ChannelStatus
from .settings import MAX_CHANNELS, ProfileSettings
from .signals import Alarm, ClockChanged, ClockSlewed, DimensionsChanged, LogEntry, PowerDown, PowerUp, Signal
from .subsystem import Host, Procedure, ProcedureResult, Subsystem
from .timekeeping import milliseconds, moment, to_ms
from .timing import Timing

CONFIGURE: Final = 2048 + 11  # EP11
CONFIGURE_SOURCES: Final = 2048 + 52  # EP52
DATA_TABLES: Final = ("BT64", "BT65", "BT66", "BT67")
UNREAD_ALARMS: Final = ("lp1_unread", "lp2_unread", "lp3_unread", "lp4_unread")
OVERFLOW_EVENT, BACKFILL_EVENT = 64, 79
MEMORY: Final = 233_856  # BT60.memory_length of a 256K meter; grade A
FORMAT_INT32: Final = 32  # BT62; grade A
FIRST_MAPPED, MAPPED = 112, 52  # ids 112..163 lead to ET66; grade A
ELEMENT: Final = 131  # octets of a set in ET21; grade A
SYNC_ONGOING, SYNC_DONE = 1, 2  # ET54.lp_time_sync; grade A
ANSI_OPTION: Final = 1 << 3  # ET21 offset 93; grade A
_VERSION: Final = 1

# Value and status of an extended source id, None: not mine.
ChannelProvider = Callable[[int, float], tuple[int, ChannelStatus] | None]


@dataclass(frozen=True, slots=True)
class ProfileChanged:
    """What ET75 keeps of a change: extended source ids before it and the UTC from when it applies."""

    sources: tuple[int, ...]
    at: datetime.datetime


class Profiling(Subsystem):
    """BT60 to BT67, ET21 and ET66; EP11 and EP52.

    Attributes:
        sets: the data sets by index 0..3, None where there is none.
        guard: asked before the primary set changes; False refuses it (a full ET75 under Welmec 11.2).
    """

    name: ClassVar[str] = "profile"
    live = frozenset(("BT61", "BT62", "BT63", "ET21", "ET66", *DATA_TABLES))

    def attach(self, host: Host) -> None:
        self._host = host
        self._count = LOAD_PROFILE_SETS if host.config.firmware[:2] >= (3, 50) else 1
        settings = host.config.metering.profile
        if len(settings) > self._count:
            raise ConfigurationError(f"this firmware has {self._count} load profile set, got {len(settings)}")
        self._settings = settings
        self._encoded: dict[str, tuple[dict[str, Any], bytes]] = {}  # what tables were put last, by id
        self.sets: list[ProfileSet | None] = [None] * self._count
        self._providers: list[ChannelProvider] = []
        self.guard: Callable[[ProfileChanged], bool] = lambda change: True
        self._alarmed = [False] * self._count
        self._overflowed = [False] * self._count
        self._mapped: list[int] = []
        self._config_id = 0
        self._adjusted = 0  # s, in the running interval of the primary set
        self._down_ms = 0  # UTC at which the power went
        largest = {"blocks": 21259, "intervals": 1440, "channels": MAX_CHANNELS, "interval_time": 255}
        put(host.store, "BT60", {**_FLAGS, "memory_length": MEMORY, "sets": [largest] * self._count})
        for name in ("BT61", "BT62", "BT63", "ET21", "ET66", *DATA_TABLES[: self._count]):
            host.store.put(name, b"")

    def start(self, now: float) -> None:
        measuring, timing = self._host.find(Measuring), self._host.find(Timing)
        if measuring is None or timing is None:
            raise ConfigurationError("a load profile needs the subsystems Measuring and Timing")
        self._measuring, self._timing = measuring, timing
        if not any(self.sets):
            utc_ms = self._utc_ms(now)
            for number, settings in enumerate(self._settings):
                self.sets[number] = ProfileSet(settings, utc_ms, dst_until=self._dst_until)
        self._describe()

    def provide(self, provider: ChannelProvider) -> None:
        """Another subsystem (M-Bus, demand) has values for channels."""
        self._providers.append(provider)

    def arrived(self, source: int, found: tuple[int, ChannelStatus] | None) -> None:
        """A value that a provider had to wait for (it gave a placeholder), None: it will never come."""
        for one in self.sets:
            if one is not None and one.fill(source, found):
                self.touch()

    # time

    def _utc_ms(self, now: float) -> int:
        return milliseconds(self._host.clock.utc(now))

    def next_timer(self) -> float | None:
        instants = [self._host.clock.instant(moment(one.state.end_ms)) for one in self.sets if one is not None]
        return min(instants, default=None)

    def advance(self, now: float) -> None:
        utc_ms = self._utc_ms(now)
        for number, one in enumerate(self.sets):
            if one is not None and utc_ms >= one.state.end_ms:
                one.end_interval(self._dst, partial(self._read, one, now))
                if number == self.primary:
                    self._adjustment(0, False)
                self._after(number, now)

    def _adjustment(self, seconds: int, ongoing: bool) -> None:
        """ET54: by how much the clock was moved in the running interval of the primary set; grade A."""
        if "ET54" in self._host.store and (seconds or self._adjusted):
            self._adjusted = self._adjusted + seconds if seconds else 0
            state = 0 if not self._adjusted else SYNC_ONGOING if ongoing else SYNC_DONE
            self._host.store.update("ET54", {"lp_time_sync": state, "lp_time_adjustment": self._adjusted})

    def _dst(self, end_ms: int) -> bool:
        """Daylight saving in the last instant of an interval: grade D."""
        return self._timing.dst_at(moment(end_ms - 1))

    def _dst_until(self, end_ms: int) -> int:
        """UTC ms of the first instant after an interval at which daylight saving may change."""
        return milliseconds(self._timing.dst_until(moment(end_ms - 1)))

    def _skipped(self) -> ChannelStatus:
        """ET04.lp_use_skipped: whether skipped intervals say so; without it they repeat the registers (grade D)."""
        return ChannelStatus.SKIPPED if self._host.store.octets("ET04")[71] & 8 else ChannelStatus.NONE

    def on_signal(self, signal: Signal, now: float) -> None:
        match signal:
            case PowerDown():
                self.advance(now)  # an interval that ends with the power is still complete
                self._down_ms = self._utc_ms(now)
            case PowerUp():
                utc_ms = self._utc_ms(now)
                for number, one in enumerate(self.sets):
                    if one is not None:
                        read = partial(self._read, one, now)
                        if not one.power_back(self._down_ms, utc_ms, self._dst, read, self._skipped()):
                            self._host.signal(LogEntry(BACKFILL_EVENT), now)
                            self._host.signal(Alarm("load_profile_backfill_failed"), now)
                        self._after(number, now)
            case ClockChanged():
                self._moved(milliseconds(signal.old), milliseconds(signal.new), now)
            case ClockSlewed():
                utc_ms = self._utc_ms(now)
                self._moved(utc_ms - 1000 * signal.seconds, utc_ms, now)

    def _moved(self, old_ms: int, new_ms: int, now: float) -> None:
        seconds = max(-(1 << 31), min((1 << 31) - 1, (new_ms - old_ms) // 1000))
        self._adjustment(seconds, bool(self._timing.slew_left))
        for number, one in enumerate(self.sets):
            if one is not None:
                one.clock_moved(old_ms, new_ms, self._dst, partial(self._read, one, now), self._skipped())
                self._after(number, now)

    def _after(self, number: int, now: float) -> None:
        """Alarms that follow the counters."""
        self.touch()
        one = self.sets[number]
        unread = one is not None and one.state.unread > 0
        if unread != self._alarmed[number]:
            self._alarmed[number] = unread
            self._host.signal(Alarm(UNREAD_ALARMS[number], unread), now)
        overflow = one is not None and one.state.overflow
        if overflow and not self._overflowed[number] and number == self.primary:
            self._host.signal(LogEntry(OVERFLOW_EVENT), now)
            self._host.signal(Alarm("load_profile_overflow"), now)
        self._overflowed[number] = overflow

    @property
    def primary(self) -> int:
        """Index of the primary set: ET55.primary_lp_index."""
        store = self._host.store
        if "ET55" not in store:
            return 0
        return min(store.octets("ET55")[110 if store.context.generation_4 else 109], self._count - 1)

    # values

    def _read(self, one: ProfileSet, now: float) -> tuple[Sequence[int], Sequence[ChannelStatus]]:
        store = self._host.store
        if "ET54" in store and store.octets("ET54")[19] & 1:
            count = len(one.settings.channels)
            return [0] * count, [ChannelStatus.OPTED_OUT] * count
        since_ms = to_ms(max(0.0, self._host.clock.instant(moment(one.state.end_ms - one.interval_ms))))
        status = ChannelStatus.NONE
        modes = store.octets("BT03")
        if modes[0] & 2:
            status = ChannelStatus.TEST_MODE
        if modes[1] & 1 << 6:
            status = ChannelStatus.CLOCK_ERROR
        own = self._measuring.values([source for source in one.settings.channels if source < 256], now, since_ms)
        read = [self._channel(source, now, own) for source in one.settings.channels]
        return [value for value, _ in read], [code if code is not ChannelStatus.NONE else status for _, code in read]

    def _channel(self, extended: int, now: float, own: Mapping[int, int]) -> tuple[int, ChannelStatus]:
        for provider in self._providers:
            found = provider(extended, now)
            if found is not None:
                return found
        if extended in own:
            return own[extended], ChannelStatus.NONE
        return 0, ChannelStatus.DEVICE_MISSING

    # configuration

    def procedures(self) -> Mapping[int, Procedure]:
        return {CONFIGURE: self._configure, CONFIGURE_SOURCES: self._configure_sources}

    def _configure(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP11: UINT8 set, UINT8 interval time, UINT16 intervals, UINT16 blocks, UINT8 hour, UINT8 minute, UINT8 channels,
        UINT16 source ids, optionally UINT8 options. No channels: the set is given up. Project-defined, grade D."""
        if len(parameters) < 9:
            return ProcedureResult.INVALID_PARAMETER, b""
        number, interval, intervals, blocks, hour, minute, channels = struct.unpack("<BBHHBBB", parameters[:9])
        if number >= self._count or channels > MAX_CHANNELS or len(parameters) < 9 + 2 * channels:
            return ProcedureResult.INVALID_PARAMETER, b""
        if not channels:
            return self._replace(number, None, now)
        sources = struct.unpack(f"<{channels}H", parameters[9 : 9 + 2 * channels])
        options = parameters[9 + 2 * channels] if len(parameters) > 9 + 2 * channels else 0
        try:
            settings = ProfileSettings(
                sources, interval, intervals, blocks, (hour, minute), bool(options & ANSI_OPTION)
            )
        except ConfigurationError:
            return ProcedureResult.INVALID_PARAMETER, b""
        return self._replace(number, settings, now)

    def _configure_sources(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP52: UINT8 set, UINT16 source id of every channel. Project-defined, grade D."""
        one = self.sets[parameters[0]] if parameters and parameters[0] < self._count else None
        if one is None or len(parameters) != 1 + 2 * len(one.settings.channels):
            return ProcedureResult.INVALID_PARAMETER, b""
        sources = struct.unpack(f"<{len(one.settings.channels)}H", parameters[1:])
        return self._replace(parameters[0], replace(one.settings, channels=sources), now)

    def _replace(self, number: int, settings: ProfileSettings | None, now: float) -> tuple[ProcedureResult, bytes]:
        others = sum(one.geometry.size for place, one in enumerate(self.sets) if one is not None and place != number)
        if settings is not None:
            size = Geometry(len(settings.channels), settings.intervals, settings.blocks).size
            if others + size > MEMORY:
                return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        before = self.sets[number]
        sources = before.settings.channels if before is not None else ()
        if number == self.primary and not self.guard(ProfileChanged(sources, self._host.clock.utc(now))):
            return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        self.sets[number] = ProfileSet(settings, self._utc_ms(now), dst_until=self._dst_until) if settings is not None else None
        self._config_id += 1
        self._after(number, now)
        self._describe()
        self._host.signal(DimensionsChanged(("BT61", "BT62", DATA_TABLES[number])), now)
        return ProcedureResult.COMPLETED, b""

    def acknowledge(self, number: int, blocks: int, now: float) -> None:
        """BP05: a host has read so many of the unread blocks of a set."""
        one = self.sets[number] if number < self._count else None
        if one is not None:
            one.acknowledge(blocks)
            self._after(number, now)

    def reset_lists(self, number: int, now: float) -> None:
        """BP04: the set begins anew."""
        one = self.sets[number] if number < self._count else None
        if one is not None:
            sequence = one.state.sequence
            self.sets[number] = ProfileSet(one.settings, self._utc_ms(now))
            self.sets[number].state.sequence = sequence  # type: ignore[union-attr]
            self._after(number, now)

    # tables

    def _describe(self) -> None:
        """Put the tables that only a new configuration changes."""
        self._mapped = [
            source for one in self.sets if one is not None for source in one.settings.channels if source > 255
        ][:MAPPED]
        for name in ("BT61", "BT62", "ET66", "BT63", "ET21"):
            self.refresh(name, 0.0)
        for number in range(self._count):
            self.refresh(DATA_TABLES[number], 0.0)

    def _source_id(self, extended: int) -> int:
        """The id of one octet in BT62."""
        return extended if extended < 256 else FIRST_MAPPED + self._mapped.index(extended)

    def refresh(self, identifier: str, now: float) -> None:
        store, sets = self._host.store, self.sets
        if identifier in DATA_TABLES:
            one = sets[DATA_TABLES.index(identifier)]
            store.put(identifier, bytes(one.octets) if one is not None else b"")
        elif identifier == "BT61":
            used = sum(one.geometry.size for one in sets if one is not None)
            rows = [_dimensions(one) for one in sets]
            self._put("BT61", {**_FLAGS, "memory_length": used, "sets": rows})
        elif identifier == "BT62":
            self._put("BT62", {"sets": [self._control(one) for one in sets]})
        elif identifier == "BT63":
            store.put("BT63", b"".join(_status(one) for one in sets))
        elif identifier == "ET21":
            store.put("ET21", b"".join(self._internal(one) for one in sets))
        else:
            store.put("ET66", b"".join(_word(one) for one in self._mapped).ljust(8 * MAX_CHANNELS, b"\0"))

    def _put(self, identifier: str, values: dict[str, Any]) -> None:
        """Encode a table, unless its octets say that already."""
        store = self._host.store
        known = self._encoded.get(identifier)
        if known is None or known[0] != values or known[1] != store.octets(identifier):
            put(store, identifier, values)
            self._encoded[identifier] = values, store.octets(identifier)

    def _control(self, one: ProfileSet | None) -> Mapping[str, Any]:
        channels = one.settings.channels if one is not None else ()
        rows = [{"interval_source": self._source_id(source)} for source in channels]
        return {"channels": rows, "format": FORMAT_INT32}

    def _internal(self, one: ProfileSet | None) -> bytes:
        """An element of ET21."""
        octets = bytearray(ELEMENT)
        if one is None:
            return bytes(octets)
        geometry, state, settings = one.geometry, one.state, one.settings
        base = state.last_block * geometry.block_size
        struct.pack_into(
            "<IIIHHHHHBBBBBBBB", octets, 0,
            base, base + geometry.header_size + state.last_interval * geometry.interval_size,
            geometry.block_size, geometry.header_size, state.valid_blocks, state.valid_intervals, state.last_block,
            state.last_interval, 5, geometry.simple_size & 0xFF, geometry.header_size & 0xFF, geometry.interval_size,
            geometry.status_size, state.common << 4, geometry.channels, settings.interval_time,
        )  # fmt: skip
        ids = [self._source_id(source) for source in settings.channels]
        octets[30 : 30 + min(8, len(ids))] = bytes(ids[:8])
        octets[70 : 70 + max(0, len(ids) - 8)] = bytes(ids[8:])
        struct.pack_into("<I", octets, 78, self._config_id)
        octets[83:89] = LtimeDate.of(moment(one.anchor_ms)).encode()
        octets[89:91] = bytes(settings.start)
        octets[93] = ANSI_OPTION if settings.ansi else 0
        if state.recorded_ms:
            end = moment(state.recorded_ms)
            octets[94:100] = LtimeDate.of(end).encode()
            octets[101:107] = LtimeDate.of(self._timing.local_of(end)).encode()
        struct.pack_into("<I", octets, 107, MEMORY)
        return bytes(octets)

    # what must survive

    def snapshot(self) -> bytes:
        rows = [None if one is None else (astuple(one.settings), one.started_ms, astuple(one.state)) for one in self.sets]
        state = {"sets": rows, "config_id": self._config_id, "down": self._down_ms, "adjusted": self._adjusted}
        head = json.dumps(state).encode()
        octets = b"".join(bytes(one.octets) for one in self.sets if one is not None)
        return bytes((_VERSION,)) + struct.pack("<I", len(head)) + head + octets

    def restore(self, octets: bytes, now: float) -> None:
        if len(octets) < 5 or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        place = 5 + int.from_bytes(octets[1:5], "little")
        try:
            head = json.loads(octets[5:place])
            self._config_id, self._down_ms, self._adjusted = head["config_id"], head["down"], head["adjusted"]
            for number, row in enumerate(head["sets"][: self._count]):
                if row is None:
                    self.sets[number] = None
                    continue
                channels, interval, intervals, blocks, start, ansi = row[0]
                settings = ProfileSettings(tuple(channels), interval, intervals, blocks, tuple(start), ansi)
                one = self.sets[number] = ProfileSet(settings, row[1], state=RingState(), dst_until=self._dst_until)
                one.state = RingState(*row[2])
                size = one.geometry.size
                if len(octets) < place + size:
                    raise TableError("the octets of a data set are cut off")
                one.octets[:] = octets[place : place + size]
                place += size
                self._alarmed[number], self._overflowed[number] = one.state.unread > 0, one.state.overflow
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error


_FLAGS: Final = {"extended_status": True, "simple_status": True, "fmt_int32": True}


def _dimensions(one: ProfileSet | None) -> Mapping[str, Any]:
    if one is None:
        return {}
    settings, geometry = one.settings, one.geometry
    return {
        "blocks": geometry.blocks,
        "intervals": geometry.intervals,
        "channels": geometry.channels,
        "interval_time": settings.interval_time,
    }


def _status(one: ProfileSet | None) -> bytes:
    """An element of BT63: circular, active when there is a set."""
    if one is None:
        return bytes((4,)).ljust(13, b"\0")
    state = one.state
    flags = 4 | 32 | (2 if state.overflow else 0)
    return struct.pack(
        "<BHHIHH", flags, state.valid_blocks, state.last_block, state.sequence, state.unread, state.valid_intervals
    )


def _word(value: int) -> bytes:
    return value.to_bytes(2, "little")
