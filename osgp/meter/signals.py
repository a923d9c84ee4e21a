"""What subsystems of a meter tell each other: facts and wishes, delivered at once to all of them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ..access import NOBODY, Port


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Write an entry into the event log.

    event: 0..4095.    argument: 2 octets.    user_id: 0..65535.    at: instant, s; None: now.
    """

    event: int
    argument: bytes = b"\0\0"
    user_id: int = NOBODY
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A bit of BT03 by name rises (latched until cleared) or its cause is gone (`raised` False: clear it now)."""

    name: str
    raised: bool = True


@dataclass(frozen=True, slots=True)
class SelfRead:
    """Take a billing snapshot now (BT26). When the call returns it is taken."""


@dataclass(frozen=True, slots=True)
class DemandReset:
    """Reset the demand registers now.    reason: code of ET41, 1 is a procedure."""

    reason: int = 1


@dataclass(frozen=True, slots=True)
class DimensionsChanged:
    """Tables have another size or layout: idt_version rises, event 88, alarm dimension_change."""

    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockChanged:
    """The UTC clock was set or moved by a step (not: slewed)."""

    old: datetime.datetime
    new: datetime.datetime


@dataclass(frozen=True, slots=True)
class ClockSlewed:
    """The UTC clock was moved by one small step of an adjustment, s."""

    seconds: int


@dataclass(frozen=True, slots=True)
class TariffSwitched:
    """Another tariff is in force, 0..7."""

    tier: int


@dataclass(frozen=True, slots=True)
class SeasonChanged:
    """Another season is in force, 0..11."""

    season: int


@dataclass(frozen=True, slots=True)
class PendingActivated:
    """A pending copy has become the table."""

    table: str


@dataclass(frozen=True, slots=True)
class LoadSwitched:
    """The contactor has closed or opened the load."""

    connected: bool


@dataclass(frozen=True, slots=True)
class PowerDown:
    """The mains are gone: the meter stops measuring and answering; volatile state is lost."""


@dataclass(frozen=True, slots=True)
class PowerUp:
    """The mains are back.    off_s: how long they were gone by the meter's own clock, at least 0 s."""

    off_s: float


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """A wrong digest, password or handshake at a port."""

    port: Port


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A client logged on at a port (optical port, TLS).    user_id: as given at the logon."""

    port: Port
    user_id: int = NOBODY


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """Its session ended, whoever ended it."""

    port: Port


Signal = (
    LogEntry | Alarm | SelfRead | DemandReset | DimensionsChanged | ClockChanged | ClockSlewed | TariffSwitched
    | SeasonChanged | PendingActivated | LoadSwitched | PowerDown | PowerUp | AuthenticationFailed | SessionOpened
    | SessionClosed
)  # fmt: skip
