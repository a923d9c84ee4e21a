"""The service PDUs: known octets, round trip, noise."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    ConfigurationError,
    DecodeError,
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    Response,
    ResultCode,
    TruncatedMessage,
    UnknownService,
    decode_request,
)

h = bytes.fromhex
tables = st.integers(0, 0xFFFF)
offsets = st.integers(0, 0xFFFFFF)
data = st.binary(max_size=100)
requests = st.one_of(
    st.builds(FullRead, tables),
    st.builds(PartialRead, tables, offsets, st.integers(0, 0xFFFF)),
    st.builds(FullWrite, tables, data),
    st.builds(PartialWrite, tables, offsets, data),
)

# From the examples of the MEP guide: BT23, ET53 (id 0x0835), BT07 with EP17 (procedure 0x0811, little endian inside the data).
KNOWN = [
    ("3f0017000000002c", PartialRead(23, 0, 44)),
    ("3f08350000000005", PartialRead(2048 + 53, 0, 5)),
    ("3f08460000 8e0001", PartialRead(2048 + 70, 142, 1)),
    ("300003", FullRead(3)),
    ("400007000611080700f803", FullWrite(7, h("11080700f803"))),
    ("4f0834 01020a 0002 4300", PartialWrite(2048 + 52, 0x01020A, h("4300"))),
]


@pytest.mark.parametrize(("octets", "request_"), KNOWN)
def test_known_requests(octets, request_):
    assert request_.encode() == h(octets)
    assert decode_request(h(octets)) == request_


@pytest.mark.parametrize(
    ("octets", "asked", "response"),
    [
        ("00", FullWrite(7, b""), Response(ResultCode.OK)),
        ("0000056f00010100", PartialRead(2101, 0, 5), Response(ResultCode.OK, h("6f00010100"))),
        ("0c77635b90", PartialRead(23, 0, 44), Response(ResultCode.INVALID_SEQUENCE, sequence=0x77635B90)),
        ("05", FullRead(9), Response(ResultCode.INAPPROPRIATE_ACTION)),
        ("0b", FullRead(9), Response(ResultCode.AUTHENTICATION_FAILURE)),
    ],
)
def test_known_responses(octets, asked, response):
    assert response.encode() == h(octets)
    assert Response.decode(h(octets), asked) == response


def test_full_read_with_a_length_field_is_taken_too():
    assert decode_request(h("30 0003 000d")) == FullRead(3)


@given(requests)
def test_requests_round_trip(request_):
    assert decode_request(request_.encode()) == request_


@given(
    st.one_of(
        st.builds(Response, st.just(ResultCode.OK), data),
        st.builds(Response, st.just(ResultCode.INVALID_SEQUENCE), st.none(), st.integers(0, 2**32 - 1)),
        st.builds(Response, st.sampled_from([c for c in ResultCode if c not in (ResultCode.OK, ResultCode.INVALID_SEQUENCE)])),
    )
)
def test_responses_round_trip(response):
    assert Response.decode(response.encode(), FullRead(0)) == response


@given(st.binary(max_size=40))
def test_noise_raises_only_decode_errors(noise):
    with suppress(DecodeError):
        decode_request(noise)
    for asked in (FullRead(1), FullWrite(1, b"")):
        with suppress(DecodeError):
            Response.decode(noise, asked)


@given(requests, st.data())
def test_every_cut_request_is_refused(request_, data):
    octets = request_.encode()
    cut = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(DecodeError):
        decode_request(octets[:cut])


def test_unknown_and_malformed_are_told_apart():
    with pytest.raises(UnknownService, match="0x77"):
        decode_request(h("77000000"))
    with pytest.raises(TruncatedMessage, match="partial read needs 8 octets, got 3"):
        decode_request(h("3f0017"))
    with pytest.raises(DecodeError, match="partial read has 8 octets, got 9"):
        decode_request(h("3f0017000000002c00"))


@pytest.mark.parametrize("make", [lambda: FullRead(65536), lambda: PartialRead(0, 1 << 24, 0), lambda: PartialRead(0, 0, 65536)])
def test_fields_that_do_not_fit_are_refused_at_birth(make):
    with pytest.raises(ConfigurationError):
        make()


def test_sequence_number_goes_with_0c_only():
    with pytest.raises(ConfigurationError):
        Response(ResultCode.INVALID_SEQUENCE)
    with pytest.raises(ConfigurationError):
        Response(ResultCode.ERROR, sequence=1)
    with pytest.raises(ConfigurationError):
        Response(ResultCode.ERROR, data=b"")
