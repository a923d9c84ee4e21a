"""Blocks through a bad network: everything that came is in its place, and everything that did not is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraphs.frontends.contract import SourceStatistics
from flowgraphs.frontends.ordering import FAR_S, HELD_BLOCKS, QUIET_S, REORDER_S, BareOrder, StreamOrder

RATE, SIZE = 100_000.0, 500  # a block is 5 ms
BLOCK_S = SIZE / RATE


def samples(index, count=SIZE):
    """Each sample is its own index, modulo something that float32 holds exactly."""
    return ((index + np.arange(count)) % 1_000_003).astype(np.float32)


class Network:
    """Hands blocks to a StreamOrder in virtual time and keeps what comes out."""

    def __init__(self, first=None):
        self.statistics = SourceStatistics()
        self.order, self.now, self.out = StreamOrder(self.statistics, RATE, first=first), 100.0, []

    def put(self, k, run=7, size=SIZE, offset=0, dt=BLOCK_S):
        self.now += dt
        self.order.put(k * SIZE + offset, samples(k * SIZE + offset, size), run, self.now)
        self.drain()

    def drain(self):
        while (block := self.order.get(self.now)) is not None:
            self.out.append(block)

    def end(self):
        self.now += 10 * REORDER_S
        self.drain()

    @property
    def numbers(self):
        return [block.first_sample // SIZE for block in self.out]

    def check(self):
        """The contract of a source: increasing indices, nothing joined silently, nothing miscounted."""
        for before, after in zip(self.out, self.out[1:], strict=False):
            assert after.first_sample == before.end + after.missing_before
        assert self.statistics.samples == sum(block.samples.size for block in self.out)
        assert self.statistics.missing == sum(block.missing_before for block in self.out)


def test_a_good_stream_passes_at_once():
    net = Network()
    for k in range(20):
        net.put(k + 3)
        assert net.out[-1].first_sample == (k + 3) * SIZE
    net.check()
    assert net.statistics == SourceStatistics(blocks=20, samples=20 * SIZE)


def test_blocks_out_of_order_are_put_in_order():
    net = Network()
    for k in (0, 2, 1, 3, 6, 5, 4, 7):
        net.put(k)
    assert net.numbers == list(range(8)) and net.statistics.reordered == 3 and net.statistics.gaps == 0
    net.check()


def test_a_hole_is_waited_for_no_longer_than_the_window():
    net = Network()
    net.put(0)
    net.put(2)
    assert net.numbers == [0] and 0 < net.order.wait_s(net.now) <= REORDER_S
    net.now += REORDER_S
    net.drain()
    assert net.numbers == [0, 2] and net.out[-1].missing_before == SIZE and net.order.wait_s(net.now) is None


def test_a_hole_is_waited_for_no_longer_than_the_window_of_samples():
    """A sender faster than real time: what follows the hole may not pile up."""
    net = Network()
    net.put(0, dt=0)
    for k in range(2, 9):
        net.put(k, dt=0)
    assert net.numbers == [0, *range(2, 9)] and net.statistics.missing == SIZE


def test_a_late_block_is_no_duplicate():
    net = Network()
    for k in (0, 1, 3, 4, 5, 6, 7, 8, 9, 2, 3, 10):
        net.put(k)
    assert net.numbers == [0, 1, *range(3, 11)]
    assert (net.statistics.late, net.statistics.duplicated, net.statistics.gaps) == (1, 1, 1)


def test_blocks_that_overlap_lose_what_was_there():
    net = Network()
    net.put(0)
    net.put(0, offset=200)
    net.end()
    assert [block.first_sample for block in net.out] == [0, 500] and net.out[1].samples.size == 200
    np.testing.assert_array_equal(np.concatenate([block.samples for block in net.out]), samples(0, 700))


@pytest.mark.parametrize("run", [0, 9])
@pytest.mark.parametrize("pause_s", [0.2, 3.0])
def test_a_restarted_sender_is_followed_and_the_index_never_goes_back(run, pause_s):
    net = Network()
    for k in range(1000, 1050):
        net.put(k, run and 7)
    net.now += pause_s
    for k in range(60):
        net.put(k, run)
    net.end()
    net.check()
    assert net.statistics.restarts == 1 and net.statistics.blocks == 110 and net.statistics.foreign == 0
    first = net.out[50]
    assert first.missing_before == pytest.approx(pause_s * RATE, rel=0.01)
    np.testing.assert_array_equal(first.samples, samples(0))


@pytest.mark.parametrize("run", [0, 9])
def test_a_quick_restart_costs_no_block_and_less_than_100_ms(run):
    """The new sender's first blocks wait until it is believed; none of them is lost."""
    net = Network()
    for k in range(1000, 1050):
        net.put(k, run and 7)
    for k in range(20):
        net.put(k, run)
        if len(net.out) > 50:
            break
    assert k * BLOCK_S < 0.1
    for rest in range(k + 1, 20):
        net.put(rest, run)
    assert net.statistics.blocks == 70 and net.statistics.restarts == 1 and net.out[50].missing_before >= 1
    net.check()


def test_a_second_sender_is_counted_and_not_mixed_in():
    net = Network()
    for k in range(200):
        net.put(k, 7, dt=BLOCK_S / 2)
        net.put(k + 5000, 8, dt=BLOCK_S / 2)
    net.put(200, 7)
    assert net.numbers == list(range(201)) and net.statistics.foreign == 200 and net.statistics.restarts == 0


def test_what_is_left_of_the_old_sender_is_late():
    net = Network()
    for k in range(30):
        net.put(k, 7)
    for k in range(30):
        net.put(k, 8)
        if k == 20:
            net.put(29, 7)
    assert net.statistics.restarts == 1 and net.statistics.late == 1 and net.statistics.blocks == 60


def test_a_single_absurd_index_is_not_followed():
    net = Network()
    for k in range(50):
        net.put(k, 0)
        if k == 20:
            net.put(10**9, 0, dt=0)
    assert net.numbers == list(range(50)) and net.statistics.malformed == 1
    net.check()


def test_a_long_pause_of_the_same_sender_is_a_gap():
    net = Network()
    net.put(0)
    net.now += 100.0
    skipped = round(100 / BLOCK_S)
    for k in range(skipped, skipped + 30):
        net.put(k)
    assert net.statistics.restarts == 0 and net.statistics.missing == (skipped - 1) * SIZE and net.statistics.blocks == 31
    assert skipped * BLOCK_S > FAR_S


def test_a_late_block_after_a_pause_is_no_restart():
    net = Network()
    for k in range(20):
        net.put(k, 0)
    net.now += 2 * QUIET_S
    net.put(15, 0)
    net.put(20, 0)
    assert net.statistics.restarts == 0 and net.numbers == list(range(21))


def test_memory_is_bounded():
    net = Network()
    net.put(0)
    for k in range(3 * HELD_BLOCKS):
        net.put(2 + k, size=1, dt=0)
    assert len(net.order._held) <= HELD_BLOCKS
    odd = Network()
    odd.put(0)
    for _ in range(3 * HELD_BLOCKS):
        odd.put(10**6, 8, size=1, dt=0)
    assert len(odd.order._odd) <= HELD_BLOCKS


@settings(max_examples=40)
@given(st.data(), st.sampled_from([0, 7]))
def test_any_mischief_against_a_sheet_of_paper(data, run):
    """Drops, duplicates, delays: every sample that is given out is right, each at most once, the rest is counted as missing."""
    count = 120
    net, delayed = Network(), {}
    for k in range(count):
        fate = data.draw(st.sampled_from(["ok"] * 8 + ["drop", "twice", "swap", "delay"]))
        net.now += BLOCK_S
        arriving = delayed.pop(k, [])
        if fate in ("ok", "twice"):
            arriving.insert(0, k)
        if fate == "twice":
            arriving.append(k)
        if fate == "swap":
            delayed.setdefault(k + 1, []).append(k)
        if fate == "delay":
            delayed.setdefault(k + 15, []).append(k)
        for number in arriving:
            net.put(number, run, dt=0)
    net.end()
    net.check()
    start = net.out[0].first_sample if net.out else 0
    for block in net.out:
        np.testing.assert_array_equal(block.samples, samples(block.first_sample, block.samples.size))
    end = net.out[-1].end if net.out else 0
    assert end - start == net.statistics.samples + net.statistics.missing
    assert net.statistics.restarts == net.statistics.foreign == 0


# ---------------------------------------------------------------- streams without an index


class Bare(Network):
    def __init__(self):
        self.statistics = SourceStatistics()
        self.order, self.now, self.out, self.put_so_far = BareOrder(self.statistics, RATE), 100.0, [], 0

    def put(self, dt=BLOCK_S):
        self.now += dt
        self.order.put(samples(self.put_so_far), self.now)
        self.put_so_far += SIZE
        self.drain()


def test_bare_items_are_counted():
    net = Bare()
    for _ in range(100):
        net.put()
    net.check()
    assert net.numbers == list(range(100)) and net.statistics.missing == net.statistics.suspected == 0


def test_a_pause_in_bare_items_is_a_gap_as_long_as_the_clock_says():
    net = Bare()
    for k in range(100):
        net.put(dt=4.0 if k == 50 else BLOCK_S)
    net.check()
    assert net.statistics.gaps == 1 and net.statistics.missing == pytest.approx(4.0 * RATE, rel=0.01)


def test_a_sender_of_bare_items_that_lost_its_connection_has_restarted():
    net = Bare()
    for k in range(100):
        if k == 50:
            net.order.interrupted()
        net.put(dt=0.3 if k == 50 else BLOCK_S)
    net.check()
    assert (net.statistics.restarts, net.statistics.gaps) == (1, 1)
    assert net.statistics.missing == pytest.approx(0.3 * RATE, rel=0.03)


def test_a_stall_that_is_made_good_is_no_gap():
    """A busy machine: nothing for 0.5 s, then everything at once."""
    net = Bare()
    for k in range(2000):
        net.put(dt=0.5 if k == 900 else 0.0 if 900 < k < 1000 else BLOCK_S)
    assert net.statistics.missing == net.statistics.suspected == 0


def test_samples_lost_in_between_are_suspected():
    net = Bare()
    for k in range(4000):
        net.put(dt=11 * BLOCK_S if k == 1500 else BLOCK_S)
    assert net.statistics.missing == 0 and net.statistics.suspected == pytest.approx(10 * SIZE, abs=5)
