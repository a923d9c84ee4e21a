"""A small share of benchmarks/port_fuzz.py: no exception, nothing served without a key, no slow path, still serving."""

import port_fuzz
import pytest


@pytest.mark.parametrize("keys", [False, True], ids=["stranger", "key holder"])
@pytest.mark.parametrize("port, requests", [("optical", 4000), ("mep", 1500)])
def test_a_port_withstands_noise_damage_and_strange_requests(port, requests, keys):
    outcome = port_fuzz.fuzz(port, requests, 11, keys)
    assert not outcome.problems and outcome.requests == requests
    assert (outcome.served > requests // 20) is keys or port == "optical"
    assert len(outcome.results) >= (5 if keys else 3)


def test_the_judge_notices_a_write_that_no_table_allows():
    outcome = port_fuzz.Outcome()
    meter = port_fuzz.Meter()
    watch = port_fuzz.Watch(meter, outcome)
    session = port_fuzz.osgp.Session(port_fuzz.AccessLevel.MBK, port_fuzz.Port.MEP1)
    watch._serve = lambda pdu, session, now, max_response: port_fuzz.osgp.Response(port_fuzz.ResultCode.OK)
    meter.serve(b"\x40\x00\x17\x00\x00", session, 0.0, max_response=100)
    assert sum(outcome.problems.values()) == 2 and not outcome.passed
