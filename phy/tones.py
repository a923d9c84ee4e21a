"""The tone canceller: finds steady tones beside the carrier and notches them out before the bit filter."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ._kernels.notch import notch_cascade
from .errors import ConfigurationError

_FRAME = 1024  # narrow samples looked at: 71 ms and 14 Hz on the A band
_HOP = 256
_SHORTEST = 256
_BLOCK = 32  # bins whose median is the local level
_PATIENCE = 6  # hops for which a tone is remembered


@cache
def _window(size: int) -> NDArray[np.float32]:
    """Hann window of `size` samples."""
    return np.hanning(size).astype(np.float32)


class ToneCanceller:
    """Notches out narrow-band interference: TV line harmonics, radio stations, switching supplies.

    Every 256 samples the last 1024 are transformed (Hann window). A bin is a tone when it stands `threshold` above the
    medians around it and is no wider than the window makes it: the preamble is a pair of lines as well, but short, hence
    wide. A tone is removed by a first-order complex notch, which has no delay to speak of.

    Args:
        threshold_db: over the local median of the spectrum, dB; 0 switches the canceller off. Random data exceed 16 dB
            once in 10^12 bins. width: of a notch in cycles per sample, (0, 0.1). most: notches at once.
    Attributes:
        tones: frequencies notched at present, cycles per sample of the narrow baseband, -0.5..0.5.
        runs: of the last `process` call, (first, last + 1, whether any notch was at work), in order.
    Raises:
        ConfigurationError: an argument is out of range.
    """

    def __init__(self, threshold_db: float = 16.0, width: float = 0.006, most: int = 8) -> None:
        if not (threshold_db == 0 or 6 <= threshold_db <= 60):
            raise ConfigurationError(f"tone threshold_db must be 0 (off) or 6..60, got {threshold_db}")
        if not 0 < width < 0.1:
            raise ConfigurationError(f"tone notch width must be in (0, 0.1), got {width}")
        if not 1 <= most <= 64:
            raise ConfigurationError(f"tone canceller: most must be 1..64, got {most}")
        self._threshold = 10 ** (threshold_db / 10) if threshold_db else math.inf
        self._rho, self._most = 1.0 - math.pi * width, most
        self.reset()

    def reset(self) -> None:
        """Forget every tone."""
        self._history = np.zeros(_FRAME, np.complex64)
        self._count = 0
        self._ages: list[int] = []
        self.tones: list[float] = []
        self.runs: list[tuple[int, int, bool]] = []
        self._state = np.zeros((0, 2), np.complex128)

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) narrow baseband -> (N,) without its steady tones."""
        self.runs = [(0, z.size, False)] if z.size else []
        if math.isinf(self._threshold):
            return z
        y = np.empty_like(z)
        runs: list[tuple[int, int, bool]] = []
        done = 0
        while done < z.size:
            step = min(_HOP - self._count % _HOP, z.size - done)
            part = z[done : done + step]
            self._history = np.concatenate((self._history[step:], part))
            if runs and runs[-1][2] == bool(self.tones):
                runs[-1] = (runs[-1][0], done + step, runs[-1][2])
            else:
                runs.append((done, done + step, bool(self.tones)))
            if self.tones:
                phasors = np.exp(2j * np.pi * np.array(self.tones))
                notch_cascade(part, phasors, self._rho, self._state, y[done : done + step])
            else:
                y[done : done + step] = part
            done += step
            self._count += step
            if self._count % _HOP == 0 and self._count >= _SHORTEST:
                self._update(self._find(self._history[-min(self._count, _FRAME) :]))
        self.runs = runs
        return y

    def _find(self, x: NDArray[np.complex64]) -> list[float]:
        """Frequencies of the steady tones in a frame, cycles per sample, the strongest first."""
        spectrum = fft.fft(x * _window(x.size), _FRAME)
        power = spectrum.real**2 + spectrum.imag**2
        blocks = power.reshape(-1, _BLOCK)
        medians = np.partition(blocks, _BLOCK // 2, axis=1)[:, _BLOCK // 2]
        around = np.concatenate((medians[-1:], medians, medians[:1]))
        floor = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
        hits = np.flatnonzero((blocks > self._threshold * floor[:, None]).ravel())
        hits = hits[(power[hits] > power[hits - 1]) & (power[hits] >= power[(hits + 1) % _FRAME])]
        if hits.size == 0:
            return []
        # The window's own skirts are 30 dB down four of its bins away; a short line, like a preamble, is wider than that.
        reach = 4 * _FRAME // x.size
        skirt = np.maximum(power[(hits - reach) % _FRAME], power[(hits + reach) % _FRAME])
        hits = hits[power[hits] > 0.5 * self._threshold * skirt]
        hits = hits[np.argsort(-power[hits])][: self._most]
        frequencies = []
        for k in hits:
            left, middle, right = np.log(np.maximum(power[[k - 1, k, (k + 1) % _FRAME]], 1e-30))
            bend = left - 2 * middle + right
            offset = 0.5 * (left - right) / bend if bend < 0 else 0.0
            frequencies.append(((k + offset) / _FRAME + 0.5) % 1.0 - 0.5)
        return frequencies

    def _update(self, found: list[float]) -> None:
        """Follow known tones, take up new ones, drop those not seen for a while."""
        near = 4.0 / _FRAME
        tones, ages, rows = [], [], []
        taken: set[int] = set()
        for row, (tone, age) in enumerate(zip(self.tones, self._ages, strict=True)):
            match = next((i for i, f in enumerate(found) if i not in taken and abs(f - tone) < near), None)
            if match is not None:
                taken.add(match)
                tones.append(found[match])
                ages.append(0)
                rows.append(row)
            elif age < _PATIENCE:
                tones.append(tone)
                ages.append(age + 1)
                rows.append(row)
        state = self._state[rows]
        fresh = [f for i, f in enumerate(found) if i not in taken][: self._most - len(tones)]
        self.tones, self._ages = tones + fresh, ages + [0] * len(fresh)
        self._state = np.concatenate((state, np.zeros((len(fresh), 2), np.complex128)))
