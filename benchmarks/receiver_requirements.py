"""The receiver requirements R1 to R28 as one table: condition, what was measured, what is asked for, met or not.

    python benchmarks/receiver_requirements.py [--only R6,R9] [--scale 0.2] [--jobs 2] [--set option=value ...] [--out FILE]

--scale takes that share of the packets (intervals widen, and a share of a mark's packets may be too few to prove it).
Intervals are of 95 %; a packet error rate passes when the count proves the mark (one-sided, 95 %) and no packet came
wrong with a good CRC; "open": neither proved nor disproved, more packets would tell. Exits 1 unless all lines pass.
"""

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import harness
from requirements.case import Case, Outcome
from requirements.catalogue import cases

from phy import warmup

_WIDTHS = (4, 30, 54, 46, 44)


def _measure(index: int, only: tuple[str, ...], scale: float) -> tuple[int, Outcome, float]:
    case = _selected(only)[index]
    start = time.perf_counter()
    try:
        outcome = case.measure(scale)
    except Exception as error:  # one broken line must not hide the others
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome = Outcome(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})", "runs", False)
    return index, outcome, time.perf_counter() - start


def _selected(only: tuple[str, ...]) -> list[Case]:
    return [case for case in cases() if not only or case.id in only]


def _start(options: dict[str, Any]) -> None:
    harness.use_options(options)


def _line(case: Case, outcome: Outcome) -> str:
    verdict = "open" if outcome.open else {True: "pass", False: "FAIL", None: "-"}[outcome.passed]
    columns = (case.id, case.name, case.condition, outcome.measured, outcome.mark)
    return " | ".join(text.ljust(width) for text, width in zip(columns, _WIDTHS, strict=True)) + " | " + verdict


def main() -> int:
    """Print the table; exit 1 when a line fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="identities, comma between")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--set", type=harness.option, action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--out", type=Path, help="write the table there as well")
    arguments = parser.parse_args()
    only = tuple(part for part in arguments.only.split(",") if part)
    chosen = _selected(only)
    if not chosen:
        parser.error(f"no requirement {arguments.only!r}; there are: {', '.join(dict.fromkeys(case.id for case in cases()))}")
    warmup()
    begin = time.perf_counter()
    outcomes: dict[int, tuple[Outcome, float]] = {}
    options = dict(arguments.set)
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, _start, (options,)) as pool:
        waiting = [pool.apply_async(_measure, (index, only, arguments.scale)) for index in range(len(chosen))]
        for job in waiting:
            index, outcome, seconds = job.get()
            outcomes[index] = (outcome, seconds)
            progress = f"[{len(outcomes)}/{len(chosen)}] {_line(chosen[index], outcome)} | {seconds:.1f} s"
            print(progress, file=sys.stderr, flush=True)
    lines = [_line(chosen[index], outcome) for index, (outcome, _) in sorted(outcomes.items())]
    titles = ("id", "name", "condition", "measured [95 %]", "mark; truth")
    head = " | ".join(text.ljust(width) for text, width in zip(titles, _WIDTHS, strict=True))
    failed = [chosen[index].id for index, (outcome, _) in outcomes.items() if outcome.passed is False]
    judged = sum(outcome.passed is not None for outcome, _ in outcomes.values())
    summary = (
        f"{judged - len(failed)} of {judged} lines pass ({len(lines) - judged} for information), scale {arguments.scale:g}, "
        f"{time.perf_counter() - begin:.0f} s with {arguments.jobs} processes"
        + (f", receiver options {options}" if options else "")
        + (f"; failing: {', '.join(dict.fromkeys(sorted(failed, key=lambda i: int(i[1:]))))}" if failed else "")
    )
    table = "\n".join([head, "-" * len(head), *lines, "", summary])
    print(table)
    if arguments.out:
        arguments.out.write_text(table + "\n", "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
