"""Kernel of the transmitter: bits -> real passband samples."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def modulate_bpsk(bits, y, bit_rate, carrier_hz, alpha, ramp_bits, start_time, sample_time, amplitude, phase):
    """Write y (N,) float32: amplitude * envelope(t) * a(t) * cos(2 pi fc t + phase), t = start_time + n * sample_time.

    t = 0 is the start of bit 0. a(t) is NRZ (+1 for a 1) convolved with a unit-area Hann window of alpha bit times, so
    that near a bit edge it follows the integral of the window; the envelope is a raised cosine of ramp_bits bit times
    before the first and after the last bit.
    """
    count = bits.size
    for n in range(y.size):
        t = start_time + n * sample_time
        u = t * bit_rate
        edge = int(np.floor(u + 0.5))
        before = min(max(edge - 1, 0), count - 1)
        after = min(max(edge, 0), count - 1)
        v = u - edge
        left = 2.0 * bits[before] - 1.0
        right = 2.0 * bits[after] - 1.0
        if alpha > 0.0 and abs(v) < 0.5 * alpha:
            w = v / alpha
            a = left + (right - left) * (0.5 + w + np.sin(2.0 * np.pi * w) / (2.0 * np.pi))
        elif v < 0.0:
            a = left
        else:
            a = right
        if u < 0.0:
            if ramp_bits <= 0.0 or u <= -ramp_bits:
                a = 0.0
            else:
                a *= 0.5 + 0.5 * np.cos(np.pi * u / ramp_bits)
        elif u > count:
            if ramp_bits <= 0.0 or u >= count + ramp_bits:
                a = 0.0
            else:
                a *= 0.5 + 0.5 * np.cos(np.pi * (u - count) / ramp_bits)
        y[n] = amplitude * a * np.cos(2.0 * np.pi * carrier_hz * t + phase)
