"""Looking for packets in line samples, through one filter, and following them there: many packets with one call."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.packets import find_packets, leave_out
from .detect import BEFORE, SEGMENT, HeaderDetector
from .direct import DirectFilter
from .filters import SAMPLES_PER_BIT
from .profile import Profile
from .stream import Past
from .tracking import ROOM, PacketTracker, TrackingSettings, room

_MOST: Final = 16  # packets at once
_STRETCH: Final = 48 * SAMPLES_PER_BIT  # narrow samples searched at once behind a packet; then twice as many each time
_LONGEST: Final = 256 * SAMPLES_PER_BIT  # .. up to so many: what lies behind the next packet's beginning is searched again
_HINT: Final = 0.7  # of a statistic that counts: a quarter of a bit beside its peak it is above (3780 of 3780 packets at 3 dB)
_AROUND: Final = 2 * BEFORE + 8 * SAMPLES_PER_BIT  # narrow samples before a header that are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A packet that has been found, and followed as far as the line reaches or to its end.

    Attributes:
        tracker: stands where that was. search: of the LineSearch, when nothing had been left out because of this packet.
    """

    tracker: PacketTracker
    search: NDArray[np.float64]


class LineSearch:
    """Goes on with what a HeaderDetector does, on line samples, and follows what it finds.

    Every other narrow sample is computed; those between only beside a hint at a header. A packet is followed with one output of
    the filter for each bit; where it has ended, nothing else is looked for and no narrow sample computed within it.

    Args:
        profile: the channel. detector: where the search stands. settings: for following. direct: the filter.
        y, base: the narrow samples that there are, y[0] being number `base`.
    """

    def __init__(
        self,
        profile: Profile,
        detector: HeaderDetector,
        settings: TrackingSettings,
        direct: DirectFilter,
        y: NDArray[np.complex64],
        base: int,
    ) -> None:
        self._profile, self._detector, self._settings, self._direct = profile, detector, settings, direct
        self._first = -(-base // 2)
        self._even = y[2 * self._first - base :: 2].copy()  # narrow samples 2 * first, 2 * first + 2, ..., with room at the end
        at, peak_at, peak = detector.search
        self._search = np.array([at + at % 2, peak_at, peak, self._first + self._even.size, _STRETCH])
        self._limits = np.array([_HINT * detector.doubtful, detector.doubtful, detector.max_freq, BEFORE, _STRETCH, _LONGEST])
        self._ahead = detector.span + 2 * SAMPLES_PER_BIT
        self._shortest = profile.packet_bits(profile.min_octets) * SAMPLES_PER_BIT
        self._rows: list[NDArray[Any]] = []  # for what find_packets writes, as long as nothing has been written

    @property
    def searched(self) -> int:
        """Narrow samples in which packets have been looked for."""
        return int(self._search[0]) + self._ahead

    @property
    def oldest_needed(self) -> int:
        """The oldest narrow sample that a later call may still look at."""
        return int(self._search[1] if self._search[2] else self._search[0]) - _AROUND

    def even(self, first: int) -> NDArray[np.complex64]:
        """(N,) complex64: even narrow samples from number `first` (even) on as far as there are; 0 within packets."""
        return self._even[first // 2 - self._first : int(self._search[3]) - self._first]

    def forget(self, before: int) -> None:
        """Narrow samples before that will not be asked for again."""
        self._even = self._even[max(0, before // 2 - self._first) : int(self._search[3]) - self._first]
        self._first = int(self._search[3]) - self._even.size

    def find(self, line: Past, end: int) -> list[Found]:
        """The next packets in line samples before `end`; none is there only when the list is empty.

        All but the last one have ended with an end word, and the search has gone on behind them.
        """
        reached = self._direct.reached(end)
        missing = (reached + 1) // 2 - self._first - self._even.size
        if missing > 0:
            self._even = np.concatenate((self._even, np.empty(missing, np.complex64)))
        count = min(_MOST, 1 + max(0, reached - self.searched) // self._shortest)
        if not self._rows or self._rows[0].shape[0] < count:
            self._rows = [np.empty((count, 12)), np.empty((count, 11)), *room(self._profile, ROOM, count)]
        candidates, states, *bits = self._rows
        first = min(self._direct.first_needed(min(self.oldest_needed, 2 * int(self._search[3]))), end)
        number = find_packets(
            line.between(first, end), first, end, self._direct.filters, self._even, self._first, reached, self._search,
            self._detector.rotations, SEGMENT, self._limits, self._detector.hold, self._settings, candidates, states, *bits,
        )  # fmt: skip
        found: list[Found] = []
        if number == 0:
            return found
        self._rows = []
        for values, search, state, *rows in zip(candidates[:number].tolist(), candidates[:, 7:], states, *bits, strict=False):
            candidate, status = self._detector.candidate(*values[:6]), int(values[6])
            tracker = PacketTracker.followed(self._profile, candidate, self._settings, state, rows, status)
            found.append(Found(tracker, search))
        return found

    def go_back(self, found: Found) -> None:
        """Search on from where a packet had been found, which is not what it seemed, or has not ended yet."""
        self._search[:] = found.search

    def leave_out(self, last: float) -> None:
        """Search behind a packet that has ended at narrow sample `last`."""
        leave_out(last, self._even, self._first, self._limits, self._search)
