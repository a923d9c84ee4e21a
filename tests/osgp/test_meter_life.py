"""Weeks of a meter's life against an oracle that shares no code with it, and promises that hold whatever happens."""

import datetime as dt
import functools
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_oracle import expected, meter_of, observed, profile_of, scenario

from osgp import (
    ConstantLoad,
    DemandSettings,
    Disturbance,
    DisturbanceRates,
    Household,
    Mains,
    Meter,
    MeterConfig,
    MeteringSettings,
    ProfileSettings,
)
from osgp.meter.timing import Timing

HOUR = 3600.0
DAY = 24 * HOUR
LIFE = 0.9 * DAY


@pytest.mark.parametrize(
    ("seed", "start", "days"),
    [
        (1, dt.datetime(2024, 2, 20, 10, 17, 33), 16),  # leap day without power, a season
        (2, dt.datetime(2024, 3, 25, 23, 30), 9),  # daylight saving begins during an outage
        (3, dt.datetime(2024, 10, 20), 10),  # and ends
        (4, dt.datetime(2024, 12, 20, 7, 0, 1), 14),  # a special day, the end of the year
        (5, dt.datetime(2024, 4, 27), 8),  # the first of May; another season
    ],
)
def test_weeks_add_up_to_the_watt_hour(seed, start, days):
    """Registers, tariffs, load profile, self-reads, seasons and events of the tables, by hand-written offsets."""
    case = scenario(seed, start, days, 6)
    meter = meter_of(case)
    meter.advance(case.end_ms / 1000)
    truth, seen = expected(case), observed(meter, case.end_ms / 1000)
    assert seen.total == truth.total and seen.tiers == truth.tiers
    assert seen.profile == truth.profile
    assert seen.self_reads == truth.self_reads
    assert not truth.season or seen.season == truth.season
    assert seen.events == truth.events
    assert truth.total[0] > 1000 * days and truth.outages >= 3 and len(truth.self_reads) >= days - 3


def lively(firmware=(4, 30, 0), **metering):
    """A meter with everything switched on, on bad mains."""
    return Meter(
        MeterConfig(
            firmware=firmware, load=Household(3, phases=3, pv_peak=4000.0), start=dt.datetime(2024, 3, 30, 21),
            mains=Mains(rates=DisturbanceRates(400, 100, 600, 200, 100, 300), seed=4, disturbances=(
                Disturbance.outage(1800, 3600), Disturbance.voltage(9000, 30, 20, 1), Disturbance.voltage(20_000, 5, 80),
            )),
            metering=MeteringSettings(
                configuration={"consumption_tariff": True, "over_power_threshold": 1500, "over_power_seconds": 40,
                               "over_power_tier": 3, "step_tariff": True, "step_thresholds": (2000, 6000, 9000)},
                demand=DemandSettings((8, 9, 7), ((10, 0), (20, 0), (11, 1)), 5, 3), self_read_minute=90,
                profile=(
                    ProfileSettings((0, 1, 2, 3, 164, 170, 208), 15, 96, 10),
                    ProfileSettings((8, 15, 40, 88, 96, 73, 0x4000), 7, 50, 10, (3, 20), True),
                ),
                **metering,
            ),
        )
    )  # fmt: skip


@functools.cache
def lively_tables():
    """Tables of a lively meter that lived through its time in one go."""
    meter = lively()
    meter.advance(LIFE)
    assert meter.powered
    return {name: meter.octets(name, meter.now) for name in meter.store.known()}


@settings(max_examples=4)
@given(cuts=st.lists(st.floats(0.0, LIFE), min_size=1, max_size=25))
def test_every_table_is_the_same_however_time_is_cut(cuts):
    pieces = lively()
    for cut in sorted(cuts):
        pieces.advance(cut)
    pieces.advance(LIFE)
    for name, octets in lively_tables().items():
        assert octets == pieces.octets(name, pieces.now), name


@settings(max_examples=4)
@given(stops=st.lists(st.floats(60.0, LIFE), min_size=1, max_size=4))
def test_a_meter_restarted_from_its_saved_state_goes_on_as_if_nothing_had_happened(stops):
    restarted = lively()
    for stop in sorted(stops):
        restarted.advance(stop)
        restarted = Meter(restarted.config, saved=restarted.saved())
    restarted.advance(LIFE)
    for name, octets in lively_tables().items():
        assert octets == restarted.octets(name, restarted.now), name


STEP = st.one_of(
    st.tuples(st.just("advance"), st.floats(1.0, 8 * HOUR)),
    st.tuples(st.just("set"), st.integers(-90_000, 90_000)),
    st.tuples(st.just("slew"), st.integers(-300, 300)),
    st.tuples(st.just("outage"), st.floats(0.3, 6 * HOUR)),
    st.tuples(st.just("far"), st.sampled_from([-400, -40, 40, 400])),
)


@settings(max_examples=40)
@given(steps=st.lists(STEP, min_size=1, max_size=14))
def test_promises_hold_whatever_happens_to_the_clock_and_the_mains(steps):
    """Energy is conserved, sequence numbers go up by one, the profile's differences are the registers'."""
    watts = 1800
    meter = Meter(
        MeterConfig(
            load=ConstantLoad((float(watts),)), start=dt.datetime(2024, 6, 1, 12),
            metering=MeteringSettings(history_entries=2000, profile=(ProfileSettings((0, 40, 29), 15, 96, 30),)),
        )
    )  # fmt: skip
    timing, powered_s, sequence = meter.find(Timing), 0.0, 0
    for kind, amount in steps:
        before = meter.now
        if kind == "advance":
            meter.advance(before + amount)
            powered_s += meter.now - before
        elif kind == "outage":
            meter.power_down(before)
            meter.power_up(before + amount)
        elif kind == "slew":
            timing.slew(amount, meter.now)
        else:
            timing.set_clock(timing.utc(before) + dt.timedelta(**{"days" if kind == "far" else "seconds": amount}), before, 0)
        log = meter.table_octets("BT74", meter.now)
        now_sequence = int.from_bytes(log[5:9], "little")
        assert sequence <= now_sequence
        sequence = now_sequence
        total, tiers = meter.registers.total()[0], [tier[0] for tier in meter.registers.tiers()]
        assert total == sum(tiers) and abs(total - watts * powered_s / 3600) <= 1
    intervals = sorted(profile_of(meter, meter.now).items())
    values = [value for _, (_, code, value) in intervals if code != 4]
    assert all(forward == first + second for forward, second, first in values)
    unset = not any(kind in ("set", "far") for kind, _ in steps)
    if unset:
        assert values == sorted(values) and (not values or values[-1][0] <= meter.registers.total()[0])
        for (one, _), (other, _) in itertools.pairwise(intervals):
            assert other - one == dt.timedelta(minutes=15)
