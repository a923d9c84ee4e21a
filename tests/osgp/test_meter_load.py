"""The load model and the registers: what is counted is the integral of the power."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import ConfigurationError, ConstantLoad, Household, Mains, Meter, MeterConfig, Power
from osgp.meter.load import DAY
from osgp.meter.mains import present_values
from osgp.meter.registers import Registers


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
    registers = Registers(Household(5, phases=phases, pv_peak=pv_peak), start)
    registers.advance(start + duration)
    assert registers.total()[:4] == tuple(int(one + 1e-6) for one in expected)
    assert expected[0] > 3000 and (pv_peak == 0 or expected[1] > 1000)


@settings(max_examples=30, deadline=None)
@given(second=st.integers(0, 2 * DAY), part=st.floats(0.0, 0.999))
def test_energy_at_any_instant_is_the_integral(second, part):
    """The energy of the last second and a fraction, against the power there; and the sum from midnight at one place."""
    load = Household(7, pv_peak=2500.0)
    power = load.power(second + part)
    gained = load.energy(second + part).forward - load.energy(float(second)).forward
    assert gained == pytest.approx(max(sum(power.active), 0.0) * part, abs=1e-6)


def test_energy_is_counted_from_midnight():
    energy = Household(7, pv_peak=2500.0).energy(40_000.0)
    gained = (energy.forward, energy.reverse, energy.imported, energy.exported)
    assert [one / 3600 for one in gained] == pytest.approx(riemann(Household(7, pv_peak=2500.0), 0, 40_000))


def test_a_meter_counts_what_its_home_draws():
    meter = Meter(MeterConfig(seed=9, initial_registers={"forward_active_wh": 12345678}))
    origin = round(meter.config.second_of_day())
    meter.advance(7200.0)
    expected = riemann(Household(9), origin, origin + 7200)
    assert meter.registers.total()[0] == 12345678 + int(expected[0] + 1e-6)


def test_constant_load_counts_its_kilowatt():
    registers = Registers(ConstantLoad((1000.0, -250.0), (-100.0, 0.0)), 100.0)
    registers.advance(100.0 + 2 * 3600)
    assert registers.total()[:8] == (1500, 0, 0, 200, 0, 0, 1500, 1500)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.floats(0.0, 100_000.0), max_size=20))
def test_result_does_not_depend_on_how_often_it_is_advanced(cuts):
    whole, pieces = (Registers(Household(2, pv_peak=3000.0), 5000.0, {}, ((6.5, 0), (22.0, 2))) for _ in range(2))
    whole.advance(105_000.0)
    for cut in sorted(cuts):
        pieces.advance(5000.0 + cut)
    pieces.advance(105_000.0)
    assert whole.total() == pieces.total() and whole.tiers() == pieces.tiers()


@settings(max_examples=15, deadline=None)
@given(hours=st.floats(0.1, 60.0), tariff=st.sampled_from([((0.0, 0),), ((7.0, 0), (23.0, 1)), ((5.3, 3), (12.0, 1), (18.7, 2))]))
def test_tariffs_add_up_to_the_total(hours, tariff):
    registers = Registers(Household(3, pv_peak=2000.0), 0.0, {}, tariff)
    registers.advance(hours * 3600)
    for position in range(4):
        assert sum(tier[position] for tier in registers.tiers()) == registers.total()[position]


def test_energy_goes_to_the_tariff_in_force():
    """1 kW from 06:00 to 24:00 with tariff 0 from 7 and tariff 1 from 23: 16 kWh and 2 kWh."""
    registers = Registers(ConstantLoad((1000.0,)), 6 * 3600.0, {"forward_active_wh": (1, 2, 3, 4)}, ((7.0, 0), (23.0, 1)))
    registers.advance(24 * 3600.0)
    assert [tier[0] for tier in registers.tiers()] == [16_001, 2_002, 3, 4]
    assert registers.total()[0] == 18_010
    assert (registers.tier(6.9 * 3600), registers.tier(7 * 3600), registers.tier(DAY + 23 * 3600)) == (1, 0, 1)


def test_difference_of_forward_and_reverse_stops_at_zero():
    registers = Registers(ConstantLoad((-500.0,)), 0.0, {"forward_active_wh": 100})
    registers.advance(3600.0)
    assert registers.total()[6:8] == (600, 0)


def test_registers_roll_over_after_nine_digits():
    registers = Registers(ConstantLoad((2000.0,)), 0.0, {"forward_active_wh": 999_999_999})
    registers.advance(3600.0)
    assert registers.total()[0] == 1999


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
        lambda: Registers(ConstantLoad(), 0.0, {}, ((9.0, 0), (7.0, 1))),
        lambda: Registers(ConstantLoad(), 0.0, {}, ((9.0, 4),)),
        lambda: Registers(ConstantLoad(), 0.0, {}, ()),
        lambda: Registers(ConstantLoad(), 0.0, {"forward_active_wh": -1}),
        lambda: Registers(ConstantLoad(), 0.0, {"forward_plus_reverse_wh": 1}),
        lambda: Registers(ConstantLoad(), 0.0, {"current_l1_ma": 1}),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
