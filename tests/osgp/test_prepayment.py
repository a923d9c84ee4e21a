"""Prepayment, against a sum over the load second by second in exact fractions."""

import datetime
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import AccessLevel, ConstantLoad, Household, Meter, MeterConfig, PartialWrite, Port, ResultCode, Session, table
from osgp.meter import Contactor, ControlSettings, Measuring, Prepayment
from osgp.meter.journal import Journal

MAK = Session(AccessLevel.MAK, Port.MEP1)
MIDNIGHT = datetime.datetime(2024, 3, 4)
RATES = (1000, 650, 0, 1_000_000)
SWITCHES = ((0.0, 1), (7.0, 0), (23.0, 1))


def home(load=None, tariff=((0.0, 0),), **control):
    control = {"prepay": True, "credit": 1000, "rates": RATES, **control}
    config = MeterConfig(load=load or ConstantLoad((1000.0,)), start=MIDNIGHT, utc_offset=0, firmware=(4, 30, 0), tariff=tariff,
                         control=ControlSettings(**control))  # fmt: skip
    return Meter(config)


def logged(meter, event):
    log = meter.find(Journal).history
    entries = [bytes(log.octets[14 * n : 14 * n + 14]) for n in range(log.valid)]
    return [int.from_bytes(one[12:14], "little") for one in entries if int.from_bytes(one[10:12], "little") & 0xFFF == event]


def alarm(meter, name):
    return table("BT03").decode(meter.store.octets("BT03"), meter.store.context)[name]


def top_up(meter, wh, now):
    assert meter.serve(PartialWrite(2053, 30, wh.to_bytes(4, "little", signed=True)).encode(), MAK, now).result is ResultCode.OK


def used(load, until, tariff=SWITCHES, rates=RATES):
    """Wh of credit that a load uses up to a second, exactly."""
    total = Fraction(0)
    for second in range(until):
        hour = second % 86400 / 3600
        tier = [tier for at, tier in tariff if at <= hour][-1]
        watts = sum(round(one) for one in load.power(second + 0.5).active)
        total += Fraction(max(0, watts) * rates[tier], 3600 * 1000)
    return total


@pytest.mark.parametrize(("pv_peak", "phases"), [(0.0, 1), (4000.0, 3)])
def test_credit_is_exact_to_the_wh_over_tariffs_and_midnight(pv_peak, phases):
    load = Household(5, phases=phases, pv_peak=pv_peak)
    meter = home(load, SWITCHES, credit=50_000, rates=RATES)
    spent = used(Household(5, phases=phases, pv_peak=pv_peak), 30 * 3600)
    meter.advance(10 * 3600 + 0.25)
    meter.advance(30 * 3600)
    assert meter.find(Prepayment).credit_at(30 * 3600) == (50_000 - spent) // 1
    values = table("ET46").decode(meter.table_octets("ET46", 30 * 3600), meter.store.context)
    assert values["prepay_credit"] == (50_000 - spent) // 1 and spent > 1000


def test_it_opens_in_the_millisecond_in_which_the_credit_is_gone():
    load, credit = Household(9), 7_000
    second = 0
    left = Fraction(credit)
    while left > 0:
        hour = second % 86400 / 3600
        tier = [tier for at, tier in SWITCHES if at <= hour][-1]
        rate = Fraction(sum(round(one) for one in load.power(second + 0.5).active) * RATES[tier], 3600 * 1000)
        if rate >= left:
            break
        left -= rate
        second += 1
    due = second + left / rate  # s
    meter = home(Household(9), SWITCHES, credit=credit)
    meter.advance(200_000.0)
    opened = meter.find(Contactor).switch.done_ms
    assert opened - 100 == -(-due * 1000 // 1) and opened > 3_600_000
    assert logged(meter, 84) == [0] and logged(meter, 66) == [770] and alarm(meter, "prepay_credit_exhausted")
    flow = meter.find(Measuring).flow
    meter.advance(300_000.0)
    assert meter.find(Measuring).flow == flow


def test_negative_credit_is_used_up_first():
    meter = home(credit=1000, negative_credit=500)
    meter.advance(3601.0)
    assert meter.find(Contactor).switch.closed and meter.find(Prepayment).credit == 0
    meter.advance(5400.2)
    assert not meter.find(Contactor).switch.closed
    values = table("ET46").decode(meter.table_octets("ET46", 6000.0), meter.store.context)
    assert values["prepay_credit"] == -501 and values["prepay_negative_credit"] == 500  # 0.1 s until the contacts are open


def test_warning_sounds_until_the_button_and_again_after_new_credit():
    meter = home(warning=400)
    prepayment, contactor = meter.find(Prepayment), meter.find(Contactor)
    meter.advance(2159.0)
    assert not prepayment.warning
    meter.advance(2160.0)  # 600 Wh
    shown = table("ET46").decode(meter.table_octets("ET46", 2160.0), meter.store.context)
    assert prepayment.warning and shown["prepay_warning_on"]
    assert contactor.press_button(2200.0) and not prepayment.warning
    assert logged(meter, 85) == [0] and alarm(meter, "prepay_warning_acknowledged")
    top_up(meter, 1000, 2200.0)
    meter.advance(5760.0)
    assert prepayment.warning and contactor.switch.closed


def test_new_credit_lets_the_button_close_but_not_before():
    meter = home()
    meter.advance(4000.0)
    contactor = meter.find(Contactor)
    assert contactor.press_button(4000.0)  # silences the warning
    assert not contactor.press_button(4000.0) and logged(meter, 66) == [770]
    top_up(meter, 250, 5000.0)
    assert meter.store["ET05.prepay_top_up"] == 0 and not contactor.switch.closed
    assert contactor.press_button(5000.0)
    meter.advance(10_000.0)
    assert logged(meter, 66) == [770, 1537, 770] and logged(meter, 84) == [0, 0]
    # 1000 + 250 Wh and 0.1 s each time the contacts open
    assert meter.find(Measuring).flow[0] == 1250 * 3_600_000 + 1000 * 100 - 1000 * 100 + 1000 * 100


def test_rates_apply_from_the_moment_they_are_written():
    meter = home(credit=5000)
    meter.advance(3600.0)
    meter.serve(PartialWrite(2053, 8, (2000).to_bytes(4, "little")).encode(), MAK, 3600.0)
    assert meter.find(Prepayment).credit_at(3600.0) == 4000
    meter.advance(7200.0)
    assert meter.find(Prepayment).credit_at(7200.0) == 2000


def test_a_free_tariff_uses_nothing_and_a_dear_one_a_thousand_times_as_much():
    meter = home(tariff=((0.0, 2), (1.0, 3)), credit=1_000_000)
    meter.advance(3600.0)
    assert meter.find(Prepayment).credit == 1_000_000
    meter.advance(3603.6)
    assert meter.find(Prepayment).credit_at(3603.6) == 999_000


def test_limits_have_their_own_reason_while_energy_is_paid_in_advance():
    meter = home(power_limits=True, max_power=(500, 0), hold=3)
    meter.advance(60.0)
    assert logged(meter, 66) == [1026]


def test_it_can_be_switched_on_and_off_by_the_host():
    meter = home(prepay=False)
    meter.advance(7200.0)
    assert meter.find(Prepayment).credit_at(7200.0) == 1000 and meter.find(Contactor).switch.closed
    meter.serve(PartialWrite(2053, 25, b"\x02").encode(), MAK, 7200.0)
    assert meter.find(Prepayment).credit_at(7200.0) == 1000
    meter.advance(7200.0 + 3601.0)
    assert not meter.find(Contactor).switch.closed


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 20_000), max_size=6), outage=st.integers(0, 9000))
def test_credit_and_register_agree_whatever_happens(cuts, outage):
    """Restarts, outages, odd instants: what the credit lost is what the register of each tariff gained, at its rate."""
    meter = home(Household(3), SWITCHES, credit=100_000, rates=(1000, 1000, 1000, 1000))
    now = 0.0
    for number, cut in enumerate(cuts):
        now += cut / 7
        meter.advance(now)
        if number == 2:
            meter.power_down(now)
            now += outage
            meter.power_up(now)
        if number % 2:
            meter = Meter(meter.config, saved=meter.saved())
    prepayment, flow = meter.find(Prepayment), None
    credit = prepayment.credit_at(meter.now)
    flow = meter.find(Measuring).flow[0]
    assert credit == 100_000 - -(-flow // 3_600_000)
