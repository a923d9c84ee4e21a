"""The mains at the meter: voltage and frequency that wander slowly, disturbances, and what a load makes of the voltage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Final

from .disturbance import Disturbance, DisturbanceRates

_TURN: Final = 2.0 * math.pi
# (amplitude, period in s) of the wandering; grade D.
_VOLTAGE_WAVES: Final = ((2.5, 86_400.0), (0.9, 613.0), (0.3, 11.0))
_FREQUENCY_WAVES: Final = ((0.015, 900.0), (0.008, 37.0))


@dataclass(frozen=True, slots=True)
class Mains:
    """Where the meter hangs. Times are seconds since 00:00 of the first day.

    Args:
        nominal_voltage: V phase to neutral, RMS.    nominal_frequency: Hz.
        resistance: ohm between transformer and meter; a loaded phase sags by current x resistance.
        seed: phase of the slow wandering (some volts over hours and minutes, some 10 mHz), and of drawn disturbances.
        disturbances: what happens.    rates: what happens at random, per year.
    """

    nominal_voltage: float = 230.0
    nominal_frequency: float = 50.0
    resistance: float = 0.25
    seed: int = 0
    disturbances: tuple[Disturbance, ...] = ()
    rates: DisturbanceRates = field(default_factory=DisturbanceRates)

    def frequency(self, at: float) -> float:
        """Hz at an instant, without disturbances."""
        phases = _phases(f"frequency/{self.seed}", len(_FREQUENCY_WAVES))
        wandering = 0.0
        for (amplitude, period), p in zip(_FREQUENCY_WAVES, phases, strict=True):
            wandering += amplitude * math.sin(_TURN * (at / period + p))
        return self.nominal_frequency + wandering

    def voltage(self, at: float, phase: int, current: float) -> float:
        """V RMS of a phase that carries `current` A (negative: fed in), without disturbances."""
        phases = _phases(f"voltage/{self.seed}/{phase}", len(_VOLTAGE_WAVES))
        wandering = 0.0
        for (amplitude, period), p in zip(_VOLTAGE_WAVES, phases, strict=True):
            wandering += amplitude * math.sin(_TURN * (at / period + p))
        return self.nominal_voltage + wandering - self.resistance * current

    def voltages(self, times: Sequence[float], phase: int, currents: Sequence[float]) -> list[float]:
        """As `voltage` for many instants and their currents."""
        phases = _phases(f"voltage/{self.seed}/{phase}", len(_VOLTAGE_WAVES))
        (a, ta), (b, tb), (c, tc) = _VOLTAGE_WAVES
        pa, pb, pc = phases
        nominal, resistance, sin = self.nominal_voltage, self.resistance, math.sin
        return [
            nominal + (a * sin(_TURN * (at / ta + pa)) + b * sin(_TURN * (at / tb + pb)) + c * sin(_TURN * (at / tc + pc)))
            - resistance * current
            for at, current in zip(times, currents, strict=True)
        ]  # fmt: skip

    def mean_voltage(self, start: float, end: float, phase: int, mean_current: float) -> float:
        """Mean of `voltage` from one instant to a later one, by the integral of the waves."""
        phases = _phases(f"voltage/{self.seed}/{phase}", len(_VOLTAGE_WAVES))
        total = 0.0
        for (amplitude, period), p in zip(_VOLTAGE_WAVES, phases, strict=True):
            turns = _TURN / period
            first, last = math.cos(_TURN * (start / period + p)), math.cos(_TURN * (end / period + p))
            total += amplitude * (first - last) / (turns * (end - start))
        return self.nominal_voltage + total - self.resistance * mean_current


@lru_cache(maxsize=4096)
def _phases(name: str, count: int) -> tuple[float, ...]:
    rng = Random(name)
    return tuple(rng.random() for _ in range(count))
