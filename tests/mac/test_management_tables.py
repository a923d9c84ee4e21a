"""What network management changes in a node: keys, groups, memory and its checksum, expanded commands, install, open commands."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    ChannelTiming,
    DomainEntry,
    DomainId,
    Group,
    GroupEntry,
    Lpdu,
    LpduHeader,
    NetworkVariable,
    Node,
    NodeConfig,
    NodeSnapshot,
    NodeState,
    Npdu,
    Reception,
    Spdu,
    SpduType,
    StateChanged,
    SubnetNode,
    Tpdu,
    TpduType,
    UniqueId,
    WasReset,
    Wink,
)
from mac import management as m
from mac.lonip import ADDRESS_LENGTH
from mac.read_only_data import buffer_count, buffer_size
from mac.responder import IpIdentity
from mac.responder.memory import IMAGE_BASE
from mac.variable_entry import AliasConfig, Direction, VariableConfig, VariableService

CLIENT = SubnetNode(1, 1)
KEY = bytes.fromhex("112233445566")
READ_ONLY_LENGTH = 41  # octets of the structure, from the field list of an MIT header (grade B)


class Dialogue:
    """One requester and one node; each request gets a new number and, unless told otherwise, half a second."""

    def __init__(self, node, domain):
        self.node, self.domain, self.now, self.number = node, domain, 10.0, 0
        self.events = []

    def ask(self, request, destination=None, wait=0.5):
        """The response APDU in hex, None for silence."""
        apdu = bytes.fromhex(request) if isinstance(request, str) else request.encode()
        self.number = self.number % 15 + 1
        to = destination or self.node.address() or UniqueId(self.node.config.unique_node_id)
        npdu = Npdu(CLIENT, to, self.domain, Spdu(SpduType.REQUEST, self.number, apdu=apdu))
        self.run(self.now)
        self.node.receive_frame(Lpdu(LpduHeader(), npdu).encode(), self.now)
        answers = self.run(self.now + wait)
        assert len(answers) <= 1
        return answers[0].hex().upper() if answers else None

    def run(self, until):
        answers = []
        while (at := self.node.next_timer()) is not None and at <= until:
            self.node.on_timer(at)
            for frame in self.node.frames_to_send(at):
                answers.append(Lpdu.decode(frame.octets).npdu.pdu.apdu)
                self.node.transmission_done(at)
        while (event := self.node.next_event()) is not None:
            self.events.append(event)
        self.now = until
        return answers

    def status(self):
        return m.StatusReport.decode(bytes.fromhex(self.ask("51")))


@pytest.fixture
def talk(make_node, domain):
    return Dialogue(make_node(7), domain)


@pytest.mark.parametrize(
    ("request_octets", "answer"),
    [
        ("63 01 " + "FF" * 15 + "00", "23"),
        ("66 03 83 01 34 58 07 00", "26"),
        ("6D 02 0000 01 00", "2D00"),
        ("60 07 01 " + "FF" * 9 + "00", "2007"),
        ("60 0A 00 " + "00" * 13, "200A"),
        ("65 00 00000000000000", "05"),
        ("6A 00 00", "0A"),
        ("51 00", "11"),
        ("62 01 00", "02"),
    ],
)
def test_octets_too_many_are_taken_as_a_known_stack_takes_them(talk, request_octets, answer):
    assert talk.ask(request_octets) == answer


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_of_both_rows_as_one_of_96_bits_even_when_a_row_is_blank(talk):
    assert talk.ask("60 0A 00 010203040506 0708090A0B0C") == "200A"
    assert talk.ask("60 09") == "2009" + "0102030405060708090A0B0C"
    assert talk.ask("60 0A 01 FFFFFFFFFFFF 010101010101") == "200A"
    assert talk.ask("60 09") == "2009" + "00010203040508090A0B0C0D"
    assert talk.ask("65 01 010101010101") == "25", "the blank row has a key as well"
    assert talk.ask("6A 01") == "2A" + "FF" * 9 + "090A0B0C0D0E"
    keys = talk.node.managed.network.keys
    assert keys.rows == (bytes.fromhex("000102030405"), bytes.fromhex("090A0B0C0D0E"))


def test_a_blank_row_may_bring_its_key(talk):
    assert talk.ask(m.UpdateDomain(1, None, KEY)) == "23"
    assert talk.ask("60 09")[-12:] == KEY.hex().upper()
    assert talk.ask("64 01") == "24"
    assert talk.ask("60 09")[-12:] == "FF" * 6


def test_rows_without_their_keys(talk):
    assert talk.ask(m.UpdateDomain(1, DomainEntry(DomainId(b"abc"), 9, 9, KEY))) == "23"
    assert talk.ask("60 08 01") == "2008 616263000000 09 89 03".replace(" ", "")
    assert talk.ask("60 07 01 616263000000 0A 8A 03") == "2007"
    assert talk.ask("6A 01") == "2A616263000000" + "0A8A03" + KEY.hex().upper(), "the key has stayed"
    assert talk.ask("60 08 02") == "0008"
    assert talk.status().last_error == 138


def test_no_key_is_shown(talk):
    for value in (m.UpdateDomain(1, None, KEY), m.UpdateKey(0, KEY), m.UpdateOmaKey(True, KEY + KEY), m.KeyReport(KEY + KEY)):
        assert "112233" not in repr(value).lower()
        assert "\\x11" not in repr(value)


# --- the address table ----------------------------------------------------------------------------------------------


def test_a_group_changes_its_size_and_timers_by_a_message_to_it(make_node, domain):
    talk = Dialogue(make_node(7, groups=(GroupEntry(3, 5, 2), GroupEntry(9, 3, 1, receive_code=2))), domain)
    new = m.UpdateGroupAddress(GroupEntry(44, 8, 30, 1, 1, 2, 3, 4))
    assert talk.ask(new) == "09", "only by group addressing"
    assert talk.ask(new, Group(9)) == "29"
    row = GroupEntry.decode(bytes.fromhex(talk.ask("67 01")[2:]))
    assert row == GroupEntry(9, 8, 1, 0, 1, 2, 3, 4), "number of the group, member and domain stay"
    assert talk.ask("67 00") == "27" + GroupEntry(3, 5, 2).encode().hex().upper()
    assert talk.node.groups[1].size == 8
    assert talk.ask("69 01 0F 00 00 23", Group(9)) == "09", "no group row"


def test_an_unassigned_row_may_lack_its_last_octet(talk):
    assert talk.ask("66 03 00 01 00 00") == "26"
    assert talk.ask("67 03") == "270001000000"
    assert talk.ask("66 03 01 07 00 00") == "06", "only an unassigned one"
    assert talk.ask("67 20") == "07"
    assert talk.status().last_error == 141


# --- memory and checksum --------------------------------------------------------------------------------------------


def test_absolute_memory_holds_the_image(talk):
    assert talk.ask("6D 00 0000 01") == "2D01", "the firmware version"
    assert talk.ask("6D 00 0000 02") == "0D"
    assert talk.ask("6D 00 EFFF 01") == "0D"
    read_only = talk.ask("6D 01 0000 29")[2:]
    assert read_only.startswith("02FC00000007" + "80" + "00" + "FFFF" + "00" + "FFFF" + "9FFFFF0000000001")
    assert talk.ask("6D 00 F000 29")[2:] == read_only
    assert len(read_only) == 2 * READ_ONLY_LENGTH
    assert talk.ask(f"6D 00 {IMAGE_BASE + READ_ONLY_LENGTH:04X} 19")[2:] == talk.ask("6D 02 0000 19")[2:]
    assert talk.ask(f"6D 00 {IMAGE_BASE + READ_ONLY_LENGTH + 25:04X} 0F")[2:] == talk.ask("6A 00")[2:]
    end = READ_ONLY_LENGTH + 25 + 30 + 75  # and one octet of checksum
    assert talk.ask(f"6D 00 {IMAGE_BASE + end:04X} 01") == f"2D{talk.node.managed.checksum:02X}"
    assert talk.ask(f"6D 00 {IMAGE_BASE + end:04X} 02") == "0D"


def test_checksum_is_the_exclusive_or_of_the_image(talk):
    total = 0
    for octet in bytes.fromhex(talk.ask("6D 02 0000 19")[2:] + talk.ask("6A 00")[2:] + talk.ask("6A 01")[2:]):
        total ^= octet
    assert talk.node.managed.checksum == total, "all address rows are zero"


def test_read_write_protection_leaves_little(make_node, domain):
    talk = Dialogue(make_node(7, read_write_protect=True), domain)
    for allowed in ("6D 00 0000 01", "6D 00 F000 29", "6D 00 F029 19", "6D 01 0000 10", "6D 02 0000 19"):
        assert talk.ask(allowed)[:2] == "2D", allowed
    assert talk.ask("6D 01 000A 01") == "2D80", "the protection shows"
    for refused in ("6D 00 F042 01", "6D 03 0000 02"):
        assert talk.ask(refused) == "0D", refused
    assert talk.ask("6E 02 0002 01 04 41") == "2E"
    assert talk.ask("6E 00 F02B 01 04 42") == "2E"
    assert talk.ask("6D 02 0002 01") == "2D42"
    assert talk.ask("6E 00 F042 01 04 42") == "0E"


def test_tables_can_be_written_as_memory(talk):
    row = DomainEntry(DomainId(b"Q"), 3, 4, KEY).encode().hex()
    assert talk.ask(f"6E 00 {IMAGE_BASE + READ_ONLY_LENGTH + 25 + 15:04X} 0F 04 {row}") == "2E"
    assert talk.node.domains[1].address == SubnetNode(3, 4)
    assert talk.ask(f"6E 00 {IMAGE_BASE + READ_ONLY_LENGTH + 25 + 30:04X} 05 04 8301345807") == "2E"
    assert talk.node.groups[0].group == 7
    bad = "04"  # a domain id of four octets does not exist
    assert talk.ask(f"6E 00 {IMAGE_BASE + READ_ONLY_LENGTH + 25 + 15 + 8:04X} 01 04 {bad}") == "0E"
    assert talk.ask("6D 02 0000 01", wait=3.0) == "2D00", "and the checksum is right: the node is still there"
    assert talk.node.state is NodeState.CONFIGURED


def test_a_wrong_configuration_checksum_makes_the_node_unconfigured_and_resets_it(talk):
    assert talk.ask("6E 02 0002 01 00 41", wait=0.9) == "2E"
    assert talk.node.state is NodeState.CONFIGURED
    talk.run(talk.now + 0.3)
    assert talk.node.state is NodeState.UNCONFIGURED
    assert talk.events[-2:] == [StateChanged(NodeState.UNCONFIGURED), WasReset(False)]
    report = talk.status()
    assert (report.last_error, report.reset_cause) == (153, 0x14)


REPAIRS = ["6F 04", "6F 01", "6F 05", "6E 02 0002 01 04 42", "6E 02 0002 01 01 42", "6E 02 0002 01 00 00"]


@pytest.mark.parametrize("repair", REPAIRS)
def test_a_checksum_made_right_in_time_keeps_the_node(talk, repair):
    talk.ask("6E 02 0002 01 00 41", wait=0.4)
    assert talk.ask(repair, wait=3.0) is not None
    assert talk.node.state is NodeState.CONFIGURED


def test_an_unconfigured_node_has_no_checksum_to_check(make_node, domain):
    talk = Dialogue(make_node(7, address=False), domain)
    talk.ask("6E 02 0002 01 00 41", wait=5.0)
    assert WasReset(False) not in talk.events


@pytest.mark.parametrize(
    ("request_octets", "answer"), [("71 0010 08 00", "31"), ("71 0100 08 00", "11"), ("71 0010 08 01", "11")]
)
def test_memory_refresh(talk, request_octets, answer):
    assert talk.ask(request_octets) == answer


def test_buffer_codes():
    assert [buffer_size(code) for code in range(16)] == [255, 20, 20, 21, 22, 24, 26, 30, 34, 42, 50, 66, 82, 114, 146, 210]
    assert [buffer_count(code) for code in (0, 1, 2, 9, 15)] == [0, 1, 1, 23, 191]


# --- states -----------------------------------------------------------------------------------------------------------

STATES = {  # octet -> (after off-line, after on-line, after reset), as Query Status shows it; from the table of node states
    "02": ("02", "02", "02"),
    "03": ("03", "03", "03"),
    "04": ("0C", "04", "04"),
    "06": ("06", "06", "06"),
    "07": ("07", "07", "07"),
    "0C": ("0C", "04", "04"),
}


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("state", STATES)
def test_every_state_meets_every_mode(talk, state, mode):
    by_id = UniqueId(talk.node.config.unique_node_id)
    assert talk.ask(f"6C 03 {state}", by_id) == "2C"
    assert talk.ask(f"6C 0{mode}", by_id) is None, "off-line, on-line and reset are not answered"
    assert talk.ask("51", by_id)[24:26] == STATES[state][mode]
    assert talk.ask("05 01", by_id) == ("3F" if STATES[state][mode] != "04" else None), "the application, or its absence"


@pytest.mark.parametrize("state", ["00", "01", "05", "8C", "FF"])
def test_states_that_cannot_be_set(talk, state):
    assert talk.ask(f"6C 03 {state}") == "0C"
    assert talk.node.state is NodeState.CONFIGURED


def test_status_report_of_a_bypassed_node():
    report = m.decode_response(0x51, bytes.fromhex("31" + "00" * 10 + "01 8C 04 00 A8"))
    assert report.state is NodeState.BYPASS


# --- status, identity, expanded commands ----------------------------------------------------------------------------


def test_version_phase_and_signal(make_node, domain):
    talk = Dialogue(make_node(7, firmware_version=4, firmware_minor=1, firmware_build=2), domain)
    assert talk.ask("59") == "39" + "040000010200"
    assert talk.ask("58") == "18", "the node does not know its phase"
    talk.node.managed.phase = m.PhaseReport(120, 50, 17, -3)
    assert talk.ask("58") == "38" + "0332" + "11" + "FD"
    assert talk.ask("57") == "37" + "00" * 7
    talk.node.last_reception = Reception(9.0, -24.0)
    assert talk.ask("57 01") == "37" + "0000045AF00000"
    assert talk.ask("57 01 02") == "17"


def test_transceiver_status_needs_a_transceiver_with_registers(talk):
    assert talk.ask("54")[:2] == "34"
    assert talk.ask("6E 02 0009 01 04 20") == "2E", "another communications type"
    assert talk.ask("54") == "14"


def test_install_commands_share_the_code_of_wink(make_node, domain):
    talk = Dialogue(make_node(7, variable_info=b"12345"), domain)
    ids = "02FC00000007" + "9FFFFF0000000001"
    assert talk.ask("70 01 00") == talk.ask("70 01") == "30" + "00" + ids
    assert m.decode_response(0x70, bytes.fromhex("3000" + ids), 1).unique_node_id.hex().upper() == ids[:12]
    assert talk.ask("70 01 01") == "10", "there is one interface"
    assert talk.ask("70 07 0001 03") == "30323334"
    assert talk.ask("70 07 0001 05") == "10"
    assert talk.ask("70") == talk.ask("70 00") == "10", "a wink is no request"
    assert not any(isinstance(event, Wink) for event in talk.events)
    assert talk.ask("70 03") == "10"


def test_query_id_refuses_memory_that_may_not_be_compared(make_node, domain):
    talk = Dialogue(make_node(7, address=False), domain)
    assert talk.ask("61 00 00 F000 02 02FC")[:2] == "21"
    assert talk.ask("61 00 02 0000 01 00")[:2] == "21"
    assert talk.ask("61 00 02 0000 01 01") is None
    for refused in ("61 00 03 0000 01 00", "61 00 00 0000 01 01", "61 00 00 F042 01 FF"):
        assert talk.ask(refused) == "01", refused


def test_capabilities_and_older_forms(make_node, domain):
    talk = Dialogue(make_node(7), domain)
    report = m.decode_response(0x60, bytes.fromhex(talk.ask("60 01")), 1)
    assert report == m.CapabilityReport(2, talk.node.config.capabilities)
    assert m.Capability.OMA in report.capabilities
    assert m.Capability.COMPATIBLE_OR_ENHANCED in report.capabilities
    assert talk.ask("60 55") == "0055"
    assert talk.ask("60") == "00"
    assert m.decode_response(0x60, b"\0", 1) == m.Refused(), "an older node names no sub-command"
    assert m.decode_response(0x60, b"\x20\x02", 1) == m.Unexpected(b"\x20\x02")


def test_ip_address_is_told_by_those_who_have_one(talk):
    assert talk.ask("60 19") == "0019"
    assert talk.ask("60 18") == "0018"
    talk.node.managed.ip = IpIdentity(bytes([10, 81, 35, 12]), m.AddressMappingReport(60, 120))
    assert talk.ask("60 19") == "2019" + "0A51230C"
    assert talk.ask("60 18") == "2018" + "0000003C" + "00000078"
    assert len(talk.node.managed.ip.address) == ADDRESS_LENGTH


# --- network variables by management --------------------------------------------------------------------------------

VARIABLES = (
    NetworkVariable(Direction.INPUT, 2, "setpoint"),
    NetworkVariable(Direction.OUTPUT, 4, "energy", b"\0\0\1\2"),
    NetworkVariable(Direction.INPUT, 1, config=VariableConfig(5, authenticated=True)),
)


@pytest.fixture
def variables(make_node, domain):
    return Dialogue(make_node(7, variables=VARIABLES, aliases=2, self_identification=b"SNVTs"), domain)


def test_rows_of_variables_and_aliases(variables):
    assert variables.ask("68 00") == "283FFF0F", "not connected: selectors count down from 3FFF"
    assert variables.ask("68 01") == "287FFE0F"
    assert variables.ask("68 02") == "2800051F"
    assert variables.ask("6B 00 80 07 23") == "2B"
    assert variables.ask("68 FF 0000") == "28800723"
    expected = VariableConfig(7, Direction.INPUT, 3, VariableService.REPEATED, priority=True)
    assert variables.node.variables.table.configs[0] == expected
    assert variables.ask("6B 00 C0 07 23") == "2B"
    assert variables.ask("68 00") == "28800723", "the direction is the application's"
    assert variables.ask("6B 03 00 08 0F 01") == "2B", "the first alias row"
    assert variables.ask("68 03") == "2800080F01FFFF"
    assert variables.ask("6B FF 0004 00 09 0F FF 0002") == "2B"
    assert variables.node.variables.table.aliases[1] == AliasConfig(VariableConfig(9), 2)
    assert variables.ask("68 05") == "08", "behind both tables"
    assert variables.ask("6B 05 00 08 0F 01") == "0B"
    assert variables.status().last_error == 147
    assert variables.ask("6B 00 00 08 6F") == "0B", "service code 3 is none"


def test_rows_in_their_extended_form(variables):
    assert variables.ask("60 11 0001 40 03 21 10") == "2011"
    assert variables.node.variables.table.configs[1].address_index == 0x11
    assert variables.ask("60 12 0001") == "2012" + "40032110"
    assert variables.ask("60 12 0003") == "0012"
    assert variables.ask("60 13 0001 00 09 0F 00 0002") == "2013"
    assert variables.ask("60 14 0001") == "2014" + "00090F000002"
    assert variables.ask("60 14 0000")[-4:] == "FFFF"
    assert variables.ask("60 14 0002") == "0014"
    assert variables.ask("60 13 0002 00 09 0F 00 0002") == "0013"
    assert variables.ask("60 11 0009 40 03 21 10") == "0011"


def test_values_and_self_identification(variables):
    assert variables.ask("73 01") == "3301" + "00000102"
    assert variables.ask("73 FF 0001") == "33FF0001" + "00000102"
    assert variables.ask("73 03") == "13"
    assert variables.ask("72 0001 03") == "32" + b"NVT".hex().upper()
    assert variables.ask("72 0001 05") == "12"
    assert variables.ask("60 02 0000 1234") == "2002"
    assert variables.ask("73 00") == "33001234"
    for refused, error in (("60 02 0000 12", 130), ("60 02 0001 00000000", 143), ("60 02 0003 00", 147), ("60 02 0002 01", 160)):
        assert variables.ask(refused) == "0002"
        assert variables.status().last_error == error


def test_init_config_unbinds_everything(variables):
    variables.ask("66 03 83 01 34 58 07")
    variables.ask("6B 00 00 07 23")
    variables.ask("6B 03 00 08 0F 01")
    assert variables.ask("60 0F 01 03") == "200F"
    table = variables.node.variables.table
    assert [config.selector for config in table.configs] == [0x3FFF, 0x3FFE, 0x3FFD]
    assert [config.authenticated for config in table.configs] == [True, True, False]
    assert not any(alias.used for alias in table.aliases)
    assert variables.node.groups == ()
    assert variables.ask("60 0F 00") == "200F"
    assert not any(config.authenticated for config in table.configs)
    assert m.InitConfig(b"\x80").authenticated(20), "behind the last bit its value goes on"
    assert variables.ask("60 0F 02 00") == "000F"


# --- noise -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0x50, 0x7F), st.binary(max_size=40), st.booleans()), max_size=12), st.booleans())
def test_no_management_message_raises_and_each_request_has_at_most_one_answer(messages, protected):
    config = NodeConfig(
        bytes(6), variables=VARIABLES, aliases=1, domains=(DomainEntry(DomainId(b"Q"), 1, 7),), read_write_protect=protected,
        reset_silence=0.0,
    )  # fmt: skip
    node = Node(config, ChannelTiming.load("pl20a_nes"), Random(1))
    now = 0.0
    for number, (code, payload, is_request) in enumerate(messages):
        apdu = bytes([code]) + payload
        pdu = Spdu(SpduType.REQUEST, number, apdu=apdu) if is_request else Tpdu(TpduType.ACKD, number, apdu=apdu)
        node.receive_frame(Lpdu(LpduHeader(), Npdu(CLIENT, UniqueId(bytes(6)), DomainId(b"Q"), pdu)).encode(), now)
        answers = []
        now += 2.0
        while (at := node.next_timer()) is not None and at <= now:
            node.on_timer(at)
            for frame in node.frames_to_send(at):
                answers.append(Lpdu.decode(frame.octets).npdu.pdu)
                node.transmission_done(at)
        while node.next_event() is not None:
            pass
        own = [pdu.apdu[0] for pdu in answers if isinstance(pdu, Spdu) and pdu.type is SpduType.RESPONSE]
        assert len(own) <= is_request
        if own and code != 0x52:
            assert own[0] in (m.success_code(code), m.failure_code(code))
        assert NodeSnapshot.decode(node.snapshot().encode()) is not None
        assert len(node.managed.address_rows) == 15


# --- who may ask ----------------------------------------------------------------------------------------------------

OPEN = ["51", "52 01", "56", "57", "59", "60 01", "60 19", "61 01", "62 01"]
CLOSED = ["53", "54", "58", "60 02 0000 00", "60 08 00", "60 09", "60 18", "63 00" + "FF" * 15, "64 00", "65 00 000000000000",
          "66 00 0000000000", "67 00", "68 00", "6A 00", "6B 00 000000", "6C 03 02", "6D 01 0000 01", "6E 02 0000 01 00 00",
          "6F 04", "70 01", "71 0000 01 00", "72 0000 01", "73 00"]  # fmt: skip


@pytest.mark.parametrize("request_octets", OPEN + CLOSED)
def test_who_is_served_without_authentication(make_node, domain, request_octets):
    talk = Dialogue(make_node(7, management_authentication=True, variables=VARIABLES), domain)
    talk.node.managed.ip = IpIdentity(bytes(4))
    talk.node.managed.selected = True
    answer = talk.ask(request_octets)
    code = int(request_octets[:2], 16)
    refusal = f"{m.failure_code(code):02X}" + (request_octets[3:5] if code == 0x60 else "")
    assert (answer == refusal) == (request_octets in CLOSED)
    assert (talk.node.managed.last_error == 160) == (request_octets in CLOSED)
