"""LPDU: the frame as exchanged with the physical layer, without its CRC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from .address import check_range
from .errors import TruncatedPdu
from .npdu import Npdu

MIN_LPDU: Final = 6  # octets without the CRC; the smallest valid frame has 8 with it (grade B)
MAX_DELTA_BACKLOG: Final = 63


@dataclass(frozen=True, slots=True)
class LpduHeader:
    """First octet of every frame.                    ISO/IEC 14908-1, MAC sublayer, clause unverified

        bit  7   6    5..0
             P   ALT  DELTA_BACKLOG

    P: priority frame.  ALT: sent on the alternate path.  DELTA_BACKLOG: frames this one will cause, 0..63.
    """

    priority: bool = False
    alt_path: bool = False
    delta_backlog: int = 0

    def __post_init__(self) -> None:
        check_range("delta_backlog", self.delta_backlog, 0, MAX_DELTA_BACKLOG)

    def encode(self) -> bytes:
        """One octet."""
        return bytes([self.priority << 7 | self.alt_path << 6 | self.delta_backlog])

    @classmethod
    def decode(cls, octets: bytes) -> LpduHeader:
        """Read the first octet."""
        if not octets:
            raise TruncatedPdu("LPDU header needs 1 octet, got 0")
        return _HEADERS[octets[0]]


_HEADERS: Final = tuple(LpduHeader(bool(octet & 0x80), bool(octet & 0x40), octet & 0x3F) for octet in range(256))


@dataclass(frozen=True, slots=True)
class Lpdu:
    """Link header and NPDU; the CRC belongs to whoever drives the physical layer."""

    header: LpduHeader
    npdu: Npdu

    def encode(self) -> bytes:
        """Header, then NPDU."""
        return self.header.encode() + self.npdu.encode()

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Decode every layer of a frame without CRC; raises `DecodeError`."""
        if len(octets) < MIN_LPDU:
            raise TruncatedPdu(f"LPDU needs {MIN_LPDU} octets, got {len(octets)}")
        return cls(LpduHeader.decode(octets), Npdu.decode(octets[1:]))


decode_lpdu: Final = lru_cache(1024)(Lpdu.decode)
"""`Lpdu.decode` for frames that are soon seen again: every node on a line hears the same one, and retries repeat it."""
