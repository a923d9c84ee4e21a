"""The JSON form of tables, both ways."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osgp import Context, TableError, table, tables
from osgp.types import CODECS

h = bytes.fromhex
NAMES = [entry.id for entry in tables() if entry.documented and entry.id not in ("ET52", "ET53")]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.binary(min_size=64, max_size=64))
def test_any_table_survives_json(name, device, seed):
    spec = table(name)
    octets = bytearray(seed * (spec.size(device) // 64 + 1))[: spec.size(device)]
    if own := device.octets(name):
        octets[: len(own)] = own
    value = spec.decode(bytes(octets), device)
    document = json.dumps(value.to_json())
    again = spec.decode(spec.from_json(json.loads(document), device), device)
    assert again.to_json() == value.to_json() and again == value


def test_transactions_survive_json(device):
    octets = h("43000001000 8003f080b000000000a 08003f0014000000000a 08003f0015000000000a 08003f08040000370001"
               "08003f080e000000000c 08003f080f000000001f 0100".replace(" ", ""))  # fmt: skip
    value = table("ET52").decode(octets, device, partial=True)
    again = table("ET52").from_json(value.to_json(), device)
    assert again.rstrip(b"\0") == octets.rstrip(b"\0")


@given(st.sampled_from([name for name, codec in CODECS.items() if codec.from_text is not None]), st.data())
def test_dates_and_times_have_texts_that_lead_back(name, data):
    codec = CODECS[name]
    value = codec.decode(data.draw(st.binary(min_size=codec.size, max_size=codec.size)))
    assert codec.from_text(str(value)) == value


@pytest.mark.parametrize("name", [name for name, codec in CODECS.items() if codec.from_text is not None])
@settings(max_examples=40)
@given(text=st.text(alphabet="0129-: /.xmonthdayevrwk\u0663", max_size=25))
def test_other_texts_are_refused(name, text):
    try:
        value = CODECS[name].from_text(text)
    except TableError:
        return
    assert CODECS[name].encode(value) is not None


@pytest.mark.parametrize(
    ("plain", "error"),
    [
        ({"nmber_tiers": 4}, "nmber_tiers"),
        ({"number_tiers": "four"}, "number_tiers"),
        ({"number_tiers": 256}, "number_tiers"),
        ([], "needs an object"),
    ],
)
def test_documents_that_do_not_fit_name_the_field(plain, error):
    with pytest.raises(TableError, match=error):
        table("BT21").from_json(plain)


def test_errors_inside_records_name_the_element(device):
    with pytest.raises(TableError, match=r"BT54\.recurring\[1\]\.date"):
        table("BT54").from_json({"recurring": [{}, {"date": "some day"}]}, device)
    with pytest.raises(TableError, match=r"BT54\.recurring needs a list"):
        table("BT54").from_json({"recurring": 5}, device)
    with pytest.raises(TableError, match="hexadecimal"):
        table("BT24").from_json({"register_data": "xyz"}, device)


def test_reserved_octets_are_told_only_when_they_are_not_zero():
    context = Context(firmware=(3, 60))
    spec = table("ET04")
    octets = bytearray(spec.size(context))
    assert "unused107" not in spec.decode(bytes(octets), context).to_json()
    octets[107] = 5
    plain = spec.decode(bytes(octets), context).to_json()
    assert plain["unused107"] == "0500" and spec.from_json(plain, context) == bytes(octets)
