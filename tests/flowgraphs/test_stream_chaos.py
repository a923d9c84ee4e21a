"""Seconds of a stream that everything bad happens to, in virtual time; with processes: benchmarks/stream_chaos.py."""

import numpy as np
import pytest
from stream_chaos import BLOCK, RATE, Watcher, in_virtual_time, make_line, schedule

from flowgraphs.frontends.contract import Block


@pytest.fixture(scope="module")
def line():
    return make_line(1)


@pytest.mark.parametrize(("tagged", "seconds"), [(False, 10.0), (True, 3.0)])
def test_every_gap_is_accounted_for_and_every_packet_outside_them_decoded(tagged, seconds):
    verdict, statistics = in_virtual_time(seconds, 1, tagged)
    assert verdict.good and verdict.packets_false == 0, verdict
    assert verdict.packets > 4 * seconds and verdict.segments == statistics.restarts + 1 >= 2
    # In virtual time nothing is late by chance.
    assert verdict.overtaken_blocks == 0 and verdict.delayed_blocks == statistics.late
    assert statistics.reordered > 0 and statistics.duplicated > 0 and verdict.missing_blocks > 0
    assert statistics.malformed == statistics.foreign == statistics.wrong_rate == 0


def clean(line, count, skip=()):
    lost = 0
    for k in range(count):
        if k in skip:
            lost += BLOCK
            continue
        yield Block(k * BLOCK, line.block(k), lost)
        lost = 0


def _until(count):
    """Blocks of the first sender that were sent within so many slots."""
    found = set()
    for slot, numbers in schedule(1, 0):
        if slot >= count:
            return found
        found.update(numbers)
    return found


def judged(line, blocks):
    watcher = Watcher(line, 1)
    for block in blocks:
        watcher.take(block, 0)
    return watcher.finish()


def test_the_watcher_itself_notices(line):
    """What a faulty source would do has to be seen."""
    arrived = _until(160)
    dropped = set(range(160)) - arrived
    good = judged(line, clean(line, 160, dropped))
    assert good.unexplained_gaps == good.wrong_samples == good.unreported == good.packets_lost == 0 and good.packets > 4
    victim = next(k for k in range(50, 160) if k in arrived)
    assert judged(line, clean(line, 160, dropped | {victim})).unexplained_gaps == 1
    joined = [Block(b.first_sample, b.samples, 0) for b in clean(line, 160, dropped | {victim})]
    assert judged(line, joined).unreported > 0
    wrong = [Block(b.first_sample, b.samples if k != 50 else b.samples[::-1].copy(), b.missing_before)
             for k, b in enumerate(clean(line, 160, dropped))]  # fmt: skip
    assert judged(line, wrong).wrong_samples == 1
    silent = [Block(b.first_sample, b.samples if k == 0 else np.zeros(BLOCK, np.float32), b.missing_before)
              for k, b in enumerate(clean(line, 160, dropped))]  # fmt: skip
    assert judged(line, silent).packets_lost == good.packets


def test_the_line_is_worth_it(line):
    assert len(line.packets) > 20 and line.samples.size / RATE == 4.0
