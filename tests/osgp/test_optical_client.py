"""Our optical client against our server, over lines with faults, in virtual time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import ConfigurationError, FullRead, Key, LocalProtocolError, Meter, MeterConfig, PartialRead, PartialWrite, ResultCode
from osgp.meter import OpticalPort
from osgp.optical import Answered, ClientConfig, Closed, Connected, Failed, OpticalClient, OpticalConfig, Packet, Step
from osgp.security import KeyRing

KEYS = KeyRing.from_text({"MK": "MASTERKEY00000000001", "RK": "READONLY000000000001"})


def until_event(client, server, now, damage=lambda octets: octets):
    """Let both talk until the client says something; returns (when, what)."""
    for _ in range(10_000):
        event = client.next_event()
        if event is not None:
            return now, event
        out = client.octets_to_send(now)
        if out:
            server.receive_octets(damage(out), now)
        back = server.octets_to_send(now)
        if back:
            client.receive_octets(damage(back), now)
        if not out and not back:
            now = max(now, min(t for t in (client.next_timer(), server.next_timer()) if t is not None))
            client.on_timer(now)
            server.on_timer(now)
    raise AssertionError("nothing happens")


def made(config=None, **options):
    meter = Meter(MeterConfig(initial_registers={"forward_active_wh": 123}))
    return OpticalClient(ClientConfig(KEYS.rk, **options)), OpticalPort(meter, KEYS).server(config)


def test_connect_read_close():
    client, server = made()
    client.connect(0.0)
    now, event = until_event(client, server, 0.0)
    assert isinstance(event, Connected) and event.rate == 9600 and client.connected
    assert now == pytest.approx(0.5)  # four wake-up octets 50 ms apart, then four requests 100 ms apart
    client.request(FullRead(23), now)
    now, event = until_event(client, server, now)
    assert isinstance(event, Answered) and event.response.data[:4] == (123).to_bytes(4, "little")
    client.request(PartialWrite(23, 0, bytes(4)), now)
    now, event = until_event(client, server, now)
    assert event.response.result is ResultCode.INSUFFICIENT_SECURITY
    client.close(now)
    now, event = until_event(client, server, now)
    assert event == Closed(now) and not client.connected


@pytest.mark.parametrize("when", [0.0, 0.21])
def test_answers_that_were_meant_for_a_client_before_us_are_none_of_ours(when):
    """A busy meter says what it has to say to one that has left: before our first request is out, or just after."""
    client, server = made()
    client.connect(0.0)
    for now in (0.0, 0.05, 0.1, 0.15, 0.2, 0.21):
        client.on_timer(now)
        server.receive_octets(client.octets_to_send(now), now)
        if now == when:
            client.receive_octets(Packet(bytes((ResultCode.OK,)), toggle=True).encode(), now)
    _, event = until_event(client, server, 0.21)
    assert isinstance(event, Connected), event


@pytest.mark.parametrize("size, packets", [(32, 20), (64, 4), (1024, 1)])
def test_any_agreed_packet_size_brings_the_same_table(size, packets):
    client, server = made(OpticalConfig(lose_first=True), packet_size=size, packets=packets)
    client.connect(0.0)
    now, event = until_event(client, server, 0.0)
    assert isinstance(event, Connected)
    client.request(PartialRead(23, 0, 44), now)
    now, event = until_event(client, server, now)
    assert len(event.response.data) == 44


def test_a_wrong_password_and_a_dead_line_fail_with_the_step():
    client, server = made()
    client.config = ClientConfig(Key(b"WRONG000000000000001", "RK"))
    client.connect(0.0)
    now, event = until_event(client, server, 0.0)
    assert event == Failed(now, Step.SECURITY, "password refused: insufficient security", ResultCode.INSUFFICIENT_SECURITY)
    client.connect(now)
    then, event = until_event(client, server, now, lambda octets: b"")
    assert isinstance(event, Failed) and event.step is Step.IDENTIFICATION and then - now == pytest.approx(6.4, abs=0.3)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_a_line_with_faults_gives_the_right_octets_or_a_failure(seed):
    rng = random.Random(seed)

    def damage(octets):
        if rng.random() > 0.15:
            return octets
        changed = bytearray(octets)
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed[: rng.randrange(len(changed) + 1)])

    client, server = made(packet_size=64, packets=4)
    client.connect(0.0)
    now, event = until_event(client, server, 0.0, damage)
    if isinstance(event, Connected):
        client.request(PartialRead(23, 0, 100), now)
        now, event = until_event(client, server, now, damage)
        if isinstance(event, Answered) and event.response.result is ResultCode.OK:
            assert event.response.data[:4] == (123).to_bytes(4, "little") and len(event.response.data) == 100
        else:
            assert isinstance(event, Failed | Answered)


def test_calls_out_of_turn_and_out_of_range_are_told():
    client, _ = made()
    with pytest.raises(LocalProtocolError, match="connect"):
        client.request(FullRead(0), 0.0)
    client.connect(0.0)
    with pytest.raises(LocalProtocolError, match="identification"):
        client.connect(0.0)
    with pytest.raises(ConfigurationError, match="packet_size"):
        ClientConfig(packet_size=8)
    with pytest.raises(ConfigurationError, match="baud_code"):
        ClientConfig(baud_code=13)
    assert "READONLY" not in repr(ClientConfig(KEYS.rk))
