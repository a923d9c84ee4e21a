"""Soft combining: failed packets are remembered, and a later one that looks like a retransmission is decided with them."""

from collections.abc import Callable, Sequence
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
    lengths: tuple[int, ...]
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
        self,
        scores: NDArray[np.float32],
        lengths: Sequence[int],
        carrier: Carrier,
        start_s: float,
        is_lpdu: Callable[[bytes], bool],
    ) -> bytes | None:
        """The octets of a packet (line order) by its own and earlier receptions, or None; then it is remembered.

        Args:
            scores: (W, 256) float32 log-likelihood of every octet at every position, as far as the packet may go.
            lengths: in octets, W at most, the likeliest first; where noise hid the end, an earlier reception may know better.
            carrier: it came on. start_s: when, s. is_lpdu: whether octets are a packet with a good check.
        """
        octets = scores.argmax(axis=1).astype(np.uint8)
        self._failed = [f for f in self._failed if start_s - f.start_s <= self.memory_s][-_KEPT:]
        alike = [earlier for earlier in self._failed if _agreement(earlier.octets, octets) >= _ALIKE]
        for length in dict.fromkeys([*lengths, *(n for earlier in alike for n in earlier.lengths)]):
            known = [earlier for earlier in alike if len(earlier.scores) >= length]
            if not known or length > len(scores):
                continue
            total = scores[:length].copy()
            for earlier in known:
                changes = self._changes(earlier, octets[:length], carrier)
                change = max(changes, key=lambda c: _agreement(earlier.octets[:length] ^ c, octets))
                index = np.arange(256)[None, :] ^ change[:, None].astype(np.int64)
                total += np.take_along_axis(earlier.scores[:length], index, axis=1)
            line = bytes(total.argmax(axis=1).astype(np.uint8))
            if is_lpdu(line):
                return line
        self._failed.append(_Failed(start_s, carrier, scores, tuple(lengths), octets))
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


def _agreement(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Part of the octets that agree, as far as both go."""
    common = min(first.size, second.size)
    return float(np.mean(first[:common] == second[:common]))
