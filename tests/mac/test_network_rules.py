"""Which packets a node takes, frame by frame: domains, sources, address formats; and which answers it believes."""

import pytest

from mac import (
    Apdu,
    Broadcast,
    DomainEntry,
    DomainId,
    DropReason,
    Group,
    GroupEntry,
    GroupReply,
    Lpdu,
    LpduHeader,
    MessageReceived,
    Npdu,
    RequestReceived,
    ResponseReceived,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    TransactionDone,
    UniqueId,
)

OURS = SubnetNode(1, 7)
OTHER = SubnetNode(1, 9)
SECOND = DomainId(b"Q")


@pytest.fixture
def node(make_node, domain):
    return make_node(
        7,
        domains=(DomainEntry(domain, 1, 7), DomainEntry(SECOND, 2, 7)),
        groups=(GroupEntry(5, 3, 1), GroupEntry(6, 3, 2, domain_index=1)),
    )


def events_of(node):
    events = []
    while (event := node.next_event()) is not None:
        events.append(event)
    return events


def give(node, destination, domain, source=OTHER, pdu=None, now=1.0, **header):
    npdu = Npdu(source, destination, domain, pdu or Apdu(0x05, b"hello"))
    node.receive_frame(Lpdu(LpduHeader(**header), npdu).encode(), now)
    return events_of(node)


def flushed(node, until):
    """Frames the node sends up to `until`, each over at once."""
    frames = []
    while (at := node.next_timer()) is not None and at <= until:
        node.on_timer(at)
        for frame in node.frames_to_send(at):
            frames.append(Lpdu.decode(frame.octets))
            node.transmission_done(at)
    return frames


MY_ID = bytes.fromhex("02FC00000007")


@pytest.mark.parametrize(
    ("destination", "taken"),
    [
        (Broadcast(0), True),
        (Broadcast(1), True),
        (Broadcast(2), False),
        (Group(5), True),
        (Group(6), False),  # a member on the other domain only
        (Group(8), False),
        (OURS, True),
        (SubnetNode(1, 8), False),
        (SubnetNode(2, 7), False),
        (UniqueId(MY_ID), True),
        (UniqueId(MY_ID, subnet=77), True),
        (UniqueId(bytes(6)), False),
        (GroupReply(OURS, 5, 0), True),
        (GroupReply(OURS, 8, 0), False),
        (GroupReply(SubnetNode(1, 8), 5, 0), False),
    ],
    ids=str,
)
def test_addresses_of_a_configured_node(node, domain, destination, taken):
    assert bool(give(node, destination, domain)) == taken
    assert node.statistics.drops[DropReason.NOT_ADDRESSED] == (not taken)


@pytest.mark.parametrize(
    ("destination", "taken"),
    [(Broadcast(0), True), (Broadcast(9), True), (UniqueId(MY_ID), True), (OURS, False), (Group(5), False)],
    ids=str,
)
@pytest.mark.parametrize("any_domain", [DomainId(), DomainId(b"x"), DomainId(b"NESDOM")])
def test_unconfigured_node_hears_broadcasts_and_its_unique_id_on_any_domain(make_node, any_domain, destination, taken):
    node = make_node(7, address=False)
    give(node, destination, any_domain, pdu=Spdu(SpduType.REQUEST, 1, apdu=b"\x51"))
    answers = flushed(node, 5.0)
    assert [(a.npdu.source, a.npdu.destination, a.npdu.domain) for a in answers] == (
        [(SubnetNode(0, 0), OTHER, any_domain)] if taken else []
    )


@pytest.mark.parametrize("destination", [Broadcast(), OURS, Group(5)], ids=str)
def test_foreign_domain_is_dropped_unless_by_unique_id(node, destination):
    assert give(node, destination, DomainId(b"x")) == []
    assert node.statistics.drops[DropReason.FOREIGN_DOMAIN] == 1
    assert give(node, UniqueId(MY_ID), DomainId(b"x")) != []


def test_own_source_is_dropped_on_the_first_domain_only(node, domain):
    assert give(node, Broadcast(), domain, source=OURS) == []
    assert node.statistics.drops[DropReason.OWN_SOURCE] == 1
    assert give(node, Broadcast(), SECOND, source=SubnetNode(2, 7)) != []


def test_clone_hears_the_nodes_that_share_its_address(make_node, domain):
    node = make_node(7, domains=(DomainEntry(domain, 1, 7, nonclone=False),))
    assert give(node, Broadcast(), domain, source=OURS) != []


def test_blank_row_matches_nothing(make_node, domain):
    node = make_node(7, domains=(None, DomainEntry(domain, 1, 7)))
    (event,) = give(node, OURS, domain)
    assert event.via.domain_index == 1
    assert node.address(0) is None
    assert node.address(1) == OURS


def test_answers_leave_from_the_domain_of_the_request(node):
    pdu = Spdu(SpduType.REQUEST, 1, apdu=b"\x51")
    give(node, SubnetNode(2, 7), SECOND, pdu=pdu, priority=True, alt_path=True, delta_backlog=1)
    (answer,) = flushed(node, 5.0)
    assert answer.npdu.source == SubnetNode(2, 7)
    assert answer.npdu.domain == SECOND
    assert answer.header == LpduHeader(priority=True, alt_path=True, delta_backlog=0)


def test_alternate_path_of_a_duplicate_holds_for_all_later_answers(node, domain):
    pdu = Tpdu(TpduType.ACKD, 3, apdu=b"\x05")
    paths = []
    for at, alt_path in ((1.0, False), (2.0, True), (3.0, False)):
        give(node, OURS, domain, pdu=pdu, now=at, alt_path=alt_path)
        paths += [frame.header.alt_path for frame in flushed(node, at + 0.9)]
    assert paths == [False, True, True]


@pytest.mark.parametrize(
    ("destination", "lifetime"),
    [(OURS, 2.048), (Broadcast(), 2.048), (UniqueId(MY_ID), 8.192), (Group(5), 0.512)],
    ids=str,
)
def test_receive_timer_depends_on_the_way_of_addressing(make_node, domain, destination, lifetime):
    node = make_node(7, receive_code=8, groups=(GroupEntry(5, 3, 1, receive_code=4),))
    pdu = Tpdu(TpduType.ACKD, 3, apdu=b"\x05")
    assert len(give(node, destination, domain, pdu=pdu, now=1.0)) == 1
    assert give(node, destination, domain, pdu=pdu, now=1.0 + lifetime - 0.01) == []
    assert len(give(node, destination, domain, pdu=pdu, now=1.0 + lifetime)) == 1


def test_configuration_octet_24_sets_the_receive_timer(node, domain):
    give(node, OURS, domain, pdu=Spdu(SpduType.REQUEST, 1, apdu=bytes.fromhex("6E0200180104 00")))
    pdu = Tpdu(TpduType.ACKD, 3, apdu=b"\x05")
    assert len(give(node, OURS, domain, pdu=pdu, now=2.0)) == 1
    assert len(give(node, OURS, domain, pdu=pdu, now=2.2)) == 1  # code 0: 128 ms


@pytest.mark.parametrize(
    ("kind", "delivered"),
    [(TpduType.ACKD, MessageReceived), (TpduType.UNACKD_RPT, MessageReceived), (SpduType.REQUEST, RequestReceived)],
)
def test_reminder_that_lists_us_closes_the_record(node, domain, kind, delivered):
    pdu_class = Spdu if isinstance(kind, SpduType) else Tpdu
    (event,) = give(node, Group(5), domain, pdu=pdu_class(kind, 3, apdu=b"\x05"))
    assert isinstance(event, delivered)
    flushed(node, 1.5)
    reminder = pdu_class(SpduType.REMINDER if pdu_class is Spdu else TpduType.REMINDER, 3, m_list=b"\x02")
    give(node, Group(5), domain, pdu=reminder, now=2.0)
    assert give(node, Group(5), domain, pdu=pdu_class(kind, 3, apdu=b"\x05"), now=2.1) == []
    assert flushed(node, 2.9) == []
    stray = node.statistics.drops[DropReason.STRAY_REMINDER]
    assert stray == (kind is TpduType.UNACKD_RPT)


def test_reminder_without_record_is_stray(node, domain):
    give(node, Group(5), domain, pdu=Tpdu(TpduType.REMINDER, 3, m_list=b"\x02"))
    give(node, Group(5), domain, pdu=Spdu(SpduType.REMINDER, 3, m_list=b"\x02"))
    assert node.statistics.drops[DropReason.STRAY_REMINDER] == 2


def test_reminding_message_counts_as_the_first_when_it_is(node, domain):
    (event,) = give(node, Group(5), domain, pdu=Tpdu(TpduType.REM_MSG, 3, apdu=b"\x05", m_list=b""))
    assert isinstance(event, MessageReceived)
    (ack,) = flushed(node, 2.0)
    assert ack.npdu.destination == GroupReply(OTHER, 5, 1)


def asked(node, destination, now=0.0, **options):
    """The node has sent a request, which has left the line."""
    handle = node.send_request(destination, b"\x05?", now, **options)
    (frame,) = flushed(node, now + 0.15)
    return handle, frame.npdu.pdu.number


def response(number, apdu=b"\x05!"):
    return Spdu(SpduType.RESPONSE, number, apdu=apdu)


def test_answer_must_fit_in_every_respect(node, domain):
    _, number = asked(node, OTHER)
    wrong = [
        give(node, OURS, domain, pdu=response(number + 1)),
        give(node, OURS, domain, pdu=Tpdu(TpduType.ACK, number)),
        give(node, OURS, domain, source=SubnetNode(1, 10), pdu=response(number)),
        give(node, SubnetNode(2, 7), SECOND, pdu=response(number)),
        give(node, UniqueId(MY_ID), DomainId(b"x"), pdu=response(number)),
        give(node, GroupReply(OURS, 5, 0), domain, pdu=response(number)),
        give(node, OURS, domain, pdu=response(number), priority=True),
    ]
    assert wrong == [[]] * 7
    assert node.statistics.late_acknowledgements == 7
    right = give(node, OURS, domain, pdu=response(number))
    assert [type(event) for event in right] == [ResponseReceived, TransactionDone]
    assert give(node, OURS, domain, pdu=response(number)) == []
    assert node.statistics.late_acknowledgements == 8


def test_answer_before_the_first_try_has_left_is_not_believed(node, domain):
    node.on_channel(True, 0.0)
    node.send_request(OTHER, b"\x05?", 0.0)
    assert give(node, OURS, domain, pdu=response(0)) == []
    assert node.statistics.late_acknowledgements == 1


@pytest.mark.parametrize(("subnet", "source", "fits"), [(0, 4, True), (4, 4, True), (4, 0, True), (4, 5, False)])
def test_answers_to_a_broadcast_come_from_its_subnet_or_from_nowhere(node, domain, subnet, source, fits):
    _, number = asked(node, Broadcast(subnet), max_responses=5)
    events = give(node, OURS, domain, source=SubnetNode(source, 3), pdu=response(number))
    assert bool(events) == fits


def test_same_answer_to_a_broadcast_counts_once(node, domain):
    _, number = asked(node, Broadcast(), max_responses=2)
    nobody = SubnetNode(0, 0)
    assert len(give(node, OURS, domain, source=nobody, pdu=response(number, b"\x21A"))) == 1
    assert give(node, OURS, domain, source=nobody, pdu=response(number, b"\x21A")) == []
    events = give(node, OURS, domain, source=nobody, pdu=response(number, b"\x21B"))
    assert [type(event) for event in events] == [ResponseReceived, TransactionDone]


def test_answer_while_a_retry_waits_takes_the_retry_back(node, domain):
    _, number = asked(node, OTHER, transmit_time=0.2)
    node.on_channel(True, 0.6)
    node.on_timer(1.0)
    assert node.frames_waiting == 1
    give(node, OURS, domain, pdu=response(number), now=1.1)
    assert node.frames_waiting == 0


def test_one_of_several_answers_restarts_the_timer(node, domain):
    _, number = asked(node, Broadcast(), max_responses=9, transmit_time=1.0, retries=0)
    give(node, OURS, domain, pdu=response(number, b"\x21A"), now=0.9)
    node.on_timer(1.8)
    assert events_of(node) == []
    node.on_timer(2.0)
    assert events_of(node) == [TransactionDone(1, True, 1, 1)]


def test_only_members_of_the_group_count(node, domain):
    node.send_acknowledged(Group(5), b"\x05", 0.0)
    flushed(node, 0.15)
    for member in (1, 3, 63):  # ourselves, and numbers beyond the size
        assert give(node, GroupReply(OURS, 5, member), domain, pdu=Tpdu(TpduType.ACK, 0)) == []
    assert give(node, GroupReply(OURS, 5, 0), domain, pdu=Tpdu(TpduType.ACK, 0)) == []
    assert give(node, GroupReply(OURS, 5, 0), domain, pdu=Tpdu(TpduType.ACK, 0)) == []
    done = give(node, GroupReply(OURS, 5, 2), domain, pdu=Tpdu(TpduType.ACK, 0))
    assert done == [TransactionDone(1, True, 1, 2)]


def test_timer_of_a_two_frame_try_runs_from_the_second(node, domain):
    node.send_acknowledged(Group(5, 30), b"\x05", 0.0, transmit_time=0.5)
    flushed(node, 0.2)
    give(node, GroupReply(OURS, 5, 20), domain, pdu=Tpdu(TpduType.ACK, 0), now=0.3)
    types, at = [], 0.3
    while len(types) < 2:
        at = node.next_timer()
        node.on_timer(at)
        for frame in node.frames_to_send(at):
            types.append(Lpdu.decode(frame.octets).npdu.pdu.type)
            assert len(types) == 2 or node.frames_waiting == 1
            node.transmission_done(at)
    assert types == [TpduType.REMINDER, TpduType.ACKD]
    node.on_timer(at + 0.49)
    assert node.frames_waiting == 0
    node.on_timer(at + 0.5)
    assert node.frames_waiting == 2


def test_freed_records_make_room(make_node, domain):
    node = make_node(7, receive_records=2, receive_code=0)
    pdu = Tpdu(TpduType.ACKD, 3, apdu=b"\x05")
    taken = [bool(give(node, OURS, domain, source=SubnetNode(1, 20 + n), pdu=pdu, now=1.0)) for n in range(3)]
    assert taken == [True, True, False]
    assert give(node, OURS, domain, source=SubnetNode(1, 22), pdu=pdu, now=1.2) != []


def test_second_response_is_refused(node, domain):
    (request,) = give(node, OURS, domain, pdu=Spdu(SpduType.REQUEST, 3, apdu=b"\x05"))
    node.respond(request.request_id, b"\x05 first", 1.1)
    node.respond(request.request_id, b"\x05 second", 1.1)
    assert [frame.npdu.pdu.apdu for frame in flushed(node, 2.0)] == [b"\x05 first"]
    assert node.statistics.drops[DropReason.LATE_RESPONSE] == 1


def test_service_message_is_no_request(node, domain):
    apdu = b"\x7f" + bytes(14)
    assert give(node, OURS, domain, pdu=Spdu(SpduType.REQUEST, 3, apdu=apdu)) == []
    (answer,) = flushed(node, 2.0)
    assert answer.npdu.pdu.apdu == b"\x1f"
    assert give(node, OURS, domain, pdu=Apdu.decode(apdu + b"x")) == []
    assert node.statistics.drops[DropReason.MALFORMED] == 1


def test_reset_is_followed_by_silence(make_node):
    node = make_node(7, reset_silence=2.0)
    node.reset(10.0)
    node.send_repeated(OTHER, b"\x05", 10.5, repeats=0)
    assert flushed(node, 11.99) == []
    assert len(flushed(node, 13.0)) == 1


def test_acknowledged_broadcast_is_done_with_the_first_acknowledgement(node, domain):
    node.send_acknowledged(Broadcast(), b"\x05", 0.0, backlog=7)
    (frame,) = flushed(node, 0.5)
    assert frame.header.delta_backlog == 7
    assert give(node, OURS, domain, pdu=Tpdu(TpduType.ACK, 0)) == [TransactionDone(1, True, 1, 1)]


def test_new_destination_waits_when_the_number_table_is_full(make_node):
    node = make_node(7, number_records=2)
    for n in (1, 2, 3):
        node.send_repeated(SubnetNode(1, 10 + n), b"\x05", 0.0, repeats=0)
    assert len(flushed(node, 20.0)) == 2
    (third,) = flushed(node, 30.0)
    assert third.npdu.destination == SubnetNode(1, 13)
    assert node.next_timer() is None
