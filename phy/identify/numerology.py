"""Which crystal, divider and cycles per bit explain the carriers and the bit rate that were measured."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..profile import Carrier, Profile
from .carriers import CarrierGroup, TunedBurst

_SAME_BIT_RATE: Final = 2e-3  # two carriers of one channel: bit rates differ by clock errors and by the estimate's
_WHOLE: Final = 0.06  # cycles per bit this close to a whole number are one
_SLACK_PPM: Final = 15.0


@dataclass(frozen=True, slots=True)
class ClockFit:
    """A crystal and a divider. middle_ppm: middle of all stations' clock errors, were it the right one."""

    master_clock_hz: float
    clocks_per_cycle: float
    middle_ppm: float

    def __str__(self) -> str:
        return f"{self.master_clock_hz / 1e6:g} MHz / {self.clocks_per_cycle:g} ({self.middle_ppm:+.0f} ppm)"


@dataclass(frozen=True, eq=False, slots=True)
class Numerology:
    """The carriers of one channel.

    Attributes:
        bursts: carrier name -> its bursts; a carrier that was not seen is missing.
        cycles: carrier name -> cycles per bit, assumed for a carrier that was not seen.
        cycles_error: largest distance of a measured ratio from a whole number. coherent: whether all are whole numbers.
        clock: the fit taken. others: fits that cannot be excluded. fitted: whether a known crystal fits at all.
        spread_ppm: half the range of the stations' clock errors.
        bit_rate: as measured, Hz. strangers: bursts of other carriers.
    """

    bursts: dict[Carrier, list[TunedBurst]]
    cycles: dict[Carrier, float]
    cycles_error: float
    coherent: bool
    clock: ClockFit
    others: list[ClockFit]
    fitted: bool
    spread_ppm: float
    bit_rate: float
    strangers: int


def known_clocks() -> list[tuple[float, float]]:
    """(crystal in Hz, divider) of every profile that comes with the package."""
    constants = [Profile.load(name).constants for name in Profile.names()]
    pairs = {(float(c["carrier.master_clock_hz"].value), float(c["carrier.clocks_per_cycle"].value)) for c in constants}
    return sorted(pairs)


def find_numerology(groups: list[CarrierGroup], base: Profile) -> Numerology:
    """Explain carriers and bit rate.

    Args:
        groups: at least one, the largest first; one or two of them with the same bit rate are the channel.
        base: profile whose tolerance and cycles per bit are assumed where nothing was measured.
    """
    main = groups[0]
    same = [g for g in groups if abs(g.bit_rate / main.bit_rate - 1) < _SAME_BIT_RATE][:2]
    strangers = sum(len(g.bursts) for g in groups) - sum(len(g.bursts) for g in same)
    same.sort(key=lambda g: -g.carrier_hz)
    measured = [g.cycles_per_bit for g in same]
    whole = [float(round(c)) if abs(c - round(c)) < _WHOLE else c for c in measured]
    known = {name: float(base.constants[f"carrier.{name}_cycles_per_bit"].value) for name in ("primary", "secondary")}

    # (primary, secondary) as indices into `same`; None is the one that was not seen.
    roles: list[tuple[int | None, int | None]]
    if len(same) == 2:
        roles = [(0, 1), (1, 0)]
    else:
        roles = [(None, 0)] if whole[0] == known["secondary"] else [(0, None)]
    rates = np.concatenate([[b.carrier_hz / c for b in g.bursts] for g, c in zip(same, whole, strict=True)])
    best: tuple[tuple[float, ...], int, ClockFit] | None = None
    fits: list[tuple[tuple[float, ...], int, ClockFit]] = []
    for number, (primary, _) in enumerate(roles):
        cycles = whole[primary] if primary is not None else known["primary"]
        fits += [((number, *rank), number, fit) for rank, fit in _clock_fits(rates * cycles, base.tolerance_ppm)]
    fits.sort(key=lambda f: f[0])
    if fits:
        best = fits[0]
    primary, secondary = roles[best[1] if best else 0]
    cycles_of: dict[Carrier, float] = {
        "primary": whole[primary] if primary is not None else known["primary"],
        "secondary": whole[secondary]
        if secondary is not None
        else max(1.0, float(round(whole[0] * known["secondary"] / known["primary"]))),
    }
    low, high = np.quantile(rates, (0.05, 0.95))
    rate = float(low + high) / 2
    clock = best[2] if best else ClockFit(round(rate * cycles_of["primary"], 3), 1, 0.0)
    bursts: dict[Carrier, list[TunedBurst]] = {}
    if primary is not None:
        bursts["primary"] = same[primary].bursts
    if secondary is not None:
        bursts["secondary"] = same[secondary].bursts
    return Numerology(
        bursts, cycles_of, max(abs(c - round(c)) for c in measured), whole == [round(c) for c in measured], clock,
        [f[2] for f in fits if best and f[1] == best[1]][1:], best is not None,
        float(high - low) / rate / 2 * 1e6, rate, strangers,
    )  # fmt: skip


def _clock_fits(cycle_hz: NDArray[np.float64], tolerance_ppm: float) -> list[tuple[tuple[float, ...], ClockFit]]:
    """Crystals and whole dividers under which every station keeps its tolerance, known pairs first, then the smallest error."""
    known = known_clocks()
    low, high = (float(v) for v in np.quantile(cycle_hz, (0.05, 0.95)))
    fits = []
    for crystal in sorted({pair[0] for pair in known}):
        divider = round(crystal / ((low + high) / 2))
        errors = [(f * divider / crystal - 1) * 1e6 for f in (low, high)]
        if divider >= 1 and max(abs(e) for e in errors) <= tolerance_ppm + _SLACK_PPM:
            middle = sum(errors) / 2
            rank = (float((crystal, divider) not in known), abs(middle))
            fits.append((rank, ClockFit(crystal, divider, middle)))
    return fits
