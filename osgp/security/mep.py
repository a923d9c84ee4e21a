"""Messages of the MEP port in RC4 mode: digests under MAK or MBK, and the optional RC4 encryption.

    request    PDU | sequence number (4, big endian) | digest (8)        the length word in front belongs to the link
    response   PDU | digest (8)

Source: OSGP Alliance MEP Client Developer Guide v1.1 (grade A); five exchanges reproduce. The digest is WEAK (oma.py), RC4 is
BROKEN (rc4.py). Which key opened a request decides the access level: MAK is tried first, then MBK (grade A).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import BadDigest, ConfigurationError, TruncatedMessage
from .exchange import AUTHENTICATION_FAILURE, NO_TAG, SEQUENCE_OCTETS, TAG_OCTETS, Exchange
from .keys import MEP_KEY_OCTETS, Key
from .oma import OmaSuite, mep_request_digest, mep_response_digest
from .rc4 import mep_base_key, packet_key, rc4, warn_of_rc4

SHORTEST_REQUEST: Final = 1 + SEQUENCE_OCTETS + TAG_OCTETS
SHORTEST_RESPONSE: Final = 1 + TAG_OCTETS


@dataclass(frozen=True, slots=True)
class MepSuite:
    """Both ends of the MEP port in RC4 mode.

    Args:
        keys: a meter's MAK and MBK, in the order in which they are tried; a client's one key.
        encrypts: a client encrypts its requests, a meter accepts encrypted ones (plain ones always, and it answers in kind).
            BROKEN: off, and switching it on warns.
    """

    keys: tuple[Key, ...]
    encrypts: bool = False
    _bases: tuple[Key, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) != MEP_KEY_OCTETS for key in self.keys):
            raise ConfigurationError(f"the MEP port takes keys of {MEP_KEY_OCTETS} octets, got {self.keys!r}")
        bases: tuple[Key, ...] = ()
        if self.encrypts:
            warn_of_rc4()
            bases = tuple(Key(mep_base_key(key.reveal()), "RC4") for key in self.keys)
        object.__setattr__(self, "_bases", bases)

    @property
    def name(self) -> str:
        """See `Suite`."""
        return "OMA digest and RC4 (both broken)" if self.encrypts else "OMA digest (weak, nothing encrypted)"

    def seal_request(self, pdu: bytes, sequence: int) -> MepExchange:
        """A client's request under its first key: octets behind the length word."""
        clear = pdu + sequence.to_bytes(SEQUENCE_OCTETS, "big")
        key, digest = self.keys[0], mep_request_digest(self.keys[0].reveal(), clear)
        if not self.encrypts:
            return MepExchange(key, None, clear, clear + digest)
        packet = Key(packet_key(self._bases[0].reveal(), digest), "RC4")
        return MepExchange(key, packet, clear, rc4(packet.reveal(), clear) + digest)

    def open_request(self, octets: bytes) -> MepExchange:
        """An authentic request; its `level` names the key. BadDigest, TruncatedMessage."""
        if len(octets) < SHORTEST_REQUEST:
            raise TruncatedMessage(f"a request has at least {SHORTEST_REQUEST} octets, got {len(octets)}")
        body, digest = octets[:-TAG_OCTETS], octets[-TAG_OCTETS:]
        for key in self.keys:
            if OmaSuite.same(digest, mep_request_digest(key.reveal(), body)):
                return MepExchange(key, None, body, octets)
        for key, base in zip(self.keys, self._bases, strict=False):
            packet = Key(packet_key(base.reveal(), digest), "RC4")
            clear = rc4(packet.reveal(), body)
            if OmaSuite.same(digest, mep_request_digest(key.reveal(), clear)):
                return MepExchange(key, packet, clear, octets)
        raise BadDigest("the digest of a MEP request fits no key")


def unsealed(pdu: bytes) -> bytes:
    """An answer to somebody who did not prove to know a key (0x0B). Never encrypted (grade A), no digest (grade D)."""
    return pdu + NO_TAG


class MepExchange(Exchange):
    """See `Exchange`. The key stream of an encrypted request goes on over the response.

    Attributes:
        encrypted: whether the request was; the answer is in kind.
    """

    __slots__ = ("_clear", "_key", "_packet", "encrypted")

    def __init__(self, key: Key, packet: Key | None, clear: bytes, octets: bytes) -> None:
        number = int.from_bytes(clear[-SEQUENCE_OCTETS:], "big")
        super().__init__(clear[:-SEQUENCE_OCTETS], number, octets, key.kind)
        self._key, self._packet, self._clear, self.encrypted = key, packet, clear, packet is not None

    def _cipher(self, pdu: bytes) -> bytes:
        return pdu if self._packet is None else rc4(self._packet.reveal(), pdu, skip=len(self._clear))

    def seal_response(self, pdu: bytes) -> bytes:
        """See `Exchange`: octets behind the length word."""
        return self._cipher(pdu) + mep_response_digest(self._key.reveal(), self._clear, pdu)

    seal_refusal = seal_response  # 0x0C is encrypted when the request was; grade A

    def open_response(self, octets: bytes) -> bytes:
        """See `Exchange`. A refusal for authentication comes in clear and is believed without digest."""
        if len(octets) < SHORTEST_RESPONSE:
            raise TruncatedMessage(f"a response has at least {SHORTEST_RESPONSE} octets, got {len(octets)}")
        body, digest = octets[:-TAG_OCTETS], octets[-TAG_OCTETS:]
        pdu = self._cipher(body)
        if OmaSuite.same(digest, mep_response_digest(self._key.reveal(), self._clear, pdu)):
            return pdu
        if body == AUTHENTICATION_FAILURE:
            return body
        raise BadDigest("the digest of a MEP response is wrong")
