"""Event logs, adjustable logs, alarms, unread counts and the interface definition, through the meter's tables and procedures."""

import datetime as dt
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    ConstantLoad,
    DemandSettings,
    FullWrite,
    Meter,
    MeterConfig,
    MeteringSettings,
    ProfileSettings,
    TableError,
    event_code,
    event_codes,
    table,
)
from osgp.access import AccessLevel, Port, Session
from osgp.meter.adjustable import AdjustableLog
from osgp.meter.billing import Billing
from osgp.meter.eventlog import EventLog, EventRecord
from osgp.meter.journal import Journal
from osgp.meter.one_time_reads import OneTimeReads
from osgp.meter.signals import Alarm, LogEntry
from osgp.types import LtimeDate

START = dt.datetime(2024, 6, 1)
OPTICAL = Session(AccessLevel.MK, Port.OPTICAL, 321)


def logging(firmware=(4, 30, 0), load=None, **changes):
    return Meter(
        MeterConfig(
            firmware=firmware, load=load or ConstantLoad((1000.0,)), start=START, utc_offset=0, tariff=((0.0, 0),),
            metering=MeteringSettings(**({"daylight_saving": False, "dates": ()} | changes)),
        )
    )  # fmt: skip


def procedure(meter, number, parameters):
    """Result code of a procedure started with the master key."""
    meter.sequence_of_test = getattr(meter, "sequence_of_test", 0) + 1
    request = FullWrite(7, number.to_bytes(2, "little") + bytes((meter.sequence_of_test,)) + parameters)
    meter.serve(request.encode(), OPTICAL, meter.now)
    return meter.octets("BT08", meter.now)[3]


def log(meter, identifier="BT74"):
    """Header (overflow, valid, last, sequence, unread) and rows (sequence, user, event, argument) oldest first."""
    octets = meter.octets(identifier, meter.now)
    flags, valid, last, sequence, unread = struct.unpack_from("<BHHIH", octets)
    capacity = (len(octets) - 11) // 14
    rows = [struct.unpack_from("<HHH2s", octets, 11 + (last - back) % capacity * 14 + 6) for back in range(valid)]
    return (flags >> 1 & 1, valid, last, sequence, unread), rows[::-1]


def alarms(meter):
    value = table("BT03").decode(meter.octets("BT03", meter.now), meter.store.context)
    return {name for name, bit in value.items() if bit is True}


def test_event_codes_are_the_published_ones():
    """Ids, names and arguments of the list of events; each id once; those of our own in 3000..3099 with grade D."""
    codes = event_codes()
    raw = json.loads((Path(__file__).parents[2] / "osgp/spec/events.json").read_text(encoding="utf-8"))["events"]
    assert len(raw) == len(codes) == len({code.name for code in codes.values()})
    assert set(range(51)) | set(range(64, 100)) <= set(codes)
    assert all(0 <= number <= 99 or (3000 <= number <= 3099 and code.grade == "D") for number, code in codes.items())
    assert {code.grade for code in codes.values()} <= set("BCD")
    assert event_code(27).name == "tariff_switched" and event_code("season_changed").id == 24
    assert event_code(1234).name == "event_1234"
    with pytest.raises(TableError):
        event_code("nothing of that kind")


@given(capacity=st.integers(1, 9), count=st.integers(0, 30), read=st.integers(0, 40))
def test_a_ring_keeps_the_newest_and_counts_the_unread(capacity, count, read):
    ring = EventLog(capacity)
    for number in range(1, count + 1):
        ring.append(EventRecord(LtimeDate(24, 6, 1), number, 0xFFFF, number))
    assert ring.valid == min(count, capacity) and ring.overflow == (count > capacity)
    assert ring.unread == min(count, capacity)
    octets = ring.table()
    for back in range(ring.valid):
        place = 11 + (ring.last - back) % capacity * 14
        assert struct.unpack_from("<HHH", octets, place + 6)[2] == count - back
    ring.acknowledge(read)
    assert ring.unread == max(0, min(count, capacity) - read) and not ring.overflow
    other = EventLog(capacity)
    assert other.restore(ring.snapshot() + b"rest") == len(ring.snapshot()) and other.table() == ring.table()


@given(octets=st.binary(max_size=80))
def test_foreign_snapshots_of_logs_are_refused(octets):
    for make in (lambda: EventLog(3), lambda: AdjustableLog(12, 3)):
        log_of_it = make()
        try:
            log_of_it.restore(octets)
        except TableError:
            continue
        assert log_of_it.valid <= log_of_it.entries


def test_both_event_logs_share_their_sequence_numbers():
    meter = logging(alternate_entries=20, alternate_events=frozenset((98, 99)), history_entries=10)
    for event in (1, 98, 2, 99, 98, 3):
        meter.signal(LogEntry(event, b"\x05\x00", 7), 0.0)
    (_, valid, _, sequence, unread), rows = log(meter)
    assert rows == [(1, 7, 1, b"\x05\0"), (3, 7, 2, b"\x05\0"), (6, 7, 3, b"\x05\0")] and (valid, sequence, unread) == (3, 6, 3)
    assert [row[0] for row in log(meter, "ET79")[1]] == [2, 4, 5]
    assert table("ET79").size(meter.store.context) == len(meter.octets("ET79", 0.0))


def test_critical_events_are_counted_by_their_set():
    meter = logging(critical_events=(frozenset((1, 2)), frozenset((2,))))
    for event in (1, 2, 3):
        meter.signal(LogEntry(event), 0.0)
    assert meter.find(Journal).critical == {0: 2, 1: 1}


def test_the_alarm_of_unread_events_goes_when_they_are_read_and_a_warning_comes_before_the_overflow():
    meter = logging(history_entries=10)
    for _ in range(8):
        meter.signal(LogEntry(44), 0.0)
    assert "event_log_unread" in alarms(meter) and "event_log_overflow_pending" not in alarms(meter)
    meter.signal(LogEntry(44), 0.0)
    assert "event_log_overflow_pending" in alarms(meter)
    header, rows = log(meter)
    assert rows[-1][2] == 86 and header[:2] == (0, 10) and header[4] == 10
    meter.signal(LogEntry(44), 0.0)
    assert log(meter)[0][0] == 1  # overflow
    assert procedure(meter, 5, b"\x08\x08\x00") == 0
    assert log(meter)[0][0] == 0 and log(meter)[0][4] == 2 and "event_log_overflow_pending" not in alarms(meter)
    assert procedure(meter, 5, b"\x08\x05\x00") == 0
    assert log(meter)[0][4] == 0 and "event_log_unread" not in alarms(meter)


@pytest.mark.parametrize(("firmware", "sequence"), [((3, 60, 0), 1), ((3, 70, 0), 4)])
def test_resetting_the_lists_forgets_the_entries_and_from_3_70_on_not_the_numbers(firmware, sequence):
    meter = logging(firmware)
    for _ in range(3):
        meter.signal(LogEntry(44), 0.0)
    assert procedure(meter, 4, b"\x08") == 0
    header, rows = log(meter)
    assert rows == [(sequence, 321, 14, b"\x08\0")] and header[3] == sequence


@pytest.mark.parametrize(
    ("number", "parameters"),
    [(4, b""), (4, b"\x09"), (5, b"\x08"), (5, b"\x09\1\0"), (5, b"\x06\1\0"), (2074, b"\x07\1\0"), (2074, b"\1"), (2085, b""),
     (2085, b"\x09\1\0\0\0"), (2054, struct.pack("<BHH", 6, 254, 0)), (2051, b"")],
)  # fmt: skip
def test_senseless_parameters_are_refused(number, parameters):
    assert procedure(logging(), number, parameters) == 2


def test_alarms_latch_and_each_procedure_clears_its_own():
    meter = logging()
    names = ("clock_error", "low_battery", "neutral_current_deviation", "magnetic_tamper", "phase_loss", "key_expiration_pending")
    for name in names:
        meter.signal(Alarm(name), 0.0)
    latched = alarms(meter) - {"metering_mode"}
    assert {"clock_error", "low_battery", "magnetic_tamper", "phase_loss"} <= latched
    mask = bytearray(13)
    mask[7] = 2
    assert procedure(meter, 2051, bytes(mask)) == 0 and latched - alarms(meter) == {"magnetic_tamper"}
    assert procedure(meter, 7, b"") == 0
    assert not {"clock_error", "low_battery", "neutral_current_deviation"} & alarms(meter) and "phase_loss" in alarms(meter)
    assert procedure(meter, 8, b"") == 0 and alarms(meter) == {"metering_mode"}


def outages(meter, count):
    for _ in range(count):
        meter.power_down(meter.now + 10.0)
        meter.power_up(meter.now + 20.0)


def test_the_outage_log_has_the_common_header_and_is_acknowledged_by_ep26():
    meter = logging(outage_log=3)
    outages(meter, 4)
    octets = meter.octets("ET81", meter.now)
    assert octets[:6] == bytes((2 | 4, 3, 0, 4, 0, 3)) and len(octets) == 6 + 36
    assert octets[6:18] == bytes((24, 6, 1, 0, 1, 40, 24, 6, 1, 0, 2, 0))  # the newest took the place of the first
    dimensions = table("ET36").decode(meter.octets("ET36", meter.now), meter.store.context)
    names = [31, 32, 38, 41, 45, 75, 81]
    assert [row["table_number"] for row in dimensions["logs"]] == names and dimensions["unread_bitmap"] == {6}
    assert "mfg_log_entry_available" in alarms(meter)
    assert procedure(meter, 2074, b"\x06\x02\x00") == 0 and "mfg_log_entry_available" in alarms(meter)
    assert procedure(meter, 2074, b"\x06\x01\x00") == 0 and "mfg_log_entry_available" not in alarms(meter)
    assert [row[2] for row in log(meter)[1]].count(87) == 1


@pytest.mark.parametrize("number", [2054, 2085])
def test_resizing_logs_raises_the_version_and_changes_the_table(number):
    meter = logging()
    version = meter.octets("ET04", 0.0)[116]
    assert procedure(meter, number, struct.pack("<BHHBHH", 6, 40, 0, 0, 5, 0)) == 0
    assert len(meter.octets("ET81", 0.0)) == 6 + 40 * 12 == table("ET81").size(meter.store.context)
    assert meter.octets("ET04", 0.0)[116] == version + 1 and {"dimension_change"} <= alarms(meter)
    assert 88 in [row[2] for row in log(meter)[1]]
    assert procedure(meter, number, struct.pack("<BHH", 6, 10, 13)) == 3  # its entries have 12 octets


def test_one_time_reads_are_snapshots_of_their_own():
    meter = logging()
    meter.advance(7200.0)
    meter.find(Billing).one_time_read(meter.now)
    octets = meter.octets("ET31", meter.now)
    assert octets[:6] == bytes((4, 1, 0, 1, 0, 1)) and octets[6:12] == bytes((24, 6, 1, 2, 0, 0))
    assert int.from_bytes(octets[12:16], "little") == 2000


def test_interface_definition_tells_every_dimension():
    meter = logging(
        demand=DemandSettings((8, 9), ((10, 0),), 5, 3), self_reads=30, outage_log=7,
        profile=(ProfileSettings((0, 1, 2), 15, 96, 12, (6, 30)), ProfileSettings((8,), 60, 24, 3, ansi=True)),
    )  # fmt: skip
    value = table("ET42").decode(meter.table_octets("ET42", 5.0), meter.store.context)
    assert value["table_length"] == len(meter.octets("ET42", 5.0)) and value["fixed_length"] == 41
    bt23, bt64 = len(meter.octets("BT23", 5.0)), len(meter.octets("BT64", 5.0))
    assert 1 + value["tier_size"] * 5 == bt23 and value["lp1_block_size"] * value["lp1_blocks"] == bt64
    assert (value["demand_sub_interval"], value["demand_multiplier"], value["demand_sources"]) == (5, 3, (8, 9))
    assert value["lp1_sources"] == (0, 1, 2) and (value["lp1_start_hour"], value["lp1_start_minute"]) == (6, 30)
    assert value["lp_bitmap"] == 1 and value["lp_sets"][0]["sources"] == (8,) and value["lp_sets"][0]["options"] == 8
    assert [(row["entries"], row["entry_size"]) for row in value["logs"]][-1] == (7, 12)
    assert value["number_self_reads"] == 30 and value["rollover_digits"] == 9


def test_under_welmec_a_full_change_log_refuses_changes():
    meter = logging(welmec=True)
    parameters = b"\0" + struct.pack("<4H", 8, 9, 10, 11)
    for _ in range(10):
        assert procedure(meter, 2100, parameters) == 0
    assert procedure(meter, 2100, parameters) == 3
    first = table("ET75").decode(meter.octets("ET75", 0.0), meter.store.context)["entries"][0]
    assert first["sources"][:5] == (0, 1, 2, 3, 0)
    other = struct.pack("<BBHHBBB", 1, 60, 24, 3, 0, 0, 1) + b"\0\0"
    assert procedure(meter, 2059, other) == 0  # another set than the primary one may change


# demand


def stepped(*rows):
    """A load that changes by the clock: (second, W)."""

    class Steps(ConstantLoad):
        def day(self, number):
            return tuple((second, ConstantLoad((float(watts),)).power(0)) for second, watts in rows)

    return Steps((0.0,))


LOAD = ((0, 600), (900, 1200), (1350, 0), (1800, 3000), (2100, 300), (7200, 900))


@pytest.mark.parametrize(
    ("sub", "multiplier", "value", "when"),
    [(15, 1, 1200, (0, 45)), (5, 3, 1200, (0, 35)), (5, 1, 3000, (0, 35)), (15, 2, 900, (0, 45)), (60, 1, 675, (1, 0))],
)
def test_block_and_rolling_demands(sub, multiplier, value, when):
    """600 W for 15 min, 1200 W for 7.5 min, nothing for 7.5 min, 3 kW for 5 min, then 300 W: maxima by hand.

    15 min blocks: 600, 600, (3000 5 + 300 10)/15 = 1200, 300. 30 min from 15-min steps: 600, 900, 750. 60 min: 675.
    """
    meter = logging(load=stepped(*LOAD), demand=DemandSettings((8,), ((0, 0),), sub, multiplier))
    meter.advance(7200.0)
    total = table("BT23").decode(meter.octets("BT23", meter.now), meter.store.context)["total"][0]
    record = total["demands"][0]
    assert record["demand"] == (value,) and (record["event_time"][0].hour, record["event_time"][0].minute) == when
    assert total["coincidents"][0]["value"] == (value,)


def test_demand_reset_accumulates_and_is_logged():
    meter = logging(load=stepped(*LOAD), demand=DemandSettings((8, 9), (), 15, 1, lockout=10))
    meter.advance(7200.0)
    assert procedure(meter, 2082, b"") == 0
    meter.advance(7260.0)
    assert procedure(meter, 2082, b"") == 4  # locked out
    meter.advance(10_800.0)
    value = table("BT23").decode(meter.octets("BT23", meter.now), meter.store.context)
    record = value["total"][0]["demands"][0]
    assert (value["demand_resets"], record["cumulative_demand"], record["continuous_cumulative_demand"]) == (1, 1200, 2100)
    assert record["demand"] == (900,)
    entry = table("ET41").decode(meter.octets("ET41", meter.now), meter.store.context)["entries"][0]
    assert (entry["reason"], str(entry["time"])) == (1, "2024-06-01 02:00") and entry["register_data"][0] == 0
    assert meter.octets("BT25", meter.now)[6:] == entry["register_data"]
    assert 20 in [row[2] for row in log(meter)[1]]


def test_ep32_makes_and_ends_demand_metering():
    meter = logging()
    assert procedure(meter, 2082, b"") == 3
    assert procedure(meter, 2080, bytes((2, 8, 9, 1, 10, 1, 15, 2, 0))) == 0
    context = meter.store.context
    for name in ("BT21", "BT22", "BT23", "BT24", "BT25", "BT26", "BT27", "BT28", "ET31", "ET36", "ET41", "ET42"):
        assert len(meter.octets(name, 0.0)) == table(name).size(context), name
    assert meter.octets("BT13", 0.0)[4:6] == bytes((15, 2)) and context.peek("BT21")["number_demands"] == 2
    assert procedure(meter, 2080, b"\0") == 0 and context.peek("BT21")["number_demands"] == 0
    for row in ((), (1, 8), (1, 8, 0, 7, 1, 0), (9, *range(9), 0, 15, 1, 0), (1, 8, 1, 3, 5, 15, 1, 0)):
        assert procedure(meter, 2080, bytes(row)) == 2


def test_bp09_reads_and_resets():
    meter = logging(demand=DemandSettings())
    assert procedure(meter, 9, b"\x03") == 0 and procedure(meter, 9, b"\0") == 2
    assert [row[2] for row in log(meter)[1] if row[2] in (20, 21)] == [21, 20]


def test_one_time_reads_wait_for_their_time():
    """Three entries of 17 octets: at once, at 02:00, and of a type that is not known."""
    meter = logging()
    meter.advance(3600.0)
    now, later = struct.pack("<H6xBB7x", 7, 1, 0), struct.pack("<H6BBB7x", 8, 24, 6, 1, 2, 0, 0, 1, 0)
    meter.store.write("ET19", 0, now + later + struct.pack("<H6xBB7x", 9, 5, 0))
    meter.find(OneTimeReads).written("ET19", 0, b"", OPTICAL, meter.now)
    assert [meter.octets("ET19", meter.now)[9 + 17 * k] for k in range(3)] == [1, 0, 2]
    meter.advance(9000.0)
    octets = meter.octets("ET31", meter.now)
    assert octets[1] == 2 and [octets[6 + k * (len(octets) - 6) // 2 + 3] for k in range(2)] == [1, 2]
    assert meter.octets("ET19", meter.now)[9 + 17] == 1 and "mfg_log_entry_available" in alarms(meter)
