"""Transport layer, receiving side: acknowledged and repeated messages, acknowledgements, reminders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .challenge import Challenger
from .errors import DropReason
from .events import Service
from .member_list import has_answered
from .network import Arrival, NetworkLayer
from .receive_record import ReceiveRecord, ReceiveRecords, RecordState
from .spdu import Spdu
from .statistics import Statistics
from .tpdu import Tpdu, TpduType
from .transaction_control import TransactionControl


@dataclass(frozen=True, slots=True)
class Delivery:
    """A new message for the application layer; request_id is None when no answer is wanted."""

    arrival: Arrival
    apdu: bytes
    service: Service
    auth_asked: bool = False
    request_id: int | None = None


class TransportLayer:
    """Takes TPDUs, acknowledges, and delivers each message once."""

    def __init__(
        self,
        network: NetworkLayer,
        records: ReceiveRecords,
        challenger: Challenger,
        control: TransactionControl,
        statistics: Statistics,
    ) -> None:
        self._network = network
        self._records = records
        self._challenger = challenger
        self._control = control
        self._statistics = statistics
        self._receivers: Final[dict[TpduType, Callable[[Arrival, Tpdu, float], Delivery | None]]] = {
            TpduType.ACKD: self._on_message,
            TpduType.UNACKD_RPT: self._on_message,
            TpduType.ACK: self._on_ack,
            TpduType.REMINDER: self._on_reminder,
            TpduType.REM_MSG: self._on_rem_msg,
        }

    def receive(self, arrival: Arrival, tpdu: Tpdu, now: float) -> Delivery | None:
        """Process a TPDU; returns the message when it is a new one."""
        return self._receivers[tpdu.type](arrival, tpdu, now)

    def deliver(self, record: ReceiveRecord, now: float) -> Delivery:
        """A message that need not wait, or no longer, for its sender to be authenticated."""
        repeated = record.pdu.type is TpduType.UNACKD_RPT
        if not repeated:
            self._acknowledge(record, now)
        service = Service.REPEATED if repeated else Service.ACKNOWLEDGED
        return Delivery(record.arrival, record.pdu.apdu, service, record.pdu.auth)

    def _on_message(self, arrival: Arrival, tpdu: Tpdu, now: float) -> Delivery | None:
        accepted = self._records.accept(arrival, tpdu, now)
        if accepted is None:
            return None
        record, is_new = accepted
        if self._challenger.holds(record, is_new, now):
            return None
        if is_new:
            return self.deliver(record, now)
        self._statistics.duplicates += 1
        if tpdu.type is not TpduType.UNACKD_RPT and record.state is RecordState.DELIVERED:
            self._acknowledge(record, now)
        return None

    def _on_ack(self, arrival: Arrival, tpdu: Tpdu, now: float) -> None:
        self._control.on_answer(arrival, tpdu, now)

    def _on_reminder(self, arrival: Arrival, tpdu: Tpdu, now: float) -> None:
        if settle_by_reminder(self._records, arrival, tpdu, now):
            self._statistics.reminders += 1
        else:
            self._statistics.drops[DropReason.STRAY_REMINDER] += 1

    def _on_rem_msg(self, arrival: Arrival, tpdu: Tpdu, now: float) -> Delivery | None:
        settle_by_reminder(self._records, arrival, tpdu, now)
        return self._on_message(arrival, tpdu, now)

    def _acknowledge(self, record: ReceiveRecord, now: float) -> None:
        ack = Tpdu(TpduType.ACK, record.pdu.number)
        self._network.answer(record.arrival, record.answer_source, ack, now, record.ticket)


def settle_by_reminder(records: ReceiveRecords, arrival: Arrival, pdu: Tpdu | Spdu, now: float) -> bool:
    """Close the record of a message whose sender says it has our answer; False when there is no such record.

    An own bit of 0 changes nothing here: the message that comes with the reminder, or after it, is then a
    duplicate and answered again.
    """
    record = records.find(arrival, now)
    if record is None or type(record.pdu) is not type(pdu) or record.pdu.number != pdu.number:
        return False
    if record.arrival.npdu.version != arrival.npdu.version:
        return False
    if isinstance(record.pdu, Tpdu) and record.pdu.type is TpduType.UNACKD_RPT:
        return False
    if arrival.member is not None and has_answered(pdu.m_list, arrival.member.member):
        record.state = RecordState.DONE
    return True
