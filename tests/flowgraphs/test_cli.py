"""The command line: exit codes, one-line errors, JSON that is nothing but JSON."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flowgraphs.cli import COMMANDS, run

COMMAND = [sys.executable, "-m", "flowgraphs"]


def osgp_sdr(*arguments, **more):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.fixture
def inside(capsys):
    """The same in this process, where all libraries are there already: exit code and what is printed."""

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    return call


def one_line(result):
    lines = [line for line in result.stderr.splitlines() if not line.startswith("compiling")]
    assert len(lines) == 1 and "Traceback" not in result.stderr, result.stderr
    return lines[0]


@pytest.fixture(scope="module")
def packet(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "packet.sigmf-meta"
    result = osgp_sdr("encode", "01090a8b0c4d6e", "00112233445566", "-o", path, "--carrier", "secondary", "--level", "0.5")
    assert result.returncode == 0, result.stderr
    return path


def test_help_answers_in_half_a_second_without_the_heavy_libraries(quickest):
    script = (
        "import sys, flowgraphs.cli as c; c.run(['--help']);"
        "print(sorted({'numpy', 'numba', 'scipy', 'zmq', 'matplotlib', 'phy'} & set(sys.modules)))"
    )
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    took = time.monotonic() - started
    assert result.stdout.splitlines()[-1] == "[]"
    assert took < (0.5 if os.environ.get("CI") is None else 2.0) or quickest(_help_time, 0.5) < 0.5


def _help_time():
    started = time.monotonic()
    osgp_sdr("--help")
    return time.monotonic() - started


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name):
    result = osgp_sdr(name, "--help")
    assert result.returncode == 0 and f"Example: osgp-sdr {name}" in " ".join(result.stdout.split())


def test_what_encode_writes_decode_finds(packet):
    result = osgp_sdr("decode", "--json", packet)
    assert result.returncode == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [item["lpdu"][:-4] for item in found] == ["01090a8b0c4d6e", "00112233445566"]
    for item in found:
        assert item["crc_ok"] and item["carrier"] == "secondary" and item["file"] == str(packet)
        assert set(item) >= {"start_s", "start_sample", "esn0_db", "clock_ppm", "corrected_bits"}
        assert abs(item["start_s"] - item["start_sample"] / 400_000) < 1e-6


def test_wav_and_raw_decode_like_sigmf(packet, tmp_path, inside):
    wav = tmp_path / "p.wav"
    assert inside("encode", "01090a8b0c4d6e", "-o", wav, "--level", "0.5").returncode == 0
    raw = tmp_path / "p.raw"
    x = np.fromfile(str(packet).replace("-meta", "-data"), "<f4")
    np.round(x * 32000).astype("<i2").tofile(raw)
    for arguments in ([wav], ["--rate", 400000, "--dtype", "int16", raw]):
        result = inside("decode", "--json", *arguments)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout.splitlines()[0])["lpdu"].startswith("01090a8b0c4d6e")


def test_encode_says_which_frames_no_receiver_takes(tmp_path, inside):
    result = inside("encode", "0109", "01090a8b0c4d", "-o", tmp_path / "x.wav")
    assert result.returncode == 0
    assert "'0109': less than 8 octets" in result.stderr and "8b0c4d" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["decode"], "FILE"),
        (["decode", "missing.wav"], "missing.wav"),
        (["decode", "missing.sigmf-meta"], "missing.sigmf-meta"),
        (["decode", "--set", "receiver.nothing=1", "{packet}"], "receiver.nothing"),
        (["decode", "--set", "receiver.threshold=low", "{packet}"], "receiver.threshold"),
        (["decode", "--set", "threshold", "{packet}"], "threshold"),
        (["decode", "--profile", "pl99", "{packet}"], "pl99"),
        (["decode", "--rate", "1000", "--dtype", "int16", "{packet}"], "--rate"),
        (["encode", "xyz", "-o", "{tmp}/x.wav"], "xyz"),
        (["encode", "00", "-o", "{tmp}/x.mp3"], ".mp3"),
        (["encode", "00112233445566", "-o", "{tmp}/x.wav", "--sample-rate", "1000"], "sample_rate"),
        (["encode", "00112233445566", "-o", "{tmp}/x.wav", "--sample-rate", "1e12"], "--sample-rate"),
        (["encode", "00112233445566", "-o", "{tmp}/no/x.wav"], "no/x.wav"),
        (["run", "{tmp}/none.yaml"], "none.yaml"),
        (["station", "demo"], "GRAPH#NAME"),
        (["station", "demo#nobody", "--endpoint", "tcp://127.0.0.1:1"], "nobody"),
        (["station", "demo#meter-1", "--endpoint", "nonsense"], "nonsense"),
        (["frontend", "line", "demo", "--endpoint", "nonsense"], "nonsense"),
        (["frontend", "sun", "demo"], "sun"),
        (["read", "meter-9", "BT01", "--endpoint", "tcp://127.0.0.1:1"], "meter-9"),
        (["read", "meter-1", "XX01", "--endpoint", "tcp://127.0.0.1:1"], "XX01"),
    ],
)
def test_wrong_usage_gives_exit_code_2_and_one_line_that_names_it(arguments, words, packet, tmp_path, inside):
    result = inside(*(a.format(packet=packet, tmp=tmp_path) for a in arguments))
    assert result.returncode == 2
    assert words in one_line(result) and result.stdout == ""


def test_an_unreadable_file_does_not_keep_the_others_from_being_decoded(packet, inside):
    result = inside("decode", "--json", "missing.wav", packet)
    assert result.returncode == 2 and "missing.wav" in one_line(result)
    assert len(result.stdout.splitlines()) == 2


def test_nothing_decoded_is_exit_code_1(tmp_path, inside):
    (0.01 * np.random.default_rng(1).standard_normal(200_000)).astype("<f4").tofile(tmp_path / "n.raw")
    result = inside("decode", "--json", "--rate", 400000, "--dtype", "float32", tmp_path / "n.raw")
    assert result.returncode == 1 and result.stdout == ""


def test_debug_shows_the_traceback_before_and_after_the_command(inside):
    for arguments in (["--debug", "run", "none.yaml"], ["run", "--debug", "none.yaml"]):
        result = inside(*arguments)
        assert result.returncode == 2 and "Traceback" in result.stderr


def test_plots_are_written(packet, tmp_path, inside):
    result = inside("decode", packet, "--plot", tmp_path / "plots")
    assert result.returncode == 0
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["packet-line.png", "packet-packet.png"]


def test_ctrl_c_ends_a_waiting_process_within_a_second_with_130(tmp_path, quickest):
    def interrupted():
        process = subprocess.Popen(
            [*COMMAND, "frontend", "line", "demo", "--endpoint", f"ipc://{tmp_path}/l"], stderr=subprocess.PIPE, text=True
        )
        assert "waits for" in process.stderr.readline()
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        return time.monotonic() - started

    assert quickest(interrupted, 1.0) < 1.0


def test_ctrl_c_ends_decode_with_130_and_whole_lines(tmp_path, quickest):
    with (tmp_path / "long.raw").open("wb") as file:
        file.truncate(4_000_000_000)  # a hole: more than an hour of silence, so that the signal comes in the middle

    def interrupted():
        process = subprocess.Popen(
            [*COMMAND, "decode", "--json", "--rate", "400000", "--dtype", "int16", str(tmp_path / "long.raw")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        output, errors = process.communicate(timeout=20)
        took = time.monotonic() - started
        assert process.returncode == 130 and "Traceback" not in errors and output == ""
        return took

    assert quickest(interrupted, 1.0) < 1.0


INTERRUPTING = """\
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            exec("os.kill(os.getpid(), signal.SIGINT)\\nfor _ in range(10**6): pass")
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["click", "flowgraphs.errors", "flowgraphs.commands.decode", "numpy", "numba", "phy.receiver"])
def test_ctrl_c_while_a_command_is_still_imported_is_130_without_a_traceback(module, tmp_path):
    """In exec() of a text, after which CPython would end by the signal even though the interrupt was caught."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "INTERRUPT_AT": module, "PYTHONPATH": path}
    process = subprocess.run(
        [*COMMAND, "decode", "missing.wav"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 130 and process.stdout == "" and process.stderr.strip() == ""


def test_a_reader_that_has_seen_enough_is_no_failure(monkeypatch):
    """`osgp-sdr ... | head -3` is exit code 0, also where a command flushes its output itself."""

    class Closed(io.StringIO):
        def flush(self):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        def fileno(self):
            return closed

    closed = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr("sys.stdout", Closed())
    assert run(["emission", "--carrier", "secondary"]) == 0
    monkeypatch.undo()
    os.close(closed)


def test_doctor_tells_versions_as_json(inside):
    result = inside("doctor", "--json")
    findings = {item["name"]: item for item in map(json.loads, result.stdout.splitlines())}
    assert findings["osgp-sdr"]["status"] == "ok" and findings["package phy"]["status"] == "ok"
    assert result.returncode == (1 if any(f["status"] == "problem" for f in findings.values()) else 0)
