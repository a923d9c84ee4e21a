"""Backlog: the node's estimate of how many packets wait on the channel."""

from __future__ import annotations

from .statistics import Statistics
from .timing import BacklogLimits


class Backlog:
    """A counter clamped to the standard's range 1..63; reaching past the top is counted.

    Attributes:
        value: estimated packets waiting, used as the factor of the randomizing window.
    """

    def __init__(self, limits: BacklogLimits, statistics: Statistics) -> None:
        self._limits = limits
        self._statistics = statistics
        self.value = limits.minimum

    def add(self, packets: int) -> None:
        """`packets` more are expected."""
        self.value += packets
        if self.value > self._limits.maximum:
            self.value = self._limits.maximum
            self._statistics.backlog_overflows += 1

    def subtract(self, packets: int = 1) -> None:
        """`packets` fewer are expected."""
        self.value = max(self._limits.minimum, self.value - packets)

    def packet_on_line(self, delta_backlog: int) -> None:
        """A good packet went by, ours or another's: one less, unless it announces more."""
        if delta_backlog:
            self.add(delta_backlog)
        else:
            self.subtract()

    def reset(self) -> None:
        """As after power-up."""
        self.value = self._limits.minimum
