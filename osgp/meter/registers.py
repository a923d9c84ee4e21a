"""Billing registers: flows become whole counts in the total and in the tariff in force, without ever losing a remainder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigurationError
from ..sources import source
from .draw import APPARENT, FORWARD, QUADRANT, REVERSE, Flow

WATT_MS_PER_WH: Final = 3_600_000
TIERS: Final = 4
MAX_TIERS: Final = 8
# Sources of the registers of BT23 in order, as in BT22; grade A. No source id of VAh is published: those of VA stand in (D).
SUMMATIONS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28)
WITH_QUADRANTS: Final = (*SUMMATIONS, 108, 109, 110, 111)  # with demand metering; grade A
WITH_APPARENT: Final = (*WITH_QUADRANTS, 216, 217, 218, 219)  # from firmware 4.0; grade A
COUNTED: Final = (0, 1, 2, 3, 108, 109, 110, 111, 216, 217, 218, 219)  # counted by the flow, in the total and per tariff
OUTAGE_SECONDS: Final = 4
OUTAGE_COUNT: Final = 5
SUM: Final = 6
NET: Final = 7
PULSES: Final = (26, 27)
ERRORS: Final = 28
FIRST_TIER_SOURCE: Final = 29
# Sources 29 + 11 * tariff + k; None: not kept per tariff, reads zero. Grade A.
TIER_SOURCES: Final = (0, 1, 2, 3, None, None, SUM, NET, None, None, None)
TIER_VALUES: Final = range(FIRST_TIER_SOURCE, FIRST_TIER_SOURCE + TIERS * len(TIER_SOURCES))
_PLACES: Final = {source: place for place, source in enumerate(COUNTED)}
# Sources that are registers: those of `Registers.value`.
REGISTERS: Final = frozenset((*COUNTED, SUM, NET, *PULSES, OUTAGE_SECONDS, OUTAGE_COUNT, ERRORS, *TIER_VALUES))
DIGITS: Final = range(5, 10)  # ET42.rollover_digits; grade A
UNITS: Final = (1, 10, 100)  # ET55.energy_register_unit; grade A

Tariff = tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class RegisterState:
    """What the registers hold, for a saved state; see `Registers` for the fields."""

    total: tuple[int, ...]
    tiers: tuple[tuple[int, ...], ...]
    remainders: tuple[int, ...]
    outage_ms: int
    outages: int
    pulses: tuple[int, ...]
    errors: int


class Registers:
    """Totals and tariffs of one meter.

    Every whole count that the total gains is counted in the tariff in force as well, so that the tariffs always add up to the
    total (less what `initial` said, and modulo the rollover).

    Args:
        initial: first values by source name, e.g. {"forward_active_wh": 12345678}; a number goes to total and tariff 0, a
            tuple gives the tariffs and their sum the total.
        tiers: tariffs, 4 or 8.    unit: Wh and varh per count: 1, 10 or 100.    digits: 5..9, then from zero.
        ratio: of the current and voltage transformers in front of the meter, >= 1.
    """

    def __init__(
        self,
        initial: Mapping[str, int | tuple[int, ...]] | None = None,
        *,
        tiers: int = TIERS,
        unit: int = 1,
        digits: int = 9,
        ratio: int = 1,
    ) -> None:
        if tiers not in (TIERS, MAX_TIERS):
            raise ConfigurationError(f"a meter has {TIERS} or {MAX_TIERS} tariffs, got {tiers}")
        if unit not in UNITS:
            raise ConfigurationError(f"the energy unit is 1, 10 or 100 Wh, got {unit}")
        if digits not in DIGITS:
            raise ConfigurationError(f"registers have 5..9 digits, got {digits}")
        if ratio < 1:
            raise ConfigurationError(f"a transformer ratio is at least 1, got {ratio}")
        self.tier_count, self.unit, self.ratio = tiers, unit, ratio
        self.rollover = int(10**digits)
        self._total: list[int] = [0] * len(COUNTED)
        self._tiers: list[list[int]] = [[0] * len(COUNTED) for _ in range(tiers)]
        self._remainders = [0] * len(COUNTED)  # W ms below one count
        self._outage_ms = 0
        self._outages = 0
        self._pulses = [0, 0]
        self._errors = 0
        for name, value in (initial or {}).items():
            self._set(name, value)

    def _set(self, name: str, value: int | tuple[int, ...]) -> None:
        identifier = source(name).id
        if identifier not in COUNTED and identifier not in (*PULSES, ERRORS, OUTAGE_SECONDS, OUTAGE_COUNT):
            raise ConfigurationError(f"{name!r} is no register that can be set")
        tiers = (value,) if isinstance(value, int) else tuple(value)
        if len(tiers) not in (1, self.tier_count) or any(not 0 <= one < self.rollover for one in tiers):
            raise ConfigurationError(
                f"{name} must be 0..{self.rollover - 1} or {self.tier_count} such numbers, got {value}"
            )
        total = sum(tiers) % self.rollover
        if identifier in COUNTED:
            place = COUNTED.index(identifier)
            self._total[place] = total
            for tier, one in enumerate(tiers):
                self._tiers[tier][place] = one
        elif identifier in PULSES:
            self._pulses[PULSES.index(identifier)] = total
        elif identifier == ERRORS:
            self._errors = total
        elif identifier == OUTAGE_COUNT:
            self._outages = total
        else:
            self._outage_ms = total * 1000

    def count(self, flow: Flow, tier: int) -> None:
        """Add what flowed while a tariff was in force."""
        q1, q2, q3, q4 = flow[QUADRANT : QUADRANT + 4]
        whole = WATT_MS_PER_WH * self.unit
        gains = (flow[FORWARD], flow[REVERSE], q1 + q2, q3 + q4, q1, q2, q3, q4, *flow[APPARENT : APPARENT + 4])
        tariff = self._tiers[tier if tier < self.tier_count else 0]
        for place, gain in enumerate(gains):
            if gain:
                counts, self._remainders[place] = divmod(self._remainders[place] + gain * self.ratio, whole)
                self._total[place] = (self._total[place] + counts) % self.rollover
                tariff[place] = (tariff[place] + counts) % self.rollover

    def outage(self, duration_ms: int) -> None:
        """Count an outage."""
        self._outage_ms += duration_ms
        self._outages += 1

    def pulse(self, number: int, count: int = 1) -> None:
        """Count pulses of an input, 0 or 1."""
        self._pulses[number] = (self._pulses[number] + count) % self.rollover

    def error(self) -> None:
        """Count an error of the meter itself."""
        self._errors = (self._errors + 1) % self.rollover

    def value(self, identifier: int) -> int | None:
        """Register of a source id, None when the source is none of the registers."""
        place = _PLACES.get(identifier)
        if place is not None:
            return self._total[place]
        if identifier in (SUM, NET):
            return self._derived(self._total, identifier)
        if identifier in PULSES:
            return self._pulses[PULSES.index(identifier)]
        if identifier == OUTAGE_SECONDS:
            return self._outage_ms // 1000 % self.rollover
        if identifier == OUTAGE_COUNT:
            return self._outages % self.rollover
        if identifier == ERRORS:
            return self._errors
        if identifier not in TIER_VALUES:
            return None
        tier, place = divmod(identifier - FIRST_TIER_SOURCE, len(TIER_SOURCES))
        return self._of_tier(self._tiers[tier], TIER_SOURCES[place])

    def total(self, sources: Sequence[int] = SUMMATIONS) -> tuple[int, ...]:
        """Registers by source."""
        return tuple([self.value(one) or 0 for one in sources])

    def tiers(self, sources: Sequence[int] = SUMMATIONS) -> tuple[tuple[int, ...], ...]:
        """The same per tariff; registers that are not kept per tariff are zero (grade D)."""
        places = [_PLACES.get(one) for one in sources]
        derived = [(number, one) for number, one in enumerate(sources) if one in (SUM, NET)]
        found = []
        for tier in self._tiers:
            values = [0 if place is None else tier[place] for place in places]
            for number, one in derived:
                values[number] = self._derived(tier, one)
            found.append(tuple(values))
        return tuple(found)

    def _of_tier(self, tier: list[int], identifier: int | None) -> int:
        if identifier in (SUM, NET):
            return self._derived(tier, identifier)
        place = None if identifier is None else _PLACES.get(identifier)
        return 0 if place is None else tier[place]

    def _derived(self, registers: Sequence[int], identifier: int | None) -> int:
        forward, reverse = registers[0], registers[1]
        return (forward + reverse) % self.rollover if identifier == SUM else max(0, forward - reverse)

    def state(self) -> RegisterState:
        """For a saved state."""
        return RegisterState(
            tuple(self._total), tuple(tuple(tier) for tier in self._tiers), tuple(self._remainders),
            self._outage_ms, self._outages, tuple(self._pulses), self._errors,
        )  # fmt: skip

    def set_state(self, state: RegisterState) -> None:
        """Take a saved state back; it must come from registers with the same number of tariffs."""
        if len(state.tiers) != self.tier_count or any(len(tier) != len(COUNTED) for tier in (state.total, *state.tiers)):
            raise ConfigurationError(f"a saved state with {len(state.tiers)} tariffs does not fit {self.tier_count}")
        self._total, self._remainders = list(state.total), list(state.remainders)
        self._tiers = [list(tier) for tier in state.tiers]
        self._outage_ms, self._outages, self._errors = state.outage_ms, state.outages, state.errors
        self._pulses = list(state.pulses)
