"""Rules of the packages that no tool checks: imports, file length, what the wheel holds."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("phy", "mac", "osgp", "flowgraphs")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_packages_import_themselves_relatively():
    """`phy` and `mac` are also names on PyPI: relative imports keep a later move under one name mechanical."""
    absolute = []
    for path in FILES:
        own, text = path.relative_to(ROOT).parts[0], path.read_text("utf-8")
        if not re.search(rf"\b(from|import)\b.*\b{own}\b", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            absolute += [f"{path.relative_to(ROOT)}:{node.lineno}" for name in names if name.split(".")[0] == own]
    assert absolute == []


def test_files_say_their_purpose_first_and_stay_short():
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in FILES}
    assert len(texts) > 300
    assert [name for name, text in texts.items() if text.count("\n") > 500] == []
    assert [name for name, text in texts.items() if not re.match(r'r?"""\S', text)] == []


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
