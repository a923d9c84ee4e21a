"""Requests of any port become responses: decode, rights, tables, procedures. Knows no transport.

    PDU --> service --> table there? rights? --> refresh or check_write --> store --> written --> Response
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from ..access import Session
from ..errors import DecodeError, UnknownService
from ..services import (
    OTHER_SERVICES,
    FullRead,
    PartialRead,
    PartialWrite,
    Response,
    ResultCode,
    TableRequest,
    decode_request,
)
from ..store import TableStore, allowed
from ..table import table_id
from .events import MeterEvent, RefusalReason, RequestDenied, RequestServed
from .procedures import ProcedureMailbox
from .subsystem import Subsystem

_REASONS: Final = {
    ResultCode.INAPPROPRIATE_ACTION: RefusalReason.NO_SUCH_TABLE,
    ResultCode.INSUFFICIENT_SECURITY: RefusalReason.NO_ACCESS,
}


class RequestServer:
    """The tables of one meter behind rights.

    Attributes:
        refusals: refused requests by reason.    served: requests carried out.
    """

    def __init__(
        self, store: TableStore, mailbox: ProcedureMailbox, subsystems: tuple[Subsystem, ...], events: deque[MeterEvent]
    ) -> None:
        self.refusals: Counter[RefusalReason] = Counter()
        self.served = 0
        self._store, self._mailbox, self._events = store, mailbox, events
        self._live = {identifier: subsystem for subsystem in subsystems for identifier in subsystem.live}
        self._watchers: dict[str, tuple[Subsystem, ...]] = {}
        for subsystem in subsystems:
            for identifier in subsystem.watches:
                self._watchers[identifier] = (*self._watchers.get(identifier, ()), subsystem)

    def is_live(self, identifier: str) -> bool:
        """Whether the octets of a table age by themselves."""
        return identifier in self._live

    def refresh(self, identifier: str, now: float) -> None:
        """Bring a table up to date before it is read."""
        subsystem = self._live.get(identifier)
        if subsystem is not None:
            subsystem.refresh(identifier, now)

    def deny(self, reason: RefusalReason, result: ResultCode | None, octets: bytes, session: Session, now: float) -> None:
        """Count and report a refusal."""
        self.refusals[reason] += 1
        self._events.append(RequestDenied(now, reason, result, octets, session.port))

    def serve(self, pdu: bytes, session: Session, now: float, max_response: int) -> Response:
        """Carry out one request PDU; never raises for what is in it."""
        try:
            request = decode_request(pdu)
        except UnknownService:
            if pdu[0] in OTHER_SERVICES:
                return self._refuse(RefusalReason.UNSUPPORTED_SERVICE, ResultCode.SERVICE_NOT_SUPPORTED, pdu, session, now)
            return self._refuse(RefusalReason.UNKNOWN_SERVICE, ResultCode.ERROR, pdu, session, now)
        except DecodeError:
            return self._refuse(RefusalReason.MALFORMED, ResultCode.ERROR, pdu, session, now)
        response = self._carry_out(request, session, now)
        if response.result is not ResultCode.OK:
            reason = _REASONS.get(response.result, RefusalReason.NOT_POSSIBLE)
            return self._refuse(reason, response.result, pdu, session, now)
        if response.data is not None and 3 + len(response.data) > max_response:
            # What a real meter says here is not published; grade D.
            return self._refuse(RefusalReason.ANSWER_TOO_LONG, ResultCode.OPERATION_NOT_POSSIBLE, pdu, session, now)
        self.served += 1
        self._events.append(RequestServed(now, pdu[0], request.table, port=session.port))
        return response

    def _refuse(self, reason: RefusalReason, code: ResultCode, pdu: bytes, session: Session, now: float) -> Response:
        self.deny(reason, code, pdu, session, now)
        return Response(code)

    def _carry_out(self, request: TableRequest, session: Session, now: float) -> Response:
        identifier, store = table_id(request.table), self._store
        if identifier not in store:
            return Response(ResultCode.INAPPROPRIATE_ACTION)
        if isinstance(request, FullRead | PartialRead):
            if not allowed(identifier, "read", session.level):
                return Response(ResultCode.INSUFFICIENT_SECURITY)
            self.refresh(identifier, now)
            if isinstance(request, FullRead):
                return Response(ResultCode.OK, store.octets(identifier))
            return Response(ResultCode.OK, store.read(identifier, request.offset, request.count))
        if not store.writable(identifier, session.level):
            return Response(ResultCode.INSUFFICIENT_SECURITY)
        offset = request.offset if isinstance(request, PartialWrite) else 0
        if identifier == "BT07":
            if offset:
                return Response(ResultCode.OPERATION_NOT_POSSIBLE)
            return Response(self._mailbox.start(request.data, store, session, now))
        return Response(self.write(identifier, offset, request.data, session, now))

    def write(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> ResultCode:
        """A write whose rights have been checked: asks the subsystems that watch the table, stores, tells them."""
        watchers = self._watchers.get(identifier, ())
        for subsystem in watchers:
            code = subsystem.check_write(identifier, offset, octets, session, now)
            if code is not ResultCode.OK:
                return code
        stored = self._store.write(identifier, offset, octets)
        for subsystem in watchers:
            subsystem.written(identifier, offset, stored, session, now)
        return ResultCode.OK
