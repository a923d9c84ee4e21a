"""The meter as a device: its tables, and what it does with good, bad and hostile requests."""

import datetime
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import (
    ConfigurationError,
    ConstantLoad,
    FullRead,
    FullWrite,
    Key,
    Link,
    Meter,
    MeterConfig,
    OmaSuite,
    PartialRead,
    PartialWrite,
    RefusalReason,
    RequestDenied,
    RequestServed,
    Response,
    ResultCode,
    table,
)
from osgp.security import NO_TAG

SUITE = OmaSuite(Key.omak())
SUBNET, NODE = 1, 5


def seal(request, sequence, suite=SUITE, node=NODE):
    return suite.seal_request(request.encode(), sequence, Link(SUBNET, node)).octets


def ask(meter, request, sequence, now=0.0):
    exchange = SUITE.seal_request(request.encode(), sequence, Link(SUBNET, NODE))
    answer = meter.receive_request(exchange.octets, SUBNET, NODE, now)
    return Response.decode(exchange.open_response(answer), request)


def read(meter, name, sequence, now=0.0):
    """A whole table in pieces of at most 84 octets; returns octets and the next sequence number."""
    octets, size = b"", table(name).size(meter.store.context)
    while len(octets) < size:
        request = PartialRead(table(name).number, len(octets), min(84, size - len(octets)))
        response = ask(meter, request, sequence, now)
        assert response.result is ResultCode.OK
        octets += response.data
        sequence += 1
    return octets, sequence


@pytest.fixture
def meter():
    return Meter(
        MeterConfig(
            security="oma",
            sequence=100, serial="123456", utility_serial="U-77", manufacturer="ABC", alarms=frozenset({"cover_removed"}),
            start=datetime.datetime(2004, 2, 16, 15, 59, 50), load=ConstantLoad((1000.0,), (200.0,)),
            initial_registers={"forward_active_wh": 12345678},
        )
    )  # fmt: skip


def test_meter_answers_what_its_tables_hold(meter):
    octets, sequence = read(meter, "BT23", 101, now=3600.0)
    value = table("BT23").decode(octets, meter.store.context)
    assert value["summations"][:4] == (12345678 + 1000, 0, 200, 0)
    octets, sequence = read(meter, "BT28", sequence, now=3600.0)
    values = table("BT28").decode(octets, meter.store.context)["present_values"]
    sources = table("BT27").decode(meter.store.octets("BT27"), meter.store.context)["value_sources"]
    present = dict(zip(sources, values, strict=True))
    assert (present[8], present[9], present[10]) == (1000, 0, 200)
    assert present[12] * present[15] / 1e6 == pytest.approx(1019.8, rel=0.001)
    octets, sequence = read(meter, "BT52", sequence, now=3605.0)
    assert str(table("BT52").decode(octets)["clock"]) == "2004-02-16 16:59:55"
    octets, sequence = read(meter, "BT55", sequence, now=3605.0)
    local = table("BT55").decode(octets)
    assert str(local["clock"]) == "2004-02-16 17:59:00" and local["day_of_week"] == 1 and local["current_tier"] == 0
    octets, sequence = read(meter, "BT03", sequence)
    assert table("BT03").decode(octets, meter.store.context)["cover_removed"] is True
    octets, sequence = read(meter, "ET04", sequence)
    system = table("ET04").decode(octets, meter.store.context)
    assert (system["subnet_id"], system["node_id"], system["neuron_state"]) == (SUBNET, NODE, 4)
    assert 100 < system["plc_sequence_number"] < sequence and bytes(system["transceiver_id"]) == meter.config.unique_node_id
    assert not meter.refusals


def test_bt00_lists_exactly_the_tables_that_exist(meter):
    root = table("BT00").decode(meter.store.octets("BT00"), meter.store.context)
    listed = {f"BT{n:02}" for n in root["basic_tables_used"]} | {f"ET{n:02}" for n in root["extended_tables_used"]}
    assert listed == {name for name in meter.store.known() if "+" not in name}
    assert root["basic_tables_writable"] == {7, 24, 33, 53, 54}
    assert root["extended_tables_writable"] == {3, 4, 5, 7, 9, 13, 23, 27, 30, 34, 47, 50, 51, 52, 55, 57, 61, 62}
    required = {"BT00", "BT01", "BT03", "BT21", "BT22", "BT23", "BT27", "BT28", "BT52", "BT55", "ET03", "ET04"}
    assert required <= listed


def test_every_table_of_the_meter_has_the_size_its_dimensions_say(meter):
    for name in meter.store.known():
        assert len(meter.table_octets(name, 60.0)) == table(name).size(meter.store.context), name


def test_wrong_digest_is_refused_counted_logged_and_the_meter_goes_on(meter):
    octets = bytearray(seal(FullRead(52), 101))
    octets[-1] ^= 1
    answer = meter.receive_request(bytes(octets), SUBNET, NODE, 1.0)
    assert answer == bytes((0, ResultCode.AUTHENTICATION_FAILURE)) + NO_TAG  # a digest there would be an oracle
    assert meter.refusals == {RefusalReason.BAD_DIGEST: 1}
    event = meter.next_event()
    assert event == RequestDenied(1.0, RefusalReason.BAD_DIGEST, ResultCode.AUTHENTICATION_FAILURE, bytes(octets))
    assert ask(meter, FullRead(52), 101).result is ResultCode.OK


def test_key_or_address_of_another_meter_is_refused(meter):
    stranger = OmaSuite(Key.omak(bytes(12)))
    assert meter.receive_request(seal(FullRead(52), 101, stranger), SUBNET, NODE, 0.0)[1] == 0x0B
    assert meter.receive_request(seal(FullRead(52), 101, node=NODE + 1), SUBNET, NODE, 0.0)[1] == 0x0B
    assert meter.refusals[RefusalReason.BAD_DIGEST] == 2 and meter.sequence == 100


@pytest.mark.parametrize(
    ("number", "reason"),
    [(100, RefusalReason.REPLAYED), (1, RefusalReason.REPLAYED), (109, RefusalReason.SEQUENCE_AHEAD)],
)
def test_wrong_sequence_number_is_answered_with_the_right_one(meter, number, reason):
    response = ask(meter, FullRead(52), number)
    assert response == Response(ResultCode.INVALID_SEQUENCE, sequence=100)
    assert meter.refusals == {reason: 1}
    assert ask(meter, FullRead(52), response.sequence + 1).result is ResultCode.OK


def test_repeat_of_the_last_request_gets_the_stored_answer_within_its_time(meter):
    octets = seal(FullRead(52), 101)
    first = meter.receive_request(octets, SUBNET, NODE, 1.0)
    assert meter.receive_request(octets, SUBNET, NODE, 20.0) == first
    assert (meter.repeats, meter.served, meter.sequence) == (1, 1, 101)
    late = meter.receive_request(octets, SUBNET, NODE, 40.0)
    assert late[1] == ResultCode.INVALID_SEQUENCE and meter.refusals == {RefusalReason.REPLAYED: 1}


def test_replay_of_an_older_request_is_refused(meter):
    old = seal(PartialWrite(2051, 0, b"EVIL"), 101)
    assert meter.receive_request(old, SUBNET, NODE, 0.0)[1] == 0
    ask(meter, PartialWrite(2051, 0, b"GOOD"), 102)
    assert meter.receive_request(old, SUBNET, NODE, 1.0)[1] == ResultCode.INVALID_SEQUENCE
    assert meter.store.octets("ET03")[:4] == b"GOOD"


@pytest.mark.parametrize(
    ("pdu", "code", "reason"),
    [
        ("77", ResultCode.ERROR, RefusalReason.UNKNOWN_SERVICE),
        ("3100170000", ResultCode.SERVICE_NOT_SUPPORTED, RefusalReason.UNSUPPORTED_SERVICE),
        ("20", ResultCode.SERVICE_NOT_SUPPORTED, RefusalReason.UNSUPPORTED_SERVICE),
        ("3f00", ResultCode.ERROR, RefusalReason.MALFORMED),
        ("4f08030000000009ff", ResultCode.ERROR, RefusalReason.MALFORMED),
        ("300002", ResultCode.INAPPROPRIATE_ACTION, RefusalReason.NO_SUCH_TABLE),
        ("30ffff", ResultCode.INAPPROPRIATE_ACTION, RefusalReason.NO_SUCH_TABLE),
        ("4f001700000000020000", ResultCode.INSUFFICIENT_SECURITY, RefusalReason.NO_ACCESS),
        ("400034000700000000000000", ResultCode.INSUFFICIENT_SECURITY, RefusalReason.NO_ACCESS),
        ("300017", ResultCode.OPERATION_NOT_POSSIBLE, RefusalReason.ANSWER_TOO_LONG),
        ("3f0017000000ffff", ResultCode.OPERATION_NOT_POSSIBLE, RefusalReason.ANSWER_TOO_LONG),
    ],
)
def test_authentic_but_impossible_requests_get_their_code(meter, pdu, code, reason):
    exchange = SUITE.seal_request(bytes.fromhex(pdu), 101, Link(SUBNET, NODE))
    octets = exchange.octets
    answer = meter.receive_request(octets, SUBNET, NODE, 0.0)
    assert answer[:2] == bytes((0, code)) and len(answer) == 10
    assert answer[-8:] == SUITE.response_digest(SUBNET, NODE, octets[:-8], answer[:2])
    assert meter.refusals == {reason: 1}
    assert ask(meter, FullRead(52), 102).result is ResultCode.OK


def test_truncated_and_foreign_messages(meter):
    assert meter.receive_request(bytes(13), SUBNET, NODE, 0.0)[:2] == bytes((0, ResultCode.ERROR))
    assert meter.receive_request(b"", SUBNET, NODE, 0.0) is None
    assert meter.receive_request(b"\x4d" + bytes(30), SUBNET, NODE, 0.0) is None
    assert meter.receive_request(bytes(200), SUBNET, NODE, 0.0)[:2] == bytes((0, ResultCode.ERROR))
    assert meter.refusals == {RefusalReason.TRUNCATED: 1, RefusalReason.NOT_OSGP: 2, RefusalReason.TOO_LONG: 1}


@settings(max_examples=150, deadline=None)
@given(noise=st.lists(st.binary(max_size=130), max_size=6), node=st.integers(0, 255))
def test_noise_never_raises_and_never_changes_a_table(noise, node):
    meter = Meter(MeterConfig(security="oma", sequence=7))
    before = {name: meter.table_octets(name, 1.0) for name in meter.store.known() if name != "ET23"}
    for octets in noise:
        meter.receive_request(octets, SUBNET, node, 1.0)
        meter.receive_request(b"\0" + octets, SUBNET, node, 1.0)
    assert {name: meter.table_octets(name, 1.0) for name in before} == before
    came, good = struct.unpack_from("<II", meter.table_octets("ET23", 1.0))  # ET23 counts what comes, and nothing else moves
    assert len(noise) <= came <= 2 * len(noise) and good == 0
    assert sum(meter.refusals.values()) == 2 * len(noise) and meter.served == 0
    assert ask(meter, FullRead(52), 8, 1.0).result is ResultCode.OK


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=90), max_size=8))
def test_authentic_nonsense_never_raises(pdus):
    """Somebody with the key sends anything: the meter answers with a code and goes on."""
    meter, sequence = Meter(MeterConfig(security="oma", sequence=0)), 1
    for pdu in pdus:
        octets = SUITE.seal_request(pdu, sequence, Link(SUBNET, NODE)).octets
        answer = meter.receive_request(octets, SUBNET, NODE, 0.0)
        assert answer[-8:] == SUITE.response_digest(SUBNET, NODE, octets[:-8], answer[:-8])
        sequence += 1
    assert ask(meter, FullRead(52), sequence).result is ResultCode.OK


def test_reading_beyond_a_table_gives_zeroes(meter):
    assert ask(meter, PartialRead(52, 5, 6), 101).data[2:] == bytes(4)
    assert ask(meter, PartialRead(52, 1000, 3), 102).data == bytes(3)


def test_writes_change_writable_tables_only_as_far_as_they_reach(meter):
    assert ask(meter, PartialWrite(2051, 2, b"XY"), 101).result is ResultCode.OK
    assert meter.store.octets("ET03")[:6] == b"U-XY\0\0"
    assert ask(meter, PartialWrite(2051, 141, b"\1\2\3\4"), 102).result is ResultCode.OK
    assert meter.store.octets("ET03")[139:] == b"\0\0\1\2"
    assert len(meter.store.octets("ET03")) == 143
    assert ask(meter, PartialWrite(2051, 5000, b"Z"), 103).result is ResultCode.OK
    assert ask(meter, FullWrite(2051, b"NEW"), 104).result is ResultCode.OK
    assert meter.store.octets("ET03")[:4] == b"NEWY"


def test_what_the_host_writes_into_et04_stays_and_what_the_meter_owns_does_not(meter):
    offset, _ = table("ET04").field_range("self_read_hour")
    ask(meter, PartialWrite(2052, offset, b"\x17"), 101)
    ask(meter, PartialWrite(2052, 0, b"\xff\xff\xff\xff"), 102)
    system = table("ET04").decode(meter.table_octets("ET04", 0.0))
    assert system["self_read_hour"] == 0x17 and system["plc_sequence_number"] == 102


def test_a_procedure_that_is_not_there_is_answered_cleanly(meter):
    """EP50, sequence 7. The write is taken, BT08 says unknown procedure (6)."""
    assert ask(meter, FullWrite(7, bytes.fromhex("32080700f803")), 101).result is ResultCode.OK
    assert ask(meter, PartialRead(8, 0, 4), 102).data == bytes.fromhex("32080706")
    repeated = ask(meter, FullWrite(7, bytes.fromhex("32080700f803")), 103)
    assert repeated.result is ResultCode.OPERATION_NOT_POSSIBLE
    assert ask(meter, FullWrite(7, b"\x01"), 104).result is ResultCode.OPERATION_NOT_POSSIBLE


def test_events_tell_what_was_served_and_do_not_pile_up(meter):
    for n in range(3):
        ask(meter, FullRead(52), 101 + n, float(n))
    events = [meter.next_event() for _ in range(3)]
    assert events == [RequestServed(float(n), 0x30, 52) for n in range(3)] and meter.next_event() is None
    for _ in range(2000):
        meter.receive_request(b"\x01", SUBNET, NODE, 0.0)
    assert sum(1 for _ in iter(meter.next_event, None)) == 1000


@pytest.mark.parametrize(
    "arguments",
    [
        {"unique_node_id": bytes(5)}, {"program_id": bytes(7)}, {"manufacturer": "LONGER"}, {"serial": "12x"},
        {"serial": "1" * 17}, {"utility_serial": "\u20ac"}, {"utc_offset": 1000}, {"alarms": frozenset({"fire"})},
        {"repeat_time": -1.0},
    ],
)  # fmt: skip
def test_impossible_meters_are_refused(arguments):
    with pytest.raises(ConfigurationError, match=next(iter(arguments)) if "alarms" not in arguments else "fire"):
        MeterConfig(**arguments)


def test_a_host_cannot_write_what_is_fixed_for_a_firmware(meter):
    """ET04.max_power_outages dimensions ET09: whoever could change it would move every field of that table."""
    offset, _ = table("ET04").field_range("max_power_outages")
    before = meter.table_octets("ET09", 0.0)
    assert ask(meter, PartialWrite(2052, offset - 1, b"\0\xff\xff\xff"), 101).result is ResultCode.OK
    system = table("ET04").decode(meter.table_octets("ET04", 0.0), meter.store.context)
    assert system["max_power_outages"] == 10 and system["pk_access"] == 0
    assert meter.table_octets("ET09", 0.0) == before
