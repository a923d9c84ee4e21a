"""Serving a meter at lines: nothing leaves before it is on the disk; lines that come and go; keys as their owners write them."""

import os
import select
import socket
import time

import pytest

from flowgraphs.ports.keys import TEST_KEYS, KeyTextError, read_keys
from flowgraphs.ports.lines import LineError, PtyLine, TcpLine, open_client_line, open_server_line
from flowgraphs.ports.meter_store import StoreError
from flowgraphs.ports.serving import PortServer, ServedPort
from osgp import Meter, MeterConfig
from osgp.meter import Faults, MepPort, OpticalPort
from osgp.optical import Packet, State
from osgp.security import Key, KeyRing, MepSuite

KEYS = KeyRing(mak=Key(b"\x01" * 16, "MAK"), rk=Key(b"READONLY000000000001", "RK"))


class MemoryLine:
    """A line that a test feeds."""

    place = "memory"

    def __init__(self, log):
        self.incoming, self.log = [], log

    def fileno(self):
        return None

    def read(self):
        return self.incoming.pop(0) if self.incoming else b""

    def write(self, octets):
        self.log.append("answer")

    def set_rate(self, rate):
        self.log.append(rate)

    def close(self):
        pass


class LoggingStore:
    """Where a store would be."""

    def __init__(self, log, fails=False):
        self.log, self.fails = log, fails

    def save(self, changes, wall):
        if self.fails and "ET13" in changes.tables and "started" in self.log:
            raise StoreError("disk full")
        self.log.append("saved" if "ET13" in changes.tables else "looked")

    stamp = save


def sealed(pdu, number):
    body = MepSuite((KEYS.mak,)).seal_request(pdu, number).octets
    return len(body).to_bytes(2, "big") + body


@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_leaves_only_when_what_it_acknowledges_is_on_the_disk(fails):
    log, meter = [], Meter()
    line, port = MemoryLine(log), MepPort(meter, KEYS)
    server = PortServer(meter, [ServedPort("mep", line, port.server())], LoggingStore(log, fails))
    number = port.sequence().last + 1
    log[:] = ["started"]
    line.incoming.append(sealed(b"\x4f\x08\x0d\x00\x00\x00\x00\x01\x05", number))
    if fails:
        with pytest.raises(StoreError, match="disk full"):
            server.step(0.0)
        assert "answer" not in log
    else:
        server.step(0.0)
        assert log == ["started", "saved", "answer"]


@pytest.mark.parametrize(("fault", "expected"), [("late-answers", [0, 0, 0, 1]), ("no-answer", [0] * 4)])
def test_a_faulty_meter_answers_late_or_not_at_all(fault, expected):
    """Asked at 0 s; looked at after 0, 1, 1.9 and 2.1 s."""
    log, at = [], [0.0]
    meter = Meter(MeterConfig(faults=Faults.of([fault], share=1.0)))
    line, port = MemoryLine(log), MepPort(meter, KEYS)
    server = PortServer(meter, [ServedPort("mep", line, port.server())], clock=lambda: at[0])
    line.incoming.append(sealed(b"\x30\x00\x01", port.sequence().last + 1))
    seen = []
    for at[0] in (0.0, 1.0, 1.9, 2.1):
        server.step(0.0)
        seen.append(log.count("answer"))
    assert seen == expected and meter.served == 1


def test_a_client_that_leaves_a_tcp_port_leaves_its_session():
    meter = Meter()
    line, engine = TcpLine("127.0.0.1", 0), OpticalPort(meter, KEYS).server()
    server = PortServer(meter, [ServedPort("optical", line, engine, gone=True)])
    host, port = line.place.removeprefix("tcp:").split(":")
    client = socket.create_connection((host, int(port)))

    def until(condition):
        ends = time.monotonic() + 20
        while not condition():
            server.step(0.05)
            assert time.monotonic() < ends

    for place, message in enumerate((b"\x20", b"\x50\x00\x01          ")):
        client.sendall(Packet(message, toggle=bool(place)).encode())
        until(lambda: engine.results.total() > place)  # noqa: B023
    assert engine.state is State.SESSION
    second = socket.create_connection((host, int(port)))  # takes the place of the first
    until(lambda: engine.state is State.BASE)
    second.sendall(Packet(b"\x20").encode())
    until(lambda: engine.state is State.ID)
    second.close()
    until(lambda: engine.state is State.BASE)
    client.close()
    line.close()


def test_nothing_is_kept_for_a_pseudo_terminal_that_nobody_has_opened():
    line = PtyLine()
    line.write(b"\0\0")
    assert line.fileno() is None and line.read() == b""
    other = os.open(line.place, os.O_RDWR | os.O_NOCTTY)
    assert line.read() == b"" and line.fileno() is not None
    os.write(other, b"\x00\x0d\x0a\x03\x11")
    ends = time.monotonic() + 5
    got = b""
    while len(got) < 5 and time.monotonic() < ends:
        got += line.read()
    assert got == b"\x00\x0d\x0a\x03\x11"  # raw: no octet means anything to the terminal
    line.write(b"\x06")
    assert os.read(other, 10) == b"\x06"
    os.close(other)
    while line.read() is not None:
        assert time.monotonic() < ends
    line.close()


def test_nothing_is_kept_for_a_pseudo_terminal_that_has_just_been_closed():
    """Its next client would take it for the answer to its own first request."""
    line = PtyLine()
    first = os.open(line.place, os.O_RDWR | os.O_NOCTTY)
    assert line.read() == b""
    line.write(b"\x06")
    assert os.read(first, 10) == b"\x06"
    os.close(first)
    line.write(b"\xee")  # the meter has not looked yet
    second = os.open(line.place, os.O_RDWR | os.O_NOCTTY)
    assert not select.select([second], [], [], 0.05)[0]
    line.write(b"\x15")
    assert os.read(second, 10) == b"\x15"
    os.close(second)
    line.close()


@pytest.mark.parametrize("place", ["tcp:host", "tcp:127.0.0.1:99999", "tcp:127.0.0.1:x", "pty:/not-there/link"])
def test_places_that_cannot_be_are_named(place):
    with pytest.raises(LineError, match=place.replace(".", r"\.")):
        open_server_line(place)
    with pytest.raises(LineError, match="printed" if place.startswith("pty") else place.replace(".", r"\.")):
        open_client_line(place, 1.0)


def test_keys_come_from_a_file_and_options_win(tmp_path):
    file = tmp_path / "keys.toml"
    file.write_text('RK = "READONLY000000000001"\nMBK = "BASICKEY000000000001"\n')
    ring = read_keys(["RK=OTHERKEY000000000001"], file, defaults=True)
    assert ring.rk.reveal() == b"OTHERKEY000000000001" and ring.mbk.reveal() == b"BASICKEY00000000" and ring.mk is None
    assert read_keys([], None, defaults=True) == KeyRing.from_text(TEST_KEYS)
    assert read_keys([], None, defaults=False) == KeyRing()


@pytest.mark.parametrize(
    "options, content, text",
    [
        (["secret-without-kind"], None, "expected KIND=TEXT"),
        (["XX=secret"], None, "a key is one of"),
        (["RK=secret"], None, "20 ASCII characters, NOT hex"),
        (["MAK=" + 16 * "0a"], None, "these look like hex digits"),
        ([], "RK = [", "no TOML file"),
        ([], "RK = 7", "must be a text"),
    ],
)
def test_a_key_that_is_none_is_explained_and_never_quoted(tmp_path, options, content, text):
    file = None
    if content is not None:
        file = tmp_path / "keys.toml"
        file.write_text(content)
    with pytest.raises(KeyTextError) as caught:
        read_keys(options, file, defaults=True)
    assert text in str(caught.value) and "secret" not in str(caught.value)
