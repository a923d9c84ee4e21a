"""The two queues in front of channel access, and collisions."""

from random import Random

import pytest

from mac import Broadcast, ChannelTiming, DomainId, Lpdu, LpduHeader, Npdu, Spdu, SpduType, Statistics, SubnetNode
from mac.access_states import AccessState
from mac.link import LinkLayer

SLOTTED = ChannelTiming.load("pl20a")


def lpdu(number, priority=False):
    pdu = Spdu(SpduType.REQUEST, number, apdu=b"\x05")
    return Lpdu(LpduHeader(priority), Npdu(SubnetNode(1, 1), Broadcast(), DomainId(b"Q"), pdu))


@pytest.fixture
def link():
    return LinkLayer(SLOTTED, Random(1), Statistics(), node_priority=2)


def start_next(link):
    """Run until a frame starts; returns its number and the instant."""
    while True:
        at = link.access.next_timer()
        link.access.on_timer(at)
        if frames := link.frames_to_send(at):
            return Lpdu.decode(frames[0].octets).npdu.pdu.number, at


def all_numbers(link):
    numbers = []
    while len(link):
        number, at = start_next(link)
        numbers.append(number)
        link.transmission_done(at + 0.05)
    return numbers


def test_priority_queue_goes_first_and_each_queue_keeps_its_order(link):
    for number, priority in ((1, False), (2, False), (3, True), (4, True)):
        link.submit(lpdu(number, priority), number, 0.0)
    assert all_numbers(link) == [3, 4, 1, 2]


def test_withdrawn_frames_do_not_go_out(link):
    for number in (1, 2, 3):
        link.submit(lpdu(number), number % 2, 0.0)
    link.withdraw(1, 0.0)
    assert all_numbers(link) == [2]


def test_replaced_frame_keeps_its_place(link):
    for number in (1, 2):
        link.submit(lpdu(number), number, 0.0)
    link.replace(lpdu(9), 1, 0.0)
    link.replace(lpdu(8), 7, 0.0)
    assert all_numbers(link) == [9, 2, 8]


def test_collided_frame_stays_first_in_its_queue(link):
    for number in (1, 2):
        link.submit(lpdu(number), number, 0.0)
    number, at = start_next(link)
    assert number == 1
    assert link.on_collision(at + 0.005) is None
    assert all_numbers(link) == [1, 2]


def test_priority_slot_is_used_while_the_packet_collided_at_most_once(link):
    link.access.on_channel(True, 0.0)
    link.submit(lpdu(1, priority=True), 1, 0.0)
    states, at = [], 1.0
    for _ in range(3):
        link.access.on_channel(False, at)
        link.access.on_timer(at + SLOTTED.beta1_post_rx + 1e-9)
        states.append(link.access.state)
        _, at = start_next(link)
        link.on_collision(at + 0.005)
        at += 1.0
        link.access.on_channel(True, at - 0.5)  # a reception, so that the slot would be allowed
    assert states == [AccessState.PRIORITY_WAIT, AccessState.PRIORITY_WAIT, AccessState.PRIORITY_IDLE]


def test_access_is_asked_for_only_while_something_waits(link):
    link.access.on_timer(5.0)
    assert link.access.state is AccessState.RANDOM_IDLE
    link.submit(lpdu(1), 1, 5.0)
    assert link.access.state is AccessState.RANDOM_WAIT
    link.withdraw(1, 5.0)
    link.access.on_timer(6.0)
    assert link.access.state is AccessState.RANDOM_IDLE
    assert link.frames_to_send(6.0) == []


def test_refused_frame_stays_first_and_counts_no_collision(link):
    for number in (1, 2):
        link.submit(lpdu(number), number, 0.0)
    number, at = start_next(link)
    assert number == 1
    link.on_refused(at)
    assert all_numbers(link) == [1, 2]
    assert link.access._statistics.collisions == 0
