"""How much of the line may be looked at again, so that a receiver keeps up with whatever is on it."""

from .filters import SAMPLES_PER_BIT


class Allowance:
    """Bits of packets that may be looked at: so many for each bit time that passes on the line, some of them saved up.

    It counts the line's time, not the processor's, so that the same samples give the same packets on every machine.

    Args:
        per_bit: bits for each bit time. most: bits that are saved up at most; a new allowance has them.
    """

    def __init__(self, per_bit: float, most: float) -> None:
        self._per_bit, self._most = per_bit, most
        self.reset()

    def reset(self, first: int = 0) -> None:
        """First-day state; the line is at narrow sample `first`."""
        self._counted, self._left = first, self._most

    def go_on(self, now: int) -> None:
        """The line has come to narrow sample `now`; one that has been counted before changes nothing."""
        passed = max(0, now - self._counted)
        self._counted += passed
        self._left = min(self._left + self._per_bit * passed / SAMPLES_PER_BIT, self._most)

    def affords(self, bits: int) -> bool:
        """Whether so many bits may be looked at."""
        return bits <= self._left

    def spend(self, bits: int) -> None:
        """So many bits are looked at."""
        self._left -= bits

    def give_back(self, bits: int) -> None:
        """That was worth it: it does not count."""
        self._left = min(self._left + bits, self._most)
