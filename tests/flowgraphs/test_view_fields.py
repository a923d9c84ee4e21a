"""The fields of packets against frames of an independent stack, sealed messages against the engines, and the packet log."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mac
import osgp
from flowgraphs.view.fields import Known, dissect
from flowgraphs.view.listening import Listener, MeterSecrets
from flowgraphs.view.packet_log import PacketLog, Sent
from osgp.security.commissioning import Initiator, Responder
from phy import Packet, Profile, append_crc

FRAMES = Path(__file__).parents[1] / "vectors" / "mac" / "frames.txt"
ROWS = [line.split("; ") for line in FRAMES.read_text().splitlines() if not line.startswith("#")]
PROFILE = Profile.load("pl20a")
DOMAIN = mac.DomainId(bytes.fromhex("4f5347"))


def fields_of(found):
    """The first field of each name."""
    return {field.name: field.value for layer in reversed(found.layers) for field in reversed(layer.fields)}


def test_frames_of_an_independent_stack():
    """Truth: tests/vectors/mac/frames.txt, the fields as a decoder of its own printed them."""
    listener = Listener()
    for octets, flags, version, source, *_, number, _, apdu, _ in ROWS:
        lpdu = append_crc(bytes.fromhex(octets))
        found = dissect(lpdu, True, listener.hear(lpdu))
        values = fields_of(found)
        assert (values["priority"], values["alternate path"]) == tuple("no" if c == "-" else "yes" for c in flags[:2]), octets
        assert values["delta backlog"] == flags.split()[1] and values["version"] == version
        assert found.source == source == values["source"]
        if number not in ("-", ""):
            assert values["transaction number"] == number, octets
        covered = {k for layer in found.layers for field in layer.fields for k in range(field.first, field.end)}
        assert covered == set(range(len(lpdu))), f"{octets}: every octet belongs to a field"
        assert all(layer.first <= field.first <= field.end <= layer.end for layer in found.layers for field in layer.fields)
        if apdu != "-":
            assert any(layer.end - layer.first == len(apdu) // 2 for layer in found.layers[2:]), octets


def test_answers_are_read_with_their_request():
    listener = Listener()
    request = append_crc(bytes.fromhex("0019238F238C51046101"))
    answer = append_crc(bytes.fromhex("0019238C238F51242102FC0000000C9FFFFF0000000001"))
    assert dissect(request, True, listener.hear(request)).text == "request 4: query id"
    found = dissect(answer, True, listener.hear(answer))
    assert found.text == "response 4: id report" and fields_of(found)["unique node id"] == "02 fc 00 00 00 0c"
    alone = dissect(answer, True, Listener().hear(answer))
    assert alone.layers[-2].problem == "the request was not received"


@given(octets=st.binary(max_size=300), crc_ok=st.booleans(), asked=st.none() | st.binary(max_size=60))
def test_noise_is_dissected_without_raising(octets, crc_ok, asked):
    found = dissect(octets, crc_ok, Known(asked=asked))
    assert all(layer.first <= layer.end for layer in found.layers)
    Listener().hear(octets)


@given(
    code=st.sampled_from([0x30, 0x31, 0x3E, 0x3F, 0x40, 0x41, 0x4F, 0x00, 0x0C]), table=st.integers(0, 65535),
    size=st.sampled_from([0, 2, 4, 5, 6]), rest=st.binary(max_size=40), certain=st.booleans(), answer=st.binary(max_size=60),
)  # fmt: skip
def test_noise_as_osgp_is_dissected_without_raising(code, table, size, rest, certain, answer):
    """Requests of every service for any table, known or not, whole or cut; and any answer to them."""
    pdu = bytes((code,)) + table.to_bytes(2, "big") + rest[:size]
    for asked in (pdu, pdu + len(rest).to_bytes(2, "big") + rest):
        apdu = b"\0" + asked + bytes(12)
        lpdu = session(mac.SubnetNode(1, 1), mac.SubnetNode(1, 9), mac.SpduType.REQUEST, 3, apdu)
        listener = Listener()
        dissect(lpdu, True, listener.hear(lpdu))
        dissect(lpdu, True, Known(pdu=asked if certain else None))
        reply = session(mac.SubnetNode(1, 9), mac.SubnetNode(1, 1), mac.SpduType.RESPONSE, 3, b"\0" + answer + bytes(8))
        dissect(reply, True, listener.hear(reply))
        dissect(reply, True, Known(asked=apdu, pdu=answer, asked_pdu=asked if certain else None))
        dissect(reply, True, Known(asked=b"\0" + rest))


def test_a_table_that_nobody_knows_is_shown_when_it_is_certain():
    pdu = osgp.FullRead(669).encode()
    lpdu = session(mac.SubnetNode(1, 1), mac.SubnetNode(1, 9), mac.SpduType.REQUEST, 3, b"\0" + pdu + bytes(12))
    assert dissect(lpdu, True).text == "request 3: OSGP request, sealed"
    found = dissect(lpdu, True, Known(pdu=pdu, how="opened"))
    assert found.text == "request 3: OSGP full read BT669" and fields_of(found)["table"] == "BT669"


def session(source, destination, kind, number, apdu):
    npdu = mac.Npdu(source, destination, DOMAIN, mac.Spdu(kind, number, False, apdu))
    return append_crc(mac.Lpdu(mac.LpduHeader(), npdu).encode())


CONCENTRATOR, METER = mac.SubnetNode(1, 1), mac.SubnetNode(1, 10)
LINK = osgp.Link(1, 10, DOMAIN.octets)
UID = bytes.fromhex("0002a1001001")


def hear(listener, kind, number, apdu):
    ends = (CONCENTRATOR, METER) if kind is mac.SpduType.REQUEST else (METER, CONCENTRATOR)
    lpdu = session(*ends, kind, number, apdu)
    return dissect(lpdu, True, listener.hear(lpdu))


def test_tables_in_clear_are_read_to_their_fields():
    """An exchange under the OMA digest, made by a meter: its fields are those that the meter holds."""
    key = osgp.Key.from_text("OMAK", "df" * 12)
    meter = osgp.Meter(osgp.MeterConfig(unique_node_id=UID, security=osgp.SecurityMode.OMA, key=key, serial="4711"))
    listener = Listener()  # without keys: nothing is encrypted
    suite = osgp.OmaSuite(key)
    octets = suite.seal_request(osgp.FullRead(1).encode(), 5, LINK).octets
    asked = hear(listener, mac.SpduType.REQUEST, 4, octets)
    assert asked.text == "request 4: OSGP full read BT01" and fields_of(asked)["sequence number"] == "5"
    answer = meter.receive_request(octets, 1, 10, 1.0, domain=DOMAIN.octets)
    found = hear(listener, mac.SpduType.RESPONSE, 4, answer)
    assert found.text.startswith("response 4: OSGP ok, BT01")
    truth = osgp.table("BT01").decode(meter.store.octets("BT01")).to_json()
    values = fields_of(found)
    assert values["BT01.0 manufacturer"] == truth["manufacturer"]
    assert sum(name.startswith("BT01.") for name in values) == len(truth)


@pytest.mark.parametrize("known", [True, False])
def test_sealed_messages_are_opened_with_keys_and_only_with_keys(known):
    psk = osgp.Key.from_text("PSK", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
    omak = osgp.Key.from_text("OMAK", "df" * 12)
    other = osgp.Key.from_text("PSK", "00" * 16)
    listener = Listener([MeterSecrets(bytes(6), omak, other), MeterSecrets(UID, omak, psk if known else other)])
    rng = random.Random(1)
    client, responder = Initiator(psk, UID, LINK, rng.randbytes), Responder(psk, UID, rng.randbytes)
    number = 0
    while client.suite is None:
        number += 1
        text = hear(listener, mac.SpduType.REQUEST, number, client.octets).text
        assert "OSGP commissioning" in text
        answer = responder.receive(client.octets, LINK, 0, lambda: True)
        assert "OSGP commissioning" in hear(listener, mac.SpduType.RESPONSE, number, answer).text
        client.receive(answer)
    exchange = client.suite.seal_request(osgp.PartialRead(23, 0, 4).encode(), 9, LINK)
    asked = hear(listener, mac.SpduType.REQUEST, 7, exchange.octets)
    served = next(iter(responder.suites())).open_request(exchange.octets, LINK)
    sealed = served.seal_response(osgp.Response(osgp.ResultCode.OK, b"\x01\x02\x03\x04").encode())
    found = hear(listener, mac.SpduType.RESPONSE, 7, sealed)
    if known:
        assert asked.text == "request 7: OSGP partial read BT23, 4 octets" and found.text == "response 7: OSGP ok, BT23, 4 octets"
        assert fields_of(found)["data"] == "01 02 03 04"
    else:
        assert asked.text == "request 7: OSGP request, sealed" and found.text == "response 7: OSGP response, sealed"
    shown = repr(listener.__dict__) + repr(asked) + repr(found)
    assert not any(key in shown for key in ("a0a1a2a3", "dfdfdf", repr(bytes.fromhex("a0a1a2a3"))[2:-1]))


def packet(start, size=100, carrier="primary", lpdu=b"\x01\x02\x03\x04", crc_ok=True):
    return Packet(lpdu, crc_ok, start, start + size, carrier, 0.1, 20.0, 0.0, 1, np.zeros(4, np.complex64))


@given(
    packets=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200), st.sampled_from(["primary", "secondary"])), max_size=20),
    window=st.tuples(st.integers(0, 900), st.integers(1, 300)),
)
def test_air_time_and_the_newest_packet_against_marks_on_paper(packets, window):
    log = PacketLog(1000.0)
    marks = {name: np.zeros(2000, bool) for name in ("primary", "secondary")}
    for start, size, carrier in packets:
        log.add(packet(start, size, carrier), PROFILE)
        marks[carrier][start : start + size] = True
    first, count = window
    found = log.airtime(first, first + count)
    for name in ("primary", "secondary"):
        assert found[name] == pytest.approx(marks[name][first : first + count].mean())
    assert found["any"] == pytest.approx((marks["primary"] | marks["secondary"])[first : first + count].mean())
    newest = log.before(first)
    ended = [start + size for start, size, _ in packets if start + size <= first]
    assert (newest is None) == (not ended) and (newest is None or newest.packet.end_sample == max(ended))


def test_the_log_is_bounded_and_numbers_stay():
    log = PacketLog(1000.0, limit=5)
    for k in range(12):
        log.add(packet(10 * k, 5), PROFILE)
    entries, following = log.after(0, 100)
    assert [entry.number for entry in entries] == [7, 8, 9, 10, 11] and following == 12
    assert log.get(6) is None and log.get(11).number == 11 and log.after(12, 10) == ([], 12)
    counters = log.counters()
    assert (counters["packets"], counters["forgotten"], counters["crc_ok"]) == (12, 7, 12)
    assert log.before(10**9).number == 11 and log.before(0) is None


def test_the_sender_is_the_station_that_said_so():
    log = PacketLog(1000.0)
    log.sent(Sent(100, b"\x01\x02\x03\x04", "meter-1"))
    log.sent(Sent(500, b"\x01\x02\x03\x04", "meter-2"))
    assert log.add(packet(102), PROFILE).sender == "meter-1"
    assert log.add(packet(499), PROFILE).sender == "meter-2"
    assert log.add(packet(300), PROFILE).sender == ""
    assert log.add(packet(101, lpdu=b"\x09\x02\x03\x04"), PROFILE).sender == ""
