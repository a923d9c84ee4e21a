"""Holes in a stream: filled, begun anew, and packets with a hole in them, by samples of our own sender."""

import numpy as np
import pytest

from flowgraphs.across_gaps import FILLED_S, GapReceiver
from phy import Profile, Receiver, Transmitter, append_crc

RATE, BLOCK = 400_000.0, 1000
PROFILE = Profile.load("pl20a")
LPDUS = [append_crc(bytes([k]) + bytes(range(11))) for k in range(3)]
FIRST = 7_000_000  # index of the stream's first sample


@pytest.fixture(scope="module")
def line():
    """Noise with three packets, and where each of them is: (first sample, end)."""
    waves = [Transmitter(PROFILE, RATE, level_v=0.1).modulate(lpdu) for lpdu in LPDUS]
    x = np.random.default_rng(1).normal(0, 0.004, sum(w.size for w in waves) + 4 * 80_000).astype(np.float32)
    places, at = [], 80_000
    for wave in waves:
        x[at : at + wave.size] += wave
        places.append((at, at + wave.size))
        at += wave.size + 80_000
    return x, places


def receive(x, holes=(), jump=0):
    """The packets of a stream without the samples of `holes`; after these, indices are `jump` further."""
    receiver, found = GapReceiver(Receiver(PROFILE, RATE)), []
    for first in range(0, x.size, BLOCK):
        if any(low < first + BLOCK and first < high for low, high in holes):
            continue
        after = jump if holes and first >= holes[-1][1] else 0
        found += receiver.push(FIRST + first + after, x[first : first + BLOCK])
    return found + receiver.flush(), receiver


def good(packets):
    return [(packet.lpdu, packet.start_sample) for packet in packets if packet.crc_ok]


def same(found, wanted):
    """Octets, and places within a few samples: noise floors were learnt from other samples."""
    return [lpdu for lpdu, _ in found] == [lpdu for lpdu, _ in wanted] and all(
        abs(a - b) < 10 for (_, a), (_, b) in zip(found, wanted, strict=True)
    )


@pytest.fixture(scope="module")
def whole(line):
    found, receiver = receive(line[0])
    assert [lpdu for lpdu, _ in good(found)] == LPDUS and receiver.base == FIRST
    assert all(abs(start - FIRST - first) < 2000 for (_, start), (first, _) in zip(good(found), line[1], strict=True))
    return good(found)


def test_a_short_hole_between_packets_changes_nothing(line, whole):
    (_, end), _, _ = line[1]
    found, receiver = receive(line[0], [(end + 30_000, end + 50_000)])
    assert same(good(found), whole) and receiver.base == FIRST and receiver.torn == 0


def test_a_hole_right_before_a_packet_does_not_cost_it(line, whole):
    first = line[1][1][0] // BLOCK * BLOCK
    for length in (BLOCK, 20_000, round(FILLED_S * RATE) + BLOCK):
        assert same(good(receive(line[0], [(first - length, first)])[0]), whole)


def test_after_a_long_hole_it_begins_anew_and_places_stay_true(line, whole):
    (_, end), _, _ = line[1]
    found, receiver = receive(line[0], [(end + 10_000, end + 30_000)], jump=1_000_000)
    assert same(good(found), [whole[0], *((lpdu, start + 1_000_000) for lpdu, start in whole[1:])])
    assert receiver.base > FIRST


def test_a_stream_that_starts_over_begins_anew(line):
    receiver = GapReceiver(Receiver(PROFILE, RATE))
    for start in (500_000, 0):
        found = [p for k in range(0, line[0].size, BLOCK) for p in receiver.push(start + k, line[0][k : k + BLOCK])]
        assert [packet.lpdu for packet in found if packet.crc_ok] == LPDUS
        assert abs(found[0].start_sample - start - line[1][0][0]) < 2000


def test_a_hole_in_the_header_is_no_loss(line, whole):
    first = line[1][1][0] // BLOCK * BLOCK
    found, receiver = receive(line[0], [(first, first + 2 * BLOCK)])  # 18 bits of the 35
    assert same(good(found), whole) and receiver.torn == 0


def test_a_packet_with_a_hole_is_reported_as_failed_and_its_neighbours_are_received(line, whole):
    first, end = line[1][1]
    middle = (first + end) // 2 // BLOCK * BLOCK
    found, receiver = receive(line[0], [(middle, middle + 8000)])
    assert same(good(found), [whole[0], whole[2]]) and receiver.torn == 0
    assert any(not packet.crc_ok and abs(packet.start_sample - whole[1][1]) < 2000 for packet in found)


def test_a_check_sequence_that_holds_across_a_hole_is_not_believed(line, monkeypatch):
    """As of one packet in some thousands: the receiver is made to find the right octets without having heard them."""
    first, end = line[1][1]
    middle = (first + end) // 2 // BLOCK * BLOCK
    x = line[0]
    for length, believed in ((BLOCK, True), (2 * BLOCK, False), (8000, False)):  # 9, 18 and 72 bit times
        receiver = GapReceiver(Receiver(PROFILE, RATE))
        monkeypatch.setattr(receiver.receiver, "push", with_all_samples(receiver.receiver.push, x))
        found = []
        for k in range(0, x.size, BLOCK):
            if not middle <= k < middle + length:
                found += receiver.push(k, x[k : k + BLOCK])
        assert [packet.crc_ok for packet in found] == [True, believed, True], length
        assert receiver.torn == (not believed)


def with_all_samples(push, x):
    """`push`, but where silence was filled in the samples that were there."""
    at = 0

    def pushed(block):
        nonlocal at
        at += block.size
        return push(x[at - block.size : at])

    return pushed
