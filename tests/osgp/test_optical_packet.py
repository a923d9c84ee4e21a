"""C12.18 packets: published frames, damage, and everything that is not a packet."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import ConfigurationError, DecodeError, TruncatedMessage
from osgp.optical import Packet, PacketReader, crc_x25
from osgp.optical.packet import Mark

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "ports.json").read_text())
FRAMES = VECTORS["optical_frames"] + [dict(frame, payload=None) for frame in VECTORS["optical_client"]]
packets = st.builds(
    Packet, st.binary(max_size=200), st.booleans(), st.integers(0, 255), st.booleans(), st.booleans(), st.just(0)
)


def bitwise_crc(octets):
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return register ^ 0xFFFF


def test_the_crc_has_its_check_value():
    assert crc_x25(b"123456789") == 0x906E  # CRC catalogue, CRC-16/IBM-SDLC


@given(st.binary(max_size=100))
def test_the_crc_is_that_of_a_shift_register(octets):
    assert crc_x25(octets) == bitwise_crc(octets)


@pytest.mark.parametrize("vector", VECTORS["optical_frames"], ids=lambda v: v["name"])
def test_published_frames_come_out_octet_for_octet(vector):
    packet = Packet(bytes.fromhex(vector["payload"]), toggle=vector["control"] == "20")
    assert packet.encode().hex() == vector["frame"]
    assert Packet.decode(bytes.fromhex(vector["frame"])) == packet


@given(packets)
def test_a_packet_survives_its_octets(packet):
    assert Packet.decode(packet.encode()) == packet


@given(packets, st.data())
def test_a_changed_octet_is_noticed(packet, data):
    octets = bytearray(packet.encode())
    place = data.draw(st.integers(0, len(octets) - 1))
    octets[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DecodeError):
        Packet.decode(bytes(octets))


@given(st.lists(packets, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_where_the_stream_is_cut_does_not_matter(sent, sizes):
    stream = b"".join(packet.encode() for packet in sent)
    reader, got, place = PacketReader(), [], 0
    while place < len(stream):
        size = sizes.pop() if sizes else 7
        got += reader.push(stream[place : place + size])
        place += size
    assert got == sent and not reader.waiting


@given(st.binary(max_size=300))
def test_noise_is_counted_and_leads_to_no_packet_by_itself(noise):
    reader = PacketReader(max_payload=64)
    reader.push(noise)
    reader.flush()
    assert not reader.waiting


def test_wake_up_octets_are_skipped_and_acknowledgements_found():
    reader = PacketReader()
    packet = Packet(b"\x20")
    assert reader.push(b"\x55\x55\x55\x55" + packet.encode() + b"\x06\x15\x00") == [packet, Mark.ACK, Mark.NAK, Mark.ZERO]
    assert reader.skipped == 4


def test_a_packet_behind_a_false_start_is_found_when_the_line_falls_silent():
    reader, packet = PacketReader(), Packet(b"\x3f\x00\x17\x00\x00\x00\x00\x08", toggle=True)
    assert reader.push(b"\xee\x00\x00" + packet.encode()) == []
    assert reader.flush() == [packet]


def test_a_length_that_cannot_be_costs_one_octet_only():
    reader, packet = PacketReader(max_payload=56), Packet(b"\x20")
    items = reader.push(b"\xee\x00\x00\x00\xff\xff" + packet.encode())
    assert items[0] is Mark.BROKEN and items[-1] == packet


def test_limits_and_ends_are_named():
    with pytest.raises(ConfigurationError, match="8183"):
        Packet(bytes(8184))
    with pytest.raises(ConfigurationError, match="sequence and identity"):
        Packet(b"", sequence=256)
    with pytest.raises(TruncatedMessage, match="8 octets"):
        Packet.decode(b"\xee\x00")
