"""What makes a read cheap must not make it stale: values kept between reads against values worked out anew."""

import struct

import pytest
from meter_speed import METERS, read_times

import osgp
from osgp import AccessLevel, FullRead, FullWrite, Meter, MeterConfig, Port, Session
from osgp.meter.measuring import Measuring
from osgp.meter.registers import REGISTERS, Registers

MAK = Session(AccessLevel.MAK, Port.MEP1)
KINDS = sorted(METERS)


def read_all(meter, now):
    names = [name for name in meter.store.known() if "+" not in name]
    return {name: meter.table_octets(name, now) for name in names}


@pytest.mark.parametrize("kind", KINDS)
def test_a_meter_that_was_read_all_the_time_shows_what_one_that_was_not_shows(kind):
    watched, rested = Meter(METERS[kind]), Meter(METERS[kind])
    for now in (10.0, 70.0, 71.0, 3600.0, 3700.0, 86_400.0 * 1.3):
        read_all(watched, now)
        read_all(watched, now)
    assert read_all(watched, 120_000.0) == read_all(rested, 120_000.0)


def test_nothing_is_encoded_when_nothing_changed(monkeypatch):
    meter = Meter(METERS["fourth generation"])
    names = ("ET42", "BT61", "BT62", "ET89")
    before = [meter.table_octets(name, 5.0) for name in names]
    monkeypatch.setattr(meter.store, "encode", lambda *_: pytest.fail("encoded again"))
    monkeypatch.setattr(meter.store, "update", lambda *_: pytest.fail("updated again"))
    assert [meter.table_octets(name, 6.0) for name in names] == before


def test_dimensions_that_change_are_seen_in_the_next_read_of_the_interface_definition():
    meter, setup = Meter(), Session(AccessLevel.MK, Port.OPTICAL)
    before = meter.table_octets("ET42", 1.0)
    entries = meter.store["ET42.logs[0].entries"]
    resize = struct.pack("<HBBHH", 2048 + 37, 1, 0, entries + 3, meter.store["ET42.logs[0].entry_size"])
    assert meter.serve(FullWrite(7, resize).encode(), setup, 2.0).result == 0
    after = meter.table_octets("ET42", 2.0)
    assert len(after) == len(before) and after != before
    assert osgp.table("ET42").decode(after, meter.store.context)["logs"][0]["entries"] == entries + 3


@pytest.mark.parametrize("identifier", range(256))
def test_the_set_of_registers_is_what_registers_answer(identifier):
    assert (Registers().value(identifier) is not None) == (identifier in REGISTERS)


@pytest.mark.parametrize("kind", KINDS)
def test_listed_values_are_those_by_source(kind):
    meter = Meter(METERS[kind])
    meter.advance(5000.0)
    measuring = meter.find(Measuring)
    sources = tuple(range(256))
    by_source = measuring.values(sources, 5000.0)
    assert measuring.listed(sources, 5000.0) == tuple(by_source.get(source, 0) for source in sources)


@pytest.mark.parametrize("wanted", [{164}, {169}, {170}, {165, 178}, {184}, set(range(164, 176))])
def test_extremes_that_are_wanted_are_those_among_all(wanted):
    meter = Meter(METERS["fourth generation"])
    meter.advance(40_000.0)
    readings = meter.find(Measuring).readings
    every, some = readings.extremes(5_000, 39_000_000, 3), readings.extremes(5_000, 39_000_000, 3, frozenset(wanted))
    assert {one: some[one] for one in wanted} == {one: every[one] for one in wanted}
    assert all(every[one] for one in (164, 167, 170))


def test_the_benchmark_looks_at_every_table():
    meter = Meter(MeterConfig())
    times = read_times(meter, rounds=2)
    assert {one.table for one in times} == set(meter.store.known()) and all(one.us > 0 for one in times)
    assert meter.serve(FullRead(28).encode(), MAK, meter.now).result == 0
