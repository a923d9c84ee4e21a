"""Tone sets, the switch-mode supply and the switched filter bank against their formulas."""

import math

import numpy as np
import pytest
from scipy import signal

from phy import channel
from phy.errors import ConfigurationError

RATE = 400_000.0


def lines_db(x, n=None):
    """Level of each 1 Hz bin of one second, dB re 1 V rms."""
    return 20 * np.log10(np.abs(np.fft.rfft(x[: n or x.size].astype(np.float64))) * math.sqrt(2) / x.size + 1e-15)


@pytest.mark.parametrize(
    "name, freqs",
    [
        ("pal_lines", [78_125, 93_750]), ("ntsc_lines", [78_671, 94_406]), ("dcf77", [77_500]), ("sfsk_pair", [63_300, 74_000]),
        ("solar_inverter", [17_000, 34_000, 51_000, 68_000, 85_000]),
    ],
)  # fmt: skip
def test_sets_stand_at_their_frequencies(name, freqs):
    """Truth: 15 625 Hz times 5 and 6 (NTSC 15 734.27 Hz), 77.5 kHz; 0 dB is the reference, the inverter falls as 1 / order."""
    db = lines_db(channel.ToneSet.preset(name, RATE, 1e-3, seed=1).generate(int(RATE)))
    for order, freq in enumerate(freqs, start=1):
        expected = -60.0 - (20 * math.log10(order) if name == "solar_inverter" else 0.0)
        assert db[freq] == pytest.approx(expected, abs=0.15)
    assert np.count_nonzero(db > -80) == (3 * len(freqs) if "lines" in name else len(freqs))  # AM: a line on each side


def test_phases_come_from_the_seed():
    a, b, c = (channel.ToneSet.preset("pal_lines", RATE, 1.0, seed=seed).generate(100) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c, atol=0.1)


def test_tones_beyond_the_rate_are_left_out():
    x = channel.ToneSet.preset("solar_inverter", 96_000.0, 1.0).generate(96_000)
    assert lines_db(x)[34_000] == pytest.approx(-6.0, abs=0.1)


@pytest.mark.parametrize(
    "name, freq_hz, dbuv",
    [
        ("good_supply_c", 9e3, 89.0), ("good_supply_c", 100e3, 68.8), ("good_supply_c", 131.6e3, 30.0),
        ("good_supply_c", 500e3, 56.0),
        ("good_supply_a", 40e3, 76.6), ("good_supply_a", 86.23e3, 30.0),
        ("compatibility", 50e3, 113.0), ("compatibility", 86.23e3, 101.1), ("compatibility", 150e3, 89.0),
    ],
)  # fmt: skip
def test_masks_anchor_the_levels(name, freq_hz, dbuv):
    """Truth: corner values as published, between them straight over log f, worked out by hand."""
    assert channel.mask_dbuv(name, freq_hz) == pytest.approx(dbuv, abs=0.1)


def test_a_mask_ends_where_it_is_not_known():
    with pytest.raises(ConfigurationError, match="mask 'compatibility' has no line at 30000 Hz"):
        channel.mask_dbuv("compatibility", 30e3)


def test_the_other_bpsk_system_fills_its_band():
    """Truth: 8 kHz about 86 kHz, a tenth of the time, +20 dB while it lasts; 40 dB down 6 kHz beside its band."""
    y = channel.BandBursts.preset("bpsk_86k", RATE, 1e-3, mean_burst_s=5e-3, mean_gap_s=45e-3, seed=6).generate(int(8 * RATE))
    blocks = np.sqrt((y.astype(np.float64).reshape(-1, 400) ** 2).mean(axis=1))
    assert np.mean(blocks > 5e-3) == pytest.approx(0.1, rel=4 * math.sqrt(2 / 160))
    f, p = signal.welch(y.astype(np.float64), RATE, nperseg=4096, detrend=False)
    db = 10 * np.log10(p / p[np.abs(f - 86e3) < 3e3].mean())
    assert np.abs(db[np.abs(f - 86e3) < 3e3]).max() < 2.0
    assert db[np.abs(f - 86e3) > 10e3].max() < -40


def test_switcher_swings_with_the_rectified_mains():
    """Truth: 84 kHz +- 2 kHz sine at 100 Hz, amplitude between 0.1 and 1.9."""
    x = channel.ToneSet.preset("switcher", RATE, 1.0).generate(40_000)
    analytic = signal.hilbert(x.astype(np.float64))[2000:-2000]
    envelope = np.abs(analytic) / math.sqrt(2)
    assert envelope.max() == pytest.approx(1.9, abs=0.02)
    assert envelope.min() == pytest.approx(0.1, abs=0.02)
    freq = np.diff(np.unwrap(np.angle(analytic))) * RATE / (2 * math.pi)
    assert freq.max() == pytest.approx(86e3, abs=60)
    assert freq.min() == pytest.approx(82e3, abs=60)
    assert np.abs(freq[4000:8000] - freq[:4000]).max() < 60


def test_supply_is_its_train_of_rings():
    """Truth: the rings themselves, summed at 40 MS/s and with their mean taken out; the harmonics beyond 20 MHz are missing."""
    rate, f_sw, tau, ring = 40e6, 65e3, 3e-6, 180e3
    source = channel.PeriodicImpulses(rate, 2.0, f_sw, tau, ring, seed=1)
    n = int(rate / 1e3)  # 1 ms: 65 whole periods
    x = source.generate(n).astype(np.float64)
    start = source._rows[0, 2] - np.angle(1 / ((1 / tau + 2j * math.pi * f_sw) ** 2 + (2 * math.pi * ring) ** 2)) / (2 * math.pi)
    t = np.arange(n) / rate
    expected = np.zeros(n)
    for k in range(-8, 67):
        since = t - (k - start) / f_sw
        expected += np.where(since >= 0, 2.0 * np.exp(-since / tau) * np.sin(2 * math.pi * ring * since), 0.0)
    assert np.abs(x - (expected - expected.mean())).max() < 0.01


def test_supply_lines_drift_and_breathe():
    """Truth: 65 kHz +- 3000 ppm, the fastest drift 500 ppm/s; 50 % AM of 100 Hz puts lines 12 dB down (a quarter) beside."""
    make = channel.PeriodicImpulses.preset
    db = lines_db(make("supply_65k", RATE, 1e-3, drift_ppm=0.0).generate(int(RATE)))
    line = 2 * 65e3 * 1e-2 * 2 * math.pi * 180e3 / abs((1 / 3e-6 + 2j * math.pi * 65e3) ** 2 + (2 * math.pi * 180e3) ** 2)
    assert db[65_000] == pytest.approx(20 * math.log10(line / math.sqrt(2)), abs=0.05)
    assert db[[64_900, 65_100]] - db[65_000] == pytest.approx([-12.04, -12.04], abs=0.05)
    assert db[[130_000, 195_000]].min() > -80
    period = 2 * math.pi * 3000 / 500
    peaks = []
    for at in (0.0, period / 4 - 0.5, period / 4 + 0.5, period / 2):
        x = make("supply_65k", RATE, 1e-3, first_sample=int(at * RATE)).generate(40_000)
        spectrum = np.abs(np.fft.rfft(x * np.hanning(x.size), 16 * x.size))
        low = int(64e3 * 16 * x.size / RATE)
        peaks.append((low + np.argmax(spectrum[low : int(66e3 * 16 * x.size / RATE)])) * RATE / (16 * x.size))
    assert peaks[0] == pytest.approx(65e3 * 1.003, abs=3)
    assert peaks[3] == pytest.approx(65e3 * 0.997, abs=3)
    assert (peaks[2] - peaks[1]) / 65e3 == pytest.approx(-500e-6, rel=0.15)


def test_supply_is_strongest_at_the_crests():
    y = channel.PeriodicImpulses.preset("supply_65k", RATE, 1.0, mains_phase=0.4).generate(40_000).astype(np.float64)
    power = np.convolve(y**2, np.ones(80) / 80, mode="same").reshape(-1, 4000).mean(axis=0)
    crest = (math.pi / 2 - 0.4) / math.pi * 4000
    assert np.argmax(power) == pytest.approx(crest, abs=60)


def density_in(x, mask):
    """dB re 1 V^2/Hz near 80, 50 and 110 kHz of the masked stretches, by one periodogram for each half cycle."""
    pieces = np.stack([piece[mask] for piece in x.reshape(-1, 4000)]).astype(np.float64)
    window = np.hanning(pieces.shape[1])
    p = (np.abs(np.fft.rfft(pieces * window)) ** 2).mean(axis=0) * 2 / RATE / np.sum(window**2)
    f = np.fft.rfftfreq(pieces.shape[1], 1 / RATE)
    return [10 * np.log10(np.interp(at, f, p)) for at in (80e3, 50e3, 110e3)]


def test_lv3_switches_between_its_three_densities():
    """Truth: Hooijen -6, +3, +18 dB in 0-60, 60-95, 95-100 % of the half cycle, the last flat above 60 kHz."""
    source = channel.SwitchedNoise.preset("lv3", RATE, seed=1)
    x = source.generate(4000 * 500)
    hooijen = {f: -86.4 - 3.95e-4 * f for f in (50e3, 60e3, 80e3, 110e3)}
    place = np.arange(4000) / 4000
    quiet, middle, loud = (density_in(x, (place >= a) & (place < b)) for a, b in ((0, 0.6), (0.6, 0.95), (0.95, 1.0)))
    assert quiet == pytest.approx([hooijen[f] - 6 for f in (80e3, 50e3, 110e3)], abs=0.7)
    assert middle == pytest.approx([hooijen[f] + 3 for f in (80e3, 50e3, 110e3)], abs=0.7)
    assert loud == pytest.approx([hooijen[60e3] + 18, hooijen[50e3] + 18, hooijen[60e3] + 18], abs=1.0)
    mean = sum(share * 10 ** (db / 10) for share, db in ((0.6, quiet[0]), (0.35, middle[0]), (0.05, loud[0])))
    assert 20 * math.log10(source.density_at(80e3)) == pytest.approx(10 * math.log10(mean), abs=0.4)


def test_lv3_steps_at_its_borders():
    """The loud part begins at 95 % and ends at the zero crossing, to the sample: the filters run on, only the choice jumps."""
    source = channel.SwitchedNoise.preset("lv3", RATE, mains_phase=1.0, seed=2)
    offset = round(1.0 / math.pi * 4000)
    power = (source.generate(4000 * 400).reshape(-1, 4000).astype(np.float64) ** 2).mean(axis=0)
    power = np.roll(power, offset)  # now from the zero crossing on
    assert 10 * np.log10(power[3800:].mean() / power[2400:3800].mean()) > 10
    assert power[3803] > 5 * power[3797]
    assert power[3997] > 5 * power[3]
    assert 10 * np.log10(power[2400:3800].mean() / power[:2400].mean()) == pytest.approx(9.0, abs=0.5)


def test_background_density_is_the_formula():
    """Truth: -120.5 dB (W/Hz in 1 ohm) at 86.23 kHz."""
    assert 20 * math.log10(float(channel.background_density(86.23e3))) == pytest.approx(-120.46, abs=0.01)
    made = channel.BackgroundNoise(RATE).density_at(86.23e3)
    assert 20 * math.log10(made) == pytest.approx(-120.46, abs=0.1)
