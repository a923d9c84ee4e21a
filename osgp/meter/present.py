"""Instantaneous, average and extreme values by source id, in the units of the sources: W, var, VA, mA, mV, mHz, 1/1000.

Source ids and the order of BT28: features of the guide, grade A. Numbers of the sources: spec/sources.json.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from .disturbance import QUIET, Disturbances, SupplyState
from .draw import (
    ALL_ON,
    CURRENT,
    FORWARD,
    PHASE_FORWARD,
    PHASE_REVERSE,
    QUADRANT,
    REVERSE,
    SIGNED_CURRENT,
    Columns,
    Flow,
    flow_of,
    quadrant,
)
from .gated import GatedDraw
from .load import Power
from .mains import Mains

# Values of BT28 in order; how many a firmware has: grade A.
PRESENT_ORDER: Final = (
    8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 81, 82, 83, 84, 104, 105, 106, 107,
    *range(185, 200), *range(202, 245),
)  # fmt: skip
COUNTS: Final = (((2, 0), 22), ((3, 10), 26), ((3, 50), 41), ((3, 70), 55), ((4, 0), 72), ((4, 10), 75), ((4, 30), 84))

PHASES: Final = 3
_CURRENT, _VOLTAGE, _SINE = 12, 15, 23
_POWER_FACTORS: Final = (18, 21, 22)
_POST: Final = (81, 82, 83, 84)
AVERAGES: Final = frozenset((*range(205, 216), *range(233, 236)))
CONTINUOUS: Final = frozenset(range(202, 205))
EXTREMES: Final = frozenset((*range(164, 176), *range(177, 185)))
_VOLTAGES: Final = frozenset(range(164, 170))  # lowest and highest
RMS_CYCLES: Final = 15  # ET55.rms_cycles; grade A
ON_PERCENT: Final = 50  # appliances stop below that part of the voltage; grade D


def present_sources(firmware: tuple[int, int]) -> tuple[int, ...]:
    """Sources of BT27 of a firmware (major, minor)."""
    count = max((number for since, number in COUNTS if firmware >= since), default=COUNTS[0][1])
    return PRESENT_ORDER[:count]


def phases_on(state: SupplyState) -> int:
    """Phases on which appliances run: bit k is phase k."""
    return sum(1 << phase for phase, percent in enumerate(state.percent) if percent >= ON_PERCENT)


def present_values(
    power: Power, mains: Mains, at: float, state: SupplyState = QUIET, mask: int = ALL_ON, ratio: int = 1,
    continuous: bool = True,
) -> dict[int, int]:  # fmt: skip
    """Values of an instant by source id.

    Args:
        power: of the load.    at: s since 00:00 of the first day.    state: disturbances.    mask: phases that draw power.
        ratio: of the transformers, for the sources called "post".    continuous: with sources 202..204, which take longer.
    """
    steady, phases = _steady(power, mask, ratio)
    values = steady.copy()
    neutral = 0j
    for phase, (p, s, angle) in enumerate(phases):
        v = mains.voltage(at, phase, math.copysign(s, p) / mains.nominal_voltage) * state.percent[phase] / 100
        amperes = s / v if v else 0.0
        if s:
            neutral += cmath.rect(amperes, angle)
        values[_CURRENT + phase] = round(1000 * amperes)
        values[197 + phase] = round(1000 * amperes * ratio)
        values[_VOLTAGE + phase] = round(1000 * v)
        if continuous:
            values[202 + phase] = _continuous(mains, at, phase, p, s, state)
    values[19] = round(1000 * mains.frequency(at)) + state.frequency_mhz
    values[232] = round(1000 * abs(neutral))
    return values


# Homes take the same powers for minutes, and again and again; what follows from the power alone is worked out once.
@lru_cache(maxsize=256)
def _steady(power: Power, mask: int, ratio: int) -> tuple[dict[int, int], tuple[tuple[float, float, float], ...]]:
    """Values that do not depend on the voltage; and of each phase active power, apparent power, angle of the current."""
    there = len(power.active)
    values: dict[int, int] = dict.fromkeys((one + phase for one in (_CURRENT, _VOLTAGE, 197, 202) for phase in range(PHASES)), 0)
    total_p = total_q = 0.0
    apparent_total = 0.0
    quadrants, apparents = [0.0] * 4, [0.0] * 4
    phases = []
    for phase in range(PHASES):
        on = phase < there and mask >> phase & 1
        p, q = (power.active[phase], power.reactive[phase]) if on else (0.0, 0.0)
        s = math.hypot(p, q)
        if phase < there:
            phases.append((p, s, -math.tau * phase / PHASES - math.atan2(q, p)))
        place = quadrant(round(p), round(q))
        total_p, total_q, apparent_total = total_p + p, total_q + q, apparent_total + s
        quadrants[place] += abs(q)
        apparents[place] += s
        forward, reverse = (p, 0.0) if p > 0 else (0.0, -p)
        first = 220 + 4 * phase
        values |= {
            _POWER_FACTORS[phase]: round(1000 * abs(p) / s) if s else 1000, _SINE + phase: round(1000 * q / s) if s else 0,
            185 + phase: round(forward), 188 + phase: round(reverse),
            191 + phase: round(forward * ratio), 194 + phase: round(reverse * ratio),
            239 + phase: round(max(q, 0.0)), 242 + phase: round(max(-q, 0.0)),
            first: 0, first + 1: 0, first + 2: 0, first + 3: 0, 236 + phase: 12_000 if there == PHASES else 0,
        }  # fmt: skip
        values[first + place] = round(s)
    directions = (max(total_p, 0.0), max(-total_p, 0.0), max(total_q, 0.0), max(-total_q, 0.0))
    for number, direction in enumerate(directions):
        values[8 + number], values[_POST[number]] = round(direction), round(direction * ratio)
    values[20] = round(apparent_total)
    for number in range(4):
        values[104 + number], values[216 + number] = round(quadrants[number]), round(apparents[number])
    return values, tuple(phases)


def _continuous(mains: Mains, at: float, phase: int, p: float, s: float, state: SupplyState) -> int:
    window = RMS_CYCLES / mains.nominal_frequency
    current = math.copysign(s, p) / mains.nominal_voltage
    return round(10 * mains.mean_voltage(max(0.0, at - window), max(at, window), phase, current) * state.percent[phase])


class Readings:
    """Averages and extremes of a stretch of time, from the load, the mains and its disturbances.

    Args:
        gated: the measured load.    disturbances: of the mains.    origin_ms: see `GatedDraw`.
    """

    def __init__(self, gated: GatedDraw, mains: Mains, disturbances: Disturbances, origin_ms: int, phases: int) -> None:
        self._gated, self._mains, self._disturbances = gated, mains, disturbances
        self._origin, self._phases = origin_ms, phases

    def states(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, SupplyState]]:
        """Stretches of constant disturbance."""
        while start_ms < end_ms:
            stop = min(end_ms, self._disturbances.next_change(start_ms))
            yield start_ms, stop, self._disturbances.state(start_ms)
            start_ms = stop

    def averages(self, start_ms: int, end_ms: int) -> dict[int, int]:
        """Sources 205..215 and 233..235 of a stretch."""
        duration = max(1, end_ms - start_ms)
        flow = self._gated.between(start_ms, end_ms)
        values = {208: round(flow[FORWARD] / duration), 209: round(flow[REVERSE] / duration)}
        for phase in range(PHASES):
            values[205 + phase] = self.mean_voltage_mv(start_ms, end_ms, phase)
            values[210 + phase] = round(flow[PHASE_FORWARD + phase] / duration)
            values[213 + phase] = round(flow[PHASE_REVERSE + phase] / duration)
            values[233 + phase] = round(flow[CURRENT + phase] / duration)
        return values

    def mean_voltage_mv(self, start_ms: int, end_ms: int, phase: int) -> int:
        """Mean voltage of a phase over a stretch."""
        if phase >= self._phases or end_ms <= start_ms:
            return 0
        total = 0.0
        for start, end, state in self.states(start_ms, end_ms):
            if not state.percent[phase]:
                continue
            current = self._gated.between(start, end)[SIGNED_CURRENT + phase] / (1000 * (end - start))
            first, last = (self._origin + start) / 1000, (self._origin + end) / 1000
            total += self._mains.mean_voltage(first, last, phase, current) * state.percent[phase] * (end - start)
        return round(10 * total / (end_ms - start_ms))

    def extremes(self, start_ms: int, end_ms: int, ratio: int = 1, wanted: frozenset[int] = EXTREMES) -> dict[int, int]:
        """Sources 164..175 and 177..184 of a stretch: voltages and powers at the begin of each piece, and at its end.

        Only those `wanted` are sure to be worked out: a day of them takes milliseconds.
        """
        phases = [phase for phase in range(self._phases) if {164 + phase, 167 + phase} & wanted]
        powers = not wanted <= _VOLTAGES
        values = dict.fromkeys(EXTREMES, 0)
        lowest: dict[int, int] = {}
        for start, end, state in self.states(start_ms, end_ms):
            for columns in self._gated.columns(start, end):
                self._voltages(columns, phases, state, values, lowest)
                if powers:
                    self._powers(columns, ratio, values)
        return values | lowest

    def _voltages(
        self, columns: Columns, phases: Sequence[int], state: SupplyState, values: dict[int, int], lowest: dict[int, int]
    ) -> None:
        """Voltages of some phases at both ends of each piece."""
        bounds = columns.bounds
        times = [(self._origin + start) / 1000 for start in bounds[:-1]] + [(self._origin + end - 1) / 1000 for end in bounds[1:]]
        for phase in phases:
            currents = [0.0] * (len(bounds) - 1)
            if columns.mask >> phase & 1:
                powers = zip(columns.active[phase], columns.reactive[phase], strict=True)
                currents = [math.copysign(math.hypot(p, q), p) / self._mains.nominal_voltage for p, q in powers]
            volts = self._mains.voltages(times, phase, currents + currents)
            low, high = (round(10 * one * state.percent[phase]) for one in (min(volts), max(volts)))
            lowest[164 + phase] = min(lowest.get(164 + phase, low), low)
            _raise(values, 167 + phase, high)

    def _powers(self, columns: Columns, ratio: int, values: dict[int, int]) -> None:
        """Largest powers of the pieces."""
        count = len(columns.active)
        different = set(zip(*columns.active, *columns.reactive, strict=True))
        flows = [flow_of(Power(one[:count], one[count:]), self._mains.nominal_voltage, columns.mask) for one in different]
        _largest(tuple(map(max, zip(*flows, strict=True))), ratio, values)


def _largest(flow: Flow, ratio: int, values: dict[int, int]) -> None:
    """Powers of a flow that are larger than before."""
    forward, reverse = flow[FORWARD], flow[REVERSE]
    for source, value in ((170, forward), (171, reverse), (177, forward * ratio), (178, reverse * ratio)):
        _raise(values, source, value)
    for number in range(4):
        _raise(values, 172 + number, flow[QUADRANT + number])
    for phase in range(PHASES):
        _raise(values, 179 + phase, flow[PHASE_FORWARD + phase] * ratio)
        _raise(values, 182 + phase, flow[PHASE_REVERSE + phase] * ratio)


def _raise(values: dict[int, int], source: int, value: int) -> None:
    values[source] = max(values[source], value)
