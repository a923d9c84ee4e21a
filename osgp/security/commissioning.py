"""Fresh keys for the AES profile: two nonces and a proof from each side that it knows the PSK. Project profile, grade D.

    client -> meter   01 01 | nonce C (16)
    meter -> client   01 02 | nonce M (16) | CMAC(16) over 02, context, nonce C, nonce M
    client -> meter   01 03 | CMAC(16) over 03, context, nonce C, nonce M
    meter -> client   01 04 | last sequence number (4) | CMAC(16) over 04, context, nonce C, nonce M, that number

The shape is that of EAP-GPSK (RFC 5433) without its cipher negotiation: one suite, nothing to negotiate down. The CMAC key is
derived from the PSK (label "OSGP-MAC", context as in aes.py without nonces); the keys of the messages have both nonces in their
context. Message code 01, so that it is never taken for a sealed message. A meter keeps the keys of a few clients side by side,
replaces nothing before the client has proved itself, and carries out at most 100 of these a day (ET04.128, grade A).
"""

from __future__ import annotations

import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final

from ..errors import BadDigest, DecodeError, LocalProtocolError
from .aes import LABEL_MAC, AesSuite, cmac, context_of, derive
from .exchange import SEQUENCE_OCTETS, Link
from .keys import Key

COMMISSIONING_CODE: Final = 0x01  # EN 14908-1 application message code
HELLO, CHALLENGE, PROOF, WELCOME = 1, 2, 3, 4
NONCE_OCTETS: Final = 16
MAC_OCTETS: Final = 16
SESSIONS_KEPT: Final = 4  # clients of one meter: concentrators, readers
PENDING_KEPT: Final = 4  # begun and not proved

Entropy = Callable[[int], bytes]


def _message(kind: int, *parts: bytes) -> bytes:
    return bytes((COMMISSIONING_CODE, kind)) + b"".join(parts)


def _body(octets: bytes, kind: int, size: int) -> bytes:
    if len(octets) != 2 + size or octets[0] != COMMISSIONING_CODE or octets[1] != kind:
        raise DecodeError(f"expected a commissioning message {kind} of {2 + size} octets, got {len(octets)} octets")
    return octets[2:]


class _Proofs:
    """The CMACs of one handshake."""

    __slots__ = ("_covered", "_key", "nonces")

    def __init__(self, psk: Key, unique_node_id: bytes, link: Link, nonces: bytes) -> None:
        context = context_of(link, unique_node_id)
        self._key, self._covered, self.nonces = derive(psk, LABEL_MAC, context), context + nonces, nonces

    def make(self, kind: int, more: bytes = b"") -> bytes:
        return cmac(self._key, bytes((kind,)) + self._covered + more)

    def check(self, kind: int, mac: bytes, more: bytes = b"") -> None:
        if not hmac.compare_digest(mac, self.make(kind, more)):
            raise BadDigest("the other side of a commissioning does not know the key")


class Initiator:
    """The client's side: send `octets`, give the answer to `receive`, until `suite` is there.

    Attributes:
        octets: the message to send now.    suite: keys for requests, None until the meter proved itself.
        sequence: the meter's last sequence number, with `suite`.
    """

    __slots__ = ("_id", "_link", "_nonce", "_proofs", "_psk", "octets", "sequence", "suite")

    def __init__(self, psk: Key, unique_node_id: bytes, link: Link, entropy: Entropy) -> None:
        self._psk, self._id, self._link = psk, unique_node_id, link
        self._nonce = entropy(NONCE_OCTETS)
        self._proofs: _Proofs | None = None
        self.octets = _message(HELLO, self._nonce)
        self.suite: AesSuite | None = None
        self.sequence: int | None = None

    def receive(self, octets: bytes) -> None:
        """An answer to `octets`. BadDigest: the meter has another PSK, or it was forged; DecodeError; nothing changes then."""
        if self.suite is not None:
            raise LocalProtocolError("the commissioning is over")
        if self._proofs is None:
            body = _body(octets, CHALLENGE, NONCE_OCTETS + MAC_OCTETS)
            proofs = _Proofs(self._psk, self._id, self._link, self._nonce + body[:NONCE_OCTETS])
            proofs.check(CHALLENGE, body[NONCE_OCTETS:])
            self._proofs = proofs
            self.octets = _message(PROOF, proofs.make(PROOF))
            return
        body = _body(octets, WELCOME, SEQUENCE_OCTETS + MAC_OCTETS)
        number, mac = body[:SEQUENCE_OCTETS], body[SEQUENCE_OCTETS:]
        self._proofs.check(WELCOME, mac, number)
        self.sequence = int.from_bytes(number, "big")
        self.suite = AesSuite(self._psk, self._id, self._link, self._proofs.nonces)


class Responder:
    """The meter's side, and the keys of the clients that proved themselves.

    Attributes:
        sessions: suites by the order of their commissioning, the newest last.
    """

    __slots__ = ("_entropy", "_id", "_pending", "_psk", "_welcomes", "sessions")

    def __init__(self, psk: Key, unique_node_id: bytes, entropy: Entropy) -> None:
        self._psk, self._id, self._entropy = psk, unique_node_id, entropy
        self._pending: OrderedDict[bytes, tuple[Link, _Proofs, bytes]] = OrderedDict()  # by hello
        self._welcomes: OrderedDict[bytes, bytes] = OrderedDict()  # proof to answer, for repeats
        self.sessions: deque[AesSuite] = deque(maxlen=SESSIONS_KEPT)

    def suites(self) -> Iterator[AesSuite]:
        """Keys to try, the newest first."""
        return reversed(self.sessions)

    def receive(self, octets: bytes, link: Link, sequence: int, allow: Callable[[], bool]) -> bytes | None:
        """Answer a commissioning message; None: no answer.

        Args:
            sequence: last sequence number used, 0 .. 2^32 - 1.    allow: counts one more handshake, False: none is left today.

        Raises BadDigest when the client does not know the key, DecodeError when it is no message of ours.
        """
        if octets[1:2] == bytes((HELLO,)):
            nonce = _body(octets, HELLO, NONCE_OCTETS)
            if nonce not in self._pending:
                if not allow():
                    return None
                proofs = _Proofs(self._psk, self._id, link, nonce + self._entropy(NONCE_OCTETS))
                answer = _message(CHALLENGE, proofs.nonces[NONCE_OCTETS:], proofs.make(CHALLENGE))
                self._pending[nonce] = link, proofs, answer
                if len(self._pending) > PENDING_KEPT:
                    self._pending.popitem(last=False)
            return self._pending[nonce][2]
        mac = _body(octets, PROOF, MAC_OCTETS)
        if mac in self._welcomes:
            return self._welcomes[mac]
        for nonce, (place, proofs, _) in self._pending.items():
            if place == link and hmac.compare_digest(mac, proofs.make(PROOF)):
                del self._pending[nonce]
                self.sessions.append(AesSuite(self._psk, self._id, link, proofs.nonces))
                number = sequence.to_bytes(SEQUENCE_OCTETS, "big")
                self._welcomes[mac] = answer = _message(WELCOME, number, proofs.make(WELCOME, number))
                if len(self._welcomes) > PENDING_KEPT:
                    self._welcomes.popitem(last=False)
                return answer
        raise BadDigest("the client of a commissioning does not know the key")


def overheard(psk: Key, unique_node_id: bytes, link: Link, hello: bytes, challenge: bytes) -> AesSuite | None:
    """The keys that a client and a meter agreed on, for somebody who knows the PSK and heard both nonces; None: another PSK.

    So whoever learns a PSK later reads what was recorded before: the profile has no forward secrecy.
    """
    try:
        answer = _body(challenge, CHALLENGE, NONCE_OCTETS + MAC_OCTETS)
        proofs = _Proofs(psk, unique_node_id, link, _body(hello, HELLO, NONCE_OCTETS) + answer[:NONCE_OCTETS])
        proofs.check(CHALLENGE, answer[NONCE_OCTETS:])
    except DecodeError:
        return None
    return AesSuite(psk, unique_node_id, link, proofs.nonces)
