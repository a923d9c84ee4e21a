"""From line samples to baseband: mix and decimate, then resample to a whole number of samples per bit."""

import math

import numpy as np
from numpy.typing import NDArray

from ._kernels.downconvert import mix_decimate, resample, symmetric_fir
from .filters import BasebandPlan


class DownConverter:
    """Band-pass, mix to baseband and decimate: real line samples -> wide complex baseband (about 14 samples a bit).

    Output sample m is the complex amplitude, in V of the carrier's peak, around the carrier at line sample
    m * plan.decimation; the filter is symmetric, so there is no other delay. Output does not depend on how the input is cut.
    """

    def __init__(self, plan: BasebandPlan) -> None:
        self.plan = plan
        self._re = np.ascontiguousarray(plan.taps.real, np.float32)
        self._im = np.ascontiguousarray(plan.taps.imag, np.float32)
        self._phase_step = np.uint64(plan.phase_step)
        self.reset()

    def reset(self) -> None:
        """Back to line sample 0, with silence before it."""
        half = self._re.size // 2
        self._x = np.zeros(half, np.float32)
        self._base = -half
        self._next = 0

    def process(self, x: NDArray[np.float32]) -> NDArray[np.complex64]:
        """(N,) float32, V -> (M,) complex64: every wide sample that can be computed by now."""
        half, step = self._re.size // 2, self.plan.decimation
        self._x = np.concatenate((self._x, x))
        end = self._base + self._x.size
        count = max(0, (end - 1 - half) // step - self._next + 1)
        y = np.empty(count, np.complex64)
        if count:
            mix_decimate(self._x, self._base, self._next, step, self._re, self._im, self._phase_step, y)
            self._next += count
            keep = self._next * step - half
            self._x = self._x[keep - self._base :].copy()
            self._base = keep
        return y


class NarrowFilter:
    """Wide baseband -> narrow baseband at exactly four samples per nominal bit; sample q is the line at time q / narrow_rate."""

    def __init__(self, plan: BasebandPlan, bank: NDArray[np.float32] | None = None) -> None:
        self.plan = plan
        self._bank = plan.bank if bank is None else bank
        self.reset()

    def reset(self) -> None:
        """Back to sample 0, with silence before it."""
        half = self._bank.shape[1] // 2
        self._z = np.zeros(half - 1, np.complex64)
        self._base = -(half - 1)
        self._next = 0

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (M,) complex64: every narrow sample that can be computed by now."""
        half, ratio = self._bank.shape[1] // 2, self.plan.ratio
        self._z = np.concatenate((self._z, z))
        # The filter of position p reaches the wide sample floor(p) + half.
        limit = self._base + self._z.size - 1 - half
        count = max(0, math.floor((limit + 1) / ratio) + 2 - self._next)
        while count > 0 and math.floor((self._next + count - 1) * ratio) > limit:
            count -= 1
        y = np.empty(count, np.complex64)
        if count:
            resample(self._z, self._base, self._next, ratio, self._bank, y)
            self._next += count
            keep = math.floor(self._next * ratio) - half + 1
            self._z = self._z[keep - self._base :].copy()
            self._base = keep
        return y


class BitFilter:
    """Narrow baseband -> soft bits at every sampling phase: the linear MMSE filter of the profile's pulse, three bits wide."""

    def __init__(self, plan: BasebandPlan) -> None:
        self.plan = plan
        self.reset()

    def reset(self) -> None:
        """Back to sample 0, with silence before it."""
        self._z = np.zeros(self.plan.bit_filter.size // 2, np.complex64)

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (M,) complex64, the same time axis as the input."""
        h = self.plan.bit_filter
        self._z = np.concatenate((self._z, z))
        y = np.empty(max(0, self._z.size - h.size + 1), np.complex64)
        if y.size:
            symmetric_fir(self._z, h, y)
            self._z = self._z[y.size :].copy()
        return y
