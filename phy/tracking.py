"""Following one packet from its header to its end: carrier, clock, amplitude, soft words."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.tracking import track_packet
from .detect import Candidate, header_signs
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT
from .profile import Profile

_ROOM: Final = 32  # words that a packet gets room for at first


class Ending(Enum):
    """Why a packet ended, or that it has not."""

    OPEN = 0
    END_WORD = 1
    LOST = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class LoopGains:
    """Gains of the tracking loops, per bit.

    Args:
        BnT: noise bandwidth of the carrier loop times the bit time, (0, 0.1). 0.01-0.02 costs no more than 0.05 dB
            in packets of 20 octets, simulated. zeta: its damping factor.
        timing: gain of the first-order timing loop, 0..0.2. amplitude: of the amplitude average, 0..0.5.
    """

    BnT: float = 0.015
    zeta: float = 0.707
    timing: float = 0.03
    amplitude: float = 0.03

    def __post_init__(self) -> None:
        for name, low, high in (("BnT", 0, 0.1), ("zeta", 0.1, 10), ("timing", 0, 0.2), ("amplitude", 0, 0.5)):
            if not low <= getattr(self, name) <= high:
                raise ConfigurationError(f"{name} must be in {low}..{high}, got {getattr(self, name)}")

    @property
    def carrier(self) -> tuple[float, float]:
        """K1 (proportional) and K2 (integral) of the second-order loop; Rice, Digital Communications, (C.57), (C.58)."""
        return _second_order(self.BnT, self.zeta)


@lru_cache(maxsize=32)
def _second_order(BnT: float, zeta: float) -> tuple[float, float]:
    theta = BnT / (zeta + 1 / (4 * zeta))
    d = 1 + 2 * zeta * theta + theta**2
    return 4 * zeta * theta / d, 4 * theta**2 / d


@lru_cache(maxsize=16)
def _end_signs(profile: Profile) -> NDArray[np.float32]:
    """(n,) float32, not to be changed: the end word as soft bits; zeros for none, which no code word is beaten by."""
    signs = ((1.0 - 2.0 * profile.end_word) * min(1, profile.end_words)).astype(np.float32)
    signs.flags.writeable = False
    return signs


@lru_cache(maxsize=16)
def _lost_levels(lost_below: float) -> NDArray[np.float64]:
    """(4,) float64, not to be changed: see track_packet."""
    levels = np.array([lost_below, 2 * lost_below, 0.2, 0.1])
    levels.flags.writeable = False
    return levels


class PacketTracker:
    """Demodulates one packet of the filtered baseband, word by word, until its end.

    Args:
        profile: the channel. cycles_per_bit: of the carrier. candidate: where the packet begins. gains: of the loops.
        lost_below: a word of less than this part of the power of the words before it counts as lost, and so does one of less
            than twice as much without coherence; two in a row end the packet, and so does one far below.
    Attributes:
        candidate: as given. raw: (B,) complex64 filtered bits; turned: without their carrier. phases: (B,) carrier phase, rad.
        positions: (B,) narrow sample of each bit's centre. soft: (W, n) float32, + means 0, in units of the amplitude.
        ending: Ending. ends_tried: end words that turned out to be none, counted by whoever checks them. complete: what the
        words before the last one are when their CRC holds, and how many bits were changed; written by whoever checks it.
    """

    def __init__(
        self,
        profile: Profile,
        cycles_per_bit: float,
        candidate: Candidate,
        gains: LoopGains,
        lost_below: float = 0.3,
    ) -> None:
        self.profile, self.candidate = profile, candidate
        self._header = header_signs(profile)
        self._end_word = _end_signs(profile)
        self._cycles = cycles_per_bit
        self._loop = (*gains.carrier, gains.timing, gains.amplitude)
        self._lost = _lost_levels(lost_below)
        self._most = profile.max_octets + max(1, profile.end_words) + 1
        self._raw, self._turned, self._phases, self._positions, self._soft = self._room(min(_ROOM, self._most))
        # The coherence is that of a packet at 0 dB at first; noise brings it to nothing within some ten words.
        begin = candidate.position, candidate.phase, candidate.freq, candidate.amplitude
        self._state = np.array((0.0, *begin, 0.0, 0.0, 0.0, 0.0, 0.5, candidate.noise_power))
        self.ending = Ending.OPEN
        self.ends_tried = 0
        self.complete: tuple[bytes, int] | None = None

    def _room(
        self, words: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
        """Arrays for a packet of so many words."""
        n = self.profile.code.length
        bits = self._header.size + words * n
        bare = np.empty(bits, np.complex64), np.empty(bits, np.complex64)
        return *bare, np.empty(bits), np.empty(bits), np.empty((words, n), np.float32)

    def _grow(self) -> None:
        """Room for twice as many words: most packets are short."""
        old = self._raw, self._turned, self._phases, self._positions, self._soft
        new = self._room(min(2 * self._soft.shape[0], self._most))
        for source, target in zip(old, new, strict=True):
            target[: source.shape[0]] = source
        self._raw, self._turned, self._phases, self._positions, self._soft = new

    @property
    def oldest_needed(self) -> int:
        """Absolute index of the oldest filtered sample that is still needed to go on."""
        return int(self._state[1]) - 4

    def push(self, y: NDArray[np.complex64], base: int, end: int) -> Ending:
        """Go on as far as the samples reach; after END_WORD, calling again goes on as if it were an ordinary word.

        Args:
            y: (N,) complex64 filtered baseband, y[0] has absolute index `base`. end: index behind the last one to be used.
        """
        while True:
            status = track_packet(
                y, base, end, self._header, SAMPLES_PER_BIT, self._cycles, *self._loop, self.profile.code.signs,
                self._end_word, self._lost, self.profile.differential, self._state, self._raw, self._turned, self._phases,
                self._positions, self._soft,
            )  # fmt: skip
            self.ending = Ending(status)
            if self.ending is not Ending.FULL or self._soft.shape[0] == self._most:
                return self.ending
            self._grow()

    @property
    def words(self) -> int:
        """Words demodulated so far, an end word included."""
        return int(self._state[8])

    @property
    def bits(self) -> int:
        """Bits demodulated so far."""
        return int(self._state[0])

    @property
    def coherence(self) -> float:
        """In-phase less quadrature power over their sum, mean of the latest words: 1 without noise, 0 without a packet."""
        return float(self._state[9])

    @property
    def amplitude(self) -> float:
        """Present amplitude of a filtered bit, V."""
        return float(self._state[4])

    @property
    def raw(self) -> NDArray[np.complex64]:
        """(bits,) filtered bits as received."""
        return self._raw[: self.bits]

    @property
    def turned(self) -> NDArray[np.complex64]:
        """(bits,) filtered bits without their carrier."""
        return self._turned[: self.bits]

    @property
    def phases(self) -> NDArray[np.float64]:
        """(bits,) tracked carrier phase, rad."""
        return self._phases[: self.bits]

    @property
    def positions(self) -> NDArray[np.float64]:
        """(bits,) narrow sample of each bit's centre."""
        return self._positions[: self.bits]

    @property
    def soft(self) -> NDArray[np.float32]:
        """(words, n) soft bits, + means 0, in units of the amplitude."""
        return self._soft[: self.words]
