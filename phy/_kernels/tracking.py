"""Kernel that follows one packet: carrier, clock, amplitude, words and the packet's end."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _cubic(y, base, at):
    """y at a fractional index, by the cubic through four samples (Lagrange), and its slope per sample from one sample to
    either side. y[0] has index `base`; the fraction does not depend on it, not even in its last digit."""
    whole = int(np.floor(at))
    mu = at - whole
    v = y[whole - base - 2 : whole - base + 4]
    inner = mu * (mu - 1.0)
    outer = (mu + 1.0) * (mu - 2.0)
    a = inner * (2.0 - mu) * (1.0 / 6.0)
    b = outer * (mu - 1.0) * 0.5
    c = outer * mu * -0.5
    d = inner * (mu + 1.0) * (1.0 / 6.0)
    # In real numbers: a real factor times a complex one would be multiplied out in full.
    re = (a * v[1].real + b * v[2].real) + (c * v[3].real + d * v[4].real)
    im = (a * v[1].imag + b * v[2].imag) + (c * v[3].imag + d * v[4].imag)
    rise_re = (a * (v[2].real - v[0].real) + b * (v[3].real - v[1].real)) + (
        c * (v[4].real - v[2].real) + d * (v[5].real - v[3].real)
    )
    rise_im = (a * (v[2].imag - v[0].imag) + b * (v[3].imag - v[1].imag)) + (
        c * (v[4].imag - v[2].imag) + d * (v[5].imag - v[3].imag)
    )
    return re, im, 0.5 * rise_re, 0.5 * rise_im


@njit(cache=True, nogil=True)
def track_packet(y, base, available, header, stride, cycles_per_bit, K1, K2, Kt, decay, words, end_word, lost,
                 differential, state, raw, turned, phases, positions, soft):
    """Follow a packet word by word as far as the samples reach.

    y: (N,) complex64, filtered baseband, y[0] has absolute index `base`; `available`: absolute index behind the last sample
    that may be used; header: (H,) float32, the known bits as +-1; K1, K2: gains of the carrier loop (proportional, integral;
    per bit); Kt: gain of the timing loop; decay: of the amplitude average; words: (256, n) float32 and end_word: (n,) as soft
    bits, +1 for a 0, zeros for no end word; lost: (4,) = power of a word over that of the words before it, below which the word
    is lost; the same for a word without coherence; coherence (in-phase minus quadrature power over their sum) below which it
    has none;
    mean coherence of the latest words below which there is no packet at all, if the power is that of before the packet too.
    state: (11,) float64 = bits done, position of the next bit's centre, phase, frequency (rad/bit), amplitude, mean power of a
    bit, words lost in a row, sign of the last bit, words done, mean coherence, power before the
    packet; updated.
    Written for each bit: raw (B,) complex64, turned (B,) complex64 = raw exp(-j phase), phases (B,) float64, positions (B,)
    float64, and for each word soft (W, n) float32 in units of the amplitude, + means 0.
    Returns 0 more samples are needed, 1 the end word came, 2 the signal is lost, 3 the longest packet is full.
    """
    bits_done = int(state[0])
    at, phase, freq, amplitude = state[1], state[2], state[3], state[4]
    power, lost_words, previous = state[5], state[6], state[7]
    words_done = int(state[8])
    length = words.shape[1]
    drift = stride / (2.0 * np.pi * cycles_per_bit)
    status = 0
    while True:
        if words_done >= soft.shape[0]:
            status = 3
            break
        count = header.size if bits_done == 0 else length
        if at + count * stride + 4 >= available:
            break
        in_phase = 0.0
        quadrature = 0.0
        turn = complex(np.cos(phase), -np.sin(phase))
        unit = 1.0 / amplitude
        for i in range(count):
            v_re, v_im, rise_re, rise_im = _cubic(y, base, at)
            z = complex(v_re * turn.real - v_im * turn.imag, v_re * turn.imag + v_im * turn.real)
            if bits_done < header.size:
                decision = header[bits_done]
            else:
                decision = 1.0 if z.real >= 0.0 else -1.0
            raw[bits_done] = complex(v_re, v_im)
            turned[bits_done] = z
            phases[bits_done] = phase
            positions[bits_done] = at
            if bits_done >= header.size:
                value = z.real * unit
                if differential:
                    value = min(abs(value), 1.0) * (1.0 if decision != previous else -1.0)
                soft[words_done, i] = -value
            previous = decision
            late = min(max(decision * 2.0 * (rise_re * turn.real - rise_im * turn.imag) * unit, -1.0), 1.0)
            error = min(max(decision * z.imag * unit, -0.7), 0.7)
            in_phase += z.real * z.real
            quadrature += z.imag * z.imag
            amplitude += decay * (decision * z.real - amplitude)
            amplitude = max(amplitude, 1e-12)
            unit = 1.0 / amplitude
            freq += K2 * error
            step = freq + K1 * error
            phase += step
            # The next turn from this one, by the series of a small angle; exact again at the next word.
            square = step * step
            turn *= complex(1.0 - square * (0.5 - square * (1.0 / 24 - square / 720)),
                            -step * (1.0 - square * (1.0 / 6 - square * (1.0 / 120 - square / 5040))))
            at += stride - drift * freq + Kt * late
            bits_done += 1
        word_power = (in_phase + quadrature) / count
        if bits_done == header.size and words_done == 0:
            # A line with echoes may favour the preamble's two frequencies: the header tells the power of data only roughly.
            power = 0.5 * word_power
            continue
        ending = 0.0
        for i in range(length):
            ending += soft[words_done, i] * end_word[i]
        beaten = False  # by a code word; the search ends at the first one, so that data words cost little
        for w in range(256):
            metric = 0.0
            for i in range(length):
                metric += soft[words_done, i] * words[w, i]
            if metric >= ending:
                beaten = True
                break
        words_done += 1
        coherence = (in_phase - quadrature) / max(in_phase + quadrature, 1e-30)
        state[9] += 0.15 * (coherence - state[9])
        if word_power < lost[0] * power or (word_power < lost[1] * power and coherence < lost[2]):
            lost_words += 1.0
        else:
            lost_words = 0.0
            power += 0.3 * (word_power - power)
        if not beaten:
            status = 1
            break
        if lost_words >= 2.0 or word_power < 0.3 * lost[0] * power or (
            state[9] < lost[3] and power < 1.6 * state[10]
        ):
            status = 2
            break
    state[0], state[1], state[2], state[3], state[4] = bits_done, at, phase, freq, amplitude
    state[5], state[6], state[7], state[8] = power, lost_words, previous, words_done
    return status


@njit(cache=True, nogil=True)
def measure_bits(turned, symbols):
    """Filtered bits without their carrier in units of their amplitude, and two measures of them.

    turned: (B,) complex64, see track_packet; symbols: (B,) complex64, turned / amplitude, written.
    Returns (amplitude = mean magnitude of the real part, median square of the imaginary part).
    """
    squares = np.empty(turned.size, np.float32)
    total = 0.0
    for k in range(turned.size):
        total += abs(turned[k].real)
        squares[k] = turned[k].imag * turned[k].imag
    amplitude = total / max(turned.size, 1)
    unit = np.float32(1.0 / max(amplitude, 1e-30))
    for k in range(turned.size):
        symbols[k] = complex(turned[k].real * unit, turned[k].imag * unit)
    return amplitude, np.median(squares)
