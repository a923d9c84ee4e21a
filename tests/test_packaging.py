"""Rules of the packages that no tool checks: imports, file length, what the wheel holds."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("phy", "mac", "osgp", "flowgraphs")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def parsed(path):
    return ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_package_imports_itself_relatively(path):
    """`phy` and `mac` are also names on PyPI: relative imports keep a later move under one name mechanical."""
    own = path.relative_to(ROOT).parts[0]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] != own, f"line {node.lineno}"
        if isinstance(node, ast.Import):
            assert own not in [alias.name.split(".")[0] for alias in node.names], f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_says_its_purpose_first_and_stays_short(path):
    text = path.read_text("utf-8")
    assert ast.get_docstring(parsed(path)), "no module docstring"
    assert text.count("\n") <= 500


def test_kernel_files_import_no_other_kernel_file():
    """Numba does not see an edit in another file and would run a stale cache."""
    for path in (ROOT / "phy" / "_kernels").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module in ("numba", "numpy"), f"{path.name} line {node.lineno}"


def test_the_wheel_holds_the_four_packages_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file()
