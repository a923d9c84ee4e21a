"""A simulated meter behind lines, in real time: one loop, one thread.

    lines --> optical and MEP engines --> Meter --> MeterStore (on the disk) --> answers --> lines
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from osgp.mep import MepRateChanged
from osgp.meter import FaultInjection, Meter
from osgp.optical import RateChanged

from ..lifetime import Lifetime
from .lines import LOOK_AGAIN, Line
from .meter_store import MeterStore
from .telling import Tell

LONGEST_WAIT: Final = 0.25  # s until the loop looks whether it should end
SAVE_PERIOD: Final = 60.0  # s between two saves of what only time has changed


class PortEngine(Protocol):
    """What an optical and a MEP server have in common."""

    def receive_octets(self, octets: bytes, now: float) -> None: ...
    def octets_to_send(self, now: float) -> bytes: ...
    def next_timer(self) -> float | None: ...
    def on_timer(self, now: float) -> None: ...
    def line_lost(self, now: float) -> None: ...
    def next_event(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class ServedPort:
    """A line and the engine that serves it.    gone: sessions end when the other end goes away, as over TCP."""

    name: str
    line: Line
    engine: PortEngine
    gone: bool = False


class PortServer:
    """Serves a meter at its ports until told to stop.

    Args:
        meter: with its `now` at the instant of the call.    ports: its lines.
        store: what it must not forget; None: it forgets everything.
        tell: called with (port, event, the meter's time in s) for everything that happens.
        clock: gives s; monotonic.    wall: gives s since 1970.
    """

    def __init__(
        self,
        meter: Meter,
        ports: Sequence[ServedPort],
        store: MeterStore | None = None,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.meter, self.ports = meter, ports
        self._store, self._tell, self._clock, self._wall = store, tell, clock, wall
        self._origin = clock() - meter.now
        self._saved_at = meter.now
        self._faults = meter.find(FaultInjection)
        self._late: list[tuple[float, ServedPort, bytes]] = []
        if store is not None:
            store.save(meter.saved(), wall())
            meter.changes()

    def now(self) -> float:
        """The meter's time, s."""
        return self._clock() - self._origin

    def run(self, lifetime: Lifetime) -> None:
        """Serve until `lifetime` ends, then save."""
        while not lifetime.stopped():
            self.step(LONGEST_WAIT)
        self.finish()

    def step(self, longest_wait: float) -> None:
        """Wait for octets or a timer, at most `longest_wait` s, and deal with them."""
        self._wait(longest_wait)
        for port in self.ports:
            octets = port.line.read()
            now = self.now()
            if octets is None:
                if port.gone:
                    port.engine.line_lost(now)
            elif octets:
                port.engine.receive_octets(octets, now)
        now = self.now()
        self.meter.advance(now)
        for port in self.ports:
            port.engine.on_timer(now)
        out = [(port, port.engine.octets_to_send(now)) for port in self.ports]
        self._save(now)
        for port, octets in out:
            if octets:
                self._answer(port, octets, now)
            self._events(port, now)
        for late in [one for one in self._late if one[0] <= now]:
            self._late.remove(late)
            late[1].line.write(late[2])
        while (event := self.meter.next_event()) is not None:
            if self._tell is not None:
                self._tell("meter", event, now)

    def _answer(self, port: ServedPort, octets: bytes, now: float) -> None:
        """Send, unless the meter has been told to lose answers or to be late."""
        if self._faults is not None and self._faults.loses_answer():
            return
        delay = 0.0 if self._faults is None else self._faults.delay()
        if delay or any(one[1] is port for one in self._late):  # what is late is not overtaken
            self._late.append((now + delay, port, octets))
        else:
            port.line.write(octets)

    def _events(self, port: ServedPort, now: float) -> None:
        while (event := port.engine.next_event()) is not None:
            if isinstance(event, RateChanged | MepRateChanged):
                port.line.set_rate(event.rate)
            if self._tell is not None:
                self._tell(port.name, event, now)

    def _wait(self, longest_wait: float) -> None:
        now = self.now()
        until = now + longest_wait
        timers = [self.meter.next_timer(), *(one[0] for one in self._late), *(port.engine.next_timer() for port in self.ports)]
        wait = min((timer for timer in timers if timer is not None), default=until)
        files = []
        for port in self.ports:
            number = port.line.fileno()
            if number is None:
                wait = min(wait, now + LOOK_AGAIN)
            else:
                files.append(number)
        seconds = max(0.0, min(wait, until) - now)
        with selectors.DefaultSelector() as selector:
            for number in files:
                selector.register(number, selectors.EVENT_READ)
            selector.select(seconds)

    def _save(self, now: float) -> None:
        """Before an answer leaves: whatever it acknowledges is on the disk. `StoreError` ends the process unanswered."""
        if self._store is None:
            return
        self._store.save(self.meter.changes(), self._wall())
        if now >= self._saved_at + SAVE_PERIOD:
            self._saved_at = now
            self._store.stamp(self.meter.saved(), self._wall())

    def finish(self) -> None:
        """Save everything."""
        if self._store is not None:
            self.meter.advance(self.now())
            self._store.stamp(self.meter.saved(), self._wall())
