"""Finding packets: header correlation, acquisition and carrier sense."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._kernels.detect import acquire_header, correlate_header, pick_peaks, sense_carrier
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT
from .profile import Profile

_BEFORE = 14 * SAMPLES_PER_BIT  # narrow samples: half of what is looked at before a packet
_NO_PEAK = -(1 << 62)  # position that says that no peak is open


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a packet seems to begin.

    Attributes:
        position: narrow sample of the centre of bit 0, fractional.
        phase: carrier phase at bit 0, rad. freq: rad per bit. amplitude: of a filtered bit, V.
        statistic: normalised correlation, 0..1. noise_power: of filtered bits before the packet, V^2; 0 if not known.
    """

    position: float
    phase: float
    freq: float
    amplitude: float
    statistic: float
    noise_power: float = 0.0


@lru_cache(maxsize=16)
def header_signs(profile: Profile) -> NDArray[np.float32]:
    """(H,) float32, not to be changed: the header bits on the line, +1 for a 1."""
    bits = profile.header_bits
    if profile.differential:
        bits = (np.cumsum(bits) % 2).astype(np.uint8)
    signs = (2.0 * bits - 1.0).astype(np.float32)
    signs.flags.writeable = False
    return signs


class HeaderDetector:
    """Finds the known first bits of a packet in the filtered baseband, without knowing level, phase, frequency or time.

    Statistic: |<y, s>|^2 / (L |y|^2), which in noise alone is Beta(1, L - 1) distributed whatever the noise power,
    maximised over frequency bins that cover profile.search_ppm.

    Args:
        profile: the channel. cycles_per_bit: carrier cycles per bit, ties clock error to frequency.
        threshold: of the statistic, (0, 1). 0.4 lets noise pass about five times an hour.
        hold_bits: a larger statistic within so many bits replaces an earlier one.
    """

    def __init__(self, profile: Profile, cycles_per_bit: float, threshold: float = 0.4, hold_bits: int = 8) -> None:
        if not 0 < threshold < 1:
            raise ConfigurationError(f"detector threshold must be in (0, 1), got {threshold}")
        if not 1 <= hold_bits <= 100:
            raise ConfigurationError(f"detector hold_bits must be 1..100, got {hold_bits}")
        self._pattern = header_signs(profile)
        self.max_freq = 2 * math.pi * profile.search_ppm * 1e-6 * cycles_per_bit
        self._segment = 7
        # Bins a fifth of the header's resolution apart: at most 0.15 dB between two of them.
        count = 2 * math.ceil(self.max_freq / (2 * math.pi) * self._pattern.size / 0.2) + 1
        segments = math.ceil(self._pattern.size / self._segment)
        freqs = np.linspace(-self.max_freq, self.max_freq, count) if count > 1 else np.zeros(1)
        self._rotations = np.exp(-1j * freqs[:, None] * self._segment * np.arange(segments)).astype(np.complex64)
        self._threshold, self._hold = threshold, hold_bits * SAMPLES_PER_BIT
        self.span = (self._pattern.size - 1) * SAMPLES_PER_BIT
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Forget an open peak and start at sample `first`; a negative one finds packets that began before the stream."""
        self._next, self._peak_at, self._peak_stat = first, _NO_PEAK, 0.0

    @property
    def oldest_needed(self) -> int:
        """Absolute index of the oldest sample that a later call may still look at."""
        oldest = self._peak_at if self._peak_at != _NO_PEAK else self._next
        return oldest - 4 - 2 * _BEFORE

    def push(self, y: NDArray[np.complex64], base: int) -> list[Candidate]:
        """Search the new part of the filtered baseband.

        Args:
            y: (N,) complex64, everything from `oldest_needed` on; y[0] has absolute index `base`.
        Returns:
            the packets found, in order of time.
        """
        # Acquisition looks a few samples beyond the header; a peak is found only once these are there.
        count = base + y.size - self.span - 8 - self._next
        if count <= 0:
            return []
        window = y[self._next - base : self._next - base + count + self.span]
        stat = np.empty(count, np.float32)
        correlate_header(window, self._pattern, SAMPLES_PER_BIT, self._segment, self._rotations, stat)
        found = np.empty(count // self._hold + 2, np.int64)
        before = self._peak_stat
        number, self._peak_at, self._peak_stat = pick_peaks(
            stat, self._next, self._threshold, self._hold, self._peak_at, self._peak_stat, _NO_PEAK, found
        )
        candidates = []
        for at in found[:number]:
            statistic = float(stat[at - self._next]) if at >= self._next else before
            candidates.append(self._acquire(y, base, int(at), statistic))
        self._next += count
        return candidates

    def _acquire(self, y: NDArray[np.complex64], base: int, at: int, statistic: float) -> Candidate:
        first = max(at - 4, base)
        window = y[first - base : at - base + self.span + 8]
        position, phase, freq, amplitude = acquire_header(
            window, at - first, self._pattern, SAMPLES_PER_BIT, self.max_freq * 1.2, 1.0
        )
        # The quieter half of what came before: another packet may have ended there.
        last = at - base - 2 * SAMPLES_PER_BIT
        halves = [y[last - 2 * _BEFORE : last - _BEFORE], y[last - _BEFORE : last]] if last >= 2 * _BEFORE else []
        noise_power = min((float(np.mean(half.real**2 + half.imag**2)) for half in halves), default=0.0)
        return Candidate(position + first, phase, freq, max(amplitude, 1e-12), statistic, noise_power)


class CarrierSense:
    """Tells whether a carrier is present, for the MAC: packet-present decision within about ten bit times (data book).

    A packet is sensed when the energy rises above the noise floor and the last bits look like the preamble, or when it
    rises much. Bursts of noise that only raise the energy a little are not taken for a carrier, so that noise that swings
    with the mains does not starve the MAC.

    Args:
        profile: the channel. rise, strong_rise, fall: energy over floor, linear. match: normalised correlation, 0..1.
        drop: part of a packet's own level below which it has ended, about -9 dB (grade D). bits: preamble bits looked at.
    """

    def __init__(
        self,
        profile: Profile,
        rise: float = 2.0,
        strong_rise: float = 10.0,
        fall: float = 1.8,
        match: float = 0.66,
        drop: float = 0.12,
        bits: int = 8,
    ) -> None:
        if not 1 < fall <= rise <= strong_rise:
            raise ConfigurationError(f"carrier sense needs 1 < fall <= rise <= strong_rise, got {fall}, {rise}, {strong_rise}")
        if not (0 < match < 1 and 0 < drop < 1):
            raise ConfigurationError(f"carrier sense match and drop must be in (0, 1), got {match}, {drop}")
        signs = header_signs(profile)
        if not 2 <= bits <= signs.size:
            raise ConfigurationError(f"carrier sense bits must be 2..{signs.size}, got {bits}")
        self._pattern = signs[:bits].astype(np.float64)
        self._levels = np.array([rise, strong_rise, fall, match, drop])
        # Energy over a bit and a half, level over 20 bits; the floor climbs 20 dB/s and sinks 50 dB/s.
        rate = SAMPLES_PER_BIT * profile.bit_rate
        self._rates = np.array([1 / (1.5 * SAMPLES_PER_BIT), 1 / (20 * SAMPLES_PER_BIT), 4.6 / rate, 11.5 / rate])
        self._lead = (bits - 1) * SAMPLES_PER_BIT
        self.reset()

    def reset(self) -> None:
        """Forget the noise floor."""
        self._state = np.zeros(6)
        self._tail = np.zeros(self._lead, np.complex64)
        self.busy = False

    def push(self, y: NDArray[np.complex64]) -> bool:
        """(N,) complex64, new baseband at four samples a bit -> whether a carrier is present after its last sample."""
        if y.size:
            window = np.concatenate((self._tail, y))
            self.busy = bool(
                sense_carrier(
                    window, SAMPLES_PER_BIT, self._pattern, self._levels, self._rates, 2.0 * SAMPLES_PER_BIT, self._state
                )
            )
            self._tail = window[-self._lead :].copy()
        return self.busy
