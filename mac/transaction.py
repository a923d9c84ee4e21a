"""Own transactions: their numbers, their states, and the frames of each try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Final, NamedTuple

from .address import Broadcast, Destination, DomainId, Group, SubnetNode
from .authentication import AuthenticationKeys
from .errors import LocalProtocolError
from .events import ResponseReceived, Service, TransactionDone
from .member_list import encode_members
from .npdu import ENHANCED_VERSION, NORMAL_VERSION
from .spdu import Spdu, SpduType
from .timers import NUMBER_LIFETIME
from .tpdu import Tpdu, TpduType
from .transaction_header import MAX_ENHANCED_NUMBER, MAX_NUMBER

MAX_APDU: Final = 229  # octets with the code: largest buffers of the stacks read for this (grade B)
ANSWERED_SERVICES: Final = frozenset({Service.REQUEST, Service.ACKNOWLEDGED})
DEFAULT_BROADCAST_BACKLOG: Final = 15  # announced by a broadcast that expects answers, when nothing else is given (L)
_LAST_MEMBER_IN_REM_MSG: Final = 15  # beyond, the member list goes into a REMINDER of its own (grade L)
MAX_CHALLENGERS: Final = 64  # of one message: as many as a group has members; our bound (grade D)
_ALTERNATE_TRIES: Final = 2  # how many of the last tries take the alternate path (grade B, L)

Listener = Callable[[ResponseReceived | TransactionDone, float], None]
"""Takes what happens to a message, and when."""


class TransactionNumbers:
    """Numbers of one priority class: 0 once after reset, then 1..15 in turn, one counter for all destinations.

    In enhanced mode they go up to 4095 and have a counter of their own (our choice, grade D: the stacks read for this
    originate no such numbers). A number last used towards the same destination is skipped. A destination is
    remembered for 24 s; when the table is full of younger ones, a new destination must wait.

    Args:
        size: destinations remembered. The source that was read has 10; a larger table only removes the wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.reset()

    def reset(self) -> None:
        """As after power-up."""
        self._next = {MAX_NUMBER: 0, MAX_ENHANCED_NUMBER: 0}
        self._last: dict[object, tuple[int, float]] = {}

    def allocate(self, destination: object, now: float, limit: int = MAX_NUMBER) -> int | None:
        """Number 0..limit (15 or 4095) for a new transaction, or None when the destination must wait (see `free_at`)."""
        if destination not in self._last and len(self._last) >= self._size:
            self._last = {key: entry for key, entry in self._last.items() if now < entry[1]}
            if len(self._last) >= self._size:
                return None
        number = self._next[limit]
        last = self._last.get(destination)
        if last is not None and last[0] == number and now < last[1]:
            number = number % limit + 1
        self._last[destination] = number, now + NUMBER_LIFETIME
        self._next[limit] = number % limit + 1
        return number

    def inherit(self, number: int, destination: object, now: float) -> None:
        """Use this number for a transaction that continues another one; the next own transaction uses its successor."""
        if destination in self._last or len(self._last) < self._size:
            self._last[destination] = number, now + NUMBER_LIFETIME
        self._next[MAX_NUMBER] = number % MAX_NUMBER + 1

    def free_at(self) -> float:
        """When the oldest destination will be forgotten."""
        return min(forgotten_at for _, forgotten_at in self._last.values())


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message on its way, with everything its service needs.

    Args:
        handle: names the message to the user.
        service: one of the four services.
        source: our subnet/node on the domain.    domain_index: row of the domain table, None for a flex domain.
        auth: ask to be authenticated.
        retries: tries after the first (copies after the first for the repeated service), 0..15.
        interval: transmit or repeat timer, s.
        max_responses: answers after which a broadcast request is complete.
        backlog: answers that a broadcast announces; 0 means 15.
        alternate: path of all tries; None: the rule of the last two tries.
        group_size, own_member: of a multicast.
        keys: keys to authenticate with; None: those of the domain table when the challenge comes.
        version: of the NPDU, 0 or 2 for a 12-bit transaction number.
        number: transaction number inherited from the message that this one continues; None: the next own one.
        last_wait: s added to the wait after the last try; after the last copy of a repeated message the whole wait.
        listener: takes what happens to the message; None: the node's user does.
    """

    handle: int
    service: Service
    destination: Destination
    domain: DomainId
    domain_index: int | None
    source: SubnetNode
    apdu: bytes
    priority: bool
    auth: bool
    retries: int
    interval: float
    max_responses: int
    backlog: int
    alternate: bool | None
    group_size: int = 0
    own_member: int | None = None
    keys: AuthenticationKeys | None = None
    version: int = NORMAL_VERSION
    number: int | None = None
    last_wait: float = 0.0
    listener: Listener | None = None

    @property
    def number_key(self) -> tuple[object, ...]:
        """Destination as the number table sees it: domain, address type, address."""
        return self.domain, type(self.destination), self.destination

    @property
    def number_limit(self) -> int:
        """Highest transaction number that fits its NPDU."""
        return MAX_ENHANCED_NUMBER if self.version == ENHANCED_VERSION else MAX_NUMBER


class ReplyTicket(NamedTuple):
    """Names the reply to a challenge to the link layer."""

    handle: int
    challenger: SubnetNode


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """PDUs of a service with transaction numbers; None where the service has no such PDU."""

    message: Callable[..., Tpdu | Spdu]
    reminder: Callable[..., Tpdu | Spdu] | None = None
    rem_msg: Callable[..., Tpdu | Spdu] | None = None
    answer: TpduType | SpduType | None = None


SERVICE_RULES: Final = {
    Service.ACKNOWLEDGED: ServiceRule(
        partial(Tpdu, TpduType.ACKD), partial(Tpdu, TpduType.REMINDER), partial(Tpdu, TpduType.REM_MSG), TpduType.ACK
    ),
    Service.REQUEST: ServiceRule(
        partial(Spdu, SpduType.REQUEST),
        partial(Spdu, SpduType.REMINDER),
        partial(Spdu, SpduType.REM_MSG),
        SpduType.RESPONSE,
    ),
    Service.REPEATED: ServiceRule(partial(Tpdu, TpduType.UNACKD_RPT)),
}


class TransactionState(Enum):
    """Where a transaction is."""

    __hash__ = object.__hash__  # that of Enum is ten times slower, and the table is asked several times a message

    WAITING_FOR_TURN = auto()  # another transaction of its class runs, or the node is silent after reset
    IN_ACCESS = auto()  # a try waits for the line or is on it
    TIMER_RUNS = auto()  # the try has left, answers may come
    DONE = auto()


class TransactionEvent(Enum):
    """What may happen to it."""

    __hash__ = object.__hash__

    TURN = auto()
    TRY_LEFT = auto()
    ANSWER = auto()  # one of several expected
    ALL_ANSWERED = auto()
    TIMEOUT = auto()  # tries left
    TRIES_SPENT = auto()
    ABORT = auto()  # reset


TRANSITIONS: Final[dict[tuple[TransactionState, TransactionEvent], TransactionState]] = {
    (TransactionState.WAITING_FOR_TURN, TransactionEvent.TURN): TransactionState.IN_ACCESS,
    (TransactionState.IN_ACCESS, TransactionEvent.TRY_LEFT): TransactionState.TIMER_RUNS,
    (TransactionState.IN_ACCESS, TransactionEvent.ANSWER): TransactionState.IN_ACCESS,  # to an earlier try
    (TransactionState.IN_ACCESS, TransactionEvent.ALL_ANSWERED): TransactionState.DONE,
    (TransactionState.IN_ACCESS, TransactionEvent.TRIES_SPENT): TransactionState.DONE,  # last try given up by the link
    (TransactionState.TIMER_RUNS, TransactionEvent.ANSWER): TransactionState.TIMER_RUNS,
    (TransactionState.TIMER_RUNS, TransactionEvent.ALL_ANSWERED): TransactionState.DONE,
    (TransactionState.TIMER_RUNS, TransactionEvent.TIMEOUT): TransactionState.IN_ACCESS,
    (TransactionState.TIMER_RUNS, TransactionEvent.TRIES_SPENT): TransactionState.DONE,
    (TransactionState.WAITING_FOR_TURN, TransactionEvent.ABORT): TransactionState.DONE,
    (TransactionState.IN_ACCESS, TransactionEvent.ABORT): TransactionState.DONE,
    (TransactionState.TIMER_RUNS, TransactionEvent.ABORT): TransactionState.DONE,
}

_AFTER: Final = {
    event: {state: after for (state, what), after in TRANSITIONS.items() if what is event} for event in TransactionEvent
}
# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_REPEATED: Final = Service.REPEATED
_REQUEST: Final = Service.REQUEST


def next_state(state: TransactionState, event: TransactionEvent) -> TransactionState:
    """State after `event`; refuses pairs that the table does not hold."""
    try:
        return _AFTER[event][state]
    except KeyError:
        raise LocalProtocolError(f"{event.name} while {state.name}") from None


@dataclass(slots=True)
class Transaction:
    """A message with a transaction number, while it runs.

    Attributes:
        attempts: tries that left on the line.
        tries: tries started.    frames_left: frames of the present try that have not left yet.
        timer_at: end of the transmit or repeat timer, s.
        members: group members that have answered.    responses: answers of a broadcast, to know a repeated one.
        answers: how many answers counted.
        challengers: who challenged us, and the last try they did so for.
    """

    message: OutgoingMessage
    number: int = 0
    state: TransactionState = TransactionState.WAITING_FOR_TURN
    attempts: int = 0
    tries: int = 0
    frames_left: int = 0
    timer_at: float | None = None
    members: set[int] = field(default_factory=set)
    responses: set[tuple[SubnetNode, bytes]] = field(default_factory=set)
    answers: int = 0
    challengers: dict[SubnetNode, int] = field(default_factory=dict)

    def on(self, event: TransactionEvent) -> None:
        """Step through the table."""
        self.state = next_state(self.state, event)

    @property
    def on_last_try(self) -> bool:
        """The present try is the last one."""
        return self.tries > self.message.retries

    @property
    def wait(self) -> float:
        """How long to wait after the present try, s."""
        message = self.message
        if not self.on_last_try:
            return message.interval
        return message.last_wait + (0.0 if message.service is _REPEATED else message.interval)

    @property
    def expected_answers(self) -> int:
        """Answers that complete the transaction."""
        match self.message.destination:
            case Group():
                return self.message.group_size - 1
            case Broadcast() if self.message.service is _REQUEST:
                return self.message.max_responses
        return 1

    @property
    def complete(self) -> bool:
        """Nothing more is expected."""
        return self.answers >= self.expected_answers

    @property
    def successful(self) -> bool:
        """Good enough when the tries are spent: complete, at least one answer to a broadcast, or none wanted."""
        if self.message.service is _REPEATED:
            return True
        return self.complete or (isinstance(self.message.destination, Broadcast) and self.answers > 0)

    def takes_alternate_path(self, try_index: int, alternate_repeats: bool) -> bool:
        """Path of a try, counted from 0.

        Acknowledged and request services take the alternate path on the last two tries; repeated messages only
        when `alternate_repeats` asks for every other copy to do so (grade D).
        """
        if self.message.alternate is not None:
            return self.message.alternate
        if self.message.service is _REPEATED:
            return alternate_repeats and try_index % 2 == 1
        return try_index + _ALTERNATE_TRIES > self.message.retries

    def frames_of_try(self, try_index: int) -> list[tuple[Tpdu | Spdu, int]]:
        """PDUs of a try and the delta backlog of each."""
        message, rule = self.message, SERVICE_RULES[self.message.service]
        plain = rule.message(self.number, message.auth, message.apdu)
        if rule.rem_msg is None or rule.reminder is None:
            return [(plain, message.retries if try_index == 0 else 0)]
        match message.destination:
            case Broadcast():
                return [(plain, message.backlog or DEFAULT_BROADCAST_BACKLOG)]
            case Group():
                outstanding = self.expected_answers - self.answers
                if try_index == 0:
                    return [(plain, outstanding)]
                m_list = encode_members(self.members)
                if max(self.members, default=0) > _LAST_MEMBER_IN_REM_MSG:
                    return [(rule.reminder(self.number, message.auth, m_list=m_list), 0), (plain, outstanding)]
                return [(rule.rem_msg(self.number, message.auth, message.apdu, m_list), outstanding)]
        return [(plain, 1)]
