"""IQ to line samples: tones against their closed form, images, negative frequencies, phase, blocks."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import ConfigurationError
from phy.iq import LOWEST_HZ, PassbandConverter

IMAGE_DB = -70.0


def tone(freq_hz, rate, n):
    return np.exp(2j * np.pi * freq_hz / rate * np.arange(n)).astype(np.complex64)


def converted(converter, z):
    return np.concatenate([converter.process(z), converter.flush()])


# (IQ rate, centre): three carriers' width, bands that reach below 0 Hz, one from 0 Hz on, high factor, odd numbers
SETUPS = [(100e3, 80e3), (250e3, 80e3), (2.4e6, 0.0), (48e3, 125e3), (399_999.0, 81_234.5), (250e3, 1e6)]


@pytest.mark.parametrize(("rate", "centre"), SETUPS)
def test_tones_come_out_at_their_place_in_amplitude_and_phase_without_images(rate, centre):
    converter = PassbandConverter(rate, centre)
    assert converter.sample_rate > 2 * (centre + rate / 2)
    n = 2 * converter.block
    for offset in (-0.4, -0.31, 0.0, 0.123, 0.4):
        line_hz = centre + offset * rate
        if line_hz < LOWEST_HZ:
            continue
        x = converted(converter, 0.7 * tone(offset * rate, rate, n)).astype(np.float64)
        assert x.size == n * converter.factor
        k = np.arange(x.size)[(edge := 2 * converter.margin * converter.factor) : -edge]
        truth = np.exp(2j * np.pi * line_hz / converter.sample_rate * k)
        basis = np.stack([truth.real, -truth.imag], axis=1)
        (re, im), *_ = np.linalg.lstsq(basis, x[k], rcond=None)
        gain_db = 20 * np.log10(abs(complex(re, im)) / 0.7)
        assert -0.1 < gain_db < 0.1, offset
        assert abs(np.angle(complex(re, im))) < 2e-3, offset
        rest = x[k] - basis @ [re, im]
        assert 10 * np.log10(np.mean(rest**2) / np.mean(x[k] ** 2)) < IMAGE_DB, offset


def test_noise_at_negative_line_frequencies_does_not_come_back_as_a_mirror():
    converter = PassbandConverter(400e3, 80e3)
    for line_hz in (-20e3, -75.8e3, -110e3):
        x = converted(converter, tone(line_hz - 80e3, 400e3, 3 * converter.block))
        edge = 2 * converter.margin * converter.factor
        assert 20 * np.log10(np.abs(x[edge:-edge]).max()) < IMAGE_DB


def test_a_narrow_pulse_stays_where_it_is():
    """|z| = 1 at one instant (a whole number of turns from the start) is a sinc around it: no delay, symmetric."""
    converter = PassbandConverter(100e3, 80e3)
    z = np.zeros(3000, np.complex64)
    z[1235] = 1
    x = converted(converter, z)
    middle = 1235 * converter.factor
    assert int(np.argmax(x)) == middle and abs(x[middle] - 1) < 0.05
    np.testing.assert_allclose(x[middle - 300 : middle], x[middle + 300 : middle : -1], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 9000), max_size=6))
def test_output_does_not_depend_on_how_the_input_is_cut(cuts):
    rng = np.random.default_rng(1)
    z = (rng.normal(size=12_000) + 1j * rng.normal(size=12_000)).astype(np.complex64)
    converter = PassbandConverter(250e3, 81e3)
    whole = converted(converter, z)
    edges = [0, *np.minimum(np.cumsum(cuts), z.size).tolist(), z.size]
    parts = [converter.process(z[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate([*parts, converter.flush()]), whole)
    assert whole.size == z.size * converter.factor


def test_no_more_than_a_block_is_held_back():
    converter = PassbandConverter(250e3, 80e3)
    given_samples = out = 0
    for size in (1, 100, 50_000, 3, 200_000, 7777):
        given_samples += size
        out += converter.process(np.zeros(size, np.complex64)).size
        assert given_samples - out // converter.factor < converter.block + 2 * converter.margin


def test_the_phase_is_exact_after_months():
    rate, centre = 250e3, 80_000.1
    converter = PassbandConverter(rate, centre)
    z = np.ones(converter.block + 2 * converter.margin, np.complex64)
    for block in (0, 10**5, 10**9):
        first = block * converter.block  # 4e12 samples are half a year
        x = converter.at(z, first)
        turns = float(Fraction(centre) / Fraction(rate) * first % 1)
        k = np.arange(x.size)
        np.testing.assert_allclose(x, np.cos(2 * np.pi * (turns + centre / converter.sample_rate * k)), atol=3e-4)


@pytest.mark.parametrize(
    ("rate", "centre", "words"),
    [(0, 1, "iq_rate"), (np.nan, 1, "iq_rate"), (1e5, -1, "centre_hz"), (1e5, 125e6, "centre_hz"), (1e5, np.nan, "centre_hz"),
     (1e3, 1e6, "too low")],
)  # fmt: skip
def test_arguments_out_of_range_are_named(rate, centre, words):
    with pytest.raises(ConfigurationError, match=words):
        PassbandConverter(rate, centre)
