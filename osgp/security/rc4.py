"""RC4 encryption of OSGP's RC4 era, on the power line and the MEP port. BROKEN, off by default, for compatibility only.

Why it is broken: the key of the power line has 48 bits that count and is derived from the OMAK, whose digest gives it away
(eprint 2015/428); the packet key is the base key XORed with eight octets that are sent in clear, a related-key setting in which
90 000 messages give the key (eprint 2016/455); equal messages get equal key streams; and a flipped bit of the cipher text is a
flipped bit of the plain text.

    power line (grade B: one working script; no published cipher text)
        base key   = T(81 3f 52 9a 7b e3 89 ba) | T(72 b0 91 8d 44 05 aa 57),  T: one pass of en14908.transform, key OMAK[0..5]
    MEP (grade A, no published cipher text)
        base key   = RC4 key stream under the first 16 octets of MAK or MBK, over 38 8b 8f bc ...
    both
        packet key = base key, its first 8 octets XORed with the digest of the request in clear
        cipher     = RC4(packet key) over request PDU and sequence number; the stream goes on over the response PDU
    digests and message code (length on MEP) stay in clear. The covered range on the power line mirrors MEP: grade D.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from ..errors import BadDigest, ConfigurationError
from .apdu import MESSAGE_CODE, SHORTEST_RESPONSE, split, split_request
from .en14908 import transform
from .exchange import AUTHENTICATION_FAILURE, SEQUENCE_OCTETS, Exchange, Link
from .keys import Key
from .oma import DIGEST_OCTETS, OmaSuite

PLC_CHALLENGES: Final = (bytes.fromhex("813f529a7be389ba"), bytes.fromhex("72b0918d4405aa57"))  # grade B
PLC_KEY_OCTETS: Final = 6  # of the OMAK, for both halves; whether the standard takes 6..11 for the second is unknown: grade C
MEP_CONSTANT: Final = bytes.fromhex("388b8fbc36a8558587afc90fb23a3b99")  # grade A
WEAKNESS: Final = (
    "RC4 encryption is on: its key follows from the OMA digest's (eprint 2015/428) and from 90 000 messages (eprint 2016/455); "
    "use it only to talk to installed meters"
)


class WeakSecurityWarning(UserWarning):
    """Something was switched on that does not protect; the text says why."""


def warn_of_rc4() -> None:
    """Say that RC4 encryption was switched on and why that is no protection."""
    warnings.warn(WEAKNESS, WeakSecurityWarning, stacklevel=3)


def rc4(key: bytes, octets: bytes, skip: int = 0) -> bytes:
    """Encrypt or decrypt; `skip` octets of key stream were used before."""
    stream = Cipher(ARC4(key), mode=None).encryptor()
    stream.update(bytes(skip))
    return stream.update(octets)


def plc_base_key(omak: bytes, whole: bool = False) -> bytes:
    """Base key (16 octets) of the power line. `whole`: OMAK octets 6..11 for the second half instead of 0..5 again (grade D)."""
    second = omak[PLC_KEY_OCTETS:] if whole else omak[:PLC_KEY_OCTETS]
    keys = omak[:PLC_KEY_OCTETS], second
    return b"".join(
        transform(key, challenge, b"", at_least_once=True) for key, challenge in zip(keys, PLC_CHALLENGES, strict=True)
    )


def mep_base_key(key: bytes) -> bytes:
    """Base key (16 octets) of the MEP port from 16 octets of MAK or MBK."""
    return rc4(key, MEP_CONSTANT)


def packet_key(base_key: bytes, digest: bytes) -> bytes:
    """Key of one message and its answer."""
    return bytes(a ^ b for a, b in zip(base_key, digest, strict=False)) + base_key[DIGEST_OCTETS:]


@dataclass(frozen=True, slots=True)
class Rc4Suite:
    """OMA digests and RC4 encryption on the power line. BROKEN, see the module text; making one warns.

    Args:
        key: the OMAK.    whole_key: see `plc_base_key`.
    """

    key: Key
    whole_key: bool = False
    _base: Key = field(init=False, repr=False)

    def __post_init__(self) -> None:
        warn_of_rc4()
        if self.key.kind != "OMAK":
            raise ConfigurationError(f"RC4 on the power line takes an OMAK, got {self.key.kind}")
        object.__setattr__(self, "_base", Key(plc_base_key(self.key.reveal(), self.whole_key), "RC4"))

    @property
    def name(self) -> str:
        """See `Suite`."""
        return "OMA digest and RC4 (both broken)"

    def _packet_key(self, digest: bytes) -> bytes:
        return packet_key(self._base.reveal(), digest)

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> Rc4Exchange:
        """See `Suite`."""
        clear = pdu + sequence.to_bytes(SEQUENCE_OCTETS, "big")
        code = bytes((MESSAGE_CODE,))
        digest = OmaSuite(self.key).request_digest(link.subnet, link.node, code + clear)
        return Rc4Exchange(self, link, clear, code + rc4(self._packet_key(digest), clear) + digest)

    def open_request(self, octets: bytes, link: Link) -> Rc4Exchange:
        """See `Suite`."""
        _, _, digest = split_request(octets)
        clear = rc4(self._packet_key(digest), octets[1:-DIGEST_OCTETS])
        right = OmaSuite(self.key).request_digest(link.subnet, link.node, bytes((MESSAGE_CODE,)) + clear)
        if not OmaSuite.same(digest, right):
            raise BadDigest(f"the digest of a request to {link.subnet}/{link.node} is wrong")
        return Rc4Exchange(self, link, clear, octets)

    def answer_stranger(self, octets: bytes, pdu: bytes, link: Link) -> bytes | None:
        """See `Suite`: 0x0B is sent in clear and without a digest."""
        return None


class Rc4Exchange(Exchange):
    """See `Exchange`. The key stream of the request goes on over the response."""

    __slots__ = ("_clear", "_link", "_suite")

    def __init__(self, suite: Rc4Suite, link: Link, clear: bytes, octets: bytes) -> None:
        sequence = int.from_bytes(clear[-SEQUENCE_OCTETS:], "big")
        super().__init__(clear[:-SEQUENCE_OCTETS], sequence, octets, suite.key.kind)
        self._suite, self._link, self._clear = suite, link, clear

    def _cipher(self, pdu: bytes) -> bytes:
        return rc4(self._suite._packet_key(self.tag), pdu, skip=len(self._clear))

    def _digest(self, pdu: bytes) -> bytes:
        code = bytes((MESSAGE_CODE,))
        digests = OmaSuite(self._suite.key)
        return digests.response_digest(self._link.subnet, self._link.node, code + self._clear, code + pdu)

    def seal_response(self, pdu: bytes) -> bytes:
        """See `Exchange`."""
        return bytes((MESSAGE_CODE,)) + self._cipher(pdu) + self._digest(pdu)

    seal_refusal = seal_response  # 0x0C is encrypted when the request was; grade A on MEP

    def open_response(self, octets: bytes) -> bytes:
        """See `Exchange`. A refusal for authentication comes in clear and is believed without digest."""
        body, digest = split(octets, SHORTEST_RESPONSE, "response")
        pdu = self._cipher(body)
        if OmaSuite.same(digest, self._digest(pdu)):
            return pdu
        if body == AUTHENTICATION_FAILURE:
            return body
        raise BadDigest(f"the digest of a response from {self._link.subnet}/{self._link.node} is wrong")
