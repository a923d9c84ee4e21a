"""Every table specification: it parses, it can be laid out, and any octets survive decode and encode."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osgp import Context, TableError, TruncatedTable, table, table_id, table_number, tables
from osgp.fields import FieldSpec, Kind

DOCUMENTED = [entry.id for entry in tables() if entry.documented]
REQUIRED = ["BT00", "BT01", "BT03", "BT21", "BT22", "BT23", "BT27", "BT28", "BT52", "BT55", "ET03", "ET04"]
h = bytes.fromhex


def every_field(fields):
    for field in fields:
        yield field
        yield from every_field(field.fields)
        for _, variant in field.variants:
            yield from every_field(variant)


def test_78_tables_are_specified_and_111_are_known():
    assert len(DOCUMENTED) == 78 and len(tables()) == 111
    assert set(REQUIRED) <= set(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_table_is_found_by_id_and_number_and_names_its_source(name):
    spec = table(name)
    assert table(spec.number) is spec and table_number(name) == spec.number and table_id(spec.number) == name
    assert spec.name and spec.source and spec.grade in "ABCD"
    assert all(isinstance(field, FieldSpec) and field.name for field in every_field(spec.fields))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_expression_of_every_table_evaluates(name, device):
    """With all dimensions known, only tables that describe themselves need their own octets, and those are known here."""
    spec = table(name)
    if name in ("ET52", "ET53"):
        device.put(name, spec.encode({"size": 12, "records": [{"length": 3, "message": b"abc"}]}, device))
    size = spec.size(device)
    assert 0 < size < 5000
    octets = device.octets(name) or bytes(size)
    value = spec.decode(octets, device)
    assert len(spec.encode(value, device)) == len(octets) >= size
    present = {field.name for field in spec.fields} - set(value)
    assert present <= {f.name for f in spec.fields if f.condition is not None or f.since or f.at.count(None) == 1}


@pytest.mark.parametrize("name", sorted(set(DOCUMENTED) - {"ET52", "ET53"}))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_octets_survive_decode_and_encode(name, device, data):
    spec = table(name)
    size = spec.size(device)
    octets = bytearray(data.draw(st.binary(min_size=min(size, 64), max_size=min(size, 64))) * (size // 64 + 1))[:size]
    if own := device.octets(name):  # tables that describe themselves keep their own dimensions
        octets[: len(own)] = own
    value = spec.decode(bytes(octets), device)
    again = spec.decode(spec.encode(value, device), device)
    assert again == value
    json.dumps(value.to_json())


@pytest.mark.parametrize("name", DOCUMENTED)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=600), partial=st.booleans())
def test_noise_raises_only_table_errors(name, device, noise, partial):
    with suppress(TableError):
        table(name).decode(noise, device, partial=partial)
    with suppress(TableError):
        table(name).decode(noise, partial=partial)


@pytest.mark.parametrize("name", sorted(set(DOCUMENTED) - {"ET52", "ET53"}))
def test_fields_do_not_overlap(name, device):
    """Octet fields tile the table; only bit fields share a container, and never a bit."""
    spec = table(name)
    taken = {}
    for path, field in _leaves(spec.fields):
        with suppress(TableError):
            if not field.condition:
                offset, size = spec.field_range(path, device)
                bits = range(field.lo, field.hi + 1) if field.kind is Kind.BITS else range(8 * size)
                for bit in bits:
                    assert (offset * 8 + bit) not in taken, f"{path} and {taken[offset * 8 + bit]} share bit {bit}"
                    taken[offset * 8 + bit] = path
    assert taken


def _leaves(fields, above=""):
    for field in fields:
        if field.kind is Kind.RECORDS:
            yield from _leaves(field.fields, f"{above}{field.name}[0].")
        else:
            yield above + field.name, field


def test_bt03_of_the_published_response_has_thirteen_octets():
    """Published digest vector: BT03 with a maker's status of nine octets."""
    context = Context({"BT00": table("BT00").encode({"manufacturer_status_length": 9})})
    octets = h("0020980031c300080000000000")
    value = table("BT03").decode(octets, context)
    assert table("BT03").size(context) == 13
    # octets 1..2 are 20 98 little endian: bits 5, 11, 12, 15; octet 4 is 31: bits 0, 4, 5; octet 5 is c3: 0, 1, 6, 7; octet 7: 3
    assert {name for name, bit in value.items() if bit is True} == {
        "nv_memory_failure", "power_failure", "cover_removed", "disconnect_switch_error", "load_profile_overflow", "phase_loss",
        "phase_inversion", "invalid_password", "remote_comms_inactive", "code_bank_changed", "load_profile_backfill_failed",
        "power_quality_event",
    }  # fmt: skip
    assert table("BT03").encode(value, context) == octets


def test_short_maker_status_cuts_bt03():
    context = Context({"BT00": table("BT00").encode({"manufacturer_status_length": 4})})
    value = table("BT03").decode(bytes(8), context)
    assert table("BT03").size(context) == 8
    assert "lp1_unread" in set(value) and "control_relay_2_open" not in set(value) and "unbalanced_voltage" not in set(value)


def test_bt52_of_the_guide():
    value = table("BT52").decode(h("0402100f3b37"), partial=True)
    assert str(value["clock"]) == "2004-02-16 15:59:55"
    assert "day_of_week" not in set(value)


def test_bt23_of_the_guide(registers_only):
    """44 octets of the published response: outage seconds 8, outages 3, errors 6."""
    octets = h("0000000000000000000000000000000008000000030000000000000000000000000000000000000006000000")
    value = table("BT23").decode(octets, registers_only, partial=True)
    assert value["summations"] == (0, 0, 0, 0, 8, 3, 0, 0, 0, 0, 6)
    assert table("BT23").field_range("summations", registers_only) == (0, 44)
    assert table("BT23").size(registers_only) == 5 * 44


def test_demand_metering_changes_bt23(device):
    """Block: 5 sums of 4, 2 demands of 5 + 4 + 4 + 4, 3 coincident values of 4 = 66; one octet of demand resets in front."""
    assert table("BT23").size(device) == 1 + 66 * 5
    assert table("BT23").field_range("total[0].demands[1].demand", device) == (1 + 20 + 17 + 13, 4)
    assert table("BT23").field_range("tiers[3].summations[2]", device) == (1 + 66 * 4 + 8, 4)
    assert table("BT26").size(device) == 6 + 2 * (2 + 5 + 1 + 331)


def test_et52_of_the_transaction_example(device):
    """MEP guide, transaction example: six partial reads in one envelope of 67 octets."""
    octets = h(
        "43000001000 8003f080b000000000a 08003f0014000000000a 08003f0015000000000a 08003f08040000370001"
        "08003f080e000000000c 08003f080f000000001f 0100".replace(" ", "")
    )
    value = table("ET52").decode(octets, device, partial=True)
    assert (value["size"], value["type"], value["transaction_number"], value["transaction_number_end"]) == (67, 0, 1, 1)
    assert [record["message"].hex() for record in value["records"]][3] == "3f08040000370001"
    assert len(value["records"]) == 6


def test_offsets_follow_the_generation():
    third, fourth = Context(firmware=(3, 60)), Context(firmware=(4, 30))
    for context, offset in ((third, 57), (fourth, 58)):
        context.put("BT20", table("BT20").encode({"number_tiers": 4}))
        assert table("ET55").field_range("message_text", context)[0] == offset
    # A = 146 (147 on generation 4) + 4 * (tiers - 1)
    assert table("ET55").field_range("energy_register_unit", third)[0] == 146 + 12 + 39
    assert table("ET55").field_range("energy_register_unit", fourth)[0] == 147 + 12 + 39


@pytest.mark.parametrize(("octets", "firmware"), [("3018", (3, 0)), ("3155", (3, 10))])
def test_generation_is_read_from_bt01(octets, firmware):
    """0x3018 is 3.00.24, 0x3155 is 3.10.21: the examples of the guide."""
    assert Context({"BT01": bytes(14) + h(octets) + bytes(8)}).firmware == firmware


@settings(deadline=None)
@given(st.integers(0, 15), st.integers(0, 127), st.integers(0, 31))
def test_packed_firmware_round_trips(major, minor, build):
    from osgp.context import pack_firmware, unpack_firmware

    assert unpack_firmware(*pack_firmware(major, minor, build)) == (major, minor, build)


def test_offset_notation_reads_fields_and_bits(registers_only):
    value = table("BT21").decode(h("03020c0b000001040029"))
    assert value["BT21.3"] == value["3"] == value["number_summations"] == 11
    assert value["BT21.0.0"] is True and value["BT21.0.2"] is False
    assert value.field("BT21.1.1") is True
    assert table("BT21").field_range("BT21.7") == (7, 1)
    assert table("BT21").field_range("0.2") == (0, 1)


def test_offset_notation_works_in_expressions(registers_only):
    from osgp.compiler import Compiler
    from osgp.expression import parse

    scope = Compiler(table("BT23"), registers_only)
    assert parse("BT21.3*4").evaluate(scope) == 44
    assert parse("BT21.0.1+BT21.0.2").evaluate(scope) == 1


def test_short_octets_name_table_field_needed_and_available(registers_only):
    with pytest.raises(TruncatedTable, match=r"BT23\.total\.0\.summations needs 44 octets, got 43"):
        table("BT23").decode(bytes(43), registers_only)
    with pytest.raises(TruncatedTable, match=r"BT01\.manufacturer_serial needs 24 octets, got 20"):
        table("BT01").decode(bytes(20))


def test_unknown_dimension_names_the_table_that_is_needed():
    with pytest.raises(TableError, match="BT23 needs BT21, which is not known"):
        table("BT23").size()
    with pytest.raises(TableError, match="needs BT21"):
        table("BT23").decode(bytes(220))


def test_partial_decode_leaves_out_what_is_not_there():
    value = table("ET03").decode(b"UTILITY-7".ljust(30, b"\0"), partial=True)
    assert value["utility_serial"] == "UTILITY-7" and set(value) == {"utility_serial"}
    with pytest.raises(TableError, match=r"ET03\.image_crc is not in the decoded 30 octets"):
        value.field("image_crc")
    assert value.get("image_crc") is None


@pytest.mark.parametrize("key", ["BT99", "XY", "ET125", 4000, "BT23+1", 70000])
def test_tables_that_nobody_names_are_refused(key):
    with pytest.raises(TableError):
        table(key)


def test_encode_refuses_fields_that_do_not_exist():
    with pytest.raises(TableError, match="nmber_tiers"):
        table("BT21").encode({"nmber_tiers": 4})
    with pytest.raises(TableError, match=r"BT21\.number_tiers: UINT8 must be"):
        table("BT21").encode({"number_tiers": 256})


def test_unsupported_number_format_is_an_error(registers_only):
    registers_only.put("BT00", table("BT00").encode({"ni_format_1": 3}))
    with pytest.raises(TableError, match="number format 3"):
        table("BT23").decode(bytes(220), registers_only)


def test_union_variants_decode():
    value = table("ET16").variant("devices.body", "mbus_fixed", h("10 78563412 05 00 0000 01000000 02000000"))
    assert (value["serial"], value["counter_1"], value["counter_2"]) == ("78563412", 1, 2)
    with pytest.raises(TableError, match="variants"):
        table("ET16").variant("devices.body", "none", b"")


def test_printed_sizes_come_out():
    """Sizes that the guides print: BT54 808, a load profile block of a day with 4 channels 464, ET21 131 per set, BT20 10."""
    context = Context(firmware=(3, 10))
    limits = {"number_non_recurring": 25, "number_recurring": 23, "number_tier_switches": 200, "number_seasons": 12}
    context.put("BT50", table("BT50").encode(limits))
    profile = {"sets": [{"blocks": 1, "intervals": 24, "channels": 4, "interval_time": 60}]}
    context.put("BT61", table("BT61").encode(profile, context))
    sizes = {"BT54": 808, "BT64": 464, "ET21": 131, "BT20": 10, "BT01": 24, "ET03": 143, "BT52": 7, "BT55": 9}
    assert {name: table(name).size(context) for name in sizes} == sizes
