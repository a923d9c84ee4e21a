"""What the page draws, against signals whose picture is known; the binary messages; the ring of samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs.errors import StreamError
from flowgraphs.view.anatomy import EYE_POINTS, examine, stretch
from flowgraphs.view.frame import HEADER, Kind, Picture, decode, encode
from flowgraphs.view.history import LiveSamples, PacketSamples
from flowgraphs.view.pictures import Painter, envelope
from phy import Profile, Receiver, Transmitter, append_crc
from phy.framing import packet_bits

RATE = 400_000.0
PROFILE = Profile.load("pl20a")


def reader(x):
    def read(first, count):
        found = np.zeros(count, np.float32)
        low, high = max(first, 0), min(first + count, x.size)
        if low < high:
            found[low - first : high - first] = x[low:high]
        return found

    return read


def received(x):
    """The one good packet in these samples."""
    receiver = Receiver(PROFILE, RATE)
    (packet,) = [p for p in [*receiver.push(x), *receiver.flush()] if p.crc_ok]
    return packet


def painter(x):
    return Painter(RATE, PROFILE, reader(x), 0.0, RATE / 2)


@pytest.mark.parametrize("hertz", [20_000.0, 86_231.6, 150_000.0])
def test_a_sine_of_1_v_rms_reads_0_db_at_its_frequency(hertz):
    x = (np.sqrt(2) * np.sin(2 * np.pi * hertz * np.arange(80_000) / RATE)).astype(np.float32)
    made = painter(x)
    spectrum = made.picture(20_000, 60_000, 5, 40_000).arrays["spec"]
    low, high = made.edges_hz
    column = round((hertz - low) / (high - low) * made.columns - 0.5)
    # Scalloping of a Hann window: at most 1.42 dB (Harris, 1978).
    assert -1.5 < spectrum.max() < 0.05 and abs(int(spectrum.argmax()) - column) <= 1
    assert spectrum[np.abs(np.arange(made.columns) - column) > 8].max() < -60


def test_nothing_short_is_lost_in_the_rows_and_the_envelope():
    x = np.zeros(80_000, np.float32)
    x[33_333] = 5.0  # one sample
    made = painter(x).picture(20_000, 60_000, 5, 40_000)
    rows = made.arrays["rows"].reshape(5, -1)
    assert rows[1].min() > -80 and rows[0].max() < -130 and rows[4].max() < -130
    assert made.arrays["wave"].max() == 5.0 and made.arrays["spec"].min() > -80
    latest = painter(x).picture(20_000, 60_000, 5, 8000).arrays
    assert latest["spec"].max() < -130 and latest["wave"].max() == 0, "spectrum and waveform are of the end"


def test_level_of_each_carrier():
    x = (np.sqrt(2) * np.sin(2 * np.pi * PROFILE.carrier_hz("secondary") * np.arange(80_000) / RATE)).astype(np.float32)
    made = painter(x).picture(20_000, 60_000, 4, 400).arrays
    assert made["lev1"] == pytest.approx(0, abs=0.2) and made["lev0"].max() < -50


@given(size=st.integers(0, 300), pairs=st.integers(1, 100))
def test_envelope_holds_the_extremes(size, pairs):
    x = np.random.default_rng(size).normal(size=size).astype(np.float32)
    found = envelope(x, pairs)
    assert found.size == 2 * min(size, pairs)
    if size:
        assert found[::2].min() == x.min() and found[1::2].max() == x.max()


arrays = st.dictionaries(
    st.text("abcdefgh0123", min_size=1, max_size=4), st.lists(st.floats(-1e6, 1e6, width=32), max_size=20), max_size=5
)


@given(arrays=arrays, packet=st.integers(-1, 2**31 - 1), sequence=st.integers(0, 2**32 - 1), jump=st.integers(0, 2**32 - 1))
def test_pictures_come_back_as_they_were(arrays, packet, sequence, jump):
    sent = Picture(Kind.PACKET, 1.25, 3.5, {name: np.array(x, np.float32) for name, x in arrays.items()}, packet)
    found, *others = decode(encode(sent, sequence, 1234.5, jump))
    assert others == [sequence, 1234.5, jump]
    assert (found.kind, found.first_s, found.end_s, found.packet) == (Kind.PACKET, 1.25, 3.5, packet)
    assert found.arrays.keys() == sent.arrays.keys()
    assert all(np.array_equal(found.arrays[name], x) for name, x in sent.arrays.items())


@given(octets=st.binary(max_size=200), whole=st.booleans())
def test_noise_is_no_picture(octets, whole):
    if whole:  # a right header before the noise
        octets = encode(Picture(Kind.LINE, 0, 0, {}), 0, 0.0)[: HEADER.size] + octets
    try:
        decode(octets)
    except StreamError:
        assert True
    else:
        assert octets[:4] == b"OSDV"


def test_anatomy_of_a_clean_packet():
    """Truth: the bits that were sent, and a channel without noise."""
    lpdu = append_crc(bytes.fromhex("0019238f238c51016101"))
    x = Transmitter(PROFILE, RATE).modulate(lpdu, alternate=False)
    x = np.concatenate([np.zeros(30_000, np.float32), x, np.zeros(30_000, np.float32)])
    x += np.random.default_rng(3).normal(size=x.size).astype(np.float32) * 1e-3
    packet = received(x)
    found = examine(packet, PROFILE, RATE, reader(x), 7)
    sent = packet_bits(lpdu, PROFILE)
    header = PROFILE.header_bits.size
    assert found.header == "".join(map(str, sent[:header]))
    assert "".join(word.bits for word in found.words) == "".join(map(str, sent[header : header + 11 * len(lpdu)]))
    assert [word.octet for word in found.words] == list(lpdu)
    assert all(not word.changed and word.weakest > 0.8 for word in found.words)
    picture = found.picture.arrays
    assert found.picture.packet == 7
    assert np.abs(picture["pher"]).max() < 3 and np.abs(picture["phlp"]).max() < 3
    assert np.abs(picture["tmlp"][header:]).max() < 3
    eye = picture["eye"].reshape(-1, EYE_POINTS)
    assert np.abs(np.abs(eye[:, EYE_POINTS // 2]) - 1).max() < 0.1, "open in the middle"
    assert np.abs(eye[:, EYE_POINTS // 4]).min() < 0.3, "some cross between"
    assert found.picture.first_s < packet.start_sample / RATE < packet.end_sample / RATE < found.picture.end_s
    first, count = stretch(packet, PROFILE, RATE)
    assert first < packet.start_sample and first + count > packet.end_sample


def test_anatomy_without_samples_shows_what_the_receiver_kept():
    lpdu = append_crc(bytes.fromhex("0019238f238c51016101"))
    x = np.concatenate([np.zeros(30_000, np.float32), Transmitter(PROFILE, RATE).modulate(lpdu, alternate=False)])
    packet = received(x)
    found = examine(packet, PROFILE, RATE, None)
    assert set(found.picture.arrays) == {"cons", "pher"} and found.words[0].weakest is None
    assert [word.octet for word in found.words] == list(lpdu)


@given(
    blocks=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), min_size=1, max_size=12),
    first=st.integers(0, 300), asked=st.tuples(st.integers(-10, 500), st.integers(0, 60)),
)  # fmt: skip
def test_the_ring_holds_the_latest_samples(blocks, first, asked):
    ring = LiveSamples(50.0, kept_s=1.0)
    whole: dict[int, float] = {}
    at = first
    for number, (gap, size) in enumerate(blocks):
        at += gap if number else 0
        ring.append(at, np.arange(at, at + size, dtype=np.float32) + 1)
        whole.update({index: index + 1.0 for index in range(at, at + size)})
        at += size
    assert ring.end == at and ring.oldest == max(first, at - 50)
    start, count = asked
    expected = [whole.get(index, 0.0) if ring.oldest <= index < at else 0.0 for index in range(start, start + count)]
    assert ring.read(start, count).tolist() == expected


def test_samples_of_packets_are_kept_up_to_a_size():
    kept = PacketSamples(megabytes=0.001)
    for number in range(10):
        kept.keep(number, number, np.full(100, number, np.float32))
    assert kept.get(9) is not None and kept.get(0) is None and kept.get(8)[0] == 8
    kept.keep(10, 0, np.zeros(10_000, np.float32))  # larger than all the room
    assert kept.get(10) is None and kept.get(9) is None
