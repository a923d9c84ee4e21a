"""What an optical port is told, what stands behind it, and what it tells: configuration, settings, host, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ..access import AccessLevel, Session
from ..errors import ConfigurationError
from ..security.keyring import KeyRing
from ..services import Response
from . import services as c1218
from .link import LinkTiming
from .packet import MAX_PAYLOAD, OVERHEAD


@dataclass(frozen=True, slots=True)
class OpticalConfig:
    """What a port can do.

    Args:
        max_packet_size: largest packet that it takes and sends, 64..8191 octets; grade D.
        max_packets: most packets of a message in either direction, 1..255; grade D.
        baud_codes: rates that it can switch to, see `services.BAUD_RATES`.
        channel_timeout: a session ends after that silence, s; wait (0x70) lengthens it; grade C.
        timing: of the data link.
        lose_first: the first packet of a sleeping port is answered NAK (Gen 2 and 3, which share one UART; grade A).
        identity: octets behind the result of an identification.
    """

    max_packet_size: int = 1024
    max_packets: int = 255
    baud_codes: tuple[int, ...] = tuple(c1218.BAUD_RATES)
    channel_timeout: float = 6.0
    timing: LinkTiming = field(default_factory=LinkTiming)
    lose_first: bool = False
    identity: bytes = c1218.IDENTITY

    def __post_init__(self) -> None:
        if not 64 <= self.max_packet_size <= MAX_PAYLOAD + OVERHEAD:
            raise ConfigurationError(f"max_packet_size must be 64..{MAX_PAYLOAD + OVERHEAD}, got {self.max_packet_size}")
        if not 1 <= self.max_packets <= 255:
            raise ConfigurationError(f"max_packets must be 1..255, got {self.max_packets}")
        if not self.channel_timeout > 0:
            raise ConfigurationError(f"channel_timeout must be above 0 s, got {self.channel_timeout}")
        if unknown := set(self.baud_codes) - set(c1218.BAUD_RATES):
            raise ConfigurationError(f"baud_codes must be of 1..12, got {sorted(unknown)}")


@dataclass(frozen=True, slots=True)
class OpticalSettings:
    """What the meter's tables say about the port.

    Args:
        disabled: it ignores everything.    limited: sessions end after session_limit and the port ignores holdoff.
        session_limit, holdoff: s.    lockout_threshold: failures in a row, 0: no lock-out.    lockout_minutes: how long.
        pk_disabled: the provisioning key opens nothing.
    """

    disabled: bool = False
    limited: bool = True
    session_limit: float = 600.0
    holdoff: float = 300.0
    lockout_threshold: int = 0
    lockout_minutes: int = 0
    pk_disabled: bool = False


class OpticalHost(Protocol):
    """What stands behind the port."""

    def serve(self, pdu: bytes, session: Session, now: float, max_response: int) -> Response:
        """Carry out a table request whose answer has at most `max_response` octets; never raises for what is in it."""
        ...

    def settings(self, now: float) -> OpticalSettings:
        """Settings in force."""
        ...

    def keys(self) -> KeyRing:
        """Its keys; MK, PK and RK are passwords."""
        ...

    def opened(self, user_id: int, now: float) -> None:
        """A client logged on."""
        ...

    def refused(self, user_id: int, now: float) -> None:
        """A password was wrong."""
        ...


class State(Enum):
    """Of the session."""

    BASE = "base"
    ID = "id"
    SESSION = "session"


class Ended(Enum):
    """Why a session ended."""

    LOGOFF = "logoff"
    TERMINATE = "terminate"
    SILENCE = "channel timeout"
    LIMIT = "session limit"
    NEW_CLIENT = "identification in a session"
    LINE = "the other end of the line is gone"
    LINK = "answer not acknowledged"


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """Somebody logged on (`level` open) or gave a password."""

    at: float
    user_id: int
    level: AccessLevel


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over."""

    at: float
    reason: Ended


@dataclass(frozen=True, slots=True)
class PasswordRefused:
    """No key has that password, or the port is locked out."""

    at: float
    user_id: int
    locked_out: bool


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The line goes on with another rate, Bd."""

    at: float
    rate: int


OpticalEvent = SessionOpened | SessionEnded | PasswordRefused | RateChanged
