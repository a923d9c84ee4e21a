"""Kernel of the transmitter: bits -> real passband samples."""

import math

import numpy as np
from numba import njit

F = np.float32
_TURN = 2.0 * math.pi
# Taylor series of the sine, in q = u^2; on +-quarter turn the first term left out is below 7e-10
_S3, _S5, _S7, _S9, _S11, _S13 = -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800


@njit(cache=True, nogil=True, error_model="numpy")
def modulate_bpsk(bits, y, bit_rate, carrier_hz, alpha, ramp_bits, start_time, sample_time, amplitude, phase):
    """Write y (N,) float32: amplitude * envelope(t) * a(t) * cos(2 pi fc t + phase), t = start_time + n * sample_time.

    t = 0 is the start of bit 0. a(t) is NRZ (+1 for a 1) convolved with a unit-area Hann window of alpha bit times, so
    that near a bit edge it follows the integral of the window; the envelope is a raised cosine of ramp_bits bit times
    before the first and after the last bit. Samples go from the middle of one bit to the middle of the next at a time: what
    is left in the loop are polynomials, which the compiler turns into vector instructions.
    """
    count = bits.size
    turns = phase / _TURN
    first = 0
    for edge in range(count + 1):
        left = 2.0 * bits[max(edge - 1, 0)] - 1.0
        right = 2.0 * bits[min(edge, count - 1)] - 1.0
        last = math.ceil(((edge + 0.5) / bit_rate - start_time) / sample_time)
        last = y.size if edge == count else min(max(last, first), y.size)
        if left == right:
            for n in range(first, last):
                t = start_time + n * sample_time
                cycles = carrier_hz * t + turns
                u = _TURN * (0.25 - abs(cycles - math.floor(cycles + 0.5)))
                q = u * u
                cosine = u * (1.0 + q * (_S3 + q * (_S5 + q * (_S7 + q * (_S9 + q * (_S11 + q * _S13))))))
                y[n] = F(amplitude * left * cosine)
        else:
            steepness = 1.0 / max(alpha, 1e-12)
            for n in range(first, last):
                t = start_time + n * sample_time
                cycles = carrier_hz * t + turns
                u = _TURN * (0.25 - abs(cycles - math.floor(cycles + 0.5)))
                q = u * u
                cosine = u * (1.0 + q * (_S3 + q * (_S5 + q * (_S7 + q * (_S9 + q * (_S11 + q * _S13))))))
                w = min(max((t * bit_rate - edge) * steepness, -0.5), 0.5)
                size = abs(w)
                v = _TURN * min(size, 0.5 - size)
                q = v * v
                sine = v * (1.0 + q * (_S3 + q * (_S5 + q * (_S7 + q * (_S9 + q * (_S11 + q * _S13))))))
                rise = size + sine * (1.0 / _TURN)  # of the way past the middle
                rise = rise if w >= 0.0 else -rise
                y[n] = F(amplitude * (left + (right - left) * (0.5 + rise)) * cosine)
        first = last
    _ramps(y, bit_rate, count, ramp_bits, start_time, sample_time)


@njit(cache=True, nogil=True, error_model="numpy")
def _ramps(y, bit_rate, count, ramp_bits, start_time, sample_time):
    """Multiply what lies before the first and after the last bit by the raised cosines."""
    opening = min(max(math.ceil(-start_time / sample_time), 0), y.size)
    closing = min(max(math.floor((count / bit_rate - start_time) / sample_time) + 1, 0), y.size)
    for part in range(2):
        for n in range(0 if part == 0 else closing, opening if part == 0 else y.size):
            u = (start_time + n * sample_time) * bit_rate
            outside = -u if part == 0 else u - count
            if outside >= ramp_bits:
                y[n] = F(0.0)
            elif outside > 0.0:
                y[n] *= F(0.5 + 0.5 * math.cos(math.pi * outside / ramp_bits))
