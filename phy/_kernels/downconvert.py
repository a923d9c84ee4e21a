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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def direct_baseband(x, base, first, every, hop, half, taps_re, taps_im, table, phase_step, y):
    """One carrier's filtered baseband straight from line samples: y[i] belongs to line position (first + i * every) * hop.

    The filter is evaluated at the line sample n nearest to that position, and turned by -n of the carrier's cycles.
    x: (N,) float32, x[0] is line sample `base`; half: taps before n; taps_re, taps_im: (L,) float32, the band-pass filter, L a
    multiple of 16; table: (T,) complex64, exp(-2 pi j t / T); phase_step: uint64, carrier cycles per line sample in units of
    2**-64; y: (M,) complex64, written.
    """
    # Four outputs at once share the loads of the taps. At the end some are computed twice rather than in another loop, which
    # might round differently.
    length = taps_re.size
    last = y.size - 1
    i = 0
    while i <= last:
        i1 = min(i + 1, last)
        i2 = min(i + 2, last)
        i3 = min(i + 3, last)
        start = int(np.floor((first + i * every) * hop + 0.5)) - half - base
        a = x[start : start + length]
        start = int(np.floor((first + i1 * every) * hop + 0.5)) - half - base
        b = x[start : start + length]
        start = int(np.floor((first + i2 * every) * hop + 0.5)) - half - base
        c = x[start : start + length]
        start = int(np.floor((first + i3 * every) * hop + 0.5)) - half - base
        d = x[start : start + length]
        a_re = np.float32(0.0)
        a_im = np.float32(0.0)
        b_re = np.float32(0.0)
        b_im = np.float32(0.0)
        c_re = np.float32(0.0)
        c_im = np.float32(0.0)
        d_re = np.float32(0.0)
        d_im = np.float32(0.0)
        for k in range(length):
            re = taps_re[k]
            im = taps_im[k]
            a_re += a[k] * re
            a_im += a[k] * im
            b_re += b[k] * re
            b_im += b[k] * im
            c_re += c[k] * re
            c_im += c[k] * im
            d_re += d[k] * re
            d_im += d[k] * im
        y[i] = np.complex64(complex(a_re, a_im))
        y[i1] = np.complex64(complex(b_re, b_im))
        y[i2] = np.complex64(complex(c_re, c_im))
        y[i3] = np.complex64(complex(d_re, d_im))
        i += 4
    size = table.size
    for i in range(y.size):
        n = int(np.floor((first + i * every) * hop + 0.5))
        turns = np.float64((np.uint64(n) * phase_step) >> np.uint64(11)) * 2.0**-53
        at = turns * size
        whole = int(at)
        f = table[whole]
        # What is left of the angle is small: by its series.
        left = np.float32(-2.0 * np.pi * (at - whole) / size)
        c = np.float32(1.0) - np.float32(0.5) * left * left
        s = left - left * left * left * np.float32(1.0 / 6.0)
        c_re = f.real * c - f.imag * s
        c_im = f.imag * c + f.real * s
        y[i] = np.complex64(complex(y[i].real * c_re - y[i].imag * c_im, y[i].real * c_im + y[i].imag * c_re))


@njit(cache=True, nogil=True)
def take_samples(x, largest, line):
    """line[i] = x[i], or 0 where x[i] is not a number below `largest`; returns how many were not. Both (N,) float32."""
    bad = 0
    for i in range(x.size):
        good = abs(x[i]) < largest
        line[i] = x[i] if good else np.float32(0.0)
        bad += not good
    return bad
