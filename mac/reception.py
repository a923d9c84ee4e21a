"""How a frame was received, in the form of a power-line transceiver's status registers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from .errors import TruncatedPdu

# Registers 4 and 5, one per carrier (grade B): low nibble signal strength, high nibble margin.
_STRENGTH_STEP_DB: Final = 6
_STRENGTH_ZERO_DB: Final = -84
_MARGIN_STEP_DB: Final = 3
_MARGIN_ZERO_DB: Final = -6
_UNKNOWN_MARGIN: Final = 15  # also stands for 39 dB and more
_ONE_PACKET: Final = 1 << 2  # register 3: exactly one packet since the last reading
_ON_ALTERNATE: Final = 1 << 3  # register 3: the last packet came on the secondary carrier


def _nibble(level_db: float, zero_db: int, step_db: int, top: int) -> int:
    """Step nearest below the level, held within the scale, as a register that saturates does."""
    return min(top, max(0, math.floor((level_db - zero_db) / step_db)))


@dataclass(frozen=True, slots=True)
class Reception:
    """Quality of the last reception.                         transceiver status registers 1..7, grade B

        octet 2  bit 3 secondary carrier, bit 2 one packet
              3  quality on the primary carrier:   margin(4) strength(4)
              4  quality on the secondary carrier: margin(4) strength(4)
        the others are 0 here

    Args:
        margin_db: signal margin, -6..39 dB in steps of 3; None when unknown.
        strength_db: signal strength, -84..6 dB in steps of 6.
        alternate: received on the secondary carrier.
    """

    LENGTH: ClassVar[int] = 7

    margin_db: float | None = None
    strength_db: float = _STRENGTH_ZERO_DB
    alternate: bool = False

    def encode(self) -> bytes:
        """Seven register octets."""
        margin = _UNKNOWN_MARGIN
        if self.margin_db is not None:
            margin = _nibble(self.margin_db, _MARGIN_ZERO_DB, _MARGIN_STEP_DB, _UNKNOWN_MARGIN)
        quality = margin << 4 | _nibble(self.strength_db, _STRENGTH_ZERO_DB, _STRENGTH_STEP_DB, 15)
        other = _UNKNOWN_MARGIN << 4
        carriers = (other, quality) if self.alternate else (quality, other)
        return bytes([0, 0, _ONE_PACKET | (_ON_ALTERNATE if self.alternate else 0), *carriers, 0, 0])

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From seven register octets."""
        if len(octets) != cls.LENGTH:
            raise TruncatedPdu(f"transceiver status needs {cls.LENGTH} octets, got {len(octets)}")
        alternate = bool(octets[2] & _ON_ALTERNATE)
        quality = octets[4 if alternate else 3]
        margin = quality >> 4
        margin_db = None if margin == _UNKNOWN_MARGIN else float(_MARGIN_ZERO_DB + margin * _MARGIN_STEP_DB)
        return cls(margin_db, float(_STRENGTH_ZERO_DB + (quality & 15) * _STRENGTH_STEP_DB), alternate)
