"""Messages: known octets, round trip and noise."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs import messages
from flowgraphs.errors import StreamError
from flowgraphs.messages import Hello, Kind, Message, SampleBlock

RATE = 400_000.0


def test_the_header_has_the_octets_drawn_in_the_docstring():
    header, payload = messages.encode_samples(0x0102030405, RATE, np.array([1.0, -0.5], np.float32), 2, station=3)
    assert header[:8] == b"OSDR" + bytes([1, 1, 3, 0])
    assert header[8:16] == bytes([5, 4, 3, 2, 1, 0, 0, 0])
    assert struct.unpack("<d", header[16:24])[0] == RATE
    assert header[24:] == bytes([2, 0, 0, 0, 0, 0, 0, 0])
    assert payload == bytes.fromhex("0000803f000000bf")


def test_a_silent_block_is_a_header_alone():
    parts = messages.encode_samples(400, RATE, None, 200)
    assert len(parts) == 1
    assert messages.decode(parts) == SampleBlock(400, 200, RATE, None)


@given(
    st.integers(0, 2**63 - 1),
    st.floats(1, 1e9),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50),
    st.integers(0, 0xFFFF),
)
def test_samples_survive_the_round_trip(first, rate, values, station):
    x = np.array(values, np.float32)
    block = messages.decode(messages.encode_samples(first, rate, x, x.size, station))
    assert isinstance(block, SampleBlock) and block.samples is not None
    assert (block.first_sample, block.sample_rate, block.station, block.count) == (first, rate, station, x.size)
    np.testing.assert_array_equal(block.samples, x)


@given(st.sampled_from([k for k in Kind if k is not Kind.SAMPLES]), st.integers(0, 2**40), st.binary(max_size=40))
def test_control_messages_survive_the_round_trip(kind, index, payload):
    message = Message(kind, index, payload, RATE, 200, 4)
    assert messages.decode(messages.encode(message)) == message


def test_a_payload_decodes_to_its_structure_only():
    message = Message(Kind.HELLO, 0, messages.pack(Hello("meter-1", 2)))
    assert messages.payload_as(message, Hello) == Hello("meter-1", 2)
    with pytest.raises(StreamError):
        messages.payload_as(Message(Kind.HELLO, 0, b"\xc1nonsense"), Hello)


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_noise_raises_only_stream_error(parts):
    with suppress(StreamError):
        messages.decode(parts)


@given(st.integers(0, 31), st.integers(0, 255))
def test_a_changed_header_octet_never_raises_anything_else(position, value):
    parts = messages.encode_samples(7, RATE, np.ones(4, np.float32), 4)
    header = bytearray(parts[0])
    header[position] = value
    with suppress(StreamError):
        messages.decode([bytes(header), parts[1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(bad):
    parts = messages.encode_samples(0, RATE, np.array([0.0, bad], np.float32), 2)
    with pytest.raises(StreamError, match="finite"):
        messages.decode(parts)


def test_a_short_payload_is_refused_with_both_sizes():
    parts = messages.encode_samples(0, RATE, np.zeros(8, np.float32), 8)
    with pytest.raises(StreamError, match="32 octets, got 31"):
        messages.decode([parts[0], parts[1][:-1]])


@given(st.lists(st.floats(-1e3, 1e3, width=32), max_size=20))
def test_gnuradio_items_survive_the_round_trip(values):
    x = np.array(values, np.float32)
    np.testing.assert_array_equal(messages.decode_gnuradio(messages.encode_gnuradio(x)), x)


def test_gnuradio_octets_that_are_no_items_are_named():
    with pytest.raises(StreamError, match="multiple of 4"):
        messages.decode_gnuradio(b"12345")
    with pytest.raises(StreamError, match="Pass Tags"):
        messages.decode_gnuradio(bytes.fromhex("f05f01") + bytes(16))
