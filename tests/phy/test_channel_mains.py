"""The wandering mains frequency, seen in every model that follows the mains."""

import math

import numpy as np
import pytest

from phy import channel
from phy.errors import ConfigurationError

RATE = 400_000.0
PERIOD_S = 120.0  # of the wander


def cycles(seconds, drift_hz):
    """Truth: the integral of 50 + drift cos(2 pi t / 120) Hz."""
    return 50.0 * seconds + drift_hz * PERIOD_S / (2 * math.pi) * np.sin(2 * math.pi * np.asarray(seconds) / PERIOD_S)


@pytest.mark.parametrize("start_s", [0.0, 20.0, 60.0, 95.0])
def test_impulses_fire_at_the_crests_of_the_wandering_mains(start_s):
    first = int(start_s * RATE)
    y = channel.MainsImpulses(RATE, 1.0, 5e-6, 90e3, mains_drift_hz=0.2, first_sample=first).generate(int(2 * RATE))
    live = np.flatnonzero(y)
    onsets = (first + live[np.insert(np.diff(live) > 200, 0, True)]) / RATE
    assert 198 <= onsets.size <= 202
    angle = cycles(onsets, 0.2) * 2 % 1  # half cycles; a crest stands at 1/2
    assert np.abs(angle - 0.5).max() * 0.01 < 3.0e-6  # one sample is 2.5 us


def test_hum_has_the_momentary_frequency():
    """Truth: 50.2 Hz at the start, 49.8 Hz half a period of the wander later; over 2 s the phase turns 100.4 and 99.6 times."""
    for first_s, expected in ((0.0, 50.2), (60.0, 49.8), (30.0, 50.0)):
        hum = channel.MainsHum(RATE, 1.0, mains_drift_hz=0.2, harmonics={1: 1.0}, first_sample=int((first_s - 1 + 120) * RATE))
        x = hum.generate(int(2 * RATE)).astype(np.float64)
        rising = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
        at = rising - x[rising] / (x[rising + 1] - x[rising])
        assert (at.size - 1) / (at[-1] - at[0]) * RATE == pytest.approx(expected, abs=0.002)


def test_envelopes_keep_to_the_hum():
    """The Katayama pulse and the switched gain stand at the same mains angles as without wander, half an hour later."""
    first = int(1800 * RATE) + 12_345
    n = int(0.1 * RATE)
    seconds = (first + np.arange(n)) / RATE
    angle = 2 * np.pi * cycles(seconds, 0.2)
    noise = channel.CyclostationaryNoise(RATE, 1.0, mains_drift_hz=0.2, first_sample=first)
    still = channel.CyclostationaryNoise(RATE, 1.0, mains_freq=1e-6, mains_phase=0.0, first_sample=first)
    flat = channel.katayama_power(2e-6 * np.pi * seconds)
    envelope = noise.generate(n).astype(np.float64) / still.generate(n) * np.sqrt(flat)  # the Gaussian samples are the same
    assert np.abs(envelope**2 / channel.katayama_power(angle) - 1).max() < 0.05
    gain = channel.SlowGain(RATE, -0.5, 0.0, 0.3, mains_drift_hz=0.2, first_sample=first)
    y = gain.process(np.ones(n, np.float32))[gain.latency_samples + 1 :]
    inside = np.abs((angle / np.pi) % 1 - 0.5)[: y.size]
    assert np.abs(y[inside < 0.12] - 0.5).max() < 0.01
    assert np.abs(y[(inside > 0.18) & (np.arange(y.size) > 100)] - 1.0).max() < 0.01


def test_drift_has_a_limit():
    with pytest.raises(ConfigurationError, match=r"mains_drift_hz must be in \[0, 1\], got 2"):
        channel.MainsHum(RATE, 1.0, mains_drift_hz=2.0)
