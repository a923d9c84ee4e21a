"""The client's end of the MEP port: requests with digests or through TLS, repeats, sequence numbers, alerts. Sans I/O.

    request(pdu) --> frame --> answer in 500 ms? --> Answered          0x0C: once more with the number behind the one returned
                           \\-> no: the same octets again, 3 times --> Failed
    00 00 --> AlertSeen
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from ..errors import BadDigest, ConfigurationError, DecodeError, LocalProtocolError
from ..security import Key, next_number
from ..security.mep import MepExchange, MepSuite
from ..services import Response, ResultCode, TableRequest
from .frame import MAX_BODY, FrameReader, MepDrop, MepTiming, frame

RESYNCS: Final = 3  # how often a request is tried anew after 0x0C; grade D
ANSWER_GAP: Final = 0.5  # a response that stops for longer is given up, s: the meter pauses 25 ms on purpose; grade D


@dataclass(frozen=True, slots=True)
class MepClientConfig:
    """Who asks, and how.

    Args:
        key: MAK or MBK.    encrypts: requests are encrypted with RC4 (BROKEN).
        sequence: first number; the meter says 0x0C with the right one when it is not.
        reuses_number: go on with the number that 0x0C returned, not with the one behind it: the habit of a client in the field.
        checks_digest: of answers.    timing: see MepTiming.
    """

    key: Key
    encrypts: bool = False
    sequence: int = 0
    reuses_number: bool = False
    checks_digest: bool = True
    timing: MepTiming = MepTiming()


@dataclass(frozen=True, slots=True)
class MepAnswered:
    """The meter answered."""

    at: float
    request: TableRequest
    response: Response


@dataclass(frozen=True, slots=True)
class MepFailed:
    """No answer, or none that can be believed."""

    at: float
    request: TableRequest
    text: str


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """The meter wants to be asked."""

    at: float


MepClientEvent = MepAnswered | MepFailed | AlertSeen


class MepClient:
    """Reads a meter over the MEP port in RC4 mode: one request after the other.

    Attributes:
        sequence: the number of the next request.    counts: drops of the frame reader.
    """

    def __init__(self, config: MepClientConfig) -> None:
        if config.key.kind not in ("MAK", "MBK"):
            raise ConfigurationError(f"the MEP port takes a MAK or an MBK, got {config.key.kind}")
        self.config = config
        self.sequence = config.sequence
        self._suite = MepSuite((config.key,), config.encrypts)
        self._reader = FrameReader(ANSWER_GAP)
        self._events: deque[MepClientEvent] = deque()
        self._output = bytearray()
        self._request: TableRequest | None = None
        self._exchange: MepExchange | None = None
        self._tries = 0
        self._resyncs = 0
        self._sent_at = float("-inf")
        self._send_at: float | None = None
        self._answer_at: float | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is due."""
        return self._request is not None

    @property
    def counts(self) -> Counter[MepDrop]:
        """What was not looked at."""
        return self._reader.drops

    def request(self, request: TableRequest, now: float) -> None:
        """Ask for a table."""
        if self._request is not None:
            raise LocalProtocolError("the client still waits for an answer")
        longest = MAX_BODY - len(self._suite.seal_request(b"", 0).octets)
        if len(request.encode()) > longest:
            raise ConfigurationError(f"a request has at most {longest} octets here, got {len(request.encode())}")
        self._request, self._resyncs = request, 0
        self._seal(now)

    def _seal(self, now: float) -> None:
        assert self._request is not None
        self._exchange = self._suite.seal_request(self._request.encode(), self.sequence)
        self.sequence = next_number(self.sequence)
        self._tries = 0
        self._schedule(now)

    def _schedule(self, now: float) -> None:
        self._answer_at = None
        self._send_at = max(now, self._sent_at + self.config.timing.between_requests)
        self.on_timer(now)

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the line."""
        for body in self._reader.push(octets, now):
            if not body:
                self._events.append(AlertSeen(now))
            elif self._exchange is None or self._answer_at is None:
                self._reader.drops[MepDrop.UNEXPECTED] += 1
            else:
                self._answer(body, now)
        if self._reader.waiting and self._answer_at is not None:
            # The first octets of a response stop the clock; its pauses are the meter's business.
            self._answer_at = max(self._answer_at, now + ANSWER_GAP)

    def _answer(self, body: bytes, now: float) -> None:
        assert self._exchange is not None and self._request is not None
        try:
            pdu = self._open(body)
            response = Response.decode(pdu, self._request)
        except BadDigest:
            self._fail("the digest of the answer is wrong: another key?", now)
            return
        except DecodeError as error:
            self._fail(str(error), now)
            return
        if response.sequence is not None:
            self._resync(response.sequence, now)
            return
        request, self._request, self._exchange, self._answer_at = self._request, None, None, None
        self._events.append(MepAnswered(now, request, response))

    def _open(self, body: bytes) -> bytes:
        assert self._exchange is not None
        try:
            return self._exchange.open_response(body)
        except BadDigest:
            if self.config.checks_digest or self._exchange.encrypted:
                raise
            return body[:-8]

    def _resync(self, number: int, now: float) -> None:
        self.sequence = number if self.config.reuses_number else next_number(number)
        self._resyncs += 1
        if self._resyncs > RESYNCS:
            self._fail(f"sequence number refused {self._resyncs} times", now)
        else:
            self._seal(now)

    def _fail(self, text: str, now: float) -> None:
        request, self._request, self._exchange = self._request, None, None
        self._send_at = self._answer_at = None
        assert request is not None
        self._events.append(MepFailed(now, request, text))

    def octets_to_send(self, now: float) -> bytes:
        """What goes out now."""
        octets = bytes(self._output)
        self._output.clear()
        return octets

    def next_timer(self) -> float | None:
        """When `on_timer` is wanted."""
        return min((t for t in (self._send_at, self._answer_at, self._reader.deadline()) if t is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        self._reader.expire(now)
        if self._send_at is not None and now >= self._send_at and self._exchange is not None:
            self._send_at = None
            self._tries += 1
            self._sent_at = now
            self._reader.clear()
            self._output += frame(self._exchange.octets)
            self._answer_at = now + self.config.timing.response
        elif self._answer_at is not None and now >= self._answer_at:
            if self._tries < self.config.timing.tries:
                self._schedule(now)
            else:
                self._fail(f"no answer ({self._tries} tries)", now)

    def next_event(self) -> MepClientEvent | None:
        """What happened, oldest first."""
        return self._events.popleft() if self._events else None
