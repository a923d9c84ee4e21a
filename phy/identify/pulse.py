"""The transmitter's waveform: transition time from the mean response to a bit, ramps and first bit from the mean beginning."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._kernels.modulate import modulate_bpsk
from ..filters import shaped_pulse
from .demodulate import FINE, PAD, BurstBits, filtered
from .header import AlignedPackets

_REACH: Final = 2  # bits to either side that a bit's response is estimated over
_JITTER: Final = 5e-6  # share of the response's power that errors of the bursts' timing may change
_STEP: Final = 0.01  # of the transition times tried, bit times
_PLAIN: Final = (0.0, 1.0, 0.5, 0.75, 0.25)  # preferred where the data fit them as well as the best value
_RAMPS: Final = np.concatenate([np.arange(0.0, 4.0, 0.25), np.arange(4.0, 16.5, 0.5)])  # bit times tried
_SHOWN: Final = 10  # bits after the start that the ramp is fitted over
_MODELLED: Final = 0.995  # share of the response's power that the model explains; below, the pulse is another one
_CLEARLY: Final = 0.6  # error of the measured response's beginning over the model's, from which on the response is believed


@dataclass(frozen=True, eq=False, slots=True)
class Transition:
    """Transition time.

    Attributes:
        alpha: bit times, 0..1. uncertainty: of alpha. explained: share of the response's power that the model explains.
        response: (5 * FINE,) float64, the mean response to a bit, from two bits before it on.
    """

    alpha: float
    uncertainty: float
    explained: float
    response: NDArray[np.float64]

    @property
    def modelled(self) -> bool:
        """Whether the model explains the pulse."""
        return self.explained >= _MODELLED


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of packets.

    Attributes:
        column: first bit, in columns of AlignedPackets. ramp_bits: bit times. explained: as in Transition.
    """

    column: int
    ramp_bits: float
    explained: float


def fit_transition(bursts: list[BurstBits]) -> Transition:
    """Transition time from the response to one bit, which least squares separates from its neighbours'."""
    taps = 2 * _REACH + 1
    normal, right = np.zeros((taps, taps)), np.zeros((taps, FINE))
    power, rows = 0.0, 0
    for burst in bursts:
        first, stop = PAD + 2, burst.soft.size - PAD - 2
        bits = np.where(burst.soft >= 0, 1.0, -1.0)
        known = np.stack([bits[first - m : stop - m] for m in range(-_REACH, _REACH + 1)], axis=1)
        seen = burst.waveform.reshape(-1, FINE)[first:stop]
        normal += known.T @ known
        right += known.T @ seen
        power += float(np.sum(seen**2))
        rows += seen.size
    response = np.linalg.solve(normal + 1e-6 * np.trace(normal) * np.eye(taps), right).ravel()
    noise = max(power / rows - float(np.mean(response.reshape(taps, FINE) ** 2)) * taps, 1e-9)
    # Variance of one tap of the response, were the noise white and the model exact.
    variance = noise / float(normal[_REACH, _REACH])
    alphas = np.arange(0.0, 1.0 + _STEP / 2, _STEP)
    errors = np.array([_misfit(response, _response(alpha)) for alpha in alphas])
    best = int(np.argmin(errors))
    allowed = errors[best] * 1.2 + 4 * variance + _JITTER * float(np.sum(response**2))
    alike = alphas[errors <= allowed]
    low, high = float(alike.min()) - _STEP / 2, float(alike.max()) + _STEP / 2
    alpha = next((a for a in _PLAIN if low <= a <= high), round(float(alphas[best]), 2))
    spread = max(high - alpha, alpha - low)
    explained = 1.0 - float(errors[best] / np.sum(response**2))
    return Transition(alpha, round(spread, 2), explained, response)


def _response(alpha: float) -> NDArray[np.float64]:
    """((2 * 2 + 1) * FINE,): the model's response to one bit at the centres of the fine samples."""
    oversampling = 8 * FINE
    wave = np.pad(shaped_pulse(alpha, oversampling), 15 * oversampling)
    fine = filtered(wave, oversampling)
    centre = fine.size // 2
    offsets = (np.arange((2 * _REACH + 1) * FINE) + 0.5) / FINE - _REACH - 0.5
    response: NDArray[np.float64] = fine[centre + np.round(offsets * oversampling).astype(int)]
    return response


def _misfit(response: NDArray[np.float64], model: NDArray[np.float64]) -> float:
    """Squared error after the best level and a small shift in time."""
    basis = np.stack([model, np.gradient(model)], axis=1)
    solution = np.linalg.lstsq(basis, response, rcond=None)[0]
    return float(np.sum((response - basis @ solution) ** 2))


def fit_start(aligned: AlignedPackets, transition: Transition) -> Start:
    """First bit and ramp length from the mean waveform of all packets."""
    columns = PAD + 2 * _SHOWN
    total = np.zeros(columns * FINE)
    for packet, shift, sign in zip(aligned.packets, aligned.shifts, aligned.signs, strict=True):
        first = max(0, int(shift)) * FINE
        piece = packet.waveform[first : first + columns * FINE]
        gap = max(0, -int(shift)) * FINE
        piece = piece[: total.size - gap]
        total[gap : gap + piece.size] += sign * piece
    mean = total / len(aligned.packets)
    level = np.sqrt(np.convolve(mean**2, np.ones(FINE) / FINE, "same"))
    crossing = int(np.argmax(level[8 * FINE :] > 0.5)) + 8 * FINE
    # A pulse that is nearly of the model's kind may look like one of them with another ramp and first bit.
    fits = [_best_start(mean, aligned.mean, crossing / FINE, model) for model in (transition.alpha, transition.response)]
    return fits[1] if 1.0 - fits[1].explained < _CLEARLY * (1.0 - fits[0].explained) else fits[0]


def _best_start(
    mean: NDArray[np.float64], soft: NDArray[np.float64], crossing: float, model: float | NDArray[np.float64]
) -> Start:
    """The first bit and ramp that fit best, with a transition time or a measured response. crossing: column of half level."""
    best: tuple[float, int, float] | None = None
    for ramp in _RAMPS:
        middle = crossing + ramp / 2
        for column in range(int(middle) - 1, int(middle) + 3):
            if not 8 <= column <= PAD + _SHOWN - 2:
                continue
            error = _start_misfit(mean, soft, column, float(ramp), model)
            if best is None or error < best[0]:
                best = error, column, float(ramp)
    if best is None:
        return Start(PAD, 1.0, 0.0)
    return Start(best[1], best[2], 1.0 - best[0])


def _start_misfit(
    mean: NDArray[np.float64], soft: NDArray[np.float64], column: int, ramp: float, model: float | NDArray[np.float64]
) -> float:
    """Squared error of the model over the power of the mean waveform, from 8 columns after the first on."""
    bits = (soft[column : column + _SHOWN + 6] >= 0).astype(np.uint8)
    if isinstance(model, float):
        rate = 2 * FINE
        lead = column + 16
        wave = np.empty((lead + bits.size + 32) * rate, np.float32)
        modulate_bpsk(bits, wave, 1.0, 0.0, model, ramp, -float(lead), 1.0 / rate, 1.0, 0.0)
        expected = filtered(wave.astype(np.float64), rate)[16 * rate + 1 :: 2]
    else:
        expected = _from_response(bits, column, ramp, model)
    seen = slice(4 * FINE, (column + _SHOWN) * FINE)
    y, m = mean[seen], expected[seen]
    scale = float(y @ m) / max(float(m @ m), 1e-30)
    return float(np.sum((y - scale * m) ** 2) / max(np.sum(y**2), 1e-30))


def _from_response(bits: NDArray[np.uint8], column: int, ramp: float, response: NDArray[np.float64]) -> NDArray[np.float64]:
    """The waveform from column 0 on of packets whose bit 0 is at `column`; the ramp repeats the first bit before it."""
    held = min(column, int(np.ceil(ramp)) + _REACH if ramp else 0)
    levels = np.concatenate([np.full(held, bits[0]), bits]) * 2.0 - 1.0
    impulses = np.zeros((column + bits.size) * FINE)
    impulses[(column - held) * FINE :: FINE] = levels
    # The response of a bit begins _REACH bits before it.
    wave: NDArray[np.float64] = np.convolve(impulses, response)[_REACH * FINE :][: impulses.size]
    if ramp:
        rise = np.clip(((np.arange(wave.size) + 0.5) / FINE - column) / ramp + 1, 0, 1)
        wave = wave * np.sin(0.5 * np.pi * rise) ** 2
    return wave
