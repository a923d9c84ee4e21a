"""The OMA digest, the message authentication code of OSGP's RC4 era. WEAK, for compatibility with installed meters only.

Cryptanalysis: Jovanovic and Neves, "Practical Cryptanalysis of the Open Smart Grid Protocol", eprint 2015/428 (grade C).
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

from ..errors import ConfigurationError
from .keys import Key

DIGEST_OCTETS: Final = 8
_SHORT_KEY: Final = 6  # the key of EN 14908-1 goes over the message once per block instead of one and a half times
_ROTATED_LEFT: Final = bytes((n << 1 | n >> 7) & 255 for n in range(256))
_ROTATED_RIGHT: Final = bytes(n >> 1 | (n & 1) << 7 for n in range(256))


@lru_cache(maxsize=64)
def _schedule(key: bytes) -> tuple[tuple[int, int, int], ...]:
    """(state index, neighbour index, key bit) of every step of a block."""
    steps = 8 * (len(key) if len(key) == _SHORT_KEY else len(key) * 3 // 2)
    return tuple((7 - l % 8, (8 - l % 8) % 8, key[l // 8 % len(key)] >> l % 8 & 1) for l in range(steps))  # noqa: E741


def oma_digest(key: bytes, message: bytes) -> bytes:
    """Digest (8 octets) of a message under a key of 6, 12 or 16 octets. The digest of an empty message is eight zeroes.

    Zero octets at the end of the message do not change it: the padding is zero too. That is the algorithm, not a mistake here.
    """
    if len(key) not in (6, 12, 16):
        raise ConfigurationError(f"an OMA key has 6, 12 or 16 octets, got {len(key)}")
    schedule = _schedule(key)
    block = len(schedule)
    state = [0] * DIGEST_OCTETS
    padded = message + bytes(-len(message) % block)
    for start in range(0, len(padded), block):
        for (j, neighbour, bit), m in zip(schedule, padded[start : start + block], strict=True):
            n = ~(state[j] + j) & 255
            if bit:
                state[j] = state[neighbour] + m + _ROTATED_LEFT[n] & 255
            else:
                state[j] = state[neighbour] + m - _ROTATED_RIGHT[n] & 255
    return bytes(state)


def mep_request_digest(key: bytes, request: bytes) -> bytes:
    """MEP port, 16-octet key: over request code to sequence number (no length field). Grade A."""
    return oma_digest(key, request)


def mep_response_digest(key: bytes, request: bytes, response: bytes) -> bytes:
    """MEP port: over the request as above, then response code to data. Grade A."""
    return oma_digest(key, request + response)


@dataclass(frozen=True, slots=True)
class OmaSuite:
    """Digests of one device on the power line (12-octet key). WEAK, see the module text. Grade B, proven by one vector.

    A request is digested over subnet, node, message code, request PDU and sequence number; a response over the same octets,
    then message code, result, data and one octet with the length of that response part. Subnet and node are the meter's.
    """

    key: Key

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
