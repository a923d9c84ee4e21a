"""A few thousand of the requests of benchmarks/meter_fuzz.py, and noise."""

from hypothesis import given, settings
from hypothesis import strategies as st
from meter_fuzz import LEVELS, fuzz

from osgp import Meter, MeterConfig, Session


def test_random_requests_do_no_harm():
    found = fuzz(4000, seed=7)
    assert not found.wrong
    assert found.answers["OK"] > 800 and found.answers["INSUFFICIENT_SECURITY"] > 400 and found.answers["ERROR"] > 400


METER = Meter(MeterConfig())


@settings(max_examples=200)
@given(st.binary(max_size=80), st.sampled_from(LEVELS))
def test_noise_is_answered(pdu, who):
    level, port = who
    response = METER.serve(pdu, Session(level, port), METER.now)
    assert response.encode()[0] == response.result
