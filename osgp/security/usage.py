"""How often a key may be used, and how many commissioning messages a day.

Keys of the AES profile end at their limit: the meter refuses what is sealed with them (`RefusalReason.KEY_EXHAUSTED`), and
clients agree on new ones long before. For the OMAK the guides know a warning and nothing else, and publish no way to renew it:
such a meter warns and goes on (grade D).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import ConfigurationError

MAX_KEY_USAGE: Final = 1_000_000  # ET04.max_key_usage; grade A
AES_KEY_USAGE: Final = 1 << 20  # messages under one AES key; project profile, grade D
USAGE_WARNING: Final = 0.8  # of it: event and alarm "key expiration pending"; grade A
RENEWAL: Final = 3 * MAX_KEY_USAGE // 4  # uses after which a client agrees on new keys: before the meter warns; grade D
FCM_PER_DAY: Final = 100  # challenge and commission messages, ET04.128, cleared at 00:00:00; grade A
DAY: Final = 86_400.0


@dataclass(slots=True)
class KeyUse:
    """Uses of one key against its limit.

    Args:
        limit: uses that it is good for, ET04.max_key_usage.    uses: so far, ET54.
    """

    limit: int = MAX_KEY_USAGE
    uses: int = 0

    def __post_init__(self) -> None:
        if self.limit < 1 or self.uses < 0:
            raise ConfigurationError(f"limit is at least 1 and uses at least 0, got {self.limit} and {self.uses}")

    def use(self) -> bool:
        """Count one; True when that use reached the warning level: the key should be renewed."""
        before, self.uses = self.pending, self.uses + 1
        return self.pending and not before

    @property
    def pending(self) -> bool:
        """Whether the key should be renewed: alarm "key expiration pending"."""
        return self.uses >= USAGE_WARNING * self.limit

    @property
    def exhausted(self) -> bool:
        """Whether the limit is reached."""
        return self.uses >= self.limit

    def renewed(self) -> None:
        """The key was changed."""
        self.uses = 0


@dataclass(slots=True)
class DailyLimit:
    """At most so many messages of a kind from midnight to midnight (UTC of the meter's clock)."""

    limit: int = FCM_PER_DAY
    count: int = 0
    _day: int | None = field(default=None, repr=False)

    def use(self, seconds: float) -> bool:
        """Count one at an instant (s of the meter's UTC clock, any origin that is a midnight); False when there is none left."""
        day = int(seconds // DAY)
        if day != self._day:
            self._day, self.count = day, 0
        if self.count >= self.limit:
            return False
        self.count += 1
        return True
