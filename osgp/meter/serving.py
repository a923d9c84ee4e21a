"""Requests of any port become responses: decode, rights, tables, procedures. Knows no transport.

    PDU --> service --> table there? rights? --> refresh or check_write --> store --> written --> Response
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from functools import cache
from typing import Final

from ..access import Session
from ..errors import DecodeError, TableError, UnknownService
from ..indexing import element_range
from ..layout import any_fixed
from ..names import table_id, table_number
from ..services import (
    INDEXED_READS,
    INDEXED_WRITES,
    MAX_COUNT,
    OTHER_SERVICES,
    DefaultRead,
    FullRead,
    FullWrite,
    IndexedRead,
    IndexedWrite,
    PartialRead,
    PartialWrite,
    Response,
    ResultCode,
    Service,
    TableRequest,
    decode_request,
)
from ..store import TableStore
from ..table import PENDING, PENDING_HEADER, table
from .events import MeterEvent, RefusalReason, RequestDenied, RequestServed
from .faults import FaultInjection
from .pending import PendingTables
from .procedures import ProcedureMailbox
from .quirks import Quirks
from .subsystem import Subsystem

_REASONS: Final = {
    ResultCode.INAPPROPRIATE_ACTION: RefusalReason.NO_SUCH_TABLE,
    ResultCode.INSUFFICIENT_SECURITY: RefusalReason.NO_ACCESS,
    ResultCode.SERVICE_NOT_SUPPORTED: RefusalReason.UNSUPPORTED_SERVICE,
}


@dataclass(frozen=True, slots=True)
class _Refused(Exception):
    code: ResultCode


class RequestServer:
    """The tables of one meter behind rights.

    Attributes:
        refusals: refused requests by reason.    served: requests carried out.
    """

    def __init__(
        self,
        store: TableStore,
        mailbox: ProcedureMailbox,
        subsystems: tuple[Subsystem, ...],
        events: deque[MeterEvent],
        quirks: Quirks,
    ) -> None:
        self.refusals: Counter[RefusalReason] = Counter()
        self.served = 0
        self._store, self._mailbox, self._events, self._quirks = store, mailbox, events, quirks
        self._unsupported = set(OTHER_SERVICES)
        if not quirks.indexed_access:
            self._unsupported.update(INDEXED_READS, INDEXED_WRITES)
        if quirks.default_table is None:
            self._unsupported.add(Service.DEFAULT_READ)
        self._pending = next((one for one in subsystems if isinstance(one, PendingTables)), None)
        self._faults = next((one for one in subsystems if isinstance(one, FaultInjection)), None)
        self._live = {identifier: subsystem for subsystem in subsystems for identifier in subsystem.live}
        self._watchers: dict[str, tuple[Subsystem, ...]] = {}
        for subsystem in subsystems:
            for identifier in subsystem.watches:
                self._watchers[identifier] = (*self._watchers.get(identifier, ()), subsystem)

    def is_saved(self, identifier: str) -> bool:
        """Whether the octets of a table are part of the saved state: they do not age, or others write into them."""
        subsystem = self._live.get(identifier)
        return subsystem is None or identifier in subsystem.kept

    def refresh(self, identifier: str, now: float) -> None:
        """Bring a table up to date before it is read."""
        subsystem = self._live.get(identifier)
        if subsystem is not None:
            subsystem.refresh(identifier, now)

    def deny(self, reason: RefusalReason, result: ResultCode | None, octets: bytes, session: Session, now: float) -> None:
        """Count and report a refusal."""
        self.refusals[reason] += 1
        self._events.append(RequestDenied(now, reason, result, octets, session.port))

    def serve(
        self, pdu: bytes, session: Session, now: float, max_response: int, *, in_transaction: bool = False
    ) -> Response:
        """Carry out one request PDU; never raises for what is in it."""
        if pdu and pdu[0] in self._unsupported:
            return self._refuse(RefusalReason.UNSUPPORTED_SERVICE, ResultCode.SERVICE_NOT_SUPPORTED, pdu, session, now)
        try:
            request = decode_request(pdu)
        except UnknownService:
            return self._refuse(RefusalReason.UNKNOWN_SERVICE, ResultCode.ERROR, pdu, session, now)
        except DecodeError:
            return self._refuse(RefusalReason.MALFORMED, ResultCode.ERROR, pdu, session, now)
        try:
            request = self._plain(request, session, now)
            identifier = table_id(request.table)
            if isinstance(request, FullRead | PartialRead):
                response = self._read(identifier, request, session, now)
            else:
                response = self._write(identifier, request, session, now, in_transaction)
        except _Refused as refused:
            reason = _REASONS.get(refused.code, RefusalReason.NOT_POSSIBLE)
            return self._refuse(reason, refused.code, pdu, session, now)
        if self._faults is not None and response.data is not None:
            offset = request.offset if isinstance(request, PartialRead) else 0
            response = Response(response.result, self._faults.spoil(identifier, offset, response.data, now))
        if response.data is not None and 3 + len(response.data) > max_response:
            # What a real meter says here is not published; grade D.
            return self._refuse(RefusalReason.ANSWER_TOO_LONG, ResultCode.OPERATION_NOT_POSSIBLE, pdu, session, now)
        self.served += 1
        self._events.append(RequestServed(now, pdu[0], request.table, port=session.port))
        return response

    def _refuse(self, reason: RefusalReason, code: ResultCode, pdu: bytes, session: Session, now: float) -> Response:
        self.deny(reason, code, pdu, session, now)
        return Response(code)

    def _plain(self, request: TableRequest, session: Session, now: float) -> FullRead | PartialRead | FullWrite | PartialWrite:
        """The indexed and default forms as requests by offset."""
        if isinstance(request, DefaultRead):
            return FullRead(table_number(self._quirks.default_table or ""))
        if not isinstance(request, IndexedRead | IndexedWrite):
            return request
        identifier = table_id(request.table)
        direction = isinstance(request, IndexedRead)
        self._check(identifier, session, read=direction)
        spec = table(identifier)
        if not spec.documented or spec.pending:
            raise _Refused(ResultCode.SERVICE_NOT_SUPPORTED)
        if direction:
            self.refresh(identifier, now)
        try:
            layout = self._store.context.layout(identifier)
        except TableError:
            raise _Refused(ResultCode.OPERATION_NOT_POSSIBLE) from None
        place = element_range(spec, layout, request.indices, request.count if isinstance(request, IndexedRead) else 1)
        if place is None:
            raise _Refused(ResultCode.OPERATION_NOT_POSSIBLE)
        if isinstance(request, IndexedRead):
            return PartialRead(request.table, place[0], min(place[1], MAX_COUNT))
        return PartialWrite(request.table, place[0], request.data)

    def _check(self, identifier: str, session: Session, *, read: bool) -> None:
        """Whether the table is there and the session may do that."""
        if identifier not in self._store:
            raise _Refused(ResultCode.INAPPROPRIATE_ACTION)
        may = self._store.readable if read else self._store.writable
        if not may(identifier, session.level):
            raise _Refused(ResultCode.INSUFFICIENT_SECURITY)

    def _read(self, identifier: str, request: FullRead | PartialRead, session: Session, now: float) -> Response:
        self._check(identifier, session, read=True)
        self.refresh(identifier, now)
        store = self._store
        if isinstance(request, PartialRead):
            if request.table >= PENDING:
                return Response(ResultCode.OK, _pending_piece(store.octets(identifier), request.offset, request.count))
            return Response(ResultCode.OK, store.read(identifier, request.offset, request.count))
        length = store.length(identifier)
        limit = self._quirks.full_read_limit
        if length > MAX_COUNT or (limit and length > limit):
            raise _Refused(ResultCode.OPERATION_NOT_POSSIBLE)
        return Response(ResultCode.OK, store.octets(identifier)[: self._quirks.full_read_cut.get(identifier, length)])

    def _write(
        self, identifier: str, request: FullWrite | PartialWrite, session: Session, now: float, in_transaction: bool
    ) -> Response:
        offset = request.offset if isinstance(request, PartialWrite) else 0
        if identifier == "BT07" and identifier in self._store:
            if offset:
                self._check(identifier, session, read=False)
                raise _Refused(ResultCode.OPERATION_NOT_POSSIBLE)
            code = self._mailbox.start(request.data, session, now, in_transaction=in_transaction)
        elif request.table >= PENDING and self._pending is not None:
            self._check(identifier, session, read=False)
            code = self._pending.stage(identifier, offset, request.data, session, now)
        else:
            self._check(identifier, session, read=False)
            code = self.write(identifier, offset, request.data, session, now)
        if code is not ResultCode.OK:
            raise _Refused(code)
        return Response(code)

    def write(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> ResultCode:
        """A write whose rights have been checked: asks the subsystems that watch the table, stores, tells them.

        Fields that are fixed for a firmware (vci F, P: dimensions among them) keep their value, without an error; grade D.
        """
        watchers = self._watchers.get(identifier, ())
        for subsystem in watchers:
            code = subsystem.check_write(identifier, offset, octets, session, now)
            if code is not ResultCode.OK:
                return code
        stored = self._store.write(identifier, offset, self._without_fixed(identifier, offset, octets))
        for subsystem in watchers:
            subsystem.written(identifier, offset, stored, session, now)
        return ResultCode.OK

    def _without_fixed(self, identifier: str, offset: int, octets: bytes) -> bytes:
        if not _has_fixed(identifier):
            return octets
        try:
            layout = self._store.context.layout(identifier)
        except TableError:
            return octets
        octets = octets[: max(0, self._store.length(identifier) - offset)]
        return layout.keep_fixed(offset, octets, self._store.read(identifier, offset, len(octets)))


@cache
def _has_fixed(identifier: str) -> bool:
    """Whether a table has fields that never change under one firmware."""
    return any_fixed(table(identifier).fields)


def _pending_piece(octets: bytes, offset: int, count: int) -> bytes:
    """A partial read of a pending copy: the count includes the event description in front, the offset does not; grade A."""
    piece = octets[:PENDING_HEADER] + octets[PENDING_HEADER + offset :]
    return piece[:count].ljust(count, b"\0")
