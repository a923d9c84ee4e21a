"""Packets missed at Es/N0 4 dB, and packets found in an hour of every scenario's noise alone.

    python benchmarks/missed_and_false.py [--packets 6000] [--hours 1] [--scenarios S1_quiet,...] [--jobs 2] [--set ...]

Missed: no packet, of good or bad CRC, starts within a bit of it; mark 1e-3 (theory: at 4 dB the header is found with a
probability of more than 0.9999 at one false header an hour). False: packets with a good CRC; mark none. Preambles: packets
with a bad CRC where nothing was sent; mark one an hour.
"""

import argparse
import multiprocessing
import os
import sys

import harness
from harness import RATE, Traffic, verdict
from intervals import interval
from scipy.stats import poisson

from phy import warmup
from phy.channel import scenario, scenario_names

MISSED_MARK = 1e-3
_BLOCK = 1 << 18
_PIECE_S = 300.0  # seconds of noise in one job
NOISY = tuple(name for name in scenario_names() if name[:2] in ("S1", "S2", "S3", "S4", "S5", "S6"))


def missed(packets: int, esn0_db: float, part: int) -> tuple[int, int]:
    """(missed, sent), both carriers in turn."""
    got = harness.run(Traffic(carriers=("primary", "secondary")), packets, harness.seed_of("missed", part), esn0_db=esn0_db)
    return got.missed, got.sent


def listen(name: str, seconds: float, part: int) -> tuple[int, int]:
    """(good packets, bad packets) that a receiver finds in that much of a scenario's noise, both carriers watched."""
    line = scenario(name, RATE, seed=harness.seed_of("listen", name, part))
    receiver = harness.make_receiver("pl20a", RATE)
    good = bad = 0
    left = round(seconds * RATE)
    while left > 0:
        n = min(_BLOCK, left)
        x = line.noise.generate(n)
        if line.converter is not None:
            x = line.converter.process(x)
        packets = receiver.push(x)
        left -= n
        if left == 0:
            packets += receiver.flush()
        good += sum(p.crc_ok for p in packets)
        bad += sum(not p.crc_ok for p in packets)
    return good, bad


def rarely_above(events: int, hours: float, per_hour: float) -> bool:
    """Whether the count does not disprove a rate of at most `per_hour` (95 %, one-sided)."""
    return float(poisson.sf(events - 1, per_hour * hours)) >= 0.05


def main() -> int:
    """Print the figures; exit 1 when a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=6000)
    parser.add_argument("--hours", type=float, default=1.0, help="of each scenario's noise")
    parser.add_argument("--scenarios", default=",".join(NOISY))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--set", type=harness.option, action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    warmup()
    failed = False
    seconds = arguments.hours * 3600
    pieces = [min(_PIECE_S, seconds - first) for first in range(0, int(seconds), int(_PIECE_S))] or [seconds]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, harness.use_options, (dict(arguments.set),)) as pool:
        if arguments.packets:
            jobs = [(min(1000, arguments.packets - first), 4.0, first) for first in range(0, arguments.packets, 1000)]
            lost, sent = (sum(v) for v in zip(*pool.starmap(missed, jobs, 1), strict=True))
            low, high = interval(lost, sent)
            ok = lost <= MISSED_MARK * sent
            failed |= not ok
            text = f"missed at Es/N0 4 dB   {lost} of {sent} = {lost / sent:.1e} [{low:.1e}, {high:.1e}]"
            print(f"{text}   mark {MISSED_MARK:g} {verdict(ok)}", flush=True)
        for name in arguments.scenarios.split(",") if seconds > 0 else ():
            found = pool.starmap(listen, [(name, s, k) for k, s in enumerate(pieces)], 1)
            good, bad = (sum(v) for v in zip(*found, strict=True))
            ok = good == 0 and rarely_above(bad, arguments.hours, 1.0)
            failed |= not ok
            text = f"{name:14} {arguments.hours:g} h of noise: {good} packets, {bad} preambles"
            print(f"{text}   mark none, 1 an hour {verdict(ok)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
