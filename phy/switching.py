"""A line whose gain switches with the mains: where in the half cycle, and to what.

Rectifiers and thyristors put another impedance on the line around each crest of the voltage (Canete et al. 2006). A packet then
has a few weak bits every half cycle, turned by any angle; a loop does not follow that, and decisions about those bits, from
which the gain could be averaged, are worth nothing before the gain is known. Their power tells where they are, and their
squares, in which the data do not show, what the gain is but for its sign; the word code knows the sign.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.burst import render
from .equaliser import Decide, SecondLook
from .mains import MAINS_HZ

_WEAKER: Final = 0.5  # of the other bits' power is the most that switched ones have
_LEAST: Final = 8  # bits that must be switched
_WIDEST: Final = 0.5  # of the half cycle
_EXPLAINS: Final = 0.2  # of the variance of the bits' power is the least that switching must explain
_EDGE_S: Final = 2e-4  # grade D: how long the gain takes from one value to the other (channel_models.md 1.5)
_INSIDE: Final = 0.9  # share from which on a bit counts as switched
_TURNS: Final = 3  # of decisions and gain
_ROUNDS: Final = 20  # of expectation and maximisation
_PLACES: Final = 32  # a bit, that are told apart then; an edge takes three quarters of a bit
_MOVES: Final = (-0.4, -0.2, 0.0, 0.2, 0.4)  # bit times by which edges are moved when they are refined


@dataclass(frozen=True, slots=True)
class Switching:
    """What a packet's bits tell of the switching.

    Attributes:
        begin, end, cycle: bits, between which the gain has gone over in every half cycle of the mains, and how long that is.
        edge: bits that going over takes. level: of the bits that are not switched. gain: complex, of the switched line over the
        other one; its sign is not known.
    """

    begin: float
    end: float
    cycle: float
    edge: float
    level: float = 1.0
    gain: complex = 0.0

    def share(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """0..1 at each instant, bits since the centre of the packet's first one: how far the gain has gone over."""
        beside = (at - 0.5 * (self.begin + self.end) + 0.5 * self.cycle) % self.cycle - 0.5 * self.cycle
        share: NDArray[np.float64] = np.clip((0.5 * (self.end - self.begin) - np.abs(beside)) / self.edge + 0.5, 0.0, 1.0)
        return share


def switched_looks(
    z: NDArray[np.complex64], at: float, step: float, edge: NDArray[np.float32], slow: NDArray[np.complex64], decide: Decide,
    bit_rate: float,
) -> Iterator[SecondLook]:  # fmt: skip
    """Estimates of a packet's bits on a line whose gain switches, for either sign of the switched gain; none if it does not.

    z: (N,) complex64 baseband. at: index of bit 0's centre. step: samples per bit. edge: a transition, see WavePlan. slow: (B,)
    complex64, the carrier at each bit on the line that is not switched. decide: symbols -> signs after the word decoder.
    bit_rate: bit/s. Symbols are sums of Re(z conj(gain)) over the samples of a bit: where the gain changes within a bit, the
    energy of a transition is not known well enough for the trellis.
    """
    count = slow.size
    first, stop = max(math.ceil(at - 0.5 * step), 0), min(math.floor(at + (count - 0.5) * step), z.size)
    time = (np.arange(first, stop) - at) / step
    bit = np.clip(np.floor(time + 0.5).astype(np.int64), 0, count - 1)
    carrier = np.interp(time, np.arange(count), slow.real) + 1j * np.interp(time, np.arange(count), slow.imag)
    samples = z[first:stop] * carrier.conj() / np.mean(np.abs(slow) ** 2)
    weight = (1.0 + np.cos(math.pi * (time - bit))) / (step * (1.0 + 2.0 / math.pi))  # mean pulse of what may lie beside a bit
    symbols = np.bincount(bit, weight * samples.real, count) + 1j * np.bincount(bit, weight * samples.imag, count)
    found = find_switching(symbols, bit_rate)
    if found is None:
        return
    samples /= found.level
    for sign in (1, -1):
        switching, before = replace(found, gain=sign * found.gain), None
        for _ in range(_TURNS):
            gain = 1.0 + (switching.gain - 1.0) * switching.share(time)
            look = np.bincount(bit, weight * (samples * gain.conj()).real, count).astype(np.complex64)
            yield SecondLook(look, "switched gain")
            signs = decide(look)
            if before is not None and np.array_equal(signs, before):
                break
            before = signs
            wave = np.empty(z.size, np.complex64)
            render(at, step, edge, signs.astype(np.float32), np.ones(count, np.complex64), wave)
            switching = _refined(switching, time, samples, wave[first:stop].real.astype(np.float64))


def _refined(
    switching: Switching, time: NDArray[np.float64], samples: NDArray[np.complex128], wave: NDArray[np.float64]
) -> Switching:
    """Edges and gain by least squares: samples = wave (1 + (gain - 1) share), wave being the packet as decided, amplitude 1."""
    # The share depends on the place in the cycle alone: what falls on the same place is summed once, for all trials.
    count = math.ceil(switching.cycle * _PLACES)
    place = np.minimum(time % switching.cycle * (count / switching.cycle), count - 1).astype(np.int64)
    products = wave * (samples - wave)
    along = np.bincount(place, products.real, count) + 1j * np.bincount(place, products.imag, count)
    power = np.bincount(place, wave * wave, count)
    time = (np.arange(count) + 0.5) * (switching.cycle / count)
    best, explained = switching, 0.0
    for a in _MOVES:
        for b in _MOVES:
            moved = replace(switching, begin=switching.begin + a, end=switching.end + b)
            share = moved.share(time)
            product, norm = complex(along @ share), float(power @ (share * share))
            if norm > 0 and abs(product) ** 2 / norm > explained:
                explained, best = abs(product) ** 2 / norm, replace(moved, gain=1.0 + product / norm)
    return best


def find_switching(symbols: NDArray[np.complex128], bit_rate: float) -> Switching | None:
    """The switching that the bits of a packet show, or None.

    symbols: (B,) complex128, matched-filter output of each bit, real but for noise on the line that is not switched.
    bit_rate: bit/s.
    """
    if symbols.size < 4 * _LEAST:
        return None
    power = np.abs(symbols) ** 2
    power = np.minimum(power, 4 * np.median(power))  # impulses
    spread = float(np.sum((power - power.mean()) ** 2))
    best, most = None, _EXPLAINS * spread
    for mains in MAINS_HZ:
        cycle = bit_rate / (2 * mains)
        worth, begin, end = _weak_window(power, cycle)
        if worth > most:
            best, most = Switching(begin, end, cycle, _EDGE_S * bit_rate), worth
    if best is None:
        return None
    bits = np.arange(symbols.size, dtype=np.float64)
    rough = best.share(bits)
    if not (rough > _INSIDE).any():
        return None
    high, low = float(np.mean(power[rough < 1 - _INSIDE])), float(np.mean(power[rough > _INSIDE]))

    def misfit(switching: Switching) -> float:
        share = switching.share(bits)
        return float(np.sum((power - high * (1 - share) ** 2 - low * share**2) ** 2))

    best = min((replace(best, begin=best.begin + a, end=best.end + b) for a in _MOVES for b in _MOVES), key=misfit)
    share = best.share(bits)
    inside, outside = share > _INSIDE, share < 1 - _INSIDE
    if np.count_nonzero(inside) < _LEAST:
        return None
    level = float(np.median(np.abs(symbols[outside].real)))
    return replace(best, level=level, gain=_blind_gain(symbols / level, inside, outside))


def _weak_window(power: NDArray[np.float64], cycle: float) -> tuple[float, float, float]:
    """(variance explained, begin, end) of the part of the cycle, bits, that has less power than the rest by most."""
    count = power.size
    place = np.arange(count) % cycle
    order = np.argsort(place)
    places = np.concatenate((place[order], place[order] + cycle))
    sums = np.concatenate(([0.0], np.cumsum(np.tile(power[order], 2))))
    most = int(_WIDEST * count)
    first, size = np.arange(count)[:, None], np.arange(_LEAST, most)[None, :]
    inner = (sums[first + size] - sums[first]) / size
    outer = (sums[count] - inner * size) / (count - size)
    worth = size * (count - size) / count * (outer - inner) ** 2
    worth[inner > _WEAKER * outer] = 0.0
    i, j = np.unravel_index(int(np.argmax(worth)), worth.shape)
    last = i + _LEAST + j - 1
    begin = 0.5 * (places[i] + (places[i - 1] if i else places[count - 1] - cycle))
    return float(worth[i, j]), float(begin), 0.5 * float(places[last] + places[last + 1])


def _blind_gain(symbols: NDArray[np.complex128], inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> complex:
    """Amplitude and angle of +-gain in noise by expectation and maximisation, from their squares on."""
    s = symbols[inside]
    variance = 2 * float(np.median(symbols[outside].imag ** 2)) / 0.4549 + 1e-9
    square = complex(np.mean(s * s))
    gain = math.sqrt(abs(square)) * np.exp(0.5j * np.angle(square))
    for _ in range(_ROUNDS):
        gain = np.mean(np.tanh(2 * (s * np.conj(gain)).real / variance) * s)
    return complex(gain)
