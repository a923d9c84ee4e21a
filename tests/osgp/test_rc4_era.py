"""RC4, its key derivations, the EN 14908 transforms and the MEP port's messages, against published and regression values."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import BadDigest, ConfigurationError, Key, MepSuite, TruncatedMessage
from osgp.security import NO_TAG
from osgp.security.en14908 import destination, oma_reply, transform
from osgp.security.mep import unsealed
from osgp.security.rc4 import mep_base_key, packet_key, plc_base_key, rc4

FOLDER = Path(__file__).parents[1] / "vectors" / "osgp"
VECTORS = json.loads((FOLDER / "security.json").read_text())
DIGESTS = [vector for vector in json.loads((FOLDER / "digests.json").read_text())["mep"] if not vector["unverified"]]
h = bytes.fromhex
pytestmark = pytest.mark.filterwarnings("ignore::osgp.WeakSecurityWarning")
MAK = Key(b"\x01" * 16, "MAK")
PDUS = st.binary(min_size=1, max_size=120)


@pytest.mark.parametrize("vector", DIGESTS, ids=lambda vector: vector["name"])
def test_published_mep_messages_come_out_and_open(vector):
    clear = h(vector["request"])
    asked = MepSuite((MAK,)).seal_request(clear[:-4], int.from_bytes(clear[-4:], "big"))
    assert asked.octets == clear + h(vector["request_digest"])
    answer = h(vector["response"]) + h(vector["response_digest"])
    assert asked.open_response(answer) == h(vector["response"])
    heard = MepSuite((MAK,)).open_request(asked.octets)
    assert (heard.pdu, heard.level, heard.encrypted) == (clear[:-4], "MAK", False)
    assert heard.seal_response(h(vector["response"])) == answer


def test_regression_values_of_mep_encryption():
    vector = VECTORS["mep_rc4"]
    base = mep_base_key(h(vector["key"]))
    assert base.hex() == vector["encrypt_key"] and packet_key(base, h(vector["request_digest"])).hex() == vector["packet_key"]
    clear = h(vector["request_plain"])
    asked = MepSuite((MAK,), encrypts=True).seal_request(clear[:-4], int.from_bytes(clear[-4:], "big"))
    assert asked.octets.hex() == vector["request_frame"][4:]
    heard = MepSuite((MAK,), encrypts=True).open_request(asked.octets)
    sealed = heard.seal_response(h(vector["response_plain"]))
    assert heard.encrypted and sealed[:-8].hex() == vector["response_cipher_same_keystream"]


@pytest.mark.parametrize("vector", VECTORS["plc_key_derivation"], ids=lambda vector: vector["omak"])
def test_regression_values_of_the_power_line_key(vector):
    omak = h(vector["omak"])
    assert plc_base_key(omak).hex() == vector["base_key"]
    whole = plc_base_key(omak, whole=True)
    assert whole[:8] == plc_base_key(omak)[:8]
    assert (whole[8:] == plc_base_key(omak)[8:]) is (omak[:6] == omak[6:])


def test_regression_value_of_the_power_line_packet_key():
    vector = VECTORS["plc_request_digest"]
    assert packet_key(plc_base_key(h(vector["omak"])), h(vector["digest"])).hex() == vector["packet_key"]


def test_transforms_of_en_14908():
    vector = VECTORS["en14908_challenge"]
    assert transform(h(vector["key6"]), h(vector["random"]), h(vector["message"])).hex() == vector["response"]
    vector = VECTORS["lon_oma_challenge"]
    to = h(vector["destination"])
    assert oma_reply(h(vector["key12"]), h(vector["random"]), to, h(vector["message"])).hex() == vector["response"]
    assert destination(domain=to[:6], subnet=2, node=2) == to
    assert destination(unique_node_id=b"abcdef") == b"abcdef\xff\xff\xff"
    assert destination(domain=b"O", group=7) == b"O" + bytes(5) + b"\x01\x07\xff"
    assert destination(domain=b"") == bytes(7) + b"\xff\xff"
    challenge = bytes(range(8))
    assert transform(bytes(6), challenge, b"") == challenge  # the LON stack's habit
    assert transform(bytes(6), challenge, b"", at_least_once=True) != challenge
    with pytest.raises(ConfigurationError):
        transform(bytes(7), challenge, b"x")


@given(key=st.sampled_from([6, 12]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
       challenge=st.binary(min_size=8, max_size=8), message=st.binary(min_size=1, max_size=200))  # fmt: skip
def test_transform_agrees_with_its_description_taken_literally(key, challenge, message):
    v, n = list(challenge), len(message)
    while n > 0:
        for i in range(6 if len(key) == 6 else 18):
            for j in range(7, -1, -1):
                n -= 1
                m = message[n] if n >= 0 else 0
                t = 255 - (v[j] + j) % 256
                turned = (t << 1 | t >> 7) & 255 if key[i % len(key)] >> (7 - j) & 1 else -((t >> 1) | (t & 1) << 7)
                v[j] = (v[(j + 1) % 8] + m + turned) % 256
    assert transform(key, challenge, message) == bytes(v)


@pytest.mark.parametrize("encrypts", [False, True])
@given(pdu=PDUS, number=st.integers(0, 2**32 - 1), answer=PDUS, mbk=st.booleans())
def test_mep_messages_round_trip_under_either_key(encrypts, pdu, number, answer, mbk):
    keys = (MAK, Key(b"basic key of 16!", "MBK"))
    asked = MepSuite((keys[mbk],), encrypts).seal_request(pdu, number)
    heard = MepSuite(keys, encrypts=True).open_request(asked.octets)
    assert (heard.pdu, heard.sequence, heard.level, heard.encrypted) == (pdu, number, keys[mbk].kind, encrypts)
    for sealed in (heard.seal_response(answer), heard.seal_refusal(answer)):
        assert asked.open_response(sealed) == answer


@pytest.mark.parametrize("encrypts", [False, True])
@given(pdu=PDUS, data=st.data())
def test_any_flipped_bit_of_a_mep_message_is_refused(encrypts, pdu, data):
    suite = MepSuite((MAK, Key(b"basic key of 16!", "MBK")), encrypts)
    asked = suite.seal_request(pdu, 5)
    octets = bytearray(asked.octets)
    place = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[place // 8] ^= 1 << place % 8
    with pytest.raises(BadDigest):
        suite.open_request(bytes(octets))


def test_encrypted_requests_are_taken_only_where_that_is_switched_on():
    asked = MepSuite((MAK,), encrypts=True).seal_request(b"\x30\0\x17", 5)
    with pytest.raises(BadDigest):
        MepSuite((MAK,)).open_request(asked.octets)


def test_refusal_for_authentication_comes_in_clear_and_without_digest():
    asked = MepSuite((MAK,), encrypts=True).seal_request(b"\x30\0\x17", 5)
    assert unsealed(b"\x0b") == b"\x0b" + NO_TAG and asked.open_response(unsealed(b"\x0b")) == b"\x0b"
    with pytest.raises(BadDigest):
        asked.open_response(unsealed(b"\x0c"))
    with pytest.raises(TruncatedMessage):
        asked.open_response(bytes(8))
    with pytest.raises(TruncatedMessage):
        MepSuite((MAK,)).open_request(bytes(12))


@given(st.binary(max_size=60))
def test_mep_noise_raises_only_decode_errors(noise):
    suite = MepSuite((MAK,), encrypts=True)
    with pytest.raises((BadDigest, TruncatedMessage)):
        suite.open_request(noise)


def test_rc4_is_the_one_of_rfc_6229():
    """Key 0102030405, first 16 octets of the stream and those at 240."""
    key = h("0102030405")
    assert rc4(key, bytes(16)).hex() == "b2396305f03dc027ccc3524a0a1118a8"
    assert rc4(key, bytes(16), skip=240).hex() == "28cb1132c96ce286421dcaadb8b69eae"
