"""The transmitter's waveform against the facts about the channel."""

import numpy as np
import pytest
from scipy import signal

from phy import ConfigurationError, Profile, Transmitter, append_crc
from phy.framing import packet_bits

RATE = 1_000_000.0


def test_packet_bits_are_preamble_sync_words_and_end_word():
    bits = "".join(map(str, packet_bits(b"\x80\xff", Profile.load("pl20a"))))
    assert bits == "10" * 12 + "10110111000" + "10000000101" + "11111111001" + "00000000110"


def test_carrier_phase_at_the_middle_of_each_bit_carries_the_bit():
    profile = Profile.load("pl20a")
    lpdu = append_crc(bytes(range(20)))
    tx = Transmitter(profile, RATE, level_v=2.0, clock_ppm=150.0)
    x = tx.modulate(lpdu, alternate=True)
    stretch = 1 + 150e-6
    t = (np.arange(x.size) - tx.lead_samples) / RATE
    baseband = 2 * x * np.exp(-2j * np.pi * profile.carrier_hz("secondary") * stretch * t)
    bits = packet_bits(lpdu, profile)
    centres = (np.arange(bits.size) + 0.5) / (profile.bit_rate * stretch)
    # An average over a tenth of a bit removes the double frequency.
    half = round(0.05 * profile.bit_time * RATE)
    at = np.round(centres * RATE).astype(int) + tx.lead_samples
    values = np.array([baseband[k - half : k + half].mean() for k in at])
    assert np.array_equal(values.real > 0, bits == 1)
    assert np.abs(values - 2.0 * (2.0 * bits - 1)).max() < 0.35


def test_first_35_bits_are_the_same_samples_in_every_packet():
    """Vendor data book: the first 35 bit times are identical in every packet."""
    profile, rng = Profile.load("pl20a"), np.random.default_rng(1)
    tx = Transmitter(profile, RATE)
    length = tx.lead_samples + int(34.5 * profile.bit_time * RATE)
    first = tx.modulate(append_crc(rng.bytes(18)))[:length]
    for _ in range(20):
        assert np.array_equal(tx.modulate(append_crc(rng.bytes(int(rng.integers(6, 60)))))[:length], first)


def _slices_dbc(profile, seed=3, octets=200):
    """(frequencies, power in 200 Hz relative to the packet's own mean power of a sine of the same peak, dB)."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([Transmitter(profile, RATE, level_v=1.0).modulate(append_crc(rng.bytes(octets))) for _ in range(4)])
    f, p = signal.welch(x, RATE, window="blackmanharris", nperseg=1 << 14)
    return f, 10 * np.log10(np.maximum(p * 200 / 0.5, 1e-20))


def test_spectrum_of_the_shaped_pulse():
    """Truth, computed with another program from the formula of the pulse, alpha = 1.

    Densest 200 Hz -11.5 dBc, 95 kHz -61.1 dBc, -20 dB bandwidth 6.1 kHz.
    """
    f, level = _slices_dbc(Profile.load("pl20a"))
    assert level.max() == pytest.approx(-11.5, abs=1.0)
    near = (f > 94_500) & (f < 95_500)
    assert 10 * np.log10(np.mean(10 ** (level[near] / 10))) == pytest.approx(-61.1, abs=3.0)
    smooth = np.convolve(10 ** (level / 10), np.ones(9) / 9, "same")
    wide = f[smooth > smooth.max() / 100]
    assert wide.max() - wide.min() == pytest.approx(6100, abs=500)


def test_rectangular_bits_are_wide():
    """Truth, computed with another program, alpha = 0: -30 dBc in 200 Hz at 95 kHz."""
    f, level = _slices_dbc(Profile.load("test-nrz"))
    smooth = 10 * np.log10(np.convolve(10 ** (level / 10), np.ones(9) / 9, "same"))
    assert smooth[(f > 93_200) & (f < 96_800)].max() == pytest.approx(-30.3, abs=1.5)


def test_mean_power_of_the_packet():
    """A bit edge with a transition has the mean of (2 v + sin(2 pi v) / pi)^2 over -1/2..1/2, that is 4/12 + 5/(2 pi^2).

    With transitions at half of the edges this is -1.00 dB.
    """
    profile, lpdu = Profile.load("pl20a"), append_crc(np.random.default_rng(4).bytes(240))
    x = Transmitter(profile, RATE, level_v=1.0).modulate(lpdu)
    transitions = np.mean(np.diff(packet_bits(lpdu, profile).astype(int)) != 0)
    of_transition = 4 / 12 + 5 / (2 * np.pi**2)
    assert 10 * np.log10(0.5 + 0.5 * of_transition) == pytest.approx(-1.0, abs=0.01)
    expected = 10 * np.log10(1 - transitions * (1 - of_transition))
    assert 10 * np.log10(np.mean(x.astype(float) ** 2) / 0.5) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("rate", [192_000.0, 250_000.0, 400_000.0, 1e6, 1_379_705.26])
def test_any_sample_rate_that_holds_the_carrier(rate):
    tx = Transmitter(Profile.load("pl20a"), rate)
    x = tx.modulate(append_crc(bytes(10)))
    assert x.dtype == np.float32 and x.size == tx.airtime_samples(12) and np.abs(x).max() <= 3.5 + 1e-6


def test_wrong_calls_are_refused_with_the_reason():
    profile = Profile.load("pl20c")
    with pytest.raises(ConfigurationError, match="sample_rate 192000 Hz is too low for a carrier at 131579 Hz"):
        Transmitter(profile, 192_000).modulate(append_crc(bytes(10)))
    with pytest.raises(ConfigurationError, match=r"1\.\.255 octets"):
        Transmitter(profile, RATE).modulate(bytes(256))
    with pytest.raises(ConfigurationError, match="clock_ppm"):
        Transmitter(profile, RATE, clock_ppm=1e5)


@pytest.mark.parametrize("name", ["pl20a", "test-nrz", "pl20c"])
def test_every_sample_is_that_of_the_formula(name):
    """Truth: the pulse's formula in double precision with the maths library, sample by sample."""
    profile, lpdu, rate = Profile.load(name), append_crc(bytes(range(9))), 700_000.0
    y = Transmitter(profile, rate, level_v=2.0, clock_ppm=-300.0).modulate(lpdu, phase=0.7, delay=0.25)
    bits = packet_bits(lpdu, profile) * 2.0 - 1
    bit_rate, carrier_hz = profile.bit_rate * (1 - 300e-6), profile.carrier_hz("primary") * (1 - 300e-6)
    lead = int(np.ceil(profile.ramp_bits / bit_rate * rate))
    t = (np.arange(y.size) - lead - 0.25) / rate
    u = t * bit_rate
    edge = np.floor(u + 0.5).astype(int)
    left, right = bits[np.clip(edge - 1, 0, bits.size - 1)], bits[np.clip(edge, 0, bits.size - 1)]
    w = np.clip((u - edge) / profile.alpha if profile.alpha else np.sign(u - edge + 1e-300), -0.5, 0.5)
    a = left + (right - left) * (0.5 + w + np.sin(2 * np.pi * w) / (2 * np.pi))
    outside = np.maximum(np.maximum(-u, u - bits.size), 0)
    a *= np.where(outside < profile.ramp_bits, 0.5 + 0.5 * np.cos(np.pi * outside / profile.ramp_bits), 0)
    expected = 2.0 * a * np.cos(2 * np.pi * carrier_hz * t + 0.7)
    assert np.abs(y - expected).max() < 1e-6


@pytest.mark.parametrize("name", ["pl20a", "test-nrz", "pl20c"])
def test_power_of_a_packet_from_its_bits(name):
    """Truth: the mean of the squared samples themselves, within what the double frequency leaves."""
    profile, rng = Profile.load(name), np.random.default_rng(2)
    transmitter = Transmitter(profile, RATE, level_v=3.0)
    for lpdu in (append_crc(bytes(18)), append_crc(b"\xaa" * 18), append_crc(rng.bytes(18))):
        x = transmitter.modulate(lpdu)
        n = round(profile.packet_bits(len(lpdu)) * profile.bit_time * RATE)
        inside = x[transmitter.lead_samples : transmitter.lead_samples + n].astype(float)
        assert transmitter.packet_power(lpdu) == pytest.approx(np.mean(inside**2), rel=2e-3)
