"""The windowed sinc that gives a signal's value between its samples, as the table that the kernel reads."""

import numpy as np
from numpy.typing import NDArray

_PHASES = 512  # rows; linear interpolation between them is good to 1e-6
_KAISER_BETA = 8.0  # with 2 * 16 taps: error below -80 dB up to 0.4 of the sample rate


def interpolation_table(half_width: int, cutoff: float = 1.0) -> NDArray[np.float32]:
    """Rows for the fractions 0, 1/512 .. 1 of a sample, (513, 2 * half_width) float32; see `interpolate` of the kernels.

    Args:
        half_width: samples on each side, even.
        cutoff: share of the band that is kept, (0, 1]; below 1 when the output rate is the lower one.
    """
    k = np.arange(2 * half_width)
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    distance = fraction + half_width - 1 - k
    inside = np.clip(1.0 - (distance / half_width) ** 2, 0.0, None)
    window = np.where(inside > 0.0, np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA), 0.0)
    h = cutoff * np.sinc(cutoff * distance) * window
    table: NDArray[np.float32] = (h / h.sum(axis=1, keepdims=True)).astype(np.float32)  # a constant stays what it is
    return table
