"""The meter engine: measures, keeps tables and answers requests. Sans I/O; time is an argument.

    now ---> load model ---> registers, present values ---> tables
    request ---> length, digest, sequence number, service, access ---> tables ---> response
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from ..errors import DecodeError, UnknownService
from ..plc import MESSAGE_CODE, RequestMessage, seal_response
from ..security import OmaSuite, SequenceWindow
from ..security.oma import DIGEST_OCTETS
from ..services import (
    OTHER_SERVICES,
    FullWrite,
    PartialWrite,
    Response,
    ResultCode,
    TableRequest,
    decode_request,
)
from ..store import AccessLevel, TableStore
from ..table import table_id
from .config import MeterConfig
from .contents import LIVE, fill, put_clocks, put_present, put_registers, put_system
from .events import MeterEvent, RefusalReason, RequestDenied, RequestServed
from .load import Household, LoadModel
from .mains import present_values
from .procedures import ProcedureMailbox
from .registers import Registers

EVENTS_KEPT: Final = 1000  # when nobody asks for events the oldest are lost

_REASONS: Final = {
    ResultCode.INAPPROPRIATE_ACTION: RefusalReason.NO_SUCH_TABLE,
    ResultCode.INSUFFICIENT_SECURITY: RefusalReason.NO_ACCESS,
    ResultCode.OPERATION_NOT_POSSIBLE: RefusalReason.NOT_POSSIBLE,
}


class Meter:
    """A device on the power line that measures a home.

    Attributes:
        config: as given.    store: its tables.    registers: its billing registers.
        refusals: refused requests by reason.    served: requests carried out.    repeats: stored responses sent again.

    Example:
        meter = Meter(MeterConfig(serial="42"))
        answer = meter.receive_request(request, subnet=1, node=2, now=10.0)
    """

    def __init__(self, config: MeterConfig | None = None) -> None:
        self.config = config or MeterConfig()
        self.refusals: Counter[RefusalReason] = Counter()
        self.served = 0
        self.repeats = 0
        self._now = 0.0
        self._origin = self.config.second_of_day()
        self._load: LoadModel = self.config.load or Household(
            self.config.seed, phases=self.config.phases, pv_peak=self.config.pv_peak, size=self.config.size
        )
        self.registers = Registers(self._load, self._origin, self.config.initial_registers, self.config.tariff)
        self._suite = OmaSuite(self.config.key)
        self._sequence = SequenceWindow(self.config.sequence, self.config.sequence_window)
        self._address = (0, 0)
        self._last: tuple[bytes, bytes, float] | None = None  # request, response, instant
        self._mailbox = ProcedureMailbox()
        self._events: deque[MeterEvent] = deque(maxlen=EVENTS_KEPT)
        self.store = TableStore(self.config.locked)
        fill(self.store, self.config)
        for identifier in LIVE:
            self._refresh(identifier)

    @property
    def now(self) -> float:
        """The last instant the meter was told, s since it started."""
        return self._now

    @property
    def sequence(self) -> int:
        """The last sequence number used."""
        return self._sequence.last

    def advance(self, now: float) -> None:
        """Measure up to `now`. An instant before the last one changes nothing."""
        if now > self._now:
            self._now = now
            self.registers.advance(self._origin + now)

    def next_event(self) -> MeterEvent | None:
        """What happened, oldest first; None when there is nothing."""
        return self._events.popleft() if self._events else None

    def table_octets(self, identifier: str, now: float) -> bytes:
        """Table data as a reader would get it at that instant; KeyError when the meter lacks the table."""
        self.advance(now)
        self._refresh(identifier)
        return self.store.octets(identifier)

    def receive_request(self, request: bytes, subnet: int, node: int, now: float) -> bytes | None:
        """Answer a 14908 application PDU (message code 0x00 to digest) sent to subnet/node; None: no answer.

        Refusals are answered with their code and counted: 0x01 malformed, 0x02 service of another port, 0x03 access,
        0x05 no such table, 0x0B digest, 0x0C sequence number (with the last one used). Never raises for what is in `request`.
        """
        self.advance(now)
        address = (subnet, node)
        if not request or request[0] != MESSAGE_CODE:
            self._count(RefusalReason.NOT_OSGP, None, request)
            return None
        try:
            message = RequestMessage.decode(request)
        except DecodeError:
            # Nothing tells who sent it; the digest of the answer covers what arrived.
            return self._deny(RefusalReason.TRUNCATED, ResultCode.ERROR, request, request, address)
        covered = message.covered
        if len(request) > self.config.limits.apdu:
            return self._deny(RefusalReason.TOO_LONG, ResultCode.ERROR, request, covered, address)
        if not message.authentic(self._suite, subnet, node):
            return self._deny(RefusalReason.BAD_DIGEST, ResultCode.AUTHENTICATION_FAILURE, request, covered, address)
        if self._last is not None and self._last[0] == request and self._now - self._last[2] <= self.config.repeat_time:
            self.repeats += 1
            self._events.append(RequestServed(self._now, message.pdu[0], _table_of(message.pdu), repeated=True))
            return self._last[1]
        before = self._sequence.last
        if not self._sequence.accept(message.sequence):
            ahead = (message.sequence - before) & 0xFFFFFFFF
            reason = RefusalReason.SEQUENCE_AHEAD if 0 < ahead < 1 << 31 else RefusalReason.REPLAYED
            return self._deny(reason, ResultCode.INVALID_SEQUENCE, request, covered, address)
        self._address = address
        answer = self._serve(message, request, address)
        self._last = (request, answer, self._now)
        return answer

    def _serve(self, message: RequestMessage, octets: bytes, address: tuple[int, int]) -> bytes:
        covered = message.covered
        try:
            request = decode_request(message.pdu)
        except UnknownService:
            if message.pdu[0] in OTHER_SERVICES:
                code, reason = ResultCode.SERVICE_NOT_SUPPORTED, RefusalReason.UNSUPPORTED_SERVICE
            else:
                code, reason = ResultCode.ERROR, RefusalReason.UNKNOWN_SERVICE
            return self._deny(reason, code, octets, covered, address)
        except DecodeError:
            return self._deny(RefusalReason.MALFORMED, ResultCode.ERROR, octets, covered, address)
        response = self._carry_out(request)
        if response.result is not ResultCode.OK:
            return self._deny(_REASONS[response.result], response.result, octets, covered, address)
        if 1 + len(response.encode()) + DIGEST_OCTETS > self.config.limits.apdu:
            # What a real meter says here is not published; grade D.
            code = ResultCode.OPERATION_NOT_POSSIBLE
            return self._deny(RefusalReason.ANSWER_TOO_LONG, code, octets, covered, address)
        self.served += 1
        self._events.append(RequestServed(self._now, message.pdu[0], request.table))
        return seal_response(response, covered, self._suite, *address)

    def _carry_out(self, request: TableRequest) -> Response:
        identifier = table_id(request.table)
        self._refresh(identifier)
        if identifier == "BT07" and isinstance(request, FullWrite | PartialWrite):
            if not self.store.writable(identifier, AccessLevel.OMAK):
                return Response(ResultCode.INSUFFICIENT_SECURITY)
            if isinstance(request, PartialWrite) and request.offset:
                return Response(ResultCode.OPERATION_NOT_POSSIBLE)
            return Response(self._mailbox.start(request.data, self.store))
        return self.store.serve(request, AccessLevel.OMAK)

    def _refresh(self, identifier: str) -> None:
        at = self._origin + self._now
        match identifier:
            case "BT23":
                put_registers(self.store, self.registers)
            case "BT28":
                put_present(self.store, present_values(self._load.power(at), self.config.mains, at))
            case "BT52" | "BT55":
                tier = self.registers.tier(at)
                put_clocks(self.store, self.config.utc(self._now), self.config.local(self._now), tier)
            case "ET04":
                put_system(self.store, self.config, self._sequence.last, self._address)

    def _count(self, reason: RefusalReason, code: ResultCode | None, request: bytes) -> None:
        self.refusals[reason] += 1
        self._events.append(RequestDenied(self._now, reason, code, request))

    def _deny(
        self, reason: RefusalReason, code: ResultCode, request: bytes, covered: bytes, address: tuple[int, int]
    ) -> bytes:
        self._count(reason, code, request)
        sequence = self._sequence.last if code is ResultCode.INVALID_SEQUENCE else None
        return seal_response(Response(code, sequence=sequence), covered, self._suite, *address)


def _table_of(pdu: bytes) -> int:
    return int.from_bytes(pdu[1:3], "big")
