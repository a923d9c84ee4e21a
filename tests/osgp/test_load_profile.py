"""Load profile: arithmetic of the guide, statuses, outages, clock moves, procedures; octets are read by hand here."""

import bisect
import datetime as dt
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_oracle import profile_of

from osgp import (
    ConfigurationError,
    ConstantLoad,
    FullWrite,
    Meter,
    MeterConfig,
    MeteringSettings,
    PartialWrite,
    ProfileSettings,
    table,
)
from osgp.access import AccessLevel, Port, Session
from osgp.meter.profile import Geometry, ProfileSet
from osgp.meter.profile_status import ChannelStatus, CommonStatus, combined, pack_status
from osgp.meter.profiling import Profiling
from osgp.meter.timekeeping import milliseconds
from osgp.meter.timing import Timing

START = dt.datetime(2024, 6, 1)
CLIENT = Session(AccessLevel.MAK, Port.LOCAL)
MINUTE = 60_000


def test_the_example_of_the_guide_has_464_octets():
    """1 day at 60 minutes with 4 channels: 5 + 3 + 24 (3 + 16)."""
    geometry = Geometry(4, 24, 10)
    assert geometry.block_size == 464 == 5 + 3 + 24 * (3 + 16)
    assert (geometry.header_size, geometry.interval_size, geometry.status_size) == (8, 19, 3)


@given(channels=st.integers(1, 16), intervals=st.integers(1, 1440))
def test_block_arithmetic_is_that_of_the_table_specification(channels, intervals):
    from osgp import Context

    context = Context(firmware=(3, 10))
    row = {"blocks": 2, "intervals": intervals, "channels": channels, "interval_time": 1}
    context.put("BT61", table("BT61").encode({"sets": [row]}, context))
    assert table("BT64").size(context) == Geometry(channels, intervals, 2).size


def test_statuses_lie_high_nibble_first_and_are_as_printed():
    codes = [ChannelStatus.OVERFLOW, ChannelStatus.PARTIAL, ChannelStatus.LONG, ChannelStatus.SKIPPED]
    assert pack_status(CommonStatus.DST | CommonStatus.CLOCK_BACK, codes) == bytes((0x91, 0x23, 0x40))
    assert pack_status(CommonStatus.POWER_FAIL, codes[:1]) == b"\x21"
    assert len(pack_status(CommonStatus.NONE, codes + codes)) == 8 // 2 + 1


@pytest.mark.parametrize(
    ("code", "reported"), [(8, 4), (11, 4), (15, 4), (9, 0), (10, 0), (4, 4), (2, 2), (3, 3), (1, 1), (5, 5)]
)
def test_ansi_meters_report_statuses_of_the_standard(code, reported):
    assert pack_status(CommonStatus.NONE, [ChannelStatus(code)], ansi=True) == bytes((reported,))


def test_precedence_is_the_printed_one():
    """Numbers in brackets of the guide; 0 and 12 have 0, 4 and 15 have 11."""
    order = {0: 0, 12: 0, 5: 2, 9: 3, 3: 4, 2: 5, 10: 6, 11: 7, 8: 8, 1: 10, 4: 11, 15: 11}
    for one, rank in order.items():
        for other, rank_of_other in order.items():
            winner = combined(ChannelStatus(one), ChannelStatus(other))
            assert order[winner] == max(rank, rank_of_other)
    assert combined(ChannelStatus.NONE, ChannelStatus.OPTED_OUT) is ChannelStatus.OPTED_OUT


def reading(*values):
    return lambda: (values, [ChannelStatus.NONE] * len(values))


def night(end_ms):
    return False


def intervals(one):
    """{index: (common, code of channel 0, values)} of the newest block."""
    geometry, base = one.geometry, one.state.last_block * one.geometry.block_size
    bits = int.from_bytes(one.octets[base + 5 : base + geometry.header_size], "little")
    found = {}
    for place in range(geometry.intervals):
        if bits >> place & 1:
            at = base + geometry.header_size + place * geometry.interval_size
            values = struct.unpack_from(f"<{geometry.channels}i", one.octets, at + geometry.status_size)
            found[place] = (one.octets[at] >> 4, one.octets[at] & 15, values)
    return found


def collecting(started, **changes):
    given_settings = {"channels": (0,), "interval_time": 15, "intervals": 8, "blocks": 3} | changes
    return ProfileSet(ProfileSettings(**given_settings), milliseconds(started))


def test_the_interval_in_which_collection_begins_is_partial_and_later_ones_are_whole():
    one = collecting(START + dt.timedelta(minutes=20))
    for value in (10, 20, 30):
        one.end_interval(night, reading(value))
    assert intervals(one) == {1: (0, 2, (10,)), 2: (0, 0, (20,)), 3: (0, 0, (30,))}
    assert (one.state.valid_intervals, one.state.last_interval, one.state.unread) == (4, 3, 0)
    assert bytes(one.octets[:5]) == bytes((24, 6, 1, 1, 0))


def test_blocks_go_round_and_unread_ones_overflow():
    one = collecting(START)
    for value in range(8 * 5 + 2):
        one.end_interval(night, reading(value))
    state = one.state
    assert (state.valid_blocks, state.last_block, state.sequence, state.valid_intervals) == (3, 2, 6, 2)
    assert state.overflow and state.unread == 2
    assert intervals(one) == {0: (0, 0, (40,)), 1: (0, 0, (41,))}
    one.acknowledge(1)
    assert not one.state.overflow and one.state.unread == 1


def test_a_block_that_does_not_divide_the_day_rotates():
    """50 intervals of 7 minutes are 350 minutes: blocks begin at 03:20, 09:10, 15:00 ..."""
    one = collecting(START + dt.timedelta(hours=3, minutes=20), interval_time=7, intervals=50, start=(3, 20))
    ends = []
    for _ in range(150):
        end = one.state.end_ms
        one.end_interval(night, reading(0))
        if one.state.last_interval == 0:
            ends.append(end - 7 * MINUTE)
    assert ends == [milliseconds(START + dt.timedelta(minutes=200 + 350 * k)) for k in range(3)]


def test_backfill_after_an_outage():
    one = collecting(START)
    one.end_interval(night, reading(100))
    down, up = START + dt.timedelta(minutes=20), START + dt.timedelta(minutes=70)
    assert one.power_back(milliseconds(down), milliseconds(up), night, reading(105), ChannelStatus.SKIPPED)
    one.end_interval(night, reading(120))
    assert intervals(one) == {
        0: (0, 0, (100,)), 1: (2, 0, (105,)), 2: (2, 4, (0,)), 3: (2, 4, (0,)), 4: (2, 0, (120,)),
    }  # fmt: skip


def test_an_outage_longer_than_the_memory_is_not_filled_in():
    one = collecting(START)
    one.end_interval(night, reading(1))
    down, up = START + dt.timedelta(minutes=20), START + dt.timedelta(days=4, minutes=5)
    assert not one.power_back(milliseconds(down), milliseconds(up), night, reading(2), ChannelStatus.SKIPPED)
    one.end_interval(night, reading(3))
    assert one.state.valid_blocks == 2 and intervals(one) == {0: (2, 0, (3,))}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [  # minutes of the day at which the clock is moved, and what the intervals ending at 15, 30, ... minutes say
        (20, 25, {0: (0, 0), 1: (4, 2), 2: (0, 0)}),
        (20, 30, {0: (0, 0), 1: (4, 2), 2: (0, 0)}),
        (20, 65, {0: (0, 0), 1: (4, 2), 2: (4, 4), 3: (4, 4), 4: (4, 2)}),
        (29, 16, {0: (0, 0), 1: (8, 3), 2: (0, 0)}),
        (31, 29, {0: (0, 0), 1: (0, 0), 2: (8, 3)}),  # the interval that had ended is not recorded again
        (16, 16, {0: (0, 0), 1: (0, 0)}),
    ],
)
def test_clock_moves(before, after, expected):
    one = collecting(START)
    while one.state.end_ms <= milliseconds(START + dt.timedelta(minutes=before)):
        one.end_interval(night, reading(one.state.end_ms // MINUTE % 1000))
    moved = [milliseconds(START + dt.timedelta(minutes=minute)) for minute in (before, after)]
    one.clock_moved(*moved, night, reading(7), ChannelStatus.SKIPPED)
    while len(intervals(one)) < len(expected):
        one.end_interval(night, reading(9))
    assert {place: row[:2] for place, row in intervals(one).items()} == expected


def test_a_clock_set_far_back_begins_a_new_block_and_keeps_the_old_one():
    one = collecting(START, intervals=96)
    for value in range(20):
        one.end_interval(night, reading(value))
    old, new = milliseconds(START + dt.timedelta(hours=5, minutes=1)), milliseconds(START + dt.timedelta(minutes=50))
    assert not one.clock_moved(old, new, night, reading(20), ChannelStatus.SKIPPED)
    assert one.state.valid_blocks == 1 and intervals(one)[20] == (8, 3, (20,))
    one.end_interval(night, reading(21))
    assert one.state.valid_blocks == 2 and intervals(one) == {3: (8, 2, (21,))}


@settings(max_examples=150)
@given(
    moves=st.lists(st.tuples(st.sampled_from(["run", "set", "off"]), st.integers(-400_000, 400_000)), max_size=30),
    intervals_per_block=st.integers(1, 40), minutes=st.sampled_from([1, 7, 15, 60]),
)  # fmt: skip
def test_counters_stay_consistent_whatever_the_clock_does(moves, intervals_per_block, minutes):
    one = collecting(START, intervals=intervals_per_block, interval_time=minutes)
    utc, value = milliseconds(START), 0
    for kind, seconds in moves:
        amount = 1000 * seconds
        if kind == "run":
            utc += min(abs(amount), 200 * minutes * MINUTE)
            while one.state.end_ms <= utc:
                value += 1
                one.end_interval(night, reading(value))
        elif kind == "set":
            one.clock_moved(utc, utc + amount, night, reading(value), ChannelStatus.SKIPPED)
            utc += amount
        else:
            down, utc = utc, utc + abs(amount)
            one.power_back(down, utc, night, reading(value), ChannelStatus.SKIPPED)
        state = one.state
        assert utc < state.end_ms <= utc + 3 * minutes * MINUTE
        assert 0 <= state.unread <= state.valid_blocks <= 3 and 0 <= state.last_block < 3
        assert state.sequence >= state.valid_blocks and len(one.octets) == one.geometry.size
        if state.valid_blocks:
            assert max(intervals(one)) == state.last_interval == state.valid_intervals - 1


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": ()}, {"channels": (0,) * 17}, {"interval_time": 0}, {"interval_time": 61},
        {"interval_time": 84, "ansi": True},
        {"intervals": 0}, {"intervals": 1441}, {"blocks": 1}, {"start": (24, 0)}, {"channels": (70_000,)},
    ],
)  # fmt: skip
def test_impossible_sets_are_refused(changes):
    with pytest.raises(ConfigurationError):
        ProfileSettings(**changes)


# in a meter


def metering(firmware=(4, 30, 0), **changes):
    return Meter(
        MeterConfig(
            firmware=firmware, load=ConstantLoad((1000.0,)), start=START, utc_offset=0, tariff=((0.0, 0),),
            metering=MeteringSettings(daylight_saving=False, dates=(), **changes),
        )
    )  # fmt: skip


def procedure(meter, number, parameters):
    meter.sequence_of_test = getattr(meter, "sequence_of_test", 0) + 1
    request = FullWrite(7, number.to_bytes(2, "little") + bytes((meter.sequence_of_test,)) + parameters)
    meter.serve(request.encode(), CLIENT, meter.now)
    return meter.octets("BT08", meter.now)[3]


def configuration(number=1, interval=30, per_block=48, blocks=5, start=(6, 0), sources=(0, 1), options=b""):
    head = struct.pack("<BBHHBBB", number, interval, per_block, blocks, *start, len(sources))
    return head + struct.pack(f"<{len(sources)}H", *sources) + options


def test_ep11_adds_a_set_and_raises_the_version():
    meter = metering()
    meter.advance(7 * 3600.0)
    version = meter.octets("ET04", meter.now)[116]
    assert procedure(meter, 2059, configuration(sources=(0, 0x4123, 8))) == 0
    assert meter.octets("ET04", meter.now)[116] == version + 1
    meter.advance(10 * 3600.0)
    context = meter.store.context
    dimensions = table("BT61").decode(meter.octets("BT61", meter.now), context)["sets"][1]
    assert (dimensions["blocks"], dimensions["intervals"], dimensions["channels"], dimensions["interval_time"]) == (5, 48, 3, 30)
    control = table("BT62").decode(meter.octets("BT62", meter.now), context)["sets"][1]
    assert [row["interval_source"] for row in control["channels"]] == [0, 112, 8]
    assert meter.octets("ET66", meter.now)[:2] == b"\x23\x41"
    rows = profile_of(meter, meter.now, 1)
    assert rows[START + dt.timedelta(hours=10)] == (0, 0, (10_000, 0, 1000))
    assert len(rows) == 6 and len(meter.octets("BT65", meter.now)) == table("BT65").size(context)
    at = 5 * 0 + 5 + 6 + 2 * (2 + 12)  # third interval of the block: the second source is a device that is not there
    assert meter.octets("BT65", meter.now)[at : at + 2] == bytes((0x00, 0xA0))


@pytest.mark.parametrize(
    ("parameters", "result"),
    [
        (configuration(number=4), 2), (configuration(interval=61), 2), (configuration(per_block=0), 2), (b"\0\x0f", 2),
        (configuration(sources=(0,) * 17), 2), (configuration(blocks=60_000), 3), (configuration()[:-1], 2),
        (configuration(interval=84, options=b"\x08"), 2), (configuration(interval=84), 0), (configuration(sources=()), 0),
    ],
)  # fmt: skip
def test_ep11_refuses_what_cannot_be(parameters, result):
    meter = metering()
    assert procedure(meter, 2059, parameters) == result


def test_ep52_changes_the_sources_and_keeps_the_rest():
    meter = metering()
    assert procedure(meter, 2100, b"\0" + struct.pack("<4H", 8, 15, 19, 0)) == 0
    meter.advance(3600.0)
    values = profile_of(meter, meter.now)[START + dt.timedelta(hours=1)][2]
    assert values[0] == 1000 and 220_000 < values[1] < 240_000 and 49_900 < values[2] < 50_100 and values[3] == 1000
    assert procedure(meter, 2100, b"\0" + struct.pack("<3H", 8, 15, 19)) == 2
    assert procedure(meter, 2100, b"\2" + struct.pack("<H", 8)) == 2


def test_firmware_before_3_50_has_one_set():
    meter = metering((3, 10, 0))
    assert len(meter.octets("BT61", 0.0)) == 13 and "BT65" not in meter.store
    with pytest.raises(ConfigurationError):
        metering((3, 10, 0), profile=(ProfileSettings(), ProfileSettings()))


def alarm(meter, name):
    return table("BT03").decode(meter.octets("BT03", meter.now), meter.store.context)[name]


def test_unread_blocks_raise_an_alarm_that_acknowledging_takes_back():
    meter = metering(profile=(ProfileSettings(blocks=3), ProfileSettings(interval_time=1, intervals=60, blocks=4)))
    meter.advance(86_399.0)
    assert not alarm(meter, "lp1_unread") and alarm(meter, "lp2_unread")
    meter.advance(86_400.0)
    assert alarm(meter, "lp1_unread") and not alarm(meter, "load_profile_overflow")  # the overflow of set 2 is no alarm
    assert procedure(meter, 2051, b"\xff" * 13) == 0 and alarm(meter, "lp1_unread")  # EP03 cannot clear it
    assert procedure(meter, 5, b"\x03\x01\x00") == 0 and not alarm(meter, "lp1_unread")
    meter.advance(5 * 86_400.0)
    assert alarm(meter, "load_profile_overflow") and meter.octets("BT63", meter.now)[0] & 2
    assert procedure(meter, 5, b"\x03\x02\x00") == 0 and not meter.octets("BT63", meter.now)[0] & 2
    assert alarm(meter, "load_profile_overflow")  # latched
    assert procedure(meter, 2051, b"\xff" * 13) == 0 and not alarm(meter, "load_profile_overflow")


def test_without_the_skipped_flag_intervals_without_power_repeat_the_registers():
    meter = metering()
    meter.serve(PartialWrite(2052, 71, b"\0").encode(), CLIENT, 0.0)
    meter.advance(5400.0)
    meter.power_down(5400.0)
    meter.power_up(4.25 * 3600)
    rows = profile_of(meter, meter.now)
    assert rows[START + dt.timedelta(hours=3)] == (2, 0, (1500, 0, 0, 0))


def test_opted_out_profiles_say_so():
    meter = metering()
    meter.store.write("ET54", 19, b"\x01")
    meter.advance(3600.0)
    assert profile_of(meter, meter.now)[START + dt.timedelta(hours=1)] == (0, 12, (0, 0, 0, 0))


def test_an_event_79_follows_an_outage_that_cannot_be_filled_in():
    meter = metering(profile=(ProfileSettings(interval_time=1, intervals=60, blocks=2),))
    meter.advance(90.0)
    meter.power_down(90.0)
    meter.power_up(86_400.0)
    assert alarm(meter, "load_profile_backfill_failed")


def test_extremes_are_those_of_the_interval():
    """2 kW in the first ten minutes of the second hour only."""

    class Peak(ConstantLoad):
        def day(self, number):
            low, high = ConstantLoad((500.0,)).power(0), ConstantLoad((2000.0,)).power(0)
            return ((0, low), (3600, high), (4200, low))

    meter = Meter(
        MeterConfig(
            load=Peak(), start=START, utc_offset=0,
            metering=MeteringSettings(profile=(ProfileSettings((170, 171, 164, 167)),)),
        )
    )  # fmt: skip
    meter.advance(3 * 3600.0)
    rows = [profile_of(meter, meter.now)[START + dt.timedelta(hours=hour)][2] for hour in (1, 2, 3)]
    assert [row[:2] for row in rows] == [(500, 0), (2000, 0), (500, 0)]
    assert all(220_000 < row[2] < row[3] < 240_000 for row in rows)
    assert rows[1][2] < rows[0][2] - 1000  # the load pulls the voltage down


def test_a_set_is_read_newest_first_as_the_guide_says():
    """Newest full block: offset ((last_block - 1) mod blocks) block_size; newest interval by its index."""
    meter = metering()
    meter.advance(2 * 86_400 + 3 * 3600.0)
    live = table("ET21").decode(meter.octets("ET21", meter.now), meter.store.context)["sets"][0]
    octets = meter.octets("BT64", meter.now)
    size, blocks = live["block_size"], 31
    full = octets[(live["last_block"] - 1) % blocks * size :][:size]
    assert full[:5] == bytes((24, 6, 3, 0, 0)) and full[5:8] == b"\xff\xff\xff"
    at = live["last_block"] * size + live["block_header_size"] + live["last_interval"] * live["interval_size"]
    assert struct.unpack_from("<i", octets, at + live["channel0_offset"]) == (51_000,)
    assert (live["valid_intervals"], live["last_interval"], live["valid_blocks"]) == (3, 2, 3)
    assert live["interval_end_utc"].moment() == START + dt.timedelta(days=2, hours=3)


def test_profiling_needs_a_clock():
    with pytest.raises(ConfigurationError):
        Meter(MeterConfig(), [Profiling()])
    assert metering().find(Timing) is not None


PLACEHOLDER = ([7, 0, -7], [ChannelStatus.NONE, ChannelStatus.PLACEHOLDER, ChannelStatus.NONE])


@given(
    late=st.lists(st.booleans(), min_size=14, max_size=14), lag=st.integers(1, 4), ansi=st.booleans(),
    code=st.sampled_from((ChannelStatus.NONE, ChannelStatus.DECRYPTION_FAILURE, ChannelStatus.DEVICE_MISSING)),
)  # fmt: skip
def test_values_that_arrive_late_lie_where_those_in_time_would(late, lag, ansi, code):
    """Two data sets that live the same life; one of them gets the values of channel 73 up to four intervals later."""
    started = milliseconds(START) + 3 * MINUTE  # the first interval is not whole, and says so
    prompt, tardy = (ProfileSet(ProfileSettings((0, 73, 1), 15, 4, 3, ansi=ansi), started) for _ in range(2))
    whole = ([7, 4321, -7], [ChannelStatus.NONE, code, ChannelStatus.NONE])
    for number, waits in enumerate(late):
        prompt.end_interval(lambda _: False, lambda: whole)
        tardy.end_interval(lambda _: False, (lambda: PLACEHOLDER) if waits else (lambda: whole))
        if (number + 1) % lag == 0:
            assert tardy.fill(73, (4321, code)) is any(late[number + 1 - lag : number + 1])
    tardy.fill(73, (4321, code))
    assert tardy.octets == prompt.octets and not tardy.waiting


def test_a_value_that_comes_too_late_or_never_changes_nothing():
    one = ProfileSet(ProfileSettings((0, 73, 1), 15, 4, 3), milliseconds(START))
    one.end_interval(lambda _: False, lambda: PLACEHOLDER)
    before = bytes(one.octets)
    assert not one.fill(74, (1, ChannelStatus.NONE)) and one.waiting
    assert not one.fill(73, None) and not one.waiting and one.octets == before
    one.end_interval(lambda _: False, lambda: PLACEHOLDER)
    utc_ms = one.state.end_ms
    one.clock_moved(utc_ms, utc_ms + 40 * 15 * MINUTE, lambda _: False, lambda: PLACEHOLDER, ChannelStatus.SKIPPED)
    before = bytes(one.octets)
    assert not one.fill(73, (1, ChannelStatus.NONE)) and one.octets == before


def test_not_more_is_waited_for_than_can_be_remembered():
    one = ProfileSet(ProfileSettings((73,), 1, 1440, 2), milliseconds(START))
    for _ in range(200):
        one.end_interval(lambda _: False, lambda: ([0], [ChannelStatus.PLACEHOLDER]))
    assert len(one.waiting) == 64 and min(one.waiting)[0] == one.state.recorded_ms - 63 * MINUTE


@given(
    changes=st.lists(st.integers(0, 400), max_size=6, unique=True).map(sorted), jump=st.integers(1, 130),
    before=st.integers(0, 5), intervals=st.integers(1, 9),
)  # fmt: skip
def test_intervals_filled_in_at_once_are_those_filled_in_one_by_one(changes, jump, before, intervals):
    """Daylight saving that changes at odd quarters of an hour, or several times in a block."""
    started = milliseconds(START)
    edges = [started + one * 7 * MINUTE for one in changes]

    def dst(end_ms):
        return bisect.bisect_right(edges, end_ms - 1) % 2 == 1

    def dst_until(end_ms):
        return next((one for one in edges if one > end_ms - 1), end_ms + 10**9)

    slow, fast = (ProfileSet(ProfileSettings((0, 1), 15, intervals, 40), started) for _ in range(2))
    fast.dst_until = dst_until
    for one in (slow, fast):
        for _ in range(before):
            one.end_interval(dst, lambda: ([5, 6], [ChannelStatus.NONE] * 2))
        now_ms = one.state.end_ms - 14 * MINUTE
        moved = now_ms + jump * 13 * MINUTE
        one.clock_moved(now_ms, moved, dst, lambda: ([7, 8], [ChannelStatus.NONE] * 2), ChannelStatus.SKIPPED)
    assert fast.octets == slow.octets and fast.state == slow.state


def test_a_month_of_minutes_is_filled_in_without_holding_up_a_request():
    calls = []
    one = ProfileSet(ProfileSettings((0,), 1, 1440, 32), milliseconds(START), dst_until=lambda end_ms: end_ms + 10**12)
    was, dst = one.state.end_ms, lambda end_ms: bool(calls.append(end_ms))
    assert one.clock_moved(was, was + 30 * 1440 * MINUTE, dst, lambda: ([1], [ChannelStatus.NONE]), ChannelStatus.SKIPPED)
    assert one.state.valid_blocks == 31 and len(calls) < 100  # once for a block, not once for a minute
