"""What a meter tells its surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..access import Port
from ..services import ResultCode


class RefusalReason(Enum):
    """Why a request was not carried out."""

    NOT_OSGP = "another message code"
    TRUNCATED = "too short for a tag"
    TOO_LONG = "longer than a message may be"
    BAD_DIGEST = "wrong digest or tag"
    REPLAYED = "sequence number used before"
    SEQUENCE_AHEAD = "sequence number too far ahead"
    UNSUPPORTED_SERVICE = "a service of another port"
    UNKNOWN_SERVICE = "no service"
    MALFORMED = "fields do not fit the service"
    LOCKED_OUT = "the port is locked after failed authentications"
    NOT_AUTHENTICATED = "the network layer did not authenticate the sender"
    NOT_COMMISSIONED = "no commissioning message that can be answered"
    KEY_EXHAUSTED = "the key has been used as often as it may"
    BROADCAST_WINDOW = "a broadcast outside the window"
    NO_SUCH_TABLE = "no such table"
    NO_ACCESS = "key may not do that"
    ANSWER_TOO_LONG = "the answer does not fit a message"
    NOT_POSSIBLE = "operation not possible now"


@dataclass(frozen=True, slots=True)
class RequestDenied:
    """A request was refused and counted. `result` is None when it was not answered at all."""

    at: float
    reason: RefusalReason
    result: ResultCode | None
    request: bytes
    port: Port = Port.PLC


@dataclass(frozen=True, slots=True)
class RequestServed:
    """A request was carried out. `service`: 0x30, 0x3F, 0x40, 0x4F. `repeated`: the stored response was sent again."""

    at: float
    service: int
    table: int
    repeated: bool = False
    port: Port = Port.PLC


MeterEvent = RequestDenied | RequestServed
