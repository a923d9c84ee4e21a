"""The frame of sealed messages on the power line: 00 | body | 8 octets of digest or tag."""

from __future__ import annotations

from typing import Final

from ..errors import DecodeError, TruncatedMessage
from .exchange import NO_TAG, SEQUENCE_OCTETS, TAG_OCTETS

MESSAGE_CODE: Final = 0x00  # EN 14908-1 explicit message code of OSGP, both directions; grade B
SHORTEST_REQUEST: Final = 2 + SEQUENCE_OCTETS + TAG_OCTETS
SHORTEST_RESPONSE: Final = 2 + TAG_OCTETS


def split(octets: bytes, least: int, what: str) -> tuple[bytes, bytes]:
    """Body behind the message code, and tag. TruncatedMessage or DecodeError when it is not one of ours."""
    if len(octets) < least:
        raise TruncatedMessage(f"a {what} has at least {least} octets, got {len(octets)}")
    if octets[0] != MESSAGE_CODE:
        raise DecodeError(f"message code must be 0x{MESSAGE_CODE:02x}, got 0x{octets[0]:02x}")
    return octets[1:-TAG_OCTETS], octets[-TAG_OCTETS:]


def split_request(octets: bytes) -> tuple[bytes, int, bytes]:
    """Request PDU (sealed or not), sequence number as it stands there, tag."""
    body, tag = split(octets, SHORTEST_REQUEST, "request")
    return body[:-SEQUENCE_OCTETS], int.from_bytes(body[-SEQUENCE_OCTETS:], "big"), tag


def unsealed(pdu: bytes) -> bytes:
    """An answer to somebody who did not prove to know a key."""
    return bytes((MESSAGE_CODE,)) + pdu + NO_TAG
