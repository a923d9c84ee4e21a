"""Following one packet from its header to its end: carrier, clock, amplitude, soft words."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._kernels.packets import track_on_line, track_packet
from .detect import Candidate, header_signs
from .direct import DirectFilter
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT
from .profile import Profile
from .stream import Past

ROOM: Final = 32  # words that a packet gets room for at first
TrackingSettings: TypeAlias = tuple[Any, ...]  # what track_packet wants to know besides samples and state


class Ending(Enum):
    """Why a packet ended, or that it has not."""

    OPEN = 0
    END_WORD = 1
    LOST = 2
    FULL = 3


_ENDINGS: Final = tuple(Ending)  # by what track_packet returns


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


@lru_cache(maxsize=32)
def tracking_settings(profile: Profile, cycles_per_bit: float, gains: LoopGains, lost_below: float) -> TrackingSettings:
    """What the tracking kernels want to know besides samples and state; arrays that are not to be changed.

    Args: see PacketTracker.
    Returns:
        header: (H,) float32, the known bits as +-1; samples per bit; cycles_per_bit; K1, K2: gains of the carrier loop
        (proportional, integral; per bit); Kt: of the timing loop; decay: of the amplitude average; words: (256, n) float32 and
        end_word: (n,) float32 as soft bits, +1 for a 0, zeros for no end word; between them inverse: (2^n,) int16, the octet of
        each word; lost: (4,) float64 = power of a word over that of the words before it, below which the word is lost; the same
        for a word without coherence; coherence (in-phase minus quadrature power over their sum) below which it has none; mean
        coherence of the latest words below which there is no packet at all, if the power is that of before the packet too;
        differential.
    """
    end_word = ((1.0 - 2.0 * profile.end_word) * min(1, profile.end_words)).astype(np.float32)  # zeros beat no code word
    lost = np.array([lost_below, 2 * lost_below, 0.2, 0.1])
    for array in (end_word, lost):
        array.flags.writeable = False
    return (
        header_signs(profile), SAMPLES_PER_BIT, cycles_per_bit, *gains.carrier, gains.timing, gains.amplitude,
        profile.code.signs, profile.code.inverse, end_word, lost, profile.differential,
    )  # fmt: skip


def room(profile: Profile, words: int, *packets: int) -> list[NDArray[Any]]:
    """Arrays for what track_packet writes for a packet of so many words, or for each of several such packets."""
    bits = profile.header_bits.size + words * profile.code.length
    kinds: list[type[np.generic]] = [np.complex64, np.complex64, np.float64, np.float64]
    return [*(np.empty((*packets, bits), kind) for kind in kinds), np.empty((*packets, words, profile.code.length), np.float32)]


def _most_words(profile: Profile) -> int:
    """After which the longest packet has ended."""
    return profile.max_octets + max(1, profile.end_words) + 1


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
        # Bits done, position of the next bit's centre, phase, frequency (rad/bit), amplitude, mean power of a bit, words lost in
        # a row, sign of the last bit, words done, mean coherence, power before the packet. The coherence is that of a packet at
        # 0 dB at first; noise brings it to nothing within some ten words.
        begin = candidate.position, candidate.phase, candidate.freq, candidate.amplitude
        state = np.array((0.0, *begin, 0.0, 0.0, 0.0, 0.0, 0.5, candidate.noise_power))
        settings = tracking_settings(profile, cycles_per_bit, gains, lost_below)
        self._set(profile, candidate, settings, state, room(profile, min(ROOM, _most_words(profile))), Ending.OPEN)

    @classmethod
    def followed(
        cls, profile: Profile, candidate: Candidate, settings: TrackingSettings, state: NDArray[np.float64],
        bits: list[NDArray[Any]], status: int,
    ) -> "PacketTracker":  # fmt: skip
        """One that stands where `track_on_line` has left it; settings .. status: see there."""
        tracker = cls.__new__(cls)
        tracker._set(profile, candidate, settings, state, bits, _ENDINGS[status])
        if tracker.ending is Ending.FULL and bits[-1].shape[0] < tracker._most:
            tracker.ending = Ending.OPEN
        return tracker

    def _set(
        self, profile: Profile, candidate: Candidate, settings: TrackingSettings, state: NDArray[np.float64],
        bits: list[NDArray[Any]], ending: Ending,
    ) -> None:  # fmt: skip
        self.profile, self.candidate, self.ending = profile, candidate, ending
        self._settings, self._state = settings, state
        self._most = _most_words(profile)
        self._raw, self._turned, self._phases, self._positions, self._soft = bits
        self.ends_tried = 0
        self.complete: tuple[bytes, int] | None = None

    def _grow(self) -> None:
        """Room for twice as many words: most packets are short."""
        old = self._raw, self._turned, self._phases, self._positions, self._soft
        new = room(self.profile, min(2 * self._soft.shape[0], self._most))
        for source, target in zip(old, new, strict=True):
            target[: source.shape[0]] = source
        self._raw, self._turned, self._phases, self._positions, self._soft = new

    @property
    def oldest_needed(self) -> int:
        """Absolute index of the oldest filtered sample that is still needed to go on."""
        return int(self._state[1]) - 4

    @property
    def next_end(self) -> int:
        """Absolute index behind the filtered samples that the next word needs; without them nothing new can be said."""
        count = self.profile.code.length if self.bits else self.profile.header_bits.size
        return int(self._state[1]) + count * SAMPLES_PER_BIT + 5

    def push(self, y: NDArray[np.complex64], base: int, end: int) -> Ending:
        """Go on as far as the samples reach; after END_WORD, calling again goes on as if it were an ordinary word.

        Args:
            y: (N,) complex64 filtered baseband, y[0] has absolute index `base`. end: index behind the last one to be used.
        """
        return self._follow(track_packet, y, base, end)

    def push_on_line(self, direct: DirectFilter, line: Past, end: int) -> Ending:
        """The same from line samples before number `end`, by a filter that is evaluated at the bits alone."""
        first = min(direct.first_needed(self.oldest_needed), end)
        return self._follow(track_on_line, line.between(first, end), first, end, direct.filters)

    def _follow(self, kernel: Callable[..., int], *samples: Any) -> Ending:
        while True:
            status = kernel(
                *samples, self._settings, self._state, self._raw, self._turned, self._phases, self._positions, self._soft
            )
            self.ending = _ENDINGS[status]
            if status != Ending.FULL.value or self._soft.shape[0] == self._most:
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
