"""The procedure mailbox: BT07 starts a procedure, a result table holds its outcome. Table data is little endian.

    writer                                        result table
    optical port, power line, local               BT08
    MEP client 1                                  ET59 when its flag ET50.clients[0].et59_response is set, else BT08
    MEP client 2                                  ET85

Order of the checks: octets, sequence number (0x04), hardware lock (0x03), rights, number, then the procedure itself. Rules of
the guides (grade A); a key that may write BT07 but not start the procedure gets result 5 (grade D).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..access import AccessLevel, Port, Session
from ..errors import TableError
from ..firmware import has
from ..procedure import HEADER, NUMBER_MASK, ProcedureSpec, procedure
from ..services import ResultCode
from ..store import TableStore
from ..table import table
from .quirks import MEP_PROCEDURE_NUMBERS, Quirks
from .subsystem import Procedure, ProcedureResult

RESULT_TABLES: Final = ("BT08", "ET59", "ET85")
AFTER_LOGON: Final = 255  # the first number after an optical logon must differ from it; grade A
READ_ONLY_PROCEDURES: Final = frozenset((10, 2064))  # BP10 and EP16; open to RK unless ET04.71.0 forbids; grade A
FALLBACK_PARAMETERS: Final = 255  # octets, when BT00 does not say
FALLBACK_RESPONSE: Final = 12


class ProcedureMailbox:
    """Runs what is written into BT07 and posts the result. A procedure that is not there is answered UNKNOWN_PROCEDURE.

    Args:
        locked: numbers of procedures that nobody may start (the hardware lock).
    """

    def __init__(self, store: TableStore, quirks: Quirks, locked: frozenset[int] = frozenset()) -> None:
        self._store, self._quirks, self._locked = store, quirks, locked
        self._procedures: dict[int, Procedure] = {}
        self._last: dict[str, int] = {}  # sequence number by result table

    def add(self, procedures: Mapping[int, Procedure]) -> None:
        """Know procedures by number (EPn = 2048 + n); a later one takes the place of an earlier one."""
        self._procedures.update(procedures)

    def known(self) -> tuple[int, ...]:
        """Numbers of the procedures that this firmware has."""
        return tuple(number for number in self._procedures if self._has(number))

    def _has(self, number: int) -> bool:
        spec = _spec(number)
        return spec is None or not spec.since or has(spec.since, self._store.context.firmware)

    def logged_on(self) -> None:
        """A session on the optical port began."""
        self._last["BT08"] = AFTER_LOGON

    def result_table(self, session: Session) -> str:
        """Where the results of a session's procedures are posted."""
        if session.port is Port.MEP2 and "ET85" in self._store:
            return "ET85"
        if session.port is Port.MEP1 and "ET59" in self._store and "ET50" in self._store:
            try:
                if self._store["ET50.clients[0].et59_response"]:
                    return "ET59"
            except TableError:
                return "BT08"
        return "BT08"

    def may_write(self, number: int, session: Session) -> bool:
        """Whether a session may write BT07 at all, the read-only key for its two procedures included."""
        if self._store.writable("BT07", session.level):
            return True
        if session.level is not AccessLevel.RK or number not in READ_ONLY_PROCEDURES or self._store.locked("BT07"):
            return False
        return "ET04" in self._store and not self._store["ET04.rk_clock_access"]

    def start(self, data: bytes, session: Session, now: float, *, in_transaction: bool = False) -> ResultCode:
        """`data`: what was written into BT07. A repeated sequence number is refused with 0x04 (grade A).

        Parameters beyond BT00.procedure_param_length are cut off, but not inside a transaction.
        """
        number, sequence = int.from_bytes(data[:2], "little") & NUMBER_MASK, data[2] if len(data) >= HEADER else 0
        if not self.may_write(number, session):
            return ResultCode.INSUFFICIENT_SECURITY
        if len(data) < HEADER:
            return ResultCode.OPERATION_NOT_POSSIBLE
        where = self.result_table(session)
        if sequence == self._last.get(where) or not self._number_fits(sequence, session):
            return ResultCode.OPERATION_NOT_POSSIBLE
        if number in self._locked:
            return ResultCode.INSUFFICIENT_SECURITY
        self._last[where] = sequence
        parameters = data[HEADER:] if in_transaction else data[HEADER : HEADER + self._limit("procedure_param_length")]
        result, answer = self._run(number, parameters, session, now)
        self._post(where, number, sequence, result, answer)
        return ResultCode.OK

    def _number_fits(self, sequence: int, session: Session) -> bool:
        mep = session.port in (Port.MEP1, Port.MEP2)
        return not (mep and self._quirks.strict_procedure_numbers) or sequence in MEP_PROCEDURE_NUMBERS

    def _run(self, number: int, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        run, spec = self._procedures.get(number), _spec(number)
        if run is None or not self._has(number):
            return ProcedureResult.UNKNOWN_PROCEDURE, b""
        if spec is not None and not spec.allowed(session.level):
            return ProcedureResult.NOT_AUTHORISED, b""
        try:
            return run(parameters, session, now)
        except TableError:  # parameters that are too short or hold impossible values
            return ProcedureResult.INVALID_PARAMETER, b""

    def _limit(self, name: str) -> int:
        fallback = FALLBACK_PARAMETERS if name == "procedure_param_length" else FALLBACK_RESPONSE
        try:
            return int(self._store[f"BT00.{name}"])
        except TableError:
            return fallback

    def _post(self, where: str, number: int, sequence: int, result: ProcedureResult, data: bytes) -> None:
        values = {
            "procedure_number": number,
            "sequence_number": sequence,
            "result_code": int(result),
            "response_data": data[: self._limit("response_data_length")],
        }
        self._store.put(where, table(where).encode(values, self._store.context))
        if result not in (ProcedureResult.COMPLETED, ProcedureResult.ACCEPTED) and "ET54" in self._store:
            # The codes are not published; the low half holds the result code: grade D. Firmware before 4.10 has no such field.
            self._store.update("ET54", {"extended_failure": number << 16 | int(result)})

    def renew(self, number: int, sequence: int, result: ProcedureResult, data: bytes, session: Session) -> None:
        """Post a later result of a procedure whose first result still stands."""
        where = self.result_table(session)
        octets = self._store.octets(where)
        if (int.from_bytes(octets[:2], "little") & NUMBER_MASK, octets[2]) == (number, sequence):
            self._post(where, number, sequence, result, data)


def _spec(number: int) -> ProcedureSpec | None:
    try:
        return procedure(number)
    except TableError:
        return None
