"""Measurement sources: what a source id of BT22 and BT27 means. The ids are data in osgp/spec/sources.json (grade A)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from .errors import TableError

_FILE: Final = Path(__file__).parent / "spec" / "sources.json"


@dataclass(frozen=True, slots=True)
class Source:
    """One measured quantity.    `unit`: of one count, e.g. "Wh", "mV", "1/1000"; the name carries it too."""

    id: int
    name: str
    unit: str


@lru_cache(maxsize=1)
def sources() -> dict[int, Source]:
    """All known sources by id."""
    rows = json.loads(_FILE.read_text(encoding="utf-8"))["sources"]
    return {row["id"]: Source(row["id"], row["name"], row["unit"]) for row in rows}


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Source]:
    return {source.name: source for source in sources().values()}


def source(key: int | str) -> Source:
    """A source by id or name; an id that nobody has published is called `source_<id>` and has the unit "1"."""
    if isinstance(key, str):
        if key not in _by_name():
            raise TableError(f"no measurement source {key!r}")
        return _by_name()[key]
    return sources().get(key) or Source(key, f"source_{key}", "1")
