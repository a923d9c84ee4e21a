"""The interface that every security suite of a port offers: seal and open requests and the answers that belong to them.

    client   suite.seal_request(pdu, sequence, link) -> Exchange,  exchange.octets on the line
             exchange.open_response(octets) -> response PDU
    meter    suite.open_request(octets, link) -> Exchange,         exchange.pdu, exchange.sequence
             exchange.seal_response(PDU) -> octets                 the answer to an accepted request, once
             exchange.seal_refusal(PDU) -> octets                  authentic, but not accepted (sequence number); any number

An answer is bound to its request in every suite, so an Exchange carries both directions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import ConfigurationError
from .usage import KeyUse

TAG_OCTETS: Final = 8  # digest or tag, the same size in every suite
SEQUENCE_OCTETS: Final = 4  # big endian
# What stands where a digest would, when nobody proved to know a key. A digest under our key over a stranger's octets would be
# an oracle: 13 of them give the key away (eprint 2015/428). Grade D.
NO_TAG: Final = bytes(TAG_OCTETS)
AUTHENTICATION_FAILURE: Final = b"\x0b"  # the only answer believed without a tag: a meter with another key can say no more
DOMAIN_SIZES: Final = (0, 1, 3, 6)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a meter is on the power line: what its messages are bound to.

    Args:
        subnet: 0..255.    node: 0..127.    domain: 14908 domain id, 0, 1, 3 or 6 octets.
    """

    subnet: int
    node: int
    domain: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.subnet <= 255 or not 0 <= self.node <= 127:
            raise ConfigurationError(f"subnet is 0..255 and node 0..127, got {self.subnet}/{self.node}")
        if len(self.domain) not in DOMAIN_SIZES:
            raise ConfigurationError(f"a domain id has 0, 1, 3 or 6 octets, got {len(self.domain)}")


class Exchange(ABC):
    """A request, and what is needed to seal or open its answer.

    Attributes:
        pdu: request PDU in clear.    sequence: 0 .. 2^32 - 1.    octets: the sealed request.    level: kind of the key.
    """

    __slots__ = ("level", "octets", "pdu", "sequence")

    def __init__(self, pdu: bytes, sequence: int, octets: bytes, level: str) -> None:
        self.pdu, self.sequence, self.octets, self.level = pdu, sequence, octets, level

    @property
    def use(self) -> KeyUse | None:
        """Uses of the key agreed on for this client alone; None: the key is the meter's for good."""
        return None

    @property
    def tag(self) -> bytes:
        """Digest or tag of the request, 8 octets."""
        return self.octets[-TAG_OCTETS:]

    @abstractmethod
    def seal_response(self, pdu: bytes) -> bytes:
        """The answer to this request, which was accepted."""

    @abstractmethod
    def seal_refusal(self, pdu: bytes) -> bytes:
        """The answer to this request, which is authentic but was not accepted."""

    @abstractmethod
    def open_response(self, octets: bytes) -> bytes:
        """The response PDU. BadDigest when it is not an answer to this request, TruncatedMessage, DecodeError."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.pdu)} octets, sequence {self.sequence}, {self.level})"


class Suite(Protocol):
    """One way to protect messages. `name` is for people."""

    @property
    def name(self) -> str:
        """What it is called in reports."""

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> Exchange:
        """A request that only the holder of the key can make."""

    def open_request(self, octets: bytes, link: Link) -> Exchange:
        """An authentic request. BadDigest when it is not, TruncatedMessage, DecodeError."""

    def answer_stranger(self, octets: bytes, pdu: bytes, link: Link) -> bytes | None:
        """Answer to octets that did not open; None: this suite gives none that looks like its own."""


