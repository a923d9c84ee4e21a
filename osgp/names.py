"""Names and numbers of tables: BTnn = nn, ETnn = 2048 + nn, a pending copy 4096 more ("BT54+4096" = 4150). Grade A."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from .errors import TableError

FOLDER: Final = Path(__file__).parent / "spec"
EXTENDED: Final = 2048
PENDING: Final = 4096
PENDING_MARK: Final = f"+{PENDING}"
_ID: Final = re.compile(r"(BT|ET|ST|MT)(\d{1,4})(\+4096)?", re.IGNORECASE)
_OLD: Final = {"ST": "BT", "MT": "ET"}  # names of older documents, read but never written


@dataclass(frozen=True, slots=True)
class TableName:
    """A table that the standard knows.    `documented`: its fields are known to us."""

    id: str
    number: int
    name: str
    documented: bool
    purpose: str = ""


@lru_cache(maxsize=1)
def tables() -> tuple[TableName, ...]:
    """Every table that is known by name, in the order of its number."""
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    return tuple(
        TableName(row["id"], row["number"], row["name"], row["documented"], row.get("purpose", "")) for row in index["tables"]
    )


@lru_cache(maxsize=1)
def known() -> dict[str, TableName]:
    """The same by id."""
    return {entry.id: entry for entry in tables()}


@lru_cache(maxsize=8192)
def table_id(number: int) -> str:
    """`BTnn` or `ETnn`, with "+4096" for a pending copy, of a table number (also of numbers that no table has)."""
    if not 0 <= number <= 0xFFFF:
        raise TableError(f"a table number is 0..65535, got {number}")
    if PENDING <= number < 2 * PENDING:
        return table_id(number - PENDING) + PENDING_MARK
    return f"ET{number - EXTENDED:02}" if number >= EXTENDED else f"BT{number:02}"


@lru_cache(maxsize=1024)
def table_number(identifier: str) -> int:
    """Number of `BTnn` (nn), `ETnn` (2048 + nn) and their pending copies (`BTnn+4096`)."""
    match = _ID.fullmatch(identifier)
    if match is None or match[1] not in ("BT", "ET"):
        raise TableError(f"a table id is BTnn or ETnn, got {identifier!r}")
    return int(match[2]) + (EXTENDED if match[1] == "ET" else 0) + (PENDING if match[3] else 0)


@lru_cache(maxsize=1024)
@lru_cache(maxsize=4096)
def normal_id(text: str) -> str:
    """The id that a user means: `bt23`, `BT3`, `23`, `0x17`, `4150` and the old `ST23`, `MT55` are understood.

    Raises:
        TableError: it is neither an id nor a number 0..65535.
    """
    match = _ID.fullmatch(text.strip())
    if match is not None:
        kind = match[1].upper()
        return f"{_OLD.get(kind, kind)}{int(match[2]):02}{match[3] or ''}"
    try:
        number = int(text) if text.isdecimal() else int(text, 0)
    except ValueError:
        raise TableError(f"a table is BTnn, ETnn or a number, got {text!r}") from None
    return table_id(number)
