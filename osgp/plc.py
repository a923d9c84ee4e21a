"""OSGP messages as they ride in EN 14908-1 application PDUs.

    request    00 | request PDU | sequence number(4 BE) | digest(8)
    response   00 | response PDU | digest(8)                          (the sequence number only inside a 0x0C response)

Layout from contic-osgpb and the published digest vector (grade B). The message code 0x00 is inside the digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from .errors import BadDigest, ConfigurationError, DecodeError, TruncatedMessage
from .security.oma import DIGEST_OCTETS, OmaSuite
from .services import Response, ResultCode, TableRequest

MESSAGE_CODE: Final = 0x00  # EN 14908-1 explicit message code of OSGP, both directions; grade B
SEQUENCE_OCTETS: Final = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one message may carry on the power line. Octets; grade D, from contic-osgpb.

    Arithmetic alone would allow 18 octets more in both data limits; that fits room for a repeating header.
    """

    apdu: int = 114
    read_data: int = 84
    write_data: int = 75

    def __post_init__(self) -> None:
        if not 32 <= self.apdu <= 1024:
            raise ConfigurationError(f"Limits.apdu must be 32..1024 octets, got {self.apdu}")
        if not 1 <= self.read_data <= self.apdu - 12:
            raise ConfigurationError(f"Limits.read_data must be 1..{self.apdu - 12} octets, got {self.read_data}")
        if not 1 <= self.write_data <= self.apdu - 21:
            raise ConfigurationError(f"Limits.write_data must be 1..{self.apdu - 21} octets, got {self.write_data}")


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request on the power line, taken apart but not checked.

    Attributes:
        pdu: request PDU, see `services.decode_request`.    sequence: 0 .. 2^32 - 1.    digest: 8 octets.
    """

    pdu: bytes
    sequence: int
    digest: bytes

    @property
    def covered(self) -> bytes:
        """Message code to sequence number: what the digest covers behind subnet and node."""
        return bytes((MESSAGE_CODE,)) + self.pdu + self.sequence.to_bytes(SEQUENCE_OCTETS, "big")

    @classmethod
    def seal(cls, request: TableRequest, sequence: int, suite: OmaSuite, subnet: int, node: int) -> Self:
        """A request to the meter at subnet/node with its digest."""
        open_message = cls(request.encode(), sequence, b"")
        return cls(open_message.pdu, sequence, suite.request_digest(subnet, node, open_message.covered))

    def authentic(self, suite: OmaSuite, subnet: int, node: int) -> bool:
        """Whether the digest is that of our key."""
        return suite.same(self.digest, suite.request_digest(subnet, node, self.covered))

    def encode(self) -> bytes:
        return self.covered + self.digest

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """At least one octet of PDU is needed; its content is not looked at."""
        least = 2 + SEQUENCE_OCTETS + DIGEST_OCTETS
        if len(octets) < least:
            raise TruncatedMessage(f"a request has at least {least} octets, got {len(octets)}")
        if octets[0] != MESSAGE_CODE:
            raise DecodeError(f"message code must be 0x{MESSAGE_CODE:02x}, got 0x{octets[0]:02x}")
        body = octets[:-DIGEST_OCTETS]
        return cls(
            body[1:-SEQUENCE_OCTETS], int.from_bytes(body[-SEQUENCE_OCTETS:], "big"), octets[-DIGEST_OCTETS:]
        )


def seal_response(response: Response, request: bytes, suite: OmaSuite, subnet: int, node: int) -> bytes:
    """Response APDU with its digest. `request`: message code to sequence number of the request answered."""
    covered = bytes((MESSAGE_CODE,)) + response.encode()
    return covered + suite.response_digest(subnet, node, request, covered)


def open_response(octets: bytes, request: TableRequest, covered: bytes, suite: OmaSuite, subnet: int, node: int) -> Response:
    """The checked response to a request. `covered`: message code to sequence number of the request.

    Raises BadDigest when the digest is wrong and the response does not itself say "authentication failure" (a meter with
    another key cannot send a digest that we accept), DecodeError when it is malformed.
    """
    if len(octets) < 2 + DIGEST_OCTETS:
        raise TruncatedMessage(f"a response has at least {2 + DIGEST_OCTETS} octets, got {len(octets)}")
    if octets[0] != MESSAGE_CODE:
        raise DecodeError(f"message code must be 0x{MESSAGE_CODE:02x}, got 0x{octets[0]:02x}")
    body, digest = octets[:-DIGEST_OCTETS], octets[-DIGEST_OCTETS:]
    response = Response.decode(body[1:], request)
    if not suite.same(digest, suite.response_digest(subnet, node, covered, body)) and (
        response.result is not ResultCode.AUTHENTICATION_FAILURE
    ):
        raise BadDigest(f"the digest of a response from {subnet}/{node} is wrong")
    return response
