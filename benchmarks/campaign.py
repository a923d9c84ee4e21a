"""Wall time of a packet error rate curve, whole chain at sample level; and whether a killed campaign resumes exactly.

    python benchmarks/campaign.py [--require 60] [--jobs N]

The curve is `flowgraphs/campaigns/awgn.toml`: 8 points, packets of 20 octets, 100 errors a point. The requirement is 60 s on two
cores. Then a campaign without a waveform is killed (kill -9) three times and resumed, and its units and table are compared with
those of one that ran through.
"""

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from flowgraphs.campaign.workers import cores
from flowgraphs.kernels import ensure_compiled

RESUMED = """
title = "to be killed"
kind = "symbols"
seed = 11
[[axis]]
name = "esn0_db"
start = 3.0
stop = 7.0
step = 0.5
[stop]
errors = 1_000_000
packets = 1_000_000
"""


def sweep(*arguments: str) -> subprocess.Popen[str]:
    """The command as a process."""
    return subprocess.Popen([sys.executable, "-m", "flowgraphs", "sweep", *arguments], text=True, stdout=subprocess.PIPE)


def units(directory: Path) -> list[tuple[int, int, str]]:
    """Every unit that the store of a campaign holds."""
    database = sqlite3.connect(directory / "campaign.sqlite")
    found = database.execute("select point, unit, result from unit order by point, unit").fetchall()
    database.close()
    return found


def curve(folder: Path, jobs: list[str]) -> float:
    """Run the curve, print its table, return its wall time."""
    start, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = sweep("awgn", "-o", str(folder / "awgn"), *jobs)
    print(process.communicate()[0], end="")
    seconds, now = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    table = pq.read_table(folder / "awgn" / "results.parquet").to_pydict()
    line_s, errors = sum(table["line_s"]), min(table["errors"])
    ok = process.returncode == 0 and errors >= 100
    print(f"{sum(table['packets'])} packets, {line_s:.0f} s of line, at least {errors} errors a point")
    print(f"wall time {seconds:.1f} s on {cores()} cores, {line_s / seconds:.0f} times real time over all of them")
    print(f"processor time {processor_s:.1f} s, {line_s / processor_s:.0f} times real time a core (other programs do not count)")
    return seconds if ok else float("inf")


def killed_and_resumed(folder: Path) -> bool:
    """Whether three kills leave no trace in the result."""
    spec = folder / "killed.toml"
    spec.write_text(RESUMED)
    whole, killed = folder / "whole", folder / "killed"
    sweep(str(spec), "-o", str(whole)).communicate()
    before: list[tuple[int, int, str]] = []
    for k in range(3):
        process = sweep(str(spec), "-o", str(killed))
        log = killed / "campaign.sqlite-wal"
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end and not (log.exists() and log.stat().st_size > 60_000):
            time.sleep(0.02)
        process.kill()
        process.communicate()
        done = units(killed)
        lost = set(before) - set(done)
        print(f"kill {k + 1}: {len(done)} units kept, {len(lost)} lost, {len(done) - len(before)} new")
        if lost or len(done) <= len(before):
            return False
        before = done
    sweep(str(spec), "-o", str(killed)).communicate()
    same = pq.read_table(whole / "results.parquet").equals(pq.read_table(killed / "results.parquet"))
    kept = set(before) <= set(units(killed))
    print(f"resumed to the end: table {'the same' if same else 'DIFFERENT'}, earlier units {'kept' if kept else 'LOST'}")
    return same and kept


def main() -> int:
    """Print the figures; exit 1 when the requirement is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--require", type=float, default=60.0, help="seconds for the curve (default 60)")
    parser.add_argument("--jobs", help="processes (default: one for each core)")
    arguments = parser.parse_args()
    ensure_compiled()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = curve(folder, ["--jobs", arguments.jobs] if arguments.jobs else [])
        print(f"required: {arguments.require:g} s\n")
        resumed = killed_and_resumed(folder)
    return 0 if seconds <= arguments.require and resumed else 1


if __name__ == "__main__":
    sys.exit(main())
