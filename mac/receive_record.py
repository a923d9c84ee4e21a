"""Receive transaction records: how a node recognises the duplicate of a message it already has."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from .address import NO_ADDRESS, Broadcast, SubnetNode, UniqueId
from .authpdu import AuthPdu
from .errors import DropReason
from .network import Arrival
from .spdu import Spdu
from .statistics import Statistics
from .timers import UNIQUE_ID_RECEIVE_TIME, receive_time
from .tpdu import Tpdu


class RecordState(Enum):
    """How far a received message has come."""

    AUTHENTICATING = auto()  # challenged, the reply has not come yet
    DELIVERED = auto()
    RESPONDED = auto()
    DONE = auto()


@dataclass(slots=True)
class ReceiveRecord:
    """One received message and what became of it.

    Attributes:
        arrival: the packet of the first copy; its alternate-path bit is set once a later copy had it.
        pdu: TPDU or SPDU of the first copy.
        expires_at: end of the record, s; not prolonged by duplicates.
        response: stored response, sent again for a duplicate.
        request_id: names the record to the application.
        without_address: answer from 0/0 whatever our address is.
        challenge: 8 octets sent to whoever wants to be authenticated; not shown by `repr`.
    """

    arrival: Arrival
    pdu: Tpdu | Spdu
    expires_at: float
    request_id: int
    state: RecordState = RecordState.DELIVERED
    response: bytes | None = None
    without_address: bool = False
    challenge: bytes = field(default=b"", repr=False)

    def is_duplicate(self, pdu: Tpdu | Spdu, version: int) -> bool:
        """Same number, same layer, same octets; anything else is a new message (grade L)."""
        own = self.pdu
        return (
            pdu.number == own.number
            and pdu.apdu == own.apdu
            and type(pdu) is type(own)
            and version == self.arrival.npdu.version
        )

    @property
    def answer_source(self) -> SubnetNode:
        """Our address in answers: the one we had when the message came."""
        return NO_ADDRESS if self.without_address else self.arrival.own_address

    @property
    def ticket(self) -> int:
        """Names the answers of this record to the link layer; negative, own messages have positive ones."""
        return -self.request_id

    def note_alternate_path(self) -> None:
        """A copy came over the alternate path: answers take it from now on."""
        self.arrival = replace(self.arrival, header=replace(self.arrival.header, alt_path=True))

    def note_authenticated(self) -> None:
        """The sender has shown that it knows the key."""
        self.arrival = replace(self.arrival, authenticated=True)


# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_AUTHENTICATING: Final = RecordState.AUTHENTICATING
_DELIVERED: Final = RecordState.DELIVERED


class ReceiveRecords:
    """The table of records, one per sender and way of addressing.

    Args:
        size: number of records; a message that finds none free is lost.
        receive_code: code 0..15 of the receive timer for messages not addressed to a group or unique id.
        statistics: counters to keep.
    """

    def __init__(self, size: int, receive_code: int, statistics: Statistics) -> None:
        self._size: Final = size
        self.receive_code = receive_code
        self._statistics = statistics
        self._records: dict[bytes, ReceiveRecord] = {}
        self._by_request_id: dict[int, ReceiveRecord] = {}
        self._room_at = -math.inf  # no record ends before; so a full table is not searched for every message
        self._next_request_id = 1

    def find(self, arrival: Arrival, now: float) -> ReceiveRecord | None:
        """Living record of this sender, or None."""
        record = self._records.get(arrival.key)
        return record if record is not None and now < record.expires_at else None

    def awaiting_reply(self, arrival: Arrival, reply: AuthPdu, now: float) -> ReceiveRecord | None:
        """Living record whose challenge this replies to, or None.

        A reply travels in format 2a and names the format of the message in question, and its group. For a broadcast
        it may name the subnet; if it does not, the message to our subnet comes before that to the domain.
        """
        if type(arrival.npdu.destination) is not SubnetNode:
            return None
        for key in _keys_of_reply(arrival, reply):
            record = self._records.get(key)
            if (
                record is not None
                and record.state is _AUTHENTICATING
                and record.pdu.number == reply.number
                and record.arrival.npdu.version == arrival.npdu.version
                and now < record.expires_at
            ):
                return record
        return None

    def accept(self, arrival: Arrival, pdu: Tpdu | Spdu, now: float) -> tuple[ReceiveRecord, bool] | None:
        """Record of this message and whether it is new; None when the table is full."""
        key = arrival.key
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= self._size and not self._make_room(now):
                self._statistics.receive_transaction_full += 1
                self._statistics.drops[DropReason.NO_RECEIVE_RECORD] += 1
                return None
        elif now < record.expires_at and record.is_duplicate(pdu, arrival.npdu.version):
            if arrival.header.alt_path and not record.arrival.header.alt_path:
                record.note_alternate_path()
            return record, False
        else:
            del self._by_request_id[record.request_id]
        record = ReceiveRecord(arrival, pdu, now + self._lifetime(arrival), self._next_request_id)
        self._next_request_id += 1
        self._records[key] = self._by_request_id[record.request_id] = record
        return record, True

    def by_request_id(self, request_id: int, now: float) -> ReceiveRecord | None:
        """Living record of a request still without an answer."""
        record = self._by_request_id.get(request_id)
        if record is None or now >= record.expires_at or record.state is not _DELIVERED:
            return None
        return record

    def hold(self, request_id: int) -> None:
        """Keep a record, however long its answer takes, while the request is carried on to another station."""
        record = self._by_request_id.get(request_id)
        if record is not None:
            record.expires_at = math.inf

    def release(self, request_id: int, now: float, keep: float = 0.0) -> None:
        """Let a held record end a receive time from now, or `keep` s if that is longer."""
        record = self._by_request_id.get(request_id)
        if record is not None:
            record.expires_at = now + max(keep, self._lifetime(record.arrival))
            self._room_at = min(self._room_at, record.expires_at)

    def was_issued(self, request_id: int) -> bool:
        """Whether this id was ever given to the application."""
        return 0 < request_id < self._next_request_id

    def clear(self) -> None:
        """Forget everything, as after a reset."""
        self._records.clear()
        self._by_request_id.clear()

    def _lifetime(self, arrival: Arrival) -> float:
        if isinstance(arrival.npdu.destination, UniqueId):
            return UNIQUE_ID_RECEIVE_TIME
        return receive_time(self.receive_code if arrival.member is None else arrival.member.receive_code)

    def _make_room(self, now: float) -> bool:
        if now < self._room_at:
            return False
        self._records = {key: record for key, record in self._records.items() if now < record.expires_at}
        self._by_request_id = {record.request_id: record for record in self._records.values()}
        self._room_at = min((record.expires_at for record in self._records.values()), default=now)
        return len(self._records) < self._size


def _keys_of_reply(arrival: Arrival, reply: AuthPdu) -> list[bytes]:
    """Keys that the record in question may have."""
    if reply.address_format == Broadcast.FORMAT:
        parts = (arrival.own_address.subnet, 0) if reply.group is None else (reply.group,)
    else:
        parts = (reply.group or 0,)
    return [arrival.key_of(reply.address_format, part) for part in parts]
