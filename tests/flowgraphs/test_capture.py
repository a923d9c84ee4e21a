"""Captures: known octets of a CN/IP packet, and the layers around it."""

import dpkt

from flowgraphs.capture import CapturedPacket, cnip, encode_capture


def test_a_cnip_packet_has_the_octets_of_a_captured_one():
    # Data packet between two independent stacks, sequence 7; theirs had session 54535431, ours is 1.
    lpdu = bytes.fromhex("4019238F238C510351")
    theirs = bytes.fromhex("001D010100000000545354310000000700000000") + lpdu
    ours = cnip(lpdu, 7)
    assert ours[:8] == theirs[:8] and ours[12:] == theirs[12:]


def test_a_capture_reads_back_with_times_and_senders():
    packets = [CapturedPacket(0.25, bytes(9), 0), CapturedPacket(1.5, bytes(range(12)), 3)]
    import io

    records = list(dpkt.pcap.Reader(io.BytesIO(encode_capture(packets))))
    assert [round(at, 6) for at, _ in records] == [0.25, 1.5]
    for sequence, ((_, octets), packet) in enumerate(zip(records, packets, strict=True)):
        ip = dpkt.ethernet.Ethernet(octets).data
        assert ip.src == bytes([10, 0, 0, packet.coupler + 1]) and ip.data.dport == 1628
        assert ip.data.data == cnip(packet.lpdu, sequence)
