"""Messages as they ride in EN 14908 application PDUs: the published exchange, digests, noise."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    BadDigest,
    ConfigurationError,
    DecodeError,
    FullRead,
    FullWrite,
    Key,
    Limits,
    OmaSuite,
    PartialRead,
    RequestMessage,
    Response,
    ResultCode,
)
from osgp.plc import open_response, seal_response

h = bytes.fromhex
(VECTOR,) = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "digests.json").read_text())["plc"]
SUITE = OmaSuite(Key.omak(h(VECTOR["key"])))
BT03 = h("0020980031c300080000000000")


def test_published_exchange_opens():
    """A full read of BT03 and its thirteen octets, sealed with the published digest."""
    octets = h(VECTOR["response"]) + h(VECTOR["digest"])
    response = open_response(octets, FullRead(3), h(VECTOR["request"]), SUITE, 2, 2)
    assert response == Response(ResultCode.OK, BT03)
    assert seal_response(response, h(VECTOR["request"]), SUITE, 2, 2) == octets


def test_request_layout():
    message = RequestMessage.seal(FullRead(3), 0x7F30EA6D, SUITE, 2, 2)
    assert message.encode()[:-8].hex() == VECTOR["request"]
    assert message.encode()[-8:].hex() == "89dedf0585d31394"  # regression value, see the vectors
    assert RequestMessage.decode(message.encode()) == message


@given(table=st.integers(0, 65535), sequence=st.integers(0, 2**32 - 1), subnet=st.integers(0, 255), node=st.integers(0, 127))
def test_sealed_requests_are_authentic(table, sequence, subnet, node):
    message = RequestMessage.decode(RequestMessage.seal(FullRead(table), sequence, SUITE, subnet, node).encode())
    assert message.sequence == sequence
    assert message.authentic(SUITE, subnet, node)
    assert not message.authentic(SUITE, subnet ^ 1, node)
    assert not message.authentic(OmaSuite(Key.omak(bytes(12))), subnet, node)


@given(place=st.integers(0, 13), bit=st.integers(0, 7))
def test_one_wrong_bit_breaks_a_request(place, bit):
    octets = bytearray(RequestMessage.seal(PartialRead(23, 0, 44), 77, SUITE, 2, 2).encode())
    octets[1 + place] ^= 1 << bit
    assert not RequestMessage.decode(bytes(octets)).authentic(SUITE, 2, 2)


@given(place=st.integers(1, 24), bit=st.integers(0, 7))
def test_one_wrong_bit_breaks_a_response(place, bit):
    octets = bytearray(h(VECTOR["response"]) + h(VECTOR["digest"]))
    octets[place] ^= 1 << bit
    try:
        response = open_response(bytes(octets), FullRead(3), h(VECTOR["request"]), SUITE, 2, 2)
    except DecodeError:
        return
    assert response.result is ResultCode.AUTHENTICATION_FAILURE


def test_answer_to_another_request_is_refused():
    octets = h(VECTOR["response"]) + h(VECTOR["digest"])
    with pytest.raises(BadDigest, match="2/2"):
        open_response(octets, FullRead(3), h("00300003 7f30ea6e"), SUITE, 2, 2)


def test_refusal_of_a_meter_with_another_key_is_believed():
    covered = h(VECTOR["request"])
    octets = seal_response(Response(ResultCode.AUTHENTICATION_FAILURE), covered, OmaSuite(Key.omak(bytes(12))), 2, 2)
    assert open_response(octets, FullRead(3), covered, SUITE, 2, 2).result is ResultCode.AUTHENTICATION_FAILURE


def test_ok_write_response_repeats_the_request_digest_but_for_the_length_octet():
    """Zeroes do not change a digest; the length octet of the power line does."""
    message = RequestMessage.seal(FullWrite(7, b"\x01"), 5, SUITE, 2, 2)
    octets = seal_response(Response(ResultCode.OK), message.covered, SUITE, 2, 2)
    assert octets[:2] == b"\0\0" and octets[-8:] != message.digest


@given(st.binary(max_size=60))
def test_noise_raises_only_decode_errors(noise):
    with suppress(DecodeError):
        RequestMessage.decode(noise)
    with suppress(DecodeError):
        open_response(noise, FullRead(3), b"", SUITE, 2, 2)


@pytest.mark.parametrize("arguments", [{"apdu": 10}, {"read_data": 103}, {"write_data": 94}, {"read_data": 0}])
def test_limits_must_fit_each_other(arguments):
    with pytest.raises(ConfigurationError):
        Limits(**arguments)
