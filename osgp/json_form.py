"""The JSON form of table values, both ways.

    numbers, flags           numbers, true and false        dates and times      text as in "2004-02-16 15:59:55"
    CHAR, BCD                text                           SET, BITMAP          sorted list of the bits that are one
    BINARY, UNION, FILL      hexadecimal digits             arrays, records      lists, objects

Fillers that are zero are left out; zero is what a field gets that is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import TableError
from .fields import FieldSpec, Kind
from .types import CODECS
from .value import Record


def plain_record(fields: Mapping[str, Any], specs: tuple[FieldSpec, ...]) -> dict[str, Any]:
    """Values of a record as plain data."""
    plain: dict[str, Any] = {}
    for spec in specs:
        value = fields.get(spec.name)
        if value is None or (spec.filler and not (any(value) if isinstance(value, bytes) else value)):
            continue
        if spec.kind is Kind.RECORDS:
            plain[spec.name] = [plain_record(one._fields if isinstance(one, Record) else one, spec.fields) for one in value]
        else:
            plain[spec.name] = plain_value(value)
    return plain


def plain_value(value: Any) -> Any:
    """One value as plain data."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [plain_value(element) for element in value]
    if isinstance(value, Record):
        return {name: plain_value(element) for name, element in value._fields.items()}
    return str(value)


def values_of(plain: Mapping[str, Any], specs: tuple[FieldSpec, ...], where: str) -> dict[str, Any]:
    """The other way round of `plain_record`; `where` names the record in error texts."""
    if not isinstance(plain, Mapping):
        raise TableError(f"{where} needs an object, got {plain!r}")
    known = {spec.name: spec for spec in specs}
    if unknown := plain.keys() - known.keys():
        raise TableError(f"{where} has no fields {sorted(unknown)}")
    return {name: value_of(value, known[name], f"{where}.{name}") for name, value in plain.items() if value is not None}


def value_of(plain: Any, spec: FieldSpec, where: str) -> Any:
    """A field's value from plain data."""
    match spec.kind:
        case Kind.RECORDS:
            if not isinstance(plain, list | tuple):
                raise TableError(f"{where} needs a list of objects, got {plain!r}")
            return [values_of(one, spec.fields, f"{where}[{number}]") for number, one in enumerate(plain)]
        case Kind.OPAQUE:
            try:
                return bytes.fromhex(plain)
            except (ValueError, TypeError):
                raise TableError(f"{where} needs hexadecimal digits, got {plain!r}") from None
        case Kind.SET:
            if not isinstance(plain, list | tuple):
                raise TableError(f"{where} needs a list of bit numbers, got {plain!r}")
            return frozenset(plain)
        case Kind.ARRAY:
            if not isinstance(plain, list | tuple):
                raise TableError(f"{where} needs a list, got {plain!r}")
            return tuple(_scalar(one, spec.base, where) for one in plain)
        case Kind.SCALAR:
            return _scalar(plain, spec.base, where)
        case _:
            return plain


def _scalar(plain: Any, base: str, where: str) -> Any:
    from_text = CODECS[base].from_text if base in CODECS else None
    if from_text is None:
        return plain
    try:
        return from_text(plain)
    except TableError as error:
        raise TableError(f"{where}: {error}") from None
