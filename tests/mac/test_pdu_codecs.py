"""Every PDU codec: known bits, round trip over all values, noise raises decode errors only."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    Apdu,
    ApduFamily,
    AuthPdu,
    AuthPduType,
    Broadcast,
    ConfigurationError,
    DecodeError,
    DomainId,
    DropReason,
    Group,
    GroupReply,
    Lpdu,
    LpduHeader,
    MalformedPdu,
    Npdu,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    TruncatedPdu,
    UniqueId,
    UnknownPdu,
)
from mac.member_list import encode_members, has_answered

addresses = st.builds(SubnetNode, st.integers(0, 255), st.integers(0, 127))
destinations = st.one_of(
    addresses,
    st.builds(Broadcast, st.integers(0, 255)),
    st.builds(Group, st.integers(0, 255)),
    st.builds(GroupReply, addresses, st.integers(0, 255), st.integers(0, 63)),
    st.builds(UniqueId, st.binary(min_size=6, max_size=6), st.integers(0, 255)),
)
domains = st.sampled_from((0, 1, 3, 6)).flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(DomainId)
headers = st.builds(LpduHeader, st.booleans(), st.booleans(), st.integers(0, 63))
apdus = st.binary(max_size=40)


def list_pdus(pdu_class, types, numbers):
    """PDUs of one family with exactly the parts their type allows."""
    without_apdu = {"ACK", "REMINDER"}
    limits = {"REMINDER": 8, "REM_MSG": 2}
    return st.sampled_from(list(types)).flatmap(
        lambda kind: st.builds(
            pdu_class,
            st.just(kind),
            numbers,
            st.booleans(),
            st.just(b"") if kind.name in without_apdu else apdus,
            st.binary(max_size=limits.get(kind.name, 0)),
        )
    )


def auth_pdus(numbers):
    value = st.binary(min_size=8, max_size=8)
    kinds = st.sampled_from(list(AuthPduType))
    plain = st.builds(AuthPdu, kinds, numbers, st.sampled_from((0, 2, 3)), value)
    return plain | st.builds(AuthPdu, kinds, numbers, st.just(1), value, st.integers(0, 255))


def enclosed(numbers):
    return st.one_of(
        list_pdus(Tpdu, TpduType, numbers),
        list_pdus(Spdu, SpduType, numbers),
        auth_pdus(numbers),
        st.builds(Apdu, st.integers(0, 255), apdus),
    )


npdus = st.builds(Npdu, addresses, destinations, domains, enclosed(st.integers(0, 15))) | st.builds(
    Npdu, addresses, destinations, domains, enclosed(st.integers(0, 4095)), st.just(2)
)


@given(headers, npdus)
def test_frame_round_trip(header, npdu):
    lpdu = Lpdu(header, npdu)
    octets = lpdu.encode()
    if len(octets) < 6:  # a bare APDU without domain can be shorter than the smallest legal frame
        with pytest.raises(TruncatedPdu):
            Lpdu.decode(octets)
    else:
        assert Lpdu.decode(octets) == lpdu


@given(st.binary(max_size=48))
def test_noise_raises_only_decode_error(noise):
    for pdu_class in (Lpdu, Npdu, Tpdu, Spdu, AuthPdu, Apdu, LpduHeader):
        with suppress(DecodeError):
            pdu_class.decode(noise)


@given(st.binary(min_size=6, max_size=48))
def test_what_decodes_keeps_its_meaning(noise):
    """Bits without meaning may change in between, fields may not."""
    with suppress(DecodeError):
        lpdu = Lpdu.decode(noise)
        assert Lpdu.decode(lpdu.encode()) == lpdu


@pytest.mark.parametrize(
    ("octet", "header"),
    [(0x80, LpduHeader(priority=True)), (0x41, LpduHeader(False, True, 1)), (0x3F, LpduHeader(delta_backlog=63))],
)
def test_link_header_bits(octet, header):
    assert header.encode() == bytes([octet])
    assert LpduHeader.decode(bytes([octet])) == header


@pytest.mark.parametrize(
    ("octets", "pdu"),
    [
        ("03 05 01", Tpdu(TpduType.ACKD, 3, apdu=b"\x05\x01")),
        ("8C 05", Tpdu(TpduType.ACKD, 12, auth=True, apdu=b"\x05")),
        ("1F 07", Tpdu(TpduType.UNACKD_RPT, 15, apdu=b"\x07")),
        ("25", Tpdu(TpduType.ACK, 5)),
        ("41 03 00 00 10", Tpdu(TpduType.REMINDER, 1, m_list=b"\0\0\x10")),
        ("50 01 04 05 E1", Tpdu(TpduType.REM_MSG, 0, apdu=b"\x05\xe1", m_list=b"\x04")),
    ],
)
def test_tpdu_bits(octets, pdu):
    assert pdu.encode() == bytes.fromhex(octets)
    assert Tpdu.decode(bytes.fromhex(octets)) == pdu


def test_enhanced_number_takes_a_second_octet():
    pdu = Tpdu(TpduType.ACK, 0xABC)
    assert pdu.encode(enhanced=True) == bytes.fromhex("2A BC")
    assert Tpdu.decode(bytes.fromhex("2A BC"), enhanced=True) == pdu
    with pytest.raises(ConfigurationError, match=r"0\.\.15, got 2748"):
        pdu.encode()


def test_group_challenge_carries_its_group():
    octets = bytes.fromhex("48 9A A4 82 30 7B 1D 5A FE 07")
    challenge = AuthPdu(AuthPduType.CHALLENGE, 8, 1, octets[1:9], 7)
    assert AuthPdu.decode(octets) == challenge
    assert challenge.encode() == octets
    assert "9A" not in repr(challenge).upper().replace("0X", "")


@pytest.mark.parametrize("kind", [3, 6, 7])
def test_unused_tpdu_types_are_unknown(kind):
    with pytest.raises(UnknownPdu):
        Tpdu.decode(bytes([kind << 4]))


@pytest.mark.parametrize("kind", [1, 3, 6, 7])
def test_unused_spdu_types_are_unknown(kind):
    with pytest.raises(UnknownPdu):
        Spdu.decode(bytes([kind << 4]))


@pytest.mark.parametrize(
    ("decode", "octets", "error"),
    [
        (Tpdu.decode, "", TruncatedPdu),
        (Tpdu.decode, "40", TruncatedPdu),
        (Tpdu.decode, "40 02 01", TruncatedPdu),
        (Tpdu.decode, "50 03 00 00 00 05", MalformedPdu),
        (Tpdu.decode, "20 00", MalformedPdu),
        (Spdu.decode, "40 00 01", MalformedPdu),
        (AuthPdu.decode, "88 00", TruncatedPdu),
        (AuthPdu.decode, "80 00 00 00 00 00 00 00 00 00", MalformedPdu),
        (Npdu.decode, "19 23 8F 23 8C", TruncatedPdu),
        (Npdu.decode, "09 23 0C 23 8F 07 40 51 23", MalformedPdu),
    ],
)
def test_broken_pdu_is_named(decode, octets, error):
    with pytest.raises(error) as caught:
        decode(bytes.fromhex(octets))
    assert caught.value.reason in (DropReason.TRUNCATED, DropReason.MALFORMED)


def test_selector_bit_separates_formats_2a_and_2b():
    npdu = Npdu(SubnetNode(35, 12), SubnetNode(35, 15), DomainId(b"\x51"), Tpdu(TpduType.ACK, 3))
    assert npdu.encode().hex(" ") == "09 23 8c 23 8f 51 23"
    reply = Npdu(SubnetNode(35, 12), GroupReply(SubnetNode(35, 15), 7, 1), DomainId(b"\x51"), Tpdu(TpduType.ACK, 3))
    assert reply.encode().hex(" ") == "09 23 0c 23 8f 07 01 51 23"


@pytest.mark.parametrize(
    ("code", "family"),
    [
        (0x00, "application"),
        (0x3F, "application"),
        (0x40, "foreign"),
        (0x4D, "foreign"),
        (0x51, "diagnostic"),
        (0x60, "management"),
        (0x7F, "management"),
        (0x80, "network_variable"),
        (0xFF, "network_variable"),
    ],
)
def test_message_code_families(code, family):
    assert Apdu(code).family is ApduFamily(family)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SubnetNode(256, 0), "subnet must be 0..255, got 256"),
        (lambda: SubnetNode(0, 128), "node must be 0..127, got 128"),
        (lambda: GroupReply(SubnetNode(1, 1), 0, 64), "member must be 0..63, got 64"),
        (lambda: DomainId(b"ab"), "0, 1, 3 or 6 octets, got 2"),
        (lambda: UniqueId(b"abc"), "must have 6 octets, got 3"),
        (lambda: LpduHeader(delta_backlog=64), "delta_backlog must be 0..63, got 64"),
        (lambda: Tpdu(TpduType.ACKD, 4096), "transaction number must be 0..4095, got 4096"),
        (lambda: Tpdu(TpduType.ACK, 1, apdu=b"x"), "ACK carries no APDU"),
        (lambda: Tpdu(TpduType.ACKD, 1, m_list=b"x"), "m_list of ACKD has at most 0 octets, got 1"),
        (lambda: Npdu(SubnetNode(1, 1), Broadcast(), DomainId(), Tpdu(TpduType.ACK, 16)), "must be 0..15, got 16"),
        (lambda: Npdu(SubnetNode(1, 1), Broadcast(), DomainId(), Apdu(0), 1), "version must be 0 or 2, got 1"),
    ],
)
def test_values_outside_their_range_are_refused_by_name(make, text):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert text in str(caught.value)


@given(st.sets(st.integers(0, 63)))
def test_member_list_names_exactly_its_members(members):
    m_list = encode_members(members)
    assert {m for m in range(64) if has_answered(m_list, m)} == members
    assert len(m_list) == (max(members) // 8 + 1 if members else 0)
