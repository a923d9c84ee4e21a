"""The MEP port of a meter: published exchanges, timing, repeats, sequence numbers, alerts, TLS, and a client in the field."""

import json
import random
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import AccessLevel, Key, LocalProtocolError, Meter, MeterConfig, PartialRead, Port, ResultCode, Session
from osgp.mep import (
    AlertSeen,
    MepAnswered,
    MepClient,
    MepClientConfig,
    MepConfig,
    MepDrop,
    MepFailed,
    MepRateChanged,
    MepTiming,
    MepTlsClient,
    MepTlsConfig,
)
from osgp.meter import MepNumbers, MepPort
from osgp.meter.composition import default_subsystems
from osgp.meter.signals import DimensionsChanged
from osgp.meter.subsystem import Subsystem
from osgp.security import KeyRing, MepSuite

FOLDER = Path(__file__).parents[1] / "vectors" / "osgp"
PORTS = json.loads((FOLDER / "ports.json").read_text())
TLS = json.loads((FOLDER / "security.json").read_text())["mep_tls"]
h = bytes.fromhex
MAK = Key(b"\x01" * 16, "MAK")
KEYS = KeyRing(mak=MAK, mbk=Key.from_text("MBK", "BASICKEY000000000001"))
EXCHANGES = {vector["name"]: (h(vector["request"]), h(vector["response"])) for vector in PORTS["mep_exchanges"]}


class Fixed(Subsystem):
    """Tables with given octets."""

    name = "fixed"

    def __init__(self, **tables):
        super().__init__()
        self._tables = tables

    def attach(self, host):
        for name, octets in self._tables.items():
            host.store.put(name, octets)


def made(first=(0, 0), config=None, port=Port.MEP1, **tables):
    meter = Meter(MeterConfig(), (Fixed(**tables), MepNumbers(first)))
    return meter, MepPort(meter, KEYS, port).server(config)


def ask(server, frame, now):
    """Everything the port says to a frame, and when it is done."""
    server.receive_octets(frame, now)
    said = b""
    while True:
        said += server.octets_to_send(now)
        if len(said) >= 2 and len(said) >= 2 + int.from_bytes(said[:2], "big"):
            return said, now
        now = max(now, server.next_timer())
        server.on_timer(now)


# published exchanges


def test_the_published_reading_with_its_resynchronisation_comes_out_octet_for_octet():
    data = EXCHANGES["mep_read_bt23_ok"][1][5:49]
    _meter, server = made((0x77635B90, 0), BT23=data)
    now = 0.0
    for name in ("mep_read_bt23_bad_sequence", "mep_read_bt23_ok"):
        request, response = EXCHANGES[name]
        said, now = ask(server, request, now + 0.2)
        assert said.hex() == response.hex(), name


def test_the_published_removal_comes_out_octet_for_octet():
    request, response = EXCHANGES["mep_ep17_remove"]
    _, server = made((0x5B4E4308, 0))
    assert ask(server, request, 0.0)[0].hex() == response.hex()


def whole_meter(first, port=Port.MEP1, **options):
    """A meter with all its subsystems but for the first sequence numbers."""
    config = MeterConfig(**options)
    parts = [part for part in default_subsystems(config) if not isinstance(part, MepNumbers)]
    meter = Meter(config, (*parts, MepNumbers(first)))
    return meter, MepPort(meter, KEYS, port).server()


def test_the_published_transaction_comes_out_octet_for_octet():
    _, server = whole_meter((0x5B4E42E5, 0))
    now = 0.0
    for name in ("mep_transaction_write_et52", "mep_transaction_header_et53"):
        request, response = EXCHANGES[name]
        said, now = ask(server, request, now + 0.2)
        assert said.hex() == response.hex(), name
    said, _ = ask(server, sealed(h("3f0835000000006f"), 0x5B4E42E8), now + 0.2)
    assert result(said) is ResultCode.OK
    content = said[5:-8]
    assert content[-2:] == content[3:5] == (1).to_bytes(2, "little")
    sizes, rest = [], content[5:-2]
    while rest:
        size = int.from_bytes(rest[:2], "little")
        assert rest[2] == 0 and int.from_bytes(rest[3:5], "big") == size - 3
        sizes.append(size - 3)
        rest = rest[2 + size :]
    assert sizes == [10, 10, 10, 1, 12, 31]  # what the six reads asked for


def test_a_client_registers_gets_a_handle_and_is_removed():
    _, server = whole_meter((9, 9))
    steps = [
        (h("4f083200001e000101"), h("00")),  # ET50.30 := 1
        (h("3f080e0000960002"), h("000002e803")),  # the handle in slot 4 of ET14, at 6 + 4 * 36: 1000
        (h("400007000611080500e803"), h("00")),  # BT07: EP17, sequence 5, action 0, handle 1000
        (h("3f00080000000004"), h("00000411080500")),  # BT08: EP17, sequence 5, completed
        (h("3f083200001e0001"), h("00000100")),  # the flag is gone
        (h("400007000611080500e803"), h("04")),  # the same sequence number again
        (h("400007000611080600e803"), h("00")),
        (h("3f00080000000004"), h("00000411080603")),  # no such handle
    ]
    now = 0.0
    for number, (pdu, expected) in enumerate(steps):
        said, now = ask(server, sealed(pdu, 10 + number), now + 0.2)
        assert said[2:-8] == expected, number


def test_a_new_rate_takes_effect_after_the_answer():
    _, server = whole_meter((9, 9))
    write = h("4f080d00010e0001") + b"\x08"  # ET13.devices[4].baud at 4 * 66 + 6
    server.receive_octets(sealed(write, 10), 0.0)
    assert server.next_event() is None and server.rate == 9600
    assert server.octets_to_send(0.0)[2] == 0
    assert server.next_event() == MepRateChanged(0.0, 19200) and server.rate == 19200


def test_each_client_learns_which_of_the_two_it_is_and_how_its_port_stands():
    meter, one = whole_meter((9, 9), firmware=(4, 60, 0))
    two = MepPort(meter, KEYS, Port.MEP2).server()
    read = h("3f084600008e0001")
    for number in range(2):
        for server, channel in ((one, 1), (two, 2)):
            said, _ = ask(server, sealed(read, 10 + number), float(number))
            assert said[2:-8] == h("000001") + bytes((channel,))
    client = MepTlsClient(MepTlsConfig(MAK))
    client.request(PartialRead(2118, 142, 1), 5.0)
    _, event = talk(client, two, 5.0)
    assert event.response.data == b"\x02"
    assert meter.octets("ET89", 6.0) and meter.store["ET89.tls_ports[1].session_state"] == 1
    assert meter.store["ET89.tls_ports[2].session_state"] == 4
    ask(two, h("0007801703030001ff"), 7.0)
    assert meter.octets("ET89", 8.0) and meter.store["ET89.tls_ports[2].tls_error_count"] == 1


def drip(*pieces):
    left = list(pieces)
    return lambda count: left.pop(0)


def test_the_published_tls_session_comes_out_octet_for_octet():
    frames = [h(message["frame"]) for message in TLS["messages"]]
    entropy = drip(h(TLS["derived"]["server_random"]), frames[1][47:79])
    # ET70: 156 octets, the client asks at 142 which of the two it is.
    _, server = made(config=MepConfig(entropy=entropy), port=Port.MEP2, ET70=bytes(142) + b"\x02" + bytes(13))
    now = 0.0
    for request, response in zip(frames[::2], frames[1::2], strict=True):
        said, now = ask(server, request, now + 0.2)
        assert said.hex() == response.hex()
    assert server.tls_session
    assert ask(server, EXCHANGES["mep_read_bt23_ok"][0], now + 0.2)[0][2] == ResultCode.INVALID_STATE  # RC4 mode is refused
    assert ask(server, h("00025700"), now + 0.4)[0] == h("000100") and not server.tls_session


def test_our_tls_client_sends_the_published_frames():
    frames = [h(message["frame"]) for message in TLS["messages"]]
    client = MepTlsClient(MepTlsConfig(MAK, 100, entropy=drip(h(TLS["derived"]["client_random"]))))
    client.request(PartialRead(2118, 142, 1), 0.0)
    now = 0.0
    for request, response in zip(frames[::2], frames[1::2], strict=True):
        client.on_timer(now)
        assert client.octets_to_send(now).hex() == request.hex()
        client.receive_octets(response, now)
        now += 0.1
    assert client.next_event().response.data == b"\x02"


def test_encryption_is_that_of_the_second_implementation():
    vector = PORTS["mep_rc4"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, server = made((0x77635B90, 0), MepConfig(accepts_rc4=True), BT23=h(vector["response_plain"])[3:])
        said, _ = ask(server, h(vector["request_frame"]), 0.0)
    assert said[2:-8].hex() == vector["response_cipher_same_keystream"]
    _, server = made((0x77635B90, 0))
    assert ask(server, h(vector["request_frame"]), 0.0)[0] == h("00090b" + 8 * "00")  # off: nobody is known


# sequence numbers, repeats


def sealed(pdu, number, key=MAK):
    body = MepSuite((key,)).seal_request(pdu, number).octets
    return len(body).to_bytes(2, "big") + body


READ = b"\x3f\x00\x17\x00\x00\x00\x00\x08"


def result(said):
    return ResultCode(said[2])


def test_numbers_one_to_eight_ahead_are_taken_and_others_told_the_right_one():
    now = 0.0
    for ahead, expected in ((0, 0x0C), (1, 0), (8, 0), (9, 0x0C), (-1, 0x0C), (2**31, 0x0C)):
        _, server = made((100, 0), BT23=bytes(44))
        now += 1
        said, _ = ask(server, sealed(READ, (100 + ahead) % 2**32), now)
        assert said[2] == expected
        assert expected == 0 or said[3:7] == (100).to_bytes(4, "big")


def test_after_the_refusal_s_to_s_plus_eight_are_taken():
    for ahead in range(9):
        _, server = made((100, 0), BT23=bytes(44))
        assert result(ask(server, sealed(READ, 5000), 0.0)[0]) is ResultCode.INVALID_SEQUENCE
        assert result(ask(server, sealed(READ, 100 + ahead), 0.2)[0]) is ResultCode.OK


def test_a_replay_is_refused_and_an_immediate_repeat_gets_the_stored_answer():
    meter, server = made((100, 0), BT23=bytes(44), BT07=bytes(258))
    one, two = sealed(READ, 101), sealed(READ, 102)
    first, _ = ask(server, one, 0.0)
    served = meter.served
    assert ask(server, one, 0.6)[0] == first and meter.served == served
    assert result(ask(server, two, 1.2)[0]) is ResultCode.OK
    assert result(ask(server, one, 1.8)[0]) is ResultCode.INVALID_SEQUENCE
    assert result(ask(server, two, 40.0)[0]) is ResultCode.INVALID_SEQUENCE  # too late for a repeat
    # Provoked refusals do not open the last number to what was accepted under it.
    assert result(ask(server, two, 41.0)[0]) is ResultCode.INVALID_SEQUENCE


def test_reflected_and_redirected_answers_are_refused():
    _, server = made((100, 0), BT23=bytes(44))
    said, _ = ask(server, sealed(READ, 101), 0.0)
    assert result(ask(server, said, 0.2)[0]) is ResultCode.AUTHENTICATION_FAILURE


@given(st.data())
def test_a_changed_octet_or_length_is_a_failure_of_authentication(data):
    _, server = made((100, 0), BT23=bytes(44))
    frame = bytearray(sealed(READ, 101))
    place = data.draw(st.integers(2, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    said, _ = ask(server, bytes(frame), 0.0)
    assert said[2] == 0x0B or (frame[2] in (0x57, 0x58, 0x59, 0x80) and said[2] in (0, 1, 0x0A))
    short = data.draw(st.integers(1, 19))
    assert ask(server, short.to_bytes(2, "big") + sealed(READ, 101)[2 : 2 + short], 1.0)[0][2] == 0x0B


def test_keys_give_their_levels_and_the_basic_key_may_not_write_everything():
    meter, server = made((100, 0), BT23=bytes(44), ET13=bytes(330))
    write = b"\x4f\x08\x0d\x00\x00\x00\x00\x01\x05"
    assert result(ask(server, sealed(write, 101, KEYS.mbk), 0.0)[0]) is ResultCode.INSUFFICIENT_SECURITY
    assert result(ask(server, sealed(write, 102), 0.2)[0]) is ResultCode.OK
    assert result(ask(server, sealed(READ, 103, Key(b"\x02" * 16, "MAK")), 0.4)[0]) is ResultCode.AUTHENTICATION_FAILURE
    assert meter.store.octets("ET13")[0] == 5


def test_a_dimension_change_makes_clients_ask_for_the_number_and_a_restart_uses_none_twice():
    meter, server = made((100, 200), BT23=bytes(44))
    ask(server, sealed(READ, 101), 0.0)
    meter.signal(DimensionsChanged(), 1.0)
    said, _ = ask(server, sealed(READ, 102), 1.0)
    assert said[2:7] == b"\x0c" + (126).to_bytes(4, "big")
    for _ in range(3):
        again = Meter(MeterConfig(), (Fixed(BT23=bytes(44)), MepNumbers((1, 1))), saved=meter.saved())
        numbers, old = again.find(MepNumbers).windows, meter.find(MepNumbers).windows
        assert all(16 <= numbers[port].last - old[port].last <= 256 for port in old)
        meter = again


def test_numbers_wrap_round():
    _, server = made((2**32 - 2, 0), BT23=bytes(44))
    for place, number in enumerate((2**32 - 1, 0, 7)):
        assert result(ask(server, sealed(READ, number), place)[0]) is ResultCode.OK


# timing, frames, alerts


def test_a_frame_with_a_gap_is_forgotten_and_the_next_one_answered():
    _, server = made((100, 0), BT23=bytes(44))
    frame = sealed(READ, 101)
    server.receive_octets(frame[:10], 0.0)
    server.receive_octets(frame[10:], 0.049)
    assert server.octets_to_send(0.049)[2] == 0
    server.receive_octets(sealed(READ, 102)[:10], 1.0)
    server.receive_octets(sealed(READ, 103), 1.05)
    assert server.octets_to_send(1.05)[2] == 0 and server.drops[MepDrop.GAP] == 1


def test_one_request_in_a_hundred_milliseconds_is_taken_and_long_answers_pause():
    _, server = made((100, 0), BT23=bytes(300))
    server.receive_octets(sealed(READ, 101) + sealed(b"\x30\x00\x17", 102), 0.0)
    out = {}
    for step in range(400):
        now = step / 1000
        server.on_timer(now)
        if octets := server.octets_to_send(now):
            out[now] = len(octets)
    assert out == {0.0: 21, 0.1: 117, 0.125: 117, 0.15: 79}
    for number in range(10):
        server.receive_octets(sealed(READ, 103 + number), 1.0)
    assert server.drops[MepDrop.BUSY] == 5


def test_a_length_that_cannot_be_is_skipped_until_the_line_is_silent():
    _, server = made((100, 0), BT23=bytes(44))
    server.receive_octets(b"\xff\xff" + bytes(40), 0.0)
    server.receive_octets(sealed(READ, 101), 0.02)
    assert server.octets_to_send(0.02) == b"" and server.drops[MepDrop.TOO_LONG] == 1
    assert result(ask(server, sealed(READ, 101), 0.2)[0]) is ResultCode.OK


def test_alerts_come_every_second_while_their_cause_lasts_and_wait_after_a_frame():
    meter, server = made((100, 0), BT23=bytes(44), ET13=bytes(330))
    assert server.octets_to_send(0.0) == b""
    entry = bytearray(meter.store.octets("ET13"))
    entry[4 * 66 + 8] = 1
    meter.store.put("ET13", bytes(entry))
    heard = [step / 10 for step in range(1, 60) if server.octets_to_send(step / 10) == b"\0\0"]
    assert heard == [1.0, 2.0, 3.0, 4.0, 5.0]
    _said, _now = ask(server, sealed(READ, 101), 5.95)
    heard = [step / 10 for step in range(60, 90) if server.octets_to_send(step / 10) == b"\0\0"]
    assert heard == [7.0, 8.0] and server.alerts == 7
    meter.store.put("ET13", bytes(330))
    assert [server.octets_to_send(9.0 + step / 10) for step in range(30)] == [b""] * 30


def test_a_dead_or_disabled_port_says_nothing():
    meter, server = made((100, 0), BT23=bytes(44), ET51=b"\x80" + bytes(19))
    server.receive_octets(sealed(READ, 101), 0.0)
    assert server.octets_to_send(0.0) == b""
    meter, server = made((100, 0), BT23=bytes(44))
    meter.power_down(1.0)
    server.receive_octets(sealed(READ, 101), 2.0)
    assert server.octets_to_send(2.0) == b""
    with pytest.raises(LocalProtocolError, match="MEP"):
        MepPort(Meter(subsystems=()), KEYS)


# TLS


def wrong_identity(kind):
    return KeyRing(mak=Key(b"\x07" * 16, "MAK")) if kind == "key" else KeyRing(mbk=KEYS.mbk)


def talk(client, server, now, limit=500):
    for _ in range(limit):
        if (event := client.next_event()) is not None:
            return now, event
        out = client.octets_to_send(now)
        if out:
            server.receive_octets(out, now)
        back = server.octets_to_send(now)
        if back:
            client.receive_octets(back, now)
        if not out and not back:
            now = max(now + 1e-6, min(t for t in (client.next_timer(), server.next_timer()) if t is not None))
            client.on_timer(now)
            server.on_timer(now)
    raise AssertionError("nothing happens")


def test_a_tls_session_reads_survives_a_meter_that_forgot_it_and_ends():
    meter, server = made(BT23=bytes(range(44)))
    client = MepTlsClient(MepTlsConfig(KEYS.mbk))
    now = 0.0
    for turn in range(3):
        client.request(PartialRead(23, 4, 8), now)
        now, event = talk(client, server, now)
        assert isinstance(event, MepAnswered) and event.response.data == bytes(range(4, 12))
        assert server.tls_session
        if turn == 1:
            server.line_lost(now)
    assert meter.refusals.total() == 0


@pytest.mark.parametrize("kind", ["key", "identity"])
def test_a_wrong_key_or_identity_is_refused_with_its_code(kind):
    _, server = made()
    server._host._keys = wrong_identity(kind)
    client = MepTlsClient(MepTlsConfig(MAK))
    client.request(PartialRead(23, 4, 8), 0.0)
    _, event = talk(client, server, 0.0)
    assert isinstance(event, MepFailed) and "identity or key" in event.text and server.results[0x03] == 1


def test_records_out_of_turn_and_damaged_ones_end_the_session_with_their_codes():
    frames = [h(message["frame"]) for message in TLS["messages"]]
    _, server = made()
    assert ask(server, frames[4], 0.0)[0] == h("00010a")
    assert ask(server, frames[2], 0.2)[0] == h("00010a")
    assert ask(server, h("0008581503030002") + h("0228"), 0.4)[0] == h("000101")  # an alert instead of a hello
    client = MepTlsClient(MepTlsConfig(MAK))
    client.request(PartialRead(23, 4, 8), 1.0)
    now, _ = talk(client, server, 1.0)
    assert server.tls_session
    record = bytearray(h("00268017030300200000000000000002") + bytes(24))
    assert ask(server, bytes(record), now + 1.0)[0] == h("000101") and not server.tls_session


def test_a_policy_that_asks_for_tls_refuses_digests():
    meter, server = whole_meter((100, 0), firmware=(4, 30, 0))
    assert result(ask(server, sealed(READ, 101), 0.0)[0]) is ResultCode.OK
    meter.store["ET97.tls_mep1"] = True
    assert result(ask(server, sealed(READ, 102), 1.0)[0]) is ResultCode.INSUFFICIENT_SECURITY
    client = MepTlsClient(MepTlsConfig(MAK))
    client.request(PartialRead(23, 0, 8), 2.0)
    _, event = talk(client, server, 2.0)
    assert event.response.result is ResultCode.OK


# clients


def test_our_client_finds_the_number_repeats_what_is_lost_and_hears_alerts():
    flagged = bytes(4 * 66 + 8) + b"\x01" + bytes(57)
    _, server = made((12345, 0), BT23=bytes(range(44)), ET13=flagged)
    client = MepClient(MepClientConfig(MAK))
    client.request(PartialRead(23, 0, 44), 0.0)
    now, event = talk(client, server, 0.0)
    assert isinstance(event, MepAnswered) and event.response.data == bytes(range(44))
    client.request(PartialRead(23, 0, 44), now)
    client.octets_to_send(now + 0.1)
    client.on_timer(now + 0.1)
    assert client.octets_to_send(now + 0.1)  # the line swallows it
    client.on_timer(now + 0.7)
    now, event = talk(client, server, now + 0.7)
    assert isinstance(event, MepAnswered)
    while server.octets_to_send(now) != b"\0\0":
        now += 0.1
    client.receive_octets(b"\0\0", now)
    assert client.next_event() == AlertSeen(now)


def test_a_wrong_key_fails_at_once_and_a_dead_line_after_three_tries():
    _, server = made((100, 0), BT23=bytes(44))
    client = MepClient(MepClientConfig(Key(b"\x02" * 16, "MBK")))
    client.request(PartialRead(23, 0, 44), 0.0)
    _, event = talk(client, server, 0.0)
    assert event.response.result is ResultCode.AUTHENTICATION_FAILURE
    client.request(PartialRead(23, 0, 44), 1.0)
    sent = 0
    while client.next_timer() is not None:
        at = client.next_timer()
        sent += bool(client.octets_to_send(at))
        client.on_timer(at)
    assert sent == 3 and isinstance(client.next_event(), MepFailed)


class FieldClient:
    """The habits of a firmware that reads real meters: a queue of sealed requests, the returned number used as it is."""

    def __init__(self):
        self.number, self.queue, self.done = 0, [], []
        # Its key: the first 16 of the 20 characters that its owner types.
        self.suite = MepSuite((Key.from_text("MBK", "BASICKEY000000000001"),))

    def put(self, pdu):
        body = self.suite.seal_request(pdu, self.number).octets
        self.queue.append((pdu, len(body).to_bytes(2, "big") + body))
        self.number += 1

    def turn(self, server, now):
        """Send the next one; it looks at the code of the answer and at nothing else, not at the digest."""
        pdu, frame = self.queue.pop(0)
        said, now = ask(server, frame, now)
        if said[2] == 0x0C:
            self.number = int.from_bytes(said[3:7], "big")
            self.put(pdu)
        else:
            self.done.append((pdu, said[2]))
        return now + 0.15


@pytest.mark.parametrize("jump", [False, True])
def test_queued_requests_with_stale_numbers_are_all_served_in_the_end(jump):
    meter, server = made((0x00A1B2C3, 0), BT23=bytes(220), BT01=bytes(24), BT21=bytes(10), BT52=bytes(7), BT28=bytes(164))
    client, now = FieldClient(), 0.0
    reads = [bytes((0x30, 0, table, 2, 0)) for table in (52, 1, 21, 28)] + [h("3f0017000000000d"), h("3f001c00000000a0")]
    for pdu in reads:
        client.put(pdu)
    turns = 0
    while client.queue and turns < 200:
        now = client.turn(server, now)
        turns += 1
        if jump and turns % 5 == 0 and turns < 20:
            meter.signal(DimensionsChanged(), now)
    assert not client.queue and sorted(client.done) == sorted((pdu, 0) for pdu in reads)
    assert set(server.results) == {0x00, 0x0C} and turns <= 60


FRAMES = st.binary(min_size=1, max_size=80).map(lambda body: len(body).to_bytes(2, "big") + body)


def test_a_session_names_its_port_and_level():
    assert Session(AccessLevel.MBK, Port.MEP2).user == 0xFFFD


@settings(max_examples=100)
@given(st.lists(st.one_of(st.binary(max_size=60), FRAMES), max_size=12), st.integers(0, 2**32))
def test_whatever_arrives_the_port_still_serves_afterwards(pieces, seed):
    rng = random.Random(seed)
    _, server = made((100, 0), BT23=bytes(44))
    now = 0.0
    for piece in pieces:
        now += rng.choice((0.01, 0.04, 0.2))
        server.receive_octets(piece, now)
        server.octets_to_send(now)
    now += 5.0
    for _ in range(20):
        now += 0.1
        server.on_timer(now)
        server.octets_to_send(now)
    assert result(ask(server, sealed(READ, 101), now)[0]) in (ResultCode.OK, ResultCode.INVALID_STATE)


def test_a_faster_port_may_be_wished_for_tests():
    timing = MepTiming(between_requests=0.0, pause=0.0)
    _, server = made((100, 0), MepConfig(timing=timing), BT23=bytes(300))
    said, now = ask(server, sealed(b"\x30\x00\x17", 101), 0.0)
    assert len(said) == 2 + 3 + 300 + 8 and now == 0.0
