"""The OMA digest against every published vector, and the keys that feed it."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import ConfigurationError, Key, OmaSuite, oma_digest
from osgp.security import mep_request_digest, mep_response_digest

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "digests.json").read_text())
h = bytes.fromhex


def mep_cases():
    for vector in VECTORS["mep"]:
        marks = [pytest.mark.skip(reason=vector["unverified"])] if vector["unverified"] else []
        yield pytest.param(vector, id=vector["name"], marks=marks)


@pytest.mark.parametrize("vector", list(mep_cases()))
def test_published_mep_digests_come_out_bit_exactly(vector):
    key, request, response = h(vector["key"]), h(vector["request"]), h(vector["response"])
    assert mep_request_digest(key, request).hex() == vector["request_digest"]
    assert mep_response_digest(key, request, response).hex() == vector["response_digest"]


def test_published_plc_response_digest_comes_out_bit_exactly():
    (vector,) = VECTORS["plc"]
    suite = OmaSuite(Key.omak(h(vector["key"])))
    digest = suite.response_digest(vector["subnet"], vector["node"], h(vector["request"]), h(vector["response"]))
    assert digest.hex() == vector["digest"]


def test_all_published_vectors_are_here():
    """Five exchanges of the guide with their key, one without, and the vector of the power line."""
    verified = [vector for vector in VECTORS["mep"] if not vector["unverified"]]
    assert (len(verified), len(VECTORS["mep"]), len(VECTORS["plc"])) == (5, 6, 1)


@pytest.mark.parametrize("vector", VECTORS["regression"], ids=lambda vector: vector["name"])
def test_regression_digests_do_not_change(vector):
    assert oma_digest(h(vector["key"]), h(vector["message"])).hex() == vector["digest"]


def slow_digest(key, message):
    """The description of the algorithm step by step, one block after the other, bits taken with strings instead of shifts."""
    passes = key * 2 if len(key) != 6 else key
    octets = passes[: len(key) * 3 // 2] if len(key) != 6 else key
    bits = [int(bit) for octet in octets for bit in reversed(f"{octet:08b}")]
    state = [0] * 8
    rest = list(message)
    while rest:
        for step, bit in enumerate(bits):
            m = rest.pop(0) if rest else 0
            j = 7 - step % 8
            n = f"{255 - (state[j] + j) % 256:08b}"
            neighbour = state[0] if j == 7 else state[j + 1]
            turned = int(n[1:] + n[:1], 2) if bit else -int(n[-1:] + n[:-1], 2)
            state[j] = (neighbour + m + turned) % 256
    return bytes(state)


@given(size=st.sampled_from([6, 12, 16]), message=st.binary(max_size=420), data=st.data())
def test_long_messages_agree_with_the_description_taken_literally(size, message, data):
    key = data.draw(st.binary(min_size=size, max_size=size))
    assert oma_digest(key, message) == slow_digest(key, message)


@given(st.binary(max_size=200), st.integers(0, 10))
def test_zeroes_at_the_end_do_not_change_a_digest_within_a_block(message, zeroes):
    key = bytes(range(12))
    if (len(message) + 143) // 144 == (len(message) + zeroes + 143) // 144:
        assert oma_digest(key, message) == oma_digest(key, message + bytes(zeroes))


def test_empty_message_has_the_zero_digest():
    assert oma_digest(bytes(12), b"") == bytes(8)


@pytest.mark.parametrize("size", [0, 5, 7, 20])
def test_keys_of_other_sizes_are_refused(size):
    with pytest.raises(ConfigurationError, match=f"got {size}"):
        oma_digest(bytes(size), b"x")


def test_key_never_shows_its_octets():
    secret = b"\xa7SECRETkey\x01\x02"
    key = Key.omak(secret)
    shown = f"{key!r} {key} {OmaSuite(key)!r} {OmaSuite(key)} {[key]}"
    assert "SECRET" not in shown and secret.hex() not in shown and "a7" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_keys_compare_by_content_and_kind():
    assert Key.omak() == Key.omak(b"\xdf" * 12)
    assert Key.omak() != Key.omak(bytes(12))
    assert Key(bytes(16), "MAK") != Key(bytes(16), "MBK")


def test_omak_has_twelve_octets():
    with pytest.raises(ConfigurationError, match="12 octets, got 16"):
        Key.omak(bytes(16))
