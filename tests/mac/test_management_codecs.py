"""Management requests and reports: known bits, round trip, noise."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import Broadcast, DecodeError, DomainEntry, DomainId, Group, GroupEntry, NodeState, Reception, SubnetNode, UniqueId
from mac import management as m
from mac.responder import COMMANDS
from mac.variable_entry import AliasConfig, Direction, VariableConfig, VariableService

REPEATED, OUTPUT = VariableService.REPEATED, Direction.OUTPUT

ENTRY = DomainEntry(DomainId(b"NESDOM"), 1, 7, bytes.fromhex("112233445566"))

REQUESTS = [
    ("51", m.QueryStatus()),
    ("53", m.ClearStatus()),
    ("54", m.QueryTransceiverStatus()),
    ("56", m.QueryStatusFlex()),
    ("61 00", m.QueryId()),
    ("61 01", m.QueryId(m.QuerySelector.SELECTED)),
    ("61 02", m.QueryId(m.QuerySelector.SELECTED_UNCONFIGURED)),
    ("61 00 01 00 0D 02 9F FF", m.QueryId(mode=m.MemoryMode.READ_ONLY, offset=13, octets=b"\x9f\xff")),
    ("62 01", m.RespondToQuery(True)),
    ("63 00 4E4553444F4D 01 87 06 112233445566", m.UpdateDomain(0, ENTRY)),
    ("63 01 " + "FF" * 15, m.UpdateDomain(1, None)),
    ("64 00", m.LeaveDomain(0)),
    ("65 01 010101010101", m.UpdateKey(1, b"\1" * 6)),
    ("66 03 83 01 34 58 07", m.UpdateAddress(3, bytes.fromhex("8301345807"))),
    ("67 03", m.QueryAddress(3)),
    ("6A 00", m.QueryDomain(0)),
    ("6C 01", m.SetNodeMode(m.NodeMode.ONLINE)),
    ("6C 03 02", m.SetNodeMode(m.NodeMode.CHANGE_STATE, NodeState.UNCONFIGURED)),
    ("6C 03 04", m.SetNodeMode(m.NodeMode.CHANGE_STATE, NodeState.CONFIGURED)),
    ("6D 02 00 00 19", m.ReadMemory(m.MemoryMode.CONFIGURATION, 0, 25)),
    ("6E 02 0018 01 04 88", m.WriteMemory(m.MemoryMode.CONFIGURATION, 24, b"\x88", 4)),
    ("70", m.WinkCommand()),
    ("52 01", m.ClassicProxy(m.ProxyQuestion.STATUS)),
    ("52 01 01 0D 25 05 23", m.ClassicProxy(m.ProxyQuestion.STATUS, m.SendAddress(SubnetNode(35, 13), 5, 5, 2))),
    (
        "52 02 02 00 25 35 00 02FC0000000D",
        m.ClassicProxy(
            m.ProxyQuestion.TRANSCEIVER_STATUS, m.SendAddress(UniqueId(bytes.fromhex("02FC0000000D")), 5, 5, 2, upper=3)
        ),
    ),
    ("52 00 03 85 25 05 23", m.ClassicProxy(m.ProxyQuestion.UNCONFIGURED_ID, m.SendAddress(Broadcast(35), 5, 5, 2, 1, 5))),
    ("52 00 83 00 25 05 07", m.ClassicProxy(m.ProxyQuestion.UNCONFIGURED_ID, m.SendAddress(Group(7, 3), 5, 5, 2))),
    ("57", m.QuerySignalStrength()),
    ("57 01", m.QuerySignalStrength(attenuate=True, plain=False)),
    ("58", m.ComputePhase()),
    ("59", m.GetFullVersion()),
    ("60 01", m.QueryVersion()),
    ("60 02 0003 12 34", m.UpdateVariableByIndex(3, b"\x12\x34")),
    ("60 07 00 4E4553444F4D 01 87 06", m.UpdateDomainNoKey(0, replace(ENTRY, key=bytes(6)))),
    ("60 07 01 " + "FF" * 9, m.UpdateDomainNoKey(1, None)),
    ("60 08 01", m.QueryDomainNoKey(1)),
    ("60 09", m.QueryKey()),
    ("60 0A 01 010203040506070809101112", m.UpdateOmaKey(True, bytes.fromhex("010203040506070809101112"))),
    ("60 0A 00 010203040506070809101112", m.UpdateOmaKey(False, bytes.fromhex("010203040506070809101112"))),
    ("60 0F 00", m.InitConfig()),
    ("60 0F 02 05 80", m.InitConfig(b"\x05\x80")),
    ("60 11 0102 7F FE AF 10", m.UpdateVariableRow(0x102, VariableConfig(0x3FFE, OUTPUT, 31, REPEATED, turnaround=True))),
    ("60 12 0102", m.QueryVariableRow(0x102)),
    ("60 13 0001 00 05 1F 00 0007", m.UpdateAliasRow(1, AliasConfig(VariableConfig(5, authenticated=True), 7))),
    ("60 14 0001", m.QueryAliasRow(1)),
    ("60 18", m.QueryAddressMapping()),
    ("60 19", m.QueryIpAddress()),
    ("68 00", m.QueryVariableConfig(0)),
    ("68 FF 01 02", m.QueryVariableConfig(0x102, wide=True)),
    ("69 83 01 34 58 07", m.UpdateGroupAddress(GroupEntry(7, 3, 1, 0, 4, 3, 5, 8))),
    ("6B 02 80 01 2F", m.UpdateVariableConfig(2, bytes.fromhex("80012F"))),
    ("6B FF 0002 80 01 2F 07", m.UpdateVariableConfig(2, bytes.fromhex("80012F07"), wide=True)),
    ("6F 04", m.RecalculateChecksum()),
    ("70 01 00", m.SendIdInfo()),
    ("70 07 0002 05", m.QueryNvInfo(2, 5)),
    ("71 0010 08 00", m.RefreshMemory(16, 8)),
    ("72 00 00 0A", m.QuerySelfIdentification(0, 10)),
    ("73 03", m.FetchVariable(3)),
    ("73 FF 00 04", m.FetchVariable(4, wide=True)),
]


@pytest.mark.parametrize(("octets", "request_value"), REQUESTS, ids=[octets for octets, _ in REQUESTS])
def test_request_both_ways(octets, request_value):
    apdu = bytes.fromhex(octets)
    assert request_value.encode() == apdu
    assert type(request_value).decode(apdu) == request_value


def test_every_command_of_the_node_has_a_known_request():
    known = {(type(value).CODE, getattr(type(value), "SUBCODE", None)) for _, value in REQUESTS}
    assert known == set(COMMANDS)


@given(st.binary(max_size=24))
def test_noise_in_requests_raises_only_decode_error(noise):
    for command in COMMANDS.values():
        with suppress(DecodeError):
            command.request.decode(bytes(octet for octet in command.key if octet is not None) + noise)


@given(st.integers(0, 255), st.binary(max_size=24))
def test_noise_in_responses_raises_only_decode_error(code, noise):
    with suppress(DecodeError):
        m.decode_response(code, noise)


@pytest.mark.parametrize(
    ("code", "success", "failure"),
    [(0x51, 0x31, 0x11), (0x54, 0x34, 0x14), (0x61, 0x21, 0x01), (0x6A, 0x2A, 0x0A), (0x7D, 0x3D, 0x1D)],
)
def test_response_codes(code, success, failure):
    assert (m.success_code(code), m.failure_code(code)) == (success, failure)


@pytest.mark.parametrize(
    ("code", "octets", "response"),
    [
        (0x61, "21 02FC0000000D 9FFFFF0000000001", m.IdReport(b"\x02\xfc\0\0\0\x0d", bytes.fromhex("9FFFFF0000000001"))),
        (0x51, "31 0000 0000 0000 0000 0000 01 04 04 00 A8", m.StatusReport(0, 0, 0, 0, 0, 1, 4, 4, 0, 0xA8)),
        (0x51, "31 0001 0002 0003 0004 0105 01 02 04 8A A8", m.StatusReport(1, 2, 3, 4, 261, 1, 2, 4, 0x8A, 0xA8)),
        (0x6A, "2A 4E4553444F4D 01 87 06 112233445566", m.DomainReport(ENTRY)),
        (0x6A, "2A" + "FF" * 15, m.DomainReport(None)),
        (0x63, "23", m.Done()),
        (0x67, "27 83 01 34 58 07", m.Done(bytes.fromhex("8301345807"))),
        (0x6A, "0A", m.Refused()),
        (0x51, "3F", m.Unexpected(b"\x3f")),
    ],
)
def test_response_is_read_with_its_request_in_hand(code, octets, response):
    assert m.decode_response(code, bytes.fromhex(octets)) == response


def test_status_report_names_its_state():
    report = m.decode_response(0x51, bytes.fromhex("31 0000 0000 0000 0000 0000 01 0C 04 00 A8"))
    assert isinstance(report, m.StatusReport)
    assert report.state is NodeState.SOFT_OFFLINE


entries = st.builds(
    DomainEntry,
    st.sampled_from([DomainId(), DomainId(b"Q"), DomainId(b"abc"), DomainId(b"NESDOM")]),
    st.integers(0, 255),
    st.integers(0, 127),
    st.binary(min_size=6, max_size=6),
    st.booleans(),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)


@given(entries)
def test_domain_row_round_trip(entry):
    assert DomainEntry.decode(entry.encode()) == entry


def test_domain_row_does_not_show_its_key():
    assert "112233445566" not in repr(ENTRY)
    assert "key" not in repr(ENTRY)


def test_group_row_bits():
    entry = GroupEntry(7, 3, 1, retries=4, repeat_code=3, receive_code=5, transmit_code=8)
    assert entry.encode() == bytes.fromhex("8301345807")
    assert GroupEntry.decode(bytes.fromhex("8301345807")) == entry
    assert GroupEntry.decode(bytes.fromhex("010F000023")) is None  # a subnet/node row


@pytest.mark.parametrize(
    ("octets", "reception"),
    [
        ("00 00 04 5A F0 00 00", Reception(9.0, -24.0)),
        ("00 00 0C F0 0F 00 00", Reception(-6.0, 6.0, alternate=True)),
        ("00 00 04 F0 F0 00 00", Reception()),
    ],
)
def test_transceiver_status_bits(octets, reception):
    assert reception.encode() == bytes.fromhex(octets)
    assert Reception.decode(bytes.fromhex(octets)) == reception


@pytest.mark.parametrize(
    ("margin_db", "strength_db", "nibbles"), [(-20.0, -200.0, 0x00), (10.4, -20.1, 0x5A), (99.0, 99.0, 0xFF)]
)
def test_transceiver_registers_round_down_and_saturate(margin_db, strength_db, nibbles):
    assert Reception(margin_db, strength_db).encode()[3] == nibbles
