"""The lock-step link: who waits for whom, who joins where, and what happens when somebody dies."""

import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

import numpy as np
import pytest
import zmq

from flowgraphs import messages
from flowgraphs.errors import StationError
from flowgraphs.messages import Kind, Message
from flowgraphs.stream import LinePort, StationPort

RATE, BLOCK = 400_000.0, 200


@pytest.fixture
def endpoint():
    path = Path(tempfile.gettempdir()) / f"osgp-{uuid.uuid4().hex[:12]}"  # short: a socket path has at most 107 octets
    yield f"ipc://{path}"
    path.unlink(missing_ok=True)


def never():
    return False


class Echo(threading.Thread):
    """A station that sends its own number as constant samples in every block, and keeps what it hears."""

    def __init__(self, endpoint, name, coupler, blocks, next_sample=0, skip=()):
        super().__init__(daemon=True)
        self.endpoint, self.station, self.coupler, self.blocks = endpoint, name, coupler, blocks
        self.next_sample, self.skip = next_sample, skip
        self.heard, self.error = [], None

    def run(self):
        port = StationPort(self.endpoint, self.station, self.coupler, RATE)
        port.clock.next_sample = self.next_sample
        try:
            while len(self.heard) < self.blocks:
                block = port.receive()
                if block is None:
                    continue
                self.heard.append((block.first_sample, float(block.samples[0])))
                first = block.first_sample + (1 + port.latency) * BLOCK
                if first not in self.skip:
                    port.send(first, np.full(BLOCK, 1.0 + self.coupler, np.float32))
        except StationError as error:
            self.error = error
        finally:
            self.clock = port.clock
            port.close()


def sum_line(port, blocks):
    """Everybody hears the sum of all."""
    for _ in range(blocks):
        assert port.collect(never)
        found = port.sent(port.index)
        total = np.zeros((port.couplers, BLOCK), np.float32)
        total += sum(found.values(), np.zeros(BLOCK, np.float32))
        port.emit(total)


def test_a_transmit_block_is_heard_exactly_one_plus_latency_blocks_later(endpoint):
    line = LinePort(endpoint, 2, RATE, BLOCK, latency=1)
    stations = [Echo(endpoint, "a", 0, 5), Echo(endpoint, "b", 1, 5)]
    for station in stations:
        station.start()
    assert line.start({"a", "b"}, never)
    sum_line(line, 5)
    for station in stations:
        station.join(5)
        assert station.heard == [(0, 0.0), (200, 0.0), (400, 3.0), (600, 3.0), (800, 3.0)]
    line.close()


def test_a_skipped_transmit_block_is_counted_and_heard_as_silence(endpoint):
    line = LinePort(endpoint, 1, RATE, BLOCK)
    station = Echo(endpoint, "a", 0, 5, skip=(600,))
    station.start()
    assert line.start({"a"}, never)
    sum_line(line, 5)
    station.join(5)
    assert [level for _, level in station.heard] == [0.0, 0.0, 1.0, 0.0, 1.0]
    assert line.statistics.gaps == 1
    line.close()


def test_lock_step_goes_on_without_a_dead_station_and_a_restarted_one_joins_at_the_current_index(endpoint):
    told = []
    line = LinePort(endpoint, 2, RATE, BLOCK, report=told.append)
    keeper, mortal = Echo(endpoint, "a", 0, 40), Echo(endpoint, "b", 1, 5)
    keeper.start(), mortal.start()
    assert line.start({"a", "b"}, never)
    sum_line(line, 20)
    mortal.join(5)
    reborn = Echo(endpoint, "b", 1, 5)
    reborn.start()
    while len(line.members) < 2:
        line._receive()
    sum_line(line, 20)
    reborn.join(5), keeper.join(5)
    assert reborn.heard[0][0] == 20 * BLOCK
    assert [first for first, _ in keeper.heard] == [k * BLOCK for k in range(40)]
    # Its BYE and the loss of its connection race; either is noticed.
    assert "b left coupler 1" in told or "b vanished from coupler 1" in told
    line.close()


def test_a_restarted_line_resumes_at_the_largest_index_that_its_stations_tell(endpoint):
    stations = [Echo(endpoint, "a", 0, 10), Echo(endpoint, "b", 1, 10)]
    first = LinePort(endpoint, 2, RATE, BLOCK)
    for station in stations:
        station.start()
    assert first.start({"a", "b"}, never)
    sum_line(first, 5)
    first.close()
    second = LinePort(endpoint, 2, RATE, BLOCK)
    assert second.start({"a", "b", "c that never comes"}, never, resume_wait_s=1.0)
    assert second.start_index == 5 * BLOCK
    sum_line(second, 5)
    for station in stations:
        station.join(5)
        assert [index for index, _ in station.heard] == [k * BLOCK for k in range(10)]
        assert station.clock.gaps == 0
    second.close()


def test_a_frozen_station_is_left_behind_and_joins_again_when_it_wakes(endpoint):
    told, learned = [], []
    line = LinePort(endpoint, 2, RATE, BLOCK, heartbeat_s=0.2, report=told.append)
    keeper = Echo(endpoint, "a", 0, 8)
    frozen = StationPort(endpoint, "b", 1, RATE, learned.append)
    keeper.start()
    while "b" not in {hello.name for hello, _ in line._candidates.values()}:
        frozen.receive()
        line._receive()
    assert line.start({"a", "b"}, never)
    sum_line(line, 6)  # two blocks are silent by agreement, for the third the line waits
    assert "b vanished from coupler 1" in told and line.statistics.lost_peers == 1
    heard = []
    while len(line.members) < 2:  # it works off what it had got, is told, and says HELLO
        if (block := frozen.receive()) is not None:
            heard.append(block.first_sample)
            frozen.send(block.first_sample + 2 * BLOCK, None)
        while line._socket.poll(20) and line._receive():
            pass
    assert heard == [0, BLOCK] and learned == ["b: the line has gone on without it"]
    while frozen.welcome is None:
        frozen.receive()
    frozen.send(8 * BLOCK, None, 8 * BLOCK)
    sum_line(line, 2)
    keeper.join(5)
    assert [first for first, _ in keeper.heard] == [k * BLOCK for k in range(8)]
    while (block := frozen.receive()) is None:
        pass
    assert block.first_sample == 6 * BLOCK and frozen.clock.missing_samples == 4 * BLOCK
    frozen.close()
    line.close()


def test_a_busy_station_that_answers_between_two_blocks_is_not_left_behind(endpoint):
    line = LinePort(endpoint, 1, RATE, BLOCK, heartbeat_s=0.3)
    port = StationPort(endpoint, "a", 0, RATE)
    while not line._candidates:
        port.receive()
        line._receive()
    assert line.start({"a"}, never)
    for _ in range(8):  # nothing to say, but alive: longer than the limit
        assert not line._receive() or line.members
        while port.receive() is not None or port._socket.poll(0):
            pass
    assert [member.name for member in line.members.values()] == ["a"]
    port.close()
    line.close()


DEAF_STATION = """\
import os, sys, time
import numpy as np
from flowgraphs.stream import LinePort, StationPort
if os.fork() == 0:
    line = LinePort(sys.argv[1], 1, 400_000.0, 2000)
    line.start({"a"}, lambda: False)
    until = time.monotonic() + 1.0
    while time.monotonic() < until and line.members:
        line.emit(np.zeros((1, 2000), np.float32))
    os.kill(os.getpid(), 9)
station = StationPort(sys.argv[1], "a", 0, 400_000.0)
while station.welcome is None:
    station.receive()
os.wait()
time.sleep(1.0)
print(station.receive().count)
"""


def test_a_line_that_dies_while_a_station_has_not_listened_for_long_takes_nobody_along(endpoint):
    """libzmq aborts the process then when its heartbeats are on: zeromq/libzmq#4841."""
    done = subprocess.run(
        [sys.executable, "-c", DEAF_STATION, endpoint], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2000\n"), done.stderr


def test_a_station_may_deliver_several_blocks_and_gets_several_together(endpoint):
    line = LinePort(endpoint, 1, RATE, BLOCK)
    port = StationPort(endpoint, "a", 0, RATE)
    while not line._candidates:
        port.receive()
        line._receive()
    assert line.start({"a"}, never)
    while port.welcome is None:
        port.receive()
    assert line.collect(never) == 2  # the two blocks before the first answer
    line.emit(np.zeros((1, 2 * BLOCK), np.float32))
    block = port.receive()
    assert block.count == 2 * BLOCK
    wave = np.arange(3 * BLOCK, dtype=np.float32)
    port.send(2 * BLOCK, wave, 3 * BLOCK)
    port.send(5 * BLOCK, None, 40 * BLOCK)
    while line.members and next(iter(line.members.values())).next_sample < 45 * BLOCK:
        line._receive()
    assert line.collect(never) == 8
    for k in range(3):
        np.testing.assert_array_equal(line.sent((2 + k) * BLOCK)[0], wave[k * BLOCK : (k + 1) * BLOCK])
    assert line.sent(5 * BLOCK) == {}
    port.send(45 * BLOCK, None, 1000 * BLOCK)  # nobody knows that much
    while not line.statistics.unexpected:
        line._receive()
    port.close()
    line.close()


def test_a_second_station_on_a_coupler_and_a_wrong_rate_are_refused(endpoint):
    line = LinePort(endpoint, 2, RATE, BLOCK)
    first, second = Echo(endpoint, "a", 0, 3), Echo(endpoint, "thief", 0, 3)
    first.start()
    assert line.start({"a"}, never)
    second.start()
    while not line.statistics.refused:
        line._receive()
    second.join(5)
    assert "coupler 0 is taken by a" in str(second.error)
    wrong = StationPort(endpoint, "fast", 1, 2 * RATE)
    with pytest.raises(StationError, match="400000 Hz, the station at 800000 Hz"):
        while True:
            line._receive()
            wrong.receive()
    wrong.close()
    sum_line(line, 3)
    first.join(5)
    line.close()


def test_noise_on_the_socket_is_counted_and_dropped(endpoint):
    line = LinePort(endpoint, 1, RATE, BLOCK)
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(endpoint)
    socket.send(b"hello?")
    socket.send_multipart(messages.encode_samples(0, RATE, None, BLOCK))
    socket.send_multipart(messages.encode(Message(Kind.HELLO, 0, b"\xc1", RATE)))
    socket.send_multipart(messages.encode(Message(Kind.FRAME, 0)))
    while line.statistics.unexpected < 1:
        line._receive()
    assert (line.statistics.malformed, line.statistics.stranger) == (2, 1)
    socket.close(0)
    line.close()


def test_an_endpoint_that_cannot_be_bound_is_named():
    with pytest.raises(StationError, match="tcp://256"):
        LinePort("tcp://256.1.1.1:1", 1, RATE, BLOCK)
