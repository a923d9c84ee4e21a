"""Limits of sending: what is stated, and that they hold whatever is asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs.errors import FrontEndError
from flowgraphs.frontends.contract import SinkStatistics
from flowgraphs.frontends.transmitting import GuardedSink, TransmitLimits, statement, transmission
from phy import Profile

RATE = 10_000.0
LIMITS = TransmitLimits(0.5, 1.0, 0.3, 0.0)


class Kept:
    """A sink that keeps what it gets."""

    sample_rate, name = RATE, "kept"

    def __init__(self):
        self.statistics, self.line = SinkStatistics(), np.zeros(200_000, np.float32)

    def write(self, first_sample, samples):
        self.line[first_sample : first_sample + samples.size] = samples

    def close(self):
        pass


def guarded(limits=LIMITS, longest=0.1):
    kept, told = Kept(), []
    return GuardedSink(kept, limits, 1.0, longest, told.append), kept, told


def test_the_statement_says_level_band_and_duty_cycle():
    profile = Profile.load("pl20a")
    text = statement("card", profile, 3.5, TransmitLimits.for_profile(profile))
    for part in ("card", "75453 and 86232 Hz", "3.5 V", "127.9 dBuV", "64 %", "10 s"):  # 7 Vpp: 127.9 dBuV, published
        assert part in text


def test_the_c_band_keeps_the_pause_of_the_access_rule():
    assert TransmitLimits.for_profile(Profile.load("pl20a")).pause_s == 0.0
    c_band = TransmitLimits.for_profile(Profile.load("pl20c"))
    assert (c_band.longest_s, c_band.pause_s) == (1.0, 0.125)  # EN 50065-1: 1 s, then 125 ms
    assert all({"source", "grade"} <= set(table) for table in transmission().values())
    with pytest.raises(FrontEndError, match="duty cycle"):
        TransmitLimits.for_profile(Profile.load("pl20a"), 1.5)


@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 900)), min_size=1, max_size=60))
def test_no_window_is_ever_fuller_than_allowed(requests):
    """Pauses and lengths at will; counted with a sliding sum over what reached the line."""
    sink, kept, _ = guarded()
    at = 0
    for pause, length in requests:
        at += pause
        for first in range(0, length, 100):  # block by block, as stations send
            sink.write(at + first, np.ones(min(100, length - first), np.float32))
        at += length
    on_air = np.concatenate([[0], np.cumsum(kept.line != 0)])
    window = round(LIMITS.window_s * RATE)
    assert (on_air[window:] - on_air[:-window]).max() <= LIMITS.duty_cycle * window
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], kept.line != 0, [0]]))))[::2]
    assert runs.max() <= LIMITS.longest_s * RATE
    assert sink.on_air == on_air[-1]


def test_packets_within_the_reserve_never_exceed_it():
    sink, kept, told = guarded()
    for k in range(100):
        sink.write(1000 + k * 1100, np.ones(1000, np.float32))  # 91 % is asked for
    on_air = np.concatenate([[0], np.cumsum(kept.line != 0)])
    used = (on_air[10_000:] - on_air[:-10_000]).max() / 10_000
    assert 0.35 < used <= 0.5 and sink.held_back > 0 and "duty cycle would exceed 50 %" in told[0]
    lengths = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], kept.line != 0, [0]]))))[::2]
    assert set(lengths) == {1000}  # whole packets or none


def test_a_stuck_transmitter_is_cut():
    sink, kept, told = guarded()
    for k in range(50):
        sink.write(100 * k, np.ones(100, np.float32))
    assert np.count_nonzero(kept.line) == 3000 and "longer than 0.3 s" in told[0]


def test_the_pause_is_kept():
    sink, kept, told = guarded(TransmitLimits(1.0, 10.0, 1.0, 0.125))
    sink.write(0, np.ones(500, np.float32))
    sink.write(1000, np.ones(500, np.float32))  # 50 ms later
    sink.write(1760, np.ones(500, np.float32))  # 126 ms after what was sent
    assert np.count_nonzero(kept.line) == 1000 and "pause of 125 ms" in told[0]


def test_more_than_was_stated_is_refused():
    sink, kept, _ = guarded()
    for bad in (1.5, np.nan, np.inf):
        with pytest.raises(FrontEndError, match="more than the 1 V that were stated"):
            sink.write(0, np.array([bad], np.float32))
    assert not kept.line.any()


def test_zeros_inside_of_a_packet_are_no_pause():
    sink, kept, _ = guarded(TransmitLimits(1.0, 10.0, 1.0, 0.125))
    x = np.ones(300, np.float32)
    x[140:160] = 0
    sink.write(0, x[:150])
    sink.write(150, x[150:])
    np.testing.assert_array_equal(kept.line[:300], x)
