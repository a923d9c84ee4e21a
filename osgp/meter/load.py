"""Load models: what a home draws from the mains, as a function of time that can be evaluated anywhere.

    appliances of a day --> switching steps --> power between two steps --> energy up to any instant

The power is constant between steps and steps lie on whole seconds, so energies are exact sums, and they do not depend on
how often or how far apart they are asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Final, Protocol

from ..errors import ConfigurationError

DAY: Final = 86_400  # s


@dataclass(frozen=True, slots=True)
class Power:
    """Power per phase, L1 first.    `active`: W, positive is drawn (forward).    `reactive`: var, positive is inductive."""

    active: tuple[float, ...]
    reactive: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy since the instant 0, summed over the phases before the direction is decided. Ws and vars."""

    forward: float = 0.0
    reverse: float = 0.0
    imported: float = 0.0
    exported: float = 0.0

    def plus(self, active: float, reactive: float, duration: float) -> Energy:
        """With `duration` seconds at a constant total power more."""
        return Energy(
            self.forward + max(active, 0.0) * duration,
            self.reverse + max(-active, 0.0) * duration,
            self.imported + max(reactive, 0.0) * duration,
            self.exported + max(-reactive, 0.0) * duration,
        )


class LoadModel(Protocol):
    """What a meter measures. Times are seconds, 0 is local midnight of the meter's first day."""

    phases: int

    def power(self, at: float) -> Power:
        """Power at an instant."""
        ...

    def energy(self, at: float) -> Energy:
        """Energy from 0 to an instant."""
        ...


class ConstantLoad:
    """The same power for ever.    Args: active W and reactive var per phase, L1 first."""

    def __init__(self, active: tuple[float, ...] = (1000.0,), reactive: tuple[float, ...] | None = None) -> None:
        self.phases = len(active)
        self._power = Power(active, reactive or (0.0,) * len(active))

    def power(self, at: float) -> Power:
        return self._power

    def energy(self, at: float) -> Energy:
        return Energy().plus(sum(self._power.active), sum(self._power.reactive), at)


@dataclass(frozen=True, slots=True)
class _Use:
    """An appliance running from `start` to `end` (s of the day) with W and var on one phase."""

    start: int
    end: int
    active: int
    reactive: int
    phase: int


@dataclass(frozen=True, slots=True)
class _Day:
    """A day cut into pieces of constant power; `energy[i]` is what the day took before piece i."""

    starts: tuple[int, ...]
    powers: tuple[Power, ...]
    energy: tuple[Energy, ...]
    total: Energy


class Household:
    """A home: standby and fans, a fridge that cycles, kettle and cooker, lighting, washing, and solar cells if wanted.

    Args:
        seed: which home. The same seed gives the same load on the same day, whatever is asked before.
        phases: 1 or 3; appliances are spread over them.
        pv_peak: W of solar cells at noon without clouds; they feed in on the last phase.
        size: multiplies the appliances, > 0.
    """

    def __init__(self, seed: int = 0, *, phases: int = 1, pv_peak: float = 0.0, size: float = 1.0) -> None:
        if phases not in (1, 3):
            raise ConfigurationError(f"phases must be 1 or 3, got {phases}")
        if not 0.0 <= pv_peak <= 1e5:
            raise ConfigurationError(f"pv_peak must be 0..100000 W, got {pv_peak}")
        if not 0.0 < size <= 100.0:
            raise ConfigurationError(f"size must be in (0, 100], got {size}")
        self.phases = phases
        self._seed, self._pv_peak, self._size = seed, pv_peak, size
        self._days: dict[int, _Day] = {}
        self._before: list[Energy] = [Energy()]  # energy before day k

    def power(self, at: float) -> Power:
        day, piece, _ = self._find(at)
        return day.powers[piece]

    def energy(self, at: float) -> Energy:
        number = int(at // DAY)
        day, piece, second = self._find(at)
        while len(self._before) <= number:
            self._before.append(_add(self._before[-1], self._day(len(self._before) - 1).total))
        done = _add(self._before[number], day.energy[piece])
        power = day.powers[piece]
        return done.plus(sum(power.active), sum(power.reactive), second - day.starts[piece])

    def _find(self, at: float) -> tuple[_Day, int, float]:
        if at < 0.0:
            raise ConfigurationError(f"the load model starts at 0 s, got {at}")
        number = int(at // DAY)
        day = self._day(number)
        second = at - number * DAY
        return day, bisect_right(day.starts, second) - 1, second

    def _day(self, number: int) -> _Day:
        if number not in self._days:
            if len(self._days) > 8:
                self._days.pop(min(self._days))
            self._days[number] = self._build(number)
        return self._days[number]

    def _build(self, number: int) -> _Day:
        rng = Random(f"{self._seed}/{number}")
        steps: dict[int, list[tuple[int, int, int]]] = {0: []}
        for use in self._uses(rng):
            end = min(use.end, DAY)
            if use.start >= end:
                continue
            steps.setdefault(use.start, []).append((use.phase, use.active, use.reactive))
            steps.setdefault(end, []).append((use.phase, -use.active, -use.reactive))
        starts = tuple(sorted(start for start in steps if start < DAY))
        active, reactive = [0] * self.phases, [0] * self.phases
        powers: list[Power] = []
        for start in starts:
            for phase, w, var in steps[start]:
                active[phase] += w
                reactive[phase] += var
            powers.append(Power(tuple(active), tuple(reactive)))
        energy = [Energy()]
        for power, (start, end) in zip(powers, pairwise((*starts, DAY)), strict=True):
            energy.append(energy[-1].plus(sum(power.active), sum(power.reactive), end - start))
        return _Day(starts, tuple(powers), tuple(energy[:-1]), energy[-1])

    def _uses(self, rng: Random) -> Iterator[_Use]:
        def use(start: float, duration: float, watts: float, tan_phi: float, phase: int) -> _Use:
            w = round(watts * self._size)  # whole watts keep energies exact
            return _Use(int(start), int(start + duration), w, round(w * tan_phi), phase % self.phases)

        for phase in range(self.phases):  # standby, fans, electronics: slightly capacitive
            for start in range(0, DAY, 600):
                yield use(start, 600, rng.uniform(40, 110) / self.phases, -0.25, phase)
        clock: float = rng.uniform(0, 1800)
        while clock < DAY:  # fridge: about a third of the time
            running = rng.uniform(540, 1080)
            yield use(clock, running, rng.uniform(85, 115), 0.75, 0)
            clock += running + rng.uniform(1200, 2100)
        for hour in (6.9, 10.2, 15.5, 20.3):  # kettle
            if rng.random() < 0.8:
                yield use((hour + rng.uniform(-0.5, 0.5)) * 3600, rng.uniform(100, 240), 2000, 0.0, 1)
        for meal, minutes in ((12.2, 25), (18.1, 55)):  # cooker with its thermostat
            clock = (meal + rng.uniform(-0.6, 0.6)) * 3600
            end = clock + minutes * 60 * rng.uniform(0.7, 1.3)
            while clock < end:
                yield use(clock, rng.uniform(60, 150), rng.uniform(1400, 2200), 0.02, 2)
                clock += rng.uniform(150, 300)
        for first, last in ((6.3, 8.2), (17.2, 23.2)):  # lighting, room by room
            for _ in range(5):
                begin = rng.uniform(first, last)
                yield use(begin * 3600, rng.uniform(0.2, 1.0) * (last - begin) * 3600, rng.uniform(15, 60), -0.4, 1)
        if rng.random() < 0.5:  # washing: heat, then turn
            clock = rng.uniform(9, 19) * 3600
            yield use(clock, 1200, 1950, 0.0, 2)
            yield use(clock, 4200, 210, 0.7, 2)
        cloud = rng.uniform(0.5, 1.0)
        if self._pv_peak:
            for start in range(6 * 3600, 18 * 3600, 60):
                cloud = min(1.0, max(0.1, cloud + rng.uniform(-0.06, 0.06)))
                sun = math.sin(math.pi * (start / 3600 - 6) / 12)
                w = -round(self._pv_peak * sun * cloud)
                yield _Use(start, start + 60, w, 0, self.phases - 1)


def _add(one: Energy, other: Energy) -> Energy:
    return Energy(
        one.forward + other.forward,
        one.reverse + other.reverse,
        one.imported + other.imported,
        one.exported + other.exported,
    )
