"""Replay protection: which sequence numbers a meter takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import ConfigurationError
from osgp.security import SequenceWindow, next_number

numbers = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(("number", "taken"), [(100, False), (99, False), (101, True), (108, True), (109, False), (0, False)])
def test_window_of_eight(number, taken):
    window = SequenceWindow(100)
    assert window.accept(number) is taken
    assert window.last == (number if taken else 100)


@given(last=numbers, step=st.integers(1, 8))
def test_numbers_wrap_at_two_to_the_32(last, step):
    assert SequenceWindow(last).accept((last + step) % 2**32)


@given(last=numbers, step=st.integers(9, 2**32))
def test_everything_else_is_refused_and_changes_nothing(last, step):
    window = SequenceWindow(last)
    assert not window.accept((last + step) % 2**32)
    assert window.last == last


@given(last=numbers, steps=st.lists(st.integers(0, 12), max_size=30))
def test_no_number_is_ever_taken_twice(last, steps):
    window, taken, number = SequenceWindow(last), [], last
    for step in steps:
        number = next_number(number, step - 2)
        if window.accept(number):
            taken.append(number)
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize(("last", "window"), [(-1, 8), (2**32, 8), (0, 0), (0, 2**31)])
def test_impossible_settings_are_refused(last, window):
    with pytest.raises(ConfigurationError):
        SequenceWindow(last, window)


@given(last=numbers, step=st.integers(0, 10))
def test_after_a_refusal_s_to_s_plus_8_are_taken_where_the_habit_is_known(last, step):
    """Clients in the field send the number that 0x0C returned, where the guide adds one."""
    window = SequenceWindow(last, resumes=True)
    assert not window.accept(last, b"a")
    assert window.refused() == last
    assert window.accept((last + step) % 2**32, b"b") is (step <= 8)


def test_what_was_taken_under_a_number_is_not_taken_again_under_it():
    window = SequenceWindow(10, resumes=True)
    assert window.accept(11, b"first")
    window.refused()
    assert not window.accept(11, b"first")  # that would be a replay
    assert window.accept(11, b"second") and window.last == 11
    assert not window.accept(11, b"third")  # only once after each refusal
    window.refused()
    assert not window.accept(11, b"first") and not window.accept(11, b"second")
    assert window.accept(12, b"fourth")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.booleans()), max_size=80))
def test_no_request_is_ever_taken_twice(steps):
    """Whatever an attacker replays and the client resumes: a number and a digest together serve once."""
    window, taken = SequenceWindow(5, window=4, resumes=True), []
    for tag, number, refused in steps:
        if window.accept(number, bytes((tag,))):
            taken.append((number, tag))
        elif refused:
            window.refused()
    assert len(taken) == len(set(taken))


def test_new_dimensions_move_the_number_on():
    window = SequenceWindow(2**32 - 5, resumes=True)
    window.skip()
    assert window.last == 20 and not window.accept(2**32 - 4)
