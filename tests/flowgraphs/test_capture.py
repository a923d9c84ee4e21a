"""Captures: known octets, both file formats read by other programs, and our decoder against Wireshark's."""

import io
import json
import random
import shutil
import struct
import subprocess

import dpkt
import pytest

from flowgraphs.capture import CapturedPacket, CaptureWriter, encode_capture, ethernet_frame, write_capture
from flowgraphs.errors import RecordingError
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
    UniqueId,
)

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: nothing to compare with")
PACKETS = [CapturedPacket(0.25, bytes(9), 0), CapturedPacket(1.5, bytes(range(12)), 3, "Es/N0 12 dB", True)]


def test_a_packet_has_the_octets_of_a_captured_one():
    # Data packet between two independent stacks, sequence 7; theirs had session 54535431, ours is 1.
    lpdu = bytes.fromhex("4019238F238C510351")
    theirs = bytes.fromhex("001D010100000000545354310000000700000000") + lpdu
    ours = dpkt.ethernet.Ethernet(ethernet_frame(CapturedPacket(0.0, lpdu, 0), 7)).data.data.data
    assert ours[:8] == theirs[:8] and ours[12:] == theirs[12:]


def test_pcap_reads_back_with_times_and_senders():
    records = list(dpkt.pcap.Reader(io.BytesIO(encode_capture(PACKETS))))
    assert [round(at, 6) for at, _ in records] == [0.25, 1.5]
    for (_, octets), packet in zip(records, PACKETS, strict=True):
        ip = dpkt.ethernet.Ethernet(octets).data
        assert ip.src == bytes([10, 0, 0, packet.coupler + 1]) and ip.data.dport == 1628
        assert ip.data.data[20:] == packet.lpdu


def test_pcapng_reads_back():
    records = list(dpkt.pcapng.Reader(io.BytesIO(encode_capture(PACKETS, "pcapng"))))
    assert [octets for _, octets in records] == [ethernet_frame(packet, k) for k, packet in enumerate(PACKETS)]


def test_nodes_beyond_the_first_255_have_addresses_too():
    assert dpkt.ethernet.Ethernet(ethernet_frame(CapturedPacket(0.0, bytes(9), 999), 0)).data.src == bytes([10, 0, 3, 232])


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_the_file_is_complete_after_each_packet(form):
    file = io.BytesIO()
    writer = CaptureWriter(file, form)
    for k, packet in enumerate(PACKETS):
        assert file.getvalue() == encode_capture(PACKETS[:k], form)
        writer.write(packet)
    assert file.getvalue() == encode_capture(PACKETS, form)


def test_blocks_of_pcapng_say_their_length_twice():
    octets, at, kinds = encode_capture(PACKETS, "pcapng"), 0, []
    while at < len(octets):
        kind, length = struct.unpack_from("<II", octets, at)
        assert length % 4 == 0 and struct.unpack_from("<I", octets, at + length - 4) == (length,)
        kinds.append(kind)
        at += length
    assert kinds == [0x0A0D0D0A, 1, 1, 6, 6]


def test_name_chooses_the_format(tmp_path):
    for name, magic in (("a.pcap", b"\xd4\xc3\xb2\xa1"), ("a.pcapng", b"\x0a\x0d\x0d\x0a")):
        write_capture(tmp_path / name, PACKETS)
        assert (tmp_path / name).read_bytes()[:4] == magic
    with pytest.raises(RecordingError, match="cannot write"):
        write_capture(tmp_path / "no" / "where.pcap", PACKETS)
    with pytest.raises(RecordingError, match="'txt'"):
        CaptureWriter(io.BytesIO(), "txt")


# --- against tshark ----------------------------------------------------------------------------------------------------


def random_frame(rng):
    """Any valid frame, and what it is."""
    domain = DomainId(rng.randbytes(rng.choice((0, 1, 3, 6))))
    source = SubnetNode(rng.randrange(256), rng.randrange(128))
    address = SubnetNode(rng.randrange(256), rng.randrange(128))
    number, auth = rng.randrange(1, 16), rng.random() < 0.5
    apdu = rng.choice((
        bytes([rng.randrange(0x4F)]) + rng.randbytes(rng.randrange(30)),  # application and foreign frames
        bytes([rng.randrange(0x61, 0x7F)]) + rng.randbytes(12),  # network management
        bytes([rng.randrange(0x50, 0x5F)]) + rng.randbytes(12),  # diagnostics
        bytes([0x80 | rng.randrange(0x80), rng.randrange(256)]) + rng.randbytes(4),  # network variables
    ))  # fmt: skip
    pdu = rng.choice((
        Tpdu(TpduType.ACKD, number, auth, apdu),
        Tpdu(TpduType.UNACKD_RPT, number, auth, apdu),
        Tpdu(TpduType.ACK, number),
        Tpdu(TpduType.REMINDER, number, auth, m_list=rng.randbytes(rng.randrange(1, 9))),
        Tpdu(TpduType.REM_MSG, number, auth, apdu, rng.randbytes(rng.randrange(1, 3))),
        Spdu(SpduType.REQUEST, number, auth, apdu),
        Spdu(SpduType.RESPONSE, number, False, apdu),
        Apdu.decode(apdu),
        AuthPdu(AuthPduType.CHALLENGE, number, 2, rng.randbytes(8)),
    ))  # fmt: skip
    answer = isinstance(pdu, Tpdu | Spdu) and pdu.type in (TpduType.ACK, SpduType.RESPONSE)
    destination = rng.choice((
        Broadcast(rng.randrange(256)),
        Group(rng.randrange(256)),
        address,
        GroupReply(address, rng.randrange(256), rng.randrange(64)),
        UniqueId(rng.randbytes(6), rng.randrange(256)),
    ))  # fmt: skip
    if answer and not isinstance(destination, GroupReply):
        destination = address
    header = LpduHeader(rng.random() < 0.3, rng.random() < 0.3, rng.randrange(64))
    return Lpdu(header, Npdu(source, destination, domain, pdu))


FORMATS = {Broadcast: 0, Group: 1, SubnetNode: 2, GroupReply: 2, UniqueId: 3}
QUIRKS = """
What tshark 4.0 shows differently, each seen on valid frames and left out of the comparison by name:
- format 2b: the destination subnet is shown as the destination group;
- authentication PDUs: the type is masked wrongly;
- responses of network management and diagnostics appear as application messages: of responses the code is not compared.
"""


def seen_by_us(octets):
    """The fields that both sides show, decoded by our stack."""
    lpdu = Lpdu.decode(octets)
    npdu = lpdu.npdu
    pdu, to = npdu.pdu, npdu.destination
    fields = {
        "prio": int(lpdu.header.priority),
        "alt_path": int(lpdu.header.alt_path),
        "delta_bl": lpdu.header.delta_backlog,
        "vers": npdu.version,
        "pdufmt": (Tpdu, Spdu, AuthPdu, Apdu).index(type(pdu)),
        "addrfmt": FORMATS[type(to)],
        "domainlen": (0, 1, 3, 6).index(len(npdu.domain.octets)),
        "srcnet": npdu.source.subnet,
        "srcnode": npdu.source.node,
    }
    match to:
        case Broadcast(subnet):
            fields["dstnet"] = subnet
        case Group(group):
            fields["dstgrp"] = group
        case SubnetNode(subnet, node):
            fields |= {"dstnet": subnet, "dstnode": node}
        case GroupReply(address, group, member):
            fields |= {"dstnode": address.node, "grp": group, "grpmem": member}
        case UniqueId(unique_node_id, subnet):
            fields |= {"dstnet": subnet, "uid": unique_node_id.hex(":")}
    if npdu.domain.octets:
        fields["domain"] = npdu.domain.octets.hex(":")
    if isinstance(pdu, Tpdu | Spdu):
        kind = "tpdu_type" if isinstance(pdu, Tpdu) else "spdu_type"
        fields |= {"trans_no": pdu.number, "auth": int(pdu.auth), kind: int(pdu.type)}
    if isinstance(pdu, AuthPdu):
        fields["trans_no"] = pdu.number
    apdu = pdu.encode() if isinstance(pdu, Apdu) else getattr(pdu, "apdu", b"")
    if apdu and not (isinstance(pdu, Spdu) and pdu.type is SpduType.RESPONSE):
        if apdu[0] & 0x80:
            fields |= {"nv.dir": apdu[0] >> 6 & 1, "nv.selector": (apdu[0] & 0x3F) << 8 | apdu[1]}
        else:
            fields["application" if apdu[0] < 0x40 else "ff" if apdu[0] < 0x50 else "nd" if apdu[0] < 0x60 else "nm"] = apdu[0]
    return fields


def leaves(tree, found):
    """Every `lon.*` leaf of tshark's JSON."""
    for name, value in tree.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                leaves(item, found)
            elif name.startswith("lon."):
                found.setdefault(name.removeprefix("lon."), item)
    return found


def tshark_json(path):
    done = subprocess.run(["tshark", "-r", path, "-T", "json", "-J", "lon cnip"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [leaves(record["_source"]["layers"], {}) for record in json.loads(done.stdout)]


@needs_tshark
def test_random_frames_mean_the_same_to_tshark(tmp_path):
    rng = random.Random(14908)
    frames = [random_frame(rng) for _ in range(1500)]
    path = tmp_path / "random.pcapng"
    write_capture(path, [CapturedPacket(0.001 * k, frame.encode(), k % 5) for k, frame in enumerate(frames)])
    theirs = tshark_json(path)
    assert len(theirs) == len(frames)
    for frame, shown in zip(frames, theirs, strict=True):
        ours = seen_by_us(frame.encode())
        for name, value in ours.items():
            assert name in shown, (name, frame, shown)
            text = shown[name]
            assert (text == value) if isinstance(value, str) else (int(text, 0) == value), (name, value, text, frame)
