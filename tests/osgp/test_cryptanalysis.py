"""The published attacks on the RC4 era, through the ordinary ports of our own meter, against the numbers of the papers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import ConfigurationError, Key, KeyRing, Link, Meter, MeterConfig, OmaSuite, PartialRead, oma_digest
from osgp.cryptanalysis import oma_digests, recover_by_oracle, recover_by_verification, recover_rc4_key
from osgp.mep.frame import frame
from osgp.meter import MepPort
from osgp.security import MepSuite
from osgp.security.rc4 import mep_base_key, packet_key, rc4

PLC_KEY, MEP_KEY = bytes.fromhex("8d1f00a7c3e95b42706f11d4"), b"a MEP key of 20 char"


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=60))
@settings(max_examples=8)
def test_verification_takes_one_query_a_bit(key, message):
    for secret in (key, key[:12]):
        answers = []

        def verify(octets, digest, secret=secret, answers=answers):
            answers.append(oma_digest(secret, octets) == digest)
            return answers[-1]

        found = recover_by_verification(message, oma_digest(secret, message), verify, len(secret))
        assert found is not None and found.key == secret and found.queries == len(answers) == 8 * len(secret)


@pytest.mark.parametrize(("guessed", "queries"), [(0, 13), (8, 7), (14, 6)])
def test_a_digest_oracle_gives_the_power_line_key_away(guessed, queries):
    """13 queries: the paper's first variant. Its 4 queries and 2^25 steps are guessed = 24, a quarter of a minute."""
    rng = np.random.default_rng(guessed)
    for _ in range(5):
        key = rng.bytes(12)
        found = recover_by_oracle(lambda block, key=key: oma_digest(key, block), rng.bytes(144), 0, 143, 12, guessed)
        assert found is not None and (found.key, found.queries) == (key, queries)


def test_oracle_of_a_mep_key_takes_17_queries():
    key = bytes(range(40, 56))
    found = recover_by_oracle(lambda block: oma_digest(key, block), bytes(192), 0, 191, 16, 0)
    assert found is not None and (found.key, found.queries) == (key, 17)


def test_a_lying_oracle_gives_nothing():
    rng = np.random.default_rng(1)
    assert recover_by_oracle(lambda block: rng.bytes(8), bytes(144), 0, 143, 12, 0) is None
    assert recover_by_verification(b"x", bytes(8), lambda octets, digest: True, 12) is None


def test_what_cannot_be_chosen_is_told():
    with pytest.raises(ConfigurationError, match=r"octets 3\.\.60 leave"):
        recover_by_oracle(lambda block: bytes(8), bytes(144), 3, 60, 12, 16)


LIMIT, NODE = 114, Link(2, 2)


def plc_oracle(meter):
    """0x0B of a meter that digests its refusals, to a request of the longest kind: octets 3..107 of the block are ours."""

    def ask(block):
        answer = meter.receive_request(block[2:108] + bytes(8), NODE.subnet, NODE.node, 1.0)
        assert answer[:2] == b"\0\x0b"
        return answer[2:]

    return ask


def test_a_meter_that_digests_its_refusals_loses_its_key_in_five_messages():
    """The messages fit the power line's 114 octets, the meter's lock-out (30 failures) never sees them coming."""
    meter = Meter(MeterConfig(security="oma", key=Key.omak(PLC_KEY), digests_refusals=True, firmware=(4, 30, 0)))
    meter.store.update("ET55", {"plc_lockout_threshold": 30, "plc_lockout_minutes": 60})
    base = bytes((NODE.subnet, NODE.node, 0)) + bytes(105) + b"\0\x0b\x02" + bytes(33)
    found = recover_by_oracle(plc_oracle(meter), base, 3, 107, 12, 16)
    assert found is not None and (found.key, found.queries) == (PLC_KEY, 5)
    assert (meter.plc.lockout.lockouts, meter.plc.lockout.failures, meter.plc.lockout.threshold) == (0, 5, 30)
    stranger = OmaSuite(Key.omak(found.key)).seal_request(PartialRead(23, 0, 44).encode(), meter.sequence + 1, NODE)
    answer = meter.receive_request(stranger.octets, NODE.subnet, NODE.node, 2.0)
    assert stranger.open_response(answer)[0] == 0


@pytest.mark.parametrize("mode", ["oma", "aes", "auto"])
def test_our_meters_tell_a_stranger_no_digest(mode):
    meter = Meter(MeterConfig(security=mode, key=Key.omak(PLC_KEY)))
    for octets in (bytes(20), b"\0" + bytes(200), bytes(9), b"\1\1" + bytes(16), b"\1\3" + bytes(16)):
        answer = meter.receive_request(octets, 2, 2, 1.0) or bytes(8)
        assert answer[-8:] == bytes(8) or answer[:2] == b"\1\2"  # the nonce and proof of a commissioning


def test_mep_port_confirms_its_own_key_away_in_128_messages():
    """One recorded request, then 0x0B or 0x0C. A rule of so many failures in a row would not see it: right guesses reset it."""
    mak = Key(MEP_KEY, "MAK")
    meter = Meter(MeterConfig())
    server = MepPort(meter, KeyRing(mak=mak)).server()
    recorded = MepSuite((mak,)).seal_request(PartialRead(23, 0, 44).encode(), 0x77635B91).octets
    now, refused_in_a_row, worst = 0.0, 0, 0

    def verify(message, digest):
        nonlocal now, refused_in_a_row, worst
        now += 0.2
        server.receive_octets(frame(message + digest), now)
        answer = server.octets_to_send(now)
        taken = answer[2] != 0x0B
        refused_in_a_row = 0 if taken else refused_in_a_row + 1
        worst = max(worst, refused_in_a_row)
        return taken

    found = recover_by_verification(recorded[:-8], recorded[-8:], verify, 16)
    assert found is not None and (found.key, found.queries) == (MEP_KEY[:16], 128)
    assert worst < 30


def rc4_traffic(key, count):
    """Digests and key streams of so many encrypted reads of one table."""
    messages = np.zeros((count, 12), np.uint8)
    messages[:, :8] = np.frombuffer(PartialRead(23, 0, 44).encode(), np.uint8)
    messages[:, 8:] = (np.arange(count, dtype=np.uint32) + 77).astype(">u4").view(np.uint8).reshape(count, 4)
    digests = oma_digests(key, messages)
    assert digests[3].tobytes() == oma_digest(key, messages[3].tobytes())
    base = mep_base_key(key)
    streams = b"".join(rc4(packet_key(base, digest.tobytes()), bytes(15)) for digest in digests)
    return digests, np.frombuffer(streams, np.uint8).reshape(count, 15)


def test_ninety_thousand_messages_give_the_rc4_key():
    digests, streams = rc4_traffic(MEP_KEY[:16], 90_000)
    assert recover_rc4_key(digests, streams) == mep_base_key(MEP_KEY[:16])
    assert recover_rc4_key(digests[:2000], streams[:2000]) is None
