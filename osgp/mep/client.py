"""The client's end of the MEP port in RC4 mode: requests with digests, repeats, sequence numbers, alerts. Sans I/O.

    request(pdu) --> frame --> answer in 500 ms? --> Answered          0x0C: once more with the number behind the one returned
                           \\-> no: the same octets again, 3 times --> Failed
    00 00 --> AlertSeen
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from ..errors import BadDigest, ConfigurationError, DecodeError, LocalProtocolError
from ..security import Key, next_number
from ..security.exchange import TAG_OCTETS
from ..security.mep import MepExchange, MepSuite
from ..services import Response, TableRequest
from .frame import MAX_BODY, MAX_READ, FrameReader, MepDrop, MepTiming, frame

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
    timing: MepTiming = field(default_factory=MepTiming)


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


class MepRequester(ABC):
    """What both modes share: one frame on its way, repeats, alerts.

    Attributes:
        max_read: most data octets of one read.
    """

    max_read = MAX_READ

    def __init__(self, timing: MepTiming) -> None:
        self._timing = timing
        self._reader = FrameReader(ANSWER_GAP)
        self._events: deque[MepClientEvent] = deque()
        self._output = bytearray()
        self._request: TableRequest | None = None
        self._body = b""
        self._tries = 0
        self._sent_at = float("-inf")
        self._send_at: float | None = None
        self._answer_at: float | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is due."""
        return self._request is not None

    @property
    def drops(self) -> Counter[MepDrop]:
        """What was not looked at, by reason."""
        return self._reader.drops

    def request(self, request: TableRequest, now: float) -> None:
        """Ask for a table."""
        if self._request is not None:
            raise LocalProtocolError("the client still waits for an answer")
        if len(request.encode()) > self._longest():
            raise ConfigurationError(f"a request has at most {self._longest()} octets here, got {len(request.encode())}")
        self._request = request
        self._begin(now)

    @abstractmethod
    def _longest(self) -> int:
        """Octets of the longest request PDU."""

    @abstractmethod
    def _begin(self, now: float) -> None:
        """Ask the first frame for the request."""

    @abstractmethod
    def _on_body(self, body: bytes, now: float) -> None:
        """The answer to a frame."""

    def _ask(self, body: bytes, now: float) -> None:
        self._body, self._tries = body, 0
        self._schedule(now)

    def _schedule(self, now: float) -> None:
        self._answer_at = None
        self._send_at = max(now, self._sent_at + self._timing.between_requests)
        self.on_timer(now)

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the line."""
        for body in self._reader.push(octets, now):
            if not body:
                self._events.append(AlertSeen(now))
            elif self._answer_at is None or self._request is None:
                self._reader.drops[MepDrop.UNEXPECTED] += 1
            else:
                self._answer_at = None
                self._on_body(body, now)
        if self._reader.waiting and self._answer_at is not None:
            # The first octets of a response stop the clock; its pauses are the meter's business.
            self._answer_at = max(self._answer_at, now + ANSWER_GAP)

    def _answered(self, response: Response, now: float) -> None:
        request, self._request = self._request, None
        assert request is not None
        self._events.append(MepAnswered(now, request, response))

    def _fail(self, text: str, now: float) -> None:
        request, self._request = self._request, None
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
        if self._send_at is not None and now >= self._send_at:
            self._send_at = None
            self._tries += 1
            self._sent_at = now
            self._reader.clear()
            self._output += frame(self._body)
            self._answer_at = now + self._timing.response
        elif self._answer_at is not None and now >= self._answer_at:
            if self._tries < self._timing.tries:
                self._schedule(now)
            else:
                self._fail(f"no answer ({self._tries} tries)", now)

    def next_event(self) -> MepClientEvent | None:
        """What happened, oldest first."""
        return self._events.popleft() if self._events else None


class MepClient(MepRequester):
    """Reads a meter over the MEP port in RC4 mode: one request after the other.

    Attributes:
        sequence: the number of the next request.
    """

    def __init__(self, config: MepClientConfig) -> None:
        if config.key.kind not in ("MAK", "MBK"):
            raise ConfigurationError(f"the MEP port takes a MAK or an MBK, got {config.key.kind}")
        super().__init__(config.timing)
        self.config = config
        self.sequence = config.sequence
        self._suite = MepSuite((config.key,), config.encrypts)
        self._exchange: MepExchange | None = None
        self._resyncs = 0

    def _longest(self) -> int:
        return MAX_BODY - len(self._suite.seal_request(b"", 0).octets)

    def _begin(self, now: float) -> None:
        self._resyncs = 0
        self._seal(now)

    def _seal(self, now: float) -> None:
        assert self._request is not None
        self._exchange = self._suite.seal_request(self._request.encode(), self.sequence)
        self.sequence = next_number(self.sequence)
        self._ask(self._exchange.octets, now)

    def _on_body(self, body: bytes, now: float) -> None:
        assert self._request is not None
        try:
            response = Response.decode(self._open(body), self._request)
        except BadDigest:
            self._fail("the digest of the answer is wrong: another key?", now)
        except DecodeError as error:
            self._fail(str(error), now)
        else:
            if response.sequence is None:
                self._answered(response, now)
            else:
                self._resync(response.sequence, now)

    def _open(self, body: bytes) -> bytes:
        assert self._exchange is not None
        try:
            return self._exchange.open_response(body)
        except BadDigest:
            if self.config.checks_digest or self._exchange.encrypted:
                raise
            return body[:-TAG_OCTETS]

    def _resync(self, number: int, now: float) -> None:
        self.sequence = number if self.config.reuses_number else next_number(number)
        self._resyncs += 1
        if self._resyncs > RESYNCS:
            self._fail(f"sequence number refused {self._resyncs} times", now)
        else:
            self._seal(now)
