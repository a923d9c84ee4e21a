"""TLS mode of the MEP port, the meter's side: outer codes around TLS records.

    0x58 first handshake message    0x59 further ones    0x80 application record with one request    0x57 terminate
    answer: 0x00 and TLS records, or 0x01 TLS error, 0x03 wrong identity or key, 0x0A no session, alone. Grade A.

Inside a session there is no sequence number and no digest. Whatever goes wrong ends the session.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, Protocol

from ..access import AccessLevel, Port, Session
from ..security import Key, KeyRing
from ..security.tls_psk import Entropy, TlsPskServer, parse_mep_identity
from ..security.tls_record import Alert, TlsError
from ..services import Response, ResultCode
from .frame import MAX_BODY

TERMINATE: Final = 0x57
FIRST_HANDSHAKE: Final = 0x58
HANDSHAKE: Final = 0x59
APPLICATION: Final = 0x80
CODES: Final = frozenset((TERMINATE, FIRST_HANDSHAKE, HANDSHAKE, APPLICATION))
RECORD_OVERHEAD: Final = 5 + 8 + 16  # header, explicit nonce, tag
MAX_TLS_RESPONSE: Final = MAX_BODY - 1 - RECORD_OVERHEAD  # of a response PDU
MAX_TLS_REQUEST: Final = MAX_BODY - 1 - RECORD_OVERHEAD  # of a request PDU
_RECORD_TYPES: Final = range(20, 24)
# Alerts that say: the client has not shown that it knows a key. A Finished that cannot be opened is a wrong key, too.
_KEY_ALERTS: Final = frozenset((Alert.UNKNOWN_PSK_IDENTITY, Alert.DECRYPT_ERROR, Alert.BAD_RECORD_MAC))


def is_tls(body: bytes) -> bool:
    """Whether a frame is one of TLS mode. (No service of the tables has one of these codes, but an encrypted one may.)"""
    if len(body) < 2 or body[0] not in CODES:
        return False
    return body[0] == TERMINATE or (len(body) >= 6 and body[1] in _RECORD_TYPES and body[2] == 3)


class TlsHost(Protocol):
    """What TLS mode needs of the port's host."""

    def keys(self) -> KeyRing: ...
    def refused(self, now: float) -> None: ...


class TlsServerMode:
    """One session at a time at one port.

    Args:
        serve: carries out (PDU, session, most octets of the answer, now).    entropy: n -> n unpredictable octets.

    Attributes:
        last_alert: description of the last one.    failures: sessions and handshakes that failed.
    """

    def __init__(
        self,
        host: TlsHost,
        port: Port,
        serve: Callable[[bytes, Session, int, float], Response],
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._host, self._port, self._serve, self._entropy = host, port, serve, entropy
        self._tls: TlsPskServer | None = None
        self.last_alert = self.failures = 0

    @property
    def open(self) -> bool:
        """Whether a session is open."""
        return self._tls is not None and self._tls.established

    def reset(self) -> None:
        """End the session."""
        self._tls = None

    def _psk(self, identity: bytes) -> Key | None:
        named = parse_mep_identity(identity)
        if named is None:
            return None
        return next((key for key in self._host.keys().mep_keys if key.kind == named[1]), None)

    def receive(self, body: bytes, now: float) -> bytes:
        """Answer to one frame of TLS mode: outer code first."""
        code, records = body[0], body[1:]
        if code == TERMINATE:
            self.reset()
            return bytes((ResultCode.OK,))
        if code == FIRST_HANDSHAKE:
            self._tls = TlsPskServer(self._psk, self._entropy)
        tls = self._tls
        if tls is None or tls.established != (code == APPLICATION):
            self.reset()
            return bytes((ResultCode.INVALID_STATE,))
        established = tls.established
        try:
            data = tls.receive(records)
        except TlsError as error:
            self.reset()
            self.last_alert, self.failures = int(error.alert), self.failures + 1
            if not established and error.alert in _KEY_ALERTS and not error.received:
                self._host.refused(now)
                return bytes((ResultCode.INSUFFICIENT_SECURITY,))
            return bytes((ResultCode.ERROR,))
        if established and not tls.closed:
            tls.send(self._respond(data, tls.identity, now))
        answer = tls.octets_to_send()
        if tls.closed:
            self.reset()
        if len(answer) >= MAX_BODY:
            self.reset()
            return bytes((ResultCode.ERROR,))
        return bytes((ResultCode.OK,)) + answer

    def _respond(self, pdu: bytes, identity: bytes, now: float) -> bytes:
        named = parse_mep_identity(identity)
        assert named is not None
        session = Session(AccessLevel(named[1]), self._port, client=named[0])
        return self._serve(pdu, session, MAX_TLS_RESPONSE, now).encode()
