"""`osgp-sdr emission`: verdict as exit code, JSON, a picture, one-line errors."""

import json

import pytest

from flowgraphs.cli import run


def test_default_profile_holds_and_a_picture_is_written(tmp_path, capsys):
    picture = tmp_path / "spectrum.pdf"
    assert run(["emission", "--carrier", "primary", "--plot", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "6.1 kHz at -20 dB" in shown and "limit  134.0  value  127.9 dBuV  margin   +6.1 dB  holds" in shown
    assert shown.endswith(f"wrote {picture}\n") and picture.read_bytes().startswith(b"%PDF")


def test_a_broken_limit_is_exit_code_1_and_json_says_which(capsys):
    assert run(["emission", "--profile", "pl20c", "--json"]) == 1
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    summaries = [item for item in items if "profile" in item]
    assert [item["carrier"] for item in summaries] == ["primary", "secondary"] and not summaries[0]["passed"]
    broken = {item["limit"] for item in items if item.get("decisive") and not item["passed"]}
    assert "whole signal, class122" in broken
    for item in items:
        if "limit" in item:
            assert item["margin_db"] == pytest.approx(item["limit_dbuv"] - item["value_dbuv"], abs=0.011)


def test_level_and_equipment_change_the_verdict(capsys):
    quiet = ["emission", "--profile", "pl20c", "--carrier", "secondary", "--level-dbuv", "121.9"]
    assert run(quiet) == 0
    assert run([*quiet, "--equipment", "general"]) == 1
    assert run(["emission", "--carrier", "secondary", "--detector", "cispr"]) == 1
    assert "BROKEN" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--profile", "pl99"], "no profile 'pl99'"),
        (["--level-dbuv", "500"], "level_dbuv must be in -200..200 dBuV, got 500"),
        (["--plot", "spectrum.doc"], "a picture's name ends in .pdf, .png, .svg, got 'spectrum.doc'"),
        (["--plot", "nowhere/spectrum.pdf"], "nowhere: no such directory"),
        (["--carrier", "third"], "'third' is not one of"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments, said, capsys):
    assert run(["emission", *arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and shown.out == ""
