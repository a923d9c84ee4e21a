"""Channel access in virtual time: the state machine, its times, and the backlog estimator."""

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import AccessState, ChannelTiming, LocalProtocolError, Statistics
from mac.access import ChannelAccess
from mac.access_states import TRANSITIONS, AccessEvent, next_state
from mac.backlog import Backlog

NES = ChannelTiming.load("pl20a_nes")
SLOTTED = ChannelTiming.load("pl20a")


class FixedSlot(Random):
    """Draws the same slot each time and notes the windows asked for."""

    def __init__(self, slot):
        super().__init__(0)
        self.slot, self.windows = slot, []

    def randrange(self, stop):
        self.windows.append(stop)
        return min(self.slot, stop - 1)


def access_of(timing=NES, slot=5, **options):
    return ChannelAccess(timing, FixedSlot(slot), Statistics(), **options)


def idle_machine(timing=NES, slot=5, at=10.0, **options):
    """A machine in RANDOM_IDLE that has heard a frame long ago."""
    access = access_of(timing, slot, **options)
    access.on_channel(True, at - 1.0)
    access.on_channel(False, at - 0.5)
    access.on_timer(at)
    assert access.state is AccessState.RANDOM_IDLE
    return access


@pytest.mark.parametrize(("state", "event"), list(product(AccessState, AccessEvent)))
def test_every_state_and_event_is_allowed_or_refused(state, event):
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(LocalProtocolError, match=f"{event.name} while {state.name}"):
            next_state(state, event)


def test_carrier_makes_every_state_busy():
    assert {TRANSITIONS[state, AccessEvent.CARRIER] for state in AccessState} == {AccessState.BUSY}


@pytest.mark.parametrize("slot", [0, 5, 15])
def test_frame_after_a_reception_starts_after_beta1_and_its_slot(slot):
    access = access_of(slot=slot)
    access.on_channel(True, 1.0)
    access.set_ready(True, False, 1.1)
    access.on_channel(False, 1.2)
    starts_at = 1.2 + NES.beta1_post_rx + slot * NES.beta2
    access.on_timer(starts_at - 1e-6)
    assert not access.may_transmit
    access.on_timer(starts_at + 1e-9)
    assert access.may_transmit


def test_average_gap_on_an_idle_line_is_27_ms():
    """beta1 plus 7.5 slots: 6.1 + 7.5 x 2.78 ms."""
    gaps = []
    for seed in range(400):
        access = ChannelAccess(NES, Random(seed), Statistics())
        access.on_channel(True, 1.0)
        access.set_ready(True, False, 1.0)
        access.on_channel(False, 2.0)
        while not access.may_transmit:
            access.on_timer(at := access.next_timer())
        gaps.append(at - 2.0)
    assert 1000 * sum(gaps) / len(gaps) == pytest.approx(27.0, abs=1.5)
    assert min(gaps) == pytest.approx(NES.beta1_post_rx)
    assert max(gaps) == pytest.approx(NES.beta1_post_rx + 15 * NES.beta2)


def test_frame_in_a_quiet_time_draws_from_now_without_beta1():
    access = idle_machine(slot=3)
    access.set_ready(True, False, 20.0)
    assert access.state is AccessState.RANDOM_WAIT
    assert access.next_timer() == pytest.approx(20.0 + 3 * NES.beta2)


def test_frame_ready_during_beta1_takes_part_in_the_draw_at_its_end():
    access = access_of(slot=2)
    access.on_channel(True, 1.0)
    access.on_channel(False, 1.2)
    access.set_ready(True, False, 1.203)
    assert access.state is AccessState.BETA1
    access.on_timer(1.21)
    assert access.next_timer() == pytest.approx(1.2 + NES.beta1_post_rx + 2 * NES.beta2)


def test_late_caller_changes_no_timer():
    """Timers that ran out are worked off at their own instants."""
    late, punctual = access_of(slot=9), access_of(slot=9)
    for access in (late, punctual):
        access.on_channel(True, 1.0)
        access.set_ready(True, False, 1.0)
        access.on_channel(False, 1.2)
    punctual.on_timer(punctual.next_timer())
    while punctual.next_timer() < 1.2 + NES.beta1_post_rx + 1e-9:
        punctual.on_timer(punctual.next_timer())
    late.on_timer(1.2 + NES.beta1_post_rx + 0.9 * NES.beta2)
    assert late.next_timer() == pytest.approx(punctual.next_timer(), abs=1e-12)


def test_carrier_discards_the_draw_and_the_next_one_is_new():
    access = idle_machine(slot=10)
    access.set_ready(True, False, 20.0)
    access.on_channel(True, 20.01)
    assert access.state is AccessState.BUSY
    assert access.next_timer() is None
    access.on_channel(False, 20.2)
    access.on_timer(20.2 + NES.beta1_post_rx + 1e-9)
    assert access.state is AccessState.RANDOM_WAIT
    assert len(access._rng.windows) == 2


def test_carrier_takes_away_a_start_that_was_not_used():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    assert access.may_transmit
    access.on_channel(True, 20.001)
    assert not access.may_transmit


def test_withdrawn_packet_leaves_start_tx_for_idle():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.set_ready(False, False, 20.0)
    assert access.state is AccessState.RANDOM_IDLE


def test_after_own_transmission_beta1_is_longer():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.transmission_started(20.0)
    assert access.state is AccessState.BUSY
    access.transmission_done(0, 20.1)
    assert access.next_timer() == pytest.approx(20.1 + NES.beta1_post_tx)


def test_carrier_of_another_makes_the_last_activity_a_reception():
    """Even when no frame comes of it."""
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.transmission_started(20.0)
    access.transmission_done(0, 20.1)
    access.on_channel(True, 20.2)
    access.on_channel(False, 20.3)
    assert access.next_timer() == pytest.approx(20.3 + NES.beta1_post_rx)


@pytest.mark.parametrize("bad", [None, 0])
def test_reception_makes_the_last_activity_a_reception_even_with_bad_crc(bad):
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.transmission_started(20.0)
    access.on_channel(True, 20.05)  # somebody else is on the line when we end
    access.transmission_done(0, 20.1)
    assert access.state is AccessState.BUSY
    access.on_frame(bad, 20.2)
    access.on_channel(False, 20.2)
    assert access.next_timer() == pytest.approx(20.2 + NES.beta1_post_rx)


def test_priority_area_is_waited_for_after_rx_and_longer_after_tx():
    access = idle_machine(SLOTTED, slot=0)
    access.on_channel(True, 20.0)
    access.set_ready(True, False, 20.0)
    access.on_channel(False, 20.1)
    access.on_timer(start := 20.1 + SLOTTED.beta1_post_rx + SLOTTED.priority_area_post_rx + 1e-9)
    assert access.may_transmit
    access.transmission_started(start)
    access.transmission_done(1, end := start + 0.1)
    access.on_timer(end + SLOTTED.beta1_post_tx + SLOTTED.priority_area_post_tx - 1e-6)
    assert access.state is AccessState.PRIORITY_IDLE
    access.on_timer(end + SLOTTED.beta1_post_tx + SLOTTED.priority_area_post_tx + 1e-9)
    assert access.may_transmit


def test_priority_packet_uses_its_slot_after_a_reception():
    access = access_of(SLOTTED, slot=15, node_priority=3)
    access.on_channel(True, 1.0)
    access.set_ready(True, True, 1.0)
    access.on_channel(False, 1.1)
    access.on_timer(1.1 + SLOTTED.beta1_post_rx + 1e-9)
    assert access.state is AccessState.PRIORITY_WAIT
    assert access.next_timer() == pytest.approx(1.1 + SLOTTED.beta1_post_rx + 2 * SLOTTED.beta2)


@pytest.mark.parametrize(("node_priority", "after_own"), [(0, False), (3, True)])
def test_priority_packet_contends_without_a_slot_or_after_own_transmission(node_priority, after_own):
    access = idle_machine(SLOTTED, slot=0, node_priority=node_priority)
    access.set_ready(True, True, 20.0)
    access.on_timer(20.0)
    if after_own:
        access.transmission_started(20.0)
        access.transmission_done(0, 20.1)
        access.on_timer(20.1 + SLOTTED.beta1_post_tx + 1e-9)
    else:
        access.on_channel(True, 20.0)
        access.on_channel(False, 20.1)
        access.on_timer(20.1 + SLOTTED.beta1_post_rx + 1e-9)
    assert access.state is AccessState.PRIORITY_IDLE


def test_window_of_the_draw_is_sixteen_slots_per_backlog():
    access = idle_machine()
    access.on_frame(9, 20.0)
    access.set_ready(True, False, 20.0)
    assert access._rng.windows == [10 * 16]


def test_backlog_follows_announcements_and_receptions():
    access = idle_machine()
    access.on_channel(True, 20.0)
    for delta, value in ((0, 1), (4, 5), (0, 4), (2, 6), (None, 6), (0, 5)):
        access.on_frame(delta, 20.0)
        assert access.backlog.value == value


def test_backlog_counts_own_frames_too():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    for at, delta, value in ((20.0, 3, 4), (20.1, 0, 3)):
        access.on_timer(at)
        assert access.may_transmit
        access.transmission_started(at)
        access.transmission_done(delta, at + 0.05)
        assert access.backlog.value == value


def test_each_window_waited_lowers_the_backlog():
    access = idle_machine(slot=100)
    access.on_channel(True, 20.0)
    access.on_frame(9, 20.0)
    access.set_ready(True, False, 20.0)
    access.on_channel(False, 20.0)
    draw_at = 20.0 + NES.beta1_post_rx
    for windows in range(1, 7):
        access.on_timer(draw_at + windows * NES.w_base_window - 1e-6)
        assert access.backlog.value == 10 - (windows - 1)
        access.on_timer(draw_at + windows * NES.w_base_window + 1e-9)
        assert access.backlog.value == 10 - windows
    access.on_timer(draw_at + 100 * NES.beta2 + 1e-9)  # 6.25 windows: the slot is reached
    assert access.may_transmit
    assert access.backlog.value == 4


def test_idle_packet_cycles_lower_the_backlog():
    access = idle_machine()
    access.on_channel(True, 20.0)
    access.on_frame(4, 20.1)
    access.on_channel(False, 20.1)
    idle_at = 20.1 + NES.beta1_post_rx
    access.on_timer(idle_at + 1e-9)
    for cycles in (1, 2, 3):
        access.on_timer(idle_at + cycles * NES.packet_cycle - 1e-6)
        assert access.backlog.value == 5 - (cycles - 1)
        access.on_timer(idle_at + cycles * NES.packet_cycle + 1e-6)
        assert access.backlog.value == 5 - cycles


def test_packet_cycle_timer_pauses_while_the_line_is_busy():
    access = idle_machine()
    access.on_channel(True, 20.0)
    access.on_frame(4, 20.0)
    access.on_channel(False, 20.0)
    idle_at = 20.0 + NES.beta1_post_rx
    access.on_timer(idle_at + 0.7 * NES.packet_cycle)
    access.on_channel(True, idle_at + 0.7 * NES.packet_cycle)  # noise that is no good frame
    access.on_frame(None, 30.0)
    access.on_channel(False, 30.0)
    again_at = 30.0 + NES.beta1_post_rx
    access.on_timer(again_at + 0.29 * NES.packet_cycle)
    assert access.backlog.value == 5
    access.on_timer(again_at + 0.31 * NES.packet_cycle)
    assert access.backlog.value == 4


def test_own_transmission_restarts_the_packet_cycle_timer():
    access = idle_machine(slot=0)
    access.on_frame(8, 20.0)
    access.on_timer(20.9)
    value = access.backlog.value
    access.set_ready(True, False, 20.9)
    access.on_timer(20.9)
    access.transmission_started(20.9)
    access.set_ready(False, False, 20.9)
    access.transmission_done(1, 21.0)
    idle_at = 21.0 + NES.beta1_post_tx
    access.on_timer(idle_at + 0.99 * NES.packet_cycle)
    assert access.backlog.value == value + 1
    access.on_timer(idle_at + 1.01 * NES.packet_cycle)
    assert access.backlog.value == value


def test_what_is_left_of_a_packet_cycle_counts_on():
    """However rarely the machine is looked at."""
    often, rarely = idle_machine(), idle_machine()
    for access in (often, rarely):
        access.on_frame(9, 20.0)
    for tenth in range(1, 36):
        often.on_timer(20.0 + 0.1 * tenth * NES.packet_cycle)
    rarely.on_timer(20.0 + 2.5 * NES.packet_cycle)
    rarely.on_timer(20.0 + 3.05 * NES.packet_cycle)
    assert rarely.backlog.value == often.backlog.value == 10 - 3


def test_reception_right_after_own_frame_shortens_beta1():
    """A frame reported during beta1, its carrier not noticed: the last activity is a reception after all."""
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.transmission_started(20.0)
    access.transmission_done(0, 20.1)
    access.on_frame(0, 20.1)
    assert access.next_timer() == pytest.approx(20.1 + NES.beta1_post_rx)


def test_good_reception_restarts_the_packet_cycle_timer():
    access = idle_machine()
    access.on_frame(5, 20.0)
    access.on_timer(20.0 + 0.9 * NES.packet_cycle)
    access.on_frame(0, 20.0 + 0.9 * NES.packet_cycle)
    assert access.backlog.value == 5
    access.on_timer(20.0 + 1.8 * NES.packet_cycle)
    assert access.backlog.value == 5


def test_collision_raises_the_backlog_and_is_counted():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.transmission_started(20.0)
    access.on_collision(20.01)
    assert access.backlog.value == 2
    assert access._statistics.collisions == 1
    assert access.state is AccessState.BETA1


@given(st.lists(st.integers(0, 63), max_size=200))
def test_backlog_stays_between_1_and_63_and_counts_overflows(deltas):
    statistics = Statistics()
    backlog = Backlog(NES.limits, statistics)
    overflows, value = 0, 1
    for delta in deltas:
        backlog.packet_on_line(delta)
        value = value + delta if delta else value - 1
        overflows += value > 63
        value = min(63, max(1, value))
        assert backlog.value == value
    assert statistics.backlog_overflows == overflows


def test_waiting_at_start_tx_lowers_the_backlog_too():
    """Windows count from the draw on, across the slot that was reached."""
    access = idle_machine(slot=8)
    access.on_frame(5, 20.0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0 + 8 * NES.beta2 + 1e-9)
    assert access.may_transmit and access.backlog.value == 6
    for windows in (1, 2, 3):
        access.on_timer(20.0 + windows * NES.w_base_window - 1e-6)
        assert access.backlog.value == 6 - (windows - 1)
        access.on_timer(20.0 + windows * NES.w_base_window + 1e-9)
        assert access.backlog.value == 6 - windows


def test_looking_often_changes_no_rounding():
    """Exactly, not approximately: a simulation that looks rarely must give the same run."""
    often, rarely = idle_machine(), idle_machine()
    for access in (often, rarely):
        access.on_frame(40, 20.0)
    for step in range(1, 1000):
        often.on_timer(20.0 + step * 0.0017)
    for access in (often, rarely):
        access.on_channel(True, 21.9)
    assert often.backlog.value == rarely.backlog.value < 30
    assert often._cycle_left == rarely._cycle_left


def test_refused_frame_starts_the_access_over_as_after_what_was_heard_before():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    backlog = access.backlog.value
    access.transmission_started(20.0)
    access.on_refused(20.001)
    assert access.state is AccessState.BETA1 and not access.transmitting
    assert access.next_timer() == pytest.approx(20.001 + NES.beta1_post_rx)
    assert access.backlog.value == backlog


def test_steps_that_nobody_waits_for_are_no_reason_to_look():
    access = idle_machine()
    access.on_channel(True, 20.0)
    access.on_channel(False, 20.1)
    assert access.next_timer() == pytest.approx(20.1 + NES.beta1_post_rx) and access.next_start_timer() is None
    access.set_ready(True, False, 20.102)
    end_of_area = access.next_start_timer()
    assert end_of_area == pytest.approx(20.1 + NES.beta1_post_rx + NES.priority_area_post_rx)
    access.on_timer(end_of_area)
    assert access.state is AccessState.RANDOM_WAIT and access.next_start_timer() == access.next_timer()


def test_carrier_that_outlasts_our_frame_is_the_last_thing_heard():
    access = idle_machine(slot=0)
    access.set_ready(True, False, 20.0)
    access.on_timer(20.0)
    access.transmission_started(20.0)
    access.on_channel(True, 20.003)
    access.transmission_done(0, 20.1)
    access.on_channel(False, 20.15)
    assert access.next_timer() == pytest.approx(20.15 + NES.beta1_post_rx)
