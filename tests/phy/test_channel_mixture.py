"""Class A, Bernoulli-Gaussian and alpha-stable samples against their published laws."""

import math

import numpy as np
import pytest
from scipy import signal, stats

from phy import channel
from phy.channel.interpolator import interpolation_filters

RATE = 400_000.0
N = 200_000
GRID = {"centre_hz": 100e3, "bandwidth_hz": 100e3}  # every fourth sample is one of the independent complex samples
CLASS_A = {"A.1_G.01": (0.1, 0.01), "A.1_G.1": (0.1, 0.1), "A.35_G.01": (0.35, 0.01), "A1_G.1": (1.0, 0.1)}


def independent(source):
    """The independent samples of a source on GRID: at 4k the carrier angle is a whole number of turns, so x is the real part."""
    return source.generate(4 * N)[::4].astype(np.float64)


def class_a_distribution(x, a, gamma):
    """Truth: Middleton's sum, evaluated here; P(X <= x) for rms 1."""
    total, weight = 0.0, math.exp(-a)
    for m in range(40):
        total = total + weight * stats.norm.cdf(x, scale=math.sqrt((m / a + gamma) / (1 + gamma)))
        weight *= a / (m + 1)
    return total


@pytest.mark.parametrize("name, where", [*((name, "hold") for name in sorted(CLASS_A)), ("A.1_G.01", "band")])
def test_class_a_has_middletons_distribution(name, where):
    """Kolmogorov-Smirnov; for rms 1, the share above 3 sigma_0 (mostly impulses), the kurtosis 3 (1 + 1 / (A (1 + Gamma)^2))."""
    a, gamma = CLASS_A[name]
    if where == "band":
        x = independent(channel.ClassANoise.preset(name, RATE, 1.0, seed=1, **GRID))
    else:
        x = channel.ClassANoise.preset(name, RATE, 1.0, seed=1, hold_s=1 / RATE).generate(N).astype(np.float64)
    assert 0.001 < stats.kstest(x, class_a_distribution, args=(a, gamma)).pvalue < 0.9999
    high = 3 * math.sqrt(gamma / (1 + gamma))
    share = 2 * class_a_distribution(-high, a, gamma)
    assert np.mean(np.abs(x) > high) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / N))
    kurtosis = 3 * (1 + 1 / (a * (1 + gamma) ** 2))
    assert np.mean(x**2) == pytest.approx(1.0, abs=4 * math.sqrt((kurtosis - 1) / N))
    assert stats.kurtosis(x, fisher=False) == pytest.approx(kurtosis, rel=0.1)


def test_class_a_parts_of_one_complex_sample_share_their_impulses():
    """Truth: given m both parts are Gaussian of variance s_m^2: E[I^2 Q^2] = E[s_m^4] = 1 + 1 / (A (1 + Gamma)^2) for rms 1."""
    a, gamma = 0.3, 0.1
    x = channel.ClassANoise(RATE, 1.0, a, gamma, seed=2, **GRID).generate(4 * N).astype(np.float64)
    analytic = signal.hilbert(x)[::4]  # the noise fills 50 to 150 kHz: Hilbert's turn by a quarter is exact
    i2, q2 = analytic.real**2, analytic.imag**2
    assert np.mean(i2 * q2) == pytest.approx(1 + 1 / (a * (1 + gamma) ** 2), rel=0.06)
    assert np.mean(i2[1:] * i2[:-1]) == pytest.approx(1.0, abs=0.05)  # independent from one to the next


def test_class_a_fills_its_band_at_its_density():
    """Truth: rms / sqrt(bandwidth) inside, nothing outside; 24 complex samples a bit of 3593 b/s about 86.23 kHz."""
    source = channel.ClassANoise(RATE, 0.1, 1.0, 0.1, centre_hz=86.23e3, bandwidth_hz=86.2e3, seed=3)
    f, p = signal.welch(source.generate(1_000_000).astype(np.float64), RATE, nperseg=1024, detrend=False)
    assert source.density == pytest.approx(0.1 / math.sqrt(86.2e3))
    inside = np.abs(f - 86.23e3) < 37e3
    assert 10 * np.log10(p[inside].mean() / source.density**2) == pytest.approx(0.0, abs=0.1)
    assert np.abs(10 * np.log10(p[inside] / source.density**2)).max() < 1.5
    assert 10 * np.log10(p[np.abs(f - 86.23e3) > 50e3].max() / source.density**2) < -50
    assert source.background_density / source.density == pytest.approx(math.sqrt(0.1 / 1.1))


def test_held_state_lasts_its_time():
    """Truth: blocks of 50 us are 20 samples; within one the power is one level, across blocks it is independent."""
    source = channel.ClassANoise(RATE, 1.0, 0.1, 0.001, hold_s=50e-6, seed=4)
    power = (source.generate(20 * 10_000).reshape(-1, 20).astype(np.float64) ** 2).mean(axis=1)
    hit = power > 0.1  # 0.001 without an impulse, 10 and more with one
    share = 1 - math.exp(-0.1)
    assert hit.mean() == pytest.approx(share, abs=4 * math.sqrt(share / hit.size))
    assert power[~hit].max() < 0.005
    assert abs(np.corrcoef(hit[1:], hit[:-1])[0, 1]) < 4 / math.sqrt(hit.size)


@pytest.mark.parametrize("name, p, k", [("rare", 0.01, 100.0), ("frequent", 0.05, 100.0)])
def test_bernoulli_gaussian_is_its_mixture(name, p, k):
    """Truth: (1 - p) N(0, 1) + p N(0, 1 + K): power 1 + p K, share of |x| > 4, kurtosis of the mixture."""
    source = channel.BernoulliGaussianNoise.preset(name, RATE, 1.0, seed=5, hold_s=1 / RATE)
    x = source.generate(N).astype(np.float64)
    share = 2 * ((1 - p) * stats.norm.sf(4) + p * stats.norm.sf(4, scale=math.sqrt(1 + k)))
    assert np.mean(np.abs(x) > 4) == pytest.approx(share, abs=4 * math.sqrt(share / N))
    fourth, power = 3 * ((1 - p) + p * (1 + k) ** 2), 1 + p * k
    assert np.mean(x**2) == pytest.approx(power, abs=4 * math.sqrt((fourth - power**2) / N))
    assert stats.kurtosis(x, fisher=False) == pytest.approx(fourth / power**2, rel=4 * math.sqrt(105 / (9 * p * N)))
    assert source.density / source.background_density == pytest.approx(math.sqrt(power))
    hit = np.abs(x) > 4
    assert np.mean(hit[1:] & hit[:-1]) == pytest.approx(share**2, abs=4 * math.sqrt(share**2 / N) + 1e-5)


@pytest.mark.parametrize("alpha, where", [(1.2, "hold"), (1.5, "band"), (1.9, "hold"), (2.0, "hold")])
def test_alpha_stable_has_its_characteristic_function(alpha, where):
    """Truth: E cos(w X) = exp(-|c w|^alpha), each mean of N bounded terms good to 1 / sqrt(2 N)."""
    more = GRID if where == "band" else {"hold_s": 1 / RATE}
    source = channel.AlphaStableNoise(RATE, 0.5, alpha, seed=6, **more)
    x = independent(source) if where == "band" else source.generate(N).astype(np.float64)
    assert math.isinf(source.density) == (alpha < 2)
    for w in (0.2, 0.7, 1.5, 3.0, 5.0):
        assert np.mean(np.cos(w * x)) == pytest.approx(math.exp(-abs(0.5 * w) ** alpha), abs=4.5 / math.sqrt(2 * N))


def test_alpha_stable_tail_falls_by_its_exponent():
    """Truth: P(|X| > x) -> 2 C c^alpha x^-alpha, C = sin(pi alpha / 2) Gamma(alpha) / pi: 1.2 from 20 c to 200 c."""
    x = np.abs(channel.AlphaStableNoise(RATE, 1.0, 1.2, seed=7, hold_s=1 / RATE).generate(N))
    c = math.sin(math.pi * 0.6) * math.gamma(1.2) / math.pi
    for level in (20.0, 200.0):
        expected = 2 * c * level**-1.2
        assert np.mean(x > level) == pytest.approx(expected, rel=0.05 + 4 / math.sqrt(expected * x.size))


def test_polynomials_follow_the_windowed_sinc():
    """Truth: the sinc under a Kaiser window of 48 taps, beta 8, evaluated here; all taps together differ by less than -90 dB."""
    filters = interpolation_filters(24).astype(np.float64)
    assert filters.shape == (7, 48)
    for fraction in (0.0, 0.013, 0.25, 0.5, 0.77, 1.0):
        distance = fraction + 23 - np.arange(48)
        window = np.i0(8.0 * np.sqrt(np.clip(1 - (distance / 24) ** 2, 0, None))) / np.i0(8.0)
        wanted = np.sinc(distance) * np.where(np.abs(distance) < 24, window, 0.0)
        error = (fraction - 0.5) ** np.arange(7) @ filters - wanted / wanted.sum()
        assert 10 * math.log10(np.sum(error**2)) < -90
