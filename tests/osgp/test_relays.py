"""Control relays: modes and their ends, randomised operation, heartbeat, groups, calendar, maintenance."""

import datetime
import struct

import pytest

from osgp import (
    AccessLevel,
    FullWrite,
    Meter,
    MeterConfig,
    MeteringSettings,
    PartialRead,
    PartialWrite,
    Port,
    ResultCode,
    Session,
    table,
)
from osgp.meter import ControlSettings, ProcedureResult, Relays
from osgp.meter.journal import Journal
from osgp.meter.relay_calendar import day_block
from osgp.meter.settings import built_calendar, rdate
from osgp.meter.signals import Alarm
from osgp.meter.switchgear import SwitchState

MAK = Session(AccessLevel.MAK, Port.MEP1)
OPEN, CLOSE, LOCK, BEAT, RELEASE, ENTER, LEAVE = range(7)
MONDAY = datetime.datetime(2024, 3, 4)  # 00:00 UTC, local time too


def home(firmware=(4, 50, 0), start=MONDAY, **control):
    control = {"relays": 2, **control}
    return Meter(MeterConfig(start=start, utc_offset=0, firmware=firmware, control=ControlSettings(**control)))


def operate(meter, action, output, now, delay=0, duration=0, group=0):
    operate.sequence = getattr(operate, "sequence", 0) % 200 + 1
    parameters = struct.pack("<BBHIH", action, output, delay, duration, group)
    request = FullWrite(7, (2050).to_bytes(2, "little") + bytes((operate.sequence,)) + parameters)
    assert meter.serve(request.encode(), MAK, now).result is ResultCode.OK
    return ProcedureResult(meter.store.octets("BT08")[3])


def state(meter, number, now):
    meter.advance(now)
    return meter.find(Relays).state(number)


def shown(meter, number, now):
    """ET89.relays[number] as a reader gets it."""
    return table("ET89").decode(meter.table_octets("ET89", now), meter.store.context)["relays"][number]


def events(meter):
    log = meter.find(Journal).history
    return [int.from_bytes(log.octets[14 * n + 10 : 14 * n + 12], "little") & 0xFFF for n in range(log.valid)]


def test_commands_open_and_close_one_relay_for_a_time_or_for_ever():
    meter = home()
    assert operate(meter, OPEN, 1, 10.0) is ProcedureResult.ACCEPTED
    assert state(meter, 0, 11.0) == SwitchState.OPEN and state(meter, 1, 11.0) == SwitchState.CLOSED
    assert shown(meter, 0, 11.0)["op_mode"] == 2 and shown(meter, 0, 11.0)["remote_no_expire"]
    assert (shown(meter, 0, 11.0)["remote_state"], shown(meter, 1, 11.0)["op_mode"]) == (0, 3)
    operate(meter, OPEN, 2, 20.0, duration=3600)
    assert shown(meter, 1, 1000.0)["remote_remaining"] == 3620 - 1000
    assert state(meter, 1, 3619.0) == SwitchState.OPEN and state(meter, 1, 3621.0) == SwitchState.CLOSED
    assert state(meter, 0, 90_000.0) == SwitchState.OPEN
    bits = table("BT03").decode(meter.store.octets("BT03"), meter.store.context)
    assert bits["control_relay_1_open"] and bits["control_relay_2_open"]
    assert events(meter).count(67) == events(meter).count(3008) == 1


def test_a_lock_beats_a_remote_command_until_it_is_released_and_a_command_lifts_it():
    meter = home()
    operate(meter, CLOSE, 1, 10.0)
    operate(meter, LOCK, 1, 20.0, duration=100)
    assert state(meter, 0, 60.0) == SwitchState.OPEN and shown(meter, 0, 60.0)["op_mode"] == 1
    assert state(meter, 0, 140.0) == SwitchState.CLOSED and shown(meter, 0, 140.0)["op_mode"] == 2
    operate(meter, LOCK, 1, 200.0)
    operate(meter, CLOSE, 1, 300.0)
    assert state(meter, 0, 301.0) == SwitchState.CLOSED
    operate(meter, RELEASE, 1, 400.0)
    assert shown(meter, 0, 400.0)["op_mode"] == 3


def test_randomised_operation_is_shown_and_happens_within_the_time():
    meter = home()
    assert operate(meter, OPEN, 1, 10.0, delay=900) is ProcedureResult.ACCEPTED
    status = table("ET54").decode(meter.table_octets("ET54", 10.0), meter.store.context)
    drawn = status["relay1_random_total"]
    assert status["relay1_random_pending"] == 1 and status["relay1_random_remaining"] == drawn <= 900 and drawn > 1
    assert state(meter, 0, 9.9 + drawn) == SwitchState.CLOSED
    assert state(meter, 0, 10.2 + drawn) == SwitchState.OPEN
    status = table("ET54").decode(meter.table_octets("ET54", 2000.0), meter.store.context)
    assert (status["relay1_random_pending"], status["relay1_random_total"], status["relay2_random_total"]) == (0, drawn, 0)


def test_load_management_ends_without_a_heartbeat():
    settings = {"mode": 1, "heartbeat_minutes": 5, "group_ids": (7, 9, 0, 0, 0)}
    meter = home(relay_settings=(settings, {**settings, "explicit_heartbeat": True, "group_ids": (9, 0, 0, 0, 0)}))
    assert operate(meter, OPEN, 3, 10.0, group=9) is ProcedureResult.ACCEPTED
    for at in (200.0, 400.0):
        operate(meter, BEAT, 3, at, group=9)
    assert [state(meter, n, 600.0) for n in (0, 1)] == [SwitchState.OPEN] * 2
    assert operate(meter, OPEN, 3, 650.0, group=7) is ProcedureResult.COMPLETED  # relay 1 only: any command is a sign of life
    assert [state(meter, n, 701.0) for n in (0, 1)] == [SwitchState.OPEN, SwitchState.CLOSED]
    assert state(meter, 0, 951.0) == SwitchState.CLOSED and shown(meter, 0, 951.0)["op_mode"] == 3
    assert operate(meter, OPEN, 3, 960.0, group=8) is ProcedureResult.COMPLETED and state(meter, 0, 970.0) == SwitchState.CLOSED


def test_the_calendar_switches_at_its_local_times_every_day():
    """Off from 07:00 to 09:30 and from 17:00 to 20:00."""
    switches = ((7, 0, False), (9, 30, True), (17, 0, False), (20, 0, True))
    meter = home(relay_calendar=(1, 0), relay_switches=(switches,))
    for day in (0, 1, 6):
        for hour, expected in ((0, 0), (6.99, 0), (7.01, 2), (9.49, 2), (9.51, 0), (16.99, 0), (17.01, 2), (20.01, 0)):
            assert state(meter, 0, 86400 * day + 3600 * hour) == expected, (day, hour)
    operate(meter, CLOSE, 1, 86400 * 7 + 3600 * 7.5)
    assert [state(meter, number, 86400 * 7 + 3600 * 8) for number in (0, 1)] == [SwitchState.CLOSED] * 2


def test_the_calendar_follows_local_time_over_the_change_to_summer_time():
    """2024-03-31: the clocks jump from 02:00 to 03:00; 07:00 local time is then one hour earlier in UTC."""
    switches = ((7, 0, False), (8, 0, True))
    meter = home(start=datetime.datetime(2024, 3, 30), relay_calendar=(1, 0), relay_switches=(switches,))
    assert [state(meter, 0, 3600 * hour) for hour in (6.9, 7.1, 7.9, 8.1)] == [0, 2, 2, 0]
    assert [state(meter, 0, 86400 + 3600 * hour) for hour in (5.9, 6.1, 6.9, 7.1)] == [0, 2, 2, 0]


def test_days_find_their_blocks():
    special = {datetime.date(2024, 12, 25): 1}
    days = [datetime.date(2024, 3, 2 + n) for n in range(7)]  # Saturday to Friday
    assert [day_block(2, day, special.get) for day in days] == [6, 0, 1, 2, 3, 4, 5]
    assert [day_block(3, day, special.get) for day in days] == [0, 1, 2, 2, 2, 2, 2]
    assert [day_block(mode, datetime.date(2024, 12, 25), special.get) for mode in (1, 2, 3)] == [0, 7, 4]


def test_special_days_of_the_tariff_calendar_count():
    settings = MeteringSettings(dates=({"date": rdate(3, 5), "action": 20},))
    calendar = built_calendar(((0.0, 0),), settings)
    blocks = [(0, 0, True)] * 70 + [(12, 0, False)]
    meter = Meter(
        MeterConfig(
            start=MONDAY, utc_offset=0, firmware=(4, 50, 0), metering=MeteringSettings(calendar=calendar),
            control=ControlSettings(relay_calendar=(2, 0), relay_switches=(tuple(blocks),)),
        )
    )
    assert [state(meter, 0, 3600.0 * hour) for hour in (13, 35, 37, 47, 48.1)] == [0, 0, 2, 2, 0]


def test_a_host_writes_the_calendar_and_turns_it_on():
    meter = home()
    word = (1 << 11 | 0 << 5).to_bytes(2, "little")  # 01:00 open
    unused = (31 << 11 | 63 << 5).to_bytes(2, "little")
    assert meter.serve(PartialWrite(2109, 160, word + unused * 9).encode(), MAK, 5.0).result is ResultCode.OK
    assert meter.serve(PartialWrite(2053, 24, b"\x10").encode(), MAK, 5.0).result is ResultCode.OK
    assert state(meter, 1, 3700.0) == SwitchState.OPEN and state(meter, 0, 3700.0) == SwitchState.CLOSED


def test_the_cover_starts_maintenance_and_its_return_ends_it():
    settings = {"maint_entry": 1, "maint_open": True, "maint_exit": 1, "maint_exit_delay": 30}
    at_time = {"maint_entry": 1, "maint_exit": 2, "maint_exit_time": (6, 15)}
    meter = home(relay_settings=(settings, at_time))
    meter.advance(100.0)
    meter.signal(Alarm("cover_removed"), 100.0)
    assert state(meter, 0, 101.0) == SwitchState.OPEN and shown(meter, 0, 101.0)["op_mode"] == 0
    assert state(meter, 1, 101.0) == SwitchState.CLOSED and shown(meter, 1, 101.0)["maintenance_state"] == 1
    operate(meter, CLOSE, 1, 150.0)
    assert state(meter, 0, 160.0) == SwitchState.OPEN
    meter.signal(Alarm("cover_removed", False), 200.0)
    assert state(meter, 0, 229.0) == SwitchState.OPEN and state(meter, 0, 231.0) == SwitchState.CLOSED
    assert shown(meter, 1, 3600 * 6.2)["op_mode"] == 0 and shown(meter, 1, 3600 * 6.26)["op_mode"] == 3
    operate(meter, ENTER, 1, 30_000.0, duration=60)
    assert state(meter, 0, 30_001.0) == SwitchState.OPEN
    operate(meter, LEAVE, 1, 30_020.0)
    assert state(meter, 0, 30_021.0) == SwitchState.CLOSED


def test_relays_go_on_after_a_restart():
    meter = home()
    operate(meter, OPEN, 1, 10.0, delay=900)
    operate(meter, OPEN, 2, 10.0, duration=500)
    meter.advance(11.0)
    again = Meter(meter.config, saved=meter.saved())
    for one in (meter, again):
        one.advance(1000.0)
    assert meter.find(Relays).snapshot() == again.find(Relays).snapshot()
    assert [again.find(Relays).state(n) for n in (0, 1)] == [SwitchState.OPEN, SwitchState.CLOSED]


@pytest.mark.parametrize(("firmware", "relays"), [((2, 12, 0), 1), ((3, 60, 1), 1), ((4, 30, 0), 2)])
def test_firmware_decides_how_many_relays_there_are(firmware, relays):
    meter = home(firmware)
    assert len(meter.find(Relays).relays) == relays
    operate(meter, OPEN, 1, 10.0)
    assert state(meter, 0, 20.0) == SwitchState.OPEN
    assert meter.serve(PartialRead(2053, 0, 34).encode(), MAK, 20.0).result is ResultCode.OK
