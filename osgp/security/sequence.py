"""Sequence numbers: replay protection of requests. 32 bits, big endian on the wire, modulo 2^32."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import ConfigurationError

SEQUENCE_MODULUS: Final = 1 << 32  # what happens at the wrap is not published: modulo; grade D
SEQUENCE_WINDOW: Final = 8  # how far ahead a number may be: 8 on MEP (grade A), not published for the power line (grade D)
IDT_CHANGE_STEP: Final = 25  # what a meter adds when its dimensions change, so that clients read them again; grade A
_TAGS_KEPT: Final = 16  # requests that may share a number; more than any client sends


def next_number(number: int, step: int = 1) -> int:
    """`number` + `step`, modulo 2^32."""
    return (number + step) % SEQUENCE_MODULUS


@dataclass(slots=True)
class SequenceWindow:
    """The meter's side: accepts a number 1..`window` above the last one used.

    After a refusal (0x0C) the client is told `last` and goes on with `last` + 1. Real MEP clients send `last` itself: with
    `resumes` it is accepted then, too, unless a request with the same digest was accepted under it before, which is what a
    replay would be. Such a request leaves `last` as it is.

    Args:
        last: last number used.    window: how far ahead, in numbers.
        resumes: accept `last` after `refused()`. Not where a number must never serve twice (a nonce).
    """

    last: int
    window: int = SEQUENCE_WINDOW
    resumes: bool = False
    _refused: bool = field(default=False, repr=False)
    _tags: set[bytes] = field(default_factory=set, repr=False)  # of the requests accepted under `last`

    def __post_init__(self) -> None:
        if not 0 <= self.last < SEQUENCE_MODULUS:
            raise ConfigurationError(f"a sequence number is 0..{SEQUENCE_MODULUS - 1}, got {self.last}")
        if not 1 <= self.window < SEQUENCE_MODULUS // 2:
            raise ConfigurationError(f"the sequence window must be 1..{SEQUENCE_MODULUS // 2 - 1}, got {self.window}")

    def accept(self, number: int, tag: bytes = b"") -> bool:
        """Take the number when it lies in the window; otherwise nothing changes. `tag`: digest of the request."""
        ahead = (number - self.last) % SEQUENCE_MODULUS
        if 1 <= ahead <= self.window:
            self.last = number
            self._tags.clear()
        elif not (ahead == 0 and self.resumes and self._refused and tag not in self._tags and len(self._tags) < _TAGS_KEPT):
            return False
        self._refused = False
        self._tags.add(tag)
        return True

    def refused(self) -> int:
        """The client was told 0x0C: the number that goes with it."""
        self._refused = True
        return self.last

    def skip(self, step: int = IDT_CHANGE_STEP) -> None:
        """Jump ahead, so that every client is refused once and learns the new number."""
        self.last = next_number(self.last, step)
        self._tags.clear()
