"""CN/IP: captured packets both ways, aggregation, extended headers, and frames in order whatever the network does to them."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import ConfigurationError, Lpdu, MalformedPdu, TruncatedPdu, UnknownPdu
from mac.cnip import CnipDrop, CnipPacket, CnipReceiver, CnipSender, aggregate, crc16, decode_datagram

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "cnip.txt"
ROWS = [row.split("; ") for row in VECTORS.read_text().splitlines() if not row.startswith("#")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_captured_packets_both_ways(row):
    octets, lpdu = bytes.fromhex(row[0]), bytes.fromhex(row[3])
    packet = CnipPacket.decode(octets)
    assert (packet.session, packet.sequence, packet.body) == (int(row[1], 16), int(row[2]), lpdu)
    assert (packet.version, packet.type, packet.timestamp, packet.vendor, packet.extension) == (1, 1, 0, 0, b"")
    assert packet.encode() == octets
    assert CnipReceiver().receive(octets, "peer", 0.0) == [lpdu]
    if row[4] == "yes":
        assert Lpdu.decode(lpdu).encode() == lpdu
    else:
        with pytest.raises(TruncatedPdu):
            Lpdu.decode(lpdu)


def test_there_are_seven_of_them():
    assert len(ROWS) == 7


packets = st.builds(
    CnipPacket,
    body=st.binary(max_size=60),
    sequence=st.integers(0, 2**32 - 1),
    session=st.integers(0, 2**32 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    type=st.integers(0, 255),
    version=st.sampled_from([0, 1]),
    vendor_private=st.booleans(),
    protocol=st.integers(0, 31),
    vendor=st.integers(0, 65535),
    extension=st.integers(0, 5).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
    digest=st.one_of(st.just(b""), st.binary(min_size=16, max_size=16)),
)


@given(st.lists(packets, min_size=1, max_size=6), st.integers(40, 300))
def test_aggregated_packets_come_apart_again(sent, limit):
    datagrams = aggregate(sent, limit)
    assert [packet for datagram in datagrams for packet in decode_datagram(datagram)[0]] == sent
    assert all(len(datagram) <= limit or len(decode_datagram(datagram)[0]) == 1 for datagram in datagrams)
    for first, second in pairwise(datagrams):
        assert len(first) + decode_datagram(second)[0][0].encoded_length > limit, "it had room for the next one"


@given(st.binary(max_size=120))
def test_no_datagram_raises_and_each_drop_is_counted(octets):
    receiver = CnipReceiver()
    frames = receiver.receive(octets, "peer", 0.0)
    assert len(frames) + sum(receiver.drops.values()) >= 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda octets: octets[:19], TruncatedPdu),
        (lambda octets: octets[:-1], TruncatedPdu),
        (lambda octets: b"\0\x13" + octets[2:], MalformedPdu),
        (lambda octets: octets[:4] + b"\5" + octets[5:], MalformedPdu),
        (lambda octets: octets[:2] + b"\2" + octets[3:], UnknownPdu),
        (lambda octets: octets[:2] + b"\x41" + octets[3:], UnknownPdu),
    ],
)
def test_broken_headers_are_refused_by_name(change, error):
    with pytest.raises(error):
        CnipPacket.decode(change(CnipPacket(bytes(9)).encode()))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (CnipPacket(b"", type=0x63), CnipDrop.NOT_DATA),
        (CnipPacket(bytes(9), protocol=1), CnipDrop.FOREIGN_PROTOCOL),
        (CnipPacket(bytes(9), vendor_private=True), CnipDrop.UNKNOWN),
        (CnipPacket(bytes(9), digest=bytes(16)), CnipDrop.AUTHENTICATED),
        (CnipPacket(bytes(9), timestamp=5_000), CnipDrop.STALE),
    ],
)
def test_packets_that_are_not_for_us_are_dropped_by_reason(packet, reason):
    receiver = CnipReceiver(channel_timeout=1.0)
    assert receiver.receive(packet.encode(), "peer", 10.0) == []
    assert receiver.drops == {reason: 1}


@pytest.mark.parametrize("options", [{"extension": bytes(3)}, {"digest": bytes(5)}, {"body": bytes(65530)}])
def test_packets_that_cannot_be_written_are_refused(options):
    with pytest.raises(ConfigurationError):
        CnipPacket(**{"body": b"", **options})


def stream(count, session=7, first=0):
    sender = CnipSender(session)
    made = [sender.packet(bytes([k]) * 8, 0.0) for k in range(first + count)]
    return [packet.encode() for packet in made[first:]]


def deliver(receiver, datagrams, at=0.0):
    return [frame[0] for datagram in datagrams for frame in receiver.receive(datagram, "peer", at)]


def test_duplicates_are_dropped_and_a_new_session_starts_anew():
    receiver = CnipReceiver()
    old, new = stream(3), stream(2, session=8)
    assert deliver(receiver, [old[0], old[1], old[1], old[0], old[2]]) == [0, 1, 2]
    assert receiver.drops == {CnipDrop.DUPLICATE: 2}
    assert deliver(receiver, new) == [0, 1]


def test_packets_ahead_wait_for_the_missing_one():
    receiver = CnipReceiver(escrow_time=0.1)
    s = stream(5)
    assert deliver(receiver, [s[0], s[2], s[3]]) == [0]
    assert receiver.next_timer() == pytest.approx(0.1)
    assert deliver(receiver, [s[1]], 0.05) == [1, 2, 3]
    assert receiver.next_timer() is None and receiver.lost == 0
    assert deliver(receiver, [s[3], s[4]], 0.06) == [4]


def test_after_the_escrow_time_the_missing_ones_are_lost():
    receiver = CnipReceiver(escrow_time=0.1)
    s = stream(6)
    assert deliver(receiver, [s[0], s[3], s[5]]) == [0]
    assert receiver.on_timer(0.09) == []
    assert [frame[0] for frame in receiver.on_timer(0.1)] == [3]
    assert receiver.lost == 2
    assert [frame[0] for frame in receiver.on_timer(receiver.next_timer())] == [5]
    assert deliver(receiver, [s[4]], 0.3) == []
    assert receiver.drops == {CnipDrop.DUPLICATE: 1}


def test_far_behind_is_a_sender_that_started_anew():
    receiver = CnipReceiver()
    s = stream(200)
    assert deliver(receiver, s) == [k % 256 for k in range(200)]
    assert deliver(receiver, [s[101]]) == [], "99 behind is a duplicate"
    assert deliver(receiver, [s[3], s[4]]) == [3, 4]


def test_sequence_numbers_wrap():
    receiver = CnipReceiver()
    octets = [CnipPacket(bytes([k]) * 8, (2**32 - 2 + k) % 2**32, 1).encode() for k in range(4)]
    assert deliver(receiver, [octets[0], octets[2], octets[1], octets[3]]) == [0, 1, 2, 3]


def test_nothing_grows_without_bound():
    receiver = CnipReceiver(escrow_time=1e9, peers=10, most_held=4)
    for name in range(100):
        for number in (0, *range(50, 60)):
            receiver.receive(CnipPacket(bytes(8), number, 1).encode(), name, 0.0)
    assert len(receiver._peers) <= 10
    assert all(len(peer.held) <= 5 for peer in receiver._peers.values())


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=6), st.sets(st.integers(1, 11), max_size=4))
def test_any_order_with_copies_and_losses_arrives_in_order_once(order, copies, missing):
    receiver = CnipReceiver(escrow_time=1.0)
    s = stream(12)
    sent = [0, *(k for k in [*order, *copies] if k and k not in missing)]
    got = deliver(receiver, [s[k] for k in sent])
    while (at := receiver.next_timer()) is not None:
        got += [frame[0] for frame in receiver.on_timer(at)]
    assert got == sorted(set(sent))
    assert receiver.lost == len([k for k in missing if k < max(sent)])


def test_crc_behind_the_lpdu_is_taken_off_only_when_asked_for():
    lpdu = bytes.fromhex("010901AA01A90103810D00CA")
    assert crc16(lpdu).hex() == "099e" and crc16(b"123456789").hex() == "d64e"  # published check values
    octets = CnipPacket(lpdu + crc16(lpdu)).encode()
    assert CnipReceiver(strip_crc=True).receive(octets, 1, 0.0) == [lpdu]
    assert CnipReceiver().receive(octets, 1, 0.0) == [lpdu + crc16(lpdu)]
    receiver = CnipReceiver(strip_crc=True)
    assert receiver.receive(CnipPacket(lpdu + b"\0\0").encode(), 1, 0.0) == []
    assert receiver.drops == {CnipDrop.BAD_CRC: 1}


def test_time_stamps_are_milliseconds_and_never_the_zero_that_means_none():
    sender = CnipSender(1, timestamps=True)
    assert [sender.packet(b"", at).timestamp for at in (0.0, 1.5, 2**32 / 1000 + 0.002)] == [1, 1500, 2]
