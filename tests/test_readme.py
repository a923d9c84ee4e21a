"""Every Python block of the README runs and prints what the README says; every command in it exists."""

import contextlib
import io
import re
from pathlib import Path

import click
import pytest

from flowgraphs.cli import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.S)


def test_every_python_block_has_its_output_beside_it():
    assert len(BLOCKS) == README.count("```python") >= 3


@pytest.mark.parametrize("code, printed", BLOCKS, ids=range(len(BLOCKS)))
def test_block_prints_what_the_page_says(code, printed, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue() == printed


def test_every_command_of_the_page_is_one_of_ours():
    named = set(re.findall(r"osgp-sdr ([a-z][a-z-]*)", README))
    assert named and named <= set(cli.list_commands(click.Context(cli)))


def test_the_example_graph_of_the_page_exists():
    for path in re.findall(r"flowgraphs/graphs/\w+\.yaml", README):
        assert (ROOT / path).is_file()
