"""Recorded exchanges with an independent stack: our node in its place answers, and asks, octet for octet.

The channel is made so fast that access takes no time, because the recording has no medium access in it.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from mac import (
    Broadcast,
    ChannelTiming,
    DomainEntry,
    DomainId,
    Group,
    GroupEntry,
    Lpdu,
    MessageReceived,
    Node,
    NodeConfig,
    NodeState,
    RequestReceived,
    ResponseReceived,
    SubnetNode,
    TransactionDone,
    UniqueId,
    transmit_time,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "exchanges.txt"
INSTANT = replace(ChannelTiming.load("pl20a_nes"), input_clock_hz=10**13)
DOMAIN = DomainId(b"\x51")
KEY = bytes.fromhex("010203040506")
TESTER = SubnetNode(35, 15)


def read_scenarios():
    scenarios, current = {}, None
    for line in VECTORS.read_text().splitlines():
        if line.startswith("## "):
            current = scenarios.setdefault(line[3:], [])
        elif not line.startswith("#"):
            at, direction, octets = line.split()
            current.append((float(at), direction, bytes.fromhex(octets)))
    return scenarios


SCENARIOS = read_scenarios()
DELIVERED = {
    scenario: reports
    for line in (VECTORS.parent / "delivered.txt").read_text().splitlines()
    if not line.startswith("#")
    for scenario, *reports in [line.split("; ")]
}


class Peer:
    """Our node with the test application of the recorded stack: it echoes the payload of requests reversed."""

    def __init__(self, challenges=(), **options):
        config = {
            "unique_node_id": bytes.fromhex("02FC0000000C"),
            "program_id": bytes.fromhex("9FFFFF0000000001"),
            "domains": (DomainEntry(DOMAIN, 35, 12, KEY, dhcp=True), DomainEntry(DomainId(b"ABCDEF"), 7, 9, bytes(range(7, 13)))),
            "groups": (GroupEntry(7, 3, 1, retries=4, repeat_code=3, receive_code=5, transmit_code=8),),
            "firmware_version": 4,
            "model": 0xA8,
            "receive_code": 8,
            "reset_silence": 0.0,
            **options,
        }
        challenges = iter(challenges)
        self.node = Node(NodeConfig(**config), INSTANT, Random(1), challenges=lambda count: next(challenges))
        self.sent, self.events = [], []

    def run(self, until):
        while (at := self.node.next_timer()) is not None and at <= until:
            self.node.on_timer(at)
            for frame in self.node.frames_to_send(at):
                self.sent.append((at, frame.octets))
                assert frame.alternate == bool(frame.octets[0] & 0x40)
                self.node.transmission_done(at)
            self.collect(at)

    def receive(self, octets, at):
        self.node.receive_frame(octets, at)
        self.collect(at)

    def collect(self, at):
        while (event := self.node.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, RequestReceived):
                self.node.respond(event.request_id, event.apdu[:1] + event.apdu[:0:-1], at)

    @property
    def delivered(self):
        """What the application was given, in the words of the recording."""
        return [
            f"{'request' if isinstance(event, RequestReceived) else event.service} "
            f"{'authenticated' if event.via.authenticated else 'open'} {event.apdu.hex().upper()}"
            for event in self.events
            if isinstance(event, RequestReceived | MessageReceived)
        ]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def apdu_of(octets):
    """APDU in a TPDU or SPDU."""
    return getattr(Lpdu.decode(octets).npdu.pdu, "apdu", b"")


def without_counters(octets):
    """Blank what belongs to the recorded stack in a status report: its counters and its last error."""
    apdu = apdu_of(octets)
    if apdu[:1] in (b"\x31", b"\x32", b"\x36") and len(apdu) == 16:
        return octets[:-15] + bytes(10) + octets[-5:-2] + b"\0" + octets[-1:]
    return octets


def replay(peer, frames, skip=()):
    """Feed the tester's frames at their times; compare all answers with the recorded ones."""
    recorded, skipping = [], False
    for at, direction, octets in frames:
        if direction == ">":
            skipping = apdu_of(octets).hex() in skip
            if not skipping:
                peer.run(at)
                peer.receive(octets, at)
        elif not skipping:
            recorded.append(without_counters(octets))
    peer.run(frames[-1][0] + 1.0)
    assert [without_counters(octets).hex() for _, octets in peer.sent] == [octets.hex() for octets in recorded]


ANSWERING = [
    "ackd_dup",
    "req_dup",
    "unackd_rpt_dup",
    "priority_ackd",
    "altpath",
    "group_ackd_rx",
    "group_req_reminders",
    "group_rpt",
    "group_ackd_nonmember",
    "domain1_6byte",
    "flex_domain_uid",
    "flex_query_id",
    "bcast_other_subnet",
    "receive timer non-group (code 8)",
    "same transaction number, different data",
    "transport vs session, same trans",
    "priority vs non priority, same trans",
    "address format distinguishes",
    "enhanced mode v2 ackd",
]

@pytest.mark.parametrize("scenario", ANSWERING)
def test_answers_as_recorded(scenario):
    peer = Peer()
    replay(peer, SCENARIOS[scenario])
    assert peer.delivered == DELIVERED[scenario]


@pytest.mark.parametrize(
    ("scenario", "authenticated"),
    [("auth_ackd_std", True), ("auth_req_std", True), ("auth_ackd_std_bad", False), ("group_auth", True)],
)
def test_challenges_as_recorded(scenario, authenticated):
    frames = SCENARIOS[scenario]
    challenges = [Lpdu.decode(octets).npdu.pdu.value for _, direction, octets in frames[1:2] if direction == "<"]
    peer = Peer(challenges)
    replay(peer, frames)
    (event,) = peer.events
    assert (event.via.auth_asked, event.via.authenticated) == (True, authenticated)
    assert peer.delivered == DELIVERED[scenario]


def test_offline_node_acknowledges_but_says_it_is_offline():
    peer = Peer(state=NodeState.SOFT_OFFLINE)
    replay(peer, SCENARIOS["offline_appmsg"])
    assert not peer.of(MessageReceived)


def test_unconfigured_node_answers_broadcast_and_unique_id_from_no_address():
    replay(Peer(state=NodeState.UNCONFIGURED), SCENARIOS["unconfigured"])


def test_versions_1_and_3_are_dropped_where_the_recorded_stack_answers():
    peer = Peer()
    for at, direction, octets in SCENARIOS["unknown versions"]:
        if direction == ">":
            peer.receive(octets, at)
    peer.run(1.0)
    assert not peer.sent
    assert peer.node.statistics.drops["unknown_pdu"] == 2


def asking(scenario, send, number=0, answers_delay=1e-4, **options):
    """Let our node originate; feed the tester's answers when the frame before them was sent; compare frames."""
    peer = Peer(**options)
    peer.node._control._numbers[False]._next[15] = number
    send(peer.node)
    recorded = SCENARIOS[scenario]
    pending = [(i, octets) for i, (_, direction, octets) in enumerate(recorded) if direction == ">"]
    ours = [octets for _, direction, octets in recorded if direction == "<"]
    for index, octets in pending:
        before = sum(1 for _, direction, _ in recorded[:index] if direction == "<")
        while len(peer.sent) < before:
            peer.run(peer.node.next_timer())
        peer.receive(octets, peer.sent[-1][0] + answers_delay)
    peer.run(30.0)
    assert [octets.hex() for _, octets in peer.sent] == [octets.hex() for octets in ours]
    return peer


def gaps(peer):
    times = [at for at, _ in peer.sent]
    return [round(b - a, 4) for a, b in pairwise(times)]


def test_acknowledged_without_answer_is_tried_four_times():
    peer = asking(
        "peer_ackd_noack retry3 tx=3(48ms)",
        lambda node: node.send_acknowledged(TESTER, b"\x05\xa1\xa2", 0.0, transmit_time=transmit_time(3)),
    )
    assert gaps(peer) == [0.048] * 3
    assert peer.events == [TransactionDone(1, False, 4)]
    assert peer.node.statistics.transaction_timeouts == 1
    assert peer.node.statistics.transmit_retries == 3


@pytest.mark.parametrize(("scenario", "number"), [("peer_auth_ackd_std", 8), ("peer_auth_ackd_oma", 0)])
def test_challenges_are_replied_to_as_recorded(scenario, number):
    peer = asking(scenario, lambda node: node.send_acknowledged(TESTER, b"\x05\xa7", 0.0, authenticated=True), number)
    assert peer.events == [TransactionDone(1, True, 1, 1)]


def test_request_is_answered():
    peer = asking("peer_req_resp", lambda node: node.send_request(TESTER, b"\x05\xb1\xb2", 0.0), number=2)
    assert peer.events == [
        ResponseReceived(1, TESTER, b"\x05\xc1\xc2", DOMAIN),
        TransactionDone(1, True, 1, 1),
    ]


def test_repeated_copies_announce_the_rest_in_the_first():
    peer = asking(
        "peer_unackd_rpt retry3 rpt=3",
        lambda node: node.send_repeated(TESTER, b"\x05\xd1", 0.0, repeats=3, repeat_time=transmit_time(3)),
        number=3,
    )
    assert gaps(peer) == [0.048] * 3
    assert peer.events == [TransactionDone(1, True, 4)]


def test_unacknowledged_message_has_no_transaction():
    peer = asking("peer_unackd", lambda node: node.send_unacknowledged(TESTER, b"\x05\xd2", 0.0))
    assert peer.events == [TransactionDone(1, True, 1)]


def test_priority_message_has_its_own_numbers_and_bit():
    asking(
        "peer_ackd_priority",
        lambda node: node.send_acknowledged(TESTER, b"\x05\xd3", 0.0, retries=1, priority=True),
        number=9,
    )


def test_group_request_ignores_an_answer_under_our_own_member_number():
    peer = asking(
        "peer_group_req one response",
        lambda node: node.send_request(Group(7), b"\x05\xe2", 0.0, retries=4, transmit_time=transmit_time(7)),
        number=5,
    )
    assert peer.of(TransactionDone) == [TransactionDone(1, False, 5)]


def test_group_acknowledged_reminds_those_who_are_missing():
    peer = asking(
        "peer_group_ackd_member2_acks",
        lambda node: node.send_acknowledged(Group(7, 4), b"\x05\xe1", 0.0, retries=4, transmit_time=transmit_time(8)),
    )
    assert peer.events == [TransactionDone(1, False, 5, 1)]


def test_group_acknowledged_by_all_is_done():
    peer = asking(
        "peer_group_ackd_all",
        lambda node: node.send_acknowledged(Group(7, 4), b"\x05\xe1", 0.0),
        number=1,
    )
    assert peer.events == [TransactionDone(1, True, 1, 3)]


def test_broadcast_request_announces_its_backlog():
    peer = asking(
        "peer_broadcast_req backlog5",
        lambda node: node.send_request(
            Broadcast(35), b"\x05\xf1", 0.0, retries=4, backlog=5, transmit_time=transmit_time(7)
        ),
        number=6,
    )
    assert peer.events == [TransactionDone(1, False, 5)]


def test_broadcast_request_delivers_several_responses():
    """The recorded stack stops after the first response, a quirk; here both are wanted."""
    peer = asking(
        "peer broadcast request, several responses",
        lambda node: node.send_request(Broadcast(35), b"\x05\xf1", 0.0, backlog=5, max_responses=2),
        number=10,
    )
    assert [(r.source, r.apdu) for r in peer.of(ResponseReceived)] == [
        (SubnetNode(35, 50), b"\x05\x32"),
        (SubnetNode(35, 51), b"\x05\x33"),
    ]
    assert peer.of(TransactionDone) == [TransactionDone(1, True, 1, 2)]


def test_unique_id_request_is_retried():
    peer = asking(
        "peer_uid_req",
        lambda node: node.send_request(
            UniqueId(bytes.fromhex("02FC00000063")), b"\x51", 0.0, retries=4, transmit_time=transmit_time(7)
        ),
        number=7,
    )
    assert gaps(peer) == [0.192] * 4


def test_transaction_numbers_count_0_then_1_to_15_for_all_destinations_together():
    peer = Peer()

    def send(destination, number, **options):
        peer.node.send_repeated(destination, bytes([5, number]), 0.0, repeats=0, **options)

    for index in range(18):
        send(TESTER, index)
    send(SubnetNode(35, 16), 1)
    send(SubnetNode(35, 17), 2)
    send(SubnetNode(35, 16), 3)
    send(Group(7), 3)
    send(Broadcast(35), 3)
    peer.run(1.0)
    send(TESTER, 3, priority=True)
    peer.run(1.1)
    send(TESTER, 3)
    peer.run(1.2)
    names = "peer transaction numbers to one node", "peer transaction numbers to several destinations"
    assert [octets for _, octets in peer.sent] == [octets for name in names for _, _, octets in SCENARIOS[name]]
