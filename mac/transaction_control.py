"""Transaction control: one running transaction per priority class, its tries, timers and answers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from .address import Broadcast, DomainId, Group, GroupReply, SubnetNode
from .apdu import Apdu
from .authentication import oma_destination
from .authpdu import AuthPdu, AuthPduType
from .errors import DropReason
from .events import Event, ResponseReceived, Service, TransactionDone
from .link import LinkLayer
from .lpdu import LpduHeader
from .message_codes import SIGNAL_STRENGTH, success_code
from .network import Arrival, NetworkLayer
from .reception import Reception
from .spdu import Spdu
from .statistics import Statistics
from .tpdu import Tpdu
from .transaction import (
    MAX_CHALLENGERS,
    SERVICE_RULES,
    OutgoingMessage,
    ReplyTicket,
    Transaction,
    TransactionEvent,
    TransactionNumbers,
    TransactionState,
)

_SIGNAL_STRENGTH_ANSWER: Final = bytes([success_code(SIGNAL_STRENGTH)])
_REPLIES: Final = {AuthPduType.CHALLENGE: AuthPduType.REPLY, AuthPduType.CHALLENGE_OMA: AuthPduType.REPLY_OMA}
# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_IN_ACCESS: Final = TransactionState.IN_ACCESS
_UNACKNOWLEDGED: Final = Service.UNACKNOWLEDGED
_REPEATED: Final = Service.REPEATED
_REQUEST: Final = Service.REQUEST
_TRY_LEFT: Final = TransactionEvent.TRY_LEFT
_TRIES_SPENT: Final = TransactionEvent.TRIES_SPENT
_ALL_ANSWERED: Final = TransactionEvent.ALL_ANSWERED
_TURN: Final = TransactionEvent.TURN


class TransactionControl:
    """Originating side of transport and session layer.

    The transmit timer starts when the try has left the line, not when it is queued: on a line of 3.6 kb/s the wait
    for access alone may be longer than the timer (our choice, grade D). So a retry never stands in the queue behind
    an earlier copy of itself.

    Args:
        network, link: the layers below.
        statistics: counters to keep.    events: where to report.
        number_records: destinations remembered per priority class.
        silence: s without originating after power-up or reset.    started_at: instant of power-up.
        alternate_repeats: send every other copy of a repeated message over the alternate path.

    Attributes:
        own_registers: gives the transceiver's registers of the newest reception, empty when nobody knows.
    """

    def __init__(
        self,
        network: NetworkLayer,
        link: LinkLayer,
        statistics: Statistics,
        events: deque[Event],
        number_records: int,
        silence: float,
        started_at: float,
        alternate_repeats: bool,
    ) -> None:
        self._network = network
        self._link = link
        self._statistics = statistics
        self._events = events
        self.own_registers: Callable[[], bytes] = bytes
        self._numbers: Final = {priority: TransactionNumbers(number_records) for priority in (True, False)}
        self._silence = silence
        self._silent_until = started_at + silence
        self._alternate_repeats = alternate_repeats
        self._waiting: Final[dict[bool, deque[Transaction]]] = {True: deque(), False: deque()}
        self._running: Final[dict[bool, Transaction | None]] = {True: None, False: None}
        self._blocked_until: Final[dict[bool, float]] = {True: -math.inf, False: -math.inf}
        self._unnumbered: deque[OutgoingMessage] = deque()  # unacknowledged messages held back by the silence
        self._unnumbered_sent: dict[int, OutgoingMessage] = {}
        self._next_at: float | None = None  # of the next timer, asked for more often than it changes
        self._next_at_is_known = False

    def submit(self, message: OutgoingMessage, now: float) -> None:
        """Accept a message; it starts when its turn comes."""
        self._next_at_is_known = False
        if message.service is _UNACKNOWLEDGED:
            self._unnumbered.append(message)
        else:
            self._waiting[message.priority].append(Transaction(message))
        self._start_next(now)

    def next_timer(self) -> float | None:
        """When to call `on_timer`."""
        if self._next_at_is_known:
            return self._next_at
        first = self._silent_until if self._unnumbered else None
        for priority in (True, False):
            transaction = self._running[priority]
            if transaction is not None:
                at = transaction.timer_at
            elif self._waiting[priority]:
                at = max(self._silent_until, self._blocked_until[priority])
            else:
                continue
            if at is not None and (first is None or at < first):
                first = at
        self._next_at, self._next_at_is_known = first, True
        return first

    def on_timer(self, now: float) -> None:
        """Try again or give up where a timer ran out; start what had to wait."""
        if not self._network.configured:
            self._next_at_is_known = False
            self._abandon(now)  # such a node originates nothing (grade B)
        due_at = self.next_timer()
        if due_at is None or due_at > now:
            return
        self._next_at_is_known = False
        for priority in (True, False):
            transaction = self._running[priority]
            if transaction is not None and transaction.timer_at is not None and transaction.timer_at <= now:
                self._timeout(transaction, now)
        self._start_next(now)

    def on_sent(self, ticket: int, now: float) -> None:
        """A frame with this ticket has left the line."""
        self._next_at_is_known = False
        unnumbered = self._unnumbered_sent.pop(ticket, None)
        if unnumbered is not None:
            self._tell(unnumbered, TransactionDone(ticket, True, 1), now)
            return
        transaction = self._find(ticket)
        if transaction is None or transaction.state is not _IN_ACCESS:
            return
        transaction.frames_left -= 1
        if transaction.frames_left:
            return
        transaction.attempts += 1
        transaction.on(_TRY_LEFT)
        message = transaction.message
        if message.service is _REPEATED and transaction.on_last_try and not message.last_wait:
            self._finish(transaction, _TRIES_SPENT, True, now)
        else:
            transaction.timer_at = now + transaction.wait

    def on_given_up(self, ticket: int, now: float) -> None:
        """The link gave up a frame after too many collisions: the try counts as left and lost."""
        self._next_at_is_known = False
        unnumbered = self._unnumbered_sent.pop(ticket, None)
        if unnumbered is not None:
            self._tell(unnumbered, TransactionDone(ticket, False, 0), now)
            return
        self.on_sent(ticket, now)

    def on_answer(self, arrival: Arrival, pdu: Tpdu | Spdu, now: float) -> None:
        """An acknowledgement or response arrived; one that fits no running transaction is late."""
        self._next_at_is_known = False
        transaction = self._running[arrival.header.priority]
        if transaction is None or not self._fits(transaction, arrival, pdu):
            self._statistics.late_acknowledgements += 1
            self._statistics.drops[DropReason.LATE_ANSWER] += 1
            return
        if not self._is_new_answer(transaction, arrival, pdu):
            self._statistics.duplicates += 1
            return
        self._statistics.answers += 1
        transaction.answers += 1
        message = transaction.message
        if message.service is _REQUEST:
            source, domain = arrival.npdu.source, arrival.npdu.domain
            apdu = self._completed(message.apdu, pdu.apdu)
            response = ResponseReceived(message.handle, source, apdu, domain, arrival.header.alt_path)
            self._tell(message, response, now)
        if transaction.complete:
            self._finish(transaction, _ALL_ANSWERED, True, now)
            return
        transaction.on(TransactionEvent.ANSWER)
        if transaction.timer_at is not None:
            transaction.timer_at = now + transaction.wait

    def on_challenge(self, arrival: Arrival, challenge: AuthPdu, now: float) -> None:
        """Somebody wants us to prove that we sent the message of the running transaction.

        The transmit timer starts anew with the first challenge of everybody to each try; were it to do so with every
        copy, a stranger could keep the transaction alive for ever (our choice, grade D).
        """
        self._next_at_is_known = False
        transaction = self._running[arrival.header.priority]
        if transaction is None or not self._may_challenge(transaction, arrival, challenge):
            self._statistics.drops[DropReason.AUTHENTICATION] += 1
            return
        self._statistics.challenges += 1
        message, challenger = transaction.message, arrival.npdu.source
        keys = message.keys or self._network.keys
        oma = challenge.type is AuthPduType.CHALLENGE_OMA
        block = oma_destination(message.destination, message.domain) if oma else None
        value = keys.reply(challenge.value, message.apdu, message.domain_index or 0, block)
        reply = AuthPdu(_REPLIES[challenge.type], challenge.number, challenge.address_format, value, challenge.group)
        self._network.answer(arrival, message.source, reply, now, ReplyTicket(message.handle, challenger))
        is_first = transaction.challengers.get(challenger) != transaction.tries
        if is_first and transaction.timer_at is not None and message.service is not _REPEATED:
            transaction.timer_at = now + transaction.wait
        transaction.challengers[challenger] = transaction.tries

    def reset(self, now: float) -> None:
        """Give up everything, forget the numbers and be silent, as after power-up."""
        self._next_at_is_known = False
        self._abandon(now)
        for numbers in self._numbers.values():
            numbers.reset()
        self._silent_until = now + self._silence

    def _abandon(self, now: float) -> None:
        unnumbered = [*self._unnumbered, *self._unnumbered_sent.values()]
        self._unnumbered.clear()
        self._unnumbered_sent.clear()
        for message in unnumbered:
            self._link.withdraw(message.handle, now)
            self._tell(message, TransactionDone(message.handle, False, 0), now)
        for priority, queue in self._waiting.items():
            running = self._running[priority]
            abandoned = ([] if running is None else [running]) + list(queue)
            queue.clear()
            self._running[priority] = None
            for transaction in abandoned:
                transaction.on(TransactionEvent.ABORT)
                self._link.withdraw(transaction.message.handle, now)
                self._report(transaction, False, now)

    def _find(self, ticket: int) -> Transaction | None:
        for transaction in self._running.values():
            if transaction is not None and transaction.message.handle == ticket:
                return transaction
        return None

    def _start_next(self, now: float) -> None:
        if now < self._silent_until or not self._network.configured:
            return
        while self._unnumbered:
            self._send_unnumbered(self._unnumbered.popleft(), now)
        for priority, queue in self._waiting.items():
            if queue and self._running[priority] is None:
                number = self._number_for(queue[0].message, now)
                if number is None:
                    self._blocked_until[priority] = self._numbers[priority].free_at()
                    continue
                transaction = queue.popleft()
                transaction.number = number
                transaction.on(_TURN)
                self._running[priority] = transaction
                self._send_try(transaction, now)

    def _number_for(self, message: OutgoingMessage, now: float) -> int | None:
        numbers = self._numbers[message.priority]
        if message.number is None:
            return numbers.allocate(message.number_key, now, message.number_limit)
        numbers.inherit(message.number, message.number_key, now)
        return message.number

    def _send_unnumbered(self, message: OutgoingMessage, now: float) -> None:
        header = LpduHeader(message.priority, bool(message.alternate), 0)
        pdu = Apdu.decode(message.apdu)
        self._unnumbered_sent[message.handle] = message
        self._network.send(message.source, message.destination, message.domain, pdu, header, now, message.handle)

    def _send_try(self, transaction: Transaction, now: float) -> None:
        message, try_index = transaction.message, transaction.tries
        frames = transaction.frames_of_try(try_index)
        transaction.tries += 1
        transaction.frames_left = len(frames)
        transaction.timer_at = None
        if try_index:
            self._statistics.transmit_retries += 1
        alternate = transaction.takes_alternate_path(try_index, self._alternate_repeats)
        for pdu, delta_backlog in frames:
            header = LpduHeader(message.priority, alternate, delta_backlog)
            self._network.send(
                message.source, message.destination, message.domain, pdu, header, now, message.handle, message.version
            )

    def _timeout(self, transaction: Transaction, now: float) -> None:
        if not transaction.on_last_try:
            transaction.on(TransactionEvent.TIMEOUT)
            self._send_try(transaction, now)
            return
        self._finish(transaction, _TRIES_SPENT, transaction.successful, now)

    def _finish(self, transaction: Transaction, event: TransactionEvent, success: bool, now: float) -> None:
        in_access = transaction.state is _IN_ACCESS
        transaction.on(event)
        transaction.timer_at = None
        self._running[transaction.message.priority] = None
        if in_access:
            self._link.withdraw(transaction.message.handle, now)
        for challenger in transaction.challengers:
            self._link.withdraw(ReplyTicket(transaction.message.handle, challenger), now)
        if not success:
            self._statistics.transaction_timeouts += 1
        self._report(transaction, success, now)
        self._start_next(now)

    def _report(self, transaction: Transaction, success: bool, now: float) -> None:
        message = transaction.message
        self._tell(message, TransactionDone(message.handle, success, transaction.attempts, transaction.answers), now)

    def _tell(self, message: OutgoingMessage, event: ResponseReceived | TransactionDone, now: float) -> None:
        if message.listener is None:
            self._events.append(event)
        else:
            message.listener(event, now)

    def _fits(self, transaction: Transaction, arrival: Arrival, pdu: Tpdu | Spdu) -> bool:
        """Current number, right kind of answer, same domain, and from somebody who was asked."""
        if pdu.type is not SERVICE_RULES[transaction.message.service].answer:
            return False
        return self._was_asked(transaction, arrival, pdu.number)

    def _may_challenge(self, transaction: Transaction, arrival: Arrival, challenge: AuthPdu) -> bool:
        """Current number, same domain and destination, from somebody who was asked, and we did ask for it."""
        message = transaction.message
        to = message.destination
        if not message.auth or challenge.address_format != to.FORMAT:
            return False
        if isinstance(to, Group) and challenge.group != to.group:
            return False
        if len(transaction.challengers) >= MAX_CHALLENGERS and arrival.npdu.source not in transaction.challengers:
            return False
        return self._was_asked(transaction, arrival, challenge.number)

    def _was_asked(self, transaction: Transaction, arrival: Arrival, number: int) -> bool:
        """Whether this comes from somebody to whom the running transaction went, under its number and domain."""
        message = transaction.message
        if not transaction.attempts or number != transaction.number or arrival.npdu.version != message.version:
            return False
        if not self._same_domain(message, arrival):
            return False
        source, to = arrival.npdu.source, arrival.npdu.destination
        match message.destination:
            case SubnetNode() as addressed:
                return isinstance(to, SubnetNode) and source == addressed
            case Group(group):
                if not isinstance(to, GroupReply) or to.group != group:
                    return False
                return to.member != message.own_member and to.member < message.group_size
            case Broadcast(subnet):
                return isinstance(to, SubnetNode) and (subnet == 0 or source.subnet in (subnet, 0))
        return isinstance(to, SubnetNode)

    def _completed(self, request: bytes, response: bytes) -> bytes:
        """What the stack that asked for signal strength adds to the registers of the target: its own."""
        asked = request[0] == SIGNAL_STRENGTH and response[:1] == _SIGNAL_STRENGTH_ANSWER
        if asked and len(response) == 1 + Reception.LENGTH:
            return response + self.own_registers()
        return response

    @staticmethod
    def _same_domain(message: OutgoingMessage, arrival: Arrival) -> bool:
        domain: DomainId = arrival.npdu.domain
        return arrival.domain_index == message.domain_index and domain == message.domain

    @staticmethod
    def _is_new_answer(transaction: Transaction, arrival: Arrival, pdu: Tpdu | Spdu) -> bool:
        """Tell a second copy of an answer from an answer of somebody else.

        Answers to a broadcast are the same when source and octets are: nodes without an address all answer from
        0/0 (our choice, grade D).
        """
        to = arrival.npdu.destination
        if isinstance(to, GroupReply):
            if to.member in transaction.members:
                return False
            transaction.members.add(to.member)
        elif isinstance(transaction.message.destination, Broadcast):
            answer = arrival.npdu.source, pdu.apdu
            if answer in transaction.responses:
                return False
            transaction.responses.add(answer)
        return True
