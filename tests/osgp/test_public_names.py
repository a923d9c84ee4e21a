"""The package loads its parts when they are used: every public name is there, and importing costs little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import osgp

SOURCE = Path(osgp.__file__).read_text()


def imported():
    """Names that the file imports for the type checker or at once."""
    return {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }  # fmt: skip


@pytest.mark.parametrize("name", osgp.__all__)
def test_every_public_name_is_there(name):
    assert getattr(osgp, name) is not None and name in dir(osgp)


def test_type_checker_and_run_time_know_the_same_names():
    assert imported() == set(osgp.__all__) == set(osgp._MODULES)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="furnace"):
        osgp.furnace  # noqa: B018


@pytest.mark.parametrize("first", ["Meter", "Concentrator", "TableStore", "table", "place", "sources"])
def test_functions_stay_functions_whatever_is_loaded_first(first):
    script = f"import osgp; osgp.{first}; import osgp.table, osgp.place, osgp.sources; osgp.table('BT23'); osgp.source(0)"
    subprocess.run([sys.executable, "-c", script + "; assert callable(osgp.place) and callable(osgp.sources)"], check=True)


def test_importing_loads_neither_meter_nor_concentrator_nor_cryptography():
    script = "import sys, osgp; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    heavy = ("osgp.table", "osgp.meter", "osgp.concentrator", "osgp.security", "cryptography", "numpy")
    assert not [name for name in result.stdout.split() if name.startswith(heavy)]
