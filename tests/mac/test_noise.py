"""Random and mutated frames into a node; `benchmarks/stack_noise.py` does the same ten million times."""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack_noise import Noise, NoisyNode, recorded_frames, run

from mac import DecodeError, DropReason, Lpdu, Spdu, Tpdu


@pytest.mark.parametrize("oma", [False, True])
def test_noise_corrupts_nothing_and_every_frame_has_a_fate(oma):
    noisy = NoisyNode(5, oma)
    assert list(run(noisy, 12_000, 4_000, seed=5)) == [0] * 3, noisy.violations
    statistics = noisy.node.statistics
    assert statistics.accepted > 1000, "so noise got deep into the stack"
    assert set(statistics.drops) >= {
        DropReason.UNKNOWN_PDU,
        DropReason.MALFORMED,
        DropReason.TRUNCATED,
        DropReason.TOO_SHORT,
        DropReason.FOREIGN_DOMAIN,
        DropReason.OWN_SOURCE,
        DropReason.NOT_ADDRESSED,
        DropReason.LATE_ANSWER,
        DropReason.AUTHENTICATION,
        DropReason.STRAY_REMINDER,
        DropReason.UNKNOWN_MESSAGE,
    }


@given(st.binary(max_size=60))
def test_any_octets_are_accepted_or_dropped_under_a_reason(octets):
    noisy = NoisyNode(1)
    noisy.node.receive_frame(octets, 1.0)
    statistics = noisy.node.statistics
    assert statistics.accepted + statistics.drops.total() == statistics.frames == 1


def test_the_noise_is_what_it_says():
    frames = list(Noise(Random(1), recorded_frames()).frames(3000))
    decoded = []
    for octets in frames:
        with suppress(DecodeError):
            decoded.append(Lpdu.decode(octets).npdu)
    assert 0.3 < len(decoded) / len(frames) < 0.8, "neither all good nor all bad"
    numbered = [npdu.pdu for npdu in decoded if isinstance(npdu.pdu, Tpdu | Spdu)]
    assert {type(pdu.type).__name__ + "." + pdu.type.name for pdu in numbered} >= {
        "TpduType.ACKD",
        "TpduType.REM_MSG",
        "TpduType.REMINDER",
        "SpduType.REQUEST",
        "SpduType.RESPONSE",
        "SpduType.REM_MSG",
    }
