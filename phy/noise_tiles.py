"""How strong the filtered noise is where no packet is, in tiles of sixteen bits."""

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.sense import judge_tiles, tile_powers
from .filters import SAMPLES_PER_BIT

TILE: Final = 16 * SAMPLES_PER_BIT  # narrow samples: shorter than the gap between two packets
EVERY: Final = 2  # narrow samples of which one counts: two a bit tell nearly as much as four
_BEFORE: Final = 8 * SAMPLES_PER_BIT  # this close to a packet a tile says nothing
_AFTER: Final = 16 * SAMPLES_PER_BIT
_RECENT: Final = 2.0  # s for which they are
_ENOUGH: Final = 4  # of them for a floor; the noise of a packet counts as so many
_RECALLED: Final = 64  # packets of which it is remembered
_LOUD: Final = 3.0  # times the floor: noise of 16 bits does so less than once in a day
_STEADY: Final = 0.9  # of the tiles must not be loud for a floor
_TRACES: Final = 1e-5  # of a packet's power may be left beside it: the filters are not perfect
_FADES: Final = 8  # tiles for which that is so after its end
_ACROSS: Final = 1e-3  # of its power may be seen on the other carrier

Span = tuple[float, float]
Heard = tuple[Span, float]
Quiet = tuple[NDArray[np.int64], NDArray[np.float64]]  # tiles and their powers


def _as_rows(packets: Iterable[Heard]) -> NDArray[np.float64]:
    """(P, 3): begin, end, amplitude."""
    return np.array([(begin, end, amplitude) for (begin, end), amplitude in packets]).reshape(-1, 3)


class NoiseTiles:
    """Mean power of the filtered baseband, tile by tile, as soon as it is sure that no packet covers the tile.

    Args:
        delay: narrow samples from a packet's beginning until it has surely been found. rate: narrow samples per s.
    """

    def __init__(self, delay: int, rate: float) -> None:
        self._delay, self._recent = delay + _BEFORE, round(_RECENT * rate / TILE)
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Forget everything; the next sample is narrow sample `first`."""
        self._next = -(-first // TILE)
        self._powers: NDArray[np.float64] = np.zeros(0)  # of the tiles up to _next that are not judged yet
        self._quiet: deque[Quiet] = deque()
        self._noted: deque[tuple[int, float]] = deque(maxlen=_RECALLED)

    def fork(self) -> "NoiseTiles":
        """Another one with the same past."""
        other = NoiseTiles.__new__(NoiseTiles)
        other.__dict__.update(self.__dict__)
        other._quiet, other._noted = self._quiet.copy(), self._noted.copy()
        return other

    @property
    def floor(self) -> float | None:
        """Noise power of the last seconds, V^2; None when too little of it was heard, or when it was not steady."""
        noted = np.array(list(self._noted) * _ENOUGH).reshape(-1, 2)
        tiles, powers = (np.concatenate(values) for values in zip((noted[:, 0], noted[:, 1]), *self._quiet, strict=True))
        recent = powers[tiles > self._next - self._recent]
        if recent.size < _ENOUGH:
            return None
        floor = float(np.median(recent))
        return floor if np.mean(recent <= _LOUD * floor) >= _STEADY else None

    def push(self, y: NDArray[np.complex64], base: int) -> None:
        """The filtered baseband, of which even samples count; y[0] has index `base`, everything not pushed before is there."""
        if (base + y.size) // TILE > self._next:
            self.push_even(np.ascontiguousarray(y[self.next - base :: EVERY]), self.next // EVERY)

    def push_even(self, y: NDArray[np.complex64], first: int) -> None:
        """The same from even samples alone; y[0] has index 2 * first."""
        size = TILE // EVERY
        stop = (first + y.size) // size
        if stop > self._next:
            powers = np.empty(stop - self._next)
            tile_powers(y[self._next * size - first : stop * size - first], powers)
            self._powers = np.concatenate((self._powers, powers))
            self._next = stop

    def note(self, at: float, power: float) -> None:
        """A packet that ended at narrow sample `at` had noise of this power: on a crowded line there is no other to be heard."""
        self._noted.append((int(at) // TILE, power))

    def judge(
        self, frontier: int, own: Iterable[Heard], across: Iterable[Heard] = (), floor: float | None = None
    ) -> int | None:
        """Tell noise from something that is neither noise nor a packet.

        Args:
            frontier: narrow samples processed. own: ((begin, end), amplitude) of the packets that may lie in tiles not judged
                before. across: those of the other carrier. floor: noise power, V^2; None: what is no packet is noise.
        Returns:
            the first tile that is far above the floor, after which nothing is judged any more, or None.
        """
        first = self._next - self._powers.size
        count = min(self._powers.size, (frontier - self._delay) // TILE - first)
        if count <= 0:
            return None
        powers, free = self._powers[:count], np.empty(count, np.int64)
        most = math.inf if floor is None else _LOUD * floor
        number, loud = judge_tiles(
            powers, first, TILE, _BEFORE, _AFTER, _as_rows(own), _FADES, _TRACES, _as_rows(across), _ACROSS, most, free
        )
        if loud >= 0:
            return int(loud)
        if number:
            self._quiet.append((free[:number], powers[free[:number] - first]))
        while self._quiet and self._quiet[0][0][-1] <= self._next - self._recent:
            self._quiet.popleft()
        self._powers = self._powers[count:]
        return None

    @staticmethod
    def begin(tile: int) -> int:
        """Its first narrow sample."""
        return tile * TILE

    @property
    def next(self) -> int:
        """First narrow sample of the first tile that is not complete."""
        return self._next * TILE

    @property
    def unjudged(self) -> int:
        """First narrow sample of the first tile not judged yet."""
        return (self._next - self._powers.size) * TILE

    @property
    def concerned(self) -> int:
        """Narrow sample before which a packet that ended has no part in what is still to be judged."""
        return self.unjudged - (_FADES + 1) * TILE - _AFTER

    def judged_at(self, tile: int) -> int:
        """Narrow sample at which a tile is judged."""
        return (tile + 1) * TILE + self._delay
