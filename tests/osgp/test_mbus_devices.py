"""Sub-meters behind the meter: discovery, schedules, on-demand reads, alarms, profile; pyMeterBus reads the telegrams."""

import datetime
import json
import struct

import meterbus
import pytest

from osgp import (
    AccessLevel,
    FullRead,
    FullWrite,
    Meter,
    MeterConfig,
    MeteringSettings,
    PartialWrite,
    Port,
    ResultCode,
    Session,
    table,
)
from osgp.mbus import LongFrame, MbusDevice, ShortFrame, heat_meter, water_meter
from osgp.mbus.slave import DATA_SEND
from osgp.meter import MbusDevices, ProcedureResult, ProfileSettings
from osgp.meter.journal import Journal
from osgp.meter.mbus_schedule import Schedule
from osgp.meter.profile_status import ChannelStatus
from osgp.types import LtimeDate

MAK = Session(AccessLevel.MAK, Port.MEP1)
MBK = Session(AccessLevel.MBK, Port.MEP1)
MK = Session(AccessLevel.MK, Port.OPTICAL)
MIDNIGHT = datetime.datetime(2024, 3, 4)
KEY = bytes(range(16))


def home(*devices, firmware=(4, 30, 1), **settings):
    devices = devices or (water_meter(11223344), heat_meter(55667788))
    metering = MeteringSettings(**settings)
    return Meter(MeterConfig(start=MIDNIGHT, utc_offset=0, firmware=firmware, mbus=devices, metering=metering))


def run(meter, number, parameters, now, session=MAK):
    run.sequence = getattr(run, "sequence", 0) % 200 + 1
    request = FullWrite(7, (2048 + number).to_bytes(2, "little") + bytes((run.sequence,)) + parameters)
    assert meter.serve(request.encode(), session, now).result is ResultCode.OK
    answer = meter.store.octets("BT08")
    return ProcedureResult(answer[3]), answer[4]


def post(meter, handle, kind, now, data=b"", transaction=1):
    return run(meter, 19, struct.pack("<HHB", transaction, handle, kind) + data, now)


def logged(meter, event):
    log = meter.find(Journal).history
    entries = [bytes(log.octets[14 * n : 14 * n + 14]) for n in range(log.valid)]
    return [int.from_bytes(one[12:14], "little") for one in entries if int.from_bytes(one[10:12], "little") & 0xFFF == event]


def telegrams(octets):
    """Telegrams of an ET16 element or an ET45 record, each with its length in front."""
    found = []
    while octets and octets[0]:
        found.append(octets[1 : octets[0]])
        assert octets[octets[0]] == 0
        octets = octets[octets[0] + 1 :]
    return found


def values(telegram):
    """What pyMeterBus reads from a stored telegram."""
    frame = LongFrame(8, 1, 0x72, telegram).encode()
    records = json.loads(meterbus.load(frame).to_JSON())["body"]["records"]
    return [float(one["value"]) for one in records if "MORE_RECORDS" not in one["function"]]


def test_devices_at_address_zero_are_found_and_read_although_they_speak_at_once():
    meter = home()
    meter.advance(5.0)
    rows = meter.store["ET14.devices"]
    seen = [(row["handle"], row["status"], row["baud"], row["mbus_address"]) for row in rows[:3]]
    assert seen == [(1, 1, 4, 1), (2, 1, 4, 2), (0,) * 4]
    assert meter.store["ET14.occupancy"] == 3 and [slave.address for slave in meter.find(MbusDevices).bus.slaves] == [1, 2]
    assert logged(meter, 96) == [0, 1 << 13] and logged(meter, 82) == [0] and logged(meter, 81) == [1 << 13 | 1, 2 << 13 | 1]
    water, heat = (telegrams(meter.store[f"ET16.devices[{n}]"]["body"]) for n in (0, 1))
    assert len(water) == 1 and len(heat) == 2
    device = meter.config.mbus[1]
    assert values(heat[0])[0] == 1000.0 * device.counter(1.0) and values(heat[1]) == [65.0, 35.0]
    assert rows[1]["billing_length"] == sum(len(one) + 2 for one in heat)


def test_scheduled_reads_land_in_et45_with_the_value_of_their_time():
    meter = home(water_meter(11223344))
    meter.advance(5.0)
    assert meter.serve(PartialWrite(2061, 1, bytes((6, 30, 1))).encode(), MAK, 10.0).result is ResultCode.OK
    meter.advance(3 * 86_400.0)
    log = meter.find(Journal).logs["ET45"]
    assert log.valid == 3 and meter.serve(FullRead(2093).encode(), MAK, meter.now).data[:2] == b"\x04\x03"
    records = [bytes(log.octets[525 * n : 525 * n + 525]) for n in range(3)]
    for day, record in enumerate(records):
        length, handle = struct.unpack_from("<H2xH", record)
        assert handle == 1 and record[6:8] == b"\x00\x04" and record[2 + length - 1] == 0
        assert record[8:14] == bytes((24, 3, 4 + day, 6, 30, 0))
        litres = meter.config.mbus[0].counter(86_400.0 * day + 6.5 * 3600)
        assert values(telegrams(record[15:])[0])[0] == pytest.approx(litres / 1000)


def test_a_read_that_an_outage_prevented_is_made_up_and_marked():
    meter = home(water_meter(1))
    meter.advance(10.0)
    meter.power_down(86_000.0)
    meter.power_up(90_000.0)
    meter.advance(90_001.0)
    log = meter.find(Journal).logs["ET45"]
    assert log.valid == 1 and log.newest()[6] == 2


@pytest.mark.parametrize(("schedule", "due"), [
    (Schedule(0, 0, 15, 0), (4, 10, 15)), (Schedule(0, 9, 30, 1), (5, 9, 30)), (Schedule(0, 11, 0, 1), (4, 11, 0)),
    (Schedule(32, 1, 0, 2), (10, 1, 0)), (Schedule(33, 10, 0, 2), (11, 10, 0)), (Schedule(39, 1, 0, 2), None),
    (Schedule(0, 0, 0, 3), (32, 0, 0)), (Schedule(15, 0, 5, 3), (15, 0, 5)), (Schedule(0, 0, 0, 4), None),
])  # fmt: skip
def test_schedules(schedule, due):
    """From Monday 2024-03-04 10:00; day 32 of March is the first of April."""
    found = schedule.next(datetime.datetime(2024, 3, 4, 10, 0))
    wanted = due and datetime.datetime(2024, 3, 1, due[1], due[2]) + datetime.timedelta(days=due[0] - 1)
    assert found == wanted


def test_on_demand_requests_go_through_the_queue():
    meter = home()
    meter.advance(5.0)
    assert post(meter, 1, 2, 1000.0, transaction=77) == (ProcedureResult.COMPLETED, 0)
    assert meter.store["ET15.queue[0]"].plain() == {"transaction": 77, "handle_or_mask": 1, "request_type": 2, "result": 0}
    meter.advance(1001.0)
    assert meter.store["ET15.queue[0].result"] == 1
    assert (meter.store["ET15.read_pointer"], meter.store["ET15.write_pointer"]) == (1, 1)
    litres = meter.config.mbus[0].counter(1001.0)
    assert values(telegrams(meter.store["ET16.devices[0]"]["body"])[0])[0] == pytest.approx(litres / 1000)
    slaves = meter.find(MbusDevices).bus.slaves
    post(meter, 2, 5, 2000.0)
    post(meter, 2, 1, 2000.0)
    post(meter, 2, 4, 2000.0, b"\x03\x0f\x01\x02")
    post(meter, 0b11, 10, 2000.0, b"\x02\xaa\xbb")
    meter.advance(2001.0)
    assert slaves[1].clock == datetime.datetime(2024, 3, 4, 0, 33) and slaves[1].resets == 1
    assert slaves[1].written[-1] == b"\x0f\x01\x02" and slaves[0].written[-1] == b"\xaa\xbb"
    assert [meter.store[f"ET15.queue[{n}].result"] for n in range(5)] == [1] * 5


def test_multicasts_reach_the_groups_they_name():
    meter = home()
    meter.advance(5.0)
    meter.store["ET34.devices[1].group_mask"] = 4
    data = bytes((0x53, DATA_SEND)) + b"\x01\xfd\x1f\x00"
    post(meter, 4, 6, 10.0, bytes((len(data),)) + data)
    meter.advance(12.0)
    slaves = meter.find(MbusDevices).bus.slaves
    assert slaves[1].written[-1] == data[2:] and data[2:] not in slaves[0].written
    post(meter, 0xFFFF, 6, 20.0, bytes((len(data),)) + data)
    meter.advance(22.0)
    assert slaves[0].written[-1] == data[2:]


def test_the_queue_refuses_what_it_cannot_hold():
    meter = home()
    meter.advance(5.0)
    assert [post(meter, 1, 3, 10.0)[0] for _ in range(6)] == [ProcedureResult.COMPLETED] * 5 + [ProcedureResult.QUEUE_FULL]
    assert post(meter, 9, 2, 20.0)[0] == 3 and post(meter, 1, 99, 20.0)[0] == 2 and post(meter, 1, 9, 20.0)[0] == 2
    assert post(meter, 1, 4, 20.0, b"\x19" + bytes(25))[0] == 2 and post(meter, 1, 4, 20.0, b"\x09abc")[0] == 2
    assert post(meter, 1, 4, 20.0, b"\x18" + bytes(24))[0] == 0 and run(meter, 19, b"\x01", 20.0)[0] == 2


def test_a_silent_device_is_down_and_up_again():
    meter = home(water_meter(5))
    meter.advance(5.0)
    slave = meter.find(MbusDevices).bus.slaves[0]
    slave.silent = True
    post(meter, 1, 2, 10.0)
    meter.advance(12.0)
    assert meter.store["ET15.queue[0].result"] == 2 and meter.store["ET14.devices[0].status"] == 2
    assert logged(meter, 96)[-1] == 2 and logged(meter, 81)[-1] == 1 << 13 | 1 << 4
    slave.silent = False
    post(meter, 1, 3, 20.0)
    meter.advance(22.0)
    assert meter.store["ET14.devices[0].status"] == 1
    row = meter.store["ET14.devices[0]"]
    assert (row["read_attempts"], row["read_answers"], row["comms_failed"]) == (3, 2, True)
    run(meter, 18, struct.pack("<HH", 1, 0xFFFF), 30.0)
    bits = table("BT03").decode(meter.store.octets("BT03"), meter.store.context)
    assert not meter.store["ET14.devices[0].comms_failed"] and not bits["mbus_alarm"]


def test_an_exchanged_meter_is_noticed():
    meter = home(water_meter(5))
    meter.advance(5.0)
    bus = meter.find(MbusDevices).bus
    bus.slaves[0] = water_meter(6, address=1).slave()
    meter.advance(86_401.0)
    assert meter.store["ET14.devices[0].serial_mismatch"] and logged(meter, 81)[-1] >> 5 & 1


def test_urgent_alarms_of_a_device_follow_its_mask():
    meter = home()
    meter.advance(5.0)
    for slave in meter.find(MbusDevices).bus.slaves:
        slave.status = 0x04  # power low
    meter.serve(PartialWrite(2061, 66 + 4, (30).to_bytes(2, "little")).encode(), MAK, 10.0)
    meter.serve(PartialWrite(2061, 66 + 7, b"\x04").encode(), MAK, 10.0)
    meter.advance(10 + 1801.0)
    rows = meter.store["ET14.devices"]
    assert [(row["device_alarms"], row["new_device_alarm"]) for row in rows[:2]] == [(0, False), (4, True)]
    assert logged(meter, 81)[-1] == 2 << 13 | 4


def test_keys_are_written_used_and_never_read_back():
    meter = home(water_meter(7, key=KEY))
    meter.advance(5.0)
    assert meter.store["ET16.devices[0]"]["security_failed"]
    assert meter.serve(PartialWrite(2061, 29, b"\x10" + KEY + bytes(16)).encode(), MAK, 10.0).result is ResultCode.OK
    assert meter.store.octets("ET13")[30:38] == bytes(8) and KEY[:8] not in meter.store.octets("ET13")
    post(meter, 1, 2, 20.0)
    again = Meter(meter.config, saved=meter.saved())
    again.advance(1_000.0)
    record = again.store["ET16.devices[0]"]
    assert record["key_available"] and not record["security_failed"]
    assert values(telegrams(record["body"])[0])[0] == pytest.approx(again.config.mbus[0].counter(21.0) / 1000)


def test_a_load_profile_has_channels_of_sub_meters():
    """Counter 1 of water and heat by the ids 73 and 75, volume of the heat meter by its extended id (type 4)."""
    meter = home(profile=(ProfileSettings(channels=(0, 73, 75, 0x4102, 77), interval_time=60, intervals=24, blocks=2),))
    meter.advance(86_400.0)
    block = meter.octets("BT64", 86_400.0)
    status, header = 5 // 2 + 1, 5 + 3
    water, heat = meter.config.mbus
    for hour in range(1, 25):
        at = header + (hour - 1) * (status + 20)
        row = block[at : at + status + 20]
        channels = struct.unpack("<5i", row[status:])
        now = 3600.0 * hour
        assert channels[1:3] == (water.counter(now), heat.counter(now))
        assert channels[3] == round(1000 * heat.counter(now) / 35.0)
        assert (row[0] & 15, row[1] >> 4, row[1] & 15, row[2] >> 4, row[2] & 15) == (0, 0, 0, 0, ChannelStatus.DEVICE_MISSING)


def test_polls_follow_their_rate_and_a_silent_device_leaves_a_mark():
    meter = home(water_meter(1), profile=(ProfileSettings(channels=(73,), interval_time=15, intervals=96, blocks=2),))
    meter.advance(5.0)
    meter.advance(3600.0)
    meter.find(MbusDevices).bus.slaves[0].silent = True
    meter.advance(7200.0)
    block = meter.octets("BT64", 7200.0)
    rows = [block[5 + 12 + 5 * n : 5 + 12 + 5 * n + 5] for n in range(8)]
    assert [row[0] & 15 for row in rows] == [15, 15, 15, 0, 11, 11, 11, 15]
    water = meter.config.mbus[0]
    assert [int.from_bytes(row[1:], "little") for row in rows[3:7]] == [water.counter(3600.0)] * 4


def test_scheduled_reads_wait_in_et74_while_et45_is_full_and_nothing_is_lost():
    meter = home(water_meter(1), overflow_reads=4)
    meter.advance(5.0)
    meter.store["ET13.devices[0].frequency"] = 0  # hourly
    assert run(meter, 37, struct.pack("<BHH", 4, 3, 0), 6.0)[0] == 0  # three entries in ET45
    meter.find(MbusDevices)._plan(0, 6.0)

    def counts(now):
        small, wide = (table(name).decode(meter.table_octets(name, now), meter.store.context) for name in ("ET45", "ET74"))
        return small["number_unread"], small["last_sequence"], wide["number_pending"], wide["last_sequence"], wide["overflow"]

    assert counts(3 * 3600.0 + 60.0) == (3, 3, 0, 0, False)
    assert counts(5 * 3600.0 + 60.0) == (3, 3, 2, 2, False)
    again = type(meter)(meter.config, saved=meter.saved())
    assert again.table_octets("ET74", again.now) == meter.table_octets("ET74", meter.now)
    assert run(meter, 26, struct.pack("<BH", 4, 1), 5 * 3600.0 + 70.0)[0] == 0  # one was read: one moves up
    assert counts(5 * 3600.0 + 80.0) == (3, 4, 1, 2, False)
    assert counts(8 * 3600.0 + 80.0) == (3, 4, 4, 5, False)
    assert counts(9 * 3600.0 + 80.0)[2:] == (4, 6, True)  # one too many: the oldest of ET74 is lost, and it says so
    run(meter, 26, struct.pack("<BH", 4, 3), 9 * 3600.0 + 90.0)
    assert counts(9 * 3600.0 + 100.0)[:3] == (3, 7, 1)


def test_a_sub_meter_is_read_once_when_et20_asks_for_it():
    meter = home(water_meter(1), heat_meter(2))
    meter.advance(5.0)
    bus = meter.find(MbusDevices).bus
    later = LtimeDate.of(MIDNIGHT + datetime.timedelta(seconds=3600)).encode()
    at_once = bytes(6)

    def request(transaction, when, kind, handle):
        return struct.pack("<H", transaction) + when + struct.pack("<BBH5x", kind, 0, handle)

    rows = (request(7, at_once, 1, 1), request(8, later, 1, 2), request(9, at_once, 1, 77), request(10, at_once, 5, 1))
    assert meter.serve(FullWrite(2068, b"".join(rows)).encode(), MK, 10.0).result is ResultCode.OK

    def results(now):
        octets = meter.table_octets("ET20", now)
        return [octets[17 * row + 9] for row in range(4)]

    def log(now):
        octets = meter.table_octets("ET32", now)
        return octets[1], octets[5], [octets[6 + 525 * k :][:525] for k in range(octets[1])]

    assert results(10.0) == [1, 0, 3, 2] and log(10.0)[:2] == (1, 1)
    bus.slaves[1].silent = True
    assert results(3600.0) == [1, 4, 3, 2] and log(3600.0)[0] == 1
    bus.slaves[1].silent = False
    meter.serve(PartialWrite(2068, 17, rows[1]).encode(), MK, 3700.0)  # its time has passed: at once
    assert results(3700.0) == [1, 1, 3, 2]
    entries = log(3700.0)[2]
    assert [struct.unpack_from("<H", one, 4)[0] for one in entries] == [1, 2] and all(one[7] == 4 for one in entries)
    again = type(meter)(meter.config, saved=meter.saved())
    assert again.table_octets("ET32", again.now) == meter.table_octets("ET32", meter.now)
    assert run(meter, 26, struct.pack("<BH", 1, 2), 3710.0)[0] == 0 and log(3710.0)[1] == 0
    assert "ET20" not in Meter().store and "ET32" not in Meter().store  # without sub-meters


def waiting_home(wait, retries=0, retry_wait=0, interval=15):
    meter = home(water_meter(1), profile=(ProfileSettings(channels=(0, 73), interval_time=interval, intervals=96, blocks=2),))
    meter.advance(5.0)
    settings = {"lp_poll_wait": wait, "lp_poll_retries": retries, "lp_poll_retry_wait": retry_wait}
    for name, value in {"lp_poll_rate": 0, **settings}.items():
        meter.store[f"ET34.devices[0].{name}"] = value
    return meter


def profile_rows(meter, now, count):
    """(status of channel 0, of channel 1, value of channel 1) of the first intervals."""
    block = meter.table_octets("BT64", now)
    rows = [block[17 + 10 * n : 27 + 10 * n] for n in range(count)]
    return [(row[0] & 15, row[1] >> 4, int.from_bytes(row[6:], "little")) for row in rows]


def test_a_poll_waits_and_the_value_goes_into_its_interval():
    meter = waiting_home(30)
    water = meter.config.mbus[0]
    assert profile_rows(meter, 929.9, 1) == [(0, 15, 0)]  # since 900 s
    assert profile_rows(meter, 930.0, 1) == [(0, 0, water.counter(930.0))]
    assert profile_rows(meter, 1829.0, 2)[1] == (0, 15, 0)
    assert profile_rows(meter, 1830.0, 2)[1] == (0, 0, water.counter(1830.0))


def test_retries_go_on_until_the_device_answers():
    meter = waiting_home(10, retries=5, retry_wait=7)
    bus, water = meter.find(MbusDevices).bus, meter.config.mbus[0]
    meter.advance(1000.0)
    bus.slaves[0].silent = True
    meter.advance(1812.0)  # asked at 1810
    asked = meter.store["ET14.devices[0].read_attempts"]
    assert profile_rows(meter, 1823.0, 2)[1] == (0, 15, 0) and meter.store["ET14.devices[0].read_attempts"] == asked + 1
    bus.slaves[0].silent = False
    assert profile_rows(meter, 1824.0, 2)[1] == (0, 0, water.counter(1824.0))


def test_a_device_that_never_answers_leaves_a_placeholder_and_is_asked_one_time_more_than_there_are_retries():
    meter = waiting_home(0, retries=254, retry_wait=0)
    meter.advance(1000.0)
    meter.find(MbusDevices).bus.slaves[0].silent = True
    before = meter.store["ET14.devices[0].read_attempts"]
    assert profile_rows(meter, 2699.0, 2)[1] == (0, 15, 0)
    assert meter.store["ET14.devices[0].read_attempts"] == before + 255


def test_what_is_waited_for_when_the_power_goes_never_arrives():
    meter = waiting_home(60)
    meter.advance(1810.0)
    meter.power_down(1820.0)
    meter.power_up(1840.0)
    assert profile_rows(meter, 1900.0, 2)[1] == (0, 15, 0)


def test_one_poll_serves_all_intervals_that_end_while_it_goes_on():
    meter = waiting_home(150, interval=1)
    water = meter.config.mbus[0]
    meter.advance(209.0)
    assert [code for _, code, _ in profile_rows(meter, 209.0, 3)] == [15, 15, 15]  # ends at 60, 120, 180 s; asked at 210
    assert [value for *_, value in profile_rows(meter, 211.0, 3)] == [water.counter(210.0)] * 3


def test_removal_frees_the_slot_and_sets_the_address():
    meter = home()
    meter.advance(5.0)
    bus = meter.find(MbusDevices).bus
    assert run(meter, 17, b"\x01\x01\x00", 10.0)[0] == 0 and bus.slaves[0].address == 250
    assert run(meter, 17, b"\x00\x02\x00", 11.0)[0] == 0 and bus.slaves[1].address == 0
    assert meter.store["ET14.occupancy"] == 0 and logged(meter, 96)[-2:] == [4, 1 << 13 | 4]
    assert run(meter, 17, b"\x00\x01\x00", 12.0)[0] == 3 and run(meter, 17, b"\x02\x01\x00", 12.0)[0] == 2
    meter.advance(3700.0)  # the one at 0 is found again, with a new handle; the one at 250 is not
    assert [row["handle"] for row in meter.store["ET14.devices"][:2]] == [3, 0]


def test_more_devices_than_slots():
    meter = home(*(water_meter(100 + n) for n in range(6)))
    meter.advance(5.0)
    assert meter.store["ET14.occupancy"] == 15 and logged(meter, 96).count(1) == 1
    assert sorted(slave.address for slave in meter.find(MbusDevices).bus.slaves) == [0, 0, 1, 2, 3, 4]


def test_a_mep_client_answers_its_requests():
    meter = home(water_meter(1))
    meter.advance(5.0)
    meter.serve(PartialWrite(2098, 30, b"\x01").encode(), MAK, 5.0)
    assert meter.store["ET14.devices[4].handle"] == 1000
    flags = meter.store.place("ET13.devices[4]").offset + 8
    assert post(meter, 1000, 2, 10.0, transaction=5) == (0, 0) and meter.store.read("ET13", flags, 1) == b"\x02"
    assert post(meter, 1000, 3, 10.0)[0] == 2
    answer = struct.pack("<BHHBBH", 3, 1000, 5, 1, 0, 4) + b"data"
    assert run(meter, 39, answer, 20.0, MBK)[0] == 0
    assert meter.store["ET15.queue[0].result"] == 1 and meter.store.read("ET13", flags, 1) == b"\x00"
    assert meter.store["ET16.devices[4]"]["body"][:8] == struct.pack("<HH", 1, 4) + b"data"
    assert run(meter, 39, answer, 21.0, MBK)[0] == 3
    assert run(meter, 39, struct.pack("<BHHBBH", 1, 1000, 0, 1, 0, 4) + b"more", 30.0)[0] == 0
    assert meter.find(Journal).logs["ET45"].newest()[8 + 7 :][:8] == struct.pack("<HH", 2, 4) + b"more"
    assert run(meter, 39, struct.pack("<BH", 11, 1000), 31.0)[0] == 0 and run(meter, 39, b"\x63", 31.0)[0] == 2


def test_firmware_of_a_mep_client_goes_through_the_queue():
    meter = home(water_meter(1))
    meter.advance(5.0)
    meter.serve(PartialWrite(2098, 30, b"\x01").encode(), MAK, 5.0)

    def answer(transaction, now, result=1):
        assert run(meter, 39, struct.pack("<BHHBBH", 3, 1000, transaction, result, 0, 0), now, MBK)[0] == 0

    assert run(meter, 41, struct.pack("<HH", 0x500, 1000), 10.0) == (0, 0) and meter.store["ET15.queue[0].request_type"] == 7
    answer(0x500, 11.0)
    code = bytes(range(54))
    assert run(meter, 41, struct.pack("<HHH", 0x501, 1000, 9) + code, 12.0) == (0, 1)
    assert meter.store["ET15.multicast_length"] == 56 and bytes(meter.store["ET15.multicast_data"])[:56] == b"\x09\0" + code
    answer(0x501, 13.0)
    for transaction, result, flag in ((0x502, 3, "fw_switch_failed"), (0x503, 1, "fw_switch_ok")):
        assert post(meter, 1000, 9, 14.0, bytes(20), transaction)[0] == 0
        answer(transaction, 15.0, result)
        assert meter.store[f"ET14.devices[4].{flag}"]
    assert run(meter, 41, struct.pack("<HH", 1, 1), 20.0)[0] == 3 and run(meter, 41, b"\0" * 5, 20.0)[0] == 2


def test_devices_go_on_after_a_restart():
    meter = home()
    meter.advance(10_000.0)
    again = Meter(meter.config, saved=meter.saved())
    for one in (meter, again):
        one.advance(2 * 86_400.0)
    assert meter.store.octets("ET14") == again.store.octets("ET14")
    assert meter.octets("ET45", 0)[:6] == again.octets("ET45", 0)[:6]


def test_the_baud_rate_of_old_devices_is_tried_when_asked_for():
    meter = home(MbusDevice(serial=3, baud=300))
    meter.advance(5.0)
    assert meter.store["ET14.occupancy"] == 0
    meter.store["ET97.mbus_300_baud"] = True
    meter.find(MbusDevices).discover(6.0)
    assert meter.store["ET14.devices[0].baud"] == 1
    assert meter.find(MbusDevices).bus.exchange(ShortFrame(0x40, 1), 7.0, 300) == b"\xe5"
