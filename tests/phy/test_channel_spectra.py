"""Coloured and mains-periodic noise, tones and hum against their formulas."""

import math

import numpy as np
import pytest
from scipy import signal

from phy import channel
from phy.errors import ConfigurationError

RATE = 400_000.0


def density_db(source, seconds=5.0, n=2048):
    """One-sided density, dB re 1 V^2/Hz, by Welch's method; with 5 s a bin is good to 0.2 dB (standard error)."""
    f, p = signal.welch(source.generate(int(seconds * RATE)).astype(np.float64), RATE, nperseg=n)
    return f, 10 * np.log10(p)


def test_white_noise_is_flat_at_its_density():
    """Truth: 1 uV/sqrt(Hz) = -120 dB re 1 V^2/Hz at every frequency; the mean of 1000 bins is good to 0.01 dB."""
    _, db = density_db(channel.WhiteNoise(RATE, density=1e-6, seed=1))
    inside = db[3:-3]
    assert np.abs(inside + 120.0).max() < 1.0
    assert inside.mean() == pytest.approx(-120.0, abs=0.05)


def test_coloured_noise_has_the_density_asked_for():
    """Truth: the straight lines in decibels through the points given; band 0.5 dB on averages over 2 kHz."""
    points_hz = np.array([9e3, 40e3, 90e3, 150e3])
    wanted_db = np.array([-90.0, -110.0, -112.0, -130.0])
    f, db = density_db(channel.ColouredNoise(RATE, points_hz, 10 ** (wanted_db / 20), seed=2))
    for centre in (12e3, 25e3, 60e3, 75e3, 86e3, 110e3, 131e3, 145e3):
        near = np.abs(f - centre) < 1000
        assert db[near].mean() == pytest.approx(np.interp(centre, points_hz, wanted_db), abs=0.5)


def test_rms_of_coloured_noise_is_the_measured_one():
    source = channel.BackgroundNoise(RATE, seed=3)
    assert source.generate(2_000_000).std() == pytest.approx(source.rms_v, rel=0.02)


@pytest.mark.parametrize("freq_hz, mean_db", [(35e3, -100.2), (75.45e3, -116.2), (86.23e3, -120.5), (131.6e3, -138.4)])
@pytest.mark.parametrize("level_sigma", [0.0, 2.0])
def test_background_follows_hooijen(freq_hz, mean_db, level_sigma):
    """Truth: 10 (-8.64 - 3.95e-5 f) dB(W/Hz), 5 dB per standard deviation, 1 ohm; so 4.3 dB more at 75.45 than at 86.23 kHz."""
    f, db = density_db(channel.BackgroundNoise(RATE, level_sigma=level_sigma, seed=4))
    near = np.abs(f - freq_hz) < 1500
    assert db[near].mean() == pytest.approx(mean_db + 5.0 * level_sigma, abs=0.5)


@pytest.mark.parametrize("name, one_mhz, ten_mhz", [("best", -101.25, -132.62), ("worst", -91.77, -120.5)])
def test_broadband_floor_is_its_formula(name, one_mhz, ten_mhz):
    """Truth: -140 + 38.75 f^-0.72 and -145 + 53.23 f^-0.337 dBm/Hz by hand; in 50 ohm 0 dBm are -13 dB re 1 V^2; Welch's mean."""
    at = 20 * np.log10(channel.broadband_density(name, np.array([1e6, 10e6])))
    assert at == pytest.approx([one_mhz - 13.01, ten_mhz - 13.01], abs=0.05)
    source = channel.BroadbandFloor(24e6, name, seed=1)
    f, p = signal.welch(source.generate(1_000_000).astype(np.float64), 24e6, nperseg=4096, detrend=False)
    for centre in (1.5e6, 3e6, 6e6, 10e6):
        near = np.abs(f - centre) < 100e3
        wanted = 20 * math.log10(float(channel.broadband_density(name, centre)))
        assert 10 * np.log10(p[near].mean()) == pytest.approx(wanted, abs=0.5)
        assert 20 * math.log10(source.density_at(centre)) == pytest.approx(wanted, abs=0.3)
    assert 10 * np.log10(p[f < 0.7e6].max()) < one_mhz - 13 - 50


def test_broadband_floor_is_not_taken_to_the_carriers():
    for said, call in (
        ("sample_rate must exceed 2e\\+06 Hz", lambda: channel.BroadbandFloor(RATE)),
        ("known from 1e\\+06 to 1e\\+08 Hz only", lambda: channel.broadband_density("best", 86.23e3)),
        ("known from 1e\\+06 to 1e\\+08 Hz only", lambda: channel.BroadbandFloor(300e6)),
        ("not known below 1e\\+06 Hz, got 86230", lambda: channel.BroadbandFloor(4e6).density_at(86.23e3)),
        ("no preset 'typical'", lambda: channel.BroadbandFloor(4e6, "typical")),
    ):
        with pytest.raises(ConfigurationError, match=said):
            call()


def test_places_differ_by_half_a_decade():
    """Truth: K is normal with mean -8.64 and standard deviation 0.5: 5 dB of level at every frequency."""
    sigma = np.array([channel.place_sigma(seed=3, place=place) for place in range(4000)])
    assert sigma.mean() == pytest.approx(0.0, abs=4 / math.sqrt(4000))
    assert sigma.std() == pytest.approx(1.0, rel=4 / math.sqrt(8000))
    k = [2 * math.log10(float(channel.background_density(86.23e3, s))) + 3.95e-5 * 86.23e3 for s in (0.0, 1.0)]
    assert k == pytest.approx([-8.64, -8.14], abs=1e-6)


def test_katayama_floor_swings_by_its_slow_class():
    """Truth: 0.23 where the slow class vanishes to 0.23 + 1.38 at its crest, 8.5 dB, away from the pulse."""
    phase = np.radians([6.0, 96.0])
    power = channel.katayama_power(phase)
    assert power == pytest.approx([0.23, 1.61], abs=1e-6)
    assert 10 * math.log10(power[1] / power[0]) == pytest.approx(8.45, abs=0.01)


def test_katayama_sum_has_the_published_mean_peak_and_width():
    """Truth: numerical integration of the formula: mean 0.947, peak 9.52 dB above it, 18.9 us at half height (50 Hz)."""
    phase = np.linspace(0, math.pi, 400_000, endpoint=False)
    power = channel.katayama_power(phase)
    assert power.mean() == pytest.approx(0.947, abs=0.001)
    assert 10 * np.log10(power.max() / power.mean()) == pytest.approx(9.52, abs=0.02)
    without_pulse = 0.23 + 1.38 * np.abs(np.sin(phase - math.radians(6.0))) ** 1.91
    above = np.count_nonzero(power - without_pulse > 7.17 / 2)
    assert above / phase.size * 0.01 == pytest.approx(18.9e-6, abs=0.1e-6)
    assert np.sum(power - without_pulse) / np.sum(power) == pytest.approx(0.015, abs=0.001)


@pytest.mark.parametrize("mains_freq, mains_phase", [(50.0, 0.0), (50.0, 2.0), (60.0, 0.5)])
def test_cyclostationary_power_follows_the_mains(mains_freq, mains_phase):
    """Truth: rms^2 times Katayama's sum over its mean, per 36th of the half cycle; K samples measure a power to sqrt(2/K)."""
    n = int(8 * RATE)
    source = channel.CyclostationaryNoise(RATE, 0.5, mains_freq=mains_freq, mains_phase=mains_phase, seed=5)
    x = source.generate(n).astype(np.float64)
    angle = (mains_phase + 2 * math.pi * mains_freq / RATE * np.arange(n)) % math.pi
    part = (angle * 36 / math.pi).astype(int)
    wanted = 0.25 * channel.katayama_power(angle) / 0.947
    for k in range(36):
        assert np.mean(x[part == k] ** 2) == pytest.approx(np.mean(wanted[part == k]), rel=0.08)
    assert x.std() == pytest.approx(0.5, rel=0.01)


def test_cyclostationary_pulse_stands_at_its_angle():
    """Truth: class 3 peaks where mains phase - 35 degrees = 90 degrees; 9.5 dB above the mean power."""
    x = channel.CyclostationaryNoise(RATE, 1.0, seed=6).generate(int(20 * RATE)).reshape(-1, 4000).astype(np.float64)
    power = (x**2).mean(axis=0)
    peak = int(np.argmax(power))
    assert peak / 4000 * 180 == pytest.approx(125.0, abs=0.2)
    assert 10 * np.log10(power[peak]) == pytest.approx(9.52, abs=0.6)


def test_cyclostationary_colour_falls_by_katayama_slope():
    """Truth: alpha(f) = a/2 exp(-a f), a = 12 us, that is 0.0521 dB per kHz."""
    f, db = density_db(channel.CyclostationaryNoise(RATE, 1.0, seed=7), seconds=10.0)
    inside = (f > 10e3) & (f < 150e3)
    assert np.polyfit(f[inside] / 1e3, db[inside], 1)[0] == pytest.approx(-0.0521, abs=0.001)


@pytest.mark.parametrize(
    "make",
    [
        lambda: channel.WhiteNoise(RATE, density=1e-6, seed=1),
        lambda: channel.ColouredNoise(RATE, [20e3, 120e3], [1e-5, 1e-6], seed=1),
        lambda: channel.CyclostationaryNoise(RATE, 1e-3, seed=1),
        lambda: channel.SwitchedNoise.preset("lv3", RATE, seed=1),
        lambda: channel.GilbertElliottNoise.preset("bursty", RATE, 1e-3, seed=1),
        lambda: channel.ClassANoise.preset("A1_G.1", RATE, 1e-3, centre_hz=86e3, bandwidth_hz=86e3, seed=1),
    ],
    ids=["white", "coloured", "cyclostationary", "switched", "gilbert_elliott", "class_a"],
)
def test_sources_know_their_density(make):
    """Truth: Welch's mean over 8 kHz; the noises that come in bursts measure it less well."""
    source = make()
    f, db = density_db(source)
    for freq_hz in (70e3, 86e3, 100e3):
        near = np.abs(f - freq_hz) < 4000
        measured = 10 * math.log10(np.mean(10 ** (db[near] / 10)))
        tolerance_db, edges_db = 0.35, 0.0
        if isinstance(source, channel.GilbertElliottNoise):
            tolerance_db = 0.9  # 980 bursts of unequal length
        if isinstance(source, channel.SwitchedNoise):
            edges_db = 0.2  # the loud region lasts half a millisecond: its low frequencies leak into the band
        assert measured - edges_db == pytest.approx(20 * math.log10(source.density_at(freq_hz)), abs=tolerance_db)


def test_tone_is_the_formula():
    """Truth: the modulated cosine in float64."""
    n = np.arange(100_000) + 10**9
    t = n / RATE
    source = channel.Tone(
        RATE, 84_017.0, 1.5, phase=0.3, am_depth=0.5, am_hz=100.0, am_phase=0.1, fm_deviation_hz=2e3, fm_hz=130.0,
        first_sample=10**9,
    )
    angle = 2 * math.pi * 84_017.0 * t + 0.3 + 2e3 / 130.0 * np.sin(2 * math.pi * 130.0 * t)
    expected = 1.5 * (1 + 0.5 * np.cos(2 * math.pi * 100 * t + 0.1)) * np.cos(angle)
    np.testing.assert_allclose(source.generate(n.size), expected, atol=1e-5)


def test_tone_has_its_amplitude_and_frequency():
    x = channel.Tone(RATE, 77_500.0, 0.01).generate(400_000)
    assert math.sqrt(2) * x.std() == pytest.approx(0.01, rel=1e-5)
    assert np.argmax(np.abs(np.fft.rfft(x))) == 77_500


def test_hum_has_its_harmonics_in_phase_with_the_mains():
    x = channel.MainsHum(RATE, 2.0, mains_phase=0.7, harmonics={1: 1.0, 5: 0.06}).generate(8000)
    angle = 0.7 + 2 * math.pi * 50 / RATE * np.arange(8000)
    np.testing.assert_allclose(x, 2.0 * (np.sin(angle) + 0.06 * np.sin(5 * angle)), atol=1e-6)


def test_default_hum_holds_the_limits_of_the_supply_standard():
    """Truth: EN 50160 as recalled: 5, 6, 5, 1.5, 3.5, 3 per cent at orders 3, 5, 7, 9, 11, 13."""
    spectrum = np.abs(np.fft.rfft(channel.MainsHum(RATE, 1.0).generate(8000))) / 4000
    harmonics = spectrum[[1, 3, 5, 7, 9, 11, 13]]  # 8000 samples are one cycle: bin = order
    assert harmonics == pytest.approx([1.0, 0.05, 0.06, 0.05, 0.015, 0.035, 0.03], abs=1e-5)
