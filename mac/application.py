"""Application layer: hands each message to the application or to the node's own network management."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from .address import GroupReply
from .apdu import FOREIGN_OFFLINE, OFFLINE, ApduFamily, family_of
from .classic_proxy import ClassicProxy
from .errors import DecodeError, DropReason
from .events import Event, MessageReceived, NodeState, RequestReceived, ServiceMessage, Via
from .network import SERVICE_MESSAGE_CODE
from .proxy import ProxyLayer
from .proxy_message import PROXY_CODE
from .reports import IdReport
from .responder import ManagementResponder, Reset
from .session import SessionLayer
from .statistics import Statistics
from .transport import Delivery
from .variable_layer import VariableLayer

_OFFLINE_ANSWERS: Final = {ApduFamily.APPLICATION: OFFLINE, ApduFamily.FOREIGN: FOREIGN_OFFLINE}
# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_NO_RESET: Final = Reset.NONE
_CONFIGURED: Final = NodeState.CONFIGURED


class ApplicationLayer:
    """Sorts messages by the family of their code.

    Args:
        responder: answers network management and diagnostics.
        proxy: repeats for others.    session: sends the answers.
        variables: takes the network variable messages, when the application registered any variable; otherwise they
            go to the application as they are.
        statistics: counters to keep.    events: where to report what is for the application.
    """

    def __init__(
        self,
        responder: ManagementResponder,
        proxy: ProxyLayer,
        session: SessionLayer,
        variables: VariableLayer,
        statistics: Statistics,
        events: deque[Event],
    ) -> None:
        self._responder = responder
        self._proxy = proxy
        self._session = session
        self._variables = variables
        self._statistics = statistics
        self._events = events
        self._receivers: Final[dict[ApduFamily, Callable[[Delivery, float], Reset]]] = {
            ApduFamily.APPLICATION: self._to_application,
            ApduFamily.FOREIGN: self._to_proxy_or_application,
            ApduFamily.NETWORK_VARIABLE: self._to_variables,
            ApduFamily.DIAGNOSTIC: self._to_management,
            ApduFamily.MANAGEMENT: self._to_management,
        }

    def receive(self, delivery: Delivery, now: float) -> Reset:
        """Process a message; returns the reset that the node must do next."""
        if delivery.apdu:
            return self._receivers[family_of(delivery.apdu[0])](delivery, now)
        self._statistics.drops[DropReason.TRUNCATED] += 1
        if delivery.request_id is not None:
            self._session.respond(delivery.request_id, None, now)
        return _NO_RESET

    def _to_proxy_or_application(self, delivery: Delivery, now: float) -> Reset:
        if delivery.apdu[0] != PROXY_CODE:
            return self._to_application(delivery, now)
        self._proxy.receive(delivery, now)
        return _NO_RESET

    def _to_application(self, delivery: Delivery, now: float) -> Reset:
        if self._responder.state is not _CONFIGURED:
            self._answer_offline(delivery, now)
            return _NO_RESET
        self._statistics.messages += 1
        npdu = delivery.arrival.npdu
        source, domain = npdu.source, npdu.domain
        if delivery.request_id is not None:
            self._events.append(RequestReceived(delivery.request_id, source, domain, delivery.apdu, _via(delivery)))
        else:
            self._events.append(MessageReceived(source, domain, delivery.apdu, _via(delivery), delivery.service))
        return _NO_RESET

    def _to_variables(self, delivery: Delivery, now: float) -> Reset:
        if not len(self._variables):
            return self._to_application(delivery, now)
        self._variables.receive(delivery, now)
        return _NO_RESET

    def _answer_offline(self, delivery: Delivery, now: float) -> None:
        self._statistics.drops[DropReason.OFFLINE] += 1
        if delivery.request_id is not None:
            code = _OFFLINE_ANSWERS.get(family_of(delivery.apdu[0]))
            self._session.respond(delivery.request_id, None if code is None else bytes([code]), now)

    def _to_management(self, delivery: Delivery, now: float) -> Reset:
        if delivery.apdu[0] == SERVICE_MESSAGE_CODE and delivery.request_id is None:
            self._take_service_message(delivery)
            return _NO_RESET
        if delivery.apdu[0] == ClassicProxy.CODE and len(delivery.apdu) > ClassicProxy.LENGTH_WITHOUT_TARGET:
            self._proxy.receive_classic(delivery, now)
            return _NO_RESET
        self._statistics.messages += 1  # before, because the message may clear the counters
        dropped = self._statistics.drops.total()
        reply = self._responder.execute(delivery.apdu, delivery.arrival, delivery.request_id is not None, now)
        if self._statistics.drops.total() > dropped:
            self._statistics.messages -= 1
        if delivery.request_id is not None:
            self._session.respond(delivery.request_id, reply.apdu, now, reply.without_address)
        return reply.reset

    def _take_service_message(self, delivery: Delivery) -> None:
        npdu = delivery.arrival.npdu
        try:
            report = IdReport.decode(delivery.apdu)
        except DecodeError as error:
            self._statistics.drops[error.reason] += 1
            return
        self._statistics.messages += 1
        self._events.append(ServiceMessage(report.unique_node_id, report.program_id, npdu.source, npdu.domain))


def _via(delivery: Delivery) -> Via:
    arrival = delivery.arrival
    destination = arrival.npdu.destination
    header = arrival.header
    # A message never travels in format 2b; should one do so, it was meant for this node.
    to = destination.address if isinstance(destination, GroupReply) else destination
    return Via(
        to, arrival.domain_index, header.priority, header.alt_path, delivery.auth_asked, arrival.authenticated
    )
