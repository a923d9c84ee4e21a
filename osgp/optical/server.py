"""The meter's end of the optical port: C12.18 states, logon and keys, lock-out, session limit. Sans I/O; time is an argument.

    base --identification--> id --[negotiate]--> id --logon--> session --security--> session with a key
    terminate, silence: base        logoff: id          anything out of order: 0x0A

Where C12.18 and the guides leave a case open the choice stands in `OpticalConfig` or beside the code, marked grade D.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from ..access import AccessLevel, Port, Session
from ..errors import DecodeError
from ..security.lockout import Lockout
from ..services import ResultCode
from . import services as c1218
from .link import MIN_PACKET_SIZE, Link, LinkFailed, MessageReceived, MessageSent
from .packet import OVERHEAD
from .port import (
    Ended,
    OpticalConfig,
    OpticalEvent,
    OpticalHost,
    PasswordRefused,
    RateChanged,
    SessionEnded,
    SessionOpened,
    State,
)

EVENTS_KEPT: Final = 1000


class OpticalServer:
    """The meter's end of one optical line.

    Args:
        host: what stands behind.    config: see `OpticalConfig`.    lockout: of the port, for who keeps it over a restart.

    Attributes:
        state: of the session.    level: what the password opened.    results: answers by result code.    rate: Bd.

    Example:
        server = OpticalServer(host)
        server.receive_octets(octets, now); out = server.octets_to_send(now)
    """

    def __init__(self, host: OpticalHost, config: OpticalConfig | None = None, lockout: Lockout | None = None) -> None:
        self.config = config or OpticalConfig()
        self.state = State.BASE
        self.level = AccessLevel.OPEN
        self.results: Counter[int] = Counter()
        self.rate = c1218.BAUD_RATES[c1218.DEFAULT_BAUD_CODE]
        self.link = Link(
            self.config.timing,
            max_payload=self.config.max_packet_size - OVERHEAD,
            max_packets=self.config.max_packets,
            lose_first=self.config.lose_first,
        )
        self._host = host
        self._events: deque[OpticalEvent] = deque(maxlen=EVENTS_KEPT)
        self._user_id = 0
        self._quiet_until: float | None = None  # silence ends the session
        self._limit_at: float | None = None  # the session limit
        self._ignore_until = 0.0
        self._lockout = lockout or Lockout()
        self._pending_rate: int | None = None

    @property
    def ignoring(self) -> float:
        """Until when the port ignores the line, s; 0 when it never did."""
        return self._ignore_until

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the line. Never raises for what is in them."""
        self.on_timer(now)
        if now < self._ignore_until or self._host.settings(now).disabled:
            return
        self.link.receive_octets(octets, now)
        self._work(now)

    def _work(self, now: float) -> None:
        while (event := self.link.next_event()) is not None:
            self._alive(now)
            match event:
                case MessageReceived(payload):
                    self._message(payload, now)
                case MessageSent():
                    self._sent(now)
                case LinkFailed():
                    self._to_base(Ended.LINK, now)

    def _alive(self, now: float) -> None:
        if self.state is not State.BASE:
            self._quiet_until = max(self._quiet_until or 0.0, now + self.config.channel_timeout)

    def _sent(self, now: float) -> None:
        if self._pending_rate is not None:
            self._set_rate(self._pending_rate, now)
            self._pending_rate = None

    def _set_rate(self, rate: int, now: float) -> None:
        if rate != self.rate:
            self.rate = rate
            self._events.append(RateChanged(now, rate))

    def _message(self, message: bytes, now: float) -> None:
        answer = self._serve(message, now)
        self.results[answer[0]] += 1
        self.link.abandon()
        self.link.send_message(answer, now)
        if self._negotiated is not None:
            self.link.packet_size, self.link.packets = self._negotiated
        if self._terminated:
            self._to_base(Ended.TERMINATE, now)

    _negotiated: tuple[int, int] | None = None
    _terminated = False

    def _serve(self, message: bytes, now: float) -> bytes:
        self._negotiated, self._terminated = None, False
        if not message:
            return bytes((ResultCode.ERROR,))
        code = message[0]
        try:
            if code == c1218.IDENTIFICATION:
                return self._identification(message, now)
            if code == c1218.TERMINATE:
                self._terminated = True
                return bytes((ResultCode.OK,))
            if self.state is State.ID:
                return self._in_id(code, message, now)
            if self.state is State.SESSION:
                return self._in_session(code, message, now)
        except DecodeError:
            return bytes((ResultCode.ERROR,))
        return bytes((ResultCode.INVALID_STATE if self._known(code) else ResultCode.ERROR,))

    @staticmethod
    def _known(code: int) -> bool:
        return (
            code in c1218.READS
            or code in c1218.WRITES
            or c1218.NEGOTIATE <= code <= c1218.NEGOTIATE + c1218.MAX_BAUD_CODES
            or code in (c1218.LOGON, c1218.SECURITY, c1218.LOGOFF, c1218.WAIT)
        )

    def _identification(self, message: bytes, now: float) -> bytes:
        """Accepted in every state: a client that was restarted begins so; it costs it its session. Grade D."""
        if len(message) != 1:
            return bytes((ResultCode.ERROR,))
        if self.state is State.SESSION:
            self._close(Ended.NEW_CLIENT, now)
        self.state = State.ID
        self.link.repeatable()
        self._quiet_until = None
        self._alive(now)
        return bytes((ResultCode.OK,)) + self.config.identity

    def _in_id(self, code: int, message: bytes, now: float) -> bytes:
        if c1218.NEGOTIATE <= code <= c1218.NEGOTIATE + c1218.MAX_BAUD_CODES:
            return self._negotiate(c1218.Negotiate.decode(message))
        if code == c1218.LOGON:
            logon = c1218.Logon.decode(message)
            self.state = State.SESSION
            self.level = AccessLevel.OPEN
            self._user_id = logon.user_id
            settings = self._host.settings(now)
            self._limit_at = now + settings.session_limit if settings.limited else None
            self._events.append(SessionOpened(now, logon.user_id, AccessLevel.OPEN))
            self._host.opened(logon.user_id, now)
            return bytes((ResultCode.OK,))
        if code == c1218.WAIT:
            return self._wait(message, now)
        return bytes((ResultCode.INVALID_STATE if self._known(code) else ResultCode.ERROR,))

    def _negotiate(self, request: c1218.Negotiate) -> bytes:
        if request.packet_size < MIN_PACKET_SIZE or request.packets < 1:
            return bytes((ResultCode.ERROR,))
        size = min(request.packet_size, self.config.max_packet_size)
        packets = min(request.packets, self.config.max_packets)
        code = next((code for code in request.codes if code in self.config.baud_codes), None)
        if code is None:
            code = next((code for code, rate in c1218.BAUD_RATES.items() if rate == self.rate), c1218.DEFAULT_BAUD_CODE)
        else:
            self._pending_rate = c1218.BAUD_RATES[code]
        self._negotiated = size, packets
        return bytes((ResultCode.OK,)) + c1218.Negotiate(size, packets, (code,)).encode_answer()

    def _wait(self, message: bytes, now: float) -> bytes:
        if len(message) != 2:
            return bytes((ResultCode.ERROR,))
        self._quiet_until = now + self.config.channel_timeout + message[1]
        return bytes((ResultCode.OK,))

    def _in_session(self, code: int, message: bytes, now: float) -> bytes:
        if code in c1218.READS or code in c1218.WRITES:
            return self._table(code, message, now)
        if code == c1218.SECURITY:
            return self._security(message, now)
        if code == c1218.LOGOFF:
            if len(message) != 1:
                return bytes((ResultCode.ERROR,))
            self._close(Ended.LOGOFF, now)
            self.state = State.ID
            return bytes((ResultCode.OK,))
        if code == c1218.WAIT:
            return self._wait(message, now)
        return bytes((ResultCode.INVALID_STATE if self._known(code) else ResultCode.ERROR,))

    def _table(self, code: int, message: bytes, now: float) -> bytes:
        pdu = c1218.take_checksum(message) if code in c1218.WRITES else message
        room = self.link.capacity - 1  # a read's answer ends with its checksum
        response = self._host.serve(pdu, Session(self.level, Port.OPTICAL, self._user_id), now, room)
        octets = response.encode()
        return octets if response.data is None else octets + bytes((c1218.checksum(response.data),))

    def _security(self, message: bytes, now: float) -> bytes:
        """A wrong password takes away what an earlier one gave; its code is "insufficient clearance". Grade D for both."""
        if len(message) != 1 + c1218.PASSWORD_OCTETS:
            return bytes((ResultCode.ERROR,))
        self.level = AccessLevel.OPEN
        settings = self._host.settings(now)
        self._lockout.threshold, self._lockout.minutes = settings.lockout_threshold, settings.lockout_minutes
        locked = self._lockout.locked(now)
        kind = None if locked else self._host.keys().password_level(message[1:], settings.pk_disabled)
        if kind is not None:
            self._lockout.passed()
            self.level = AccessLevel(kind)
            self._events.append(SessionOpened(now, self._user_id, self.level))
            return bytes((ResultCode.OK,))
        self._events.append(PasswordRefused(now, self._user_id, locked))
        if not locked:
            self._lockout.failed(now)
            self._host.refused(self._user_id, now)
        return bytes((ResultCode.INSUFFICIENT_SECURITY,))

    def _close(self, reason: Ended, now: float) -> None:
        if self.state is State.SESSION:
            self._events.append(SessionEnded(now, reason))
        self.level = AccessLevel.OPEN
        self._limit_at = None

    def _to_base(self, reason: Ended, now: float) -> None:
        self._close(reason, now)
        self.state = State.BASE
        self._quiet_until = None
        default = c1218.BAUD_RATES[c1218.DEFAULT_BAUD_CODE]
        if reason is Ended.TERMINATE:
            # The answer still goes out, at the rate of the session; everything behind it is as on the first day.
            self.link.start_over()
            self._pending_rate = default
        else:
            self.link.sleep()
            self._pending_rate = None
            self._set_rate(default, now)

    def line_lost(self, now: float) -> None:
        """The line knows that the client is gone (TCP does, a real line does not): its session ends."""
        self._to_base(Ended.LINE, now)
        self.link.drop_output()

    def octets_to_send(self, now: float) -> bytes:
        """What goes out now."""
        return self.link.octets_to_send(now)

    def next_timer(self) -> float | None:
        """When `on_timer` is wanted."""
        timers = [t for t in (self.link.next_timer(), self._quiet_until, self._limit_at) if t is not None]
        return min(timers, default=None)

    def on_timer(self, now: float) -> None:
        """Time has passed: sessions end, packets are sent again."""
        if self._limit_at is not None and now >= self._limit_at:
            self._ignore_until = self._limit_at + self._host.settings(now).holdoff
            self._to_base(Ended.LIMIT, now)
            self.link.drop_output()
        if self._quiet_until is not None and now >= self._quiet_until:
            self._to_base(Ended.SILENCE, now)
        self.link.on_timer(now)
        self._work(now)

    def next_event(self) -> OpticalEvent | None:
        """What happened, oldest first; the oldest are lost when nobody asks."""
        return self._events.popleft() if self._events else None
