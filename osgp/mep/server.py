"""The meter's end of the MEP port: frames, keys, sequence numbers, repeats, alerts, TLS. Sans I/O; time is an argument.

    octets --> FrameReader --> one request per 100 ms --> RC4 mode: digest, repeat?, sequence number --> serve --> digest
                                                     \\-> TLS mode: handshake | record --> serve --> record
    responses and alerts --> Pacer --> octets
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..access import AccessLevel, Port, Session
from ..errors import BadDigest, TruncatedMessage
from ..security import Key, SequenceWindow
from ..security.keyring import KeyRing
from ..security.mep import MepExchange, MepSuite, unsealed
from ..security.tls_psk import Entropy
from ..services import Response, ResultCode
from .frame import ALERT, MAX_RESPONSE, FrameReader, MepDrop, MepTiming, Pacer, frame
from .tls_mode import TERMINATE, TlsServerMode, is_tls

KEPT_REQUESTS: Final = 4  # requests that come faster than they are taken wait; more are dropped. Grade D
EVENTS_KEPT: Final = 1000
DEFAULT_RATE: Final = 9600


@dataclass(frozen=True, slots=True)
class MepConfig:
    """What a port can do.

    Args:
        timing: see MepTiming.
        accepts_rc4: takes requests that are encrypted with RC4 (BROKEN; it answers in kind). Off: only the digest.
        tls: takes TLS sessions.    entropy: n -> n unpredictable octets for them.
    """

    timing: MepTiming = field(default_factory=MepTiming)
    accepts_rc4: bool = False
    tls: bool = True
    entropy: Entropy = secrets.token_bytes


@dataclass(frozen=True, slots=True)
class MepSettings:
    """What the meter's tables say about the port.    disabled: it ignores everything.    requires_tls: RC4 mode is refused.
    rate: Bd."""

    disabled: bool = False
    requires_tls: bool = False
    rate: int = DEFAULT_RATE


class MepHost(Protocol):
    """What stands behind the port."""

    def serve(self, pdu: bytes, session: Session, now: float, max_response: int) -> Response:
        """Carry out a table request; never raises for what is in it."""
        ...

    def settings(self, now: float) -> MepSettings:
        """Settings in force."""
        ...

    def keys(self) -> KeyRing:
        """Its keys; MAK and MBK are those of this port."""
        ...

    def sequence(self) -> SequenceWindow:
        """Sequence numbers of this client."""
        ...

    def used(self, now: float) -> None:
        """A sequence number was used up."""
        ...

    def alert(self, now: float) -> bool:
        """Whether something waits for the client."""
        ...

    def refused(self, now: float) -> None:
        """A digest or a handshake was wrong."""
        ...


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request did not get to the tables."""

    at: float
    result: ResultCode


@dataclass(frozen=True, slots=True)
class MepRateChanged:
    """The line goes on with another rate, Bd, after everything has gone out."""

    at: float
    rate: int


MepEvent = RequestRefused | MepRateChanged


class MepServer:
    """The meter's end of one MEP line.

    Attributes:
        port: MEP1 or MEP2.    results: answers by result code.    alerts: sent.
        last_mode: of the last authentic request in RC4 mode, 0 none, 1 plain, 2 encrypted.

    Example:
        server = MepServer(host)
        server.receive_octets(octets, now); out = server.octets_to_send(now)
    """

    def __init__(self, host: MepHost, port: Port = Port.MEP1, config: MepConfig | None = None) -> None:
        self.config = config or MepConfig()
        self.port = port
        self.results: Counter[int] = Counter()
        self.alerts = 0
        self.last_mode = 0
        self.rate = host.settings(0.0).rate
        self._host = host
        timing = self.config.timing
        self._reader = FrameReader(timing.between_octets)
        self._pacer = Pacer(timing)
        self._waiting: deque[bytes] = deque()
        self._next_at = float("-inf")  # the next request is not taken before
        self._frame_at = float("-inf")  # last frame received
        self._alert_at = float("-inf")  # last alert sent
        self._look_at = float("-inf")  # when the host is asked for alerts again
        self._last: tuple[bytes, bytes, float] | None = None  # request, answer, instant
        self._suite: tuple[tuple[Key, ...], MepSuite] | None = None
        self._tls = TlsServerMode(host, port, self._serve_pdu, self.config.entropy) if self.config.tls else None
        self._events: deque[MepEvent] = deque(maxlen=EVENTS_KEPT)
        self._pending_rate: int | None = None

    @property
    def drops(self) -> Counter[MepDrop]:
        """What was not looked at, by reason."""
        return self._reader.drops

    @property
    def tls_error(self) -> int:
        """The last TLS alert, 0 before."""
        return self._tls.last_alert if self._tls is not None else 0

    @property
    def tls_errors(self) -> int:
        """How many TLS sessions and handshakes failed."""
        return self._tls.failures if self._tls is not None else 0

    @property
    def tls_session(self) -> bool:
        """Whether a TLS session is open."""
        return self._tls is not None and self._tls.open

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the line. Never raises for what is in them."""
        self.on_timer(now)
        if self._host.settings(now).disabled:
            self._reader.clear()
            return
        for body in self._reader.push(octets, now):
            self._frame_at = now
            if not body:
                self.drops[MepDrop.ZERO] += 1
            elif len(self._waiting) >= KEPT_REQUESTS:
                self.drops[MepDrop.BUSY] += 1
            else:
                self._waiting.append(body)
        self._work(now)

    def _work(self, now: float) -> None:
        if self._waiting and now >= self._next_at and not self._pacer.busy:
            body = self._waiting.popleft()
            self._next_at = now + self.config.timing.between_requests
            answer = self._answer(body, now)
            self._pacer.put(frame(answer))

    def _answer(self, body: bytes, now: float) -> bytes:
        if self._last is not None and self._last[0] == body and now - self._last[2] <= self.config.timing.repeat:
            return self._last[1]
        self._last = None
        if self._tls is not None and is_tls(body) and not self._encrypted(body):
            answer = self._tls.receive(body, now)
            self.results[answer[0]] += 1
            self._last = (body, answer, now)
            return answer
        return self._rc4_mode(body, now)

    def _encrypted(self, body: bytes) -> bool:
        """Whether a request encrypted with RC4 just looks like the end of a TLS session."""
        if body[0] != TERMINATE or not self.config.accepts_rc4:
            return False
        suite = self._keys()
        try:
            return suite is not None and suite.open_request(body).encrypted
        except (BadDigest, TruncatedMessage):
            return False

    def _keys(self) -> MepSuite | None:
        pair = self._host.keys().mep_keys
        if not pair:
            return None
        if self._suite is None or self._suite[0] != pair:
            self._suite = (pair, MepSuite(pair, self.config.accepts_rc4))
        return self._suite[1]

    def _rc4_mode(self, body: bytes, now: float) -> bytes:
        suite = self._keys()
        try:
            if suite is None:
                raise BadDigest("the port has no keys")
            exchange = suite.open_request(body)
        except (BadDigest, TruncatedMessage):
            # Nobody has proved to know a key, whatever else is wrong; one code for all of it. Grade D for frames too short.
            self._host.refused(now)
            return unsealed(self._refuse(ResultCode.AUTHENTICATION_FAILURE, now))
        self.last_mode = 2 if exchange.encrypted else 1
        if self.tls_session:
            return exchange.seal_refusal(self._refuse(ResultCode.INVALID_STATE, now))
        if self._host.settings(now).requires_tls:
            return exchange.seal_refusal(self._refuse(ResultCode.INSUFFICIENT_SECURITY, now))  # grade D
        window = self._host.sequence()
        if not window.accept(exchange.sequence, exchange.tag):
            refusal = Response(ResultCode.INVALID_SEQUENCE, sequence=window.refused())
            self._refuse(ResultCode.INVALID_SEQUENCE, now)
            self._host.used(now)
            return exchange.seal_refusal(refusal.encode())
        self._host.used(now)
        # Only what was carried out is answered twice: a client that sends a refused request again as it was wants it looked at.
        answer = self._sealed(exchange, now)
        self._last = (body, answer, now)
        return answer

    def _sealed(self, exchange: MepExchange, now: float) -> bytes:
        response = self._serve_pdu(exchange.pdu, Session(AccessLevel(exchange.level), self.port), MAX_RESPONSE, now)
        self.results[response.result] += 1
        return exchange.seal_response(response.encode())

    def _serve_pdu(self, pdu: bytes, session: Session, max_response: int, now: float) -> Response:
        response = self._host.serve(pdu, session, now, max_response)
        rate = self._host.settings(now).rate
        if rate != self.rate:
            self._pending_rate = rate
        return response

    def _refuse(self, result: ResultCode, now: float) -> bytes:
        self.results[result] += 1
        self._events.append(RequestRefused(now, result))
        return bytes((result,))

    def line_lost(self, now: float) -> None:
        """The line knows that the client is gone: what it began is forgotten, a TLS session ends."""
        self._reader.clear()
        self._waiting.clear()
        self._pacer = Pacer(self.config.timing)
        if self._tls is not None:
            self._tls.reset()

    def octets_to_send(self, now: float) -> bytes:
        """What goes out now: a response in segments, or an alert."""
        octets = self._pacer.take(now)
        if octets or self._pacer.busy:
            self._settle(now)
            return octets
        self._settle(now)
        if now < self._quiet_until() or self._reader.waiting or self._waiting:
            return b""
        self._look_at = now + self.config.timing.alert
        if not self._host.alert(now):
            return b""
        self._alert_at = now
        self.alerts += 1
        return ALERT

    def _quiet_until(self) -> float:
        return max(self._look_at, max(self._frame_at, self._alert_at) + self.config.timing.alert)

    def _settle(self, now: float) -> None:
        """A new rate takes effect after the response (grade A)."""
        if self._pending_rate is not None and not self._pacer.busy:
            self.rate, self._pending_rate = self._pending_rate, None
            self._events.append(MepRateChanged(now, self.rate))

    def next_timer(self) -> float | None:
        """When `on_timer` and `octets_to_send` are wanted. An alert that comes up later is found a second late at most."""
        timers = [t for t in (self._pacer.next_timer(), self._reader.deadline()) if t is not None]
        if self._waiting:
            timers.append(self._next_at)
        if not timers:
            timers.append(self._quiet_until())
        return min(timers)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        self._reader.expire(now)
        self._work(now)

    def next_event(self) -> MepEvent | None:
        """What happened, oldest first; the oldest are lost when nobody asks."""
        return self._events.popleft() if self._events else None
