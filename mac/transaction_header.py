"""The header that TPDU, SPDU and AuthPDU share: four flag bits and the transaction number.

        octet 0  flags(4) transaction number(4)                    NPDU version 0
        octet 0  flags(4) transaction number, bits 11..8
              1  transaction number, bits 7..0                     NPDU version 2, "enhanced mode"

Number and layout: grade L (seen on a live independent stack), ISO/IEC 14908-1 clause unverified.
"""

from __future__ import annotations

from typing import Final

from .errors import ConfigurationError, TruncatedPdu

MAX_NUMBER: Final = 15
MAX_ENHANCED_NUMBER: Final = 4095


def encode_header(flags: int, number: int, enhanced: bool) -> bytes:
    """flags 0..15, number 0..15 (0..4095 when enhanced)."""
    limit = MAX_ENHANCED_NUMBER if enhanced else MAX_NUMBER
    if not 0 <= number <= limit:
        raise ConfigurationError(f"transaction number must be 0..{limit}, got {number}")
    if enhanced:
        return bytes([flags << 4 | number >> 8, number & 0xFF])
    return bytes([flags << 4 | number])


def decode_header(octets: bytes, enhanced: bool) -> tuple[int, int, bytes]:
    """Return (flags, transaction number, the octets after the header)."""
    length = 2 if enhanced else 1
    if len(octets) < length:
        raise TruncatedPdu(f"transaction header needs {length} octets, got {len(octets)}")
    number = octets[0] & 0x0F
    if enhanced:
        number = number << 8 | octets[1]
    return octets[0] >> 4, number, octets[length:]
