"""Messages of the power line under every suite: the published exchange, round trips, damage, replay, reflection, noise."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    AesSuite,
    BadDigest,
    ConfigurationError,
    DecodeError,
    FullRead,
    Key,
    Limits,
    Link,
    OmaSuite,
    Rc4Suite,
    Response,
    ResultCode,
)
from osgp.security import NO_TAG

pytestmark = pytest.mark.filterwarnings("ignore::osgp.WeakSecurityWarning")
h = bytes.fromhex
(VECTOR,) = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "digests.json").read_text())["plc"]
PLACE, ID = Link(2, 2), bytes(range(6))
OMA = OmaSuite(Key.omak(h(VECTOR["key"])))
BT03 = h("0020980031c300080000000000")


def make(name, key=0xDF):
    if name == "aes":
        return AesSuite(Key.psk(bytes((key,)) * 16), ID, PLACE, b"nonces of a commissioning, 32 by"[:32])
    omak = Key.omak(bytes((key,)) * 12)
    return OmaSuite(omak) if name == "oma" else Rc4Suite(omak)


SUITES = pytest.mark.parametrize("name", ["aes", "oma", "rc4"])
PDUS = st.binary(min_size=1, max_size=90)
NUMBERS = st.integers(0, 2**32 - 1)


def test_published_exchange_opens_and_comes_out_again():
    """A full read of BT03 and its thirteen octets, sealed with the published digest."""
    exchange = OMA.seal_request(FullRead(3).encode(), 0x7F30EA6D, PLACE)
    assert exchange.octets[:-8].hex() == VECTOR["request"]
    assert exchange.tag.hex() == "89dedf0585d31394"  # regression value, see the vectors
    octets = h(VECTOR["response"]) + h(VECTOR["digest"])
    assert Response.decode(exchange.open_response(octets), FullRead(3)) == Response(ResultCode.OK, BT03)
    at_the_meter = OMA.open_request(exchange.octets, PLACE)
    assert (at_the_meter.pdu, at_the_meter.sequence) == (h("300003"), 0x7F30EA6D)
    assert at_the_meter.seal_response(Response(ResultCode.OK, BT03).encode()) == octets


@SUITES
@given(pdu=PDUS, number=NUMBERS, answer=PDUS)
def test_both_directions_round_trip(name, pdu, number, answer):
    suite = make(name)
    asked = suite.seal_request(pdu, number, PLACE)
    heard = suite.open_request(asked.octets, PLACE)
    assert (heard.pdu, heard.sequence) == (pdu, number) and len(asked.octets) == len(pdu) + 13
    octets = heard.seal_response(answer)
    assert asked.open_response(octets) == answer and len(octets) == len(answer) + 9
    assert asked.open_response(heard.seal_refusal(b"\x0c\0\0\0\1")) == b"\x0c\0\0\0\1"
    assert heard.seal_response(answer) == octets  # a repeat is the same octets


@SUITES
@given(pdu=PDUS, data=st.data())
def test_any_flipped_bit_of_a_request_is_refused(name, pdu, data):
    octets = bytearray(make(name).seal_request(pdu, 77, PLACE).octets)
    place = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[place // 8] ^= 1 << place % 8
    with pytest.raises(DecodeError):
        make(name).open_request(bytes(octets), PLACE)


@SUITES
@given(answer=PDUS, refusal=st.booleans(), data=st.data())
def test_any_flipped_bit_of_a_response_is_refused(name, answer, refusal, data):
    suite = make(name)
    asked = suite.seal_request(b"\x30\0\3", 77, PLACE)
    heard = suite.open_request(asked.octets, PLACE)
    octets = bytearray(heard.seal_refusal(answer) if refusal else heard.seal_response(answer))
    place = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[place // 8] ^= 1 << place % 8
    try:
        opened = asked.open_response(bytes(octets))
    except DecodeError:
        return
    assert opened == b"\x0b"  # the one answer that is believed without a tag


@SUITES
def test_another_key_place_request_or_direction_is_refused(name):
    suite = make(name)
    asked = suite.seal_request(b"\x30\0\3", 77, PLACE)
    heard = suite.open_request(asked.octets, PLACE)
    answer = heard.seal_response(b"\0\0\1x")
    with pytest.raises(BadDigest):
        make(name, key=1).open_request(asked.octets, PLACE)
    for other in (Link(3, 2), Link(2, 3)):
        with pytest.raises(BadDigest, match=f"{other.subnet}/{other.node}"):
            suite.open_request(asked.octets, other)
    for other in (suite.seal_request(b"\x30\0\3", 78, PLACE), suite.seal_request(b"\x30\0\4", 77, PLACE)):
        with pytest.raises(DecodeError):
            other.open_response(answer)
    with pytest.raises(DecodeError):  # a request sent back as its answer
        asked.open_response(asked.octets)
    with pytest.raises(DecodeError):  # an answer sent to the meter as a request
        suite.open_request(answer + bytes(8), PLACE)


def test_aes_is_bound_to_domain_meter_and_commissioning():
    octets = make("aes").seal_request(b"\x30\0\3", 77, PLACE).octets
    key, nonces = Key.psk(b"\xdf" * 16), b"nonces of a commissioning, 32 by"[:32]
    assert AesSuite(key, ID, PLACE, nonces).open_request(octets, PLACE).pdu == b"\x30\0\3"
    for other in (
        AesSuite(key, ID, Link(2, 2, b"\1"), nonces), AesSuite(key, bytes(6), PLACE, nonces), AesSuite(key, ID, PLACE, bytes(32)),
    ):  # fmt: skip
        with pytest.raises(BadDigest):
            other.open_request(octets, other.link)


def test_aes_hides_what_oma_shows():
    pdu = h("3f0017000000002c")
    assert pdu in make("oma").seal_request(pdu, 1, PLACE).octets
    assert pdu[:3] not in make("aes").seal_request(pdu, 1, PLACE).octets
    first, second = (make("aes").seal_request(pdu, number, PLACE).octets[1:9] for number in (1, 2))
    assert first != second


def test_aes_nonce_never_seals_two_answers():
    suite = make("aes")
    heard = suite.open_request(suite.seal_request(b"\x30\0\3", 77, PLACE).octets, PLACE)
    heard.seal_response(b"\0")
    with pytest.raises(ConfigurationError, match="nonce"):
        heard.seal_response(b"\1")
    # Refusals may differ each time a request is replayed: they are in clear, under a MAC that needs no nonce.
    for refusal in (b"\x0c\0\0\0\1", b"\x0c\0\0\0\2"):
        assert heard.seal_refusal(refusal)[1:6] == refusal


def test_aes_agrees_with_the_ccm_of_rfc_3610_taken_by_hand():
    """Key, nonce and associated data put together here, octet by octet, and given to the library's CCM and to KBKDF by hand."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC

    def mac(key, octets):
        made = CMAC(AES(key))
        made.update(octets)
        return made.finalize()

    psk, nonces, link = b"\x42" * 16, bytes(range(32)), Link(3, 7, b"\x4f\x53\x47")
    context = h("4f5347000000 03 03 07") + ID + nonces
    # SP 800-108: one block, counter 1, label, 00, context, length in bits; all counters 32 bits
    key = mac(psk, h("00000001") + b"OSGP-ENC" + b"\0" + context + h("00000080"))
    suite = AesSuite(Key.psk(psk), ID, link, nonces)
    asked = suite.seal_request(b"hello", 0x01020304, link)
    sealed = AESCCM(key, tag_length=8).encrypt(b"\0" + ID + h("0000 01020304"), b"hello", h("03 07 00"))
    assert asked.octets == b"\0" + sealed[:5] + h("01020304") + sealed[5:]
    answer = AESCCM(key, tag_length=8).encrypt(b"\1" + ID + h("0000 01020304"), b"world", h("03 07 00") + sealed[5:])
    assert suite.open_request(asked.octets, link).seal_response(b"world") == b"\0" + answer
    mac_key = mac(psk, h("00000001") + b"OSGP-MAC" + b"\0" + context + h("00000080"))
    refusal = suite.open_request(asked.octets, link).seal_refusal(b"\x0c\0\0\0\1")
    assert refusal[-8:] == mac(mac_key, h("02 03 07 00") + sealed[5:] + b"\x0c\0\0\0\1")[:8]


@SUITES
def test_refusal_of_a_meter_with_another_key_is_believed(name):
    asked = make(name).seal_request(FullRead(3).encode(), 5, PLACE)
    assert asked.open_response(b"\0\x0b" + NO_TAG) == b"\x0b"
    for octets in (b"\0\x0c\0\0\0\1" + NO_TAG, b"\0\0" + NO_TAG, b"\0\1" + NO_TAG):
        with pytest.raises(BadDigest):
            asked.open_response(octets)


@SUITES
@given(noise=st.binary(max_size=60))
def test_noise_raises_only_decode_errors(name, noise):
    suite = make(name)
    asked = suite.seal_request(FullRead(3).encode(), 5, PLACE)
    for octets in (noise, b"\0" + noise):
        with suppress(DecodeError):
            suite.open_request(octets, PLACE)
        with suppress(DecodeError):
            asked.open_response(octets)


def test_ok_write_response_repeats_the_request_digest_but_for_the_length_octet():
    """Zeroes do not change a digest; the length octet of the power line does."""
    asked = OMA.seal_request(b"\x40\0\7\0\1\1", 5, PLACE)
    octets = asked.seal_response(b"\0")
    assert octets[:2] == b"\0\0" and octets[-8:] != asked.tag


@pytest.mark.parametrize("arguments", [{"apdu": 10}, {"read_data": 103}, {"write_data": 94}, {"read_data": 0}])
def test_limits_must_fit_each_other(arguments):
    with pytest.raises(ConfigurationError):
        Limits(**arguments)
