"""GNU Radio's tag header and tags, against octets that GNU Radio wrote."""

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs.errors import StreamError
from flowgraphs.frontends.gnuradio_messages import (
    StreamTag,
    decode_tagged,
    encode_tagged,
    rate_of,
    starts_like_tags,
    time_of,
)
from flowgraphs.frontends.pmt import read_pmt, write_pmt
from flowgraphs.frontends.received import BARE, TAGGED, MessageReader

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/flowgraphs/gnuradio.json").read_text())
ITEMS = [1, -2, 0.5, 4, 5, 6, 7, 8]
VALUES = {
    "true": True, "false": False, "nil": None, "symbol": "rx_rate", "long": -5, "big long": -(2**40), "uint64": 2**63 + 1,
    "double": 1e6, "complex": 1 - 2j, "pair": [1, "x"], "list": [1, 2, True], "dict": [["b", 2.5], ["a", 1]],
    "tuple": (1700000000, 0.25), "vector": [7, 7], "u8": bytes([1, 2, 3]), "f32": struct.pack(">ff", 1, 2),
    "c64": struct.pack(">dd", 1, 2), "s16": struct.pack(">hh", -1, 2),
}  # fmt: skip


def reader_parts(parts):
    return [memoryview(bytes.fromhex(part)) for part in parts]


@pytest.mark.parametrize("name", VECTORS["pmt"])
def test_values_that_gnuradio_wrote(name):
    octets = bytes.fromhex(VECTORS["pmt"][name])
    assert read_pmt(octets) == (VALUES[name], len(octets))
    assert read_pmt(b"xx" + octets + b"yy", 2) == (VALUES[name], len(octets) + 2)


@pytest.mark.parametrize("name", ["true", "false", "nil", "symbol", "big long", "uint64", "double", "tuple"])
def test_values_are_written_as_gnuradio_writes_them(name):
    assert write_pmt(VALUES[name]).hex() == VECTORS["pmt"][name]


def test_a_comment_is_skipped():
    assert read_pmt(b";hello\n\x00") == (True, 8)


@pytest.mark.parametrize("name", VECTORS["pmt"])
def test_values_cut_off_anywhere_are_refused(name):
    octets = bytes.fromhex(VECTORS["pmt"][name])
    for end in range(len(octets)):
        with pytest.raises(StreamError):
            read_pmt(octets[:end])


@given(st.binary(max_size=200))
def test_noise_is_a_value_or_refused(octets):
    try:
        _, end = read_pmt(octets)
        assert 0 < end <= len(octets)
    except StreamError as error:
        assert "\n" not in str(error)


def test_deep_nesting_and_absurd_counts_are_refused():
    for octets in (b"\x08\x00\x00\x00\x01" * 10_000, b"\x07" * 10_000, b"\x0c\xff\xff\xff\xff", b"\x0a\x00\xff\xff\xff\xff\x01"):
        with pytest.raises(StreamError):
            read_pmt(octets)


def test_a_long_list_is_no_deep_nesting():
    assert read_pmt(b"\x07\x00" * 3000 + b"\x06") == ([True] * 3000, 6001)


@pytest.mark.parametrize("name", ["tagged", "keyed"])
def test_a_message_of_a_gnuradio_sink(name):
    message = decode_tagged(bytes.fromhex(VECTORS[name][-1]))
    assert message.offset == 0 and [tag.key for tag in message.tags] == ["rx_rate", "rx_time", "anything"]
    assert rate_of(message.last("rx_rate")) == 400_000.0
    assert time_of(message.tags[1]) == (1_700_000_000, 0.5)
    assert message.tags[2].offset == 3
    np.testing.assert_array_equal(np.frombuffer(message.items, "<f4"), ITEMS)


@pytest.mark.parametrize("name", ["tagged", "keyed"])
@pytest.mark.parametrize("form", ["auto", "gnuradio"])
def test_a_message_of_a_gnuradio_sink_is_recognised(name, form):
    reader = MessageReader(form)
    (piece,) = reader.read(reader_parts(VECTORS[name]))
    np.testing.assert_array_equal(piece.samples, ITEMS)
    assert (piece.first_sample, piece.rate, reader.framing, reader.keyed) == (0, 400_000.0, TAGGED, name == "keyed")
    assert reader.rx_time == (0, 1_700_000_000, 0.5)


def test_the_header_is_written_as_gnuradio_writes_it():
    octets = encode_tagged(5, np.array(ITEMS, "<f4").tobytes(), [StreamTag(5, "rx_rate", 4e5)])
    assert octets[:19].hex() == "f05f01" + "0500000000000000" + "0100000000000000"
    message = decode_tagged(octets)
    assert message.tags == (StreamTag(5, "rx_rate", 4e5),) and len(message.items) == 32


@given(st.binary(max_size=300))
def test_noise_behind_the_magic_is_a_message_or_refused(octets):
    noise = b"\xf0\x5f\x01" + octets
    with contextlib.suppress(StreamError):
        decode_tagged(noise)
    with contextlib.suppress(StreamError):
        MessageReader().read([memoryview(noise)])


def test_bare_items_are_not_taken_for_tags():
    rng = np.random.default_rng(1)
    for _ in range(300):
        x = rng.normal(size=64).astype("<f4")
        x.view(np.uint8)[:3] = 0xF0, 0x5F, 0x01
        assert not starts_like_tags(x.tobytes())
    assert MessageReader().read([memoryview(x.tobytes())])[0].first_sample is None


@pytest.mark.parametrize("count", [8191, 8192, 1, 4095])
def test_a_message_may_hold_any_number_of_items(count):
    reader = MessageReader()
    (piece,) = reader.read([memoryview(np.ones(count, "<f4").tobytes())])
    assert piece.samples.size == count and reader.framing == BARE


def tagged(offset, octets, *tags):
    return [memoryview(encode_tagged(offset, octets, tags))]


@pytest.mark.parametrize(("octets", "words"), [(8, "complex"), (2, "short"), (1, "byte"), (12, "vectors of 3")])
def test_the_size_of_items_shows_in_their_offsets(octets, words):
    reader, items = MessageReader(), np.random.default_rng(2).normal(size=120).astype("<f4").tobytes()
    with pytest.raises(StreamError, match=f"has {octets} octets.*{words}"):
        for k in range(8):
            reader.read(tagged(k * 480 // octets, items))


def test_lost_messages_do_not_look_like_larger_items():
    reader, items = MessageReader(), np.random.default_rng(2).normal(size=120).astype("<f4").tobytes()
    for k in range(50):
        if k % 3:
            assert reader.read(tagged(k * 120, items))[0].first_sample == k * 120


def test_time_stamps_of_a_receiver_show_what_it_lost():
    """An overflow: the receiver counts on and tells the new time; 1000 samples at 400 kS/s are 2.5 ms."""
    reader, items = MessageReader(), np.ones(100, "<f4").tobytes()
    first = reader.read(tagged(0, items, StreamTag(0, "rx_rate", 4e5), StreamTag(0, "rx_time", (10, 0.999))))
    assert [piece.first_sample for piece in first] == [0]
    pieces = reader.read(tagged(100, items, StreamTag(140, "rx_time", (11, 0.999 - 1 + 140 / 4e5 + 2.5e-3))))
    assert [(piece.first_sample, piece.samples.size) for piece in pieces] == [(100, 40), (1140, 60)]
    assert reader.read(tagged(200, items))[0].first_sample == 1200


@pytest.mark.parametrize("value", [True, "400000", -1.0, 0, 1e12, None])
def test_a_rate_that_is_none_is_not_believed(value):
    assert rate_of(StreamTag(0, "rx_rate", value)) is None
