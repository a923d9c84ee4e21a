"""The composite scenarios: link budgets by hand, Es/N0 measured apart from the code that sets it, and cut anywhere."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from phy import Profile, Transmitter, append_crc, channel
from phy.errors import ConfigurationError

RATE = 400_000.0
PROFILE = Profile.load("pl20a")
PRIMARY, SECONDARY = PROFILE.carrier_hz("primary"), PROFILE.carrier_hz("secondary")
NAMES = channel.scenario_names()
every_scenario = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def packet():
    octets = np.random.default_rng(3).integers(0, 256, 60, dtype=np.uint8).tobytes()
    return Transmitter(PROFILE, RATE, level_v=3.5).modulate(append_crc(octets))


def near_carrier(x, carrier_hz, half_width_hz):
    """Mean one-sided power density about a carrier, V^2/Hz, by Welch's method."""
    f, p = signal.welch(x.astype(np.float64), RATE, nperseg=8192, detrend=False)
    return float(p[np.abs(f - carrier_hz) <= half_width_hz].mean())


def test_the_names_are_the_published_ones():
    assert NAMES == (
        "S0_awgn", "S1_quiet", "S2_urban", "S3_dimmer", "S4_smps", "S5_industrial", "S6_classA", "S7_blocked",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name, expected_db",
    [
        # 127.87 dBuV (3.5 V peak) less the loss, less the noise in one bit rate; 1 uV/sqrt(Hz) is 35.56 dBuV in 3593 Hz
        ("S0_awgn", 127.87 - 60 - 35.56),
        ("S1_quiet", 127.87 - 80 - 35.56),
        ("S3_dimmer", 127.87 - 45 - 35.1),  # Hooijen at 86.23 kHz: 35.1 dBuV
        ("S4_smps", 127.87 - 60 - 45.1),  # two standard deviations: 10 dB more
        ("S6_classA", 127.87 - 60 - 35.56),
        ("S7_blocked", 127.87 - 60 - 35.1),
    ],
)
def test_link_budgets(name, expected_db):
    assert channel.scenario(name, RATE).esn0_db == pytest.approx(expected_db, abs=0.15)


def test_path_losses_enter_the_budget():
    """Truth: mild switching leaves 0.3 * 0.8^2 + 0.7 of the power (edges aside); hard 0.25 * 0.4^2 + 0.75, then the resonance."""
    urban = channel.scenario("S2_urban", RATE)
    assert urban.esn0_db == pytest.approx(127.87 - 45 - 35.56 + 10 * math.log10(0.892), abs=0.1)
    workshop = channel.scenario("S5_industrial", RATE, transmit_rms_v=1.0)
    line = 20 * math.log10(workshop.signal_rms_v) + 50 - 10 * math.log10(0.79)
    f = PRIMARY + 3593 * np.linspace(-0.5, 0.5, 101)
    notch = np.mean(np.abs(1 - 0.7 / (1 + 20j * (f / PRIMARY - PRIMARY / f))) ** 2)
    assert line == pytest.approx(10 * math.log10(notch), abs=0.2)


@every_scenario
@pytest.mark.parametrize("wanted_db, carrier", [(7.0, "primary"), (19.0, "secondary")])
def test_es_n0_is_the_wanted_one(name, wanted_db, carrier, packet):
    """Truth: mean power of a real packet behind the path times T_b, over Welch's density of the background at the carrier."""
    carrier_hz = PROFILE.carrier_hz(carrier)
    x = packet
    if carrier == "secondary":
        octets = np.random.default_rng(4).integers(0, 256, 60, dtype=np.uint8).tobytes()
        x = Transmitter(PROFILE, RATE, level_v=3.5).modulate(append_crc(octets), alternate=True)
    line = channel.scenario(name, RATE, seed=5, carrier_hz=carrier_hz, waveform=x, esn0_db=wanted_db)
    assert line.esn0_db == pytest.approx(wanted_db, abs=1e-9)
    elements = line.path if name != "S7_blocked" else line.path[:1]  # there Es/N0 is that of a free carrier
    received = x
    for element in elements:
        received = element.process(received)
    n0 = near_carrier(line.noise.sources[0].generate(int(4 * RATE)), carrier_hz, PROFILE.bit_rate / 2)
    power = np.mean(received.astype(np.float64) ** 2)
    tolerance_db = 0.8 if name in ("S5_industrial", "S6_classA") else 0.3  # impulsive backgrounds: fewer samples make N0
    assert 10 * math.log10(power * PROFILE.bit_time / n0) == pytest.approx(wanted_db, abs=tolerance_db)
    assert math.sqrt(power) == pytest.approx(line.signal_rms_v, rel=1e-3)


def test_a_comb_stands_in_for_a_packet(packet):
    """Without a waveform a comb gives the gain of the path: within 1 dB of a real packet's, 0.1 dB without a resonance."""
    rms = float(np.sqrt(np.mean(packet.astype(np.float64) ** 2)))
    for name, tolerance_db in (("S0_awgn", 1e-6), ("S2_urban", 0.1), ("S5_industrial", 1.0)):
        exact = channel.scenario(name, RATE, waveform=packet, esn0_db=10.0)
        comb = channel.scenario(name, RATE, transmit_rms_v=rms, esn0_db=10.0)
        assert comb.loss_db == pytest.approx(exact.loss_db, abs=tolerance_db)


def test_es_n0_is_its_definition():
    """Truth: 1 V rms, 1 mV/sqrt(Hz), 1000 b/s: 1e6 / 1e3 = 30 dB; each dB wanted less is a dB more loss."""
    assert channel.esn0_db(1.0, 1e-3, 1000.0) == pytest.approx(30.0)
    assert channel.loss_for_esn0(12.0, 1.0, 0.5, 1e-3, 1000.0) == pytest.approx(30.0 - 3.0103 - 12.0, abs=1e-3)


@every_scenario
@settings(deadline=None, max_examples=5)
@given(cuts=st.lists(st.integers(0, 3000), max_size=5))
def test_output_does_not_depend_on_block_size(name, cuts):
    x = np.random.default_rng(1).normal(size=3000).astype(np.float32)
    line = channel.scenario(name, RATE, seed=2, mains_phase=1.4)
    whole = line.process(x)
    line.reset()
    pieces = [line.process(x[start:stop]) for start, stop in pairwise([0, *sorted(cuts), 3000])]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert whole.dtype == np.float32


@every_scenario
def test_the_seed_is_the_line(name):
    x = np.zeros(2000, np.float32)
    one, same, other = (channel.scenario(name, RATE, seed=seed).process(x) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one[: other.size], other[: one.size])


def test_interferers_keep_their_ratio_to_the_signal():
    """Truth: SIR 0 dB, whatever the Es/N0: each line of S2 and the tone of S4 have the rms of the packet."""
    for wanted_db in (5.0, 25.0):
        urban = channel.scenario("S2_urban", RATE, esn0_db=wanted_db)
        pal, dcf = (member.generate(400_000) for member in urban.noise.sources[1:])
        spectrum = np.abs(np.fft.rfft(pal.astype(np.float64))) * math.sqrt(2) / 400_000
        assert spectrum[[78_125, 93_750]] == pytest.approx([urban.signal_rms_v] * 2, rel=1e-3)
        assert dcf.astype(np.float64).std() == pytest.approx(urban.signal_rms_v, rel=1e-3)
        tone = channel.scenario("S4_smps", RATE, esn0_db=wanted_db)
        x = tone.noise.sources[1].generate(400_000).astype(np.float64)
        assert x.std() == pytest.approx(tone.signal_rms_v, rel=1e-3)
        f, p = signal.welch(x, RATE, nperseg=4096)
        strong = f[p > p.max() / 100]
        assert strong.min() == pytest.approx(82e3, abs=500) and strong.max() == pytest.approx(86e3, abs=500)


def test_impulses_count_from_the_background():
    """Truth: dimmer +30 dB over the background in one bit rate; heavy bursts +20 .. +50 dB over it in the whole band."""
    dimmer = channel.scenario("S3_dimmer", RATE)
    crest = np.abs(dimmer.noise.sources[1].generate(400_000)).max()
    band = dimmer.background_density * math.sqrt(PROFILE.bit_rate)
    assert 20 * math.log10(crest / band) == pytest.approx(30 + 20 * math.log10(0.945), abs=0.4)
    workshop = channel.scenario("S5_industrial", RATE, seed=1)
    bursts = workshop.noise.sources[1].generate(8_000_000).astype(np.float64)
    live = bursts[bursts != 0]
    level_db = 20 * math.log10(live.std() / (workshop.background_density * math.sqrt(RATE / 2)))
    mean = (10**5 - 10**2) / (3 * math.log(10))  # of 10^(level / 10), the level uniform from 20 to 50 dB
    assert level_db == pytest.approx(10 * math.log10(mean), abs=1.4)  # 1000 bursts of very unequal power
    assert live.size / bursts.size == pytest.approx(0.00327, rel=0.3)


def test_blocked_takes_one_carrier_only():
    """Truth: 30 dB at the primary, nothing at the secondary."""
    levels = []
    for freq in (PRIMARY, SECONDARY):
        line = channel.scenario("S7_blocked", RATE, transmit_rms_v=1.0)
        y = line.transfer(channel.Tone(RATE, freq, math.sqrt(2)).generate(8000))[2000:].astype(np.float64)
        levels.append(20 * math.log10(y.std()) + line.loss_db)
    assert levels == pytest.approx([-30.0, 0.0], abs=0.5)


def test_quiet_has_a_converter_and_a_clock():
    """Truth: 16 bits over 8 V; a clock error uniform in +-200 ppm over the seeds, or the one asked for."""
    errors = [channel.scenario("S1_quiet", RATE, seed=seed).clock.ppm for seed in range(100)]
    assert min(errors) < -150 and max(errors) > 150 and max(map(abs, errors)) <= 200
    line = channel.scenario("S1_quiet", RATE, clock_ppm=50.0)
    assert line.clock.ppm == 50.0
    y = line.process(np.zeros(20_000, np.float32)).astype(np.float64)
    step = 8.0 / 65536
    np.testing.assert_allclose(y / step, np.round(y / step), atol=1e-6)
    assert y.std() == pytest.approx(math.sqrt((1e-6 * math.sqrt(RATE / 2)) ** 2 + step**2 / 12), rel=0.03)
    assert line.converter.clipped == 0
    line.process(np.full(100, 5e4 * 3.5, np.float32))
    assert line.converter.clipped > 50
    assert channel.scenario("S0_awgn", RATE, clock_ppm=100.0).process(np.zeros(100_000, np.float32)).size == pytest.approx(
        100_010, abs=20
    )


def test_mains_moves_everything_that_follows_it():
    """Truth: a third of a half cycle of mains phase is 1333 samples of shift in the dimmer's instants."""
    crests = []
    for phase in (0.0, math.pi / 3):
        y = channel.scenario("S3_dimmer", RATE, mains_phase=phase).noise.sources[1].generate(4000)
        crests.append(np.flatnonzero(y)[0])
    assert (crests[0] - crests[1]) % 4000 == pytest.approx(4000 / 3, abs=40)  # jitter 20 us


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"name": "S9"}, "unknown scenario 'S9'; there are: S0_awgn, S1_quiet"),
        ({"name": "family"}, "unknown scenario 'family'"),
        ({"carrier_hz": 300e3}, "carrier_hz must be in (0, 200000) Hz"),
        ({"esn0_db": float("nan")}, "esn0_db must be a finite number"),
        ({"transmit_rms_v": 0.0}, "transmit_rms_v must be above 0"),
        ({"waveform": np.zeros(10, np.float32)}, "rms of waveform must be above 0"),
        ({"waveform": np.zeros((2, 2), np.float32)}, "must be the samples of one packet"),
        ({"waveform": np.ones(10, np.float32), "transmit_rms_v": 1.0}, "either waveform or transmit_rms_v"),
        ({"seed": -1}, "seed must be an integer"),
        ({"mains_drift_hz": 3.0, "name": "S2_urban"}, "mains_drift_hz must be in [0, 1]"),
    ],
)
def test_a_wrong_scenario_is_refused_in_words(arguments, said):
    with pytest.raises(ConfigurationError) as caught:
        channel.scenario(**{"name": "S0_awgn", "sample_rate": RATE, **arguments})
    assert said in str(caught.value)


def test_a_rate_that_cannot_carry_the_band_is_refused():
    with pytest.raises(ConfigurationError, match=r"carrier_hz must be in \(0, 48000\) Hz"):
        channel.scenario("S0_awgn", 96_000.0)
    with pytest.raises(ConfigurationError, match="centre_hz"):  # class A fills 86.2 kHz about the carrier
        channel.scenario("S6_classA", 250_000.0)
    assert channel.scenario("S5_industrial", 192_000.0).process(np.zeros(1000, np.float32)).size == 1000
