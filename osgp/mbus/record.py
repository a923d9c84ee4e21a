"""Data records of EN 13757-3: DIF, DIFE, VIF, VIFE and a value; a codec for the common ones, octets for the rest.

    | DIF | DIFE .. | VIF | VIFE .. | data |        DIF: bit 7 DIFE follows, 6 storage, 5..4 function, 3..0 coding
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..errors import DecodeError

MAKER_DATA: Final = 0x0F  # the rest of the telegram is the maker's own
MORE_FOLLOWS: Final = 0x1F  # the same, and there are more telegrams
IDLE: Final = 0x2F  # filler
EXTENSION: Final = 0x80
MAX_EXTENSIONS: Final = 10
PLAIN_TEXT: Final = 0x7C  # the unit is a text behind the VIF
# Octets of the value by coding; None: the first octet of the value says.
LENGTHS: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 8: 0, 9: 1, 10: 2, 11: 3, 12: 4, 13: None, 14: 6}
REAL, VARIABLE, SPECIAL = 5, 13, 15
BCD: Final = frozenset((9, 10, 11, 12, 14))
# VIF ranges of table 10 of EN 13757-3: (first, last, quantity, unit, exponent of the first)
PRIMARY: Final = (
    (0x00, 0x07, "energy", "Wh", -3), (0x08, 0x0F, "energy", "J", 0), (0x10, 0x17, "volume", "m3", -6),
    (0x18, 0x1F, "mass", "kg", -3), (0x28, 0x2F, "power", "W", -3), (0x30, 0x37, "power", "J/h", 0),
    (0x38, 0x3F, "volume flow", "m3/h", -6), (0x40, 0x47, "volume flow", "m3/min", -7),
    (0x48, 0x4F, "volume flow", "m3/s", -9), (0x50, 0x57, "mass flow", "kg/h", -3),
    (0x58, 0x5B, "flow temperature", "degC", -3), (0x5C, 0x5F, "return temperature", "degC", -3),
    (0x60, 0x63, "temperature difference", "K", -3), (0x64, 0x67, "external temperature", "degC", -3),
    (0x68, 0x6B, "pressure", "bar", -3),
)  # fmt: skip
SINGLE: Final = {
    0x6C: ("date", ""), 0x6D: ("date and time", ""), 0x6E: ("heat cost", ""), 0x78: ("fabrication number", ""),
    0x79: ("enhanced identification", ""), 0x7A: ("bus address", ""), 0x7C: ("plain text", ""),
}  # fmt: skip
TIMES: Final = {0: ("on time", 0x20), 1: ("operating time", 0x24), 2: ("averaging duration", 0x70), 3: ("actuality", 0x74)}
TIME_UNITS: Final = ("s", "min", "h", "d")
# First extension table (VIF FD), the few that meters here use.
EXTENDED_FD: Final = {
    0x0B: "parameter set", 0x0C: "model", 0x0E: "firmware version", 0x0F: "software version", 0x17: "error flags",
}  # fmt: skip

Value = int | float | str | datetime.datetime | datetime.date | None


@dataclass(frozen=True, slots=True)
class Record:
    """One data record.

    Attributes:
        header: DIF, DIFE, VIF, VIFE octets as they stand.    data: the value's octets, least significant first.
        value: in steps of 10^exponent of the unit; None: no value, or one that this codec does not understand.
        storage, tariff, subunit: numbers.    function: 0 instantaneous, 1 maximum, 2 minimum, 3 during an error.
    """

    header: bytes
    data: bytes
    value: Value
    quantity: str = ""
    unit: str = ""
    exponent: int = 0
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    function: int = 0

    def encode(self) -> bytes:
        """Octets as they came."""
        return self.header + self.data


def decode_records(octets: bytes) -> tuple[tuple[Record, ...], bytes, bool]:
    """Records of a telegram, the maker's own octets behind them, and whether more telegrams follow. DecodeError: cut off."""
    found: list[Record] = []
    place = 0
    while place < len(octets):
        dif = octets[place]
        if dif == IDLE:
            place += 1
        elif dif in (MAKER_DATA, MORE_FOLLOWS):
            return tuple(found), octets[place + 1 :], dif == MORE_FOLLOWS
        else:
            record, place = _decode(octets, place)
            found.append(record)
    return tuple(found), b"", False


def _extensions(octets: bytes, place: int, what: str) -> Iterator[int]:
    """Octets of a chain whose members have the top bit set while more follow."""
    for number in range(MAX_EXTENSIONS + 1):
        if place + number >= len(octets):
            raise DecodeError(f"an M-Bus record ends within its {what}")
        yield octets[place + number]
        if not octets[place + number] & EXTENSION:
            return
    raise DecodeError(f"an M-Bus record has more than {MAX_EXTENSIONS} extensions of its {what}")


def _decode(octets: bytes, start: int) -> tuple[Record, int]:
    difs = tuple(_extensions(octets, start, "DIF"))
    coding = difs[0] & 0x0F
    if coding == SPECIAL:
        raise DecodeError(f"reserved M-Bus DIF {difs[0]:02x}")
    place = start + len(difs)
    vifs = tuple(_extensions(octets, place, "VIF"))
    place += 1
    if vifs[0] & 0x7F == PLAIN_TEXT:  # its text stands directly behind the VIF, in front of any VIFE
        if place >= len(octets):
            raise DecodeError("an M-Bus record ends within its unit")
        place += 1 + octets[place]
        if vifs[0] & EXTENSION:
            place += len(tuple(_extensions(octets, place, "VIFE")))
    else:
        place += len(vifs) - 1
    length = LENGTHS[coding]
    begin = place
    if length is None:
        if place >= len(octets):
            raise DecodeError("an M-Bus record of variable length ends before its length")
        length = 1 + variable_length(octets[place])
    if place + length > len(octets):
        raise DecodeError(f"an M-Bus record needs {length} octets of data, got {len(octets) - place}")
    data = octets[begin : begin + length]
    storage, tariff, subunit = difs[0] >> 6 & 1, 0, 0
    for number, dife in enumerate(difs[1:]):
        storage |= (dife & 0x0F) << 1 + 4 * number
        tariff |= (dife >> 4 & 3) << 2 * number
        subunit |= (dife >> 6 & 1) << number
    quantity, unit, exponent = meaning(vifs)
    value = _value(coding, data, quantity)
    record = Record(
        octets[start:begin], data, value, quantity, unit, exponent, storage, tariff, subunit, difs[0] >> 4 & 3
    )
    return record, begin + length


def variable_length(lvar: int) -> int:
    """Octets behind the length octet of coding 13."""
    if lvar <= 0xBF:
        return lvar
    if lvar <= 0xDF:
        return lvar & 0x0F
    if lvar <= 0xEF:
        return lvar & 0x0F
    return 4 * (lvar - 0xEC) if lvar <= 0xF4 else 48 if lvar == 0xF5 else 64 if lvar == 0xF6 else 0


def meaning(vifs: tuple[int, ...]) -> tuple[str, str, int]:
    """(quantity, unit, exponent) of the VIF; unknown ones have no quantity."""
    vif = vifs[0] & 0x7F
    if vifs[0] in (0xFB, 0xFD):
        return (EXTENDED_FD.get(vifs[1] & 0x7F, ""), "", 0) if vifs[0] == 0xFD and len(vifs) > 1 else ("", "", 0)
    for first, last, quantity, unit, exponent in PRIMARY:
        if first <= vif <= last:
            return quantity, unit, exponent + vif - first
    for name, first in TIMES.values():
        if first <= vif < first + 4:
            return name, TIME_UNITS[vif - first], 0
    name, unit = SINGLE.get(vif, ("", ""))
    return name, unit, 0


def _value(coding: int, data: bytes, quantity: str) -> Value:
    if not data:
        return None
    if quantity in ("date", "date and time"):
        return decode_moment(data)
    if coding == REAL:
        return float(struct.unpack("<f", data)[0])
    if coding in BCD:
        return decode_bcd(data)
    if coding == VARIABLE:
        return data[:0:-1].decode("latin-1") if data[0] <= 0xBF else None
    return int.from_bytes(data, "little", signed=True)


def decode_bcd(data: bytes) -> int | None:
    """Packed digits, least significant octet first; a top digit F is a minus; None: other digits that are none."""
    digits = data[::-1].hex()
    negative = digits[0] == "f"
    digits = "0" + digits[1:] if negative else digits
    if not digits.isdecimal():
        return None
    return -int(digits) if negative else int(digits)


def encode_bcd(value: int, octets: int) -> bytes:
    """The other way round, for 0 <= value."""
    return bytes.fromhex(str(value % 10 ** (2 * octets)).zfill(2 * octets))[::-1]


def decode_moment(data: bytes) -> datetime.datetime | datetime.date | None:
    """Types G (2 octets: a date) and F (4 octets: with hour and minute); None: not valid."""
    if len(data) == 2:
        return _date(data[0], data[1])
    if len(data) != 4 or data[0] & 0x80:  # the meter says that its time is not valid
        return None
    date = _date(data[2], data[3])
    hour, minute = data[1] & 0x1F, data[0] & 0x3F
    if date is None or hour > 23 or minute > 59:
        return None
    return datetime.datetime.combine(date, datetime.time(hour, minute))


def _date(low: int, high: int) -> datetime.date | None:
    year = low >> 5 | (high & 0xF0) >> 1
    try:
        return datetime.date(2000 + year if year < 81 else 1900 + year, high & 0x0F, low & 0x1F)
    except ValueError:
        return None


def encode_moment(moment: datetime.datetime) -> bytes:
    """Type F."""
    year = moment.year % 100
    return bytes((moment.minute, moment.hour, moment.day | (year & 7) << 5, moment.month | (year & 0x78) << 1))
