"""Scalar types: known octets, round trip."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import TableError
from osgp.types import (
    CODECS,
    AnsiDate,
    Date,
    ExtendedSourceId,
    LtimeDate,
    RecurringDate,
    StimeDate,
    TimeOfDay,
    decode_set,
    decode_text,
    encode_digits,
    encode_set,
    encode_text,
)

h = bytes.fromhex


@pytest.mark.parametrize(
    ("name", "octets", "value"),
    [
        ("UINT8", "ff", 255),
        ("UINT16", "3412", 0x1234),
        ("UINT24", "563412", 0x123456),
        ("UINT32", "78563412", 0x12345678),
        ("INT8", "ff", -1),
        ("INT16", "feff", -2),
        ("INT24", "000080", -(1 << 23)),
        ("INT32", "4e61bc00", 12345678),
        ("INT40", "ffffffffff", -1),
        ("INT48", "010000000000", 1),
        ("LTIME_DATE", "0402100f3b37", LtimeDate(4, 2, 16, 15, 59, 55)),  # MEP guide, appendix A
        ("STIME_DATE", "0402100f3b", StimeDate(4, 2, 16, 15, 59)),
        ("TIME", "0f3b37", TimeOfDay(15, 59, 55)),
        ("DATE", "040210", Date(4, 2, 16)),
        ("ANSI_DATE", "1888", AnsiDate(24, 0, 17)),
        ("EXTENDED_SOURCE_ID", "0341", ExtendedSourceId(4, 0x103)),
    ],
)
def test_known_octets(name, octets, value):
    assert CODECS[name].decode(h(octets)) == value
    assert CODECS[name].encode(value) == h(octets)


@given(st.sampled_from(sorted(CODECS)), st.data())
def test_any_octets_round_trip(name, data):
    codec = CODECS[name]
    octets = data.draw(st.binary(min_size=codec.size, max_size=codec.size))
    value = codec.decode(octets)
    assert codec.encode(value) == octets
    assert str(value)


@given(st.binary(max_size=12))
def test_text_digits_and_sets_round_trip(octets):
    size = len(octets)
    assert encode_text(decode_text(octets), size) == octets
    assert encode_digits(octets.hex(), size) == octets
    assert encode_set(decode_set(octets), size) == octets


def test_set_bit_n_is_in_octet_n_div_8():
    assert decode_set(h("0001 80")) == {8, 23}


def test_long_time_is_the_moment_it_names():
    assert LtimeDate(4, 2, 16, 15, 59, 55).moment() == datetime.datetime(2004, 2, 16, 15, 59, 55)
    assert str(LtimeDate(4, 2, 16, 15, 59, 55)) == "2004-02-16 15:59:55"
    assert LtimeDate().moment() is None


def test_recurring_date_by_month_weekly_and_by_period():
    assert (RecurringDate(0x8CA3).month, RecurringDate(0x8CA3).offset, RecurringDate(0x8CA3).weekday) == (3, 10, 4)
    assert RecurringDate(0x8CA3).day == 17
    assert (RecurringDate(0x042F).period, RecurringDate(0x042F).delta) == (2, 1)
    assert "weekly" in str(RecurringDate(0x010E))


@pytest.mark.parametrize(
    ("name", "value"),
    [("UINT8", 256), ("UINT8", -1), ("INT16", 32768), ("UINT16", "1"), ("LTIME_DATE", StimeDate()), ("ANSI_DATE", AnsiDate(200))],
)
def test_values_that_do_not_fit_are_refused(name, value):
    with pytest.raises(TableError):
        CODECS[name].encode(value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_text("too long", 3),
        lambda: encode_text("\u20ac", 3),
        lambda: encode_text(5, 3),
        lambda: encode_digits("12", 2),
        lambda: encode_digits("1 2 ", 2),
        lambda: encode_set({8}, 1),
        lambda: LtimeDate(256),
    ],
)
def test_text_digits_sets_and_dates_out_of_range_are_refused(call):
    with pytest.raises(TableError):
        call()
