"""Of the packets that the branches of a carrier find, each is given out once, however many headers its data resemble."""

import numpy as np
import pytest

from phy import Packet, Profile, Receiver
from phy.branch import Conclusion

RATE = 400_000.0


def packet(start, end, good):
    return Packet(
        lpdu=bytes(range(20)), crc_ok=good, start_sample=start, end_sample=end, carrier="primary", level_v=1.0, esn0_db=20.0,
        clock_ppm=0.0, corrected_bits=0, symbols=np.zeros(1, np.complex64),
    )  # fmt: skip


@pytest.mark.parametrize("inside", [0, 10, 40, 200])
def test_a_good_packet_with_many_headers_in_its_data_is_given_once_and_these_are_not(inside):
    chain = Receiver(Profile.load("pl20a"), RATE).carriers["primary"]
    found = [(1000, True, 500), *((3000 + 1000 * k, False, 501) for k in range(inside))]
    end = 4000 + 1000 * inside
    for rank in (0, 1):
        chain.hold([Conclusion(decided, rank, packet(start, end, good)) for start, good, decided in found])
    given = chain.resolve()
    assert [(c.packet.crc_ok, c.packet.start_sample, c.rank) for c in given] == [(True, 1000, 0)]
    # What is found in it only later is known to be in it, too.
    late = [Conclusion(600 + k, rank, packet(2500 + 1000 * k, end, False)) for k in range(max(inside, 1)) for rank in (0, 1)]
    chain.hold(late)
    assert chain.resolve() == [] and chain.false_starts >= inside


def test_packets_that_have_nothing_to_do_with_one_another_are_all_given():
    chain = Receiver(Profile.load("pl20a"), RATE).carriers["primary"]
    for batch in range(5):
        starts = [100_000 * (40 * batch + k) for k in range(40)]
        for rank in (0, 1):
            chain.hold([Conclusion(start + 500, rank, packet(start, start + 50_000, start % 300_000 > 0)) for start in starts])
        given = chain.resolve()
        assert [c.packet.start_sample for c in given] == starts
