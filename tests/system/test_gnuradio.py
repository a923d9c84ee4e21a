"""GNU Radio, in a process of its own, at either end of the sample stream."""

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from gnuradio_stream import ENVIRONMENT, from_gnuradio, gnuradio_missing, to_gnuradio

from flowgraphs.frontends.contract import open_sink, open_source
from flowgraphs.frontends.simulated_line import Mixer
from flowgraphs.graph import load_graph
from phy import Profile, Receiver, Transmitter, append_crc

PYTHON = "/usr/bin/python3"
GRAPHS = Path(__file__).parents[2] / "flowgraphs" / "graphs" / "gnuradio"
RATE, STREAM_RATE, SECONDS = 400_000.0, 1e6, 2

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", autouse=True)
def gnuradio():
    """Asked when the first of these tests runs: who only collects tests does not wait for GNU Radio."""
    if missing := gnuradio_missing(PYTHON):
        pytest.skip(missing)


@pytest.fixture(scope="module")
def flow_graphs(tmp_path_factory):
    """The example graphs, compiled by GNU Radio Companion."""
    grcc = shutil.which("grcc")
    if grcc is None:
        pytest.skip("grcc is not installed here (Debian: gnuradio)")
    out = tmp_path_factory.mktemp("grc")
    graphs = sorted(GRAPHS.glob("*.grc"))
    built = subprocess.run([PYTHON, grcc, "-o", out, *graphs], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    for path in graphs:
        assert built.returncode == 0 and (out / f"{path.stem}.py").exists(), built.stdout + built.stderr
    return out


@pytest.mark.parametrize(("kind", "tags"), [("sub", True), ("pull", False)])
def test_a_stream_of_gnuradio_arrives_sample_for_sample(kind, tags, tmp_path, unused_port):
    count = round(SECONDS * STREAM_RATE)
    found = from_gnuradio(PYTHON, kind, tags, count, STREAM_RATE, tmp_path, unused_port)
    assert found.received > 0.9 * count and found.lost == found.wrong == found.gaps == 0


@pytest.mark.parametrize(("kind", "tags"), [("pub", False), ("push", True)])
def test_a_stream_of_ours_arrives_at_gnuradio_sample_for_sample(kind, tags, tmp_path, unused_port):
    count = round(SECONDS * STREAM_RATE)
    found = to_gnuradio(PYTHON, kind, tags, count, STREAM_RATE, tmp_path, unused_port)
    assert found.received == count and found.lost == found.wrong == found.gaps == 0


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(flow_graphs, name, *options):
    return subprocess.Popen([PYTHON, flow_graphs / f"{name}.py", *map(str, options)], env=ENVIRONMENT)


@pytest.mark.parametrize(("graph", "kind"), [("to_osgp_sdr_pub", "sub"), ("to_osgp_sdr_push", "pull")])
def test_our_modem_behind_a_source_of_gnuradio(flow_graphs, graph, kind, tmp_path, unused_port):
    profile, rng = Profile.load("pl20a"), np.random.default_rng(21)
    sent = [append_crc(rng.bytes(12)) for _ in range(8)]
    pieces = [np.zeros(round(0.5 * RATE), np.float32)]
    for lpdu in sent:
        pieces += [Transmitter(profile, RATE).modulate(lpdu), np.zeros(4000, np.float32)]
    x = np.concatenate(pieces)
    (x + rng.normal(0, 0.05, x.size)).astype("<f4").tofile(tmp_path / "line.f32")
    source = open_source(f"zmq+{kind}://127.0.0.1:{unused_port}", rate=RATE)
    address = f"tcp://127.0.0.1:{unused_port}"
    process = start(flow_graphs, graph, "--file", tmp_path / "line.f32", "--rate", RATE, "--address", address)
    receiver = Receiver(profile, RATE)
    got, samples, until = [], 0, time.monotonic() + 60
    while len(got) < len(sent) and time.monotonic() < until:
        block = source.read(0.5)
        if block is not None:
            samples += block.samples.size
            got += [packet.lpdu for packet in receiver.push(block.samples) if packet.crc_ok]
    process.kill()
    process.wait()
    source.close()
    assert got == sent and source.statistics.gaps == 0
    assert source.stream.reader.framing == ("gnuradio with tags" if kind == "sub" else "gnuradio")


@pytest.mark.parametrize(("graph", "kind", "tags"), [("from_osgp_sdr_pub", "pub", "yes"), ("from_osgp_sdr_push", "push", "no")])
def test_our_line_behind_a_receiver_of_gnuradio(flow_graphs, graph, kind, tags, tmp_path, unused_port):
    line = load_graph("demo")
    mixer, count = Mixer(line), 100_000
    signal = Transmitter(Profile.load(line.profile), line.sample_rate).modulate(append_crc(bytes(8)))
    silent = np.zeros(-signal.size % line.block, np.float32)
    blocks = np.concatenate([signal, silent]).reshape(-1, line.block)
    url = f"zmq+{kind}://127.0.0.1:{unused_port}?format=gnuradio&tags={tags}"
    sink = open_sink(url, rate=line.sample_rate, wait_peer_s=60, wait_s=2)
    written, address = tmp_path / "received.f32", f"tcp://127.0.0.1:{unused_port}"
    process = start(flow_graphs, graph, "--file", written, "--count", count, "--address", address)
    heard = []
    for k in range(-(-count // line.block)):
        sent = {0: blocks[k]} if k < len(blocks) else {}
        heard.append(mixer.work(k * line.block, sent)[1].copy())
        sink.write(k * line.block, heard[-1])
    until = time.monotonic() + 30
    at = len(heard) * line.block
    while process.poll() is None and time.monotonic() < until:  # a source of GNU Radio notices the end at its next sample
        sink.write(at, np.zeros(line.block, np.float32))
        at += line.block
        time.sleep(0.05)
    process.kill()
    sink.close()
    np.testing.assert_array_equal(np.fromfile(written, "<f4"), np.concatenate(heard)[:count])
    assert np.abs(heard[20]).max() > 0
