"""Latency that the software adds: last sample of a packet to LPDU out, and frame in to sample out.

On the simulated line in real time: this process is the line; blocks of 1 ms leave when their last sample is due. A station, as
`osgp-sdr station` starts it, receives packets in noise and sends requests. Sample to frame is the time from the moment at which
the block with the packet's last sample left to the arrival of the LPDU here. Frame to sample is the time from the moment at
which the block left that let the frame win access, to the arrival of its first transmit block here.
Over a card: from `send` to the LPDU out of `receive`, less the airtime.

    python benchmarks/latency.py --seconds 60
    python benchmarks/latency.py --card "soundcard:plc?latency_s=0.1"

What must hold: sample to frame 5 ms in the median, 20 ms at worst in a minute (on a computer that is not busy otherwise).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowgraphs.events import EventReceiver, FrameSent, PacketReceived
from flowgraphs.frontends.live_port import LivePort
from flowgraphs.graph import dump_graph, parse_graph
from flowgraphs.kernels import ensure_compiled
from flowgraphs.live import Line
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
NOISE_V = 0.02  # rms; with packets of 0.1 V about 28 dB Es/N0
EVERY_S = 0.4  # of a packet to be received
MEDIAN_S, WORST_S = 5e-3, 20e-3


@dataclass(frozen=True)
class Latencies:
    """Seconds. sample_to_frame, frame_to_sample: one for each packet.    sent: packets that were to be received."""

    sample_to_frame: np.ndarray
    frame_to_sample: np.ndarray
    sent: int


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
    left: dict[int, float] = {}  # end of a block -> when it left
    heard: list[tuple[bytes, float]] = []
    frames: list[FrameSent] = []
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            for event in events.receive(5):
                now = time.monotonic()
                if isinstance(event, PacketReceived) and event.crc_ok:
                    heard.append((event.lpdu, now))
                elif isinstance(event, FrameSent):
                    frames.append(event)

    collector = threading.Thread(target=collect, daemon=True)
    collector.start()
    profile, rate, block = Profile.load(graph.profile), graph.sample_rate, graph.block
    transmitter = Transmitter(profile, rate, level_v=0.1)
    rng = np.random.default_rng(1)
    ends: dict[bytes, int] = {}
    try:
        assert port.start(["listener"], lambda: station.poll() is not None)
        wave, at = np.zeros(0, np.float32), round(1.5 * rate)
        for warm in (True, False):  # the station's first samples wait for its kernels
            first, started_at = port.index, time.monotonic()
            total = round((1.0 if warm else seconds) * rate)
            while port.index - first < total and port.collect(lambda: station.poll() is not None):
                index = port.index
                for sent in port.sent(index):  # of this index, decided (1 + latency) blocks ago
                    assert sent == 0  # what it sends is not put on the line
                x = rng.normal(0, NOISE_V, block).astype(np.float32)
                if not warm and index >= at + wave.size + round(EVERY_S * rate):
                    lpdu = append_crc(rng.bytes(12))
                    wave, at = transmitter.modulate(lpdu), index + block
                    ends[lpdu] = at + transmitter.lead_samples + round(profile.airtime(len(lpdu)) * rate)
                low, high = max(at, index), min(at + wave.size, index + block)
                if low < high:
                    x[low - index : high - index] += wave[low - at : high - at]
                wait = (index + block - first) / rate - (time.monotonic() - started_at)
                if wait > 0:
                    time.sleep(wait)
                left[index + block] = time.monotonic()
                port.emit(x[np.newaxis, :])
                port.pump()
            at = port.index
        time.sleep(0.3)
    finally:
        stop.set()
        collector.join()
        port.close()
        station.terminate()
        station.wait(5)
        events.close()
    into = [now - left[-(-ends[lpdu] // block) * block] for lpdu, now in heard if lpdu in ends]
    ahead = (1 + graph.latency) * block
    out = [
        port.arrived[frame.first_sample] - left[frame.first_sample - ahead]
        for frame in frames
        if frame.first_sample in port.arrived and frame.first_sample - ahead in left
    ]
    return Latencies(np.array(into), np.array(out), len(ends))


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
    arguments = parser.parse_args()
    ensure_compiled()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else "")
    if arguments.card:
        took = over_a_card(arguments.card, arguments.packets)
        _show("send to LPDU out, less airtime", took, f"{took.size} of {arguments.packets} packets")
        return
    found = on_the_simulated_line(arguments.seconds)
    _show("last sample to LPDU out", found.sample_to_frame, f"{found.sample_to_frame.size} of {found.sent} packets")
    print(f"    must hold: median {1e3 * MEDIAN_S:.0f} ms, worst {1e3 * WORST_S:.0f} ms")
    _show("frame to first sample", found.frame_to_sample, f"{found.frame_to_sample.size} frames")


if __name__ == "__main__":
    main()
