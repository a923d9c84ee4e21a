"""One-time reads: requests wait in ET19 (meter) and ET20 (M-Bus); results are snapshots in ET31, telegrams in ET32.

The fields of a request are not published. Project-defined, grade D: UINT16 transaction, LTIME_DATE when (UTC; zero: at once),
UINT8 type (1; 0: the entry is free), UINT8 result (0 waiting, 1 done, 2 no such type, 3 no such device, 4 no answer), in ET20
UINT16 handle of the device, spare octets.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError
from ..types import LtimeDate
from .billing import Billing
from .mbus_devices import ONE_TIME, MbusDevices
from .signals import ClockChanged, PowerUp, Signal
from .subsystem import Host, Subsystem

TYPE, RESULT, HANDLE = 8, 9, 10  # places in a request
READ: Final = 1


class ReadResult(IntEnum):
    """What became of a request."""

    WAITING = 0
    DONE = 1
    NO_SUCH_TYPE = 2
    NO_SUCH_DEVICE = 3
    NO_ANSWER = 4


class _Queue(Subsystem):
    """A table of requests with an instant each."""

    table: ClassVar[str]

    def _open(self, host: Host, entries: int, size: int) -> None:
        self._host, self._entries, self._size = host, entries, size
        self._next: float | None = None
        if entries:
            host.store.put(self.table, bytes(entries * size))

    def _carry_out(self, request: bytes, now: float) -> ReadResult:
        """Do what a request of type READ asks for."""
        raise NotImplementedError

    def start(self, now: float) -> None:
        self._plan(now)

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        self._plan(now)
        self.advance(now)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, ClockChanged | PowerUp):
            self._plan(now)

    def _waiting(self) -> list[tuple[int, bytes]]:
        """(place, octets) of the requests that wait."""
        octets = self._host.store.octets(self.table) if self._entries else b""
        rows = [(at, octets[at : at + self._size]) for at in range(0, self._entries * self._size, self._size)]
        return [(at, row) for at, row in rows if row[TYPE] and row[RESULT] == ReadResult.WAITING]

    def _due(self, request: bytes, now: float) -> float:
        when = LtimeDate.decode(request[2:8]).moment()
        return now if when is None else max(now, self._host.clock.instant(when))

    def _plan(self, now: float) -> None:
        self._next = min((self._due(row, now) for _, row in self._waiting()), default=None)

    def next_timer(self) -> float | None:
        return self._next

    def advance(self, now: float) -> None:
        if self._next is None or now < self._next:
            return
        for at, request in self._waiting():
            if self._due(request, now) <= now:
                result = self._carry_out(request, now) if request[TYPE] == READ else ReadResult.NO_SUCH_TYPE
                self._host.store.write(self.table, at + RESULT, bytes((result,)))
        self._plan(now)


class OneTimeReads(_Queue):
    """ET19."""

    name: ClassVar[str] = "one_time_reads"
    table = "ET19"
    watches = frozenset(("ET19",))

    def attach(self, host: Host) -> None:
        billing = host.find(Billing)
        if billing is None:
            raise ConfigurationError("one-time reads need the subsystem Billing")
        self._billing = billing
        self._open(host, int(host.store["ET11.meter_otr_queue"]), int(host.store["ET11.meter_otr_entry_size"]))

    def _carry_out(self, request: bytes, now: float) -> ReadResult:
        self._billing.one_time_read(now)
        return ReadResult.DONE


class MbusOneTimeReads(_Queue):
    """ET20, where there are M-Bus devices; ET32 is theirs."""

    name: ClassVar[str] = "mbus_one_time_reads"
    table = "ET20"
    watches = frozenset(("ET20",))

    def attach(self, host: Host) -> None:
        mbus = host.find(MbusDevices)
        if mbus is None:
            raise ConfigurationError("one-time reads of sub-meters need the subsystem MbusDevices")
        self._mbus = mbus
        entries = int(host.store["ET11.mbus_otr_queue"]) if mbus.bus.slaves else 0
        self._open(host, entries, int(host.store["ET11.mbus_otr_entry_size"]))

    def _carry_out(self, request: bytes, now: float) -> ReadResult:
        number = self._mbus.by_handle(int.from_bytes(request[HANDLE : HANDLE + 2], "little"))
        if number is None:
            return ReadResult.NO_SUCH_DEVICE
        return ReadResult.DONE if self._mbus.billing_read(number, now, ONE_TIME) else ReadResult.NO_ANSWER
