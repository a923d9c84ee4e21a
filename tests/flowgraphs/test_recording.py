"""Recordings: what is written can be read, and what cannot be a whole recording is refused in one line."""

import json

import numpy as np
import pytest
import soundfile

from flowgraphs.errors import RecordingError
from flowgraphs.recorder import Annotation, RecordingWriter, finish_recording, sigmf_paths, write_recording
from flowgraphs.recording import open_recording
from flowgraphs.samples import SampleType

RATE = 400_000.0


def ramp(n):
    return np.linspace(-0.5, 0.5, n).astype(np.float32)


def everything(recording, size=333):
    return np.concatenate(list(recording.blocks(size)))


def sigmf(directory, name="x", datatype="ri16_le", samples=b"\x01\x00" * 100, **head):
    meta = {"global": {"core:datatype": datatype, "core:sample_rate": RATE, "core:version": "1.0.0", **head},
            "captures": [{"core:sample_start": 0}], "annotations": []}  # fmt: skip
    (directory / f"{name}.sigmf-meta").write_text(json.dumps(meta))
    (directory / f"{name}.sigmf-data").write_bytes(samples)
    return str(directory / f"{name}.sigmf-meta")


@pytest.mark.parametrize("suffix", [".sigmf-meta", ".sigmf-data", "", ".wav"])
def test_a_written_recording_reads_back_bit_by_bit(tmp_path, suffix):
    path = tmp_path / f"r{suffix}"
    write_recording(path, ramp(1000), RATE, "test", [Annotation(10, 20, 1.0, 2.0, "a", "00", "primary", 12)])
    recording = open_recording(str(path))
    recording.check()
    assert (recording.sample_rate, recording.length) == (RATE, 1000)
    np.testing.assert_array_equal(everything(recording), ramp(1000))


@pytest.mark.parametrize(
    ("name", "octets", "expected"),
    [
        ("ri16_le", "0080 ff7f 0040", [-1.0, 32767 / 32768, 0.5]),
        ("ri16_be", "8000 7fff 4000", [-1.0, 32767 / 32768, 0.5]),
        ("ri8", "80 40 00", [-1.0, 0.5, 0.0]),
        ("ru8", "00 80 c0", [-1.0, 0.0, 0.5]),
        ("ri32_le", "00000080 00000040", [-1.0, 0.5]),
        ("rf32_le", "0000803f 000000bf", [1.0, -0.5]),
        ("rf64_le", "000000000000f03f", [1.0]),
    ],
)
def test_full_scale_is_one_for_every_sample_type(tmp_path, name, octets, expected):
    meta = sigmf(tmp_path, datatype=name, samples=bytes.fromhex(octets))
    np.testing.assert_allclose(everything(open_recording(meta)), expected)
    (tmp_path / "raw.bin").write_bytes(bytes.fromhex(octets))
    np.testing.assert_allclose(everything(open_recording(str(tmp_path / "raw.bin"), RATE, name)), expected)


def test_a_channel_of_several_can_be_chosen(tmp_path):
    x = np.stack([ramp(50), -ramp(50)], axis=1)
    soundfile.write(tmp_path / "s.wav", x, 48_000, subtype="FLOAT")
    np.testing.assert_array_equal(everything(open_recording(str(tmp_path / "s.wav"), channel=1)), -ramp(50))
    with pytest.raises(RecordingError, match=r"channels 0\.\.1, not 2"):
        open_recording(str(tmp_path / "s.wav"), channel=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"samples": b""}, "holds no samples"),
        ({"samples": b"\0" * 101}, "101 octets are not a whole number"),
        ({"datatype": "cf32_le"}, "--frequency"),
        ({"datatype": "ri17_le"}, "unknown sample type 'ri17_le'"),
        ({"datatype": "ri16"}, "byte order"),
        ({"core:sample_rate": -1}, "core:sample_rate"),
        ({"core:sample_rate": "fast"}, "core:sample_rate"),
        ({"core:sha512": "00" * 64}, "sha512"),
        ({"datatype": "rf32_le", "samples": np.array([0, 1, np.nan], "<f4").tobytes()}, "sample 2 is nan"),
        ({"datatype": "rf32_le", "samples": np.array([0, np.inf], "<f4").tobytes()}, "sample 1 is inf"),
    ],
)
def test_what_cannot_be_a_recording_is_named(tmp_path, arguments, words):
    meta = sigmf(tmp_path, **arguments)
    with pytest.raises(RecordingError) as caught:
        open_recording(meta).check()
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_metadata_that_promise_more_than_the_file_holds(tmp_path):
    meta = sigmf(tmp_path)
    document = json.loads((tmp_path / "x.sigmf-meta").read_text())
    document["annotations"] = [{"core:sample_start": 90, "core:sample_count": 20}]
    (tmp_path / "x.sigmf-meta").write_text(json.dumps(document))
    with pytest.raises(RecordingError, match="speak of sample 110: truncated"):
        open_recording(meta)


@pytest.mark.parametrize(
    ("subtype", "form", "step"),
    [("PCM_U8", "WAV", 2**-7), ("PCM_16", "WAV", 2**-15), ("PCM_24", "WAV", 2**-23), ("PCM_32", "WAV", 2**-24),
     ("FLOAT", "WAV", 0), ("DOUBLE", "WAV", 0), ("PCM_24", "WAVEX", 2**-23), ("PCM_16", "RF64", 2**-15),
     ("FLOAT", "RF64", 0), ("PCM_16", "W64", 2**-15), ("PCM_24", "FLAC", 2**-23)],
)  # fmt: skip
@pytest.mark.parametrize("rate", [44_100, 384_000])
def test_every_kind_of_sound_file_reads_back_to_one_step(tmp_path, subtype, form, step, rate):
    path = tmp_path / f"s.{form.lower() if form in ('W64', 'FLAC', 'RF64') else 'wav'}"
    x = np.stack([ramp(501), -ramp(501), 0.5 * ramp(501)], axis=1)
    soundfile.write(path, x, rate, subtype=subtype, format=form)
    for channel in range(3):
        recording = open_recording(str(path), channel=channel)
        recording.check()
        assert (recording.sample_rate, recording.length) == (rate, 501)
        np.testing.assert_allclose(everything(recording), x[:, channel], rtol=0, atol=step + 1e-7)


def test_a_wav_of_a_recorder_that_does_not_know_its_size_is_read(tmp_path):
    path = tmp_path / "pipe.wav"
    soundfile.write(path, ramp(1000), 192_000, subtype="PCM_16")
    octets = bytearray(path.read_bytes())
    at = octets.index(b"data") + 4
    octets[4:8] = octets[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(octets)
    np.testing.assert_allclose(everything(open_recording(str(path))), ramp(1000), atol=2**-15)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_a_truncated_wav_is_refused_wherever_it_ends(tmp_path, form, subtype):
    path = tmp_path / "t.wav"
    soundfile.write(path, np.stack([ramp(500)] * 2, axis=1), 192_000, subtype=subtype, format=form)
    whole = path.read_bytes()
    assert open_recording(str(path)).length == 500
    for size in (len(whole) - 1, len(whole) // 2, whole.index(b"data") + 9, 20, 11):
        path.write_bytes(whole[:size])
        with pytest.raises(RecordingError, match=r"t\.wav: ") as caught:
            open_recording(str(path))
        assert "truncated" in str(caught.value) or size < 100


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wav at all, only text", b"{}", b"[1, 2", b'{"global": 3}'])
@pytest.mark.parametrize("suffix", [".wav", ".sigmf-meta", ".xyz", ".sigmf"])
def test_files_that_are_something_else_give_one_line(tmp_path, content, suffix):
    path = tmp_path / f"f{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        open_recording(str(path)).check()
    assert "\n" not in str(caught.value) and "f" + suffix in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    for name in ("a.wav", "a.sigmf-meta", "a.bin", "a"):
        with pytest.raises(RecordingError, match=f"{name}: "):
            open_recording(str(tmp_path / name))


def test_unknown_sample_types_never_raise_anything_else():
    for name in ("", "r", "float", "rf32", "cf32_xe", "ri16_xe", "int16"):
        try:
            SampleType.parse(name)
        except RecordingError:
            assert name != "int16"


def test_a_growing_recording_is_valid_at_any_time_and_can_be_continued_and_cut(tmp_path):
    path = tmp_path / "line"
    with RecordingWriter(path, RATE) as writer:
        writer.write(ramp(400), 0)
    with RecordingWriter(path, RATE, first_sample=600, append=True) as writer:
        writer.write(ramp(400), 600)  # 200 samples are missing in between
    recording = open_recording(str(sigmf_paths(path)[0]))
    x = everything(recording)
    np.testing.assert_array_equal(x, np.concatenate([ramp(400), np.zeros(200, np.float32), ramp(400)]))
    inside, outside = (Annotation(k, 50, 1.0, 2.0, "p", "00", "primary", k) for k in (100, 690))
    finish_recording(path, RATE, 700, "cut", [outside, inside])
    recording = open_recording(str(path))
    recording.check()
    assert recording.length == 700
    assert len(json.loads(sigmf_paths(path)[0].read_text())["annotations"]) == 1
