"""Meters out of reach on a simulated network: found, read and kept through repeaters, with the real stack and its timers."""

import pytest
import routes

import mac
import osgp
from flowgraphs.graph import ConcentratorStation, load_graph
from flowgraphs.paths import Paths
from flowgraphs.repeating import RESENDS, RepeatedRequests


def test_chain_is_read_through_as_many_repeaters_as_stand_in_it():
    town = routes.chain(4)
    first, later = town.next_pass(), town.next_pass()
    assert (first.read, first.silent) == (later.read, later.silent) == (4, 0)
    assert [town.repeaters(k) for k in (1, 2, 3, 4)] == [0, 1, 2, 3]
    assert later.length_s < 40.0 and not town.told("route_changed")


def test_without_repeaters_only_the_nearest_is_found():
    town = routes.Town(3, lambda a, b: routes.CLEAR_DB if abs(a - b) == 1 else None, max_repeaters=0)
    assert town.next_pass().read == 1 and town.repeaters(2) is None


def test_another_way_is_found_when_a_repeater_dies():
    town = routes.ladder(3)
    town.next_pass()
    dead = routes.used_repeater(town)
    town.dead.add(dead)
    broken = town.next_pass()
    assert (broken.read, broken.silent) == (5, 1)
    changed = town.told("route_changed")
    assert changed and all("reached through" in event.text for event in changed)
    assert (later := town.next_pass()).read == 5 and later.silent == 1
    town.dead.clear()
    assert town.next_pass().silent == 0


def test_link_is_travelled_on_the_carrier_that_works():
    """Meters 2 and 3 hear each other on the secondary carrier only; the third is behind the second."""
    town = routes.chain(3)

    def level(a, b, alternate):
        return routes.CLEAR_DB if abs(a - b) == 1 and (alternate or {a, b} != {2, 3}) else None

    town.network.lines[0].paths = Paths(rule=level)
    assert town.next_pass().read == 3 and town.repeaters(3) == 2
    town.frames = 0
    on_secondary = []
    town.network.on_frame = lambda frame: on_secondary.append((frame.sender, frame.alternate))
    assert town.next_pass().read == 3
    assert {sender for sender, alternate in on_secondary if alternate} <= {2, 3}


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_in_a_town_who_can_be_reached_is_read_whoever_dies(seed):
    """The benchmark in small."""
    town = routes.scattered(12, seed, loss_db=65.0)
    town.next_pass()
    town.next_pass()
    wanted = routes.well_reached(town)
    assert len(wanted) >= 8
    assert wanted <= town.read()
    town.dead.add(min(wanted))
    town.next_pass()
    assert routes.well_reached(town) <= town.read()


class Line:
    """A node that takes what it is to send, and nothing else."""

    def __init__(self):
        self.sent = []

    def send_proxied(self, route, apdu, now):
        self.sent.append(route)
        return len(self.sent)


@pytest.mark.parametrize("dead_link", [1, 2, 3])
def test_dead_link_is_tried_on_its_other_carrier_before_the_route_is_given_up(dead_link):
    line = Line()
    requests = RepeatedRequests(line)
    handle = requests.send(osgp.Route(((1, 2), (1, 3))), mac.SubnetNode(1, 4), b"\x05", 0.0)
    failed = {"outcome": mac.ProxyOutcome.LINK_FAILED, "dead_link": dead_link}
    assert requests.on_done(mac.ProxyDone(handle, **failed), 1.0) is None
    assert [[link.alternate for link in route.links] for route in line.sent] == [
        [False] * 3,
        [link + 1 == dead_link for link in range(3)],
    ]
    outcome = requests.on_done(mac.ProxyDone(2, **failed), 2.0)
    assert (outcome.handle, outcome.answer, outcome.dead_link) == (handle, None, dead_link)
    assert len(line.sent) == 2 <= 1 + RESENDS
    assert requests.on_done(mac.ProxyDone(2, **failed), 3.0) is None, "it is over"


def test_search_that_finds_nobody_says_nothing_about_the_link():
    line = Line()
    requests = RepeatedRequests(line)
    handle = requests.send(osgp.Route(((1, 2),)), mac.Broadcast(), b"\x61\x00", 0.0, search_alternate=True)
    assert line.sent[0].target_alternate
    nobody = mac.ProxyDone(handle, mac.ProxyOutcome.LINK_FAILED, dead_link=2)
    outcome = requests.on_done(nobody, 1.0)
    assert (outcome.answer, outcome.dead_link) == (None, None)
    assert requests.health.bad_links(1.0) == ()


def test_ready_graph_of_repeaters_is_one_that_needs_them():
    graph = load_graph("repeaters")
    (concentrator,) = (station for station in graph.stations if isinstance(station, ConcentratorStation))
    assert concentrator.max_repeaters == 3
    assert {tuple(path.between) for path in graph.line.paths} == {(0, 1), (1, 2), (2, 3)}
