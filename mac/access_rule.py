"""The access rule of the C band (EN 50065-1 clause 5): a gate in front of the start of a frame, apart from the MAC's own times.

A device may start only after the band was free for an interval that it draws anew on each occasion, and not sooner than a
pause after its own last transmission. The rule does not exist on the A band.

That the rule exists for 125..140 kHz, and the detector (86 dBuV, 4 ms), are grade C; the times are grade D: `spec/channels.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class AccessRuleTimes:
    """Figures of the rule, s.

    Args:
        shortest_free, longest_free: limits of the drawn interval.    steps: different values it may take, at least 2.
        own_pause: silence of a device after its own transmission.
        detection: a carrier shorter than this does not count as use of the band.
    """

    shortest_free: float
    longest_free: float
    steps: int
    own_pause: float
    detection: float

    def __post_init__(self) -> None:
        if not 0 <= self.shortest_free <= self.longest_free or self.steps < 2:
            raise ConfigurationError("access rule: 0 <= shortest_free <= longest_free and 2 steps or more are needed")


class AccessRule:
    """When the rule opens for one device.

    Args:
        times: figures of the rule.
        rng: draws the intervals.
        started_at: instant of power-up; the band is taken for free from then on.
    """

    def __init__(self, times: AccessRuleTimes, rng: Random, started_at: float = 0.0) -> None:
        self._times = times
        self._rng = rng
        self._busy_from: float | None = None
        self._opens_at = started_at
        self._band_is_free(started_at)

    def opens_at(self) -> float:
        """Earliest start of a frame, s, if the band stays free."""
        return self._opens_at

    def on_channel(self, busy: bool, now: float) -> None:
        """Carrier sense."""
        if busy:
            self._busy_from = now
        elif self._busy_from is not None:
            if now - self._busy_from >= self._times.detection:
                self._band_is_free(now)
            self._busy_from = None

    def own_frame_ended(self, now: float) -> None:
        """Our own transmission is over."""
        self._band_is_free(now)
        self._opens_at = max(self._opens_at, now + self._times.own_pause)

    def _band_is_free(self, now: float) -> None:
        times = self._times
        step = (times.longest_free - times.shortest_free) / (times.steps - 1)
        self._opens_at = max(self._opens_at, now + times.shortest_free + step * self._rng.randrange(times.steps))
