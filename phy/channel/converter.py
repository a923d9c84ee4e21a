"""The converter of a receiver: full scale, steps, and what does not fit."""

import numpy as np
from numpy.typing import NDArray

from .limits import positive, whole
from .path import Element


class Quantiser(Element):
    """An analogue-to-digital converter: rounds to one of 2^bits steps and clips at full scale, in V before and after.

    Codes run from -2^(bits - 1) to 2^(bits - 1) - 1, as two's complement does; a step is full_scale_v / 2^(bits - 1).

    Args:
        full_scale_v: V, the largest magnitude (the negative one) that still has a code.
        bits: 1 .. 24 (a float32 carries no more).
    Attributes:
        clipped: number of samples that were beyond the range, since the start or the last `reset`.
    """

    def __init__(self, full_scale_v: float, bits: int) -> None:
        self.full_scale_v = positive("full_scale_v", full_scale_v)
        self.bits = whole("bits", bits, 1, 24)
        self.step_v = self.full_scale_v / 2 ** (self.bits - 1)
        self.clipped = 0

    def _process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        codes = np.rint(x.astype(np.float64) / self.step_v)
        lowest, highest = -(2.0 ** (self.bits - 1)), 2.0 ** (self.bits - 1) - 1
        self.clipped += int(np.count_nonzero((codes < lowest) | (codes > highest)))
        voltage: NDArray[np.float32] = (np.clip(codes, lowest, highest) * self.step_v).astype(np.float32)
        return voltage

    def reset(self) -> None:
        self.clipped = 0
