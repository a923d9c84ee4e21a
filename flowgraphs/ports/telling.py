"""What happens at the ports of a simulated meter, as lines or JSON objects. No keys, no octets of requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any

from osgp import OsgpError, RequestDenied, RequestServed, table_id
from osgp.services import ResultCode

Tell = Callable[[str, Any, float], None]
SHOWN = ("reason", "result", "level", "user_id", "locked_out", "rate", "repeated")


def event_name(event: object) -> str:
    """`SessionOpened` -> `session_opened`."""
    name = type(event).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def describe(port: str, event: Any, at: float) -> dict[str, Any]:
    """One event as plain data.    at: s, the meter's time."""
    found: dict[str, Any] = {"at": round(at, 3), "port": str(getattr(event, "port", port)), "event": event_name(event)}
    if isinstance(event, RequestServed):
        found["service"], found["table"] = f"0x{event.service:02x}", _table(event.table)
    elif isinstance(event, RequestDenied) and event.request:
        found["service"] = f"0x{event.request[0]:02x}"
    for name in SHOWN:
        value = getattr(event, name, None)
        if value is not None and value is not False:
            found[name] = _plain(value)
    return found


def show(described: dict[str, Any], as_json: bool) -> str:
    """One line of it."""
    if as_json:
        return json.dumps(described)
    head = f"{described['at']:.3f} {described['port']} {described['event'].replace('_', ' ')}"
    rest = [f"{name} {value}" for name, value in described.items() if name not in ("at", "port", "event")]
    return ", ".join([head, *rest])


def _table(number: int) -> str:
    try:
        return table_id(number)
    except OsgpError:
        return str(number)


def _plain(value: Any) -> Any:
    if isinstance(value, ResultCode):
        return f"0x{value:02x}"
    return value.value if isinstance(value, Enum) else value
