"""What a simulated meter costs: importing the package, reading each table, and the memory of many meters.

    python benchmarks/meter_speed.py --meters 1000

Marks of the project: import below 100 ms, a table read below 100 us, 1000 meters below 1 GiB. Times are processor times, the best
of several, so that other work on the machine counts little.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Final

from fuzz_chunks import rss_mib

import osgp
from osgp import AccessLevel, FullRead, Meter, MeterConfig, MeteringSettings, PartialRead, Port, Session
from osgp.meter.settings import DemandSettings
from osgp.services import MAX_COUNT

IMPORT_MS: Final = 100.0
READ_US: Final = 100.0
FLEET_MIB: Final = 1024.0
MAK: Final = Session(AccessLevel.MAK, Port.MEP1)
MESSAGE: Final = 84  # octets asked for by one message of the power line
# The default meter, and one of the fourth generation with what tables grow by: demand, more tariffs, three phases.
METERS: Final = {
    "default": MeterConfig(),
    "fourth generation": MeterConfig(
        firmware=(4, 50, 0), phases=3, pv_peak=3000.0, seed=2,
        metering=MeteringSettings(tiers=8, demand=DemandSettings((8, 9), ((8, 0),), multiplier=3)),
    ),
}  # fmt: skip
_SCRIPT: Final = """
import time
start = time.process_time()
import osgp
a = time.process_time()
osgp.table("BT23")
b = time.process_time()
osgp.Meter
print(*((instant - start) * 1e3 for instant in (a, b, time.process_time())))
"""


@dataclass(frozen=True)
class ReadTime:
    """us of processor time for one read of a table."""

    table: str
    octets: int
    us: float


def import_ms(tries: int = 7) -> tuple[float, ...]:
    """Processor ms until the package is imported, a table specification is there, the meter is loaded: best of several."""
    runs = []
    for _ in range(tries):
        result = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
        runs.append([float(text) for text in result.stdout.split()])
    return tuple(map(min, zip(*runs, strict=True)))


def loop_ns() -> float:
    """ns of one pass of an empty counting loop: how fast this machine is just now."""
    best = float("inf")
    for _ in range(5):
        start, x = time.process_time(), 0
        for i in range(200_000):
            x += i
        best = min(best, (time.process_time() - start) / 200_000 * 1e9)
    return best


def read_times(meter: Meter, rounds: int = 100) -> list[ReadTime]:
    """Every table of a meter, whole and in a message of the power line: the slower of the two counts.

    A table is read again and again, a second after the read before, so that what ages is worked out anew; that second is not
    counted. The mean of the faster half of the rounds.
    """
    slowest: dict[str, ReadTime] = {}
    clock = time.thread_time
    for name in sorted(meter.store.known(), key=osgp.table_number):
        length, number = meter.store.length(name), osgp.table_number(name)
        requests = [(length, FullRead(number).encode())] if length <= MAX_COUNT else []
        if length > MESSAGE:
            requests.append((MESSAGE, PartialRead(number, 0, MESSAGE).encode()))
        for octets, pdu in requests:
            taken = []
            for _ in range(rounds):
                meter.advance(meter.now + 1.0)
                start = clock()
                meter.serve(pdu, MAK, meter.now)
                taken.append(clock() - start)
            faster = sorted(taken)[: max(1, rounds // 2)]
            us = sum(faster) / len(faster) * 1e6
            if name not in slowest or us > slowest[name].us:
                slowest[name] = ReadTime(name, octets, us)
    return list(slowest.values())


def fleet_mib(meters: int, hours: float = 1.0) -> tuple[float, float]:
    """(MiB of one more meter, MiB of the process) with so many meters that have lived a while and been read."""
    gc.collect()
    before = rss_mib()
    fleet = []
    for number in range(meters):
        meter = Meter(MeterConfig(seed=number, serial=str(number + 1)))
        meter.advance(hours * 3600.0)
        for table in (0, 3, 21, 23, 28, 52, 2052):
            meter.serve(FullRead(table).encode(), MAK, meter.now)
        fleet.append(meter)
    gc.collect()
    after = rss_mib()
    return (after - before) / meters, after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meters", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    package, table_ms, meter_ms = import_ms()
    times = {kind: read_times(Meter(config)) for kind, config in METERS.items()}
    slowest = max((one for some in times.values() for one in some), key=lambda one: one.us)
    each, total = fleet_mib(arguments.meters)
    if arguments.json:
        print(json.dumps({
            "import_ms": package, "table_ms": table_ms, "meter_ms": meter_ms, "slowest_us": slowest.us,
            "meters": arguments.meters, "fleet_mib": total, "loop_ns": loop_ns(),
        }))  # fmt: skip
    else:
        print(f"a counting loop takes {loop_ns():.0f} ns a pass here (an idle desktop: 30 to 50)")
        print(f"import osgp: {package:.0f} ms (mark: {IMPORT_MS:.0f})")
        print(f"first table after {table_ms:.0f} ms, meter after {meter_ms:.0f} ms")
        for kind, some in times.items():
            print(f"{kind}: the slowest of {len(some)} tables")
            for one in sorted(some, key=lambda one: -one.us)[:6]:
                print(f"  {one.table:<12} {one.octets:>5} octets {one.us:>7.1f} us")
        print(f"slowest table: {slowest.table}, {slowest.us:.1f} us (mark: {READ_US:.0f})")
        print(f"{arguments.meters} meters: {total:.0f} MiB, {each * 1024:.0f} KiB each (mark: {FLEET_MIB:.0f} MiB for 1000)")
    done = package < IMPORT_MS and slowest.us < READ_US and each * 1000 < FLEET_MIB
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
