"""Kernels of the tone canceller."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def notch_cascade(z, phasors, rho, state, y):
    """First-order complex notches in series: H(q) = (1 - p q^-1) / (1 - rho p q^-1) for each p of `phasors`.

    z: (N,) complex64; phasors: (K,) complex128 of unit modulus; rho: pole radius, 0..1; state: (K, 2) complex128, last input
    and last output of each notch, updated; y: (N,) complex64, written.
    """
    for n in range(z.size):
        v = complex(z[n])
        for k in range(phasors.size):
            w = v - phasors[k] * (state[k, 0] - rho * state[k, 1])
            state[k, 0] = v
            state[k, 1] = w
            v = w
        y[n] = np.complex64(v)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def window_frame(x, window, limit, y):
    """y = x * window with every sample's power limited to `limit` times the mean of the least of three powers.

    Impulses would raise the floor of the whole spectrum. x: (N,) complex64; window: (N,) float32; y: (N,) complex64, written.
    """
    third = x.size // 3
    total = np.float32(0.0)
    for i in range(third):
        a = x[i].real * x[i].real + x[i].imag * x[i].imag
        b = x[i + third].real * x[i + third].real + x[i + third].imag * x[i + third].imag
        c = x[i + 2 * third].real * x[i + 2 * third].real + x[i + 2 * third].imag * x[i + 2 * third].imag
        total += min(a, min(b, c))
    most = np.float32(limit) * total / np.float32(third)
    for i in range(x.size):
        p = x[i].real * x[i].real + x[i].imag * x[i].imag
        w = window[i] if p <= most else window[i] * np.sqrt(most / p)
        y[i] = np.complex64(complex(x[i].real * w, x[i].imag * w))


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def find_lines(spectrum, block, threshold, reach, power, floor, found):
    """Bins of a spectrum that are narrow lines.

    spectrum: (N,) complex64, N a multiple of `block`, `block` a multiple of 4; power (N,) and floor (N // block,) float32 are
    scratch. The floor of a block is four times the mean of the least of each four neighbours (the mean of Gaussian noise, which
    a few lines do not raise), the largest of the block's own and its neighbours'. A line is a local maximum above threshold *
    floor and above threshold / 2 times what is `reach` bins to either side. found: (M,) int64 is written. Returns the number
    found.
    """
    n = spectrum.size
    blocks = n // block
    for i in range(n):
        power[i] = spectrum[i].real * spectrum[i].real + spectrum[i].imag * spectrum[i].imag
    for b in range(blocks):
        total = np.float32(0.0)
        for i in range(b * block, (b + 1) * block, 4):
            total += min(min(power[i], power[i + 1]), min(power[i + 2], power[i + 3]))
        floor[b] = total * np.float32(16.0 / block)
    count = 0
    for b in range(blocks):
        level = max(floor[b], max(floor[b - 1], floor[(b + 1) % blocks]))
        limit = np.float32(threshold) * level
        for i in range(b * block, (b + 1) * block):
            p = power[i]
            if p <= limit or p <= power[i - 1] or p < power[(i + 1) % n] or count == found.size:
                continue
            if p > np.float32(0.5 * threshold) * max(power[i - reach], power[(i + reach) % n]):
                found[count] = i
                count += 1
    return count
