"""States and events of channel access, and the table that ties them: predictive p-persistent CSMA."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from .errors import LocalProtocolError


class AccessState(Enum):
    """Where the node is in the packet cycle."""

    __hash__ = object.__hash__  # that of Enum is ten times slower, and the table is asked several times a packet

    BUSY = auto()
    BETA1 = auto()
    PRIORITY_WAIT = auto()
    PRIORITY_IDLE = auto()
    RANDOM_IDLE = auto()
    RANDOM_WAIT = auto()
    START_TX = auto()


# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
BUSY, BETA1, PRIORITY_WAIT, PRIORITY_IDLE, RANDOM_IDLE, RANDOM_WAIT, START_TX = AccessState


class AccessEvent(Enum):
    """What may happen to it."""

    __hash__ = object.__hash__

    CARRIER = auto()  # the line became busy
    LINE_IDLE = auto()  # the line became idle
    PRIORITY_TURN = auto()  # beta1 over, a priority packet may use its slot
    AREA_BEGINS = auto()  # beta1 over, otherwise
    PACKET_DRAWS = auto()  # a packet is ready and draws a slot
    NOTHING_TO_SEND = auto()
    SLOT_REACHED = auto()
    ACCEPTED = auto()  # the frame was taken and goes on the line


CARRIER, LINE_IDLE, PRIORITY_TURN, AREA_BEGINS, PACKET_DRAWS, NOTHING_TO_SEND, SLOT_REACHED, ACCEPTED = AccessEvent

_IDLE_STATES: Final = tuple(state for state in AccessState if state is not AccessState.BUSY)

TRANSITIONS: Final[dict[tuple[AccessState, AccessEvent], AccessState]] = {
    (AccessState.BUSY, AccessEvent.CARRIER): AccessState.BUSY,
    (AccessState.BUSY, AccessEvent.LINE_IDLE): AccessState.BETA1,
    (AccessState.BETA1, AccessEvent.PRIORITY_TURN): AccessState.PRIORITY_WAIT,
    (AccessState.BETA1, AccessEvent.AREA_BEGINS): AccessState.PRIORITY_IDLE,
    (AccessState.PRIORITY_WAIT, AccessEvent.SLOT_REACHED): AccessState.START_TX,
    (AccessState.PRIORITY_WAIT, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    (AccessState.PRIORITY_IDLE, AccessEvent.PACKET_DRAWS): AccessState.RANDOM_WAIT,
    (AccessState.PRIORITY_IDLE, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    (AccessState.RANDOM_IDLE, AccessEvent.PACKET_DRAWS): AccessState.RANDOM_WAIT,
    (AccessState.RANDOM_WAIT, AccessEvent.SLOT_REACHED): AccessState.START_TX,
    (AccessState.RANDOM_WAIT, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    (AccessState.START_TX, AccessEvent.ACCEPTED): AccessState.BUSY,
    (AccessState.START_TX, AccessEvent.NOTHING_TO_SEND): AccessState.RANDOM_IDLE,
    **{(state, AccessEvent.CARRIER): AccessState.BUSY for state in _IDLE_STATES},
}


AFTER: Final = {event: {state: after for (state, what), after in TRANSITIONS.items() if what is event} for event in AccessEvent}


def next_state(state: AccessState, event: AccessEvent) -> AccessState:
    """State after `event`; refuses pairs that the table does not hold."""
    try:
        return AFTER[event][state]
    except KeyError:
        raise LocalProtocolError(f"{event.name} while {state.name}") from None
