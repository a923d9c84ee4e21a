"""TLS-PSK against the guide's published session, against openssl, and against itself with every kind of damage."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import ConfigurationError, Key, LocalProtocolError
from osgp.security.tls_psk import TlsPskClient, TlsPskServer, mep_identity, parse_mep_identity
from osgp.security.tls_record import Alert, Schedule, TlsError, premaster

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "security.json").read_text())["mep_tls"]
h = bytes.fromhex
PSK = Key(h(VECTOR["psk"]), "MAK")
FRAMES = [h(message["frame"])[3:] for message in VECTOR["messages"]]  # without length word and code
DERIVED = {name: h(value) for name, value in VECTOR["derived"].items()}
SESSION_ID = FRAMES[1][44:76]


def drip(*pieces):
    """An entropy source that gives what the published session drew."""
    left = list(pieces)
    return lambda count: left.pop(0)


def published_client():
    return TlsPskClient(h(VECTOR["psk_identity"]), PSK, drip(DERIVED["client_random"]))


def published_server():
    return TlsPskServer(lambda identity: PSK, drip(DERIVED["server_random"], SESSION_ID))


def test_published_session_comes_out_octet_for_octet_from_both_ends():
    client, server = published_client(), published_server()
    assert client.octets_to_send() == FRAMES[0]
    assert server.receive(FRAMES[0]) == b"" and server.octets_to_send() == FRAMES[1]
    assert client.receive(FRAMES[1]) == b"" and client.octets_to_send() == FRAMES[2]
    assert server.receive(FRAMES[2]) == b"" and server.octets_to_send() == FRAMES[3]
    assert client.receive(FRAMES[3]) == b""
    assert client.established and server.established and server.identity == h("640001")
    request, answer = (h(VECTOR["messages"][k]["plaintext"]) for k in (4, 5))
    client.send(request)
    assert client.octets_to_send() == FRAMES[4]
    assert server.receive(FRAMES[4]) == request
    server.send(answer)
    assert server.octets_to_send() == FRAMES[5]
    assert client.receive(FRAMES[5]) == answer


def test_key_schedule_is_the_published_one():
    assert premaster(PSK.reveal()) == DERIVED["premaster"]
    schedule = Schedule(PSK, DERIVED["client_random"], DERIVED["server_random"])
    assert schedule._master.reveal() == DERIVED["master_secret"]
    for side in ("client", "server"):
        finished = FRAMES[2][20 + 5 :] if side == "client" else FRAMES[3][6 + 5 :]
        plain = getattr(schedule, side).open(22, finished)
        assert plain == DERIVED[f"{side}_finished_plain"]


def test_mep_identities():
    assert mep_identity(100, "MAK") == h("640001") and parse_mep_identity(h("640001")) == (100, "MAK")
    assert mep_identity(0x1234, "MBK") == h("341200")
    assert parse_mep_identity(h("640002")) is None and parse_mep_identity(b"") is None
    with pytest.raises(ConfigurationError, match="MAK or MBK"):
        mep_identity(1, "MK")


def pair(client_key=PSK, server_key=PSK):
    return TlsPskClient(b"\x01\0\x01", client_key), TlsPskServer(lambda identity: server_key)


def shake(client, server, cut=10_000):
    """Run a handshake, `cut` octets at a time."""
    for _ in range(4):
        for sender, receiver in ((client, server), (server, client)):
            octets = sender.octets_to_send()
            for start in range(0, len(octets), cut):
                receiver.receive(octets[start : start + cut])


@given(cut=st.integers(1, 200), texts=st.lists(st.binary(max_size=40_000), max_size=4))
def test_data_arrive_whole_however_the_stream_is_cut(cut, texts):
    client, server = pair()
    shake(client, server, cut)
    assert client.established and server.established
    for text in texts:
        client.send(text)
    octets = client.octets_to_send()
    step = max(cut, len(octets) // 50)
    assert b"".join(server.receive(octets[k : k + step]) for k in range(0, len(octets), step)) == b"".join(texts)


def test_another_key_fails_at_the_finished_message_on_the_server():
    client, server = pair(server_key=Key(bytes(16), "MAK"))
    server.receive(client.octets_to_send())
    client.receive(server.octets_to_send())
    with pytest.raises(TlsError) as caught:
        server.receive(client.octets_to_send())
    assert caught.value.alert == Alert.BAD_RECORD_MAC and server.failed and not server.established
    with pytest.raises(TlsError, match="bad_record_mac") as caught:
        client.receive(server.octets_to_send())
    assert caught.value.received
    with pytest.raises(LocalProtocolError):
        client.receive(b"")


def test_unknown_identity_is_told():
    client, server = pair(server_key=None)
    server.receive(client.octets_to_send())
    client.receive(server.octets_to_send())
    with pytest.raises(TlsError) as caught:
        server.receive(client.octets_to_send())
    assert caught.value.alert == Alert.UNKNOWN_PSK_IDENTITY


@given(data=st.data())
def test_any_flipped_bit_of_any_flight_is_refused(data):
    """Nobody is established after a handshake that was touched, but for the minor version of a record, which says nothing."""
    client, server = pair()
    flight = data.draw(st.integers(0, 3))
    octets = client.octets_to_send()
    for k in range(4):
        receiver = server if k % 2 == 0 else client
        if k == flight:
            place = data.draw(st.integers(0, 8 * len(octets) - 1))
            octets = flip(octets, place)
        try:
            receiver.receive(octets)
        except TlsError:
            return
        octets = receiver.octets_to_send()
        if not octets and not receiver.established:
            return  # a length was made longer: it waits for more, until the port's own time-out
    assert client.established and octets == b""


def flip(octets, place):
    changed = bytearray(octets)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


@given(data=st.data())
def test_any_flipped_bit_of_a_record_is_refused(data):
    client, server = pair()
    shake(client, server)
    client.send(b"read BT23")
    octets = client.octets_to_send()
    place = data.draw(st.integers(0, 8 * len(octets) - 1))
    try:
        received = server.receive(flip(octets, place))
    except TlsError:
        return
    assert received == b"" or place // 8 == 2  # waits for more, or the minor version of the record, which says nothing


def test_replayed_dropped_and_reflected_records_are_refused():
    for damage in ("replay", "drop", "reflect", "swap"):
        client, server = pair()
        shake(client, server)
        client.send(b"one")
        one = client.octets_to_send()
        client.send(b"two")
        two = client.octets_to_send()
        if damage == "reflect":
            with pytest.raises(TlsError):
                client.receive(one)
            continue
        first, second = {"replay": (one, one), "drop": (b"", two), "swap": (two, one)}[damage]
        with pytest.raises(TlsError) as caught:
            server.receive(first + second)
        assert caught.value.alert == Alert.BAD_RECORD_MAC


@given(st.binary(max_size=300))
def test_noise_never_raises_anything_but_tls_errors(noise):
    for end in pair():
        for octets in (noise, b"\x16\x03\x03" + len(noise).to_bytes(2, "big") + noise):
            try:
                end.receive(octets)
            except TlsError:
                break
        assert not end.established


def test_downgrades_and_tricks():
    hello = bytearray(FRAMES[0])
    old = bytes(hello).replace(h("0303 5ca6"), h("0302 5ca6"))
    for octets, alert in (
        (old, Alert.PROTOCOL_VERSION),
        (bytes(hello).replace(h("00a9"), h("00a8")), Alert.HANDSHAKE_FAILURE),
        (bytes(hello[:-2]) + h("0101"), Alert.ILLEGAL_PARAMETER),
        (h("1503030002"), None),
        (h("14030300 0101"), Alert.UNEXPECTED_MESSAGE),
        (h("17030300 0101"), Alert.UNEXPECTED_MESSAGE),
        (h("1603034123"), Alert.RECORD_OVERFLOW),
        (h("99030300 0101"), Alert.UNEXPECTED_MESSAGE),
    ):
        server = published_server()
        if alert is None:
            assert server.receive(octets) == b""
            continue
        with pytest.raises(TlsError) as caught:
            server.receive(octets)
        assert caught.value.alert == alert, octets.hex()
    client = published_client()
    with pytest.raises(TlsError) as caught:
        client.receive(FRAMES[1].replace(h("00a90000"), h("00a80000")))
    assert caught.value.alert == Alert.ILLEGAL_PARAMETER


def test_goodbye_is_understood():
    client, server = pair()
    shake(client, server)
    client.close()
    server.receive(client.octets_to_send())
    assert server.closed and client.closed
    with pytest.raises(LocalProtocolError):
        server.send(b"x")


OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the program openssl is not installed: no foreign TLS to try against")
KEY_HEX = "00112233445566778899aabbccddeeff"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@needs_openssl
def test_openssl_server_understands_our_client():
    port = free_port()
    command = [OPENSSL, "s_server", "-accept", f"127.0.0.1:{port}", "-nocert", "-psk", KEY_HEX, "-tls1_2", "-quiet",
               "-cipher", "PSK-AES256-GCM-SHA384", "-psk_hint", "meter", "-naccept", "1", "-rev"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            link = connect(port)
            client = TlsPskClient(b"reader", Key(h(KEY_HEX), "MAK"))
            received = b""
            while not received.endswith(b"\n"):
                link.sendall(client.octets_to_send())
                received += client.receive(link.recv(4096))
                if client.established and not received:
                    client.send(b"BT23\n")
                    link.sendall(client.octets_to_send())
            assert received == b"32TB\n"
            link.close()
        finally:
            process.kill()


def connect(port):
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@needs_openssl
def test_openssl_client_understands_our_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-psk", KEY_HEX,
                   "-psk_identity", "reader", "-tls1_2", "-cipher", "PSK-AES256-GCM-SHA384", "-quiet"]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                link, _ = listener.accept()
                link.settimeout(10)
                server = TlsPskServer(lambda identity: Key(h(KEY_HEX), "MAK") if identity == b"reader" else None)
                while not server.established:
                    server.receive(link.recv(4096))
                    link.sendall(server.octets_to_send())
                process.stdin.write(b"BT23\n")
                process.stdin.flush()
                received = b""
                while not received.endswith(b"\n"):
                    received += server.receive(link.recv(4096))
                assert received == b"BT23\n"
                server.send(b"0000002a\n")
                link.sendall(server.octets_to_send())
                assert process.stdout.readline() == b"0000002a\n"
                link.close()
            finally:
                process.kill()
