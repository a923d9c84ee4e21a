"""Which faults a meter can be told to have; see faults.py for what they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ..errors import ConfigurationError


class Fault(StrEnum):
    """What can be switched on."""

    ABSURD_VALUES = "absurd-values"
    COUNTER_JUMPS = "counter-jumps"
    LATE_ANSWERS = "late-answers"
    NO_ANSWER = "no-answer"
    SEQUENCE_JUMPS = "sequence-jumps"


@dataclass(frozen=True, slots=True)
class Faults:
    """Which faults a meter has.

    Args:
        kinds: switched on.    share: of the reads or answers that are hit, 0..1.    delay: s that a late answer waits.
    """

    kinds: frozenset[Fault] = frozenset()
    share: float = 0.2
    delay: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ConfigurationError(f"the share of faults is 0..1, got {self.share}")
        if not 0.0 <= self.delay <= 3600.0:
            raise ConfigurationError(f"the delay of late answers is 0..3600 s, got {self.delay}")

    @classmethod
    def of(cls, names: Iterable[str], share: float = 0.2, delay: float = 2.0) -> Self:
        """By name; ConfigurationError names the ones there are."""
        try:
            return cls(frozenset(Fault(name) for name in names), share, delay)
        except ValueError as error:
            raise ConfigurationError(f"{error}; faults are {', '.join(Fault)}") from None
