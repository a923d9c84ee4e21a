"""Firmware images of simulated meters: a version, octets that are no code, a CRC, an ECDSA signature. Project-defined, grade D.

    | "OSFW" | x | yy | zz | key id 2 | length 4 | body | CRC 2 | signature length 1 | signature |      numbers little endian

CRC: CCITT, 0x1021, begins with 0xFFFF, over everything before it. Signature: ECDSA P-256, SHA-256, r and s of 32 octets each,
over everything before its length. What real images look like is not published; the codes of the checks are those of ET89 (A).
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from .errors import DecodeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

MAGIC: Final = b"OSFW"
_HEAD: Final = struct.Struct("<4s3BHI")
SIGNATURE: Final = 64
POINT: Final = 65  # uncompressed point of a public key
CURVE_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # P-256; FIPS 186
UNSIGNED: Final = 0  # key id of an image without a signature


class ImageError(IntEnum):
    """ET89.last_validation_error; grade A."""

    NONE = 0
    NOT_SIGNED = 1
    UNKNOWN_KEY = 2
    KEY_INVALIDATED = 3
    BAD_SIGNATURE = 16
    BAD_SIGNATURE_LENGTH = 17
    BAD_SIGNATURE_DATA = 18
    BAD_KEY_FORMAT = 32
    BAD_KEY_POINT = 33
    UNKNOWN = 240


@dataclass(frozen=True, slots=True)
class ImageKey:
    """A public key that may sign images.    id: 1..65535.    point: 65 octets, 04 x y."""

    id: int
    point: bytes


@dataclass(frozen=True, slots=True)
class FirmwareImage:
    """A decoded image.    firmware: (x, yy, zz).    crc: of what is signed.    signed: the octets the signature is over."""

    firmware: tuple[int, int, int]
    key_id: int
    body: bytes
    crc: int
    signed: bytes
    signature: bytes


def crc_of(octets: bytes) -> int:
    """The CRC of an image."""
    return binascii.crc_hqx(octets, 0xFFFF)


def build_image(
    firmware: tuple[int, int, int], body: bytes, key_id: int = UNSIGNED, key: ec.EllipticCurvePrivateKey | None = None
) -> bytes:
    """Octets of an image, signed when a key is given."""
    head = _HEAD.pack(MAGIC, *firmware, key_id, len(body)) + body
    signed = head + crc_of(head).to_bytes(2, "little")
    if key is None:
        return signed + b"\0"
    # Elliptic curves take long to load, and few who make a meter sign images.
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return signed + bytes((SIGNATURE,)) + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def decode_image(octets: bytes) -> FirmwareImage:
    """An image. DecodeError when it is none, is cut off, or its CRC is wrong."""
    if len(octets) < _HEAD.size + 3:
        raise DecodeError(f"a firmware image has at least {_HEAD.size + 3} octets, got {len(octets)}")
    magic, x, yy, zz, key_id, length = _HEAD.unpack_from(octets)
    end = _HEAD.size + length
    if magic != MAGIC or len(octets) < end + 3 or len(octets) != end + 3 + octets[end + 2]:
        raise DecodeError("no firmware image, or its lengths do not fit")
    crc = int.from_bytes(octets[end : end + 2], "little")
    if crc != crc_of(octets[:end]):
        raise DecodeError("the CRC of the firmware image is wrong")
    return FirmwareImage((x, yy, zz), key_id, octets[_HEAD.size : end], crc, octets[: end + 2], octets[end + 3 :])


def check_signature(image: FirmwareImage, keys: tuple[ImageKey, ...], invalidated: frozenset[int]) -> ImageError:
    """Whether a key signed it.    invalidated: numbers of key slots."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if not image.signature or image.key_id == UNSIGNED:
        return ImageError.NOT_SIGNED
    slot = next((number for number, key in enumerate(keys) if key.id == image.key_id), None)
    if slot is None:
        return ImageError.UNKNOWN_KEY
    if slot in invalidated:
        return ImageError.KEY_INVALIDATED
    point = keys[slot].point
    if len(point) != POINT or point[0] != 4:
        return ImageError.BAD_KEY_FORMAT
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return ImageError.BAD_KEY_POINT
    if len(image.signature) != SIGNATURE:
        return ImageError.BAD_SIGNATURE_LENGTH
    r, s = (int.from_bytes(image.signature[at : at + 32], "big") for at in (0, 32))
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        return ImageError.BAD_SIGNATURE_DATA
    try:
        key.verify(encode_dss_signature(r, s), image.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return ImageError.BAD_SIGNATURE
    return ImageError.NONE
