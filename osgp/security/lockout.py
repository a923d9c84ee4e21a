"""Lock-out of a port after failed authentications in a row: ET55.20 to ET55.23."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from ..errors import ConfigurationError

_STATE: Final = struct.Struct(">HId")
STATE_OCTETS: Final = _STATE.size


@dataclass(slots=True)
class Lockout:
    """Counts failures in a row at one port.

    Only a wrong digest, tag or password counts; a stale sequence number does not, so that requests queued by a client that lost
    its number do not shut it out. The guides leave open what a locked port says: here it refuses everything for
    authentication and looks at nothing (grade D).

    Args:
        threshold: failures in a row that lock the port, 0..255; 0 never does (the default of ET55).
        minutes: how long, 0..255.
    """

    threshold: int = 0
    minutes: int = 0
    failures: int = 0
    lockouts: int = 0
    _until: float = field(default=float("-inf"), repr=False)

    def __post_init__(self) -> None:
        if not (0 <= self.threshold <= 255 and 0 <= self.minutes <= 255):
            raise ConfigurationError(f"threshold and minutes are 0..255, got {self.threshold} and {self.minutes}")

    def locked(self, now: float) -> bool:
        """Whether the port is shut at that instant (s)."""
        return now < self._until

    def failed(self, now: float) -> bool:
        """An authentication failed; True when that shut the port."""
        self.failures += 1
        if not self.threshold or self.failures < self.threshold:
            return False
        self.failures = 0
        self.lockouts += 1
        self._until = now + 60.0 * self.minutes
        return True

    def passed(self) -> None:
        """An authentication succeeded."""
        self.failures = 0

    def state(self) -> bytes:
        """What must survive a restart: a port is not opened by switching the meter off and on."""
        return _STATE.pack(min(self.failures, 0xFFFF), self.lockouts & 0xFFFFFFFF, self._until)

    def restore(self, octets: bytes) -> None:
        """Take it back; octets of another size change nothing."""
        if len(octets) == _STATE.size:
            self.failures, self.lockouts, self._until = _STATE.unpack(octets)

    def override(self) -> None:
        """Open the port again (alarm "access lockout override")."""
        self.failures, self._until = 0, float("-inf")
