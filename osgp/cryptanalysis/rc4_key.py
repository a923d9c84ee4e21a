"""The RC4 key of the MEP port or the power line from key streams of many messages, one octet after another.

The packet key is base ^ digest in its first eight octets and base in the others, and every digest is sent in clear, so that all
messages share one unknown. Klein's correlation ("Attacks on the RC4 stream cipher", 2008, the one that broke WEP): when the key
octets before l are known, then

    key[l] = S^-1[l - stream[l-1]] - (S[l] + j)         S, j: state of the key schedule after l steps

with probability 1.36/256 instead of 1/256. Every message votes for one value; after N messages the right one leads by
0.36 sqrt(N) / 16 standard deviations: 6.75 for N = 90 000, which is the number of Feiten and Sauer (eprint 2016/455).
The octet 0 has no such relation: its 256 values are tried together with octet 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from ..security.rc4 import packet_key, rc4

KEY_OCTETS: Final = 16
STREAM_OCTETS: Final = KEY_OCTETS - 1  # needed of every key stream
DIGEST_OCTETS: Final = 8
BEAM: Final = 8  # pairs of octets 0 and 1 that are followed to the end

Octets = NDArray[np.uint8]


def recover_rc4_key(digests: Octets, streams: Octets) -> bytes | None:
    """The base key (16 octets), None when these messages do not give it away.

    Args:
        digests: (N, 8), as sent.    streams: (N, 15 or more), the first octets of the key streams: cipher text of a request and
            its answer XOR what is known to stand there.
    """
    if digests.shape != (len(streams), DIGEST_OCTETS) or streams.shape[1] < STREAM_OCTETS:
        raise ConfigurationError(
            f"digests of (N, {DIGEST_OCTETS}) and streams of (N, {STREAM_OCTETS}), got {digests.shape} and {streams.shape}"
        )
    votes = np.stack([second_octet_votes(digests, streams, first) for first in range(256)])
    for pair in np.argsort(votes, axis=None)[::-1][:BEAM]:
        key = _follow(digests, streams, bytes(divmod(int(pair), 256)))
        test = packet_key(key, digests[0].tobytes())
        if rc4(test, bytes(STREAM_OCTETS)) == streams[0, :STREAM_OCTETS].tobytes():
            return key
    return None


def second_octet_votes(digests: Octets, streams: Octets, first: int) -> NDArray[np.int64]:
    """Votes for octet 1 of the key when octet 0 is `first`. After one step S is the identity but for 0 and j."""
    j = digests[:, 0] ^ np.uint8(first)
    wanted = np.uint8(1) - streams[:, 0]
    # S[0] = j, S[j] = 0
    position = np.where(wanted == 0, j, np.where(wanted == j, np.uint8(0), wanted))
    s_1 = np.where(j == 1, np.uint8(0), np.uint8(1))
    return np.bincount((position - (s_1 + j)) ^ digests[:, 1], minlength=256)


def _follow(digests: Octets, streams: Octets, start: bytes) -> bytes:
    """The other octets, each the one with most votes."""
    count = len(digests)
    rows = np.arange(count)
    s = np.tile(np.arange(256, dtype=np.uint8), (count, 1))
    inverse = s.copy()
    j = np.zeros(count, np.uint8)
    key = bytearray()
    for l in range(KEY_OCTETS):  # noqa: E741
        masks = digests[:, l] if l < DIGEST_OCTETS else np.zeros(count, np.uint8)
        if l < len(start):
            key.append(start[l])
        else:
            guess = inverse[rows, np.uint8(l) - streams[:, l - 1]] - (s[:, l] + j)
            key.append(int(np.bincount(guess ^ masks, minlength=256).argmax()))
        j = j + s[:, l] + (masks ^ np.uint8(key[l]))
        a, b = s[:, l].copy(), s[rows, j]
        s[:, l], s[rows, j] = b, a
        inverse[rows, b], inverse[rows, a] = l, j
    return bytes(key)
