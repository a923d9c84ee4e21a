"""The log subsystem: event logs, adjustable logs with their dimensions, alarms that are cleared, unread counts.

    LogEntry --> BT74 or ET79, shared sequence number --> unread counts --> alarms
    BP04, BP05, EP26 --> unread counts        EP03, BP07, BP08 --> BT03        EP06, EP37 --> sizes
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

from ..access import Session
from ..errors import TableError
from ..table import table_number
from ..types import LtimeDate
from .adjustable import AdjustableLog
from .eventlog import EventLog, EventRecord
from .identity import put
from .profiling import Profiling
from .signals import Alarm, DimensionsChanged, LogEntry, Signal
from .subsystem import Host, Procedure, ProcedureResult, Subsystem

RESET_POINTERS, UPDATE_READ, CLEAR_STANDARD, CLEAR_MAKER = 4, 5, 7, 8  # BP04, BP05, BP07, BP08
CLEAR_ALARMS, RESIZE, READ_LOGS, RESIZE_LOGS = 2048 + 3, 2048 + 6, 2048 + 26, 2048 + 37  # EP03, EP06, EP26, EP37
POINTERS_RESET, POINTERS_UPDATED = 14, 15  # event ids; spec/events.json
OVERFLOW_EVENT, MAKER_LOG_EVENT = 86, 87
# List codes of BP04 and BP05: C12.19, grade C; 1 serves for the alternate log, grade D.
ALTERNATE_LIST, SELF_READ_LIST, FIRST_PROFILE, ALL_PROFILES, HISTORY_LIST, ALL_LISTS = 1, 2, 3, 7, 8, 255
# Alarms that follow an unread count: clearing them by a procedure changes nothing; grade A. Octet and bit in BT03.
LEVELS: Final = {
    "lp2_unread": (3, 0), "lp3_unread": (3, 1), "lp4_unread": (3, 2),
    "mfg_log_entry_available": (6, 7), "event_log_unread": (7, 4), "lp1_unread": (7, 6),
}  # fmt: skip
# Logs of ET36 in order: octets per entry (None: depends on BT23) and largest capacity; grade A.
LOGS: Final = {
    "ET31": (None, 255), "ET32": (525, 255), "ET38": (35, 255), "ET41": (None, 255), "ET45": (525, 253), "ET75": (143, 253),
    "ET81": (12, 253),
}  # fmt: skip
WITH_TABLE: Final = ("ET31", "ET41", "ET75", "ET81")  # logs that this meter keeps itself
GENERATION_4_CHANGES: Final = 159  # octets of an ET75 entry from firmware 4.0; grade A
SEQUENCE_KEPT_FROM: Final = (3, 70)  # firmware that never resets sequence numbers; grade A
SPARED: Final = "ET45"  # the log in front of which ET74 lies
OVERFLOW_READS_FROM: Final = (3, 60)  # firmware with ET74; grade A
WARN_ONE_IN: Final = 10  # the overflow warning comes when a tenth of the log is left: grade D
SEQUENCES: Final = 1 << 32
CLOCK_ERROR: Final = 1 << 6  # bit of octet 1 of BT03; grade A
STATUS_FROM: Final = 4  # octet of BT03 at which the maker's status begins
_VERSION: Final = 1


class Journal(Subsystem):
    """BT70, BT71, BT74, ET31, ET36, ET41, ET74, ET75, ET79, ET81; BP04, BP05, BP07, BP08, EP03, EP06, EP26, EP37.

    Attributes:
        history, alternate: the event logs.    logs: the adjustable logs by table id.    self_reads: BT26, set by billing.
        critical: how often an event of each critical set came.
    """

    name: ClassVar[str] = "journal"

    def __init__(self) -> None:
        super().__init__()
        self.self_reads: AdjustableLog | None = None

    def attach(self, host: Host) -> None:
        self._host = host
        config = host.config
        settings = config.metering
        self._alternate_events = settings.alternate_events
        self._critical_sets = settings.critical_events
        self.critical: Counter[int] = Counter()
        self.history = EventLog(settings.history_entries)
        self.alternate = EventLog(settings.alternate_entries)
        self.logs = {name: AdjustableLog(size or 0, 0, most) for name, (size, most) in LOGS.items()}
        if config.firmware[:2] >= (4, 0):
            self.logs["ET75"].resize(0, GENERATION_4_CHANGES)
        self.logs["ET81"].resize(settings.outage_log, 12)
        # In front of ET45 while that is full of unread records; from firmware 3.60, grade A. How it is used: grade D.
        spare = settings.overflow_reads if config.firmware[:2] >= OVERFLOW_READS_FROM else 0
        self._spare = AdjustableLog(self.logs[SPARED].entry_size, spare)
        if settings.welmec:
            self.logs["ET75"].resize(10, self.logs["ET75"].entry_size)
        self._sequence = 0
        self._unread_logs = False
        flags = {"date_time": True, "sequence_number": True, "history_data_length": 2, "event_data_length": 2}
        put(host.store, "BT70", {**flags, "std_events": 8, "mfg_events": 19, "history_entries": settings.history_entries})
        put(
            host.store, "BT71",
            {**flags, "std_event_bytes": 8, "mfg_event_bytes": 19, "history_entries": settings.history_entries},
        )  # fmt: skip
        for name in self._tables():
            host.store.put(name, b"")

    def _tables(self) -> tuple[str, ...]:
        alternate = ("ET79",) if self.alternate.entries else ()
        spare = ("ET74",) if self._spare.entries else ()
        return ("BT74", "ET36", *WITH_TABLE, *alternate, *spare)

    live = frozenset(("BT74", "ET36", "ET74", "ET79", *WITH_TABLE))

    def start(self, now: float) -> None:
        if self._spare.entries and "ET54" in self._host.store:
            self._host.store.update("ET54", {"et74_entries": self._spare.entries})
        for name in self._tables():
            self.refresh(name, now)

    def refresh(self, identifier: str, now: float) -> None:
        store = self._host.store
        match identifier:
            case "BT74":
                store.put("BT74", self.history.table())
            case "ET79":
                store.put("ET79", self.alternate.table())
            case "ET74":
                store.put("ET74", self._spare.wide_table())
            case "ET36":
                store.put("ET36", self._dimensions())
            case _:
                store.put(identifier, self.logs[identifier].table())

    # events

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, LogEntry):
            self.log_event(signal, now)
        elif isinstance(signal, DimensionsChanged):
            self.refresh("ET36", now)  # the sizes of the logs come from there

    def log_event(self, entry: LogEntry, now: float) -> None:
        """Write an entry into the log that its event goes to."""
        log = self.history
        if self.alternate.entries and entry.event in self._alternate_events:
            log = self.alternate
        elif entry.event != OVERFLOW_EVENT:
            for number, events in enumerate(self._critical_sets):
                if entry.event in events:
                    self.critical[number] += 1
        self._sequence = (self._sequence + 1) % SEQUENCES
        when = LtimeDate.of(self._host.clock.utc(now if entry.at is None else entry.at))
        log.append(EventRecord(when, self._sequence, entry.user_id, entry.event, entry.argument))
        self.touch()
        if log is self.history:
            self._after_event(entry, now)

    def _after_event(self, entry: LogEntry, now: float) -> None:
        log = self.history
        if log.unread == 1:
            self._host.signal(Alarm("event_log_unread"), now)
        # Exactly at the crossing, so that the warning, itself an entry, comes once.
        if log.unread == log.entries - log.entries // WARN_ONE_IN and entry.event != OVERFLOW_EVENT and log.entries > 1:
            self._host.signal(Alarm("event_log_overflow_pending"), now)
            self._host.signal(LogEntry(OVERFLOW_EVENT), now)

    # adjustable logs

    def append(self, identifier: str, record: bytes, now: float) -> bool:
        """Add a record to an adjustable log; False when that log keeps none."""
        log = self.logs[identifier]
        if identifier == SPARED and self._spare.entries and log.entries and (log.unread == log.entries or self._spare.unread):
            log = self._spare
        if not log.append(record):
            return False
        self._follow_logs(now)
        return True

    def _move(self) -> None:
        """ET45 has room: what waits in ET74 goes there, oldest first."""
        log = self.logs[SPARED]
        while self._spare.unread and log.unread < log.entries:
            log.append(self._spare.take_unread())

    def _follow_logs(self, now: float) -> None:
        """The alarm of the adjustable logs, while any of them has unread records."""
        self.touch()
        unread = any(log.unread for log in self.logs.values())
        if unread != self._unread_logs:
            self._unread_logs = unread
            self._host.signal(Alarm("mfg_log_entry_available", unread), now)
            if unread:
                self._host.signal(LogEntry(MAKER_LOG_EVENT), now)

    def _dimensions(self) -> bytes:
        """ET36."""
        octets = bytes((len(self.logs),))
        unread = 0
        for number, (name, log) in enumerate(self.logs.items()):
            word = table_number(name) & 0x7FF | 1 << 11
            octets += struct.pack("<HHHHB8x", word, log.entry_size, log.most, log.entries, 0)
            unread |= (log.unread > 0) << number
        return octets + unread.to_bytes((len(self.logs) - 1) // 8 + 1, "little")

    # procedures

    def procedures(self) -> Mapping[int, Procedure]:
        return {
            RESET_POINTERS: self._reset_pointers,
            UPDATE_READ: self._update_read,
            CLEAR_STANDARD: self._clear_standard,
            CLEAR_MAKER: self._clear_maker,
            CLEAR_ALARMS: self._clear_alarms,
            RESIZE: self._resize,
            READ_LOGS: self._read_logs,
            RESIZE_LOGS: self._resize,
        }

    def _profile(self) -> Profiling | None:
        return self._host.find(Profiling)

    def _reset_pointers(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """BP04: UINT8 list; its entries are forgotten and its overflow flag is cleared."""
        code = parameters[0] if parameters else 0
        profile = self._profile()
        done = False
        if code in (HISTORY_LIST, ALTERNATE_LIST, ALL_LISTS):
            anew = self._host.config.firmware[:2] < SEQUENCE_KEPT_FROM
            for own, log in ((HISTORY_LIST, self.history), (ALTERNATE_LIST, self.alternate)):
                if code in (own, ALL_LISTS):
                    log.clear(anew)
                    done = True
            if anew and code != ALTERNATE_LIST:
                self._sequence = 0
            self._follow_events(now)
        if code in (SELF_READ_LIST, ALL_LISTS) and self.self_reads is not None:
            self.self_reads.clear()
            done = True
        if profile is not None:
            for number in range(len(profile.sets)):
                if code in (FIRST_PROFILE + number, ALL_PROFILES, ALL_LISTS):
                    profile.reset_lists(number, now)
                    done = True
        if not done:
            return ProcedureResult.INVALID_PARAMETER, b""
        self.touch()
        self._host.signal(LogEntry(POINTERS_RESET, bytes((code, 0)), session.user), now)
        return ProcedureResult.COMPLETED, b""

    def _update_read(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """BP05: UINT8 list, UINT16 entries read: the unread count falls by so many, the overflow flag is cleared.

        Not idempotent (grade A). Reading the event log leaves no event, or it would never be read empty (grade D).
        """
        if len(parameters) < 3:
            return ProcedureResult.INVALID_PARAMETER, b""
        code, count = parameters[0], int.from_bytes(parameters[1:3], "little")
        profile = self._profile()
        number = code - FIRST_PROFILE
        if code in (HISTORY_LIST, ALTERNATE_LIST):
            (self.history if code == HISTORY_LIST else self.alternate).acknowledge(count)
            self._follow_events(now)
            self.touch()
            return ProcedureResult.COMPLETED, b""
        if code == SELF_READ_LIST and self.self_reads is not None:
            self.self_reads.acknowledge(count)
        elif code == ALL_PROFILES and profile is not None:
            for number in range(len(profile.sets)):
                profile.acknowledge(number, count, now)
        elif profile is not None and 0 <= number < len(profile.sets) and profile.sets[number] is not None:
            profile.acknowledge(number, count, now)
        else:
            return ProcedureResult.INVALID_PARAMETER, b""
        self.touch()
        self._host.signal(LogEntry(POINTERS_UPDATED, bytes((code, 0)), session.user), now)
        return ProcedureResult.COMPLETED, b""

    def _follow_events(self, now: float) -> None:
        log = self.history
        if not log.unread:
            self._host.signal(Alarm("event_log_unread", False), now)
        if log.unread < log.entries - log.entries // WARN_ONE_IN:
            self._host.signal(Alarm("event_log_overflow_pending", False), now)

    def _clear_standard(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """BP07: the alarms of octets 1 to 3 of BT03."""
        return self._clear(bytes((0, 255, 255, 255)), now)

    def _clear_maker(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """BP08: the alarms from octet 4 of BT03 on."""
        return self._clear(bytes(STATUS_FROM) + b"\xff" * 252, now)

    def _clear_alarms(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP03: a bit mask as long as BT03, 1 clears. Project-defined, grade D; the mode bits of octet 0 stay."""
        if not parameters:
            return ProcedureResult.INVALID_PARAMETER, b""
        return self._clear(b"\0" + parameters[1:], now)

    def _clear(self, mask: bytes, now: float) -> tuple[ProcedureResult, bytes]:
        store = self._host.store
        octets = store.octets("BT03")
        keep = _level_mask(len(octets))
        mask = mask[: len(octets)].ljust(len(octets), b"\0")
        cleared = bytes(have & ~(clear & ~level) for have, clear, level in zip(octets, mask, keep, strict=True))
        store.write("BT03", 0, cleared)
        if (octets[1] ^ cleared[1]) & CLOCK_ERROR:
            self._host.signal(Alarm("clock_error", False), now)  # the tariff depends on it
        return ProcedureResult.COMPLETED, b""

    def _read_logs(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP26: UINT8 log index of ET36, UINT16 entries read. Project-defined, grade D."""
        if len(parameters) < 3 or parameters[0] >= len(self.logs):
            return ProcedureResult.INVALID_PARAMETER, b""
        tuple(self.logs.values())[parameters[0]].acknowledge(int.from_bytes(parameters[1:3], "little"))
        self._move()
        self._follow_logs(now)
        return ProcedureResult.COMPLETED, b""

    def _resize(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP06, EP37: rows of UINT8 log index, UINT16 entries, UINT16 octets per entry (0: as now). Grade D."""
        if not parameters or len(parameters) % 5:
            return ProcedureResult.INVALID_PARAMETER, b""
        names = tuple(self.logs)
        rows = [struct.unpack_from("<BHH", parameters, place) for place in range(0, len(parameters), 5)]
        for index, entries, size in rows:
            if index >= len(names) or entries > self.logs[names[index]].most:
                return ProcedureResult.INVALID_PARAMETER, b""
            if size not in (0, self.logs[names[index]].entry_size):
                return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        for index, entries, _ in rows:
            log = self.logs[names[index]]
            log.resize(entries, log.entry_size)
        self._move()
        self._follow_logs(now)
        self._host.signal(DimensionsChanged(tuple(names[index] for index, _, _ in rows)), now)
        return ProcedureResult.COMPLETED, b""

    # what must survive

    def snapshot(self) -> bytes:
        logs = (self.history, self.alternate, *self.logs.values(), *((self._spare,) if self._spare.entries else ()))
        parts = [log.snapshot() for log in logs]
        return bytes((_VERSION, self._unread_logs)) + struct.pack("<I", self._sequence) + b"".join(parts)

    def restore(self, octets: bytes, now: float) -> None:
        if len(octets) < 6 or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        self._unread_logs = bool(octets[1])
        self._sequence = int.from_bytes(octets[2:6], "little")
        place = 6
        for event_log in (self.history, self.alternate):
            place += event_log.restore(octets[place:])
        for log in self.logs.values():
            place += log.restore(octets[place:])
        if self._spare.entries and place < len(octets):
            self._spare.restore(octets[place:])


def _level_mask(size: int) -> bytes:
    """Bits of BT03 that a procedure does not clear."""
    mask = bytearray(size)
    for octet, bit in LEVELS.values():
        if octet < size:
            mask[octet] |= 1 << bit
    return bytes(mask)
