"""OSGP over ISO/IEC 14908: what a meter and a concentrator ask for, as messages of a node.

    the line <--> Node --> RequestReceived --> Meter.receive_request --> respond, decline
                       <-> Concentrator, see `concentrator_binding.py`

Keys come from the graph and go into the engines; nothing here prints or reports them.
"""

from __future__ import annotations

import random
import secrets
from typing import Final

import mac
import osgp

from .channel_timing import timing_of
from .concentrator_binding import ConcentratorBinding, concentrator_config
from .errors import GraphError
from .events import Event
from .graph import AnyStation, ConcentratorStation, Graph, MeterStation, ReaderStation, station_random
from .protection import entropy, meter_keys
from .station_reports import StationReports

MEASURE_EVERY_S: Final = 1.0  # a meter integrates its load at least this often


def make_node(graph: Graph, spec: AnyStation, rng: random.Random, now: float) -> mac.Node:
    """The 14908 stack of a station, powered up at `now`: meters without an address, the others with theirs."""
    domains: tuple[mac.DomainEntry | None, ...] = ()
    if isinstance(spec, ConcentratorStation | ReaderStation):
        domains = (mac.DomainEntry(mac.DomainId(bytes.fromhex(graph.domain)), spec.subnet, spec.node),)
    config = mac.NodeConfig(
        unique_node_id=bytes.fromhex(spec.unique_node_id),
        program_id=bytes.fromhex(spec.program_id),
        domains=domains,
        started_at=now,
    )
    # On a real line nobody may foresee a challenge; in a simulation the same seed gives the same run.
    challenges = secrets.token_bytes if graph.frontend is not None else None
    return mac.Node(config, timing_of(graph), rng, challenges)


class MeterBinding:
    """A meter that answers requests which reach its node."""

    def __init__(self, graph: Graph, spec: MeterStation, node: mac.Node) -> None:
        keys = meter_keys(graph, spec)
        self.meter = osgp.Meter(
            osgp.MeterConfig(
                unique_node_id=bytes.fromhex(spec.unique_node_id),
                program_id=bytes.fromhex(spec.program_id),
                serial=spec.serial,
                utility_serial=spec.name[:30],
                security=osgp.SecurityMode(graph.security_of(spec)),
                key=keys.omak,
                psk=keys.psk,
                broadcast_key=keys.broadcast,
                entropy=entropy(graph, spec.name),
                seed=spec.load_seed,
                size=spec.load_scale,
                phases=spec.phases,
                pv_peak=spec.pv_peak_w,
                initial_registers={"forward_active_wh": spec.initial_energy_wh},
            )
        )
        self._node = node
        self._reports = StationReports(spec.name, graph.sample_rate)
        self._measured_at = 0.0

    def start(self, now: float) -> None:
        """See `Application`."""
        self._measured_at = now
        self._reports.tell(now, "started", "meter started, unconfigured")

    def on_event(self, event: mac.Event, now: float) -> None:
        """See `Application`."""
        if isinstance(event, mac.RequestReceived):
            self._answer(event, now)
        elif isinstance(event, mac.MessageReceived):
            self.meter.receive_broadcast(event.apdu, now, domain=event.domain.octets)
            self._tell_refusals(now)
        elif isinstance(event, mac.StateChanged):
            address = self._node.address(0)
            where = f" as {address}" if address is not None else ""
            self._reports.tell(now, "state", f"node is {event.state}{where}", state=str(event.state))

    def work(self, now: float) -> None:
        """See `Application`."""
        if now - self._measured_at >= MEASURE_EVERY_S:
            self._measured_at = now
            self.meter.advance(now)

    def next_timer(self) -> float | None:
        """See `Application`: a meter only answers."""
        return None

    def reports(self) -> list[Event]:
        """See `Application`."""
        return self._reports.take()

    def _answer(self, request: mac.RequestReceived, now: float) -> None:
        index = request.via.domain_index
        address = self._node.address(index) if index is not None else None
        answer = None
        if address is not None:
            answer = self.meter.receive_request(
                request.apdu, address.subnet, address.node, now,
                domain=request.domain.octets, authenticated=request.via.authenticated,
            )  # fmt: skip
            self._tell_refusals(now)
        if answer is None:
            self._node.decline(request.request_id, now)
        else:
            self._node.respond(request.request_id, answer, now)

    def _tell_refusals(self, now: float) -> None:
        while (event := self.meter.next_event()) is not None:
            if isinstance(event, osgp.RequestDenied):
                self._reports.tell(now, "refused", f"refused a request: {event.reason.value}", reason=event.reason.name)


def make_application(graph: Graph, spec: AnyStation, node: mac.Node) -> MeterBinding | ConcentratorBinding:
    """What a station of that kind runs on its node."""
    if isinstance(spec, MeterStation):
        return MeterBinding(graph, spec, node)
    if isinstance(spec, ConcentratorStation):
        config = concentrator_config(graph, spec)
        return ConcentratorBinding(graph, spec.name, node, config, station_random(graph, spec.name, "osgp"))
    raise GraphError(f"graph {graph.name}: {spec.name} is a reader; use osgp-sdr read")
