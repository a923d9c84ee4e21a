"""The billing subsystem: register tables, self-reads, seasons, demand and its resets, one-time reads.

    registers, demands --> BT23 --> snapshots: BT24 season, BT25 and ET41 demand reset, BT26 self-read, ET31 one-time read
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError, TableError
from ..types import StimeDate
from .adjustable import AdjustableLog
from .demand import Demand
from .identity import put
from .journal import Journal
from .measuring import Measuring
from .present import present_sources
from .profile_status import ChannelStatus
from .profiling import Profiling
from .registers import SUMMATIONS, WITH_APPARENT, WITH_QUADRANTS
from .settings import MAX_DEMANDS, DemandSettings
from .signals import (
    Alarm,
    ClockChanged,
    ClockSlewed,
    DemandReset,
    DimensionsChanged,
    LogEntry,
    PowerDown,
    PowerUp,
    SeasonChanged,
    SelfRead,
    Signal,
)
from .subsystem import Host, Procedure, ProcedureResult, Subsystem
from .timekeeping import milliseconds, moment
from .timing import Timing

REMOTE_RESET: Final = 9  # BP09
CONFIGURE, RECONFIGURE, RESET, CLEAR_SEASON = 2048 + 32, 2048 + 33, 2048 + 34, 2048 + 64  # EP32, EP33, EP34, EP64
DEMAND_RESET_EVENT, SELF_READ_EVENT = 20, 21  # event ids; spec/events.json
BY_PROCEDURE: Final = 1  # reason of ET41; grade A
PRESENT_DEMANDS, PREVIOUS_DEMANDS = 88, 96  # first of eight source ids each; grade A
FIRST_APPARENT_FIRMWARE: Final = (4, 0)
MS_PER_MINUTE: Final = 60_000
_VERSION: Final = 1


class Billing(Subsystem):
    """BT20 to BT28; ET31 and ET41 in the journal; BP09, EP32, EP33, EP34, EP64.

    Attributes:
        demand: None without demand metering.    self_reads: BT26.    bidn: billing interface definition number, set by a host.
        tier_size: octets of a tariff in BT23.
    """

    name: ClassVar[str] = "billing"
    live = frozenset(("BT23", "BT26", "BT28"))

    def attach(self, host: Host) -> None:
        self._host = host
        config = host.config
        self._settings = config.metering
        self.bidn = 0
        self._resets = 0
        self._last_reset_ms: int | None = None
        self._restored = False
        self._next_ms = 0  # UTC end of the running demand sub-interval
        self._values = present_sources(config.firmware[:2])
        measuring, journal = host.find(Measuring), host.find(Journal)
        timing = host.find(Timing)
        if measuring is None or journal is None or timing is None:
            raise ConfigurationError("billing needs the subsystems Measuring, Journal and Timing")
        self._measuring, self._journal, self._timing = measuring, journal, timing
        put(host.store, "BT20", self._limits())
        self.self_reads = AdjustableLog(1, 0)
        journal.self_reads = self.self_reads
        self._configure(config.metering.demand)

    def _limits(self) -> dict[str, Any]:
        return {
            **_DATES, "demand_reset_counter": True, "demand_reset_lockout": True, "cumulative_demand": True,
            "continuous_cumulative_demand": True, "self_read_sequence_number": True, "number_self_reads": 253,
            "number_summations": len(self._summations(True)), "number_demands": MAX_DEMANDS,
            "number_coincident": 2 * MAX_DEMANDS, "number_occurrences": 1, "number_tiers": self._settings.tiers,
            "number_present_demands": MAX_DEMANDS, "number_present_values": len(self._values),
        }  # fmt: skip

    def _summations(self, demand: bool) -> tuple[int, ...]:
        if self._host.config.firmware[:2] >= FIRST_APPARENT_FIRMWARE:
            return WITH_APPARENT
        return WITH_QUADRANTS if demand else SUMMATIONS

    def _configure(self, settings: DemandSettings | None) -> None:
        """Demand metering or none: the dimensions and everything that depends on the size of BT23."""
        store, registers = self._host.store, self._measuring.registers
        self.demand = None if settings is None else Demand(settings, registers.tier_count, registers.ratio)
        self.sources = self._summations(settings is not None)
        demands = () if settings is None else settings.sources
        coincidents = () if settings is None else settings.coincidents
        with_demand = settings is not None
        dimensions = {
            **_DATES, "demand_reset_counter": with_demand, "cumulative_demand": with_demand,
            "demand_reset_lock": settings is not None and settings.lockout > 0,
            "continuous_cumulative_demand": with_demand, "self_read_sequence_number": with_demand,
            "number_self_reads": self._settings.self_reads, "number_summations": len(self.sources),
            "number_demands": len(demands), "number_coincident": len(coincidents), "number_occurrences": 1,
            "number_tiers": registers.tier_count, "number_present_demands": len(demands),
            "number_present_values": len(self._values),
        }  # fmt: skip
        put(store, "BT21", dimensions)
        selection = {
            "summation_sources": self.sources, "demand_select": demands, "min_max_flags": frozenset(range(len(demands))),
            "coincident_select": tuple(source for source, _ in coincidents),
            "coincident_demand": tuple(index for _, index in coincidents),
        }  # fmt: skip
        put(store, "BT22", selection)
        present = [PRESENT_DEMANDS + number for number in range(len(demands))]
        put(store, "BT27", {"demand_sources": present, "value_sources": self._values})
        size = len(self.register_octets())
        self.tier_size = (size - with_demand) // (1 + registers.tier_count)
        self._entry_size = size + 6 + (2 if with_demand else 0)
        self.self_reads.resize(self._settings.self_reads, self._entry_size)
        self._journal.logs["ET31"].resize(self._settings.one_time_log, self._entry_size)
        self._journal.logs["ET41"].resize(self._settings.demand_log if with_demand else 0, size + 11)
        control = b"" if settings is None else bytes((0, 0, 0, 0, settings.sub_interval, settings.multiplier))
        store.put("BT13", control.ljust(6, b"\0"))
        for name in ("BT23", "BT26", "BT28"):
            store.put(name, b"")
        store.put("BT24", bytes(6 + size))
        store.put("BT25", bytes(6 + size))

    def start(self, now: float) -> None:
        if not self._restored:
            self._plan(now)
        for name in self.live:
            self.refresh(name, now)
        profile = self._host.find(Profiling)
        if profile is not None:
            profile.provide(self._channel)

    # tables

    def register_octets(self) -> bytes:
        """BT23 as it stands."""
        registers, demand, sources = self._measuring.registers, self.demand, self.sources
        pack = struct.Struct(f"<{len(sources)}i").pack
        octets = b"" if demand is None else bytes((self._resets,))
        for block, values in enumerate((registers.total(sources), *registers.tiers(sources))):
            octets += pack(*values)
            if demand is not None:
                octets += demand.octets(block)
        return octets

    def refresh(self, identifier: str, now: float) -> None:
        store = self._host.store
        self._measuring.count(now)
        match identifier:
            case "BT23":
                store.put("BT23", self.register_octets())
            case "BT26":
                store.put("BT26", self.self_reads.table())
            case "BT28":
                values = self._measuring.listed(self._values, now)
                if self.demand is not None:
                    values = (*self.demand.present(self._measuring.flow), *values)
                store.put("BT28", struct.pack(f"<{len(values)}i", *values))

    def _snapshot_entry(self, now: float) -> bytes:
        """Local time, season, registers."""
        self._measuring.count(now)
        return self._local(now).encode() + bytes((self._timing.season,)) + self.register_octets()

    def _local(self, now: float) -> StimeDate:
        local = self._host.clock.local(now)
        return StimeDate(local.year - 2000, local.month, local.day, local.hour, local.minute)

    def _bidn(self) -> bytes:
        return b"" if self.demand is None else self.bidn.to_bytes(2, "little")

    # what happens

    def on_signal(self, signal: Signal, now: float) -> None:
        match signal:
            case SelfRead():
                self.advance(now)
                self.self_reads.append(self._bidn() + self._snapshot_entry(now))
                self.touch()
                self._host.signal(LogEntry(SELF_READ_EVENT), now)
                self._host.signal(Alarm("self_read_occurred"), now)
            case SeasonChanged():
                self.advance(now)
                self._host.store.put("BT24", self._snapshot_entry(now))
            case DemandReset():
                self.advance(now)
                self._reset_demand(signal.reason, now)
            case ClockChanged() | ClockSlewed():
                if self.demand is not None:
                    if isinstance(signal, ClockChanged):
                        self.demand.restart()
                    self._plan(now)
            case PowerDown() | PowerUp():
                self.advance(now)

    def _reset_demand(self, reason: int, now: float) -> None:
        if self.demand is None:
            return
        entry = self._snapshot_entry(now)
        self._host.store.put("BT25", entry)
        size = 5 + len(entry)
        self._journal.append("ET41", struct.pack("<HBH", size, reason, self.bidn) + entry, now)
        self.demand.reset()
        self._resets = (self._resets + 1) % 256
        self._last_reset_ms = milliseconds(self._host.clock.utc(now))
        self.touch()
        self._host.signal(LogEntry(DEMAND_RESET_EVENT), now)

    def one_time_read(self, now: float) -> None:
        """A snapshot into ET31, apart from the self-reads."""
        self._journal.append("ET31", self._bidn() + self._snapshot_entry(now), now)

    # demand intervals

    def _plan(self, now: float) -> None:
        if self.demand is not None:
            length = self.demand.sub_interval_ms
            utc_ms = milliseconds(self._host.clock.utc(now))
            self._next_ms = (utc_ms // length + 1) * length
            if not utc_ms % length and not self.demand.marks:
                self._measuring.count(now)
                self.demand.marks.append(self._measuring.flow)

    def next_timer(self) -> float | None:
        return None if self.demand is None else self._host.clock.instant(moment(self._next_ms))

    def advance(self, now: float) -> None:
        demand = self.demand
        if demand is None:
            return
        utc_ms = milliseconds(self._host.clock.utc(now))
        if utc_ms < self._next_ms:
            return
        self._measuring.count(now)
        # After an outage several ends may have passed; more than fill the window change nothing.
        length = demand.sub_interval_ms
        passed = (utc_ms - self._next_ms) // length + 1
        self._next_ms += max(0, passed - 1 - len(demand.maxima[0]) - demand.settings.multiplier) * length
        while utc_ms >= self._next_ms:
            local = self._timing.local_of(moment(self._next_ms))
            when = StimeDate(local.year - 2000, local.month, local.day, local.hour, local.minute)
            demand.close(self._measuring.flow, self._measuring.tier, when)
            self._next_ms += length
        self.touch()

    def _channel(self, source: int, now: float) -> tuple[int, ChannelStatus] | None:
        """Present and previous demands as load profile channels."""
        for first in (PRESENT_DEMANDS, PREVIOUS_DEMANDS):
            number = source - first
            if 0 <= number < MAX_DEMANDS:
                demand = self.demand
                if demand is None or number >= len(demand.settings.sources):
                    return 0, ChannelStatus.DEVICE_MISSING
                self.advance(now)
                values = demand.present(self._measuring.flow) if first == PRESENT_DEMANDS else demand.previous
                return values[number], ChannelStatus.NONE
        return None

    # procedures

    def procedures(self) -> Mapping[int, Procedure]:
        return {
            REMOTE_RESET: self._remote_reset,
            CONFIGURE: self._configure_demand,
            RECONFIGURE: self._reconfigure,
            RESET: self._reset,
            CLEAR_SEASON: self._clear_season,
        }

    def _locked(self, now: float) -> bool:
        if self.demand is None or self._last_reset_ms is None or not self.demand.settings.lockout:
            return False
        since = milliseconds(self._host.clock.utc(now)) - self._last_reset_ms
        return 0 <= since < self.demand.settings.lockout * MS_PER_MINUTE

    def _reset(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP34: demand reset."""
        if self.demand is None:
            return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        if self._locked(now):
            return ProcedureResult.TIMING_CONSTRAINT, b""
        self._host.signal(DemandReset(BY_PROCEDURE), now)
        return ProcedureResult.COMPLETED, b""

    def _reconfigure(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP33: demand reset, then the demand configuration in the parameters, as EP32; without any the same again."""
        result = self._reset(b"", session, now)
        if result[0] is not ProcedureResult.COMPLETED:
            return result
        if parameters:
            return self._configure_demand(parameters, session, now)
        self._host.signal(DimensionsChanged(("BT23",)), now)
        return result

    def _configure_demand(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP32: UINT8 demands, their sources, UINT8 coincident values, each source and demand, UINT8 sub-interval in minutes,
        UINT8 multiplier, UINT8 lockout in minutes. No demands: demand metering ends. Project-defined, grade D."""
        try:
            settings = _demand_settings(parameters)
        except (ConfigurationError, IndexError):
            return ProcedureResult.INVALID_PARAMETER, b""
        self._configure(settings)
        self._plan(now)
        for name in self.live:
            self.refresh(name, now)
        self.touch()
        names = ("BT21", "BT22", "BT23", "BT24", "BT25", "BT26", "BT27", "BT28", "ET31", "ET41")
        self._host.signal(DimensionsChanged(names), now)
        return ProcedureResult.COMPLETED, b""

    def _remote_reset(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """BP09: UINT8 flags, bit 0 demand reset, bit 1 self-read. C12.19 shape, grade C."""
        if not parameters or not parameters[0] & 3:
            return ProcedureResult.INVALID_PARAMETER, b""
        if parameters[0] & 2:
            self._host.signal(SelfRead(), now)
        return self._reset(b"", session, now) if parameters[0] & 1 else (ProcedureResult.COMPLETED, b"")

    def _clear_season(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP64: BT24 is reset (firmware 4.10 and later)."""
        if self._host.config.firmware[:2] < (4, 10):
            return ProcedureResult.UNKNOWN_PROCEDURE, b""
        self._host.store.put("BT24", bytes(len(self._host.store.octets("BT24"))))
        return ProcedureResult.COMPLETED, b""

    # what must survive

    def snapshot(self) -> bytes:
        demand = self.demand
        settings = None if demand is None else demand.settings
        state = {
            "resets": self._resets, "last_reset": self._last_reset_ms, "next": self._next_ms, "bidn": self.bidn,
            "settings": None if settings is None else _demand_parameters(settings).hex(),
            "demand": None if demand is None else demand.state(),
        }  # fmt: skip
        head = json.dumps(state).encode()
        return bytes((_VERSION,)) + struct.pack("<I", len(head)) + head + self.self_reads.snapshot()

    def restore(self, octets: bytes, now: float) -> None:
        if len(octets) < 5 or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        place = 5 + int.from_bytes(octets[1:5], "little")
        try:
            state = json.loads(octets[5:place])
            saved = {name: self._host.store.octets(name) for name in ("BT24", "BT25")}
            logs = {name: self._journal.logs[name].snapshot() for name in ("ET31", "ET41")}
            text = state["settings"]
            self._configure(None if text is None else _demand_settings(bytes.fromhex(text)))
            if self.demand is not None:
                self.demand.set_state(state["demand"])
            for name, log in logs.items():
                self._journal.logs[name].restore(log)
            for name, was in saved.items():
                self._host.store.put(name, was)
            self._resets, self._last_reset_ms = state["resets"], state["last_reset"]
            self._next_ms, self.bidn = state["next"], state["bidn"]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
        self.self_reads.restore(octets[place:])
        self._restored = True


_DATES: Final = {"season_field": True, "date_time_field": True, "daily_self_read": True, "weekly_self_read": True}


def _demand_settings(parameters: bytes) -> DemandSettings | None:
    """Parameters of EP32; ConfigurationError or IndexError when they make no sense."""
    count = parameters[0]
    if not count:
        return None
    sources = tuple(parameters[1 : 1 + count])
    place = 1 + count
    pairs = parameters[place]
    rows = parameters[place + 1 : place + 1 + 2 * pairs]
    end = place + 1 + 2 * pairs
    coincidents = tuple((rows[2 * k], rows[2 * k + 1]) for k in range(pairs))
    if len(sources) != count:
        raise ConfigurationError(f"{count} demands need as many sources, got {len(sources)}")
    return DemandSettings(sources, coincidents, parameters[end], parameters[end + 1], parameters[end + 2])


def _demand_parameters(settings: DemandSettings) -> bytes:
    """The other way round."""
    rows = bytes(octet for pair in settings.coincidents for octet in pair)
    head = bytes((len(settings.sources), *settings.sources, len(settings.coincidents)))
    return head + rows + bytes((settings.sub_interval, settings.multiplier, settings.lockout))
