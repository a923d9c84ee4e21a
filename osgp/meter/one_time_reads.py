"""One-time reads: requests wait in ET19, results are snapshots in ET31.

The fields of a request are not published. Project-defined, grade D: UINT16 transaction, LTIME_DATE when (UTC; zero: at once),
UINT8 type (1 registers; 0: the entry is free), UINT8 result (0 waiting, 1 done, 2 no such type), 7 spare octets.
"""

from __future__ import annotations

from typing import ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError
from ..types import LtimeDate
from .billing import Billing
from .signals import ClockChanged, PowerUp, Signal
from .subsystem import Host, Subsystem

TYPE, RESULT = 8, 9  # places in a request
REGISTERS: Final = 1
WAITING, DONE, NO_SUCH_TYPE = range(3)


class OneTimeReads(Subsystem):
    """ET19."""

    name: ClassVar[str] = "one_time_reads"
    watches = frozenset(("ET19",))

    def attach(self, host: Host) -> None:
        self._host = host
        billing = host.find(Billing)
        if billing is None:
            raise ConfigurationError("one-time reads need the subsystem Billing")
        self._billing = billing
        self._entries = int(host.store["ET11.meter_otr_queue"])
        self._size = int(host.store["ET11.meter_otr_entry_size"])
        host.store.put("ET19", bytes(self._entries * self._size))
        self._next: float | None = None

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
        octets = self._host.store.octets("ET19")
        rows = [(at, octets[at : at + self._size]) for at in range(0, self._entries * self._size, self._size)]
        return [(at, row) for at, row in rows if row[TYPE] and row[RESULT] == WAITING]

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
                known = request[TYPE] == REGISTERS
                if known:
                    self._billing.one_time_read(now)
                self._host.store.write("ET19", at + RESULT, bytes((DONE if known else NO_SUCH_TYPE,)))
        self._plan(now)
