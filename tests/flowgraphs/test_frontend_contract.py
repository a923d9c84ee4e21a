"""URLs of front ends, recordings played and written, raw pipes."""

import os
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs.errors import FrontEndError, RecordingError
from flowgraphs.frontends.contract import Address, SampleSink, SampleSource, SinkStatistics, open_sink, open_source
from flowgraphs.frontends.placing import Pacer, Placer
from flowgraphs.recording import open_recording

RATE = 192_000.0


def everything(source: SampleSource) -> np.ndarray:
    pieces = []
    while not source.ended:
        block = source.read(1.0)
        if block is not None:
            assert block.first_sample == sum(piece.size for piece in pieces) and block.missing_before == 0
            pieces.append(block.samples)
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


@pytest.mark.parametrize(
    ("url", "scheme", "place", "options"),
    [
        ("night.wav", "file", "night.wav", {}),
        ("C:\\night.wav", "file", "C:\\night.wav", {}),
        ("file:a?b.wav", "file", "a?b.wav", {}),
        ("pipe:-?rate=400000&dtype=int16", "pipe", "-", {"rate": "400000", "dtype": "int16"}),
        ("zmq+sub://127.0.0.1:5555?rate=1e6", "zmq+sub", "127.0.0.1:5555", {"rate": "1e6"}),
        ("soundcard:USB Audio: - (hw:1,0)", "soundcard", "USB Audio: - (hw:1,0)", {}),
    ],
)
def test_a_url_taken_apart(url, scheme, place, options):
    address = Address.parse(url)
    assert (address.scheme, address.place, dict(address.options)) == (scheme, place, options)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense:x", "no source of kind 'nonsense'"),
        ("pipe:-", r"add \?rate=HZ"),
        ("pipe:-?rate=x", "rate must be a number"),
        ("pipe:-?rate=1", "from 1000"),
        ("pipe:?rate=1e5", "needs a place"),
        ("pipe:-?rate=1e5&colour=red", "no option 'colour'"),
        ("pipe:-?rate=1e5&dtype=cf32", "IQ"),
        ("pipe:-?rate=1e5&dtype=float99", "unknown sample type"),
        ("pipe:/nowhere/at/all?rate=1e5", "no such file"),
        ("file:/nowhere/at/all.wav", "No such file|no such file"),
    ],
)
def test_errors_are_one_line_that_names_the_url(url, words):
    with pytest.raises((FrontEndError, RecordingError), match=words) as caught:
        open_source(url)
    assert "\n" not in str(caught.value) and url.split("?")[0].removeprefix("file:") in str(caught.value)


def test_arguments_win_over_the_url():
    assert Address.parse("pipe:-?rate=1000", rate=4e5, iq=False).options == {"rate": "400000.0"}


@pytest.mark.parametrize("name", ["line.sigmf-meta", "line.wav", "bare"])
def test_what_a_file_sink_gets_a_file_source_plays(tmp_path, name):
    x = np.random.default_rng(1).normal(size=5000).astype(np.float32)
    sink = open_sink(f"file:{tmp_path / name}", rate=RATE)
    assert isinstance(sink, SampleSink)
    sink.write(7000, x[:2000])
    sink.write(9500, x[2000:])  # 500 samples of silence before it
    sink.write(9000, x[:600])  # 500 too late, and then nothing new
    sink.close()
    sink.close()
    assert (sink.statistics.padded, sink.statistics.late, sink.statistics.samples) == (500, 600, 5000)
    source = open_source(str(tmp_path / name), block=333)
    assert isinstance(source, SampleSource)
    expected = np.concatenate([x[:2000], np.zeros(500, np.float32), x[2000:]])
    np.testing.assert_array_equal(everything(source), expected)
    assert source.statistics.samples == 5500


@pytest.mark.parametrize("name", ["line.sigmf-meta", "line.wav"])
def test_a_recording_is_readable_while_it_is_written(tmp_path, name):
    """What kill -9 leaves is what the file holds at that moment."""
    sink = open_sink(f"file:{tmp_path / name}", rate=RATE)
    for k in range(20):
        sink.write(k * 9600, np.full(9600, k, np.float32))
        held = tmp_path / ("line.sigmf-data" if "sigmf" in name else name)
        if k > 10:
            copy = tmp_path / "copy"
            copy.mkdir(exist_ok=True)
            for file in tmp_path.glob("line*"):
                (copy / file.name).write_bytes(file.read_bytes())
            found = open_recording(str(copy / name))
            found.check()
            assert found.length >= (k + 1) * 9600 - 0.6 * RATE and held.stat().st_size > 0
    sink.close()


def test_wav_is_what_other_programs_take_it_for(tmp_path):
    x = np.linspace(-2, 2, 1001, dtype=np.float32)
    sink = open_sink(f"file:{tmp_path / 'a.wav'}?rate=96000")
    sink.write(0, x)
    sink.close()
    read, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == 96000
    np.testing.assert_array_equal(read, x)


def test_a_second_channel_is_the_mains(tmp_path):
    x = np.random.default_rng(2).uniform(-1, 1, (1000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "two.wav", x, 96000, subtype="FLOAT")
    block = open_source(f"file:{tmp_path / 'two.wav'}?mains_channel=1&volts_per_full_scale=5&start_s=0.005").read(0)
    assert block is not None and block.mains_crossing is not None and block.first_sample == 480
    np.testing.assert_array_equal(block.samples, 5 * x[480:, 0])
    np.testing.assert_array_equal(block.mains_crossing, x[480:, 1])


def test_numbers_that_are_none_are_counted_and_become_zero(tmp_path):
    np.array([1, np.nan, np.inf, 2], "<f4").tofile(tmp_path / "a.raw")
    source = open_source(f"{tmp_path / 'a.raw'}?rate=96000&dtype=float32")
    np.testing.assert_array_equal(everything(source), [1, 0, 0, 2])
    assert source.statistics.malformed == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize(("dtype", "step"), [("float32", 0), ("int16", 1 / 32768), ("uint8", 1 / 128)])
def test_a_pipe_carries_samples(tmp_path, dtype, step):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    x = np.random.default_rng(3).uniform(-0.9, 0.9, 20_000).astype(np.float32)
    source = open_source(f"pipe:{fifo}?rate=192000&dtype={dtype}&block=777&volts_per_full_scale=2")
    assert source.read(0.02) is None and not source.ended
    sink = open_sink(f"pipe:{fifo}?rate=192000&dtype={dtype}&volts_per_full_scale=2")

    def write() -> None:
        for k in range(0, x.size, 1000):
            sink.write(k, x[k : k + 1000])
        sink.close()

    writer = threading.Thread(target=write)
    writer.start()
    received = everything(source)
    writer.join()
    assert received.size == x.size
    np.testing.assert_allclose(received, x, atol=1.01 * step)
    assert source.statistics.malformed == 0


def test_half_a_sample_at_the_end_of_a_pipe_is_counted(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(4 * 10 + 3))
    source = open_source(f"pipe:{tmp_path / 'raw'}?rate=96000")
    assert everything(source).size == 10 and source.statistics.malformed == 3


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=15))
def test_placed_blocks_keep_their_instants(blocks):
    """Against a sheet of paper: whoever wrote first at an index is heard there, silence elsewhere."""
    statistics = SinkStatistics()
    placer = Placer(statistics, 0)
    paper, end, out, late = np.zeros(100, np.float32), 0, [], 0
    for k, (first, count) in enumerate(blocks):
        x = np.full(count, k + 1, np.float32)
        out += list(placer.place(first, x))
        late += min(max(0, end - first), count)
        new = x[max(0, end - first) :]
        if first > end:
            end = first
        paper[end : end + new.size] = new
        end += new.size
    heard = np.concatenate(out) if out else np.zeros(0)
    np.testing.assert_array_equal(heard, paper[:end])
    assert statistics.late == late


def test_real_time_is_no_faster_than_the_clock():
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pacer = Pacer(1000.0, lambda: now[0], sleep)
    assert pacer.wait(100, 1.0)  # the first block is what there is
    assert pacer.wait(200, 1.0) and slept == [pytest.approx(0.1)]
    assert not pacer.wait(1200, 0.3) and now[0] == pytest.approx(0.4)
    now[0] = 5.0
    assert pacer.wait(1200, 0.0) and len(slept) == 2
