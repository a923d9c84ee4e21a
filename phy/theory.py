"""Closed-form truth for measurements: error ratios, detection, gains in impulsive noise, and the Es/N0 that they need.

Es/N0: energy of a coded bit over the one-sided noise density, dB. Eb/N0 is the same where a bit is not coded.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erfc, gammaln
from scipy.stats import binom, chi2, ncf, ncx2

from .errors import ConfigurationError
from .symbol_level import simulate_words
from .words import WordCode

_ENOUGH_ERRORS: Final = 6000  # of a simulated word error ratio: standard error 1.3 %, about 0.01 dB
_FEWEST_ERRORS: Final = 1000  # below, the union bound is nearer (it is 3 % high at a word error ratio of 1e-4)
_CHUNK_WORDS: Final = 1 << 18
_MOST_WORDS: Final = 1 << 23
_GRID_DB: Final = 0.25  # spacing of simulated points; between them log WER is a cubic
_SEED: Final = 103_908
_CRC_BITS: Final = 16


def linear(value_db: float) -> float:
    """10^(dB/10)."""
    return float(10.0 ** (value_db / 10))


def q_function(x: float) -> float:
    """Probability that a normal number exceeds x."""
    return float(0.5 * erfc(x / math.sqrt(2)))


def ber_bpsk(esn0_db: float) -> float:
    """Bit error ratio of coherent BPSK: erfc(sqrt(Es/N0)) / 2 (Proakis and Salehi, Digital Communications; unverified)."""
    return float(0.5 * erfc(math.sqrt(linear(esn0_db))))


def ber_de_bpsk(esn0_db: float) -> float:
    """Differentially encoded, coherently detected BPSK: 2 p (1 - p), a bit is wrong when one of two decisions is."""
    p = ber_bpsk(esn0_db)
    return 2 * p * (1 - p)


def ber_dbpsk(esn0_db: float) -> float:
    """Differentially detected BPSK: exp(-Es/N0) / 2 (same source)."""
    return 0.5 * math.exp(-linear(esn0_db))


def uncoded_word_error_ratio(esn0_db: float, bits: int = 8) -> float:
    """A word of `bits` unprotected bits is wrong when one of them is: 1 - (1 - p)^bits."""
    return -math.expm1(bits * math.log1p(-ber_bpsk(esn0_db)))


def parity_word_error_ratio(esn0_db: float, bits: int = 9) -> float:
    """Word error ratio of a single-parity code under maximum likelihood, which is Wagner's rule: invert the weakest bit.

        P_c = (1 - p)^n + n int_0^inf f(x) Q((x - 1) / sigma)^(n - 1) dx

    with f the density of a bit that came out wrong by x and sigma^2 = N0 / (2 Es): no bit is wrong, or one is and all others
    are right by more (Silverman and Balser, Proc. IRE 42 (1954), 1428-1435; clause unverified).

    Args:
        bits: n, bits under the check, the parity bit included, at least 2.
    """
    if bits < 2:
        raise ConfigurationError(f"bits must be at least 2, got {bits}")
    sigma = math.sqrt(0.5 / linear(esn0_db))
    scale = 1.0 / (sigma * math.sqrt(2 * math.pi))

    def one_wrong(x: float) -> float:
        weaker = 0.5 * erfc((1 - x) / (sigma * math.sqrt(2)))  # a right bit is weaker than x
        any_weaker = -math.expm1((bits - 1) * math.log1p(-weaker)) if weaker < 1 else 1.0
        return float(scale * math.exp(-0.5 * ((x + 1) / sigma) ** 2) * any_weaker)

    # As n int f = n p,  1 - P_c = [1 - (1 - p)^n - n p] + n int f (1 - Q^(n-1)):  free of cancellation but for the bracket.
    p = ber_bpsk(esn0_db)
    one = bits * quad(one_wrong, 0, 1 + 40 * sigma, limit=400, points=[0.1, 0.5, 1.0], epsabs=0, epsrel=1e-10)[0]
    several = -math.expm1(bits * math.log1p(-p)) - bits * p
    if p < 1e-3:  # the same as a series
        several = sum((-1) ** (k + 1) * math.comb(bits, k) * p**k for k in range(2, bits + 1))
    return float(min(1.0, max(0.0, several + one)))


def packet_error_ratio(word_error_ratio: float, octets: int) -> float:
    """1 - (1 - WER)^N: a packet of N octets is wrong when one of its words is."""
    if word_error_ratio >= 1.0:
        return 1.0
    return -math.expm1(octets * math.log1p(-word_error_ratio))


def required_esn0_db(error_ratio: Callable[[float], float], target: float, low: float = -20.0, high: float = 40.0) -> float:
    """The Es/N0 (dB) at which a falling error ratio meets `target`.

    Args:
        error_ratio: Es/N0 in dB -> 0..1, falling. target: (0, 1). low, high: dB, the root is between.
    Raises:
        ConfigurationError: the target is not met between low and high.
    """
    floor = 1e-300

    def distance(esn0_db: float) -> float:
        return math.log(max(error_ratio(esn0_db), floor)) - math.log(target)

    if not 0 < target < 1:
        raise ConfigurationError(f"target must be in (0, 1), got {target}")
    if distance(low) < 0 or distance(high) > 0:
        raise ConfigurationError(f"an error ratio of {target:g} is not met between {low:g} and {high:g} dB")
    return float(brentq(distance, low, high, xtol=1e-6))


@dataclass(frozen=True, slots=True)
class IdealRatio:
    """An error ratio that no decoder of single words can undercut.

    Attributes:
        value: 0..1. standard_error: of the value, 0 when it is exact. method: "exact", "simulated" or "union bound" (an upper
            bound, 3 % high at 1e-4 and nearer below).
    """

    value: float
    standard_error: float
    method: str


def ideal_word_error_ratio(code: WordCode, esn0_db: float) -> IdealRatio:
    """Word error ratio of maximum-likelihood soft decoding, everything synchronised, for any word code.

    Exact for codes with at most one check over bits that change. Else simulated with a fixed seed on a grid of 0.25 dB up to
    6000 errors (standard error 1.3 %, about 0.01 dB) and interpolated; where 2^23 words give fewer than 1000 errors, the union
    bound sum_d A_d Q(sqrt(2 d Es/N0)). Points are kept, so that a second call costs nothing.
    """
    checked = single_check_bits(code)
    if checked is not None:
        free = int(code.live.sum()) - checked
        right = 1.0 - uncoded_word_error_ratio(esn0_db, free) if free else 1.0
        wrong = parity_word_error_ratio(esn0_db, checked) if checked else 0.0
        return IdealRatio(float(1 - right + right * wrong), 0.0, "exact")
    table = code.table.tobytes()
    cell = math.floor(esn0_db / _GRID_DB)
    points = [_grid_point(table, code.length, k) for k in (cell - 1, cell, cell + 1, cell + 2)]
    logs = [math.log(point.value) for point in points]
    mu = esn0_db / _GRID_DB - cell
    weights = (  # Lagrange's cubic through -1, 0, 1, 2
        -mu * (mu - 1) * (mu - 2) / 6,
        (mu + 1) * (mu - 1) * (mu - 2) / 2,
        -(mu + 1) * mu * (mu - 2) / 2,
        (mu + 1) * mu * (mu - 1) / 6,
    )
    value = math.exp(sum(w * log for w, log in zip(weights, logs, strict=True)))
    near = points[1] if mu < 0.5 else points[2]
    return IdealRatio(min(1.0, value), value * near.standard_error / near.value, near.method)


def ideal_packet_error_ratio(code: WordCode, octets: int, esn0_db: float) -> float:
    """Packet error ratio of ideal soft decoding word by word, for any word code: 1 - (1 - WER)^octets.

    Accuracy as of `ideal_word_error_ratio`: exact for single-parity codes, 0.01 dB for others.
    """
    return packet_error_ratio(ideal_word_error_ratio(code, esn0_db).value, octets)


def single_check_bits(code: WordCode) -> int | None:
    """How many bits stand under the code's one check over bits that change; 0 without any check, None with several."""
    live = int(code.live.sum())
    affine = code.checks.shape[0] == code.length - 8
    if not affine or live > 9:
        return None
    # The checks of constant bits have one column each; what remains, on the live bits, is one row at most.
    rows = {tuple(row) for row in code.checks[:, code.live].tolist() if any(row)}
    return sum(rows.pop()) if rows else 0


def union_bound(code: WordCode, esn0_db: float) -> float:
    """Upper bound of the word error ratio: the mean over the words of sum_d A_d Q(sqrt(2 d Es/N0)), at most 1."""
    weights = 1 << np.arange(code.length - 1, -1, -1)
    words = code.table.astype(np.int64) @ weights
    distances = np.bitwise_count(words[:, None] ^ words[None, :]).ravel()
    counts = np.bincount(distances, minlength=code.length + 1)[1:] / 256
    d = np.arange(1, code.length + 1)
    return min(1.0, float(np.sum(counts * 0.5 * erfc(np.sqrt(d * linear(esn0_db))))))


@cache
def _grid_point(table: bytes, length: int, cell: int) -> IdealRatio:
    code = WordCode("", np.frombuffer(table, np.uint8).reshape(256, length))
    esn0_db = cell * _GRID_DB
    errors = words = 0
    if union_bound(code, esn0_db) * _MOST_WORDS > _FEWEST_ERRORS:
        while errors < _ENOUGH_ERRORS and words < _MOST_WORDS:
            run = simulate_words(code, 1, esn0_db, _CHUNK_WORDS, seed=_SEED, first_packet=words)
            errors += run.word_errors
            words += run.words
    if errors < _FEWEST_ERRORS:
        return IdealRatio(max(union_bound(code, esn0_db), 1e-300), 0.0, "union bound")
    value = errors / words
    return IdealRatio(value, math.sqrt(value * (1 - value) / words), "simulated")


def residual_error_ratio(packet_errors: float, candidates: int = 1, crc_bits: int = _CRC_BITS) -> float:
    """Wrong packets that pass the check sequence: the packet error ratio times `false_acceptance`."""
    return packet_errors * false_acceptance(candidates, crc_bits)


def false_acceptance(candidates: int, crc_bits: int = _CRC_BITS) -> float:
    """Probability that one of `candidates` wrong packets passes the check sequence: 1 - (1 - 2^-r)^L.

    A list decoder offers L packets to the check and takes the first that passes; a wrong one looks random to it.
    """
    if candidates < 0 or crc_bits < 1:
        raise ConfigurationError(f"candidates must be at least 0 and crc_bits at least 1, got {candidates} and {crc_bits}")
    return -math.expm1(candidates * math.log1p(-(2.0**-crc_bits)))


def detection_probability(
    esn0_db: float, bits: int, false_alarm: float, segments: int = 1, freq_offset: float = 0.0
) -> float:
    """Probability that `bits` known bits of unknown phase are found in noise of known level.

    One segment: Q1(sqrt(2 L Es/N0), sqrt(-2 ln Pfa)), Marcum's function. M segments: each correlated coherently, their powers
    added (chi square with 2 M degrees of freedom).

    Args:
        false_alarm: probability of one test. segments: M, must divide bits.
        freq_offset: cycles per bit; a segment of K bits loses sinc^2(K freq_offset).
    """
    _check_detection(bits, false_alarm)
    if segments < 1 or bits % segments:
        raise ConfigurationError(f"segments must divide bits, got {segments} and {bits}")
    threshold = chi2.isf(false_alarm, 2 * segments)
    loss = np.sinc(freq_offset * bits / segments) ** 2
    return float(ncx2.sf(threshold, 2 * segments, 2 * bits * linear(esn0_db) * loss))


def cfar_threshold(bits: int, false_alarm: float) -> float:
    """|rho| that a normalised correlation over `bits` known bits exceeds by chance with probability false_alarm.

    rho^2 = |<r, s>|^2 / (L |r|^2) follows Beta(1, L - 1) in white noise, so |rho| = sqrt(1 - Pfa^(1/(L-1))).
    """
    _check_detection(bits, false_alarm)
    return math.sqrt(1 - false_alarm ** (1 / (bits - 1)))


def cfar_detection_probability(esn0_db: float, bits: int, false_alarm: float) -> float:
    """Probability that a normalised correlation over `bits` known bits finds them, one complex sample a bit.

    rho^2 (L - 1) / (1 - rho^2) follows the noncentral F distribution with 2, 2 (L - 1) and 2 L Es/N0.
    """
    rho2 = cfar_threshold(bits, false_alarm) ** 2
    return float(ncf.sf(rho2 / ((1 - rho2) / (bits - 1)), 2, 2 * (bits - 1), 2 * bits * linear(esn0_db)))


def _check_detection(bits: int, false_alarm: float) -> None:
    if bits < 2 or not 0 < false_alarm < 1:
        raise ConfigurationError(f"bits must be at least 2 and false_alarm in (0, 1), got {bits} and {false_alarm}")


def sync_miss_hard(esn0_db: float, bits: int = 11, errors: int = 2) -> float:
    """Probability that a sync word has more than `errors` wrong bits (coherent, hard decisions)."""
    return float(binom.sf(errors, bits, ber_bpsk(esn0_db)))


def sync_miss_soft(esn0_db: float, bits: int = 11, threshold: float = 0.5) -> float:
    """Probability that the coherent correlation with a sync word stays below `threshold`: Q((1 - t) sqrt(2 L Es/N0))."""
    return q_function((1 - threshold) * math.sqrt(2 * bits * linear(esn0_db)))


@dataclass(frozen=True, slots=True)
class ClassAGain:
    """Weak-signal gains over the linear correlator in class A noise, dB; thresholds in rms of the background component.

    Attributes:
        locally_optimum_db: of -d ln f(r) / dr, the best of all. bound_db: 10 log10((1 + Gamma) / Gamma), no impulses.
        clipper_db, clipper_threshold, blanker_db, blanker_threshold: with their best thresholds. hard_limiter_db: phase alone.
    """

    locally_optimum_db: float
    clipper_db: float
    clipper_threshold: float
    blanker_db: float
    blanker_threshold: float
    hard_limiter_db: float
    bound_db: float


def class_a_components(A: float, gamma: float, terms: int = 60) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and variances of the Gaussians that make up class A noise of total variance 1.

    Middleton, IEEE Trans. EMC-19 (1977), 106-127: e^-A A^m / m! and (m/A + Gamma) / (1 + Gamma).
    """
    if not A > 0 or not gamma > 0:
        raise ConfigurationError(f"A and gamma must be positive, got {A} and {gamma}")
    m = np.arange(terms)
    weights = np.exp(-A + m * math.log(A) - gammaln(m + 1))
    return weights / weights.sum(), (m / A + gamma) / (1 + gamma)


@cache
def class_a_gain(A: float, gamma: float) -> ClassAGain:
    """Gains of memoryless nonlinearities before the correlator, weak signal, independent circular class A samples.

    The efficacy of g(r): E[g psi]^2 / (2 E[g^2]) with psi = -d ln f / dr, by numerical integration over the envelope
    (Spaulding and Middleton, IEEE Trans. COM-25 (1977), 910-923).
    """
    weights, variances = class_a_components(A, gamma)
    r = np.geomspace(1e-5 * math.sqrt(gamma), 60, 60_001)
    density = np.zeros_like(r)
    slope = np.zeros_like(r)
    for weight, variance in zip(weights, variances, strict=True):
        part = weight * np.exp(-(r**2) / variance) / (math.pi * variance)
        density += part
        slope += part * 2 * r / variance
    psi = slope / np.maximum(density, 1e-300)
    mass = np.gradient(r) * 2 * np.pi * r * density
    mass /= mass.sum()

    def mean(values: NDArray[np.float64]) -> float:
        return float(mass @ values)

    def efficacy(g: NDArray[np.float64]) -> float:
        return (0.5 * mean(g * psi)) ** 2 / (0.5 * mean(g * g))

    # Running sums give every threshold at once: below it r, from it on c (clipper) or 0 (blanker).
    below_psi, below_power = np.cumsum(mass * r * psi), np.cumsum(mass * r * r)
    above_psi, above = mean(psi) - np.cumsum(mass * psi), 1 - np.cumsum(mass)
    tested = r > 0.1 * math.sqrt(gamma)
    clip = (0.5 * (below_psi + r * above_psi)) ** 2 / (0.5 * (below_power + r * r * above))
    blank = (0.5 * below_psi) ** 2 / np.maximum(0.5 * below_power, 1e-300)
    c, b = (int(np.argmax(np.where(tested, gain, 0))) for gain in (clip, blank))
    base = efficacy(r)
    background = math.sqrt(gamma / (1 + gamma))

    def gain_db(value: float) -> float:
        return 10 * math.log10(value / base)

    return ClassAGain(
        locally_optimum_db=gain_db(0.5 * mean(psi * psi)),
        clipper_db=gain_db(float(clip[c])),
        clipper_threshold=float(r[c]) / background,
        blanker_db=gain_db(float(blank[b])),
        blanker_threshold=float(r[b]) / background,
        hard_limiter_db=gain_db(efficacy(np.ones_like(r))),
        bound_db=10 * math.log10((1 + gamma) / gamma),
    )


def ber_class_a(ebn0_db: float, A: float, gamma: float) -> float:
    """Bit error ratio with one class A noise sample a bit and no nonlinearity: sum_m w_m Q(sqrt(2 Eb/N0 / v_m))."""
    weights, variances = class_a_components(A, gamma)
    return float(np.sum(weights * 0.5 * erfc(np.sqrt(linear(ebn0_db) / variances))))
