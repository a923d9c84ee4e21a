"""Random and mutated frames into a node; `benchmarks/stack_noise.py` does the same ten million times."""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack_noise import Noise, NoisyNode, recorded_frames, run

from mac import DecodeError, DropReason, Lpdu, LpduHeader, Npdu, Spdu, SpduType, SubnetNode, Tpdu


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
    assert statistics.accepted + statistics.frames_dropped == statistics.frames == 1


def test_flood_on_a_line_without_a_gap_piles_up_nothing(make_node, domain):
    node = make_node(7, receive_code=0)
    node.on_channel(True, 0.0)
    for number in range(3000):
        pdu = Spdu(SpduType.REQUEST, number % 16, number % 3 == 0, number.to_bytes(3, "big"))
        npdu = Npdu(SubnetNode(1, 9), SubnetNode(1, 7), domain, pdu)
        node.receive_frame(Lpdu(LpduHeader(), npdu).encode(), number * 0.05)
        while (event := node.next_event()) is not None:
            node.respond(event.request_id, b"\x05", number * 0.05)
    assert node.frames_waiting == 64
    dropped = node.statistics.drops[DropReason.NO_OUTPUT_BUFFER]
    assert dropped == node.statistics.lost == 3000 - 64
    assert node.statistics.frames_dropped == 0


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
