"""The client's end of the MEP port in TLS mode: handshake when there is no session, then one record for each request. Sans I/O.

    request(pdu) --> [58 hello --> 59 finished -->] 80 record --> Answered
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from ..errors import ConfigurationError, DecodeError
from ..security import Key
from ..security.tls_psk import Entropy, TlsPskClient, mep_identity
from ..security.tls_record import TlsError
from ..services import Response, ResultCode
from .client import MepRequester
from .frame import MepTiming
from .tls_mode import APPLICATION, FIRST_HANDSHAKE, HANDSHAKE, MAX_TLS_REQUEST, MAX_TLS_RESPONSE, TERMINATE


@dataclass(frozen=True, slots=True)
class MepTlsConfig:
    """Who asks.

    Args:
        key: MAK or MBK.    client_id: 0..65535, which the meter logs.    timing: see MepTiming.
        entropy: n -> n unpredictable octets.
    """

    key: Key
    client_id: int = 1
    timing: MepTiming = field(default_factory=MepTiming)
    entropy: Entropy = secrets.token_bytes


class MepTlsClient(MepRequester):
    """Reads a meter over the MEP port through TLS."""

    max_read = MAX_TLS_RESPONSE - 3

    def __init__(self, config: MepTlsConfig) -> None:
        if config.key.kind not in ("MAK", "MBK"):
            raise ConfigurationError(f"the MEP port takes a MAK or an MBK, got {config.key.kind}")
        super().__init__(config.timing)
        self.config = config
        self._identity = mep_identity(config.client_id, config.key.kind)
        self._tls: TlsPskClient | None = None
        self._fresh = False

    @property
    def open(self) -> bool:
        """Whether there is a session."""
        return self._tls is not None and self._tls.established

    def terminate(self) -> bytes:
        """The frame body that ends the session at the meter (0x57; its data octet means nothing); ours is over, too."""
        self._tls = None
        return bytes((TERMINATE, 0))

    def _longest(self) -> int:
        return MAX_TLS_REQUEST

    def _begin(self, now: float) -> None:
        if self._tls is not None and self._tls.established:
            self._fresh = False
            self._send_request(now)
        else:
            self._handshake(now)

    def _handshake(self, now: float) -> None:
        self._fresh = True
        self._tls = TlsPskClient(self._identity, self.config.key, self.config.entropy)
        self._ask(bytes((FIRST_HANDSHAKE,)) + self._tls.octets_to_send(), now)

    def _send_request(self, now: float) -> None:
        assert self._tls is not None and self._request is not None
        self._tls.send(self._request.encode())
        self._ask(bytes((APPLICATION,)) + self._tls.octets_to_send(), now)

    def _on_body(self, body: bytes, now: float) -> None:
        assert self._tls is not None and self._request is not None
        if body[0] != ResultCode.OK:
            self._tls = None
            if body[0] == ResultCode.INVALID_STATE and not self._fresh:
                self._handshake(now)  # the meter has forgotten the session
            else:
                self._fail(_REASONS.get(body[0], f"the meter answered 0x{body[0]:02x}"), now)
            return
        try:
            data = self._tls.receive(body[1:])
            if not self._tls.established:
                self._ask(bytes((HANDSHAKE,)) + self._tls.octets_to_send(), now)
            elif data:
                self._answered(Response.decode(data, self._request), now)
            else:
                self._send_request(now)
        except TlsError as error:
            self._tls = None
            self._fail(f"TLS: {error}", now)
        except DecodeError as error:
            self._fail(str(error), now)


_REASONS: Final[dict[int, str]] = {
    ResultCode.ERROR: "the meter reports a TLS error",
    ResultCode.INSUFFICIENT_SECURITY: "the meter refuses identity or key",
    ResultCode.INVALID_STATE: "the meter has no TLS session",
}
