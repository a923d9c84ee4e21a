"""`osgp-sdr read` on a running line: from a free coupler, directly and through another meter."""

import json
import subprocess
import sys
import time

import pytest

from flowgraphs.events import StationEvent
from flowgraphs.graph import load_graph
from flowgraphs.kernels import ensure_compiled
from flowgraphs.processes import GraphRun

pytestmark = [pytest.mark.system, pytest.mark.timeout(170)]

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


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A line on which both meters have their addresses."""
    ensure_compiled()
    path, events = tmp_path_factory.mktemp("street") / "street.yaml", []
    path.write_text(GRAPH)

    def passed():
        return any(isinstance(e, StationEvent) and e.name == "pass_done" for e in events)

    with GraphRun(load_graph(str(path)), None, events.append, lambda text: None) as running:
        running.start()
        deadline = time.monotonic() + 120
        running.watch(lambda: passed() or time.monotonic() > deadline)
        assert passed()
        yield running, path


def read(street, *words):
    """(exit code, output, errors) of the command, while the line runs on."""
    running, path = street
    command = [sys.executable, "-m", "flowgraphs", "read", *words, "--graph", str(path), "--endpoint", running.endpoint]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    running.watch(lambda: process.poll() is not None or time.monotonic() > deadline)
    assert process.poll() is not None
    out, errors = process.communicate()
    return process.returncode, out, errors


def test_a_meter_is_read_directly(street):
    code, out, errors = read(street, "meter-1", "BT01.manufacturer", "BT01", "--json")
    assert code == 0, errors
    field, table = (json.loads(line) for line in out.splitlines())
    assert field == {"table": "BT01", "field": "manufacturer", "value": "SIM "}
    assert table["value"]["manufacturer_serial"].endswith("1001")


def test_a_meter_out_of_reach_is_read_over_the_way_that_was_named(street):
    code, out, errors = read(street, "meter-2", "BT01.manufacturer_serial", "--via", "0002a1001001")
    assert (code, out) == (0, "BT01.manufacturer_serial = 0000000000001002\n"), errors
    code, out, errors = read(street, "1/11", "BT01.manufacturer", "--via", "1/10")
    assert (code, out) == (0, "BT01.manufacturer = SIM \n"), errors


def test_what_does_not_answer_is_told_with_its_place_on_the_way(street):
    code, out, errors = read(street, "meter-1", "BT01", "--via", "meter-2")
    assert (code, out, errors.splitlines()[-1]) == (1, "", "osgp-sdr read: meter-1: station 1 on the way does not answer")
