"""Enhanced mode: NPDU version 2 with 12-bit transaction numbers, and what else an NPDU's version and row decide."""

import pytest

from mac import (
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
    NodeState,
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

SERVER = SubnetNode(1, 2)
OURS = SubnetNode(1, 7)
OTHER = SubnetNode(1, 9)
ECHO = b"\x05 echo"


@pytest.fixture
def three(make_node, make_line):
    """Members 0, 1 and 2 of group 7; the last two echo requests."""
    line = make_line([make_node(i, groups=(GroupEntry(7, 3, i - 1),)) for i in (1, 2, 3)])
    line.on_event = lambda i, e, now: line.nodes[i].respond(e.request_id, e.apdu, now) if isinstance(e, RequestReceived) else None
    return line


def npdus(line):
    return [Lpdu.decode(frame.octets).npdu for frame in line.log]


DESTINATIONS = [SERVER, UniqueId(bytes.fromhex("02FC00000002")), Group(7), Broadcast()]


@pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
@pytest.mark.parametrize("authenticated", [False, True])
def test_every_service_with_long_numbers(three, destination, authenticated):
    client = three.nodes[0]
    client._control._numbers[False]._next[4095] = 0x7FF
    options = {"enhanced": True, "authenticated": authenticated, "transmit_time": 3.0}
    client.send_request(destination, ECHO, 0.0, **options)
    client.send_acknowledged(destination, ECHO, 0.0, **options)
    client.send_repeated(destination, ECHO, 0.0, enhanced=True, repeats=1)
    client.send_unacknowledged(destination, ECHO, 0.0)
    three.run(30.0)
    assert [done.success for done in three.of(0, TransactionDone)] == [True] * 4
    assert len(three.of(1, RequestReceived)) == 1
    assert len(three.of(1, MessageReceived)) == 3
    frames = npdus(three)
    numbered = [npdu for npdu in frames if hasattr(npdu.pdu, "number")]
    assert {npdu.version for npdu in numbered} == {2}
    assert {npdu.pdu.number for npdu in numbered} == {0x7FF, 0x800, 0x801}
    assert [npdu.version for npdu in frames if npdu not in numbered] == [0], "no number, nothing to enhance"


def test_configuration_makes_long_numbers_the_default(make_node, make_line):
    line = make_line([make_node(1, enhanced_numbers=True), make_node(2)])
    line.nodes[0].send_acknowledged(SERVER, ECHO, 0.0)
    line.nodes[0].send_acknowledged(SERVER, ECHO, 0.0, enhanced=False)
    line.run(5.0)
    assert [npdu.version for npdu in npdus(line)] == [2, 2, 0, 0], "the answer comes in the mode of the question"


def give(node, destination, domain, pdu, now=1.0, source=OTHER, version=0, **header):
    node.receive_frame(Lpdu(LpduHeader(**header), Npdu(source, destination, domain, pdu, version)).encode(), now)
    events = []
    while (event := node.next_event()) is not None:
        events.append(event)
    return events


def flushed(node, until):
    frames = []
    while (at := node.next_timer()) is not None and at <= until:
        node.on_timer(at)
        for frame in node.frames_to_send(at):
            frames.append(Lpdu.decode(frame.octets))
            node.transmission_done(at)
    return frames


def test_answer_in_another_mode_is_late(make_node, domain):
    node = make_node(7)
    node.send_request(OTHER, ECHO, 0.0, enhanced=True)
    flushed(node, 0.2)
    response = Spdu(SpduType.RESPONSE, 0, apdu=b"\x05!")
    assert give(node, OURS, domain, response) == []
    assert node.statistics.drops[DropReason.LATE_ANSWER] == 1
    assert [type(event) for event in give(node, OURS, domain, response, version=2)] == [ResponseReceived, TransactionDone]


def test_numbers_alike_in_their_low_bits_are_different_messages(make_node, domain):
    node = make_node(7)
    taken = [
        len(give(node, OURS, domain, Tpdu(TpduType.ACKD, number, apdu=ECHO), version=version))
        for number, version in ((0x105, 2), (0x205, 2), (5, 2), (5, 2))
    ]
    assert taken == [1, 1, 1, 0]


@pytest.mark.parametrize("version", [1, 3])
def test_versions_1_and_3_are_dropped_under_their_reason(make_node, domain, version):
    node = make_node(7)
    octets = bytearray(Lpdu(LpduHeader(), Npdu(OTHER, OURS, domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO))).encode())
    octets[1] |= version << 6
    node.receive_frame(bytes(octets), 1.0)
    assert node.next_event() is None
    assert node.statistics.drops == {DropReason.UNKNOWN_PDU: 1}


@pytest.mark.parametrize("destination", [OURS, GroupReply(OURS, 5, 0)], ids=str)
def test_address_of_a_clone_names_nobody(make_node, domain, destination):
    node = make_node(7, domains=(DomainEntry(domain, 1, 7, nonclone=False),), groups=(GroupEntry(5, 3, 1),))
    assert give(node, destination, domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO)) == []
    assert node.statistics.drops == {DropReason.NOT_ADDRESSED: 1}
    assert give(node, UniqueId(node.config.unique_node_id), domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO)) != []
    assert give(node, Group(5), domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO)) != []


def test_of_several_rows_of_a_group_the_longest_receive_timer_counts(make_node, domain):
    rows = (GroupEntry(5, 3, 1, receive_code=0), GroupEntry(5, 3, 1, receive_code=8), GroupEntry(5, 3, 1, receive_code=4))
    node = make_node(7, groups=rows)
    pdu = Tpdu(TpduType.ACKD, 1, apdu=ECHO)
    assert [len(give(node, Group(5), domain, pdu, now=at)) for at in (1.0, 3.04, 3.05)] == [1, 0, 1]


@pytest.mark.parametrize("octets", [b"", b"Q", b"LON", b"NESDOM"])
@pytest.mark.parametrize("index", [0, 1])
def test_both_rows_and_every_domain_length(make_node, make_line, octets, index):
    domain = DomainId(octets)
    rows = [(DomainEntry(DomainId(b"z"), 9, n), DomainEntry(domain, 1, n))[:: 1 if index else -1] for n in (1, 2)]
    groups = [(GroupEntry(7, 2, member, index),) for member in (0, 1)]
    line = make_line([make_node(n, domains=rows[n - 1], groups=groups[n - 1]) for n in (1, 2)])
    for destination in DESTINATIONS:
        line.nodes[0].send_acknowledged(destination, ECHO, 0.0, domain=domain)
        line.nodes[0].send_acknowledged(destination, ECHO, 0.0, domain=index)
    line.run(30.0)
    assert [done.success for done in line.of(0, TransactionDone)] == [True] * 8
    assert [event.via.domain_index for event in line.of(1, MessageReceived)] == [index] * 8
    assert {npdu.domain for npdu in npdus(line)} == {domain}


def test_node_that_loses_its_configuration_gives_up_what_it_originated(make_node, domain):
    node = make_node(7)
    handles = [node.send_request(SubnetNode(1, n), ECHO, 0.0, retries=15) for n in range(10, 13)]
    flushed(node, 0.2)
    node.set_state(NodeState.UNCONFIGURED)
    sent = flushed(node, 60.0)
    assert sent == []
    done = []
    while (event := node.next_event()) is not None:
        done += [event] if isinstance(event, TransactionDone) else []
    assert [(event.handle, event.success) for event in done] == [(handle, False) for handle in handles]


def test_every_frame_has_one_fate(make_node, domain):
    node = make_node(7, groups=(GroupEntry(5, 3, 1),), receive_records=3, management_authentication=True)
    statistics = node.statistics

    def fates():
        return statistics.accepted + statistics.drops.total()

    give(node, OURS, domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO))  # message
    give(node, OURS, domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO))  # duplicate
    give(node, Group(5), domain, Tpdu(TpduType.ACKD, 1, apdu=ECHO))  # message
    give(node, Group(5), domain, Tpdu(TpduType.REMINDER, 1, m_list=b"\2"))  # reminder
    give(node, Group(5), domain, Tpdu(TpduType.REM_MSG, 1, apdu=ECHO, m_list=b"\2"))  # duplicate
    give(node, OURS, domain, Spdu(SpduType.REQUEST, 1, True, apdu=ECHO), source=SubnetNode(1, 10))  # held
    give(node, OURS, domain, Spdu(SpduType.REQUEST, 1, apdu=ECHO), source=SubnetNode(1, 11))  # no record
    give(node, OURS, domain, Spdu(SpduType.RESPONSE, 1, apdu=ECHO))  # late
    give(node, OURS, domain, Spdu(SpduType.REQUEST, 2, apdu=b"\x63\0"))  # refused, but answered: a message
    give(node, OURS, domain, Spdu(SpduType.REQUEST, 3))  # no APDU
    node.receive_frame(b"12345", 1.0)
    node.send_request(OTHER, ECHO, 1.0, authenticated=True)
    flushed(node, 1.6)
    give(node, OURS, domain, Spdu(SpduType.RESPONSE, 0, apdu=ECHO))  # answer
    assert statistics.frames == 12
    assert (statistics.messages, statistics.held, statistics.duplicates) == (3, 1, 2)
    assert (statistics.reminders, statistics.answers, statistics.challenges) == (1, 1, 0)
    assert statistics.drops == {
        DropReason.NO_RECEIVE_RECORD: 1,
        DropReason.LATE_ANSWER: 1,
        DropReason.TRUNCATED: 1,
        DropReason.TOO_SHORT: 1,
    }
    assert fates() == statistics.frames
    statistics.clear()
    assert (fates(), statistics.frames) == (0, 0)
