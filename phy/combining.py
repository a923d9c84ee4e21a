"""Soft combining: failed packets are remembered, and a later one that looks like a retransmission is decided with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .framing import order_octets
from .profile import Carrier, Profile

ALTERNATE: Final = 0x40  # bit of an LPDU's first octet: sent on the secondary carrier (EN 14908-1, clause unverified)
_ALIKE: Final = 0.25  # part of the octets that must agree; of unrelated packets 1 in 256 does
_KEPT: Final = 16


@dataclass(frozen=True, eq=False)
class _Failed:
    start_s: float
    carrier: Carrier
    scores: NDArray[np.float32]
    octets: NDArray[np.uint8]


class Combiner:
    """Remembers packets whose check failed and decides later ones together with them.

    A retransmission repeats the octets but for the flag that tells the carrier, the backlog beside it, and the check octets
    that follow from both. The check is linear: what it changes by follows from what the first octet changes by, so that
    the log-likelihoods of two receptions add up, octet by octet, each with its change.

    Args:
        profile: the channel. memory_s: how long a failed packet is remembered, s.
    """

    def __init__(self, profile: Profile, memory_s: float) -> None:
        self.profile, self.memory_s = profile, memory_s
        self.reset()

    def reset(self) -> None:
        """Forget every packet."""
        self._failed: list[_Failed] = []

    def combine(
        self, scores: NDArray[np.float32], carrier: Carrier, start_s: float, is_lpdu: Callable[[bytes], bool]
    ) -> bytes | None:
        """The octets of a packet (line order) by its own and earlier receptions, or None; then it is remembered.

        Args:
            scores: (W, 256) float32 log-likelihood of every octet at every position. carrier: it came on. start_s: when, s.
            is_lpdu: whether octets are a packet with a good check.
        """
        octets = scores.argmax(axis=1).astype(np.uint8)
        self._failed = [f for f in self._failed if start_s - f.start_s <= self.memory_s][-_KEPT:]
        total, joined = scores.copy(), 0
        for earlier in self._failed:
            if earlier.scores.shape != scores.shape:
                continue
            changes = self._changes(earlier, octets, carrier)
            agree = [float(np.mean((earlier.octets ^ change) == octets)) for change in changes]
            best = int(np.argmax(agree))
            if agree[best] < _ALIKE:
                continue
            index = np.arange(256)[None, :] ^ changes[best][:, None].astype(np.int64)
            total += np.take_along_axis(earlier.scores, index, axis=1)
            joined += 1
        if joined:
            line = bytes(total.argmax(axis=1).astype(np.uint8))
            if is_lpdu(line):
                return line
        self._failed.append(_Failed(start_s, carrier, scores, octets))
        return None

    def _changes(self, earlier: _Failed, octets: NDArray[np.uint8], carrier: Carrier) -> list[NDArray[np.uint8]]:
        """(W,) XOR between the two receptions' octets in line order: as the carriers say, and as the first octets look."""
        flag = ALTERNATE if earlier.carrier != carrier else 0
        looks = order_octets(bytes([earlier.octets[0] ^ octets[0]]), self.profile)[0]
        changes = []
        for first in dict.fromkeys((flag, looks)):
            changed = self.profile.crc.append(bytes([first]) + bytes(octets.size - 3))
            plain = self.profile.crc.append(bytes(octets.size - 2))
            change = bytes(a ^ b for a, b in zip(changed, plain, strict=True))
            changes.append(np.frombuffer(order_octets(change, self.profile), np.uint8))
        return changes
