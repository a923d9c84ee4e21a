"""Secure broadcasts: one key for many meters, no answer, and a window of values instead of a sequence number.

    00 | CCM(PDU) | value (4, big endian) | tag (8)               AES profile, key from the broadcast PSK, label "OSGP-BCAST"
    00 | PDU      | value (4, big endian) | OMA digest (8)        OMA, over FF FF, then the octets before the digest

ET04 holds a base B, a delta D and the time of the last broadcast accepted (grade A). How they are used is not published. Grade D:
a value is accepted when B < value <= B + D, and B becomes the value. Message layouts mirror the unicast ones, grade D.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from ..errors import BadDigest, ConfigurationError
from .aes import BROADCAST, LABEL_BROADCAST, NODE_ID_OCTETS, context_of, derive
from .apdu import MESSAGE_CODE, split_request
from .exchange import SEQUENCE_OCTETS, TAG_OCTETS, Link
from .keys import Key
from .oma import OmaSuite, oma_digest

EVERYBODY: Final = b"\xff" * NODE_ID_OCTETS
MAX_VALUE: Final = 0xFFFFFFFF
MAX_DELTA: Final = 0xFFFF
_PLACE: Final = b"\xff\xff"  # stands for subnet and node


@dataclass(slots=True)
class BroadcastWindow:
    """ET04.broadcast_base and broadcast_delta. Values do not wrap: at 2^32 - 1 the key must be renewed.

    Args:
        base: 0 .. 2^32 - 1.    delta: 0 .. 65535; with 0 no broadcast is accepted.
    """

    base: int = 0
    delta: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.base <= MAX_VALUE and 0 <= self.delta <= MAX_DELTA):
            raise ConfigurationError(f"base is 0..{MAX_VALUE} and delta 0..{MAX_DELTA}, got {self.base} and {self.delta}")

    def accept(self, value: int) -> bool:
        """Take a value inside the window; otherwise nothing changes."""
        if not self.base < value <= self.base + self.delta:
            return False
        self.base = value
        return True


class BroadcastSuite:
    """Seals and opens broadcasts under one key: a PSK-BROADCAST (AES) or an OMA-BROADCAST (weak).

    Args:
        key: of one of the two kinds.    domain: 14908 domain id; the AES key is bound to it.
    """

    __slots__ = ("_aead", "_context", "_key")

    def __init__(self, key: Key, domain: bytes = b"") -> None:
        if key.kind not in ("PSK-BROADCAST", "OMA-BROADCAST"):
            raise ConfigurationError(f"broadcasts take a PSK-BROADCAST or an OMA-BROADCAST key, got {key.kind}")
        self._key = key
        self._aead: AESCCM | None = None
        if key.kind == "PSK-BROADCAST":
            context = context_of(Link(255, 127, domain), EVERYBODY)
            self._aead = AESCCM(derive(key, LABEL_BROADCAST, context).reveal(), tag_length=TAG_OCTETS)

    def __repr__(self) -> str:
        return f"BroadcastSuite({self._key.kind})"

    def seal(self, pdu: bytes, value: int) -> bytes:
        """A broadcast with a value that was never used before, 1 .. 2^32 - 1."""
        number, code = value.to_bytes(SEQUENCE_OCTETS, "big"), bytes((MESSAGE_CODE,))
        if self._aead is None:
            body = code + pdu + number
            return body + oma_digest(self._key.reveal(), _PLACE + body)
        sealed = self._aead.encrypt(self._nonce(value), pdu, _PLACE + code)
        return code + sealed[:-TAG_OCTETS] + number + sealed[-TAG_OCTETS:]

    def open(self, octets: bytes) -> tuple[bytes, int]:
        """Request PDU and value. BadDigest, TruncatedMessage, DecodeError. The value is yet to be checked."""
        body, value, tag = split_request(octets)
        if self._aead is None:
            if not OmaSuite.same(tag, oma_digest(self._key.reveal(), _PLACE + octets[:-TAG_OCTETS])):
                raise BadDigest("the digest of a broadcast is wrong")
            return body, value
        try:
            return self._aead.decrypt(self._nonce(value), body + tag, _PLACE + octets[:1]), value
        except InvalidTag:
            raise BadDigest("the tag of a broadcast is wrong") from None

    @staticmethod
    def _nonce(value: int) -> bytes:
        return BROADCAST + EVERYBODY + b"\0\0" + value.to_bytes(SEQUENCE_OCTETS, "big")
