"""Reading newest first: blocks and entries against octets written by hand."""

import datetime as dt
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    ConstantLoad,
    DecodeError,
    Meter,
    MeterConfig,
    MeteringSettings,
    PartialRead,
    ProfileGeometry,
    ProfileInterval,
    ProfileSettings,
    newest_first,
    table,
    table_number,
)
from osgp.access import AccessLevel, Port, Session

GEOMETRY = ProfileGeometry(3, 5 + 1 + 4 * 10, 6, 10, 2, 15, 2, 1, 2)  # 4 intervals of two channels
START = dt.datetime(2024, 6, 1)
CLIENT = Session(AccessLevel.MAK, Port.LOCAL)


def test_a_block_by_hand():
    """End 10:45; intervals 1 and 2 processed; the second with a power failure and a skipped channel 1."""
    intervals = bytes(10) + b"\x10\x00" + struct.pack("<ii", 7, -7) + b"\x20\x40" + struct.pack("<ii", 9, 0) + b"\xff" * 10
    block = bytes((24, 2, 29, 10, 45)) + b"\x06" + intervals
    assert GEOMETRY.decode(block) == (
        ProfileInterval(dt.datetime(2024, 2, 29, 10, 30), (7, -7), 1, (0, 0)),
        ProfileInterval(dt.datetime(2024, 2, 29, 10, 45), (9, 0), 2, (0, 4)),
    )
    assert GEOMETRY.decode(bytes(46)) == ()


def test_places_are_those_of_the_guide():
    assert GEOMETRY.block(0) == (46, 46) and GEOMETRY.block(1) == (0, 46)
    assert GEOMETRY.newest_interval() == (46 + 6 + 20, 10)
    for age in (-1, 2):
        with pytest.raises(DecodeError):
            GEOMETRY.block(age)


@given(octets=st.binary(max_size=60))
def test_noise_is_refused_or_decoded(octets):
    try:
        found = GEOMETRY.decode(octets)
    except DecodeError:
        return
    assert len(octets) == 46 and len(found) <= 8


def test_a_meter_is_read_newest_first_with_partial_reads():
    """1 kW: every hour is 1000 Wh."""
    meter = Meter(
        MeterConfig(
            load=ConstantLoad((1000.0,)), start=START, utc_offset=0,
            metering=MeteringSettings(profile=(ProfileSettings((0, 8), blocks=4),)),
        )
    )  # fmt: skip
    meter.advance(5 * 86_400 + 7200.0)

    def read(identifier, offset, count):
        return meter.serve(PartialRead(table_number(identifier), offset, count).encode(), CLIENT, meter.now).data

    live = table("ET21").decode(meter.octets("ET21", meter.now), meter.store.context)["sets"][0]
    geometry = ProfileGeometry.of(live, 4)
    found = [one for age in range(geometry.valid_blocks) for one in reversed(geometry.decode(read("BT64", *geometry.block(age))))]
    assert [one.values for one in found] == [(1000 * hour, 1000) for hour in range(122, 48, -1)]
    assert found[0].end == START + dt.timedelta(hours=122) and found[-1].end == START + dt.timedelta(hours=49)
    newest = read("BT64", *geometry.newest_interval())
    assert struct.unpack_from("<i", newest, 2) == (122_000,)
    entries = list(newest_first(table("BT74").decode(meter.octets("BT74", meter.now), meter.store.context)))
    assert [entry["sequence"] for entry in entries] == list(range(len(entries), 0, -1)) and len(entries) > 5
