"""Machines of channel access that are told of the line late, or of any inputs in any order, stay consistent."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mac import AccessState, ChannelTiming, Statistics
from mac.access import ChannelAccess

NES, SLOTTED, RULED = (ChannelTiming.load(name) for name in ("pl20a_nes", "pl20a", "pl20c"))

line_changes = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([-3, -2, -3, -2, -1, 0, 0, 1, 2, 15, 63])), st.floats(0.0, 0.5), st.booleans()
    ),
    max_size=60,
)


@given(line_changes, st.sampled_from([NES, SLOTTED, RULED]), st.booleans(), st.booleans(), st.integers(0, 5))
def test_overhearing_is_exactly_what_one_by_one_would_have_done(changes, timing, sends_first, waits, seed):
    """Every attribute of the machine, floats included, however the changes are cut into pieces."""
    machines = [ChannelAccess(timing, Random(seed), Statistics()) for _ in range(2)]
    now = 0.0
    for access in machines:
        if sends_first:
            access.set_ready(True, False, 0.0)
            while not access.may_transmit:
                access.on_timer(access.next_timer())
            access.transmission_started(0.5)
            access.set_ready(False, False, 0.5)
            access.transmission_done(9, 0.6)
            now = 0.6
        access.set_ready(waits, False, now)
    one_by_one, at_once = machines
    piece = []
    for what, wait, cut in changes:
        now += wait
        if what in (-3, -2):
            one_by_one.on_channel(what == -3, now)
        else:
            one_by_one.on_frame(None if what == -1 else what, now)
        piece.append((what, now))
        if cut:
            at_once.overhear(piece)
            piece = []
            assert _state_of(at_once, now) == _state_of(one_by_one, now)
    at_once.overhear(piece)
    for later in (now, now + 0.01, now + 3.0):
        assert _state_of(at_once, later) == _state_of(one_by_one, later)


def _state_of(access, now):
    access.on_timer(now)
    hidden = ("_rng", "_expire", "_statistics", "backlog", "_rule", "_beta1", "_area")
    plain = {name: value for name, value in vars(access).items() if name not in hidden}
    rule = access._rule and {name: value for name, value in vars(access._rule).items() if name != "_rng"}
    return plain, rule, access.backlog.value, access._statistics.backlog_overflows


inputs = st.one_of(
    st.tuples(st.just("carrier"), st.booleans()),
    st.tuples(st.just("ready"), st.booleans()),
    st.tuples(st.just("frame"), st.sampled_from([None, 0, 1, 15])),
    st.tuples(st.just("take"), st.none()),
    st.tuples(st.just("done"), st.none()),
)


@given(st.lists(st.tuples(st.floats(0.0, 0.2), inputs), max_size=60), st.integers(0, 10))
def test_any_sequence_of_inputs_keeps_the_machine_consistent(sequence, seed):
    access = ChannelAccess(SLOTTED, Random(seed), Statistics(), node_priority=2)
    now, transmitting, carrier = 0.0, False, False
    for wait, (kind, value) in sequence:
        now += wait
        access.on_timer(now)
        if kind == "carrier":
            carrier = value
            access.on_channel(value, now)
        elif kind == "ready":
            access.set_ready(value, value, now)
        elif kind == "frame" and not transmitting:
            access.on_frame(value, now)
        elif kind == "take" and access.may_transmit:
            access.transmission_started(now)
            transmitting = True
        elif kind == "done" and transmitting:
            access.transmission_done(0, now)
            transmitting = False
        assert (access.state is AccessState.BUSY) == (carrier or transmitting)
        assert access.next_timer() is None or access.next_timer() > now
        assert 1 <= access.backlog.value <= 63
