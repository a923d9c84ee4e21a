"""The windowed sinc that gives a signal's value between its samples: as a table for any rate, as polynomials for upsampling."""

import numpy as np
from numpy.typing import NDArray

_PHASES = 512  # rows; linear interpolation between them is good to 1e-6
_KAISER_BETA = 8.0  # with 2 * 16 taps: error below -80 dB up to 0.4 of the sample rate
_ORDER = 6  # polynomials of this order follow all taps together within -94 dB


def _windowed_sinc(fraction: NDArray[np.float64], half_width: int, cutoff: float) -> NDArray[np.float64]:
    """Weights of the 2 * half_width samples about each fraction of a sample, (F, 2 * half_width)."""
    distance = fraction[:, None] + half_width - 1 - np.arange(2 * half_width)
    inside = np.clip(1.0 - (distance / half_width) ** 2, 0.0, None)
    window = np.where(inside > 0.0, np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA), 0.0)
    h = cutoff * np.sinc(cutoff * distance) * window
    weights: NDArray[np.float64] = h / h.sum(axis=1, keepdims=True)  # a constant stays what it is
    return weights


def interpolation_table(half_width: int, cutoff: float = 1.0) -> NDArray[np.float32]:
    """Rows for the fractions 0, 1/512 .. 1 of a sample, (513, 2 * half_width) float32; see `interpolate` of the kernels.

    Args:
        half_width: samples on each side, even.
        cutoff: share of the band that is kept, (0, 1]; below 1 when the output rate is the lower one.
    """
    return _windowed_sinc(np.arange(_PHASES + 1) / _PHASES, half_width, cutoff).astype(np.float32)


def interpolation_filters(half_width: int) -> NDArray[np.float32]:
    """Each weight as a polynomial in (fraction - 1/2): (7, 2 * half_width) float32, lowest power first, taps in time order.

    References:
        C. W. Farrow, A continuously variable digital delay element, ISCAS 1988 (structure).
    """
    fraction = 0.5 - 0.5 * np.cos(np.pi * (np.arange(4 * _ORDER) + 0.5) / (4 * _ORDER))  # Chebyshev's places
    powers = np.vander(fraction - 0.5, _ORDER + 1, increasing=True)
    fitted, *_ = np.linalg.lstsq(powers, _windowed_sinc(fraction, half_width, 1.0), rcond=None)
    filters: NDArray[np.float32] = fitted.astype(np.float32)
    return filters
