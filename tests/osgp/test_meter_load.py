"""The load model and the registers: what is counted is the integral of the power."""

import datetime
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import ConfigurationError, ConstantLoad, Household, Mains, Meter, MeterConfig, MeteringSettings, Power
from osgp.meter.draw import FORWARD, Draw
from osgp.meter.load import DAY
from osgp.meter.measuring import Measuring
from osgp.meter.present import present_values
from osgp.meter.registers import Registers

DAY_0 = datetime.datetime(2024, 3, 4)  # 00:00 UTC


def counting(load, second=0, tariff=((0.0, 0),), initial=None, **metering):
    """A meter that starts at a second of a day (UTC is local time here)."""
    return Meter(
        MeterConfig(
            load=load, start=DAY_0 + datetime.timedelta(seconds=second), utc_offset=0, tariff=tariff,
            initial_registers=initial or {}, metering=MeteringSettings(**metering),
        )
    )


def riemann(load, start, end):
    """Energies in Wh and varh by adding up the power second by second: exact, since steps lie on whole seconds."""
    sums = [0.0] * 4
    for second in range(start, end):
        power = load.power(second + 0.5)
        p, q = sum(power.active), sum(power.reactive)
        for position, part in enumerate((max(p, 0), max(-p, 0), max(q, 0), max(-q, 0))):
            sums[position] += part / 3600
    return sums


@pytest.mark.parametrize(("phases", "pv_peak"), [(1, 0.0), (3, 4000.0)])
def test_registers_hold_the_integral_of_the_load(phases, pv_peak):
    """Independent truth: a sum over the power of every second of a day and a half, across midnight."""
    start, duration = 18 * 3600, 36 * 3600
    expected = riemann(Household(5, phases=phases, pv_peak=pv_peak), start, start + duration)
    meter = counting(Household(5, phases=phases, pv_peak=pv_peak), start)
    meter.advance(duration)
    assert meter.registers.total()[:4] == tuple(int(one + 1e-6) for one in expected)
    assert expected[0] > 3000 and (pv_peak == 0 or expected[1] > 1000)


@settings(max_examples=30)
@given(second=st.integers(0, 2 * DAY), part=st.integers(0, 999))
def test_energy_at_any_instant_is_the_integral(second, part):
    """What flows in a fraction of a second, against the power there."""
    load = Household(7, pv_peak=2500.0)
    flow = Draw(load).between(1000 * second, 1000 * second + part)
    assert flow[FORWARD] == max(sum(load.power(second).active), 0) * part


def test_energy_is_counted_from_midnight():
    flow = Draw(Household(7, pv_peak=2500.0)).between(0, 40_000_000)
    gained = (flow[0], flow[1], flow[2] + flow[3], flow[4] + flow[5])
    assert [one / 3_600_000 for one in gained] == pytest.approx(riemann(Household(7, pv_peak=2500.0), 0, 40_000))


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 3 * DAY * 1000), max_size=8))
def test_flows_add_up_however_a_stretch_is_cut(cuts):
    draw = Draw(Household(3, phases=3, pv_peak=2500.0, heat_pump=1500.0, car=4000.0, first_day=40))
    edges = [0, *sorted(cuts), 3 * DAY * 1000]
    parts = [draw.between(start, end) for start, end in itertools.pairwise(edges)]
    assert tuple(map(sum, zip(*parts, strict=True))) == draw.between(0, 3 * DAY * 1000)


def test_a_meter_counts_what_its_home_draws():
    meter = Meter(MeterConfig(seed=9, initial_registers={"forward_active_wh": 12345678}))
    origin = round(meter.config.second_of_day())
    meter.advance(7200.0)
    expected = riemann(Household(9), origin, origin + 7200)
    assert meter.registers.total()[0] == 12345678 + int(expected[0] + 1e-6)


def test_constant_load_counts_its_kilowatt():
    meter = counting(ConstantLoad((1000.0, -250.0), (-100.0, 0.0)), 100)
    meter.advance(2 * 3600)
    assert meter.registers.total()[:8] == (1500, 0, 0, 200, 0, 0, 1500, 1500)


def test_quadrants_add_up_to_import_and_export():
    meter = counting(Household(5, phases=3, pv_peak=6000.0))
    meter.advance(2 * DAY)
    value = meter.registers.value
    assert abs(value(108) + value(109) - value(2)) <= 1 and abs(value(110) + value(111) - value(3)) <= 1
    assert all(value(identifier) > 0 for identifier in (2, 3, 109, 110))


@settings(max_examples=15)
@given(cuts=st.lists(st.floats(0.0, 100_000.0), max_size=20))
def test_result_does_not_depend_on_how_often_it_is_advanced(cuts):
    tariff = ((0.0, 2), (6.5, 0), (22.0, 2))
    whole, pieces = (counting(Household(2, pv_peak=3000.0), 5000, tariff) for _ in range(2))
    whole.advance(100_000.0)
    for cut in sorted(cuts):
        pieces.advance(cut)
    pieces.advance(100_000.0)
    for name in whole.store.known():
        assert whole.table_octets(name, 100_000.0) == pieces.table_octets(name, 100_000.0), name


@settings(max_examples=10)
@given(hours=st.floats(0.1, 60.0), tariff=st.sampled_from([((0, 0),), ((7, 0), (23, 1)), ((5.25, 3), (12, 1), (18.7, 2))]))
def test_tariffs_add_up_to_the_total(hours, tariff):
    meter = counting(Household(3, pv_peak=2000.0), 0, tariff)
    meter.advance(hours * 3600)
    for position in range(4):
        assert sum(tier[position] for tier in meter.registers.tiers()) == meter.registers.total()[position]


def test_energy_goes_to_the_tariff_in_force():
    """1 kW from 06:00 to 24:00 with tariff 0 from 7 and tariff 1 from 23: 16 kWh and 2 kWh."""
    meter = counting(ConstantLoad((1000.0,)), 6 * 3600, ((7.0, 0), (23.0, 1)), {"forward_active_wh": (1, 2, 3, 4)})
    meter.advance(18 * 3600.0)
    assert [tier[0] for tier in meter.registers.tiers()] == [16_001, 2_002, 3, 4]
    assert meter.registers.total()[0] == 18_010


def test_difference_of_forward_and_reverse_stops_at_zero():
    meter = counting(ConstantLoad((-500.0,)), 0, initial={"forward_active_wh": 100})
    meter.advance(3600.0)
    assert meter.registers.total()[6:8] == (600, 0)


@pytest.mark.parametrize(("digits", "start", "end"), [(9, 999_999_999, 1999), (5, 99_999, 1999), (9, 5, 2005)])
def test_registers_roll_over_after_their_digits(digits, start, end):
    meter = counting(ConstantLoad((2000.0,)), 0, initial={"forward_active_wh": start}, rollover_digits=digits)
    meter.advance(3600.0)
    assert meter.registers.total()[0] == end


@pytest.mark.parametrize(("unit", "ratio", "expected"), [(1, 1, 7), (10, 1, 0), (10, 40, 29), (100, 1000, 73)])
def test_units_and_ratios_keep_their_remainders(unit, ratio, expected):
    """2 W for 3 h 40 min are 7.333 Wh."""
    meter = counting(ConstantLoad((2.0,)), 0, energy_unit=unit, transformer_ratio=ratio)
    for minute in range(1, 221):
        meter.advance(60.0 * minute)
    assert meter.registers.total()[0] == expected


def test_pulses_are_counted_by_rate_and_by_hand():
    meter = counting(ConstantLoad((0.0,)), 0, pulses_per_hour=(3, 0))
    meter.advance(4.5 * 3600)
    meter.find(Measuring).pulse(1, meter.now, 5)
    assert meter.registers.total()[8:10] == (13, 5)


def test_time_that_goes_back_changes_nothing():
    meter = Meter(MeterConfig(load=ConstantLoad((3600.0,))))
    meter.advance(10.0)
    meter.advance(5.0)
    assert meter.now == 10.0 and meter.registers.total()[0] == 10


def test_homes_differ_by_seed_and_repeat_by_seed():
    homes = [Household(seed) for seed in (1, 1, 2)]
    powers = [[home.power(t).active for t in range(0, DAY, 97)] for home in homes]
    assert powers[0] == powers[1] != powers[2]


@settings(max_examples=40, deadline=None)
@given(at=st.floats(0.0, 3 * DAY), phases=st.sampled_from([1, 3]))
def test_present_values_agree_with_each_other(at, phases):
    load = Household(4, phases=phases, pv_peak=3000.0)
    power, values = load.power(at), present_values(load.power(at), Mains(), at)
    assert values[8] - values[9] == round(sum(power.active))
    assert values[10] - values[11] == round(sum(power.reactive))
    for phase in range(3):
        volt_amperes = values[15 + phase] / 1000 * values[12 + phase] / 1000
        assert values[185 + phase] <= volt_amperes + 1
        assert 0 <= values[(18, 21, 22)[phase]] <= 1000
        assert (values[15 + phase] > 200_000) is (phase < phases)
    assert sum(values[quadrant] for quadrant in range(104, 108)) == pytest.approx(sum(map(abs, power.reactive)), abs=2)
    assert abs(values[19] - 50_000) < 50


def test_load_pulls_the_voltage_down():
    mains = Mains(resistance=0.5)
    idle, loaded = (present_values(Power((w,), (0.0,)), mains, 60.0)[15] for w in (0.0, 2300.0))
    assert idle - loaded == pytest.approx(5000, abs=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Household(phases=2),
        lambda: Household(pv_peak=-1.0),
        lambda: Household(size=0.0),
        lambda: Household().power(-1.0),
        lambda: Household(car=-1.0),
        lambda: Household(first_day=0),
        lambda: Draw(Household()).between(-1, 5),
        lambda: counting(ConstantLoad(), 0, ((9.0, 0), (7.0, 1))),
        lambda: counting(ConstantLoad(), 0, ((9.0, 4),)),
        lambda: counting(ConstantLoad(), 0, ()),
        lambda: Registers({"forward_active_wh": -1}),
        lambda: Registers({"forward_plus_reverse_wh": 1}),
        lambda: Registers({"current_l1_ma": 1}),
        lambda: Registers({"forward_active_wh": (1, 2)}),
        lambda: Registers(unit=2),
        lambda: Registers(digits=4),
        lambda: Registers(tiers=5),
        lambda: Registers(ratio=0),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
