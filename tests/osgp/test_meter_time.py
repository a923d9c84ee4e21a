"""Dates, calendar and clock: against the standard library's zones and against days counted on a printed calendar."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import ConstantLoad, FullWrite, Meter, MeterConfig, MeteringSettings, ResultCode
from osgp.access import AccessLevel, Port, Session
from osgp.meter.calendar import Calendar, CalendarDate, LocalClock, LocalTime
from osgp.meter.recurring import one_off, recurrences
from osgp.meter.settings import EUROPEAN_DST, calendar_values, every_days, rdate
from osgp.meter.signals import Alarm
from osgp.meter.timing import Timing
from osgp.types import AnsiDate, RecurringDate

UTC_START = dt.datetime(2024, 3, 4, 17)
CLIENT = Session(AccessLevel.MAK, Port.LOCAL)


def days(rule, year):
    return [(day.month, day.day) for day in recurrences(rule, year)]


@pytest.mark.parametrize(
    ("rule", "year", "expected"),
    [  # 2024: 1 January is a Monday, 29 February exists, 1 May a Wednesday, 1 September a Sunday, 25 December a Wednesday
        (rdate(12, 25), 2024, [(12, 25)]),
        (rdate(2, 29), 2024, [(2, 29)]),
        (rdate(2, 29), 2023, []),
        (rdate(2, 30), 2024, []),
        (rdate(3, 25, 6, 0), 2024, [(3, 31)]),  # last Sunday
        (rdate(3, 25, 6, 0), 2023, [(3, 26)]),
        (rdate(10, 25, 6, 0), 2024, [(10, 27)]),
        (rdate(5, 1, 6, 1), 2024, [(5, 27)]),  # last Monday of May
        (rdate(9, 1, 2, 1), 2024, [(9, 2)]),  # first Monday
        (rdate(9, 1, 2, 0), 2024, [(9, 1)]),  # on or after
        (rdate(11, 1, 5, 4), 2024, [(11, 28)]),  # fourth Thursday
        (rdate(1, 1, 3, 3), 2024, [(1, 10)]),  # second Wednesday
        (rdate(1, 1, 4, 3), 2024, [(1, 17)]),
        (rdate(5, 1, 1, 3), 2024, [(4, 24)]),  # the Wednesday before
        (rdate(5, 2, 1, 3), 2024, [(5, 1)]),
        (rdate(12, 31, 7), 2024, [(1, 1), (12, 31)]),  # and the day after: the first comes from the year before
        (rdate(12, 31, 15), 2024, [(1, 1)]),
        (rdate(9, 1, 8), 2024, [(9, 2)]),  # Sunday to Monday
        (rdate(9, 1, 9), 2024, [(8, 30)]),  # Sunday to Friday
        (rdate(6, 1, 10), 2024, [(6, 3)]),  # Saturday to Monday
        (rdate(6, 1, 11), 2024, [(5, 31)]),
        (rdate(6, 1, 12), 2024, [(6, 3)]),
        (rdate(9, 1, 12), 2024, [(9, 2)]),
        (rdate(9, 1, 13), 2024, [(8, 30)]),
        (rdate(6, 1, 13), 2024, [(5, 31)]),
        (rdate(6, 1, 14), 2024, [(5, 31)]),
        (rdate(9, 1, 14), 2024, [(9, 2)]),
        (rdate(5, 1, 14), 2024, [(5, 1)]),  # a Wednesday does not move
        (rdate(1, 1, 9), 2023, []),  # 1 January 2023 was a Sunday: the Friday lies in 2022
        (rdate(1, 1, 9), 2022, [(1, 1), (12, 30)]),
        (rdate(13, 31), 2024, [(m, 31) for m in (1, 3, 5, 7, 8, 10, 12)]),
        (rdate(14, 0, 0, 6), 2024, [(1, 6), (1, 13)]),
        (every_days(7, 2), 2024, [(1, 1), (1, 8)]),  # 2000-01-03, the day 2, was a Monday
        (every_days(0), 2024, []),
        (rdate(0, 5), 2024, []),
        (rdate(5, 1, 2, 7), 2024, []),
    ],
)
def test_recurring_dates(rule, year, expected):
    found = days(rule, year)
    assert found[: len(expected)] == expected
    assert rule.month in (14, 15) or len(found) == len(expected)


def test_weekly_and_daily_dates_fill_the_year():
    assert len(days(rdate(14, 0, 0, 1), 2024)) == 53 and len(days(every_days(1), 2024)) == 366
    assert all(dt.date(2024, *day).weekday() == 0 for day in days(rdate(14, 0, 0, 1), 2024))


@given(word=st.integers(0, 0xFFFF), year=st.integers(2000, 2255))
def test_any_word_gives_ascending_days_of_its_year(word, year):
    found = recurrences(RecurringDate(word), year)
    assert list(found) == sorted(set(found)) and all(day.year == year for day in found)


def day_by_day(rule, year):
    """The rules read once more, as steps of a day: the month and day of each date, then what moves it."""

    def weekday(day):
        return day.isoweekday() % 7

    one, found = dt.timedelta(1), set()
    date = dt.date(year - 1, 1, 1)
    while date.year <= year + 1:
        if date.day == rule.day and rule.month in (date.month, 13):
            move = {8: (0, 1), 9: (0, -2), 10: (2, 0), 11: (-1, 0), 12: (2, 1), 13: (-1, -2), 14: (-1, 1)}.get(rule.offset)
            if rule.offset in (0, 7):
                found.add(date)
            if rule.offset in (7, 15):
                found.add(date + one)
            if move is not None:
                found.add(date + one * {6: move[0], 0: move[1]}.get(weekday(date), 0))
            if 1 <= rule.offset <= 6 and rule.weekday != 7:
                after = date
                while weekday(after) != rule.weekday:
                    after += one
                if rule.offset == 1:
                    found.add(after - 7 * one)
                elif rule.offset < 6:
                    found.add(after + 7 * one * (rule.offset - 2))
                else:
                    found.update([day for day in (after + 7 * one * k for k in range(5)) if day.month == date.month][-1:])
        date += one
    return sorted(day for day in found if day.year == year)


@given(
    rule=st.builds(rdate, st.integers(0, 13), st.integers(0, 31), st.integers(0, 15), st.integers(0, 7)),
    year=st.integers(2001, 2100),
)
@settings(max_examples=60)
def test_dates_of_a_month_are_those_found_day_by_day(rule, year):
    assert list(recurrences(rule, year)) == day_by_day(rule, year)


def test_one_off_dates():
    assert one_off(AnsiDate(24, 2, 29)) == dt.date(2024, 2, 29)
    assert one_off(AnsiDate(23, 2, 29)) is None and one_off(AnsiDate()) is None


def clock(zone="Europe/Copenhagen"):
    dates = [CalendarDate(row["date"], row["action"]) for row in EUROPEAN_DST]
    offset = {"Europe/Copenhagen": 60, "Europe/Helsinki": 120, "Europe/London": 0}[zone]
    # The change is at 01:00 UTC everywhere.
    return LocalClock(Calendar(dates, (), ()), LocalTime(offset, 60, 60 + offset, 60))


@settings(max_examples=300)
@given(
    second=st.integers(0, 40 * 366 * 86400), zone=st.sampled_from(["Europe/Copenhagen", "Europe/Helsinki", "Europe/London"])
)
def test_local_time_is_that_of_the_zone_for_forty_years(second, zone):
    utc = dt.datetime(2002, 1, 1) + dt.timedelta(seconds=second)
    expected = utc.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
    ours = clock(zone)
    assert ours.local(utc) == expected.replace(tzinfo=None) and ours.dst(utc) == bool(expected.dst())


@pytest.mark.parametrize("year", range(2005, 2036))
def test_changes_of_the_hour_are_exact_to_the_second(year):
    ours, zone = clock(), ZoneInfo("Europe/Copenhagen")
    at = ours.next_change(dt.datetime(year, 1, 1))
    for edge in (at, ours.next_change(at)):
        for second in (-1, 0):
            utc = edge + dt.timedelta(seconds=second)
            assert ours.local(utc) == utc.replace(tzinfo=dt.UTC).astimezone(zone).replace(tzinfo=None)
        assert ours.dst(edge) != ours.dst(edge - dt.timedelta(seconds=1))


def test_a_southern_year_begins_in_summer():
    dates = [CalendarDate(rdate(10, 1, 2, 0), 1), CalendarDate(rdate(4, 1, 2, 0), 2)]  # first Sundays of October and April
    sydney = LocalClock(Calendar(dates, (), ()), LocalTime(600, 60, 120, 60))
    change = dt.datetime(2024, 4, 6, 16)
    for utc in (dt.datetime(2024, 1, 1), dt.datetime(2024, 7, 1), change - dt.timedelta(seconds=1), change):
        expected = utc.replace(tzinfo=dt.UTC).astimezone(ZoneInfo("Australia/Sydney")).replace(tzinfo=None)
        assert sydney.local(utc) == expected


def ticking(dates=(), schedules=(((0, 0), (420, 1)),), start=UTC_START, seasons=((0, 0, 0, 0, 0),), single=(), **metering):
    values = calendar_values(list(dates), [list(one) for one in schedules], list(seasons), list(single))
    config = MeterConfig(
        load=ConstantLoad((3600.0,)), start=start, utc_offset=60,
        metering=MeteringSettings(calendar=values, history_entries=500, **metering),
    )  # fmt: skip
    return Meter(config)


def logged(meter):
    """(UTC, event, argument) of the event log, oldest first."""
    octets = meter.table_octets("BT74", meter.now)
    valid = int.from_bytes(octets[1:3], "little")
    rows = []
    for place in range(11, 11 + 14 * valid, 14):
        row = octets[place : place + 14]
        when = dt.datetime(2000 + row[0], *row[1:6])
        rows.append((when, int.from_bytes(row[10:12], "little") & 0xFFF, int.from_bytes(row[12:14], "little")))
    return rows


def at(meter, utc):
    meter.advance((utc - meter.config.start.replace(tzinfo=None)).total_seconds())
    return meter


def state55(meter):
    """(local time, tier, drive, special, season) of BT55."""
    octets = meter.table_octets("BT55", meter.now)
    word = int.from_bytes(octets[7:9], "little")
    return dt.datetime(2000 + octets[0], *octets[1:6]), word & 7, word >> 6 & 3, word >> 8 & 15, word >> 12


def test_precedence_of_dates_one_off_then_recurring_then_day_type():
    schedules = (((0, 0),), ((0, 1),), ((0, 2),), ((0, 3),))
    seasons = ((1, 1, 0, 2, 3),)
    dates = [{"date": rdate(5, 1), "action": 20}, {"date": rdate(13, 1), "action": 19}]
    meter = ticking(dates, schedules, UTC_START, seasons, [{"date": AnsiDate(24, 6, 1), "action": 20}])
    tiers = {}
    for month, day in ((4, 1), (4, 5), (4, 6), (5, 1), (6, 1)):
        tiers[(month, day)] = state55(at(meter, dt.datetime(2024, month, day, 11)))[1]
    # the first of May has two recurring dates: the first record wins; 1 June is a Saturday, monthly date, and one-off
    assert tiers == {(4, 1): 2, (4, 5): 0, (4, 6): 1, (5, 1): 3, (6, 1): 3}


def test_seasons_follow_their_dates_over_the_end_of_the_year_and_bt24_keeps_the_last():
    dates = [{"date": rdate(3, 1), "action": 3}, {"date": rdate(11, 1), "action": 4}]
    meter = ticking(dates, (((0, 0),), ((0, 1),)), dt.datetime(2023, 12, 30, 23), ((0,) * 5, (1,) * 5))
    assert state55(meter)[4] == 1
    at(meter, dt.datetime(2024, 2, 29, 22, 59, 59))
    assert state55(meter)[4] == 1 and meter.table_octets("BT24", meter.now) == bytes(226)
    at(meter, dt.datetime(2024, 2, 29, 23))
    assert state55(meter)[1:] == (0, 0, 15, 0)
    octets = meter.table_octets("BT24", meter.now)
    assert octets[:6] == bytes((24, 3, 1, 0, 0, 1))  # local time, the season that ended
    hours = 61 * 24
    assert int.from_bytes(octets[6:10], "little") == 3600 * hours
    assert meter.registers.tiers()[1][0] == 3600 * hours
    assert [row[1:] for row in logged(meter) if row[1] != 64] == [(21, 0), (24, 0), (27, 0)]  # 64: nobody reads the profile


@pytest.mark.parametrize(
    ("minute", "start", "when"),
    [
        (0, dt.datetime(2024, 3, 30, 12), [dt.datetime(2024, 3, 30, 23), dt.datetime(2024, 3, 31, 22)]),
        (150, dt.datetime(2024, 3, 30, 12), [dt.datetime(2024, 3, 31, 1), dt.datetime(2024, 4, 1, 0, 30)]),  # 02:30 is missing
        (150, dt.datetime(2024, 10, 26, 12), [dt.datetime(2024, 10, 27, 0, 30), dt.datetime(2024, 10, 28, 1, 30)]),  # twice there
        (1439, dt.datetime(2024, 2, 28, 12), [dt.datetime(2024, 2, 28, 22, 59), dt.datetime(2024, 2, 29, 22, 59)]),
        (61, dt.datetime(2023, 12, 31, 12), [dt.datetime(2024, 1, 1, 0, 1), dt.datetime(2024, 1, 2, 0, 1)]),
    ],
)
def test_daily_self_reads_come_once_a_local_day(minute, start, when):
    dates = [*EUROPEAN_DST, {"date": every_days(1), "self_read": True}]
    meter = at(ticking(dates, start=start, self_read_minute=minute), start + dt.timedelta(days=2))
    assert [row[0] for row in logged(meter) if row[1] == 21] == when


def test_a_self_read_missed_in_an_outage_is_made_up_once():
    dates = [{"date": every_days(1), "self_read": True}]
    meter = ticking(dates, start=dt.datetime(2024, 5, 1, 12))
    meter.advance(3600.0)
    meter.power_down(3600.0)
    meter.power_up(3 * 86400.0)
    assert [row[0] for row in logged(meter) if row[1] == 21] == [dt.datetime(2024, 5, 4, 12)]


def set_clock(meter, utc, mask=3):
    """BP10 through BT07."""
    fields = (utc.year - 2000, utc.month, utc.day, utc.hour, utc.minute, utc.second)
    meter.sequence_of_test = getattr(meter, "sequence_of_test", 0) + 1
    request = FullWrite(7, bytes((10, 0, meter.sequence_of_test, mask, *fields, 0)))
    assert meter.serve(request.encode(), CLIENT, meter.now).result is ResultCode.OK
    return meter.octets("BT08", meter.now)


def test_setting_the_clock_logs_both_times_and_answers_them():
    meter = ticking()
    meter.advance(600.0)
    answer = set_clock(meter, dt.datetime(2024, 7, 1, 5, 0, 30))
    assert answer[3] == 0 and answer[4:10] == bytes((24, 3, 4, 17, 10, 0)) and answer[10:16] == bytes((24, 7, 1, 5, 0, 30))
    assert [row for row in logged(meter) if row[1] in (3, 4)] == [
        (dt.datetime(2024, 3, 4, 17, 10), 3, 0), (dt.datetime(2024, 7, 1, 5, 0, 30), 4, 0),
    ]  # fmt: skip
    assert meter.table_octets("BT52", meter.now + 29.5)[:6] == bytes((24, 7, 1, 5, 0, 59))
    assert set_clock(meter, dt.datetime(2030, 1, 1, 6, 7, 8), 1)[10:16] == bytes((24, 7, 1, 6, 7, 8))  # time only


def test_a_date_that_is_none_is_refused():
    meter = ticking()
    meter.serve(FullWrite(7, bytes((10, 0, 1, 3, 24, 2, 30, 0, 0, 0, 0))).encode(), CLIENT, 1.0)
    assert meter.octets("BT08", 1.0)[3] == 2 and not logged(meter)


@pytest.mark.parametrize(("seconds", "increment"), [(5, 1), (-5, 1), (40, 16), (-40, 16)])
def test_slewing_moves_the_clock_by_its_increment_each_minute(seconds, increment):
    meter = ticking(configuration={"delta_time_increment": increment})
    meter.advance(10.0)
    request = FullWrite(7, bytes((16, 8, 1)) + seconds.to_bytes(4, "little", signed=True))
    assert meter.serve(request.encode(), CLIENT, 10.0).result is ResultCode.OK
    timing = meter.find(Timing)
    offsets = []
    for minute in range(1, 9):  # of the meter's own clock
        meter.advance(timing.instant(UTC_START + dt.timedelta(minutes=minute)))
        meter.advance(timing.instant(UTC_START + dt.timedelta(minutes=minute)))  # a step on the way has moved it
        offsets.append(round((timing.utc(meter.now) - UTC_START).total_seconds() - meter.now))
    steps = [b - a for a, b in zip([0, *offsets], offsets, strict=False)]
    assert offsets[-1] == seconds and max(map(abs, steps)) <= increment and timing.slew_left == 0
    assert [row[1] for row in logged(meter)] == [3, 4]
    (old, *_), (new, *_) = logged(meter)
    assert (new - old).total_seconds() == seconds


def override(meter, tariff, rule, duration=0, until=None, calendar_id=9):
    stamp = (0,) * 6 if until is None else (until.year - 2000, until.month, until.day, until.hour, until.minute, until.second)
    octets = bytes((tariff, rule)) + duration.to_bytes(4, "little") + bytes(stamp) + calendar_id.to_bytes(4, "little")
    assert meter.serve(FullWrite(2048 + 47, octets).encode(), CLIENT, meter.now).result is ResultCode.OK


def test_overrides_end_by_their_rule():
    meter = at(ticking(start=dt.datetime(2024, 5, 6, 11)), dt.datetime(2024, 5, 6, 12))  # 13:00 local, tariff 1 until midnight
    assert state55(meter)[1:3] == (1, 0)
    override(meter, 2, 0)
    assert state55(meter)[1:3] == (2, 1)
    assert state55(at(meter, dt.datetime(2024, 5, 6, 22, 59, 59)))[1:3] == (2, 1)
    assert state55(at(meter, dt.datetime(2024, 5, 6, 23)))[1:3] == (0, 0)
    assert meter.octets("ET47", meter.now)[0] == 255
    override(meter, 3, 2, duration=90)
    assert state55(at(meter, dt.datetime(2024, 5, 6, 23, 1, 29)))[1:3] == (3, 3)
    assert state55(at(meter, dt.datetime(2024, 5, 6, 23, 1, 30)))[1:3] == (0, 0)
    override(meter, 3, 3, until=dt.datetime(2024, 5, 8, 1))
    assert state55(at(meter, dt.datetime(2024, 5, 8, 0, 59, 59)))[1:3] == (3, 3)
    assert state55(at(meter, dt.datetime(2024, 5, 8, 1)))[1:3] == (0, 0)
    override(meter, 1, 1)
    assert state55(at(meter, dt.datetime(2024, 6, 8)))[1:3] == (1, 2)
    override(meter, 255, 0)
    assert state55(meter)[1:3] == (0, 0)
    override(meter, 7, 1)  # no such tariff
    override(meter, 2, 2, duration=0)
    override(meter, 2, 3, until=dt.datetime(2024, 1, 1))
    assert state55(meter)[1:3] == (0, 0)


def test_a_written_calendar_rules_at_once():
    meter = ticking()
    assert state55(meter)[1] == 1
    values = calendar_values([], [[(0, 3)]], [(0, 0, 0, 0, 0)])
    from osgp import table

    octets = table("BT54").encode(values, meter.store.context)
    assert meter.serve(FullWrite(54, octets).encode(), CLIENT, 5.0).result is ResultCode.OK
    assert state55(meter)[1] == 3 and [row[1:] for row in logged(meter)] == [(27, 3)]


def test_a_zone_written_by_the_host_moves_local_time():
    meter = ticking()
    request = FullWrite(53, bytes((2, 0, 0, 60)) + (330).to_bytes(2, "little"))
    assert meter.serve(request.encode(), CLIENT, 60.0).result is ResultCode.OK
    assert state55(meter)[0] == UTC_START + dt.timedelta(hours=5, minutes=31)


@settings(max_examples=20)
@given(octets=st.binary(min_size=808, max_size=808), seconds=st.integers(1, 400 * 86400))
def test_any_calendar_can_be_lived_with(octets, seconds):
    meter = ticking()
    assert meter.serve(FullWrite(54, octets).encode(), CLIENT, 5.0).result is ResultCode.OK
    meter.advance(5.0 + min(seconds, 86400))
    set_clock(meter, UTC_START + dt.timedelta(seconds=seconds))
    meter.advance(meter.now + 7200.0)
    assert 0 <= state55(meter)[1] < 4


def consuming(configuration, load=None, **changes):
    values = calendar_values([], [[(0, 0)]], [(0, 0, 0, 0, 0)])
    return Meter(
        MeterConfig(
            load=load or ConstantLoad((1000.0,)), start=dt.datetime(2024, 2, 28, 23), utc_offset=60, firmware=(3, 70, 0),
            metering=MeteringSettings(calendar=values, history_entries=500, configuration=configuration, **changes),
        )
    )  # fmt: skip


def test_a_step_tariff_switches_at_the_watt_hour_and_begins_anew_each_month():
    """1 kW: 5 kWh after 5 h, 30 kWh after 30 h; the month begins at 06:30 on the first."""
    meter = consuming(
        {"step_tariff": True, "step_thresholds": (5000, 30_000, 0), "step_reset_hour": 6, "step_reset_minute": 30}
    )
    for hours, tier in ((4.9997, 0), (5.0, 1), (29.9997, 1), (30.0, 2), (30.4997, 2), (30.5, 0), (35.5, 1)):
        meter.advance(hours * 3600)
        assert state55(meter)[1:3] == (tier, 3), hours
    assert [tier[0] for tier in meter.registers.tiers()] == [10_000, 25_000, 500, 0]
    assert [row[1:] for row in logged(meter) if row[1] == 27] == [(27, 1), (27, 2), (27, 0), (27, 1)]
    assert meter.octets("ET54", meter.now)[76:79] == bytes((24, 3, 1)) and meter.octets("ET54", meter.now)[44] == 2


def test_an_over_power_tariff_comes_after_its_time_and_ends_with_the_power():
    class Peak(ConstantLoad):
        def day(self, number):
            return tuple((at, ConstantLoad((watts,)).power(0)) for at, watts in ((0, 500.0), (1000, 3000.0), (1020, 500.0),
                                                                                 (2000, 3000.0), (2600, 500.0)))  # fmt: skip

    meter = consuming(
        {"consumption_tariff": True, "over_power_threshold": 2500, "over_power_seconds": 60, "over_power_tier": 3}, Peak()
    )
    for second, tier in ((1100, 0), (2059.9, 0), (2060, 3), (2599.9, 3), (2600, 0)):
        meter.advance(float(second))
        assert state55(meter)[1] == tier, second
    assert meter.registers.tiers()[3][0] == 3000 * 540 // 3600
    assert len([row for row in logged(meter) if row[1] == 27]) == 2


def test_a_clock_error_has_a_tariff_of_its_own():
    meter = ticking()
    meter.store.write("ET04", 113, b"\x02")
    meter.signal(Alarm("clock_error"), meter.now)
    assert state55(meter)[1] == 2
    meter.serve(FullWrite(7, bytes((3, 8, 1)) + b"\xff" * 13).encode(), CLIENT, 1.0)
    assert state55(meter)[1] == 1
