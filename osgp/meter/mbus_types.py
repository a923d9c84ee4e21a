"""M-Bus data types: ET57 maps record headers (DIF, VIF, VIFE) to numbers of 5 bits, by which a load profile names values.

Rules of the guide (grade A): headers of up to three octets, longer ones in entries that extend the one before; entries marked
special win; values shorter than four octets are zero filled, longer ones cut to four, least significant octet first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..mbus import Fixed, Record
from ..mbus.master import Answer
from ..store import TableStore

EMPTY, MBUS, MEP, EXTENSION = range(4)  # ET57 entry types; grade A
OCTETS: Final = 4
# Counter 1 and 2 of the simulated devices: energy wins over volume as the first; grade D.
DEFAULT_ENTRIES: Final = (
    {"entry_type": MBUS, "mdt": 1, "special": True, "drh": (0x04, 0x06, 0)},
    {"entry_type": MBUS, "mdt": 1, "drh": (0x04, 0x13, 0)},
    {"entry_type": MBUS, "mdt": 2, "drh": (0x04, 0x13, 0)},
    {"entry_type": MBUS, "mdt": 3, "drh": (0x02, 0x3B, 0)},
    {"entry_type": MBUS, "mdt": 4, "drh": (0x04, 0x2B, 0)},
)
FIRST_COUNTER, SECOND_COUNTER = 1, 2  # of devices with the fixed structure; grade D


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """A header and its number."""

    mdt: int
    header: bytes
    special: bool


def read_types(store: TableStore) -> tuple[TypeEntry, ...]:
    """Entries for M-Bus records of ET57, special ones first."""
    if "ET57" not in store:
        return ()
    found: list[TypeEntry] = []
    rows: Any = store["ET57.entries"]
    for row in rows:
        header = bytes(row["drh"])
        if row["entry_type"] == EXTENSION and found:
            last = found.pop()
            found.append(TypeEntry(last.mdt, last.header + header, last.special))
        elif row["entry_type"] == MBUS:
            found.append(TypeEntry(row["mdt"], header, row["special"]))
    return tuple(sorted(found, key=lambda entry: not entry.special))


def find_value(types: tuple[TypeEntry, ...], mdt: int, answers: tuple[Answer, ...]) -> int | None:
    """Value of a data type in a device's telegrams; None: it has none."""
    for answer in answers:
        if isinstance(answer.value, Fixed):
            if mdt not in (FIRST_COUNTER, SECOND_COUNTER):
                return None
            return to_number(answer.value.counters[mdt - FIRST_COUNTER])
    records: list[Record] = [record for one in answers if not isinstance(one.value, Fixed) for record in one.value.records]
    for entry in types:
        if entry.mdt == mdt:
            for record in records:
                if _same(entry.header, record.header):
                    return to_number(record.data)
    return None


def _same(wanted: bytes, header: bytes) -> bool:
    """Whether a header is meant: what the entry has behind it is zero."""
    return header == wanted[: len(header)] and not any(wanted[len(header) :])


def to_number(data: bytes) -> int:
    """Four octets as the load profile keeps them."""
    return int.from_bytes(data[:OCTETS].ljust(OCTETS, b"\0"), "little", signed=True)
