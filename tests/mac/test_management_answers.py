"""The node's own answers to management requests, and noise of every kind thrown at a node."""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mac import (
    ChannelTiming,
    DomainEntry,
    DomainId,
    DropReason,
    Group,
    GroupEntry,
    Lpdu,
    LpduHeader,
    Node,
    NodeConfig,
    NodeState,
    Npdu,
    RequestReceived,
    Spdu,
    SpduType,
    StateChanged,
    SubnetNode,
    TransactionDone,
    UniqueId,
    WasReset,
)
from mac import management as m
from mac.configuration import ConfigurationData

CLIENT = SubnetNode(1, 1)


class Dialogue:
    """One requester and one node; each request gets a new number and all the time it needs."""

    def __init__(self, node, domain):
        self.node, self.domain, self.now, self.number = node, domain, 10.0, 0
        self.events = []

    def ask(self, request, destination=None, pdu_type=SpduType.REQUEST):
        """The response APDU, None for silence."""
        apdu = request if isinstance(request, bytes) else request.encode()
        self.number = self.number % 15 + 1
        to = destination or self.node.address() or UniqueId(self.node.config.unique_node_id)
        npdu = Npdu(CLIENT, to, self.domain, Spdu(pdu_type, self.number, apdu=apdu))
        self.run(self.now)
        self.node.receive_frame(Lpdu(LpduHeader(), npdu).encode(), self.now)
        answers = self.run(self.now + 1.0)
        assert len(answers) <= 1
        return answers[0] if answers else None

    def run(self, until):
        """APDUs of the responses sent up to `until`."""
        answers = []
        while (at := self.node.next_timer()) is not None and at <= until:
            self.node.on_timer(at)
            for frame in self.node.frames_to_send(at):
                pdu = Lpdu.decode(frame.octets).npdu.pdu
                answers += [pdu.apdu] if isinstance(pdu, Spdu) and pdu.type is SpduType.RESPONSE else []
                self.node.transmission_done(at)
        while (event := self.node.next_event()) is not None:
            self.events.append(event)
        self.now = until
        return answers


@pytest.fixture
def talk(make_node, domain):
    return Dialogue(make_node(7), domain)


@pytest.mark.parametrize("selected", [False, True])
@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("selector", list(m.QuerySelector))
def test_query_id_is_answered_by_those_who_are_meant(make_node, domain, selector, configured, selected):
    talk = Dialogue(make_node(7, address=configured), domain)
    assert talk.ask(m.RespondToQuery(selected)) == b"\x22"
    meant = {
        m.QuerySelector.UNCONFIGURED: not configured,
        m.QuerySelector.SELECTED: selected,
        m.QuerySelector.SELECTED_UNCONFIGURED: selected and not configured,
    }[selector]
    report = m.IdReport(talk.node.config.unique_node_id, talk.node.config.program_id).encode()
    assert talk.ask(m.QueryId(selector)) == (report if meant else None)


@pytest.mark.parametrize(
    ("offset", "octets", "answered"),
    [(0, b"\x02\xfc", True), (0, b"\x02\xfd", False), (13, b"\x9f\xff", True), (20, b"\x01\x00", False)],
)
def test_query_id_can_ask_for_memory_contents(make_node, domain, offset, octets, answered):
    talk = Dialogue(make_node(7, address=False), domain)
    request = m.QueryId(mode=m.MemoryMode.READ_ONLY, offset=offset, octets=octets)
    assert (talk.ask(request) is not None) == answered


def test_query_status_counts_and_clear_status_clears(make_node, domain):
    talk = Dialogue(make_node(7), domain)
    for _ in range(3):
        talk.node.receive_error(1.0)
    report = m.StatusReport.decode(talk.ask(m.QueryStatus()))
    assert (report.transmission_errors, report.reset_cause, report.state) == (3, 1, NodeState.CONFIGURED)
    assert talk.ask(m.ClearStatus()) == b"\x33"
    report = m.StatusReport.decode(talk.ask(m.QueryStatus()))
    assert (report.transmission_errors, report.reset_cause) == (0, 0)


def test_counters_stick_at_65535_on_the_wire(talk):
    talk.node.statistics.lost = 70_000
    assert m.StatusReport.decode(talk.ask(m.QueryStatus())).lost == 65_535


def test_offline_and_online(talk):
    assert talk.ask(m.SetNodeMode(m.NodeMode.OFFLINE)) is None
    assert talk.node.state is NodeState.SOFT_OFFLINE
    assert m.StatusReport.decode(talk.ask(m.QueryStatus())).state_octet == 0x0C
    assert talk.ask(b"\x05 hello") == b"\x3f"
    assert talk.ask(b"\xc0\x01") is None
    assert talk.node.statistics.drops[DropReason.OFFLINE] == 2
    assert talk.ask(m.SetNodeMode(m.NodeMode.ONLINE)) is None
    assert talk.node.state is NodeState.CONFIGURED
    assert talk.events == [StateChanged(NodeState.SOFT_OFFLINE), StateChanged(NodeState.CONFIGURED)]


@pytest.mark.parametrize(("mode", "physical"), [(m.NodeMode.RESET, False), (m.NodeMode.PHYSICAL_RESET, True)])
def test_reset_forgets_what_is_volatile(talk, mode, physical):
    talk.ask(m.SetNodeMode(m.NodeMode.OFFLINE))
    talk.ask(m.RespondToQuery(True))
    handle = talk.node.send_acknowledged(SubnetNode(1, 99), b"\5", talk.now, transmit_time=60.0)
    assert talk.ask(m.SetNodeMode(mode)) is None
    assert talk.events[-1] == WasReset(physical)
    assert TransactionDone(handle, False, 0) in talk.events, "the first try was still waiting for the line"
    assert talk.node.frames_waiting == 0
    assert StateChanged(NodeState.CONFIGURED) in talk.events
    assert talk.ask(m.QueryId(m.QuerySelector.SELECTED)) is None
    assert m.StatusReport.decode(talk.ask(m.QueryStatus())).reset_cause == 0x14


def test_reset_forgets_received_messages(make_node, domain):
    node = make_node(7)
    frame = Lpdu(LpduHeader(), Npdu(CLIENT, SubnetNode(1, 7), domain, Spdu(SpduType.REQUEST, 1, apdu=b"\5"))).encode()
    node.receive_frame(frame, 1.0)
    assert isinstance(node.next_event(), RequestReceived)
    node.receive_frame(frame, 1.5)
    assert node.next_event() is None
    node.reset(2.0)
    node.receive_frame(frame, 2.5)
    assert isinstance(node.next_event(), RequestReceived)


def test_reset_aborts_what_waits_for_its_turn(make_node):
    node = make_node(7, reset_silence=5.0)
    handles = [
        node.send_unacknowledged(SubnetNode(1, 1), b"\5", 0.0),
        node.send_acknowledged(SubnetNode(1, 1), b"\5", 0.0),
        node.send_request(SubnetNode(1, 1), b"\5", 0.0, priority=True),
    ]
    node.reset(1.0)
    done = [node.next_event() for _ in handles]
    assert {event.handle: event.success for event in done} == dict.fromkeys(handles, False)
    node.on_timer(20.0)
    assert node.frames_waiting == 0


@pytest.mark.parametrize("state", [NodeState.HARD_OFFLINE, NodeState.APPLICATIONLESS, NodeState.UNCONFIGURED])
def test_change_of_state_is_confirmed(talk, state):
    assert talk.ask(m.SetNodeMode(m.NodeMode.CHANGE_STATE, state)) == b"\x2c"
    assert talk.node.state is state


def test_domain_rows_are_written_and_read(talk):
    row = DomainEntry(DomainId(b"abc"), 9, 9, b"secret")
    assert talk.ask(m.UpdateDomain(1, row)) == b"\x23"
    assert m.DomainReport.decode(talk.ask(m.QueryDomain(1))) == m.DomainReport(row)
    assert talk.ask(m.UpdateKey(1, b"\1\1\1\1\1\xff")) == b"\x25"
    report = m.DomainReport.decode(talk.ask(m.QueryDomain(1)))
    assert report.entry is not None
    assert report.entry.key == b"tfdsfs"
    assert talk.ask(m.UpdateDomain(1, None)) == b"\x23"
    assert talk.ask(m.QueryDomain(1)) == b"\x2a" + b"\xff" * 15


@pytest.mark.parametrize(
    "request_value",
    [m.UpdateDomain(2, None), m.LeaveDomain(2), m.QueryDomain(2), m.UpdateKey(2, bytes(6))],
    ids=lambda r: type(r).__name__,
)
def test_rows_that_do_not_exist_are_refused_and_logged(talk, request_value):
    assert talk.ask(request_value) == bytes([request_value.CODE & 0x1F])
    assert m.StatusReport.decode(talk.ask(m.QueryStatus())).last_error == 138


def test_address_rows_make_the_node_a_group_member(talk):
    row = GroupEntry(9, 3, 2)
    assert talk.ask(b"\x51", Group(9)) is None
    assert talk.ask(m.UpdateAddress(14, row.encode())) == b"\x26"
    assert talk.ask(m.QueryAddress(14)) == b"\x27" + row.encode()
    assert talk.ask(b"\x51", Group(9)) is not None
    assert talk.ask(m.UpdateAddress(15, row.encode())) == b"\x06"
    assert talk.ask(m.QueryAddress(15)) == b"\x07"


def test_configuration_memory(talk):
    octets = ConfigurationData.of(talk.node.config, ChannelTiming.load("pl20a_nes")).octets
    assert octets.hex(" ") == (
        "00 00 00 00 00 00 00 00 1c 5b 00 3b 96 5a 4a 00 00 0e 01 00 12 00 01 00 d0"
    )  # octets 9..24 as the transceiver table of the OSGP system has them
    assert talk.ask(m.ReadMemory(m.MemoryMode.CONFIGURATION, 0, 25)) == b"\x2d" + octets
    assert talk.ask(m.WriteMemory(m.MemoryMode.CONFIGURATION, 2, b"cellar", form=4)) == b"\x2e"
    assert talk.ask(m.ReadMemory(m.MemoryMode.CONFIGURATION, 2, 6)) == b"\x2dcellar"


def test_statistics_memory_has_twelve_words(talk):
    talk.node.receive_error(1.0)
    octets = talk.ask(m.ReadMemory(m.MemoryMode.STATISTICS, 0, 24))
    assert octets[:3] == b"\x2d\0\1"
    assert len(octets) == 25


@pytest.mark.parametrize(
    "request_value",
    [
        m.ReadMemory(m.MemoryMode.ABSOLUTE, 1, 1),
        m.ReadMemory(m.MemoryMode.CONFIGURATION, 20, 6),
        m.ReadMemory(m.MemoryMode.READ_ONLY, 41, 1),
        m.WriteMemory(m.MemoryMode.CONFIGURATION, 24, b"12"),
        m.WriteMemory(m.MemoryMode.READ_ONLY, 0, b"1"),
    ],
    ids=str,
)
def test_memory_that_is_not_there_is_refused(talk, request_value):
    assert talk.ask(request_value) == bytes([request_value.CODE & 0x1F])


def test_write_with_reset_form_resets(talk):
    assert talk.ask(m.WriteMemory(m.MemoryMode.CONFIGURATION, 2, b"x", form=12)) == b"\x2e"
    assert talk.events == [WasReset(False)]


@pytest.mark.parametrize(("octets", "answer"), [("55", "15"), ("7D0101", "1D"), ("5A", "1A"), ("70", "10")])
def test_unknown_requests_get_the_failure_code(talk, octets, answer):
    assert talk.ask(bytes.fromhex(octets)) == bytes.fromhex(answer)
    assert talk.node.statistics.drops[DropReason.UNKNOWN_MESSAGE] == 1


@pytest.mark.parametrize("octets", ["52", "5203", "520101"])
def test_malformed_proxy_commands_get_the_failure_code(talk, octets):
    assert talk.ask(bytes.fromhex(octets)) == b"\x12"
    drops = talk.node.statistics.drops
    assert drops[DropReason.MALFORMED] + drops[DropReason.TRUNCATED] == 1


@pytest.mark.parametrize("octets", ["61", "6109", "6204", "6300", "64", "6C", "6C09", "6C0309", "6D02", "6E0200000301", "5100"])
def test_malformed_requests_get_the_failure_code(talk, octets):
    apdu = bytes.fromhex(octets)
    assert talk.ask(apdu) == bytes([m.failure_code(apdu[0])])
    drops = talk.node.statistics.drops
    assert drops[DropReason.MALFORMED] + drops[DropReason.TRUNCATED] == 1


def test_management_authentication_leaves_only_the_open_commands(make_node, domain):
    talk = Dialogue(make_node(7, management_authentication=True), domain)
    assert talk.ask(m.QueryDomain(0)) == b"\x0a"
    assert talk.ask(m.UpdateDomain(0, None)) == b"\x03"
    assert talk.node.address() == SubnetNode(1, 7)
    assert m.StatusReport.decode(talk.ask(m.QueryStatus())).last_error == 160
    assert talk.ask(m.RespondToQuery(True)) == b"\x22"
    assert talk.ask(m.QueryId(m.QuerySelector.SELECTED)) is not None
    talk.node.set_state(NodeState.UNCONFIGURED)
    assert talk.ask(m.QueryDomain(0)) is not None, "an unconfigured node asks nobody for a key"


def test_request_without_apdu_is_declined(talk):
    assert talk.ask(b"") is None
    assert talk.node.statistics.drops[DropReason.TRUNCATED] == 1


# --- noise ---------------------------------------------------------------------------------------------------------

TIMING = ChannelTiming.load("pl20a_nes")
DOMAIN = DomainId(b"NESDOM")
REAL = [
    "0119 01E4 0187 4E4553444F4D 03 51",
    "011B 01E4 0187 4E4553444F4D 03 51",
    "0F13 01E4 00 4E4553444F4D 02 6100",
    "001F 01E4 00 02FC0000000D 4E4553444F4D 04 63 00 4E4553444F4D 01 87 06 112233445566",
    "001B 01E4 0187 4E4553444F4D 0C 6E 02 0018 01 04 88",
    "0217 01E4 05 4E4553444F4D 55 01 01 05 02",
    "002B 0187 01E4 4E4553444F4D 88 1122334455667788",
    "3033 0080 00 4E4553444F4D 7F 02FC0000000C 9FFFFF0000000001",
]


def damaged(octets, cut, flips):
    octets = bytearray(octets[: max(0, len(octets) - cut)])
    for position, value in flips:
        if octets:
            octets[position % len(octets)] ^= value
    return bytes(octets)


frames = st.binary(max_size=40) | st.builds(
    damaged,
    st.sampled_from([bytes.fromhex(text) for text in REAL]),
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=3),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(frames, max_size=30), st.sampled_from([None, 7, 100]))
def test_no_frame_raises_and_the_node_goes_on(sequence, address):
    domains = () if address is None else (DomainEntry(DOMAIN, 1, address),)
    config = NodeConfig(
        unique_node_id=bytes.fromhex("02FC0000000D"), domains=domains, groups=(GroupEntry(5, 3, 1),), reset_silence=0.0
    )
    node = Node(config, TIMING, Random(1))
    now = 0.0
    with suppress(Exception):
        node.send_request(SubnetNode(1, 8), b"\0", now)
    for octets in sequence:
        now += 0.2
        node.receive_frame(octets, now)
        node.on_timer(now)
        for frame in node.frames_to_send(now):
            Lpdu.decode(frame.octets)
            node.transmission_done(now)
        while (event := node.next_event()) is not None:
            if isinstance(event, RequestReceived):
                node.respond(event.request_id, event.apdu[:200], now)
    fresh = Dialogue(node, DOMAIN)
    fresh.run(now + 30.0)
    assert fresh.ask(b"\x51", UniqueId(node.config.unique_node_id))[0] == 0x31


def test_short_frames_count_as_transmission_errors(make_node):
    node = make_node(7)
    for octets in (b"", b"\0", bytes(5)):
        node.receive_frame(octets, 1.0)
    assert node.statistics.transmission_errors == 3
    assert node.statistics.drops[DropReason.TOO_SHORT] == 3
    assert node.statistics.l2_received == 0
