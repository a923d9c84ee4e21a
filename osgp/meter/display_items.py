"""What can be shown: display source ids with their id codes, units and digits.

The list of item codes of real meters is in another manual that is not public. Ids up to 255 are measurement sources here, and the
defaults of BT33 (0x2000, 0x2001, 0) are given a meaning; both grade D. Id codes follow OBIS (IEC 62056-61, C and D fields).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..sources import source

TEST, CLOCK, DATE, SERIAL, FIRMWARE, CONTACTOR, CREDIT, ALARMS = range(0x2000, 0x2008)
SPECIAL: Final = {
    TEST: ("8888", 0), CLOCK: ("091 ", 6), DATE: ("092 ", 6), SERIAL: ("000 ", 6), FIRMWARE: ("020 ", 6),
    CONTACTOR: ("0963", 6), CREDIT: ("CRED", 0), ALARMS: ("FF  ", 4),
}  # fmt: skip
WIDTH: Final = 8  # characters of a value; grade A (of a message)
# unit of a source -> (unit shown, its power of ten below the source's, digits after the point)
UNITS: Final = {
    "Wh": ("kWh", 3, 1), "varh": ("kvarh", 3, 1), "W": ("kW", 3, 3), "var": ("kvar", 3, 3), "VA": ("kVA", 3, 3),
    "mA": ("A", 3, 2), "mV": ("V", 3, 1), "mHz": ("Hz", 3, 2), "1/1000": ("", 3, 3), "s": ("s", 0, 0), "min": ("min", 0, 0),
}  # fmt: skip
# OBIS C.D of sources; tariffs take a third figure 1..4 (the display counts from one; grade A).
CODES: Final = {
    0: "180", 1: "280", 2: "380", 3: "480", 6: "1580", 7: "1680", 8: "170", 9: "270", 10: "370", 11: "470",
    12: "3170", 13: "5170", 14: "7170", 15: "3270", 16: "5270", 17: "7270", 18: "3370", 21: "5370", 22: "7370", 19: "1470",
    20: "970",
}  # fmt: skip
FIRST_TARIFF: Final = 29
TARIFF_SOURCES: Final = 11
TARIFFS: Final = 4


@dataclass(frozen=True, slots=True)
class Item:
    """How a display source is shown.    id, dp: its code of four characters and its points.    scale: power of ten.
    digits: after the point."""

    id: str
    dp: int
    unit: str = ""
    scale: int = 0
    digits: int = 0


def item_of(code: int) -> Item:
    """The meter's own way to show a display source."""
    if code in SPECIAL:
        return Item(*SPECIAL[code])
    unit, scale, digits = UNITS.get(source(code).unit, ("", 0, 0))
    tariff, place = divmod(code - FIRST_TARIFF, TARIFF_SOURCES)
    if 0 <= tariff < TARIFFS and place in CODES:
        text = CODES[place][:-1] + str(tariff + 1)
    else:
        text = CODES.get(code, f"{code:04}")
    points = 6 if len(text) == 3 else 3 if code in CODES or text[-1:] != "0" else 0
    return Item(text.ljust(4), points if text != f"{code:04}" else 0, unit, scale, digits)


def id_text(characters: str, points: int) -> str:
    """An id code as one reads it: point of bit b stands in front of the last b + 1 characters; "P01 " with 4 is "P.01"."""
    count = len(characters)
    text = ""
    for place, character in enumerate(characters):
        text += character
        if place < count - 1 and points >> (count - 2 - place) & 1:
            text += "."
    return text.strip()
