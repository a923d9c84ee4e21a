"""The check sequence at the end of every LPDU."""

import binascii
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from .errors import ConfigurationError

_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_WRITTEN: Final = re.compile(r"CRC-16\(poly=0x([0-9A-F]{4}),init=0x([0-9A-F]{4}),xor=0x([0-9A-F]{4})(,reflected)?(,swapped)?\)")


@cache
def _table(polynomial: int) -> tuple[int, ...]:
    """Remainders of octet * x^16, most significant bit first."""
    table = []
    for octet in range(256):
        register = octet << 8
        for _ in range(8):
            register = (register << 1) ^ (polynomial if register & 0x8000 else 0)
        table.append(register & 0xFFFF)
    return tuple(table)


@dataclass(frozen=True, slots=True)
class Crc:
    """A 16-bit CRC over octets.

    Args:
        name: of the catalogue, or as `written` gives it.
        polynomial: generator without the x^16 term, 1..0xFFFF and odd, most significant bit first.
        initial: register before the first octet, most significant bit first.
        final_xor: XORed onto the register after the last octet.
        reflected: octets enter least significant bit first and the register leaves turned end for end.
        swapped: the two check octets are sent in the other order than the usual one, which is high octet first, and low octet
            first for a reflected CRC: so the check octets continue the division of the octets before.
    Raises:
        ConfigurationError: a parameter is out of range.
    """

    name: str
    polynomial: int
    initial: int
    final_xor: int
    reflected: bool = False
    swapped: bool = False

    def __post_init__(self) -> None:
        for key in ("polynomial", "initial", "final_xor"):
            if not 0 <= getattr(self, key) <= 0xFFFF:
                raise ConfigurationError(f"{key} of a CRC must be 0..0xFFFF, got {getattr(self, key):#06x}")
        if self.polynomial % 2 == 0:
            raise ConfigurationError(f"polynomial of a CRC must be odd, got {self.polynomial:#06x}")

    @classmethod
    def parametric(
        cls, polynomial: int, initial: int, final_xor: int, reflected: bool = False, swapped: bool = False
    ) -> "Crc":
        """A CRC that no catalogue names; its name holds its parameters, so that a profile can carry it."""
        name = f"CRC-16(poly=0x{polynomial:04X},init=0x{initial:04X},xor=0x{final_xor:04X}"
        name += (",reflected" if reflected else "") + (",swapped" if swapped else "") + ")"
        return cls(name, polynomial, initial, final_xor, reflected, swapped)

    def compute(self, octets: bytes) -> int:
        """Check value of `octets`, 0..65535."""
        if self.reflected:
            octets = octets.translate(_REVERSED)
        if self.polynomial == 0x1021:
            register = binascii.crc_hqx(octets, self.initial)
        else:
            register, table = self.initial, _table(self.polynomial)
            for octet in octets:
                register = (register << 8 & 0xFF00) ^ table[register >> 8 ^ octet]
        if self.reflected:
            register = _REVERSED[register & 0xFF] << 8 | _REVERSED[register >> 8]
        return register ^ self.final_xor

    def append(self, octets: bytes) -> bytes:
        """`octets` followed by their two check octets."""
        return octets + self.compute(octets).to_bytes(2, self._order)

    def ok(self, octets: bytes) -> bool:
        """True when the last two of `octets` are the check value of those before."""
        return len(octets) > 2 and self.compute(octets[:-2]) == int.from_bytes(octets[-2:], self._order)

    @property
    def high_first(self) -> bool:
        """Whether the check value's high octet is sent first."""
        return self.reflected == self.swapped

    @property
    def _order(self) -> Literal["little", "big"]:
        return "big" if self.high_first else "little"


class _Catalogue(Mapping[str, Crc]):
    """CRCs by name: those of crcs.toml, and any other whose name is written as its parameters."""

    def __init__(self) -> None:
        tree = tomllib.loads((files(__package__) / "crcs.toml").read_text("utf-8"))
        self._named = {
            name: Crc(name, entry["polynomial"], entry["initial"], entry["final_xor"], entry["reflected"])
            for name, entry in tree.items()
        }

    def __getitem__(self, name: str) -> Crc:
        if name in self._named:
            return self._named[name]
        match = _WRITTEN.fullmatch(name)
        if match is None or int(match[1], 16) % 2 == 0:
            raise KeyError(name)
        return Crc.parametric(*(int(match[k], 16) for k in (1, 2, 3)), bool(match[4]), bool(match[5]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


CRCS: Final[Mapping[str, Crc]] = _Catalogue()
CRC_16_GENIBUS: Final = CRCS["CRC-16/GENIBUS"]


def append_crc(octets: bytes, crc: Crc = CRC_16_GENIBUS) -> bytes:
    """LPDU octets without check sequence -> the complete LPDU that `Transmitter.modulate` takes."""
    return crc.append(octets)


def crc_ok(lpdu: bytes, crc: Crc = CRC_16_GENIBUS) -> bool:
    """True when the complete LPDU carries its own check sequence."""
    return crc.ok(lpdu)
