"""Guessing what a stream's octets hold."""

import numpy as np
import pytest

from flowgraphs.errors import StreamError
from flowgraphs.frontends.item_types import guess_item_type
from flowgraphs.frontends.received import MessageReader
from phy import Profile, Transmitter, append_crc

RATE = 400_000.0


def line(noise=0.01, amplitude=1.0, seed=0, count=8192):
    """A packet on a noisy line."""
    rng = np.random.default_rng(seed)
    x = Transmitter(Profile.load("pl20a"), RATE, level_v=amplitude).modulate(append_crc(rng.bytes(20)))[:count]
    return (x + noise * rng.normal(size=x.size)).astype(np.float32)


def baseband(offset=0.05, seed=0, count=8192):
    rng = np.random.default_rng(seed)
    z = np.exp(2j * np.pi * offset * np.arange(count)) + 0.01 * (rng.normal(size=count) + 1j * rng.normal(size=count))
    return z.astype(np.complex64)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda s: line(seed=s).astype("<f4"), "float32"),
        (lambda s: line(1.0, 0.01, seed=s).astype("<f4"), "float32"),  # the packet deep in white noise
        (lambda s: 1e-4 * np.random.default_rng(s).normal(size=8191).astype("<f4"), "float32"),
        (lambda s: np.sin(2 * np.pi * 0.215 * np.arange(8192)).astype("<f4"), "float32"),
        (lambda s: np.sin(2 * np.pi * 0.25 * np.arange(8192) + s).astype("<f4"), "float32"),  # its own mirror
        (lambda s: baseband(0.05, s), "complex64"),
        (lambda s: baseband(-0.02, s), "complex64"),
        (lambda s: baseband(0.215, s), "complex64"),
        (lambda s: (1000 * line(seed=s)).astype("<i2"), "int16"),
        (lambda s: (30000 * line(seed=s)).astype("<i2"), "int16"),
        (lambda s: (2**24 * line(seed=s)).astype("<i4"), "int32"),
        (lambda s: line(seed=s).astype("<f8"), "float64"),
        (lambda s: line(seed=s).astype(">f4"), "big-endian float32"),
        (lambda s: (100 * line(seed=s)).astype("i1"), "int8"),
        (lambda s: np.zeros(4096, "<f4"), "unknown"),
    ],
)
def test_what_octets_hold(make, name, seed):
    guess = guess_item_type(make(seed).tobytes())
    assert guess.name == name, guess
    assert guess.contradicts_float32 == (name not in ("float32", "unknown"))


@pytest.mark.parametrize("kind", ["<i2", "<i4", "i1", "<f8", ">f4"])
def test_another_item_type_is_refused_in_plain_words(kind):
    x = line()
    octets = (x if "f" in kind else 100 * x).astype(kind).tobytes()
    for form in ("auto", "gnuradio"):
        with pytest.raises(StreamError, match="not float32, they look like"):
            MessageReader(form).read([memoryview(octets)])


def test_complex_items_are_refused_until_one_insists():
    octets = memoryview(baseband().tobytes())
    with pytest.raises(StreamError, match=r"complex64.*format=gnuradio"):
        MessageReader().read([octets])
    assert MessageReader("gnuradio").read([octets])


def test_half_an_item_is_named():
    with pytest.raises(StreamError, match="no whole number of float32 items"):
        MessageReader().read([memoryview(line().tobytes()[:-2])])
