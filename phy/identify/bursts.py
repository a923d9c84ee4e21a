"""Finding bursts of energy in line samples, without knowing what a packet looks like."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import ConfigurationError
from .steadytones import remove_tones

LOWEST_HZ: Final = 9e3  # EN 50065-1 begins at 3 kHz; below 9 kHz there is mains noise and no carrier of this family
HIGHEST_HZ: Final = 160e3  # a little above the end of EN 50065-1's range, 148.5 kHz
_FRAME_S: Final = 2e-3  # shorter than the idle time between packets, long enough to tell frequencies 500 Hz apart
_SEGMENT_S: Final = 4.0  # noise floors are learnt anew for every segment
_SHORTEST_S: Final = 12e-3  # a shorter burst cannot be a packet of eight octets, on either band
_LONGEST_S: Final = 3.0
_LONG_S: Final = 0.9  # 255 octets on the A band; longer ones are suspected to be several packets
_MARGIN_S: Final = 3e-3  # less than the shortest idle time, so that neighbours stay outside
_WARM: Final = 0.4  # of the threshold
_SMOOTH_BINS: Final = 5
# 2 % quantile of the mean of five neighbouring bins of Hann-windowed white noise, relative to its mean (simulated, grade D).
_FLOOR_QUANTILE: Final = 0.02
_FLOOR_FACTOR: Final = 0.26
_FLOOR_FACTOR_OF_ONE: Final = 0.02  # the same of a single bin, whose power is exponentially distributed
_EDGE_BINS: Final = 7


@dataclass(frozen=True, eq=False, slots=True)
class Burst:
    """Energy that came and went, and the samples around it.

    Attributes:
        x: (N,) float32, V. first_sample: index of x[0] in its recording. sample_rate: Hz.
        start, stop: samples of x between which the energy was seen, to about 1 ms.
        coarse_hz: centre of the energy, to about 2 kHz.
    """

    x: NDArray[np.float32]
    first_sample: int
    sample_rate: float
    start: int
    stop: int
    coarse_hz: float


class BurstFinder:
    """Cuts the bursts out of a stream of line samples.

    A cell of the spectrogram is hot when it is far above the noise floor of its frequency (a low quantile over time, so
    that steady tones belong to the floor); a burst is a run of frames with hot cells that is as long as a packet may be.

    Args:
        sample_rate: Hz, above 40 kHz. threshold: power over floor of a hot cell, linear.
        low_hz, high_hz: band of the line that the samples hold, as IQ samples do; beyond its edges there is no noise to
            compare with, and nothing is looked for.
    Raises:
        ConfigurationError: the sample rate is too low, or the band holds none of 9..160 kHz.
    """

    def __init__(
        self, sample_rate: float, threshold: float = 8.0, low_hz: float = LOWEST_HZ, high_hz: float = HIGHEST_HZ
    ) -> None:
        if not (math.isfinite(sample_rate) and sample_rate > 40e3):
            raise ConfigurationError(f"sample_rate must be above 40000 Hz to look for carriers, got {sample_rate:g}")
        self.sample_rate, self._threshold = float(sample_rate), threshold
        self._hop = round(sample_rate * _FRAME_S / 2)
        self._window = np.hanning(2 * self._hop + 1)[:-1].astype(np.float32)
        frequencies = np.fft.rfftfreq(2 * self._hop, 1 / sample_rate)
        lowest, highest = max(LOWEST_HZ, low_hz), min(HIGHEST_HZ, high_hz, 0.485 * sample_rate)
        inside = np.flatnonzero((frequencies >= lowest) & (frequencies <= highest))
        if inside.size == 0:
            raise ConfigurationError(
                f"carriers are looked for in {LOWEST_HZ:.0f}..{HIGHEST_HZ:.0f} Hz, got samples of {low_hz:.0f}..{high_hz:.0f} Hz"
            )
        self._band = slice(int(inside[0]), int(inside[-1]) + 1)
        self._frequencies = frequencies[self._band]
        self.reset()

    def reset(self) -> None:
        """The next sample is sample 0 of a recording."""
        self._base = 0
        self._parts: list[NDArray[np.float32]] = []
        self._held = 0

    def push(self, x: NDArray[np.float32]) -> list[Burst]:
        """(N,) float32, V, any N -> the bursts that ended."""
        self._parts.append(np.asarray(x, np.float32))
        self._held += x.size
        return self._search(last=False) if self._held > _SEGMENT_S * self.sample_rate else []

    def flush(self) -> list[Burst]:
        """The stream ends here: the bursts that are left."""
        return self._search(last=True)

    def _search(self, last: bool) -> list[Burst]:
        x = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        frames = x.size // self._hop - 1
        bursts: list[Burst] = []
        keep = x.size
        if frames >= 8:
            power = self._spectrogram(x, frames)
            x, tones = remove_tones(x, self.sample_rate, self._idle(power, x.size), *self._frequencies[[0, -1]])
            if tones:
                power = self._spectrogram(x, frames)
            margin = round(_MARGIN_S * self.sample_rate)
            keep = x.size - 2 * margin
            for first, stop, excess in self._runs(power):
                start_sample, stop_sample = first * self._hop, (stop + 1) * self._hop
                if not last and stop_sample + 2 * margin >= x.size:
                    if (stop - first) * self._hop < _LONGEST_S * self.sample_rate:
                        keep = min(keep, start_sample - 2 * margin)
                    continue
                if not _SHORTEST_S <= (stop - first) * self._hop / self.sample_rate <= _LONGEST_S:
                    continue
                low, high = max(0, start_sample - margin), min(x.size, stop_sample + margin)
                bursts.append(
                    Burst(
                        x[low:high].copy(), self._base + low, self.sample_rate, start_sample - low, stop_sample - low,
                        self._centre(excess),
                    )
                )  # fmt: skip
        elif not last:
            return []
        keep = x.size if last else max(0, keep) // self._hop * self._hop
        self._parts, self._held = [x[keep:].copy()], x.size - keep
        self._base += keep
        return bursts

    def _spectrogram(self, x: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """(frames, bins of the band): power, smoothed over a few bins."""
        size = 2 * self._hop
        power = np.empty((frames, self._frequencies.size), np.float32)
        view = np.lib.stride_tricks.sliding_window_view(x, size)[:: self._hop][:frames]
        low, high = self._band.start - _SMOOTH_BINS // 2, self._band.stop + _SMOOTH_BINS // 2
        for first in range(0, frames, 512):
            spectrum = np.fft.rfft(view[first : first + 512] * self._window, axis=1)[:, low:high]
            total = np.cumsum(spectrum.real**2 + spectrum.imag**2, axis=1, dtype=np.float64)
            total = np.pad(total, ((0, 0), (1, 0)))
            power[first : first + 512] = (total[:, _SMOOTH_BINS:] - total[:, :-_SMOOTH_BINS]) / _SMOOTH_BINS
        return power

    def _idle(self, power: NDArray[np.float32], samples: int) -> NDArray[np.bool_]:
        """(samples,): no hot frame is near."""
        hot = np.zeros(samples // self._hop + 2, bool)
        flags = self._hot(power)[0]
        for shift in range(-1, 3):
            hot[max(0, shift) : flags.size + shift] |= flags[max(0, -shift) :]
        return ~np.repeat(hot, self._hop)[:samples]

    def _runs(self, power: NDArray[np.float32]) -> list[tuple[int, int, NDArray[np.float32]]]:
        """First and last + 1 of every run of hot frames, and its power above the floor."""
        hot, excess = self._hot(power)
        found = []
        for first, stop in _runs(hot):
            inner: list[tuple[int, int, NDArray[np.float32]]] = []
            if (stop - first) * self._hop > _LONG_S * self.sample_rate and stop - first < hot.size:
                # Noise louder than elsewhere in the segment, for instance beside a pause of the recorder, has its own floor.
                inner = [(first + a, first + b, e) for a, b, e in self._runs(power[first:stop])]
                inner = [run for run in inner if (run[1] - run[0]) * self._hop >= _SHORTEST_S * self.sample_rate]
            found += inner if len(inner) > 1 else [(first, stop, excess[first:stop])]
        return found

    def _hot(self, power: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """(frames,): a cell is far above its floor; and the power above it, of such cells."""
        floor = np.quantile(power, _FLOOR_QUANTILE, axis=0) / _FLOOR_FACTOR
        # A recording without noise still has rounding; nothing 60 dB below the strongest counts.
        floor = np.maximum(floor, 1e-6 * float(power.max()) + 1e-30)
        # Beside a steep edge of the spectrum, as of a recorder's filter, a cell holds what leaks from one bin instead of a mean
        # of five: its quantile is deeper below its mean, down to that of a single bin.
        around = ndimage.maximum_filter1d(floor, _EDGE_BINS)
        floor = floor * np.clip(around / floor - 2.0, 1.0, _FLOOR_FACTOR / _FLOOR_FACTOR_OF_ONE)
        floor = floor.astype(np.float32)
        above = power > self._threshold * floor
        hot = above.any(axis=1)
        # One frame that is only a little weaker is chance; the idle time between packets is longer and empty.
        warm = (power > _WARM * self._threshold * floor).any(axis=1)
        hot[1:-1] |= hot[:-2] & hot[2:] & warm[1:-1]
        return hot, np.where(above, power - floor, np.float32(0))

    def _centre(self, frames: NDArray[np.float32]) -> float:
        """Where the energy of a burst, (frames, bins), is centred, Hz."""
        # Impulses hold more energy than the packet they hit, but not for long.
        typical = np.median(frames, axis=0)
        excess = typical if typical.any() else frames.mean(axis=0)
        smooth = np.convolve(excess, np.hanning(11), "same")
        at = int(np.argmax(smooth))
        near = np.abs(self._frequencies - self._frequencies[at]) <= 4e3
        return float(np.average(self._frequencies[near], weights=excess[near] + 1e-30))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last + 1 of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
