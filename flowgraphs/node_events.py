"""Events of a node as JSON objects and as lines for people; keys never get into either."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Final

import mac

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")

Value = str | int | float | bool | None | dict[str, "Value"]


def event_name(event: mac.Event) -> str:
    """`RequestReceived` becomes request_received."""
    return _WORD.sub("_", type(event).__name__).lower()


def event_object(event: mac.Event) -> dict[str, Value]:
    """Name under "event", then the fields: octets as hex, addresses as text."""
    return {"event": event_name(event), **_fields(event)}


def event_line(event: mac.Event) -> str:
    """One line."""
    parts = (f"{name} {_text(value)}" for name, value in _fields(event).items() if _says_something(value))
    return f"{event_name(event).replace('_', ' ')}: {', '.join(parts)}".rstrip(": ")


def _fields(event: object) -> dict[str, Value]:
    assert is_dataclass(event)
    return {field.name: _value(getattr(event, field.name)) for field in fields(event) if field.repr}


def _value(value: object) -> Value:
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return str(value.value)
        case str():
            return value
        case bytes():
            return value.hex()
        case mac.DomainId():
            return value.octets.hex()
        case mac.DomainEntry() | mac.Via():
            return _fields(value)
    return str(value)


def _text(value: Value) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_text(part)}" for name, part in value.items() if _says_something(part)) + ")"
    return str(value)


def _says_something(value: Value) -> bool:
    return value is not None and value is not False and value != ""
