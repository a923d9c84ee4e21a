"""Pending tables: copies that wait for their time and then take the place of the table; BT04, BP12 to BP15.

    write to BTnn + 4096:  event description (6) | data      an entry in BT04; the last write decides on the time
    its time comes         [self-read] [demand reset], the copy becomes the table, event 28
    BP14, BP15             the entry goes, event 29

Source: OSGP Alliance Optical Port Programmer Guide v1.1 (grade A); where it is silent: grade D, marked below.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ..access import AccessLevel, Port, Session
from ..errors import ConfigurationError, TableError
from ..names import PENDING_MARK, table_number
from ..services import ResultCode
from ..table import PENDING, PENDING_HEADER
from ..types import StimeDate
from .identity import put
from .signals import DemandReset, DimensionsChanged, LogEntry, PendingActivated, SelfRead, Signal
from .subsystem import Host, Procedure, ProcedureResult, Subsystem

ABSOLUTE, RELATIVE, MANUAL = range(3)  # event codes; grade A
ACTIVATED, CLEARED = 28, 29  # event ids, argument: number of the pending table; grade B
NOTHING_MATCHED: Final = ProcedureResult.ACCEPTED  # result 1 of BP15; grade A
RESET_REASON: Final = 3  # ET41.reason: pending table activation; grade A


@dataclass(frozen=True, slots=True)
class Entry:
    """A pending copy that waits.    due: instant, None: only by procedure.    session: who wrote it."""

    table: str
    ped: bytes
    due: float | None
    session: Session


def due_of(ped: bytes, written_at: float, instant: Callable[[datetime.datetime], float]) -> float | None:
    """When an event description fires: an instant, None: never by itself.

    Args:
        ped: 6 octets.    written_at: s.    instant: the clock, from naive UTC.

    Raises:
        TableError: no such event code, or no such date.
    """
    code, storage = ped[0] & 0x0F, ped[1:PENDING_HEADER]
    if code == MANUAL:
        return None
    if code == RELATIVE:
        weeks, days, hours, minutes, seconds = storage
        return written_at + seconds + 60 * (minutes + 60 * (hours + 24 * (days + 7 * weeks)))
    if code != ABSOLUTE:
        raise TableError(f"event code of a pending table must be 0..2, got {code}")
    moment = StimeDate.decode(storage)
    try:
        utc = datetime.datetime(2000 + moment.year, moment.month, moment.day, moment.hour, moment.minute)
    except ValueError:
        raise TableError(f"a pending table cannot be activated at {moment}") from None
    return instant(utc)


class PendingTables(Subsystem):
    """The pending copies of the tables in `MeterConfig.pending_tables`.

    A copy always exists; without an entry its event description is zero and its data that of the table (grade D).
    """

    name: ClassVar[str] = "pending"

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, Entry] = {}
        self._last: datetime.datetime | None = None

    def attach(self, host: Host) -> None:
        self._host = host
        self._tables = tuple(name for name in host.config.pending_tables if name in host.store)
        for name in self._tables:
            self._reset(name)
        self._publish()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What waits, in the order of the writes."""
        return tuple(self._entries.values())

    def stage(self, identifier: str, offset: int, data: bytes, session: Session, now: float) -> ResultCode:
        """A write to a pending copy whose rights have been checked. `data` begins with the event description."""
        name = identifier.removesuffix(PENDING_MARK)
        if len(data) < PENDING_HEADER:
            return ResultCode.OPERATION_NOT_POSSIBLE
        ped = data[:PENDING_HEADER]
        empty = ped[0] & 0x0F == ABSOLUTE and not any(ped[1:])
        if not empty and name not in self._entries and len(self._entries) >= self._slots():
            return ResultCode.OPERATION_NOT_POSSIBLE
        try:
            due = None if empty else due_of(ped, now, self._host.clock.instant)
        except TableError:
            return ResultCode.OPERATION_NOT_POSSIBLE
        store = self._host.store
        store.write(identifier, 0, ped)
        store.write(identifier, PENDING_HEADER + offset, data[PENDING_HEADER:])
        if empty:  # an empty event description: nothing waits any more
            self._entries.pop(name, None)
        else:
            self._entries[name] = Entry(name, ped, due, session)
        self.touch()
        self._publish()
        return ResultCode.OK

    def procedures(self) -> Mapping[int, Procedure]:
        return {12: self._activate_all, 13: self._activate_some, 14: self._clear_all, 15: self._clear_some}

    def advance(self, now: float) -> None:
        while True:
            due = [entry for entry in self._entries.values() if (at := self._due(entry)) is not None and at <= now]
            if not due:
                return
            self._activate(due, now)

    def next_timer(self) -> float | None:
        times = [at for entry in self._entries.values() if (at := self._due(entry)) is not None]
        return max(min(times), self._host.now) if times else None

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, DimensionsChanged):
            store = self._host.store
            for name in self._tables:
                if store.length(name) + PENDING_HEADER != store.length(name + PENDING_MARK):
                    self._drop(name, now)

    def _due(self, entry: Entry) -> float | None:
        """Absolute times follow the clock when it is set."""
        if entry.ped[0] & 0x0F == ABSOLUTE:
            return due_of(entry.ped, 0.0, self._host.clock.instant)
        return entry.due

    def _slots(self) -> int:
        return int(self._host.store["BT00.number_pending_tables"])

    def _activate(self, entries: list[Entry], now: float) -> None:
        host = self._host
        if any(entry.ped[0] >> 4 & 1 for entry in entries):
            host.signal(SelfRead(), now)
        if any(entry.ped[0] >> 5 & 1 for entry in entries):
            host.signal(DemandReset(RESET_REASON), now)
        for entry in entries:
            copy = host.store.octets(entry.table + PENDING_MARK)[PENDING_HEADER:]
            del self._entries[entry.table]
            if host.write(entry.table, 0, copy, entry.session, now) is not ResultCode.OK:
                self._log(CLEARED, entry, now)  # the table's owner refused what is in it; grade D
            else:
                self._last = host.clock.utc(now)
                self._log(ACTIVATED, entry, now)
                host.signal(PendingActivated(entry.table), now)
            self._reset(entry.table)
        self.touch()
        self._publish()

    def _drop(self, name: str, now: float) -> None:
        entry = self._entries.pop(name, None)
        self._reset(name)
        if entry is not None:
            self._log(CLEARED, entry, now)
        self.touch()
        self._publish()

    def _log(self, event: int, entry: Entry, now: float) -> None:
        number = table_number(entry.table) + PENDING
        self._host.signal(LogEntry(event, number.to_bytes(2, "little"), entry.session.user), now)

    def _reset(self, name: str) -> None:
        store = self._host.store
        store.put(name + PENDING_MARK, bytes(PENDING_HEADER) + store.octets(name))

    def _publish(self) -> None:
        """BT04."""
        numbers = [table_number(name) for name in self._entries]
        extended = table_number("ET00")
        records = [
            {
                "event_code": entry.ped[0] & 0x0F,
                "self_read": bool(entry.ped[0] >> 4 & 1),
                "demand_reset": bool(entry.ped[0] >> 5 & 1),
                "event_storage": tuple(entry.ped[1:PENDING_HEADER]),
                "table_id": table_number(entry.table),
                "still_pending": True,
            }
            for entry in self._entries.values()
        ]
        values: dict[str, Any] = {
            "basic_pending": frozenset(number for number in numbers if number < extended),
            "extended_pending": frozenset(number - extended for number in numbers if number >= extended),
            "number_pending": len(records),
            "entries": records,
        }
        if self._last is not None:
            last = self._last
            values["last_activation"] = StimeDate(last.year - 2000, last.month, last.day, last.hour, last.minute)
        put(self._host.store, "BT04", values)

    # procedures

    def _activate_all(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        if self._entries:
            self._activate(list(self._entries.values()), now)
        return ProcedureResult.COMPLETED, b""

    def _activate_some(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        found = self._matching(parameters)
        if found:
            self._activate(found, now)
        return ProcedureResult.COMPLETED if found else NOTHING_MATCHED, b""

    def _clear_all(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        for name in tuple(self._entries):
            self._drop(name, now)
        return ProcedureResult.COMPLETED, b""

    def _clear_some(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        found = self._matching(parameters)
        for entry in found:
            self._drop(entry.table, now)
        return ProcedureResult.COMPLETED if found else NOTHING_MATCHED, b""

    def _matching(self, parameters: bytes) -> list[Entry]:
        if len(parameters) < PENDING_HEADER:
            raise TableError(f"an event description has {PENDING_HEADER} octets, got {len(parameters)}")
        return [entry for entry in self._entries.values() if entry.ped == parameters[:PENDING_HEADER]]

    # saved state

    def snapshot(self) -> bytes:
        rows = [
            [entry.table, entry.ped.hex(), entry.due, entry.session.level, entry.session.port, entry.session.user_id,
             entry.session.client]
            for entry in self._entries.values()
        ]  # fmt: skip
        last = self._last.isoformat() if self._last is not None else None
        return b"\x01" + json.dumps({"entries": rows, "last": last}).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if octets[:1] != b"\x01":
            raise ConfigurationError("the saved state of the pending tables is of another version")
        try:
            saved = json.loads(octets[1:])
            for name, ped, due, level, port, user, client in saved["entries"]:
                session = Session(AccessLevel(level), Port(port), user, client)
                if name in self._tables:
                    self._entries[name] = Entry(name, bytes.fromhex(ped), due, session)
            self._last = datetime.datetime.fromisoformat(saved["last"]) if saved["last"] else None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"the saved state of the pending tables cannot be read: {error}") from None
        self._publish()
