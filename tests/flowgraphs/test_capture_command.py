"""`osgp-sdr capture`: recordings, a running line, Ctrl-C, and what is refused."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dpkt
import pytest

from flowgraphs.cli import ANSWER_IS_NO, DONE, INTERRUPTED, USAGE, run

GRAPH = """\
block: 400
domain: "4f5347"
line: {couplers: 3, gain_db: -30, noise: [{kind: white, rms_v: 0.002}]}
stations:
  - {name: concentrator, kind: concentrator, coupler: 0, unique_node_id: "0002a1000001"}
  - {name: meter, kind: meter, coupler: 1, unique_node_id: "0002a1001001"}
"""
RECORDINGS = Path(__file__).parents[1] / "recordings"


def command(*arguments):
    return [sys.executable, "-m", "flowgraphs", *arguments]


def lpdus(octets):
    return [dpkt.ethernet.Ethernet(record).data.data.data[20:] for _, record in dpkt.pcapng.Reader(io.BytesIO(octets))]


def test_recording_becomes_a_capture_of_its_packets(tmp_path, capsys):
    path = tmp_path / "quiet.pcapng"
    assert run(["capture", str(RECORDINGS / "quiet.sigmf-meta"), "-w", str(path)]) == DONE
    sent = [json.loads(line)["lpdu"] for line in (RECORDINGS / "quiet.truth.jsonl").read_text().splitlines()]
    assert sorted(lpdu.hex() for lpdu in lpdus(path.read_bytes())) == sorted(lpdu[:-4] for lpdu in sent)
    assert capsys.readouterr().err.strip() == f"{len(sent)} packets"


def test_count_ends_it_and_the_name_chooses_pcap(tmp_path):
    path = tmp_path / "two.pcap"
    assert run(["capture", str(RECORDINGS / "quiet.sigmf-meta"), "-c", "2", "-w", str(path)]) == DONE
    assert len(list(dpkt.pcap.Reader(path.open("rb")))) == 2


def test_recording_without_packets_is_a_no_and_a_complete_file(tmp_path):
    path = tmp_path / "none.pcapng"
    assert run(["capture", str(RECORDINGS / "noise_only.sigmf-meta"), "-w", str(path)]) == ANSWER_IS_NO
    assert lpdus(path.read_bytes()) == []


def test_what_is_no_recording_is_one_line(tmp_path, capsys):
    assert run(["capture", str(tmp_path / "nothing.wav"), "-w", str(tmp_path / "out.pcapng")]) == USAGE
    assert "nothing.wav" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_while_waiting_for_a_line_leaves_a_complete_file(tmp_path):
    path = tmp_path / "out.pcapng"
    arguments = command("capture", "--endpoint", f"ipc://{tmp_path}/line", "-w", str(path))
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (INTERRUPTED, b"")
    assert lpdus(path.read_bytes()) == []


@pytest.mark.system
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_running_line_is_heard_and_ctrl_c_leaves_a_complete_file(tmp_path):
    """What the listener writes into its pipe are packets of the line, and the line goes on without having noticed it."""
    endpoint = f"ipc://{tmp_path}/line"
    (tmp_path / "one.yaml").write_text(GRAPH)
    arguments = command("run", str(tmp_path / "one.yaml"), "--endpoint", endpoint, "--json")
    listener = subprocess.Popen(command("capture", "--endpoint", endpoint), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert listener.stdout is not None
    seen = listener.stdout.read1(4096)  # the head of the file: it waits for the line from now on
    graph = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    try:
        while len(seen) < 1000:
            octets = listener.stdout.read1(4096)
            assert octets, listener.stderr.read()
            seen += octets
        listener.send_signal(signal.SIGINT)
        rest, _ = listener.communicate(timeout=60)
        assert listener.returncode == INTERRUPTED
        heard = lpdus(seen + rest)
        assert len(heard) >= 3
        from mac import Lpdu

        domains = {Lpdu.decode(lpdu).npdu.domain.octets for lpdu in heard}
        assert b"\xff" * 6 not in domains, "the listener said something"
    finally:
        for process in (graph, listener):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)
