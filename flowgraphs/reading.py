"""Reading some tables of one meter: a reader station that joins a running line for it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

import mac
import osgp
from mac import management

from .concentrator_binding import ConcentratorBinding
from .errors import FlowgraphError, GraphError, StationError
from .events import Event, Finished, StationEvent
from .graph import AnyStation, ConcentratorStation, Graph, MeterStation, ReaderStation, station_random
from .lifetime import Lifetime
from .processes import Standstill, run_station
from .protection import entropy, meter_keys
from .repeating import RepeatedRequests

ID_OCTETS: Final = 6
READER: Final = "reader"
READER_ID: Final = "0002a1ff0001"
RESYNCS: Final = 20  # a concentrator that reads the same meter uses up sequence numbers all the time
READER_NODE: Final = 126  # last but one address of a subnet: concentrators give addresses from below


@dataclass(frozen=True, slots=True)
class Target:
    """A meter: unique node id, address, or both."""

    unique_node_id: bytes | None
    address: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user wants: a table, or a field of it. `text` as it was written."""

    text: str
    table: str
    path: str

    def value(self, value: osgp.TableValue) -> Any:
        """The table as plain data, or the field."""
        if not self.path:
            return value.to_json()
        return plain(value.field(self.path))

    def show(self, value: Any, as_json: bool) -> str:
        """One line, or several for a whole table."""
        if as_json:
            return json.dumps({"table": self.table, "field": self.path or None, "value": value})
        if isinstance(value, dict):
            return "\n".join([self.table, *(f"  {name} = {json.dumps(item)}" for name, item in value.items())])
        return f"{self.text} = {value if isinstance(value, str) else json.dumps(value)}"


def plain(value: Any) -> Any:
    """Values of a table as plain data: octets as hex digits, sets as lists."""
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, osgp.Record):
        return {name: plain(item) for name, item in value.items()}
    return str(value)


def parse_wanted(text: str) -> Wanted:
    """`BT23`, `23`, `2051`, `BT23.summations`, `BT21.0.2`.

    Raises:
        FlowgraphError: there is no such table.
    """
    name, _, path = text.partition(".")
    try:
        spec = osgp.table(int(name) if name.isdecimal() else name.upper())
    except (osgp.OsgpError, KeyError, ValueError) as error:
        raise FlowgraphError(f"TABLE {text!r}: {error}") from None
    return Wanted(text, spec.id, path)


def resolve_meter(graph: Graph, meter: str) -> Target:
    """Which meter the user means: a station's name, a unique node id, or subnet/node.

    Raises:
        FlowgraphError: it is none of these, or out of range.
    """
    meters = [station for station in graph.stations if isinstance(station, MeterStation)]
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", meter)
    if match is not None:
        subnet, node = int(match[1]), int(match[2])
        if not (1 <= subnet <= 255 and 1 <= node <= 127):
            raise FlowgraphError(f"METER {meter}: subnet is 1..255, node 1..127")
        return Target(None, (subnet, node))
    known = next((s for s in meters if meter == s.name or meter.lower() == s.unique_node_id.lower()), None)
    if known is not None:
        return Target(bytes.fromhex(known.unique_node_id), None)
    if not re.fullmatch(r"[0-9A-Fa-f]{12}", meter):
        names = ", ".join(s.name for s in meters)
        raise GraphError(f"METER {meter!r}: no station of graph {graph.name} ({names}), unique node id or subnet/node")
    return Target(bytes.fromhex(meter), None)


class ReaderBinding:
    """Asks a meter for its address when only its id is known, for its id when only its address is, then reads it.

    Args:
        via: meters that repeat on the way, the nearest first; of those whose id alone is known the address is asked, one by one.
    Attributes:
        found: values by what the user wrote.    problems: one line each.    done: nothing more will come.
        blocks: of the line, so far.
    """

    def __init__(
        self, graph: Graph, spec: AnyStation, node: mac.Node, target: Target, wanted: Sequence[Wanted], via: Sequence[Target] = ()
    ) -> None:
        self.found: dict[str, Any] = {}
        self.problems: list[str] = []
        self.done = False
        self.blocks = 0
        self._graph, self._spec, self._node = graph, spec, node
        self._target, self._wanted, self._via = target, wanted, via
        self._repeated = RepeatedRequests(node)
        self._route: list[tuple[int, int]] = []  # stations of the way whose addresses are known
        self._query: int | None = None
        self._reader: ConcentratorBinding | None = None

    def start(self, now: float) -> None:
        """See `Application`."""
        self._ask(now)

    def _ask(self, now: float) -> None:
        """What is not known yet of the next station on the way, or of the meter behind them."""
        while len(self._route) < len(self._via) and (address := self._via[len(self._route)].address) is not None:
            self._route.append(address)
        target = self._asked
        if target.address is not None:
            query = management.ReadMemory(management.MemoryMode.READ_ONLY, 0, ID_OCTETS).encode()  # its id comes first there
            self._query = self._repeated.request(self._way, mac.SubnetNode(*target.address), query, now)
        else:
            assert target.unique_node_id is not None
            query = management.QueryDomain(0).encode()
            self._query = self._repeated.request(self._way, mac.UniqueId(target.unique_node_id), query, now)

    @property
    def _asked(self) -> Target:
        return self._via[len(self._route)] if len(self._route) < len(self._via) else self._target

    @property
    def _way(self) -> osgp.Route:
        return osgp.Route(tuple(self._route))

    def on_event(self, event: mac.Event, now: float) -> None:
        """See `Application`."""
        if self._reader is not None:
            self._reader.on_event(event, now)
        elif isinstance(event, mac.ResponseReceived) and event.handle == self._query:
            self._on_answer(event.apdu, now)
        elif isinstance(event, mac.TransactionDone) and event.handle == self._query:
            self._fail("does not answer")
        elif isinstance(event, mac.ProxyDone) and (outcome := self._repeated.on_done(event, now)) is not None:
            if outcome.answer is not None:
                self._on_answer(outcome.answer, now)
            else:
                dead = f": link {outcome.dead_link} of the way is dead" if outcome.dead_link is not None else ""
                self._fail(f"does not answer{dead}")

    def _on_answer(self, apdu: bytes, now: float) -> None:
        self._query = None
        try:
            self._take_answer(self._asked, apdu, now)
        except mac.DecodeError as error:
            self._fail(f"answered nonsense: {error}")

    def _take_answer(self, target: Target, apdu: bytes, now: float) -> None:
        if target.address is not None:
            answer = management.decode_response(management.ReadMemory.CODE, apdu)
            if isinstance(answer, management.Done) and len(answer.octets) == ID_OCTETS:
                self._read(answer.octets, target.address, now)
            else:
                self._fail("does not tell its unique node id")
            return
        assert target.unique_node_id is not None
        report = management.decode_response(management.QueryDomain.CODE, apdu)
        if not isinstance(report, management.DomainReport) or report.entry is None:
            self._fail("has no address yet: no concentrator has found it")
        elif len(self._route) < len(self._via):
            self._route.append((report.entry.subnet, report.entry.node))
            self._ask(now)
        else:
            self._read(target.unique_node_id, (report.entry.subnet, report.entry.node), now)

    def work(self, now: float) -> None:
        """See `Application`."""
        self.blocks += 1
        if self._reader is not None:
            self._reader.work(now)

    def next_timer(self) -> float | None:
        """See `Application`."""
        return self._reader.next_timer() if self._reader is not None else None

    def reports(self) -> list[Event]:
        """See `Application`."""
        events = self._reader.reports() if self._reader is not None else []
        for event in events:
            if isinstance(event, StationEvent) and event.name == "meter_silent":
                self.problems.append("does not answer")
            elif isinstance(event, StationEvent) and event.name == "request_refused":
                self.problems.append(event.text)
            elif isinstance(event, Finished):
                self.done = True
        return events

    def _fail(self, problem: str) -> None:
        hop = len(self._route)
        self.problems.append(problem if hop == len(self._via) else f"station {hop + 1} on the way {problem}")
        self.done = True

    def _read(self, identifier: bytes, address: tuple[int, int], now: float) -> None:
        graph = self._graph
        meter = next(
            (s for s in graph.stations if isinstance(s, MeterStation) and bytes.fromhex(s.unique_node_id) == identifier), None
        )
        keys = meter_keys(graph, meter)
        config = osgp.ConcentratorConfig(
            security=osgp.SecurityMode(graph.security if meter is None else graph.security_of(meter)),
            key=keys.omak,
            psk=keys.psk,
            domain=bytes.fromhex(graph.domain),
            entropy=entropy(graph, self._spec.name),
            known={identifier: address},
            routes={identifier: self._way},
            read_set=tuple(dict.fromkeys(item.table for item in self._wanted)),
            prefixes={},
            silent_tries=1,
            resyncs=RESYNCS,
        )
        rng = station_random(self._graph, self._spec.name, "osgp")
        self._reader = ConcentratorBinding(
            self._graph, self._spec.name, self._node, config, rng, discovers=False, on_table=self._take
        )
        self._reader.start(now)

    def _take(self, read: osgp.TableRead) -> None:
        for item in self._wanted:
            if item.table == read.table:
                try:
                    self.found[item.text] = item.value(read.value)
                except osgp.OsgpError as error:
                    self.problems.append(f"{item.text}: {error}")


def read_tables(
    graph: Graph, endpoint: str, target: Target, wanted: Sequence[Wanted], lifetime: Lifetime, wait_s: float,
    via: Sequence[Target] = (),
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    """Join the line at `endpoint`, read, leave. Returns (problems, values by what the user wrote). via: see `ReaderBinding`.

    Raises:
        StationError: there is no line within `wait_s` seconds, or it refuses.
    """
    spec = next((s for s in graph.stations if isinstance(s, ReaderStation)), None)
    own = next((s for s in graph.stations if isinstance(s, ConcentratorStation | ReaderStation)), None)
    if spec is None:
        subnet = own.subnet if own is not None else 1
        spec = ReaderStation(
            name=READER, coupler=0, unique_node_id=READER_ID, subnet=subnet, node=READER_NODE,
            receiver=own.receiver if own is not None else {},
        )  # fmt: skip
        graph = msgspec.structs.replace(graph, stations=[*graph.stations, spec])
    standstill = Standstill()  # a line that stops talking is waited for as long as one not there yet
    binding: list[ReaderBinding] = []

    def make(of: Graph, station: AnyStation, node: mac.Node) -> ReaderBinding:
        binding.append(ReaderBinding(of, station, node, target, wanted, via))
        return binding[0]

    def finished() -> bool:
        if standstill.seconds(binding[0].blocks if binding else 0) > wait_s:
            raise StationError(f"no line {'any more ' if binding else ''}at {endpoint}: waited {wait_s:g} s")
        return bool(binding) and binding[0].done

    run_station(graph, spec.name, endpoint, lifetime, lambda event: None, make, coupler=-1, finished=finished)
    if not binding:
        return ["interrupted"], {}
    return list(dict.fromkeys(binding[0].problems)), binding[0].found
