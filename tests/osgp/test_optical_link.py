"""The C12.18 data link over lines that lose, repeat and damage octets, in virtual time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import ConfigurationError, LocalProtocolError
from osgp.optical import Link, LinkDrop, LinkFailed, LinkTiming, MessageReceived, MessageSent, Packet

ACK, NAK = b"\x06", b"\x15"


def events(link):
    found = []
    while (event := link.next_event()) is not None:
        found.append(event)
    return found


def run(one, other, damage, until=200.0):
    """Let both ends talk; `damage` may change what is on the line. Returns the events of both."""
    now, seen = 0.0, ([], [])
    while now < until:
        moved = False
        for source, target in ((one, other), (other, one)):
            octets = source.octets_to_send(now)
            if octets:
                moved = True
                target.receive_octets(damage(octets), now)
        for link, found in zip((one, other), seen, strict=True):
            found += events(link)
        if not moved:
            timers = [timer for timer in (one.next_timer(), other.next_timer()) if timer is not None]
            if not timers:
                break
            now = max(now, min(timers))
            one.on_timer(now)
            other.on_timer(now)
    return seen


@given(st.binary(max_size=3000), st.sampled_from([32, 64, 100, 1024]))
def test_a_message_arrives_whole_whatever_the_packet_size(payload, size):
    sender, receiver = Link(), Link()
    sender.packet_size, sender.packets = size, 255
    sender.send_message(payload, 0.0)
    sent, got = run(sender, receiver, lambda octets: octets)
    assert [event.payload for event in got if isinstance(event, MessageReceived)] == [payload]
    assert sent == [MessageSent(0.0)]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(["lose", "flip", "repeat"]))
def test_a_bad_line_delivers_once_or_says_that_it_failed(seed, kind):
    rng = random.Random(seed)

    def damage(octets):
        if rng.random() > 0.3:
            return octets
        if kind == "lose":
            return b""
        if kind == "repeat":
            return octets + octets
        changed = bytearray(octets)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)

    timing = LinkTiming(tries=8)
    sender, receiver = Link(timing), Link(timing)
    sender.packets = 255
    for number in range(3):
        payload = bytes((number,)) * 150
        sender.send_message(payload, 0.0)
        sent, got = run(sender, receiver, damage)
        received = [event.payload for event in got if isinstance(event, MessageReceived)]
        assert len(sent) == 1
        # A NAK changed into an ACK lets the sender believe that all is well: then the message is gone.
        assert received in ([payload], []) and (received or isinstance(sent[0], LinkFailed) or kind == "flip")
        receiver.repeatable()


def test_control_octets_of_several_packets_count_down_and_toggle():
    link = Link()
    link.packets = 255
    link.send_message(bytes(150), 0.0)
    packets = []
    while (octets := link.octets_to_send(0.0)) :
        packets.append(Packet.decode(octets))
        link.receive_octets(ACK, 0.0)
    assert [packet.sequence for packet in packets] == [2, 1, 0]
    assert [packet.toggle for packet in packets] == [False, True, False]
    assert [packet.first for packet in packets] == [True, False, False]
    assert all(packet.multiple for packet in packets)
    assert [len(packet.payload) for packet in packets] == [56, 56, 38]


def test_the_same_packet_again_is_acknowledged_and_discarded():
    link = Link()
    packet = Packet(b"\x30\x00\x17").encode()
    link.receive_octets(packet, 0.0)
    assert events(link) == [MessageReceived(b"\x30\x00\x17", 0.0)]
    link.receive_octets(packet, 1.0)
    assert events(link) == [] and link.octets_to_send(1.0) == ACK + ACK
    assert link.drops[LinkDrop.DUPLICATE] == 1
    link.receive_octets(Packet(b"\x30\x00\x17", toggle=True).encode(), 2.0)
    assert events(link) == [MessageReceived(b"\x30\x00\x17", 2.0)]


def test_a_repeated_request_gets_the_answer_again_that_was_lost():
    link = Link()
    packet = Packet(b"\x20").encode()
    link.receive_octets(packet, 0.0)
    link.send_message(b"\x00\x00\x02\x00\x00", 0.0)
    first = link.octets_to_send(0.0)
    link.receive_octets(packet, 0.6)
    assert link.octets_to_send(0.6) == first


def test_a_broken_packet_is_refused_and_asked_for_again():
    link = Link()
    octets = bytearray(Packet(b"\x30\x00\x17").encode())
    octets[7] ^= 1
    link.receive_octets(bytes(octets), 0.0)
    assert link.octets_to_send(0.0) == NAK and events(link) == []
    assert link.drops[LinkDrop.BROKEN] == 1


def test_a_packet_that_stops_is_refused_after_the_pause_between_octets():
    link = Link()
    link.receive_octets(Packet(b"\x30\x00\x17").encode()[:5], 0.0)
    assert link.next_timer() == 0.5
    link.on_timer(0.5)
    assert link.octets_to_send(0.5) == NAK and link.next_timer() is None


def test_an_answer_nobody_acknowledges_goes_out_three_times_and_fails():
    link = Link()
    link.send_message(b"\x00", 0.0)
    sent = []
    while link.next_timer() is not None:
        sent.append((link.next_timer(), link.octets_to_send(link.next_timer())))
        link.on_timer(link.next_timer())
    assert [at for at, octets in sent if octets] == [2.0, 4.0, 6.0]
    assert events(link) == [LinkFailed(6.0)]


def test_a_sleeping_port_of_an_old_meter_loses_the_first_packet():
    link = Link(lose_first=True)
    packet = Packet(b"\x20").encode()
    link.receive_octets(b"\x55\x55" + packet, 0.0)
    assert link.octets_to_send(0.0) == NAK and events(link) == []
    link.receive_octets(packet, 0.1)
    assert link.octets_to_send(0.1) == ACK and events(link) == [MessageReceived(b"\x20", 0.1)]


def test_a_zero_octet_is_an_acknowledgement_for_who_expects_alerts_on_the_line():
    for tolerant in (False, True):
        link = Link(zero_is_ack=tolerant)
        link.send_message(b"\x20", 0.0)
        link.octets_to_send(0.0)
        link.receive_octets(b"\x00\x00", 0.1)
        assert events(link) == ([MessageSent(0.1)] if tolerant else [])


def test_a_message_with_a_missing_packet_is_refused():
    link = Link()
    link.receive_octets(Packet(b"a", False, 2, True, True).encode(), 0.0)
    link.receive_octets(Packet(b"c", True, 0, True).encode(), 0.0)
    assert events(link) == [] and link.octets_to_send(0.0) == ACK + NAK
    assert link.drops[LinkDrop.OUT_OF_ORDER] == 1


def test_wrong_calls_are_told():
    link = Link()
    with pytest.raises(ConfigurationError, match="56 octets"):
        link.send_message(bytes(57), 0.0)
    link.send_message(b"\x20", 0.0)
    with pytest.raises(LocalProtocolError, match="on its way"):
        link.send_message(b"\x20", 0.0)
    with pytest.raises(ConfigurationError, match="tries"):
        LinkTiming(tries=0)
