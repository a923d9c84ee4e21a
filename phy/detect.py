"""Finding packets: header correlation, acquisition and carrier sense."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._kernels.downconvert import sense_opening
from ._kernels.packets import acquire_header, correlate_header
from ._kernels.sense import pick_peaks
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT
from .profile import Profile

BEFORE = 14 * SAMPLES_PER_BIT  # narrow samples: half of what is looked at before a packet
_STANDS_OUT = 1.5  # power of a header's bits over that of the filtered noise before it
_LOW, _LOW_BITS = 0.5, 8  # of the floor, for so many bit times: the floor is wrong
_ABOVE, _PACKET_BITS = 1.5, (600, 20)  # energy over the floor that may be a packet's, and for how long, at most and at least
_NO_PEAK = -(1 << 62)  # position that says that no peak is open
SEGMENT = 7  # bits of a header that are summed before the rotation to a frequency


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a packet seems to begin.

    Attributes:
        position: narrow sample of the centre of bit 0, fractional.
        phase: carrier phase at bit 0, rad. freq: rad per bit. amplitude: of a filtered bit, V.
        statistic: normalised correlation, 0..1. noise_power: of filtered bits before the packet, V^2; 0 if not known.
        sure: False where noise may have looked like it: such a packet counts only with a good CRC.
    """

    position: float
    phase: float
    freq: float
    amplitude: float
    statistic: float
    noise_power: float = 0.0
    sure: bool = True


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
        threshold: of the statistic, (0, 1). White noise passes 0.5 less than once in five hours (the bit filter's colour and the
            bins included; simulated), a packet at 4 dB fails it once in ten thousand.
        doubtful: statistic that is enough to try; noise passes 0.4 some 30 times an hour. Interference lowers the statistic of
            a packet that can still be decoded.
        hold_bits: a larger statistic within so many bits replaces an earlier one.
    """

    def __init__(
        self, profile: Profile, cycles_per_bit: float, threshold: float = 0.5, hold_bits: int = 8, doubtful: float = 0.4
    ) -> None:
        if not 0 < threshold < 1:
            raise ConfigurationError(f"detector threshold must be in (0, 1), got {threshold}")
        if not 0 < doubtful < 1:
            raise ConfigurationError(f"detector doubtful must be in (0, 1), got {doubtful}")
        if not 1 <= hold_bits <= 100:
            raise ConfigurationError(f"detector hold_bits must be 1..100, got {hold_bits}")
        self._pattern = header_signs(profile)
        widest = 2 * math.pi * profile.search_ppm * 1e-6 * cycles_per_bit
        self.max_freq = 1.2 * widest
        # Bins three tenths of the header's resolution apart: at most 0.33 dB between two of them.
        count = 2 * math.ceil(widest / (2 * math.pi) * self._pattern.size / 0.3) + 1
        segments = math.ceil(self._pattern.size / SEGMENT)
        freqs = np.linspace(-widest, widest, count) if count > 1 else np.zeros(1)
        self.rotations = np.exp(-1j * freqs[:, None] * SEGMENT * np.arange(segments)).astype(np.complex64)
        self._threshold, self.doubtful = threshold, min(doubtful, threshold)
        self.hold = hold_bits * SAMPLES_PER_BIT
        self.span = (self._pattern.size - 1) * SAMPLES_PER_BIT
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Forget an open peak and start at sample `first`; a negative one finds packets that began before the stream."""
        self._next, self._peak_at, self._peak_stat = first, _NO_PEAK, 0.0

    @property
    def oldest_needed(self) -> int:
        """Absolute index of the oldest sample that a later call may still look at."""
        oldest = self._peak_at if self._peak_at != _NO_PEAK else self._next
        return oldest - 4 - 2 * BEFORE - 2 * SAMPLES_PER_BIT

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
        window = np.ascontiguousarray(y[self._next - base : self._next - base + count + self.span])
        stat = np.empty(count, np.float32)
        correlate_header(window, self._pattern, SAMPLES_PER_BIT, SEGMENT, self.rotations, self.doubtful, stat)
        found = np.empty(count // self.hold + 2, np.int64)
        before = self._peak_stat
        number, self._peak_at, self._peak_stat = pick_peaks(
            stat, self._next, self.doubtful, self.hold, self._peak_at, self._peak_stat, _NO_PEAK, found
        )
        candidates = []
        for at in found[:number].tolist():
            statistic = float(stat[at - self._next]) if at >= self._next else before
            first = max(at - 4 - 2 * BEFORE - 2 * SAMPLES_PER_BIT, base)
            stop = at + self.span + 8
            position, phase, freq, amplitude, noise_power = acquire_header(
                y[first - base : stop - base], at - first, self._pattern, SAMPLES_PER_BIT, self.max_freq, 1.0, BEFORE
            )
            candidates.append(self.candidate(position + first, phase, freq, amplitude, noise_power, statistic))
        self._next += count
        return candidates

    def candidate(
        self, position: float, phase: float, freq: float, amplitude: float, noise_power: float, statistic: float
    ) -> Candidate:
        """What has been found, and whether noise may have looked like it; see Candidate."""
        sure = statistic > self._threshold or amplitude**2 > _STANDS_OUT * noise_power > 0
        return Candidate(position, phase, freq, max(amplitude, 1e-12), statistic, noise_power, sure)

    @property
    def search(self) -> NDArray[np.float64]:
        """(3,) float64: next sample to look at; sample with the largest statistic of the present run; that one, 0 for no run."""
        return np.array([self._next, self._peak_at, self._peak_stat], np.float64)


class CarrierSense:
    """Tells whether a carrier is present, for the MAC: packet-present decision within ten bit times (data book).

    A packet is sensed when its first bits add up, in phase, to far more than they do in noise; the mean of that in noise is
    learnt all the time, so that the noise's spectrum does not matter. Energy alone counts only when it is strong and lasts, so
    that impulses and noise that swings with the mains do not starve the MAC.

    Args:
        profile: the channel. rise_db: coherent power of the first bits over its mean in noise, dB; white noise exceeds 10 dB
            with e^-10. match: least normalised correlation, 0..1. strong, fall: energy over its floor, linear.
        drop: part of a packet's own level below which it has ended, about -9 dB (grade D). bits: first bits looked at.
        strong_bits: bit times for which strong energy must last. raised, raised_bits: energy over its floor that counts when it
            lasts so long, as no noise that swings with the mains does.
    """

    def __init__(
        self,
        profile: Profile,
        rise_db: float = 10.0,
        match: float = 0.4,
        strong: float = 10.0,
        fall: float = 1.8,
        drop: float = 0.12,
        bits: int = 8,
        strong_bits: float = 4.0,
        raised: float = 2.2,
        raised_bits: float = 30.0,
    ) -> None:
        if not 6 <= rise_db <= 20:
            raise ConfigurationError(f"carrier sense rise_db must be in 6..20, got {rise_db}")
        if not 1 < fall <= raised <= strong:
            raise ConfigurationError(f"carrier sense needs 1 < fall <= raised <= strong, got {fall}, {raised}, {strong}")
        if not (0 < match < 1 and 0 < drop < 1):
            raise ConfigurationError(f"carrier sense match and drop must be in (0, 1), got {match}, {drop}")
        signs = header_signs(profile)
        if not 2 <= bits <= signs.size:
            raise ConfigurationError(f"carrier sense bits must be 2..{signs.size}, got {bits}")
        pattern = signs[:bits].copy()
        levels = np.array([10 ** (rise_db / 10), match, strong, fall, drop, 4 * strong, raised, _LOW, _ABOVE])
        # Energy over a bit and a half or, slowly, ten, level over 20 bits, coherent power over 2000; the floor climbs 20 dB/s and
        # sinks 50 dB/s, or 1000 dB/s when there has been next to nothing.
        n, rate = SAMPLES_PER_BIT, SAMPLES_PER_BIT * profile.bit_rate
        steps = 4.6 / rate, 11.5 / rate, 230 / rate
        rates = np.array([1 / (1.5 * n), 1 / (20 * n), 1 / (2000 * n), *steps, 1 / (10 * n), 0.46 / rate])
        held_bits = (2.0, strong_bits, raised_bits, _LOW_BITS, *_PACKET_BITS)
        self._tail = np.zeros((bits - 1) * n, np.complex64)
        self._state = np.zeros(15)
        # As the kernels take them, with the state of the stream.
        self.settings = self._tail, pattern, n, levels, rates, n * np.array(held_bits), self._state
        self.reset()

    def reset(self) -> None:
        """Forget the noise floor."""
        self._state[:] = 0
        self._tail[:] = 0
        self.busy = False

    def push(self, y: NDArray[np.complex64]) -> bool:
        """(N,) complex64, new baseband at four samples a bit -> whether a carrier is present after its last sample."""
        if y.size:
            self.busy = bool(sense_opening(y, *self.settings))
        return self.busy
