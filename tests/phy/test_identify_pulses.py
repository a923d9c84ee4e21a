"""Identify on lines whose pulses or ends of packets a profile does not describe, from a modulator of this test's own."""

import numpy as np
import pytest

from phy import Profile, Receiver, append_crc
from phy.identify import BurstFinder, identify
from phy.identify.carriers import group_carriers, tune
from phy.words import WordCode

RATE = 400_000.0
CARRIER_HZ = 84_000.0


def rectangle(t):
    return (np.abs(t) < 0.5) * 1.0


def hann(t):
    """Raised cosine that is 0 at either end of the bit: the level returns to 0 between equal bits, too."""
    return np.where(np.abs(t) < 0.5, 0.5 + 0.5 * np.cos(2 * np.pi * t), 0.0)


def overlapping_hann(t):
    """Raised cosine over two bits: nearly a transition time of 1, but packets rise over one bit and have no ramp."""
    return np.where(np.abs(t) < 1, 0.5 + 0.5 * np.cos(np.pi * t), 0.0)


def half_sine(t):
    return np.where(np.abs(t) < 0.5, np.cos(np.pi * t), 0.0)


def root_raised_cosine(rolloff):
    def pulse(t):
        t = t + 1e-7
        x = np.sin(np.pi * t * (1 - rolloff)) + 4 * rolloff * t * np.cos(np.pi * t * (1 + rolloff))
        return np.where(np.abs(t) < 6, x / (np.pi * t * (1 - (4 * rolloff * t) ** 2)), 0.0)

    return pulse


def packet(bits, pulse, bit_rate, phase):
    """Six bit times of silence, the bits, six more; peak about 1 V."""
    t = (np.arange(int((bits.size + 12) / bit_rate * RATE)) / RATE) * bit_rate - 6
    level = np.zeros(t.size)
    for step in range(-6, 7):
        k = np.floor(t).astype(int) + step
        here = (k >= 0) & (k < bits.size)
        level[here] += (2.0 * bits[k[here]] - 1) * pulse(t[here] - k[here] - 0.5)
    return level * np.cos(2 * np.pi * CARRIER_HZ / bit_rate * t + phase)


def record(header, table, pulse, bit_rate, packets, seed, fill, end=None):
    """(samples, LPDUs) at 20 dB; `fill`: rng -> octets without check sequence; `end`: last bits, else an inverted word."""
    rng = np.random.default_rng(seed)
    parts, sent = [], []
    for _ in range(packets):
        sent.append(append_crc(fill(rng)))
        bits = np.concatenate(
            [header, table[np.frombuffer(sent[-1], np.uint8)].ravel(), 1 - table[0] if end is None else end]
        )
        parts += [np.zeros(int(rng.uniform(0.01, 0.02) * RATE)), packet(bits, pulse, bit_rate, rng.uniform(0, 6.28))]
    x = np.concatenate([*parts, np.zeros(8000)])
    power = float(np.mean(packet(rng.integers(0, 2, 500), pulse, bit_rate, 0.0) ** 2))
    return (x + rng.normal(0, np.sqrt(power / bit_rate / 100 * RATE / 2), x.size)).astype(np.float32), sent


def bursts_of(x):
    finder = BurstFinder(RATE)
    return [*finder.push(x), *finder.flush()]


def random_octets(rng):
    return bytes(rng.integers(0, 256, int(rng.integers(8, 24))).astype(np.uint8))


def digits(rng):
    return b"%08d %06d" % (rng.integers(1e8), rng.integers(1e6))


@pytest.mark.parametrize(
    ("pulse", "cycles", "fill"),
    [
        (root_raised_cosine(0.23), 15, random_octets),  # its envelope wavers so slowly that this hides the line of the bit rate
        (root_raised_cosine(0.35), 20, digits),
        (rectangle, 28, digits),  # a third harmonic that is stronger than the bit rate's own line
        (rectangle, 42, random_octets),
        (half_sine, 16, digits),
    ],
)
def test_the_bit_rate_is_that_of_the_bits_whatever_their_pulse(pulse, cycles, fill):
    header = np.array([0] * 20 + [1, 0, 0, 1, 0, 1, 1, 0], np.uint8)
    x, _ = record(header, WordCode.named("W11_SPC").table, pulse, CARRIER_HZ / cycles, 20, cycles, fill)
    groups = group_carriers([t for t in map(tune, bursts_of(x)) if t is not None])
    assert [round(g.cycles_per_bit, 1) for g in groups] == [cycles] and len(groups[0].bursts) == 20


@pytest.mark.parametrize(
    ("pulse", "start"),
    [
        (hann, [1, 1, 1, 1, 1, 1, 0, 0]),
        (half_sine, [1, 0, 1, 0, 1, 0, 1, 0]),
        (root_raised_cosine(0.65), [0, 0, 1, 1, 0, 0, 1, 1]),
    ],
)
def test_the_first_bit_is_found_and_another_pulse_is_said_to_be_one(pulse, start):
    header = np.array([*start, *[1, 0] * 6, 0, 1, 1, 0, 0, 0, 1], np.uint8)
    table = WordCode.named("W11_SPC").table
    x, _ = record(header, table, pulse, CARRIER_HZ / 20, 24, 3, random_octets)
    result = identify(bursts_of(x))
    assert result.profile is not None and result.received == result.tried
    learnt = Profile.from_text(result.profile)
    assert np.array_equal(learnt.header_bits, header) or np.array_equal(learnt.header_bits, 1 - header)
    assert learnt.end_words == 1
    assert any(g.subject == "pulse.alpha" and "another pulse" in g.reason for g in result.gaps)
    assert all(f.confidence <= 0.5 for f in result.findings if f.key == "pulse.alpha")
    y, sent = record(header, table, pulse, CARRIER_HZ / 20, 4, 1003, random_octets)
    receiver = Receiver(learnt, RATE)
    assert [p.lpdu for p in [*receiver.push(y), *receiver.flush()] if p.crc_ok] == sent


def test_the_first_bit_of_a_pulse_that_is_nearly_the_model_s_is_found():
    header = np.array([1] * 20 + [0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1], np.uint8)
    x, _ = record(header, WordCode.named("W11_P3").table, overlapping_hann, CARRIER_HZ / 24, 14, 5, random_octets)
    result = identify(bursts_of(x))
    assert result.profile is not None
    learnt = Profile.from_text(result.profile)
    assert np.array_equal(learnt.header_bits, header) or np.array_equal(learnt.header_bits, 1 - header)


@pytest.mark.parametrize(
    ("end", "end_words", "said"),
    [
        ("101101", 0, "behind the check sequence a packet goes on with 101101"),
        ("11101000101" + "00101100010", 1, "behind its end word a packet goes on with 00101100010"),
        ("11101000101" + "11101", 1, "behind its end word a packet goes on with 11101"),
        ("11101000101" * 2, 2, ""),
    ],
)
def test_ends_that_are_no_repeated_word_are_learnt_as_far_as_a_profile_goes_and_told(end, end_words, said):
    header = np.array([1, 0] * 10 + [0, 1, 1, 0, 0, 0, 1, 1], np.uint8)
    table = WordCode.named("W11_P3").table
    bits = np.array(list(end), np.uint8)
    x, _ = record(header, table, root_raised_cosine(0.9), CARRIER_HZ / 20, 16, 4, random_octets, bits)
    result = identify(bursts_of(x))
    assert result.profile is not None and result.received == result.tried == 16
    learnt = Profile.from_text(result.profile)
    assert learnt.end_words == end_words
    told = " ".join(g.reason for g in result.gaps if g.subject == "packet.end_word")
    inverted = said.translate(str.maketrans("01", "10"))
    assert (said in told or inverted in told) if said else "goes on" not in told
    # Whole words and nothing else is what may be called sure.
    sure = [f.confidence for f in result.findings if f.key == "packet.end_words"]
    assert (sure[0] > 0.99) == (not said)
