"""Power quality: what scripted disturbances leave in ET09, ET81, BT03 and the event log; truth counted by hand."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    ConfigurationError,
    ConstantLoad,
    Disturbance,
    DisturbanceRates,
    FullWrite,
    Household,
    Mains,
    Meter,
    MeterConfig,
    MeteringSettings,
    PartialWrite,
    Power,
    table,
)
from osgp.access import AccessLevel, Port, Session
from osgp.meter.disturbance import Disturbances
from osgp.meter.measuring import Measuring
from osgp.meter.present import COUNTS, PRESENT_ORDER, present_sources, present_values
from osgp.meter.quality import Quality

START = dt.datetime(2024, 6, 1)
CLIENT = Session(AccessLevel.MAK, Port.LOCAL)


def on_mains(*disturbances, load=None, firmware=(4, 30, 0), quality=None, configuration=None, **changes):
    return Meter(
        MeterConfig(
            firmware=firmware, load=load or ConstantLoad((1000.0,) * 3), start=START, utc_offset=60, tariff=((0.0, 0),), phases=3,
            mains=Mains(disturbances=tuple(disturbances)),
            metering=MeteringSettings(
                daylight_saving=False, dates=(), quality=quality or {}, configuration=configuration or {}, **changes
            ),
        )
    )  # fmt: skip


def lived(meter, seconds=86_400.0):
    meter.advance(seconds)
    return table("ET09").decode(meter.octets("ET09", meter.now), meter.store.context)


def events(meter):
    octets = meter.octets("BT74", meter.now)
    rows = []
    for place in range(11, 11 + 14 * int.from_bytes(octets[1:3], "little"), 14):
        row = octets[place : place + 14]
        seconds = (dt.datetime(2000 + row[0], *row[1:6]) - START).total_seconds()
        rows.append((seconds, int.from_bytes(row[10:12], "little") & 0xFFF, int.from_bytes(row[12:14], "little")))
    return [row for row in rows if row[1] not in (64, 86, 87)]


def alarms(meter):
    value = table("BT03").decode(meter.octets("BT03", meter.now), meter.store.context)
    return {name for name, bit in value.items() if bit is True}


def test_long_outages_are_recorded_and_short_ones_counted():
    shorts = [Disturbance.outage(1000 + 100 * k, 0.25 + k) for k in range(3)]
    longs = [Disturbance.outage(5000 + 1000 * k, 200 + k + 0.9) for k in range(12)]
    meter = on_mains(*shorts, *longs, Disturbance.outage(3000, 0.249), quality={"long_outage_threshold": 180})
    value = lived(meter)
    assert value["short_outage_count"] == 3
    newest = value["outages"][0]
    assert newest["duration"] == 211 and newest["reset_cause"] == 3
    assert newest["power_off"].moment() == START + dt.timedelta(seconds=16_000)
    assert newest["power_on"].moment() == START + dt.timedelta(seconds=16_211)
    assert [row["duration"] for row in value["outages"]] == list(range(211, 201, -1))
    log = table("ET81").decode(meter.octets("ET81", meter.now), meter.store.context)
    assert log["number_valid"] == 10 and log["last_sequence"] == 12 and log["overflow"]
    assert log["entries"][log["last_entry"]]["start"].moment() == START + dt.timedelta(hours=1, seconds=16_000)
    total = meter.registers.total()
    assert total[5] == 15 and total[4] == int(sum(0.25 + k for k in range(3)) + sum(200.9 + k for k in range(12)))
    assert len([row for row in events(meter) if row[1] == 1]) == 15 and "power_failure" in alarms(meter)


def test_events_of_short_outages_can_be_left_out():
    meter = on_mains(Disturbance.outage(1000, 5), Disturbance.outage(2000, 500))
    meter.store.update("ET04", {"events_outage_threshold": 60})
    meter.serve(PartialWrite(2052, 98, (60).to_bytes(2, "little")).encode(), CLIENT, 1.0)
    meter.advance(3600.0)
    assert events(meter) == [(2000, 1, 0), (2500, 2, 0)]


def test_no_energy_flows_in_a_gap_that_the_meter_rides_through():
    meter = on_mains(Disturbance.outage(100, 0.2), load=ConstantLoad((3600.0 * 1000,)))
    meter.advance(200.0)
    assert meter.registers.total()[0] == 200_000 - 200 and meter.registers.total()[5] == 0


@pytest.mark.parametrize(
    ("percent", "name", "event"), [(85, "sag1", 98), (70, "sag1", 98), (112, "swell", 99), (130, "swell", 99)]
)
def test_sags_and_swells_count_per_phase_with_their_extreme(percent, name, event):
    disturbances = [Disturbance.voltage(1000, 90, percent, 1), Disturbance.voltage(5000, 30, percent, 1)]
    meter = on_mains(*disturbances, quality={"sag_swell_minutes": 1})
    value = lived(meter)
    assert [value[f"{name}_l{phase}_count"] for phase in (1, 2, 3)] == [0, 1, 0]  # the second one is too short
    assert value[f"{name}_l2_time"].moment() == START + dt.timedelta(seconds=1000)
    volts = value[f"{name}_l2_mv"] / 1000
    assert abs(volts - 2.3 * percent) < 5
    assert [row for row in events(meter) if row[1] == event] == [(1090, event, int(volts))]
    assert "power_quality_event" in alarms(meter)


def test_what_stays_inside_the_thresholds_leaves_nothing():
    meter = on_mains(Disturbance.voltage(1000, 90, 91), Disturbance.voltage(3000, 90, 109))
    value = lived(meter)
    assert not any(value[f"{name}_l1_count"] for name in ("sag1", "swell", "sag2")) and not events(meter)


def test_sag2_has_thresholds_of_its_own_from_4_10_on():
    quality = {"sag2_threshold": 30, "sag2_seconds": 2}
    deep = Disturbance.voltage(1000, 5, 65, 0)
    assert lived(on_mains(deep, quality=quality))["sag2_l1_count"] == 1
    assert lived(on_mains(deep))["sag2_l1_count"] == 0
    assert not lived(on_mains(deep, quality=quality, firmware=(3, 80, 0))).get("sag2_l1_count")


def test_nothing_is_recorded_just_after_power_up():
    disturbances = [Disturbance.outage(1000, 100), Disturbance.voltage(1100, 1.5, 80), Disturbance.voltage(1102.5, 1, 80)]
    value = lived(on_mains(*disturbances))
    assert value["sag1_l1_count"] == 1 and value["sag1_l1_time"].moment() == START + dt.timedelta(seconds=1102)


def test_a_lost_phase_is_reported_after_its_time_and_draws_nothing():
    meter = on_mains(Disturbance.voltage(3600, 1800, 10, 2), Disturbance.voltage(8000, 9, 10, 0))
    meter.advance(3605.0)
    assert "phase_loss" not in alarms(meter)
    meter.advance(3700.0)
    value = table("ET09").decode(meter.octets("ET09", meter.now), meter.store.context)
    assert value["phase_loss_l3"] and value["phase_loss_l3_time"].moment() == START + dt.timedelta(seconds=3610)
    value = lived(meter, 9000.0)
    assert not value["phase_loss_l3"] and [value[f"phase_loss_l{k}_count"] for k in (1, 2, 3)] == [0, 0, 1]
    assert [row for row in events(meter) if row[1] == 68] == [(3610, 68, 4)]
    assert meter.registers.total()[0] == (1000 * (3 * 9000 - 1800 - 9)) // 3600


def test_distortion_is_reported_when_it_lasts():
    thd = [{"threshold": 80, "time_threshold": 3, "phases": []}]
    meter = on_mains(
        Disturbance(1_000_000, 1_020_000, thd=90), Disturbance(2_000_000, 2_100_000, thd=120), quality={"thd": thd}
    )
    value = lived(meter)
    record = value["thd"][0]["phases"][0]
    assert (record["event_count"], record["max_thd"]) == (1, 120)
    assert [row[:2] for row in events(meter) if row[1] == 93] == [(2030, 93), (2100, 93)]
    assert "thd_state_changed" in alarms(meter)


@pytest.mark.parametrize(
    ("percents", "seconds", "reported"),
    [((100, 50, 50), 700, True), ((100, 48, 52), 700, True), ((100, 50, 50), 500, False), ((100, 50, 80), 700, False),
     ((120, 70, 70), 20, True), ((120, 118, 70), 20, True), ((120, 70, 70), 8, False), ((120, 50, 70), 20, False)],
)  # fmt: skip
def test_unbalanced_voltages(percents, seconds, reported):
    """Broken conductor: one phase normal, the others half of it, 600 s. Zero fault: one or two from 115 on, the rest low"""
    meter = on_mains(Disturbance(1_000_000, 1_000_000 + 1000 * seconds, percents))
    meter.serve(PartialWrite(2052, 111, b"\x23").encode(), CLIENT, 1.0)
    meter.advance(7200.0)
    assert ("unbalanced_voltage" in alarms(meter)) is reported


def test_frequency_extremes():
    meter = on_mains(Disturbance(7_000_000, 7_060_000, frequency_mhz=-300), Disturbance(9_000_000, 9_060_000, frequency_mhz=250))
    value = lived(meter)
    assert abs(value["min_frequency"] - 49_700) < 30 and abs(value["max_frequency"] - 50_250) < 30
    assert value["min_frequency_time"].moment() == START + dt.timedelta(seconds=7000)


class Peaks(ConstantLoad):
    """3 kW for 5 s and for 60 s, back-feeding for 40 s."""

    def day(self, number):
        rows = ((0, 100.0), (1000, 30_000.0), (1005, 100.0), (2000, 30_000.0), (2060, 100.0), (3000, -900.0), (3040, 100.0))
        return tuple((second, Power((watts, 0.0, 0.0), (0.0,) * 3)) for second, watts in rows)

    def power(self, at):
        return next(power for second, power in reversed(self.day(0)) if at % 86_400 >= second)


def test_over_current_and_reverse_energy_count_when_they_last():
    meter = on_mains(load=Peaks((0.0,) * 3))
    meter.serve(PartialWrite(2052, 58, b"\x64\0").encode(), CLIENT, 1.0)
    value = lived(meter, 2 * 86_400.0)
    assert value["over_current_l1"] == 2  # once a day: 30 kW are 130 A, the first peak is too short
    seconds = [(row[0] % 86_400, *row[1:]) for row in events(meter)]
    # the day of the load begins at local midnight, an hour before the UTC day
    assert seconds[:2] == [(2010 + 82_800, 3032, 1), (3010 + 82_800, 48, 1)] and "reverse_energy" in alarms(meter)


def test_an_open_contactor_ends_the_flow_at_once():
    meter = on_mains(load=ConstantLoad((3600.0,)))
    meter.advance(100.0)
    meter.find(Measuring).connect(False, 100.0)
    meter.advance(200.0)
    assert meter.registers.total()[0] == 100
    assert table("BT28").decode(meter.octets("BT28", 200.0), meter.store.context)["present_values"][0] == 0
    meter.find(Measuring).connect(True, 200.0)
    meter.advance(250.0)
    assert meter.registers.total()[0] == 150


def test_momentary_disturbances_are_counted_by_cycles():
    disturbances = [Disturbance.voltage(10 + k, 0.02 * 10 ** k, 85, 0) for k in range(3)] + [Disturbance.voltage(50, 0.5, 115, 0)]
    meter = on_mains(*disturbances)
    meter.advance(100.0)
    assert meter.find(Quality).momentary == (3, 1)  # 1, 10 and 100 cycles


def test_shares_of_precarious_and_critical_voltages():
    """Proper 215..245 V, medium 185..250 V: 3 of 20 averages precarious, 1 critical."""
    limits = {"delta_adsup": 245_000, "delta_adinf": 215_000, "delta_prsup": 5000, "delta_prinf": 30_000}
    configuration = {"voltage_samples": 20, **limits}
    disturbances = [Disturbance.voltage(600 * k, 600, 90) for k in (3, 7, 8)] + [Disturbance.voltage(600 * 12, 600, 76)]
    value = lived(on_mains(*disturbances, load=ConstantLoad((100.0,) * 3), configuration=configuration), 600 * 21)
    assert (value["drp_drc"][0]["drp"], value["drp_drc"][0]["drc"]) == (150, 50)


@given(at=st.integers(0, 40 * 86_400_000), seed=st.integers(0, 50))
def test_drawn_disturbances_are_the_same_whatever_was_asked_before(at, seed):
    rates = DisturbanceRates(300, 300, 2000, 300, 300, 300)
    one, other = Disturbances((), rates, seed), Disturbances((), rates, seed)
    for earlier in range(0, at, 7 * 86_400_000):
        other.state(earlier)
    change = one.next_change(at)
    assert one.state(at) == other.state(at) and change == other.next_change(at) > at
    assert one.state(at) == one.state(change - 1)


def test_the_number_of_drawn_outages_is_about_the_rate():
    """100 years of 20: 2000 with a standard deviation of 45; five of them either way."""
    drawn = Disturbances((), DisturbanceRates(outages=20.0), 5)
    count = sum(len(drawn._drawn(day)) for day in range(36_525))
    assert 2000 - 225 < count < 2000 + 225


@pytest.mark.parametrize(
    "make",
    [
        lambda: Disturbance(5, 5), lambda: Disturbance(-1, 5), lambda: Disturbance(0, 5, (0, 0, 201)),
        lambda: Disturbance(0, 5, thd=1001),
    ],
)
def test_impossible_disturbances_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


# present values


def test_order_of_present_values_is_that_of_the_guide():
    """Index and source id, as printed for some of each group."""
    printed = {0: 8, 3: 11, 4: 12, 7: 15, 10: 18, 11: 19, 12: 20, 13: 21, 15: 23, 18: 81, 22: 104, 26: 185, 29: 188, 32: 191,
               35: 194, 38: 197, 41: 202, 44: 205, 47: 208, 48: 209, 49: 210, 52: 213, 55: 216, 59: 220, 63: 224, 67: 228,
               71: 232, 72: 233, 75: 236, 78: 239, 81: 242}  # fmt: skip
    assert {index: PRESENT_ORDER[index] for index in printed} == printed and len(PRESENT_ORDER) == 84
    assert [len(present_sources(since)) for since, _ in COUNTS] == [22, 26, 41, 55, 72, 75, 84]


def test_four_quadrants_of_power():
    """Signs of W and var, phase by phase, and where they appear."""
    for p, q, number in ((300, 400, 0), (-300, 400, 1), (-300, -400, 2), (300, -400, 3)):
        values = present_values(Power((p,), (q,)), Mains(), 0.0)
        assert [values[104 + k] for k in range(4)] == [400 if k == number else 0 for k in range(4)]
        assert [values[216 + k] for k in range(4)] == [500 if k == number else 0 for k in range(4)]
        assert (values[8], values[9], values[10], values[11]) == (max(p, 0), max(-p, 0), max(q, 0), max(-q, 0))
        assert (values[18], values[23]) == (600, 1000 * q // 500)


def test_equal_currents_leave_none_in_the_neutral():
    assert present_values(Power((500.0,) * 3, (0.0,) * 3), Mains(resistance=0.0), 0.0)[232] < 40
    alone = present_values(Power((500.0, 0.0, 0.0), (0.0,) * 3), Mains(), 0.0)
    assert alone[232] == alone[12]


def test_averages_are_means_of_what_flows():
    home = Household(5, phases=3, pv_peak=4000.0)
    meter = on_mains(load=home)
    meter.advance(12 * 3600 + 700.0)
    first = 12 * 3600 + 3600  # the averaging time 12:00 to 12:10 of the meter is 13:00 local
    watts = [sum(home.power(first + second).active) for second in range(600)]
    found = meter.find(Measuring).values((208, 209, 205, 15), meter.now)
    assert found[208] == pytest.approx(sum(max(one, 0) for one in watts) / 600, abs=1)
    assert found[209] == pytest.approx(sum(max(-one, 0) for one in watts) / 600, abs=1)
    assert abs(found[205] - found[15]) < 8000


def test_any_request_of_thresholds_can_be_lived_with():
    meter = on_mains(Disturbance.voltage(100, 50, 80), Disturbance.outage(300, 20), Disturbance.voltage(500, 60, 120, 0))
    for number in (2057, 2103):
        size = len(meter.octets("ET09" if number == 2057 else "ET55", 0.0))
        assert meter.serve(FullWrite(number, b"\xff" * size).encode(), CLIENT, 1.0).result == 0
    meter.advance(7200.0)
    assert meter.registers.total()[5] == 1
