"""The reader's end of the optical port: wakes it, logs on, asks for tables, leaves. Sans I/O; time is an argument.

    connect --> wake-up, identification, negotiate, logon, security --> Connected
    request(pdu) --> Answered            close --> logoff, terminate --> Closed             anything wrong --> Failed

Repeats, gaps and time-outs are those of a client that reads real meters (grade B).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import ConfigurationError, DecodeError, LocalProtocolError
from ..security import Key
from ..services import Response, ResultCode, TableRequest
from . import services as c1218
from .link import Link, LinkFailed, LinkTiming, MessageReceived, MessageSent
from .packet import MAX_PAYLOAD, OVERHEAD, WAKE_UP

WAKE_UPS: Final = 4
WAKE_UP_GAP: Final = 0.05


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Who asks, and how.

    Args:
        password: key of the meter, at most 20 octets (ASCII characters, not hexadecimal digits); None: no security request.
        user_id: 0..65535.    user: at most 10 ASCII characters.
        packet_size: octets, 32..8191.    packets: 1..255.    baud_code: see `services.BAUD_RATES`; None: none is proposed.
        wake_ups: how many 0x55 go first.
        response_timeout: for acknowledgement and answer, s.    request_interval: between two requests, s.
        quiet: silence of the line before a request, s.    tries: of a request.
    """

    password: Key | None = None
    user_id: int = 1
    user: str = "osgp-sdr"
    packet_size: int = 1024
    packets: int = 8
    baud_code: int | None = c1218.DEFAULT_BAUD_CODE
    wake_ups: int = WAKE_UPS
    response_timeout: float = 2.0
    request_interval: float = 0.1
    quiet: float = 0.05
    tries: int = 3

    def __post_init__(self) -> None:
        c1218.Logon(self.user_id, self.user.encode("ascii", "replace"))
        if self.password is not None and len(self.password) > c1218.PASSWORD_OCTETS:
            raise ConfigurationError(f"a password has at most {c1218.PASSWORD_OCTETS} characters, got {len(self.password)}")
        if not 32 <= self.packet_size <= MAX_PAYLOAD + OVERHEAD or not 1 <= self.packets <= 255:
            raise ConfigurationError(
                f"packet_size must be 32..{MAX_PAYLOAD + OVERHEAD} and packets 1..255, got {self.packet_size}, {self.packets}"
            )
        if self.baud_code is not None and self.baud_code not in c1218.BAUD_RATES:
            raise ConfigurationError(f"baud_code must be 1..12, got {self.baud_code}")


class Step(Enum):
    """What the client is waiting for."""

    IDENTIFICATION = "identification"
    NEGOTIATE = "negotiate"
    LOGON = "logon"
    SECURITY = "password"
    TABLE = "table request"
    LOGOFF = "logoff"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Connected:
    """Logged on.    rate: Bd from now on."""

    at: float
    rate: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The meter answered a table request."""

    at: float
    request: TableRequest
    response: Response


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over as asked."""

    at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The meter does not answer or refuses; the client is where it was before `connect`."""

    at: float
    step: Step
    text: str
    result: ResultCode | None = None


ClientEvent = Connected | Answered | Closed | Failed


class OpticalClient:
    """Reads a meter over the optical port: `connect`, `request` one after the other, `close`.

    Attributes:
        rate: Bd agreed on.    answer_room: octets of the longest answer that the meter can send.
    """

    def __init__(self, config: ClientConfig | None = None) -> None:
        self.config = config or ClientConfig()
        self._events: deque[ClientEvent] = deque()
        self._output = bytearray()
        self._step: Step | None = None
        self._connected = False
        self._table: TableRequest | None = None
        self._message = b""
        self._tries = 0
        self._wake_ups = 0
        self._wake_at: float | None = None
        self._send_at: float | None = None
        self._answer_at: float | None = None
        self._request_at = -1e9
        self._octet_at = -1e9
        self.rate = c1218.BAUD_RATES[c1218.DEFAULT_BAUD_CODE]
        self.answer_room = 0
        self.link = self._new_link()

    def _new_link(self) -> Link:
        timing = LinkTiming(acknowledgement=self.config.response_timeout, tries=1)
        return Link(timing, zero_is_ack=True)

    @property
    def connected(self) -> bool:
        """Whether table requests can be made."""
        return self._connected

    @property
    def busy(self) -> bool:
        """Whether an event is due."""
        return self._step is not None

    def connect(self, now: float) -> None:
        """Wake the port and log on."""
        self._idle()
        self.link = self._new_link()
        self._connected = False
        self._wake_ups = self.config.wake_ups
        self._wake_at = now if self._wake_ups else None
        self._ask(Step.IDENTIFICATION, bytes((c1218.IDENTIFICATION,)), now)

    def request(self, request: TableRequest, now: float) -> None:
        """Ask for a table."""
        self._idle()
        if not self._connected:
            raise LocalProtocolError("connect first")
        pdu = request.encode()
        self._table = request
        self._ask(Step.TABLE, c1218.add_checksum(pdu) if pdu[0] in c1218.WRITES else pdu, now)

    def close(self, now: float) -> None:
        """Log off and terminate."""
        self._idle()
        if self._connected:
            self._ask(Step.LOGOFF, bytes((c1218.LOGOFF,)), now)
        else:
            self._ask(Step.TERMINATE, bytes((c1218.TERMINATE,)), now)

    def _idle(self) -> None:
        if self._step is not None:
            raise LocalProtocolError(f"the client still waits for {self._step.value}")

    def _ask(self, step: Step, message: bytes, now: float) -> None:
        self._step, self._message, self._tries = step, message, 0
        self._schedule(now)

    def _schedule(self, now: float) -> None:
        self._answer_at = None
        ready = max(now, self._request_at + self.config.request_interval, self._octet_at + self.config.quiet)
        if self._wake_at is not None:
            ready = max(ready, self._wake_at + self._wake_ups * WAKE_UP_GAP)
        self._send_at = ready
        self.on_timer(now)

    def _send(self, now: float) -> None:
        self._send_at = None
        self._tries += 1
        self._request_at = now
        try:
            if self._tries > 1:
                self.link.resend(now)
            else:
                self.link.send_message(self._message, now)
        except ConfigurationError as error:
            self._fail(str(error), now)
            return
        # The answer may follow only after every packet of the request has been acknowledged.
        self._answer_at = now + self.config.response_timeout

    def _again(self, why: str, now: float) -> None:
        if self._tries < self.config.tries:
            self.link.abandon()
            self._schedule(now)
        else:
            self._fail(f"{why} ({self._tries} tries)", now)

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the line."""
        if octets:
            self._octet_at = now
        if self._answer_at is not None and octets:
            self._answer_at = now + self.config.response_timeout
        self.link.receive_octets(octets, now)
        self._work(now)

    def _work(self, now: float) -> None:
        while (event := self.link.next_event()) is not None:
            if self._step is None or self._tries == 0:
                continue  # nothing has been asked yet: it was meant for a client before us
            match event:
                case MessageReceived(payload):
                    self._answer(payload, now)
                case MessageSent():
                    self._answer_at = now + self.config.response_timeout
                case LinkFailed():
                    self._again("no acknowledgement", now)

    def _answer(self, message: bytes, now: float) -> None:
        if self._step is Step.IDENTIFICATION and message == bytes((ResultCode.OK,)):
            return  # without an identity it answers the last request of a client before us
        step, self._step, self._answer_at, self._send_at = self._step, None, None, None
        assert step is not None
        if step is Step.TABLE:
            self._table_answer(message, now)
            return
        result = _result(message)
        if result is not ResultCode.OK:
            if step in (Step.LOGOFF, Step.TERMINATE):
                self._closed(now)  # whatever it says: the session is over
                return
            text = f"{step.value} refused: {'no answer code' if result is None else result.name.lower().replace('_', ' ')}"
            self._step = step
            self._fail(text, now, result)
            return
        self._next(step, message[1:], now)

    def _next(self, step: Step, answer: bytes, now: float) -> None:
        config = self.config
        match step:
            case Step.IDENTIFICATION:
                codes = () if config.baud_code is None else (config.baud_code,)
                self._ask(Step.NEGOTIATE, c1218.Negotiate(config.packet_size, config.packets, codes).encode(), now)
            case Step.NEGOTIATE:
                try:
                    agreed = c1218.Negotiate.decode_answer(answer)
                except DecodeError as error:
                    self._step = step
                    self._fail(str(error), now)
                    return
                self.link.packet_size = max(OVERHEAD + 1, min(agreed.packet_size, config.packet_size))
                self.link.packets = max(1, agreed.packets)
                self.answer_room = self.link.packets_room(min(config.packets, max(1, agreed.packets)))
                self.rate = c1218.BAUD_RATES.get(agreed.codes[0], self.rate)
                user = config.user.encode("ascii", "replace")
                self._ask(Step.LOGON, c1218.Logon(config.user_id, user).encode(), now)
            case Step.LOGON if config.password is not None:
                octets = config.password.reveal().ljust(c1218.PASSWORD_OCTETS, b"\0")
                self._ask(Step.SECURITY, bytes((c1218.SECURITY,)) + octets, now)
            case Step.LOGON | Step.SECURITY:
                self._connected = True
                self._events.append(Connected(now, self.rate))
            case Step.LOGOFF:
                self._ask(Step.TERMINATE, bytes((c1218.TERMINATE,)), now)
            case _:
                self._closed(now)

    def _closed(self, now: float) -> None:
        self._connected = False
        self._events.append(Closed(now))

    def _table_answer(self, message: bytes, now: float) -> None:
        request, self._table = self._table, None
        assert request is not None
        try:
            if len(message) > 1 and message[0] == ResultCode.OK:
                if c1218.checksum(message[3:-1]) != message[-1]:
                    raise DecodeError("the checksum of the table data is wrong")
                message = message[:-1]
            response = Response.decode(message, request)
        except DecodeError as error:
            self._step = Step.TABLE
            self._fail(str(error), now)
            return
        self._events.append(Answered(now, request, response))

    def _fail(self, text: str, now: float, result: ResultCode | None = None) -> None:
        step, self._step = self._step, None
        assert step is not None
        self._connected = False
        self._send_at = self._answer_at = self._wake_at = None
        self._table = None
        self.link.sleep()
        self._events.append(Failed(now, step, text, result))

    def octets_to_send(self, now: float) -> bytes:
        """What goes out now."""
        octets = bytes(self._output) + self.link.octets_to_send(now)
        self._output.clear()
        return octets

    def next_timer(self) -> float | None:
        """When `on_timer` is wanted."""
        timers = (self.link.next_timer(), self._send_at, self._answer_at, self._wake_at)
        return min((t for t in timers if t is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        while self._wake_at is not None and now >= self._wake_at:
            self._output.append(WAKE_UP)
            self._wake_ups -= 1
            self._wake_at = self._wake_at + WAKE_UP_GAP if self._wake_ups else None
        if self._send_at is not None and now >= self._send_at:
            ready = self._octet_at + self.config.quiet
            if now < ready:
                self._send_at = ready
            else:
                self._send(now)
        self.link.on_timer(now)
        self._work(now)
        if self._answer_at is not None and now >= self._answer_at and self._step is not None:
            self._again("no answer", now)

    def next_event(self) -> ClientEvent | None:
        """What happened, oldest first."""
        return self._events.popleft() if self._events else None


def _result(message: bytes) -> ResultCode | None:
    try:
        return ResultCode(message[0])
    except (IndexError, ValueError):
        return None
