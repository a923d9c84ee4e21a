"""How much an OSGP message may carry on the power line. What protects it is in osgp/security.

    request    00 | request PDU | sequence number(4 BE) | tag(8)
    response   00 | response PDU | tag(8)                          (the sequence number only inside a 0x0C response)

Layout from contic-osgpb and the published digest vector (grade B); the tag is a digest there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .errors import ConfigurationError
from .security.apdu import MESSAGE_CODE
from .security.exchange import SEQUENCE_OCTETS, TAG_OCTETS

RESPONSE_OVERHEAD: Final = 1 + TAG_OCTETS  # octets of a response beside its PDU
__all__ = ["MESSAGE_CODE", "RESPONSE_OVERHEAD", "SEQUENCE_OCTETS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one message may carry on the power line. Octets; grade D, from contic-osgpb.

    Arithmetic alone would allow 18 octets more in both data limits; that fits room for a repeating header.
    """

    apdu: int = 114
    read_data: int = 84
    write_data: int = 75

    def __post_init__(self) -> None:
        if not 48 <= self.apdu <= 1024:
            raise ConfigurationError(f"Limits.apdu must be 48..1024 octets, got {self.apdu}")
        if not 1 <= self.read_data <= self.apdu - 12:
            raise ConfigurationError(f"Limits.read_data must be 1..{self.apdu - 12} octets, got {self.read_data}")
        if not 1 <= self.write_data <= self.apdu - 21:
            raise ConfigurationError(f"Limits.write_data must be 1..{self.apdu - 21} octets, got {self.write_data}")
