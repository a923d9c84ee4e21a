"""One filter from line samples to the baseband of one carrier, for lines on which nothing else has to be done in between."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.packets import direct_baseband
from .downconvert import phase_step
from .filters import PHASES, BasebandPlan, FrontEndPlan
from .stream import Past

_LANES: Final = 16  # taps are padded to a multiple of this, so that no scalar remainder is left in the kernel
_TABLE: Final = 256  # phases of the carrier in one turn: few, so that the samples stay in the cache
_TAIL: Final = 1e-3  # of the energy of the filter's taps, what may be cut off at its ends


@dataclass(frozen=True, eq=False)
class DirectPlan:
    """The front end's filter and the bit filter of one carrier as one filter at the line's rate.

    Attributes:
        carrier_hz, sample_rate: Hz. hop: line samples per narrow sample. half: index of the tap at the output's own instant.
        taps: (L,) complex128 band-pass around the carrier, gain 2 (real passband -> complex amplitude), L a multiple of 16.
        around, slope: the same of the filter whose output is the slope of that one per narrow sample, from one to either side.
    """

    carrier_hz: float
    sample_rate: float
    hop: float
    half: int
    taps: NDArray[np.complex128]
    around: int
    slope: NDArray[np.complex128]


def plan_direct(front: FrontEndPlan, plan: BasebandPlan, sample_rate: float) -> DirectPlan:
    """The filter of a carrier's bit bank behind its front end; sample_rate: of the line, Hz."""
    step, bank = front.decimation, plan.bit_bank.astype(np.float64)
    # Rows 0 and P are the same filter, a wide sample apart; together they are symmetric around the output's instant.
    kernel = np.zeros((bank.shape[1] + 1) * step)
    kernel[step::step] += bank[0] / 2
    kernel[:-step:step] += bank[PHASES] / 2
    middle = bank.shape[1] // 2 * step
    low_pass = np.convolve(kernel, front.low_pass / front.low_pass.sum())
    middle += front.half
    reach = min(middle, low_pass.size - 1 - middle)
    while reach > 1 and np.sum(low_pass[middle - reach + 1 : middle + reach] ** 2) > (1 - _TAIL**2) * np.sum(low_pass**2):
        reach -= 1
    hop = plan.ratio * step
    aside = round(hop)

    def band_pass(around: int, shifts: Sequence[tuple[int, float]]) -> NDArray[np.complex128]:
        """Taps from `around` before the output's instant on: the low-pass moved by so many samples, with these weights."""
        length = 2 * around + 1
        n = np.arange(length + -length % _LANES) - around
        total = np.zeros(n.size)
        for shift, weight in shifts:
            at = n + middle - shift
            inside = (at >= 0) & (at < low_pass.size)
            total += weight * np.where(inside, low_pass[np.clip(at, 0, low_pass.size - 1)], 0.0)
        return 2.0 * total * np.exp(-2j * np.pi * plan.carrier_hz / sample_rate * n)

    per_hop = 0.5 * hop / aside
    slope = band_pass(reach + aside, [(aside, per_hop), (-aside, -per_hop)])
    return DirectPlan(plan.carrier_hz, sample_rate, hop, reach, band_pass(reach, [(0, 1.0)]), reach + aside, slope)


class DirectFilter:
    """Line samples -> four samples per nominal bit of one carrier, with the very filter that the wide stream's stages make up.

    Output q belongs to line position q * hop, as behind `BankFilter`; it is evaluated at the nearest line sample, which is off
    by less than a hundredth of a bit. Output does not depend on how the input is cut.
    """

    def __init__(self, plan: DirectPlan) -> None:
        self.plan = plan
        self._re = np.ascontiguousarray(plan.taps.real, np.float32)
        self._im = np.ascontiguousarray(plan.taps.imag, np.float32)
        self._slope_re = np.ascontiguousarray(plan.slope.real, np.float32)
        self._slope_im = np.ascontiguousarray(plan.slope.imag, np.float32)
        self._table = np.exp(-2j * np.pi * np.arange(_TABLE) / _TABLE).astype(np.complex64)
        self._step = phase_step(plan.carrier_hz, plan.sample_rate)
        # As track_on_line takes it.
        self.filters = (
            plan.hop, plan.half, self._re, self._im, plan.around, self._slope_re, self._slope_im, self._table, self._step
        )  # fmt: skip

    def first_needed(self, output: int) -> int:
        """The first line sample that output number `output` depends on."""
        return math.floor(output * self.plan.hop + 0.5) - self.plan.half

    def reached(self, end: int) -> int:
        """How many outputs can be computed from line samples before `end`, those before the first one counted."""
        length = self._re.size
        count = max(0, math.floor((end - length + self.plan.half) / self.plan.hop) + 2)
        while count > 0 and self.first_needed(count - 1) + length > end:
            count -= 1
        return count

    def process(self, line: Past, end: int) -> NDArray[np.complex64]:
        """(M,) complex64: all outputs that can be computed from line samples before `end`, from number 0 on."""
        return self.at(line, 0, self.reached(end))

    def at(self, line: Past, first: int, count: int, every: int = 1) -> NDArray[np.complex64]:
        """(count,) complex64: outputs number first, first + every, ... from line samples that are kept."""
        y = np.empty(count, np.complex64)
        if count:
            start = self.first_needed(first)
            x = line.between(start, self.first_needed(first + (count - 1) * every) + self._re.size)
            direct_baseband(
                x, start, first, every, self.plan.hop, self.plan.half, self._re, self._im, self._table, self._step, y
            )
        return y
