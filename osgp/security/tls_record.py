"""Records of TLS 1.2 with AES-256-GCM and SHA-384: framing, protection, key schedule. RFC 5246, RFC 5288, RFC 4279 (grade A).

    type(1) | 03 03 | length(2 BE) | fragment
    protected fragment: explicit nonce (8, the record's sequence number) | cipher text | tag (16)
    nonce: write IV (4) | explicit nonce (8)      associated data: sequence number (8) | type | 03 03 | length of the plain text
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import DecodeError, LocalProtocolError
from .keys import Key

VERSION: Final = b"\x03\x03"
HEADER_OCTETS: Final = 5
MAX_PLAIN: Final = 1 << 14
NONCE_OCTETS, TAG_OCTETS, IV_OCTETS, KEY_OCTETS = 8, 16, 4, 32
MAX_FRAGMENT: Final = MAX_PLAIN + NONCE_OCTETS + TAG_OCTETS
MASTER_OCTETS: Final = 48


class ContentType(IntEnum):
    """Type of a record."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class Alert(IntEnum):
    """Alert descriptions that we send or know by name."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    ILLEGAL_PARAMETER = 47
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INTERNAL_ERROR = 80
    UNSUPPORTED_EXTENSION = 110
    UNKNOWN_PSK_IDENTITY = 115


class TlsError(DecodeError):
    """A TLS connection failed. `alert`: description; `received`: the peer sent it, else we do."""

    def __init__(self, alert: int, text: str, received: bool = False) -> None:
        super().__init__(text)
        self.alert, self.received = alert, received


def p_sha384(secret: bytes, label: bytes, seed: bytes, octets: int) -> bytes:
    """The PRF of TLS 1.2 (RFC 5246, 5) with SHA-384."""
    seed = label + seed
    out, a = b"", seed
    while len(out) < octets:
        a = hmac.digest(secret, a, "sha384")
        out += hmac.digest(secret, a + seed, "sha384")
    return out[:octets]


def premaster(psk: bytes) -> bytes:
    """RFC 4279, 2: length, zeroes, length, key."""
    length = len(psk).to_bytes(2, "big")
    return length + bytes(len(psk)) + length + psk


class Schedule:
    """Keys of one connection. They are held by cipher objects and hidden `Key`s.

    Args:
        psk: the shared key.    client_random, server_random: 32 octets.
    """

    __slots__ = ("_master", "client", "server")

    def __init__(self, psk: Key, client_random: bytes, server_random: bytes) -> None:
        master = p_sha384(premaster(psk.reveal()), b"master secret", client_random + server_random, MASTER_OCTETS)
        self._master = Key(master, "TLS master secret")
        block = p_sha384(master, b"key expansion", server_random + client_random, 2 * (KEY_OCTETS + IV_OCTETS))
        keys, ivs = block[: 2 * KEY_OCTETS], block[2 * KEY_OCTETS :]
        self.client = Protection(keys[:KEY_OCTETS], ivs[:IV_OCTETS])
        self.server = Protection(keys[KEY_OCTETS:], ivs[IV_OCTETS:])

    def verify_data(self, label: bytes, handshake_hash: bytes) -> bytes:
        """Content of a Finished message, 12 octets."""
        return p_sha384(self._master.reveal(), label, handshake_hash, 12)


class Protection:
    """One direction of a protected connection."""

    __slots__ = ("_aead", "_iv", "_sequence")

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._aead, self._iv, self._sequence = AESGCM(key), iv, 0

    def _next(self) -> bytes:
        if self._sequence >= 1 << 64:
            raise LocalProtocolError("a TLS connection ran out of sequence numbers")
        number = self._sequence.to_bytes(NONCE_OCTETS, "big")
        self._sequence += 1
        return number

    def seal(self, kind: int, plain: bytes) -> bytes:
        """The protected fragment of a record."""
        number = self._next()
        bound = number + bytes((kind,)) + VERSION + len(plain).to_bytes(2, "big")
        return number + self._aead.encrypt(self._iv + number, plain, bound)

    def open(self, kind: int, fragment: bytes) -> bytes:
        """The plain text of a record. TlsError when it was changed, repeated, dropped or reordered before."""
        number = self._next()
        size = len(fragment) - NONCE_OCTETS - TAG_OCTETS
        if size < 0:
            raise TlsError(Alert.BAD_RECORD_MAC, "a protected record is too short")
        bound = number + bytes((kind,)) + VERSION + size.to_bytes(2, "big")
        try:
            return self._aead.decrypt(self._iv + fragment[:NONCE_OCTETS], fragment[NONCE_OCTETS:], bound)
        except InvalidTag:
            raise TlsError(Alert.BAD_RECORD_MAC, "a record does not fit the keys: another key, or it was changed") from None


class RecordReader:
    """Octets to records, cut anywhere. TlsError for what is no record."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def push(self, octets: bytes) -> Iterator[tuple[ContentType, bytes]]:
        """Type and fragment of every record that is complete."""
        self._octets += octets
        while len(self._octets) >= HEADER_OCTETS:
            kind, major, length = self._octets[0], self._octets[1], int.from_bytes(self._octets[3:5], "big")
            if kind not in ContentType.__members__.values():
                raise TlsError(Alert.UNEXPECTED_MESSAGE, f"a record of type {kind}")
            if major != VERSION[0]:
                raise TlsError(Alert.PROTOCOL_VERSION, f"a record of version {major}.{self._octets[2]}")
            if length > MAX_FRAGMENT:
                raise TlsError(Alert.RECORD_OVERFLOW, f"a record of {length} octets")
            if len(self._octets) < HEADER_OCTETS + length:
                return
            fragment = bytes(self._octets[HEADER_OCTETS : HEADER_OCTETS + length])
            del self._octets[: HEADER_OCTETS + length]
            yield ContentType(kind), fragment


def record(kind: int, fragment: bytes) -> bytes:
    """A record."""
    return bytes((kind,)) + VERSION + len(fragment).to_bytes(2, "big") + fragment
