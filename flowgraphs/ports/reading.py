"""Tables of a meter at the other end of a line: which pieces to ask for, and a loop that asks.

    wanted tables --> dimension tables first --> pieces that fit an answer --> octets --> values
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import osgp
from osgp import Context, FullRead, PartialRead, Place, Response, ResultCode, TableError, TableSpec
from osgp.mep import AlertSeen, MepAnswered, MepClient, MepClientConfig, MepFailed, MepRequester, MepTlsClient, MepTlsConfig
from osgp.optical import Answered, ClientConfig, Closed, Connected, Failed, OpticalClient
from osgp.security import KeyRing
from osgp.services import TableRequest

from ..errors import FlowgraphError
from ..lifetime import Lifetime
from ..reading import Wanted, plain
from .keys import KeyTextError
from .lines import LOOK_AGAIN, Line, Lines, open_client_line

LONGEST_WAIT: Final = 0.25
ALWAYS_FIRST: Final = ("BT00", "BT01")  # formats of numbers, and the firmware that decides on layouts
GOODBYE: Final = 3.0  # s that a logoff may take

Asking = Generator[TableRequest, Response, bytes | None]


class PortReadError(FlowgraphError):
    """The meter at the other end does not answer or refuses to talk."""


@dataclass(slots=True)
class TablePlan:
    """Reads tables in pieces of at most `piece` octets; remembers what it has read.

    Attributes:
        context: tables read so far.    problems: one line each, by what was wanted.
    """

    piece: int
    context: Context = field(default_factory=Context)
    problems: list[str] = field(default_factory=list)
    _tried: set[str] = field(default_factory=set)

    def want(self, wanted: Wanted) -> Generator[TableRequest, Response, Any]:
        """Requests for one wish; returns its value, or None when it cannot be read."""
        spec = osgp.table(wanted.table)
        for name in (*ALWAYS_FIRST, *sorted(spec.depends_on())):
            if name != spec.id:
                yield from self._whole(name)
        where = self._place(wanted) if wanted.path else None
        known = self.context.octets(spec.id)
        if where is not None and where.size:
            if known is not None:
                return self._decoded(where, known[where.offset : where.offset + where.size], wanted)
            return (yield from self._field(spec, where, wanted))
        whole = yield from self._whole(spec.id, wanted.text)
        return None if whole is None else self._value(wanted, spec, whole)

    def _place(self, wanted: Wanted) -> Place | None:
        try:
            return osgp.place(f"{wanted.table}.{wanted.path}", self.context)
        except TableError:
            return None

    def _field(self, spec: TableSpec, where: Place, wanted: Wanted) -> Generator[TableRequest, Response, Any]:
        request = where.read_request()
        extra = 0
        if isinstance(request, PartialRead):
            extra = request.count - where.size  # the event description in front of a pending copy
            octets = yield from self._piece(spec, request.offset, request.count, wanted.text)
        else:
            octets = yield from self._full(spec, wanted.text)
        return None if octets is None else self._decoded(where, octets[extra:], wanted)

    def _decoded(self, where: Place, octets: bytes, wanted: Wanted) -> Any:
        try:
            return plain(where.decode(octets))
        except (TableError, KeyError, IndexError) as error:
            self.problems.append(f"{wanted.text}: {error}")
            return None

    def _value(self, wanted: Wanted, spec: TableSpec, octets: bytes) -> Any:
        try:
            return wanted.value(spec.decode(octets, self.context))
        except (TableError, KeyError, IndexError) as error:
            self.problems.append(f"{wanted.text}: {error}")
            return None

    def _whole(self, identifier: str, asked: str | None = None) -> Asking:
        """A table; its own dimension tables first. A dimension table that cannot be read is no problem yet."""
        known = self.context.octets(identifier)
        if known is not None or identifier in self._tried:
            if known is None and asked is not None:
                self.problems.append(f"{asked}: could not be read")
            return known
        self._tried.add(identifier)
        spec = osgp.table(identifier)
        for name in sorted(spec.depends_on()):
            yield from self._whole(name)
        try:
            size = spec.size(self.context)
        except TableError:
            size = 0
        octets = yield from (self._piece(spec, 0, size, asked) if size else self._full(spec, asked))
        if octets is not None:
            self.context.put(identifier, octets)
        return octets

    def _full(self, spec: TableSpec, asked: str | None) -> Asking:
        response = yield FullRead(spec.number)
        return self._data(response, spec, asked)

    def _piece(self, spec: TableSpec, offset: int, size: int, asked: str | None) -> Asking:
        octets = bytearray()
        while len(octets) < size:
            count = min(self.piece, size - len(octets))
            response = yield PartialRead(spec.number, offset + len(octets), count)
            data = self._data(response, spec, asked)
            if data is None:
                return None
            if not data:
                break
            octets += data
        return bytes(octets)

    def _data(self, response: Response, spec: TableSpec, asked: str | None) -> bytes | None:
        if response.result is ResultCode.OK and response.data is not None:
            return response.data
        if asked is not None:
            said = response.result.name.lower().replace("_", " ")
            self.problems.append(f"{asked}: refused: {said} (0x{response.result:02x})")
        return None


class PortReader:
    """Asks one meter at the other end of a line.

    Args:
        line: to the meter.    client: engine of the port.    lifetime: ends the waiting.    wait_s: for one answer, s.
    """

    def __init__(self, line: Line, client: OpticalClient | MepRequester, lifetime: Lifetime, wait_s: float) -> None:
        self.line, self.client, self.wait_s = line, client, wait_s
        self.alerts = 0
        self._lifetime = lifetime

    @property
    def piece(self) -> int:
        """Most data octets of one answer."""
        if isinstance(self.client, OpticalClient):
            return max(1, min(self.client.answer_room, osgp.services.MAX_COUNT) - 4)
        return self.client.max_read

    def connect(self) -> None:
        """Log on, where the port wants that. PortReadError when it does not work."""
        if isinstance(self.client, OpticalClient):
            self.client.connect(time.monotonic())
            event = self._event()
            if isinstance(event, Connected):
                self.line.set_rate(event.rate)

    def ask(self, request: TableRequest) -> Response:
        """One request. PortReadError when there is no answer."""
        self.client.request(request, time.monotonic())
        event = self._event()
        if not isinstance(event, Answered | MepAnswered):
            raise PortReadError(f"{self.line.place}: unexpected {type(event).__name__}")
        return event.response

    def read(self, wanted: Sequence[Wanted]) -> tuple[list[str], dict[str, Any]]:
        """(problems, values by what the user wrote)."""
        plan = TablePlan(self.piece)
        found: dict[str, Any] = {}
        for wish in wanted:
            asking = plan.want(wish)
            try:
                request = next(asking)
                while True:
                    request = asking.send(self.ask(request))
            except StopIteration as stop:
                if stop.value is not None:
                    found[wish.text] = stop.value
        return plan.problems, found

    def close(self) -> None:
        """Log off; a meter that does not answer any more is left alone."""
        if isinstance(self.client, OpticalClient) and self.client.connected and not self.client.busy:
            self.client.close(time.monotonic())
            self.wait_s = min(self.wait_s, GOODBYE)
            try:
                self._event()
            except FlowgraphError:
                return

    def _event(self) -> Connected | Answered | Closed | MepAnswered:
        deadline = time.monotonic() + self.wait_s
        client = self.client
        while True:
            while (event := client.next_event()) is not None:
                if isinstance(event, AlertSeen):
                    self.alerts += 1
                elif isinstance(event, Failed | MepFailed):
                    raise PortReadError(f"{self.line.place}: {event.text}")
                else:
                    return event
            now = time.monotonic()
            client.on_timer(now)
            octets = client.octets_to_send(now)
            if octets:
                self.line.write(octets)
                continue
            if self._lifetime.stopped():
                raise PortReadError("interrupted")
            if now > deadline:
                raise PortReadError(f"{self.line.place}: no answer within {self.wait_s:g} s")
            self._wait(deadline)
            arrived = self.line.read()
            if arrived:
                client.receive_octets(arrived, time.monotonic())

    def _wait(self, deadline: float) -> None:
        now = time.monotonic()
        timer = self.client.next_timer()
        until = min(deadline, now + LONGEST_WAIT, now + LONGEST_WAIT if timer is None else timer)
        number = self.line.fileno()
        if number is None:
            time.sleep(max(0.0, min(LOOK_AGAIN, until - now)))
            return
        with selectors.DefaultSelector() as selector:
            selector.register(number, selectors.EVENT_READ)
            selector.select(max(0.0, until - now))


def read_port(
    place: str, wanted: Sequence[Wanted], keys: KeyRing, lifetime: Lifetime, wait_s: float, *,
    mep: bool = False, tls: bool = False, user_id: int = 1,
) -> tuple[list[str], dict[str, Any]]:
    """Read at a port of a meter. Returns (problems, values by what the user wrote).

    Args:
        place: see lines.py.    keys: of several that are there the one with the least rights is used.

    Raises:
        LineError: the line cannot be opened.    KeyTextError: there is no key for a MEP port.
    """
    client: OpticalClient | MepRequester
    if mep:
        if not keys.mep_keys:
            raise KeyTextError("--mep needs a key: --key MAK=... or --key MBK=...")
        key = keys.mep_keys[-1]
        client = MepTlsClient(MepTlsConfig(key, user_id)) if tls else MepClient(MepClientConfig(key))
    else:
        password = next((key for key in (keys.rk, keys.pk, keys.mk) if key is not None), None)
        client = OpticalClient(ClientConfig(password, user_id=user_id))
    with Lines() as lines:
        reader = PortReader(lines.add(open_client_line(place, wait_s)), client, lifetime, wait_s)
        try:
            reader.connect()
            problems, found = reader.read(wanted)
        except PortReadError as error:
            return [str(error).removeprefix(f"{place}: ")], {}
        reader.close()
    return problems, found
