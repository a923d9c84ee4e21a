"""A stream between GNU Radio's zeromq blocks and this program, both ways, compared sample for sample.

    python benchmarks/gnuradio_stream.py [--seconds 60] [--rate 1e6] [--only pub-tags] [--gnuradio-python /usr/bin/python3]

Each way runs in real time over TCP on the loopback, PUB/SUB and PUSH/PULL, with and without tags. Mark: not one sample lost or
changed. A PUB says nothing to who has not subscribed yet, so that a stream may begin late; from then on nothing may be missing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowgraphs.frontends.contract import open_sink, open_source
from flowgraphs.frontends.placing import Pacer
from flowgraphs.frontends.zeromq_source import ZeromqSource

PERIOD = 1 << 20  # samples; each of them is another number, so that a sample tells its place
PEER = Path(__file__).with_name("gnuradio_peer.py")
WAYS = tuple((sender, receiver, tags) for sender, receiver in (("pub", "sub"), ("push", "pull")) for tags in (False, True))
BLOCK = 5000
QUIET_S = 3.0
# The system's Python must not see the packages of ours.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}


@dataclass(frozen=True, slots=True)
class Outcome:
    """sent, received: samples.    begun: index of the first one that came.    wrong: samples that are not what was sent."""

    sent: int
    received: int
    begun: int
    wrong: int
    gaps: int
    seconds: float

    @property
    def lost(self) -> int:
        return self.sent - self.begun - self.received


def table() -> NDArray[np.float32]:
    """A shuffled set of numbers between -1 and 1 that float32 holds exactly."""
    return ((np.random.default_rng(11).permutation(PERIOD) - PERIOD / 2) / PERIOD).astype(np.float32)


def gnuradio_missing(python: str) -> str:
    """Why GNU Radio cannot be used, "" when it can."""
    if not shutil.which(python):
        return f"no {python}"
    asked = subprocess.run([python, "-c", "from gnuradio import zeromq"], capture_output=True, env=ENVIRONMENT, check=False)
    return "" if asked.returncode == 0 else f"no GNU Radio for {python} (Debian: apt-get install gnuradio)"


def start_peer(python: str, *arguments: object) -> "subprocess.Popen[str]":
    """The other end as a process, when its flow graph stands."""
    command = [python, str(PEER), *map(str, arguments)]
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert peer.stdout is not None
    while (line := peer.stdout.readline().strip()) != "ready":
        if not line and peer.poll() is not None:
            raise RuntimeError(f"GNU Radio ended with {peer.returncode}")
    return peer


def from_gnuradio(python: str, kind: str, tags: bool, count: int, rate: float, directory: Path, port: int) -> Outcome:
    """GNU Radio's sink to our source."""
    expected, sink_kind = table(), "pub" if kind == "sub" else "push"
    expected.tofile(directory / "table.f32")
    place = np.argsort(expected)
    source = open_source(f"zmq+{kind}://127.0.0.1:{port}", rate=rate, wait_s=30)
    assert isinstance(source, ZeromqSource)
    form = "tags" if tags else "bare"
    peer = start_peer(python, "send", sink_kind, f"tcp://127.0.0.1:{port}", directory / "table.f32", count, rate, form)
    at = begun = -1
    received = wrong = 0
    heard_at = started = time.monotonic()
    while at < count and time.monotonic() - heard_at < (30 if at < 0 else QUIET_S):
        block = source.read(0.5)
        if block is None:
            continue
        heard_at = time.monotonic()
        if at < 0:
            started = heard_at
            at = begun = int(place[np.searchsorted(expected, block.samples[0], sorter=place)])
        index = (at + np.arange(block.samples.size)) % PERIOD
        wrong += int(np.count_nonzero(block.samples != expected[index]))
        at, received = at + block.samples.size, received + block.samples.size
    seconds = time.monotonic() - started
    peer.wait(20)
    statistics = source.statistics
    source.close()
    return Outcome(count, received, max(begun, 0), wrong, statistics.gaps, seconds)


def to_gnuradio(python: str, kind: str, tags: bool, count: int, rate: float, directory: Path, port: int) -> Outcome:
    """Our sink to GNU Radio's source, into a file."""
    expected, source_kind = table(), "sub" if kind == "pub" else "pull"
    written = directory / "received.f32"
    sink = open_sink(
        f"zmq+{kind}://127.0.0.1:{port}?format=gnuradio", rate=rate, tags="yes" if tags else "no", wait_peer_s=30, wait_s=2.0
    )
    peer = start_peer(python, "receive", source_kind, f"tcp://127.0.0.1:{port}", written, count, "tags" if tags else "bare")
    pacer = Pacer(rate)
    started = time.monotonic()
    for at in range(0, count, BLOCK):
        index = np.arange(at, min(count, at + BLOCK)) % PERIOD
        sink.write(at, expected[index])
        while not pacer.wait(at + BLOCK, 1.0):
            pass
    seconds = time.monotonic() - started
    dropped, at = sink.statistics.dropped, count
    while peer.poll() is None and time.monotonic() - started < seconds + 10.0:  # a source notices the end at its next sample
        sink.write(at, np.zeros(BLOCK, np.float32))
        at += BLOCK
        time.sleep(0.05)
    peer.kill()
    peer.wait()
    sink.close()
    got = np.memmap(written, np.float32, "r")
    wrong = 0
    for at in range(0, got.size, PERIOD):
        part = got[at : at + PERIOD]
        wrong += int(np.count_nonzero(part != expected[: part.size]))
    return Outcome(count, got.size, 0, wrong, int(dropped > 0), seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1e6)
    parser.add_argument("--only", metavar="KIND", help="pub, pub-tags, push or push-tags")
    parser.add_argument("--port", type=int, default=5591)
    parser.add_argument("--gnuradio-python", default="/usr/bin/python3")
    arguments = parser.parse_args()
    missing = gnuradio_missing(arguments.gnuradio_python)
    if missing:
        print(f"skipped: {missing}")
        return 0
    count = round(arguments.seconds * arguments.rate)
    failed = 0
    print(f"{'way':<28} {'samples':>10} {'lost':>6} {'wrong':>6} {'gaps':>5} {'began at':>9} {'MS/s':>6}   mark: 0 lost, 0 wrong")
    for sender, receiver, tags in WAYS:
        name = f"{sender}{'-tags' if tags else ''}"
        if arguments.only not in (None, name):
            continue
        ways = ("GNU Radio -> osgp-sdr", from_gnuradio, receiver), ("osgp-sdr -> GNU Radio", to_gnuradio, sender)
        for way, run, kind in ways:
            with tempfile.TemporaryDirectory() as directory:
                found = run(
                    arguments.gnuradio_python, kind, tags, count, arguments.rate, Path(directory), arguments.port
                )
            bad = found.lost != 0 or found.wrong != 0
            failed += bad
            print(
                f"{name:<10}{way:<22} {found.received:>6} {found.lost:>6} {found.wrong:>6} {found.gaps:>5} {found.begun:>9} "
                f"{found.received / found.seconds / 1e6:>6.3f}   {'MISSED' if bad else 'ok'}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
