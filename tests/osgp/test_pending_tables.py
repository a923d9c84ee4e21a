"""Pending tables: event descriptions, activation by time and by procedure, BT04, power failures, restarts."""

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    AccessLevel,
    FullRead,
    FullWrite,
    Meter,
    MeterConfig,
    PartialRead,
    PartialWrite,
    Port,
    ResultCode,
    Session,
    Subsystem,
    TableError,
    table,
)
from osgp.meter.pending import due_of
from osgp.meter.signals import DemandReset, DimensionsChanged, LogEntry, PendingActivated, SelfRead

MAK = Session(AccessLevel.MAK, Port.MEP1)
MK = Session(AccessLevel.MK, Port.OPTICAL, user_id=77)
RK = Session(AccessLevel.RK, Port.OPTICAL)
START = datetime.datetime(2024, 3, 4, 17, 0, 0)
BT54, ET47 = 4150, 6191
h = bytes.fromhex


class Calendar(Subsystem):
    """Owns BT50, BT54 and ET47, and remembers what it is told."""

    name = "calendar"
    watches = frozenset(("BT54",))

    def __init__(self):
        super().__init__()
        self.told, self.refuse = [], ResultCode.OK

    def attach(self, host):
        self.host = host
        store = host.store
        store.encode("BT50", {"number_recurring": 2, "number_tier_switches": 10, "number_seasons": 1})
        store.put("BT54", bytes(table("BT54").size(store.context)))
        store.put("ET47", bytes(table("ET47").size(store.context)))

    def check_write(self, identifier, offset, octets, session, now):
        return self.refuse

    def written(self, identifier, offset, octets, session, now):
        self.told.append((identifier, offset, octets, session, now))

    def on_signal(self, signal, now):
        self.told.append(signal)


@pytest.fixture
def calendar():
    return Calendar()


@pytest.fixture
def meter(calendar):
    return Meter(MeterConfig(start=START), subsystems=(calendar,))


def absolute(minutes, flags=0):
    when = START + datetime.timedelta(minutes=minutes)
    return bytes((flags, when.year - 2000, when.month, when.day, when.hour, when.minute))


def relative(*parts, flags=0):
    return bytes((1 | flags, *parts))


MANUAL = h("02 0102030405")


def stage(meter, ped, octets, offset=0, number=BT54, session=MAK, now=1.0):
    return meter.serve(PartialWrite(number, offset, ped + octets).encode(), session, now).result


def size(meter):
    return table("BT54").size(meter.store.context)


def test_a_copy_takes_the_tables_place_at_its_time(meter, calendar):
    octets = bytes(range(1, size(meter) + 1))
    assert stage(meter, absolute(30), octets, session=MK) is ResultCode.OK
    pending = table("BT04").decode(meter.store.octets("BT04"), meter.store.context)
    assert pending["basic_pending"] == {54} and pending["number_pending"] == 1
    entry = pending["entries"][0]
    assert (entry["table_id"], entry["still_pending"], entry["event_code"]) == (54, True, 0)
    assert meter.next_timer() == 1800.0
    meter.advance(1799.9)
    assert not any(meter.store.octets("BT54")) and not calendar.told
    meter.advance(4000.0)
    assert meter.store.octets("BT54") == octets
    assert calendar.told == [
        ("BT54", 0, octets, MK, 1800.0), LogEntry(28, h("3610"), 77), PendingActivated("BT54"),
    ]  # fmt: skip
    pending = table("BT04").decode(meter.store.octets("BT04"), meter.store.context)
    assert not pending["basic_pending"] and pending["number_pending"] == 0
    assert str(pending["last_activation"]) == "2024-03-04 17:30"
    assert meter.next_timer() is None


def test_self_read_and_demand_reset_come_first(meter, calendar):
    stage(meter, relative(0, 0, 0, 0, 5, flags=0x30), bytes(size(meter)))
    meter.advance(10.0)
    assert [type(one) for one in calendar.told] == [SelfRead, DemandReset, tuple, LogEntry, PendingActivated]


def test_relative_times_count_from_the_last_write(meter):
    ped = relative(0, 0, 0, 1, 30)
    stage(meter, ped, b"\1\2\3", now=1.0)
    stage(meter, ped, b"\4\5\6", offset=3, now=21.0)
    assert meter.next_timer() == 111.0
    meter.advance(111.0)
    assert meter.store.octets("BT54")[:6] == h("010203040506")


def test_absolute_times_follow_the_clock(meter):
    class Ahead:
        def utc(self, now):
            return START + datetime.timedelta(seconds=now + 600)

        local = utc

        def instant(self, utc):
            return (utc - START).total_seconds() - 600

    stage(meter, absolute(30), bytes(size(meter)))
    meter.clock = Ahead()
    assert meter.next_timer() == 1200.0


def test_a_time_in_the_past_activates_at_once(meter):
    octets = b"\7" * size(meter)
    stage(meter, absolute(-5), octets)
    meter.advance(1.001)
    assert meter.store.octets("BT54") == octets


@pytest.mark.parametrize("ped", [h("03 0000000000"), h("00 ffffffffff"), h("00 180d01 0000"), h("0f 0000000000")])
def test_impossible_events_are_refused(meter, ped):
    assert stage(meter, ped, b"\1") is ResultCode.OPERATION_NOT_POSSIBLE
    assert meter.next_timer() is None and meter.store["BT04.number_pending"] == 0


def test_a_write_without_its_event_description_is_refused(meter):
    assert meter.serve(PartialWrite(BT54, 0, b"\0\0\0").encode(), MAK, 1.0).result is ResultCode.OPERATION_NOT_POSSIBLE


def test_an_empty_description_takes_the_entry_away(meter):
    stage(meter, absolute(30), b"\1")
    stage(meter, bytes(6), b"\1")
    assert meter.next_timer() is None and meter.store["BT04.number_pending"] == 0


def test_counts_include_the_description_and_offsets_do_not(meter):
    """The guide: reading 4 octets at offset 3 of a pending table has count 10."""
    stage(meter, MANUAL, bytes(range(10, 30)))
    response = meter.serve(PartialRead(BT54, 3, 10).encode(), MAK, 2.0)
    assert response.data == MANUAL + bytes((13, 14, 15, 16))
    assert meter.serve(PartialRead(BT54, 0, 4).encode(), MAK, 2.0).data == MANUAL[:4]
    assert meter.serve(PartialRead(BT54, size(meter) - 1, 9).encode(), MAK, 2.0).data == MANUAL + bytes(3)
    assert meter.serve(FullRead(BT54).encode(), MAK, 2.0).data == MANUAL + bytes(range(10, 30)) + bytes(size(meter) - 20)
    value = table(BT54).decode(meter.store.octets("BT54+4096"), meter.store.context)
    assert value["ped[0].event_code"] == 2 and value["recurring[0].date"].word == 0x0B0A


def test_full_writes_and_surplus(meter):
    octets = bytes(size(meter) + 50)
    assert meter.serve(FullWrite(BT54, MANUAL + octets).encode(), MAK, 1.0).result is ResultCode.OK
    assert len(meter.store.octets("BT54+4096")) == size(meter) + 6


def test_copies_have_the_rights_and_the_lock_of_their_table(meter, calendar):
    assert stage(meter, MANUAL, b"\1", session=RK) is ResultCode.INSUFFICIENT_SECURITY
    locked = Meter(MeterConfig(locked=frozenset(("BT54",))), subsystems=(Calendar(),))
    assert stage(locked, MANUAL, b"\1") is ResultCode.INSUFFICIENT_SECURITY
    assert stage(meter, MANUAL, b"\1", number=4096 + 52) is ResultCode.INAPPROPRIATE_ACTION  # BT52 has no copy


SEQUENCE = itertools.cycle(range(250))


def call(meter, number, parameters=b""):
    written = number.to_bytes(2, "little") + bytes((next(SEQUENCE),)) + parameters
    assert meter.serve(FullWrite(7, written).encode(), MK, 5.0).result is ResultCode.OK
    return meter.store["BT08.result_code"]


def test_procedures_activate_and_clear(meter, calendar):
    stage(meter, MANUAL, b"\1")
    stage(meter, absolute(30), b"\2", number=ET47)
    assert call(meter, 13, h("02 0909090909")) == 1  # nothing matched
    assert call(meter, 15, absolute(30)) == 0
    assert calendar.told == [LogEntry(29, h("2f18"), 0xFFFD)]
    assert call(meter, 13, MANUAL) == 0 and meter.store.octets("BT54")[0] == 1
    stage(meter, MANUAL, b"\3")
    stage(meter, MANUAL, b"\4", number=ET47)
    assert call(meter, 12) == 0
    assert meter.store.octets("BT54")[0] == 3 and meter.store.octets("ET47")[0] == 4
    stage(meter, MANUAL, b"\5")
    assert call(meter, 14) == 0 and call(meter, 12) == 0
    assert meter.store.octets("BT54")[0] == 3 and call(meter, 15, MANUAL) == 1
    assert call(meter, 13, b"\1") == 2


def test_slots_are_limited(calendar):
    old = Meter(MeterConfig(firmware=(2, 12, 0), pending_tables=("BT54", "ET47", "ET03")), subsystems=(calendar,))
    assert stage(old, MANUAL, b"\1") is ResultCode.OK and stage(old, MANUAL, b"\1", number=ET47) is ResultCode.OK
    assert stage(old, MANUAL, b"\1", number=4096 + 2051) is ResultCode.OPERATION_NOT_POSSIBLE
    assert stage(old, MANUAL, b"\2") is ResultCode.OK  # again into a slot that is taken


def test_a_table_may_refuse_what_it_is_given(meter, calendar):
    stage(meter, MANUAL, b"\1")
    calendar.refuse = ResultCode.OPERATION_NOT_POSSIBLE
    assert call(meter, 12) == 0
    assert not any(meter.store.octets("BT54")) and calendar.told == [LogEntry(29, h("3610"), 0xFFFD)]


def test_what_is_due_during_a_power_failure_comes_after_it(meter):
    octets = b"\7" * size(meter)
    stage(meter, absolute(30), octets)
    meter.power_down(60.0)
    meter.power_up(7200.0)
    assert not any(meter.store.octets("BT54"))
    meter.advance(7200.5)
    assert meter.store.octets("BT54") == octets


def test_pending_tables_survive_a_restart(meter):
    octets = b"\7" * size(meter)
    stage(meter, relative(0, 0, 0, 30, 0), octets, session=MK)
    calendar = Calendar()
    again = Meter(MeterConfig(start=START), subsystems=(calendar,), saved=meter.saved())
    assert again.next_timer() == 1801.0 and again.store["BT04.number_pending"] == 1
    again.advance(1900.0)
    assert again.store.octets("BT54") == octets and LogEntry(28, h("3610"), 77) in calendar.told


def test_other_dimensions_drop_the_copy(meter, calendar):
    stage(meter, MANUAL, b"\1")
    meter.store.put("BT54", bytes(size(meter) + 3))
    meter.signal(DimensionsChanged(("BT54",)), 2.0)
    assert meter.store["BT04.number_pending"] == 0 and len(meter.store.octets("BT54+4096")) == size(meter) + 9


@given(st.binary(min_size=6, max_size=6), st.floats(0, 1e9))
def test_any_event_description_has_a_due_time_or_is_refused(ped, now):
    try:
        due = due_of(ped, now, lambda utc: (utc - START).total_seconds())
    except TableError:
        return
    if ped[0] & 15 == 1:
        weeks, days, hours, minutes, seconds = ped[1:]
        delta = datetime.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        assert due == now + delta.total_seconds()
    else:
        assert (due is None) == (ped[0] & 15 == 2)
