"""Kernels from samples to packets: the filter from the line, headers, acquisition, and following a packet to its end.

The ones that look for packets and follow them call the others, and numba does not see an edit in another file: all are here.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _filter_at(x, starts, taps_re, taps_im, y):
    """y[i] = complex FIR filter of real samples, from x[starts[i]] on; taps: (L,), L a multiple of 16: no remainder is left.

    Four outputs at once share the loads of the taps. At the end some are computed twice rather than in another loop, which
    might round differently.
    """
    length = taps_re.size
    last = y.size - 1
    for i in range(0, y.size, 4):
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        a = x[starts[i] : starts[i] + length]
        b = x[starts[i1] : starts[i1] + length]
        c = x[starts[i2] : starts[i2] + length]
        d = x[starts[i3] : starts[i3] + length]
        a_re = a_im = b_re = b_im = c_re = c_im = d_re = d_im = np.float32(0.0)
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
        y[i] = np.complex64(complex(a_re, a_im))
        y[i1] = np.complex64(complex(b_re, b_im))
        y[i2] = np.complex64(complex(c_re, c_im))
        y[i3] = np.complex64(complex(d_re, d_im))


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _turns(n, phase_step, table):
    """exp(-2 pi j n phase_step / 2**64) of every n, from a table of one turn and, for what is left of the angle, a series."""
    turns = np.empty(n.size, np.complex64)
    for i in range(n.size):
        at = np.float64((np.uint64(n[i]) * phase_step) >> np.uint64(11)) * 2.0**-53 * table.size
        whole = int(at)
        f = table[whole]
        left = np.float32(-2.0 * np.pi * (at - whole) / table.size)
        c = np.float32(1.0) - np.float32(0.5) * left * left
        s = left - left * left * left * np.float32(1.0 / 6.0)
        turns[i] = np.complex64(complex(f.real * c - f.imag * s, f.imag * c + f.real * s))
    return turns


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def direct_baseband(x, base, first, every, hop, half, taps_re, taps_im, table, phase_step, y):
    """One carrier's filtered baseband straight from line samples: y[i] belongs to line position (first + i * every) * hop.

    The filter is evaluated at the line sample n nearest to that position, and turned by -n of the carrier's cycles.
    x: (N,) float32, x[0] is line sample `base`; half: taps before n; taps_re, taps_im: (L,) float32, the band-pass filter, L a
    multiple of 16; table: (T,) complex64, exp(-2 pi j t / T); phase_step: uint64, carrier cycles per line sample in units of
    2**-64; y: (M,) complex64, written.
    """
    n = np.floor((first + np.arange(y.size) * every) * hop + 0.5).astype(np.int64)
    _filter_at(x, n - (half + base), taps_re, taps_im, y)
    y *= _turns(n, phase_step, table)


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
    parts_re, parts_im = np.empty((2, segments, tile), np.float32)
    span = (length - 1) * stride
    floor = np.float32(0.999 * least * length)  # of the energy; single precision may be off in its last digits
    powers = np.empty(tile + span, np.float32)
    y_re, y_im = np.empty((2, tile + span), np.float32)
    grouped = np.empty(tile + (whole - 1) * segment * stride, np.float32)  # power of a segment's bits
    energy, most = np.empty((2, tile), np.float32)
    for start in range(0, stat.size, tile):
        count = min(tile, stat.size - start)
        v = y[start : start + count + span]
        for n in range(v.size):
            y_re[n] = v[n].real
            y_im[n] = v[n].imag
            powers[n] = v[n].real * v[n].real + v[n].imag * v[n].imag
        group = grouped[: count + (whole - 1) * segment * stride]
        group[:] = 0.0
        for k in range(segment):
            p = powers[k * stride : k * stride + group.size]
            for n in range(group.size):
                group[n] += p[n]
        energy[:count] = 0.0
        most[:count] = 0.0
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
            re, im = parts_re[s], parts_im[s]
            re[:count] = 0.0
            im[:count] = 0.0
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
        total = np.complex64(0.0)
        for s in range(rotations.shape[1]):
            total += np.complex64(complex(parts_re[s, n], parts_im[s, n])) * rotations[b, s]
        best = max(best, total.real * total.real + total.imag * total.imag)
    return best


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _cubic_weights(mu):
    """Weights of the samples at -1, 0, 1 and 2 in the cubic through them (Lagrange), at mu = 0..1."""
    inner = mu * (mu - 1.0)
    outer = (mu + 1.0) * (mu - 2.0)
    return (inner * (2.0 - mu) * (1.0 / 6.0), outer * (mu - 1.0) * 0.5, outer * mu * -0.5, inner * (mu + 1.0) * (1.0 / 6.0))


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _weighted(v, weights):
    """Four samples by these weights, in real numbers: a real factor times a complex one would be multiplied out in full."""
    a, b, c, d = weights
    re = (a * v[0].real + b * v[1].real) + (c * v[2].real + d * v[3].real)
    im = (a * v[0].imag + b * v[1].imag) + (c * v[2].imag + d * v[3].imag)
    return re, im


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
    segment, steps, fractions = 5, 6, 9
    parts = np.empty((length + segment - 1) // segment, np.complex128)
    best, best_position, best_freq = -1.0, float(start), 0.0
    for f in range(-(fractions // 2), fractions // 2 + 1):
        position = start + reach * f / (fractions // 2)
        _header_bits(y, position, stride, pattern, bits)
        for s in range(parts.size):
            parts[s] = bits[s * segment : (s + 1) * segment].sum()
        for g in range(-steps, steps + 1):
            power = _turned_power(parts, segment * max_step * g / steps)
            if power > best:
                best = power
                best_position = position
                best_freq = max_step * g / steps
    _header_bits(y, best_position, stride, pattern, bits)
    width = max_step / steps
    for _ in range(4):  # parabola through three points, narrower each time
        left, right = _turned_power(bits, best_freq - width), _turned_power(bits, best_freq + width)
        middle = _turned_power(bits, best_freq)
        bend = left - 2.0 * middle + right
        if bend < 0.0:
            best_freq += width * min(max(0.5 * (left - right) / bend, -1.0), 1.0)
        width *= 0.5
    total = _turned_sum(bits, best_freq)
    noise = 0.0
    last = start - 2 * stride
    if last >= 2 * quiet:
        v = y[last - 2 * quiet : last]
        power = v.real**2 + v.imag**2
        noise = min(power[:quiet].sum(), power[quiet:].sum()) / quiet
    return best_position, np.angle(total), best_freq, abs(total) / length, noise


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _turned_sum(bits, freq):
    """Sum of the bits turned back by freq rad each."""
    turn = np.exp(-1j * freq)
    total = 0.0j
    for k in range(bits.size - 1, -1, -1):
        total = total * turn + bits[k]
    return total


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _turned_power(bits, freq):
    total = _turned_sum(bits, freq)
    return total.real * total.real + total.imag * total.imag


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _header_bits(y, position, stride, pattern, bits):
    """bits[k] = pattern[k] * y(position + k * stride), by the cubic: all bits lie between their samples alike."""
    whole = int(np.floor(position))
    weights = _cubic_weights(position - whole)
    for k in range(bits.size):
        re, im = _weighted(y[whole + k * stride - 1 : whole + k * stride + 3], weights)
        bits[k] = complex(pattern[k] * re, pattern[k] * im)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _follow(points, settings, state, raw, turned, phases, positions, soft):
    """The header, or one word, from the baseband near its bits.

    points: (5, B) float64 = narrow sample near bit i's centre, baseband there (real, imaginary), slope per narrow
    sample (real, imaginary); the rest: see track_packet. Returns 0, or 1 for the end word, 2 when the signal is lost.
    """
    header, stride, cycles_per_bit, K1, K2, Kt, decay, words, inverse, end_word, lost, differential = settings
    drift = stride / (2.0 * np.pi * cycles_per_bit)
    count = points.shape[1]
    bits_done = int(state[0])
    at, phase, freq, amplitude, previous = state[1], state[2], state[3], state[4], state[7]
    words_done = int(state[8])
    is_header = bits_done == 0
    in_phase = quadrature = 0.0
    turn = complex(np.cos(phase), -np.sin(phase))
    unit = 1.0 / amplitude
    for i in range(count):
        rise_re, rise_im = points[3, i], points[4, i]
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
        amplitude = max(amplitude + decay * (decision * z.real - amplitude), 1e-12)
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
    that may be used; settings, state (updated): see phy.tracking.
    Written for each bit: raw (B,) complex64, turned (B,) complex64 = raw exp(-j phase), phases (B,) float64, positions (B,)
    float64, and for each word soft (W, n) float32 in units of the amplitude, + means 0.
    Returns 0 more samples are needed, 1 the end word came, 2 the signal is lost, 3 there is no room for another word.
    """
    header, stride, cycles_per_bit = settings[0], settings[1], settings[2]
    points = np.empty((5, max(header.size, soft.shape[1])))
    while True:
        if state[8] >= soft.shape[0]:
            return 3
        count = header.size if state[0] == 0.0 else soft.shape[1]
        if state[1] + count * stride + 4 >= available:
            return 0
        step = stride * (1.0 - state[3] / (2.0 * np.pi * cycles_per_bit))
        for i in range(count):
            at = points[0, i] = state[1] + i * step
            # The fraction does not depend on the base, not even in its last digit. The slope: from one sample to either side.
            whole = int(np.floor(at))
            weights = _cubic_weights(at - whole)
            v = y[whole - base - 2 : whole - base + 4]
            points[1, i], points[2, i] = _weighted(v[1:], weights)
            before, after = _weighted(v, weights), _weighted(v[2:], weights)
            points[3, i], points[4, i] = 0.5 * (after[0] - before[0]), 0.5 * (after[1] - before[1])
        status = _follow(points[:, :count], settings, state, raw, turned, phases, positions, soft)
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
    points = np.empty((5, max(header.size, soft.shape[1])))
    behind = max(taps_re.size - half, slope_re.size - around)
    while True:
        if state[8] >= soft.shape[0]:
            return 3
        count = header.size if state[0] == 0.0 else soft.shape[1]
        step = stride * (1.0 - state[3] / (2.0 * np.pi * cycles_per_bit))
        if np.floor((state[1] + (count - 1) * step) * hop + 0.5) + behind > end:
            return 0
        _points_on_line(x, base, state[1], step, filters, points[:, :count])
        status = _follow(points[:, :count], settings, state, raw, turned, phases, positions, soft)
        if status:
            return status


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})
def _points_on_line(x, base, at, step, filters, points):
    """What _follow wants to know of bits, the first at narrow sample `at` and `step` apart, as many as points holds."""
    hop, half, taps_re, taps_im, around, slope_re, slope_im, table, phase_step = filters
    count = points.shape[1]
    n = np.floor((at + np.arange(count) * step) * hop + 0.5).astype(np.int64)
    values, slopes = np.empty((2, count), np.complex64)
    _filter_at(x, n - (base + half), taps_re, taps_im, values)
    _filter_at(x, n - (base + around), slope_re, slope_im, slopes)
    turns = _turns(n, phase_step, table)
    for i in range(count):
        points[0, i] = n[i] / hop
        value = values[i] * turns[i]
        slope = slopes[i] * turns[i]
        points[1, i], points[2, i], points[3, i], points[4, i] = value.real, value.imag, slope.real, slope.imag


@njit(cache=True, nogil=True)
def find_packets(x, base, end, filters, even, first, reached, search, rotations, segment, limits, hold, settings, candidates,
                 states, raw, turned, phases, positions, soft):
    """Look for packets on a quiet line, and follow each to its end or as far as the line reaches.

    Headers are looked for at every other narrow sample; those between are computed beside a hint. Behind an end word the search
    goes on where the packet has ended, whether its CRC holds or not: whoever checks that can go back.
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
    hop, half, taps_re, taps_im, _, _, _, table, phase_step = filters
    header, stride = settings[0], settings[1]
    span = (header.size - 1) * stride
    ahead = span + 2 * stride  # acquisition looks a few samples beyond the header
    while True:
        next = int(search[0])
        limit = min(next + int(search[4]) + ahead, reached)
        count = (limit - ahead - next + 1) // 2
        if count <= 0:
            return False
        done = int(search[3])
        search[3] = max(done, (limit + 1) // 2)
        direct_baseband(x, base, 2 * done, 2, hop, half, taps_re, taps_im, table, phase_step,
                        even[done - first : int(search[3]) - first])
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
    direct_baseband(x, base, 2 * low + 1, 2, hop, half, taps_re, taps_im, table, phase_step, y[1::2])
    stat = np.empty(3, np.float32)
    here = at - 2 * low
    correlate_header(y[here - 1 : here + 2 + span], header, stride, segment, rotations, limits[1], stat)
    best = np.argmax(stat)
    if stat[best] <= limits[1]:
        return False
    here += best - 1
    y = y[: here + span + 2 * stride]
    position, phase, freq, amplitude, noise = acquire_header(y, here, header, stride, limits[2], 1.0, quiet)
    found[:6] = (position + 2 * low, phase, freq, amplitude, noise, np.float64(stat[best]))
    return True
