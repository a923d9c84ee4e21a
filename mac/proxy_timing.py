"""Times of enhanced proxy repeating: how much longer a repeater waits for its last try, and the source's own timers.

All stations of a chain start almost together. With equal timers all would give up together, and the failure that the
last one reports would find nobody who still waits for it. So every repeater waits longer after its last try, the more
the nearer it stands to the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from .address import check_range
from .proxy_message import MAX_HOPS
from .timers import MAX_TIMER_CODE, transmit_time

LONG_TIMER_OFFSET: Final = 16  # a long timer's code counts from here (grade B, L)
MAX_FRAME_TIME: Final = 0.2  # s, of one frame of a chain with its access on an A-band line (grade D)

# Wait added after the last try, by the code of the repeaters' timer (grade L for codes 3, 8 and long, else B).
_FIXED_WAIT: Final = 0.256  # s, codes 0..7
_WAIT_PER_HOP: Final = 0.256  # s for each hop still to come after the next one, codes 8 and 9
_LONG_WAIT_PER_HOP: Final = 0.512  # s, codes 10..15 and long timers
_FIRST_CODE_PER_HOP: Final = 8
_FIRST_LONG_CODE: Final = 10


def hop_time(timer_code: int, long_timer: bool = False) -> float:
    """Transmit timer of a repeater, s; timer_code 0..15."""
    check_range("timer_code", timer_code, 0, MAX_TIMER_CODE)
    return transmit_time(timer_code + LONG_TIMER_OFFSET if long_timer else timer_code)


def last_wait(timer_code: int, long_timer: bool, count: int) -> float:
    """Wait in s added after a repeater's last try.

    Args:
        timer_code: 0..15.    long_timer: its long meaning.
        count: hops still to come after the next one, that is the count in the forwarded header.
    """
    if long_timer or timer_code >= _FIRST_LONG_CODE:
        return _LONG_WAIT_PER_HOP * count
    if timer_code >= _FIRST_CODE_PER_HOP:
        return _WAIT_PER_HOP * count
    return _FIXED_WAIT


@dataclass(frozen=True, slots=True)
class ProxyTiming:
    """Retries and timers of all parts of a chain.

    Args:
        hop_retries, hop_timer_code, long_timer: of every repeater.
        target_retries, target_timer_code: of the agent towards the target.
        source_retries: of the source towards the first station.    source_time: its transmit timer, s.
        source_last_wait: added after its last try, s.
    """

    hop_retries: int
    hop_timer_code: int
    long_timer: bool
    target_retries: int
    target_timer_code: int
    source_retries: int
    source_time: float
    source_last_wait: float = 0.0

    def __post_init__(self) -> None:
        for name in ("hop_retries", "hop_timer_code", "target_retries", "target_timer_code", "source_retries"):
            check_range(name, getattr(self, name), 0, 15)

    @classmethod
    def for_count(cls, count: int, frame_time: float = MAX_FRAME_TIME) -> Self:
        """Rule of thumb for `count` repeaters before the agent, 0..15 (grade D).

            count   repeaters             agent           source
            0       -                     3 x 768 ms      4 x 768 ms
            1, 2    4 x 768 ms            3 x 768 ms      3 x 4 s, or longer
            3..     3 x 4096 ms (long)    4 x 768 ms      2 x 12 s, or longer

        From one repeater on, each of the source's waits outlasts all that the first repeater may do (see
        `repeater_time`), so that a failure anywhere behind it still arrives. `frame_time`: longest time of one frame
        with its access to the line, s.
        """
        check_range("count", count, 0, MAX_HOPS)
        if count == 0:
            return cls(0, 0, False, 2, 11, 3, transmit_time(11), 2 * frame_time)
        if count < _FIRST_COUNT_WITH_LONG_TIMERS:
            timing, least, retries = cls(3, 11, False, 2, 11, 2, 0.0), 4.0, 2
        else:
            timing, least, retries = cls(2, 0, True, 3, 11, 1, 0.0), 12.0, 1
        wait = max(least, timing.repeater_time(count - 1, frame_time) + 2 * frame_time)
        return cls(
            timing.hop_retries,
            timing.hop_timer_code,
            timing.long_timer,
            timing.target_retries,
            timing.target_timer_code,
            retries,
            wait,
        )

    @classmethod
    def for_lossy_line(cls, count: int, frame_time: float = MAX_FRAME_TIME) -> Self:
        """More and shorter tries than the rule of thumb, for lines that lose more than a few frames in a hundred.

        Source and repeaters try 8 times, 1536 ms apart, as long in all as three tries of the long timer. A lost frame
        costs 1.5 s instead of 4, so that several losses fit into the time that the stations before allow: with 8
        repeaters and 10 % loss 98 of 100 messages arrive instead of 74, in 6 s instead of 10, at the price of a third
        more frames (`benchmarks/repeating.py`; our choice, grade D). All stations need a receive timer of code 15.
        """
        check_range("count", count, 0, MAX_HOPS)
        code, retries = 13, 7
        return cls(retries, code, False, 3, 11, retries, transmit_time(code), last_wait(code, False, count) + 2 * frame_time)

    @classmethod
    def for_copies(cls) -> Self:
        """For messages that nobody acknowledges: three copies, 192 ms apart, on every link (grade D)."""
        return cls(2, 7, False, 2, 7, 2, transmit_time(7))

    def repeater_time(self, count: int, frame_time: float) -> float:
        """Longest time in s that a repeater spends on its next hop; `count`: see `last_wait`."""
        wait = hop_time(self.hop_timer_code, self.long_timer)
        return (self.hop_retries + 1) * (wait + frame_time) + last_wait(self.hop_timer_code, self.long_timer, count)

    def agent_time(self, frame_time: float) -> float:
        """Longest time in s that the agent spends on its target."""
        return (self.target_retries + 1) * (transmit_time(self.target_timer_code) + frame_time)

    def source_limit(self, frame_time: float) -> float:
        """Longest time in s until the source knows the outcome."""
        return (self.source_retries + 1) * (self.source_time + frame_time) + self.source_last_wait


_FIRST_COUNT_WITH_LONG_TIMERS: Final = 3
