"""`line:` sources: they hear all, send nothing, never hold the line up, and say when there is none."""

import tempfile
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from flowgraphs.errors import FrontEndError
from flowgraphs.frontends.contract import SourceStatistics, open_source
from flowgraphs.frontends.waiting import BlockQueue
from flowgraphs.stream import LinePort

RATE, BLOCK = 192_000.0, 192


@pytest.fixture
def line():
    """A line without stations whose coupler 1 hears the sample index."""
    path = Path(tempfile.gettempdir()) / f"osgp-{uuid.uuid4().hex[:12]}"
    port = LinePort(f"ipc://{path}", 2, RATE, BLOCK)
    stop = threading.Event()

    def run() -> None:
        if port.start([], stop.is_set):
            while together := port.collect(stop.is_set):
                heard = np.zeros((2, together * BLOCK), np.float32)
                heard[1] = port.index + np.arange(heard.shape[1])
                port.emit(heard)
        port.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield port
    stop.set()
    thread.join(5)
    path.unlink(missing_ok=True)


def test_it_hears_every_sample_at_the_lines_own_rate(line):
    source = open_source(f"line:{line.endpoint}")
    assert source.sample_rate == RATE and not source.ended
    blocks = [block for block in (source.read(2.0) for _ in range(200)) if block is not None]
    heard = np.concatenate([block.samples for block in blocks])
    jumps = sum(block.missing_before for block in blocks)
    assert heard[-1] - heard[0] + 1 == heard.size + jumps and jumps == source.statistics.missing
    assert all(block.samples[0] == block.first_sample for block in blocks)
    source.close()
    assert source.read(0.0) is not None or source.ended


def test_a_reader_that_sleeps_does_not_hold_the_line_up(line):
    source = open_source(f"line:{line.endpoint}?queue_s=0.1")
    assert source.read(2.0) is not None
    before, until = line.index, time.monotonic() + 10
    while line.index < before + 2 * RATE and time.monotonic() < until:
        time.sleep(0.02)
    assert line.index >= before + 2 * RATE
    block = source.read(1.0)
    assert block is not None and source.statistics.overruns > 0
    blocks = [source.read(1.0) for _ in range(5)]
    assert source.statistics.missing > RATE and all(b is not None for b in blocks)
    source.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("line:ipc:///tmp/osgp-nobody-is-here?wait_s=0.1", "no line answers within 0.1 s"),
        ("line:?coupler=x", "coupler must be a number"),
        ("line:tcp://999.0.0.1:1?wait_s=0.1", "cannot connect|no line answers"),
    ],
)
def test_without_a_line_one_line_says_so(url, words):
    with pytest.raises(FrontEndError, match=words):
        open_source(url)


def test_a_refusal_is_told(line):
    with pytest.raises(FrontEndError, match=r"couplers 0\.\.1, not 7"):
        open_source(f"line:{line.endpoint}?coupler=7")


def test_a_full_queue_drops_the_oldest_and_shows_the_gap():
    queue = BlockQueue(SourceStatistics(), 100)
    for k in range(5):
        queue.put(40 * k, np.full(40, k, np.float32))
    queue.finish()
    first, second = queue.get(0), queue.get(0)
    assert first is not None and second is not None and queue.get(0) is None and queue.ended
    assert (first.first_sample, first.missing_before, second.first_sample) == (120, 0, 160)
    assert queue.statistics.overruns == 3
