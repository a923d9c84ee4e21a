"""The meter's power-line port: suite, lock-out, key use, sequence number, repeats, broadcasts. A thin user of `Meter.serve`.

    APDU --> length, locked?, suite (digest or tag) --> repeat? sequence number --> serve --> the same suite --> APDU
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

from ..access import CONCENTRATOR, Port
from ..errors import BadDigest, DecodeError
from ..plc import MESSAGE_CODE, RESPONSE_OVERHEAD
from ..security import COMMISSIONING_CODE, BroadcastSuite, BroadcastWindow, Exchange, Link, MeterSecurity, SequenceWindow
from ..security.lockout import STATE_OCTETS as LOCKOUT_OCTETS
from ..security.lockout import Lockout
from ..security.modes import MODE_NUMBERS
from ..security.usage import AES_KEY_USAGE, MAX_KEY_USAGE, DailyLimit, KeyUse
from ..services import Response, ResultCode
from ..table import table
from ..types import LtimeDate
from .config import MeterConfig
from .events import RefusalReason, RequestServed
from .signals import Alarm, AuthenticationFailed

if TYPE_CHECKING:
    from .device import Meter

KEY_ALARM: Final = "key_expiration_pending"  # BT03; grade A
LIMIT_READ_EVERY: Final = 64  # uses of a key between two looks at its limit
_OLD_STATE_OCTETS: Final = 14  # without ET23 and lock-out
_STATE_OCTETS: Final = 22 + LOCKOUT_OCTETS


class PlcPort:
    """Answers 14908 application PDUs for one meter.

    Attributes:
        address: (subnet, node) of the last authentic request, (0, 0) before.    repeats: stored responses sent again.
        lockout: failed authentications in a row, ET55.20.    broadcast: uses of the broadcast key, ET54.86.
        commissionings: challenge and commission messages of the day, ET04.128.
        received, validated: explicit messages that came, and those of them with a good digest or tag, ET23.0 and ET23.4; of the
            first the guide says "not validated": before anybody looked, it is taken to mean (grade D).
    """

    def __init__(self, meter: Meter, config: MeterConfig) -> None:
        self.address = (0, 0)
        self.repeats = 0
        self.lockout = Lockout()
        self._omak, self.broadcast = KeyUse(), KeyUse()
        self.received = self.validated = 0
        self.commissionings = DailyLimit()
        self._meter, self._config = meter, config
        self._security = MeterSecurity(
            config.security, config.key, config.psk, config.unique_node_id, config.entropy, config.digests_refusals
        )
        self._broadcasts: tuple[Link, BroadcastSuite] | None = None
        self._sequence = SequenceWindow(config.sequence, config.sequence_window)
        self._last: tuple[bytes, bytes, float] | None = None  # request, response, instant

    @property
    def sequence(self) -> int:
        """The last sequence number used."""
        return self._sequence.last

    @property
    def unicast(self) -> KeyUse:
        """Uses of the unicast key, ET54.82: of the OMAK, or of the keys most used of those agreed on with clients (grade D)."""
        return max(self._security.uses, key=lambda one: one.uses, default=self._omak)

    @property
    def security_mode(self) -> int:
        """ET04.security_mode in force."""
        return MODE_NUMBERS[self._security.mode]

    def state(self) -> bytes:
        """What must survive a restart. The keys of commissionings do not: clients commission themselves again."""
        numbers = (self.sequence, self._omak.uses, self.broadcast.uses)
        messages = b"".join((number & 0xFFFFFFFF).to_bytes(4, "big") for number in (self.received, self.validated))
        return b"".join(number.to_bytes(4, "big") for number in numbers) + bytes(self.address) + messages + self.lockout.state()

    def restore(self, state: bytes) -> None:
        """Go on where a saved meter stood. Octets of another size change nothing."""
        if len(state) in (_OLD_STATE_OCTETS, _STATE_OCTETS):
            sequence, self._omak.uses, self.broadcast.uses = (int.from_bytes(state[k : k + 4], "big") for k in (0, 4, 8))
            self._sequence = SequenceWindow(sequence, self._config.sequence_window)
            self.address = (state[12], state[13])
            state = state.ljust(_STATE_OCTETS - LOCKOUT_OCTETS, b"\0")
            self.received, self.validated = (int.from_bytes(state[k : k + 4], "big") for k in (14, 18))
            self.lockout.restore(state[22:])

    def receive(self, request: bytes, link: Link, now: float, authenticated: bool = False) -> bytes | None:
        """See `Meter.receive_request`."""
        if request[:1] == bytes((COMMISSIONING_CODE,)):
            return self._commission(request, link, now)
        if request[:1] != bytes((MESSAGE_CODE,)):
            self._meter.deny(RefusalReason.NOT_OSGP, None, request, CONCENTRATOR)
            return None
        self.received += 1
        if len(request) > self._config.limits.apdu:
            return self._stranger(RefusalReason.TOO_LONG, ResultCode.ERROR, request, link)
        if self.lockout.locked(now):
            return self._stranger(RefusalReason.LOCKED_OUT, ResultCode.AUTHENTICATION_FAILURE, request, link)
        try:
            exchange = self._security.open_request(request, link)
        except BadDigest:
            self._failed(now)
            return self._stranger(RefusalReason.BAD_DIGEST, ResultCode.AUTHENTICATION_FAILURE, request, link)
        except DecodeError:
            return self._stranger(RefusalReason.TRUNCATED, ResultCode.ERROR, request, link)
        self.lockout.passed()
        self.validated += 1
        return self._accept(exchange, link, now, authenticated)

    def _accept(self, exchange: Exchange, link: Link, now: float, authenticated: bool) -> bytes:
        pdu = exchange.pdu
        if self._last is not None and self._last[0] == exchange.octets and now - self._last[2] <= self._config.repeat_time:
            self.repeats += 1
            self._meter.tell(RequestServed(now, pdu[0], int.from_bytes(pdu[1:3], "big"), repeated=True))
            return self._last[1]
        if self._config.requires_authentication and not authenticated:
            return self._refuse(RefusalReason.NOT_AUTHENTICATED, ResultCode.INSUFFICIENT_SECURITY, exchange)
        if exchange.use is not None and exchange.use.exhausted:
            return self._refuse(RefusalReason.KEY_EXHAUSTED, ResultCode.AUTHENTICATION_FAILURE, exchange)
        before = self._sequence.last
        if not self._sequence.accept(exchange.sequence):
            ahead = (exchange.sequence - before) & 0xFFFFFFFF
            reason = RefusalReason.SEQUENCE_AHEAD if 0 < ahead < 1 << 31 else RefusalReason.REPLAYED
            return self._refuse(reason, ResultCode.INVALID_SEQUENCE, exchange)
        self.address = (link.subnet, link.node)
        self._use(exchange.use or self._omak, now, exchange.use is not None)
        longest = self._config.limits.apdu - RESPONSE_OVERHEAD
        response = self._meter.serve(pdu, CONCENTRATOR, now, max_response=longest)
        answer = exchange.seal_response(response.encode())
        self._last = (exchange.octets, answer, now)
        return answer

    def receive_broadcast(self, octets: bytes, domain: bytes, now: float) -> bool:
        """A secure broadcast, see security/broadcast.py; never answered. Whether it was carried out."""
        key = self._config.broadcast_key
        if key is None or octets[:1] != bytes((MESSAGE_CODE,)) or self.lockout.locked(now):
            self._meter.deny(RefusalReason.NOT_OSGP, None, octets, CONCENTRATOR)
            return False
        self.received += 1
        place = Link(255, 127, domain)
        if self._broadcasts is None or self._broadcasts[0] != place:
            self._broadcasts = place, BroadcastSuite(key, domain)
        try:
            pdu, value = self._broadcasts[1].open(octets)
        except DecodeError:
            self._failed(now)
            self._meter.deny(RefusalReason.BAD_DIGEST, None, octets, CONCENTRATOR)
            return False
        self.validated += 1
        ends = key.kind == "PSK-BROADCAST"
        if ends and self.broadcast.exhausted:
            self._meter.deny(RefusalReason.KEY_EXHAUSTED, None, octets, CONCENTRATOR)
            return False
        if not self._take_broadcast(value, now):
            self._meter.deny(RefusalReason.BROADCAST_WINDOW, None, octets, CONCENTRATOR)
            return False
        self._use(self.broadcast, now, ends)
        return self._meter.serve(pdu, CONCENTRATOR, now).result is ResultCode.OK

    def _take_broadcast(self, value: int, now: float) -> bool:
        """Check the value against ET04 and move the base there."""
        store = self._meter.store
        system = table("ET04").decode(self._meter.octets("ET04", now), store.context)
        window = BroadcastWindow(system["broadcast_base"], system["broadcast_delta"])
        if not window.accept(value):
            return False
        receipt = self._meter.clock.utc(now)
        store.update("ET04", {"broadcast_base": window.base, "broadcast_receipt": LtimeDate.of(receipt)})
        return True

    def _commission(self, octets: bytes, link: Link, now: float) -> bytes | None:
        if self.lockout.locked(now):
            return self._stranger(RefusalReason.LOCKED_OUT, ResultCode.AUTHENTICATION_FAILURE, octets, link)
        seconds = (self._meter.clock.utc(now) - datetime.datetime(1970, 1, 1)).total_seconds()
        try:
            answer = self._security.commission(octets, link, self.sequence, lambda: self.commissionings.use(seconds))
        except BadDigest:
            self._failed(now)
            return self._stranger(RefusalReason.BAD_DIGEST, ResultCode.AUTHENTICATION_FAILURE, octets, link)
        except DecodeError:
            answer = None
        if answer is None:
            self._meter.deny(RefusalReason.NOT_COMMISSIONED, None, octets, CONCENTRATOR)
        return answer

    def _use(self, key: KeyUse, now: float, ends: bool) -> None:
        """Count a use.    ends: the key is good for so many uses and no more."""
        if key.uses % LIMIT_READ_EVERY == 0:
            limit = self._meter.store.value("ET04", "max_key_usage") or MAX_KEY_USAGE
            key.limit = min(limit, AES_KEY_USAGE) if ends else limit
        if key.use():
            self._meter.signal(Alarm(KEY_ALARM), now)

    def _failed(self, now: float) -> None:
        if "ET55" in self._meter.store:
            limits = table("ET55").decode(self._meter.octets("ET55", now), self._meter.store.context)
            self.lockout.threshold = limits.get("plc_lockout_threshold", 0)
            self.lockout.minutes = limits.get("plc_lockout_minutes", 0)
        self.lockout.failed(now)
        self._meter.signal(AuthenticationFailed(Port.PLC), now)

    def _stranger(self, reason: RefusalReason, code: ResultCode, octets: bytes, link: Link) -> bytes:
        """Answer to somebody who did not prove to know a key."""
        self._meter.deny(reason, code, octets, CONCENTRATOR)
        return self._security.answer_stranger(octets, bytes((code,)), link)

    def _refuse(self, reason: RefusalReason, code: ResultCode, exchange: Exchange) -> bytes:
        """Answer to an authentic request that is not carried out."""
        self._meter.deny(reason, code, exchange.octets, CONCENTRATOR)
        sequence = self._sequence.last if code is ResultCode.INVALID_SEQUENCE else None
        return exchange.seal_refusal(Response(code, sequence=sequence).encode())
