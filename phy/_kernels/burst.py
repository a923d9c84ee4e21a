"""Kernels of the second look: a packet's waveform against what it would be for every pair of neighbouring bits.

Between the centres of bits i and i + 1 the waveform is one of four: +1, -1, or a transition up or down, because a
bit's pulse ends where the next but one begins. So a trellis of two states, the last bit, holds all of it.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def branch_metrics(z, at, step, edge, gains, weights, clip, metrics):
    """Log-likelihood of every transition, up to a constant.

    z: (N,) complex64 baseband; at: fractional index of bit 0's centre; step: samples per bit; edge: (K,) float32, a
    transition from -1 to +1 between two centres; gains: (B,) complex64, the carrier at each bit (amplitude and phase);
    weights: (B,) float32, 1 / noise variance of a sample at each bit; clip: a sample tells at most this much, so that an
    impulse counts for nothing.
    metrics: (B - 1, 2, 2) float32, written: [i, left, right] for the branch from bit i to bit i + 1, 1 for a +1.
    """
    last = edge.size - 1
    limit = np.float32(clip)
    for i in range(metrics.shape[0]):
        start = max(int(np.ceil(at + i * step)), 0)
        stop = min(int(np.ceil(at + (i + 1) * step)), z.size)
        m0 = np.float32(0.0)
        m1 = np.float32(0.0)
        m2 = np.float32(0.0)
        m3 = np.float32(0.0)
        g0 = gains[i]
        slope = gains[i + 1] - g0
        w = np.float32(0.5) * (weights[i] + weights[i + 1])
        for n in range(start, stop):
            v = np.float32((n - at) / step - i)
            g_re = g0.real + v * slope.real
            g_im = g0.imag + v * slope.imag
            c = edge[min(max(int(v * np.float32(last) + np.float32(0.5)), 0), last)]
            power = w * (z[n].real * z[n].real + z[n].imag * z[n].imag)
            along = np.float32(2.0) * w * (z[n].real * g_re + z[n].imag * g_im)
            own = w * (g_re * g_re + g_im * g_im)
            bent = power + c * c * own
            flat = power + own
            m0 -= min(flat + along, limit)
            m1 -= min(bent - c * along, limit)
            m2 -= min(bent + c * along, limit)
            m3 -= min(flat - along, limit)
        metrics[i, 0, 0] = m0
        metrics[i, 0, 1] = m1
        metrics[i, 1, 0] = m2
        metrics[i, 1, 1] = m3


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def fit_waveform(z, at, step, edge, signs, gains, limits,
                 correlation, energy, lateness, slope_energy, residual, inliers, quiet):
    """How well a packet with these bits explains the samples, bit by bit.

    z, at, step, edge, gains: as branch_metrics; signs: (B,) float32 of +-1; limits: (B,) float32, squared errors beyond it are
    left out (inf: none). Written per bit k, of the samples nearest to its centre, those left out not counted:
    correlation (B,) complex64 = sum z a; energy (B,) float32 = sum a^2; lateness (B,) float32 = sum Re(e conj(g)) a',
    slope_energy (B,) float32 = sum |g|^2 a'^2, a' per bit; residual (B,) float32 = sum |e|^2, inliers (B,) float32 = samples
    counted; quiet (B,) float32 = three times the mean of the least of three |e|^2 a third of a bit apart, the mean of
    Gaussian noise whatever impulses are in it; e = z - g a.
    """
    last = edge.size - 1
    errors = np.empty(int(step) + 3, np.float32)
    for k in range(signs.size):
        start = max(int(np.ceil(at + (k - 0.5) * step)), 0)
        stop = min(int(np.ceil(at + (k + 0.5) * step)), z.size)
        c_re = np.float32(0.0)
        c_im = np.float32(0.0)
        total = np.float32(0.0)
        late = np.float32(0.0)
        bend = np.float32(0.0)
        left_over = np.float32(0.0)
        count = 0
        seen = 0
        for n in range(start, stop):
            u = (n - at) / step
            i = min(max(int(np.floor(u)), 0), signs.size - 2)
            v = np.float32(u - i)
            g = gains[i] + v * (gains[i + 1] - gains[i])
            a = signs[i]
            rise = np.float32(0.0)
            if signs[i] != signs[i + 1]:
                place = min(max(int(v * np.float32(last) + np.float32(0.5)), 1), last - 1)
                a = signs[i + 1] * edge[place]
                rise = signs[i + 1] * (edge[place + 1] - edge[place - 1]) * np.float32(0.5 * last)
            if u < 0.0:
                a = signs[0]
            elif u > signs.size - 1:
                a = signs[signs.size - 1]
            e = z[n] - g * a
            power = e.real * e.real + e.imag * e.imag
            errors[seen] = power
            seen += 1
            if power <= limits[k]:
                c_re += z[n].real * a
                c_im += z[n].imag * a
                total += a * a
                late += (e.real * g.real + e.imag * g.imag) * rise
                bend += (g.real * g.real + g.imag * g.imag) * rise * rise
                left_over += power
                count += 1
        correlation[k] = np.complex64(complex(c_re, c_im))
        energy[k] = total
        lateness[k] = late
        slope_energy[k] = bend
        residual[k] = left_over
        inliers[k] = count
        third = seen // 3
        least = np.float32(0.0)
        for j in range(third):
            least += min(errors[j], min(errors[j + third], errors[j + 2 * third]))
        quiet[k] = np.float32(3.0) * least / np.float32(max(third, 1))


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def render(at, step, edge, signs, gains, y):
    """The packet as it would arrive alone: y[n] = g a at sample n, 0 outside of the bits' centres.

    at, step, edge, signs, gains: as fit_waveform; y: (N,) complex64, written.
    """
    last = edge.size - 1
    for n in range(y.size):
        u = (n - at) / step
        if u < -0.5 or u > signs.size - 0.5:
            y[n] = 0.0
            continue
        i = min(max(int(np.floor(u)), 0), signs.size - 2)
        v = np.float32(min(max(u - i, 0.0), 1.0))
        g = gains[i] + v * (gains[i + 1] - gains[i])
        a = signs[i]
        if signs[i] != signs[i + 1]:
            a = signs[i + 1] * edge[int(v * np.float32(last) + np.float32(0.5))]
        y[n] = g * a


@njit(cache=True, nogil=True)
def soft_bits(metrics, soft):
    """Max-log a posteriori bits of the trellis alone, without the word code (Bahl, Cocke, Jelinek, Raviv 1974, max-log form).

    metrics: (B - 1, S, 2) float32, as word_scores; soft: (B,) float32, written, + means 0, in units of log-likelihood.
    """
    count = metrics.shape[0] + 1
    states = metrics.shape[1]
    last = states - 1
    ahead = np.zeros((count, states), np.float32)
    for i in range(count - 1):
        for s in range(states):
            ahead[i + 1, s] = np.float32(-1e30)
        for s in range(states):
            for r in range(2):
                t = ((s << 1) | r) & last
                ahead[i + 1, t] = max(ahead[i + 1, t], ahead[i, s] + metrics[i, s, r])
        top = ahead[i + 1].max()
        for s in range(states):
            ahead[i + 1, s] -= top
    back = np.zeros(states, np.float32)
    fresh = np.empty(states, np.float32)
    for i in range(count - 1, -1, -1):
        zero = np.float32(-1e30)
        one = np.float32(-1e30)
        for s in range(states):
            value = ahead[i, s] + back[s]
            if s & 1:
                one = max(one, value)
            else:
                zero = max(zero, value)
        soft[i] = zero - one
        if i > 0:
            for s in range(states):
                fresh[s] = max(metrics[i - 1, s, 0] + back[(s << 1) & last], metrics[i - 1, s, 1] + back[((s << 1) | 1) & last])
            top = fresh.max()
            for s in range(states):
                back[s] = fresh[s] - top


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def echo_metrics(z, at, step, edge, signs, gains, delays, echoes, weights, clip, metrics):
    """Log-likelihood of every three bits in a row on a line with echoes, up to a constant.

    z, at, step, edge, gains, weights, clip: as branch_metrics; signs: (B,) float32 of +-1, bits that are taken as decided where
    a path reaches beyond the three; delays: (L,) float64, bit times, and echoes: (L,) complex64, amplitudes over the direct
    path's, of all paths, the direct one included.
    metrics: (B - 1, 4, 2) float32, written: [i, 2 * bit i - 1 + bit i, bit i + 1].
    """
    limit = np.float32(clip)
    one = np.float32(1.0)
    last = edge.size - 1
    bits = np.empty((8, 9), np.float32)  # of each hypothesis, from bit i - 4 to bit i + 4
    wave = np.empty(8, np.complex64)
    for i in range(metrics.shape[0]):
        start = max(int(np.ceil(at + i * step)), 0)
        stop = min(int(np.ceil(at + (i + 1) * step)), z.size)
        w = np.float32(0.5) * (weights[i] + weights[i + 1])
        for h in range(8):
            for j in range(9):
                k = i - 4 + j
                bits[h, j] = signs[k] if 0 <= k < signs.size else np.float32(0.0)
            if i > 0:
                bits[h, 3] = one if h & 4 else -one
            bits[h, 4] = one if h & 2 else -one
            bits[h, 5] = one if h & 1 else -one
            metrics[i, h >> 1, h & 1] = 0.0
        for n in range(start, stop):
            u = (n - at) / step
            g = gains[i] + np.float32(u - i) * (gains[i + 1] - gains[i])
            for h in range(8):
                wave[h] = 0.0
            for path in range(delays.size):
                place = u - delays[path]
                whole = int(np.floor(place))
                rise = edge[min(int((place - whole) * last + 0.5), last)]
                up = np.float32(0.5) * (one + rise)  # share of the later of the two bits
                down = one - up
                j = min(max(whole - i + 4, 0), 7)
                for h in range(8):
                    wave[h] += echoes[path] * (down * bits[h, j] + up * bits[h, j + 1])
            for h in range(8):
                e = z[n] - g * wave[h]
                metrics[i, h >> 1, h & 1] -= min(w * (e.real * e.real + e.imag * e.imag), limit)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def word_scores(metrics, first, lines, length, start_state, tail, scores):
    """Log-likelihood of every octet at every word position: of the best sequence of words that has it there.

    metrics: (M, S, 2) float32, log-likelihood of each branch from a state, the last one or two bits on the line, to the next bit;
    first: branch that leads into the first bit of the first word; lines: (2, 256)
    int64, the bits on the line of each octet's word, first bit most significant, when the bit before it was 0 and 1 (they differ
    only with differential encoding); length: bits of a word; start_state: the bits before the first word; tail: (S,) float32,
    what follows the last word, from each state.
    scores: (W, 256) float32, written (max-marginals of a Viterbi search over whole words, both ways).
    """
    words = scores.shape[0]
    states = metrics.shape[1]
    leading = length // 2
    trailing = length - leading
    own = np.empty((words, states, 256), np.float32)
    first_half = np.empty((states, 1 << leading), np.float32)
    second_half = np.empty((states, 1 << trailing), np.float32)
    scratch = np.empty(1 << max(leading, trailing), np.float32)
    mask = (1 << trailing) - 1
    last = states - 1
    ahead = np.full((words + 1, states), np.float32(-1e30))
    ahead[0, start_state] = 0.0
    for p in range(words):
        branch = first + p * length
        for s in range(states):
            _grow(metrics, branch, leading, s, first_half[s], scratch)
            _grow(metrics, branch + leading, trailing, s, second_half[s], scratch)
        for s in range(states):
            for o in range(256):
                line = lines[s & 1, o]
                value = first_half[s, line >> trailing] + second_half[(line >> trailing) & last, line & mask]
                own[p, s, o] = value
                end = line & last
                ahead[p + 1, end] = max(ahead[p + 1, end], ahead[p, s] + value)
        top = ahead[p + 1].max()
        for s in range(states):
            ahead[p + 1, s] -= top
    back = tail.copy()
    fresh = np.empty(states, np.float32)
    for p in range(words - 1, -1, -1):
        for s in range(states):
            fresh[s] = np.float32(-1e30)
        for o in range(256):
            scores[p, o] = np.float32(-1e30)
        for s in range(states):
            for o in range(256):
                value = own[p, s, o] + back[lines[s & 1, o] & last]
                fresh[s] = max(fresh[s], value)
                scores[p, o] = max(scores[p, o], ahead[p, s] + value)
        top = fresh.max()
        for s in range(states):
            back[s] = fresh[s] - top


@njit(cache=True, nogil=True)
def _grow(metrics, branch, bits, state, sums, scratch):
    """sums[pattern] of every pattern of `bits` bits, first bit most significant, when the bits before them were `state`."""
    last = metrics.shape[1] - 1
    sums[0] = 0.0
    size = 1
    for i in range(bits):
        for pattern in range(size):
            scratch[pattern] = sums[pattern]
        for pattern in range(size):
            s = ((state << i) | pattern) & last
            sums[2 * pattern] = scratch[pattern] + metrics[branch + i, s, 0]
            sums[2 * pattern + 1] = scratch[pattern] + metrics[branch + i, s, 1]
        size *= 2
