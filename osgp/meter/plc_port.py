"""The meter's power-line port: digest, sequence number, repeats. A thin user of `Meter.serve`.

    APDU --> length, digest, repeat?, sequence number --> serve --> digest --> APDU
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..access import CONCENTRATOR
from ..errors import DecodeError
from ..plc import MESSAGE_CODE, RequestMessage, seal_response
from ..security import OmaSuite, SequenceWindow
from ..security.oma import DIGEST_OCTETS
from ..services import Response, ResultCode
from .config import MeterConfig
from .events import MeterEvent, RefusalReason, RequestServed

if TYPE_CHECKING:
    from .device import Meter


class PlcPort:
    """Answers 14908 application PDUs for one meter.

    Attributes:
        address: (subnet, node) of the last authentic request, (0, 0) before.    repeats: stored responses sent again.
    """

    def __init__(self, meter: Meter, config: MeterConfig) -> None:
        self.address = (0, 0)
        self.repeats = 0
        self._meter, self._config = meter, config
        self._suite = OmaSuite(config.key)
        self._sequence = SequenceWindow(config.sequence, config.sequence_window)
        self._last: tuple[bytes, bytes, float] | None = None  # request, response, instant

    @property
    def sequence(self) -> int:
        """The last sequence number used."""
        return self._sequence.last

    def restore(self, sequence: int, address: tuple[int, int]) -> None:
        """Go on where a saved meter stood."""
        self._sequence = SequenceWindow(sequence, self._config.sequence_window)
        self.address = address

    def receive(self, request: bytes, subnet: int, node: int, now: float) -> bytes | None:
        """See `Meter.receive_request`."""
        address, limits = (subnet, node), self._config.limits
        if not request or request[0] != MESSAGE_CODE:
            self._meter.deny(RefusalReason.NOT_OSGP, None, request, CONCENTRATOR)
            return None
        try:
            message = RequestMessage.decode(request)
        except DecodeError:
            # Nothing tells who sent it; the digest of the answer covers what arrived.
            return self._deny(RefusalReason.TRUNCATED, ResultCode.ERROR, request, request, address)
        covered = message.covered
        if len(request) > limits.apdu:
            return self._deny(RefusalReason.TOO_LONG, ResultCode.ERROR, request, covered, address)
        if not message.authentic(self._suite, subnet, node):
            return self._deny(RefusalReason.BAD_DIGEST, ResultCode.AUTHENTICATION_FAILURE, request, covered, address)
        if self._last is not None and self._last[0] == request and now - self._last[2] <= self._config.repeat_time:
            self.repeats += 1
            self._tell(RequestServed(now, message.pdu[0], int.from_bytes(message.pdu[1:3], "big"), repeated=True))
            return self._last[1]
        before = self._sequence.last
        if not self._sequence.accept(message.sequence):
            ahead = (message.sequence - before) & 0xFFFFFFFF
            reason = RefusalReason.SEQUENCE_AHEAD if 0 < ahead < 1 << 31 else RefusalReason.REPLAYED
            return self._deny(reason, ResultCode.INVALID_SEQUENCE, request, covered, address)
        self.address = address
        response = self._meter.serve(message.pdu, CONCENTRATOR, now, max_response=limits.apdu - 1 - DIGEST_OCTETS)
        answer = seal_response(response, covered, self._suite, *address)
        self._last = (request, answer, now)
        return answer

    def _tell(self, event: MeterEvent) -> None:
        self._meter.tell(event)

    def _deny(
        self, reason: RefusalReason, code: ResultCode, request: bytes, covered: bytes, address: tuple[int, int]
    ) -> bytes:
        self._meter.deny(reason, code, request, CONCENTRATOR)
        sequence = self._sequence.last if code is ResultCode.INVALID_SEQUENCE else None
        return seal_response(Response(code, sequence=sequence), covered, self._suite, *address)
