"""Forwarding: carries messages on for other stations, and answers their requests with what becomes of it.

A request that is carried on ties two transactions together: the receive record of the one waits until the other has
ended. The first response to the latter answers the former, unchanged and only once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from .address import Destination, Group
from .authentication import AuthenticationKeys
from .events import ResponseReceived, Service, TransactionDone
from .network import Arrival, NetworkLayer
from .receive_record import ReceiveRecords
from .session import SessionLayer
from .statistics import Statistics
from .timers import NUMBER_LIFETIME
from .transaction import ANSWERED_SERVICES, MAX_APDU, OutgoingMessage
from .transaction_control import TransactionControl
from .transaction_header import MAX_NUMBER

DELIVERED_CODE: Final = 0x4D  # response: the target has it, and nothing more was asked for (grade L)
FAILURE_CODE: Final = 0x4C  # response: code, then the count of the station whose own transaction failed (grade L)

OUTPUT_BUFFERS: Final = 4  # messages for others that may be on their way at a time, per priority class (grade D)
STALLED_LIMIT: Final = 16  # messages for others that may wait for such a buffer (grade D)
BUFFER_WAIT: Final = 1.0  # s that a message waits for a buffer before its failure is reported (grade B)
_REMEMBERED: Final = 256  # next stations whose last message is remembered; our bound (grade D)


def failure_answer(count: int) -> bytes:
    """Answer of a station that had received `count` and could not reach the next one."""
    return bytes([FAILURE_CODE, count])


@dataclass(frozen=True, slots=True)
class Order:
    """What to send on for whom.

    Args:
        arrival: the message that is carried on.
        request_id: of its receive record; None when nobody waits for an answer.
        count: reported when this station fails.
        service, destination, apdu: what to send.
        retries: tries after the first.    interval: transmit or repeat timer, s.    last_wait: see `OutgoingMessage`.
        alternate: path of all tries.    backlog: answers announced by a broadcast.
        inherits: keep the transaction number of a request.
        auth: ask to be authenticated.    keys: to do so with, None for our own.
        keep: s for which the sender may still repeat its message when our answer gets lost.
    """

    arrival: Arrival
    request_id: int | None
    count: int
    service: Service
    destination: Destination
    apdu: bytes = field(repr=False)
    retries: int
    interval: float
    last_wait: float = 0.0
    alternate: bool = False
    backlog: int = 0
    inherits: bool = True
    auth: bool = False
    keys: AuthenticationKeys | None = None
    keep: float = 0.0

    @property
    def priority(self) -> bool:
        """Inherited."""
        return self.arrival.header.priority

    @property
    def number(self) -> int | None:
        """Transaction number to keep, if any. One of 12 bits does not fit our messages (choice, grade D)."""
        if self.request_id is None or not self.inherits or self.service is Service.UNACKNOWLEDGED:
            return None
        number: int = self.arrival.npdu.pdu.number  # type: ignore[union-attr]  # a request is an SPDU
        return number if number <= MAX_NUMBER else None


@dataclass(frozen=True, slots=True)
class _Stalled:
    order: Order
    give_up_at: float


@dataclass(frozen=True, slots=True)
class _Sent:
    """Last message to a station that inherited its number: what it was, and from whom."""

    number: int
    apdu: bytes = field(repr=False)
    origin: bytes
    forgotten_at: float


class Forwarder:
    """Keeps the messages that are under way for others.

    Args:
        network, records, session, control: layers of the node.    statistics: counters to keep.
        handles: next free handle of the node's messages.

    Attributes:
        stalled: messages that wait for a buffer.
    """

    def __init__(
        self,
        network: NetworkLayer,
        records: ReceiveRecords,
        session: SessionLayer,
        control: TransactionControl,
        statistics: Statistics,
        handles: Iterator[int],
    ) -> None:
        self._network = network
        self._records = records
        self._session = session
        self._control = control
        self._statistics = statistics
        self._handles = handles
        self._under_way: dict[int, Order] = {}
        self.stalled: deque[_Stalled] = deque()
        self._sent: dict[tuple[object, ...], _Sent] = {}

    def accept(self, order: Order, now: float) -> None:
        """Carry a message on, as soon as there is a buffer; answer "failed" when that is impossible."""
        if order.request_id is not None:
            self._records.hold(order.request_id)
        message = self._message(order)
        if message is None:
            self._answer(order, failure_answer(order.count), now)
        elif self._has_buffer(order.priority):
            self._start(order, message, now)
        elif len(self.stalled) < STALLED_LIMIT:
            self.stalled.append(_Stalled(order, now + BUFFER_WAIT))
        else:
            self._give_up(order, now)

    def next_timer(self) -> float | None:
        """When to call `on_timer`."""
        return self.stalled[0].give_up_at if self.stalled else None

    def on_timer(self, now: float) -> None:
        """Give up what has waited too long for a buffer."""
        while self.stalled and self.stalled[0].give_up_at <= now:
            self._give_up(self.stalled.popleft().order, now)

    def reset(self) -> None:
        """Forget everything."""
        self._under_way.clear()
        self.stalled.clear()
        self._sent.clear()

    def _message(self, order: Order) -> OutgoingMessage | None:
        """The message in our name, on the domain it came on, or on row 0 for one from elsewhere; None if it cannot be sent."""
        index = order.arrival.domain_index or 0
        entry = self._network.domains[index]
        if entry is None or not self._network.configured or len(order.apdu) > MAX_APDU:
            return None
        group_size, own_member = self._network.resolve_group(order.destination, index)
        is_open_group = isinstance(order.destination, Group) and group_size < 2
        if is_open_group and order.service in ANSWERED_SERVICES:
            return None
        return OutgoingMessage(
            handle=next(self._handles),
            service=order.service,
            destination=order.destination,
            domain=entry.domain,
            domain_index=index,
            source=entry.address,
            apdu=order.apdu,
            priority=order.priority,
            auth=order.auth,
            retries=order.retries,
            interval=order.interval,
            max_responses=1,
            backlog=order.backlog,
            alternate=order.alternate,
            group_size=group_size,
            own_member=own_member,
            keys=order.keys,
            number=order.number,
            last_wait=order.last_wait,
            listener=self._on_event,
        )

    def _has_buffer(self, priority: bool) -> bool:
        return sum(order.priority is priority for order in self._under_way.values()) < OUTPUT_BUFFERS

    def _start(self, order: Order, message: OutgoingMessage, now: float) -> None:
        self._under_way[message.handle] = order
        self._control.submit(self._with_fresh_number(order, message, now), now)

    def _with_fresh_number(self, order: Order, message: OutgoingMessage, now: float) -> OutgoingMessage:
        """Do not inherit a number that would make the message a duplicate of another source's.

        The next station tells its senders apart by their addresses, and here there is one, ours. If the last message
        that we sent there had the same number and the same octets but came from somebody else, it would be answered
        from the store, with the answer to the other (choice, grade D).
        """
        if message.number is None:
            return message
        key = message.priority, *message.number_key
        last = self._sent.get(key)
        if last is not None and now < last.forgotten_at:
            same_octets = last.number == message.number and last.apdu == message.apdu
            if same_octets and last.origin != order.arrival.key:
                return replace(message, number=None)
        if key not in self._sent and len(self._sent) >= _REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._sent[key] = _Sent(message.number, message.apdu, order.arrival.key, now + NUMBER_LIFETIME)
        return message

    def _on_event(self, event: ResponseReceived | TransactionDone, now: float) -> None:
        order = self._under_way.get(event.handle)
        if order is None:
            return  # a reset came in between
        if isinstance(event, ResponseReceived):
            self._answer(order, event.apdu, now)
            self._under_way[event.handle] = replace(order, request_id=None)
            return
        del self._under_way[event.handle]
        self._answer(order, bytes([DELIVERED_CODE]) if event.success else failure_answer(order.count), now)
        self._use_free_buffer(now)

    def _answer(self, order: Order, apdu: bytes, now: float) -> None:
        if order.request_id is not None:
            self._session.respond(order.request_id, apdu, now)
            self._records.release(order.request_id, now, order.keep)

    def _give_up(self, order: Order, now: float) -> None:
        self._statistics.lost += 1
        self._answer(order, failure_answer(order.count), now)

    def _use_free_buffer(self, now: float) -> None:
        """Start the oldest message that waits and may start; those whose sender has moved on are dropped."""
        waiting, self.stalled = self.stalled, deque()
        for stalled in waiting:
            order = stalled.order
            if order.request_id is not None and self._records.by_request_id(order.request_id, now) is None:
                self._statistics.lost += 1
                continue
            message = self._message(order) if self._has_buffer(order.priority) else None
            if message is None:
                self.stalled.append(stalled)
            else:
                self._start(order, message, now)


