"""Injected faults: wrong values under valid digests, lost and late answers, jumps; each only when it is switched on."""

import datetime

import pytest

from osgp import AccessLevel, ConfigurationError, ConstantLoad, Meter, MeterConfig, PartialRead, Port, Session
from osgp.meter import Fault, FaultInjection, Faults, MepNumbers
from osgp.meter.faults import ABSURD

MAK = Session(AccessLevel.MAK, Port.MEP1)


def home(*kinds, share=0.2, seed=1):
    return Meter(MeterConfig(load=ConstantLoad((1000.0,)), start=datetime.datetime(2024, 3, 4), utc_offset=0, seed=seed,
                             faults=Faults(frozenset(kinds), share)))  # fmt: skip


def read(meter, at, table=23, offset=0, count=44):
    octets = meter.serve(PartialRead(table, offset, count).encode(), MAK, at).data
    return [int.from_bytes(octets[place : place + 4], "little") for place in range(0, count, 4)]


def test_a_share_of_the_reads_has_one_absurd_value():
    meter, plain = home(Fault.ABSURD_VALUES), home()
    wrong = 0
    for second in range(500):
        seen, right = read(meter, float(second)), read(plain, float(second))
        differing = [(one, other) for one, other in zip(seen, right, strict=True) if one != other]
        assert len(differing) <= 1 and all(one in ABSURD for one, _ in differing)
        wrong += bool(differing)
    # 100 expected, of which some put a zero on a zero; five standard deviations of 9 either way
    assert 500 * 0.2 * 0.8 - 45 < wrong < 500 * 0.2 + 45
    assert meter.registers.total() == plain.registers.total()
    assert read(meter, 600.0, table=1, count=24) == read(plain, 600.0, table=1, count=24)


def test_a_counter_jumps_for_a_while_and_comes_back():
    meter, plain = home(Fault.COUNTER_JUMPS, share=0.5), home()
    slots = []
    for slot in range(60):
        offsets = {read(meter, 600.0 * slot + at)[0] - read(plain, 600.0 * slot + at)[0] for at in (1.0, 300.0, 599.0)}
        assert len(offsets) == 1
        slots.append(offsets.pop())
    assert 10 < sum(one != 0 for one in slots) < 50 and all(one == 0 or 10_000 <= one < 5_000_000 for one in slots)
    assert read(meter, 40_000.0)[1:] == read(plain, 40_000.0)[1:]
    jumped = next(slot for slot, one in enumerate(slots) if one)
    again = home(Fault.COUNTER_JUMPS, share=0.5)
    assert read(again, 600.0 * jumped + 1, offset=4, count=8) == read(home(), 600.0 * jumped + 1, offset=4, count=8)


def test_answers_get_lost_or_late_as_often_as_they_should():
    injection = home(Fault.NO_ANSWER, Fault.LATE_ANSWERS, share=0.3).find(FaultInjection)
    assert 200 < sum(injection.loses_answer() for _ in range(1000)) < 400
    assert 200 < sum(injection.delay() == 2.0 for _ in range(1000)) < 400
    none = home().find(FaultInjection)
    assert not any(none.loses_answer() or none.delay() for _ in range(100)) and none.next_timer() is None


def test_sequence_numbers_of_mep_clients_jump_every_minute():
    meter = home(Fault.SEQUENCE_JUMPS)
    window = meter.find(MepNumbers).windows[Port.MEP1]
    before = window.last
    meter.advance(59.9)
    assert window.last == before
    meter.advance(600.0)
    assert 10 <= (window.last - before) % (1 << 32) <= 250


def test_the_same_meter_goes_wrong_in_the_same_way():
    first, second = home(Fault.ABSURD_VALUES), home(Fault.ABSURD_VALUES)
    assert [read(first, float(n)) for n in range(50)] == [read(second, float(n)) for n in range(50)]


def test_unknown_faults_are_named():
    with pytest.raises(ConfigurationError, match=r"furnace.*absurd-values"):
        Faults.of(["furnace"])
    for wrong in ({"share": 2.0}, {"delay": -1.0}):
        with pytest.raises(ConfigurationError):
            Faults(**wrong)
    assert Faults.of(["no-answer"]).kinds == {Fault.NO_ANSWER}
