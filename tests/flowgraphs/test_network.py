"""Networks in virtual time: lazy nodes are exact, runs repeat, losses follow the curves, collisions and capture, captures."""

import cProfile
import hashlib
import math
import tomllib
from itertools import pairwise
from random import Random

import csma
import csma_model
import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraphs.error_table import SHIPPED, load_table
from flowgraphs.errors import FlowgraphError
from flowgraphs.medium import LineTiming, Outcome
from flowgraphs.network import Network
from flowgraphs.paths import Paths
from mac import (
    Broadcast,
    ChannelTiming,
    DomainEntry,
    DomainId,
    Group,
    GroupEntry,
    RequestReceived,
    SubnetNode,
    UniqueId,
)

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


RECORDED = {  # frames, SHA-256 of senders, instants, octets and carriers; recorded with version 0.1 before nodes took short cuts
    "all hear all": (134, "3a1fb87dbe1925e1"),
    "lossy": (140, "c61eed2a96d31894"),
    "hidden": (458, "c1edd2ac6f5f6513"),
}


@pytest.mark.parametrize("line", RECORDED)
def test_seed_gives_the_run_that_it_always_gave(line):
    network = build(40, paths=LINES[line](), seed=3)
    traffic(network, 4, 200, 15.0)
    network.run(20.0)
    frames = [(frame.sender, frame.start.hex(), frame.octets, frame.alternate) for frame in network.frames]
    assert (len(frames), hashlib.sha256(repr(frames).encode()).hexdigest()[:16]) == RECORDED[line]


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from(["all hear all", "lossy"]), st.lists(st.floats(0, 6), max_size=3))
def test_lazy_nodes_are_exact_on_a_line_that_is_overloaded(seed, line, looks):
    """Backlogs of their own, packet cycles of their own, collisions that some survive."""
    runs = []
    for lazy in (True, False):
        network = build(16, lazy=lazy, paths=LINES[line](), seed=seed)
        traffic(network, seed, 60, 4.0)
        seen = []
        for at in sorted(looks):
            network.run(at)
            seen.append([network.node(k).backlog for k in range(0, 16, 5)])
        network.run(8.0)
        runs.append((seen, everything(network)))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("line", ["all hear all", "lossy", "hidden"])
def test_history_is_forgotten_without_a_trace(line, monkeypatch):
    def run():
        network = build(12, paths=LINES[line](), seed=6)
        traffic(network, 7, 80, 12.0)
        network.run(15.0)
        return network, everything(network)

    _, whole = run()
    monkeypatch.setattr("flowgraphs.network._HISTORY", 6)
    network, cut = run()
    assert cut == whole
    assert len(network.lines[0].history.entries) < 12 < 2 * len(network.frames)


def test_same_seed_gives_the_same_run_and_another_seed_another():
    def run(seed):
        network = build(8, paths=LINES["lossy"](), seed=seed)
        traffic(network, 3, 30, 10.0)
        network.run(15.0)
        return network.frames, network.events

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_lines_hear_nothing_of_each_other():
    network = Network(seed=1)
    network.add_line()
    for k in range(4):
        network.add_node(line=k // 2, domains=(DomainEntry(DOMAIN, 1, 1 + k % 2),))
    network.node(0).send_unacknowledged(Broadcast(), b"\5", 0.0)
    network.node(2).send_request(SubnetNode(1, 2), b"\5", 0.0)
    network.run(1.0)
    assert {(event.node, type(event.event)) for event in network.events if isinstance(event.event, RequestReceived)} == {
        (3, RequestReceived)
    }
    assert {frame.line for frame in network.frames} == {0, 1}
    assert network.node(1).statistics.l2_received == 1


def sent_many(paths, octets, count, **options):
    """Frames from node 0 to node 1, and how many of them node 1 got, counted as bad, and missed."""
    network = Network(paths=paths, seed=4, keep=False, **options)
    for k in range(2):
        network.add_node(domains=(DomainEntry(DOMAIN, 1, k + 1),))
    apdu = bytes([5]) + bytes(octets - 10)
    for k in range(count):
        network.call_at(2.0 * k, lambda now: network.node(0).send_unacknowledged(SubnetNode(1, 2), apdu, now))
    network.run(2.0 * count)
    statistics = network.node(1).statistics
    return statistics.l2_received, statistics.transmission_errors, count - statistics.l2_received - statistics.transmission_errors


@pytest.mark.parametrize(("esn0_db", "octets"), [(1.5, 16), (4.5, 16), (5.0, 64), (5.5, 32)])
def test_losses_are_those_of_the_modem(esn0_db, octets):
    """Within four standard errors of the counts in the table, both of frames with a bad CRC and of frames not noticed."""
    text = SHIPPED.read_text(encoding="utf-8")
    white = tomllib.loads(text)["pl20a"]["white"]
    row, column = white["octets"].index(octets), white["esn0_db"].index(esn0_db)
    good, bad, missed = sent_many(Paths(esn0_db), octets, 600)
    for got, name in ((bad, "failed"), (missed, "missed")):
        share = white[name][row][column] / white["sent"][row][column]
        spread = math.sqrt(max(share * (1 - share), 0.002) * (1 / 600 + 1 / white["sent"][row][column]))
        assert abs(got / 600 - share) < 4 * spread, (name, got / 600, share)
    assert good == 600 - bad - missed


def test_alternate_path_has_its_own_level():
    network = Network(paths=Paths(None, 20.0), seed=1)
    for k in range(2):
        network.add_node(domains=(DomainEntry(DOMAIN, 1, k + 1),))
    network.node(0).send_request(SubnetNode(1, 2), b"\5", 0.0, retries=3)
    network.on_event = lambda index, event, now: (
        network.node(index).respond(event.request_id, b"\6", now) if isinstance(event, RequestReceived) else None
    )
    network.run(10.0)
    assert [frame.alternate for frame in network.frames] == [False, False, True, True]


@pytest.mark.parametrize(("stronger_db", "survivors"), [(0.0, (0.05, 0.75)), (12.0, (0.99, 1.0))])
def test_strong_frame_survives_a_collision(stronger_db, survivors):
    """Two stations that hear each other badly start together; the listener is 25 dB from one of them."""
    good = count = 0
    for seed in range(60):
        network = Network(seed=seed, paths=Paths(25.0))
        for k in range(3):
            network.add_node(domains=(DomainEntry(DOMAIN, 1, k + 1),))
        network.lines[0].paths.set(0, 1, None)
        network.lines[0].paths.set(1, 2, 25.0 - stronger_db)
        for k in (0, 1):
            network.node(k).send_unacknowledged(SubnetNode(1, 3), bytes([5, k]) + bytes(20), 0.0)
        network.run(1.0)
        first = next(frame for frame in network.frames if frame.sender == 0)
        if first.collided:
            count += 1
            good += network.outcome(first, 2) is Outcome.GOOD
    assert count > 30
    assert survivors[0] <= good / count <= survivors[1]


def test_without_capture_every_overlap_is_a_loss():
    network = Network(seed=1, capture=False, paths=Paths(25.0))
    for k in range(3):
        network.add_node(domains=(DomainEntry(DOMAIN, 1, k + 1),))
    network.lines[0].paths.set(0, 1, None)
    for k in (0, 1):
        network.node(k).send_unacknowledged(SubnetNode(1, 3), bytes([5, k]) + bytes(60), 0.0)
    network.run(2.0)
    assert [frame.collided for frame in network.frames] == [True, True]
    assert [network.outcome(frame, 2) for frame in network.frames] == [Outcome.BAD, Outcome.MISSED]
    assert network.node(2).statistics.transmission_errors == 1


def test_listeners_cost_nothing():
    """The work for a frame does not grow with the number of nodes that only listen: calls of the stack are counted."""

    def calls(nodes):
        network = build(nodes, seed=1, keep=False)
        for number in range(40):
            to = 1 + number % 5
            network.call_at(0.5 * number, lambda now, to=to: network.node(0).send_request(SubnetNode(1, to + 1), b"\5", now))
        profile = cProfile.Profile()
        network.run(0.0)
        profile.runcall(network.run, 20.0)
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(120) < 1.3 * calls(20)


def test_meters_and_concentrators_run_on_a_network_as_on_a_station():
    """An application with timers of its own."""

    class Clock:
        def __init__(self, node):
            self.node, self.ticks, self.seen = node, [], []

        def start(self, now):
            self.at = now + 1.0

        def on_event(self, event, now):
            self.seen.append(event)

        def work(self, now):
            if now >= self.at:
                self.at += 1.0
                self.ticks.append(now)
                self.node.send_unacknowledged(SubnetNode(1, 2), bytes([5, len(self.ticks)]), now)

        def next_timer(self):
            return self.at

        def reports(self):
            return [f"tick {len(self.ticks)}"] if self.ticks else []

    network = Network(seed=1)
    for k in range(2):
        network.add_node(domains=(DomainEntry(DOMAIN, 1, k + 1),))
    clock = Clock(network.node(0))
    network.set_application(0, clock)
    network.run(5.5)
    assert clock.ticks == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert len([event for event in network.events if event.node == 1]) == 5
    assert len(clock.seen) == 5 and (0, "tick 1") in network.reports


def test_run_leaves_a_capture(tmp_path):
    network = build(3, seed=1)
    network.node(0).send_request(SubnetNode(1, 2), b"\5hello", 0.0)
    network.run(2.0)
    network.write_capture(tmp_path / "run.pcapng")
    records = list(dpkt.pcapng.Reader((tmp_path / "run.pcapng").open("rb")))
    assert [octets[62:] for _, octets in records] == [frame.octets for frame in network.frames]
    assert [at for at, _ in records] == pytest.approx([frame.start for frame in network.frames], abs=1e-6)


@pytest.mark.parametrize(("nodes", "traffic_kind"), [(2, "UNACKNOWLEDGED"), (10, "UNACKNOWLEDGED"), (5, "ACKNOWLEDGED")])
def test_saturated_nodes_behave_as_the_analysis_says(nodes, traffic_kind):
    """The benchmark in small: throughput within 10 %, collisions within 10 % or five standard errors."""
    timing = csma.ideal(ChannelTiming.load("pl20a_nes"))
    delays = LineTiming(timing.beta2 / 2, 0.0)
    kind = csma.Traffic[traffic_kind]
    acknowledged = kind is csma.Traffic.ACKNOWLEDGED
    channel = csma.channel_of(timing, "pl20a", delays, acknowledged)
    truth = csma_model.drawn(nodes, channel, rounds=8000) if acknowledged else csma_model.unacknowledged(nodes, channel)
    got = csma.simulate(nodes, 1200, timing, "pl20a", delays, traffic=kind)
    assert got.per_second == pytest.approx(truth.per_second, rel=0.10)
    assert abs(got.collided - truth.collided) <= max(0.10 * truth.collided, 2.5 * got.interval)


def test_the_analysis_is_the_textbook_formula_on_an_ideal_line():
    channel = csma_model.Channel(1.0, 0.0, 0.0, 0.5, 0.0, 10.0)
    for nodes in (2, 5, 20):
        assert csma_model.unacknowledged(nodes, channel).success == pytest.approx(csma_model.textbook_success(nodes, 16))
    assert csma_model.textbook_success(2, 16) == pytest.approx(15 / 16)


# --- the table -----------------------------------------------------------------------------------------------------------


def test_table_rises_with_length_and_falls_with_level():
    for name in ("pl20a", "pl20c"):
        table = load_table(name)
        assert table.loss(-5.0, 20).total > 0.95 and table.loss(20.0, 250).total == 0.0
        for octets in (8, 11, 20, 100, 255):
            losses = [table.loss(0.5 * k, octets).total for k in range(18)]
            assert all(a >= b - 0.06 for a, b in pairwise(losses))
        assert table.loss(5.0, 100).total > table.loss(5.0, 20).total > table.loss(5.0, 8).total
        assert 3 < table.sense_bits < 11 and 0 < table.release_bits < 30 and table.sense_esn0_db <= 9


def test_table_agrees_with_the_theory_of_the_code():
    """10 % loss of 20 octets with soft decision at 5.05 dB in theory (ideal synchronisation); the receiver is within 0.6 dB."""
    for name in ("pl20a", "pl20c"):
        assert load_table(name).esn0_for(0.10, 20) == pytest.approx(5.05, abs=0.6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("300", "299", 1), "do not fit their sha256"),
        (lambda text: text.replace("format = 1", "format = 9"), "format 9, expected 1"),
        (lambda text: "][", "no error table"),
    ],
)
def test_changed_table_is_refused(tmp_path, change, message):
    path = tmp_path / "table.toml"
    path.write_text(change(SHIPPED.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(FlowgraphError, match=message):
        load_table("pl20a", path)


def test_missing_profile_names_those_that_are_there():
    with pytest.raises(FlowgraphError, match="no profile 'pl30', only pl20a, pl20c"):
        load_table("pl30")
