"""Latency that the software adds: last sample of a packet to LPDU out, and frame in to sample out.

On the simulated line in real time: this process is the line; blocks of 1 ms leave when their last sample is due. A station, as
`osgp-sdr station` starts it, receives packets in noise and sends requests. Sample to frame is the time from the moment at which
the block with the packet's last sample left to the arrival of the LPDU here. Frame to sample is the time from the moment at
which the block left that let the frame win access, to the arrival of its first transmit block here.
Over a card: from `send` to the LPDU out of `receive`, less the airtime.

Beside the time on the clock stands what the station's process needed of a processor meanwhile, and how long it waited for one
(Linux, /proc/PID/schedstat): a busy computer makes packets late by the second, only we by the first. `--alone` takes the
station into this process and adds up processor time alone: the latency that a computer with nothing else to do would show.
It does the same work three times and takes the shortest of each packet: what does not come again is the computer's (a host that
takes the processor away from a virtual machine shows as processor time, too).

    python benchmarks/latency.py --seconds 60
    python benchmarks/latency.py --seconds 60 --alone
    python benchmarks/latency.py --card "soundcard:plc?latency_s=0.1"

What must hold: sample to frame 5 ms in the median, 20 ms at worst in a minute (on a computer that is not busy otherwise).
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowgraphs.binding import make_application, make_node
from flowgraphs.events import Event, EventReceiver, FrameSent, PacketReceived
from flowgraphs.frontends.live_port import LivePort
from flowgraphs.graph import dump_graph, parse_graph, station_random
from flowgraphs.kernels import ensure_compiled
from flowgraphs.live import Line
from flowgraphs.readiness import load_kernels, settle
from flowgraphs.station import Station
from phy import Profile, Transmitter, append_crc

GRAPH = """
name: latency
sample_rate: 400000
block: 400
pace: realtime
line: {couplers: 1}
stations:
  - {name: listener, kind: concentrator, coupler: 0, unique_node_id: "0002a1000001", period_s: 2, rediscover_s: 2}
"""
ALIKE = 3  # runs of `--alone`
NOISE_V = 0.02  # rms; with packets of 0.1 V about 28 dB Es/N0
EVERY_S = 0.4  # of a packet to be received
MEDIAN_S, WORST_S = 5e-3, 20e-3
SHOWN = 5  # of the latest packets


@dataclass(frozen=True)
class Latencies:
    """Seconds, one for each packet.    sent: packets that were to be received.

    computed, waited: of sample_to_frame, processor time of the station and its wait for a processor.
    """

    sample_to_frame: np.ndarray
    frame_to_sample: np.ndarray
    computed: np.ndarray
    waited: np.ndarray
    sent: int


class Packets:
    """The line: noise, and a packet every EVERY_S.    ends: octets -> sample behind the packet's last."""

    def __init__(self, profile: Profile, rate: float, block: int) -> None:
        self._profile, self._rate, self._block = profile, rate, block
        self._transmitter = Transmitter(profile, rate, level_v=0.1)
        self._rng = np.random.default_rng(1)
        self._wave, self._at = np.zeros(0, np.float32), 0
        self.ends: dict[bytes, int] = {}

    def samples(self, index: int, with_packets: bool) -> np.ndarray:
        """The block that begins at `index`."""
        rng, block = self._rng, self._block
        x = rng.normal(0, NOISE_V, block).astype(np.float32)
        if not with_packets:
            self._at = index
            return x
        if index >= self._at + self._wave.size + round(EVERY_S * self._rate):
            lpdu = append_crc(rng.bytes(12))
            self._wave, self._at = self._transmitter.modulate(lpdu), index + block
            airtime = round(self._profile.airtime(len(lpdu)) * self._rate)
            self.ends[lpdu] = self._at + self._transmitter.lead_samples + airtime
        low, high = max(self._at, index), min(self._at + self._wave.size, index + block)
        if low < high:
            x[low - index : high - index] += self._wave[low - self._at : high - self._at]
        return x

    def to_be_heard(self, index: int, heard: set[bytes], own: list[FrameSent]) -> int:
        """How many were heard, or complete well before sample `index` and not while the station itself was sending."""
        return sum(
            lpdu in heard
            or (end + 10 * self._block <= index and not any(self._meet(frame, end) for frame in own))
            for lpdu, end in self.ends.items()
        )

    def _meet(self, frame: FrameSent, end: int) -> bool:
        return frame.first_sample < end and frame.first_sample + frame.count > end - self._wave.size

    def last_block(self, lpdu: bytes) -> int:
        """End of the block that carries the packet's last sample."""
        return -(-self.ends[lpdu] // self._block) * self._block


def processor_time(pid: int) -> tuple[float, float]:
    """Seconds that all threads of a process have had a processor, and have waited for one; 0 where nobody tells."""
    had = waited = 0
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            numbers = (thread / "schedstat").read_text().split()
            had, waited = had + int(numbers[0]), waited + int(numbers[1])
    except (OSError, ValueError, IndexError):
        return 0.0, 0.0
    return had * 1e-9, waited * 1e-9


class WatchedPort(LivePort):
    """Notes when transmit blocks arrive."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.arrived: dict[int, float] = {}

    def _take_block(self, identity, block):
        if block.samples is not None:
            self.arrived.setdefault(block.first_sample, time.monotonic())
        super()._take_block(identity, block)


def on_the_simulated_line(seconds: float) -> Latencies:
    """Run line and station for a while."""
    graph = parse_graph(GRAPH)
    directory = Path(tempfile.mkdtemp(prefix="osgp-latency-"))
    (directory / "graph.yaml").write_text(dump_graph(graph))
    events = EventReceiver(f"ipc://{directory / 'events'}")
    port = WatchedPort(f"ipc://{directory / 'line'}", 1, graph.sample_rate, graph.block, graph.latency, 0.9)
    arguments = ["station", f"{directory / 'graph.yaml'}#listener", "--endpoint", port.endpoint, "--events", events.endpoint]
    station = subprocess.Popen(
        [sys.executable, "-m", "flowgraphs", *arguments], stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    left: dict[int, tuple[float, float, float]] = {}  # end of a block -> when it left, and the station's processor time then
    heard: list[tuple[bytes, tuple[float, float, float]]] = []
    frames: list[FrameSent] = []
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            for event in events.receive(5):
                now = time.monotonic()
                if isinstance(event, PacketReceived) and event.crc_ok:
                    heard.append((event.lpdu, (now, *processor_time(station.pid))))
                elif isinstance(event, FrameSent):
                    frames.append(event)

    collector = threading.Thread(target=collect, daemon=True)
    collector.start()
    rate, block = graph.sample_rate, graph.block
    packets = Packets(Profile.load(graph.profile), rate, block)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(2e-4)  # the collector shall not wait for the line: both are only there to measure
    load_kernels()
    try:
        assert port.start(["listener"], lambda: station.poll() is not None)
        settle()
        for warm in (True, False):  # the station's first samples wait for its kernels
            first, started_at = port.index, time.monotonic()
            total = round((1.0 if warm else seconds) * rate)
            while port.index - first < total and port.collect(lambda: station.poll() is not None):
                index = port.index
                for sent in port.sent(index):  # of this index, decided (1 + latency) blocks ago
                    assert sent == 0  # what it sends is not put on the line
                x = packets.samples(index, not warm)
                wait = (index + block - first) / rate - (time.monotonic() - started_at)
                if wait > 0:
                    time.sleep(wait)
                left[index + block] = (time.monotonic(), *processor_time(station.pid))
                port.emit(x[np.newaxis, :])
                port.pump()
        time.sleep(0.3)
    finally:
        stop.set()
        collector.join()
        port.close()
        station.terminate()
        station.wait(5)
        events.close()
        sys.setswitchinterval(switch)
    into = [np.subtract(then, left[packets.last_block(lpdu)]) for lpdu, then in heard if lpdu in packets.ends]
    took, computed, waited = np.array(into).reshape(-1, 3).T
    ahead = (1 + graph.latency) * block
    out = [
        port.arrived[frame.first_sample] - left[frame.first_sample - ahead][0]
        for frame in frames
        if frame.first_sample in port.arrived and frame.first_sample - ahead in left
    ]
    return Latencies(took, np.array(out), computed, waited, packets.to_be_heard(port.index, {lpdu for lpdu, _ in heard}, frames))


def alone(seconds: float) -> tuple[np.ndarray, np.ndarray, int]:
    """A station in this process, by processor time: seconds of each packet, of each block, and how many packets were sent.

    A block begins to be worked on when it is complete or when the one before it is done, whichever is later.
    """
    graph = parse_graph(GRAPH)
    spec, rate, block = graph.stations[0], graph.sample_rate, graph.block
    load_kernels()
    events: list[Event] = []
    node = make_node(graph, spec, station_random(graph, spec.name, "mac"), 0.0)
    station = Station(graph, spec, node, make_application(graph, spec, node), events.append, 0)
    settle()
    packets = Packets(Profile.load(graph.profile), rate, block)
    ahead, done_at = (1 + graph.latency) * block, 0.0
    own: list[FrameSent] = []
    heard: set[bytes] = set()
    took: list[float] = []
    costs: list[float] = []
    for index in itertools.count(0, block):
        if index >= (1.0 + seconds) * rate:
            return np.array(took), np.array(costs), packets.to_be_heard(index, heard, own)
        x = packets.samples(index, index >= rate)
        began = time.thread_time()
        station.work(index, x, index + ahead)
        station.decided_until(index + block + ahead, block)
        cost = time.thread_time() - began
        done_at = max(done_at, (index + block) / rate) + cost
        costs.append(cost)
        own += [event for event in events if isinstance(event, FrameSent)]
        for event in events:
            if isinstance(event, PacketReceived) and event.lpdu in packets.ends:
                heard.add(event.lpdu)
                took.append(done_at - packets.last_block(event.lpdu) / rate)
        events.clear()


def over_a_card(url: str, packets: int) -> np.ndarray:
    """Seconds from `send` to the packet, less its airtime."""
    took = []
    with Line(url, transmit=True, level_v=0.3) as line:
        for k in range(packets + 1):
            for _ in range(3):
                line.step()
            octets = k.to_bytes(6, "big")
            started_at = time.monotonic()
            line.send(octets)
            heard = line.receive(5.0)
            if heard is not None and k:  # the first one warms up
                took.append(time.monotonic() - started_at - line.profiles[0].airtime(len(octets) + 2))
    return np.array(took)


def _show(name: str, seconds: np.ndarray, count: str) -> None:
    if not seconds.size:
        print(f"{name}: nothing was measured")
        return
    ms = 1e3 * seconds
    print(f"{name}: median {np.median(ms):.2f} ms, 95 % {np.percentile(ms, 95):.2f} ms, worst {ms.max():.2f} ms, {count}")


def main() -> None:
    """Measure and print, with what must hold beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--card", help="URL of a card whose output is wired to its input")
    parser.add_argument("--packets", type=int, default=30)
    parser.add_argument("--alone", action="store_true", help="count processor time only, in one process")
    arguments = parser.parse_args()
    ensure_compiled()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else "")
    if arguments.card:
        took = over_a_card(arguments.card, arguments.packets)
        _show("send to LPDU out, less airtime", took, f"{took.size} of {arguments.packets} packets")
        return
    if arguments.alone:
        runs = [alone(arguments.seconds) for _ in range(ALIKE)]
        took, costs = (np.min([run[k] for run in runs], axis=0) for k in (0, 1))
        sent = runs[0][2]
        _show("last sample to LPDU out, processor time", took, f"{took.size} of {sent} packets")
        print(f"    must hold: median {1e3 * MEDIAN_S:.0f} ms, worst {1e3 * WORST_S:.0f} ms")
        _show("a block of 1 ms", costs, f"{costs.sum() / arguments.seconds:.0%} of a core")
        return
    found = on_the_simulated_line(arguments.seconds)
    _show("last sample to LPDU out", found.sample_to_frame, f"{found.sample_to_frame.size} of {found.sent} packets")
    print(f"    must hold: median {1e3 * MEDIAN_S:.0f} ms, worst {1e3 * WORST_S:.0f} ms")
    if found.computed.any():
        _show("    of it computing", found.computed, "all threads of the station")
        _show("    of it waiting for a processor", found.waited, "because others had it")
        for k in np.argsort(found.sample_to_frame)[: -SHOWN - 1 : -1]:
            columns = (found.sample_to_frame[k], found.computed[k], found.waited[k])
            print("    late: {:7.2f} ms, of it {:6.2f} computing, {:7.2f} waiting".format(*(1e3 * value for value in columns)))
    _show("frame to first sample", found.frame_to_sample, f"{found.frame_to_sample.size} frames")


if __name__ == "__main__":
    main()
