"""From line samples to baseband: band-pass and decimate, move to the carrier, resample to a whole number of samples per bit."""

import math
from fractions import Fraction
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ._kernels.downconvert import band_pass_decimate, filter_bank, move_to_baseband, resample
from .filters import BasebandPlan, FrontEndPlan
from .stream import Past

_TILE: Final = 256  # wide samples between two exact phases


def phase_step(carrier_hz: float, rate: float) -> np.uint64:
    """Cycles of a carrier per sample in units of 2**-64, the kernels' exact phase; both in Hz."""
    return np.uint64(round(Fraction(carrier_hz) / Fraction(rate) % 1 * 2**64) % 2**64)


class DownConverter:
    """Band-pass around all carriers and decimate: real line samples -> the wide complex stream, about 24 samples a bit.

    Output sample m belongs to line sample m * plan.decimation. It is the analytic signal there, not yet moved to baseband, its
    magnitude the carrier's peak amplitude in V; the filter is symmetric, so there is no other delay. Output
    does not depend on how the input is cut.
    """

    def __init__(self, plan: FrontEndPlan) -> None:
        self.plan = plan
        self._re = np.ascontiguousarray(plan.taps.real, np.float32)
        self._im = np.ascontiguousarray(plan.taps.imag, np.float32)
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Back to wide sample `first`, with silence before line sample first * decimation."""
        self._x = np.zeros(self.plan.half, np.float32)
        self._base = first * self.plan.decimation - self.plan.half
        self._next = first

    def process(self, x: NDArray[np.float32]) -> NDArray[np.complex64]:
        """(N,) float32, V -> (M,) complex64: every wide sample that can be computed by now."""
        half, step = self.plan.half, self.plan.decimation
        self._x = np.concatenate((self._x, x))
        end = self._base + self._x.size
        count = max(0, (end - (self._re.size - half)) // step - self._next + 1)
        u = np.empty(count, np.complex64)
        if count:
            band_pass_decimate(self._x, self._base, self._next, step, half, self._re, self._im, u)
            self._next += count
            keep = self._next * step - half
            self._x = self._x[keep - self._base :].copy()
            self._base = keep
        return u

    def between(self, line: Past, first: int, stop: int) -> NDArray[np.complex64]:
        """(stop - first,) complex64: outputs first .. stop - 1 from line samples that are kept. Leaves the stream alone."""
        step, half, length = self.plan.decimation, self.plan.half, self._re.size
        start = first * step - half
        x = line.between(start, (stop - 1) * step - half + length)
        u = np.empty(stop - first, np.complex64)
        band_pass_decimate(x, start, first, step, half, self._re, self._im, u)
        return u


class FineFrontEnd:
    """Line samples that have gone by -> baseband of one carrier, with more samples a bit and a shorter filter than the stream.

    Args:
        plan: of the front end, designed for this carrier alone. carrier_hz: the carrier, Hz.
    """

    def __init__(self, plan: FrontEndPlan, carrier_hz: float) -> None:
        self.plan = plan
        self._down_converter = DownConverter(plan)
        self._mixer = Mixer(carrier_hz, plan.wide_rate)

    def between(self, line: Past, first: int, stop: int) -> NDArray[np.complex64]:
        """(stop - first,) complex64: outputs first .. stop - 1; number m belongs to line sample m * plan.decimation."""
        return self._mixer.at(self._down_converter.between(line, first, stop), first)


class Mixer:
    """Moves a band-pass stream to the baseband of one carrier.

    Args:
        carrier_hz: the carrier. rate: of the stream, Hz.
    """

    def __init__(self, carrier_hz: float, rate: float) -> None:
        self._step = phase_step(carrier_hz, rate)
        turns = (np.arange(_TILE, dtype=np.uint64) * self._step).astype(np.float64) * 2.0**-64
        self._table = np.exp(-2j * np.pi * turns).astype(np.complex64)
        self.oscillator = self._table, self._step  # as the kernels take it
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Back to wide sample `first`."""
        self._next = first

    def process(self, u: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (N,) complex64: the next samples of the stream."""
        return self.at(u, self.skip(u.size))

    def skip(self, count: int) -> int:
        """Index of the first of the next `count` samples, which somebody else mixes."""
        first = self._next
        self._next += count
        return first

    def at(self, u: NDArray[np.complex64], first: int) -> NDArray[np.complex64]:
        """(N,) complex64, u[0] being sample `first` -> (N,) complex64; 0 before sample 0. Leaves the stream alone."""
        z = np.zeros(u.size, np.complex64)
        before = min(max(-first, 0), u.size)
        move_to_baseband(u[before:], max(first, 0), self._table, self._step, z[before:])
        return z


class BankFilter:
    """Wide baseband -> four samples per nominal bit, through a filter bank; sample q is the line at time q / narrow_rate.

    Args:
        plan: of the carrier. bank: (P + 1, L) float32, one of the plan's banks: bit_bank for soft bits at every
            sampling phase (linear MMSE filter of the profile's pulse), sense_bank, narrow_bank.
    """

    def __init__(self, plan: BasebandPlan, bank: NDArray[np.float32]) -> None:
        self.plan, self._bank = plan, bank
        self._half = bank.shape[1] // 2
        self._z = np.zeros(bank.shape[1] + math.ceil(plan.ratio), np.complex64)  # the last inputs, which are needed again
        self._place = np.zeros(3, np.int64)  # index of the first of them, how many, index of the next output
        self.reset()

    @property
    def settings(self) -> tuple[float, NDArray[np.float32], NDArray[np.complex64], NDArray[np.int64]]:
        """As the kernels take them, with the state of the stream."""
        return self.plan.ratio, self._bank, self._z, self._place

    def __copy__(self) -> Self:
        """Another one that has seen the same samples."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._z, other._place = self._z.copy(), self._place.copy()
        return other

    def reset(self, first: int = 0) -> None:
        """Back to wide sample `first`, with silence before it."""
        self._z[:] = 0
        self._place[:] = first - (self._half - 1), self._half - 1, math.ceil(first / self.plan.ratio)

    @property
    def next(self) -> int:
        """Index of the next output."""
        return int(self._place[2])

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (M,) complex64: every output that can be computed by now."""
        y = np.empty(int(z.size / self.plan.ratio) + 2, np.complex64)
        return y[: filter_bank(z, *self.settings, y)]

    def around(self, z: NDArray[np.complex64], base: int, first: int, count: int) -> NDArray[np.complex64]:
        """(count,) outputs from number `first` on, from z alone, z[0] being wide sample `base`; beyond z there is silence."""
        half, ratio = self._bank.shape[1] // 2, self.plan.ratio
        start = math.floor(first * ratio) - half + 1
        stop = math.floor((first + count - 1) * ratio) + half + 1
        low, high = max(start, base), min(stop, base + z.size)
        padded = np.zeros(stop - start, np.complex64)
        if high > low:
            padded[low - start : high - start] = z[low - base : high - base]
        y = np.empty(count, np.complex64)
        resample(padded, start, first, ratio, self._bank, y)
        return y
