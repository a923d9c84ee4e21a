"""Coupler, access impedance, loss statistics and converter against formulas and published ranges."""

import cmath
import math

import numpy as np
import pytest

from phy import channel
from phy.errors import ConfigurationError

RATE = 400_000.0


@pytest.fixture(scope="module")
def coupler_response():
    x = np.zeros(400_000, np.float32)
    x[0] = 1.0
    return np.fft.rfft(channel.Coupler(RATE).process(x).astype(np.float64))  # one bin per hertz


def test_coupler_band_and_rejection(coupler_response):
    """Truth: 1 dB in the middle, 3 dB more at 30 and 150 kHz, 50 Hz down by at least 100 dB; 40 dB a decade below the band."""
    db = 20 * np.log10(np.abs(coupler_response))
    assert db[67_000:90_000] == pytest.approx(np.full(23_000, -1.1), abs=0.1)
    assert db[[30_000, 150_000]] == pytest.approx([-4.0, -4.0], abs=0.05)
    assert -120 < db[50] - db[80_000] < -100
    assert db[1000] - db[100] == pytest.approx(40.0, abs=0.2)


def test_coupler_delays_its_band_evenly(coupler_response):
    """Truth: under 5 us of variation from 35 to 95 kHz, under 1 us over the A band's two carriers."""
    delay = -np.diff(np.unwrap(np.angle(coupler_response))) / (2 * math.pi)
    assert np.ptp(delay[35_000:95_000]) < 5e-6
    assert np.ptp(delay[70_000:90_000]) < 1e-6


def test_coupler_takes_the_mains_away():
    """Truth: 325 V of mains hum comes down by more than 100 dB to under 3.3 mV, beside a signal that loses 1 dB."""
    coupler = channel.Coupler(RATE)
    hum = channel.MainsHum(RATE, 325.0, harmonics={1: 1.0}).generate(80_000)
    out = coupler.process(hum)[40_000:].astype(np.float64)
    assert 1e-4 < np.abs(out).max() < 3.3e-3


@pytest.mark.parametrize("freq_hz, ohm, angle_deg", [(86.23e3, 22.5, 53.0), (75.45e3, 20.2, 55.0), (131.6e3, 30.3, 46.2)])
def test_artificial_mains_impedance(freq_hz, ohm, angle_deg):
    """Truth: 50 ohm beside 50 uH + 5 ohm, worked out by hand."""
    got = channel.artificial_mains_ohm(freq_hz)
    assert abs(got) == pytest.approx(ohm, abs=0.1)
    assert math.degrees(cmath.phase(got)) == pytest.approx(angle_deg, abs=0.4)


def test_coupling_loss():
    """Truth: at the tuned frequency 0.9 + 0.3 ohm are in series: 2 ohm leave -4.1 dB, 1 ohm -6.8 dB."""
    feed = channel.Feed.preset()
    tuned = 1 / (2 * math.pi * math.sqrt(0.47e-6 * 8.4e-6))
    assert tuned == pytest.approx(80.1e3, abs=50)
    assert feed.series_ohm(tuned) == pytest.approx(1.2, abs=1e-9)
    assert feed.loss_db(tuned, 2.0) == pytest.approx(20 * math.log10(3.2 / 2), abs=1e-6)
    assert feed.loss_db(tuned, 1.0) == pytest.approx(6.85, abs=0.01)
    assert 4.0 < feed.loss_db(86.23e3, 2.0) < 5.0
    assert channel.Feed.preset(output_ohm=0.0).loss_db(tuned, 1.0) == pytest.approx(20 * math.log10(1.3), abs=1e-6)


@pytest.mark.parametrize("name, lowest, highest", [("any", 1, 20), ("rural", 3, 17), ("urban", 1, 17), ("industrial", 1, 21)])
def test_access_impedances_lie_in_their_range(name, lowest, highest):
    """Truth: log-uniform magnitude (mean and spread of its logarithm), angle uniform from 20 to 70 degrees."""
    z = np.array([channel.access_impedance(name, seed=3, place=place) for place in range(2000)])
    ln = np.log(np.abs(z))
    assert lowest <= np.abs(z).min() < 1.02 * lowest
    assert 0.98 * highest < np.abs(z).max() <= highest
    width = math.log(highest / lowest)
    assert ln.mean() == pytest.approx(math.log(lowest * highest) / 2, abs=4 * width / math.sqrt(12 * z.size))
    assert ln.std() == pytest.approx(width / math.sqrt(12), rel=0.06)
    degrees = np.degrees(np.angle(z))
    assert degrees.min() >= 20 and degrees.max() <= 70
    assert degrees.mean() == pytest.approx(45.0, abs=4 * 50 / math.sqrt(12 * z.size))
    assert channel.access_impedance(name, seed=3, place=7) == z[7] != channel.access_impedance(name, seed=4, place=7)


@pytest.mark.parametrize("freq_hz", [20e3, 75.45e3, 86.23e3, 150e3])
def test_malack_engstrom_is_a_resistor_and_a_coil(freq_hz):
    """Truth: mean magnitude between 5 and 20 ohm over 20 to 150 kHz, inductive, L between 10 and 30 uH."""
    z = np.array([channel.access_impedance("malack_engstrom", 1, place, freq_hz) for place in range(1000)])
    coil_uh = z.imag / (2 * math.pi * freq_hz) * 1e6
    assert coil_uh.min() >= 10 and coil_uh.max() <= 30
    assert coil_uh.mean() == pytest.approx(20.0, abs=4 * 20 / math.sqrt(12 * z.size))
    assert 5.0 < np.abs(z).mean() < 20.5
    low, high = (channel.access_impedance("malack_engstrom", 1, 3, at) for at in (45e3, 90e3))
    assert low.real == high.real and high.imag == pytest.approx(2 * low.imag)
    with pytest.raises(ConfigurationError, match="freq_hz must be a finite number, got None"):
        channel.access_impedance("malack_engstrom")


def test_loads_of_the_maker():
    """Truth: 4.7 and 6.8 ohm in series with 0.47 uF, 3.93 ohm of reactance at 86.23 kHz; 500 ohm in a receiver."""
    assert channel.maker_load_ohm("five_ohm", 86.23e3) == pytest.approx(4.7 - 3.93j, abs=0.005)
    assert channel.maker_load_ohm("seven_ohm", 86.23e3) == pytest.approx(6.8 - 3.93j, abs=0.005)
    assert channel.receiver_ohm() == 500.0


@pytest.mark.parametrize(
    "name, lowest, highest, length_m",
    [("low_voltage", 4, 30, None), ("line", 12, 30, 300.0), ("cross_phase", 10, 30, None), ("transformer", 35, 60, None)],
)
def test_losses_lie_in_their_published_range(name, lowest, highest, length_m):
    """Truth: the range (40 to 100 dB per km for `line`), uniform: mean in the middle, width / sqrt(12)."""
    drawn = np.array([channel.LossRange.preset(name).draw(place, seed=4, length_m=length_m) for place in range(2000)])
    assert lowest <= drawn.min() and drawn.max() <= highest
    width = highest - lowest
    assert drawn.mean() == pytest.approx((lowest + highest) / 2, abs=4 * width / math.sqrt(12 * drawn.size))
    assert drawn.std() == pytest.approx(width / math.sqrt(12), rel=0.05)


def test_a_loss_per_km_needs_a_length():
    with pytest.raises(ConfigurationError, match="length_m must be given for a loss per km and for no other, got None"):
        channel.LossRange.preset("line").draw(0)
    with pytest.raises(ConfigurationError, match="length_m must be given"):
        channel.LossRange.preset("transformer").draw(0, length_m=100.0)


def test_flat_losses_of_the_published_places():
    """Truth: 20, 45, 60, 80 dB of the digest's presets, 50 of the industrial scenario, 72 and 66 of the maker's ladder."""
    names = ("same_phase_near", "same_phase_far", "industrial", "cross_phase", "limit", "maker_primary", "maker_secondary")
    assert [channel.Attenuation.preset(name).attenuation_db for name in names] == [20, 45, 50, 60, 80, 72, 66]


def test_losses_spread_from_packet_to_packet_and_between_carriers():
    """Truth: 6 dB for what both carriers share, 8 dB for their difference, both Gaussian in decibels about the preset."""
    spread = channel.LossSpread.preset("same_phase_far")
    drawn = [spread.draw(packet, seed=5) for packet in range(4000)]
    primary, secondary = (np.array([getattr(loss, name) for loss in drawn]) for name in ("primary_db", "secondary_db"))
    common, difference = (primary + secondary) / 2, primary - secondary
    band = 4 / math.sqrt(len(drawn))
    assert common.mean() == pytest.approx(45.0, abs=6 * band)
    assert common.std() == pytest.approx(6.0, rel=band)
    assert difference.mean() == pytest.approx(0.0, abs=8 * band)
    assert difference.std() == pytest.approx(8.0, rel=band)
    assert abs(np.corrcoef(common, difference)[0, 1]) < band
    assert spread.draw(17, seed=5) == drawn[17] != spread.draw(17, seed=6)


def test_unknown_presets_are_refused():
    for make in (channel.LossSpread.preset, channel.access_impedance, channel.Feed.preset):
        with pytest.raises(ConfigurationError, match="has no preset 'moon'; it has: "):
            make("moon")


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_quantiser_noise_is_a_step_over_root_12(bits):
    """Truth: an even error over one step, power step^2 / 12; a full-scale sine has 6.02 bits + 1.76 dB."""
    quantiser = channel.Quantiser(2.0, bits)
    x = channel.Tone(RATE, 77_501.3, 1.99).generate(200_000)
    error = quantiser.process(x).astype(np.float64) - x
    assert quantiser.step_v == 2.0 / 2 ** (bits - 1)
    assert error.std() == pytest.approx(quantiser.step_v / math.sqrt(12), rel=0.02)
    assert abs(error).max() <= 0.5001 * quantiser.step_v
    snr_db = 20 * math.log10(x.astype(np.float64).std() / error.std())
    assert snr_db == pytest.approx(6.02 * bits + 1.76 + 20 * math.log10(0.995), abs=0.2)
    assert quantiser.clipped == 0


def test_quantiser_clips_and_counts():
    quantiser = channel.Quantiser(1.0, 3)
    y = quantiser.process(np.array([-9.0, -1.0, -0.13, 0.0, 0.2, 0.74, 0.8, 0.9, 5.0], np.float32))
    assert y.tolist() == [-1.0, -1.0, -0.25, 0.0, 0.25, 0.75, 0.75, 0.75, 0.75]
    assert quantiser.clipped == 3  # -9, 0.9 and 5; 0.8 is rounded to the last code
    quantiser.reset()
    assert quantiser.clipped == 0
