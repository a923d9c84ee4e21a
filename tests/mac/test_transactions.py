"""Own transactions: numbers, the state table, tries and what is in their frames."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    Broadcast,
    ConfigurationError,
    DomainId,
    Group,
    LocalProtocolError,
    Service,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    receive_time,
    transmit_time,
)
from mac.timers import UNIQUE_ID_RECEIVE_TIME
from mac.transaction import (
    TRANSITIONS,
    OutgoingMessage,
    Transaction,
    TransactionEvent,
    TransactionNumbers,
    TransactionState,
    next_state,
)


@pytest.mark.parametrize(("state", "event"), list(product(TransactionState, TransactionEvent)))
def test_every_state_and_event_is_allowed_or_refused(state, event):
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(LocalProtocolError, match=f"{event.name} while {state.name}"):
            next_state(state, event)


def test_nothing_leaves_the_state_done():
    assert not [pair for pair in TRANSITIONS if pair[0] is TransactionState.DONE]


def test_zero_is_used_once_after_reset():
    numbers = TransactionNumbers(10)
    assert [numbers.allocate(f"to {n}", float(n) * 10) for n in range(18)] == [0, *range(1, 16), 1, 2]
    numbers.reset()
    assert numbers.allocate("anyone", 1000.0) == 0


def test_number_last_used_for_a_destination_is_skipped_for_24_seconds():
    numbers = TransactionNumbers(100)
    assert numbers.allocate("far", 0.0) == 0
    assert numbers.allocate("a", 0.0) == 1
    for n in range(2, 16):
        assert numbers.allocate("far", 0.0) == n
    assert numbers.allocate("a", 1.0) == 2  # 1 would come now, but was the last one for a
    for _ in range(3, 16):
        numbers.allocate("far", 1.0)
    assert numbers.allocate("far", 1.0) == 1
    assert numbers.allocate("a", 26.0) == 2  # forgotten by now


def test_full_table_of_young_destinations_makes_a_new_one_wait():
    numbers = TransactionNumbers(3)
    for n in range(3):
        assert numbers.allocate(n, 1.0 + n) == n
    assert numbers.allocate("new", 5.0) is None
    assert numbers.free_at() == pytest.approx(25.0)
    assert numbers.allocate(1, 5.0) == 3  # a known one need not wait
    assert numbers.allocate("new", 25.0) == 4


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 5)), max_size=80))
def test_two_messages_in_a_row_to_one_destination_never_share_a_number(steps):
    numbers, last, now = TransactionNumbers(10), {}, 0.0
    for destination, wait in steps:
        now += wait
        number = numbers.allocate(destination, now)
        assert 0 <= number <= 15
        if destination in last and now - last[destination][1] < 24.0:
            assert number != last[destination][0]
        last[destination] = number, now


def transaction_to(destination, service=Service.REQUEST, retries=3, **options):
    fields = {"alternate": None, "backlog": 0, "group_size": 0, "max_responses": 1, **options}
    message = OutgoingMessage(
        handle=1,
        service=service,
        destination=destination,
        domain=DomainId(b"Q"),
        domain_index=0,
        source=SubnetNode(1, 1),
        apdu=b"\x05\xe2",
        priority=False,
        auth=False,
        retries=retries,
        interval=0.1,
        **fields,
    )
    return Transaction(message, number=5)


@pytest.mark.parametrize(
    ("retries", "paths"),
    [(0, [1]), (1, [1, 1]), (2, [0, 1, 1]), (3, [0, 0, 1, 1]), (5, [0, 0, 0, 0, 1, 1])],
)
@pytest.mark.parametrize("service", [Service.REQUEST, Service.ACKNOWLEDGED])
def test_last_two_tries_take_the_alternate_path(service, retries, paths):
    transaction = transaction_to(SubnetNode(1, 2), service, retries)
    assert [transaction.takes_alternate_path(i, False) for i in range(retries + 1)] == [bool(p) for p in paths]


def test_repeated_copies_alternate_only_when_asked():
    transaction = transaction_to(SubnetNode(1, 2), Service.REPEATED)
    assert [transaction.takes_alternate_path(i, False) for i in range(4)] == [False] * 4
    assert [transaction.takes_alternate_path(i, True) for i in range(4)] == [False, True, False, True]


@pytest.mark.parametrize("alternate", [True, False])
def test_path_given_by_the_caller_holds_for_all_tries(alternate):
    transaction = transaction_to(SubnetNode(1, 2), alternate=alternate)
    assert {transaction.takes_alternate_path(i, True) for i in range(4)} == {alternate}


@pytest.mark.parametrize(
    ("destination", "options", "deltas"),
    [
        (SubnetNode(1, 2), {}, [1, 1, 1, 1]),
        (Broadcast(), {}, [15] * 4),
        (Broadcast(35), {"backlog": 5}, [5] * 4),
        (Group(7), {"group_size": 4}, [3] * 4),
        (SubnetNode(1, 2), {"service": Service.REPEATED}, [3, 0, 0, 0]),
    ],
)
def test_delta_backlog_of_tries(destination, options, deltas):
    transaction = transaction_to(destination, **options)
    assert [transaction.frames_of_try(i)[-1][1] for i in range(4)] == deltas


def test_group_retry_reminds_with_a_list_of_members():
    transaction = transaction_to(Group(7), Service.ACKNOWLEDGED, group_size=4)
    assert transaction.frames_of_try(0) == [(Tpdu(TpduType.ACKD, 5, apdu=b"\x05\xe2"), 3)]
    assert transaction.frames_of_try(1) == [(Tpdu(TpduType.REM_MSG, 5, apdu=b"\x05\xe2"), 3)]
    transaction.members, transaction.answers = {2}, 1
    assert transaction.frames_of_try(2) == [(Tpdu(TpduType.REM_MSG, 5, apdu=b"\x05\xe2", m_list=b"\x04"), 2)]


def test_group_retry_beyond_member_15_is_a_reminder_and_the_plain_message():
    """Seen live: size 30, member 20 answered."""
    transaction = transaction_to(Group(7), group_size=30)
    transaction.members, transaction.answers = {20}, 1
    (reminder, nothing), (plain, outstanding) = transaction.frames_of_try(1)
    assert reminder == Spdu(SpduType.REMINDER, 5, m_list=bytes.fromhex("000010"))
    assert plain == Spdu(SpduType.REQUEST, 5, apdu=b"\x05\xe2")
    assert (nothing, outstanding) == (0, 28)


TIMERS = {
    name: [int(ms) / 1000 for ms in values.split()]
    for line in (Path(__file__).parents[1] / "vectors" / "mac" / "timers.txt").read_text().splitlines()
    if not line.startswith("#")
    for name, values in [line.split("; ")]
}


def test_timers_are_those_of_the_tables():
    assert [transmit_time(code) for code in range(16)] == TIMERS["transmit"] == TIMERS["repeat"]
    assert [receive_time(code) for code in range(16)] == TIMERS["receive"]
    assert [transmit_time(16 + code) for code in range(5)] == TIMERS["long transmit"]
    assert TIMERS["unique id receive"] == [UNIQUE_ID_RECEIVE_TIME]
    for outside in (-1, 32):
        with pytest.raises(ConfigurationError, match="timer code"):
            transmit_time(outside)
    with pytest.raises(ConfigurationError, match="timer code"):
        receive_time(16)


def test_enhanced_numbers_have_their_own_counter_up_to_4095():
    numbers = TransactionNumbers(10)
    assert [numbers.allocate("a", 0.0, 4095) for _ in range(4098)] == [*range(4096), 1, 2]
    assert [numbers.allocate("a", 0.0) for _ in range(3)] == [0, 1, 2]
    assert numbers.allocate("b", 0.0, 4095) == 3


def test_the_number_last_used_is_skipped_whatever_the_mode():
    numbers = TransactionNumbers(10)
    assert numbers.allocate("a", 0.0) == 0
    assert numbers.allocate("a", 0.0, 4095) == 1
    assert numbers.allocate("a", 0.0) == 2
