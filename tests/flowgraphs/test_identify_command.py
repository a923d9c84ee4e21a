"""`osgp-sdr identify`: files in, a profile out; exit codes, JSON, one-line errors."""

import dataclasses
import json

import numpy as np
import pytest

from flowgraphs.cli import run
from phy import Profile, Transmitter, append_crc

RATE = 400_000


def recording(path, truth, packets, seed):
    """Packets in noise at about 20 dB, as int16; the LPDUs."""
    rng = np.random.default_rng(seed)
    parts, sent = [], []
    for k in range(packets):
        sent.append(append_crc(bytes(rng.integers(0, 256, int(rng.integers(6, 20))).astype(np.uint8))))
        transmitter = Transmitter(truth, RATE, level_v=0.3, clock_ppm=float(rng.choice([-180.0, 150.0])))
        parts += [np.zeros(3000), transmitter.modulate(sent[-1], alternate=k % 3 == 0)]
    x = np.concatenate([*parts, np.zeros(6000)])
    x += rng.normal(0, 0.3 * np.sqrt(truth.bit_time * RATE / 400), x.size)
    np.round(x * 10_000).astype("<i2").tofile(path)
    return sent


@pytest.fixture(scope="module")
def truth():
    base = Profile.load("pl20a")
    inversion = np.array([0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1], np.uint8)
    sync = np.array([0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1], np.uint8)
    return dataclasses.replace(base, code=base.code.inverted(inversion), sync=sync)


@pytest.fixture(scope="module")
def files(tmp_path_factory, truth):
    folder = tmp_path_factory.mktemp("identify")
    for k in range(2):
        recording(folder / f"{k}.raw", truth, 14, k)
    return [str(folder / "0.raw"), str(folder / "1.raw")]


def identify(*arguments):
    return run(["identify", "--rate", str(RATE), "--dtype", "int16", *map(str, arguments)])


def test_two_recordings_become_a_profile_that_decodes_a_third(files, truth, tmp_path, capsys):
    out = tmp_path / "line.toml"
    assert identify(*files, "-o", out) == 0
    shown = capsys.readouterr().out
    assert "28 of 28 packets pass" in shown and "decodes 28 of 28" in shown and f"wrote {out}" in shown
    assert "open: confidence" in shown and "4 more packets" in shown
    assert Profile.load(out).end_words == truth.end_words and list(tmp_path.iterdir()) == [out]
    sent = recording(tmp_path / "third.raw", truth, 5, 99)
    arguments = ["decode", "--json", "--profile", out, "--rate", RATE, "--dtype", "int16", tmp_path / "third.raw"]
    assert run(list(map(str, arguments))) == 0
    decoded = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["lpdu"] for item in decoded] == [lpdu.hex() for lpdu in sent]


def test_json_holds_every_value_every_open_question_and_a_summary(files, tmp_path, capsys):
    out = tmp_path / "line.toml"
    assert identify("--json", *files, "-o", out) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    values = {item["key"]: item for item in items if "key" in item}
    assert set(values) == set(Profile.load(out).constants)
    assert all({"value", "confidence", "grade", "source"} <= set(item) for item in values.values())
    assert all(0 <= item["confidence"] < 1 for item in values.values())
    open_ = [item for item in items if "open" in item]
    assert open_ and all({"reason", "more_packets", "more_s"} <= set(item) for item in open_)
    summary = items[-1]
    assert summary["profile"] == str(out) and summary["packets"] == summary["crc_ok"] == 28


def test_noise_gives_no_profile_and_exit_code_1(tmp_path, capsys):
    noise = np.random.default_rng(3).normal(0, 2000, 2 * RATE)
    noise.astype("<i2").tofile(tmp_path / "noise.raw")
    assert identify(tmp_path / "noise.raw", "-o", tmp_path / "line.toml") == 1
    captured = capsys.readouterr()
    assert "no burst of energy" in captured.out and "no profile written" in captured.err
    assert not (tmp_path / "line.toml").exists()


def test_few_packets_give_exit_code_1_and_say_how_much_more_to_record(truth, tmp_path, capsys):
    recording(tmp_path / "few.raw", truth, 4, 5)
    assert identify("--json", tmp_path / "few.raw", "-o", tmp_path / "line.toml") == 1
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(item.get("more_packets") and item["more_s"] > 0.1 for item in items if "open" in item)
    assert items[-1]["profile"] is None and not (tmp_path / "line.toml").exists()


def test_unreadable_input_and_wrong_usage_give_exit_code_2_in_one_line(files, tmp_path, capsys):
    out = tmp_path / "line.toml"
    (tmp_path / "odd.raw").write_bytes(b"123")
    cases = {
        "missing.wav": ["missing.wav", "-o", out],
        "odd.raw": ["--rate", "400000", "--dtype", "int16", tmp_path / "odd.raw", "-o", out],
        ".toml": [*files, "-o", tmp_path / "line.txt"],
        "no such directory": [*files, "-o", tmp_path / "nowhere" / "line.toml"],
        f"{files[0]}: sample_rate": ["--rate", "8000", "--dtype", "int16", files[0], "-o", out],
    }
    for text, arguments in cases.items():
        assert run(["identify", *map(str, arguments)]) == 2
        captured = capsys.readouterr()
        assert text in captured.err and len(captured.err.splitlines()) == 1 and not captured.out
    assert not out.exists()


def test_a_readable_file_beside_an_unreadable_one_is_still_used(files, tmp_path, capsys):
    out = tmp_path / "line.toml"
    assert identify(*files, tmp_path / "missing.raw", "-o", out) == 2
    assert "missing.raw" in capsys.readouterr().err and Profile.load(out).name == "learnt"


def test_a_recording_that_cannot_hold_the_carriers_says_which_rate_would(tmp_path, capsys):
    np.random.default_rng(4).normal(0, 2000, 96_000).astype("<i2").tofile(tmp_path / "slow.raw")
    arguments = ["identify", "--rate", 96_000, "--dtype", "int16", tmp_path / "slow.raw", "-o", tmp_path / "line.toml"]
    assert run(list(map(str, arguments))) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert "slow.raw: sample rate 96000 Hz leaves out carriers of pl20a" in first and "needs more than 179650 Hz" in first
    assert last.startswith("no profile written")
