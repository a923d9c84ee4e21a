"""What a live page costs its server: pictures a second and processor time of the view, told apart from the receiver's, by thread.

    python benchmarks/view_load.py [--seconds 15] [--pages 1 4 16]

A line of 400 kS/s in real time, packets on it without a pause, seen by so many pages at once; then a recording at every
speed. The mark: one page gets 10 pictures a second and its server uses less than 20 % of a core. Beside it stand the loop of
plain Python, for comparing machines, and the load of the machine: other work takes pictures away.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path

from harness import verdict
from websockets.sync.client import connect

from flowgraphs.frontends.contract import Block, SourceStatistics
from flowgraphs.recording import open_recording
from flowgraphs.view.access import Access
from flowgraphs.view.frame import Kind, decode
from flowgraphs.view.serving import bind, serve
from flowgraphs.view.watch import LiveWatch, RecordingWatch, Watch
from phy import ReceiverOptions

RECORDING = str(Path(__file__).parent.parent / "tests" / "recordings" / "quiet.sigmf-meta")
RATE_HZ, SHARE = 10.0, 0.20
PIECE = 4000  # samples: 10 ms


class PacedLine:
    """A recording over and over, as fast as a converter would give it."""

    name, ended = "line in real time", False

    def __init__(self) -> None:
        recording = open_recording(RECORDING)
        self.sample_rate = recording.sample_rate
        self.statistics = SourceStatistics()
        self._x = recording.source.read(0, recording.length // PIECE * PIECE)
        self._began, self._at = time.monotonic(), 0

    def read(self, timeout_s: float) -> Block | None:
        """See SampleSource."""
        due = self._began + (self._at + PIECE) / self.sample_rate - time.monotonic()
        if due > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, due))
        place = self._at % self._x.size
        block = Block(self._at, self._x[place : place + PIECE])
        self._at += PIECE
        return self.statistics.count(block)

    def close(self) -> None:
        """See SampleSource."""


def look(address: str, until: float, found: list[tuple[int, float]], command: str) -> None:
    """One page: counts pictures and their mean latency."""
    pictures, latency = 0, 0.0
    with connect(address, compression=None, max_size=None) as socket:
        for line in filter(None, command.split("\n")):
            socket.send(line)
        while time.monotonic() < until:
            message = socket.recv(timeout=10)
            if isinstance(message, bytes):
                picture, _, sent_at, _ = decode(message)
                if picture.kind is Kind.LINE:
                    pictures += 1
                    latency += time.time() - sent_at
    found.append((pictures, latency / max(1, pictures)))


def measure(watch: Watch, pages: int, seconds: float, command: str = "") -> tuple[float, float, float, float]:
    """Pictures a second of the slowest page, mean latency s, and shares of a core: view, receiver."""
    listening, stop = bind("127.0.0.1", 0), threading.Event()
    serving = threading.Thread(target=serve, args=(watch, Access.of("127.0.0.1"), listening, stop.is_set))
    watch.start()
    serving.start()
    while watch.state == "decoding":
        time.sleep(0.1)
    time.sleep(1.0)
    before, began = watch.clocks.used(), time.monotonic()
    found: list[tuple[int, float]] = []
    address = f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
    visitors = [threading.Thread(target=look, args=(address, began + seconds, found, command)) for _ in range(pages)]
    for visitor in visitors:
        visitor.start()
    time.sleep(seconds)
    used, passed = watch.clocks.used(), time.monotonic() - began
    for visitor in visitors:
        visitor.join()
    stop.set()
    serving.join()
    watch.stop()
    listening.close()
    shares = {name: (used[name] - before.get(name, 0.0)) / passed for name in used}
    return min(n for n, _ in found) / seconds, max(s for _, s in found), shares["view"], shares["receiver"]


def plain_loop() -> float:
    """Seconds for ten million additions in plain Python."""
    began, total = time.thread_time(), 0
    for k in range(10_000_000):
        total += k
    return time.thread_time() - began


def main() -> int:
    """Print the figures; exit code 1 when a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 4, 16])
    arguments = parser.parse_args()
    print(f"ten million additions {plain_loop():.2f} s; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    good = True
    print("                         pictures/s  latency   view   receiver")
    for pages in arguments.pages:
        rate, latency, view, receiver = measure(LiveWatch(PacedLine(), "pl20a", ReceiverOptions()), pages, arguments.seconds)
        shares = f"{100 * view:4.1f} %  {100 * receiver:4.1f} %"
        print(f"live line, {pages:2d} pages      {rate:8.1f}  {1e3 * latency:6.0f} ms  {shares}")
        if pages == 1:
            good = rate > 0.9 * RATE_HZ and view < SHARE
    for speed in (0.1, 1.0, 8.0):
        watch = RecordingWatch(open_recording(RECORDING), open_recording(RECORDING), "auto", ReceiverOptions())
        command = f'{{"do":"speed","to":{speed}}}\n{{"do":"seek","to":0}}'
        seconds = min(arguments.seconds, 0.8 * 1.02 / speed)
        rate, latency, view, _ = measure(watch, 1, seconds, command)
        print(f"recording, speed {speed:4.1f}    {rate:8.1f}  {1e3 * latency:6.0f} ms  {100 * view:4.1f} %")
    print(verdict(good), f"one page: 10 pictures a second under {100 * SHARE:.0f} % of a core")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
