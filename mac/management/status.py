"""Network diagnostics: status, counters, transceiver registers, phase and version of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from ..errors import MalformedPdu
from ..message_codes import (
    COMPUTE_PHASE,
    FULL_VERSION,
    QUERY_STATUS,
    QUERY_STATUS_FLEX,
    QUERY_TRANSCEIVER_STATUS,
    SIGNAL_STRENGTH,
)
from .request import PlainRequest


class QueryStatus(PlainRequest):
    """51: ask for a `StatusReport`."""

    __slots__ = ()
    CODE = QUERY_STATUS


class ClearStatus(PlainRequest):
    """53: set the counters, the reset cause and the error log to zero."""

    __slots__ = ()
    CODE = 0x53


class QueryTransceiverStatus(PlainRequest):
    """54: ask how this very request was received (`Reception`)."""

    __slots__ = ()
    CODE = QUERY_TRANSCEIVER_STATUS


class QueryStatusFlex(PlainRequest):
    """56: as Query Status, but answered from source 0/0."""

    __slots__ = ()
    CODE = QUERY_STATUS_FLEX


@dataclass(frozen=True, slots=True)
class QuerySignalStrength:
    """57: bidirectional signal strength, answered with a `SignalStrengthReport`.

        octet 0  57
        optional: flags(8)      bit 0: answer attenuated

    `plain` leaves the flags out, which means 0.
    """

    CODE: ClassVar[int] = SIGNAL_STRENGTH

    attenuate: bool = False
    plain: bool = True

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE]) if self.plain and not self.attenuate else bytes([self.CODE, self.attenuate])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; unused flag bits are ignored."""
        if len(apdu) > 2:
            raise MalformedPdu(f"signal strength has at most 2 octets, got {len(apdu)}")
        return cls(bool(apdu[1] & 1), plain=False) if len(apdu) == 2 else cls()


class ComputePhase(PlainRequest):
    """58: ask for a `PhaseReport`, on which mains phase the node sits."""

    __slots__ = ()
    CODE = COMPUTE_PHASE


class GetFullVersion(PlainRequest):
    """59: ask for a `VersionReport`."""

    __slots__ = ()
    CODE = FULL_VERSION
