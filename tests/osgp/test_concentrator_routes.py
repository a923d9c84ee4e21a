"""Routes of a concentrator: meters behind others are found, measured and read, and reached another way when a repeater dies."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import (
    Commission,
    Concentrator,
    ConcentratorConfig,
    ConfigurationError,
    Discover,
    Measure,
    Meter,
    MeterConfig,
    PassDone,
    ReadingDone,
    Request,
    Route,
    RouteChanged,
)
from osgp.concentrator.topology import DIRECT, FAILURES_TO_REST, LINK_REST_S, Topology

TABLES = ("BT01",)


def unique_id(n):
    return bytes((2, 0, 0, 0, 0, n))


class Hills:
    """Meters 1.. and the concentrator, 0, of which some hear each other; `margins` of links are 20 dB unless given."""

    def __init__(self, meters, hears, *, margins=(), config=None, **options):
        self.hears, self.margins, self.dead, self.now = hears, dict(margins), set(), 0.0
        self.meters = {n: Meter(MeterConfig(unique_id(n), entropy=Random(n).randbytes)) for n in range(1, meters + 1)}
        self.addresses, self.events, self.actions = {}, [], []
        settings = {"read_set": TABLES, "period": 1000.0, "max_repeaters": 4, "entropy": Random(1).randbytes} | options
        self.concentrator = Concentrator(config or ConcentratorConfig(**settings), Random(1))
        self.concentrator.start(0.0)

    def number(self, address):
        return next((n for n, own in self.addresses.items() if own == address), None)

    def dead_link(self, stations):
        """First link of a way that does not work, from 1; None when all do."""
        for index, (a, b) in enumerate(pairwise(stations)):
            if b is None or {a, b} & self.dead or not (self.hears(a, b) or self.hears(b, a)):
                return index + 1
        return None

    def step(self):
        concentrator, action = self.concentrator, self.concentrator.next_action()
        if action is None:
            self.now = max(self.now, concentrator.next_timer())
            concentrator.on_timer(self.now)
            return
        self.actions.append(action)
        self.now += 1.0
        way = [0, *(self.number(address) for address in action.route.repeaters)]
        match action:
            case Discover():
                broken = self.dead_link(way)
                found = [n for n in self.meters if n not in self.addresses and self.dead_link([way[-1], n]) is None]
                for n in [] if broken else found if not action.route else found[:1]:
                    concentrator.on_discovered(unique_id(n), bytes(8), self.now)
                concentrator.on_discovery_done(self.now, broken)
            case Commission(unique_node_id=identifier, subnet=subnet, node=node):
                works = self.dead_link([*way, identifier[5]]) is None
                if works:
                    self.addresses[identifier[5]] = (subnet, node)
                concentrator.on_commissioned(identifier, works, self.now)
            case Measure(subnet=subnet, node=node):
                target = self.number((subnet, node))
                broken = self.dead_link([*way, target])
                margin = self.margins.get(frozenset((way[-1], target)), 20.0)
                concentrator.on_measured(None if broken else margin, self.now, broken)
            case Request(subnet=subnet, node=node):
                target = self.number((subnet, node))
                broken = self.dead_link([*way, target])
                answer = None if broken else self.meters[target].receive_request(action.apdu, subnet, node, self.now)
                concentrator.on_response(action.request_id, answer, self.now, broken if action.route else None)

    def passes(self, count):
        while len(self.of(PassDone)) < count:
            assert len(self.actions) < 5000
            self.step()
            while (event := self.concentrator.next_event()) is not None:
                self.events.append(event)
        return self.of(PassDone)[-1]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def way(self, n):
        return [self.number(address) for address in self.concentrator.stations[unique_id(n)].route.repeaters]


def in_a_row(a, b):
    return abs(a - b) == 1


def test_each_meter_of_a_chain_is_read_through_those_before_it():
    hills = Hills(4, in_a_row)
    assert hills.passes(1).read == tuple(unique_id(n) for n in (1, 2, 3, 4))
    assert [hills.way(n) for n in (1, 2, 3, 4)] == [[], [1], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize(("most", "read"), [(0, 1), (1, 2), (2, 3), (16, 4)])
def test_no_route_is_longer_than_is_allowed(most, read):
    hills = Hills(4, in_a_row, max_repeaters=most)
    assert len(hills.passes(2).read) == read
    assert max(len(action.route) for action in hills.actions) <= most
    assert any(isinstance(action, Measure) for action in hills.actions) is (most > 0)


def test_dead_repeater_is_silent_and_those_behind_it_are_reached_another_way():
    """1 and 2 hear the concentrator, and both hear 3."""
    hills = Hills(3, lambda a, b: (a, b) in {(0, 1), (0, 2), (1, 3), (2, 3)})
    assert len(hills.passes(1).read) == 3
    (used,) = hills.way(3)
    hills.dead.add(used)
    done = hills.passes(2)
    assert done.silent == (unique_id(used),) and unique_id(3) in done.read
    assert hills.way(3) == [3 - used]
    changed = hills.of(RouteChanged)[-1]
    assert changed.unique_node_id == unique_id(3) and changed.route == hills.concentrator.stations[unique_id(3)].route
    hills.dead.clear()
    assert hills.passes(3).silent == ()
    assert hills.way(3) == [3 - used], "a route that works is kept"


def test_weak_last_link_is_given_up_for_a_better_one_and_a_longer_way():
    """The concentrator hears 2 badly, 1 hears it well."""
    everybody = Hills(2, lambda a, b: a != b, margins={frozenset((0, 2)): 3.0})
    everybody.passes(1)
    assert (everybody.way(1), everybody.way(2)) == ([], [1])
    weak = Hills(2, lambda a, b: a != b, margins={frozenset((0, 2)): 3.0, frozenset((1, 2)): 0.0})
    weak.passes(1)
    assert weak.way(2) == []


def test_route_leads_through_the_present_route_of_its_repeaters():
    """2 moves from 1 to 3; 4 stands behind 2."""
    hills = Hills(4, lambda a, b: (a, b) in {(0, 1), (0, 3), (1, 2), (2, 3), (2, 4)})
    hills.passes(1)
    first = hills.way(2)[0]
    assert hills.way(4) == [first, 2]
    hills.dead.add(first)
    assert unique_id(4) in hills.passes(2).read
    assert hills.way(4) == [4 - first, 2]


def test_known_routes_are_used_without_a_search():
    hills = Hills(2, in_a_row)
    hills.passes(1)
    stations = hills.concentrator.stations
    config = ConcentratorConfig(
        read_set=TABLES, max_repeaters=4, period=1000.0, known={i: s.address for i, s in stations.items()},
        routes={i: s.route for i, s in stations.items()}, entropy=Random(2).randbytes,
    )  # fmt: skip
    later = Hills(2, in_a_row, config=config)
    later.addresses, later.meters = hills.addresses, hills.meters
    assert len(later.passes(1).read) == 2
    assert next(action.route for action in later.actions if isinstance(action, Request) and action.node == 3) == Route(((1, 2),))
    assert not later.of(RouteChanged)


def test_actions_without_feedback_end():
    """The network below dies in the middle: every kind of action is given up in time."""
    hills = Hills(3, in_a_row, answer_time=10.0)
    concentrator = hills.concentrator
    for _ in range(3):
        hills.step()
    while concentrator.passes == 0:
        concentrator.next_action()
        assert concentrator.next_timer() is not None
        concentrator.on_timer(concentrator.next_timer())
    assert concentrator.passes == 1


def test_stray_feedback_is_counted():
    concentrator = Concentrator(ConcentratorConfig(max_repeaters=1))
    concentrator.on_measured(10.0, 0.0)
    assert concentrator.ignored == {"measured": 1}


@pytest.mark.parametrize("options", [{"max_repeaters": 17}, {"max_repeaters": -1}, {"route_tries": -1}])
def test_impossible_limits_are_refused(options):
    with pytest.raises(ConfigurationError, match=r"max_repeaters must be 0\.\.16"):
        ConcentratorConfig(**options)


def test_link_rests_after_failures_in_a_row_and_longer_after_each_further_one():
    topology, target, route = Topology(4, 9.0), (1, 5), Route(((1, 2),))
    for _ in range(FAILURES_TO_REST - 1):
        topology.note(route, target, 0.0, dead_link=2)
        assert topology.is_usable(route, target, 0.0)
    topology.note(route, target, 0.0, dead_link=2)
    assert not topology.is_usable(route, target, LINK_REST_S - 1) and topology.is_usable(route, target, LINK_REST_S)
    assert topology.is_usable(DIRECT, target, 0.0) and topology.is_usable(DIRECT, (1, 2), 0.0)
    topology.note(route, target, LINK_REST_S, dead_link=2)
    assert not topology.is_usable(route, target, 3 * LINK_REST_S - 1) and topology.is_usable(route, target, 3 * LINK_REST_S)
    topology.note(route, target, 0.0)
    assert topology.is_usable(route, target, 0.0), "a message went through"


links = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=14)


@settings(max_examples=25)
@given(links, st.sets(st.integers(1, 6), max_size=2), st.integers(1, 6))
def test_everybody_who_can_be_reached_is_read_over_routes_without_loops(pairs, dead, most):
    hills = Hills(6, lambda a, b: (a, b) in pairs, max_repeaters=most, route_tries=8)
    hills.passes(1)
    hills.dead |= dead
    hills.passes(2)
    done = hills.passes(3)
    for action in hills.actions:
        stations = action.route.repeaters
        assert len(set(stations)) == len(stations) <= most
        if isinstance(action, Request | Measure):
            assert (action.subnet, action.node) not in stations
    reached, front = {0}, {0}
    for _ in range(most + 1):
        front = {b for a in front for b in range(7) if {(a, b), (b, a)} & pairs and not {a, b} & dead} - reached
        reached |= front
    if not dead and most == 6:
        assert {i[5] for i in done.read} == reached - {0}
    assert {i[5] for i in done.read} <= reached


def test_reading_says_the_same_through_repeaters():
    hills = Hills(2, in_a_row)
    hills.passes(1)
    first, second = (event.reading for event in hills.of(ReadingDone))
    assert set(first.tables) == set(second.tables) and second.missing == ()
