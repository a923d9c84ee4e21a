"""The contract between a meter and its subsystems, checked with a small one that records what it is told."""

import pytest

from osgp import (
    AccessLevel,
    ConfigurationError,
    FullRead,
    FullWrite,
    LocalProtocolError,
    Meter,
    MeterConfig,
    PartialRead,
    PartialWrite,
    Port,
    RequestDenied,
    ResultCode,
    Session,
    Subsystem,
    table,
)
from osgp.meter import ProcedureResult
from osgp.meter.measuring import Measuring
from osgp.meter.signals import Alarm, DimensionsChanged, LogEntry, PowerDown, PowerUp

MAK = Session(AccessLevel.MAK, Port.MEP1)
MBK = Session(AccessLevel.MBK, Port.MEP1)


class Recorder(Subsystem):
    name = "recorder"
    live = frozenset(("BT15",))
    watches = frozenset(("BT15", "BT33"))

    def __init__(self):
        super().__init__()
        self.calls, self.timers, self.refuse, self.reads = [], [], ResultCode.OK, 0

    def attach(self, host):
        self.host = host
        host.store.put("BT15", bytes(17))
        host.store.put("BT33", bytes(9))

    def start(self, now):
        self.calls.append(("start", now))

    def refresh(self, identifier, now):
        self.reads += 1
        self.host.store.put(identifier, int(now).to_bytes(17, "little"))

    def check_write(self, identifier, offset, octets, session, now):
        return self.refuse

    def written(self, identifier, offset, octets, session, now):
        self.calls.append((identifier, offset, octets, session.level, now))

    def procedures(self):
        return {2064: lambda parameters, session, now: (ProcedureResult.COMPLETED, parameters[::-1])}

    def advance(self, now):
        self.calls.append(("advance", now))
        self.timers = [timer for timer in self.timers if timer > now]

    def next_timer(self):
        return min(self.timers, default=None)

    def on_signal(self, signal, now):
        self.calls.append(signal)

    def snapshot(self):
        return b"\x01kept"

    def restore(self, octets, now):
        self.calls.append(("restore", octets, now))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def meter(recorder):
    meter = Meter(MeterConfig(), subsystems=(Measuring(), recorder))
    recorder.calls.clear()
    return meter


def test_a_live_table_is_refreshed_only_when_it_is_read(meter, recorder):
    meter.serve(FullRead(23).encode(), MAK, 5.0)
    assert recorder.reads == 0
    assert meter.serve(FullRead(15).encode(), MAK, 7.0).data == b"\x07" + bytes(16)
    assert recorder.reads == 1


def test_a_write_is_checked_stored_and_told_with_what_really_fitted(meter, recorder):
    assert meter.serve(PartialWrite(33, 7, b"\1\2\3\4").encode(), MAK, 3.0).result is ResultCode.OK
    assert recorder.calls == [("advance", 3.0), ("BT33", 7, b"\1\2", AccessLevel.MAK, 3.0)]
    recorder.refuse = ResultCode.DATA_LOCKED
    assert meter.serve(PartialWrite(33, 0, b"\5").encode(), MAK, 3.0).result is ResultCode.DATA_LOCKED
    assert meter.store.octets("BT33") == bytes(7) + b"\1\2" and len(recorder.calls) == 2


def test_a_request_has_exactly_the_rights_of_its_session(meter, recorder):
    for session in (MBK, Session(AccessLevel.OPEN, Port.MEP1), Session(AccessLevel.RK, Port.OPTICAL)):
        assert meter.serve(PartialWrite(33, 0, b"\5").encode(), session, 1.0).result is ResultCode.INSUFFICIENT_SECURITY
    nobody = Session(AccessLevel.OPEN, Port.OPTICAL)
    assert meter.serve(FullRead(33).encode(), nobody, 1.0).result is ResultCode.INSUFFICIENT_SECURITY
    assert meter.serve(FullRead(0).encode(), nobody, 1.0).result is ResultCode.OK
    assert meter.store.octets("BT33") == bytes(9)
    denied = [event for event in iter(meter.next_event, None) if isinstance(event, RequestDenied)]
    assert [event.port for event in denied] == [Port.MEP1, Port.MEP1, Port.OPTICAL, Port.OPTICAL]


def test_levels_belong_to_ports():
    for level, port in ((AccessLevel.MAK, Port.PLC), (AccessLevel.OMAK, Port.OPTICAL), (AccessLevel.MK, Port.MEP2)):
        with pytest.raises(ConfigurationError, match=str(port)):
            Session(level, port)
    assert Session(AccessLevel.MK, Port.LOCAL).user == 0xFFFF and MAK.user == 0xFFFD


def test_procedures_run_through_bt07(meter):
    assert meter.serve(FullWrite(7, b"\x10\x08\x05abc").encode(), MAK, 1.0).result is ResultCode.OK
    assert meter.serve(PartialRead(8, 0, 7).encode(), MAK, 1.0).data == b"\x10\x08\x05\x00cba"
    root = table("BT00").decode(meter.store.octets("BT00"), meter.store.context)
    assert root["extended_procedures_used"] == {16}


def test_advance_stops_at_every_timer(meter, recorder):
    recorder.timers = [2.0, 5.0, 5.0, 30.0]
    assert meter.next_timer() == 2.0
    meter.advance(10.0)
    assert recorder.calls == [("advance", 2.0), ("advance", 5.0), ("advance", 10.0)] and meter.next_timer() == 30.0


def test_signals_reach_everybody_at_once(meter, recorder):
    meter.signal(Alarm("cover_removed"), 1.0)
    assert recorder.calls == [Alarm("cover_removed")]
    assert table("BT03").decode(meter.store.octets("BT03"), meter.store.context)["cover_removed"] is True
    recorder.calls.clear()
    meter.signal(DimensionsChanged(("BT26",)), 1.0)
    assert recorder.calls == [LogEntry(88), Alarm("dimension_change"), DimensionsChanged(("BT26",))]
    assert table("ET04").decode(meter.table_octets("ET04", 1.0))["idt_version"] == 2


def test_a_circle_of_signals_is_an_error(meter, recorder):
    recorder.on_signal = lambda signal, now: meter.signal(signal, now)
    with pytest.raises(LocalProtocolError, match="circle"):
        meter.signal(PowerDown(), 1.0)


def test_without_power_nothing_happens(meter, recorder):
    meter.power_down(4.0)
    assert recorder.calls == [("advance", 4.0), PowerDown()]
    meter.advance(9.0)
    assert meter.next_timer() is None and meter.receive_request(bytes(20), 1, 1, 10.0) is None
    with pytest.raises(LocalProtocolError, match="without power"):
        meter.serve(FullRead(0).encode(), MAK, 10.0)
    meter.power_up(64.0)
    assert recorder.calls[2:] == [PowerUp(60.0)]


def test_state_goes_on_after_a_restart(meter, recorder):
    meter.changes()
    saved = meter.saved()
    meter.serve(PartialWrite(33, 0, b"\5").encode(), MAK, 3.0)
    recorder.touch()
    changes = meter.changes()
    assert changes.tables == {"BT33": b"\5" + bytes(8)} and changes.states["recorder"] == b"\x01kept"
    assert meter.changes().tables == {} and set(meter.changes().states) == {"meter"}
    again = Recorder()
    other = Meter(MeterConfig(), subsystems=(Measuring(), again), saved=saved.with_changes(changes))
    assert other.now == 3.0 and other.store.octets("BT33") == b"\5" + bytes(8)
    assert again.calls == [("restore", b"\x01kept", 3.0), ("start", 3.0)]
    assert "BT15" not in saved.tables and "BT54" not in saved.tables


def test_names_of_subsystems_are_unique():
    with pytest.raises(ConfigurationError, match="name of its own"):
        Meter(MeterConfig(), subsystems=(Recorder(), Recorder()))


def test_what_a_host_writes_into_a_partly_live_table_is_saved_before_it_is_acknowledged():
    meter = Meter(MeterConfig())
    saved = meter.saved()
    meter.changes()
    offset, _ = table("ET04").field_range("self_read_hour")
    assert meter.serve(PartialWrite(2052, offset, b"\x05").encode(), MAK, 3.0).result is ResultCode.OK
    again = Meter(MeterConfig(), saved=saved.with_changes(meter.changes()))
    assert again.store["ET04.self_read_hour"] == 5
    assert table("ET04").decode(again.table_octets("ET04", 3.0), again.store.context)["idt_version"] == 1
