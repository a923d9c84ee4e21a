"""Networks in virtual time: lazy nodes are exact, runs repeat, losses follow the curves, collisions and capture, captures."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraphs.network import Network
from flowgraphs.paths import Paths
from mac import Broadcast, DomainEntry, DomainId, Group, GroupEntry, RequestReceived, SubnetNode, UniqueId

DOMAIN = DomainId(b"Q")
OTHER = DomainId(bytes.fromhex("4E4553444F4D"))


def build(nodes, answer=True, **options):
    """Nodes 1/1, 1/2, ... of which each fourth has a second domain or another one, and the first ones are in a group."""
    network = Network(**options)
    for k in range(nodes):
        domains = (DomainEntry(OTHER if k % 7 == 6 else DOMAIN, 1, k + 1),)
        if k % 4 == 3:
            domains += (DomainEntry(DomainId(b"\1\2\3"), 9, k + 1),)
        groups = (GroupEntry(7, 4, k),) if k < 4 else ()
        network.add_node(domains=domains, groups=groups, **({} if k != 5 else {"state": None}))

    def respond(index, event, now):
        if answer and isinstance(event, RequestReceived):
            network.node(index).respond(event.request_id, b"\x06" + event.apdu[1:], now)

    network.on_event = respond
    return network


def traffic(network, seed, messages, until):
    """Requests, messages and broadcasts in every address format at random instants."""
    rng = Random(seed)
    nodes = len(network)

    def send(k, kind, to, size, now):
        node = network.node(k)
        apdu = b"\x05" + bytes(size)
        domain = node.domains[0].domain
        address = SubnetNode(1, to + 1)
        if kind == 0:
            node.send_request(address, apdu, now, domain=domain, priority=size % 3 == 0)
        elif kind == 1:
            node.send_acknowledged(address, apdu, now, retries=1)
        elif kind == 2:
            node.send_repeated(Broadcast(rng.choice((0, 1, 9))), apdu, now, repeats=2)
        elif kind == 3:
            node.send_request(UniqueId(network.node(to).config.unique_node_id), apdu, now)
        elif kind == 4:
            node.send_unacknowledged(Broadcast(), apdu, now, domain=DomainId())
        elif kind == 5 and k < 4:
            node.send_request(Group(7), apdu, now)
        else:
            node.send_request(Broadcast(), apdu, now, max_responses=3, backlog=20)

    for _ in range(messages):
        what = rng.randrange(nodes), rng.choice((0, 0, 0, 1, 1, 2, 3, 4, 5, 6)), rng.randrange(nodes), rng.randrange(40)
        network.call_at(rng.uniform(0, until), lambda now, what=what: send(*what, now))


def everything(network):
    """All that may not depend on how the run was computed."""
    network_state = []
    for index in range(len(network)):
        node = network.node(index)
        network_state.append((node.statistics, node.access_state, node.backlog, node.line_state(), node.next_start_timer()))
    return network.frames, network.events, network_state


LINES = {
    "all hear all": lambda: Paths(),
    "no carrier capture": lambda: Paths(),
    "lossy": lambda: Paths(4.5, 7.0),
    "weak carrier": lambda: Paths(rule=lambda a, b, alternate: 2.0 + 3.0 * ((a * 7 + b * 3 + alternate) % 5)),
    "hidden": lambda: Paths(rule=lambda a, b, alternate: None if abs(a - b) > 3 else 25.0 - 4 * abs(a - b)),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("channel", ["pl20a_nes", "pl20a", "pl20c"])
def test_lazy_nodes_are_exactly_as_nodes_that_follow_the_line(line, channel):
    """Same frames, events, counters, drops by reason, access states and timers, floats included."""
    runs = []
    for lazy in (True, False):
        network = build(10, lazy=lazy, channel=channel, paths=LINES[line](), seed=5, capture=line != "no carrier capture")
        traffic(network, 11, 60, 20.0)
        network.run(25.0)
        runs.append(everything(network))
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] == runs[1][1]
    for lazy_node, eager_node in zip(runs[0][2], runs[1][2], strict=True):
        assert lazy_node == eager_node
    assert len(runs[0][0]) > 60 and any(frame.collided for frame in runs[0][0])


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from(sorted(LINES)), st.lists(st.floats(0, 12), max_size=4))
def test_lazy_nodes_are_exact_whenever_one_looks(seed, nodes, line, looks):
    runs = []
    for lazy in (True, False):
        network = build(nodes, lazy=lazy, paths=LINES[line](), seed=seed)
        traffic(network, seed, 20, 6.0)
        seen = []
        for at in sorted(looks):
            network.run(at)
            seen.append(network.node(seed % nodes).backlog)
        network.run(12.0)
        runs.append((seen, everything(network)))
    assert runs[0] == runs[1]
