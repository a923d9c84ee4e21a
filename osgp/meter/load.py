"""Load models: what a home draws from the mains, day by day, as pieces of constant power.

    appliances of a day --> switching steps --> pieces of constant power

Pieces begin on whole seconds and powers are whole W and var, so energies are exact sums, and they do not depend on how often
or how far apart they are asked for. `draw.py` adds them up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final, Protocol

from ..errors import ConfigurationError

DAY: Final = 86_400  # s
DAYS_PER_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class Power:
    """Power per phase, L1 first.    `active`: W, positive is drawn (forward).    `reactive`: var, positive is inductive."""

    active: tuple[float, ...]
    reactive: tuple[float, ...]


# (second of the day, power from then on), ascending, the first at second 0.
DayPieces = tuple[tuple[int, Power], ...]


class LoadModel(Protocol):
    """What a meter measures. Day 0 is the local day on which the meter starts; a day has 86 400 s, whatever clocks do."""

    phases: int

    def day(self, number: int) -> DayPieces:
        """Pieces of constant power of a day; the same for the same number, whatever was asked before."""
        ...

    def power(self, at: float) -> Power:
        """Power at an instant, s since 00:00 of day 0."""
        ...


class ConstantLoad:
    """The same power for ever.    Args: active W and reactive var per phase, L1 first."""

    def __init__(self, active: tuple[float, ...] = (1000.0,), reactive: tuple[float, ...] | None = None) -> None:
        self.phases = len(active)
        self._power = Power(active, reactive or (0.0,) * len(active))

    def day(self, number: int) -> DayPieces:
        """See `LoadModel`."""
        return ((0, self._power),)

    def power(self, at: float) -> Power:
        """See `LoadModel`."""
        return self._power


# A change of power: second of the day, phase, W more, var more.
_Step = tuple[int, int, int, int]


def _run(start: int, end: int, active: int, reactive: int, phase: int) -> tuple[_Step, ...]:
    """An appliance running from `start` to `end` (s of the day, midnight at the latest)."""
    end = min(end, DAY)
    return ((start, phase, active, reactive), (end, phase, -active, -reactive)) if start < end else ()


class Household:
    """A home: standby and fans, a fridge that cycles, kettle and cooker, lighting, washing; solar cells, a heat pump and an
    electric car if wanted.

    Args:
        seed: which home. The same seed gives the same load on the same day, whatever is asked before.
        phases: 1 or 3; appliances are spread over them.
        pv_peak: W of solar cells at noon without clouds; they feed in on the last phase.
        size: multiplies the appliances, > 0.
        heat_pump: W of a heat pump at work; it runs longer in winter.    car: W of a charger, on all phases, most nights.
        first_day: day of the year of day 0, 1..366. None: the sun shines from 6 to 18 h all year and it is always spring.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        phases: int = 1,
        pv_peak: float = 0.0,
        size: float = 1.0,
        heat_pump: float = 0.0,
        car: float = 0.0,
        first_day: int | None = None,
    ) -> None:
        if phases not in (1, 3):
            raise ConfigurationError(f"phases must be 1 or 3, got {phases}")
        for name, watts in (("pv_peak", pv_peak), ("heat_pump", heat_pump), ("car", car)):
            if not 0.0 <= watts <= 1e5:
                raise ConfigurationError(f"{name} must be 0..100000 W, got {watts}")
        if not 0.0 < size <= 100.0:
            raise ConfigurationError(f"size must be in (0, 100], got {size}")
        if first_day is not None and not 1 <= first_day <= 366:
            raise ConfigurationError(f"first_day must be 1..366, got {first_day}")
        self.phases = phases
        self._seed, self._pv_peak, self._size = seed, pv_peak, size
        self._heat_pump, self._car, self._first_day = heat_pump, car, first_day
        self._last: tuple[int, DayPieces] = (-1, ())

    def power(self, at: float) -> Power:
        """See `LoadModel`."""
        if at < 0.0:
            raise ConfigurationError(f"the load model starts at 0 s, got {at}")
        number = int(at // DAY)
        if self._last[0] != number:
            self._last = (number, self.day(number))
        pieces = self._last[1]
        return pieces[bisect_right(pieces, at - number * DAY, key=lambda piece: piece[0]) - 1][1]

    def day(self, number: int) -> DayPieces:
        """See `LoadModel`. Built anew each time: who needs it often keeps it in a form of his own (`Draw`)."""
        width = 2 * self.phases
        changes: dict[int, list[int]] = {0: [0] * width}  # W of each phase, then var of each phase
        for second, phase, w, var in self._all_steps(number):
            change = changes.get(second)
            if change is None:
                change = changes[second] = [0] * width
            change[phase] += w
            change[self.phases + phase] += var
        changes.pop(DAY, None)
        seconds = sorted(changes)
        power = [accumulate(column) for column in zip(*map(changes.__getitem__, seconds), strict=True)]
        active, reactive = zip(*power[: self.phases], strict=True), zip(*power[self.phases :], strict=True)
        return tuple(zip(seconds, map(Power, active, reactive), strict=True))

    def _all_steps(self, number: int) -> Iterator[_Step]:
        winter = 0.5
        sunrise, sunset, height = 6.0, 18.0, 1.0
        if self._first_day is not None:  # day length and height of the sun at about 52 degrees north
            summer = -math.cos(2 * math.pi * (self._first_day + number + 10) / DAYS_PER_YEAR)  # -1 December, 1 June
            winter = 0.5 - 0.5 * summer
            sunrise, sunset, height = 6.0 - 2.2 * summer, 18.0 + 2.2 * summer, 0.65 + 0.35 * summer
        yield from self._steps(Random(f"{self._seed}/{number}"), sunrise, sunset, height)
        if self._heat_pump:
            yield from self._heating(Random(f"heat/{self._seed}/{number}"), winter)
        if self._car:
            yield from self._charging(Random(f"car/{self._seed}/{number}"))

    def _heating(self, rng: Random, winter: float) -> Iterator[_Step]:
        clock: float = rng.uniform(0, 1800)
        while clock < DAY:
            running = rng.uniform(600, 1200) * (0.3 + winter)
            for phase in range(self.phases):
                w = round(self._heat_pump / self.phases)
                yield from _run(int(clock), int(clock + running), w, round(0.5 * w), phase)
            clock += running + rng.uniform(1500, 2700) * (1.3 - winter)

    def _charging(self, rng: Random) -> Iterator[_Step]:
        if rng.random() < 0.7:
            start = rng.uniform(0.2, 1.5) * 3600
            for phase in range(self.phases):
                w = round(self._car / self.phases)
                yield from _run(int(start), int(start + rng.uniform(3600, 4 * 3600)), w, round(0.05 * w), phase)

    def _steps(self, rng: Random, sunrise: float, sunset: float, height: float) -> Iterator[_Step]:
        def use(start: float, duration: float, watts: float, tan_phi: float, phase: int) -> tuple[_Step, ...]:
            w = round(watts * self._size)  # whole watts keep energies exact
            return _run(int(start), int(start + duration), w, round(w * tan_phi), phase % self.phases)

        for phase in range(self.phases):  # standby, fans, electronics: slightly capacitive
            for start in range(0, DAY, 600):
                yield from use(start, 600, rng.uniform(40, 110) / self.phases, -0.25, phase)
        clock: float = rng.uniform(0, 1800)
        while clock < DAY:  # fridge: about a third of the time
            running = rng.uniform(540, 1080)
            yield from use(clock, running, rng.uniform(85, 115), 0.75, 0)
            clock += running + rng.uniform(1200, 2100)
        for hour in (6.9, 10.2, 15.5, 20.3):  # kettle
            if rng.random() < 0.8:
                yield from use((hour + rng.uniform(-0.5, 0.5)) * 3600, rng.uniform(100, 240), 2000, 0.0, 1)
        for meal, minutes in ((12.2, 25), (18.1, 55)):  # cooker with its thermostat
            clock = (meal + rng.uniform(-0.6, 0.6)) * 3600
            end = clock + minutes * 60 * rng.uniform(0.7, 1.3)
            while clock < end:
                yield from use(clock, rng.uniform(60, 150), rng.uniform(1400, 2200), 0.02, 2)
                clock += rng.uniform(150, 300)
        for first, last in ((6.3, 8.2), (17.2, 23.2)):  # lighting, room by room
            for _ in range(5):
                begin = rng.uniform(first, last)
                yield from use(begin * 3600, rng.uniform(0.2, 1.0) * (last - begin) * 3600, rng.uniform(15, 60), -0.4, 1)
        if rng.random() < 0.5:  # washing: heat, then turn
            clock = rng.uniform(9, 19) * 3600
            yield from use(clock, 1200, 1950, 0.0, 2)
            yield from use(clock, 4200, 210, 0.7, 2)
        cloud = rng.uniform(0.5, 1.0)
        if self._pv_peak:
            before, end, uniform = 0, round(sunrise * 3600), rng.uniform
            for start in range(end, round(sunset * 3600), 60):
                cloud = min(1.0, max(0.1, cloud + uniform(-0.06, 0.06)))
                sun = height * math.sin(math.pi * (start / 3600 - sunrise) / (sunset - sunrise))
                w = -round(self._pv_peak * sun * cloud)
                yield start, self.phases - 1, w - before, 0
                before, end = w, start + 60
            yield end, self.phases - 1, -before, 0
