"""Application layer of EN 13757-3: answers with variable (CI 72h) and fixed structure (CI 73h).

    variable: | identification 4 BCD | manufacturer 2 | version | medium | access number | status | signature 2 | records |
    fixed:    | identification 4 BCD | access number | status | medium and units 2 | counter 1: 4 | counter 2: 4 |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ..errors import DecodeError
from .cipher import decrypt, mode_of
from .record import Record, decode_bcd, decode_records, encode_bcd

VARIABLE_RESPONSE: Final = 0x72
FIXED_RESPONSE: Final = 0x73
HEADER: Final = 12
FIXED: Final = 16
MEDIA: Final = {2: "electricity", 3: "gas", 4: "heat", 6: "hot water", 7: "water", 0x15: "hot water", 0x16: "cold water"}
BINARY_COUNTERS: Final = 1  # status bit of the fixed structure


def maker_code(letters: str) -> int:
    """Manufacturer number of three letters."""
    if len(letters) != 3 or not letters.isascii() or not letters.isupper():
        raise DecodeError(f"a manufacturer has three capital letters, got {letters!r}")
    first, second, third = (ord(letter) - 64 for letter in letters)
    return first << 10 | second << 5 | third


def maker_letters(code: int) -> str:
    """The other way round."""
    return "".join(chr((code >> shift & 0x1F) + 64) for shift in (10, 5, 0))


@dataclass(frozen=True, slots=True)
class DeviceId:
    """The secondary address.    serial: 0..99999999.    manufacturer: three letters.    version, medium: octets."""

    serial: int
    manufacturer: str = "OSG"
    version: int = 1
    medium: int = 7

    def encode(self) -> bytes:
        """8 octets: identification, manufacturer, version, medium."""
        return encode_bcd(self.serial, 4) + struct.pack("<HBB", maker_code(self.manufacturer), self.version, self.medium)


@dataclass(frozen=True, slots=True)
class Variable:
    """An answer with CI 72h.    encrypted: the records could not be read, their octets are in `rest`."""

    identity: DeviceId
    access_number: int
    status: int
    word: int
    records: tuple[Record, ...]
    rest: bytes = b""
    more_follows: bool = False
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """An answer with CI 73h.    units: the two medium and unit octets.    counters: raw octets, BCD unless status bit 0."""

    serial: int
    access_number: int
    status: int
    units: int
    counters: tuple[bytes, bytes]

    @property
    def values(self) -> tuple[int | None, int | None]:
        """Counters as numbers."""
        first, second = (
            int.from_bytes(one, "little") if self.status & BINARY_COUNTERS else decode_bcd(one) for one in self.counters
        )
        return first, second


def decode_telegram(information: int, data: bytes, key: bytes | None = None) -> Variable | Fixed:
    """An answer.    key: for encrypted ones. DecodeError when it is cut off or of another kind."""
    if information == FIXED_RESPONSE:
        if len(data) != FIXED:
            raise DecodeError(f"a fixed M-Bus answer has {FIXED} octets, got {len(data)}")
        serial, (access, status, units) = decode_bcd(data[:4]), struct.unpack("<BBH", data[4:8])
        return Fixed(serial or 0, access, status, units, (data[8:12], data[12:16]))
    if information != VARIABLE_RESPONSE:
        raise DecodeError(f"no M-Bus answer with data: CI {information:02x}")
    if len(data) < HEADER:
        raise DecodeError(f"a variable M-Bus answer has at least {HEADER} octets, got {len(data)}")
    serial = decode_bcd(data[:4]) or 0
    maker, version, medium, access, status, word = struct.unpack("<HBBBBH", data[4:HEADER])
    identity = DeviceId(serial, maker_letters(maker), version, medium)
    octets: bytes | None = data[HEADER:]
    if mode_of(word):
        octets = decrypt(key, data[:HEADER], word, data[HEADER:]) if key is not None else None
        if octets is None:
            return Variable(identity, access, status, word, (), data[HEADER:], encrypted=True)
    records, rest, more = decode_records(octets or b"")
    return Variable(identity, access, status, word, records, rest, more)
