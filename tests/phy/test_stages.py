"""The receiver's stages alone: any blocks, filters against theory, the same results without compilation."""

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import ConfigurationError, Profile, Receiver, ReceiverOptions, Transmitter, append_crc
from phy.blanker import ImpulseBlanker
from phy.detect import CarrierSense, HeaderDetector, header_signs
from phy.downconvert import BankFilter, DownConverter, Mixer
from phy.equaliser import Decide, smooth_phase
from phy.filters import SAMPLES_PER_BIT, plan_baseband, plan_front_end, shaped_pulse
from phy.periodic import PeriodicCanceller
from phy.tones import ToneCanceller
from phy.tracking import LoopGains
from phy.words import WordCode

RATE = 400_000.0
PROFILE = Profile.load("pl20a")
FRONT = plan_front_end(PROFILE, list(PROFILE.carriers.values()), RATE)
PLAN = plan_baseband(PROFILE, PROFILE.carrier_hz("primary"), RATE, FRONT)


def primary(x):
    """Line samples -> wide baseband of the primary carrier."""
    return Mixer(PLAN.carrier_hz, PLAN.wide_rate).process(DownConverter(FRONT).process(x))


def baseband(n, seed=1):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n) + 1j * rng.normal(size=n)
    z[:: max(1, n // 20)] *= 30
    return (z + 4 * np.exp(2j * np.pi * 0.11 * np.arange(n))).astype(np.complex64)


def swept(n):
    t = np.arange(n) / 20_000
    return (baseband(n) + 20 * np.exp(1j * (3 * np.sin(2 * np.pi * 100 * t) + 2 * np.pi * 1234 * t))).astype(np.complex64)


STAGES = {
    "down converter": (lambda: DownConverter(FRONT), lambda n: baseband(n).real.astype(np.float32)),
    "mixer": (lambda: Mixer(PLAN.carrier_hz, PLAN.wide_rate), baseband),
    "blanker": (lambda: ImpulseBlanker(22.3), baseband),
    "narrow filter": (lambda: BankFilter(PLAN, PLAN.narrow_bank), baseband),
    "sense filter": (lambda: BankFilter(PLAN, PLAN.sense_bank), baseband),
    "bit filter": (lambda: BankFilter(PLAN, PLAN.bit_bank), baseband),
    "tone canceller": (lambda: ToneCanceller(22.3), baseband),
    # 3000 samples are 15 half cycles of the mains here.
    "periodic canceller": (lambda: PeriodicCanceller(20_000.0), swept),
}


@pytest.mark.parametrize("name", STAGES)
@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.integers(0, 3000), max_size=10))
def test_output_does_not_depend_on_block_size(name, cuts):
    make, source = STAGES[name]
    x = source(3000)
    stage = make()
    pieces = np.concatenate([stage.process(part) for part in np.split(x, sorted(cuts))])
    assert np.array_equal(pieces, make().process(x))
    assert stage.process(x[:0]).size == 0
    stage.reset()
    assert np.array_equal(stage.process(x), pieces)


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 4000), max_size=10))
def test_carrier_sense_does_not_depend_on_block_size(cuts):
    signs = np.repeat(header_signs(PROFILE), SAMPLES_PER_BIT)
    y = (0.05 * baseband(4000)).astype(np.complex64)
    y[2000 : 2000 + signs.size] += signs
    whole, parts = CarrierSense(PROFILE), CarrierSense(PROFILE)
    for part in np.split(y, sorted(cuts)):
        parts.push(part)
    assert whole.push(y) == parts.busy


def test_down_converter_gives_the_complex_amplitude():
    t = np.arange(40_000) / RATE
    x = (2.5 * np.cos(2 * np.pi * PROFILE.carrier_hz("primary") * t + 0.7)).astype(np.float32)
    y = primary(x)[100:]
    np.testing.assert_allclose(y, 2.5 * np.exp(0.7j), atol=2e-3)


def test_phase_stays_exact_after_days():
    """The oscillator is a 64-bit integer: a stream that has run for a week starts a block with the exact phase."""
    first = 7 * 86_400 * 80_000
    got = Mixer(PLAN.carrier_hz, PLAN.wide_rate).at(np.ones(300, np.complex64), first)
    hertz = Fraction(PROFILE.carrier_hz("primary"))  # what a float holds, exactly
    turns = [float(hertz * (first + k) / Fraction(PLAN.wide_rate) % 1) for k in range(300)]
    np.testing.assert_allclose(got, np.exp(-2j * np.pi * np.array(turns)), atol=1e-3)


@pytest.mark.parametrize("bank, least_db", [("narrow_bank", 70), ("bit_bank", 48)])
def test_the_other_carrier_is_kept_out(bank, least_db):
    """The other carrier is three bit rates away; what passes of it is further lowered by correlation over a bit or a header."""
    t = np.arange(80_000) / RATE
    x = np.cos(2 * np.pi * PROFILE.carrier_hz("secondary") * t).astype(np.float32)
    y = BankFilter(PLAN, getattr(PLAN, bank)).process(primary(x))[200:]
    assert 20 * np.log10(np.abs(y).max()) < -least_db


def test_shaped_pulse_has_no_intersymbol_interference_before_the_filters():
    for alpha in (0.25, 0.5, 1.0):
        pulse = shaped_pulse(alpha, 16)
        assert pulse[16] == pytest.approx(1.0) and pulse[0] == pytest.approx(0.0) and pulse.sum() / 16 == pytest.approx(1.0)


@pytest.mark.parametrize("name, loss_db", [("pl20a", 0.30), ("test-nrz", 0.35)])
def test_bit_filter_is_close_to_the_matched_filter_bound(name, loss_db):
    """Truth, simulated with another program: a linear MMSE filter three bits wide loses 0.18 dB (alpha 1) and 0.29 dB (alpha 0).

    Output SNR of one bit against Es/N0 = 6.79 dB of ideal BPSK at a bit error rate of 1e-3; interference counts as noise.
    """
    profile = Profile.load(name)
    front = plan_front_end(profile, list(profile.carriers.values()), 1e6)
    plan = plan_baseband(profile, profile.carrier_hz("primary"), 1e6, front, design_esn0_db=6.79)
    esn0 = 10**0.679
    n0_rate = plan.mean_power / esn0  # N0 times bit rate for unit carrier amplitude
    taps = plan.bit_bank[0].astype(float)
    t = (np.arange(taps.size) - (taps.size // 2 - 1)) / plan.wave.samples_per_bit
    pulse, grid = shaped_pulse(profile.alpha, 512), np.arange(-512, 513) / 512
    gains = [float(taps @ np.interp(t - k, grid, pulse, left=0, right=0)) for k in (-2, -1, 0, 1, 2)]
    interference = sum(g * g for g in gains) - max(gains) ** 2
    # Decision SNR of BPSK is A^2 / (2 sigma^2 per dimension) = Es/N0 for a matched filter.
    snr = max(gains) ** 2 / (plan.noise_gain * n0_rate + 2 * interference)
    loss = 6.79 - 10 * np.log10(snr)
    assert -0.05 < loss < loss_db


def test_blanker_leaves_white_noise_alone_and_removes_an_impulse():
    rng = np.random.default_rng(3)
    z = (rng.normal(size=70_000) + 1j * rng.normal(size=70_000)).astype(np.complex64)
    blanker = ImpulseBlanker(22.3)
    blanker.process(z)
    assert blanker.blanked < 70_000 * 2e-3
    z[30_000:30_006] += 100
    y = ImpulseBlanker(22.3).process(z)
    assert not y[30_000:30_006].any() and np.array_equal(y[:29_900], ImpulseBlanker(22.3).process(z[:31_000])[:29_900])


def test_blanker_leaves_the_edge_of_a_strong_packet_alone():
    z = np.full(4000, 1e-4, np.complex64)
    z[2000:] = np.cos(np.arange(2000) * np.pi / 22.3)
    blanker = ImpulseBlanker(22.3)
    blanker.process(z)
    assert blanker.blanked == 0


def test_tone_canceller_removes_tones_and_leaves_a_preamble():
    n = np.arange(24_000)
    rng = np.random.default_rng(4)
    noise = 0.01 * (rng.normal(size=n.size) + 1j * rng.normal(size=n.size))
    tone = np.exp(2j * np.pi * 0.1234 * n)
    canceller = ToneCanceller(22.3)
    y = canceller.process((tone + noise).astype(np.complex64))
    assert canceller.tones == [pytest.approx(0.1234, abs=1e-4)]
    assert np.std(y[9000:]) < 0.03
    preamble = np.where((n > 13_000) & (n < 13_000 + 24 * 22), np.cos(np.pi * n / 22), 0)
    canceller = ToneCanceller(22.3)
    assert np.array_equal(canceller.process((preamble + noise).astype(np.complex64)), (preamble + noise).astype(np.complex64))


def test_header_detector_false_alarms_match_the_beta_distribution():
    """Truth: in white noise the statistic of one bin exceeds s with probability (1 - s)^(L - 1); bins and phases add up.

    Bound: at most bins x positions times that, at least that of independent bit-spaced positions in one bin.
    """
    rng = np.random.default_rng(5)
    detector = HeaderDetector(PROFILE, 24.0, threshold=0.22, hold_bits=1)
    n = 400_000
    y = (rng.normal(size=n) + 1j * rng.normal(size=n)).astype(np.complex64)
    found = sum(c.sure for c in detector.push(y, 0))
    single = (1 - 0.22) ** 34
    assert n / SAMPLES_PER_BIT * single < found < n * 9 * single


def test_smooth_phase_has_less_noise_than_its_input():
    rng = np.random.default_rng(6)
    signs = rng.choice([-1.0, 1.0], 400)
    truth = 0.002 * np.arange(400) + 0.3
    raw = (signs * np.exp(1j * truth) + 0.3 * (rng.normal(size=400) + 1j * rng.normal(size=400))).astype(np.complex64)
    wobble = truth + rng.normal(0, 0.2, 400)
    assert np.std(smooth_phase(raw, truth, signs) - truth) < 0.08 < np.std(wobble - truth)


def test_decisions_go_through_the_word_code():
    header = header_signs(PROFILE)
    word = 2.0 * PROFILE.code.encode(b"\xa5") - 1
    symbols = np.concatenate([header, word]).astype(np.complex64)
    symbols[35 + 4] *= -0.1  # the weakest bit is wrong
    signs = Decide(header, PROFILE.code)(symbols)
    assert np.array_equal(signs, np.concatenate([header, word]))


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: ImpulseBlanker(22, factor=0.5), "factor"),
        (lambda: ImpulseBlanker(22, window=1), "window"),
        (lambda: ImpulseBlanker(5), "samples_per_bit"),
        (lambda: ToneCanceller(22, threshold_db=1), "threshold_db"),
        (lambda: ToneCanceller(22, width=1), "width"),
        (lambda: ToneCanceller(1), "samples_per_bit"),
        (lambda: Receiver(PROFILE, RATE, carriers=[]), "carriers"),
        (lambda: Receiver(PROFILE, 160_000, carriers=["primary"]), "sample_rate"),
        (lambda: LoopGains(BnT=0.5), "BnT"),
        (lambda: HeaderDetector(PROFILE, 24.0, threshold=1.5), "threshold"),
        (lambda: CarrierSense(PROFILE, rise_db=1.0), "rise_db"),
        (lambda: plan_front_end(PROFILE, [86_000.0], 100_000.0), "sample_rate"),
    ],
)
def test_wrong_arguments_name_themselves(make, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        make()


def test_kernels_give_the_same_packets_without_compilation():
    code = (
        "import numpy as np; from phy import *; p = Profile.load('pl20c'); rate = 312_500.0;"
        "x = Transmitter(p, rate, level_v=1.0).modulate(append_crc(bytes(range(6))), alternate=True);"
        "x = np.concatenate([np.zeros(1500, np.float32), x]) + np.random.default_rng(1).normal(0, 0.05, 1500 + x.size);"
        "rx = Receiver(p, rate, carriers=['secondary']);"
        "print([(q.lpdu.hex(), q.start_sample, q.carrier, q.crc_ok) for q in rx.push(x.astype(np.float32)) + rx.flush()])"
    )
    outputs = []
    for disable in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disable}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1] and "000102030405" in outputs[0]


def weak_packets():
    """Ten packets at 5 dB, some of which need the second look, on a line that is found quiet."""
    rng, n0 = np.random.default_rng(4), 10**-0.5 / PROFILE.bit_rate / 2
    parts = [np.zeros(int(RATE))]
    for _ in range(10):
        parts += [Transmitter(PROFILE, RATE, level_v=1.0).modulate(append_crc(rng.bytes(10)), phase=1.0), np.zeros(9000)]
    x = np.concatenate(parts)
    return (x + rng.normal(0, np.sqrt(n0 * RATE / 2), x.size)).astype(np.float32)


def test_a_packet_decoder_of_ones_own_is_used():
    """Replacing it once had no effect: the branches went on with the first one."""

    class Counting:
        decoded = 0

        def __init__(self, stage):
            self.stage = stage

        def __getattr__(self, name):
            return getattr(self.stage, name)

        def decode(self, *arguments):
            self.decoded += 1
            return self.stage.decode(*arguments)

    x = weak_packets()
    rx = Receiver(PROFILE, RATE)
    own = rx.carriers["primary"].decoder = Counting(rx.carriers["primary"].decoder)
    packets = rx.push(x) + rx.flush()
    assert own.decoded >= len(packets) >= 8
    other = Receiver(PROFILE, RATE, ReceiverOptions(direct=False))
    assert repr(packets) == repr(other.push(x) + other.flush())


def test_soft_bits_may_be_scaled_and_a_word_decoder_replaced():
    """Of any scale the soft bits give the same octets; a decoder of one's own decides about every look."""
    x = weak_packets()

    def octets(own=None, **options):
        rx = Receiver(PROFILE, RATE, ReceiverOptions(**options))
        if own is not None:
            for chain in rx.carriers.values():
                chain.decoder.word_decoder = own
        return [packet.lpdu for packet in rx.push(x) + rx.flush() if packet.crc_ok]

    plain = octets(second_look=False)
    assert len(plain) >= 4
    assert octets(lambda code, soft: code.decode_ml(7 * soft), second_look=False) == plain
    assert octets(WordCode.decode_hard) == octets(word_decoder="hard")
    assert octets(lambda code, soft: bytes(len(soft))) == []
