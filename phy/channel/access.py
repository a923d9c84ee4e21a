"""Access impedance of the line, and how much of a transmitter's level it leaves."""

import cmath
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._kernels import noise as kernels
from . import catalogue
from .limits import positive, whole
from .source import MAX_SEED


def artificial_mains_ohm(freq_hz: float) -> complex:
    """Impedance of the artificial mains network (V network of CISPR 16-1-2): 50 ohm beside 50 uH in series with 5 ohm."""
    values = catalogue.entry("path", "artificial_mains")
    coil = values["coil_ohm"] + 2j * math.pi * positive("freq_hz", freq_hz) * values["coil_h"]
    return complex(values["parallel_ohm"] * coil / (values["parallel_ohm"] + coil))


@dataclass(frozen=True, slots=True)
class Feed:
    """How a transmitter is joined to the line: its output impedance and the series capacitor and coil of its coupler.

    output_ohm: ohm.  capacitor_f: F.  coil_h: H.  resistance_ohm: loss of the coupler, ohm.
    """

    output_ohm: float
    capacitor_f: float
    coil_h: float
    resistance_ohm: float

    @classmethod
    def preset(cls, name: str = "tuned_80k", **changes: float) -> Self:
        """`tuned_80k`: 0.47 uF with 8.4 uH. changes: any other field."""
        values: dict[str, Any] = dict(catalogue.entry("path", "feed", name))
        values.pop("source", None)
        return cls(**{**values, **changes})

    def series_ohm(self, freq_hz: float) -> complex:
        """Impedance between the transmitter's open-circuit voltage and the line."""
        w = 2 * math.pi * positive("freq_hz", freq_hz)
        return self.output_ohm + self.resistance_ohm + 1j * (w * self.coil_h - 1 / (w * self.capacitor_f))

    def loss_db(self, freq_hz: float, access_ohm: complex) -> float:
        """Coupling loss -20 log10 |Za / (Za + Zt + Zc)| into an access impedance, dB; negative where the line resonates."""
        return -20 * math.log10(abs(access_ohm / (access_ohm + self.series_ohm(freq_hz))))


def access_impedance(name: str, seed: int = 0, place: int = 0, freq_hz: float | None = None) -> complex:
    """One access impedance of a family, ohm, in its published range.

    Magnitude log-uniform and angle uniform (inductive), the same at every frequency; `malack_engstrom` is a resistance
    (log-uniform) in series with a coil (uniform).

    Args:
        name: `any`, `rural`, `urban`, `industrial` or `malack_engstrom`.
        seed, place: the draw: the same pair gives the same impedance.
        freq_hz: needed for `malack_engstrom`.
    """
    values = catalogue.entry("path", "access_impedance", name)
    u = np.empty(2)
    key = np.uint64(whole("seed", seed, 0, MAX_SEED))
    kernels.uniforms(u, key, np.uint64(0), np.uint64(0), 2 * whole("place", place, 0, 2**61))
    ohm = values["lowest_ohm"] * (values["highest_ohm"] / values["lowest_ohm"]) ** u[0]
    if "lowest_h" in values:
        coil_h = values["lowest_h"] + (values["highest_h"] - values["lowest_h"]) * u[1]
        return complex(ohm, 2 * math.pi * positive("freq_hz", freq_hz) * coil_h)
    lowest_deg, highest_deg = catalogue.entry("path", "access_impedance")["angle_deg"]
    return cmath.rect(ohm, math.radians(lowest_deg + (highest_deg - lowest_deg) * u[1]))


def maker_load_ohm(name: str, freq_hz: float) -> complex:
    """Impedance of a maker's load for transmitter tests, `five_ohm` or `seven_ohm`: a resistor in series with 0.47 uF."""
    capacitor_f = catalogue.entry("path", "test_load")["capacitor_f"]
    resistance = catalogue.entry("path", "test_load", name)["resistance_ohm"]
    return complex(resistance, -1 / (2 * math.pi * positive("freq_hz", freq_hz) * capacitor_f))


def receiver_ohm() -> float:
    """Input impedance of a receiver, ohm, real."""
    return float(catalogue.entry("path", "receiver_input")["ohm"])
