"""The periodic canceller: what repeats with the mains goes, at the cost that the mean of 16 half cycles has; all else stays."""

import math

import numpy as np
import pytest

from phy import ConfigurationError, Profile, Receiver, ReceiverOptions, Transmitter, append_crc
from phy.channel import Tone, WhiteNoise
from phy.periodic import PeriodicCanceller
from phy.runs import add_run, either

RATE = 80_000.0
PERIODS = 16


def noise(n, seed=3):
    rng = np.random.default_rng(seed)
    return ((rng.normal(size=n) + 1j * rng.normal(size=n)) / math.sqrt(2)).astype(np.complex64)


def supply(n, half_cycles_hz=100.0, centre_hz=6137.0, deviation_hz=2000.0, am=0.9):
    """A switching supply: frequency and level swing with the half cycle."""
    t = np.arange(n) / RATE
    swing = 2 * np.pi * half_cycles_hz * t
    level = 1 + am * np.cos(swing)
    return (level * np.exp(1j * (deviation_hz / half_cycles_hz * np.sin(swing) + 2 * np.pi * centre_hz * t))).astype(np.complex64)


@pytest.mark.parametrize(
    "half_cycles_hz, centre_hz, deviation_hz, am, level",
    [
        (100.0, 6000.0, 2000.0, 0.9, 3.0),
        (100.3, 6137.0, 2000.0, 0.0, 3.0),
        (119.8, -5432.1, 1000.0, 0.5, 1.0),
        (99.6, 123.4, 300.0, 0.9, 10.0),
    ],
)  # fmt: skip
def test_a_supply_is_removed_to_the_error_of_the_mean(half_cycles_hz, centre_hz, deviation_hz, am, level):
    """Truth: the prediction is the mean of 16 half cycles, interpolated linearly, which keeps a half to all of the noise's power:
    of noise of power 1 there is 1 + (0.5..1)/16 left, of the tone nothing."""
    n = round(0.8 * RATE)
    canceller = PeriodicCanceller(RATE)
    y = canceller.process(noise(n) + level * supply(n, half_cycles_hz, centre_hz, deviation_hz, am))
    assert canceller.period is not None
    assert canceller.period.samples == pytest.approx(RATE / half_cycles_hz, abs=0.3)
    left = float(np.mean(np.abs(y[n // 2 :]) ** 2))
    assert 1 + 0.4 / PERIODS < left < 1.05 + 1 / PERIODS


@pytest.mark.parametrize("kind", ["noise", "steady tone", "drifting", "impulses"])
def test_what_does_not_repeat_is_left_alone(kind):
    n = round(1.5 * RATE)
    t = np.arange(n) / RATE
    x = noise(n)
    if kind == "steady tone":
        x += 5 * np.exp(2j * np.pi * 4321.0 * t).astype(np.complex64)
    elif kind == "drifting":  # 37 sweeps a second have nothing to do with the mains
        x += 3 * np.exp(1j * (40 * np.sin(2 * np.pi * 37 * t))).astype(np.complex64)
    elif kind == "impulses":  # locked to the mains, but of another waveform each time
        x[(np.arange(n) % 800) < 16] *= 30
    canceller = PeriodicCanceller(RATE)
    assert canceller.process(x) is x and canceller.period is None


def test_it_begins_and_ends_with_the_supply():
    n = round(2.4 * RATE)
    x = noise(n)
    on = slice(n // 4, n // 2)
    x[on] += 3 * supply(n)[on]
    canceller = PeriodicCanceller(RATE)
    y = canceller.process(x)
    active = np.zeros(n, bool)
    for first, last, at_work in canceller.runs:
        active[first:last] = at_work
    began, ended = np.flatnonzero(active)[[0, -1]]
    assert on.start < began < on.start + 0.2 * RATE and on.stop < ended < on.stop + 0.4 * RATE
    assert np.array_equal(y[~active], x[~active])


@pytest.mark.parametrize("sir_db", [0.0, -20.0])
def test_packets_under_a_swept_tone_are_received(sir_db):
    """R8 asks for 30 % of the packets at most to be lost at 0 dB; without the canceller it is more."""
    profile = Profile.load("pl20a")
    rng = np.random.default_rng(8)
    parts = [np.zeros(120_000, np.float32)]
    for _ in range(12):
        sender = Transmitter(profile, 400_000.0, level_v=1.0, clock_ppm=float(rng.uniform(-400, 400)))
        parts += [sender.modulate(append_crc(rng.bytes(18)), phase=float(rng.uniform(-3, 3))), np.zeros(4000, np.float32)]
    x = np.concatenate(parts)
    middle, level = profile.carrier_hz("primary") + 137.0, 10 ** (-sir_db / 20)
    tone = Tone(400_000.0, middle, level, am_depth=0.9, fm_deviation_hz=2e3, fm_hz=100.0)
    x = x + tone.generate(x.size) + WhiteNoise(400_000.0, density=1e-3, seed=1).generate(x.size)

    def good(**options):
        receiver = Receiver(profile, 400_000.0, ReceiverOptions(**options))
        return sum(p.crc_ok for p in receiver.push(x) + receiver.flush())

    assert good() == 12
    assert good(periodic=0.0) <= 8


def test_repeated_octets_get_through():
    """All octets alike make a packet of a few lines, which must not be taken for interference in every branch."""
    profile = Profile.load("pl20a")
    packet = Transmitter(profile, 400_000.0).modulate(append_crc(bytes(100)))
    x = np.concatenate([np.zeros(40_000, np.float32), *[packet, np.zeros(4000, np.float32)] * 4])
    receiver = Receiver(profile, 400_000.0, ReceiverOptions(direct=False))
    assert sum(p.crc_ok for p in receiver.push(x) + receiver.flush()) == 4


def test_runs_are_joined():
    a, b = [], []
    for first, last, active in ((0, 5, False), (5, 9, True), (9, 12, True)):
        add_run(a, first, last, active)
    add_run(b, 0, 7, False)
    add_run(b, 7, 12, False)
    assert a == [(0, 5, False), (5, 12, True)] and b == [(0, 12, False)]
    assert either(a, b) == a
    assert either([(0, 4, True), (4, 12, False)], a) == [(0, 4, True), (4, 5, False), (5, 12, True)]


@pytest.mark.parametrize(
    "arguments, word", [((1000.0,), "rate"), ((math.inf,), "rate"), ((80e3, 1.0), "threshold"), ((80e3, -0.1), "threshold")]
)
def test_bad_arguments_are_named(arguments, word):
    with pytest.raises(ConfigurationError, match=word):
        PeriodicCanceller(*arguments)
