"""Demand: mean power over windows of sub-intervals, its maxima in the total and per tariff, cumulative and coincident values."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ..types import StimeDate
from .draw import APPARENT, FORWARD, NO_FLOW, QUADRANT, REVERSE, Flow
from .settings import DemandSettings
from .timekeeping import MS_PER_MINUTE

_INT32_MAX: Final = (1 << 31) - 1
NEVER: Final = StimeDate()


def mean_power(source: int, flow: Flow, duration_ms: int, ratio: int = 1) -> int:
    """Mean W, var or VA of a source over a stretch in which `flow` flowed, rounded down. Unknown sources give 0."""
    forward, reverse = flow[FORWARD], flow[REVERSE]
    match source:
        case 0 | 8:
            amount = forward
        case 1 | 9:
            amount = reverse
        case 2 | 10:
            amount = flow[QUADRANT] + flow[QUADRANT + 1]
        case 3 | 11:
            amount = flow[QUADRANT + 2] + flow[QUADRANT + 3]
        case 6:
            amount = forward + reverse
        case 7:
            amount = max(0, forward - reverse)
        case 20:
            amount = sum(flow[APPARENT : APPARENT + 4])
        case 104 | 105 | 106 | 107 | 108 | 109 | 110 | 111:
            amount = flow[QUADRANT + source % 4]
        case 216 | 217 | 218 | 219:
            amount = flow[APPARENT + source % 4]
        case _:
            amount = 0
    return min(amount * ratio // duration_ms, _INT32_MAX)


@dataclass(slots=True)
class Maximum:
    """What is kept of one demand in the total or in one tariff."""

    value: int = 0
    time: StimeDate = NEVER  # local: grade D
    cumulative: int = 0
    coincidents: list[int] = field(default_factory=list)

    def reset(self) -> None:
        """A demand reset: the maximum goes into the cumulative demand."""
        self.cumulative += self.value
        self.value, self.time = 0, NEVER
        self.coincidents = [0] * len(self.coincidents)


class Demand:
    """The demands of one meter.

    Args:
        settings: sources and interval.    tiers: tariffs.    ratio: of transformers.

    Attributes:
        previous: demands of the last whole window.    maxima: [0] the total, [1 + tariff] the tariffs; each by demand.
        marks: what had flowed in all at the begin of each sub-interval of the window, oldest first.
    """

    def __init__(self, settings: DemandSettings, tiers: int, ratio: int = 1) -> None:
        self.settings, self._ratio = settings, ratio
        self.previous = [0] * len(settings.sources)
        own = [[index for _, index in settings.coincidents].count(number) for number in range(len(settings.sources))]
        self.maxima = [[Maximum(coincidents=[0] * count) for count in own] for _ in range(1 + tiers)]
        self.marks: deque[Flow] = deque(maxlen=settings.multiplier + 1)
        self._octets: dict[int, bytes] = {}  # of blocks as they stand

    @property
    def sub_interval_ms(self) -> int:
        """ms of a sub-interval."""
        return self.settings.sub_interval * MS_PER_MINUTE

    @property
    def window_ms(self) -> int:
        """ms of the whole window."""
        return self.sub_interval_ms * self.settings.multiplier

    def restart(self) -> None:
        """The clock was set: the running window is given up (grade D)."""
        self.marks.clear()

    def close(self, total: Flow, tier: int, local: StimeDate) -> None:
        """A sub-interval ends.    total: what flowed since the meter was first started.    tier: tariff in force until now."""
        self.marks.append(total)
        if len(self.marks) <= self.settings.multiplier:
            return
        self._octets.clear()
        window = self._since(total)
        self.previous = [mean_power(one, window, self.window_ms, self._ratio) for one in self.settings.sources]
        for records in (self.maxima[0], self.maxima[1 + tier]):
            for number, (value, record) in enumerate(zip(self.previous, records, strict=True)):
                if value > record.value:
                    record.value, record.time = value, local
                    record.coincidents = [
                        mean_power(source, window, self.window_ms, self._ratio)
                        for source, index in self.settings.coincidents if index == number
                    ]  # fmt: skip

    def _since(self, total: Flow) -> Flow:
        if not self.marks:
            return NO_FLOW
        return tuple(a - b for a, b in zip(total, self.marks[0], strict=True))

    def present(self, total: Flow) -> list[int]:
        """Demands of the running window as if nothing more came: the mean over the whole window (grade D)."""
        marks = list(self.marks)[-self.settings.multiplier :]
        if not marks:
            return [0] * len(self.settings.sources)
        window = tuple(a - b for a, b in zip(total, marks[0], strict=True))
        return [mean_power(one, window, self.window_ms, self._ratio) for one in self.settings.sources]

    def reset(self) -> None:
        """A demand reset."""
        self._octets.clear()
        for records in self.maxima:
            for record in records:
                record.reset()

    def octets(self, block: int) -> bytes:
        """Demand and coincident records of BT23: block 0 the total, 1 + tariff the tariffs."""
        known = self._octets.get(block)
        if known is not None:
            return known
        demands, coincidents = b"", []
        for record in self.maxima[block]:
            continuous = record.cumulative + record.value
            demands += record.time.encode() + struct.pack("<iii", record.cumulative, continuous, record.value)
        used = [0] * len(self.settings.sources)
        for _, index in self.settings.coincidents:
            coincidents.append(self.maxima[block][index].coincidents[used[index]])
            used[index] += 1
        octets = self._octets[block] = demands + struct.pack(f"<{len(coincidents)}i", *coincidents)
        return octets

    def state(self) -> list[object]:
        """For a saved state."""
        maxima = [
            [(one.value, list(one.time.encode()), one.cumulative, one.coincidents) for one in records] for records in self.maxima
        ]
        return [self.previous, maxima, [list(mark) for mark in self.marks]]

    def set_state(self, state: Sequence[object]) -> None:
        """Take a saved state back. Raises TypeError or ValueError when it does not fit."""
        self._octets.clear()
        previous, maxima, marks = state
        self.previous = list(previous)  # type: ignore[call-overload]
        for records, saved in zip(self.maxima, maxima, strict=True):  # type: ignore[call-overload]
            for record, (value, time, cumulative, coincidents) in zip(records, saved, strict=True):
                record.value, record.time = value, StimeDate.decode(bytes(time))
                record.cumulative, record.coincidents = cumulative, list(coincidents)
        self.marks.extend(tuple(mark) for mark in marks)  # type: ignore[attr-defined]
