"""Chains of repeaters that several sources share, and that lose frames."""

from dataclasses import replace
from itertools import pairwise

import pytest
from chain_line import Chain, stations, with_loss

from mac import Lpdu, ProxyDone, ProxyHop, ProxyOutcome, ProxyRoute, ProxyTiming, SubnetNode


def shared_line(loss=0.0, seed=1):
    """Two sources, 35/1 and 35/2, that hear each other and the same repeater 35/3; then agent 35/4 and target 35/5."""
    links = frozenset({(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)})
    return Chain(stations(5, seed), with_loss(loss, seed), links)


SHARED = ProxyRoute((ProxyHop(SubnetNode(35, 3)), ProxyHop(SubnetNode(35, 4))), SubnetNode(35, 5))


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.4, 2.0])
def test_two_sources_share_their_repeaters(pause):
    chain = shared_line()
    chain.nodes[0].send_proxied(SHARED, b"\x05one", 0.0)
    chain.run(pause)
    chain.nodes[1].send_proxied(SHARED, b"\x05two", chain.now)
    chain.run(60.0)
    done = {station: event for _, station, event in chain.events if isinstance(event, ProxyDone)}
    assert {station: event.response for station, event in done.items()} == {0: b"\x05eno", 1: b"\x05owt"}


def test_two_sources_with_the_same_message_each_get_an_answer_of_their_own():
    """Both use number 0 and the same octets: the target is asked twice all the same."""
    chain = shared_line()
    for station in (0, 1):
        chain.nodes[station].send_proxied(SHARED, b"\x05same", chain.now)
        chain.run(chain.now + 3.0)
    assert [e.success for _, _, e in chain.events if isinstance(e, ProxyDone)] == [True, True]
    at_target = [f for f in chain.log if f.sender == 4]
    assert len(at_target) == 2
    assert len({Lpdu.decode(f.octets).npdu.pdu.number for f in at_target}) == 2


def test_sources_that_never_stop_are_served_in_turn_over_lossy_links():
    chain = shared_line(loss=0.1, seed=3)
    asked = {0: 0, 1: 0}

    def ask(station):
        asked[station] += 1
        chain.nodes[station].send_proxied(SHARED, bytes([5, station, asked[station]]), chain.now)

    ask(0)
    ask(1)
    seen = 0
    while chain.now < 120.0:
        chain.run(chain.now + 0.5)
        for _, station, event in chain.events[seen:]:
            if isinstance(event, ProxyDone):
                if event.outcome is ProxyOutcome.RESPONSE:
                    assert event.response[1:] == bytes([5, station, asked[station]])[:0:-1]
                ask(station)
        seen = len(chain.events)
    good = [s for _, s, e in chain.events if isinstance(e, ProxyDone) and e.outcome is ProxyOutcome.RESPONSE]
    assert min(good.count(0), good.count(1)) > 15


def test_timing_of_a_lossy_hop_is_that_of_its_tx_control():
    """Three tries of the repeater: 768 ms from the end of one to the queueing of the next, its access included."""
    chain = Chain(stations(4), lost=lambda sender, receiver, alternate: (sender, receiver) == (1, 2))
    timing = replace(ProxyTiming.for_count(1), hop_retries=2)
    hops = (ProxyHop(SubnetNode(35, 2)), ProxyHop(SubnetNode(35, 3)))
    chain.nodes[0].send_proxied(ProxyRoute(hops, SubnetNode(35, 4), timing=timing), b"\x05", 0.0)
    chain.run(4.0)
    tries = [f for f in chain.log if f.sender == 1]
    gaps = [b.start - a.end for a, b in pairwise(tries[:3])]
    assert len(gaps) == 2
    assert all(0.768 <= gap <= 0.768 + 0.2 for gap in gaps)
