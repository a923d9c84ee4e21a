"""Session layer, receiving side: requests with their stored responses, and responses to our own requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .challenge import Challenger
from .errors import DropReason, LocalProtocolError
from .events import Service
from .network import Arrival, NetworkLayer
from .receive_record import ReceiveRecord, ReceiveRecords, RecordState
from .spdu import Spdu, SpduType
from .statistics import Statistics
from .transaction_control import TransactionControl
from .transport import Delivery, settle_by_reminder

# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_REQUEST: Final = Service.REQUEST
_RESPONSE: Final = SpduType.RESPONSE
_RESPONDED: Final = RecordState.RESPONDED


class SessionLayer:
    """Takes SPDUs, delivers each request once, and repeats the stored response for its duplicates."""

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
        self._receivers: Final[dict[SpduType, Callable[[Arrival, Spdu, float], Delivery | None]]] = {
            SpduType.REQUEST: self._on_request,
            SpduType.RESPONSE: self._on_response,
            SpduType.REMINDER: self._on_reminder,
            SpduType.REM_MSG: self._on_rem_msg,
        }

    def receive(self, arrival: Arrival, spdu: Spdu, now: float) -> Delivery | None:
        """Process an SPDU; returns the request when it is a new one."""
        return self._receivers[spdu.type](arrival, spdu, now)

    def deliver(self, record: ReceiveRecord) -> Delivery:
        """A request that need not wait, or no longer, for its sender to be authenticated."""
        return Delivery(record.arrival, record.pdu.apdu, _REQUEST, record.pdu.auth, record.request_id)

    def respond(self, request_id: int, apdu: bytes | None, now: float, without_address: bool = False) -> None:
        """Answer a request; None is the null response, after which duplicates stay unanswered too.

        A response that comes after the end of its receive record, or a second one, is counted and dropped.
        `without_address` sends it from 0/0, as Query Status with flex response wants.
        """
        if not self._records.was_issued(request_id):
            raise LocalProtocolError(f"request id {request_id} was never given out")
        record = self._records.by_request_id(request_id, now)
        if record is None:
            self._statistics.drops[DropReason.LATE_RESPONSE] += 1
            return
        if apdu is None:
            record.state = RecordState.DONE
            return
        record.response = apdu
        record.without_address = without_address
        record.state = _RESPONDED
        self._send_response(record, now)

    def _on_request(self, arrival: Arrival, spdu: Spdu, now: float) -> Delivery | None:
        accepted = self._records.accept(arrival, spdu, now)
        if accepted is None:
            return None
        record, is_new = accepted
        if self._challenger.holds(record, is_new, now):
            return None
        if is_new:
            return self.deliver(record)
        self._statistics.duplicates += 1
        if record.state is _RESPONDED:
            self._send_response(record, now)
        return None

    def _on_response(self, arrival: Arrival, spdu: Spdu, now: float) -> None:
        self._control.on_answer(arrival, spdu, now)

    def _on_reminder(self, arrival: Arrival, spdu: Spdu, now: float) -> None:
        if settle_by_reminder(self._records, arrival, spdu, now):
            self._statistics.reminders += 1
        else:
            self._statistics.drops[DropReason.STRAY_REMINDER] += 1

    def _on_rem_msg(self, arrival: Arrival, spdu: Spdu, now: float) -> Delivery | None:
        settle_by_reminder(self._records, arrival, spdu, now)
        return self._on_request(arrival, spdu, now)

    def _send_response(self, record: ReceiveRecord, now: float) -> None:
        if record.response is not None:
            pdu = Spdu(_RESPONSE, record.pdu.number, apdu=record.response)
            self._network.answer(record.arrival, record.answer_source, pdu, now, record.ticket)
