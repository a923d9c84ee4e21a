"""Speed of the receiver on one core, 400 kS/s real input, both carriers watched: times real time, idle and loaded; memory.

    python benchmarks/receiver_speed.py [--seconds 60] [--memory-hours 1] [--runs 5] [--set option=value ...]

Idle: white noise. Loaded: packets of 20 octets back to back with gaps of 24 bits, Es/N0 20 dB, on the primary. Medians of five
runs after compilation, one thread. Marks: 300 and 200 times real time. Memory: resident size over an hour of loaded stream;
mark: it grows by less than 5 MB after the first minute, and all packets keep coming.
"""

import argparse
import resource
import statistics
import sys
import time
from pathlib import Path

import harness
import numpy as np
from harness import RATE, Samples, Traffic, verdict

from phy import warmup
from phy.channel import WhiteNoise

IDLE_MARK, LOADED_MARK = 300.0, 200.0
_BLOCK = 1 << 18
_GROWTH_MB = 5.0


def idle_line(seconds: float) -> Samples:
    """White noise of 1 mV rms."""
    return WhiteNoise(RATE, rms_v=1e-3, seed=3).generate(round(seconds * RATE))


def loaded_line(seconds: float, gap_bits: float = 24.0) -> tuple[Samples, int]:
    """(a stream without pause between packets but the gap, how many packets it has)."""
    traffic = Traffic(ppm=(-200.0, 200.0), gap_bits=(gap_bits, gap_bits))
    profile = harness.load(traffic.profile)
    count = round(seconds / ((profile.packet_bits(20) + gap_bits + 2) * profile.bit_time))
    x = np.concatenate([x for x, _ in harness.batches(traffic, count, 11)])
    density = np.sqrt(harness.mean_power(traffic) * profile.bit_time / 100)
    return x + WhiteNoise(RATE, density=float(density), seed=4).generate(x.size), count


def times_real_time(x: Samples) -> tuple[float, int]:
    """(times real time, good packets) of one receiver over x."""
    receiver = harness.make_receiver("pl20a", RATE)
    good = 0
    start = time.perf_counter()
    for first in range(0, x.size, _BLOCK):
        good += sum(p.crc_ok for p in receiver.push(x[first : first + _BLOCK]))
    good += sum(p.crc_ok for p in receiver.flush())
    return x.size / RATE / (time.perf_counter() - start), good


def _resident_mb() -> float:
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def memory(x: Samples, packets: int, hours: float) -> bool:
    """The same stream over and over into one receiver; prints the resident size."""
    receiver = harness.make_receiver("pl20a", RATE)
    rounds = max(2, round(hours * 3600 * RATE / x.size))
    good, sizes = 0, []
    for _ in range(rounds):
        for first in range(0, x.size, _BLOCK):
            good += sum(p.crc_ok for p in receiver.push(x[first : first + _BLOCK]))
        sizes.append(_resident_mb())
    growth = max(sizes[1:]) - sizes[0]
    ok = growth < _GROWTH_MB and good >= 0.99 * packets * rounds
    seconds = x.size / RATE
    text = f"memory        {sizes[0]:.1f} MB after {seconds:.0f} s, {sizes[-1]:.1f} MB after {rounds * seconds / 3600:.2f} h"
    print(f"{text}; {good} of {packets * rounds} packets; growth {growth:.1f}, mark {_GROWTH_MB:g} MB {verdict(ok)}")
    return ok


def main() -> int:
    """Print the figures; exit 1 when a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of line in each run")
    parser.add_argument("--memory-hours", type=float, default=1.0, help="0 leaves it out")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--set", type=harness.option, action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    harness.use_options(dict(arguments.set))
    warmup()
    loaded, packets = loaded_line(arguments.seconds)
    lines = (("idle", idle_line(arguments.seconds), 0, IDLE_MARK), ("loaded", loaded, packets, LOADED_MARK))
    ok = True
    for name, x, expected, mark in lines:
        results = [times_real_time(x) for _ in range(arguments.runs)]
        factors = [factor for factor, _ in results]
        median, good = statistics.median(factors), min(g for _, g in results)
        passed = median >= mark and good >= 0.99 * expected
        ok &= passed
        spread = ", ".join(f"{f:.0f}" for f in factors)
        print(
            f"{name:8} line  {median:.0f} x real time = {median * RATE / 1e6:.0f} MS/s (runs {spread}), "
            f"{good} of {expected} packets; mark {mark:g} x {verdict(passed)}",
            flush=True,
        )
    if arguments.memory_hours > 0:
        ok &= memory(loaded, packets, arguments.memory_hours)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
