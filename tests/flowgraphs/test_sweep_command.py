"""`osgp-sdr sweep` as a user runs it: killed and resumed, interrupted, on a cluster; exit codes, JSON, one-line errors."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flowgraphs.cli import run

SPEC = """
title = "a curve"
kind = "symbols"
seed = 9
[[axis]]
name = "esn0_db"
values = [5, 6, 7]
[stop]
errors = 1_000_000
packets = {packets}
"""


def spec(folder, packets=2000):
    path = folder / "curve.toml"
    path.write_text(SPEC.format(packets=packets))
    return str(path)


def start(*arguments):
    command = [sys.executable, "-m", "flowgraphs", "sweep", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_units(process, directory, octets, seconds=60):
    """Until units have been written: the write-ahead log of the store grows by a page or more for each."""
    log = directory / "campaign.sqlite-wal"
    end = time.monotonic() + seconds
    while not (log.exists() and log.stat().st_size > octets):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)


@pytest.fixture
def without_figures(monkeypatch):
    """The pictures take most of the time of a small campaign, and one test looks at them."""
    monkeypatch.setattr("flowgraphs.campaign.figure.write_figures", lambda *_: [])


def units(directory):
    database = sqlite3.connect(directory / "campaign.sqlite")
    found = database.execute("select point, unit, result from unit order by point, unit").fetchall()
    database.close()
    return found


def test_a_run_that_was_interrupted_and_killed_goes_on_and_gives_the_same(tmp_path, capsys, without_figures):
    """Ctrl-C (exit 130), kill -9, then to the end: no unit lost, none repeated, the same table as without."""
    path = spec(tmp_path, packets=200_000)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = start(path, "-o", str(stopped), "--jobs", "1")
    wait_for_units(process, stopped, octets=22_000)
    at = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - at < 5 and "Traceback" not in stderr
    interrupted = units(stopped)
    process = start(path, "-o", str(stopped), "--jobs", "1")
    wait_for_units(process, stopped, octets=9_000)
    process.kill()
    process.communicate()
    killed = units(stopped)
    assert 0 < len(interrupted) < len(killed) and set(interrupted) <= set(killed)
    assert not (stopped / "results.parquet").exists()
    assert run(["sweep", path, "-o", str(stopped), "--jobs", "1"]) == 0
    assert run(["sweep", path, "-o", str(whole), "--jobs", "1"]) == 0
    assert set(killed) <= set(units(stopped)) and set(units(whole)) <= set(units(stopped))
    assert pq.read_table(stopped / "results.parquet").equals(pq.read_table(whole / "results.parquet"))


BUSY = """
from flowgraphs.campaign.plan import make_plan
from flowgraphs.campaign.spec import parse_campaign
from flowgraphs.campaign.workers import LocalWorkers, Task
if __name__ == "__main__":
    plan = make_plan(parse_campaign(open({path!r}).read()))
    workers = LocalWorkers(1)
    workers.submit(Task(0, 0, plan.setups[0], 1, 400_000_000))
    print("busy", flush=True)
    workers.collect()
"""


def test_no_worker_outlives_a_campaign_that_was_killed(tmp_path):
    """Although it computes a unit of many minutes: its standard output, which it shares, ends."""
    program = tmp_path / "busy.py"
    program.write_text(BUSY.format(path=spec(tmp_path)))
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "busy\n"
    time.sleep(2.0)
    process.kill()
    at = time.monotonic()
    process.communicate(timeout=30)
    assert time.monotonic() - at < 5


def test_json_has_one_object_for_each_point_and_receiver(tmp_path, capsys):
    assert run(["sweep", spec(tmp_path), "-o", str(tmp_path / "dir"), "--jobs", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["coordinates"] for line in lines] == [{"esn0_db": 5}, {"esn0_db": 6}, {"esn0_db": 7}]
    assert [line["packets"] for line in lines] == [2000, 2000, 2000]
    assert all(line["low"] <= line["packet_error_ratio"] <= line["high"] and line["stopped_by"] == "trials" for line in lines)
    assert "esn0_db 5: default 0.1" in err and "wrote" in err
    files = {path.name for path in (tmp_path / "dir").iterdir()}
    assert files == {"campaign.sqlite", "figure.pdf", "figure.svg", "results.parquet"}


def test_wrong_use_is_one_line_and_exit_code_2(tmp_path, capsys, without_figures):
    path = spec(tmp_path)
    bad = tmp_path / "bad.toml"
    bad.write_text('title = "x"\nkind = "symbols"\npackets = 3\n')
    assert run(["sweep", str(bad), "-o", str(tmp_path / "bad")]) == 2
    assert f"{bad}:3: packets: unknown key; expected title, kind" in capsys.readouterr().err
    assert not (tmp_path / "bad").exists()
    assert run(["sweep", path, "-o", str(tmp_path / "dir"), "--jobs", "1"]) == 0
    capsys.readouterr()
    other = tmp_path / "other.toml"
    other.write_text(SPEC.format(packets=99))
    assert run(["sweep", str(other), "-o", str(tmp_path / "dir")]) == 2
    assert "holds the campaign of another specification; choose another directory" in capsys.readouterr().err
    assert run(["sweep", path]) == 2
    assert run(["sweep", path, "-o", str(tmp_path / "new"), "--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"]) == 2
    assert "--jobs" in capsys.readouterr().err


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and a worker, real processes on the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    processes = [subprocess.Popen(command, env=environment, **quiet) for command in (scheduler, worker)]
    yield address
    for process in reversed(processes):  # in good order they would wait for each other
        process.kill()
        process.wait()


def test_a_cluster_gives_the_same_result(tmp_path, capsys, cluster, without_figures):
    pytest.importorskip("distributed")
    path = spec(tmp_path, packets=10_000)
    assert run(["sweep", path, "-o", str(tmp_path / "local"), "--jobs", "1", "--json"]) == 0
    local = capsys.readouterr().out
    end = time.monotonic() + 60
    while True:
        code = run(["sweep", path, "-o", str(tmp_path / "cluster"), "--scheduler", cluster, "--json"])
        out, err = capsys.readouterr()
        if code == 0 or time.monotonic() > end:
            break
        assert code == 2 and ("has no worker yet" in err or "--scheduler" in err), err
    assert code == 0 and out == local


@pytest.mark.parametrize("address", ["", "tcp://there", "tcp://there:0", "tcp://there:99999", "http://there:1"])
def test_an_address_that_is_none_is_told_at_once(tmp_path, capsys, address):
    """Without the traceback that Dask prints after 20 s."""
    assert run(["sweep", spec(tmp_path), "-o", str(tmp_path / "dir"), "--scheduler", address]) == 2
    complaint = f"--scheduler: expected tcp://HOST:PORT with a port of 1..65535, got {address!r}"
    assert capsys.readouterr().err == f"osgp-sdr: {complaint}\n"
    assert not (tmp_path / "dir").exists()


def test_a_cluster_that_is_not_there_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("flowgraphs.campaign.workers._CLUSTER_TIMEOUT_S", 0.5)
    assert run(["sweep", spec(tmp_path), "-o", str(tmp_path / "dir"), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "--scheduler tcp://127.0.0.1:9" in capsys.readouterr().err
