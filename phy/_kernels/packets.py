"""Kernels from samples to packets: the filter from the line, headers, acquisition, and following a packet to its end.

The ones that look for packets and follow them call the others, and numba does not see an edit in another file: all are here.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _filter_four(x, i, j, k, m, taps_re, taps_im):
    """Four outputs of a complex FIR filter of real samples, whose windows begin at x[i], x[j], x[k], x[m]; real and imaginary
    parts in turn. Four at once share the loads of the taps; with (L,) taps, L a multiple of 16, no remainder is left."""
    length = taps_re.size
    a = x[i : i + length]
    b = x[j : j + length]
    c = x[k : k + length]
    d = x[m : m + length]
    a_re = np.float32(0.0)
    a_im = np.float32(0.0)
    b_re = np.float32(0.0)
    b_im = np.float32(0.0)
    c_re = np.float32(0.0)
    c_im = np.float32(0.0)
    d_re = np.float32(0.0)
    d_im = np.float32(0.0)
    for n in range(length):
        re = taps_re[n]
        im = taps_im[n]
        a_re += a[n] * re
        a_im += a[n] * im
        b_re += b[n] * re
        b_im += b[n] * im
        c_re += c[n] * re
        c_im += c[n] * im
        d_re += d[n] * re
        d_im += d[n] * im
    return a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _turn(n, phase_step, table):
    """exp(-2 pi j n phase_step / 2**64), from a table of one turn and, for what is left of the angle, a series."""
    turns = np.float64((np.uint64(n) * phase_step) >> np.uint64(11)) * 2.0**-53
    at = turns * table.size
    whole = int(at)
    f = table[whole]
    left = np.float32(-2.0 * np.pi * (at - whole) / table.size)
    c = np.float32(1.0) - np.float32(0.5) * left * left
    s = left - left * left * left * np.float32(1.0 / 6.0)
    return f.real * c - f.imag * s, f.imag * c + f.real * s


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def direct_baseband(x, base, first, every, hop, half, taps_re, taps_im, table, phase_step, y):
    """One carrier's filtered baseband straight from line samples: y[i] belongs to line position (first + i * every) * hop.

    The filter is evaluated at the line sample n nearest to that position, and turned by -n of the carrier's cycles.
    x: (N,) float32, x[0] is line sample `base`; half: taps before n; taps_re, taps_im: (L,) float32, the band-pass filter, L a
    multiple of 16; table: (T,) complex64, exp(-2 pi j t / T); phase_step: uint64, carrier cycles per line sample in units of
    2**-64; y: (M,) complex64, written.
    """
    # At the end some are computed twice rather than in another loop, which might round differently.
    last = y.size - 1
    shift = half + base
    for i in range(0, y.size, 4):
        i1 = min(i + 1, last)
        i2 = min(i + 2, last)
        i3 = min(i + 3, last)
        a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im = _filter_four(
            x,
            int(np.floor((first + i * every) * hop + 0.5)) - shift,
            int(np.floor((first + i1 * every) * hop + 0.5)) - shift,
            int(np.floor((first + i2 * every) * hop + 0.5)) - shift,
            int(np.floor((first + i3 * every) * hop + 0.5)) - shift,
            taps_re, taps_im,
        )  # fmt: skip
        y[i] = np.complex64(complex(a_re, a_im))
        y[i1] = np.complex64(complex(b_re, b_im))
        y[i2] = np.complex64(complex(c_re, c_im))
        y[i3] = np.complex64(complex(d_re, d_im))
    for i in range(y.size):
        c_re, c_im = _turn(int(np.floor((first + i * every) * hop + 0.5)), phase_step, table)
        y[i] = np.complex64(complex(y[i].real * c_re - y[i].imag * c_im, y[i].real * c_im + y[i].imag * c_re))


@njit(cache=True, nogil=True, fastmath={"nsz"})
def correlate_header(y, pattern, stride, segment, rotations, least, stat):
    """Normalised correlation of the filtered baseband with the header bits, over several frequency offsets.

    y: (N,) complex64; pattern: (L,) float32 of +-1; stride: samples per bit; segment: bits summed coherently before the
    rotation to a frequency bin; rotations: (B, ceil(L / segment)) complex64. Written for each position n:
    stat[n] = max_b |sum_s c_s r_bs|^2 / (L sum_k |y_k|^2), 0..1 (the CFAR statistic), or 0 where it is surely not above `least`.
    Works on a tile of positions at a time, so that the innermost loops run over neighbouring positions and vectorise.
    """
    tile = 256
    length = pattern.size
    segments = rotations.shape[1]
    segment = min(segment, length)
    whole = length // segment
    parts_re = np.empty((segments, tile), np.float32)
    parts_im = np.empty((segments, tile), np.float32)
    span = (length - 1) * stride
    floor = np.float32(0.999 * least * length)  # of the energy; single precision may be off in its last digits
    powers = np.empty(tile + span, np.float32)
    y_re = np.empty(tile + span, np.float32)
    y_im = np.empty(tile + span, np.float32)
    grouped = np.empty(tile + (whole - 1) * segment * stride, np.float32)  # power of a segment's bits
    energy = np.empty(tile, np.float32)
    most = np.empty(tile, np.float32)
    for start in range(0, stat.size, tile):
        count = min(tile, stat.size - start)
        v = y[start : start + count + span]
        for n in range(v.size):
            y_re[n] = v[n].real
            y_im[n] = v[n].imag
            powers[n] = v[n].real * v[n].real + v[n].imag * v[n].imag
        group = grouped[: count + (whole - 1) * segment * stride]
        for n in range(group.size):
            group[n] = 0.0
        for k in range(segment):
            p = powers[k * stride : k * stride + group.size]
            for n in range(group.size):
                group[n] += p[n]
        for n in range(count):
            energy[n] = 0.0
            most[n] = 0.0
        for s in range(whole):
            p = group[s * segment * stride : s * segment * stride + count]
            for n in range(count):
                energy[n] += p[n]
        for k in range(whole * segment, length):
            p = powers[k * stride : k * stride + count]
            for n in range(count):
                energy[n] += p[n]
        # However the segments are turned, their sum is no longer than all of them stretched out.
        for s in range(segments):
            re = parts_re[s]
            im = parts_im[s]
            for n in range(count):
                re[n] = 0.0
                im[n] = 0.0
            for k in range(s * segment, min((s + 1) * segment, length)):
                a = y_re[k * stride : k * stride + count]
                b = y_im[k * stride : k * stride + count]
                sign = pattern[k]
                for n in range(count):
                    re[n] += sign * a[n]
                    im[n] += sign * b[n]
            for n in range(count):
                most[n] += np.sqrt(re[n] * re[n] + im[n] * im[n])
        out = stat[start : start + count]
        for n in range(count):
            energy[n] = max(energy[n], np.float32(1e-24))
            out[n] = most[n] * most[n] - floor * energy[n]
        for n in range(count):
            out[n] = _best_bin(parts_re, parts_im, n, rotations) / (length * energy[n]) if out[n] > 0.0 else np.float32(0.0)


@njit(cache=True, nogil=True, fastmath={"nsz"})
def _best_bin(parts_re, parts_im, n, rotations):
    """max_b |sum_s c_s r_bs|^2 of the segment sums c_s of position n."""
    best = np.float32(0.0)
    for b in range(rotations.shape[0]):
        re = np.float32(0.0)
        im = np.float32(0.0)
        for s in range(rotations.shape[1]):
            c = rotations[b, s].real
            d = rotations[b, s].imag
            re += parts_re[s, n] * c - parts_im[s, n] * d
            im += parts_re[s, n] * d + parts_im[s, n] * c
        best = max(best, re * re + im * im)
    return best


@njit(cache=True, nogil=True)
def _cubic_weights(mu):
    """Weights of the samples at -1, 0, 1 and 2 in the cubic through them (Lagrange), at mu = 0..1."""
    inner = mu * (mu - 1.0)
    outer = (mu + 1.0) * (mu - 2.0)
    return (inner * (2.0 - mu) * (1.0 / 6.0), outer * (mu - 1.0) * 0.5, outer * mu * -0.5, inner * (mu + 1.0) * (1.0 / 6.0))


@njit(cache=True, nogil=True)
def _cubic(y, base, at):
    """y at a fractional index, and its slope per sample from one sample to either side. y[0] has index `base`; the fraction does
    not depend on it, not even in its last digit."""
    whole = int(np.floor(at))
    a, b, c, d = _cubic_weights(at - whole)
    v = y[whole - base - 2 : whole - base + 4]
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
def acquire_header(y, start, pattern, stride, max_step, reach, quiet):
    """Timing and frequency of a packet from its known bits, by maximum likelihood on a grid, and the noise before it.

    y: (N,) complex64; start: index of the centre of bit 0, known to about half a sample; pattern: (L,) float32 of +-1;
    max_step: largest frequency, rad per bit; reach: half width of the timing search, samples; quiet: samples in each of two
    stretches that end two bits before the packet, whose lesser mean power is the noise (another packet may have ended in one).
    Returns (position of bit 0's centre, phase at bit 0 in rad, frequency in rad per bit, amplitude, noise power; 0 where y does
    not reach back so far).
    """
    length = pattern.size
    bits = np.empty(length, np.complex128)
    segment = 5
    parts = (length + segment - 1) // segment
    steps = 6
    fractions = 9
    # rotations of part s to frequency g: innermost over neighbouring frequencies, so that it vectorises
    turns_re = np.empty((parts, 2 * steps + 1))
    turns_im = np.empty((parts, 2 * steps + 1))
    for g in range(2 * steps + 1):
        step = np.exp(-1j * (segment * max_step * (g - steps) / steps))
        turn = complex(1.0, 0.0)
        for s in range(parts):
            turns_re[s, g] = turn.real
            turns_im[s, g] = turn.imag
            turn *= step
    sums_re = np.empty(2 * steps + 1)
    sums_im = np.empty(2 * steps + 1)
    best = -1.0
    best_position = float(start)
    best_freq = 0.0
    for f in range(-(fractions // 2), fractions // 2 + 1):
        position = start + reach * f / (fractions // 2)
        _header_bits(y, position, stride, pattern, bits)
        sums_re[:] = 0.0
        sums_im[:] = 0.0
        for s in range(parts):
            re = 0.0
            im = 0.0
            for k in range(s * segment, min((s + 1) * segment, length)):
                re += bits[k].real
                im += bits[k].imag
            for g in range(sums_re.size):
                sums_re[g] += re * turns_re[s, g] - im * turns_im[s, g]
                sums_im[g] += re * turns_im[s, g] + im * turns_re[s, g]
        for g in range(sums_re.size):
            power = sums_re[g] * sums_re[g] + sums_im[g] * sums_im[g]
            if power > best:
                best = power
                best_position = position
                best_freq = max_step * (g - steps) / steps
    _header_bits(y, best_position, stride, pattern, bits)
    width = max_step / steps
    for _ in range(4):  # parabola through three points, narrower each time
        left, middle, right = _powers_around(bits, best_freq, width)
        bend = left - 2.0 * middle + right
        if bend < 0.0:
            best_freq += width * min(max(0.5 * (left - right) / bend, -1.0), 1.0)
        width *= 0.5
    rotation = np.exp(-1j * best_freq)
    total = 0.0j
    for k in range(length - 1, -1, -1):
        total = total * rotation + bits[k]
    noise = 0.0
    last = start - 2 * stride
    if last >= 2 * quiet:
        older = 0.0
        newer = 0.0
        for n in range(last - 2 * quiet, last - quiet):
            older += y[n].real * y[n].real + y[n].imag * y[n].imag
        for n in range(last - quiet, last):
            newer += y[n].real * y[n].real + y[n].imag * y[n].imag
        noise = min(older, newer) / quiet
    return best_position, np.angle(total), best_freq, abs(total) / length, noise


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _powers_around(bits, freq, width):
    """Power of the bits turned back by freq - width, freq and freq + width rad each."""
    a = np.exp(-1j * (freq - width))
    b = np.exp(-1j * freq)
    c = np.exp(-1j * (freq + width))
    left = 0.0j
    middle = 0.0j
    right = 0.0j
    for k in range(bits.size - 1, -1, -1):
        left = left * a + bits[k]
        middle = middle * b + bits[k]
        right = right * c + bits[k]
    return (left.real * left.real + left.imag * left.imag, middle.real * middle.real + middle.imag * middle.imag,
            right.real * right.real + right.imag * right.imag)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _header_bits(y, position, stride, pattern, bits):
    """bits[k] = pattern[k] * y(position + k * stride), by the cubic: all bits lie between their samples alike."""
    whole = int(np.floor(position))
    a, b, c, d = _cubic_weights(position - whole)
    for k in range(bits.size):
        v = y[whole + k * stride - 1 : whole + k * stride + 3]
        bits[k] = complex(
            pattern[k] * ((a * v[0].real + b * v[1].real) + (c * v[2].real + d * v[3].real)),
            pattern[k] * ((a * v[0].imag + b * v[1].imag) + (c * v[2].imag + d * v[3].imag)),
        )


@njit(cache=True, nogil=True)
def _bits_to_come(state, header, soft):
    """How many bits are followed next: the header, or a word; 0 when there is no room for one."""
    if state[8] >= soft.shape[0]:
        return 0
    return header.size if state[0] == 0.0 else soft.shape[1]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _follow(count, points, settings, state, raw, turned, phases, positions, soft):
    """The header, or one word, from the baseband near its bits.

    points: (5, count or more) float64 = narrow sample near bit i's centre, baseband there (real, imaginary), slope per narrow
    sample (real, imaginary); the rest: see track_packet. Returns 0, or 1 for the end word, 2 when the signal is lost.
    """
    header, stride, cycles_per_bit, K1, K2, Kt, decay, words, inverse, end_word, lost, differential = settings
    drift = stride / (2.0 * np.pi * cycles_per_bit)
    bits_done = int(state[0])
    at, phase, freq, amplitude, previous = state[1], state[2], state[3], state[4], state[7]
    words_done = int(state[8])
    is_header = bits_done == 0
    in_phase = 0.0
    quadrature = 0.0
    turn = complex(np.cos(phase), -np.sin(phase))
    unit = 1.0 / amplitude
    for i in range(count):
        rise_re = points[3, i]
        rise_im = points[4, i]
        off = at - points[0, i]
        v_re = points[1, i] + off * rise_re
        v_im = points[2, i] + off * rise_im
        z = complex(v_re * turn.real - v_im * turn.imag, v_re * turn.imag + v_im * turn.real)
        if is_header:
            decision = header[i]
        else:
            decision = 1.0 if z.real >= 0.0 else -1.0
            value = z.real * unit
            if differential:
                value = min(abs(value), 1.0) * (1.0 if decision != previous else -1.0)
            soft[words_done, i] = -value
        raw[bits_done] = complex(v_re, v_im)
        turned[bits_done] = z
        phases[bits_done] = phase
        positions[bits_done] = at
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
        turn *= complex(1.0 - square * (0.5 - square * (1.0 / 24 - square * (1.0 / 720))),
                        -step * (1.0 - square * (1.0 / 6 - square * (1.0 / 120 - square * (1.0 / 5040)))))
        at += stride - drift * freq + Kt * late
        bits_done += 1
    state[0], state[1], state[2], state[3], state[4], state[7] = bits_done, at, phase, freq, amplitude, previous
    word_power = (in_phase + quadrature) / count
    if is_header:
        # A line with echoes may favour the preamble's two frequencies: the header tells the power of data only roughly.
        state[5] = 0.5 * word_power
        return 0
    ending = 0.0
    pattern = 0
    for i in range(count):
        ending += soft[words_done, i] * end_word[i]
        pattern = 2 * pattern + (soft[words_done, i] < 0.0)
    beaten = inverse[pattern] >= 0  # by a code word: no other pattern of signs correlates better than their own
    for w in range(words.shape[0]):
        if beaten:
            break
        metric = 0.0
        for i in range(count):
            metric += soft[words_done, i] * words[w, i]
        beaten = metric >= ending
    power = state[5]
    state[8] = words_done + 1
    coherence = (in_phase - quadrature) / max(in_phase + quadrature, 1e-30)
    state[9] += 0.15 * (coherence - state[9])
    if word_power < lost[0] * power or (word_power < lost[1] * power and coherence < lost[2]):
        state[6] += 1.0
    else:
        state[6] = 0.0
        state[5] = power + 0.3 * (word_power - power)
    if not beaten:
        return 1
    gone = state[9] < lost[3] and state[5] < 1.6 * state[10]
    return 2 if state[6] >= 2.0 or word_power < 0.3 * lost[0] * state[5] or gone else 0


@njit(cache=True, nogil=True)
def track_packet(y, base, available, settings, state, raw, turned, phases, positions, soft):
    """Follow a packet word by word as far as the samples reach.

    y: (N,) complex64, filtered baseband, y[0] has absolute index `base`; `available`: absolute index behind the last sample
    that may be used. settings = header: (H,) float32, the known bits as +-1; stride: samples per bit; cycles_per_bit: of the
    carrier; K1, K2: gains of the carrier loop (proportional, integral; per bit); Kt: gain of the timing loop; decay: of the
    amplitude average; words: (256, n) float32 and end_word: (n,) as soft bits, +1 for a 0, zeros for no end word; inverse: (2^n,)
    int16, the octet of each word, first bit most significant, -1 where it is none; lost: (4,) =
    power of a word over that of the words before it, below which the word is lost; the same for a word without coherence;
    coherence (in-phase minus quadrature power over their sum) below which it has none; mean coherence of the latest words below
    which there is no packet at all, if the power is that of before the packet too; differential.
    state: (11,) float64 = bits done, position of the next bit's centre, phase, frequency (rad/bit), amplitude, mean power of a
    bit, words lost in a row, sign of the last bit, words done, mean coherence, power before the packet; updated.
    Written for each bit: raw (B,) complex64, turned (B,) complex64 = raw exp(-j phase), phases (B,) float64, positions (B,)
    float64, and for each word soft (W, n) float32 in units of the amplitude, + means 0.
    Returns 0 more samples are needed, 1 the end word came, 2 the signal is lost, 3 there is no room for another word.
    """
    header, stride, cycles_per_bit = settings[0], settings[1], settings[2]
    points = np.empty((5, max(header.size, soft.shape[1])))
    while True:
        count = _bits_to_come(state, header, soft)
        if count == 0:
            return 3
        at = state[1]
        if at + count * stride + 4 >= available:
            return 0
        step = stride * (1.0 - state[3] / (2.0 * np.pi * cycles_per_bit))
        for i in range(count):
            points[0, i] = at + i * step
            points[1, i], points[2, i], points[3, i], points[4, i] = _cubic(y, base, at + i * step)
        status = _follow(count, points, settings, state, raw, turned, phases, positions, soft)
        if status:
            return status


@njit(cache=True, nogil=True)
def track_on_line(x, base, end, filters, settings, state, raw, turned, phases, positions, soft):
    """`track_packet` with the filter evaluated at the bits alone, straight from line samples.

    x: (N,) float32, x[0] is line sample `base`; end: line sample behind the last one that may be used. filters = hop, half,
    taps_re, taps_im: see direct_baseband; slope_re, slope_im: (S,) float32, S a multiple of 16, the filter whose output is
    the slope of that one per narrow sample, and around: its taps before the sample that it belongs to; table, phase_step: see
    direct_baseband. The rest: see track_packet.
    """
    hop, half, taps_re, _, around, slope_re, _, _, _ = filters
    header, stride, cycles_per_bit = settings[0], settings[1], settings[2]
    points = np.empty((5, max(header.size, soft.shape[1]) + 3))
    behind = max(taps_re.size - half, slope_re.size - around)
    while True:
        count = _bits_to_come(state, header, soft)
        if count == 0:
            return 3
        step = stride * (1.0 - state[3] / (2.0 * np.pi * cycles_per_bit))
        if np.floor((state[1] + (count - 1) * step) * hop + 0.5) + behind > end:
            return 0
        _points_on_line(x, base, state[1], step, count, filters, points)
        status = _follow(count, points, settings, state, raw, turned, phases, positions, soft)
        if status:
            return status


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _points_on_line(x, base, at, step, count, filters, points):
    """What _follow wants to know of `count` bits, the first at narrow sample `at` and `step` apart."""
    hop, half, taps_re, taps_im, around, slope_re, slope_im, table, phase_step = filters
    last = count - 1
    for i in range(0, count, 4):
        n0 = int(np.floor((at + i * step) * hop + 0.5)) - base
        n1 = int(np.floor((at + min(i + 1, last) * step) * hop + 0.5)) - base
        n2 = int(np.floor((at + min(i + 2, last) * step) * hop + 0.5)) - base
        n3 = int(np.floor((at + min(i + 3, last) * step) * hop + 0.5)) - base
        (points[1, i], points[2, i], points[1, i + 1], points[2, i + 1], points[1, i + 2], points[2, i + 2], points[1, i + 3],
         points[2, i + 3]) = _filter_four(x, n0 - half, n1 - half, n2 - half, n3 - half, taps_re, taps_im)
        (points[3, i], points[4, i], points[3, i + 1], points[4, i + 1], points[3, i + 2], points[4, i + 2], points[3, i + 3],
         points[4, i + 3]) = _filter_four(x, n0 - around, n1 - around, n2 - around, n3 - around, slope_re, slope_im)
    for i in range(count):
        n = int(np.floor((at + i * step) * hop + 0.5))
        points[0, i] = n / hop
        c_re, c_im = _turn(n, phase_step, table)
        re, im = points[1, i], points[2, i]
        points[1, i] = re * c_re - im * c_im
        points[2, i] = re * c_im + im * c_re
        re, im = points[3, i], points[4, i]
        points[3, i] = re * c_re - im * c_im
        points[4, i] = re * c_im + im * c_re


@njit(cache=True, nogil=True)
def find_packets(x, base, end, filters, even, first, reached, search, rotations, segment, limits, hold, settings, candidates,
                 states, raw, turned, phases, positions, soft):
    """Look for packets on a quiet line, and follow each to its end or as far as the line reaches.

    Headers are looked for at every other narrow sample; those between are computed beside a hint at one. Behind an end word the
    search goes on where the packet has ended, whether its CRC holds or not: whoever checks that can go back.
    x .. filters, settings: see track_on_line. even: (M,) complex64, narrow samples 2 * first, 2 * first + 2, ..., computed as
    they are needed, 0 within packets; reached: narrow samples that x is enough for.
    search: (5,) float64 = next narrow sample to look at, even; sample with the largest statistic of the present run; that
    statistic, 0 for no run; even narrow samples that there are, those before `first` counted; narrow samples to be searched at
    once, doubled each time; updated. rotations, segment: see correlate_header; hold: see pick_peaks;
    limits: (6,) float64 = statistic that hints at a header, statistic of one, largest frequency (rad per bit) and samples of a
    quiet stretch for acquire_header, samples searched at once behind a packet and at most.
    Written for each packet: candidates (K, 12) float64 = what acquire_header returns, statistic, what followed (see
    track_packet), `search` before the packet was left out; states (K, 11), raw .. soft, (K, ...): see track_packet.
    Returns their number; the last one has not ended, or not with an end word, unless there was no room or no other packet.
    """
    for k in range(candidates.shape[0]):
        found = candidates[k]
        if not _next_header(x, base, filters, even, first, reached, search, rotations, segment, limits, hold, settings, found):
            return k
        states[k] = (0.0, found[0], found[1], found[2], max(found[3], 1e-12), 0.0, 0.0, 0.0, 0.0, 0.5, found[4])
        status = track_on_line(x, base, end, filters, settings, states[k], raw[k], turned[k], phases[k], positions[k], soft[k])
        found[6] = status
        found[7:12] = search
        if status != 1:
            return k + 1
        leave_out(positions[k, int(states[k, 0]) - 1], even, first, limits, search)
    return candidates.shape[0]


@njit(cache=True, nogil=True)
def leave_out(last, even, first, limits, search):
    """Search from narrow sample `last` on, and leave out samples before it that nobody looks at; see find_packets."""
    search[0] = 2.0 * np.ceil(0.5 * last)
    search[2] = 0.0
    search[4] = limits[4]
    needed = min(int(search[0] - 2 * limits[3]) // 2 - 16, first + even.size)
    if search[3] < needed:
        even[int(search[3]) - first : needed - first] = 0.0
        search[3] = needed


@njit(cache=True, nogil=True)
def _next_header(x, base, filters, even, first, reached, search, rotations, segment, limits, hold, settings, found):
    """Goes on to the next header: True, and `found` is written, see find_packets; False when there is none so far."""
    header, stride = settings[0], settings[1]
    span = (header.size - 1) * stride
    ahead = span + 2 * stride  # acquisition looks a few samples beyond the header
    while True:
        next = int(search[0])
        limit = min(next + int(search[4]) + ahead, reached)
        count = (limit - ahead - next + 1) // 2
        if count <= 0:
            return False
        _compute_even(x, base, filters, even, first, (limit + 1) // 2, search)
        stat = np.empty(count, np.float32)
        correlate_header(even[next // 2 - first : next // 2 - first + count + span // 2], header, stride // 2, segment,
                         rotations, limits[0], stat)
        for i in range(count):
            if stat[i] > limits[0] and stat[i] > search[2]:
                search[1] = next + 2 * i
                search[2] = stat[i]
            elif search[2] > 0.0 and next + 2 * i - search[1] >= hold:
                search[0] = next + 2 * i + 2
                search[2] = 0.0
                if _acquire_on_line(x, base, filters, even, first, int(search[1]), rotations, segment, limits, settings, found):
                    return True
                break
        else:
            search[0] = next + 2 * count
            search[4] = min(2.0 * search[4], limits[5])


@njit(cache=True, nogil=True)
def _compute_even(x, base, filters, even, first, stop, search):
    """The even narrow samples before number `stop` of them."""
    hop, half, taps_re, taps_im, _, _, _, table, phase_step = filters
    done = int(search[3])
    if done < stop:
        direct_baseband(x, base, 2 * done, 2, hop, half, taps_re, taps_im, table, phase_step, even[done - first : stop - first])
        search[3] = stop


@njit(cache=True, nogil=True)
def _acquire_on_line(x, base, filters, even, first, at, rotations, segment, limits, settings, found):
    """Whether there is a header at narrow sample `at` or beside it; what is known of it is written to `found`."""
    hop, half, taps_re, taps_im, _, _, _, table, phase_step = filters
    header, stride = settings[0], settings[1]
    span = (header.size - 1) * stride
    quiet = int(limits[3])
    low = max((at - 2 * quiet - 4 * stride) // 2, first)
    high = (at + span + 2 * stride + 2) // 2
    y = np.empty(2 * (high - low), np.complex64)
    y[0::2] = even[low - first : high - first]
    odd = np.empty(high - low, np.complex64)
    direct_baseband(x, base, 2 * low + 1, 2, hop, half, taps_re, taps_im, table, phase_step, odd)
    y[1::2] = odd
    stat = np.empty(3, np.float32)
    here = at - 2 * low
    correlate_header(y[here - 1 : here + 2 + span], header, stride, segment, rotations, limits[1], stat)
    best = np.argmax(stat)
    if stat[best] <= limits[1]:
        return False
    here += best - 1
    position, phase, freq, amplitude, noise = acquire_header(
        y[: here + span + 2 * stride], here, header, stride, limits[2], 1.0, quiet
    )
    found[:6] = (position + 2 * low, phase, freq, amplitude, noise, np.float64(stat[best]))
    return True
