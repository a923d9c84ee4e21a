"""`osgp-sdr read` on a running line: from a free coupler, directly and through another meter."""

import contextlib
import json
import subprocess
import sys
import threading
import time

import pytest

from flowgraphs.cli import run
from flowgraphs.events import StationEvent
from flowgraphs.graph import load_graph
from flowgraphs.kernels import ensure_compiled
from flowgraphs.processes import GraphRun

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]

# Who reads is on the last coupler, and hears meter-1 alone, as the concentrator does.
GRAPH = """\
name: street
block: 400
seed: 3
domain: "4f5347"
line:
  couplers: 4
  own_gain_db: -20
  gain_db: -120
  paths:
    - {between: [0, 1], gain_db: -40}
    - {between: [1, 2], gain_db: -40}
    - {between: [1, 3], gain_db: -40}
  noise: [{kind: white, rms_v: 0.005}]
stations:
  - {name: concentrator, kind: concentrator, coupler: 0, unique_node_id: "0002a1000001", period_s: 600, max_repeaters: 1,
     tables: [BT01]}
  - {name: meter-1, kind: meter, coupler: 1, unique_node_id: "0002a1001001", serial: "1001"}
  - {name: meter-2, kind: meter, coupler: 2, unique_node_id: "0002a1001002", serial: "1002"}
"""


@contextlib.contextmanager
def street(directory):
    """A line on which both meters have their addresses."""
    ensure_compiled()
    path, events = directory / "street.yaml", []
    path.write_text(GRAPH)

    def addressed():
        return sum(isinstance(e, StationEvent) and e.name == "meter_commissioned" for e in events) == 2

    with GraphRun(load_graph(str(path)), None, events.append, lambda text: None) as running:
        running.start()
        deadline = time.monotonic() + 120
        running.watch(lambda: addressed() or time.monotonic() > deadline)
        assert addressed()
        yield running, path


def in_a_process(street, *words):
    """(exit code, output, errors) of the command, while the line runs on."""
    running, path = street
    command = [sys.executable, "-m", "flowgraphs", "read", *words, "--graph", str(path), "--endpoint", running.endpoint]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    running.watch(lambda: process.poll() is not None or time.monotonic() > deadline)
    assert process.poll() is not None
    out, errors = process.communicate()
    return process.returncode, out, errors


@pytest.fixture
def inside(capsys):
    """The same in this process, where all libraries are there already."""

    def call(street, *words):
        running, path = street
        done = threading.Event()
        watcher = threading.Thread(target=running.watch, args=(done.is_set,))
        watcher.start()
        try:
            code = run(["read", *words, "--graph", str(path), "--endpoint", running.endpoint])
        finally:
            done.set()
            watcher.join()
        return code, *capsys.readouterr()

    return call


def test_meters_are_read_directly_and_over_another_one(tmp_path, inside):
    """One line for all readings, one after the other: half of the time goes into giving the meters their addresses."""
    with street(tmp_path) as line:
        code, out, errors = in_a_process(line, "meter-1", "BT01.manufacturer", "BT01", "--json")
        assert code == 0, errors
        field, table = (json.loads(text) for text in out.splitlines())
        assert field == {"table": "BT01", "field": "manufacturer", "value": "SIM "}
        assert table["value"]["manufacturer_serial"].endswith("1001")

        # out of reach, over the way that was named: by its unique node id, and by its address
        code, out, errors = inside(line, "meter-2", "BT01.manufacturer_serial", "--via", "0002a1001001")
        assert (code, out) == (0, "BT01.manufacturer_serial = 0000000000001002\n"), errors
        code, out, errors = inside(line, "1/11", "BT01.manufacturer", "--via", "1/10")
        assert (code, out) == (0, "BT01.manufacturer = SIM \n"), errors

        # what does not answer is told with its place on the way
        code, out, errors = inside(line, "meter-1", "BT01", "--via", "meter-2")
        assert (code, out, errors.splitlines()[-1]) == (1, "", "osgp-sdr read: meter-1: station 1 on the way does not answer")
