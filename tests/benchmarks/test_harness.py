"""The measuring commands' own foundations: what a count proves, Es/N0 of a stream, what is counted as what."""

import harness
import ideal
import intervals
import numpy as np
import pytest
from harness import Sent, Traffic

from phy import Packet, append_crc
from phy.channel import SlowGain

MOST_ERRORS = [
    (300, (0, 1, 3, 8, 21)),
    (1000, (4, 12, 20, 38, 84)),
    (3000, (20, 47, 74, 130, 272)),
    (10000, (83, 176, 271, 463, 950)),
]


@pytest.mark.parametrize("packets, allowed", MOST_ERRORS)
def test_errors_that_still_prove_a_mark(packets, allowed):
    """The project's own table of sample sizes (95 %, one-sided), computed elsewhere."""
    for mark, most in zip((0.01, 0.02, 0.03, 0.05, 0.10), allowed, strict=True):
        assert intervals.claims_at_most(most, packets, mark)
        assert not intervals.claims_at_most(most + 1, packets, mark)


def test_loss_is_what_separates_two_points_of_the_ideal_curve():
    per = ideal.packet_error(5.55)
    loss, best, worst = intervals.loss_db(round(per * 100_000), 100_000, 6.05)
    assert loss == pytest.approx(0.5, abs=0.01)
    assert best < loss < worst


@pytest.mark.parametrize(
    "esn0_db, width_s, per_second, published", [(8.0, 500e-6, 100.0, 0.119), (12.0, 1e-3, 100.0, 0.988)]
)
def test_ideal_blanking_meets_the_published_figures(esn0_db, width_s, per_second, published):
    """Theirs are of 3000 packets: four standard errors of both."""
    packets = 8000
    band = 4 * (published * (1 - published) * (1 / 3000 + 1 / packets)) ** 0.5
    assert ideal.ideal_blanking_error(esn0_db, width_s, per_second, packets=packets) == pytest.approx(published, abs=band)


def test_mean_power_is_that_of_the_bits_behind_the_path():
    """A shaped bit of unit amplitude: half the transitions of random bits, and a gain that is known."""
    traffic = Traffic(level_v=2.0)
    # Rectangular bits convolved with a Hann window: 0.5867 of the power in a bit time with transitions, 1 without.
    header, others = 24, 242
    expected = 2.0**2 / 2 * (header * 0.5867 + others * 0.7933) / 266
    assert harness.mean_power(traffic) == pytest.approx(expected, rel=0.02)
    halved = SlowGain(harness.RATE, depth=-0.5, angle_deg=0.0, duty=1.0)
    assert harness.mean_power(traffic, [halved]) == pytest.approx(expected / 4, rel=0.03)


def _packet(lpdu, start, crc_ok=True, carrier="primary"):
    return Packet(lpdu, crc_ok, start, start + 30_000, carrier, 1.0, 10.0, 0.0, 0, np.zeros(0, np.complex64))


def test_packets_are_counted_as_what_they_are():
    lpdus = [append_crc(bytes([k] * 18)) for k in range(5)]
    sent = [Sent(lpdu, 50_000 * k, "primary", 0.0, 1.0) for k, lpdu in enumerate(lpdus)]
    got = [
        _packet(lpdus[0], 20),  # right
        _packet(lpdus[4], 50_030),  # wrong content, good CRC
        _packet(lpdus[2], 100_000, crc_ok=False),  # found, not readable
        _packet(lpdus[3], 150_500),  # more than a bit off: from nothing
        _packet(lpdus[4], 200_000, carrier="secondary"),  # on the wrong carrier
        _packet(lpdus[1], 75_000, crc_ok=False),
    ]
    count = harness.count(sent, got, bit=111.3)
    assert (count.sent, count.right, count.errors) == (5, 1, 4)
    assert (count.missed, count.residual, count.false, count.phantom) == (2, 1, 2, 1)
    twice = harness.count(sent[:4], [_packet(lpdus[1], 50_000)], bit=111.3, attempts=2)
    assert (twice.sent, twice.right) == (2, 1)


def test_a_stream_of_packets_comes_out_of_the_receiver():
    count = harness.run(Traffic(carriers=("primary", "secondary")), 10, seed=1, esn0_db=20.0)
    assert (count.right, count.false, count.residual, count.phantom) == (10, 0, 0, 0)
