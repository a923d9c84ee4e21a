"""`osgp-sdr demo --view`: the page beside a running graph, seen through its WebSocket."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("uvicorn", reason="the extra 'web' is not installed")
websocket = pytest.importorskip("websockets.sync.client", reason="the extra 'web' is not installed")
pytestmark = pytest.mark.system
WAIT_S = 90.0


def test_a_graph_shows_its_packets_with_their_senders(tmp_path):
    command = [sys.executable, "-m", "flowgraphs", "demo", "--meters", "1", "--view", "--view-port", "0",
               "--endpoint", f"ipc://{tmp_path}/line"]  # fmt: skip
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stderr.readline()
            while line and "look at" not in line:
                line = process.stderr.readline()
            host = line.split("http://")[1].strip().strip("/")
            rows, notes = [], []
            deadline = time.monotonic() + WAIT_S
            with websocket.connect(f"ws://{host}/ws", compression=None, max_size=None) as visit:
                while {row["sender"] for row in rows} < {"concentrator", "meter-1"}:
                    assert time.monotonic() < deadline, rows
                    message = visit.recv(timeout=WAIT_S)
                    content = json.loads(message) if isinstance(message, str) else {"type": ""}
                    rows += content["items"] if content["type"] == "packets" else []
                    notes += content["items"] if content["type"] == "notes" else []
            first = rows[0]
            assert (first["from"], first["to"], first["text"]) == ("1/1", "broadcast domain", "request 0: query id")
            answer = next(row for row in rows if row["sender"] == "meter-1")
            assert answer["text"] == "response 0: id report" and answer["to"] == "1/1"
            with urllib.request.urlopen(f"http://{host}/api/packets/{answer['id']}") as reply:
                layers = json.load(reply)["layers"]
            fields = {field["name"]: field["value"] for layer in layers for field in layer["fields"]}
            assert fields["unique node id"] == "00 02 a1 00 10 01"  # of meter-1 in graphs/demo.yaml
            assert any(note["who"] == "concentrator" for note in notes)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
