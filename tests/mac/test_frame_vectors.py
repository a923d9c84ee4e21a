"""Frames of an independent stack and of a public capture, decoded and encoded again."""

from pathlib import Path

import pytest

from mac import (
    Apdu,
    AuthPdu,
    AuthPduType,
    Broadcast,
    DomainId,
    Group,
    GroupReply,
    Lpdu,
    LpduHeader,
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
from phy.crc import append_crc, crc_ok

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "frames.txt"
CRC_ROWS = [
    line.split("; ") for line in (VECTORS.parent / "crc.txt").read_text().splitlines() if not line.startswith("#")
]
ROWS = [line for line in VECTORS.read_text().splitlines() if not line.startswith("#")]


def octets_of(text):
    return b"" if text == "-" else bytes.fromhex(text)


def node_of(text):
    return SubnetNode(*map(int, text.split("/")))


DESTINATIONS = {
    "node": lambda address: node_of(address),
    "broadcast": lambda subnet: Broadcast(int(subnet)),
    "group": lambda group: Group(int(group)),
    "reply": lambda address, group, member: GroupReply(node_of(address), int(group), int(member)),
    "unique": lambda subnet, unique_node_id: UniqueId(bytes.fromhex(unique_node_id), int(subnet)),
}


def pdu_of(kind, flags, number, value, apdu):
    family, _, type_name = kind.partition(".")
    if family == "APDU":
        return Apdu(octets_of(apdu)[0], octets_of(apdu)[1:])
    if family == "AUTHPDU":
        words = flags.split()
        group = int(words[3]) if len(words) > 2 else None
        return AuthPdu(AuthPduType[type_name], int(number), int(words[1]), octets_of(value), group)
    pdu_class, types = {"TPDU": (Tpdu, TpduType), "SPDU": (Spdu, SpduType)}[family]
    return pdu_class(types[type_name], int(number), flags == "auth", octets_of(apdu), octets_of(value))


def frame_of(row):
    octets, header, version, source, destination, domain, *pdu, _origin = row.split("; ")
    kind, *address = destination.split()
    flags, delta_backlog = header.split()
    return bytes.fromhex(octets), Lpdu(
        LpduHeader("P" in flags, "A" in flags, int(delta_backlog)),
        Npdu(
            node_of(source),
            DESTINATIONS[kind](*address),
            DomainId(octets_of(domain)),
            pdu_of(*pdu),
            int(version),
        ),
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(";")[0])
def test_vector_both_ways(row):
    octets, lpdu = frame_of(row)
    assert Lpdu.decode(octets) == lpdu
    assert lpdu.encode() == octets


@pytest.mark.parametrize("row", CRC_ROWS, ids=lambda row: row[0])
def test_crc_vector(row):
    octets, crc = bytes.fromhex(row[0]), bytes.fromhex(row[1])
    assert append_crc(octets) == octets + crc
    assert crc_ok(octets + crc)
    assert not crc_ok(octets + crc[:1] + bytes([crc[1] ^ 1]))


def test_vectors_cover_every_pdu_and_address_format():
    frames = [frame_of(row)[1].npdu for row in ROWS]
    assert {type(npdu.destination) for npdu in frames} == {SubnetNode, Broadcast, Group, GroupReply, UniqueId}
    assert {type(npdu.pdu) for npdu in frames} == {Tpdu, Spdu, AuthPdu, Apdu}
    assert {len(npdu.domain.octets) for npdu in frames} == {0, 1, 6}
    assert {npdu.version for npdu in frames} == {0, 2}


@pytest.mark.parametrize("octets", ["0049238F238C51030501", "00C9238F238C51030501"])
def test_versions_1_and_3_are_refused(octets):
    with pytest.raises(UnknownPdu):
        Lpdu.decode(bytes.fromhex(octets))


def test_truncated_broadcast_of_the_capture_is_refused():
    with pytest.raises(TruncatedPdu):
        Lpdu.decode(bytes.fromhex("8000000100"))
