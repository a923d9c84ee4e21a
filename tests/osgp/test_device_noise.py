"""Noise against the control outputs, sub-meters, download and display: nothing raises, time goes on, a restart works."""

import datetime
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import AccessLevel, FullRead, FullWrite, Meter, MeterConfig, MeteringSettings, OsgpError, PartialWrite, Port, Session
from osgp.mbus import heat_meter, water_meter
from osgp.meter import Contactor, ControlSettings, Display, Fault, Faults, ProfileSettings

MK = Session(AccessLevel.MK, Port.OPTICAL)
MAK = Session(AccessLevel.MAK, Port.MEP1)
PROCEDURES = [2050, 2065, 2066, 2067, 2087, 2138, 2139, 2140, 2141]
TABLES = [33, 2053, 2055, 2061, 2078, 2082, 2098, 2103, 2105, 2109, 2110, 2128, 2145]
SMALL = st.one_of(st.binary(max_size=12), st.integers(0, 3).map(lambda n: bytes((n,))), st.binary(min_size=60, max_size=80))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.sampled_from(PROCEDURES), SMALL),
        st.tuples(st.just("write"), st.sampled_from(TABLES), st.tuples(st.integers(0, 350), SMALL)),
        st.tuples(st.just("read"), st.sampled_from([*TABLES, 2062, 2063, 2071, 2093, 2094, 2102, 2137]), st.none()),
        st.tuples(st.just("wait"), st.integers(0, 60_000), st.none()),
        st.tuples(st.just("power"), st.integers(1, 20_000), st.none()),
    ),
    max_size=14,
)


@pytest.mark.parametrize("firmware", [(2, 12, 0), (3, 60, 1), (4, 60, 0)])
@settings(max_examples=8)
@given(steps=STEPS)
def test_noise_of_a_host_changes_only_what_it_may(firmware, steps):
    meter = Meter(MeterConfig(
        start=datetime.datetime(2024, 3, 30), firmware=firmware, mbus=(water_meter(1), heat_meter(2)),
        control=ControlSettings(relays=2, prepay=True, credit=5000, power_limits=True, max_power=(3000, 100)),
        metering=MeteringSettings(profile=(ProfileSettings(channels=(0, 73, 76), blocks=2),)),
        faults=Faults(frozenset((Fault.ABSURD_VALUES, Fault.SEQUENCE_JUMPS))),
    ))  # fmt: skip
    now, sequence = 0.0, 0
    for number, (what, which, detail) in enumerate(steps):
        session = MK if number % 2 else MAK
        if what == "run":
            sequence = sequence % 250 + 1
            meter.serve(FullWrite(7, which.to_bytes(2, "little") + bytes((sequence,)) + detail).encode(), session, now)
        elif what == "write":
            meter.serve(PartialWrite(which, *detail).encode(), session, now)
        elif what == "read":
            meter.serve(FullRead(which).encode(), session, now)
        elif what == "wait":
            now += which / 1.7
            meter.advance(now)
        else:
            meter.power_down(now)
            now += which
            meter.power_up(now)
        meter.find(Contactor).press_button(now)
        meter.find(Display).press_button(now)
        assert str(meter.find(Display).shown(now)) is not None and list(meter.find(Display).screens(now)) is not None
    again = Meter(meter.config, saved=meter.saved())
    again.advance(now + 20_000.0)
    assert again.find(Contactor).switch.state in range(4)


@settings(max_examples=20)
@given(st.binary(max_size=80))
def test_foreign_states_are_refused_with_an_error_of_the_project(noise):
    meter = Meter(MeterConfig(firmware=(4, 60, 0)))
    for subsystem in meter.subsystems[-9:]:
        for octets in (noise, b"\x01" + noise, b"\x01{}", b"\x01[]"):
            with suppress(OsgpError):
                subsystem.restore(octets, 0.0)
