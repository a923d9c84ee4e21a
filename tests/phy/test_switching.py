"""Lines whose gain switches with the mains: found, measured, and received through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import Profile, Receiver, Transmitter, append_crc
from phy.channel import SlowGain
from phy.switching import find_switching

PROFILE = Profile.load("pl20a")
RATE = 400e3


def symbols(seed, count, begin, width, gain, mains, noise):
    """(B,) bits whose gain is `gain` between begin and begin + width bits of every half cycle."""
    rng = np.random.default_rng(seed)
    inside = (np.arange(count) - begin) % (PROFILE.bit_rate / (2 * mains)) < width
    s = rng.choice([-1.0, 1.0], count) * np.where(inside, gain, 1.0)
    return 1.7 * (s + noise * (rng.normal(size=count) + 1j * rng.normal(size=count)) / np.sqrt(2))


@given(
    st.integers(0, 1000), st.floats(0, 29), st.floats(3, 9), st.floats(0.05, 0.4), st.floats(-3.1, 3.1), st.sampled_from([50, 60])
)
@settings(max_examples=40)
def test_place_and_gain_of_the_switching_are_found(seed, begin, width, size, angle, mains):
    gain = size * np.exp(1j * angle)
    found = find_switching(symbols(seed, 260, begin, width, gain, mains, 0.05), PROFILE.bit_rate)
    assert found is not None and found.cycle == pytest.approx(PROFILE.bit_rate / (2 * mains))
    assert abs((found.begin - begin + 0.5 + 5) % found.cycle - 5) < 1.2  # instants between two bits look alike
    assert found.end - found.begin == pytest.approx(width, abs=1.5)
    assert found.level == pytest.approx(1.7, rel=0.1)
    assert min(abs(found.gain - gain), abs(found.gain + gain)) < 0.12 * max(1.0, size / 0.2)


@given(st.integers(0, 1000), st.floats(0, 0.7))
@settings(max_examples=30)
def test_noise_and_shaped_bits_are_no_switching(seed, noise):
    rng = np.random.default_rng(seed)
    s = symbols(seed, 260, 0.0, 0.0, 1.0, 50, noise) * rng.choice([1.0, 0.8, 0.64], 260)
    assert find_switching(s, PROFILE.bit_rate) is None


def test_packets_of_a_commuted_line_are_received():
    """At 20 dB with a gain of 0.1 at 90 degrees for a tenth of every half cycle; bits one by one, as they are, lose 59 %.

    A receiver that knows the gain and decides word by word loses 11 %; the CRC chooses between several readings here.
    """
    rng = np.random.default_rng(12)
    tx, sent, x = Transmitter(PROFILE, RATE, level_v=1.0), [], [np.zeros(20_000, np.float32)]
    for _ in range(100):
        sent.append(append_crc(rng.bytes(18)))
        x += [tx.modulate(sent[-1], phase=rng.uniform(0, 6.3)), np.zeros(int(rng.integers(6000, 12_000)), np.float32)]
    y = SlowGain.preset("commuted", RATE).process(np.concatenate(x))
    n0 = 0.9 * tx.packet_power(sent[0]) * PROFILE.bit_time / 100
    y += rng.normal(0, np.sqrt(n0 * RATE / 2), y.size).astype(np.float32)
    receiver = Receiver(PROFILE, RATE, carriers=("primary",))
    good = [p for p in receiver.push(y) + receiver.flush() if p.crc_ok]
    assert {p.lpdu for p in good} <= set(sent)
    assert 84 <= len(good) <= 99  # 5 to 9 % of 900 were lost
    assert sum(p.method == "switched gain" for p in good) > 25
