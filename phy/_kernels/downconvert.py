"""Kernels from line samples to baseband at a fixed number of samples per bit."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def mix_decimate(x, base, first, step, taps_re, taps_im, phase_step, y):
    """Band-pass, decimate and move to baseband: y[i] belongs to line sample (first + i) * step.

    x: (N,) float32, x[0] is line sample `base`; taps_re, taps_im: (L,) float32, the low-pass moved up to the carrier, L odd;
    phase_step: uint64, carrier cycles per sample in units of 2**-64, so that the phase of any sample is exact however long
    the stream runs; y: (M,) complex64, written.
    """
    half = taps_re.size // 2
    for i in range(y.size):
        centre = (first + i) * step
        start = centre - half - base
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(taps_re.size):
            v = x[start + k]
            re += v * taps_re[k]
            im += v * taps_im[k]
        turns = (np.uint64(centre) * phase_step) >> np.uint64(11)
        angle = -2.0 * np.pi * (np.float64(turns) * 2.0**-53)
        c = np.cos(angle)
        s = np.sin(angle)
        y[i] = np.complex64(complex(re * c - im * s, re * s + im * c))


@njit(cache=True, nogil=True)
def resample(z, base, first, ratio, bank, y):
    """Fractional resampling: y[i] is the input at position (first + i) * ratio, low-passed.

    z: (N,) complex64, z[0] has position `base`; bank: (P + 1, L) float32, L even: the filter at P fractions of a sample, and
    once more at 1 so that rounding needs no wrap; y: (M,) complex64, written.
    """
    phases = bank.shape[0] - 1
    length = bank.shape[1]
    for i in range(y.size):
        position = (first + i) * ratio
        whole = int(np.floor(position))
        taps = bank[int((position - whole) * phases + 0.5)]
        start = whole - length // 2 + 1 - base
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(length):
            v = z[start + k]
            re += v.real * taps[k]
            im += v.imag * taps[k]
        y[i] = complex(re, im)


@njit(cache=True, nogil=True)
def symmetric_fir(z, h, y):
    """y[i] = sum_k h[k] z[i + k]. z: (M + L - 1,) complex64; h: (L,) float32; y: (M,) complex64, written."""
    for i in range(y.size):
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(h.size):
            v = z[i + k]
            re += v.real * h[k]
            im += v.imag * h[k]
        y[i] = complex(re, im)
