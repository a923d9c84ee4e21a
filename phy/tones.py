"""The tone canceller: finds steady tones in the wide stream and notches them out before everything else."""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.notch import find_lines, notch_cascade, window_frame
from .errors import ConfigurationError
from .runs import Runs, add_run

_FRAME: Final = 4096  # wide samples looked at: 51 ms and 20 Hz at 80 kHz
_EARLY: Final = (1024, 2048, 4096, 8192, 16384)  # the first looks, the first two at shorter frames
_HOP: Final = 32768  # samples between later looks: a tone is steady, and every look costs
_BLOCK: Final = 32  # bins that share a floor
_PATIENCE: Final = 1  # looks for which a tone is remembered
_MEDIAN: Final = 0.693  # the threshold refers to the median of Gaussian noise, the floor is its mean
_LIMIT: Final = 18.0  # a sample's power over the least of three, beyond which it is an impulse


@cache
def _window(size: int) -> NDArray[np.float32]:
    """Hann window of `size` samples."""
    return np.hanning(size).astype(np.float32)


class ToneCanceller:
    """Notches out narrow-band interference: TV line harmonics, radio stations, switching supplies.

    Every 32768 samples, more often at first, the last 4096 are transformed (Hann window). A bin is a tone when it stands
    `threshold_db` above the floor around it and is no wider than the window makes it: the preamble is a pair of lines as
    well, but short, hence wide. A tone is removed by a first-order complex notch, which has no delay to speak of.

    Args:
        samples_per_bit: of the stream.
        threshold_db: over the local median of the spectrum, dB; 0 switches the canceller off. width: of a notch in
            cycles per bit, (0, 0.4). most: notches at once.
    Attributes:
        tones: frequencies notched at present, cycles per sample, -0.5..0.5.
        runs: of the last `process` call, (first, last + 1, whether any notch was at work), in order.
    Raises:
        ConfigurationError: an argument is out of range.
    """

    def __init__(self, samples_per_bit: float, threshold_db: float = 16.0, width: float = 0.024, most: int = 16) -> None:
        if not 2 <= samples_per_bit < math.inf:
            raise ConfigurationError(f"tone canceller samples_per_bit must be at least 2, got {samples_per_bit}")
        if not (threshold_db == 0 or 6 <= threshold_db <= 60):
            raise ConfigurationError(f"tone threshold_db must be 0 (off) or 6..60, got {threshold_db}")
        if not 0 < width < 0.4:
            raise ConfigurationError(f"tone notch width must be in (0, 0.4), got {width}")
        if not 1 <= most <= 64:
            raise ConfigurationError(f"tone canceller: most must be 1..64, got {most}")
        self._threshold = _MEDIAN * 10 ** (threshold_db / 10) if threshold_db else math.inf
        self._rho, self._most = 1.0 - math.pi * width / samples_per_bit, most
        self.reset()

    def reset(self) -> None:
        """Forget every tone."""
        self._history = np.zeros(0, np.complex64)
        self._count = 0
        self._ages: list[int] = []
        self.tones: list[float] = []
        self.runs: Runs = []
        self._state = np.zeros((0, 2), np.complex128)

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) wide samples -> (N,) without their steady tones."""
        self.runs = []
        if math.isinf(self._threshold):
            self.runs = [(0, z.size, False)] if z.size else []
            return z
        seen = np.concatenate((self._history, z))
        before = self._history.size
        y = z
        done = 0
        while done < z.size:
            step = min(self._until_next_look(), z.size - done)
            add_run(self.runs, done, done + step, bool(self.tones))
            if self.tones:
                if y is z:
                    y = z.copy()
                phasors = np.exp(2j * np.pi * np.array(self.tones))
                notch_cascade(z[done : done + step], phasors, self._rho, self._state, y[done : done + step])
            done += step
            self._count += step
            if self._count in _EARLY or self._count % _HOP == 0:
                end = before + done
                self._update(self._find(seen[max(0, end - min(self._count, _FRAME)) : end]))
        self._history = seen[max(0, seen.size - _FRAME) :].copy()
        return y

    def _until_next_look(self) -> int:
        """Samples until the spectrum is looked at again."""
        return next((at - self._count for at in _EARLY if at > self._count), _HOP - self._count % _HOP)

    def _find(self, x: NDArray[np.complex64]) -> list[float]:
        """Frequencies of the steady tones in a frame, cycles per sample, the strongest first."""
        frame = np.zeros(_FRAME, np.complex64)
        window_frame(x, _window(x.size), _LIMIT, frame[: x.size])
        spectrum = np.fft.fft(frame)
        power, floor = np.empty(_FRAME, np.float32), np.empty(_FRAME // _BLOCK, np.float32)
        hits = np.empty(4 * self._most, np.int64)
        # The window's own skirts are 30 dB down four of its bins away; a short line, like a preamble, is wider than that.
        count = find_lines(spectrum, _BLOCK, self._threshold, 4 * _FRAME // x.size, power, floor, hits)
        if count == 0:
            return []
        hits = hits[:count]
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
        if not found and not self.tones:
            return
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
