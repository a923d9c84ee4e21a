"""OSGP-AES-128-PSK as this project defines it. NOT INTEROPERABLE with ETSI TS 104 001, whose wire format is not published.

Known of the standard's suite: its name, that it has a 128-bit image MAC and key use counters, and that it rests on CMAC, CCM and
a KDF of SP 800-108 (grades A and C). Everything below is grade D: the profile written down for this project, (+) marks what that
profile leaves open and was chosen here.

    keys      K = KBKDF(SP 800-108 counter mode, AES-CMAC, 32-bit counter and length), 16 octets, from the meter's PSK
              label "OSGP-ENC" (messages), "OSGP-MAC" (refusals, commissioning, images), "OSGP-BCAST" (broadcasts)
              context: domain id padded to 6 octets, its length, subnet, node, unique node id, and for messages the two nonces of
              the commissioning (+), see commissioning.py: after a restart of either side the keys are new ones
    nonce     direction (1: 0 request, 1 response) | unique node id (6) | 00 00 | sequence number (4)
    request   00 | CCM(PDU) | sequence number (4) | tag (8)       associated data: subnet, node, 00
    response  00 | CCM(PDU) | tag (8)                             associated data: subnet, node, 00, tag of the request;
                                                                  nonce with the request's sequence number and direction 1
    refusal   00 | PDU in clear | CMAC(8)                         (+) of a request that is authentic but not accepted (0x0C):
              over 02, subnet, node, 00, tag of the request, PDU; a nonce must serve one answer only, and a replayed request
              is answered again and again

AEAD: AES-128-CCM, RFC 3610, 8-octet tag, 13-octet nonce. All of it from the library `cryptography`.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode

from ..errors import BadDigest, ConfigurationError
from .apdu import MESSAGE_CODE, SHORTEST_RESPONSE, split, split_request
from .exchange import AUTHENTICATION_FAILURE, NO_TAG, SEQUENCE_OCTETS, TAG_OCTETS, Exchange, Link
from .keys import PSK_OCTETS, Key
from .usage import AES_KEY_USAGE, KeyUse

AES_SUITE_NAME: Final = "OSGP-AES-128-PSK (project profile, not interoperable with TS 104 001)"
LABEL_ENCRYPTION: Final = b"OSGP-ENC"
LABEL_MAC: Final = b"OSGP-MAC"
LABEL_BROADCAST: Final = b"OSGP-BCAST"
NODE_ID_OCTETS: Final = 6
REQUEST, RESPONSE, REFUSAL, BROADCAST = b"\x00", b"\x01", b"\x02", b"\x03"  # first octet of a nonce or of what a CMAC covers


def derive(psk: Key, label: bytes, context: bytes) -> Key:
    """A 16-octet key, SP 800-108 counter mode with AES-CMAC."""
    kdf = KBKDFCMAC(
        algorithm=AES, mode=Mode.CounterMode, length=PSK_OCTETS, rlen=4, llen=4, location=CounterLocation.BeforeFixed,
        label=label, context=context, fixed=None,
    )  # fmt: skip
    return Key(kdf.derive(psk.reveal()), label.decode())


def cmac(key: Key, octets: bytes) -> bytes:
    """AES-CMAC (SP 800-38B), 16 octets."""
    mac = CMAC(AES(key.reveal()))
    mac.update(octets)
    return mac.finalize()


def context_of(link: Link, unique_node_id: bytes) -> bytes:
    """What binds a key to a meter and its place, 15 octets. ConfigurationError when the id has not 6."""
    if len(unique_node_id) != NODE_ID_OCTETS:
        raise ConfigurationError(f"unique_node_id must have {NODE_ID_OCTETS} octets, got {len(unique_node_id)}")
    return link.domain.ljust(6, b"\0") + bytes((len(link.domain), link.subnet, link.node)) + unique_node_id


class AesSuite:
    """Keys of one meter at one place for one commissioning, see the module text. The cipher object is kept.

    Args:
        psk: the meter's PSK, 16 octets.    unique_node_id: the meter's 6 octets.    link: its place.
        nonces: of the commissioning, 32 octets; without them the keys are the same after every restart, and then
            sequence numbers must not be.

    Attributes:
        use: requests that were opened with these keys and carried out.
    """

    __slots__ = ("_ccm", "_id", "_mac", "_place", "level", "link", "use")

    def __init__(self, psk: Key, unique_node_id: bytes, link: Link, nonces: bytes = b"") -> None:
        if psk.kind != "PSK":
            raise ConfigurationError(f"the AES suite takes a PSK, got {psk.kind}")
        context = context_of(link, unique_node_id) + nonces
        self._ccm = AESCCM(derive(psk, LABEL_ENCRYPTION, context).reveal(), tag_length=TAG_OCTETS)
        self._mac = derive(psk, LABEL_MAC, context)
        self._id, self.link, self.level = unique_node_id, link, psk.kind
        self.use = KeyUse(AES_KEY_USAGE)
        self._place = bytes((link.subnet, link.node, MESSAGE_CODE))

    @property
    def name(self) -> str:
        """See `Suite`."""
        return AES_SUITE_NAME

    def __repr__(self) -> str:
        return f"AesSuite({self._id.hex()} at {self.link.subnet}/{self.link.node})"

    def nonce(self, direction: bytes, sequence: int) -> bytes:
        """13 octets, never used twice for different octets under one key."""
        return direction + self._id + b"\0\0" + sequence.to_bytes(SEQUENCE_OCTETS, "big")

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> AesExchange:
        """See `Suite`. `link` must be that of the suite."""
        self._check(link)
        sealed = self._ccm.encrypt(self.nonce(REQUEST, sequence), pdu, self._place)
        number = sequence.to_bytes(SEQUENCE_OCTETS, "big")
        octets = bytes((MESSAGE_CODE,)) + sealed[:-TAG_OCTETS] + number + sealed[-TAG_OCTETS:]
        return AesExchange(self, pdu, sequence, octets)

    def open_request(self, octets: bytes, link: Link) -> AesExchange:
        """See `Suite`."""
        cipher, sequence, tag = split_request(octets)
        try:
            self._check(link)
            pdu = self._ccm.decrypt(self.nonce(REQUEST, sequence), cipher + tag, self._place)
        except (InvalidTag, ConfigurationError):
            raise BadDigest(f"the tag of a request to {link.subnet}/{link.node} is wrong") from None
        return AesExchange(self, pdu, sequence, octets)

    def answer_stranger(self, octets: bytes, pdu: bytes, link: Link) -> bytes | None:
        """See `Suite`."""
        return None

    def _check(self, link: Link) -> None:
        if link != self.link:
            raise ConfigurationError(f"these keys are for {self.link}, got {link}")

    def _seal(self, sequence: int, pdu: bytes, bound: bytes) -> bytes:
        return self._ccm.encrypt(self.nonce(RESPONSE, sequence), pdu, self._place + bound)

    def _open(self, sequence: int, cipher: bytes, bound: bytes) -> bytes:
        return self._ccm.decrypt(self.nonce(RESPONSE, sequence), cipher, self._place + bound)

    def _refusal_tag(self, pdu: bytes, bound: bytes) -> bytes:
        return cmac(self._mac, REFUSAL + self._place + bound + pdu)[:TAG_OCTETS]


class AesExchange(Exchange):
    """See `Exchange`."""

    __slots__ = ("_sealed", "_suite")

    def __init__(self, suite: AesSuite, pdu: bytes, sequence: int, octets: bytes) -> None:
        super().__init__(pdu, sequence, octets, suite.level)
        self._suite = suite
        self._sealed: tuple[bytes, bytes] | None = None  # response PDU and its octets: a nonce serves one answer

    @property
    def use(self) -> KeyUse:
        """See `Exchange`."""
        return self._suite.use

    def seal_response(self, pdu: bytes) -> bytes:
        """See `Exchange`. ConfigurationError when another answer was sealed before."""
        if self._sealed is None:
            self._sealed = pdu, bytes((MESSAGE_CODE,)) + self._suite._seal(self.sequence, pdu, self.tag)
        if self._sealed[0] != pdu:
            raise ConfigurationError("a request has one answer: its nonce must not seal another")
        return self._sealed[1]

    def seal_refusal(self, pdu: bytes) -> bytes:
        """See `Exchange`: in clear, with a CMAC."""
        return bytes((MESSAGE_CODE,)) + pdu + self._suite._refusal_tag(pdu, self.tag)

    def open_response(self, octets: bytes) -> bytes:
        """See `Exchange`. A refusal for authentication is believed without tag."""
        body, tag = split(octets, SHORTEST_RESPONSE, "response")
        try:
            return self._suite._open(self.sequence, body + tag, self.tag)
        except InvalidTag:
            pass
        if hmac.compare_digest(tag, self._suite._refusal_tag(body, self.tag)):
            return body
        if body == AUTHENTICATION_FAILURE and tag == NO_TAG:
            return body
        place = self._suite.link
        raise BadDigest(f"the tag of a response from {place.subnet}/{place.node} is wrong")
