"""The procedure mailbox: BT07 starts a procedure, BT08 holds its result. Layouts in osgp/spec; table data little endian."""

from __future__ import annotations

from collections.abc import Mapping

from ..access import Session
from ..services import ResultCode
from ..store import TableStore
from ..table import table
from .subsystem import Procedure, ProcedureResult

NUMBER_MASK = 0x0FFF  # bits 0..11 of the first two octets; 12..15 are response handling


class ProcedureMailbox:
    """Runs what is written into BT07 and posts BT08. A procedure that is not there is answered UNKNOWN_PROCEDURE."""

    def __init__(self) -> None:
        self._procedures: dict[int, Procedure] = {}
        self._last: int | None = None

    def add(self, procedures: Mapping[int, Procedure]) -> None:
        """Know procedures by number (EPn = 2048 + n); a later one takes the place of an earlier one."""
        self._procedures.update(procedures)

    def known(self) -> tuple[int, ...]:
        """Numbers of the procedures."""
        return tuple(self._procedures)

    def start(self, data: bytes, store: TableStore, session: Session, now: float) -> ResultCode:
        """`data`: what was written into BT07. A repeated procedure sequence number is refused with 0x04 (grade A)."""
        if len(data) < 3:
            return ResultCode.OPERATION_NOT_POSSIBLE
        number, sequence = int.from_bytes(data[:2], "little") & NUMBER_MASK, data[2]
        if sequence == self._last:
            return ResultCode.OPERATION_NOT_POSSIBLE
        self._last = sequence
        procedure = self._procedures.get(number)
        result, answer = ProcedureResult.UNKNOWN_PROCEDURE, b""
        if procedure is not None:
            result, answer = procedure(data[3:], session, now)
        self.post(number, sequence, result, answer, store)
        return ResultCode.OK

    def post(self, number: int, sequence: int, result: ProcedureResult, data: bytes, store: TableStore) -> None:
        """Write the result table."""
        values = {
            "procedure_number": number,
            "sequence_number": sequence,
            "result_code": int(result),
            "response_data": data,
        }
        store.put("BT08", table("BT08").encode(values, store.context))

    def renew(self, number: int, sequence: int, result: ProcedureResult, data: bytes, store: TableStore) -> None:
        """Post a later result of a procedure whose first result still stands."""
        octets = store.octets("BT08")
        if (int.from_bytes(octets[:2], "little") & NUMBER_MASK, octets[2]) == (number, sequence):
            self.post(number, sequence, result, data, store)
