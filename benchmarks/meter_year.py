"""A year of one meter against an independent oracle: registers, profile, self-reads, seasons and events, to the Wh.

    python benchmarks/meter_year.py [seed]

Prints what was compared, how many differences there are (the truth is none) and how long the year took. Limit: 60 s.
"""

from __future__ import annotations

import datetime as dt
import sys
import time

from meter_oracle import expected, meter_of, observed, scenario

LIMIT_S = 60.0


def main(seed: int = 1) -> int:
    case = scenario(seed, dt.datetime(2023, 12, 31, 23, 30), 366, 20)
    meter = meter_of(case)
    began = time.perf_counter()
    meter.advance(case.end_ms / 1000)
    took = time.perf_counter() - began
    truth, seen = expected(case), observed(meter, case.end_ms / 1000)
    truth.self_reads = truth.self_reads[-253:]
    rows = [
        ("registers", 5 * 11, _differences([truth.total, *truth.tiers], [seen.total, *seen.tiers])),
        ("profile intervals", len(truth.profile), _differences(truth.profile, seen.profile)),
        ("self-reads", len(truth.self_reads), _differences(truth.self_reads, seen.self_reads)),
        ("season snapshot", 1, int(bool(truth.season) and truth.season != seen.season)),
        ("events", truth.events.total(), (truth.events - seen.events).total() + (seen.events - truth.events).total()),
    ]
    print(f"seed {seed}: {case.days} days, {len(case.outages)} outages of {truth.outage_s} s, forward {truth.total[0]} Wh")
    for name, count, wrong in rows:
        print(f"  {name:20} {count:6} compared, {wrong} differ (truth: 0)")
    print(f"  the year took {took:.1f} s (limit {LIMIT_S:.0f} s)")
    return int(any(wrong for *_, wrong in rows) or took > LIMIT_S)


def _differences(one, other) -> int:
    if isinstance(one, dict):
        return sum(one.get(key) != other.get(key) for key in one.keys() | other.keys())
    return abs(len(one) - len(other)) + sum(a != b for a, b in zip(one, other, strict=False))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
