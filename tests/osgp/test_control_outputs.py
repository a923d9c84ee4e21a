"""The contactor: commands, button, limits, locks, faults; opening really takes the load away."""

import datetime
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import AccessLevel, ConstantLoad, FullWrite, Meter, MeterConfig, PartialWrite, Port, Power, ResultCode, Session, table
from osgp.meter import Contactor, ControlSettings, Measuring, ProcedureResult
from osgp.meter.journal import Journal
from osgp.meter.power_limit import divides
from osgp.meter.switchgear import GAP_MS, TRAVEL_MS, Switch, SwitchState

MAK = Session(AccessLevel.MAK, Port.MEP1)
MIDNIGHT = datetime.datetime(2024, 3, 4)
OPEN, CLOSE, LOCK = 0, 1, 2


def home(load=None, firmware=(4, 30, 1), **control):
    return Meter(
        MeterConfig(
            load=load or ConstantLoad((1000.0,)), start=MIDNIGHT, utc_offset=0, firmware=firmware,
            control=ControlSettings(**control),
        )
    )


def operate(meter, action, now, output=0, delay=0, options=b""):
    operate.sequence = getattr(operate, "sequence", 0) % 200 + 1
    parameters = bytes((action, output)) + delay.to_bytes(2, "little") + options
    request = FullWrite(7, (2050).to_bytes(2, "little") + bytes((operate.sequence,)) + parameters)
    assert meter.serve(request.encode(), MAK, now).result is ResultCode.OK
    return ProcedureResult(meter.store.octets("BT08")[3])


def logged(meter, event):
    """Arguments of the entries of an event, oldest first."""
    log = meter.find(Journal).history
    entries = [bytes(log.octets[14 * n : 14 * n + 14]) for n in range(log.valid)]
    return [int.from_bytes(one[12:14], "little") for one in entries if int.from_bytes(one[10:12], "little") & 0xFFF == event]


def alarms(meter):
    bits = table("BT03").decode(meter.store.octets("BT03"), meter.store.context)
    return {name for name, bit in bits.items() if bit is True}


def state(meter, now):
    return table("ET23").decode(meter.table_octets("ET23", now), meter.store.context)["disconnect_state"]


def test_a_command_opens_the_load_and_another_closes_it():
    meter = home()
    assert state(meter, 100.0) == SwitchState.CLOSED
    assert operate(meter, OPEN, 3600.0) is ProcedureResult.ACCEPTED
    assert state(meter, 3600.0) == SwitchState.OPENING and state(meter, 3600.1) == SwitchState.OPEN
    assert operate(meter, OPEN, 3601.0) is ProcedureResult.COMPLETED
    assert operate(meter, CLOSE, 7200.0) is ProcedureResult.ACCEPTED
    assert state(meter, 7200.0) == SwitchState.CLOSING
    meter.advance(10800.0)
    # 1 kW for an hour and 0.1 s, nothing for an hour, an hour less 0.1 s again
    assert meter.registers.total()[0] == 2000
    assert meter.find(Measuring).flow[0] == 1000 * (3_600_100 + 3_599_900)
    assert logged(meter, 66) == [258, 1281] and "load_disconnect_changed" in alarms(meter)


def test_nothing_flows_and_no_current_is_shown_while_it_is_open():
    meter = home()
    operate(meter, OPEN, 10.0)
    meter.advance(60.0)
    values = meter.find(Measuring).values((8, 12, 15), 60.0)
    assert values[8] == values[12] == 0 and values[15] > 200_000
    before = meter.find(Measuring).flow
    meter.advance(86_400.0)
    assert meter.find(Measuring).flow == before


def test_ten_seconds_lie_between_operations():
    meter = home()
    operate(meter, OPEN, 100.0)
    meter.advance(101.0)
    operate(meter, CLOSE, 102.0)
    assert state(meter, 110.0) == SwitchState.CLOSING and state(meter, 110.1) == SwitchState.CLOSED
    # the opposite command takes a pending operation back
    operate(meter, OPEN, 111.0)
    assert operate(meter, CLOSE, 112.0) is ProcedureResult.COMPLETED and state(meter, 200.0) == SwitchState.CLOSED
    assert logged(meter, 66) == [258, 1281]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 30_000), st.booleans(), st.integers(0, 20_000)), max_size=30))
def test_a_switch_never_moves_twice_within_ten_seconds(steps):
    switch, at, done = Switch(), 0, []
    for pause, closed, delay in steps:
        until = at + pause
        while switch.due_ms is not None and switch.due_ms <= until:
            at = switch.due_ms
            assert switch.complete(at)
            done.append(at)
        at = until
        switch.command(closed, at, delay)
        assert switch.wanted == closed
    assert all(later - earlier >= GAP_MS for earlier, later in itertools.pairwise(done))
    assert done == [] or done[0] >= TRAVEL_MS


def test_the_button_closes_what_is_not_locked():
    meter = home()
    contactor = meter.find(Contactor)
    assert not contactor.press_button(1.0)  # it only closes
    operate(meter, OPEN, 10.0)
    meter.advance(12.0)
    assert contactor.button_locked and not contactor.press_button(12.0)
    meter.advance(30.0)
    assert contactor.press_button(30.0)
    meter.advance(31.0)
    assert logged(meter, 66) == [258, 1537] and contactor.switch.closed
    operate(meter, LOCK, 50.0)
    meter.advance(100.0)
    assert not contactor.press_button(100.0) and logged(meter, 66)[-1] == 259
    operate(meter, CLOSE, 110.0)
    meter.advance(120.0)
    assert contactor.switch.closed and logged(meter, 66)[-1] == 1281


def test_a_toggle_button_opens_too_and_an_open_contactor_can_be_locked():
    meter = home(toggle_button=True)
    contactor = meter.find(Contactor)
    assert contactor.press_button(10.0)
    meter.advance(30.0)
    operate(meter, LOCK, 30.0)
    assert not contactor.press_button(60.0) and logged(meter, 66) == [1538, 259]
    assert table("ET29").decode(meter.store.octets("ET29"), meter.store.context)["toggle_button"]


def test_random_delay_is_drawn_between_zero_and_the_given_seconds_and_repeats():
    opened = []
    for _ in range(2):
        meter = home()
        assert operate(meter, OPEN, 10.0, delay=600) is ProcedureResult.ACCEPTED
        assert state(meter, 10.2) == SwitchState.OPENING
        meter.advance(700.0)
        opened.append(meter.find(Contactor).switch.done_ms)
    assert 10_100 <= opened[0] == opened[1] <= 610_100


STEPS = [(0, 500), (1000, 3000), (1007, 500), (2000, 3000), (2100, 500)]


class Steps(ConstantLoad):
    """(second, W) of day 0."""

    def day(self, number):
        return tuple((second, Power((float(watts),), (0.0,))) for second, watts in (STEPS if number == 0 else [(0, 100)]))

    def power(self, at):
        return [power for second, power in self.day(int(at // 86400)) if second <= at % 86400][-1]


def test_maximum_power_opens_after_its_time_and_the_clock_time_is_kept():
    meter = home(Steps(), power_limits=True, max_power=(2500, 1500), hold=10, reconnect=300)
    meter.advance(2009.0)
    assert logged(meter, 66) == []  # seven seconds at 1000 s are not enough
    meter.advance(2010.2)
    assert logged(meter, 66) == [514] and state(meter, 2010.2) == SwitchState.OPEN
    values = table("ET46").decode(meter.table_octets("ET46", 2011.0), meter.store.context)
    assert str(values["max_power_open_time"]) == "2024-03-04 00:33:30" and meter.store["ET30.exceeded"]
    meter.advance(2320.0)
    assert state(meter, 2320.0) == SwitchState.CLOSED and logged(meter, 66) == [514, 513] and not meter.store["ET30.exceeded"]
    # 500 W for 2000 s with 7 s at 3000, 10.1 s at 3000, then nothing until 2310.2
    assert meter.find(Measuring).flow[0] - 1000 * 500 * 10 == 1000 * (500 * 1993 + 3000 * 7) + 3000 * 10_100 - 500 * 200


def test_a_limit_that_is_exceeded_again_opens_again():
    meter = home(ConstantLoad((3000.0,)), power_limits=True, max_power=(2500, 0), hold=5, reconnect=60)
    meter.advance(300.0)
    assert logged(meter, 66) == [514, 513] * (len(logged(meter, 66)) // 2) + [514] * (len(logged(meter, 66)) % 2)
    # 5 s to notice, 0.1 s to move, 60 s to wait, 0.1 s to move
    assert [logged(meter, 66).count(one) for one in (514, 513)] == [5, 4]


def test_levels_are_switched_by_the_host_and_logged():
    meter = home(ConstantLoad((2000.0,)), power_limits=True, max_power=(2500, 1500), hold=10)
    meter.advance(100.0)
    assert meter.serve(PartialWrite(2078, 0, b"\x01").encode(), MAK, 100.0).result is ResultCode.OK
    assert logged(meter, 97) == [0]
    meter.advance(101.0)
    assert state(meter, 101.0) == SwitchState.OPEN  # it was above that level for longer than ten seconds already
    meter.serve(PartialWrite(2078, 0, b"\x00").encode(), MAK, 200.0)
    assert logged(meter, 97) == [0, 1]


def test_current_limits_look_at_each_phase():
    load = ConstantLoad((1000.0, 2300.0, 0.0), (0.0, 2300.0, 0.0))
    meter = home(load, power_limits=True, by_current=True, max_current=(14_200, 0), hold=0)
    meter.advance(1.0)  # sqrt(2) * 10 A on L2
    assert state(meter, 1.0) == SwitchState.CLOSED
    meter = home(load, power_limits=True, by_current=True, max_current=(14_100, 0), hold=0)
    assert state(meter, 1.0) == SwitchState.OPEN
    assert table("ET46").decode(meter.table_octets("ET46", 1.0), meter.store.context)["disconnect_control_type"] == 1


def test_average_power_opens_at_the_end_of_a_sub_interval():
    """500 W, then 3000 W for 7 s from 1000 s: the mean of 60 s passes 750 W with (56*500 + 4*3000)/60 at 1004 s or so."""
    meter = home(Steps(), average=(2, 15, 700))
    meter.advance(990.0)
    meter.advance(1003.9)
    assert state(meter, 1003.9) == SwitchState.CLOSED
    # at 1004 s: (26 * 500 + 4 * 3000) / 30 = 833 W; at 1002 s: (28 * 500 + 2 * 3000) / 30 = 667 W
    assert state(meter, 1004.0) == SwitchState.OPENING
    meter.advance(1005.0)
    assert logged(meter, 66) == [514]


def test_the_divisor_rule_of_averaging_times():
    allowed = [seconds for seconds in range(-1, 90_000) if divides(seconds)]
    expected = sorted({s for s in range(1, 61) if 60 % s == 0} | {60 * m for m in range(1, 61) if 60 % m == 0}
                      | {3600 * h for h in range(1, 25) if 24 % h == 0})  # fmt: skip
    assert allowed == expected


def test_contacts_that_do_not_follow_raise_the_alarm_and_go_on_measuring():
    meter = home()
    contactor = meter.find(Contactor)
    contactor.jam(True, 0.0)
    operate(meter, OPEN, 10.0)
    meter.advance(3600.0)
    assert "disconnect_switch_error" in alarms(meter) and logged(meter, 50) == [0]
    assert state(meter, 3600.0) == SwitchState.OPEN and meter.registers.total()[0] == 1000
    contactor.jam(False, 3600.0)
    operate(meter, CLOSE, 3600.0)
    operate(meter, OPEN, 3700.0)
    meter.advance(7200.0)
    assert meter.find(Measuring).flow[0] == 1000 * 3_700_100


def test_voltage_behind_the_open_contactor_is_an_alarm_and_keeps_it_open():
    meter = home()
    contactor = meter.find(Contactor)
    contactor.feed_load_side(True, 1.0)
    assert "load_side_voltage" not in alarms(meter)
    operate(meter, OPEN, 10.0)
    meter.advance(20.0)
    assert "load_side_voltage" in alarms(meter) and logged(meter, 95) == [0]
    assert operate(meter, CLOSE, 60.0) is ProcedureResult.CONFLICTS_WITH_SETUP
    contactor.feed_load_side(False, 70.0)
    assert operate(meter, CLOSE, 80.0) is ProcedureResult.ACCEPTED


@pytest.mark.parametrize(("blocked", "remote", "button", "limit"), [
    ("remote", False, True, True), ("local", True, False, True), ("automatic", True, False, False),
])  # fmt: skip
def test_blocks_of_firmware_4_50(blocked, remote, button, limit):
    def opens(act, load=1000.0, firmware=(4, 50, 0)):
        meter = home(ConstantLoad((load,)), firmware, blocked=frozenset((blocked,)), toggle_button=True, power_limits=True,
                     max_power=(2000, 0))  # fmt: skip
        act(meter)
        meter.advance(60.0)
        values = table("ET89").decode(meter.table_octets("ET89", 60.0), meter.store.context)
        name = {"remote": "block_remote_disconnect", "local": "block_local_disconnect", "automatic": "block_auto_disconnect"}
        assert firmware < (4, 50, 0) or values[name[blocked]]
        return not meter.find(Contactor).switch.closed

    assert opens(lambda meter: operate(meter, OPEN, 5.0)) is remote
    assert opens(lambda meter: meter.find(Contactor).press_button(5.0)) is button
    assert opens(lambda meter: None, 3000.0) is limit
    assert opens(lambda meter: operate(meter, OPEN, 5.0), firmware=(4, 30, 0))


def test_a_contactor_goes_on_after_a_restart_and_an_outage():
    meter = home(Steps(), power_limits=True, max_power=(2500, 0), hold=10, reconnect=300)
    meter.advance(2010.05)
    again = Meter(meter.config, saved=meter.saved())
    again.advance(2100.0)
    assert logged(again, 66) == [514] and state(again, 2100.0) == SwitchState.OPEN
    again.power_down(2150.0)
    again.power_up(2400.0)
    once_more = Meter(meter.config, saved=again.saved())
    once_more.advance(2402.0)
    assert logged(once_more, 66) == [514, 513] and once_more.find(Contactor).switch.closed
    json.loads(once_more.find(Contactor).snapshot()[1:])
    assert once_more.find(Measuring).flow == Meter(meter.config, saved=once_more.saved()).find(Measuring).flow


def test_commands_that_make_no_sense_are_refused():
    meter = home(relays=1)
    assert operate(meter, 9, 1.0) is ProcedureResult.INVALID_PARAMETER
    assert operate(meter, 3, 1.0) is ProcedureResult.INVALID_PARAMETER
    assert operate(meter, 0, 1.0, output=2) is ProcedureResult.CONFLICTS_WITH_SETUP
    assert operate(meter, 0, 1.0, output=9) is ProcedureResult.CONFLICTS_WITH_SETUP
    none = home(contactor=False)
    assert operate(none, OPEN, 1.0) is ProcedureResult.CONFLICTS_WITH_SETUP
    request = FullWrite(7, (2050).to_bytes(2, "little") + b"\x99\x00")
    none.serve(request.encode(), MAK, 2.0)
    assert none.store.octets("BT08")[3] == ProcedureResult.INVALID_PARAMETER
    with pytest.raises(Exception, match="rates"):
        ControlSettings(rates=(1, 2))
