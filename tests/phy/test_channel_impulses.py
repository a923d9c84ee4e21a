"""Impulsive noise against its formulas and published tables."""

import math

import numpy as np
import pytest

from phy import channel

RATE = 400_000.0


def test_a_ring_is_the_formula():
    """Truth: A exp(-t/tau) sin(2 pi f t + phase) from the crest of the mains on, evaluated here in float64."""
    y = channel.MainsImpulses(RATE, 2.0, 50e-6, 90e3, mains_phase=0.3, ring_phase=0.4).generate(8000)
    expected = np.zeros(8000)
    for k in range(-1, 5):
        onset = ((math.pi / 2 - 0.3) / (2 * math.pi) + k / 2) / 50.0
        t = np.arange(8000) / RATE - onset
        ring = 2.0 * np.exp(-np.clip(t, 0, None) / 50e-6) * np.sin(2 * math.pi * 90e3 * t + 0.4)
        expected += np.where(t >= 0, ring * (-1) ** k, 0.0)
    np.testing.assert_allclose(y, expected, atol=2e-6)


def test_a_ring_that_began_before_the_first_sample_is_heard():
    y = channel.MainsImpulses(RATE, 1.0, 200e-6, 20e3, mains_phase=math.pi / 2 + 0.01).generate(50)
    assert np.abs(y).max() > 0.5


@pytest.mark.parametrize("mains_freq", [50.0, 49.8, 60.0])
@pytest.mark.parametrize("name, per_cycle", [("dimmer1", 2), ("dimmer3", 6), ("smps_rect", 4), ("scr_on", 2), ("scr_off", 2)])
def test_presets_fire_at_their_rate(name, per_cycle, mains_freq):
    seconds = 2
    y = channel.MainsImpulses.preset(name, RATE, 0.1, mains_freq=mains_freq).generate(int(seconds * RATE))
    quiet = np.flatnonzero(np.diff(np.flatnonzero(y)) > 200)
    assert quiet.size + 1 == pytest.approx(seconds * mains_freq * per_cycle, abs=1)


def test_preset_level_is_counted_from_the_reference():
    """Truth: +30 dB for `dimmer1`; the ring's crest A sin(..) exp(..) of tau 50 us at 90 kHz reaches 0.945 A."""
    y = channel.MainsImpulses.preset("dimmer1", RATE, reference_v=0.1, jitter_s=3e-6).generate(int(2 * RATE))
    t = np.linspace(0, 10e-6, 10_001)
    crest = 0.1 * 10**1.5 * np.max(np.exp(-t / 50e-6) * np.sin(2 * math.pi * 90e3 * t))
    assert 0.97 * crest < np.abs(y).max() <= 1.0001 * crest


@pytest.mark.parametrize("name, shortest_s, longest_s", [("scr_on", 1.9e-6, 11.2e-6), ("scr_off", 15e-6, 150e-6)])
def test_thyristor_pulses_have_a_published_width(name, shortest_s, longest_s):
    """Truth: the decay to 1 / e lies in the range of the published widths; the energy of a ring is gone by exp(-2 t / tau)."""
    y = channel.MainsImpulses.preset(name, 4e6, 1.0, jitter_s=0.0).generate(400_000).astype(np.float64)
    first = np.flatnonzero(y)[0]
    energy = np.cumsum(y[first : first + 20_000] ** 2)
    decay_s = np.searchsorted(energy, (1 - math.exp(-2)) * energy[-1]) / 4e6
    assert shortest_s < decay_s < longest_s


def onsets(y):
    """Instants at which an isolated ring starts, to the sample."""
    live = np.flatnonzero(y)
    return live[np.insert(np.diff(live) > 200, 0, True)]


def test_jitter_has_its_standard_deviation():
    """Truth: 100 us; N pulses measure it within 4 / sqrt(2 N). A sample of 2.5 us adds under 0.1 us."""
    y = channel.MainsImpulses(RATE, 1.0, 5e-6, 90e3, jitter_s=100e-6, seed=3).generate(int(20 * RATE))
    error = (onsets(y) - 0.5 - 2000) % 4000
    error = np.where(error > 2000, error - 4000, error) / RATE
    assert error.size == 2000
    assert error.std() == pytest.approx(100e-6, rel=4 / (2 * error.size) ** 0.5)
    assert error.mean() == pytest.approx(0.0, abs=4 * 100e-6 / error.size**0.5)


def test_spread_has_its_standard_deviation():
    """Truth: 6 dB; half a sine of ring at a known place gives each pulse's amplitude in dB."""
    y = channel.MainsImpulses(RATE, 1.0, 5e-6, 90e3, spread_db=6.0, ring_phase=math.pi / 2, seed=3)
    at_onset = y.generate(int(20 * RATE))[2000::4000]
    level_db = 20 * np.log10(np.abs(at_onset))
    assert level_db.std() == pytest.approx(6.0, rel=4 / (2 * at_onset.size) ** 0.5)
    assert level_db.mean() == pytest.approx(0.0, abs=4 * 6.0 / at_onset.size**0.5)


def test_random_phase_is_uniform():
    """Truth: the sine of a uniform phase has mean 0 and mean square 1/2 (variance of the square 1/8)."""
    y = channel.MainsImpulses(RATE, 1.0, 5e-6, 90e3, random_phase=True, alternate=False, seed=3)
    at_onset = y.generate(int(20 * RATE))[2000::4000].astype(np.float64)
    assert at_onset.mean() == pytest.approx(0.0, abs=4 * (0.5 / at_onset.size) ** 0.5)
    assert (at_onset**2).mean() == pytest.approx(0.5, abs=4 * (0.125 / at_onset.size) ** 0.5)


def live_runs(source, seconds):
    """Lengths (samples) of the stretches where the source is not silent, over many short blocks."""
    lengths, run = [], 0
    for _ in range(seconds):
        live = np.flatnonzero(source.generate(int(RATE)))
        if live.size:
            breaks = np.flatnonzero(np.diff(live) > 1)
            edges = np.concatenate(([-1], breaks, [live.size - 1]))
            lengths.append(np.diff(edges))
        run += live.size
    return np.concatenate(lengths), run


@pytest.mark.parametrize(
    "name, rate, width, duty, seconds",
    [("heavy", 51.0, 64.1e-6, 0.00327, 60), ("medium", 1.04, 60.7e-6, 6.32e-5, 400), ("weak", 0.122, 110.7e-6, 1.35e-5, 800)],
)
def test_rate_width_and_duty_are_the_published_ones(name, rate, width, duty, seconds):
    """Truth: Zimmermann and Dostert's table (arrivals per second, mean width, share of disturbed time).

    Bands: 4 standard errors of a Poisson count K, of a mean of K exponentials, and of both together.
    """
    arrivals = rate * seconds
    lengths, live = live_runs(channel.RandomImpulses.preset(name, RATE, 1.0, seed=11), seconds)
    assert lengths.size == pytest.approx(arrivals, abs=4 * arrivals**0.5 + 0.01 * arrivals)  # overlaps, empty: under 1 %
    assert lengths.mean() / RATE == pytest.approx(width, rel=4 / arrivals**0.5 + 0.02)
    assert live / (seconds * RATE) == pytest.approx(duty, rel=4 * (2 / arrivals) ** 0.5 + 0.01)


def test_gaps_are_exponential():
    """Truth: the gaps of a Poisson process have equal mean and standard deviation, and e^-1 of them exceed the mean."""
    y = channel.RandomImpulses(RATE, 1e-3, 1e-5, 1.0, 1.0, seed=2).generate(int(20 * RATE))
    gaps = np.diff(np.flatnonzero(np.diff((y != 0).astype(np.int8)) == 1))
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)
    assert np.mean(gaps > gaps.mean()) == pytest.approx(math.exp(-1), abs=4 * (0.23 / gaps.size) ** 0.5)


def test_level_of_the_bursts_is_log_uniform():
    """Truth: rms between 1 and 100, uniform in dB: mean 20 dB, standard deviation 40 / sqrt(12) = 11.5 dB."""
    source = channel.RandomImpulses(RATE, 0.01, 2e-3, 1.0, 100.0, seed=4)
    y = source.generate(int(20 * RATE)).astype(np.float64)
    live = np.flatnonzero(y)
    runs = np.split(y[live], np.flatnonzero(np.diff(live) > 1) + 1)
    level_db = np.array([10 * np.log10(np.mean(run**2)) for run in runs if run.size > 100])
    assert level_db.size > 1000
    assert level_db.mean() == pytest.approx(20.0, abs=2.0)  # overlapping bursts lean to the louder one
    assert level_db.std() == pytest.approx(11.5, abs=1.0)
    assert level_db.min() > -1.5
    assert level_db.max() < 43.0
