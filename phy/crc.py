"""The check sequence at the end of every LPDU."""

import binascii
from dataclasses import dataclass
from typing import Final

from .errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Crc:
    """A 16-bit CRC over octets, most significant bit first, sent high octet first.

    Args:
        name: catalogue name.
        polynomial: generator without the x^16 term; 0x1021 is the one implemented.
        initial: register before the first octet.
        final_xor: XORed onto the register after the last octet.
    """

    name: str
    polynomial: int
    initial: int
    final_xor: int

    def __post_init__(self) -> None:
        if self.polynomial != 0x1021:
            raise ConfigurationError(f"polynomial must be 0x1021, got {self.polynomial:#06x}")

    def compute(self, octets: bytes) -> int:
        """Check value of `octets`, 0..65535."""
        return binascii.crc_hqx(octets, self.initial) ^ self.final_xor

    def append(self, octets: bytes) -> bytes:
        """`octets` followed by their two check octets, high octet first."""
        return octets + self.compute(octets).to_bytes(2, "big")

    def ok(self, octets: bytes) -> bool:
        """True when the last two of `octets` are the check value of those before."""
        return len(octets) > 2 and self.compute(octets[:-2]) == int.from_bytes(octets[-2:], "big")


# EN 14908-1, link layer (clause unverified); reference code of the protocol and vendor stack agree. Grade A/B.
# Check value over ASCII "123456789": 0xD64E.
CRC_16_GENIBUS: Final = Crc("CRC-16/GENIBUS", polynomial=0x1021, initial=0xFFFF, final_xor=0xFFFF)
CRCS: Final = {CRC_16_GENIBUS.name: CRC_16_GENIBUS}


def append_crc(octets: bytes, crc: Crc = CRC_16_GENIBUS) -> bytes:
    """LPDU octets without check sequence -> the complete LPDU that `Transmitter.modulate` takes."""
    return crc.append(octets)


def crc_ok(lpdu: bytes, crc: Crc = CRC_16_GENIBUS) -> bool:
    """True when the complete LPDU carries its own check sequence."""
    return crc.ok(lpdu)
