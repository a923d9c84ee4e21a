"""Proxy repeating: what a station does with a message that is meant for another one.

    source --4D--> repeater --4D--> repeater --4D--> agent --> target
           <------ the response, or 4D "delivered", or 4C c "failed", unchanged --

Repeater and agent of the enhanced proxy (LTEP), and agent of the classic one. The target needs to know nothing of it.
Executed on four live stations in a line (grade L), where nothing else is said.
"""

from __future__ import annotations

from typing import Final

from .authentication import KEY_LENGTH, AuthenticationKeys
from .classic_proxy import ClassicProxy
from .errors import DecodeError, DropReason
from .events import Service
from .forwarding import Forwarder, Order, failure_answer
from .message_codes import failure_code
from .network import Arrival, NetworkLayer
from .proxy_message import MAX_TARGET_DATA, AgentPart, ProxyMessage
from .proxy_timing import hop_time, last_wait
from .session import SessionLayer
from .statistics import Statistics
from .timers import transmit_time
from .transport import Delivery

_CLASSIC_REFUSAL: Final = bytes([failure_code(ClassicProxy.CODE)])


class ProxyLayer:
    """Reads proxy messages and orders what has to be sent on.

    Args:
        network, session: layers of the node.    forwarder: carries the orders out.    statistics: counters to keep.
    """

    def __init__(
        self, network: NetworkLayer, session: SessionLayer, forwarder: Forwarder, statistics: Statistics
    ) -> None:
        self._network = network
        self._session = session
        self._forwarder = forwarder
        self._statistics = statistics

    def receive(self, delivery: Delivery, now: float) -> None:
        """Process a message with code 4D. A malformed one is dropped, and its request never answered."""
        try:
            message = ProxyMessage.decode(delivery.apdu)
            part = None if message.hops else AgentPart.decode(message.agent_part)
        except DecodeError as error:
            self._statistics.drops[error.reason] += 1
            if delivery.request_id is not None:
                self._session.respond(delivery.request_id, None, now)
            return
        self._statistics.messages += 1
        if part is not None:
            self._act_as_agent(message, part, delivery, delivery.request_id, now)
            return
        self._repeat(message, delivery, now)
        if message.all_agents and delivery.arrival.domain_index is not None:
            self._act_as_one_of_all_agents(message, delivery, now)

    def receive_classic(self, delivery: Delivery, now: float) -> None:
        """Put the question of a classic proxy request to its target, under a transaction number of our own.

        The target is looked for on the domain of the request, whatever row its address names; a domain that is not
        in our table, like a malformed request, gets the failure code (grade B).
        """
        request_id, arrival = delivery.request_id, delivery.arrival
        if request_id is None:
            self._statistics.drops[DropReason.UNKNOWN_MESSAGE] += 1
            return
        try:
            request = ClassicProxy.decode(delivery.apdu)
        except DecodeError as error:
            self._statistics.drops[error.reason] += 1
            self._session.respond(request_id, _CLASSIC_REFUSAL, now)
            return
        self._statistics.messages += 1
        target = request.target
        if target is None or arrival.domain_index is None:
            self._session.respond(request_id, _CLASSIC_REFUSAL, now)
            return
        order = Order(
            arrival=arrival,
            request_id=request_id,
            count=0,
            service=Service.REQUEST,
            destination=target.destination,
            apdu=ClassicProxy(request.question).encode(),
            retries=target.retries,
            interval=transmit_time(target.transmit_code),
            alternate=arrival.header.alt_path,
            backlog=target.backlog,
            inherits=False,
        )
        self._forwarder.accept(order, now)

    def _repeat(self, message: ProxyMessage, delivery: Delivery, now: float) -> None:
        forwarded = message.forwarded()
        interval = hop_time(message.timer_code, message.long_timer)
        extra = last_wait(message.timer_code, message.long_timer, forwarded.count)
        arrival = delivery.arrival
        order = Order(
            arrival=arrival,
            request_id=delivery.request_id,
            count=message.count,
            service=delivery.service,
            destination=message.next_station(arrival.npdu.source.subnet, self._own_subnet(arrival)),
            apdu=forwarded.encode(),
            retries=message.retries,
            interval=interval,
            last_wait=extra,
            alternate=message.hops[0].alternate,
            auth=arrival.authenticated,
            keep=(message.retries + 1) * interval + extra,
        )
        self._forwarder.accept(order, now)

    def _act_as_one_of_all_agents(self, message: ProxyMessage, delivery: Delivery, now: float) -> None:
        """Nobody learns what becomes of this copy: the answer is that of the stations still to come."""
        try:
            part = AgentPart.decode(message.agent_part)
        except DecodeError:
            return
        self._act_as_agent(message, part, delivery, None, now)

    def _act_as_agent(
        self, message: ProxyMessage, part: AgentPart, delivery: Delivery, request_id: int | None, now: float
    ) -> None:
        arrival = delivery.arrival
        if len(part.apdu) > 1 + MAX_TARGET_DATA:
            if request_id is not None:
                self._session.respond(request_id, failure_answer(message.count), now)
            return
        interval = transmit_time(part.timer_code)
        order = Order(
            arrival=arrival,
            request_id=request_id,
            count=message.count,
            service=part.service,
            destination=part.target.resolve(arrival.npdu.source.subnet, self._own_subnet(arrival)),
            apdu=part.apdu,
            retries=part.retries,
            interval=interval,
            # A repeated message counts as delivered one repeat time after its last copy.
            last_wait=interval if part.service is Service.REPEATED else 0.0,
            alternate=part.alternate,
            backlog=part.target.backlog,
            auth=arrival.authenticated,
            keys=self._alternate_keys(part.key_increment, arrival),
            # How often the station before us tries is not in the message; a long timer lasts 4096 ms or more.
            keep=2 * hop_time(0, long_timer=True) if message.long_timer else 0.0,
        )
        self._forwarder.accept(order, now)

    def _own_subnet(self, arrival: Arrival) -> int:
        entry = self._network.domains[arrival.domain_index or 0]
        return 0 if entry is None else entry.subnet

    def _alternate_keys(self, increment: bytes, arrival: Arrival) -> AuthenticationKeys | None:
        """Keys of the target: ours plus an increment, for one row of the domain table or for both."""
        if not increment:
            return None
        increments = [bytes(KEY_LENGTH), bytes(KEY_LENGTH)]
        if len(increment) == KEY_LENGTH:
            increments[arrival.domain_index or 0] = increment
        else:
            increments = [increment[:KEY_LENGTH], increment[KEY_LENGTH:]]
        return self._network.keys.increased((increments[0], increments[1]))
