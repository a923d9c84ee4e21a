"""The mains at the meter: voltage and frequency that wander slowly, and what a load makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from .load import Power

_TURN: Final = 2.0 * math.pi


@dataclass(frozen=True, slots=True)
class Mains:
    """Where the meter hangs.

    Args:
        nominal_voltage: V phase to neutral, RMS.    nominal_frequency: Hz.
        resistance: ohm between transformer and meter; a loaded phase sags by current x resistance.
        seed: phase of the slow wandering (some volts over hours and minutes, some 10 mHz).
    """

    nominal_voltage: float = 230.0
    nominal_frequency: float = 50.0
    resistance: float = 0.25
    seed: int = 0

    def frequency(self, at: float) -> float:
        """Hz at an instant (s)."""
        rng = Random(f"frequency/{self.seed}")
        a, b = rng.random(), rng.random()
        return self.nominal_frequency + 0.015 * math.sin(_TURN * (at / 900 + a)) + 0.008 * math.sin(_TURN * (at / 37 + b))

    def voltage(self, at: float, phase: int, current: float) -> float:
        """V RMS of a phase that carries `current` A (negative: fed in)."""
        rng = Random(f"voltage/{self.seed}/{phase}")
        a, b, c = rng.random(), rng.random(), rng.random()
        open_circuit = (
            self.nominal_voltage
            + 2.5 * math.sin(_TURN * (at / 86_400 + a))
            + 0.9 * math.sin(_TURN * (at / 613 + b))
            + 0.3 * math.sin(_TURN * (at / 11 + c))
        )
        return open_circuit - self.resistance * current


def present_values(power: Power, mains: Mains, at: float) -> dict[int, int]:
    """Instantaneous values by source id (spec/sources.json), in the units of the sources: W, var, VA, mA, mV, mHz, 1/1000."""
    values: dict[int, int] = {}
    apparent_total = 0.0
    quadrants = [0.0] * 4
    for phase in range(3):
        p = power.active[phase] if phase < len(power.active) else 0.0
        q = power.reactive[phase] if phase < len(power.reactive) else 0.0
        s = math.hypot(p, q)
        apparent_total += s
        v = 0.0
        if phase < len(power.active):
            v = mains.voltage(at, phase, math.copysign(s, p) / mains.nominal_voltage)
        current = round(1000 * s / v) if v else 0
        values[12 + phase] = values[197 + phase] = current
        values[15 + phase] = round(1000 * v)
        values[(18, 21, 22)[phase]] = round(1000 * abs(p) / s) if s else 1000
        values[23 + phase] = round(1000 * q / s) if s else 0
        for forward, reverse in ((185, 188), (191, 194)):
            values[forward + phase], values[reverse + phase] = round(max(p, 0.0)), round(max(-p, 0.0))
        quadrants[(0 if q >= 0 else 3) if p >= 0 else (1 if q >= 0 else 2)] += abs(q)
    p, q = sum(power.active), sum(power.reactive)
    for first in (8, 81):
        values[first], values[first + 1] = round(max(p, 0.0)), round(max(-p, 0.0))
        values[first + 2], values[first + 3] = round(max(q, 0.0)), round(max(-q, 0.0))
    values[19] = round(1000 * mains.frequency(at))
    values[20] = round(apparent_total)
    for quadrant, var in enumerate(quadrants):
        values[104 + quadrant] = round(var)
    return values
