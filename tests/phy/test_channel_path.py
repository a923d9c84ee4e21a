"""Path elements against their formulas, and cut anywhere."""

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
    "attenuation": lambda: channel.Attenuation(12.0),
    "flat": lambda: channel.Flat(3.0, 40.0),
    "echoes": lambda: channel.Echoes(RATE, [(0.0, 1.0), (3.3e-6, -0.4), (1e-3, 0.2)]),
    "fifteen_path": lambda: channel.Echoes.preset("fifteen_path", RATE, 86e3),
    "resonance": lambda: channel.Resonance(RATE, 86e3, 20.0, 0.7),
    "slow_gain": lambda: channel.SlowGain.preset("hard", RATE, mains_phase=1.0),
    "tilt": lambda: channel.Tilt.preset("emi_filter", RATE, 86e3),
    "stop_band": lambda: channel.StopBand.preset("carrier_blocked", RATE, 86e3),
    "coupler": lambda: channel.Coupler(RATE),
    "quantiser": lambda: channel.Quantiser(1.0, 8),
}
every_element = pytest.mark.parametrize("name", sorted(MAKERS))


def response(element, freq_hz, n=20_000):
    """Complex gain at a frequency, measured with a tone after the element has settled; latency taken out."""
    t = np.arange(n) / RATE
    y = element.process(np.cos(2 * math.pi * freq_hz * t).astype(np.float32))
    late = slice(n // 2, n)
    probe = np.exp(-2j * math.pi * freq_hz * (t[late] - element.latency_samples / RATE)) * np.hanning(n // 2)
    return 2 * np.sum(y[late] * probe) / np.sum(np.hanning(n // 2))


@every_element
@settings(deadline=None, max_examples=12)
@given(cuts=st.lists(st.integers(0, N), max_size=8))
def test_output_does_not_depend_on_block_size(name, cuts):
    x = np.random.default_rng(1).normal(size=N).astype(np.float32)
    element = MAKERS[name]()
    pieces = [element.process(x[start:stop]) for start, stop in pairwise([0, *sorted(cuts), N])]
    np.testing.assert_array_equal(np.concatenate(pieces), MAKERS[name]().process(x))


@every_element
def test_reset_copy_dtype_and_empty_block(name):
    x = np.random.default_rng(2).normal(size=500).astype(np.float32)
    element = MAKERS[name]()
    first = element.process(x)
    assert first.dtype == np.float32 and first.shape == x.shape
    twin = element.copy()
    np.testing.assert_array_equal(twin.process(x), element.process(x))
    twin.process(x)
    twin.process(x)
    assert element.process(x[:0]).shape == (0,)
    element.reset()
    np.testing.assert_array_equal(element.process(x), first)
    assert not np.array_equal(first, x)
    with pytest.raises(ConfigurationError, match="one dimension"):
        element.process(np.zeros((2, 2), np.float32))


@every_element
def test_input_is_left_alone(name):
    x = np.ones(300, np.float32)
    MAKERS[name]().process(x)
    assert (x == 1.0).all()


def test_attenuation_is_in_decibels_of_voltage():
    """Truth: 60 dB is a thousandth."""
    y = channel.Attenuation.preset("cross_phase").process(np.ones(5, np.float32))
    assert y == pytest.approx(np.full(5, 1e-3), rel=1e-6)


@pytest.mark.parametrize("angle_deg", [-170.0, 0.0, 35.0, 90.0])
def test_flat_is_one_gain_and_one_phase(angle_deg):
    """Truth: 10^(-20/20) exp(j angle) at every frequency of both bands."""
    for freq_hz in (20e3, 75.45e3, 86.23e3, 131.6e3, 180e3):
        got = response(channel.Flat(20.0, angle_deg), freq_hz)
        assert abs(got - 0.1 * np.exp(1j * math.radians(angle_deg))) < 5e-4


@pytest.mark.parametrize("name, ripple_db, delay_s", [("four_path", 0.01, None), ("fifteen_path", 0.21, 0.50e-6)])
def test_echo_sets_are_flat_within_a_packets_band(name, ripple_db, delay_s):
    """Truth: from 82.6 to 89.8 kHz, computed apart from this code: ripple and variation of the group delay."""
    freqs = np.linspace(82.6e3, 89.8e3, 19)
    gains = np.array([response(channel.Echoes.preset(name, RATE, 86e3), float(f)) for f in freqs])
    assert np.ptp(20 * np.log10(np.abs(gains))) == pytest.approx(ripple_db, abs=0.03)
    if delay_s is not None:
        delay = -np.diff(np.unwrap(np.angle(gains))) / (2 * math.pi * np.diff(freqs))
        assert np.ptp(delay) == pytest.approx(delay_s, rel=0.15)


def test_whole_sample_delays_are_exact():
    x = np.zeros(100, np.float32)
    x[0] = 1.0
    element = channel.Echoes(RATE, [(0.0, 1.0), (20 / RATE, -0.5)])
    y = element.process(x)
    expected = np.zeros(100)
    expected[element.latency_samples] = 1.0
    expected[element.latency_samples + 20] = -0.5
    np.testing.assert_allclose(y, expected, atol=1e-7)


@pytest.mark.parametrize("delay_s", [0.0, 0.4e-6, 1.25e-6, 7.7e-6, 33.33e-6])
@pytest.mark.parametrize("freq_hz", [5e3, 75.45e3, 86.23e3, 131.6e3, 150e3])
def test_a_fraction_of_a_sample_is_a_delay(delay_s, freq_hz):
    """Truth: exp(-j 2 pi f delay); 0.001 is 0.01 dB or 0.06 degrees."""
    got = response(channel.Echoes(RATE, [(delay_s, 0.8)]), freq_hz)
    assert abs(got - 0.8 * np.exp(-2j * math.pi * freq_hz * delay_s)) < 0.001


@pytest.mark.parametrize("freq_hz", [75.45e3, 86.23e3, 131.6e3])
@pytest.mark.parametrize("name", ["four_path", "fifteen_path"])
def test_published_sets_have_the_response_of_the_formula(name, freq_hz):
    """Truth: Zimmermann and Dostert's sum over the paths, k = 1, a0 = 0, a1 = 7.8e-10 s/m, 1.5e8 m/s."""
    sets = {
        "four_path": ([0.64, 0.38, -0.15, 0.05], [200, 222.4, 244.8, 267.5]),
        "fifteen_path": (
            [.029, .043, .103, -.058, -.045, -.040, .038, -.038, .071, -.035, .065, -.055, .042, -.059, .049],
            [90, 102, 113, 143, 148, 200, 260, 322, 411, 490, 567, 740, 960, 1130, 1250],
        ),
    }
    g, d = (np.array(values) for values in sets[name])
    expected = np.sum(g * np.exp(-7.8e-10 * freq_hz * d) * np.exp(-2j * math.pi * freq_hz * d / 1.5e8))
    assert abs(response(channel.Echoes.preset(name, RATE, freq_hz), freq_hz) - expected) < 0.0005


@pytest.mark.parametrize("name, gain_db, spread_s", [("four_path", -0.85, 0.45e-6), ("fifteen_path", -22.2, 7.73e-6)])
def test_published_sets_have_the_known_loss_and_spread(name, gain_db, spread_s):
    """Truth: loss at 86 kHz and span of the delays, computed apart from this code when the sets were collected."""
    got = response(channel.Echoes.preset(name, RATE, 86e3), 86e3)
    assert 20 * math.log10(abs(got)) == pytest.approx(gain_db, abs=0.1)
    delays = [delay for delay, _ in channel.echo_paths(name, 86e3)]
    assert max(delays) - min(delays) == pytest.approx(spread_s, rel=0.01)


@pytest.mark.parametrize("name, f0, q, depth", [("centred", 86e3, 20.0, 0.7), ("beside", 88e3, 30.0, 0.9)])
def test_resonance_has_the_response_of_the_formula(name, f0, q, depth):
    """Truth: 1 - d / (1 + j Q (f/f0 - f0/f)); away from f0 the digital filter may bend by 0.03."""
    for freq_hz in (40e3, 75e3, 84e3, 86e3, 88e3, 91e3, 130e3):
        expected = 1 - depth / (1 + 1j * q * (freq_hz / f0 - f0 / freq_hz))
        got = response(channel.Resonance.preset(name, RATE, 86e3), freq_hz)
        assert abs(got - expected) < (0.001 if freq_hz == f0 else 0.03)


def test_the_asymmetric_resonance_takes_20_db_beside_the_carrier():
    """Truth: depth 0.9 leaves 0.1 at 2 kHz above the carrier; at the carrier 1 - 0.9 / (1 + 30 j (43/44 - 44/43)) leaves 0.83."""
    element = channel.Resonance.preset("beside", RATE, 86e3)
    assert 20 * math.log10(abs(response(element.copy(), 88e3))) == pytest.approx(-20.0, abs=0.1)
    assert 20 * math.log10(abs(response(element, 86e3))) == pytest.approx(20 * math.log10(0.833), abs=0.3)


@pytest.mark.parametrize("offset_hz", [-14e3, -7.5e3, -5e3, 0.0, 2.5e3, 5e3, 14e3])
def test_tilt_is_a_straight_line_of_decibels(offset_hz):
    """Truth: 12 dB across 10 kHz, falling, held beyond 10 kHz from the carrier."""
    got = response(channel.Tilt.preset("emi_filter", RATE, 86e3), 86e3 + offset_hz)
    assert 20 * math.log10(abs(got)) == pytest.approx(-1.2e-3 * min(max(offset_hz, -10e3), 10e3), abs=0.1)


@pytest.mark.parametrize("offset_hz, db", [(0, -30), (-1.8e3, -30), (1.8e3, -30), (-10.8e3, 0), (9e3, 0)])
def test_stop_band_takes_one_carrier_and_leaves_the_other(offset_hz, db):
    """Truth: 30 dB across 8 kHz, none 8 kHz off; the secondary carrier lies 10.8 kHz below the primary."""
    got = response(channel.StopBand.preset("carrier_blocked", RATE, 86.23e3), 86.23e3 + offset_hz)
    assert 20 * math.log10(abs(got)) == pytest.approx(db, abs=0.6)


def test_tilt_has_minimum_phase():
    """Truth: no zero outside of the unit circle, so no filter of this magnitude has its energy earlier."""
    x = np.zeros(256, np.float32)
    x[0] = 1.0
    h = channel.Tilt.preset("emi_filter", RATE, 86e3).process(x).astype(np.float64)
    unwrapped = np.unwrap(np.angle(np.fft.fft(h, 8192)))
    assert round((unwrapped[-1] - unwrapped[0]) / (2 * math.pi)) == 0  # winding number = zeros outside


def test_notch_of_the_centred_resonance():
    """Truth: depth 0.7 leaves 0.3, that is -10.5 dB."""
    got = response(channel.Resonance.preset("centred", RATE, 86e3), 86e3)
    assert 20 * math.log10(abs(got)) == pytest.approx(-10.46, abs=0.05)


@pytest.mark.parametrize(
    "name, depth, angle_deg, duty", [("mild", -0.2, 5, 0.3), ("hard", -0.6, 35, 0.25), ("commuted", -0.9, 90, 0.1)]
)
def test_slow_gain_switches_about_the_crests(name, depth, angle_deg, duty):
    """Truth: (1 + m w) exp(j theta w); w = 1 at the crest (mains phase 90 degrees), 0 at the zero crossing."""
    element = channel.SlowGain.preset(name, RATE, mains_phase=0.0)
    n = 40_000
    carrier = 2 * math.pi * 86e3 / RATE * np.arange(n)
    y = element.process(np.cos(carrier).astype(np.float32)).astype(np.float64)
    latency = element.latency_samples
    gain = y[latency:] * 2 * np.exp(-1j * carrier[: n - latency])
    smooth = np.convolve(gain, np.hanning(41) / np.hanning(41).sum(), mode="same")  # takes out the image at twice the carrier
    at_crest, at_zero = smooth[2000 + 4000 * 3], smooth[4000 * 4]
    assert abs(at_crest - (1 + depth) * np.exp(1j * math.radians(angle_deg))) < 0.01
    assert abs(at_zero - 1.0) < 0.01
    cycle = smooth[4000:36_000].reshape(-1, 4000)
    half_way = abs(1 + 0.5 * depth)
    share = np.count_nonzero(np.abs(cycle) < half_way) / cycle.size
    assert share == pytest.approx(duty, abs=0.005)


def test_slow_gain_starts_at_the_sample_it_is_told():
    x = np.cos(2 * math.pi * 86e3 / RATE * np.arange(9000)).astype(np.float32)
    whole = channel.SlowGain.preset("hard", RATE).process(x)
    late = channel.SlowGain.preset("hard", RATE, first_sample=1000).process(x[1000:])
    np.testing.assert_allclose(late[200:], whole[1200:], atol=1e-6)
