"""What `osgp-sdr tables` prints: lists, explanations, decoded octets. Text for people, or JSON lines."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable
from typing import Any, Final

import osgp
from osgp.explain import FieldRow, explain
from osgp.fields import FieldSpec
from osgp.json_form import plain_value
from osgp.names import known, normal_id
from osgp.procedure import ProcedureSpec, procedure, procedures
from osgp.table import TableSpec

from .errors import FlowgraphError

_PROCEDURE: Final = re.compile(r"([BE]P)(\d{1,2})", re.IGNORECASE)
_FIRMWARE: Final = re.compile(r"(\d{1,2})\.(\d{1,3})(?:\.\d+)?")
WIDTH: Final = 118  # columns of the text form


class TablesError(FlowgraphError, ValueError):
    """An argument of `osgp-sdr tables` cannot be understood."""


def is_procedure(what: str) -> bool:
    """Whether WHAT names a procedure."""
    return _PROCEDURE.fullmatch(what) is not None


def is_table(what: str) -> bool:
    """Whether WHAT begins with the id or number of a table (else it is a word to look for)."""
    try:
        normal_id(what.partition(".")[0])
    except osgp.TableError:
        return False
    return True


def device(firmware: str | None, given: Iterable[str]) -> osgp.Context:
    """A context with the octets given and, for all other tables, those of the simulated meter of that firmware."""
    version = (3, 60)
    if firmware is not None:
        match = _FIRMWARE.fullmatch(firmware)
        if match is None or int(match[1]) > 15 or int(match[2]) > 127:
            raise TablesError(f"--firmware: {firmware!r} is no version like 3.60 or 4.30")
        version = (int(match[1]), int(match[2]))
    meter = osgp.Meter(osgp.MeterConfig(firmware=(*version, 0)))
    context = osgp.Context({name: meter.store.octets(name) for name in meter.store.known()}, firmware=version)
    for item in given:
        name, equals, digits = item.partition("=")
        if not equals:
            raise TablesError(f"--given: {item!r} is not TABLE=HEX")
        context.put(normal_id(name), octets_of(digits, f"--given {name}"))
    return context


def octets_of(digits: str, what: str) -> bytes:
    """Hexadecimal digits, spaces allowed."""
    try:
        return bytes.fromhex(digits.replace("0x", "").replace(":", " "))
    except ValueError:
        raise TablesError(f"{what}: {digits[:40]!r} are no pairs of hexadecimal digits") from None


def listing(as_json: bool) -> list[str]:
    """All tables and procedures."""
    lines = []
    for entry in osgp.tables():
        if as_json:
            lines.append(json.dumps({"table": entry.id, "number": entry.number, "name": entry.name, "fields": entry.documented}))
        else:
            mark = " " if entry.documented else "-"
            lines.append(f"{entry.id}  {entry.number:>5}  0x{entry.number:04X} {mark} {entry.name}")
    for spec in procedures():
        if as_json:
            fields = spec.parameters is not None
            lines.append(json.dumps({"procedure": spec.id, "number": spec.number, "name": spec.name, "fields": fields}))
        else:
            mark = " " if spec.parameters is not None else "-"
            lines.append(f"{spec.id}  {spec.number:>5}  0x{spec.number:04X} {mark} procedure: {spec.name}")
    if not as_json:
        lines.append("(-: no fields are published)")
    return lines


def search(word: str, as_json: bool) -> list[str]:
    """Tables, fields and procedures with a word in their name, purpose or meaning."""
    needle = word.lower()
    found: list[dict[str, Any]] = []
    for entry in osgp.tables():
        spec = osgp.table(entry.id)
        if needle in f"{spec.name} {spec.purpose} {spec.notes}".lower():
            found.append({"table": spec.id, "name": spec.name, "meaning": spec.purpose})
        for path, field in _fields(spec.fields, ""):
            if not field.filler and needle in f"{field.name} {field.meaning}".lower():
                found.append({"field": f"{spec.id}.{path}", "type": field.type, "meaning": field.meaning})
    for one in procedures():
        if needle in f"{one.name} {one.notes}".lower():
            found.append({"procedure": one.id, "name": one.name, "meaning": one.notes})
    if as_json:
        return [json.dumps(item, ensure_ascii=False) for item in found]
    return [_columns(item.get("table") or item.get("field") or item["procedure"],
                     item.get("name") or item.get("type", ""), item["meaning"]) for item in found]  # fmt: skip


def _columns(left: str, middle: str, right: str) -> str:
    return f"{left:<40} {middle:<28} {right}".rstrip()


def _fields(fields: tuple[FieldSpec, ...], above: str) -> Iterable[tuple[str, FieldSpec]]:
    for field in fields:
        yield above + field.name, field
        yield from _fields(field.fields, f"{above}{field.name}[0].")


def encode(what: str, document: str, context: osgp.Context, as_json: bool) -> list[str]:
    """Octets of a JSON object of a table."""
    try:
        plain = json.loads(document)
    except json.JSONDecodeError as error:
        raise TablesError(f"--encode: no JSON at character {error.pos}: {error.msg}") from None
    spec = osgp.table(normal_id(what))
    octets = spec.from_json(plain, context)
    return [json.dumps({"table": spec.id, "octets": octets.hex()}) if as_json else octets.hex()]


def explain_table(
    what: str, digits: str | None, offset: int, context: osgp.Context, fillers: bool, as_json: bool
) -> list[str]:
    """A table or one of its fields, with the values of octets when there are any."""
    head, _, path = what.partition(".")
    spec = osgp.table(normal_id(head))
    octets = octets_of(digits, "OCTETS") if digits is not None else None
    if octets is not None and not offset:
        context.put(spec.id, octets)
    if path:
        return [_place(what, spec, octets, offset, context, as_json)]
    rows = explain(spec, context, octets, first=offset, fillers=fillers)
    if as_json:
        return [json.dumps(_table_json(spec, rows, octets, offset, context), ensure_ascii=False)]
    lines = [] if octets is not None else _heading(spec, context)
    return lines + [_line(row, octets is not None) for row in rows]


def _place(
    what: str, spec: TableSpec, octets: bytes | None, offset: int, context: osgp.Context, as_json: bool
) -> str:
    place = osgp.place(what, context)
    value = None
    if octets is not None:
        start = place.offset - offset
        if start < 0 or start + place.size > len(octets):
            raise TablesError(f"{what} is at {place.offset}..{place.offset + place.size - 1}, not in the octets given")
        value = plain_value(place.decode(octets[start : start + place.size]))
    field = place.spec
    if as_json:
        item = {"place": what, "offset": place.offset, "octets": place.size, "type": field.type if field else ""}
        if place.bit is not None:
            item["bit"], item["bits"] = place.bit
        if field is not None:
            item["meaning"] = field.meaning
        return json.dumps(item | ({"value": value} if octets is not None else {}), ensure_ascii=False)
    where = f"offset {place.offset}, {place.size} octet{'s' if place.size != 1 else ''}"
    if place.bit is not None:
        where += f", bit {place.bit[0]}" + (f" to {sum(place.bit) - 1}" if place.bit[1] > 1 else "")
    parts = [where, field.type if field is not None else "", field.meaning if field is not None else ""]
    known_values = "; ".join(f"{code} {text}" for code, text in field.values) if field is not None else ""
    shown = f" = {value}" if octets is not None else ""
    return f"{what}{shown}: " + ", ".join(part for part in (*parts, known_values) if part)


def _heading(spec: TableSpec, context: osgp.Context) -> list[str]:
    lines = [f"{spec.id} {spec.name}: {spec.purpose}"]
    try:
        size = f", {spec.size(context)} octets here"
    except osgp.TableError:
        size = ""
    major, minor = context.firmware
    lines.append(f"  number {spec.number} (0x{spec.number:04X}){size}; firmware {major}.{minor:02}")
    for direction in ("read", "write"):
        rights = []
        for column in ("mep", "optical", "plc"):
            keys = spec.access.get((direction, column), ())
            if keys is None:
                rights.append(f"{column}: not stated")
            elif keys:
                rights.append(f"{column}: {' '.join(keys)}")
        lines.append(f"  {direction:<5} {', '.join(rights) or 'nobody'}")
    for text in (spec.notes, f"since {spec.since}" if spec.since else ""):
        if text:
            lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
    if depends := sorted(spec.depends_on() & known().keys()):
        lines.append(f"  dimensions from {' '.join(depends)}")
    lines.append(f"  source: {spec.source} (grade {spec.grade})")
    if not spec.documented:
        lines.append("  its fields are not published, or only the ones below")
    return lines


def _line(row: FieldRow, with_value: bool) -> str:
    name = "  " * row.depth + (row.path.rpartition(".")[2] if row.depth else row.path)
    if with_value:
        if row.value is None and "octets" not in row.type:
            return f"{row.place:<16} {name:<36} (not in the octets)"
        value = "" if row.value is None else json.dumps(row.value, ensure_ascii=False)
        return f"{row.place:<16} {name:<36} {value}{f'  ({row.note})' if row.note else ''}".rstrip()
    extra = [row.meaning]
    if row.values:
        extra.append("{" + ", ".join(f"{code}: {text}" for code, text in row.values) + "}")
    if row.since:
        extra.append(f"since {row.since}")
    return f"{row.place:<16} {name:<36} {row.type:<24} {' '.join(text for text in extra if text)}".rstrip()


def _table_json(
    spec: TableSpec, rows: tuple[FieldRow, ...], octets: bytes | None, offset: int, context: osgp.Context
) -> dict[str, Any]:
    item: dict[str, Any] = {"table": spec.id, "number": spec.number, "name": spec.name, "purpose": spec.purpose}
    if octets is not None and not offset:
        return item | {"values": spec.decode(octets, context, partial=True).to_json()}
    if octets is not None:
        return item | {"values": {row.path: row.value for row in rows if row.value is not None}}
    item["access"] = {f"{direction} {port}": keys for (direction, port), keys in spec.access.items()}
    item["fields"] = [
        {
            "path": row.path, "place": row.place, "offset": row.offset, "octets": row.size, "type": row.type,
            "meaning": row.meaning, "vci": row.vci, "since": row.since, "values": dict(row.values),
        }
        for row in rows
    ]  # fmt: skip
    return item


def explain_procedure(what: str, digits: str | None, as_json: bool) -> list[str]:
    """A procedure; OCTETS are what was written into BT07."""
    match = _PROCEDURE.fullmatch(what)
    assert match is not None
    spec = procedure(f"{match[1].upper()}{int(match[2]):02}")
    values = None
    if digits is not None:
        written = octets_of(digits, "OCTETS")
        if len(written) < 3 or int.from_bytes(written[:2], "little") & 0xFFF != spec.number:
            raise TablesError(f"OCTETS: what starts {spec.id} begins with {spec.number.to_bytes(2, 'little').hex()}")
        values = {"sequence_number": written[2]} | spec.decode(written[3:]).to_json()
    if as_json:
        return [json.dumps(_procedure_json(spec, values), ensure_ascii=False)]
    if values is not None:
        return [f"{name:<20} {json.dumps(value)}" for name, value in values.items()]
    lines = [f"{spec.id} {spec.name} (grade {spec.grade})", f"  number {spec.number} (0x{spec.number:04X}) in BT07"]
    lines += [f"  {column}: {' '.join(keys) or 'nobody'}" for column, keys in spec.access.items()]
    if spec.notes:
        lines.append(f"  {spec.notes}")
    lines += [f"  result {code}: {text}" for code, text in spec.results]
    if spec.parameters is None:
        return [*lines, "  parameters are not published"]
    if not spec.parameters.fields:
        return [*lines, "  no parameters"]
    lines.append(f"  parameters (grade {spec.parameters_grade}):")
    return lines + [f"    {row.path:<18} {row.type:<16} {row.meaning}".rstrip() for row in _parameters(spec)]


def _parameters(spec: ProcedureSpec) -> tuple[FieldRow, ...]:
    assert spec.parameters is not None
    return explain(spec.parameters, osgp.Context())


def _procedure_json(spec: ProcedureSpec, values: dict[str, Any] | None) -> dict[str, Any]:
    item: dict[str, Any] = {"procedure": spec.id, "number": spec.number, "name": spec.name}
    if values is not None:
        return item | {"values": values}
    rows = _parameters(spec) if spec.parameters is not None else ()
    fields = [{"path": row.path, "type": row.type, "meaning": row.meaning} for row in rows] if spec.parameters else None
    return item | {"access": dict(spec.access), "parameters": fields, "grade": spec.parameters_grade or spec.grade}
