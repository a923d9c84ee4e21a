"""One meter, one session: order, pieces, resynchronisation, refusals."""

import dataclasses

import pytest

from osgp import ConcentratorConfig, Key, Limits, MeterConfig, decode_request, table
from osgp import Meter as AnyMeter
from osgp.concentrator.config import READ_SET
from osgp.concentrator.session import Session, Verdict, reading_order
from osgp.security.apdu import split_request

ADDRESS = (1, 9)


def Meter(config, *parts):
    """A meter of the RC4 era: its requests can be read on the way."""
    return AnyMeter(dataclasses.replace(config, security="oma"), *parts)


def pdu_and_number(octets):
    pdu, number, _ = split_request(octets)
    return pdu, number


def session(**arguments):
    config = ConcentratorConfig(security="oma", **arguments)
    made = Session(config.security_of(bytes(6)), config, guess=0xDEAD)
    made.begin()
    return made


def run(reader, meter, now=0.0):
    """Read until the pass is over; returns the outcomes and the requests as (table number, offset, count)."""
    outcomes, asked = [], []
    while not reader.finished and len(outcomes) < 200:
        octets = reader.request(*ADDRESS)
        read = decode_request(pdu_and_number(octets)[0])
        asked.append((read.table, read.offset, read.count))
        outcomes.append(reader.receive(meter.receive_request(octets, *ADDRESS, now), *ADDRESS))
    return outcomes, asked


@pytest.mark.parametrize("read_set", [READ_SET, READ_SET[::-1], ("BT26", "ET42", "BT64"), ("BT23",)])
def test_every_table_comes_behind_those_it_needs(read_set):
    order = reading_order(read_set)
    assert len(order) == len(set(order)) and set(read_set) <= set(order)
    for place, name in enumerate(order):
        assert table(name).depends_on() <= set(order[:place])


def test_first_wrong_number_fetches_the_right_one():
    reader, meter = session(), Meter(MeterConfig(sequence=4711))
    outcomes, asked = run(reader, meter)
    assert outcomes[0].verdict is Verdict.RESYNCHRONISED
    assert [one.verdict for one in outcomes].count(Verdict.RESYNCHRONISED) == 1
    assert reader.sequence == meter.sequence == 4711 + len(asked) - 1
    assert not reader.missing


def test_pieces_have_at_most_84_octets_and_cover_each_table_once():
    _, asked = run(session(), Meter(MeterConfig()))
    assert max(count for _, _, count in asked) == 84
    register = [(offset, count) for number, offset, count in asked if number == 23]
    assert register == [(0, 84), (84, 84), (168, 52)]
    assert [(offset, count) for number, offset, count in asked if number == 2051] == [(0, 30)]


def test_other_limits_give_other_pieces():
    reader = session(limits=Limits(read_data=40))
    outcomes, asked = run(reader, Meter(MeterConfig()))
    assert max(count for _, _, count in asked) == 40 and not reader.missing
    assert {one.table for one in outcomes if one.verdict is Verdict.TABLE_DONE} == set(READ_SET)


def test_values_are_those_of_the_meter():
    reader, meter = session(), Meter(MeterConfig(serial="987654", initial_registers={"reverse_active_wh": 777}))
    outcomes, _ = run(reader, meter, now=0.0)
    values = {one.table: one.value for one in outcomes if one.verdict is Verdict.TABLE_DONE}
    assert values["BT01"]["manufacturer_serial"] == "0000000000987654"
    assert values["BT23"]["summations"][1] == 777
    assert values["BT23"].octets == meter.table_octets("BT23", 0.0)


def test_request_is_byte_identical_until_an_answer_is_accepted():
    reader = session()
    first = reader.request(*ADDRESS)
    assert reader.request(*ADDRESS) == first
    assert reader.receive(b"\0\0" + bytes(8), *ADDRESS).verdict is Verdict.BAD
    assert reader.request(*ADDRESS) == first and reader.bad_answers == 1


def test_number_of_an_unanswered_request_is_not_used_again():
    reader, meter = session(), Meter(MeterConfig(sequence=50))
    reader.receive(meter.receive_request(reader.request(*ADDRESS), *ADDRESS, 0.0), *ADDRESS)
    lost = pdu_and_number(reader.request(*ADDRESS))[1]
    reader.abandon()
    assert pdu_and_number(reader.request(*ADDRESS))[1] == lost + 1


def test_missing_table_is_skipped_and_the_rest_read():
    meter = Meter(MeterConfig())
    for name in ("BT61", "BT64"):
        meter.store._octets.pop(name)
    reader = session(read_set=("BT64", "BT52"))
    outcomes, _ = run(reader, meter)
    assert {one.table for one in outcomes if one.verdict is Verdict.REFUSED} == {"BT61", "BT64"}
    assert reader.missing == ["BT61", "BT64"] and "BT52" in reader.context.known()


def test_meter_without_bt21_is_read_by_bt20():
    meter = Meter(MeterConfig())
    meter.store.put("BT20", meter.store.octets("BT21"))
    meter.store._octets.pop("BT21")
    reader = session(read_set=("BT23",))
    outcomes, _ = run(reader, meter)
    assert outcomes[-1].table == "BT23" and outcomes[-1].verdict is Verdict.TABLE_DONE
    assert len(reader.context.octets("BT23")) == 220


def test_table_that_describes_itself_far_back_is_read():
    meter = Meter(MeterConfig(), ())
    logs = [{"table_number": n, "entry_size": 12} for n in range(9)]
    meter.store.put("ET36", table("ET36").encode({"count": 9, "logs": logs}, _with_count(9)))
    reader = session(read_set=("ET36",))
    outcomes, _ = run(reader, meter)
    assert outcomes[-1].verdict is Verdict.TABLE_DONE and len(outcomes[-1].value["logs"]) == 9


def _with_count(count):
    from osgp import Context

    return Context({"ET36": bytes((count,))})


def test_another_key_gives_the_meter_up():
    reader = session()
    outcome = reader.receive(
        Meter(MeterConfig(key=Key.omak(bytes(12)))).receive_request(reader.request(*ADDRESS), *ADDRESS, 0.0), *ADDRESS
    )
    assert outcome.verdict is Verdict.GIVEN_UP and "key" in outcome.reason


def test_number_that_never_fits_gives_the_meter_up():
    reader, verdicts = session(resyncs=3), []
    for n in range(4):
        meter = Meter(MeterConfig(sequence=1000 * (n + 1)))
        verdicts.append(reader.receive(meter.receive_request(reader.request(*ADDRESS), *ADDRESS, 0.0), *ADDRESS).verdict)
    assert verdicts == [Verdict.RESYNCHRONISED] * 3 + [Verdict.GIVEN_UP]


def test_second_pass_reads_only_what_changes():
    reader, meter = session(), Meter(MeterConfig())
    run(reader, meter)
    reader.begin()
    _, asked = run(reader, meter, now=60.0)
    assert [number for number, offset, _ in asked if offset == 0] == [2052, 23, 28, 52, 3]


def test_new_dimensions_are_noticed_by_idt_version():
    reader = session()
    run(reader, Meter(MeterConfig(idt_version=1)))
    reader.begin()
    outcomes, _ = run(reader, Meter(MeterConfig(idt_version=2)), now=60.0)
    assert {one.table for one in outcomes if one.verdict is Verdict.TABLE_DONE} == set(READ_SET)


def aes_session(meter, **arguments):
    config = ConcentratorConfig(**arguments)
    made = Session(config.security_of(meter.config.unique_node_id), config, guess=0xDEAD)
    made.begin()
    return made


def ask(reader, meter, now=0.0):
    return reader.receive(meter.receive_request(reader.request(*ADDRESS), *ADDRESS, now), *ADDRESS)


def test_aes_session_agrees_on_keys_first_and_then_needs_no_resynchronisation():
    meter = AnyMeter(MeterConfig(sequence=4711))
    reader = aes_session(meter)
    verdicts = []
    while not reader.finished:
        verdicts.append(ask(reader, meter).verdict)
    assert verdicts[:2] == [Verdict.PREPARED] * 2 and Verdict.RESYNCHRONISED not in verdicts
    assert verdicts.count(Verdict.TABLE_DONE) == len(READ_SET) and not reader.missing
    assert reader.sequence == meter.sequence == 4711 + len(verdicts) - 2


def test_restarted_aes_meter_gets_new_keys_in_the_midst_of_a_pass():
    meter = AnyMeter(MeterConfig(sequence=4711))
    reader = aes_session(meter)
    for _ in range(5):
        assert ask(reader, meter).verdict in (Verdict.PREPARED, Verdict.GOOD, Verdict.TABLE_DONE)
    meter = AnyMeter(MeterConfig())
    assert [ask(reader, meter).verdict for _ in range(3)] == [Verdict.RESYNCHRONISED] + [Verdict.PREPARED] * 2
    while not reader.finished:
        assert ask(reader, meter).verdict in (Verdict.GOOD, Verdict.TABLE_DONE)
    assert not reader.missing


def test_another_psk_gives_the_meter_up_on_either_side():
    meter = AnyMeter(MeterConfig(psk=Key.psk(bytes(16))))
    outcome = ask(aes_session(meter), meter)
    assert outcome.verdict is Verdict.GIVEN_UP and outcome.reason == "the meter has another key"


def test_two_clients_read_one_meter_side_by_side():
    meter = AnyMeter(MeterConfig())
    readers = [aes_session(meter, read_set=("BT52",)) for _ in range(2)]
    verdicts = {reader: [] for reader in readers}
    while not all(reader.finished for reader in readers):
        for reader in readers:
            if not reader.finished:
                verdicts[reader].append(ask(reader, meter).verdict)
    assert all(seen[-1] is Verdict.TABLE_DONE for seen in verdicts.values())
