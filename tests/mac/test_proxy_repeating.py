"""Repeaters and agents under all that may come: frame by frame at one station, and whole chains on a line."""

from dataclasses import replace
from random import Random

import pytest
from chain_line import DOMAIN, Chain, stations

from mac import (
    AuthPdu,
    Broadcast,
    ChannelTiming,
    DomainEntry,
    DomainId,
    DropReason,
    Group,
    GroupEntry,
    GroupReply,
    Lpdu,
    LpduHeader,
    MessageReceived,
    Node,
    NodeConfig,
    NodeState,
    Npdu,
    ProxyDone,
    ProxyHop,
    ProxyOutcome,
    ProxyRoute,
    Reception,
    Service,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    TransactionDone,
    UniqueId,
    management,
)

INSTANT = replace(ChannelTiming.load("pl20a_nes"), input_clock_hz=10**13)
KEY = bytes.fromhex("010203040506")
OWN = SubnetNode(35, 12)
REPEAT = bytes.fromhex("4D01230D242C25230E51")  # to 35/13, who asks 35/14
ASK = bytes.fromhex("4D002C25230D51")  # asks 35/13


class Station:
    """One node, whose neighbours we are; access takes no time."""

    def __init__(self, **options):
        config = {"unique_node_id": bytes.fromhex("02FC0000000C"), "domains": (DomainEntry(DOMAIN, 35, 12, KEY),)}
        config |= {"receive_code": 8, "reset_silence": 0.0, **options}
        self.node = Node(NodeConfig(**config), INSTANT, Random(1))
        self.sent = []
        self.now = 0.0

    def hear(self, pdu, source=15, destination=OWN, domain=DOMAIN, at=None, **header):
        self.run(self.now if at is None else at)
        npdu = Npdu(SubnetNode(35, source) if isinstance(source, int) else source, destination, domain, pdu)
        self.node.receive_frame(Lpdu(LpduHeader(**header), npdu).encode(), self.now)

    def ask(self, apdu, number=1, source=15, auth=False, at=None, **header):
        self.hear(Spdu(SpduType.REQUEST, number, auth, apdu), source, at=at, **header)
        return self.soon()

    def answer(self, apdu, number, source=13, at=None):
        self.hear(Spdu(SpduType.RESPONSE, number, apdu=apdu), source, at=at)
        return self.soon()

    def soon(self):
        """What is sent without delay."""
        return self.run(self.now + 1e-5)

    def run(self, until):
        """What is sent up to an instant."""
        before = len(self.sent)
        while (at := self.node.next_timer()) is not None and at <= until:
            self.now = max(at, self.now)
            self.node.on_timer(self.now)
            for frame in self.node.frames_to_send(self.now):
                self.sent.append((self.now, Lpdu.decode(frame.octets)))
                self.node.transmission_done(self.now)
        self.now = until
        return self.sent[before:]

    def forwarded(self, to=13):
        """What was sent to a node."""
        return [lpdu.npdu.pdu for _, lpdu in self.sent if lpdu.npdu.destination == SubnetNode(35, to)]

    def answers(self, to=15):
        """Responses sent to a node."""
        pdus = [(at, lpdu.npdu) for at, lpdu in self.sent if lpdu.npdu.destination == SubnetNode(35, to)]
        return [(at, npdu.pdu.apdu) for at, npdu in pdus if npdu.pdu.type is SpduType.RESPONSE]


def only(sent):
    ((_, lpdu),) = sent
    return lpdu


# --- what is sent on ---------------------------------------------------------------------------------------------


def test_number_is_kept_and_the_next_own_one_follows():
    station = Station()
    assert only(station.ask(REPEAT, 9)).npdu.pdu.number == 9
    station.answer(b"\x31", 9)
    station.node.send_request(SubnetNode(35, 20), b"\x51", station.now)
    assert only(station.soon()).npdu.pdu.number == 10


@pytest.mark.parametrize("service", [Service.ACKNOWLEDGED, Service.REPEATED, Service.UNACKNOWLEDGED])
def test_without_a_request_nobody_is_answered(service):
    station = Station()
    pdu = {
        Service.ACKNOWLEDGED: Tpdu(TpduType.ACKD, 5, apdu=REPEAT),
        Service.REPEATED: Tpdu(TpduType.UNACKD_RPT, 5, apdu=REPEAT),
        Service.UNACKNOWLEDGED: None,
    }[service]
    if pdu is None:
        station.node.receive_frame(bytes.fromhex("0039238F238C51") + REPEAT, 0.0)
    else:
        station.hear(pdu)
    station.run(5.0)
    assert not station.answers()
    forwarded = station.forwarded()
    if service is Service.ACKNOWLEDGED:
        assert only(station.sent[:1]).npdu.pdu == Tpdu(TpduType.ACK, 5)
        assert [pdu.type for pdu in forwarded] == [TpduType.ACKD] * 3
    elif service is Service.REPEATED:
        assert [pdu.type for pdu in forwarded] == [TpduType.UNACKD_RPT] * 3
        assert forwarded[0].number == 0  # its own, only that of a request is kept
    else:
        assert [pdu.code for pdu in forwarded] == [0x4D]


def test_repeated_tries_of_the_station_before_are_not_sent_on_again():
    station = Station()
    station.ask(REPEAT, 3)
    for at in (0.01, 0.02, 0.03):
        assert station.ask(REPEAT, 3, at=at) == []
    assert only(station.answer(b"\x31\x00", 3, at=0.05)).npdu.pdu.apdu == b"\x31\x00"
    again = only(station.ask(REPEAT, 3, at=0.06))
    assert again.npdu.pdu == Spdu(SpduType.RESPONSE, 3, apdu=b"\x31\x00")


def test_only_the_first_response_is_sent_back():
    station = Station()
    ask_all = bytes.fromhex("4D006C13230351")  # broadcast to subnet 35, three answers announced
    assert only(station.ask(ask_all, 4)).npdu.destination == Broadcast(35)
    station.answer(b"\x31\x01", 4, source=20)
    station.answer(b"\x31\x02", 4, source=21)
    station.run(9.0)
    assert [apdu for _, apdu in station.answers()] == [b"\x31\x01"]
    assert station.node.statistics.late_acknowledgements == 1


def test_group_request_is_answered_once_and_goes_on_until_all_have_answered():
    station = Station(groups=(GroupEntry(7, 3, 0),))
    ask_group = bytes.fromhex("4D000C25070351")
    first = only(station.ask(ask_group, 4))
    assert first.npdu.destination == Group(7)
    assert first.header.delta_backlog == 2
    answer = Spdu(SpduType.RESPONSE, 4, apdu=b"\x31\x01")
    station.hear(answer, 20, GroupReply(OWN, 7, 1))
    assert only(station.soon()).npdu.pdu.apdu == b"\x31\x01"
    station.run(2.0)
    reminders = [lpdu.npdu.pdu for _, lpdu in station.sent if lpdu.npdu.destination == Group(7)][1:]
    assert [(pdu.type, pdu.m_list) for pdu in reminders] == [(SpduType.REM_MSG, b"\x02")] * 2
    assert [apdu for _, apdu in station.answers()] == [b"\x31\x01"]


def test_group_that_does_not_answer_is_a_failure():
    station = Station()
    station.ask(bytes.fromhex("4D000C25070351"), 4)
    station.run(2.0)
    assert len(station.sent) == 4
    assert [apdu for _, apdu in station.answers()] == [b"\x4c\x00"]


@pytest.mark.parametrize("order", ["4D00002507000541", "4D008025070541"])
def test_group_that_cannot_acknowledge_is_a_failure_at_once(order):
    station = Station()
    assert only(station.ask(bytes.fromhex(order))).npdu.pdu.apdu == b"\x4c\x00"


def test_target_data_of_102_octets_pass_and_one_more_is_a_failure():
    station = Station()
    head = bytes.fromhex("4D002C25230D05")
    assert len(only(station.ask(head + bytes(102))).npdu.pdu.apdu) == 103
    assert only(station.ask(head + bytes(103), source=16)).npdu.pdu.apdu == b"\x4c\x00"


SHORT = ["4D", "4D00", "4D002C25", "4D0F230D230D24", "4D02230D230D", "4D8200", "4D002C2523"]


@pytest.mark.parametrize("message", [*SHORT, "4D002E2502112233445566230D05"])
def test_malformed_messages_are_dropped_in_silence(message):
    station = Station()
    assert station.ask(bytes.fromhex(message)) == []
    assert station.ask(bytes.fromhex(message)) == []  # no answer to a copy either
    assert station.run(5.0) == []
    drops = station.node.statistics.drops
    assert drops[DropReason.TRUNCATED] + drops[DropReason.MALFORMED] == 1


def test_unknown_octets_at_the_end_go_on_unread():
    station = Station()
    assert only(station.ask(REPEAT + b"\xaa\xbb")).npdu.pdu.apdu == bytes.fromhex("4D002C25230E51AABB")


def test_long_number_is_replaced_by_an_own_one():
    station = Station()
    octets = bytes.fromhex("009923 8F 238C 51 0ABC".replace(" ", "")) + REPEAT  # version 2, number 0xABC
    station.node.receive_frame(octets, 0.0)
    assert only(station.soon()).npdu.pdu.number == 0
    station.answer(b"\x31", 0)
    assert station.sent[-1][1].npdu.version == 2
    assert station.sent[-1][1].npdu.pdu.number == 0xABC


def test_second_row_of_the_domain_table_is_used_where_the_message_came_on_it():
    other = DomainId(b"ABC")
    station = Station(domains=(DomainEntry(DOMAIN, 35, 12), DomainEntry(other, 4, 9)))
    uniform = bytes.fromhex("4D810D24EC250E51")
    station.hear(Spdu(SpduType.REQUEST, 2, apdu=uniform), SubnetNode(4, 1), SubnetNode(4, 9), other)
    sent = only(station.soon()).npdu
    assert (sent.source, sent.destination, sent.domain) == (SubnetNode(4, 9), SubnetNode(4, 13), other)


def test_from_a_foreign_domain_it_goes_on_over_row_0_and_never_to_all_agents():
    station = Station()
    message = bytes.fromhex("4D21230D242425230E05A1")
    elsewhere = DomainId(b"")
    station.hear(Spdu(SpduType.REQUEST, 2, apdu=message), SubnetNode(9, 9), UniqueId(bytes.fromhex("02FC0000000C")), elsewhere)
    sent = only(station.soon()).npdu
    assert (sent.source, sent.destination, sent.domain) == (OWN, SubnetNode(35, 13), DOMAIN)
    back = only(station.answer(b"\x4d", 2)).npdu
    assert (back.source, back.destination, back.domain) == (SubnetNode(0, 0), SubnetNode(9, 9), elsewhere)


@pytest.mark.parametrize("state", [NodeState.SOFT_OFFLINE, NodeState.HARD_OFFLINE, NodeState.APPLICATIONLESS])
def test_station_whose_application_does_not_run_repeats_all_the_same(state):
    station = Station(state=state)
    assert only(station.ask(REPEAT)).npdu.destination == SubnetNode(35, 13)


def test_unconfigured_station_reports_failure():
    station = Station(state=NodeState.UNCONFIGURED)
    station.hear(Spdu(SpduType.REQUEST, 2, apdu=REPEAT), destination=Broadcast(0))
    assert only(station.soon()).npdu.pdu.apdu == b"\x4c\x01"


# --- all agents --------------------------------------------------------------------------------------------------


def test_all_agents_of_a_request_answer_once():
    station = Station()
    message = bytes.fromhex("4D21230D242425230E05A1")
    forwarded = only(station.ask(message, 2))
    assert forwarded.npdu.pdu.apdu == bytes.fromhex("4D202425230E05A1")
    station.answer(b"\x4d", 2)
    station.run(5.0)
    copies = station.forwarded(14)
    assert [copy.apdu for copy in copies] == [b"\x05\xa1"] * 3
    assert copies[0].number == 3  # an own one, after that of the request
    assert [apdu for _, apdu in station.answers()] == [b"\x4d"]


def test_all_agents_with_an_unreadable_agent_part_still_repeat():
    station = Station()
    message = bytes.fromhex("4D21230D2424")  # nothing for an agent to do
    assert station.ask(message + b"\x25\x23") != []
    assert station.node.statistics.messages == 1
    assert sum(station.node.statistics.drops.values()) == 0


# --- records and buffers -----------------------------------------------------------------------------------------


def test_failure_is_reported_even_when_it_takes_longer_than_the_receive_timer():
    station = Station(receive_code=8)  # 2 s
    station.ask(bytes.fromhex("4D412363102C13230E51"), 6)  # two tries with the long timer of 4.1 s
    station.run(9.0)
    assert [(round(at, 3), apdu) for at, apdu in station.answers()] == [(8.192, b"\x4c\x01")]
    copy = station.ask(bytes.fromhex("4D412363102C13230E51"), 6, at=15.0)
    assert only(copy).npdu.pdu.apdu == b"\x4c\x01"
    assert len(station.ask(bytes.fromhex("4D412363102C13230E51"), 6, at=40.0)) == 1
    assert len(station.sent) == 5  # executed again once the record is gone


def test_more_messages_than_buffers_wait_a_second_and_then_fail():
    station = Station()
    slow = bytes.fromhex("4D01230D3C2C25230E51")  # four tries of 1024 ms
    for source in range(20, 26):
        station.ask(slow, 3, source)
    station.run(0.9)
    assert len({lpdu.npdu.destination for _, lpdu in station.sent}) == 1  # one transaction at a time
    station.run(1.1)
    refused = [(source, station.answers(source)) for source in range(20, 26) if station.answers(source)]
    assert refused == [(source, [(pytest.approx(1.0, abs=0.001), b"\x4c\x01")]) for source in (24, 25)]
    assert station.node.statistics.lost == 2
    station.run(30.0)
    assert all(station.answers(source)[-1][1] == b"\x4c\x01" for source in range(20, 26))


def test_buffer_that_becomes_free_in_time_is_used():
    station = Station()
    for source in range(20, 25):
        station.ask(REPEAT, 3, source)
    for number, _ in enumerate(range(20, 25)):
        station.answer(b"\x31" + bytes([number]), station.forwarded()[-1].number, at=0.01 * (number + 1))
    assert [station.answers(source)[0][1][1] for source in range(20, 25)] == [0, 1, 2, 3, 4]


def test_other_priority_class_has_its_own_buffers():
    station = Station()
    for source in range(20, 25):
        station.ask(REPEAT, 3, source)
    assert only(station.ask(REPEAT, 3, 30, priority=True)).header.priority


def test_message_whose_sender_has_moved_on_is_not_sent_when_a_buffer_becomes_free():
    station = Station()
    for source in range(20, 25):
        station.ask(REPEAT, 3, source)
    station.hear(Spdu(SpduType.REQUEST, 4, apdu=b"\x51"), 24)
    station.run(0.001)
    before = station.node.statistics.lost
    for at in (0.01, 0.02, 0.03, 0.04):
        station.answer(b"\x31", station.forwarded()[-1].number, at=at)
    assert len(station.forwarded()) == 4
    assert station.node.statistics.lost == before + 1


def test_flood_of_messages_does_not_pile_up():
    station = Station()
    for index in range(500):
        station.ask(REPEAT + bytes([index & 255, index >> 8]), index % 15 + 1, 20 + index % 3)
    forwarder = station.node._forwarder
    assert len(forwarder._under_way) <= 4 and len(forwarder.stalled) <= 16
    assert station.node.frames_waiting <= 32
    station.run(100.0)
    assert not forwarder._under_way and not forwarder.stalled
    assert station.node.next_timer() is None


def test_reset_forgets_what_was_under_way():
    station = Station()
    station.ask(REPEAT, 3)
    station.node.reset(0.01)
    assert station.answer(b"\x31", 3, at=0.02) == []
    station.run(5.0)
    assert not station.answers()
    assert only(station.ask(REPEAT, 3)).npdu.destination == SubnetNode(35, 13)


def test_same_number_and_octets_of_another_source_get_an_own_number():
    """Otherwise the next station, which sees one sender in both, would answer from its store."""
    station = Station()
    assert only(station.ask(REPEAT, 3, 20)).npdu.pdu.number == 3
    station.answer(b"\x31\x01", 3)
    assert only(station.ask(REPEAT, 3, 21)).npdu.pdu.number == 4
    station.answer(b"\x31\x02", 4)
    assert [apdu for _, apdu in station.answers(21)] == [b"\x31\x02"]
    assert only(station.ask(REPEAT + b"\x00", 3, 20)).npdu.pdu.number == 3  # other octets are no duplicate


# --- authentication ----------------------------------------------------------------------------------------------


def test_unauthenticated_message_goes_on_without_asking_to_be_authenticated():
    station = Station()
    assert not only(station.ask(REPEAT, 1)).npdu.pdu.auth
    challenge = only(station.ask(ASK, 2, 16, auth=True)).npdu.pdu
    assert isinstance(challenge, AuthPdu)
    wrong = AuthPdu.decode(challenge.encode())
    station.answer(b"\x31", 1)
    station.hear(replace(wrong, type=challenge.type + 2, value=bytes(8)), 16)
    assert not station.soon()[-1][1].npdu.pdu.auth


def test_challenge_of_the_next_station_is_answered_with_the_alternate_key():
    """The recorded exchange has it too; here with a row-1 domain, whose key alone is changed."""
    other = DomainId(b"ABC")
    keys = bytes(6), bytes.fromhex("0A0B0C0D0E0F")
    station = Station(domains=(DomainEntry(DOMAIN, 35, 12, keys[0]), DomainEntry(other, 4, 9, keys[1])))
    delta = bytes(range(6))
    order = bytes.fromhex("4D002E2500") + delta + bytes.fromhex("230D05A1")
    address = SubnetNode(4, 1), SubnetNode(4, 9), other
    station.hear(Spdu(SpduType.REQUEST, 2, True, order), *address)
    challenge = only(station.soon()).npdu.pdu
    reply = station.node._network.keys.reply(challenge.value, order, 1)
    station.hear(AuthPdu(2, 2, 2, reply), *address)
    assert only(station.soon()).npdu.pdu.auth
    station.hear(AuthPdu(0, 2, 2, b"12345678"), SubnetNode(35, 13), SubnetNode(4, 9), other)
    value = only(station.soon()).npdu.pdu.value
    alternate = station.node._network.keys.increased((bytes(6), delta))
    assert value == alternate.reply(b"12345678", b"\x05\xa1", 1)


def test_every_hop_of_an_authenticated_message_is_challenged():
    keys = [bytes([n]) * 6 for n in range(4)]
    nodes = stations(4)
    for node, key in zip(nodes, keys, strict=True):
        entry = node.domains[0]
        node.set_domain(0, replace(entry, key=KEY if key != keys[3] else bytes.fromhex("112233445566")))
        while node.next_event() is not None:
            pass
    chain = Chain(nodes)
    hops = (ProxyHop(SubnetNode(35, 2)), ProxyHop(SubnetNode(35, 3)))
    delta = bytes((a - b) % 256 for a, b in zip(bytes.fromhex("112233445566"), KEY, strict=True))
    route = ProxyRoute(hops, SubnetNode(35, 4), service=Service.ACKNOWLEDGED, key_increment=delta)
    nodes[0].send_proxied(route, b"\x05\xa1", 0.0, authenticated=True)
    chain.run(5.0)
    assert [e.outcome for _, _, e in chain.events if isinstance(e, ProxyDone)] == [ProxyOutcome.DELIVERED]
    (message,) = [e for _, _, e in chain.events if isinstance(e, MessageReceived)]
    assert message.via.authenticated
    challenges = [f.sender for f in chain.log if isinstance(Lpdu.decode(f.octets).npdu.pdu, AuthPdu)]
    assert challenges == [1, 0, 2, 1, 3, 2]


# --- on a line ---------------------------------------------------------------------------------------------------


def test_signal_strength_of_the_target_gets_the_agents_reading_and_no_more():
    nodes = stations(4)
    for index, node in enumerate(nodes):
        node.last_reception = Reception(margin_db=3.0 * index, strength_db=-24.0)
    chain = Chain(nodes)
    hops = (ProxyHop(SubnetNode(35, 2)), ProxyHop(SubnetNode(35, 3)))
    nodes[0].send_proxied(ProxyRoute(hops, SubnetNode(35, 4)), b"\x57", 0.0)
    chain.run(5.0)
    (done,) = [e for _, _, e in chain.events if isinstance(e, ProxyDone)]
    report = management.SignalStrengthReport.decode(done.response)
    assert (report.target.margin_db, report.requester.margin_db) == (9.0, 6.0)


def test_classic_proxy_refuses_what_it_cannot_do():
    station = Station()
    assert only(station.ask(bytes.fromhex("520101630303"))).npdu.pdu.apdu == b"\x12"
    assert only(station.ask(bytes.fromhex("52 01 7F 63 03 03 23".replace(" ", "")), 2)).npdu.pdu.apdu == b"\x12"
    station.hear(
        Spdu(SpduType.REQUEST, 2, apdu=bytes.fromhex("52010163030323")),
        SubnetNode(9, 9),
        UniqueId(bytes.fromhex("02FC0000000C")),
        DomainId(b""),
    )
    assert only(station.soon()).npdu.pdu.apdu == b"\x12"
    station.hear(Tpdu(TpduType.ACKD, 3, apdu=bytes.fromhex("52010163030323")))
    assert only(station.run(3.0)).npdu.pdu.type is TpduType.ACK  # no request: nobody to answer
    assert not [e for e in iter(station.node.next_event, None) if isinstance(e, TransactionDone)]


def test_classic_proxy_takes_the_path_of_the_request():
    station = Station()
    assert only(station.ask(bytes.fromhex("520101630303" + "23"), alt_path=True)).header.alt_path
