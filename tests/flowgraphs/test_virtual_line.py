"""Nodes on a line of UDP multicast: link frames whole, in CN/IP and raw, recorded exchanges, repeating, wrong use."""

import json
import socket
import subprocess
import sys
import time

import pytest

from flowgraphs import cli
from flowgraphs.virtual_line import VirtualLine
from mac import Lpdu, TruncatedPdu, cnip

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

GROUP, PORT, LOCAL = "239.1.2.3", 21628, bytes([127, 0, 0, 1])
COMMON = ["--line", f"{GROUP}:{PORT}", "--domain", "51", "--silence", "0", "--json", "--commands", "--app", "echo"]


@pytest.fixture
def start():
    running = []

    def build(node, *options):
        words = ["--address", f"35/{node}", "--unique-id", f"02fc000000{node:02x}", *COMMON, *options]
        command = [sys.executable, "-m", "flowgraphs", "node", *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert json.loads(process.stdout.readline()) == {"event": "listening", "multicast": [GROUP]}
        return process

    yield build
    for process in running:
        process.kill()
        process.communicate()


def heard(line, timeout=5.0):
    """The next frame of somebody else on the line."""
    frames = line.__dict__.setdefault("frames_of_the_test", [])
    until = time.monotonic() + timeout
    while not frames and (left := until - time.monotonic()) > 0:
        line.wait(left)
        frames += [line.decode(payload, source, 0.0) for payload, source in line.receive()]
    return frames.pop(0) if frames else None


def say(line, lpdu):
    assert line.send(line.encode(bytes.fromhex(lpdu))) is None


@pytest.mark.parametrize("encapsulation", ["cnip", "raw"])
def test_requests_are_answered_with_header_and_path_as_recorded(start, encapsulation):
    """Query Status of an independent peer on the same kind of line; then on the alternate path, and a priority frame."""
    start(12, "--encapsulation", encapsulation, "--model", str(0xA8), "--firmware", "4")
    with VirtualLine(GROUP, PORT, LOCAL, encapsulation) as line:
        say(line, "00 19 23 8F 23 8C 51 06 51")
        assert heard(line) == bytes.fromhex("00 19 23 8C 23 8F 51 26 31 00000000000000000000 01 04 04 00 A8")
        say(line, "40 09 23 8F 23 8C 51 09 05 66")
        assert heard(line) == bytes.fromhex("40 09 23 8C 23 8F 51 29")
        say(line, "80 09 23 8F 23 8C 51 08 05 55")
        assert heard(line)[:8] == bytes.fromhex("80 09 23 8C 23 8F 51 28")
        assert heard(line, 0.1) is None


def test_station_repeats_for_another_one_on_the_line(start):
    """One agent, as recorded: 15 asks 12, who asks 13."""
    start(12)
    start(13)
    with VirtualLine(GROUP, PORT, LOCAL) as line:
        say(line, "00 19 23 8F 23 8C 51 01 4D 00 2C 25 23 0D 51")
        frames = [heard(line) for _ in range(3)]
    assert frames[0] == bytes.fromhex("01 19 23 8C 23 8D 51 01 51")
    assert [Lpdu.decode(frame).npdu.source.node for frame in frames] == [12, 13, 12]
    assert Lpdu.decode(frames[2]).npdu.pdu.apdu == Lpdu.decode(frames[1]).npdu.pdu.apdu


def test_two_nodes_talk(start):
    asking, _ = start(14), start(15)
    asking.stdin.write('{"do": "request", "to": "35/15", "apdu": "05aabb"}\n')
    asking.stdin.flush()
    events = (json.loads(line) for line in asking.stdout)
    assert next(event for event in events if event["event"] == "response_received")["apdu"] == "05bbaa"


def test_packets_out_of_order_are_put_in_order_and_come_without_their_predecessor_at_last():
    frames = [bytes([0, 1, 2, 3, 4, n]) for n in range(4)]
    packets = [cnip.CnipPacket(frame, sequence, 7).encode() for sequence, frame in enumerate(frames)]
    with VirtualLine(GROUP, PORT, LOCAL) as line, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, LOCAL)
        for number in (0, 2, 1, 1, 3):
            other.sendto(packets[number], (GROUP, PORT))
        assert [heard(line) for _ in range(4)] == frames
        other.sendto(cnip.CnipPacket(b"\0\1\2\3\4\5", 9, 7).encode(), (GROUP, PORT))
        assert heard(line, 2.0) == b"\0\1\2\3\4\5"
        assert line.receiver.lost == 5
        other.sendto(b"noise", (GROUP, PORT))
        assert heard(line, 0.1) is None and line.receiver.drops.total() == 2


def test_raw_frame_with_a_wrong_crc_is_none():
    with VirtualLine(GROUP, PORT, LOCAL, "raw") as line:
        frame = bytes.fromhex("401B238F238C4142434445460351")
        assert line.encode(frame).payload[-2:] == bytes.fromhex("1666")  # recorded
        assert line.decode(frame + bytes.fromhex("1666"), LOCAL, 0.0) == frame
        with pytest.raises(TruncatedPdu, match="no right CRC"):
            line.decode(frame + bytes.fromhex("1667"), LOCAL, 0.0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--lonip or --line is needed"),
        (["--line", "10.0.0.1", "--unique-id", "02fc0000000c", "--unconfigured"], "no multicast address"),
        (["--line", "239.1.2.3:x", "--unique-id", "02fc0000000c", "--unconfigured"], "no multicast address"),
        (["--line", "239.1.2.3"], "--unique-id is needed"),
        (["--line", "239.1.2.3", "--unique-id", "02fc0000000c"], "--domain is needed"),
        (["--line", "239.1.2.3", "--unique-id", "02fc0000000c", "--domain", "51"], "--address is needed"),
        (["--line", "239.1.2.3", "--lonip", "192.0.2.7", "--unique-id", "02fc0000000c", "--unconfigured"], "cannot be"),
    ],
)
def test_wrong_use_ends_with_2_and_one_line(capsys, arguments, text):
    assert cli.run(["node", *arguments]) == cli.USAGE
    errors = capsys.readouterr().err
    assert text in errors
    assert len(errors.strip().splitlines()) == 1
