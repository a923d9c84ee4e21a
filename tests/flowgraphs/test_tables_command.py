"""`osgp-sdr tables`: lists, explanations, decoded octets, JSON both ways, errors in one line."""

import json

import pytest

from flowgraphs.cli import run


@pytest.fixture
def tables(capsys):
    def call(*arguments):
        capsys.readouterr()
        code = run(["tables", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return call


def test_the_list_has_every_table_and_procedure(tables):
    code, lines, _ = tables()
    assert code == 0 and sum(line[:2] in ("BT", "ET") for line in lines) == 111
    assert any(line.startswith("EP17   2065  0x0811   procedure: remove MEP device") for line in lines)
    _, lines, _ = tables("--json")
    rows = [json.loads(line) for line in lines]
    assert sum(row["fields"] for row in rows if "table" in row) == 78


def test_a_table_is_explained_with_places_types_and_rights(tables):
    code, lines, _ = tables("BT52")
    assert code == 0 and lines[0] == "BT52 UTC Clock: System clock"
    assert "  read  mep: MBK MAK, optical: MK PK RK" in lines and "  write nobody" in lines
    assert any(line.split()[:3] == ["BT52.0", "clock", "LTIME_DATE"] for line in lines)
    assert any(line.split()[:3] == ["BT52.6.0..2", "day_of_week", "UINT(0..2)"] for line in lines)
    for name in ("bt52", "52", "0x34", "ST52"):
        assert tables(name)[1] == lines


@pytest.mark.parametrize(("firmware", "place"), [("3.60", "ET55.57"), ("4.30", "ET55.58")])
def test_places_follow_the_firmware(tables, firmware, place):
    _, lines, _ = tables("ET55", "--firmware", firmware)
    assert any(line.split()[:2] == [place, "message_text"] for line in lines)


def test_octets_are_read(tables):
    """BT52 of appendix A of the MEP guide, short of its last octet; BT23 of its first example."""
    code, lines, _ = tables("BT52", "0402100f3b37")
    assert code == 0 and lines[0].split(maxsplit=2) == ["BT52.0", "clock", '"2004-02-16 15:59:55"']
    assert lines[1].endswith("(not in the octets)")
    octets = "00000000" * 4 + "08000000" + "03000000" + "00000000" * 4 + "06000000"
    bt21 = "03000c0b000001040029"
    _, lines, _ = tables("BT23", octets, "--given", f"BT21={bt21}", "--json")
    assert json.loads(lines[0])["values"]["total"][0]["summations"] == [0, 0, 0, 0, 8, 3, 0, 0, 0, 0, 6]
    _, lines, _ = tables("BT23.summations[4]", octets, "--given", f"BT21={bt21}")
    assert lines[0].startswith("BT23.summations[4] = 8: offset 16, 4 octets")
    _, lines, _ = tables("BT23", "08000000", "--offset", 16, "--given", f"BT21={bt21}", "--json")
    assert json.loads(lines[0])["table"] == "BT23"


def test_fields_bits_and_procedures(tables):
    assert tables("BT21.0.2")[1][0].startswith("BT21.0.2: offset 0, 1 octet, bit 2, BOOL(2)")
    assert tables("BT21.3", "03000c0b000001040029")[1][0].startswith("BT21.3 = 11: offset 3")
    _, lines, _ = tables("EP17")
    assert "  number 2065 (0x0811) in BT07" in lines and any("handle" in line for line in lines)
    _, lines, _ = tables("EP17", "11080700f803", "--json")
    assert json.loads(lines[0])["values"] == {"sequence_number": 7, "action": 0, "handle": 1016}


def test_json_becomes_octets_again(tables):
    _, lines, _ = tables("BT52", "0402100f3b3719", "--json")
    values = json.loads(lines[0])["values"]
    assert tables("BT52", "--encode", json.dumps(values))[1] == ["0402100f3b3719"]


def test_words_are_looked_for(tables):
    code, lines, _ = tables("contactor")
    assert code == 0 and any(line.startswith("ET23.disconnect_state") for line in lines)
    assert tables("zzyzx")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BT99"], "BT99"),
        (["EP99"], "EP99"),
        (["BT21.nmber_tiers"], "did you mean 'number_tiers'"),
        (["BT52", "xyz"], "OCTETS"),
        (["BT52", "--firmware", "new"], "--firmware"),
        (["BT23", "--given", "BT21"], "--given"),
        (["BT23", "--given", "BT21=0g"], "--given BT21"),
        (["BT52", "--encode", "{"], "--encode"),
        (["BT52", "--encode", '{"clok": 1}'], "clok"),
        (["EP17", "0000"], "OCTETS"),
        (["BT52.0", "04", "--offset", "3"], "not in the octets"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(tables, arguments, words):
    code, lines, error = tables(*arguments)
    assert code == 2 and not lines and words in error and error.count("\n") == 1
