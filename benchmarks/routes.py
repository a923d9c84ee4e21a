"""Meters out of reach: a concentrator finds them behind other meters, reads them, and finds another way when a repeater dies.

    python benchmarks/routes.py [--seed 1] [--most 6]

1. Chains: the concentrator hears the first meter only, each meter its neighbours. Every meter must be found and read through
   as many repeaters as stand before it.
2. A ladder: two meters at every step, each hears those of the steps beside it. Then a repeater that is used dies: all others
   must be read in the next pass, and the dead one must be silent.
3. A lossy street of 20 meters: the farther, the weaker, out of reach from 6 places on.
4. Towns with 30 meters at random places: whoever can be reached over links of 6 dB and more must be read, also after two
   of the meters have died.

Times are virtual: until the end of the first pass, with the search, and the length of a later one, with frames on the line of
each. Everything runs on the modem's measured error curves (`flowgraphs.network`) with the shipped timing of an A-band line.
"""

import argparse
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from harness import verdict

from flowgraphs.binding import make_application, make_node
from flowgraphs.concentrator_binding import ConcentratorBinding
from flowgraphs.events import StationEvent
from flowgraphs.graph import ConcentratorStation, Graph, Line, MeterStation
from flowgraphs.network import Network
from flowgraphs.paths import Paths

CLEAR_DB = 25.0
WELL_DB = 6.0  # from here on about one frame in a hundred is lost
TABLES = ["BT01", "BT23"]  # as much as shows that a meter is reached
PERIOD_S = 7200.0
LIMIT_S = 10 * PERIOD_S
Hears = Callable[[int, int], float | None]


@dataclass(frozen=True)
class Pass:
    """What came of one pass: its length, meters read and silent, frames on the line."""

    length_s: float
    read: int
    silent: int
    frames: int


@dataclass
class Town:
    """A concentrator, station 0, and meters 1.., where `hears` gives the Es/N0 between two stations, dB.

    Attributes:
        dead: meters that hear and send nothing any more.    routes_changed: how often a meter got another route.
    """

    meters: int
    hears: Hears
    max_repeaters: int
    seed: int = 1
    dead: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        concentrator = ConcentratorStation(
            "dc", 0, "020000000000", period_s=PERIOD_S, tables=TABLES, max_repeaters=self.max_repeaters
        )
        meters = [MeterStation(f"m{k}", k, f"02{k:010x}", serial=str(k), load_seed=k) for k in range(1, self.meters + 1)]
        graph = Graph(Line(couplers=self.meters + 1), [concentrator, *meters], seed=self.seed)
        self.network = Network(paths=Paths(rule=self.level), seed=self.seed, keep=False)
        for index, spec in enumerate(graph.stations):
            node = make_node(graph, spec, random.Random(f"{self.seed}/{index}"), 0.0)
            application = make_application(graph, spec, node)
            self.network.add(node, application=application)
            if isinstance(application, ConcentratorBinding):
                self.concentrator = application.concentrator
        self.frames = 0
        self.network.on_frame = self._count

    def level(self, sender: int, receiver: int, alternate: bool = False) -> float | None:
        """Es/N0 between two stations now, dB."""
        return None if sender in self.dead or receiver in self.dead else self.hears(sender, receiver)

    def _count(self, frame: object) -> None:
        self.frames += 1

    def next_pass(self) -> Pass:
        """Run until one more pass is over."""
        number = self.concentrator.passes
        begun, frames = number * PERIOD_S, self.frames
        while self.concentrator.passes == number and self.network.now < LIMIT_S and self.network.step():
            pass
        values = self.told("pass_done")[number].values
        return Pass(self.network.now - begun, int(values["read"] or 0), int(values["silent"] or 0), self.frames - frames)

    def read(self) -> set[int]:
        """Numbers of the meters that answer."""
        stations = self.concentrator.stations.items()
        return {int.from_bytes(i[2:], "big") for i, station in stations if station.commissioned and not station.silent}

    def told(self, name: str) -> list[StationEvent]:
        """Events of the concentrator of that name so far."""
        events = (event for station, event in self.network.reports if station == 0)
        return [event for event in events if isinstance(event, StationEvent) and event.name == name]

    def repeaters(self, k: int) -> int | None:
        """Repeaters on the way to meter k; None while nobody has found it."""
        station = self.concentrator.stations.get(bytes.fromhex(f"02{k:010x}"))
        return len(station.route) if station is not None and station.commissioned else None


def chain(meters: int, seed: int = 1) -> Town:
    """Station k hears k - 1 and k + 1."""
    return Town(meters, lambda a, b: CLEAR_DB if abs(a - b) == 1 else None, meters, seed)


def ladder(steps: int, seed: int = 1) -> Town:
    """Meters 1 and 2 on the first step, 3 and 4 on the next, ..; everybody hears the steps beside his own and his own."""
    return Town(2 * steps, lambda a, b: CLEAR_DB if abs((a + 1) // 2 - (b + 1) // 2) <= 1 else None, steps, seed)


def street(meters: int, seed: int = 1, reach: int = 5) -> Town:
    """The level falls with the distance; at the end of the reach about one frame in ten is lost."""
    return Town(meters, lambda a, b: 30.0 - (25.0 / reach) * abs(a - b) if abs(a - b) <= reach else None, 8, seed)


def scattered(meters: int, seed: int = 1, loss_db: float = 110.0) -> Town:
    """At random places on a square, the concentrator in the middle; the level falls by `loss_db` over the length of a side."""
    rng = random.Random(seed)
    places = [(0.5, 0.5)] + [(rng.random(), rng.random()) for _ in range(meters)]

    def hears(a: int, b: int) -> float | None:
        level = 28.0 - loss_db * math.dist(places[a], places[b])
        return level if level > 0.0 else None

    return Town(meters, hears, 8, seed)


def well_reached(town: Town) -> set[int]:
    """Meters that can be reached over links of at least `WELL_DB`."""
    found, front = {0}, [0]
    while front:
        at = front.pop()
        near = {k for k in range(1, town.meters + 1) if (town.level(at, k) or 0.0) >= WELL_DB} - found
        found |= near
        front += near
    return found - {0}


def line(name: str, run: Pass) -> str:
    """One line of the report."""
    return f"{name:44} {run.read:3} read {run.silent:2} silent   {run.length_s:7.0f} s   {run.frames:6} frames"


def main() -> int:
    """Print the figures; 1 when a meter is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=6, help="meters of the longest chain")
    options = parser.parse_args()
    passed = True
    for meters in range(1, options.most + 1):
        town = chain(meters, options.seed)
        first, later = town.next_pass(), town.next_pass()
        good = later.read == meters and [town.repeaters(k) for k in range(1, meters + 1)] == list(range(meters))
        passed &= good
        print(line(f"chain of {meters}, search and reading", first), flush=True)
        print(line(f"chain of {meters}, reading", later), verdict(good), flush=True)
    town = ladder(4, options.seed)
    print(line("ladder of 4 steps, search and reading", town.next_pass()), flush=True)
    print(line("ladder of 4 steps, reading", town.next_pass()), flush=True)
    town.dead.add(used_repeater(town))
    broken, later = town.next_pass(), town.next_pass()
    good = (broken.read, broken.silent) == (later.read, later.silent) == (7, 1)
    passed &= good
    print(line("a repeater has died", broken), f"  {len(town.told('route_changed'))} routes changed", flush=True)
    print(line("the pass after", later), verdict(good), flush=True)
    town = street(20, options.seed)
    first, later = town.next_pass(), town.next_pass()
    good = later.read == 20
    passed &= good
    print(line("lossy street of 20, search and reading", first), flush=True)
    print(line("lossy street of 20, reading", later), verdict(good))
    print("repeaters on the way:", *(town.repeaters(k) for k in range(1, 21)))
    for seed in range(options.seed, options.seed + 3):
        town = scattered(30, seed)
        print(line(f"town {seed}, search and reading", town.next_pass()), flush=True)
        for what in ("reading", "two meters have died"):
            later = town.next_pass()
            wanted = well_reached(town)
            good = wanted <= town.read()
            passed &= good
            print(line(f"town {seed}, {what}", later), f"  {len(wanted)} well reached", verdict(good), flush=True)
            town.dead |= set(sorted(wanted)[:2])
    return 0 if passed else 1


def used_repeater(town: Town) -> int:
    """Number of a meter that others are read through."""
    routes = [station.route for station in town.concentrator.stations.values() if station.route]
    address = max(routes, key=len).repeaters[0]
    return next(int.from_bytes(i[2:], "big") for i, s in town.concentrator.stations.items() if s.address == address)


if __name__ == "__main__":
    sys.exit(main())
