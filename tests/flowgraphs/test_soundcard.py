"""Sound cards: exact places, levels, what goes wrong; on a wire inside of this program, which behaves like PortAudio."""

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from flowgraphs.errors import FrontEndError, MissingFeature
from flowgraphs.frontends.contract import SampleSink, SampleSource, open_duplex, open_sink, open_source
from flowgraphs.frontends.echo_watch import EchoWatch
from flowgraphs.frontends.round_trip import locate, measure_round_trip, probe_of, sweep
from flowgraphs.frontends.slips import SlipWatch
from flowgraphs.frontends.soundcard import CardSettings, SoundCard
from phy import Profile

RATE = 192_000.0
WIRE = "soundcard:loopback?pace=fast&settle_s=0.02&queue_s=0.2&noise_v=0&gain_db=0"


def heard_of(source, first, count):
    x = np.zeros(count, np.float32)
    while (block := source.read(1.0)) is not None and block.first_sample < first + count:
        low, high = max(block.first_sample, first), min(block.end, first + count)
        if low < high:
            x[low - first : high - first] = block.samples[low - block.first_sample : high - block.first_sample]
    return x


def test_samples_are_placed_exactly_and_scaled_to_volts():
    source, sink = open_duplex(f"{WIRE}&delay=3210&volts_per_full_scale=4")
    assert isinstance(source, SampleSource) and isinstance(sink, SampleSink)
    trip = source.card.round_trip = measure_round_trip(source, sink, Profile.load("pl20a"), 1.0).samples
    assert trip == 3210 + 2048  # what the wire was told, and one callback
    x = np.random.default_rng(1).uniform(-3.9, 3.9, 7000).astype(np.float32)
    at = source.card.position + trip + 80_000
    sink.write(at, x)
    sink.write(at + 2000, -0.05 * np.ones(100, np.float32))  # two stations at once add up
    heard = heard_of(source, at - 10, 7020)
    expected = np.concatenate([np.zeros(10), x, np.zeros(10)])
    expected[2010:2110] -= 0.05
    np.testing.assert_allclose(heard, expected, atol=2e-6)
    assert (source.statistics.clipped, sink.statistics.clipped, sink.statistics.late) == (0, 0, 0)
    source.close()
    source.close()
    while source.read(0.0) is not None:  # what had come before
        pass
    assert source.ended


def test_what_clips_or_comes_too_late_is_counted():
    source, sink = open_duplex(WIRE)
    card = source.card
    card.round_trip = 0
    start = card.position + 80_000
    sink.write(start, np.array([0.5, 1.5, -2.0], np.float32))
    heard = heard_of(source, start + 6048, 3)
    np.testing.assert_allclose(heard, [0.5, 1.0, -1.0])
    assert sink.statistics.clipped == 2 and source.statistics.clipped == 2
    sink.write(card.position - 5000, np.ones(100, np.float32))
    assert sink.statistics.late == 100
    source.close()


def test_soon_is_never_past_however_far_a_card_without_a_clock_runs_on():
    source, _sink = open_duplex(WIRE)
    card = source.card
    for block_count in (0, 1, 7, 40):
        for _ in range(block_count):
            source.read(1.0)
        soon, position = card.soon(0.0), -1
        while position != card.position:  # until its reader's queue is full
            position = card.position
            time.sleep(0.02)
        assert position <= soon <= position + 0.5 * RATE
    source.close()


def test_the_mains_channel_comes_along():
    source = open_source(f"{WIRE}&mains_channel=1")
    block = source.read(1.0)
    assert block is not None and block.mains_crossing is not None and block.mains_crossing.size == block.samples.size
    source.close()


def test_a_card_that_goes_ends_the_source():
    source = open_source(f"{WIRE}&unplug_at_s=0.3")
    while source.read(1.0) is not None:
        pass
    assert source.ended
    sink = open_sink(f"{WIRE}&unplug_at_s=0.1")
    with pytest.raises(FrontEndError, match="has gone"):
        for k in range(200):
            sink.write(1000 * k, np.zeros(1000, np.float32))
    source.close()
    sink.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("soundcard:loopback?rate=abc", "rate must be a number"),
        ("soundcard:loopback?colour=1", "no option 'colour'"),
        ("soundcard:loopback?latency_s=9", "latency_s must be a number from 0 to 2"),
        ("soundcard:no such card", "no such card|PortAudio|portaudio|No input device"),
    ],
)
def test_errors_name_the_card(url, words):
    with pytest.raises((FrontEndError, MissingFeature), match=words) as caught:
        open_duplex(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "words"), [(ImportError, "extra 'audio'"), (OSError("PortAudio library not found"), "libportaudio2")]
)
def test_without_the_library_one_line_says_what_to_install(monkeypatch, raised, words):
    import importlib

    def fail(name):
        raise raised

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(importlib, "import_module", lambda name: fail(name) if name == "sounddevice" else __import__(name))
    from flowgraphs.frontends.portaudio import portaudio

    with pytest.raises(MissingFeature, match=words):
        portaudio()


class Fake:
    """PortAudio whose callbacks the test makes itself."""

    patient = True

    def Stream(self, callback, **settings):
        self.callback, self.settings = callback, settings
        return self

    def start(self):
        for k in range(12):  # the first ones underrun, as they do
            self.call(np.zeros(1000, np.float32), input_underflow=k < 2)

    def close(self):
        pass

    def call(self, x, at=0.0, **flags):
        usual = dict.fromkeys(("input_overflow", "input_underflow", "output_overflow", "output_underflow"), False)
        status = SimpleNamespace(**{**usual, **flags}) if flags else None
        out = np.full((x.size, 1), 7.0, np.float32)
        self.callback(np.asarray(x, np.float32).reshape(-1, 1), out, x.size, SimpleNamespace(currentTime=at), status)
        return out[:, 0]


def test_the_block_size_is_left_to_portaudio_and_trouble_is_counted():
    fake = Fake()
    card = SoundCard(fake, CardSettings(settle_s=0.04), True, True)
    assert "blocksize" not in fake.settings and fake.settings["latency"] == 0.1
    position = card.position
    card.schedule(position + 500, np.array([0.25], np.float32))
    out = fake.call(np.ones(1000), input_overflow=True, output_underflow=True)
    assert out[500] == 0.25 and np.count_nonzero(out) == 1  # silence is written, not left over
    assert (card.heard.overruns, card.sent.underruns, card.heard.clipped) == (1, 1, 1000)


def test_slips_are_told_from_late_callbacks():
    rng = np.random.default_rng(4)
    watch, count, told = SlipWatch(RATE), 0, []
    for k in range(4000):  # 20 s of callbacks of 5 ms
        count += 960
        if k == 1000:
            count -= 8189  # lost
        if k == 3000:
            count += 4000  # repeated
        late = rng.exponential(0.002) + (0.4 if 2000 <= k < 2050 else 0.0)  # a busy computer
        slip = watch.feed(count, 100.0 + 0.005 * k * (1 + 80e-6) + late)
        if slip:
            told.append((k, slip))
    assert [slip for _, slip in told] == [pytest.approx(8189, abs=400), pytest.approx(-4000, abs=400)]
    assert 1000 < told[0][0] < 1600 and 3000 < told[1][0] < 3600


@pytest.mark.parametrize("delay", [0, 1, 777])
def test_a_probe_is_found_with_its_gain(delay):
    probe = probe_of(Profile.load("pl20a"), RATE)
    x = np.random.default_rng(delay).normal(0, 0.05, 8000).astype(np.float32)
    x[delay : delay + probe.size] += -0.3 * probe  # the sign does not matter
    found = locate(x, probe)
    assert found.samples == delay and found.gain == pytest.approx(0.3, rel=0.05) and found.match > 0.9
    assert locate(np.random.default_rng(9).normal(size=8000).astype(np.float32), probe).match < 0.3


def test_a_round_trip_that_changes_unseen_is_corrected():
    watch = EchoWatch(RATE)
    packet = sweep(RATE, 70e3, 90e3, 0.06)
    at, late = 50_000, 8192
    for k in range(0, packet.size, 200):
        watch.sent(at + k, packet[k : k + 200])
    line = np.random.default_rng(5).normal(0, 1e-3, 150_000).astype(np.float32)
    line[at + late : at + late + packet.size] += packet
    moved = [watch.heard(k, line[k : k + 960]) for k in range(0, line.size, 960)]
    assert sum(moved) == late and watch.changes == 1 and watch.unheard == 0


def test_a_loop_that_is_open_says_so():
    source, sink = open_duplex("soundcard:loopback?pace=fast&settle_s=0.02&gain_db=-120")
    with pytest.raises(FrontEndError, match="does not hear what it sends"):
        measure_round_trip(source, sink, Profile.load("pl20a"), 0.5)
    source.close()
