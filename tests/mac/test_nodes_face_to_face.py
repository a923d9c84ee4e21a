"""Nodes on one lossy line in virtual time: services, loss, duplication, the alternate path."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mac import (
    Broadcast,
    DropReason,
    Group,
    GroupEntry,
    LocalProtocolError,
    Lpdu,
    MessageReceived,
    NodeState,
    Reception,
    RequestReceived,
    ResponseReceived,
    Service,
    ServiceMessage,
    SpduType,
    SubnetNode,
    Tpdu,
    TransactionDone,
    UniqueId,
    Wink,
    management,
)

ECHO = b"\x05 echo"


@pytest.fixture
def pair(make_node, make_line):
    """A client 1/1 and a server 1/2 that echoes every request."""
    line = make_line([make_node(1), make_node(2)])

    def echo(index, event, now):
        if isinstance(event, RequestReceived):
            line.nodes[index].respond(event.request_id, event.apdu, now)

    line.on_event = echo
    return line


SERVER = SubnetNode(1, 2)


def lose_first(count, sender=None):
    """Lose the first `count` frames (of one sender)."""
    seen = Counter()

    def lost(frame, receiver):
        if sender is not None and frame.sender != sender:
            return False
        seen["frames"] += 1
        return seen["frames"] <= count

    return lost


def test_request_and_response(pair):
    handle = pair.nodes[0].send_request(SERVER, ECHO, 0.0)
    pair.run(5.0)
    assert pair.of(0, ResponseReceived) == [ResponseReceived(handle, SERVER, ECHO, pair.nodes[0].domains[0].domain)]
    assert pair.of(0, TransactionDone) == [TransactionDone(handle, True, 1, 1)]
    (request,) = pair.of(1, RequestReceived)
    assert request.source == SubnetNode(1, 1)
    assert request.via.destination == SERVER
    assert [frame.sender for frame in pair.log] == [0, 1]


@pytest.mark.parametrize("losses", [0, 1, 2, 3])
def test_lost_requests_are_tried_again_and_the_last_two_tries_take_the_alternate_path(pair, losses):
    pair.lost = lose_first(losses, sender=0)
    pair.nodes[0].send_request(SERVER, ECHO, 0.0, retries=3)
    pair.run(20.0)
    assert pair.of(0, TransactionDone) == [TransactionDone(1, True, losses + 1, 1)]
    requests = [frame for frame in pair.log if frame.sender == 0]
    assert [frame.alternate for frame in requests] == [False, False, True, True][: losses + 1]
    (answer,) = [frame for frame in pair.log if frame.sender == 1]
    assert answer.alternate == requests[-1].alternate, "an answer takes the path of its request"


def test_request_that_nobody_hears_fails_after_all_tries(pair):
    pair.lost = lambda frame, receiver: True
    pair.nodes[0].send_request(SERVER, ECHO, 0.0, retries=3, transmit_time=0.768)
    pair.run(20.0)
    assert pair.of(0, TransactionDone) == [TransactionDone(1, False, 4)]
    tries = [frame for frame in pair.log if frame.sender == 0]
    gaps = [b.start - a.end for a, b in pairwise(tries)]
    assert all(0.768 <= gap < 0.768 + 0.1 for gap in gaps), "the timer runs from the end of a try, then access"


def test_lost_responses_bring_duplicates_that_are_not_delivered_again(pair):
    pair.lost = lose_first(2, sender=1)
    pair.nodes[0].send_request(SERVER, ECHO, 0.0)
    pair.run(20.0)
    assert len(pair.of(1, RequestReceived)) == 1
    assert len(pair.of(0, ResponseReceived)) == 1
    assert [frame.sender for frame in pair.log] == [0, 1, 0, 1, 0, 1]


def test_acknowledged_message_is_delivered_once_however_many_acknowledgements_are_lost(pair):
    pair.lost = lose_first(3, sender=1)
    pair.nodes[0].send_acknowledged(SERVER, ECHO, 0.0)
    pair.run(20.0)
    assert pair.of(0, TransactionDone) == [TransactionDone(1, True, 4, 1)]
    (message,) = pair.of(1, MessageReceived)
    assert (message.apdu, message.service) == (ECHO, Service.ACKNOWLEDGED)


def test_frames_heard_twice_do_no_harm(pair):
    pair.copies = lambda frame: 2
    pair.nodes[0].send_request(SERVER, ECHO, 0.0)
    pair.nodes[0].send_acknowledged(SERVER, ECHO, 0.0)
    pair.run(20.0)
    assert len(pair.of(1, RequestReceived)) == len(pair.of(1, MessageReceived)) == 1
    assert len(pair.of(0, ResponseReceived)) == 1
    assert pair.nodes[0].statistics.late_acknowledgements >= 1
    assert [frame.sender for frame in pair.log] == [0, 1, 0, 1], "a waiting answer is not queued a second time"


def test_response_that_comes_after_the_end_is_late(make_node, make_line):
    line = make_line([make_node(1), make_node(2)])
    line.nodes[0].send_request(SERVER, ECHO, 0.0, retries=0, transmit_time=0.5)
    line.run(3.0)
    assert line.of(0, TransactionDone) == [TransactionDone(1, False, 1)]
    (request,) = line.of(1, RequestReceived)
    line.nodes[1].respond(request.request_id, b"\x05 late", 3.0)
    line.run(5.0)
    assert line.of(0, ResponseReceived) == []
    assert line.nodes[0].statistics.late_acknowledgements == 1
    assert line.nodes[0].statistics.drops[DropReason.LATE_ANSWER] == 1


def test_answer_to_an_earlier_try_withdraws_the_retry_that_waits(make_node, make_line):
    """The response comes while the next try waits for the line: that try never goes out."""
    line = make_line([make_node(1), make_node(2), make_node(3)])
    client, server, other = line.nodes
    client.send_request(SERVER, ECHO, 0.0, transmit_time=0.2)
    line.run(0.3)
    (request,) = line.of(1, RequestReceived)
    server.respond(request.request_id, ECHO, 0.3)
    line.run(0.33)
    tries_before = sum(frame.sender == 0 for frame in line.log)
    line.run(10.0)
    assert line.of(0, TransactionDone)[0].success
    assert sum(frame.sender == 0 for frame in line.log) <= tries_before + 1
    assert client.frames_waiting == 0
    assert other.statistics.l2_received == len(line.log)


def test_retry_is_never_queued_twice(make_node):
    """A line that stays busy for a minute: one frame waits, not one per timer."""
    node = make_node(1)
    node.on_channel(True, 0.0)
    node.send_request(SERVER, ECHO, 0.0)
    for second in range(1, 60):
        node.on_timer(float(second))
        assert node.frames_waiting == 1
        assert node.frames_to_send(float(second)) == []


def test_declined_request_stays_unanswered(make_node, make_line):
    line = make_line([make_node(1), make_node(2)])
    line.on_event = lambda i, e, now: isinstance(e, RequestReceived) and line.nodes[i].decline(e.request_id, now)
    line.nodes[0].send_request(SERVER, ECHO, 0.0, retries=1)
    line.run(10.0)
    assert len(line.of(1, RequestReceived)) == 1
    assert {frame.sender for frame in line.log} == {0}


def test_second_answer_and_answer_after_the_record_died_are_counted(make_node, make_line):
    line = make_line([make_node(1), make_node(2, receive_code=0)])
    line.nodes[0].send_request(SERVER, ECHO, 0.0, retries=0)
    line.run(0.1)
    (request,) = line.of(1, RequestReceived)
    line.nodes[1].respond(request.request_id, ECHO, 5.0)
    assert line.nodes[1].statistics.drops[DropReason.LATE_RESPONSE] == 1
    assert line.nodes[1].frames_waiting == 0
    with pytest.raises(LocalProtocolError, match="request id 99"):
        line.nodes[1].respond(99, ECHO, 5.0)


def test_one_transaction_at_a_time_per_priority_class(pair):
    for index in range(3):
        pair.nodes[0].send_request(SERVER, bytes([5, index]), 0.0)
    pair.nodes[0].send_request(SERVER, b"\x05 priority", 0.0, priority=True)
    pair.run(10.0)
    assert [event.success for event in pair.of(0, TransactionDone)] == [True] * 4
    first = Lpdu.decode(next(frame.octets for frame in pair.log if frame.sender == 0))
    assert first.header.priority, "the priority queue goes first"
    numbers = [Lpdu.decode(f.octets).npdu.pdu.number for f in pair.log if f.sender == 0 and not f.octets[0] & 0x80]
    assert numbers == [0, 1, 2]


def test_answers_to_priority_messages_are_priority_frames(pair):
    pair.nodes[0].send_request(SERVER, ECHO, 0.0, priority=True)
    pair.run(5.0)
    assert [frame.octets[0] & 0x80 for frame in pair.log] == [0x80, 0x80]


def test_repeated_message_arrives_once(pair):
    pair.lost = lose_first(1, sender=0)
    handle = pair.nodes[0].send_repeated(SERVER, ECHO, 0.0, repeats=2)
    pair.run(5.0)
    assert len(pair.log) == 3
    assert [event.service for event in pair.of(1, MessageReceived)] == [Service.REPEATED]
    assert pair.of(0, TransactionDone) == [TransactionDone(handle, True, 3)]


def test_unacknowledged_broadcast_reaches_everybody(make_node, make_line):
    line = make_line([make_node(index) for index in (1, 2, 3)])
    line.nodes[0].send_unacknowledged(Broadcast(), ECHO, 0.0)
    line.run(2.0)
    assert [len(line.of(index, MessageReceived)) for index in range(3)] == [0, 1, 1]


def test_collided_frames_are_lost_and_tried_again(make_node, make_line):
    """Two nodes that draw the same slot destroy each other's frames; both requests succeed in the end."""
    line = make_line([make_node(1, seed=3), make_node(2, seed=3), make_node(3)])

    def echo(index, event, now):
        if isinstance(event, RequestReceived):
            line.nodes[index].respond(event.request_id, event.apdu, now)

    line.on_event = echo
    for node in line.nodes[:2]:
        node._link.access._rng = Random(7)
        node.send_request(SubnetNode(1, 3), ECHO, 1.0)
    line.run(1.0)
    for node in line.nodes[:2]:
        node._link.access._rng = Random(node.config.unique_node_id[-1])
    line.run(20.0)
    assert sum(frame.collided for frame in line.log) >= 2
    assert all(line.of(index, TransactionDone)[0].success for index in (0, 1))
    assert line.nodes[2].statistics.transmission_errors >= 2


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), loss=st.floats(0.0, 0.6), doubled=st.floats(0.0, 0.5))
def test_no_loss_or_duplication_delivers_twice_or_lies_about_success(make_node, make_line, seed, loss, doubled):
    """Twelve requests and messages over a bad line: each delivered at most once, success only when delivered."""
    rng = Random(seed)
    line = make_line([make_node(1, seed=seed), make_node(2, seed=seed)])

    def echo(index, event, now):
        if isinstance(event, RequestReceived):
            line.nodes[index].respond(event.request_id, b"\x06" + event.apdu[1:], now)

    line.on_event = echo
    line.lost = lambda frame, receiver: rng.random() < loss
    line.copies = lambda frame: 2 if rng.random() < doubled else 1
    sent = {}
    for index in range(12):
        send = line.nodes[0].send_request if index % 2 else line.nodes[0].send_acknowledged
        sent[send(SERVER, bytes([5, index]), 0.0)] = bytes([5, index])
    line.run(200.0)
    delivered = Counter(event.apdu for event in line.of(1, RequestReceived) + line.of(1, MessageReceived))
    done = {event.handle: event.success for event in line.of(0, TransactionDone)}
    assert set(done) == set(sent)
    assert all(count == 1 for count in delivered.values())
    for handle, success in done.items():
        assert not success or delivered[sent[handle]] == 1
    for response in line.of(0, ResponseReceived):
        assert response.apdu == b"\x06" + sent[response.handle][1:]


def test_same_seed_gives_the_same_run(make_node, make_line):
    def run(seed):
        rng = Random(seed)
        line = make_line([make_node(index, seed=seed) for index in (1, 2, 3)])
        line.lost = lambda frame, receiver: rng.random() < 0.3
        for index in range(6):
            line.nodes[0].send_request(SubnetNode(1, 2 + index % 2), bytes([5, index]), 0.0)
        line.run(60.0)
        return line.log, line.events

    assert run(5) == run(5)
    assert run(5) != run(6)


def group(member, **options):
    return (GroupEntry(7, 4, member, **options),)


def test_group_request_collects_every_member_and_reminds_the_silent_one(make_node, make_line):
    line = make_line([make_node(index, groups=group(index - 1)) for index in (1, 2, 3, 4)])

    def echo(index, event, now):
        if isinstance(event, RequestReceived):
            line.nodes[index].respond(event.request_id, bytes([5, index]), now)

    line.on_event = echo
    line.lost = lambda frame, receiver: receiver == 3 and frame.sender == 0 and frame.start < 0.3
    handle = line.nodes[0].send_request(Group(7), ECHO, 0.0)
    line.run(10.0)
    assert sorted(event.apdu for event in line.of(0, ResponseReceived)) == [b"\5\1", b"\5\2", b"\5\3"]
    assert line.of(0, TransactionDone) == [TransactionDone(handle, True, 2, 3)]
    assert [len(line.of(index, RequestReceived)) for index in (1, 2, 3)] == [1, 1, 1]
    retry = [Lpdu.decode(frame.octets) for frame in line.log if frame.sender == 0][1]
    assert (retry.npdu.pdu.type, retry.npdu.pdu.m_list) == (SpduType.REM_MSG, b"\x06")
    assert retry.header.delta_backlog == 1
    answers_after_retry = [frame for frame in line.log if frame.sender != 0][2:]
    assert [frame.sender for frame in answers_after_retry] == [3], "members on the list stay silent"


def test_group_of_unknown_size_is_refused(make_node):
    with pytest.raises(LocalProtocolError, match="size of group 9"):
        make_node(1).send_acknowledged(Group(9), ECHO, 0.0)


def test_message_with_the_unique_id_of_a_configured_node(pair):
    pair.nodes[0].send_request(UniqueId(pair.nodes[1].config.unique_node_id), ECHO, 0.0)
    pair.run(5.0)
    assert pair.of(0, ResponseReceived)[0].source == SERVER


def test_full_receive_table_loses_the_message_and_counts_it(make_node, make_line):
    line = make_line([make_node(1), make_node(2, receive_records=1), make_node(3)])
    line.nodes[0].send_acknowledged(SERVER, ECHO, 0.0, retries=0)
    line.nodes[2].send_acknowledged(SERVER, ECHO, 0.5, retries=0)
    line.run(10.0)
    assert len(line.of(1, MessageReceived)) == 1
    assert line.nodes[1].statistics.receive_transaction_full == 1
    assert line.nodes[1].statistics.drops[DropReason.NO_RECEIVE_RECORD] == 1


def test_foreign_frame_for_an_offline_application_is_answered_4f(make_node, make_line):
    line = make_line([make_node(1), make_node(2, state=NodeState.SOFT_OFFLINE)])
    line.nodes[0].send_request(SERVER, b"\x40x", 0.0)
    line.nodes[0].send_request(SERVER, b"\x00x", 0.0)
    line.run(5.0)
    assert [event.apdu for event in line.of(0, ResponseReceived)] == [b"\x4f", b"\x3f"]


def test_transceiver_status_tells_how_the_request_was_heard(pair):
    pair.nodes[1].last_reception = Reception(margin_db=12.0, strength_db=-30.0)
    pair.nodes[0].send_request(SERVER, management.QueryTransceiverStatus().encode(), 0.0)
    pair.run(5.0)
    (response,) = pair.of(0, ResponseReceived)
    report = management.decode_response(0x54, response.apdu)
    assert report == management.TransceiverReport(Reception(12.0, -30.0))


def test_wink_surfaces_as_an_event(pair):
    pair.nodes[0].send_acknowledged(SERVER, management.WinkCommand().encode(), 0.0)
    pair.run(5.0)
    assert pair.of(1, Wink) == [Wink()]


@pytest.mark.parametrize("hears", [True, False])
def test_service_message_reaches_a_configured_node_that_wants_it(make_node, make_line, hears):
    line = make_line([make_node(1, hear_service_messages=hears), make_node(9, address=False)])
    line.nodes[1].send_service_message(0.0)
    line.run(2.0)
    expected = line.nodes[1].config
    found = [(event.unique_node_id, event.program_id) for event in line.of(0, ServiceMessage)]
    assert found == ([(expected.unique_node_id, expected.program_id)] if hears else [])


def test_nothing_is_originated_during_the_silence_after_power_up(make_node, make_line):
    line = make_line([make_node(1, reset_silence=2.0, started_at=10.0), make_node(2, started_at=10.0)])
    line.now = 10.0
    line.nodes[0].send_request(SERVER, ECHO, 10.0, retries=0)
    line.nodes[0].send_unacknowledged(SERVER, ECHO, 10.0)
    line.run(20.0)
    assert len(line.log) == 2
    assert all(12.0 <= frame.start < 12.5 for frame in line.log)


def test_acknowledgements_are_sent_even_in_that_silence(make_node, make_line):
    line = make_line([make_node(1), make_node(2, reset_silence=5.0)])
    line.nodes[0].send_acknowledged(SERVER, ECHO, 0.0)
    line.run(3.0)
    assert line.of(0, TransactionDone) == [TransactionDone(1, True, 1, 1)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda node: node.send_request(SERVER, b"", 0.0), ValueError),
        (lambda node: node.send_request(SERVER, bytes(230), 0.0), ValueError),
        (lambda node: node.send_request(SERVER, ECHO, 0.0, retries=16), ValueError),
        (lambda node: node.send_request(SERVER, ECHO, 0.0, backlog=64), ValueError),
        (lambda node: node.send_request(SERVER, ECHO, 0.0, max_responses=0), ValueError),
        (lambda node: node.send_request(SERVER, ECHO, 0.0, transmit_time=-1.0), ValueError),
        (lambda node: node.send_request(SERVER, ECHO, 0.0, domain=2), ValueError),
        (lambda node: node.send_request(SERVER, ECHO, 0.0, domain=1), LocalProtocolError),
        (lambda node: node.transmission_done(0.0), LocalProtocolError),
        (lambda node: node.on_collision(0.0), LocalProtocolError),
    ],
)
def test_wrong_calls_are_refused_and_change_nothing(make_node, call, error):
    node = make_node(1)
    timer = node.next_timer()
    with pytest.raises(error):
        call(node)
    assert (node.frames_waiting, node.next_timer(), node.next_event()) == (0, timer, None)


def test_flex_domain_is_only_for_messages_without_answer(make_node, make_line):
    from mac import DomainId

    line = make_line([make_node(1), make_node(2, address=False)])
    with pytest.raises(LocalProtocolError, match="no answer could reach us"):
        line.nodes[0].send_request(Broadcast(), ECHO, 0.0, domain=DomainId())
    line.nodes[0].send_unacknowledged(Broadcast(), management.WinkCommand().encode(), 0.0, domain=DomainId())
    line.run(2.0)
    assert line.of(1, Wink) == [Wink()]
    assert Lpdu.decode(line.log[0].octets).npdu.source == SubnetNode(0, 0)


def test_frame_given_up_after_too_many_collisions_counts_as_a_lost_try(make_node):
    node = make_node(1)
    node.send_acknowledged(SERVER, ECHO, 0.0, retries=0)
    now, collisions = 0.0, 0
    while node.frames_waiting:
        now = node.next_timer()
        node.on_timer(now)
        if node.frames_to_send(now):
            node.on_collision(now)
            collisions += 1
    assert collisions == 255
    node.on_timer(now + 1.0)
    assert node.next_event() == TransactionDone(1, False, 1)
    assert node.statistics.collisions == 255


def test_frames_heard_while_transmitting_are_ignored(make_node):
    node = make_node(1)
    node.send_acknowledged(SERVER, ECHO, 0.0)
    now = 0.0
    while not (sent := node.frames_to_send(now)):
        now = node.next_timer()
        node.on_timer(now)
    node.receive_frame(sent[0].octets, now)
    node.receive_error(now)
    assert node.statistics.drops == {DropReason.WHILE_TRANSMITTING: 1}
    assert node.statistics.transmission_errors == 0


def test_messages_are_acknowledged_with_the_number_they_carry(pair):
    pair.nodes[0].send_acknowledged(SERVER, ECHO, 0.0)
    pair.run(5.0)
    message, ack = (Lpdu.decode(frame.octets).npdu.pdu for frame in pair.log)
    assert isinstance(message, Tpdu) and isinstance(ack, Tpdu)
    assert ack.number == message.number
