"""Event codes: what an event id of BT74 means. The ids are data in osgp/spec/events.json, each with its grade."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from .errors import TableError

_FILE: Final = Path(__file__).parent / "spec" / "events.json"


@dataclass(frozen=True, slots=True)
class EventCode:
    """One kind of event.    argument: what its two octets say, empty: nothing.    grade: how sure the id is."""

    id: int
    name: str
    argument: str
    grade: str


@lru_cache(maxsize=1)
def event_codes() -> dict[int, EventCode]:
    """All known events by id."""
    rows = json.loads(_FILE.read_text(encoding="utf-8"))["events"]
    return {row["id"]: EventCode(row["id"], row["name"], row.get("argument", ""), row["grade"]) for row in rows}


@lru_cache(maxsize=1)
def _by_name() -> dict[str, EventCode]:
    return {event.name: event for event in event_codes().values()}


def event_code(key: int | str) -> EventCode:
    """An event by id or name; an id that nobody has published is called `event_<id>`."""
    if isinstance(key, str):
        if key not in _by_name():
            raise TableError(f"no event {key!r}")
        return _by_name()[key]
    return event_codes().get(key) or EventCode(key, f"event_{key}", "", "unknown")
