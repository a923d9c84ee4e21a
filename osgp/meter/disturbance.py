"""What goes wrong on the mains: outages, lost phases, sags, swells, distortion, frequency; scripted, or drawn day by day.

    scripted disturbances, rates per year --> disturbances of a day --> state at an instant, next change
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from random import Random
from typing import Final

from ..errors import ConfigurationError

PHASES: Final = 3
_MS: Final = 1000
_DAY_MS: Final = 86_400_000
_DAYS_PER_YEAR: Final = 365.25
_ALL_ON: Final = (100, 100, 100)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something on the mains from `start_ms` (since the meter was first started) to `end_ms`.

    Args:
        percent: voltage of L1, L2, L3 in percent of what it would be, 0..200.
        frequency_mhz: added to the frequency.    thd: voltage distortion in 0.1 percent, all phases.
    """

    start_ms: int
    end_ms: int
    percent: tuple[int, int, int] = _ALL_ON
    frequency_mhz: int = 0
    thd: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms < self.end_ms:
            raise ConfigurationError(f"a disturbance needs 0 <= start < end, got {self.start_ms} ms to {self.end_ms} ms")
        if any(not 0 <= one <= 200 for one in self.percent):
            raise ConfigurationError(f"the voltage of a disturbance is 0..200 percent, got {self.percent}")
        if not 0 <= self.thd <= 1000:
            raise ConfigurationError(f"the distortion is 0..1000 tenths of a percent, got {self.thd}")

    @classmethod
    def outage(cls, start: float, duration: float) -> Disturbance:
        """No voltage on any phase.    start, duration: s."""
        return cls._span(start, duration, (0, 0, 0))

    @classmethod
    def voltage(cls, start: float, duration: float, percent: int, phase: int | None = None) -> Disturbance:
        """Another voltage: a sag, a swell, a lost phase.    phase: 0..2, None: all."""
        each = tuple(percent if phase in (None, number) else 100 for number in range(PHASES))
        return cls._span(start, duration, (each[0], each[1], each[2]))

    @classmethod
    def _span(cls, start: float, duration: float, percent: tuple[int, int, int]) -> Disturbance:
        begin = round(start * _MS)
        return cls(begin, begin + round(duration * _MS), percent)


@dataclass(frozen=True, slots=True)
class DisturbanceRates:
    """Mean number per year; 0: none of that kind. Durations are drawn: most outages last minutes, most sags under a second."""

    outages: float = 0.0
    phase_losses: float = 0.0
    sags: float = 0.0
    swells: float = 0.0
    distortions: float = 0.0
    frequency_excursions: float = 0.0


@dataclass(frozen=True, slots=True)
class SupplyState:
    """The mains at an instant, as far as disturbances go.    Fields as in `Disturbance`."""

    percent: tuple[int, int, int] = _ALL_ON
    frequency_mhz: int = 0
    thd: int = 0


QUIET: Final = SupplyState()


@dataclass(slots=True)
class _Day:
    instants: list[int] = field(default_factory=list)
    states: list[SupplyState] = field(default_factory=list)  # from instants[k] on


class Disturbances:
    """State of the mains over time. The same arguments give the same mains, whatever is asked in which order.

    Args:
        scripted: disturbances that happen; where several overlap their voltages multiply.
        rates: drawn ones, per year; they end with the day (86 400 s since the start) at the latest.    seed: which year.
    """

    def __init__(
        self, scripted: tuple[Disturbance, ...] = (), rates: DisturbanceRates | None = None, seed: int = 0
    ) -> None:
        self._scripted, self._rates, self._seed = scripted, rates, seed
        self._days: dict[int, _Day] = {}

    def state(self, at_ms: int) -> SupplyState:
        """The mains at an instant."""
        day = self._day(at_ms // _DAY_MS)
        return day.states[bisect_right(day.instants, at_ms) - 1]

    def next_change(self, at_ms: int) -> int:
        """First instant after `at_ms` at which the state may be another: the next change, or the end of the day."""
        number = at_ms // _DAY_MS
        day = self._day(number)
        place = bisect_right(day.instants, at_ms)
        return day.instants[place] if place < len(day.instants) else (number + 1) * _DAY_MS

    def _day(self, number: int) -> _Day:
        if number not in self._days:
            if len(self._days) > 4:
                self._days.pop(min(self._days))
            self._days[number] = self._build(number)
        return self._days[number]

    def _build(self, number: int) -> _Day:
        start, end = number * _DAY_MS, (number + 1) * _DAY_MS
        active = [one for one in (*self._scripted, *self._drawn(number)) if one.start_ms < end and one.end_ms > start]
        if not active:
            return _Day([start], [QUIET])
        edges = {start, *(edge for one in active for edge in (one.start_ms, one.end_ms) if start < edge < end)}
        day = _Day()
        for edge in sorted(edges):
            state = _joined([one for one in active if one.start_ms <= edge < one.end_ms])
            if not day.states or day.states[-1] != state:
                day.instants.append(edge)
                day.states.append(state)
        return day

    def _drawn(self, number: int) -> list[Disturbance]:
        rates = self._rates
        if rates is None:
            return []
        rng = Random(f"mains/{self._seed}/{number}")
        begin, end = number * _DAY_MS, (number + 1) * _DAY_MS
        found: list[Disturbance] = []

        def draw(per_year: float, median_s: float, spread: float) -> list[tuple[int, int]]:
            spans = []
            for _ in range(_poisson(rng, per_year / _DAYS_PER_YEAR)):
                start = begin + rng.randrange(_DAY_MS)
                duration = max(10, round(_MS * median_s * math.exp(spread * rng.gauss(0.0, 1.0))))
                spans.append((start, min(end, start + duration)))
            return spans

        for start, stop in draw(rates.outages, 600.0, 2.0):
            found.append(Disturbance(start, stop, (0, 0, 0)))
        for start, stop in draw(rates.phase_losses, 120.0, 1.0):
            found.append(Disturbance(start, stop, _on_one(rng, rng.randrange(0, 40))))
        for start, stop in draw(rates.sags, 0.4, 1.5):
            found.append(Disturbance(start, stop, _on_one(rng, rng.randrange(40, 90))))
        for start, stop in draw(rates.swells, 0.6, 1.5):
            found.append(Disturbance(start, stop, _on_one(rng, rng.randrange(111, 125))))
        for start, stop in draw(rates.distortions, 900.0, 0.7):
            found.append(Disturbance(start, stop, thd=rng.randrange(60, 150)))
        for start, stop in draw(rates.frequency_excursions, 30.0, 0.7):
            found.append(Disturbance(start, stop, frequency_mhz=rng.choice((-1, 1)) * rng.randrange(100, 400)))
        return found


def _on_one(rng: Random, percent: int) -> tuple[int, int, int]:
    phase = rng.randrange(PHASES)
    each = tuple(percent if phase == number else 100 for number in range(PHASES))
    return each[0], each[1], each[2]


def _poisson(rng: Random, mean: float) -> int:
    """A Poisson number by multiplying uniforms (Knuth); the means here are small."""
    count, product, limit = 0, rng.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def _joined(active: list[Disturbance]) -> SupplyState:
    if not active:
        return QUIET
    percent = [100, 100, 100]
    for one in active:
        percent = [have * factor // 100 for have, factor in zip(percent, one.percent, strict=True)]
    return SupplyState(
        (percent[0], percent[1], percent[2]),
        sum(one.frequency_mhz for one in active),
        max(one.thd for one in active),
    )
