"""Reminders of multicasts: what a sender puts into each try, and how a member takes them, for groups of every size."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mac import (
    Broadcast,
    ChannelTiming,
    DomainEntry,
    DomainId,
    Group,
    GroupEntry,
    GroupReply,
    Lpdu,
    LpduHeader,
    MessageReceived,
    Node,
    NodeConfig,
    Npdu,
    RequestReceived,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    TransactionDone,
)

INSTANT = replace(ChannelTiming.load("pl20a_nes"), input_clock_hz=10**13)
DOMAIN, GROUP = DomainId(b"\x51"), 7
OWN = SubnetNode(1, 1)
APDU = b"\x05\xe2\xe3"
LAST_MEMBER_IN_ONE_FRAME = 15
T = 1.0


def node_of(member, size):
    domains = (DomainEntry(DOMAIN, OWN.subnet, OWN.node),)
    groups = (GroupEntry(GROUP, size, member, receive_code=15),)
    config = NodeConfig(bytes(6), domains=domains, groups=groups, reset_silence=0.0)
    return Node(config, INSTANT, Random(1))


def drain(node, at):
    """Frames sent up to an instant."""
    sent = []
    while (due := node.next_timer()) is not None and due <= at:
        node.on_timer(due)
        for frame in node.frames_to_send(due):
            sent.append(Lpdu.decode(frame.octets))
            node.transmission_done(due)
    return sent


def hear(node, pdu, source, destination, at):
    node.receive_frame(Lpdu(LpduHeader(), Npdu(source, destination, DOMAIN, pdu)).encode(), at)


def bits(members):
    """Member list as the layout says: bit m % 8 of octet m / 8, no longer than it must be."""
    octets = bytearray(max(members) // 8 + 1) if members else bytearray()
    for member in members:
        octets[member // 8] |= 1 << member % 8
    return bytes(octets)


groups = st.integers(2, 64).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.integers(0, size - 1),
        st.lists(st.sets(st.integers(0, size - 1), max_size=8), min_size=1, max_size=5),
    )
)


@given(groups, st.booleans())
def test_each_try_tells_who_has_answered_and_announces_the_rest(group, request):
    size, own, rounds = group
    node = node_of(own, size)
    send = node.send_request if request else node.send_acknowledged
    options = {"retries": len(rounds), "transmit_time": T}
    send(Group(GROUP), APDU, 0.0, **options)
    kinds = SpduType if request else TpduType
    plain = kinds.REQUEST if request else kinds.ACKD
    sent, answered, now = drain(node, 0.01), set(), 0.01
    for index, members in enumerate(rounds):
        outstanding = size - 1 - len(answered)
        if index == 0 or max(answered, default=0) <= LAST_MEMBER_IN_ONE_FRAME:
            (frame,) = sent
            kind = plain if index == 0 else kinds.REM_MSG
            assert (frame.npdu.pdu.type, frame.npdu.pdu.m_list) == (kind, b"" if index == 0 else bits(answered))
        else:
            reminder, frame = sent
            assert (reminder.npdu.pdu.type, reminder.npdu.pdu.m_list) == (kinds.REMINDER, bits(answered))
            assert (reminder.header.delta_backlog, reminder.npdu.pdu.apdu) == (0, b"")
            assert frame.npdu.pdu.type is plain
        assert frame.npdu.destination == Group(GROUP)
        assert (frame.npdu.pdu.apdu, frame.header.delta_backlog) == (APDU, outstanding)
        for member in members:
            answer = Spdu(SpduType.RESPONSE, 0, apdu=b"\x05") if request else Tpdu(TpduType.ACK, 0)
            hear(node, answer, SubnetNode(2, member + 1), GroupReply(OWN, GROUP, member), now)
            answered |= {member} - {own}
        if len(answered) == size - 1:
            assert node.next_timer() is None
            break
        now = node.next_timer() + 0.01
        sent = drain(node, now)
    drain(node, now + T)
    done = [event for event in iter(node.next_event, None) if isinstance(event, TransactionDone)]
    assert [(event.success, event.responses) for event in done] == [(len(answered) == size - 1, len(answered))]


events = st.lists(
    st.tuples(st.sampled_from(["message", "rem_msg", "reminder"]), st.sets(st.integers(0, 63), max_size=6)), max_size=8
)


@given(st.integers(0, 63), events, st.booleans())
def test_member_answers_until_it_is_told_that_its_answer_arrived(member, events, request):
    node, sender = node_of(member, 64), SubnetNode(3, 3)
    kinds, pdu = (SpduType, Spdu) if request else (TpduType, Tpdu)
    plain = kinds.REQUEST if request else kinds.ACKD
    state, delivered = "unknown", 0
    for index, (kind, members) in enumerate(events):
        at = 0.1 * index
        told = member in members
        if kind == "rem_msg":
            members = {m for m in members if m <= LAST_MEMBER_IN_ONE_FRAME}
            told = member in members
            hear(node, pdu(kinds.REM_MSG, 4, apdu=APDU, m_list=bits(members)), sender, Group(GROUP), at)
        elif kind == "reminder":
            hear(node, pdu(kinds.REMINDER, 4, m_list=bits(members)), sender, Group(GROUP), at)
        else:
            hear(node, pdu(plain, 4, apdu=APDU), sender, Group(GROUP), at)
        for event in iter(node.next_event, None):
            delivered += 1
            assert isinstance(event, RequestReceived if request else MessageReceived)
            if request:
                node.respond(event.request_id, b"\x05\x01", at)
        sent = drain(node, at + 0.05)
        expected = 0
        if state == "unknown":
            if kind != "reminder":
                state, expected = "answered", 1
        elif state == "answered":
            if kind != "message" and told:
                state = "done"
            else:
                expected = 0 if kind == "reminder" else 1
        assert len(sent) == expected, (kind, members, state)
        for frame in sent:
            assert frame.npdu.destination == GroupReply(sender, GROUP, member)
            assert frame.npdu.pdu.number == 4
    assert delivered == (state != "unknown")


@given(
    st.integers(0, 63),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.booleans()), max_size=6),
    st.integers(0, 255),
)
def test_broadcast_request_counts_every_station_once(backlog, wanted, answers, subnet):
    """Answers of other subnets, or to another number, do not count when one subnet was asked."""
    node = node_of(0, 2)
    node.send_request(Broadcast(subnet), APDU, 0.0, retries=1, transmit_time=T, backlog=backlog, max_responses=wanted)
    (first,) = drain(node, 0.1)
    assert first.header.delta_backlog == (backlog or 15)
    counted = set()
    for source_node, source_subnet, right_number in answers:
        source = SubnetNode(source_subnet, source_node + 10)
        hear(node, Spdu(SpduType.RESPONSE, 0 if right_number else 5, apdu=b"\x05"), source, OWN, 0.2)
        if right_number and subnet in (0, source_subnet) and len(counted) < wanted:
            counted.add(source)
    retries = drain(node, 5 * T)
    assert len(retries) == (0 if len(counted) == wanted else 1)
    (done,) = [event for event in iter(node.next_event, None) if isinstance(event, TransactionDone)]
    assert (done.success, done.responses) == (len(counted) > 0, len(counted))
