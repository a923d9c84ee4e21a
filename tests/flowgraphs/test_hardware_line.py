"""A source in place of the simulated line: indices, gaps, exact instants of what stations send, and their slots."""

import math
import tempfile
import threading
import uuid
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mac
from flowgraphs.binding import make_node
from flowgraphs.errors import FrontEndError, StationError
from flowgraphs.frontends.contract import Block, SinkStatistics, SourceStatistics
from flowgraphs.frontends.hardware_line import FrontEndRun, _Loop, at_rate, run_front_end
from flowgraphs.frontends.live_port import LivePort
from flowgraphs.frontends.transmitting import GuardedSink, TransmitLimits
from flowgraphs.graph import parse_graph, station_random
from flowgraphs.lifetime import Lifetime
from flowgraphs.recorder import write_recording
from flowgraphs.station import Station
from flowgraphs.stream import StationPort

RATE, BLOCK = 192_000.0, 192
GRAPH = parse_graph("""\
sample_rate: 192000
block: 192
line: {couplers: 1}
stations: [{name: a, kind: concentrator, coupler: 0, unique_node_id: "000000000001", level_v: 0.5}]
""")


class Ramp:
    """A source whose samples are their own index; it begins anywhere and loses some."""

    sample_rate, name = RATE, "ramp"

    def __init__(self, first, lost_at, lost, end):
        self.statistics = SourceStatistics()
        self.next, self.lost_at, self.lost, self.end = first, lost_at, lost, end
        self.sizes = np.random.default_rng(1)

    @property
    def ended(self):
        return self.next >= self.end

    def read(self, timeout_s):
        if self.ended:
            return None
        if self.lost_at is not None and self.next >= self.lost_at:
            self.next, self.lost_at = self.next + self.lost, None
        count = int(self.sizes.integers(1, 700))
        block = Block(self.next, np.arange(self.next, self.next + count, dtype=np.float32))
        self.next += count
        return block

    def close(self):
        pass


class Kept:
    """A sink that keeps what it gets."""

    sample_rate, name = RATE, "kept"

    def __init__(self):
        self.statistics, self.written = SinkStatistics(), []

    def write(self, first_sample, samples):
        self.written.append((first_sample, samples.copy()))

    def close(self):
        pass


class Sends(threading.Thread):
    """A station that sends the index of the line as samples, in every block but some, and keeps what it hears."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.endpoint, self.heard = endpoint, []

    def run(self):
        port = StationPort(self.endpoint, "a", 0, RATE)
        try:
            while port.welcome is not None or not self.heard:
                block = port.receive()
                if block is None:
                    continue
                self.heard.append((block.first_sample, block.samples.copy()))
                for first in range(block.first_sample, block.first_sample + block.count, BLOCK):
                    at = first + (1 + port.latency) * BLOCK
                    x = 1 + np.arange(at, at + BLOCK, dtype=np.float32) if at // BLOCK % 3 else None
                    port.send(at, x)
        except StationError:
            pass
        finally:
            self.missing = port.clock.missing_samples
            port.close()


def test_indices_hold_through_gaps_in_both_directions():
    path = Path(tempfile.gettempdir()) / f"osgp-{uuid.uuid4().hex[:12]}"
    port = LivePort(f"ipc://{path}", 1, RATE, BLOCK, latency=5)
    station = Sends(port.endpoint)
    station.start()
    source, kept, run, told = Ramp(12_345, 60_000, 3001, 110_000), Kept(), FrontEndRun(), []
    run.sink = GuardedSink(kept, TransmitLimits(1.0, 10.0, math.inf, 0.0), 1e9, 0.0)
    with Lifetime() as lifetime:
        assert port.start(["a"], lifetime.stopped)
        _Loop(GRAPH, port, source, run, lifetime, told.append).go(None)
    port.close()
    station.join(5)
    path.unlink(missing_ok=True)
    ends = [first + x.size for first, x in station.heard]
    for first, x in station.heard[:-1]:  # the last one may hold the silence behind the end
        assert first % BLOCK == 0
        np.testing.assert_array_equal(x[x > 0] - np.flatnonzero(x > 0) - first, 12_345)
    gaps = [b[0] - end for end, b in zip(ends, station.heard[1:], strict=False) if b[0] != end]
    assert len(gaps) == 1 and abs(gaps[0] - 3001) <= 2 * BLOCK and station.missing == gaps[0]
    assert any("3001 samples are missing" in text for text in told)
    assert len(kept.written) > 200
    for first, x in kept.written:  # where it goes is where the station meant it to be
        np.testing.assert_array_equal(x - 1 + 12_345, np.arange(first, first + x.size))


@given(st.floats(0, 1e4), st.integers(0, 50_000))
def test_a_frame_starts_whole_slots_after_it_won(won_at, ahead):
    spec = GRAPH.stations[0]
    node = make_node(GRAPH, spec, station_random(GRAPH, "a", "mac"), 0.0)
    silent = type("Silent", (), {"start": lambda self, now: None})()
    if not hasattr(test_a_frame_starts_whole_slots_after_it_won, "station"):
        station = Station(GRAPH, spec, node, silent, print, on_slots=True)
        test_a_frame_starts_whole_slots_after_it_won.station = station
    station = test_a_frame_starts_whole_slots_after_it_won.station
    send_at = math.ceil(won_at * RATE) + ahead
    start = station._on_slot(won_at, send_at)
    slot = mac.ChannelTiming.load("pl20a_nes").beta2 * RATE  # 2.78 ms
    slots = (start - won_at * RATE) / slot
    assert send_at - 1 <= start <= send_at + slot + 1 and abs(slots - round(slots)) * slot <= 1


def test_a_graph_takes_the_rate_of_its_front_end(tmp_path):
    write_recording(tmp_path / "a.wav", np.zeros(1000, np.float32), 96_000.0, "silence", ())
    graph = at_rate(msgspec.structs.replace(GRAPH, frontend=str(tmp_path / "a.wav")))
    assert (graph.sample_rate, graph.block) == (96_000.0, 96)
    assert at_rate(msgspec.structs.replace(GRAPH, frontend="soundcard:x?rate=96000")).block == 96
    assert at_rate(msgspec.structs.replace(GRAPH, frontend="soundcard:")).sample_rate == 192_000.0


def test_a_recording_cannot_be_sent_to(tmp_path):
    write_recording(tmp_path / "a.wav", np.zeros(1000, np.float32), RATE, "silence", ())
    graph = msgspec.structs.replace(GRAPH, frontend=str(tmp_path / "a.wav"))
    with Lifetime() as lifetime, pytest.raises(FrontEndError, match="can only be heard"):
        run_front_end(graph, "tcp://127.0.0.1:*", lifetime, transmit=True)
