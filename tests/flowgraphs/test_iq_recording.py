"""IQ recordings: the project's own recordings, turned into IQ by numpy alone, give the packets of the real ones."""

import json
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from flowgraphs.cli import run
from flowgraphs.decoding import decode_recording
from flowgraphs.errors import RecordingError
from flowgraphs.recording import open_recording
from phy import ReceiverOptions

RECORDINGS = Path(__file__).parents[1] / "recordings"


@cache
def stored(name):
    meta = json.loads((RECORDINGS / f"{name}.sigmf-meta").read_text())["global"]
    return np.fromfile(RECORDINGS / f"{name}.sigmf-data", "<i2") / 32768, meta["core:sample_rate"]


@cache
def packets(name):
    """(LPDU, carrier, start in s) of the good packets of the real recording."""
    found = decode_recording(open_recording(str(RECORDINGS / name)), "auto", ReceiverOptions())
    return [(d.packet.lpdu, d.packet.carrier, d.start_s) for d in found if d.packet.crc_ok]


@cache
def as_iq(name, rate, centre):
    """z = twice the line moved down by `centre` and cut to +-rate / 2: a brick wall in the spectrum. And its exact rate."""
    x, line_rate = stored(name)
    spectrum = np.fft.fft(2 * x * np.exp(-2j * np.pi * centre / line_rate * np.arange(x.size)))
    size = int(x.size * rate / line_rate)
    half = size // 2 - 1
    kept = np.zeros(size, complex)
    kept[:half], kept[-half:] = spectrum[:half], spectrum[-half:]
    return (np.fft.ifft(kept) * size / x.size).astype(np.complex64), size / x.size * line_rate


def write(path, z, datatype, rate, centre, **capture):
    parts = z.view(np.float32)
    scale = 0.99 / np.abs(parts).max()
    if datatype == "cf32_le":
        parts.astype("<f4").tofile(path.with_suffix(".sigmf-data"))
    elif datatype == "ci16_be":
        np.round(parts * scale * 32767).astype(">i2").tofile(path.with_suffix(".sigmf-data"))
    elif datatype == "cu8":
        np.round(parts * scale * 127 + 128).astype("u1").tofile(path.with_suffix(".sigmf-data"))
    meta = {"global": {"core:datatype": datatype, "core:sample_rate": rate, "core:version": "1.0.0"},
            "captures": [{"core:sample_start": 0, "core:frequency": centre, **capture}], "annotations": []}  # fmt: skip
    path.with_suffix(".sigmf-meta").write_text(json.dumps(meta))
    return str(path.with_suffix(".sigmf-meta"))


def assert_same_packets(decoded, name, rate):
    good = [d for d in decoded if d.packet.crc_ok]
    expected = packets(name)
    assert [(d.packet.lpdu, d.packet.carrier) for d in good] == [(lpdu, carrier) for lpdu, carrier, _ in expected]
    for d, (_, _, start_s) in zip(good, expected, strict=True):
        assert abs(d.start_s - start_s) < 0.1 / d.profile.bit_rate
        assert abs(d.start_sample - start_s * rate) <= 1 + 0.1 / d.profile.bit_rate * rate


@pytest.mark.parametrize(
    ("name", "datatype", "rate", "centre"),
    [
        ("quiet", "cf32_le", 100e3, 80e3),
        ("quiet", "ci16_be", 50e3, 81e3),
        ("quiet", "cu8", 250e3, 100e3),
        ("echoes", "cf32_le", 400e3, 0.0),
        ("white_8dB", "ci16_be", 120e3, 70e3),
        ("soundcard_192k", "cf32_le", 96e3, 60e3),
        ("clocks", "cf32_le", 200e3, 12_345.6),
        ("c_band", "ci16_be", 250e3, 125e3),
    ],
)
def test_the_projects_recordings_as_iq_give_the_same_packets(tmp_path, name, datatype, rate, centre):
    z, exact_rate = as_iq(name, rate, centre)
    path = write(tmp_path / "iq", z, datatype, exact_rate, centre)
    recording = open_recording(path, frequency=centre if centre == 0 else None)
    recording.check()
    assert recording.centre_hz == centre and recording.stored_length == z.size
    assert_same_packets(decode_recording(recording, "auto", ReceiverOptions()), name, exact_rate)


def test_raw_samples_and_sound_files_hold_iq_too(tmp_path):
    z, rate = as_iq("quiet", 96e3, 80e3)
    (tmp_path / "z.raw").write_bytes(z.tobytes())
    raw = open_recording(str(tmp_path / "z.raw"), rate, "cf32", frequency=80e3)
    assert_same_packets(decode_recording(raw, "auto", ReceiverOptions()), "quiet", rate)
    soundfile.write(tmp_path / "z.wav", z.view(np.float32).reshape(-1, 2), 96_000, subtype="PCM_24")
    wav = open_recording(str(tmp_path / "z.wav"), frequency=80e3, iq=True)
    assert wav.stored_rate == 96e3
    # Its rate is a whole number, off by up to one sample in all of the recording: no places are compared.
    found = [d.packet.lpdu for d in decode_recording(wav, "pl20a", ReceiverOptions()) if d.packet.crc_ok]
    assert found == [lpdu for lpdu, _, _ in packets("quiet")]


def test_line_samples_do_not_depend_on_how_they_are_read(tmp_path):
    z, rate = as_iq("quiet", 100e3, 80e3)
    recording = open_recording(write(tmp_path / "iq", z, "cf32_le", rate, 80e3))
    whole = np.concatenate(list(recording.blocks(1 << 16)))
    assert whole.size == recording.length == z.size * recording.factor
    for size in (777, 12_345, 10_000_000):
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks(size))), whole)
    for first in (0, 11_909, 11_910, recording.length - 5):
        np.testing.assert_array_equal(recording.source.read(first, 100), whole[first : first + 100])


def test_packets_do_not_depend_on_what_lies_before_a_cut_of_the_file(tmp_path):
    z, rate = as_iq("quiet", 100e3, 80e3)
    cut = round(0.03 * rate)
    recording = open_recording(write(tmp_path / "iq", z[cut:].copy(), "cf32_le", rate, 80e3))
    found = {d.packet.lpdu: d.start_sample + cut for d in decode_recording(recording, "pl20a", ReceiverOptions())}
    for lpdu, _, start_s in packets("quiet")[1:]:
        assert abs(found[lpdu] - start_s * rate) < 5


def test_an_hour_is_read_in_little_memory(tmp_path):
    rate = 250e3
    path = write(tmp_path / "iq", np.ones(10, np.complex64), "cf32_le", rate, 80e3)
    with (tmp_path / "iq.sigmf-data").open("r+b") as file:
        file.truncate(3600 * round(rate) * 8)  # 7 GB of zeros that take no room on the disk
    recording = open_recording(path)
    tracemalloc.start()
    for x in recording.blocks(1 << 16, first=recording.length - (1 << 18)):
        assert not x.any()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert recording.length == 2 * 3600 * rate and most < 10e6


@pytest.mark.parametrize(
    ("capture", "words"),
    [
        ({"core:frequency": 0}, "core:frequency 0: give the line frequency of their centre with --frequency"),
        ({"core:frequency": None}, "no core:frequency: give the line frequency of their centre with --frequency"),
        ({"core:frequency": 125.08e6}, "behind a converter or tuner, give the frequency on the line with --frequency"),
        ({"core:frequency": -80e3}, "core:frequency must be a number of 0 or more"),
        ({"core:frequency": "80 kHz"}, "core:frequency must be a number"),
    ],
)
def test_a_centre_that_is_none_is_named_with_what_is_needed(tmp_path, capture, words):
    path = write(tmp_path / "iq", np.ones(100, np.complex64), "cf32_le", 100e3, 80e3, **capture)
    if capture["core:frequency"] is None:
        document = json.loads(Path(path).read_text())
        del document["captures"][0]["core:frequency"]
        Path(path).write_text(json.dumps(document))
    with pytest.raises(RecordingError, match=words) as caught:
        open_recording(path)
    assert str(caught.value).startswith(path) and "\n" not in str(caught.value)
    assert open_recording(path, frequency=80e3).centre_hz == 80e3


def test_a_recording_that_was_tuned_while_it_ran_is_refused(tmp_path):
    path = write(tmp_path / "iq", np.ones(100, np.complex64), "cf32_le", 100e3, 80e3)
    document = json.loads(Path(path).read_text())
    document["captures"].append({"core:sample_start": 50, "core:frequency": 90e3})
    Path(path).write_text(json.dumps(document))
    with pytest.raises(RecordingError, match=r"different core:frequency \(80000, 90000\)"):
        open_recording(path)


def test_options_of_iq_are_refused_where_they_mean_nothing(tmp_path):
    x = np.zeros((100, 2), np.float32)
    soundfile.write(tmp_path / "s.wav", x, 96_000)
    soundfile.write(tmp_path / "m.wav", x[:, 0], 96_000)
    (tmp_path / "r.raw").write_bytes(bytes(800))
    sound, mono, raw = (str(tmp_path / name) for name in ("s.wav", "m.wav", "r.raw"))
    for arguments, words in (
        ({"name": sound, "iq": True}, "--frequency"),
        ({"name": sound, "frequency": 80e3}, "add --iq"),
        ({"name": mono, "frequency": 80e3}, "holds real ones"),
        ({"name": mono, "iq": True, "frequency": 80e3}, "two channels"),
        ({"name": raw, "sample_rate": 1e5, "dtype": "int16", "frequency": 80e3}, "holds real ones"),
        ({"name": raw, "sample_rate": 1e5, "dtype": "cf32"}, "--frequency"),
        ({"name": raw, "sample_rate": 1e5, "dtype": "cf32", "frequency": 80e3, "iq": True}, "--iq is for sound files"),
        ({"name": raw, "sample_rate": 1e5, "dtype": "ci17", "frequency": 80e3}, "unknown sample type"),
        ({"name": str(RECORDINGS / "quiet.sigmf-meta"), "frequency": 80e3}, "holds real ones"),
    ):
        with pytest.raises(RecordingError, match=words):
            open_recording(**arguments)


def test_a_value_that_is_no_number_is_named_by_its_sample_in_the_file(tmp_path):
    z = np.ones(1000, np.complex64)
    z[321] = complex(0, np.nan)
    with pytest.raises(RecordingError, match="sample 321 is"):
        open_recording(write(tmp_path / "iq", z, "cf32_le", 100e3, 80e3)).check()


def test_decode_takes_iq_on_the_command_line(tmp_path, capsys):
    z, rate = as_iq("quiet", 100e3, 80e3)
    z.tofile(tmp_path / "z.raw")
    arguments = ["--rate", rate, "--dtype", "cf32", "--frequency", 80e3, tmp_path / "z.raw"]
    assert run(["decode", "--json", *map(str, arguments)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [bytes.fromhex(item["lpdu"]) for item in found] == [lpdu for lpdu, _, _ in packets("quiet")]
    for item in found:
        assert abs(item["start_sample"] - item["start_s"] * rate) < 1.1
