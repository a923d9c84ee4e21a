"""A small share of benchmarks/port_fuzz.py: no exception, nothing served without a key, no slow path, still serving."""

import os

import fuzz_chunks
import port_fuzz
import pytest


@pytest.mark.parametrize("keys", [False, True], ids=["stranger", "key holder"])
@pytest.mark.parametrize("port, requests", [("plc", 2500), ("optical", 4000), ("mep", 1500)])
def test_a_port_withstands_noise_damage_and_strange_requests(port, requests, keys):
    outcome = port_fuzz.fuzz(port, requests, 11, keys)
    assert not outcome.problems and outcome.requests == requests
    assert (outcome.served > requests // 4) is keys
    assert len(outcome.results) >= (5 if keys else 3)


def test_the_judge_notices_a_write_that_no_table_allows():
    outcome = port_fuzz.Outcome()
    meter = port_fuzz.Meter()
    watch = port_fuzz.Watch(meter, outcome)
    session = port_fuzz.osgp.Session(port_fuzz.AccessLevel.MBK, port_fuzz.Port.MEP1)
    watch._serve = lambda pdu, session, now, max_response: port_fuzz.osgp.Response(port_fuzz.ResultCode.OK)
    meter.serve(b"\x40\x00\x17\x00\x00", session, 0.0, max_response=100)
    assert sum(outcome.problems.values()) == 2 and not outcome.passed


def test_a_replay_that_is_served_is_noticed():
    outcome = port_fuzz.Outcome()
    fuzzer = port_fuzz.PortFuzz("plc", 12, True, outcome)
    for _ in range(300):
        fuzzer.one()
    assert outcome.served and not outcome.problems
    fuzzer.watch.replays = True
    fuzzer.meter.serve(b"\x30\0\1", port_fuzz.osgp.Session(port_fuzz.AccessLevel.OMAK, port_fuzz.Port.PLC), fuzzer.now)
    assert outcome.problems["a replay was served"] == 1


class Sleeper:
    """Takes no time but once, and that only in the first process that does it."""

    text = "slow"

    def __init__(self, always: bool) -> None:
        self.calls, self.always, self.process = 0, always, os.getpid()

    def one(self) -> float:
        self.calls += 1
        return 50.0 if self.calls == 7 and (self.always or os.getpid() == self.process) else 0.1

    def between(self) -> None:
        pass


@pytest.mark.parametrize("always", [False, True])
def test_what_was_slow_by_chance_is_not_slow_when_tried_again(always):
    timing = fuzz_chunks.run(Sleeper(always), 20, chunk=10)
    assert timing.requests == 20 and timing.tried_again == 1
    assert timing.slow == int(always) and (timing.worst_ms > 10.0) is always
