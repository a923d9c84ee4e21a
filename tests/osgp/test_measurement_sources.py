"""Source ids: names, units, and the ids the guides print."""

import pytest

from osgp import TableError, source, sources
from osgp.meter.present import present_sources
from osgp.meter.registers import SUMMATIONS

SUFFIXES = {"Wh": "_wh", "varh": "_varh", "W": "_w", "var": "_var", "VA": "_va", "mA": "_ma", "mV": "_mv", "mHz": "_mhz"}


def test_names_are_unique_and_carry_their_unit():
    names = [one.name for one in sources().values()]
    assert len(names) == len(set(names))
    for one in sources().values():
        bare = one.name[:-3] if one.name[-3:] in ("_t0", "_t1", "_t2", "_t3") else one.name
        if one.unit in SUFFIXES:
            assert bare.endswith(SUFFIXES[one.unit]), one


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "forward_active_wh"), (3, "export_reactive_varh"), (19, "frequency_mhz"), (29, "forward_active_wh_t0"),
        (40, "forward_active_wh_t1"), (72, "error_count_t3"), (107, "reactive_q4_var"), (199, "current_post_l3_ma"),
        (244, "export_reactive_l3_var"),
    ],
)  # fmt: skip
def test_printed_ids(number, name):
    assert source(number).name == name and source(name).id == number


def test_what_the_meter_measures_is_known():
    assert set(SUMMATIONS) | set(present_sources((3, 60))) <= set(sources())
    assert len(present_sources((3, 60))) == 41 == len(set(present_sources((3, 60))))


def test_unpublished_ids_get_a_plain_name_and_unknown_names_are_refused():
    assert source(250).name == "source_250"
    with pytest.raises(TableError):
        source("forward_active_kwh")
