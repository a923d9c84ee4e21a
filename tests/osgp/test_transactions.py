"""Transactions: envelopes, execution, repeats, groups, sizes, the lock of two MEP clients, power failures."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    AccessLevel,
    DecodeError,
    FullRead,
    FullWrite,
    Meter,
    MeterConfig,
    PartialRead,
    PartialWrite,
    Port,
    ResultCode,
    Session,
    table,
)
from osgp.envelope import Envelope, EnvelopeType, in_group
from osgp.meter.quirks import Quirks
from osgp.procedure import procedure

MAK = Session(AccessLevel.MAK, Port.MEP1)
MAK2 = Session(AccessLevel.MAK, Port.MEP2)
MBK = Session(AccessLevel.MBK, Port.MEP1)
PLC = Session(AccessLevel.OMAK, Port.PLC)
MK = Session(AccessLevel.MK, Port.OPTICAL)
ET52, ET53, ET27, ET28 = 2100, 2101, 2075, 2076


@pytest.fixture
def meter():
    return Meter(MeterConfig(firmware=(4, 30, 1), groups=frozenset((0x1203,))))


def envelope(number, *messages, type=EnvelopeType.REQUESTS, groups=()):
    return Envelope(type, number, tuple(message.encode() for message in messages), groups)


def write(meter, octets, session=MAK, now=1.0, number=ET52, offset=0):
    return meter.serve(PartialWrite(number, offset, octets).encode(), session, now).result


def answer(meter, name="ET53"):
    return Envelope.decode(meter.store.octets(name))


messages = st.lists(st.binary(min_size=1, max_size=30), max_size=6)


@given(messages, st.integers(0, 0xFFFF), st.binary(max_size=9))
def test_envelopes_round_trip(messages, number, behind):
    one = Envelope(EnvelopeType.REQUESTS, number, tuple(messages))
    assert Envelope.decode(one.encode() + behind) == one and len(one.encode()) == one.size
    group = Envelope(EnvelopeType.GROUP_BROADCAST, number, tuple(messages), (0x12FF, 3))
    assert Envelope.decode(group.encode()) == group
    value = table("ET52").decode(one.encode().ljust(896, b"\0"), Meter(MeterConfig()).store.context)
    assert [record["message"] for record in value["records"]] == messages and value["transaction_number_end"] == number


@given(st.binary(max_size=60))
def test_noise_is_an_envelope_or_a_decode_error(noise):
    with suppress(DecodeError):
        one = Envelope.decode(noise)
        assert one.encode() == noise[: one.size]


def test_a_transaction_runs_when_its_closing_number_arrives(meter):
    octets = envelope(7, FullRead(52), PartialWrite(2100 - 2, 30, b"\1")).encode()
    assert write(meter, octets[:-1]) is ResultCode.OK
    assert not any(meter.store.octets("ET53"))
    assert write(meter, octets[-1:], offset=len(octets) - 1) is ResultCode.OK
    assert [message[0] for message in answer(meter).messages] == [0, 0]
    assert meter.store["ET50.clients[0].registered"] is True


def test_the_parts_may_come_in_several_writes(meter):
    octets = envelope(9, *[PartialRead(23, 0, 40)] * 60).encode()
    for start in range(0, len(octets), 456):
        assert write(meter, octets[start : start + 456], offset=start) is ResultCode.OK
    assert answer(meter).number == 9


def test_the_same_number_with_the_same_content_runs_once(meter):
    step = PartialWrite(2103 - 52 + 0, 0, b"A")  # ET03
    write(meter, envelope(3, step).encode())
    first = meter.served
    assert write(meter, envelope(3, step).encode(), now=2.0) is ResultCode.OK
    assert meter.served == first + 1  # the write alone
    assert write(meter, envelope(3, PartialWrite(2051, 0, b"B")).encode(), now=3.0) is ResultCode.OK
    assert meter.store.octets("ET03")[:1] == b"B"  # another content under the same number runs


def test_messages_have_the_rights_of_the_write(meter):
    forbidden = PartialWrite(2051, 0, b"EVIL")  # ET03: MAK may, MBK may not
    assert write(meter, envelope(1, forbidden, FullRead(52)).encode(), MBK) is ResultCode.OK
    assert [message[0] for message in answer(meter).messages] == [ResultCode.INSUFFICIENT_SECURITY, 0]
    assert meter.store.octets("ET03")[:4] != b"EVIL"
    write(meter, envelope(2, forbidden).encode(), MAK)
    assert meter.store.octets("ET03")[:4] == b"EVIL"


def test_an_answer_that_does_not_fit_is_partial(meter):
    octets = envelope(5, *[PartialRead(23, 0, 220)] * 20).encode()
    assert write(meter, octets) is ResultCode.OK
    got = answer(meter)
    assert got.type is EnvelopeType.PARTIAL_RESPONSES and len(got.messages) == 1785 // 225
    assert got.size <= 1785 and all(len(message) == 223 for message in got.messages)


@pytest.mark.parametrize(
    "octets",
    [
        bytes((9, 0, 0, 1, 0, 0, 0, 1, 0)),  # a record without octets
        bytes((10, 0, 0, 1, 0, 9, 0, 0x30, 1, 0)),  # a record longer than the envelope
        bytes((7, 0, 9, 1, 0, 1, 0)),  # no such type
        bytes((7, 0, 1, 1, 0, 1, 0)),  # an answer
        bytes((8, 0, 3, 1, 0, 9, 1, 0)),  # groups that do not fit
    ],
)
def test_a_malformed_envelope_is_refused_and_nothing_is_stored(meter, octets):
    assert write(meter, octets) is ResultCode.OPERATION_NOT_POSSIBLE
    assert not any(meter.store.octets("ET52")) and not any(meter.store.octets("ET53"))


def test_different_numbers_do_not_start_anything(meter):
    assert write(meter, bytes((7, 0, 0, 1, 0, 2, 0))) is ResultCode.OK
    assert not any(meter.store.octets("ET53"))


def test_transactions_do_not_nest(meter):
    inner = PartialWrite(ET52, 0, envelope(4, FullRead(52)).encode())
    write(meter, envelope(3, inner, FullRead(52)).encode())
    assert [message[0] for message in answer(meter).messages] == [ResultCode.OPERATION_NOT_POSSIBLE, 0]


@pytest.mark.parametrize(
    ("asked", "mine"),
    [(0x1203, True), (0x12FF, True), (0xFF03, True), (0xFFFF, True), (0x1204, False), (0x13FF, False), (0, False)],
)
def test_groups(meter, asked, mine):
    assert in_group(asked, frozenset((0x1203,))) is mine
    octets = envelope(6, FullRead(52), type=EnvelopeType.GROUP_BROADCAST, groups=(0x7777, asked)).encode()
    assert write(meter, octets) is ResultCode.OK
    kind = EnvelopeType.RESPONSES if mine else EnvelopeType.BROADCAST_DENIED
    assert answer(meter).type is kind and len(answer(meter).messages) == mine


def test_the_power_line_has_tables_of_its_own(meter):
    octets = envelope(8, FullRead(52)).encode()
    assert write(meter, octets, PLC, number=ET27) is ResultCode.OK
    assert answer(meter, "ET28").number == 8 and not any(meter.store.octets("ET53"))
    for session in (MAK, MK):
        assert write(meter, octets, session, number=ET27) is ResultCode.INSUFFICIENT_SECURITY


def call(meter, session, lock, sequence, now):
    meter.serve(FullWrite(7, procedure("EP61").encode(sequence, lock=lock)).encode(), session, now)
    name = {Port.MEP2: "ET85"}.get(session.port, "BT08")
    return meter.store[f"{name}.result_code"]


def test_a_locked_table_waits_ten_seconds_for_the_other_client(meter):
    octets = envelope(1, FullRead(52)).encode()
    assert call(meter, MAK, 1, 5, 1.0) == 0 and meter.store["ET54.mep_tx_locked"] == 1
    assert meter.store["ET54.mep_tx_channel"] == 1
    assert call(meter, MAK2, 1, 5, 2.0) == 3 and call(meter, MAK2, 0, 6, 2.0) == 3
    assert write(meter, octets, MAK2, 3.0) is ResultCode.OPERATION_NOT_POSSIBLE
    assert write(meter, octets, MAK, 3.0) is ResultCode.OK
    assert meter.next_timer() == 11.0
    assert write(meter, envelope(2, FullRead(52)).encode(), MAK2, 11.0) is ResultCode.OK
    assert meter.store["ET54.mep_tx_locked"] == 0


def test_a_lock_opens_when_its_owner_says_so(meter):
    assert call(meter, MAK, 1, 5, 1.0) == 0 and call(meter, MAK, 0, 6, 1.5) == 0
    assert call(meter, MAK2, 1, 5, 2.0) == 0
    assert call(meter, MAK2, 2, 6, 2.0) == 2


def test_only_mep_clients_lock(meter):
    assert call(meter, MK, 1, 5, 1.0) == 5 and call(meter, PLC, 1, 6, 1.0) == 5


def test_old_firmware_has_no_lock():
    old = Meter(MeterConfig(firmware=(3, 60, 1)))
    assert call(old, MAK, 1, 5, 1.0) == 6


@pytest.fixture
def slow():
    return Meter(MeterConfig(firmware=(4, 30, 1), quirks=Quirks(transaction_time=2.0)))


def test_a_power_failure_interrupts_and_the_transaction_runs_again(slow):
    write(slow, envelope(1, PartialWrite(2051, 0, b"X")).encode())
    assert write(slow, b"\0", now=1.5) is ResultCode.OPERATION_NOT_POSSIBLE  # still at work
    slow.power_down(2.0)
    slow.power_up(50.0)
    assert slow.store.octets("ET03")[:1] != b"X"
    slow.advance(50.1)
    assert slow.store.octets("ET03")[:1] == b"X" and answer(slow).number == 1


def test_an_interrupted_transaction_survives_a_restart(slow):
    write(slow, envelope(1, PartialWrite(2051, 0, b"X")).encode())
    again = Meter(slow.config, saved=slow.saved())
    again.advance(60.0)
    assert again.store.octets("ET03")[:1] == b"X" and answer(again).number == 1
    served = again.served
    write(again, envelope(1, PartialWrite(2051, 0, b"X")).encode(), now=61.0)
    assert again.served == served + 1


def test_transactions_of_power_line_and_mep_never_overlap(slow):
    mep, plc = envelope(1, PartialWrite(2051, 0, b"M")).encode(), envelope(2, PartialWrite(2051, 0, b"P")).encode()
    write(slow, plc, PLC, 1.0, ET27)
    assert write(slow, mep, MAK, 1.5) is ResultCode.OK
    slow.advance(10.0)
    assert slow.store.octets("ET03")[:1] == b"P" and not any(slow.store.octets("ET53"))
    assert write(slow, mep, MAK, 11.0) is ResultCode.OK  # retried
    write(slow, envelope(3, FullRead(52)).encode(), PLC, 12.0, ET27)
    slow.advance(20.0)
    assert slow.store.octets("ET03")[:1] == b"P" and answer(slow, "ET28").number == 3
    assert write(slow, envelope(4, PartialWrite(2051, 0, b"M")).encode(), MAK, 21.0) is ResultCode.OK
    slow.advance(30.0)
    assert slow.store.octets("ET03")[:1] == b"M"


def test_bt07_inside_a_transaction_takes_long_parameters(meter):
    seen = []
    meter._mailbox.add({2087: lambda parameters, session, now: (seen.append(len(parameters)), (0, b""))[1]})
    long = FullWrite(7, b"\x27\x08\x05" + bytes(400))
    meter.serve(long.encode(), MAK, 1.0)
    write(meter, envelope(1, FullWrite(7, b"\x27\x08\x06" + bytes(400))).encode())
    assert seen == [255, 400]
