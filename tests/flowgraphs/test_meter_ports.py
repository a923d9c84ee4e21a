"""A simulated meter as a process, at a pseudo terminal and TCP, read by clients that nobody here wrote and by our own."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowgraphs.cli import run
from osgp.security import Key, MepSuite

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "ports.json").read_text())
RK = "READONLY000000000001"
MAK = "hex:" + 16 * "01"
GIVEN = (f"RK={RK}", "MK=MASTERKEY00000000001", f"MAK={MAK}", "MBK=BASICKEY000000000001")
KEYS = tuple(word for key in GIVEN for word in ("--key", key))


@contextmanager
def meter_process(*options):
    """A meter; gives the process and its places by port."""
    command = [sys.executable, "-m", "flowgraphs", "meter", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        wanted = sum(option in ("--optical", "--mep", "--mep2") for option in options)
        places = [json.loads(process.stdout.readline()) for _ in range(wanted)]
        yield process, {place["port"]: place["place"] for place in places}
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module", name="places")
def _places():
    with meter_process("--optical", "pty", "--mep", "tcp:127.0.0.1:0", "--serial", "4711", *KEYS) as (_, places):
        yield places


# termineter


def termineter_connection(place):
    connection = pytest.importorskip("c1218.connection", reason="termineter is not installed")
    settings = {
        "parity": "N", "baudrate": 9600, "bytesize": 8, "xonxoff": False, "interCharTimeout": None, "rtscts": False, "timeout": 2,
        "stopbits": 1, "dsrdtr": False, "writeTimeout": None,
    }  # fmt: skip
    return connection.Connection(place, serial_settings=settings)


def test_termineters_driver_reads_whole_tables_and_pieces(places):
    connection = termineter_connection(places["optical"])
    assert connection.start() and connection.login("user", 1, RK)
    whole = connection.get_table_data(23)
    assert len(whole) == 220
    assert len(connection.get_table_data(23, octetcount=8, offset=4)) == 8
    assert connection.get_table_data(1)[:4] == b"SIM " and connection.get_table_data(1)[16:] == bytes.fromhex("0000000000004711")
    with pytest.raises(Exception, match=r"(?i)inappropriate"):
        connection.get_table_data(2)
    connection.close()


def test_termineters_driver_needs_several_packets_and_writes_with_rights(places):
    connection = termineter_connection(places["optical"])
    connection.c1218_pktsize, connection.c1218_nbrpkts = 64, 8
    assert connection.start() and not connection.login("user", 1, "WRONG000000000000001")
    connection.close()
    connection = termineter_connection(places["optical"])
    connection.c1218_pktsize, connection.c1218_nbrpkts = 64, 8
    assert connection.start() and connection.login("user", 1, "MASTERKEY00000000001")
    assert len(connection.get_table_data(23)) == 220
    result, _ = connection.run_procedure(17, True, b"\x09\xff\xff")  # EP17 with an action that there is not
    assert result == 2
    with pytest.raises(Exception, match=r"(?i)security"):
        connection.set_table_data(23, bytes(4), 0)
    connection.close()


def test_termineters_console_finds_and_reads_tables(places, tmp_path):
    program = Path(sys.executable).with_name("termineter")
    if not program.exists():
        pytest.skip("termineter is not installed")
    lines = [
        f"set SERIAL_CONNECTION {places['optical']}", "set USERNAME test", "set USER_ID 1", f"set PASSWORD {RK}",
        "set PASSWORD_HEX False", "connect", "use get_identification", "run", "use enum_tables", "set UPPER 1", "run",
        "use read_table", "set TABLE_ID 23", "run", "exit",
    ]  # fmt: skip
    result = subprocess.run(
        [sys.executable, program], input="\n".join(lines) + "\n", text=True, capture_output=True, timeout=60,
        env={**os.environ, "HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert "ANSI C12.18" in result.stdout and "Found 2 tables in range 0-1" in result.stdout, result.stdout + result.stderr
    assert "Read 220 bytes" in result.stdout


# the optical client of home automation, octet for octet with its time-outs


class Wire:
    """Octets in and out of a place, with time-outs."""

    def __init__(self, place):
        if place.startswith("tcp:"):
            host, port = place.removeprefix("tcp:").rsplit(":", 1)
            self._socket = socket.create_connection((host, int(port)), 5)
            self._file = self._socket.fileno()
        else:
            self._socket, self._file = None, os.open(place, os.O_RDWR | os.O_NOCTTY)

    def write(self, octets):
        os.write(self._file, octets)

    def read(self, count, timeout):
        """`count` octets, each at most `timeout` s after the one before."""
        got = b""
        while len(got) < count:
            if not select.select([self._file], [], [], timeout)[0]:
                raise TimeoutError(f"{count} octets wanted, got {got.hex()}")
            got += os.read(self._file, count - len(got))
        return got

    def close(self):
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._file)


RESPONSE_S, INTER_OCTET_S, PATIENCE = 0.5, 0.05, 6  # the last one for machines busier than a microcontroller


def test_the_sequence_of_a_home_automation_component(places):
    wire = Wire(places["optical"])
    for _ in range(4):
        wire.write(b"\x55")
        time.sleep(0.05)
    for step in VECTORS["optical_client"]:
        frame = bytes.fromhex(step["frame"])
        if step["name"] == "security":
            assert RK.encode() in frame
        wire.write(frame)
        assert wire.read(1, PATIENCE * RESPONSE_S) in (b"\x06", b"\x00"), step["name"]
        answer, last = b"", False
        while not last:
            head = wire.read(6, PATIENCE * RESPONSE_S)
            assert head[0] == 0xEE
            answer += wire.read(int.from_bytes(head[4:6], "big"), PATIENCE * INTER_OCTET_S)
            wire.read(2, PATIENCE * INTER_OCTET_S)
            wire.write(b"\x06")
            last = head[3] == 0
        assert answer[0] == 0, step["name"]
        time.sleep(0.02)
    wire.close()


# the MEP client of a firmware in the field


def test_the_habits_of_a_mep_firmware(places):
    """Key: 16 characters of 20; full reads with a length; a queue of stale numbers; no check of the answer's digest."""
    wire, suite = Wire(places["mep1"]), MepSuite((Key.from_text("MBK", "BASICKEY000000000001"),))
    requests = ("3000340200", "3000010200", "3000150200", "3f0017000000000d", "30001c0200")
    queue, served = [bytes.fromhex(pdu) for pdu in requests], {}
    sealed = [(pdu, suite.seal_request(pdu, stale).octets) for stale, pdu in enumerate(queue)]
    for _ in range(40):
        if not sealed:
            break
        pdu, body = sealed.pop(0)
        wire.write(len(body).to_bytes(2, "big") + body)
        answer = wire.read(int.from_bytes(wire.read(2, PATIENCE * RESPONSE_S), "big"), PATIENCE * RESPONSE_S)
        if answer[0] == 0x0C:
            number = int.from_bytes(answer[1:5], "big")
            sealed.append((pdu, suite.seal_request(pdu, number).octets))
            number += 1
        else:
            served[pdu] = answer
    wire.close()
    assert set(served) == set(queue) and all(answer[0] == 0 for answer in served.values())
    assert len(served[queue[3]]) == 3 + 13 + 8


# TLS by openssl


def _read_records(connection):
    """All records that are there, at least one."""
    octets = b""
    while True:
        while len(octets) < 5:
            octets += _some(connection)
        whole = 0
        while len(octets) >= whole + 5:
            whole += 5 + int.from_bytes(octets[whole + 3 : whole + 5], "big")
        if len(octets) == whole and not select.select([connection], [], [], 0.05)[0]:
            return octets
        if len(octets) < whole:
            octets += _some(connection)


def _some(connection):
    octets = connection.recv(4096)
    if not octets:
        raise EOFError
    return octets


def carry(listener, place, codes):
    """Between a TLS client on a socket and the MEP port: puts the outer codes around what the client sends."""
    connection, _ = listener.accept()
    wire = Wire(place)
    try:
        while True:
            records = _read_records(connection)
            code = 0x80 if records[0] == 23 else (0x59 if codes else 0x58)
            if records[0] == 21:
                return
            codes.append(code)
            body = bytes((code,)) + records
            wire.write(len(body).to_bytes(2, "big") + body)
            answer = wire.read(int.from_bytes(wire.read(2, 5), "big"), 5)
            codes.append(answer[0])
            connection.sendall(answer[1:])
            time.sleep(0.1)
    except (EOFError, OSError):
        return
    finally:
        wire.close()
        connection.close()


def test_openssl_reads_through_tls(places):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    listener, codes = socket.create_server(("127.0.0.1", 0)), []
    thread = threading.Thread(target=carry, args=(listener, places["mep1"], codes), daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    process = subprocess.Popen(
        [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2", "-cipher", "PSK-AES256-GCM-SHA384", "-psk", 16 * "01",
         "-psk_identity", "dd\x01", "-quiet"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.stdin.write(bytes.fromhex("3f00010000000004"))
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 20)[0]
        assert os.read(process.stdout.fileno(), 100) == bytes.fromhex("000004") + b"SIM "
        assert codes == [0x58, 0, 0x59, 0, 0x80, 0]
    finally:
        process.kill()
        process.communicate()
        listener.close()
        thread.join(5)


# our own command


def test_read_at_both_ports_gives_tables_and_fields_as_json(places, capfd):
    wanted = ["BT01", "BT23.summations[0]", "BT21.0.1", "BT01.16..23"]
    assert run(["read", "--optical", places["optical"], "--key", f"RK={RK}", "--json", *wanted]) == 0
    one, two, three, four = map(json.loads, capfd.readouterr().out.splitlines())
    assert one["table"] == "BT01" and one["value"]["manufacturer_serial"] == "0000000000004711"
    assert two["field"] == "summations[0]" and isinstance(two["value"], int)
    assert three["value"] is True and four["value"] == "0000000000004711"
    for extra in ((), ("--tls",)):
        assert run(["read", "--mep", places["mep1"], "--key", "MAK=" + MAK, "--json", "BT28", "BT52", *extra]) == 0
        values = {line["table"]: line["value"] for line in map(json.loads, capfd.readouterr().out.splitlines())}
        assert len(values["BT28"]["present_values"]) == 41 and values["BT52"]["clock"].startswith("20")


@pytest.mark.parametrize(
    "arguments, code, text",
    [
        (["read", "--mep", "{mep1}", "--key", "MBK=abc", "BT23"], 2, "MBK is 20 ASCII characters, NOT hex"),
        (["read", "--mep", "{mep1}", "--key", "MBK=WRONG000000000000001", "BT23"], 1, "authentication failure"),
        (["read", "--optical", "{optical}", "--key", "RK=WRONG000000000000001", "BT23"], 1, "password refused"),
        (["read", "--optical", "{optical}", "--key", "RK=" + RK, "BT99"], 2, "BT99"),
        (["read", "--optical", "/dev/not-there", "BT23"], 2, "/dev/not-there: no such file or directory"),
        (["read", "--mep", "tcp:127.0.0.1:1", "BT23"], 2, "connection refused"),
        (["read", "--mep", "tcp:here", "BT23"], 2, "expected tcp:HOST:PORT"),
        (["read", "--optical", "x", "--mep", "y", "BT23"], 2, "one port at a time"),
        (["meter"], 2, "name a port"),
        (["meter", "--mep", "{mep1}"], 2, "address already in use"),
        (["meter", "--optical", "pty", "--key", "QK=abc"], 2, "QK"),
        (["meter", "--optical", "pty", "--firmware", "new"], 2, "expected X.YY"),
        (["meter", "--optical", "pty", "--keys", "/not-there.toml"], 2, "/not-there.toml"),
    ],
)
def test_errors_are_one_line_that_says_what_is_wrong(places, capfd, arguments, code, text):
    assert run([argument.format(**places) for argument in arguments]) == code
    error = capfd.readouterr().err
    assert text in error and len(error.splitlines()) == 1 and "WRONG" not in error


# what survives


def write_et(place, value):
    """Write ET13 octet 0 as MAK; the answer's code."""
    wire, suite = Wire(place), MepSuite((Key(b"\x01" * 16, "MAK"),))
    pdu, number = bytes((0x4F, 0x08, 0x0D, 0, 0, 0, 0, 1, value)), 0
    for _ in range(2):
        body = suite.seal_request(pdu, number).octets
        wire.write(len(body).to_bytes(2, "big") + body)
        answer = wire.read(int.from_bytes(wire.read(2, 5), "big"), 5)
        if answer[0] != 0x0C:
            break
        number = int.from_bytes(answer[1:5], "big") + 1
    wire.close()
    return answer[0]


def read_value(capfd, place, what):
    assert run(["read", "--mep", place, "--key", "MAK=" + MAK, "--json", what]) == 0
    return json.loads(capfd.readouterr().out)["value"]


def test_what_was_acknowledged_is_there_after_a_kill_and_ctrl_c_ends_within_a_second(tmp_path, capfd, quickest):
    options = ("--mep", "tcp:127.0.0.1:0", "--state", str(tmp_path / "state"), *KEYS)
    with meter_process(*options, "--serial", "77") as (process, places):
        assert write_et(places["mep1"], 17) == 0
        process.kill()
        process.wait(10)
    with meter_process(*options) as (process, places):
        assert read_value(capfd, places["mep1"], "ET13.devices[0].day") == 17
        assert read_value(capfd, places["mep1"], "BT01.manufacturer_serial") == "0000000000000077"
        assert run(["meter", "--optical", "pty", "--state", str(tmp_path / "state")]) == 2
        assert "in use by another process" in capfd.readouterr().err

    def interrupted():
        with meter_process(*options) as (process, _):
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            return time.monotonic() - started

    assert quickest(interrupted, 1.0) < 1.0
    assert run(["meter", "--optical", "pty", "--state", str(tmp_path / "state"), "--serial", "78"]) == 2
    assert "belongs to the meter with serial 77, not 78" in capfd.readouterr().err


def test_events_name_what_happened_and_no_key(tmp_path, capfd):
    with meter_process("--optical", "pty", "--mep", "tcp:127.0.0.1:0", "--events", *KEYS) as (process, places):
        assert run(["read", "--optical", places["optical"], "--key", f"RK={RK}", "BT23.summations[0]", "--json"]) == 0
        assert run(["read", "--mep", places["mep1"], "--key", "MBK=WRONG000000000000001", "BT23"]) == 1
        process.send_signal(signal.SIGTERM)
        lines = process.stdout.read().splitlines()
    capfd.readouterr()
    events = [json.loads(line) for line in lines]
    seen = [(event["port"], event["event"]) for event in events]
    assert ("optical", "session_opened") in seen and ("optical", "session_ended") in seen
    assert ("mep1", "request_refused") in seen and any(event.get("table") == "BT23" for event in events)
    assert not any(text in line for line in lines for text in (RK, RK.encode().hex(), "WRONG"))


def test_a_link_leads_to_the_pseudo_terminal_and_goes_with_the_meter(tmp_path):
    link = tmp_path / "optical"
    with meter_process("--optical", f"pty:{link}") as (process, places):
        assert link.resolve() == Path(places["optical"]) and re.fullmatch(r"/dev/pts/\d+", places["optical"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not link.exists()
