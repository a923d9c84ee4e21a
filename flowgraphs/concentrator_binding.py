"""The concentrator's end of OSGP over ISO/IEC 14908: its actions as messages of a node, what comes back as feedback.

    Concentrator         Node                                                on the line
    Discover         --> send_request(broadcast, Query ID)                   61, unconfigured nodes answer
    Commission       --> send_request(unique id, Update Domain)              63
                         send_request(unique id, Set Node Mode)              6C
    Measure          --> send_request(subnet/node, Query Signal Strength)    57
    Request          --> send_request(subnet/node, APDU)                     00 ...
    .. along a route --> send_proxied, see `repeating.py`                    4D and the same

Keys come from the graph and go into the engine; nothing here prints or reports them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

import mac
import osgp
from mac import management

from .events import Event, Finished, Reading
from .graph import ConcentratorStation, Graph, MeterStation
from .protection import entropy, meter_keys
from .repeating import RepeatedRequests
from .station_reports import StationReports

# A Query ID goes to all and is answered by many; each round has one try and every other round takes the other carrier,
# so that two rounds without an answer mean silence on both (choice, D).
DISCOVERY_TRIES: Final = 1
DISCOVERY_CODE: Final = 13  # timer code 13: 1.536 s, several answers spread over the window of 15 announced ones (D)
ANY_NUMBER: Final = 10_000  # responses that would end a discovery early
DISCOVERY_ROUNDS: Final = 2  # rounds in a row without a new node that end it: one per carrier
FINISH_MARGIN_S: Final = 0.01  # by then every other station has worked off what happened up to the finish


class _ManagementRequest(Protocol):
    """A network management request of `mac.management`."""

    CODE: ClassVar[int]

    def encode(self) -> bytes: ...


@dataclass(slots=True)
class _Commissioning:
    """Steps of giving an address to a node; `code` is the request that is out."""

    action: osgp.Commission
    code: int


Pending = osgp.Discover | osgp.Measure | osgp.Request | _Commissioning


class ConcentratorBinding:
    """A concentrator engine that acts through a node.

    Args:
        discovers: False for a reader, which asks known meters only.
        on_table: gets every table that was read.
    """

    def __init__(
        self,
        graph: Graph,
        name: str,
        node: mac.Node,
        config: osgp.ConcentratorConfig,
        rng: random.Random,
        discovers: bool = True,
        on_table: Callable[[osgp.TableRead], None] | None = None,
    ) -> None:
        self.concentrator = osgp.Concentrator(config, rng)
        self._node, self._discovers, self._on_table = node, discovers, on_table
        self._domain = mac.DomainId(bytes.fromhex(graph.domain))
        self._pending: dict[int, Pending] = {}
        self._repeated = RepeatedRequests(node)
        self._reports = StationReports(name, graph.sample_rate)
        self._names = {bytes.fromhex(spec.unique_node_id): spec.name for spec in graph.stations}
        self._finished: tuple[float, Finished] | None = None

    def start(self, now: float) -> None:
        """See `Application`."""
        mode = self.concentrator.config.security
        self._reports.tell(now, "started", f"concentrator started as {self._node.address(0)}")
        self._reports.tell(now, "security", f"messages are protected by: {osgp.MODE_NAMES[mode]}", security=mode.value)
        self.concentrator.start(now)

    def on_event(self, event: mac.Event, now: float) -> None:
        """See `Application`."""
        if isinstance(event, mac.ResponseReceived):
            self._on_answer(event.handle, event.apdu, now)
        elif isinstance(event, mac.TransactionDone):
            self._on_done(event.handle, None, now)
        elif isinstance(event, mac.ProxyDone) and (outcome := self._repeated.on_done(event, now)) is not None:
            if outcome.answer is not None:
                self._on_answer(outcome.handle, outcome.answer, now)
            self._on_done(outcome.handle, outcome.dead_link, now)

    def work(self, now: float) -> None:
        """See `Application`."""
        timer = self.concentrator.next_timer()
        if timer is not None and timer <= now:
            self.concentrator.on_timer(now)
        while (action := self.concentrator.next_action()) is not None:
            self._carry_out(action, now)
        while (event := self.concentrator.next_event()) is not None:
            self._report(event, now)
        if self._finished is not None and now >= self._finished[0]:
            self._reports.add(self._finished[1])
            self._finished = None

    def reports(self) -> list[Event]:
        """See `Application`."""
        return self._reports.take()

    def next_timer(self) -> float | None:
        """See `Application`."""
        return self.concentrator.next_timer()

    def _carry_out(self, action: osgp.Action, now: float) -> None:
        node = self._node
        if isinstance(action, osgp.Discover):
            if not self._discovers:
                self.concentrator.on_discovery_done(now)
                return
            through = f" behind {action.route.repeaters[-1][0]}/{action.route.repeaters[-1][1]}" if action.route else ""
            self._reports.tell(now, "discover", f"asks who is there{through}, round {action.round}")
            query = management.QueryId(management.QuerySelector.UNCONFIGURED).encode()
            on_alternate = action.round % 2 == 0
            if action.route:
                self._pending[self._repeated.send(action.route, mac.Broadcast(), query, now, on_alternate)] = action
                return
            handle = node.send_request(
                mac.Broadcast(),
                query,
                now,
                retries=DISCOVERY_TRIES - 1,
                transmit_time=mac.transmit_time(DISCOVERY_CODE),
                max_responses=ANY_NUMBER,
                alternate=on_alternate,
            )
            self._pending[handle] = action
        elif isinstance(action, osgp.Commission):
            entry = mac.DomainEntry(self._domain, action.subnet, action.node)
            self._commission(action, management.UpdateDomain(0, entry), now)
        else:
            apdu = management.QuerySignalStrength().encode() if isinstance(action, osgp.Measure) else action.apdu
            target = mac.SubnetNode(action.subnet, action.node)
            self._pending[self._repeated.request(action.route, target, apdu, now)] = action

    def _commission(self, action: osgp.Commission, request: _ManagementRequest, now: float) -> None:
        target = mac.UniqueId(action.unique_node_id)
        self._pending[self._repeated.request(action.route, target, request.encode(), now)] = _Commissioning(action, request.CODE)

    def _on_answer(self, handle: int, apdu: bytes, now: float) -> None:
        pending = self._pending.get(handle)
        if isinstance(pending, osgp.Discover):
            try:
                report = management.decode_response(management.QueryId.CODE, apdu)
            except mac.DecodeError:
                return
            if isinstance(report, management.IdReport):
                self.concentrator.on_discovered(report.unique_node_id, report.program_id, now)
            return
        if pending is None:
            return
        del self._pending[handle]
        if isinstance(pending, osgp.Request):
            self.concentrator.on_response(pending.request_id, apdu, now)
            return
        if isinstance(pending, osgp.Measure):
            self.concentrator.on_measured(_margin_db(apdu), now)
            return
        action = pending.action
        try:
            done = isinstance(management.decode_response(pending.code, apdu), management.Done)
        except mac.DecodeError:
            done = False
        if done and pending.code == management.UpdateDomain.CODE:
            mode = management.SetNodeMode(management.NodeMode.CHANGE_STATE, mac.NodeState.CONFIGURED)
            self._commission(action, mode, now)
        else:
            self.concentrator.on_commissioned(action.unique_node_id, done, now)

    def _on_done(self, handle: int, dead_link: int | None, now: float) -> None:
        pending = self._pending.pop(handle, None)
        if isinstance(pending, osgp.Discover):
            self.concentrator.on_discovery_done(now, dead_link)
        elif isinstance(pending, osgp.Request):
            self.concentrator.on_response(pending.request_id, None, now, dead_link)
        elif isinstance(pending, osgp.Measure):
            self.concentrator.on_measured(None, now, dead_link)
        elif isinstance(pending, _Commissioning):
            self.concentrator.on_commissioned(pending.action.unique_node_id, False, now)

    def _name(self, unique_node_id: bytes) -> str:
        name = self._names.get(unique_node_id)
        return f"{unique_node_id.hex()} ({name})" if name else unique_node_id.hex()

    def _report(self, event: osgp.Event, now: float) -> None:
        tell = self._reports.tell
        if isinstance(event, osgp.PassDone):
            text = f"{len(event.read)} read, {len(event.silent)} silent"
            tell(now, "pass_done", f"pass {event.number} done: {text}", read=len(event.read), silent=len(event.silent))
            if self.concentrator.done:
                finished = Finished(self._reports.station, self._reports.sample(now), not event.silent, text)
                self._finished = (now + FINISH_MARGIN_S, finished)
            return
        if isinstance(event, osgp.ReadingDone):
            reading = event.reading
            uid = reading.unique_node_id
            tell(now, "reading_done", f"read {self._name(uid)}", unique_node_id=uid.hex())
            self._reports.add(
                Reading(
                    self._reports.station,
                    self._reports.sample(now),
                    uid.hex(),
                    f"{reading.subnet}/{reading.node}",
                    reading.to_json(),
                )
            )
            return
        name = self._name(event.unique_node_id)
        uid_hex = event.unique_node_id.hex()
        if isinstance(event, osgp.MeterFound):
            tell(now, "meter_found", f"found {name}{' again' if event.known else ''}", unique_node_id=uid_hex)
        elif isinstance(event, osgp.MeterCommissioned):
            address = f"{event.subnet}/{event.node}"
            tell(now, "meter_commissioned", f"{name} is {address} now", unique_node_id=uid_hex, address=address)
        elif isinstance(event, osgp.CommissionFailed):
            tell(now, "commission_failed", f"{name} took no address: {event.reason}", unique_node_id=uid_hex)
        elif isinstance(event, osgp.TableRead):
            tell(now, "table_read", f"{event.table} of {name}: {len(event.raw)} octets", unique_node_id=uid_hex,
                 table=event.table, octets=event.raw.hex())  # fmt: skip
            if self._on_table is not None:
                self._on_table(event)
        elif isinstance(event, osgp.MeterSilent):
            tell(now, "meter_silent", f"{name} does not answer", unique_node_id=uid_hex)
        elif isinstance(event, osgp.MeterBack):
            tell(now, "meter_back", f"{name} answers again", unique_node_id=uid_hex)
        elif isinstance(event, osgp.RouteChanged):
            how = f"through {event.route}" if event.route else "directly"
            tell(now, "route_changed", f"{name} is reached {how} now", unique_node_id=uid_hex, route=str(event.route))
        elif isinstance(event, osgp.RequestRefused):
            tell(now, "request_refused", f"{event.table} of {name}: {event.reason}", unique_node_id=uid_hex,
                 table=event.table)  # fmt: skip


def _margin_db(apdu: bytes) -> float | None:
    try:
        report = management.decode_response(management.QuerySignalStrength.CODE, apdu)
    except mac.DecodeError:
        return None
    return report.target.margin_db if isinstance(report, management.SignalStrengthReport) else None


def concentrator_config(graph: Graph, spec: ConcentratorStation) -> osgp.ConcentratorConfig:
    """Keys and addresses of the graph, and what to read."""
    meters = {bytes.fromhex(other.unique_node_id): other for other in graph.stations if isinstance(other, MeterStation)}
    keys = {identifier: meter_keys(graph, meter) for identifier, meter in meters.items()}
    strangers = meter_keys(graph, None)
    taken = {(other.subnet, other.node) for other in graph.stations if not isinstance(other, MeterStation)}
    read_set = osgp.ConcentratorConfig().read_set if spec.tables is None else tuple(spec.tables)
    return osgp.ConcentratorConfig(
        security=osgp.SecurityMode(graph.security),
        modes={identifier: osgp.SecurityMode(graph.security_of(meter)) for identifier, meter in meters.items()},
        key=strangers.omak,
        keys={identifier: of.omak for identifier, of in keys.items()},
        psk=strangers.psk,
        psks={identifier: of.psk for identifier, of in keys.items()},
        domain=bytes.fromhex(graph.domain),
        entropy=entropy(graph, spec.name),
        subnet=spec.subnet,
        first_node=spec.first_meter_node,
        reserved=frozenset(taken),
        empty_rounds=DISCOVERY_ROUNDS,
        period=spec.period_s,
        rediscover=spec.rediscover_s,
        read_set=read_set,
        max_repeaters=spec.max_repeaters,
    )
