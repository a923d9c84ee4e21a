"""A live view: packets from a source in blocks, gaps, what a running graph tells; and that the line never waits for it."""

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flowgraphs.decoding import decode_recording
from flowgraphs.events import Finished, FrameSent, StationEvent
from flowgraphs.frontends.contract import Block, SourceStatistics
from flowgraphs.graph import load_graph
from flowgraphs.monitor import MonitorSender, MonitorSource
from flowgraphs.recording import open_recording
from flowgraphs.view.watch import LiveWatch
from phy import ReceiverOptions

RECORDING = str(Path(__file__).parents[1] / "recordings" / "quiet.sigmf-meta")
RATE = 400_000.0
WAIT_S = 60.0


def line():
    recording = open_recording(RECORDING)
    return recording.source.read(0, recording.length)


def truth():
    found = decode_recording(open_recording(RECORDING), "pl20a", ReceiverOptions())
    return [(one.packet.lpdu, one.packet.start_sample) for one in found]


class Played:
    """A source that gives blocks as fast as they are taken."""

    sample_rate, name = RATE, "played"

    def __init__(self, blocks):
        self.statistics = SourceStatistics()
        self._blocks = list(blocks)
        self.closed = False

    @property
    def ended(self):
        return not self._blocks

    def read(self, timeout_s):
        return self.statistics.count(self._blocks.pop(0)) if self._blocks else None

    def close(self):
        self.closed = True


def until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def received(watch):
    entries, _ = watch.log.after(0, 1000)
    return [(entry.packet.lpdu, entry.packet.start_sample) for entry in entries if entry.packet.crc_ok]


def run(blocks, wanted):
    source = Played(blocks)
    watch = LiveWatch(source, "auto", ReceiverOptions())
    watch.start()
    try:
        until(lambda: watch.state == "ended" and len(received(watch)) >= wanted)
        return watch, source
    finally:
        watch.stop()


def close_to(found, expected):
    """The same packets; their beginnings within a twentieth of a bit, as the filters' grid may lie differently."""
    assert [lpdu for lpdu, _ in found] == [lpdu for lpdu, _ in expected]
    assert all(abs(a - b) <= 6 for (_, a), (_, b) in zip(found, expected, strict=True))


def test_a_live_source_gives_the_packets_of_the_recording():
    x, first = line(), 10_000_000
    cuts = np.cumsum(np.random.default_rng(1).integers(100, 9000, 400))
    pieces = np.split(x, cuts[cuts < x.size])
    starts = np.cumsum([first, *(piece.size for piece in pieces[:-1])])
    watch, source = run([Block(int(at), piece) for at, piece in zip(starts, pieces, strict=True)], 8)
    close_to(received(watch), [(lpdu, start + first) for lpdu, start in truth()])
    assert source.closed and watch.statistics()["samples"] == x.size and watch.statistics()["skipped"] == 0
    entry = watch.log.get(3)
    assert watch.samples_of(entry)(entry.packet.start_sample, 50) == pytest.approx(x[entry.packet.start_sample - first :][:50])


def test_a_gap_costs_the_packet_that_it_hits_and_no_other():
    x = line()
    hit = truth()[3]
    low, high = hit[1] + 4000, hit[1] + 9000  # within the packet
    watch, _ = run([Block(0, x[:low]), Block(high, x[high:], high - low)], 7)
    close_to(received(watch), [one for one in truth() if one != hit])
    assert watch.statistics()["gaps"] == 1 and watch.statistics()["missing"] == high - low
    assert not watch.history.read(low, high - low).any(), "what is missing is shown as nothing"


def test_a_rate_that_carries_nothing_is_refused():
    source = Played([])
    source.sample_rate = 48_000.0
    with pytest.raises(Exception, match="48000 Hz is too low"):
        LiveWatch(source, "auto", ReceiverOptions())


def test_samples_aside_arrive_whole_and_a_loss_is_a_gap(tmp_path):
    source = MonitorSource(f"ipc://{tmp_path}/m", RATE, "monitor")
    sender = MonitorSender(source.endpoint, 2, RATE)
    try:
        count = iter(range(1000))
        until(lambda: (sender.write(np.zeros(8000, np.float32), 8000 * next(count)), source.read(0.05))[1] is not None)
        while source.read(0.2):
            pass
        x = np.arange(50_000, dtype=np.float32)
        for at in range(0, x.size, 400):
            if at != 20_000:  # one block is left out
                sender.write(x[at : at + 400], 1_000_000 + at)
        found = []
        until(lambda: (found.extend(filter(None, [source.read(0.1)])), found and found[-1].end >= 1_044_000)[1])
        for block in found:
            assert np.array_equal(block.samples, x[block.first_sample - 1_000_000 :][: block.samples.size])
        assert [block.missing_before for block in found[1:] if block.missing_before] == [400]
        assert max(block.samples.size for block in found) <= 8400
    finally:
        sender.close()
        source.close()
    assert source.ended and source.read(0.01) is None


def test_the_line_does_not_wait_for_an_onlooker_that_takes_nothing(tmp_path):
    source = MonitorSource(f"ipc://{tmp_path}/m", RATE, "monitor")
    sender = MonitorSender(source.endpoint, 0, RATE)
    began = time.monotonic()
    for k in range(3000):  # a minute of line, more than the queues hold
        sender.write(np.zeros(8000, np.float32), k * 8000)
    assert time.monotonic() - began < 20
    sender.close()
    source.close()


def test_a_page_beside_a_graph_names_senders_and_tells_events():
    pytest.importorskip("uvicorn", reason="the extra 'web' is not installed")
    from flowgraphs.view.beside import ViewBeside

    graph = msgspec.structs.replace(load_graph("demo"), name="lesson")
    x, expected = line(), truth()
    with ViewBeside(graph, "127.0.0.1", 0) as view:
        assert view.address.startswith("http://127.0.0.1:") and view.coupler == 0
        first, (lpdu, start) = 400_000, expected[2]
        view.hear(FrameSent("meter-2", first + start - 200, 20_000, first + start, "primary", lpdu))
        view.hear(StationEvent("concentrator", first, "meter_found", "found 0002a1001002"))
        view.hear(StationEvent("concentrator", first, "table_read", "a detail"))
        view.hear(Finished("concentrator", first, True, "3 read"))
        sender = MonitorSender(view.endpoint, 0, RATE)
        watch = view._watch
        at = 0
        while watch.statistics()["blocks"] == 0 and at < first:  # until the sockets have met
            sender.write(np.zeros(8000, np.float32), at)
            at += 8000
            time.sleep(0.02)
        for k in range(0, x.size, 4000):
            sender.write(x[k : k + 4000], first + k)
        until(lambda: len(received(watch)) >= 7)
        sender.close()
        named = {entry.packet.lpdu: entry.sender for entry in watch.log.after(0, 100)[0]}
        assert named[lpdu] == "meter-2" and sum(bool(name) for name in named.values()) == 1
        assert [note.text for note in watch.notes] == ["found 0002a1001002", "finished: 3 read"]
