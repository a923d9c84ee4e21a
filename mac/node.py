"""Node: the whole stack, layers 2 to 6, in one engine without I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Final

from . import timers
from .access import LineState
from .access_states import START_TX, AccessState
from .address import NO_ADDRESS, Broadcast, Destination, DomainId, SubnetNode, check_range
from .apdu import Apdu
from .application import ApplicationLayer
from .authpdu import AuthPdu
from .challenge import Challenger
from .configuration import NodeConfig
from .entries import DomainEntry, GroupEntry
from .error_log import ErrorLog
from .events import Event, NodeState, ResponseReceived, Service, TransactionDone, WasReset
from .forwarding import Forwarder
from .implicit_addressing import ImplicitAddressing
from .link import LinkLayer, OutgoingFrame
from .lpdu import Lpdu, LpduHeader
from .network import SERVICE_MESSAGE_CODE, Arrival, NetworkLayer, Overheard
from .outbox import Outbox, check_apdu
from .proxy import ProxyLayer
from .proxy_route import ProxyRoute
from .proxy_source import ProxySource
from .receive_record import ReceiveRecords
from .reception import Reception
from .reports import IdReport
from .responder import ManagedNode, ManagementResponder, Reset
from .session import SessionLayer
from .snapshot import NodeSnapshot
from .spdu import Spdu
from .statistics import Statistics
from .timing import ChannelTiming
from .tpdu import Tpdu
from .transaction_control import TransactionControl
from .transport import Delivery, TransportLayer
from .variable_layer import VariableLayer

# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_NO_RESET: Final = Reset.NONE
_REQUEST: Final = Service.REQUEST


class Node:
    """A station of ISO/IEC 14908-1: frames in and out on one side, messages and events on the other.

        receive_frame, receive_error, on_channel --> link --> network --> transport, session --> next_event
        frames_to_send, transmission_done        <-- link <-- network <-- transaction control <-- send_..., respond

    Frames are LPDUs without their CRC. Time is `now` in s, an argument that never goes back. Call `on_timer` when
    `next_timer` is reached, and ask `frames_to_send` after this and every other call: a frame it returns has won access
    and starts at once; report its end with `transmission_done`. A transaction's timer runs from there. Do not hand a
    node its own frame.

    Args:
        config: identity and tables.
        timing: times of the channel.
        rng: draws the random slots; the same seed gives the same run.
        challenges: gives so many octets for a challenge; `secrets.token_bytes` on a real line, where nobody may foresee
            them. None: from `rng`, for simulations.

    Attributes:
        statistics: counters.
        tags: sends to rows of the address table, as message tags do.
        variables: network variables, when the configuration has any.
        last_reception: how the newest frame was received, for Query Transceiver Status; set it before `receive_frame`.
    """

    def __init__(
        self,
        config: NodeConfig,
        timing: ChannelTiming,
        rng: Random,
        challenges: Callable[[int], bytes] | None = None,
    ) -> None:
        self.config = config
        self.statistics = Statistics()
        self._events: deque[Event] = deque()
        self._link = LinkLayer(timing, rng, self.statistics, config.initial_node_priority, config.started_at)
        self._network = NetworkLayer(
            config.unique_node_id,
            config.domains,
            config.groups,
            self._link,
            self.statistics,
            config.hear_service_messages,
        )
        self._control = TransactionControl(
            self._network,
            self._link,
            self.statistics,
            self._events,
            config.number_records,
            config.reset_silence,
            config.started_at,
            config.alternate_repeats,
        )
        self._records = ReceiveRecords(config.receive_records, config.receive_code, self.statistics)
        self._challenger = Challenger(self._network, self._records, self.statistics, challenges or rng.randbytes)
        receiving = self._network, self._records, self._challenger, self._control, self.statistics
        self._transport = TransportLayer(*receiving)
        self._session = SessionLayer(*receiving)
        self._responder = ManagementResponder(
            config, timing, self._network, self._records, self.statistics, self._events
        )
        self._handles = count(1)
        self._outbox = Outbox(self._network, self._control, self._handles, config.enhanced_numbers)
        self._source = ProxySource(self._outbox, self._events)
        self._forwarder = Forwarder(
            self._network, self._records, self._session, self._control, self.statistics, self._handles
        )
        proxy = ProxyLayer(self._network, self._session, self._forwarder, self.statistics)
        self.tags = ImplicitAddressing(self._responder.node, self._outbox.send)
        self.variables = VariableLayer(self._responder.node, self._session, self.statistics, self.tags)
        self._application = ApplicationLayer(
            self._responder, proxy, self._session, self.variables, self.statistics, self._events
        )
        self._control.own_registers = self._responder.own_registers

    # --- state -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> NodeState:
        """Node state."""
        return self._responder.state

    @property
    def domains(self) -> tuple[DomainEntry | None, ...]:
        """Domain table."""
        return tuple(self._network.domains)

    @property
    def groups(self) -> tuple[GroupEntry, ...]:
        """Group memberships."""
        return tuple(self._network.groups)

    @property
    def last_reception(self) -> Reception | None:
        """How the newest frame was received."""
        return self._responder.last_reception

    @last_reception.setter
    def last_reception(self, reception: Reception | None) -> None:
        self._responder.last_reception = reception

    @property
    def managed(self) -> ManagedNode:
        """What network management sees and changes; its `revision` grows with every change that should be kept."""
        return self._responder.node

    def snapshot(self) -> NodeSnapshot:
        """What survives a restart, for `NodeConfig.saved`."""
        return self._responder.node.snapshot()

    @property
    def access_state(self) -> AccessState:
        """Where channel access stands."""
        return self._link.access.state

    @property
    def backlog(self) -> int:
        """Estimated packets waiting on the channel, 1..63."""
        return self._link.access.backlog.value

    @property
    def frames_waiting(self) -> int:
        """Own frames waiting for access."""
        return len(self._link)

    def address(self, domain_index: int = 0) -> SubnetNode | None:
        """Our subnet/node on a row of the domain table; None when the row is blank or the node unconfigured."""
        check_range("domain_index", domain_index, 0, len(self._network.domains) - 1)
        entry = self._network.domains[domain_index]
        return entry.address if entry is not None and self._responder.configured else None

    def set_state(self, state: NodeState) -> None:
        """Change the node state from here instead of by network management."""
        self._responder.set_state(state)

    def set_domain(self, index: int, entry: DomainEntry | None) -> None:
        """Write a row of the domain table from here."""
        check_range("domain index", index, 0, len(self._network.domains) - 1)
        self._responder.set_domain(index, entry)

    def reset(self, now: float) -> None:
        """Forget transactions and records, be silent for a while. Answers already queued still go out."""
        self._forwarder.reset()
        self._control.reset(now)
        self._records.clear()
        self._responder.on_reset()

    # --- the line ----------------------------------------------------------------------------------------------

    def receive_frame(self, octets: bytes, now: float) -> None:
        """A frame with good CRC ended. Whatever is in it, this does not raise."""
        self.statistics.frames += 1
        self._take_lpdu(self._link.receive(octets, now), now)

    def take_frame(self, octets: bytes, now: float) -> None:
        """The rest of `receive_frame` for a frame that `join` has counted already."""
        self._take_lpdu(self._link.decode(octets), now)

    def _take_lpdu(self, lpdu: Lpdu | None, now: float) -> None:
        arrival = None if lpdu is None else self._network.receive(lpdu)
        delivery = None if arrival is None else self._take(arrival, now)
        if delivery is not None:
            self._carry_out(self._application.receive(delivery, now), now)

    def _carry_out(self, reset: Reset, now: float) -> None:
        if reset is not _NO_RESET:
            self.reset(now)
            self._events.append(WasReset(reset is Reset.PHYSICAL))

    def receive_error(self, now: float) -> None:
        """A frame with bad CRC ended."""
        self._link.receive_error(now)

    def on_channel(self, busy: bool, now: float) -> None:
        """Carrier sense: the line became busy or idle."""
        self._link.access.on_channel(busy, now)

    def on_collision(self, now: float) -> None:
        """The transceiver gave up our frame during its preamble."""
        frame = self._link.on_collision(now)
        if frame is not None and isinstance(frame.ticket, int):
            self._control.on_given_up(frame.ticket, now)

    def on_refused(self, now: float) -> None:
        """The frame of `frames_to_send` was not taken after all; it is handed out again when it has won access anew."""
        self._link.on_refused(now)

    def overhear(self, changes: Sequence[tuple[int, float]], packets: Sequence[tuple[Overheard, int]]) -> None:
        """Make up for a time in which this node was not told what happened on the line, none of it being for this node.

        The same as `on_channel`, `receive_frame` and `receive_error` one by one, at a fraction of the time, for simulations
        of many nodes. Allowed while this node has no frame on the line.

        Args:
            changes: see `mac.access.ChannelAccess.overhear`.
            packets: how many good frames of each kind were among them, see `mac.network.overheard`.
        """
        self._link.overhear(changes)
        for _, number in packets:
            self.statistics.frames += number
        self._network.overhear(packets)

    def line_state(self) -> LineState | None:
        """See `mac.access.ChannelAccess.line_state`."""
        return self._link.access.line_state()

    def join(self, state: LineState, good: int, bad: int, overflows: int, packets: Sequence[tuple[Overheard, int]]) -> None:
        """The same as `overhear` for a node that was in step with another one, whose state is taken over.

        Args:
            state: the other's `line_state` now; at the start of the time it was equal to ours.
            good, bad, overflows: good and bad frames and overflows of the backlog in that time.    packets: as `overhear`.
        """
        self.statistics.frames += good
        self._link.join(state, good, bad, overflows)
        self._network.overhear(packets)

    def frames_to_send(self, now: float) -> list[OutgoingFrame]:
        """At most one frame: the one that has won access and starts now."""
        return self._link.frames_to_send(now)

    def transmission_done(self, now: float) -> None:
        """Our frame has left the line."""
        frame = self._link.transmission_done(now)
        if isinstance(frame.ticket, int):
            self._control.on_sent(frame.ticket, now)

    def next_timer(self) -> float | None:
        """When to call `on_timer`."""
        return self._first(self._link.access.next_timer())

    def next_start_timer(self) -> float | None:
        """The same, without the steps of channel access that end in nothing because nothing waits; see `ChannelAccess`."""
        return self._first(self._link.access.next_start_timer())

    def _first(self, first: float | None) -> float | None:
        at = self._control.next_timer()
        if at is not None and (first is None or at < first):
            first = at
        if not self._forwarder.stalled and self._responder.checksum_check_at is None:
            return first
        times = first, self._forwarder.next_timer(), self._responder.next_timer()
        return min((at for at in times if at is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Work off the timers that ran out."""
        self._control.on_timer(now)
        self._forwarder.on_timer(now)
        self._link.access.on_timer(now)
        if self._responder.checksum_check_at is not None:
            self._carry_out(self._responder.on_timer(now), now)

    # --- messages ----------------------------------------------------------------------------------------------

    def next_event(self) -> Event | None:
        """Oldest event not taken yet."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, ResponseReceived):
            return self.variables.on_response(event)
        if isinstance(event, TransactionDone):
            self.variables.on_done(event.handle)
        return event

    @property
    def has_news(self) -> bool:
        """Whether `next_event` or `frames_to_send` would return something now."""
        return bool(self._events) or self._link.access.state is START_TX

    def send_request(
        self,
        destination: Destination,
        apdu: bytes,
        now: float,
        domain: int | DomainId = 0,
        retries: int = timers.DEFAULT_RETRIES,
        transmit_time: float = timers.transmit_time(timers.DEFAULT_REQUEST_CODE),
        max_responses: int = 1,
        backlog: int = 0,
        priority: bool = False,
        alternate: bool | None = None,
        authenticated: bool = False,
        enhanced: bool | None = None,
    ) -> int:
        """Send a request; `ResponseReceived` and `TransactionDone` carry the returned handle.

        Args:
            destination: a node, a group or a broadcast.
            apdu: message code and payload.
            domain: row of the domain table, or a domain id that stands in it.
            retries: tries after the first, 0..15.
            transmit_time: wait for the response after each try, s; counted from the end of the try on the line.
            max_responses: responses that complete a broadcast.
            backlog: answers announced by a broadcast, 0..63; 0 means 15.
            priority: use the priority queue.
            alternate: path of all tries; None: alternate path on the last two.
            authenticated: ask to be authenticated, with the key of the domain. A receiver that does not ask for the
                proof, or finds it wrong, may answer all the same.
            enhanced: with a 12-bit transaction number; None: as configured. The expanded Query Version tells whether a
                node understands them.
        """
        return self._outbox.send(
            _REQUEST,
            destination,
            apdu,
            now,
            domain,
            retries,
            transmit_time,
            max_responses=max_responses,
            backlog=backlog,
            priority=priority,
            alternate=alternate,
            authenticated=authenticated,
            enhanced=enhanced,
        )

    def send_acknowledged(
        self,
        destination: Destination,
        apdu: bytes,
        now: float,
        domain: int | DomainId = 0,
        retries: int = timers.DEFAULT_RETRIES,
        transmit_time: float = timers.transmit_time(timers.DEFAULT_TRANSMIT_CODE),
        backlog: int = 0,
        priority: bool = False,
        alternate: bool | None = None,
        authenticated: bool = False,
        enhanced: bool | None = None,
    ) -> int:
        """Send a message that each receiver acknowledges; arguments as `send_request`."""
        return self._outbox.send(
            Service.ACKNOWLEDGED,
            destination,
            apdu,
            now,
            domain,
            retries,
            transmit_time,
            backlog=backlog,
            priority=priority,
            alternate=alternate,
            authenticated=authenticated,
            enhanced=enhanced,
        )

    def send_repeated(
        self,
        destination: Destination,
        apdu: bytes,
        now: float,
        domain: int | DomainId = 0,
        repeats: int = timers.DEFAULT_RETRIES,
        repeat_time: float = timers.transmit_time(timers.DEFAULT_REPEAT_CODE),
        priority: bool = False,
        alternate: bool | None = None,
        enhanced: bool | None = None,
    ) -> int:
        """Send `repeats` + 1 copies of a message, `repeat_time` s from the end of one to the queueing of the next.

        Such a message is never authenticated: after the last copy nobody is left to answer a challenge (choice, grade D).
        """
        return self._outbox.send(
            Service.REPEATED,
            destination,
            apdu,
            now,
            domain,
            repeats,
            repeat_time,
            priority=priority,
            alternate=alternate,
            enhanced=enhanced,
        )

    def send_unacknowledged(
        self,
        destination: Destination,
        apdu: bytes,
        now: float,
        domain: int | DomainId = 0,
        priority: bool = False,
        alternate: bool = False,
    ) -> int:
        """Send a message once, without transaction number."""
        return self._outbox.send(
            Service.UNACKNOWLEDGED, destination, apdu, now, domain, 0, 0.0, priority=priority, alternate=alternate
        )

    def send_proxied(
        self,
        route: ProxyRoute,
        apdu: bytes,
        now: float,
        domain: int | DomainId = 0,
        priority: bool = False,
        authenticated: bool = False,
    ) -> int:
        """Send through other stations (enhanced proxy, LTEP); `ProxyDone` carries the returned handle, and all that is known.

        Args:
            route: stations, carriers, target and service; see `ProxyRoute`.
            apdu: message code and payload for the target, at most 103 octets.
            domain: row of the domain table, or a domain id that stands in it.
            priority: use the priority queue, in every station.
            authenticated: prove to the first station that we know its key, and let each do so to the next.
        """
        return self._source.send(route, apdu, now, domain, priority, authenticated)

    def send_service_message(self, now: float) -> None:
        """Tell unique node id and program id to everybody, from no address on the zero-length domain."""
        apdu = IdReport(self.config.unique_node_id, self.config.program_id).encode(SERVICE_MESSAGE_CODE)
        self._network.send(NO_ADDRESS, Broadcast(), DomainId(), Apdu.decode(apdu), LpduHeader(), now)

    def respond(self, request_id: int, apdu: bytes, now: float) -> None:
        """Answer a request of `RequestReceived`. Too late an answer is counted and dropped."""
        check_apdu(apdu)
        self._session.respond(request_id, apdu, now)

    def decline(self, request_id: int, now: float) -> None:
        """Leave a request unanswered for good (null response)."""
        self._session.respond(request_id, None, now)

    # --- upwards -----------------------------------------------------------------------------------------------

    def _take(self, arrival: Arrival, now: float) -> Delivery | None:
        match arrival.npdu.pdu:
            case Tpdu() as tpdu:
                return self._transport.receive(arrival, tpdu, now)
            case Spdu() as spdu:
                return self._session.receive(arrival, spdu, now)
            case AuthPdu() as pdu:
                return self._take_authentication(arrival, pdu, now)
            case Apdu() as apdu:
                return Delivery(arrival, apdu.encode(), Service.UNACKNOWLEDGED)

    def _take_authentication(self, arrival: Arrival, pdu: AuthPdu, now: float) -> Delivery | None:
        if pdu.is_challenge:
            self._control.on_challenge(arrival, pdu, now)
            return None
        record = self._challenger.on_reply(arrival, pdu, now)
        if record is None:
            return None
        if not record.arrival.authenticated:
            self._responder.node.log_error(ErrorLog.AUTHENTICATION_MISMATCH)
        return self._session.deliver(record) if isinstance(record.pdu, Spdu) else self._transport.deliver(record, now)
