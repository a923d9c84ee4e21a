"""Which suite a station of the power line speaks, and both ends of it: what a meter accepts, what a client sends."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

from ..errors import BadDigest, ConfigurationError, LocalProtocolError
from .aes import AES_SUITE_NAME
from .apdu import unsealed
from .commissioning import Entropy, Initiator, Responder
from .exchange import Exchange, Link, Suite
from .keys import Key
from .oma import OmaSuite
from .rc4 import Rc4Suite
from .usage import RENEWAL, KeyUse

FRESH: Final[Entropy] = secrets.token_bytes
RENEWAL_TRIES: Final = 6  # messages of a renewal sent before it is put off; two are needed. Grade D
LATER: Final = 50  # part of the uses until then after which a renewal is tried again. Grade D


class SecurityMode(StrEnum):
    """How a station protects its messages.

    A meter with AUTO accepts OMA digests until a client has shown to know the PSK, and from then on nothing but AES: a meter in
    mode 2 rejects every message of the RC4 era (grade A). A client with AUTO speaks AES.
    """

    AES = "aes"  # the project's AES-128 profile; the default
    OMA = "oma"  # OMA digest, weak, nothing encrypted
    RC4 = "rc4"  # OMA digest and RC4, both broken; a meter accepts plain requests too and answers in kind
    AUTO = "auto"  # AES or OMA, see above


# ET04.security_mode; grade A for the numbers.
MODE_NUMBERS: Final = {SecurityMode.RC4: 0, SecurityMode.OMA: 0, SecurityMode.AUTO: 0, SecurityMode.AES: 2}
MODE_NAMES: Final = {
    SecurityMode.AES: AES_SUITE_NAME,
    SecurityMode.OMA: "OMA digest (weak, nothing encrypted)",
    SecurityMode.RC4: "OMA digest and RC4 (both broken)",
    SecurityMode.AUTO: f"{AES_SUITE_NAME}; OMA digest until a client has shown to know the PSK",
}


class MeterSecurity:
    """What a meter accepts on the power line. A suite is recognised by trying (grade A for the way), and answered in kind.

    Args:
        mode: see `SecurityMode`.    omak, psk: the meter's keys.    unique_node_id: its 6 octets.
        entropy: makes nonces, n -> n unpredictable octets.
        digests_refusals: see `OmaSuite`; for the study of an attack only.

    Attributes:
        mode: in force now.
    """

    def __init__(
        self, mode: SecurityMode, omak: Key, psk: Key, unique_node_id: bytes, entropy: Entropy = FRESH,
        digests_refusals: bool = False,
    ) -> None:  # fmt: skip
        self.mode = mode
        self._responder = Responder(psk, unique_node_id, entropy)
        self._old: tuple[Suite, ...] = ()
        if mode is not SecurityMode.AES:
            self._old = (OmaSuite(omak, digests_refusals),)
        if mode is SecurityMode.RC4:
            self._old += (Rc4Suite(omak),)

    @property
    def uses(self) -> tuple[KeyUse, ...]:
        """Uses of the keys agreed on with clients."""
        return tuple(suite.use for suite in self._responder.sessions)

    @property
    def _speaks_aes(self) -> bool:
        return self.mode in (SecurityMode.AES, SecurityMode.AUTO)

    def open_request(self, octets: bytes, link: Link) -> Exchange:
        """An authentic request under any suite in force. BadDigest when there is none, TruncatedMessage, DecodeError."""
        problem: BadDigest | None = None
        for suite in (*self._responder.suites(), *self._old):
            try:
                return suite.open_request(octets, link)
            except BadDigest as error:
                problem = error
        raise problem or BadDigest("no client has been commissioned")

    def answer_stranger(self, octets: bytes, pdu: bytes, link: Link) -> bytes:
        """Answer to octets that did not open."""
        for suite in self._old:
            if (answer := suite.answer_stranger(octets, pdu, link)) is not None:
                return answer
        return unsealed(pdu)

    def commission(self, octets: bytes, link: Link, sequence: int, allow: Callable[[], bool]) -> bytes | None:
        """Answer a commissioning message, see `Responder.receive`; None when this meter has no AES."""
        if not self._speaks_aes:
            return None
        answer = self._responder.receive(octets, link, sequence, allow)
        if self.mode is SecurityMode.AUTO and self._responder.sessions:
            self.mode, self._old = SecurityMode.AES, ()
        return answer

    def __repr__(self) -> str:
        return f"MeterSecurity({self.mode.value})"


class ClientSecurity(Protocol):
    """The client's end for one meter."""

    @property
    def name(self) -> str:
        """What it is called in reports."""

    def prepare(self, link: Link) -> bytes | None:
        """Octets to send before a request can be sealed; None: ready."""

    def receive(self, octets: bytes) -> int | None:
        """Answer to what `prepare` gave. The meter's last sequence number once ready. BadDigest, DecodeError."""

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> Exchange:
        """A request, when ready."""

    def forget(self) -> bool:
        """The meter does not know our keys: start anew. False when that would change nothing."""


class DirectClient:
    """A suite whose keys are there from the start."""

    __slots__ = ("_suite",)

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    @property
    def name(self) -> str:
        """See `ClientSecurity`."""
        return self._suite.name

    def prepare(self, link: Link) -> bytes | None:
        """See `ClientSecurity`."""
        return None

    def receive(self, octets: bytes) -> int | None:
        """See `ClientSecurity`."""
        raise LocalProtocolError("nothing was to be prepared")

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> Exchange:
        """See `ClientSecurity`."""
        return self._suite.seal_request(pdu, sequence, link)

    def forget(self) -> bool:
        """See `ClientSecurity`."""
        return False


class AesClient:
    """The AES profile: commissions itself with the meter before the first request, again when the meter lost its keys, and again
    before the keys have been used too often.

    Args:
        psk: of the meter.    unique_node_id: its 6 octets.    entropy: makes nonces.
        renewal: requests sealed after which new keys are agreed on; when the meter does not answer then, the old ones serve on
            and it is tried again later.
    """

    __slots__ = ("_entropy", "_id", "_initiator", "_link", "_psk", "_renewal", "_renewing", "_sealed", "_tries")

    def __init__(self, psk: Key, unique_node_id: bytes, entropy: Entropy = FRESH, renewal: int = RENEWAL) -> None:
        if renewal < 1:
            raise ConfigurationError(f"renewal is at least 1 request, got {renewal}")
        self._psk, self._id, self._entropy, self._renewal = psk, unique_node_id, entropy, renewal
        self._initiator: Initiator | None = None
        self._link: Link | None = None
        self._renewing: Initiator | None = None
        self._sealed = self._tries = 0

    @property
    def name(self) -> str:
        """See `ClientSecurity`."""
        return AES_SUITE_NAME

    def prepare(self, link: Link) -> bytes | None:
        """See `ClientSecurity`."""
        if self._initiator is None or self._link != link:
            self.forget()
            self._link, self._initiator = link, Initiator(self._psk, self._id, link, self._entropy)
        if self._initiator.suite is None:
            return self._initiator.octets
        return self._renew(link) if self._sealed >= self._renewal else None

    def _renew(self, link: Link) -> bytes | None:
        if self._renewing is None:
            self._renewing, self._tries = Initiator(self._psk, self._id, link, self._entropy), 0
        if self._tries >= RENEWAL_TRIES:
            self._renewing, self._sealed = None, self._renewal - max(1, self._renewal // LATER)
            return None
        self._tries += 1
        return self._renewing.octets

    def receive(self, octets: bytes) -> int | None:
        """See `ClientSecurity`."""
        initiator = self._renewing or self._initiator
        if initiator is None:
            raise LocalProtocolError("nothing was to be prepared")
        initiator.receive(octets)
        if initiator.suite is not None:
            self._initiator, self._renewing, self._sealed = initiator, None, 0
        return initiator.sequence

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> Exchange:
        """See `ClientSecurity`."""
        if self._initiator is None or self._initiator.suite is None:
            raise LocalProtocolError("the commissioning is not over: prepare first")
        self._sealed += 1
        return self._initiator.suite.seal_request(pdu, sequence, link)

    def forget(self) -> bool:
        """See `ClientSecurity`."""
        self._initiator = self._renewing = None
        self._sealed = 0
        return True


def client_security(
    mode: SecurityMode, omak: Key, psk: Key, unique_node_id: bytes, entropy: Entropy = FRESH
) -> ClientSecurity:
    """The client's end for one meter. `entropy`: makes nonces, n -> n unpredictable octets."""
    match mode:
        case SecurityMode.OMA:
            return DirectClient(OmaSuite(omak))
        case SecurityMode.RC4:
            return DirectClient(Rc4Suite(omak))
    return AesClient(psk, unique_node_id, entropy)
