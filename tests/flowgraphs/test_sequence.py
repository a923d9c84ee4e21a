"""Frames in words: recorded ones, and those of a chain of repeaters."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from chain_line import Chain, stations
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs.sequence import Step, describe, sequence
from mac import ProxyDone, ProxyHop, ProxyRoute, Service, SubnetNode


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("0019238F238C510651", "request 6: 51"),
        ("8009238F238C510555", "priority ackd 5: 55"),
        ("0009238D238C5127", "ack 7"),
        ("0109238C238D51000501020304050607080900", "ackd 0: 05 01 02 03 04 05 06 07 .. (11 octets)"),
        ("0039238C238D5105A1A2", "05 A1 A2"),
        ("0029238C238F5183A6B08E3C8729660A", "challenge 3"),
        ("0029238F238C51A34EF6246106A81CDF", "reply 3"),
        ("0119238C238D518305A1A2", "request 3, to be authenticated: 05 A1 A2"),
        ("0005238C075142030000 10".replace(" ", ""), "reminder 2, answered by 20"),
        ("0305238C0751530106050102", "rem msg 3, answered by 1, 2: 05 01 02"),
        ("0019238F238C51024D01230D242C25230E51", "request 2: proxy, over 35/13, for 35/14 by request: 51"),
        ("0019238F238C51034D818D24EC250E51", "request 3: proxy, over 13 (alternate), for node 14 by request: 51"),
        ("0119238C238D51024D002C25230E51", "request 2: proxy, agent: for 35/14 by request: 51"),
        (
            "0039238F238C514D21230D242425230E05A1",
            "proxy, to all agents, over 35/13, for 35/14 by repeated: 05 A1",
        ),
        ("0019238C238F51274D", "response 7: delivered"),
        ("0019238C238F512C4C01", "response 12: failed, count 1"),
        ("00", "unreadable: "),
    ],
)
def test_in_words(octets, text):
    assert describe(bytes.fromhex(octets)).startswith(text)


def test_chain_of_repeaters_as_a_sequence():
    chain = Chain(stations(4))
    hops = (ProxyHop(SubnetNode(35, 2)), ProxyHop(SubnetNode(35, 3), alternate=True))
    chain.nodes[0].send_proxied(ProxyRoute(hops, SubnetNode(35, 4), service=Service.ACKNOWLEDGED), b"\x05", 0.0)
    chain.run(lambda: any(isinstance(event, ProxyDone) for _, _, event in chain.events))
    steps = sequence(chain.log)
    assert [(step.sender, step.receiver, step.alternate, step.text) for step in steps] == [
        ("35/1", "35/2", False, "request 0: proxy, over 3 (alternate), for node 4 by acknowledged: 05"),
        ("35/2", "35/3", True, "request 0: proxy, agent: for node 4 by acknowledged: 05"),
        ("35/3", "35/4", False, "ackd 0: 05"),
        ("35/4", "35/3", False, "ack 0"),
        ("35/3", "35/2", True, "response 0: delivered"),
        ("35/2", "35/1", False, "response 0: delivered"),
    ]
    assert all(a.end < b.start for a, b in pairwise(steps))


@dataclass
class Anything:
    octets: bytes
    start: float = 0.0
    end: float = 1.0
    alternate: bool = False


@given(st.binary(max_size=60))
def test_noise_is_a_step_too(octets):
    (step,) = sequence([Anything(octets)])
    assert isinstance(step, Step) and step.text
