"""The counter-based generator under every noise source, and the Gaussian samples made from it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from phy._kernels import noise
from phy.channel import WhiteNoise

RATE = 400_000.0
N = 1_000_000


@pytest.mark.parametrize(
    "counter, key, words",
    [  # Random123 distribution (D. E. Shaw Research), known-answer file, lines "philox4x32 10"
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    assert tuple(int(w) for w in noise.philox4x32(*map(np.uint64, counter), *map(np.uint64, key))) == words


def test_draw_puts_seed_index_stream_and_purpose_in_their_words():
    seed, index, stream, purpose = 0x299F31D0A4093822, 0x85A308D3243F6A88 - 2**64, 0x13198A2E, 0x03707344
    words = noise.draw(index, np.uint64(stream), np.uint64(purpose), np.uint64(seed))
    assert [int(w) for w in words] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_moments_are_those_of_a_normal_distribution():
    """Truth: mean 0, variance 1, skewness 0, kurtosis 3, within 4 standard errors (1, 2, 6 and 24 over N)."""
    x = WhiteNoise(RATE, rms_v=1.0, seed=3).generate(N).astype(np.float64)
    assert x.mean() == pytest.approx(0.0, abs=4 / N**0.5)
    assert x.var() == pytest.approx(1.0, abs=4 * (2 / N) ** 0.5)
    assert (x**3).mean() == pytest.approx(0.0, abs=4 * (15 / N) ** 0.5)
    assert stats.kurtosis(x, fisher=False) == pytest.approx(3.0, abs=4 * (24 / N) ** 0.5)


def test_distribution_is_normal_everywhere():
    """Truth: the normal distribution function; Kolmogorov-Smirnov, and counts beyond 4 sigma (6.33e-5 of all)."""
    x = WhiteNoise(RATE, rms_v=1.0, seed=4).generate(N)
    assert 0.001 < stats.kstest(x, "norm").pvalue < 0.9999
    expected = 2 * stats.norm.sf(4.0) * N
    assert np.count_nonzero(np.abs(x) > 4.0) == pytest.approx(expected, abs=4 * expected**0.5)


@pytest.mark.parametrize("level", [3.0, 4.5, 5.0])
def test_far_tails_are_those_of_a_normal_distribution(level):
    """Truth: 2 Q(4.5) = 6.8e-6 and 2 Q(5) = 5.7e-7 of 32 million samples; both signs alike."""
    source = WhiteNoise(RATE, rms_v=1.0, seed=11)
    above = below = 0
    for _ in range(32):
        x = source.generate(N)
        above += int(np.count_nonzero(x > level))
        below += int(np.count_nonzero(x < -level))
    expected = 32 * N * stats.norm.sf(level)
    assert (above, below) == pytest.approx((expected, expected), abs=4 * expected**0.5)


@pytest.mark.parametrize("first", [-7, 0, 4 * 2**32 - 9, 2**50 + 1])
def test_the_vectorised_generator_draws_the_same_words(first):
    """Truth: the plain generator, which is checked against the published words."""
    got, key, stream = np.empty(2000), np.uint64(0x0123456789ABCDEF), np.uint64(5)
    noise.uniforms(got, key, stream, np.uint64(3), first)
    purpose = np.uint64(int(noise._UNIFORMS) + 3)
    for i in (0, 1, 2, 3, 10, 1021, 1999):
        words = noise.draw((first + i) >> 2, stream, purpose, key)
        assert got[i] == (int(words[(first + i) & 3]) + 0.5) / 2**32


def test_each_of_the_four_samples_of_a_counter_is_normal_and_on_its_own():
    x = WhiteNoise(RATE, rms_v=1.0, seed=5).generate(N).reshape(-1, 4).astype(np.float64)
    assert x.var(axis=0) == pytest.approx(np.ones(4), abs=4 * (2 / len(x)) ** 0.5)
    for y in (x, np.abs(x), x**2):  # dependence that correlation of x alone cannot see
        off_diagonal = np.corrcoef(y.T)[np.triu_indices(4, 1)]
        assert np.abs(off_diagonal).max() < 4.5 / len(x) ** 0.5


def test_samples_are_uncorrelated_in_time():
    x = WhiteNoise(RATE, rms_v=1.0, seed=6).generate(N).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(x, 2 * N)) ** 2
    correlation = np.fft.irfft(spectrum)[1:100] / N
    assert np.abs(correlation).max() < 4.5 / N**0.5


@pytest.mark.parametrize("other", [{"seed": 8}, {"seed": 7 + 2**32}, {"seed": 7, "stream": 1}, {"seed": 2**64 - 1}])
def test_seeds_and_streams_are_independent(other):
    x = WhiteNoise(RATE, rms_v=1.0, seed=7).generate(N)
    y = WhiteNoise(RATE, rms_v=1.0, **other).generate(N)
    assert abs(np.corrcoef(x, y)[0, 1]) < 4.5 / N**0.5


def test_the_stream_does_not_repeat_after_32_bits_of_blocks():
    x = WhiteNoise(RATE, rms_v=1.0).samples(0, 1000)
    y = WhiteNoise(RATE, rms_v=1.0).samples(4 * 2**32, 1000)
    assert np.count_nonzero(x == y) < 5


def test_density_and_rms_agree():
    """Truth: a one-sided density d over a band B has the rms d sqrt(B)."""
    by_density = WhiteNoise(RATE, density=1e-6, seed=1)
    assert by_density.rms_v == pytest.approx(1e-6 * 200_000**0.5)
    assert by_density.density == pytest.approx(1e-6)
    measured = by_density.generate(N).std()
    assert measured == pytest.approx(by_density.rms_v, rel=4 * (0.5 / N) ** 0.5)


@settings(deadline=None, max_examples=25)
@given(first=st.integers(-10_000, 2**40), n=st.integers(0, 3000))
def test_a_sample_depends_on_its_index_only(first, n):
    source = WhiteNoise(RATE, rms_v=1.0, seed=9)
    whole = source.samples(first - 5, n + 10)
    np.testing.assert_array_equal(source.samples(first, n), whole[5 : 5 + n])


def test_samples_follow_box_muller():
    """Truth: the formula in float64 with the maths library, from the published words of counter 0 and key 0."""
    x = WhiteNoise(RATE, rms_v=1.0, seed=0).generate(4)
    w = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    expected = []
    for u, v in ((w[0], w[1]), (w[2], w[3])):
        radius = np.sqrt(-2 * np.log((u + 0.5) / 2**32))
        theta = (v & 0x3FFFFFFF) / 2**30 * np.pi / 2
        expected += [(1 - 2 * (v >> 31)) * radius * np.cos(theta)]
        expected += [(1 - 2 * (v >> 30 & 1)) * radius * np.sin(theta)]
    np.testing.assert_allclose(x, expected, rtol=2e-6)


_SMALL_CASE = """
import numpy as np
from phy import channel
rate = 400_000.0
sources = [channel.CyclostationaryNoise(rate, 1.0, seed=1),
           channel.Tone(rate, 8e4, 1.0, am_depth=0.5, fm_deviation_hz=1e3),
           channel.MainsImpulses(rate, 1.0, 50e-6, 9e4, jitter_s=1e-5, random_phase=True, firing_phase=0.1, seed=2),
           channel.RandomImpulses(rate, 1e-4, 5e-5, 0.1, 1.0, seed=3),
           channel.MainsImpulses(rate, 1.0, 50e-6, 9e4, mains_drift_hz=0.2, seed=4),
           channel.GilbertElliottNoise(rate, 1.0, 1e-4, 5e-5, 20.0, seed=5),
           channel.ClassANoise.preset("A.1_G.1", rate, 1.0, centre_hz=86e3, bandwidth_hz=80e3, seed=6)]
y = channel.LineNoise(rate, sources).generate(101)
y = channel.Resonance(rate, 8e4, 20.0, 0.7).process(channel.SlowGain.preset("hard", rate).process(y))
print(y.dtype, " ".join(f"{v:.9g}" for v in y))
"""


def test_kernels_also_run_as_plain_python():
    def run(**environment):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", _SMALL_CASE],
            env={**os.environ, **environment}, capture_output=True, text=True, check=True,
        )
        return done.stdout.split()

    compiled, plain = run(), run(NUMBA_DISABLE_JIT="1")
    assert compiled[0] == plain[0] == "float32"
    np.testing.assert_allclose(np.array(plain[1:], float), np.array(compiled[1:], float), rtol=1e-5, atol=1e-6)
