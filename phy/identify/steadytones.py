"""Steady tones, as from broadcast stations and screens, taken out of line samples before anything is looked for in them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

_SHORTEST_S: Final = 1.0  # of samples, to tell a tone from a line in a packet's spectrum, which is some 10 Hz wide
_MOST: Final = 40  # attempts in all
_ATTEMPTS: Final = 3  # at the same tone, whose first estimate others disturb
_LEAST: Final = 1e-5  # of the samples' root mean square: single precision makes lines of its own below
_NEAR: Final = 5  # bins within which a line is the same
_OVER_MEDIAN: Final = 100.0  # power of a tone's line over the median of what surrounds it; white noise reaches 20
_OVER_SIDES: Final = 20.0  # and over nine tenths of the bins beside it: it is narrow
_SIDES: Final = np.array([k for k in range(-40, 41) if abs(k) > 5])
_CANDIDATES: Final = 12  # blocks of bins looked at in search of a narrow line
_BLOCK: Final = 256  # bins for the median
_STEP_S: Final = 2e-3  # for the amplitude as a function of time
_WINDOW_S: Final = 0.4  # over which it is averaged: a notch 5 Hz wide


def remove_tones(
    x: NDArray[np.float32], sample_rate: float, idle: NDArray[np.bool_], lowest_hz: float, highest_hz: float
) -> tuple[NDArray[np.float32], int]:
    """Subtract sinusoids whose amplitude and phase change slowly.

    They are measured only while the line is idle: stations may send their carriers with the same phase again and again.

    Args:
        x: (N,) float32. idle: (N,), True where there is no burst. lowest_hz, highest_hz: range that is searched.
    Returns:
        (N,) float32 and how many tones there were; x itself when there was none.
    """
    if x.size < _SHORTEST_S * sample_rate or idle.mean() < 0.02:
        return x, 0
    size = fft.next_fast_len(x.size, real=True)
    window = np.hanning(x.size).astype(np.float32)
    bins = slice(int(lowest_hz * size / sample_rate), int(highest_hz * size / sample_rate))
    visits: dict[int, int] = {}
    least = (_LEAST * float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) * float(window.sum()) / 2) ** 2
    for _ in range(_MOST):
        spectrum = fft.rfft(x * window, size)[bins]
        power = spectrum.real**2 + spectrum.imag**2
        power[power < least] = 0
        # What remains after some attempts is no steady tone, or is not there while the line is idle.
        for k in (k for k, count in visits.items() if count >= _ATTEMPTS):
            power[max(0, k - _NEAR) : k + _NEAR + 1] = 0
        at = _strongest_line(power)
        if at is None:
            break
        near = min((k for k in visits if abs(k - at) <= _NEAR), default=round(at))
        visits[near] = visits.get(near, 0) + 1
        x = _without(x, (bins.start + at) / size * sample_rate, sample_rate, idle)
    return x, len(visits)


def _strongest_line(power: NDArray[np.float32]) -> float | None:
    """Bin, fractional, of the narrow line that stands out most."""
    blocks = power[: power.size // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    if blocks.shape[0] == 0:
        return None
    ratio = blocks.max(axis=1) / np.maximum(np.median(blocks, axis=1), 1e-12 * float(power.max()) + 1e-30)
    for block in np.argsort(-ratio)[:_CANDIDATES]:
        if ratio[block] < _OVER_MEDIAN:
            return None
        k = int(block) * _BLOCK + int(np.argmax(blocks[block]))
        sides = power[np.clip(k + _SIDES, 0, power.size - 1)]
        if 0 < k < power.size - 1 and power[k] > _OVER_SIDES * float(np.quantile(sides, 0.9)):
            left, middle, right = np.log(np.maximum(power[k - 1 : k + 2].astype(np.float64), 1e-300))
            bend = left - 2 * middle + right
            return k + (float(0.5 * (left - right) / bend) if bend < 0 else 0.0)
    return None


def _without(x: NDArray[np.float32], tone_hz: float, sample_rate: float, idle: NDArray[np.bool_]) -> NDArray[np.float32]:
    step = max(1, round(_STEP_S * sample_rate))
    count = -(-x.size // step)
    turn = np.exp(2j * np.pi * tone_hz / sample_rate * np.arange(step))
    turns = np.exp(2j * np.pi * tone_hz / sample_rate * step * np.arange(count))
    padded = np.zeros((count, step), np.float32)
    padded.ravel()[: x.size] = np.where(idle, x, 0)
    weights = np.zeros((count, step), np.float32)
    weights.ravel()[: x.size] = idle
    window = np.hanning(max(3, round(_WINDOW_S / _STEP_S)) + 2)[1:-1]
    sums = 2.0 * np.einsum("ij,j->i", padded, turn.conj()) * turns.conj()
    total = np.convolve(sums, window, "same")
    weight = np.convolve(weights.sum(axis=1), window, "same")
    amplitude = np.where(weight > 0.01 * step, total / np.maximum(weight, 1e-9), 0.0)
    wave = ((amplitude * turns)[:, None] * turn[None, :]).real.ravel()[: x.size]
    return (x - wave).astype(np.float32)
