"""The optical port of a meter: states, keys, lock-out, session limit, and the sequence of a client in the field."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import AccessLevel, Meter, MeterConfig, Port, ResultCode
from osgp.meter import OpticalPort, signals
from osgp.meter.signals import AuthenticationFailed
from osgp.meter.subsystem import Subsystem
from osgp.optical import (
    Ended,
    OpticalConfig,
    OpticalServer,
    OpticalSettings,
    Packet,
    PasswordRefused,
    RateChanged,
    SessionEnded,
    SessionOpened,
    State,
)
from osgp.optical.services import Logon, Negotiate, add_checksum, checksum
from osgp.security import KeyRing

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "ports.json").read_text())
KEYS = KeyRing.from_text({"MK": "MASTERKEY00000000001", "PK": "PROVISION00000000001", "RK": "READONLY000000000001"})
WRONG = b"\x51" + b"WRONG000000000000001"
ACK = b"\x06"


def password(kind):
    return b"\x51" + getattr(KEYS, kind.lower()).reveal()


class Ear(Subsystem):
    """Hears the signals of a meter."""

    name = "ear"

    def attach(self, host):
        self.heard = []

    def on_signal(self, signal, now):
        self.heard.append(signal)


class Settings(OpticalPort):
    """A meter's port whose settings a test chooses."""

    chosen = OpticalSettings()

    def settings(self, now):
        return self.chosen


class Client:
    """Sends packets and takes them apart; no engine of ours."""

    def __init__(self, host=None, config=None, **chosen):
        self.meter = Meter(MeterConfig(initial_registers={"forward_active_wh": 1000}))
        self.host = host or Settings(self.meter, KEYS)
        self.host.chosen = replace(OpticalSettings(limited=False), **chosen)
        self.server = OpticalServer(self.host, config)
        self.toggle, self.now = False, 0.0

    def ask(self, payload, wait=0.1):
        """The answer to a request, None when the port says nothing."""
        self.now += wait
        self.server.on_timer(self.now)
        packet = Packet(payload, toggle=self.toggle)
        self.toggle = not self.toggle
        self.server.receive_octets(packet.encode(), self.now)
        octets = self.server.octets_to_send(self.now)
        if not octets:
            return None
        assert octets[:1] == ACK
        parts, octets = [], octets[1:]
        while octets:
            part = Packet.decode(octets)
            parts.append(part)
            self.server.receive_octets(ACK, self.now)
            octets = self.server.octets_to_send(self.now)
        assert [part.sequence for part in parts] == list(range(len(parts) - 1, -1, -1))
        return b"".join(part.payload for part in parts)

    def log_on(self, kind="MK"):
        for request in (b"\x20", Negotiate(512, 2, (6,)).encode(), Logon(1, b"test").encode(), password(kind)):
            assert self.ask(request)[0] == ResultCode.OK

    def events(self):
        found = []
        while (event := self.server.next_event()) is not None:
            found.append(event)
        return found


def test_identification_names_standard_version_and_revision():
    # The published reply carries the answer of a real meter.
    assert Client().ask(b"\x20") == bytes.fromhex(VECTORS["optical_frames"][3]["payload"])


MOVES = (("logon", State.ID), ("logoff", State.SESSION), ("write", State.SESSION))


def test_order_is_enforced_and_costs_nothing():
    client = Client()
    requests = {"negotiate": b"\x60\x00\x40\x04", "logon": Logon(1, b"x").encode(), "security": password("MK"), "logoff": b"\x52",
                "wait": b"\x70\x05", "read": b"\x30\x00\x00", "write": add_checksum(b"\x40\x00\x07\x00\x01\x00")}  # fmt: skip
    for allowed, step in (((), None), (("negotiate", "wait"), b"\x20"), (("security", "read", "wait"), Logon(1, b"x").encode())):
        if step is not None:
            assert client.ask(step)[0] == ResultCode.OK
        before = client.server.state
        for name, request in requests.items():
            if name not in allowed and (name, before) not in MOVES:
                assert client.ask(request) == bytes((ResultCode.INVALID_STATE,)), (name, before)
                assert client.server.state is before
        for name in allowed:
            assert client.ask(requests[name])[0] == ResultCode.OK
    assert client.ask(b"\x99") == bytes((ResultCode.ERROR,))
    assert client.ask(b"") == bytes((ResultCode.ERROR,))
    assert client.ask(b"\x52") == b"\x00" and client.server.state is State.ID
    assert client.ask(b"\x21") == b"\x00" and client.server.state is State.BASE


@pytest.mark.parametrize("kind", ["MK", "PK", "RK"])
def test_the_password_picks_the_level(kind):
    client = Client()
    client.log_on(kind)
    assert client.server.level is AccessLevel(kind)
    assert client.events() == [
        SessionOpened(pytest.approx(0.3), 1, AccessLevel.OPEN), SessionOpened(pytest.approx(0.4), 1, AccessLevel(kind)),
    ]  # fmt: skip
    assert client.ask(b"\x30\x00\x17")[0] == ResultCode.OK


def test_without_a_password_only_open_tables_are_read():
    client = Client()
    for request in (b"\x20", Negotiate(512, 2).encode(), Logon(1, b"x").encode()):
        client.ask(request)
    assert client.ask(b"\x30\x00\x01")[0] == ResultCode.OK
    assert client.ask(b"\x30\x00\x17") == bytes((ResultCode.INSUFFICIENT_SECURITY,))


def test_a_wrong_password_takes_the_level_away_and_is_signalled():
    ear = Ear()
    meter = Meter(subsystems=(ear,))
    client = Client(host=Settings(meter, KEYS))
    client.log_on("MK")
    assert client.ask(WRONG) == bytes((ResultCode.INSUFFICIENT_SECURITY,))
    assert client.server.level is AccessLevel.OPEN
    assert ear.heard == [signals.SessionOpened(Port.OPTICAL, 1), AuthenticationFailed(Port.OPTICAL)]
    assert isinstance(client.events()[-1], PasswordRefused)


def test_a_disabled_provisioning_key_opens_nothing():
    client = Client(pk_disabled=True)
    for request in (b"\x20", Logon(1, b"x").encode()):
        client.ask(request)
    assert client.ask(password("PK")) == bytes((ResultCode.INSUFFICIENT_SECURITY,))
    assert client.ask(password("RK")) == b"\x00"


def test_failures_in_a_row_lock_the_port_out():
    client = Client(lockout_threshold=3, lockout_minutes=1)

    def try_password(octets):
        client.ask(b"\x20")
        client.ask(Logon(1, b"x").encode())
        return client.ask(octets)[0]

    assert [try_password(WRONG) for _ in range(3)] == [3, 3, 3]
    assert try_password(password("MK")) == ResultCode.INSUFFICIENT_SECURITY  # right, but locked out
    client.now += 61.0
    assert [try_password(WRONG), try_password(WRONG), try_password(password("MK")), try_password(WRONG)] == [3, 3, 0, 3]


def test_a_session_ends_at_its_limit_and_the_port_falls_silent_for_the_holdoff():
    client = Client(config=OpticalConfig(channel_timeout=10_000.0), limited=True, session_limit=600.0, holdoff=300.0)
    client.log_on()
    opened = client.now
    client.now = opened + 599.0
    assert client.ask(b"\x30\x00\x01")[0] == ResultCode.OK
    client.now = opened + 601.0
    assert client.ask(b"\x30\x00\x01") is None and client.server.state is State.BASE
    assert client.events()[-1] == SessionEnded(pytest.approx(opened + 601.1), Ended.LIMIT)
    client.now = opened + 899.0 - 1.0
    assert client.ask(b"\x20") is None
    client.now = opened + 901.0
    assert client.ask(b"\x20")[0] == ResultCode.OK


def test_logging_off_and_on_in_time_avoids_the_limit():
    client = Client(config=OpticalConfig(channel_timeout=10_000.0), limited=True)
    for _ in range(5):
        client.log_on()
        client.now += 540.0
        assert client.ask(b"\x52") == b"\x00" and client.ask(b"\x21") == b"\x00"


def test_silence_ends_a_session_and_wait_lengthens_it():
    client = Client()
    client.log_on()
    client.ask(b"\x30\x00\x01", wait=5.9)
    assert client.ask(b"\x70\x0a") == b"\x00"
    assert client.ask(b"\x30\x00\x01", wait=15.9)[0] == ResultCode.OK
    assert client.ask(b"\x30\x00\x01", wait=6.1) == bytes((ResultCode.INVALID_STATE,))


def test_negotiation_agrees_on_what_both_can_do():
    client = Client(config=OpticalConfig(max_packet_size=512, max_packets=4, baud_codes=(6, 8)))
    client.ask(b"\x20")
    assert client.ask(Negotiate(1024, 8, (12, 8, 6)).encode()) == b"\x00\x02\x00\x04\x08"
    assert client.events() == [RateChanged(client.now, 19200)]
    assert client.ask(Negotiate(64, 2, (12,)).encode()) == b"\x00\x00\x40\x02\x08"
    assert client.ask(Negotiate(16, 2, (6,)).encode()) == bytes((ResultCode.ERROR,))
    assert client.ask(b"\x62\x00\x40\x01\x06") == bytes((ResultCode.ERROR,))  # one code too few
    client.ask(b"\x21")
    assert client.events() == [RateChanged(client.now, 9600)]


def test_table_data_ends_with_its_checksum_in_both_directions():
    client = Client()
    client.log_on()
    answer = client.ask(b"\x3f\x00\x17\x00\x00\x00\x00\x08")
    assert answer[:3] == b"\x00\x00\x08" and sum(answer[3:]) & 0xFF == 0 and answer[3:7] == (1000).to_bytes(4, "little")
    write = b"\x40\x00\x07\x00\x03\x11\x08\x07"
    assert client.ask(write + bytes((checksum(write[5:]) ^ 1,))) == bytes((ResultCode.ERROR,))
    assert client.ask(add_checksum(write)) == b"\x00"
    assert client.ask(b"\x40\x00\x07\x00\x03") == bytes((ResultCode.ERROR,))


def test_an_answer_the_client_cannot_put_together_is_not_possible():
    client = Client()
    for request in (b"\x20", Negotiate(64, 2, (6,)).encode(), Logon(1, b"x").encode(), password("RK")):
        client.ask(request)
    assert client.ask(b"\x3f\x00\x17\x00\x00\x00\x00\x6c")[:3] == b"\x00\x00\x6c"  # 108 octets, checksum and head: 112
    assert client.ask(b"\x3f\x00\x17\x00\x00\x00\x00\x6d") == bytes((ResultCode.OPERATION_NOT_POSSIBLE,))


def test_a_client_that_was_restarted_begins_anew_without_waiting():
    client = Client()
    client.log_on()
    client.toggle = False
    for _ in range(3):
        assert client.ask(b"\x20")[0] == ResultCode.OK
        client.toggle = False
    assert client.server.state is State.ID and client.server.level is AccessLevel.OPEN


def test_a_meter_without_power_or_with_the_port_switched_off_says_nothing():
    assert Client(disabled=True).ask(b"\x20") is None
    meter = Meter()
    server = OpticalPort(meter, KEYS).server()
    meter.power_down(1.0)
    server.receive_octets(Packet(b"\x20").encode(), 2.0)
    assert server.octets_to_send(2.0) == b""
    meter.power_up(3.0)
    server.receive_octets(Packet(b"\x20").encode(), 4.0)
    assert server.octets_to_send(4.0) != b""


def test_the_sequence_of_a_client_that_reads_real_meters():
    """Four wake-up octets, 64 x 2, 0x00 to 0x06 apart; every frame as it goes over the line, 500 ms for an answer, twice."""
    client = Client(config=OpticalConfig(lose_first=True), limited=True)
    server, now = client.server, 0.0
    sizes = {"identification": 5, "negotiate": 5, "read BT21, 10 octets": 14, "read BT22, 11 octets": 15,
             "read BT01, 24 octets": 28, "read ET03, 30 octets": 34, "read BT28, 15 values": 64}  # fmt: skip
    for _ in range(2):
        for _ in range(4):
            server.receive_octets(b"\x55", now)
            assert server.octets_to_send(now) == b""
            now += 0.05
        for number, step in enumerate(VECTORS["optical_client"]):
            octets = bytes.fromhex(step["frame"])
            server.receive_octets(octets, now)
            answer = server.octets_to_send(now)
            if number == 0:
                assert answer == b"\x15"  # an older meter loses the first one; it is sent again after 100 ms
                now += 0.1
                server.receive_octets(octets, now)
                answer = server.octets_to_send(now)
            assert answer[:1] == ACK, step["name"]
            payload, rest = b"", answer[1:]
            while rest:
                now += 0.02
                payload += Packet.decode(rest).payload
                server.receive_octets(ACK, now)
                rest = server.octets_to_send(now)
            assert payload[0] == ResultCode.OK, step["name"]
            if "read" in step["name"]:
                assert sum(payload[3:]) & 0xFF == 0 and len(payload) == 4 + int.from_bytes(payload[1:3], "big")
            assert len(payload) == sizes.get(step["name"], len(payload))
            now += 0.1
        assert server.state is State.BASE
        now += 5.0
    assert not client.server.link.drops.keys() - {"FIRST"} or client.server.link.drops.total() == 2


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(lambda p, t: Packet(p, toggle=t).encode(), st.binary(max_size=40), st.booleans()),
            st.sampled_from([b"\x20", Logon(1, b"x").encode(), password("RK"), WRONG, b"\x30\x00\x17", b"\x52", b"\x21"]).map(
                lambda p: Packet(p).encode()
            ),
        ),
        max_size=12,
    )
)
def test_whatever_arrives_the_port_still_serves_afterwards(pieces):
    client = Client()
    for piece in pieces:
        client.now += 0.7
        client.server.receive_octets(piece, client.now)
        client.server.octets_to_send(client.now)
    client.now += 10.0
    client.server.on_timer(client.now)
    client.server.octets_to_send(client.now)
    client.toggle = False
    client.log_on("RK")
    assert client.ask(b"\x30\x00\x17")[0] == ResultCode.OK


@pytest.mark.parametrize("firmware, tables", [((3, 60, 1), "ET51.clients[0]"), ((4, 30, 0), "ET55")])
def test_the_meters_tables_set_limit_lock_out_and_provisioning_key(firmware, tables):
    meter = Meter(MeterConfig(firmware=firmware))
    port = OpticalPort(meter, KEYS)
    assert port.settings(0.0) == OpticalSettings(limited=firmware[0] == 3)  # the default of ET51 is on, that of ET55 off
    store = meter.store
    store[f"{tables}.optical_dos_timer"], store[f"{tables}.optical_timeout"] = True, 60
    store[f"{tables}.optical_holdoff"], store["ET04.pk_access"] = 30, 1
    expected = OpticalSettings(session_limit=60.0, holdoff=30.0, pk_disabled=True)
    if firmware[0] == 4:
        store["ET55.optical_lockout_threshold"], store["ET55.optical_lockout_minutes"] = 3, 5
        expected = replace(expected, lockout_threshold=3, lockout_minutes=5)
    assert port.settings(1.0) == expected
    if firmware[0] == 4:
        store["ET55.disable_optical"] = True
        assert port.settings(2.0).disabled


def test_after_a_logon_the_first_procedure_number_is_not_255():
    client = Client()
    client.log_on("MK")
    for sequence, code in ((255, ResultCode.OPERATION_NOT_POSSIBLE), (9, ResultCode.OK), (9, ResultCode.OPERATION_NOT_POSSIBLE)):
        assert client.ask(add_checksum(b"\x40\x00\x07\x00\x03\x03\x08" + bytes((sequence,))))[0] == code
