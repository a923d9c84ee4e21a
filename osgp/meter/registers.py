"""Billing registers: energies become whole counts in the total and in the tariff in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import ConfigurationError
from ..sources import source
from .load import DAY, Energy, LoadModel

# Registers of BT23 in order, without demand metering: sources as in BT22; grade A.
SUMMATIONS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28)
TIERS: Final = 4
PER_TIER: Final = (0, 1, 2, 3, 6, 7)  # positions that are kept per tariff; the others read zero there; grade A
MEASURED: Final = (0, 1, 2, 3)  # positions counted directly; 6 and 7 are their sum and difference
SECONDS_PER_HOUR: Final = 3600.0
ROLLOVER: Final = 10**9  # nine digits, then from zero; ET42.rollover_digits allows 5..9

Tariff = tuple[tuple[float, int], ...]


class Registers:
    """Totals and four tariffs of one meter.

    Every whole Wh that the total gains is counted in the tariff in force at that instant as well, so that the tariffs always
    add up to the total (less what `initial` said).

    Args:
        load: the load model; its time 0 is local midnight.    started_at: its time when the meter starts, s.
        initial: first values by source name, e.g. {"forward_active_wh": 12345678}; a number goes to total and tariff 0, a
            tuple of four gives the tariffs and their sum the total.
        tariff: (hour of the local day, tariff 0..3) of every switch, ascending; the last one holds over midnight.
    """

    def __init__(
        self,
        load: LoadModel,
        started_at: float,
        initial: Mapping[str, int | tuple[int, ...]] | None = None,
        tariff: Tariff = ((0.0, 0),),
    ) -> None:
        hours = [hour for hour, _ in tariff]
        if not tariff or hours != sorted(set(hours)) or not 0.0 <= hours[0] <= hours[-1] < 24.0:
            raise ConfigurationError(f"tariff needs ascending hours in [0, 24), got {tariff}")
        if any(not 0 <= tier < TIERS for _, tier in tariff):
            raise ConfigurationError(f"a tariff is 0..{TIERS - 1}, got {tariff}")
        self._load = load
        self._switches = tuple((round(hour * SECONDS_PER_HOUR), tier) for hour, tier in tariff)  # second of the day
        self._total = [0] * len(SUMMATIONS)
        self._tiers = [[0] * len(SUMMATIONS) for _ in range(TIERS)]
        for name, value in (initial or {}).items():
            self._set(name, value)
        self.at = started_at
        self._offset = load.energy(started_at)
        self._counted = [0] * len(MEASURED)

    def _set(self, name: str, value: int | tuple[int, ...]) -> None:
        position = SUMMATIONS.index(source(name).id) if source(name).id in SUMMATIONS else -1
        if position < 0 or position in (6, 7):
            raise ConfigurationError(f"{name!r} is no register that can be set")
        tiers = (value, 0, 0, 0) if isinstance(value, int) else tuple(value)
        if len(tiers) != TIERS or any(not 0 <= one < ROLLOVER for one in tiers):
            raise ConfigurationError(f"{name} must be 0..{ROLLOVER - 1} or four such numbers, got {value}")
        self._total[position] = sum(tiers) % ROLLOVER
        if position in PER_TIER:
            for tier, one in enumerate(tiers):
                self._tiers[tier][position] = one

    def tier(self, at: float) -> int:
        """Tariff in force at an instant (s since local midnight of the first day)."""
        current = self._switches[-1][1]
        for second, tier in self._switches:
            if at % DAY >= second:
                current = tier
        return current

    def advance(self, at: float) -> None:
        """Count up to an instant; an earlier one changes nothing."""
        while self.at < at:
            step = min(at, self._next_switch(self.at))
            tier = self.tier(self.at)
            counts = self._counts(self._load.energy(step))
            for position, (new, old) in enumerate(zip(counts, self._counted, strict=True)):
                for registers in (self._total, self._tiers[tier]):
                    registers[position] = (registers[position] + new - old) % ROLLOVER
            self._counted = counts
            self.at = step

    def _next_switch(self, at: float) -> float:
        day = at // DAY
        switches = (start * DAY + second for start in (day, day + 1) for second, _ in self._switches)
        return min(switch for switch in switches if switch > at)

    def _counts(self, energy: Energy) -> list[int]:
        since = self._offset
        gained = (
            energy.forward - since.forward,
            energy.reverse - since.reverse,
            energy.imported - since.imported,
            energy.exported - since.exported,
        )
        return [int(one / SECONDS_PER_HOUR) for one in gained]

    def total(self) -> tuple[int, ...]:
        """The registers of BT23 in the order of SUMMATIONS."""
        return _derived(self._total)

    def tiers(self) -> tuple[tuple[int, ...], ...]:
        """The same per tariff."""
        return tuple(_derived(tier) for tier in self._tiers)


def _derived(registers: list[int]) -> tuple[int, ...]:
    done = list(registers)
    done[6] = (done[0] + done[1]) % ROLLOVER
    done[7] = max(0, done[0] - done[1])
    return tuple(done)
