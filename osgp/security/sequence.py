"""Sequence numbers: replay protection of requests. 32 bits, big endian on the wire, modulo 2^32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..errors import ConfigurationError

SEQUENCE_MODULUS: Final = 1 << 32  # what happens at the wrap is not published: modulo; grade D
SEQUENCE_WINDOW: Final = 8  # how far ahead a number may be: 8 on MEP (grade A), not published for the power line (grade D)


def next_number(number: int, step: int = 1) -> int:
    """`number` + `step`, modulo 2^32."""
    return (number + step) % SEQUENCE_MODULUS


@dataclass(slots=True)
class SequenceWindow:
    """The meter's side: accepts a number 1..`window` above the last one used.

    After a refusal (0x0C) the client is told `last` and goes on with `last + 1`.
    """

    last: int
    window: int = SEQUENCE_WINDOW

    def __post_init__(self) -> None:
        if not 0 <= self.last < SEQUENCE_MODULUS:
            raise ConfigurationError(f"a sequence number is 0..{SEQUENCE_MODULUS - 1}, got {self.last}")
        if not 1 <= self.window < SEQUENCE_MODULUS // 2:
            raise ConfigurationError(f"the sequence window must be 1..{SEQUENCE_MODULUS // 2 - 1}, got {self.window}")

    def accept(self, number: int) -> bool:
        """Take the number when it lies in the window; otherwise nothing changes."""
        if not 1 <= (number - self.last) % SEQUENCE_MODULUS <= self.window:
            return False
        self.last = number
        return True
