"""The expression language of the table specifications."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import ExpressionError
from osgp.expression import parse, references


class Names:
    """A scope over a dict: references as dotted text."""

    def __init__(self, **values):
        self._values = values

    def resolve(self, parts):
        return self._values[".".join(map(str, parts)).replace(".", "_")]

    def size_of(self, table):
        return {"BT23": 220}[table]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("10-3-2", 5),
        ("7/2", 3),
        ("0-7/2", -3),
        ("-7/2", -3),
        ("(BT21.number_demands+7)/8", 2),
        ("BT21.3", 11),
        ("BT21.0.2", 1),
        ("ET36.logs[3].entry_size", 64),
        ("BT61.sets[N].channels/2+1+4*BT61.sets[N].channels", 19),
        ("sizeof(BT23)+6", 226),
        ("popcount(mask)", 3),
        ("choose(N, 5, 6, 7)", 6),
        ("type==3", 1),
        ("type!=3", 0),
        ("3<=type", 1),
        ("2*3>=7", 0),
    ],
)
def test_known_values(text, value):
    scope = Names(
        BT21_number_demands=9, BT21_3=11, BT21_0_2=1, ET36_logs_3_entry_size=64, BT61_sets_1_channels=4, N=1, mask=0b10110, type=3
    )
    assert parse(text).evaluate(scope) == value


@given(a=st.integers(-1000, 1000), b=st.integers(-50, 50).filter(bool))
def test_division_truncates_towards_zero(a, b):
    assert parse("a/b").evaluate(Names(a=a, b=b)) == int(a / b)


MALFORMED = ["", "1+", "(1", "1)", "BT21.", "a..b", "f(1)", "sizeof()", "choose(1)", "a[1", "1 2", "a = 3", "3..4", "$"]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_expressions_are_refused(text):
    with pytest.raises(ExpressionError):
        parse(text)


def test_division_by_zero_and_bad_choice_are_table_errors():
    with pytest.raises(ExpressionError, match="zero"):
        parse("1/a").evaluate(Names(a=0))
    with pytest.raises(ExpressionError, match=r"0\.\.1"):
        parse("choose(2, 5, 6)").evaluate(Names())


def test_references_are_found_everywhere():
    assert references(parse("sizeof(BT23)+A*BT61.sets[N].channels/popcount(x)")) == {"BT23", "A", "BT61", "N", "x"}


@given(st.text(alphabet="AB12.+-*/()[]=<>, ", max_size=20))
def test_noise_raises_only_expression_errors(text):
    with contextlib.suppress(ExpressionError):
        parse(text)
