"""Which crystal, divider and cycles per bit explain the carriers and the bit rate that were measured."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..profile import Carrier, Profile
from .carriers import CarrierGroup, TunedBurst

_SAME_BIT_RATE: Final = 2e-3  # two carriers of one channel: bit rates differ by clock errors and by the estimate's
_APART: Final = 3.0  # cycles per bit between the two carriers of every profile of the package
_WHOLE: Final = 0.06  # cycles per bit this close to a whole number are one
_SLACK_PPM: Final = 15.0


@dataclass(frozen=True, slots=True)
class ClockFit:
    """A crystal and a divider.

    Attributes:
        middle_ppm: middle of all stations' clock errors, were it the right one. known: a profile of the package has this pair.
    """

    master_clock_hz: float
    clocks_per_cycle: float
    middle_ppm: float
    known: bool

    def __str__(self) -> str:
        return f"{self.master_clock_hz / 1e6:g} MHz / {self.clocks_per_cycle:g} ({self.middle_ppm:+.0f} ppm)"


@dataclass(frozen=True, eq=False, slots=True)
class Numerology:
    """The carriers of one channel.

    Attributes:
        bursts: carrier name -> its bursts; a carrier that was not seen is missing.
        cycles: carrier name -> cycles per bit, assumed for a carrier that was not seen.
        cycles_error: largest distance of a measured ratio from a whole number. coherent: whether all are whole numbers.
        clock: the fit taken. others: known fits that cannot be excluded. fitted: whether a known crystal fits at all.
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


def channels(groups: list[CarrierGroup]) -> list[list[CarrierGroup]]:
    """Groups of one bit rate, two at most, the channel with the most bursts first."""
    left = sorted(groups, key=lambda g: -len(g.bursts))
    found = []
    while left:
        same = [g for g in left if abs(g.bit_rate / left[0].bit_rate - 1) < _SAME_BIT_RATE][:2]
        found.append(same)
        left = [g for g in left if all(g is not s for s in same)]
    return sorted(found, key=lambda channel: -sum(len(g.bursts) for g in channel))


def find_numerology(channel: list[CarrierGroup], strangers: int, base: Profile, exchanged: bool = False) -> Numerology:
    """Explain carriers and bit rate.

    Args:
        channel: one or two groups with the same bit rate. strangers: bursts of other groups.
        base: profile whose tolerance and cycles per bit are assumed where nothing was measured.
        exchanged: the carriers' roles are the other way round than their frequencies suggest.
    """
    same = sorted(channel, key=lambda g: -g.carrier_hz)
    measured = [g.cycles_per_bit for g in same]
    whole = [float(round(c)) if abs(c - round(c)) < _WHOLE else c for c in measured]
    known = {name: float(base.constants[f"carrier.{name}_cycles_per_bit"].value) for name in ("primary", "secondary")}

    # (primary, secondary) as indices into `same`; None is the one that was not seen. The primary is the higher one.
    roles: list[tuple[int | None, int | None]]
    if len(same) == 2:
        roles = [(1, 0)] if exchanged else [(0, 1), (1, 0)]
    else:
        roles = [(None, 0)] if (whole[0] == known["secondary"]) != exchanged else [(0, None)]
    rates = np.concatenate([[b.carrier_hz / c for b in g.bursts] for g, c in zip(same, whole, strict=True)])
    ratio = known["primary"] / known["secondary"]
    fits: list[tuple[tuple[bool, float], int, ClockFit]] = []
    for number, (primary, secondary) in enumerate(roles):
        cycles = _cycles(whole, primary, secondary, ratio)
        for fit in _clock_fits(rates * cycles, base.tolerance_ppm):
            if fit.known or number == 0:
                fits.append(((not fit.known, number + abs(fit.middle_ppm) * 1e-6), number, fit))
    fits.sort(key=lambda f: f[0])
    best = fits[0] if fits else None
    primary, secondary = roles[best[1] if best else 0]
    cycles_of: dict[Carrier, float] = {
        "primary": _cycles(whole, primary, secondary, ratio),
        "secondary": _cycles(whole, secondary, primary, 1 / ratio),
    }
    low, high = np.quantile(rates, (0.05, 0.95))
    rate = float(low + high) / 2
    clock = best[2] if best else ClockFit(round(rate * cycles_of["primary"], 3), 1, 0.0, False)
    bursts: dict[Carrier, list[TunedBurst]] = {}
    if primary is not None:
        bursts["primary"] = same[primary].bursts
    if secondary is not None:
        bursts["secondary"] = same[secondary].bursts
    return Numerology(
        bursts, cycles_of, max(abs(c - round(c)) for c in measured), whole == [round(c) for c in measured], clock,
        [f[2] for f in fits if best and f[1] == best[1] and f[2].known][1:] if clock.known else [], best is not None,
        float(high - low) / rate / 2 * 1e6, rate, strangers,
    )  # fmt: skip


def _cycles(whole: list[float], mine: int | None, other: int | None, ratio: float) -> float:
    """Cycles per bit of a carrier; of one that was not seen, such that the ratio is that of the base profile.

    It is kept as far away as there, too: nearer by, a receiver would hear the carrier that was seen a second time.
    """
    if mine is not None:
        return whole[mine]
    seen = whole[other or 0]
    guess = float(round(seen * ratio))
    apart = guess if abs(guess - seen) >= _APART else float(round(seen + math.copysign(_APART, ratio - 1)))
    return apart if apart >= 1 else float(round(seen + _APART))


def _clock_fits(cycle_hz: NDArray[np.float64], tolerance_ppm: float) -> list[ClockFit]:
    """Crystals and whole dividers under which every station keeps its tolerance."""
    known = known_clocks()
    low, high = (float(v) for v in np.quantile(cycle_hz, (0.05, 0.95)))
    fits = []
    for crystal in sorted({pair[0] for pair in known}):
        divider = round(crystal / ((low + high) / 2))
        errors = [(f * divider / crystal - 1) * 1e6 for f in (low, high)]
        if divider >= 1 and max(abs(e) for e in errors) <= tolerance_ppm + _SLACK_PPM:
            fits.append(ClockFit(crystal, divider, sum(errors) / 2, (crystal, divider) in known))
    return fits
