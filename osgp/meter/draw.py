"""What flows through the meter between two instants: exact sums of a load model's pieces, as whole W times ms.

    load model: pieces of a day --> rates of each piece --> running sums of the day --> between(start, end)
                                --> columns(start, end): many pieces at once, for looks ahead

All quantities are integers, so that nothing drifts and every way of cutting a stretch gives the same sum.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import ConfigurationError
from .load import DAY, LoadModel, Power

MS: Final = 1000
DAY_MS: Final = DAY * MS
PHASES: Final = 3

# Positions in a flow. Directions and quadrants are those of the sum over the phases.
FORWARD: Final = 0  # W
REVERSE: Final = 1
QUADRANT: Final = 2  # 2..5: var in quadrant 1..4
APPARENT: Final = 6  # 6..9: VA in quadrant 1..4
PHASE_FORWARD: Final = 10  # 10..12: W
PHASE_REVERSE: Final = 13
CURRENT: Final = 16  # 16..18: mA at nominal voltage
SIGNED_CURRENT: Final = 19  # 19..21: the same, negative while the phase feeds in
SIZE: Final = 22
ALL_ON: Final = 0b111  # phases
FEW: Final = 8  # pieces that are summed up one by one
CATCH_UP: Final = 48  # pieces summed up beside
DAYS_KEPT: Final = 3  # a look back and ahead from anywhere in a day touches three
NO_FLOW: Final = (0,) * SIZE

Flow = tuple[int, ...]


def quadrant(active: int, reactive: int) -> int:
    """0..3 for quadrant 1..4: 1 draws inductive, 2 feeds in inductive, 3 feeds in capacitive, 4 draws capacitive."""
    if active >= 0:
        return 0 if reactive >= 0 else 3
    return 1 if reactive >= 0 else 2


def rates(power: Power, nominal_voltage: float, phases_on: int = 7) -> Flow:
    """What flows each ms at a constant power.    phases_on: bit k is phase k."""
    flow = [0] * SIZE
    total_p = total_q = total_s = 0
    for phase, (active, reactive) in enumerate(zip(power.active, power.reactive, strict=True)):
        if not phases_on >> phase & 1:
            continue
        p, q = round(active), round(reactive)
        s = round(math.hypot(p, q))
        total_p, total_q, total_s = total_p + p, total_q + q, total_s + s
        flow[(PHASE_FORWARD if p >= 0 else PHASE_REVERSE) + phase] = abs(p)
        current = round(1000 * s / nominal_voltage)
        flow[CURRENT + phase] = current
        flow[SIGNED_CURRENT + phase] = current if p >= 0 else -current
    flow[FORWARD if total_p >= 0 else REVERSE] = abs(total_p)
    place = quadrant(total_p, total_q)
    flow[QUADRANT + place] = abs(total_q)
    flow[APPARENT + place] = total_s
    return tuple(flow)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of constant power; ms since 00:00 of day 0."""

    start_ms: int
    end_ms: int
    power: Power


@dataclass(frozen=True, slots=True)
class Columns:
    """Pieces that follow each other, a column for each quantity: a look over a day costs some 100 us instead of milliseconds.

    Attributes:
        bounds: ms at which each piece begins, and at the end when the last one ends.
        active, reactive: W and var of each piece by phase, of phases that are off too.    mask: phases that are on, bit k is k.
    """

    bounds: list[int]
    active: tuple[array[int], ...]
    reactive: tuple[array[int], ...]
    mask: int

    def watts(self) -> Sequence[int]:
        """Sum over the phases that are on, of each piece."""
        on = [column for phase, column in enumerate(self.active) if self.mask >> phase & 1]
        if len(on) == 1:
            return on[0]
        return list(map(sum, zip(*on, strict=True))) if on else [0] * (len(self.bounds) - 1)

    def drawn(self, forward: int, reverse: int) -> Sequence[int]:
        """As `watts`, with the signs at which power that is drawn and power that is fed in count."""
        return [forward * watts if watts > 0 else -reverse * watts for watts in self.watts()]

    def current_ma(self, phase: int, nominal_voltage: float) -> Sequence[float]:
        """mA of a phase, of each piece; 0 when the phase is off."""
        if not self.mask >> phase & 1:
            return [0.0] * (len(self.bounds) - 1)
        apparent = map(math.hypot, self.active[phase], self.reactive[phase])
        return [1000 * one / nominal_voltage for one in apparent]

    def fed_in_ma(self, phase: int, nominal_voltage: float) -> Sequence[float]:
        """mA of the active power that a phase feeds in, of each piece; negative while it draws, 0 when it is off."""
        if not self.mask >> phase & 1:
            return [0.0] * (len(self.bounds) - 1)
        return [-1000 * one / nominal_voltage for one in self.active[phase]]


@dataclass(frozen=True, slots=True)
class _Day:
    """A day in a few octets per piece: a thousand meters keep some of them each."""

    starts: array[int]  # ms of the day
    powers: array[int]  # W of each phase, then var of each phase, per piece
    # SIZE per piece: what flowed before it, as far as anybody has asked; at the end once more for the whole day.
    sums: array[int]

    def power(self, place: int, phases: int) -> Power:
        at = 2 * phases * place
        return Power(tuple(self.powers[at : at + phases]), tuple(self.powers[at + phases : at + 2 * phases]))

    def end(self, place: int) -> int:
        return self.starts[place + 1] if place + 1 < len(self.starts) else DAY_MS


class Draw:
    """Sums over a load model.

    Args:
        load: the model.    nominal_voltage: V, for currents.
    """

    def __init__(self, load: LoadModel, nominal_voltage: float = 230.0) -> None:
        if not 1 <= load.phases <= PHASES:
            raise ConfigurationError(f"a load has 1..{PHASES} phases, got {load.phases}")
        self.load = load
        self._voltage = nominal_voltage
        self._days: dict[int, _Day] = {}

    def between(self, start_ms: int, end_ms: int) -> Flow:
        """What flows from one instant to another, with all phases on."""
        if start_ms < 0:
            raise ConfigurationError(f"a load model starts at 0 ms, got {start_ms}")
        if end_ms <= start_ms:
            return NO_FLOW
        first, last = start_ms // DAY_MS, end_ms // DAY_MS
        if first == last and (few := self._few(first, start_ms - first * DAY_MS, end_ms - first * DAY_MS)) is not None:
            return few
        flow = [-one for one in self._until(first, start_ms - first * DAY_MS)]
        for number in range(first, last):
            day = self._day(number)
            self._sum_up(day, len(day.starts))
            flow = [a + b for a, b in zip(flow, day.sums[-SIZE:], strict=True)]
        return tuple(a + b for a, b in zip(flow, self._until(last, end_ms - last * DAY_MS), strict=True))

    def _few(self, number: int, start_ms: int, end_ms: int) -> Flow | None:
        """The flow of a few pieces of a day whose sums are not there yet; None: they are, or there are too many.

        A meter that is switched on in the evening would have to sum up the day first; it catches up a little at a time.
        """
        day = self._day(number)
        first, last = bisect_right(day.starts, start_ms) - 1, bisect_left(day.starts, end_ms)
        done = len(day.sums) // SIZE - 1
        if last <= done or last - first > FEW:
            return None
        self._sum_up(day, min(last, done + CATCH_UP))
        total = [0] * SIZE
        for place in range(first, last):
            duration = min(end_ms, day.end(place)) - max(start_ms, day.starts[place])
            for at, rate in enumerate(flow_of(day.power(place, self.load.phases), self._voltage, ALL_ON)):
                total[at] += rate * duration
        return tuple(total)

    def pieces(self, start_ms: int, end_ms: int) -> Iterator[Piece]:
        """Stretches of constant power from one instant to another, cut at both ends."""
        number = start_ms // DAY_MS
        while number * DAY_MS < end_ms:
            base, day = number * DAY_MS, self._day(number)
            place = max(0, bisect_right(day.starts, start_ms - base) - 1)
            while place < len(day.starts) and base + day.starts[place] < end_ms:
                begin, end = base + day.starts[place], base + day.end(place)
                yield Piece(max(begin, start_ms), min(end, end_ms), day.power(place, self.load.phases))
                place += 1
            number += 1

    def columns(self, start_ms: int, end_ms: int, shift_ms: int = 0, mask: int = ALL_ON) -> Iterator[Columns]:
        """As `pieces`, a day at a time in columns. `shift_ms` is taken off the instants; `mask` is handed on."""
        number, width = start_ms // DAY_MS, 2 * self.load.phases
        while number * DAY_MS < end_ms:
            base, day = number * DAY_MS, self._day(number)
            first = max(0, bisect_right(day.starts, start_ms - base) - 1)
            last = bisect_left(day.starts, end_ms - base)
            bounds = [base - shift_ms + start for start in day.starts[first:last]]
            bounds[0] = max(bounds[0], start_ms - shift_ms)
            bounds.append(min(base + day.end(last - 1), end_ms) - shift_ms)
            quantities = [day.powers[width * first + place : width * last : width] for place in range(width)]
            yield Columns(bounds, tuple(quantities[: width // 2]), tuple(quantities[width // 2 :]), mask)
            number += 1

    def masked(self, start_ms: int, end_ms: int, phases_on: int) -> Flow:
        """What flows while only some phases are on."""
        flow = [0] * SIZE
        for piece in self.pieces(start_ms, end_ms):
            duration = piece.end_ms - piece.start_ms
            for place, rate in enumerate(flow_of(piece.power, self._voltage, phases_on)):
                flow[place] += rate * duration
        return tuple(flow)

    def power(self, at_ms: int) -> Power:
        """Power at an instant."""
        number = at_ms // DAY_MS
        day = self._day(number)
        return day.power(bisect_right(day.starts, at_ms - number * DAY_MS) - 1, self.load.phases)

    def _until(self, number: int, ms: int) -> Flow:
        if not ms:
            return NO_FLOW
        day = self._day(number)
        place = bisect_right(day.starts, ms) - 1
        self._sum_up(day, place + 1)
        at = place * SIZE
        done, then = day.sums[at : at + SIZE], day.sums[at + SIZE : at + 2 * SIZE]
        into, length = ms - day.starts[place], day.end(place) - day.starts[place]
        return tuple([one + (other - one) // length * into for one, other in zip(done, then, strict=True)])

    def _day(self, number: int) -> _Day:
        if number not in self._days:
            if len(self._days) >= DAYS_KEPT:
                self._days.pop(min(self._days))
            self._days[number] = self._build(number)
        return self._days[number]

    def _build(self, number: int) -> _Day:
        pieces = self.load.day(number)
        day = _Day(array("q", [second * MS for second, _ in pieces]), array("i"), array("q", NO_FLOW))
        for _, power in pieces:
            day.powers.extend([*map(round, power.active), *map(round, power.reactive)])
        return day

    def _sum_up(self, day: _Day, count: int) -> None:
        """Bring the sums up to the first `count` pieces of a day: a little at a time, as the day goes on."""
        done = len(day.sums) // SIZE - 1
        if done >= count:
            return
        total: Flow = tuple(day.sums[-SIZE:])
        for place in range(done, count):
            duration = day.end(place) - day.starts[place]
            rate = flow_of(day.power(place, self.load.phases), self._voltage, ALL_ON)
            total = tuple([one + each * duration for one, each in zip(total, rate, strict=True)])
            day.sums.extend(total)


flow_of = lru_cache(maxsize=4096)(rates)  # homes take the same powers again and again
