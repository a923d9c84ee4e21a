"""Encryption mode 5 of EN 13757-3 / OMS: AES-128-CBC over whole blocks at the begin of the records.

    initialisation vector: manufacturer (2), identification (4), version, medium as in the header, access number eight times
    plain text: begins with 2F 2F, filled up with 2F           configuration word: 0x0500 | blocks << 4
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..errors import DecodeError

BLOCK: Final = 16
KEY_OCTETS: Final = 16
MODE_5: Final = 5
CHECK: Final = b"\x2f\x2f"
MAX_BLOCKS: Final = 15


def mode_of(word: int) -> int:
    """Encryption mode of a configuration word (the signature field of the header); 0: not encrypted."""
    return word >> 8 & 0x1F


def vector(header: bytes) -> bytes:
    """Initialisation vector of a telegram.    header: its 12 octets, identification first, as on the wired bus."""
    return header[4:6] + header[:4] + header[6:8] + header[8:9] * 8


def encrypt(key: bytes, header: bytes, records: bytes) -> tuple[int, bytes]:
    """(configuration word, octets) of records under mode 5.    header: the first 9 octets of it count. DecodeError: too long."""
    plain = CHECK + records
    plain += b"\x2f" * (-len(plain) % BLOCK)
    blocks = len(plain) // BLOCK
    if blocks > MAX_BLOCKS:
        raise DecodeError(f"mode 5 encrypts at most {MAX_BLOCKS} blocks, got {blocks}")
    encryptor = Cipher(algorithms.AES(_checked(key)), modes.CBC(vector(header))).encryptor()
    return MODE_5 << 8 | blocks << 4, encryptor.update(plain) + encryptor.finalize()


def decrypt(key: bytes, header: bytes, word: int, octets: bytes) -> bytes | None:
    """Records of a telegram under mode 5, without the check octets; None: not mode 5, cut off, or another key."""
    size = BLOCK * (word >> 4 & 0x0F)
    if mode_of(word) != MODE_5 or not size or len(octets) < size:
        return None
    decryptor = Cipher(algorithms.AES(_checked(key)), modes.CBC(vector(header))).decryptor()
    plain = decryptor.update(octets[:size]) + decryptor.finalize()
    if not hmac.compare_digest(plain[:2], CHECK):
        return None
    return plain[2:] + octets[size:]


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_OCTETS:
        raise DecodeError(f"an M-Bus key has {KEY_OCTETS} octets, got {len(key)}")
    return key
