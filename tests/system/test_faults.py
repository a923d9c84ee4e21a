"""What happens when processes die: the others go on, and who comes back is taken in again."""

import os
import signal
import time

import pytest

from flowgraphs.events import FrameSent, Reading, StationEvent
from flowgraphs.graph import parse_graph
from flowgraphs.kernels import ensure_compiled
from flowgraphs.processes import GraphRun

pytestmark = [pytest.mark.system, pytest.mark.timeout(170)]

GRAPH = """\
name: faults
heartbeat_s: 3
block: 400
line:
  couplers: 4
  gain_db: -30
  noise: [{kind: white, rms_v: 0.002}]
stations:
  - {name: concentrator, kind: concentrator, coupler: 0, unique_node_id: "0002a1000001", period_s: 1,
     tables: [BT01]}
  - {name: meter-1, kind: meter, coupler: 1, unique_node_id: "0002a1001001"}
  - {name: meter-2, kind: meter, coupler: 2, unique_node_id: "0002a1001002"}
"""
MEMBER = {"meter-1": "0002a1001001", "meter-2": "0002a1001002"}


class Log:
    """Events of a run, and questions about them."""

    def __init__(self):
        self.events, self.reports = [], []

    def named(self, name, meter=None):
        wanted = None if meter is None else MEMBER[meter]
        return [
            e for e in self.events
            if isinstance(e, StationEvent) and e.name == name and wanted in (None, e.values.get("unique_node_id"))
        ]  # fmt: skip

    def newest(self):
        """Sample of the latest event that a station told."""
        return max(e.sample for e in self.events if isinstance(e, StationEvent) and e.station != "line")

    def readings(self, meter, after=0):
        return [e for e in self.events if isinstance(e, Reading) and e.unique_node_id == MEMBER[meter] and e.sample > after]


@pytest.fixture(scope="module")
def run():
    """One line with its stations for all tests: each leaves it whole, and looks at nothing that was before it."""
    ensure_compiled()
    log = Log()
    with GraphRun(parse_graph(GRAPH), None, log.events.append, log.reports.append) as running:
        running.start()
        yield running, log


def wait_for(running, condition, seconds=100):
    deadline = time.monotonic() + seconds
    running.watch(lambda: condition() or time.monotonic() > deadline)
    assert condition(), "did not happen in time"


def child(running, name):
    return [c for c in running.children if c.name == name][-1]


def test_a_killed_meter_is_reported_while_the_other_is_read_and_found_again_when_restarted(run):
    running, log = run
    wait_for(running, lambda: log.readings("meter-1") and log.readings("meter-2"))
    os.kill(child(running, "meter-2").process.pid, signal.SIGKILL)
    wait_for(running, lambda: any("meter-2 was killed by SIGKILL" in text for text in log.reports), 5)
    # At once: it has forgotten everything, and does not answer to its old address either.
    running.spawn("meter-2", ["station", f"{running.graph_file}#meter-2", "--endpoint", running.endpoint])
    wait_for(running, lambda: log.named("meter_silent", "meter-2"))
    silent_at = log.named("meter_silent", "meter-2")[0].sample
    wait_for(running, lambda: log.readings("meter-1", after=silent_at))
    assert not log.named("meter_silent", "meter-1")
    wait_for(running, lambda: log.named("meter_back", "meter-2") and log.readings("meter-2", after=silent_at))
    assert len(log.named("meter_found", "meter-2")) >= 2
    addresses = {event.values["address"] for event in log.named("meter_commissioned", "meter-2")}
    assert len(addresses) == 1  # it gets its old address back


def test_a_frozen_station_holds_lock_step_until_it_is_left_behind_and_joins_again(run):
    running, log = run
    wait_for(running, lambda: log.readings("meter-1") and log.readings("meter-2"))
    frozen = child(running, "meter-2").process.pid
    before = len(log.named("line"))
    os.kill(frozen, signal.SIGSTOP)
    try:
        wait_for(running, lambda: any("meter-2 vanished" in e.text for e in log.named("line")[before:]), 30)
    finally:
        os.kill(frozen, signal.SIGCONT)
    vanished_at = log.newest()
    wait_for(running, lambda: log.readings("meter-1", after=vanished_at))
    wait_for(running, lambda: any("meter-2 joined" in e.text for e in log.named("line")[before:]), 30)


def test_a_killed_line_resumes_when_restarted_and_the_clock_never_goes_back(run):
    running, log = run
    wait_for(running, lambda: log.readings("meter-1"))
    os.kill(child(running, "line").process.pid, signal.SIGKILL)
    wait_for(running, lambda: any("line was killed" in text for text in log.reports), 5)
    died = len(log.events)
    newest = log.newest()
    running.spawn("line", ["frontend", "line", str(running.graph_file), "--endpoint", running.endpoint])
    wait_for(running, lambda: log.readings("meter-1", after=newest + 400_000))
    assert all(child(running, name).process.poll() is None for name in ("concentrator", "meter-1", "meter-2"))
    frames = [e.first_sample for e in log.events[died:] if isinstance(e, FrameSent) and e.station == "concentrator"]
    assert frames == sorted(frames) and frames[0] >= newest - 400_000
    starts = [e.text for e in log.named("line") if e.text.startswith("the line starts at sample")]
    assert len(starts) == 2 and int(starts[1].split()[-1]) > 0
