"""Who asks: the port a request came in by and the key that opened it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .errors import ConfigurationError


class Port(StrEnum):
    """Where a request came in."""

    PLC = "plc"
    OPTICAL = "optical"
    MEP1 = "mep1"
    MEP2 = "mep2"
    LOCAL = "local"  # the simulation itself: a console, a test, the meter's own buttons


class AccessLevel(StrEnum):
    """Which key opened the request."""

    OPEN = "open"  # no key
    MBK = "MBK"  # MEP basic key
    MAK = "MAK"  # MEP advanced key
    RK = "RK"  # optical, read only
    PK = "PK"  # optical, provisioning
    MK = "MK"  # optical, master
    OMAK = "OMAK"  # concentrator on the power line


# Which keys a port knows. LOCAL may take any role.
LEVELS: Final = {
    Port.PLC: frozenset((AccessLevel.OPEN, AccessLevel.OMAK)),
    Port.OPTICAL: frozenset((AccessLevel.OPEN, AccessLevel.RK, AccessLevel.PK, AccessLevel.MK)),
    Port.MEP1: frozenset((AccessLevel.OPEN, AccessLevel.MBK, AccessLevel.MAK)),
    Port.MEP2: frozenset((AccessLevel.OPEN, AccessLevel.MBK, AccessLevel.MAK)),
    Port.LOCAL: frozenset(AccessLevel),
}
# User ids of event log entries for ports that know no logon; grade A. LOCAL: "nobody".
USER_IDS: Final = {Port.PLC: 0xFFFE, Port.MEP1: 0xFFFD, Port.MEP2: 0xFFFD}
NOBODY: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Session:
    """What a request is allowed to do and in whose name; it carries no secret.

    Args:
        level: the key that the port has verified. The rights of the request are exactly those of this level.
        port: where it came in.
        user_id: 0..65535 for event log entries: the logon id of an optical session, else None for the id of the port.
        client: number of the client at that port, 0..65535: 0 unless the port tells several apart (a TLS identity).
    """

    level: AccessLevel
    port: Port
    user_id: int | None = None
    client: int = 0

    def __post_init__(self) -> None:
        if self.level not in LEVELS[self.port]:
            raise ConfigurationError(f"port {self.port} knows the levels {sorted(LEVELS[self.port])}, got {self.level}")
        if self.user_id is not None and not 0 <= self.user_id <= 0xFFFF:
            raise ConfigurationError(f"user_id must be 0..65535, got {self.user_id}")
        if not 0 <= self.client <= 0xFFFF:
            raise ConfigurationError(f"client must be 0..65535, got {self.client}")

    @property
    def user(self) -> int:
        """User id for log entries, 0..65535."""
        return USER_IDS.get(self.port, NOBODY) if self.user_id is None else self.user_id


CONCENTRATOR: Final = Session(AccessLevel.OMAK, Port.PLC)
