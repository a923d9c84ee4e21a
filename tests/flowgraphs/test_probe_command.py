"""`osgp-sdr probe` on streams of known content."""

import json
import threading
import time

import numpy as np
import pytest
import zmq

from flowgraphs.cli import run
from flowgraphs.frontends.gnuradio_messages import StreamTag, encode_tagged
from flowgraphs.frontends.probing import Probe, remarks
from flowgraphs.messages import encode_samples

RATE, SIZE = 400_000.0, 4000
T = np.arange(200 * SIZE)
X = (0.1 + np.sqrt(2) * np.sin(2 * np.pi * 86_000 / RATE * T)).astype(np.float32)  # 1 V rms on 0.1 V
MESSAGES = 100  # of 10 ms


def framed(k):
    return encode_samples(k * SIZE, RATE, X[k * SIZE : (k + 1) * SIZE], SIZE)


def tagged(k):
    tags = [StreamTag(0, "rx_rate", RATE), StreamTag(0, "gain", 3.0)] if k == 0 else []
    return [encode_tagged(k * SIZE, X[k * SIZE : (k + 1) * SIZE].tobytes(), tags)]


def bare(k):
    return [X[k * SIZE : (k + 1) * SIZE].tobytes()]


def probed(make, skip=(), count=MESSAGES):
    """A second of a stream in virtual time."""
    probe = Probe()
    for k in range(count):
        if k not in skip:
            probe.put([memoryview(part) for part in make(k)], 50.0 + k * SIZE / RATE)
    return probe.report(51.0)


@pytest.mark.parametrize(
    ("make", "framing", "told"), [(framed, "framed", RATE), (tagged, "gnuradio with tags", RATE), (bare, "gnuradio", None)]
)
def test_a_clean_stream(make, framing, told):
    report = probed(make)
    assert (report.framing, report.item_type, report.rate_told, report.missing) == (framing, "float32", told, 0)
    assert report.rate_measured == pytest.approx(RATE, rel=1e-6)
    assert report.rms_v == pytest.approx(np.sqrt(1.01), rel=1e-3) and report.peak_v == pytest.approx(1.514, rel=1e-3)
    assert report.mean_v == pytest.approx(0.1, rel=0.01) and report.messages == MESSAGES and not report.problem
    assert len(report.sizes) <= 2 and report.tags == (("rx_rate", "gain") if make is tagged else ())
    assert [("bare items" in note) for note in remarks(report)] == ([True] if make is bare else [])


@pytest.mark.parametrize("make", [framed, tagged])
def test_losses_are_shown(make):
    report = probed(make, skip={10, 11, 50})
    assert (report.gaps, report.missing) == (2, 3 * SIZE)
    assert any("slower than real time, or losses" in note for note in remarks(report))


def test_complex_items_are_told_by_their_offsets():
    def make(k):
        z = np.random.default_rng(k).normal(size=2 * SIZE).astype("<f4")  # white: its spectrum tells nothing
        return [encode_tagged(k * SIZE, z.tobytes())]

    report = probed(make)
    assert report.item_type == "complex64" and "8 octets" in report.problem and report.rms_v is None


def test_shorts_are_told_by_their_octets():
    report = probed(lambda k: [(1000 * X[k * SIZE : (k + 1) * SIZE]).astype("<i2").tobytes()])
    assert report.item_type == "int16" and "int16" in report.problem and report.rms_v is None


def test_noise_is_reported_and_bounded():
    rng = np.random.default_rng(3)
    probe = Probe()
    for k in range(1000):
        probe.put([memoryview(rng.bytes(int(rng.integers(0, 900))))], k * 1e-3)
    report = probe.report(2.0)
    assert report.messages == 1000 and report.problem and report.malformed > 900 and len(report.sizes) <= 5


@pytest.fixture
def publisher(tmp_path_factory):
    place = f"{tmp_path_factory.mktemp('p')}/s"
    context, stop = zmq.Context(), threading.Event()

    def publish():
        socket = context.socket(zmq.PUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(f"ipc://{place}")
        for k in range(10_000):
            if stop.is_set():
                break
            socket.send_multipart(framed(k % 200))
            time.sleep(2e-3)
        socket.close()

    thread = threading.Thread(target=publish)
    thread.start()
    yield f"ipc://{place}"
    stop.set()
    thread.join()
    context.term()


def test_the_command_on_a_live_stream(publisher, capsys):
    assert run(["probe", publisher, "--seconds", "0.3", "--wait", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["framing"] == "framed" and found["rate_told"] == RATE and found["messages"] > 0
    assert run(["probe", f"zmq+sub:{publisher}", "-t", "0.2", "--wait", "20"]) == 0
    assert "V rms" in capsys.readouterr().out


def test_nothing_comes(tmp_path, capsys):
    assert run(["probe", f"zmq+sub:{tmp_path}/s", "--wait", "0.1"]) == 1
    assert "no PUB answers" in capsys.readouterr().err
    assert run(["probe", f"ipc://{tmp_path}/s", "--wait", "0.1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["messages"] == 0
    assert run(["probe", "tcp://192.0.2.1:5", "--wait", "0.1"]) == 2
    assert run(["probe", "zmq+pub://127.0.0.1:5"]) == 2
