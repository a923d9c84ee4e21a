"""Kernels from line samples to baseband at a fixed number of samples per bit.

Slices, not offsets, in the inner loops: only then does the compiler see contiguous memory and use vector instructions. Where a
loop runs over samples, products and sums are not contracted: what is left over at a block's end would round differently from the
rest, and the output depend on how the stream was cut.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def band_pass_decimate(x, base, first, step, half, taps_re, taps_im, u):
    """Band-pass and decimate: u[i] = sum_k taps[k] x(n - half + k) at line sample n = (first + i) * step.

    x: (N,) float32, x[0] is line sample `base`, and reaches L - 1 - half samples beyond the last n; taps_re, taps_im: (L,)
    float32, L a multiple of 16 for speed; u: (M,) complex64, written.
    """
    length = taps_re.size
    for i in range(u.size):
        start = (first + i) * step - half - base
        v = x[start : start + length]
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(length):
            re += v[k] * taps_re[k]
            im += v[k] * taps_im[k]
        u[i] = np.complex64(complex(re, im))


@njit(cache=True, nogil=True, fastmath={"arcp", "nsz"})
def move_to_baseband(u, first, table, phase_step, z):
    """z[i] = u[i] * exp(-2 pi j n phase_step / 2^64), n = first + i.

    u: (N,) complex64, u[0] has index `first` >= 0; table: (T,) complex64, the factors of the first T samples; phase_step: uint64,
    cycles per sample in units of 2**-64, so that the phase of any sample is exact however long the stream runs; z: (N,)
    complex64, written. One sine and cosine per tile of T samples; tiles begin at whole multiples of T.
    """
    size = table.size
    i = 0
    while i < u.size:
        tile = (first + i) // size
        offset = first + i - tile * size
        count = min(size - offset, u.size - i)
        turns = (np.uint64(tile * size) * phase_step) >> np.uint64(11)
        angle = -2.0 * np.pi * (np.float64(turns) * 2.0**-53)
        c = np.float32(np.cos(angle))
        s = np.float32(np.sin(angle))
        a = u[i : i + count]
        factors = table[offset : offset + count]
        out = z[i : i + count]
        for k in range(count):
            re = factors[k].real * c - factors[k].imag * s
            im = factors[k].real * s + factors[k].imag * c
            out[k] = np.complex64(complex(a[k].real * re - a[k].imag * im, a[k].real * im + a[k].imag * re))
        i += count


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def resample(z, base, first, ratio, bank, y):
    """Fractional resampling: y[i] is the input at position (first + i) * ratio, filtered.

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
        v = z[start : start + length]
        re = np.float32(0.0)
        im = np.float32(0.0)
        for k in range(length):
            re += v[k].real * taps[k]
            im += v[k].imag * taps[k]
        y[i] = np.complex64(complex(re, im))


@njit(cache=True, nogil=True)
def take_samples(x, largest, line):
    """line[i] = x[i], or 0 where x[i] is not a number below `largest`; returns how many were not. Both (N,) float32."""
    bad = 0
    for i in range(x.size):
        good = abs(x[i]) < largest
        line[i] = x[i] if good else np.float32(0.0)
        bad += not good
    return bad
