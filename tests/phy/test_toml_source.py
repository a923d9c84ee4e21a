"""Lines of TOML keys: worked out by hand, and against texts whose values are their own lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phy.toml_source import TomlSource, dotted

TEXT = '''# comment with [brackets] and = signs
title = "a # b = c [d]"
"quoted key" = 1
a.b.c = 2   # dotted

[table]
x = [
    1,
    # in between
    { y = 2, z = """
five
""" },
]
w = \'\'\'
[not] = a table
\'\'\'
[[list]]
name = "first"
[list.sub]
deep = true
[[list]]
name = 'second'
[table.more]
q = "\\"]"
when = 1979-05-27T07:32:00Z
'''

LINES = {
    ("title",): 2,
    ("quoted key",): 3,
    ("a", "b", "c"): 4,
    ("table",): 6,
    ("table", "x"): 7,
    ("table", "x", 0): 8,
    ("table", "x", 1): 10,
    ("table", "x", 1, "y"): 10,
    ("table", "x", 1, "z"): 10,
    ("table", "w"): 14,
    ("list", 0): 17,
    ("list", 0, "name"): 18,
    ("list", 0, "sub", "deep"): 20,
    ("list", 1): 21,
    ("list", 1, "name"): 22,
    ("table", "more"): 23,
    ("table", "more", "q"): 24,
    ("table", "more", "when"): 25,
}


@pytest.mark.parametrize("path, line", LINES.items(), ids=str)
def test_line_of_every_key(path, line):
    assert TomlSource("x.toml", TEXT).line(path) == line


def test_a_key_that_is_not_there_stands_at_its_nearest_parent():
    source = TomlSource("x.toml", TEXT)
    assert source.at(("list", 1, "missing", 3), "gone") == "x.toml:21: gone"
    assert source.at(("nowhere",), "gone") == "x.toml:1: gone"
    assert dotted(("axis", 0, "name")) == "axis[0].name"


VALUES = ['"s"', "'#'", "1", "-2.5e3", "true", "[1, 2]", "{ a = 1, b = [2] }", '"""\n]\n"""', "[\n1, # ]\n]", "''"]
scalar = st.sampled_from(VALUES)
entry = st.tuples(st.integers(0, 3), scalar)


@given(st.lists(st.one_of(entry, st.just(None)), max_size=12))
def test_keys_of_generated_texts(entries):
    """Every key tells the line at which it was written, whatever the values before it look like."""
    text, expected, table = "", {}, ()
    for number, item in enumerate(entries):
        if item is None:
            table = (f"t{number}",)
            expected[table] = text.count("\n") + 1
            text += f"[t{number}]\n"
            continue
        blank, value = item
        text += "\n" * blank
        expected[(*table, f"k{number}")] = text.count("\n") + 1
        text += f"k{number} = {value}  # = [\n"
    source = TomlSource("x.toml", text)
    assert {path: source.line(path) for path in expected} == expected


@pytest.mark.parametrize(
    "text, line",
    [("a = 1\nb = = 2\n", 2), ("a = 1\na = 2\n", 2), ("[x]\ny = [1,\n\n", 2), ('a = "\n', 1)],
)
def test_broken_texts_tell_their_line(text, line):
    with pytest.raises(ValueError, match=rf"^x\.toml:{line}: "):
        TomlSource("x.toml", text)
