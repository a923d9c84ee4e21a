"""Procedures through BT07: sequence numbers, rights, result tables, locks; and their specifications."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import (
    AccessLevel,
    FullWrite,
    Meter,
    MeterConfig,
    PartialWrite,
    Port,
    ResultCode,
    Session,
    Subsystem,
    TableError,
)
from osgp.meter import ProcedureResult
from osgp.meter.mep_clients import MepClients
from osgp.meter.quirks import Quirks
from osgp.meter.signals import SessionOpened
from osgp.procedure import procedure, procedures

MBK, MAK = Session(AccessLevel.MBK, Port.MEP1), Session(AccessLevel.MAK, Port.MEP1)
MAK2 = Session(AccessLevel.MAK, Port.MEP2)
RK, PK, MK = (Session(level, Port.OPTICAL) for level in (AccessLevel.RK, AccessLevel.PK, AccessLevel.MK))
PLC = Session(AccessLevel.OMAK, Port.PLC)


class Runs(Subsystem):
    """Has every procedure and remembers the calls."""

    name = "runs"

    def attach(self, host):
        self.host, self.calls, self.answer = host, [], (ProcedureResult.COMPLETED, b"")

    def procedures(self):
        return {spec.number: lambda parameters, session, now, n=spec.number: self._run(n, parameters) for spec in procedures()}

    def _run(self, number, parameters):
        self.calls.append((number, parameters))
        return self.answer


@pytest.fixture
def runs():
    return Runs()


@pytest.fixture
def meter(runs):
    return Meter(MeterConfig(firmware=(4, 30, 1), locked_procedures=frozenset((11,))), subsystems=(MepClients(), runs))


def start(meter, number, sequence, session, parameters=b"", now=1.0):
    return meter.serve(FullWrite(7, number.to_bytes(2, "little") + bytes((sequence,)) + parameters).encode(), session, now).result


def result(meter, name="BT08"):
    return (meter.store[f"{name}.procedure_number"], meter.store[f"{name}.sequence_number"], meter.store[f"{name}.result_code"])


def test_a_repeated_sequence_number_is_refused_and_does_nothing(meter, runs):
    assert start(meter, 2051, 5, MAK) is ResultCode.OK
    assert start(meter, 2051, 5, MAK) is ResultCode.OPERATION_NOT_POSSIBLE
    assert start(meter, 2052, 6, MAK) is ResultCode.OK and start(meter, 2051, 5, MAK) is ResultCode.OK
    assert [number for number, _ in runs.calls if number != 2052] == [2051, 2051]


def test_every_client_has_a_result_table_and_a_number_of_its_own(meter):
    meter.store["ET50.clients[0].et59_response"] = True
    for session, name in ((MAK, "ET59"), (MAK2, "ET85"), (PLC, "BT08")):
        assert start(meter, 2051, 5, session) is ResultCode.OK
        assert result(meter, name) == (2051, 5, 0)
        assert start(meter, 2051, 5, session) is ResultCode.OPERATION_NOT_POSSIBLE


def test_old_mep_clients_share_bt08_with_everybody(meter):
    assert start(meter, 2051, 5, MAK) is ResultCode.OK and result(meter) == (2051, 5, 0)
    assert start(meter, 2051, 5, PLC) is ResultCode.OPERATION_NOT_POSSIBLE


def test_the_first_number_after_an_optical_logon_is_not_255(meter):
    start(meter, 2051, 9, MK)
    meter.signal(SessionOpened(Port.OPTICAL, 7), 2.0)
    assert start(meter, 2051, 255, MK) is ResultCode.OPERATION_NOT_POSSIBLE
    assert start(meter, 2051, 9, MK) is ResultCode.OK


def test_strict_meters_want_5_to_9_from_mep_clients():
    strict = Meter(MeterConfig(quirks=Quirks(strict_procedure_numbers=True)), subsystems=(Runs(),))
    assert start(strict, 2051, 4, MAK) is ResultCode.OPERATION_NOT_POSSIBLE
    assert [start(strict, 2051, n, MAK) for n in range(5, 11)] == [ResultCode.OK] * 5 + [ResultCode.OPERATION_NOT_POSSIBLE]
    assert start(strict, 2051, 200, PLC) is ResultCode.OK


@pytest.mark.parametrize(
    ("session", "allowed"),
    [
        (MBK, {2064, 2065, 2087}),
        (MAK, None),
        (PLC, None),
    ],
)
def test_keys_start_only_what_they_may(meter, runs, session, allowed):
    for sequence, spec in enumerate(procedures()):
        if spec.number in (11, 12, 13, 14, 15, 2109):  # locked, or the meter's own
            continue
        runs.calls.clear()
        assert start(meter, spec.number, sequence, session) is ResultCode.OK
        expected = spec.allowed(session.level) if allowed is None else spec.number in allowed
        assert bool(runs.calls) == expected
        assert result(meter)[2] == (0 if expected else 5)


def test_billing_procedures_are_closed_to_mep_keys():
    for name in ("EP32", "EP33", "EP34", "EP64"):
        assert not procedure(name).allowed(AccessLevel.MAK) and procedure(name).allowed(AccessLevel.MK)


def test_the_read_only_key_may_set_the_clock_unless_et04_forbids_it(meter, runs):
    assert start(meter, 10, 1, RK, bytes(8)) is ResultCode.OK and runs.calls
    assert start(meter, 2064, 2, RK, bytes(4)) is ResultCode.OK
    assert start(meter, 2051, 3, RK) is ResultCode.INSUFFICIENT_SECURITY
    meter.store["ET04.71.0"] = True
    assert start(meter, 10, 4, RK, bytes(8)) is ResultCode.INSUFFICIENT_SECURITY


def test_the_hardware_lock_refuses_whatever_the_key(meter, runs):
    for sequence, session in enumerate((MAK, PK, MK, PLC)):
        assert start(meter, 11, sequence, session) is ResultCode.INSUFFICIENT_SECURITY
    assert not runs.calls


def test_unknown_procedures_and_failures_are_told_in_et54(meter, runs):
    assert start(meter, 2047, 1, MK) is ResultCode.OK and result(meter) == (2047, 1, 6)
    assert meter.store["ET54.extended_failure"] == 2047 << 16 | 6
    runs.answer = (ProcedureResult.TIMING_CONSTRAINT, b"")
    start(meter, 2051, 2, MK)
    assert meter.store["ET54.extended_failure"] == 2051 << 16 | 4


def test_response_handling_bits_are_no_part_of_the_number(meter, runs):
    assert start(meter, 2051 | 0x3000, 1, MK) is ResultCode.OK and runs.calls == [(2051, b"")]


def test_parameters_and_answers_are_cut_to_their_limits(meter, runs):
    runs.answer = (ProcedureResult.COMPLETED, bytes(range(20)))
    start(meter, 2051, 1, MK, bytes(300))
    assert runs.calls == [(2051, bytes(255))] and meter.store.octets("BT08")[4:] == bytes(range(12))


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\x01\x00"])
def test_too_short_writes_are_refused(meter, octets):
    assert meter.serve(FullWrite(7, octets).encode(), MK, 1.0).result is ResultCode.OPERATION_NOT_POSSIBLE
    assert meter.serve(PartialWrite(7, 1, bytes(5)).encode(), MK, 1.0).result is ResultCode.OPERATION_NOT_POSSIBLE


def test_a_procedure_that_raises_for_its_parameters_answers_invalid_parameter(meter, runs):
    def complain(number, parameters):
        raise TableError("short")

    runs._run = complain
    assert start(meter, 2051, 1, MK) is ResultCode.OK and result(meter)[2] == 2


def test_a_later_result_replaces_the_first_only_while_it_stands(meter, runs):
    runs.answer = (ProcedureResult.ACCEPTED, b"")
    start(meter, 2051, 1, MK)
    meter.post_result(2051, 2, ProcedureResult.COMPLETED, b"x", MK)
    assert result(meter) == (2051, 1, 1)
    meter.post_result(2051, 1, ProcedureResult.COMPLETED, b"x", MK)
    assert result(meter) == (2051, 1, 0)


def test_specifications_are_complete():
    numbers = [spec.number for spec in procedures()]
    assert len(set(numbers)) == len(numbers) and {4, 5, 10, 12, 13, 2064, 2065, 2067, 2109} <= set(numbers)
    assert all(spec.grade in "ABCD" and spec.name for spec in procedures())
    assert all(spec.parameters_grade in ("A", "C", "D") for spec in procedures() if spec.parameters is not None)
    assert procedure(2065) is procedure("EP17") and procedure(10).id == "BP10"
    with pytest.raises(TableError, match="no procedure"):
        procedure("EP99")
    with pytest.raises(TableError, match="not published"):
        procedure("EP06").encode(5, logs=1)


@given(st.data())
def test_parameters_round_trip(data):
    spec = data.draw(st.sampled_from([spec for spec in procedures() if spec.parameters is not None]))
    octets = data.draw(st.binary(min_size=60, max_size=60))
    if spec.id == "EP11":
        octets = octets[:8] + b"\x03" + octets[9:]
    values = spec.decode(octets)
    assert spec.decode(spec.encode(5, **values)[3:]) == values
