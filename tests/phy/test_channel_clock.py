"""Resampling and clock error: frequency, error of the interpolation, length, and cut anywhere."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import channel
from phy.errors import ConfigurationError

RATE = 400_000.0
N = 3000
MAKERS = {
    "fast": lambda: channel.ClockError(RATE, 690.0),
    "slow": lambda: channel.ClockError(RATE, -20_000.0),
    "none": lambda: channel.ClockError(RATE, 0.0),
    "up": lambda: channel.Resampler(192_000.0, RATE),
    "down": lambda: channel.Resampler(RATE, 250_000.0),
    "far_down": lambda: channel.Resampler(RATE, 44_100.0),
}
every_clock = pytest.mark.parametrize("name", sorted(MAKERS))


@every_clock
@settings(deadline=None, max_examples=12)
@given(cuts=st.lists(st.integers(0, N), max_size=8))
def test_output_does_not_depend_on_block_size(name, cuts):
    x = np.random.default_rng(1).normal(size=N).astype(np.float32)
    clock = MAKERS[name]()
    pieces = [clock.process(x[start:stop]) for start, stop in pairwise([0, *sorted(cuts), N])]
    np.testing.assert_array_equal(np.concatenate(pieces), MAKERS[name]().process(x))


@every_clock
def test_reset_copy_and_empty_block(name):
    x = np.random.default_rng(2).normal(size=800).astype(np.float32)
    clock = MAKERS[name]()
    first = clock.process(x)
    assert first.dtype == np.float32
    twin = clock.copy()
    np.testing.assert_array_equal(twin.process(x), clock.process(x))
    assert clock.process(x[:0]).size == 0
    clock.reset()
    np.testing.assert_array_equal(clock.process(x), first)
    with pytest.raises(ConfigurationError, match="one dimension"):
        clock.process(np.zeros((2, 2), np.float32))


@every_clock
def test_length_is_that_of_the_other_clock(name):
    """Truth: N output_rate / input_rate samples, less those that wait for half a filter of input."""
    clock = MAKERS[name]()
    length = sum(clock.process(np.zeros(1000, np.float32)).size for _ in range(100))
    ratio = clock.output_rate / clock.input_rate
    assert 100_000 * ratio - (clock._half + 1) * ratio - 1 <= length <= 100_000 * ratio


@pytest.mark.parametrize("freq_hz", [5e3, 75.45e3, 86.23e3, 131.6e3, 150e3])
@pytest.mark.parametrize("ppm", [-690.0, -200.0, 0.0, 37.3, 690.0])
def test_clock_error_shifts_the_frequency_and_adds_little(ppm, freq_hz):
    """Truth: the tone at freq / (1 + ppm) of the nominal rate, in phase at sample 0; error below -70 dB of it."""
    n = 40_000
    x = np.cos(2 * math.pi * freq_hz / RATE * np.arange(n)).astype(np.float32)
    y = channel.ClockError(RATE, ppm).process(x)[100:].astype(np.float64)
    k = 100 + np.arange(y.size)
    expected = np.cos(2 * math.pi * freq_hz / (RATE * (1 + ppm * 1e-6)) * k)
    assert 10 * np.log10(np.mean((y - expected) ** 2) / 0.5) < -78


@pytest.mark.parametrize("name, freq_hz", [("up", 70e3), ("down", 86.23e3), ("far_down", 15e3)])
def test_other_rates_keep_the_tone(name, freq_hz):
    clock = MAKERS[name]()
    x = np.cos(2 * math.pi * freq_hz / clock.input_rate * np.arange(60_000)).astype(np.float32)
    y = clock.process(x)[200:].astype(np.float64)
    expected = np.cos(2 * math.pi * freq_hz / clock.output_rate * (200 + np.arange(y.size)))
    assert 10 * np.log10(np.mean((y - expected) ** 2) / 0.5) < -70


def test_lowering_the_rate_takes_out_what_would_alias():
    """Truth: 60 kHz cannot be carried by 44.1 kS/s and must not come back as 15.9 kHz."""
    x = np.cos(2 * math.pi * 60e3 / RATE * np.arange(60_000)).astype(np.float32)
    assert np.abs(MAKERS["far_down"]().process(x)[200:]).max() < 1e-3


def test_rates_have_limits():
    with pytest.raises(ConfigurationError, match="within a factor of 64"):
        channel.Resampler(RATE, 1000.0)
    with pytest.raises(ConfigurationError, match="ppm must be in"):
        channel.ClockError(RATE, 1e6)
