"""The indexed and default services of C12.18, for meters that are told to answer them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import AccessLevel, Context, Meter, MeterConfig, Port, ResultCode, Session, decode_request, table
from osgp.indexing import element_range
from osgp.meter.quirks import Quirks
from osgp.services import DefaultRead, IndexedRead, IndexedWrite

MAK = Session(AccessLevel.MAK, Port.MEP1)


def _context():
    meter = Meter(MeterConfig())
    context = Context({one: meter.store.octets(one) for one in meter.store.known()})
    context.put("BT50", table("BT50").encode({"number_recurring": 2, "number_tier_switches": 3, "number_seasons": 1}))
    return context


CONTEXT = _context()


@pytest.fixture
def meter():
    return Meter(MeterConfig(quirks=Quirks(indexed_access=True, default_table="BT52"), load=None))


@pytest.mark.parametrize(
    ("octets", "request_"),
    [
        ("31 0017 0000 0001", IndexedRead(23, (0,), 1)),
        ("33 0017 0001 0000 0002 0003", IndexedRead(23, (1, 0, 2), 3)),
        ("42 0832 0000 0001 0002 abcd", IndexedWrite(2098, (0, 1), bytes.fromhex("abcd"))),
        ("3e", DefaultRead()),
    ],
)
def test_known_requests(octets, request_):
    assert decode_request(bytes.fromhex(octets)) == request_
    assert request_.encode() == bytes.fromhex(octets)


@given(st.integers(0, 0xFFFF), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=9), st.binary(max_size=40))
def test_requests_round_trip(number, indices, data):
    for one in (IndexedRead(number, tuple(indices), len(data)), IndexedWrite(number, tuple(indices), data)):
        assert decode_request(one.encode()) == one


@pytest.mark.parametrize(
    ("name", "indices", "count", "expected"),
    [
        ("BT21", (0,), 1, (0, 1)),  # the flags of octet 0 are one element
        ("BT21", (1,), 1, (1, 1)),
        ("BT21", (3,), 2, (3, 2)),
        ("BT21", (9,), 9, (9, 1)),
        ("BT21", (10,), 1, None),
        ("BT21", (0, 0), 1, None),
        ("BT23", (0,), 1, None),  # no count of demand resets here
        ("BT23", (1,), 1, (0, 44)),
        ("BT23", (1, 0), 1, (0, 44)),
        ("BT23", (1, 0, 0), 1, (0, 44)),
        ("BT23", (1, 0, 0, 3), 2, (12, 8)),
        ("BT23", (1, 0, 0, 11), 1, None),
        ("BT23", (2, 1), 2, (88, 88)),
        ("BT23", (2, 3), 9, (176, 44)),
        ("BT23", (2, 3, 0, 2), 1, (184, 4)),
        ("BT23", (2, 4), 1, None),
        ("BT21", (1,), 0, None),
    ],
)
def test_indices_select_elements(registers_only, name, indices, count, expected):
    spec = table(name)
    assert element_range(spec, spec.layout(registers_only), indices, count) == expected


@given(st.sampled_from(["BT21", "BT23", "BT54", "ET14"]), st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(0, 9))
def test_elements_lie_in_their_table(name, indices, count):
    layout = table(name).layout(CONTEXT)
    found = element_range(table(name), layout, tuple(indices), count)
    assert found is None or (found[0] >= 0 and found[1] > 0 and found[0] + found[1] <= layout.size)


def serve(meter, request, now=1.0):
    return meter.serve(request.encode(), MAK, now)


def test_reads_and_writes_by_index(meter):
    whole = meter.table_octets("BT23", 1.0)
    assert serve(meter, IndexedRead(23, (2, 1, 0), 1)).data == whole[88:132]
    assert serve(meter, IndexedWrite(2051, (0,), b"ABC")).result is ResultCode.OK
    assert meter.store["ET03.utility_serial"].startswith("ABC")
    assert serve(meter, IndexedRead(23, (9,), 1)).result is ResultCode.OPERATION_NOT_POSSIBLE
    assert serve(meter, IndexedWrite(52, (0,), bytes(6))).result is ResultCode.INSUFFICIENT_SECURITY
    assert serve(meter, IndexedRead(2, (0,), 1)).result is ResultCode.INAPPROPRIATE_ACTION


def test_the_default_table(meter):
    assert serve(meter, DefaultRead()).data == meter.table_octets("BT52", 1.0)


def test_usual_meters_answer_that_the_service_is_not_supported():
    meter = Meter(MeterConfig())
    for octets in ("31 0017 0000 0001", "31", "39 00", "41 0017 0000 0000", "49", "3e", "20", "50", "61 0040 02 06", "70 01"):
        assert meter.serve(bytes.fromhex(octets), MAK, 1.0).result is ResultCode.SERVICE_NOT_SUPPORTED, octets
    for octets in ("00", "2f", "4a", "4e", "57", "80", "ff"):
        assert meter.serve(bytes.fromhex(octets), MAK, 1.0).result is ResultCode.ERROR, octets


def test_full_reads_may_be_limited_and_cut():
    meter = Meter(MeterConfig(quirks=Quirks(full_read_limit=100, full_read_cut={"BT28": 40})))
    assert meter.serve(b"\x30\x00\x17", MAK, 1.0).result is ResultCode.OPERATION_NOT_POSSIBLE
    assert meter.serve(b"\x3f\x00\x17\0\0\0\0\xdc", MAK, 1.0).result is ResultCode.OK
    cut = Meter(MeterConfig(quirks=Quirks(full_read_cut={"BT28": 40})))
    assert len(cut.serve(b"\x30\x00\x1c", MAK, 1.0).data) == 40
    assert Quirks.of((3, 60, 1), module=True).full_read_cut == {"BT28": 300}


def test_a_table_of_more_than_65535_octets_is_read_in_pieces():
    meter = Meter(MeterConfig())
    meter.store.put("ET38", bytes(range(256)) * 300)
    assert meter.serve(b"\x30\x08\x26", MAK, 1.0).result is ResultCode.OPERATION_NOT_POSSIBLE
    assert meter.serve(b"\x3f\x08\x26\x01\x2b\xfe\x00\x04", MAK, 1.0).data == b"\xfe\xff\0\0"
