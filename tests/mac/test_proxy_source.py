"""Source of proxy repeating: what it sends along a route, what it says of the outcome, which way it would try next."""

from dataclasses import replace

import pytest
from chain_line import Chain, stations
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    AgentPart,
    BadLink,
    Broadcast,
    ConfigurationError,
    Group,
    LocalProtocolError,
    Lpdu,
    LpduHeader,
    MessageReceived,
    Npdu,
    ProxyDone,
    ProxyHop,
    ProxyLink,
    ProxyMessage,
    ProxyOutcome,
    ProxyRoute,
    ProxyTiming,
    ResponseReceived,
    RouteHealth,
    Service,
    Spdu,
    SpduType,
    SubnetNode,
    TransactionDone,
    UniqueId,
)


def hops(*nodes, alternates=(), subnet=35):
    paths = (*alternates, *(False for _ in nodes))
    return tuple(ProxyHop(SubnetNode(subnet, node), path) for node, path in zip(nodes, paths, strict=False))


SHORT = ProxyTiming(2, 4, False, 2, 5, 0, 1.0)  # of the recorded messages
ID = bytes.fromhex("02FC0000000D")
TWO = ProxyRoute(hops(12, 13), SubnetNode(35, 14), timing=SHORT)


@pytest.mark.parametrize(
    ("route", "octets"),
    [
        (ProxyRoute(hops(12), SubnetNode(35, 13), timing=SHORT, compact=False), "4D002C25230D51"),
        (ProxyRoute(hops(12), SubnetNode(35, 13), timing=SHORT), "4D00EC250D51"),
        (replace(TWO, compact=False), "4D01230D242C25230E51"),
        (TWO, "4D810D24EC250E51"),
        (replace(TWO, compact=False, hops=hops(12, 13, alternates=(False, True))), "4D01238D242C25230E51"),
        (replace(TWO, compact=False, target_alternate=True), "4D01230D243C25230E51"),
        (ProxyRoute(hops(12), UniqueId(ID), timing=SHORT, compact=False), "4D004C250002FC0000000D51"),
        (ProxyRoute(hops(12), UniqueId(ID), timing=SHORT), "4D00CC2502FC0000000D51"),
        (ProxyRoute(hops(12), UniqueId(ID, 4), timing=SHORT), "4D004C250402FC0000000D51"),
        (ProxyRoute(hops(12), Broadcast(35), timing=SHORT, backlog=3), "4D006C25230351"),
        (ProxyRoute(hops(12), Group(7, 3), timing=SHORT), "4D000C25070351"),
        (ProxyRoute(hops(12), Group(7), timing=SHORT, service=Service.REPEATED), "4D0084250751"),
        (ProxyRoute(hops(12), Group(7), timing=SHORT, service=Service.REPEATED, compact=False), "4D000425070051"),
        (
            ProxyRoute(hops(12), SubnetNode(35, 13), timing=SHORT, compact=False, key_increment=bytes(range(6))),
            "4D002E2500000102030405230D51",
        ),
        (replace(TWO, timing=replace(SHORT, hop_timer_code=0, long_timer=True)), "4DC10D20EC250E51"),
        (replace(TWO, all_agents=True, service=Service.REPEATED), "4DA10D242425230E51"),
        (replace(TWO, hops=(*hops(12), *hops(13, subnet=4))), "4D01040D242C25230E51"),
        (replace(TWO, hops=(*hops(12), *hops(13, subnet=4)), target=SubnetNode(4, 14)), "4D01040D24EC250E51"),
    ],
)
def test_route_makes_the_message(route, octets):
    assert route.message(b"\x51").encode() == bytes.fromhex(octets)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ProxyRoute(hops(*range(1, 18)), SubnetNode(35, 20)),
        lambda: ProxyRoute(hops(1), Group(7)),
        lambda: ProxyRoute((), SubnetNode(35, 20), key_increment=bytes(6)),
        lambda: ProxyRoute(hops(1), SubnetNode(35, 20), key_increment=bytes(5)).message(b"\x51"),
        lambda: TWO.message(b""),
        lambda: TWO.message(bytes(104)),
        lambda: replace(TWO, hops=()).message(b"\x51"),
        lambda: replace(TWO, backlog=64, target=Broadcast(1)).message(b"\x51"),
        lambda: ProxyTiming(16, 0, False, 0, 0, 0, 1.0),
        lambda: ProxyTiming.for_count(16),
        lambda: RouteHealth(first_rest=0.0),
        lambda: RouteHealth(first_rest=2.0, longest_rest=1.0),
    ],
)
def test_impossible_routes_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_key_increment_of_a_route_is_not_shown():
    assert "7777" not in repr(replace(TWO, key_increment=b"\x77" * 6)).replace("\\x", "")
    assert "key_increment" not in repr(TWO)


def test_links_are_counted_from_the_source():
    route = replace(TWO, hops=hops(12, 13, alternates=(True, False)), target_alternate=True)
    assert [str(link) for link in route.links] == [
        "source -> 35/12 (alternate)",
        "35/12 -> 35/13",
        "35/13 -> 35/14 (alternate)",
    ]
    assert route.with_paths((False, True, False)).links == (
        ProxyLink(None, SubnetNode(35, 12)),
        ProxyLink(SubnetNode(35, 12), SubnetNode(35, 13), True),
        ProxyLink(SubnetNode(35, 13), SubnetNode(35, 14)),
    )


class Source:
    """A source whose first station answers as told."""

    def __init__(self):
        (self.node,) = stations(1)
        self.chain = Chain([self.node], links=frozenset())

    def send(self, route, apdu=b"\x51", answer=None, at=0.2, **options):
        handle = self.node.send_proxied(route, apdu, self.chain.now, **options)
        start = self.chain.now
        self.chain.run(start + at)
        if answer is not None:
            sent = Lpdu.decode(self.chain.log[-1].octets).npdu
            pdu = Spdu(SpduType.RESPONSE, sent.pdu.number, apdu=answer)
            npdu = Npdu(route.hops[0].station, SubnetNode(35, 1), sent.domain, pdu)
            self.node.receive_frame(Lpdu(LpduHeader(), npdu).encode(), self.chain.now)
        self.chain.run(start + 200.0)
        ((_, _, event),) = self.chain.events
        self.chain.events.clear()
        assert event.handle == handle
        return event


FAR = ProxyRoute(hops(*range(2, 8)), SubnetNode(35, 9))  # count 5
SENDING = replace(FAR, service=Service.ACKNOWLEDGED)


@pytest.mark.parametrize(
    ("route", "answer", "outcome", "response", "dead_link"),
    [
        (FAR, b"\x31\x00", ProxyOutcome.RESPONSE, b"\x31\x00", None),
        (FAR, b"\x4c\x05", ProxyOutcome.LINK_FAILED, b"", 2),
        (FAR, b"\x4c\x00", ProxyOutcome.LINK_FAILED, b"", 7),
        (FAR, b"\x4c\x03", ProxyOutcome.LINK_FAILED, b"", 4),
        (FAR, b"\x4c\x06", ProxyOutcome.LINK_FAILED, b"", None),
        (FAR, b"\x4c", ProxyOutcome.LINK_FAILED, b"", None),
        (FAR, b"\x4c\x01\x02", ProxyOutcome.RESPONSE, b"\x4c\x01\x02", None),
        (FAR, b"", ProxyOutcome.RESPONSE, b"", None),
        (FAR, None, ProxyOutcome.NO_ANSWER, b"", 1),
        (SENDING, b"\x4d", ProxyOutcome.DELIVERED, b"", None),
        (SENDING, b"\x4c\x02", ProxyOutcome.LINK_FAILED, b"", 5),
        (SENDING, b"\x4f", ProxyOutcome.REFUSED, b"\x4f", None),
        (SENDING, None, ProxyOutcome.NO_ANSWER, b"", 1),
    ],
)
def test_outcome(route, answer, outcome, response, dead_link):
    done = Source().send(route, answer=answer)
    assert (done.outcome, done.response, done.dead_link) == (outcome, response, dead_link)
    assert done.success == (outcome in (ProxyOutcome.RESPONSE, ProxyOutcome.DELIVERED))
    assert done.attempts == (FAR.chosen_timing.source_retries + 1 if answer is None else 1)


def test_messages_that_want_no_answer_are_sent():
    for service in (Service.UNACKNOWLEDGED, Service.REPEATED):
        source = Source()
        done = source.send(replace(FAR, service=Service.REPEATED, source_service=service))
        assert done.outcome is ProxyOutcome.SENT
        assert len(source.chain.log) == done.attempts == (1 if service is Service.UNACKNOWLEDGED else 3)


def test_priority_path_and_authentication_reach_the_first_frame():
    source = Source()
    source.send(replace(FAR, hops=hops(2, 3, alternates=(True,))), priority=True, authenticated=True)
    first = Lpdu.decode(source.chain.log[0].octets)
    assert (first.header.priority, first.header.alt_path, first.npdu.pdu.auth) == (True, True, True)
    assert all(frame.alternate for frame in source.chain.log)


def test_route_without_stations_is_an_ordinary_message():
    nodes = stations(2)
    chain = Chain(nodes)
    direct = ProxyRoute((), SubnetNode(35, 2))
    sent = [nodes[0].send_proxied(replace(direct, service=service), b"\x05\x01", 0.0) for service in Service]
    missing = nodes[0].send_proxied(ProxyRoute((), SubnetNode(35, 3)), b"\x05", 0.0)
    chain.run(60.0)
    done = {event.handle: event for _, _, event in chain.events if isinstance(event, ProxyDone)}
    outcomes = {service: done[handle].outcome for service, handle in zip(Service, sent, strict=True)}
    assert outcomes == {
        Service.ACKNOWLEDGED: ProxyOutcome.DELIVERED,
        Service.REPEATED: ProxyOutcome.SENT,
        Service.UNACKNOWLEDGED: ProxyOutcome.SENT,
        Service.REQUEST: ProxyOutcome.RESPONSE,
    }
    assert (done[missing].outcome, done[missing].dead_link) == (ProxyOutcome.NO_ANSWER, 1)
    assert not [e for _, _, e in chain.events if isinstance(e, TransactionDone | ResponseReceived)]


def test_reset_ends_what_is_under_way_without_blaming_a_link():
    (node,) = stations(1)
    node.send_proxied(FAR, b"\x51", 0.0)
    node.reset(0.0)
    done = node.next_event()
    assert (done.outcome, done.dead_link, done.attempts) == (ProxyOutcome.NO_ANSWER, None, 0)


def test_nothing_is_kept_of_a_message_that_cannot_be_sent():
    (node,) = stations(1)
    with pytest.raises(LocalProtocolError):
        node.send_proxied(FAR, b"\x51", 0.0, domain=1)
    with pytest.raises(ConfigurationError):
        node.send_proxied(FAR, bytes(104), 0.0)
    assert not node._source._pending


@pytest.mark.parametrize("source_service", [Service.REQUEST, Service.UNACKNOWLEDGED])
def test_all_agents_reach_the_groups_of_every_station(source_service):
    """Each station sends to the broadcast; who hears several copies is told several times, as no record joins them."""
    nodes = stations(5)
    chain = Chain(nodes)
    route = ProxyRoute(
        hops(2, 3, 4),
        Broadcast(35),
        service=Service.UNACKNOWLEDGED,
        all_agents=True,
        source_service=source_service,
    )
    nodes[0].send_proxied(route, b"\x05news", 0.0)
    chain.run(30.0)
    heard = {station for _, station, event in chain.events if isinstance(event, MessageReceived)}
    assert heard == {0, 1, 2, 3, 4}
    apdus = {event.apdu for _, _, event in chain.events if isinstance(event, MessageReceived)}
    assert apdus == {b"\x05news"}


# --- which way next ----------------------------------------------------------------------------------------------

DIRECT = ProxyRoute((), SubnetNode(35, 14))
OTHER = ProxyRoute(hops(20), SubnetNode(35, 14))


def failed(link):
    return ProxyDone(1, ProxyOutcome.LINK_FAILED, dead_link=link)


GOOD = ProxyDone(1, ProxyOutcome.RESPONSE, b"\x31")


def test_the_other_carrier_of_the_dead_link_comes_first_then_another_route():
    health = RouteHealth(first_rest=60.0, longest_rest=600.0)
    routes = (TWO, OTHER)
    assert health.choose(routes, 0.0) == TWO
    health.note(TWO, failed(2), 0.0)
    second = health.choose(routes, 1.0)
    assert second == TWO.with_paths((False, True, False))
    health.note(second, failed(2), 1.0)
    assert health.choose(routes, 2.0) == OTHER
    health.note(OTHER, failed(1), 2.0)
    health.note(health.choose(routes, 3.0), failed(1), 3.0)
    assert health.choose(routes, 4.0) is None
    assert [str(bad.link) for bad in health.bad_links(4.0)] == [
        "35/12 -> 35/13",
        "35/12 -> 35/13 (alternate)",
        "source -> 35/20",
        "source -> 35/20 (alternate)",
    ]
    assert health.choose(routes, 60.5) == TWO  # the oldest mark has been worn off


def test_rest_doubles_up_to_its_limit_and_success_ends_it():
    health = RouteHealth(first_rest=10.0, longest_rest=35.0)
    link = TWO.links[1]
    for failures, rest in ((1, 10.0), (2, 20.0), (3, 35.0), (4, 35.0)):
        health.note(TWO, failed(2), 100.0)
        assert health.bad_links(100.0) == (BadLink(link, failures, 100.0 + rest),)
    health.note(TWO, failed(3), 101.0)
    assert not health.is_bad(link, 101.0)  # the message got past it
    assert health.is_bad(TWO.links[2], 101.0)
    health.note(TWO, GOOD, 102.0)
    assert health.bad_links(102.0) == ()


def test_failure_on_one_carrier_says_nothing_of_the_other():
    health = RouteHealth()
    health.note(DIRECT, failed(1), 0.0)
    assert health.is_bad(ProxyLink(None, SubnetNode(35, 14)), 1.0)
    assert not health.is_bad(ProxyLink(None, SubnetNode(35, 14), True), 1.0)


def test_reports_that_name_no_link_teach_nothing():
    health = RouteHealth()
    for link in (None, 0, 9):
        health.note(TWO, failed(link), 0.0)
    assert health.bad_links(0.0) == ()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.booleans()), max_size=40), st.floats(1.0, 300.0))
def test_chosen_way_has_no_resting_link(history, step):
    health, now = RouteHealth(first_rest=30.0, longest_rest=400.0), 0.0
    routes = (TWO, OTHER, DIRECT)
    for index, link, good in history:
        now += step
        route = health.choose(routes[index:], now) or routes[index]
        health.note(route, GOOD if good else failed(link), now)
        chosen = health.choose(routes, now)
        if chosen is None:
            assert all(any(_rests(health, link, now) for link in route.links) for route in routes)
        else:
            assert not any(health.is_bad(link, now) for link in chosen.links)
    assert len(health._bad) <= 12


def _rests(health, link, now):
    return all(health.is_bad(replace(link, alternate=path), now) for path in (False, True))


@given(st.lists(st.integers(1, 127), min_size=1, max_size=16), st.booleans(), st.sampled_from(Service), st.data())
def test_every_route_reads_back_as_it_was_meant(nodes, compact, service, data):
    paths = data.draw(st.lists(st.booleans(), min_size=len(nodes), max_size=len(nodes)))
    route = ProxyRoute(hops(*nodes, alternates=tuple(paths)), SubnetNode(35, 9), True, service, compact=compact)
    message = ProxyMessage.decode(route.message(b"\x05ab").encode())
    at, seen = route.hops[0].station, [(route.hops[0].station, paths[0])]
    while message.hops:
        alternate = message.hops[0].alternate
        at = message.next_station(1, at.subnet)
        seen.append((at, alternate))
        message = ProxyMessage.decode(message.forwarded().encode())
    part = AgentPart.decode(message.agent_part)
    assert seen == [(hop.station, hop.alternate) for hop in route.hops]
    assert part.target.resolve(1, at.subnet) == SubnetNode(35, 9)
    assert (part.service, part.alternate, part.apdu) == (service, True, b"\x05ab")
