"""The OMA digest, the message authentication code of OSGP's RC4 era. WEAK, for compatibility with installed meters only.

Cryptanalysis: Jovanovic and Neves, "Practical Cryptanalysis of the Open Smart Grid Protocol", eprint 2015/428 (grade C),
carried out in osgp/cryptanalysis.
Algorithm: OSGP Alliance MEP Client Developer Guide v1.1, RC4 mode (grade A); it reproduces every published digest whose key
is printed.

    state: 8 octets, all zero;  key: k octets;  block: 1.5 * k * 8 message octets (48 when k = 6)
    step l of a block, message octet m (0 behind the end, up to the end of the block):
        j   = 7 - l mod 8
        bit = bit l mod 8 (least significant first) of key octet (l div 8) mod k
        n   = NOT (state[j] + j)
        state[j] = state[j + 1 mod 8] + m + (n rotated left by 1)        when bit is 1
                   state[j + 1 mod 8] + m - (n rotated right by 1)       when bit is 0
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import BadDigest, ConfigurationError
from .apdu import MESSAGE_CODE, SHORTEST_RESPONSE, split, split_request
from .exchange import AUTHENTICATION_FAILURE, SEQUENCE_OCTETS, TAG_OCTETS, Exchange, Link
from .keys import Key

DIGEST_OCTETS: Final = TAG_OCTETS
OMA_KEY_SIZES: Final = (6, 12, 16)
_SHORT_KEY: Final = 6  # the key of EN 14908-1 goes over the message once per block instead of one and a half times
_ROTATED_LEFT: Final = bytes((n << 1 | n >> 7) & 255 for n in range(256))
_ROTATED_RIGHT: Final = bytes(n >> 1 | (n & 1) << 7 for n in range(256))

Steps = tuple[tuple[int, int, int], ...]


def block_octets(key_octets: int) -> int:
    """Message octets of one block, which is also its number of steps."""
    return 8 * (key_octets if key_octets == _SHORT_KEY else key_octets * 3 // 2)


@lru_cache(maxsize=64)
def schedule(key: bytes) -> Steps:
    """(state index, neighbour index, key bit) of every step of a block."""
    steps = range(block_octets(len(key)))
    return tuple((7 - l % 8, (8 - l % 8) % 8, key[l // 8 % len(key)] >> l % 8 & 1) for l in steps)  # noqa: E741


def _turned(j: int, bit: int) -> bytes:
    """What a step adds beside neighbour and message octet, by the old value of state[j]."""
    inverted = (~(value + j) & 255 for value in range(256))
    return bytes(_ROTATED_LEFT[n] if bit else -_ROTATED_RIGHT[n] & 255 for n in inverted)


_TURNED: Final = tuple((_turned(j, 0), _turned(j, 1)) for j in range(DIGEST_OCTETS))


@lru_cache(maxsize=64)
def _passes(key: bytes) -> tuple[tuple[bytes, ...], ...]:
    """Tables of every pass over the state: one key octet, state octets 7 down to 0."""
    bits = [bit for _, _, bit in schedule(key)]
    passes = range(0, len(bits), DIGEST_OCTETS)
    return tuple(tuple(_TURNED[7 - k][bits[start + k]] for k in range(DIGEST_OCTETS)) for start in passes)


def mix(state: bytes, key: bytes, message: bytes) -> bytes:
    """Drive the state (8 octets) through whole blocks of message octets."""
    s0, s1, s2, s3, s4, s5, s6, s7 = state
    passes = _passes(key)
    at = 0
    while at < len(message):
        for t7, t6, t5, t4, t3, t2, t1, t0 in passes:
            m7, m6, m5, m4, m3, m2, m1, m0 = message[at : at + DIGEST_OCTETS]
            at += DIGEST_OCTETS
            s7 = s0 + m7 + t7[s7] & 255
            s6 = s7 + m6 + t6[s6] & 255
            s5 = s6 + m5 + t5[s5] & 255
            s4 = s5 + m4 + t4[s4] & 255
            s3 = s4 + m3 + t3[s3] & 255
            s2 = s3 + m2 + t2[s2] & 255
            s1 = s2 + m1 + t1[s1] & 255
            s0 = s1 + m0 + t0[s0] & 255
    return bytes((s0, s1, s2, s3, s4, s5, s6, s7))


def oma_digest(key: bytes, message: bytes) -> bytes:
    """Digest (8 octets) of a message under a key of 6, 12 or 16 octets. The digest of an empty message is eight zeroes.

    Zero octets at the end of the message do not change it: the padding is zero too. That is the algorithm, not a mistake here.
    """
    if len(key) not in OMA_KEY_SIZES:
        size = len(key)
        del key
        raise ConfigurationError(f"an OMA key has 6, 12 or 16 octets, got {size}")
    return mix(bytes(DIGEST_OCTETS), key, message + bytes(-len(message) % block_octets(len(key))))


def mep_request_digest(key: bytes, request: bytes) -> bytes:
    """MEP port, 16-octet key: over request code to sequence number (no length field). Grade A."""
    return oma_digest(key, request)


def mep_response_digest(key: bytes, request: bytes, response: bytes) -> bytes:
    """MEP port: over the request as above, then response code to data. Grade A."""
    return oma_digest(key, request + response)


@dataclass(frozen=True, slots=True)
class OmaSuite:
    """Digests of one device on the power line (12-octet key), nothing encrypted. WEAK, see the module text.

    A request is digested over subnet, node, message code, request PDU and sequence number; a response over the same octets,
    then message code, result, data and one octet with the length of that response part. Subnet and node are the meter's.
    Grade B, proven by one vector.

    Args:
        key: the OMAK.
        digests_refusals: answer a wrong digest with a digest of one's own, which hands the key to whoever asks 13 times.
            Off; for the study of that attack. What installed meters do is not published.
    """

    key: Key
    digests_refusals: bool = False

    @property
    def name(self) -> str:
        """See `Suite`."""
        return "OMA digest (weak, nothing encrypted)"

    def request_digest(self, subnet: int, node: int, request: bytes) -> bytes:
        """`request`: message code 0x00 to the sequence number."""
        return oma_digest(self.key.reveal(), bytes((subnet, node)) + request)

    def response_digest(self, subnet: int, node: int, request: bytes, response: bytes) -> bytes:
        """`response`: message code 0x00 to the last octet of data."""
        covered = bytes((subnet, node)) + request + response + bytes((len(response) & 0xFF,))
        return oma_digest(self.key.reveal(), covered)

    @staticmethod
    def same(one: bytes, other: bytes) -> bool:
        """Compare digests in constant time."""
        return hmac.compare_digest(one, other)

    def seal_request(self, pdu: bytes, sequence: int, link: Link) -> OmaExchange:
        """See `Suite`."""
        covered = bytes((MESSAGE_CODE,)) + pdu + sequence.to_bytes(SEQUENCE_OCTETS, "big")
        digest = self.request_digest(link.subnet, link.node, covered)
        return OmaExchange(self, link, pdu, sequence, covered + digest)

    def open_request(self, octets: bytes, link: Link) -> OmaExchange:
        """See `Suite`."""
        pdu, sequence, digest = split_request(octets)
        if not self.same(digest, self.request_digest(link.subnet, link.node, octets[:-DIGEST_OCTETS])):
            raise BadDigest(f"the digest of a request to {link.subnet}/{link.node} is wrong")
        return OmaExchange(self, link, pdu, sequence, octets)

    def answer_stranger(self, octets: bytes, pdu: bytes, link: Link) -> bytes | None:
        """See `Suite`."""
        if not self.digests_refusals:
            return None
        answer = bytes((MESSAGE_CODE,)) + pdu
        return answer + self.response_digest(link.subnet, link.node, octets[:-DIGEST_OCTETS], answer)


class OmaExchange(Exchange):
    """See `Exchange`."""

    __slots__ = ("_link", "_suite")

    def __init__(self, suite: OmaSuite, link: Link, pdu: bytes, sequence: int, octets: bytes) -> None:
        super().__init__(pdu, sequence, octets, suite.key.kind)
        self._suite, self._link = suite, link

    def _digest(self, body: bytes) -> bytes:
        return self._suite.response_digest(self._link.subnet, self._link.node, self.octets[:-DIGEST_OCTETS], body)

    def seal_response(self, pdu: bytes) -> bytes:
        """See `Exchange`."""
        body = bytes((MESSAGE_CODE,)) + pdu
        return body + self._digest(body)

    seal_refusal = seal_response

    def open_response(self, octets: bytes) -> bytes:
        """See `Exchange`. A refusal for authentication is believed without digest."""
        pdu, digest = split(octets, SHORTEST_RESPONSE, "response")
        if not OmaSuite.same(digest, self._digest(octets[:-DIGEST_OCTETS])) and pdu != AUTHENTICATION_FAILURE:
            raise BadDigest(f"the digest of a response from {self._link.subnet}/{self._link.node} is wrong")
        return pdu
