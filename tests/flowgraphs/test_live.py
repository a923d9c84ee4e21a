"""Live lines from Python and the command line: heard, sent, recorded, bridged."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flowgraphs.cli import run
from flowgraphs.errors import FrontEndError
from flowgraphs.frontends.contract import SourceStatistics, open_source
from flowgraphs.frontends.devices import band_verdict, devices
from flowgraphs.frontends.loopback import LoopbackAudio, LoopbackSettings
from flowgraphs.level_meter import LevelMeter
from flowgraphs.live import Line
from flowgraphs.recorder import write_recording
from flowgraphs.recording import open_recording
from flowgraphs.rotation import RotatingRecorder
from phy import Profile, Transmitter, append_crc

RATE = 192_000.0
WIRE = "soundcard:loopback?pace=fast&settle_s=0.02&queue_s=0.2&noise_v=0.001"
SENT = [bytes([k]) * 6 for k in range(6)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Six packets, 0.2 s apart, and where bit 0 of each begins."""
    transmitter = Transmitter(Profile.load("pl20a"), RATE, level_v=0.5)
    x = np.random.default_rng(1).normal(0, 0.002, round(1.6 * RATE)).astype(np.float32)
    starts = []
    for k, octets in enumerate(SENT):
        y, at = transmitter.modulate(append_crc(octets), k % 2 == 1), round((0.3 + 0.2 * k) * RATE)
        x[at : at + y.size] += y
        starts.append(at + transmitter.lead_samples)
    path = tmp_path_factory.mktemp("live") / "six.sigmf-meta"
    write_recording(path, x, RATE, "six packets", ())
    return path, starts


def test_what_is_sent_is_heard_at_the_instant_that_was_told():
    said = []
    with Line(WIRE, transmit=True, level_v=0.4, report=said.append) as line:
        at = [line.send(octets, alternate=k % 2 == 1) for k, octets in enumerate(SENT[:3])]
        later = line.send(SENT[3], at_sample=at[-1] + 50_000)
        heard = [line.receive(20.0) for _ in range(4)]
        assert [one.lpdu[:-2] for one in heard] == SENT[:4]
        assert [one.start_sample for one in heard] == pytest.approx([*at, later], abs=2)
        assert np.abs(line.waveform(heard[2])).max() == pytest.approx(0.2, rel=0.05)  # 0.4 V less 6 dB
        assert "0.4 V" in said[0] and "dBuV" in said[0]
        with pytest.raises(FrontEndError, match="at least 8 octets"):
            line.send(b"abc")
        with pytest.raises(FrontEndError, match=f"sample {at[0]} can no longer be sent"):
            line.send(SENT[0], at_sample=at[0])


def test_without_permission_nothing_is_sent(recording):
    with Line(WIRE) as line, pytest.raises(FrontEndError, match="transmit=True"):
        line.send(SENT[0])
    with pytest.raises(FrontEndError, match="can only be heard"):
        Line(str(recording[0]), transmit=True)


def test_a_recording_is_a_line_and_losses_cost_only_what_they_touch(recording):
    path, starts = recording
    with Line(str(path)) as line:
        heard = list(line.packets())
    assert [one.lpdu[:-2] for one in heard] == SENT
    assert [one.start_sample for one in heard] == pytest.approx(starts, abs=2)

    class Lossy:
        """Loses the samples of the third packet."""

        def __init__(self):
            self.inner = open_source(str(path), block=1000)
            self.sample_rate, self.name, self.statistics = RATE, "lossy", SourceStatistics()

        ended = property(lambda self: self.inner.ended)

        def read(self, timeout_s):
            while (block := self.inner.read(timeout_s)) is not None and starts[2] < block.first_sample < starts[2] + 5000:
                pass
            return block

        def close(self):
            self.inner.close()

    with Line(str(path)) as line:
        line.source = Lossy()
        heard = list(line.packets())
    assert [one.lpdu[:-2] for one in heard] == [*SENT[:2], *SENT[3:]]
    assert [one.start_sample for one in heard] == pytest.approx([*starts[:2], *starts[3:]], abs=2)


def test_listen_prints_what_decode_prints(recording, capsys, tmp_path):
    path, _ = recording
    assert run(["decode", "--json", "--profile", "pl20a", str(path)]) == 0
    decoded = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(["listen", "--json", str(path), "--record", str(tmp_path), "--rotate", "1", "--meter"]) == 0
    out, err = capsys.readouterr()
    listened = [json.loads(line) for line in out.splitlines()]
    assert listened == decoded and "dBuV" in err and "recorded" in err
    assert run(["listen", str(path), "--count", "1"]) == 0 and len(capsys.readouterr().out.splitlines()) == 1
    assert run(["listen", f"{path}?block=1000", "--seconds", "0.2"]) == 1


def test_pieces_hold_every_sample_and_every_packet(recording, tmp_path):
    path, starts = recording
    original = open_recording(str(path))
    recorder = RotatingRecorder(tmp_path, RATE, rotate_s=0.5)
    with Line(f"{path}?block=2000") as line:
        while not line.ended:
            block = line.step()
            if block is not None:
                recorder.write(block.first_sample, block.samples, False)
            while (heard := line.receive(0.0)) is not None:
                first, count = heard.start_sample, heard.end_sample - heard.start_sample
                recorder.annotate(first, count, 1.0, 2.0, "LPDU", heard.lpdu.hex(), "primary", first)
    recorder.close()
    position, annotated = 0, []
    for piece in recorder.pieces:
        held = open_recording(str(piece))
        held.check()
        np.testing.assert_array_equal(held.source.read(0, held.length), original.source.read(position, held.length))
        meta = json.loads(piece.with_name(piece.name + ".sigmf-meta").read_text())
        assert meta["captures"][0].get("core:global_index", 0) == position and "core:datetime" in meta["captures"][0]
        annotated += [position + item["core:sample_start"] for item in meta["annotations"]]
        position += held.length
    assert position == original.length and len(recorder.pieces) == 4 and annotated == pytest.approx(starts, abs=2)


def test_old_pieces_go_and_gaps_are_noted(tmp_path):
    recorder = RotatingRecorder(tmp_path, 1000.0, rotate_s=1.0, keep=2)
    for k in range(50):
        recorder.write(100 * k + (300 if k >= 45 else 0), np.ones(100, np.float32), False, 300 if k == 45 else 0)
    recorder.close()
    assert len(list(tmp_path.glob("*.sigmf-data"))) == 2 == len(recorder.pieces)
    notes = [json.loads(path.read_text())["annotations"] for path in sorted(tmp_path.glob("*.sigmf-meta"))]
    gaps = [item for items in notes for item in items if item["core:label"] == "samples missing"]
    assert [item["core:sample_count"] for item in gaps] == [300]


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX signal")
def test_kill_9_leaves_readable_pieces(recording, tmp_path):
    """A recording process is killed in the middle; what it wrote opens, with its annotations inside."""
    path, _ = recording
    arguments = [sys.executable, "-m", "flowgraphs", "listen", f"file:{path}?pace=realtime", "--record", str(tmp_path), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    (meta,) = tmp_path.glob("*.sigmf-meta")
    held = open_recording(str(meta))
    held.check()
    assert held.length >= 0.4 * RATE
    for item in json.loads(meta.read_text())["annotations"]:
        assert item["core:sample_start"] + item["core:sample_count"] <= held.length


def test_a_bridge_carries_a_recording_through_a_pipe(recording, tmp_path, capsys):
    path, _ = recording
    raw = f"pipe:{tmp_path / 'raw'}?dtype=int16&volts_per_full_scale=2"
    assert run(["bridge", str(path), raw]) == 0
    assert run(["bridge", f"{raw}&rate=192000", f"file:{tmp_path / 'back.wav'}"]) == 0
    a, b = open_recording(str(path)), open_recording(str(tmp_path / "back.wav"))
    np.testing.assert_allclose(b.source.read(0, b.length), a.source.read(0, a.length), atol=2 / 32768)
    assert "0 missing" in capsys.readouterr().err
    assert run(["bridge", str(path), f"pipe:{tmp_path / 'raw'}?rate=96000"]) == 2


@pytest.mark.parametrize(
    ("rates", "a_band", "c_band", "words"),
    [
        ((44_100, 48_000, 96_000), False, False, "needs more than 179650 Hz"),  # 2 x (86231.58 + 3592.98) Hz
        ((96_000, 176_400), False, False, "the secondary frequency (75453 Hz) fits"),
        ((48_000, 96_000, 192_000), True, False, "measure with hil-check"),
        ((192_000, 384_000), True, True, "at 192000 Hz"),
        ((), False, False, "none of the rates"),
    ],
)
def test_the_band_that_a_card_carries(rates, a_band, c_band, words):
    a, c = band_verdict("A", rates, 2), band_verdict("C", rates, 2)
    assert (a.carries, c.carries) == (a_band, c_band) and words in a.why
    assert not band_verdict("A", rates, 0).carries


def test_devices_are_listed_from_what_portaudio_says():
    (report,) = devices(LoopbackAudio(LoopbackSettings()))
    assert report.name == "loopback" and 192_000 in report.rates_in and all(band.carries for band in report.bands)


def test_the_meter_shows_the_level():
    meter = LevelMeter(1000.0, 0.1)
    tone = np.sin(np.arange(1000) * 2 * np.pi / 20).astype(np.float32) * 2
    assert [meter.add(tone[k : k + 50]) for k in range(0, 200, 50)] == [False, True, False, True]
    assert meter.rms_v == pytest.approx(np.sqrt(2), rel=1e-3) and meter.peak_v == pytest.approx(2, rel=1e-3)
    assert "123.0 dBuV" in meter.text(SourceStatistics())  # 1.414 V over 1 uV
