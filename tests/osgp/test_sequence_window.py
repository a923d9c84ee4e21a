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
