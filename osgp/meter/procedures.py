"""The procedure mailbox: BT07 starts a procedure, BT08 holds its result. Layouts in osgp/spec; table data little endian."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

from ..services import ResultCode
from ..store import TableStore
from ..table import table


class ProcedureResult(IntEnum):
    """Result codes of BT08; grade A. 7 and above belong to the procedure."""

    COMPLETED = 0
    ACCEPTED = 1
    INVALID_PARAMETER = 2
    CONFLICTS_WITH_SETUP = 3
    TIMING_CONSTRAINT = 4
    NOT_AUTHORISED = 5
    UNKNOWN_PROCEDURE = 6


# A procedure takes its parameters and gives result and response data.
Procedure = Callable[[bytes], tuple[ProcedureResult, bytes]]


class ProcedureMailbox:
    """Runs what is written into BT07 and posts BT08. A procedure that is not there is answered UNKNOWN_PROCEDURE.

    Args:
        procedures: by procedure number (EPn = 2048 + n).
    """

    def __init__(self, procedures: Mapping[int, Procedure] | None = None) -> None:
        self._procedures = dict(procedures or {})
        self._last: int | None = None

    def start(self, data: bytes, store: TableStore) -> ResultCode:
        """`data`: what was written into BT07. A repeated procedure sequence number is refused with 0x04 (grade A)."""
        if len(data) < 3:
            return ResultCode.OPERATION_NOT_POSSIBLE
        number, sequence = int.from_bytes(data[:2], "little") & 0xFFF, data[2]
        if sequence == self._last:
            return ResultCode.OPERATION_NOT_POSSIBLE
        self._last = sequence
        procedure = self._procedures.get(number)
        result, answer = ProcedureResult.UNKNOWN_PROCEDURE, b""
        if procedure is not None:
            result, answer = procedure(data[3:])
        spec = table("BT08")
        names = [field.name for field in spec.fields if not field.filler]
        values = {
            "procedure_number": number,
            "sequence_number": sequence,
            "result_code": int(result),
            "response_data": answer,
        }
        assert set(values) <= set(names), names
        store.put("BT08", spec.encode(values, store.context))
        return ResultCode.OK
