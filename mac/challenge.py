"""Challenging side of authentication: holds a message back until its sender has shown that it knows the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .authentication import CHALLENGE_LENGTH, OMA_TYPE, oma_destination, same
from .authpdu import AuthPdu, AuthPduType
from .errors import DropReason
from .network import Arrival, NetworkLayer
from .receive_record import ReceiveRecord, ReceiveRecords, RecordState
from .statistics import Statistics

_KINDS: Final = {False: (AuthPduType.CHALLENGE, AuthPduType.REPLY), True: (AuthPduType.CHALLENGE_OMA, AuthPduType.REPLY_OMA)}


class Challenger:
    """Issues challenges and judges the replies.

    A message whose reply is wrong is delivered all the same, marked as not authenticated, and acknowledged (grade L):
    whether it may do anything is for the application and network management to say.

    Args:
        network, records, statistics: as of the other layers.
        draw: gives so many octets that nobody can foresee.
    """

    def __init__(
        self, network: NetworkLayer, records: ReceiveRecords, statistics: Statistics, draw: Callable[[int], bytes]
    ) -> None:
        self._network = network
        self._records = records
        self._statistics = statistics
        self._draw = draw

    def holds(self, record: ReceiveRecord, is_new: bool, now: float) -> bool:
        """Whether a message waits for a reply; sends the challenge, for a duplicate the same one again.

        On a domain that is not in the table nobody is challenged: there is no key, and senders ignore challenges
        there (grade B).
        """
        if is_new and record.pdu.auth and record.arrival.domain_index is not None:
            record.state = RecordState.AUTHENTICATING
            record.challenge = self._draw(CHALLENGE_LENGTH)
        if record.state is not RecordState.AUTHENTICATING:
            return False
        if is_new:
            self._statistics.held += 1
        else:
            self._statistics.duplicates += 1
        kind, _ = _KINDS[self._uses_oma]
        arrival = record.arrival
        group = None if arrival.member is None else arrival.member.group
        address_format = arrival.npdu.destination.FORMAT
        challenge = AuthPdu(kind, record.pdu.number, address_format, record.challenge, group)
        self._network.answer(arrival, record.answer_source, challenge, now, record.ticket)
        return True

    def on_reply(self, arrival: Arrival, pdu: AuthPdu, now: float) -> ReceiveRecord | None:
        """A reply arrived; returns the record whose message may now be delivered."""
        record = self._records.awaiting_reply(arrival, pdu, now)
        if record is None:
            self._statistics.drops[DropReason.AUTHENTICATION] += 1
            return None
        record.state = RecordState.DELIVERED
        if self._is_right(record, pdu):
            record.note_authenticated()
        return record

    @property
    def _uses_oma(self) -> bool:
        """Row 0 of the domain table decides for both rows (grade L)."""
        entry = self._network.domains[0]
        return entry is not None and entry.authentication_type == OMA_TYPE

    def _is_right(self, record: ReceiveRecord, pdu: AuthPdu) -> bool:
        index = record.arrival.domain_index
        oma = self._uses_oma
        if index is None or pdu.type is not _KINDS[oma][1]:
            return False
        npdu = record.arrival.npdu
        block = oma_destination(npdu.destination, npdu.domain) if oma else None
        expected = self._network.keys.reply(record.challenge, record.pdu.apdu, index, block)
        return same(expected, pdu.value)
