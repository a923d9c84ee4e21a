"""GNU Radio's polymorphic types as octets: enough of its serialisation to read any stream tag and to write simple ones.

A value is one octet that tells its kind, then big-endian content. Source: GNU Radio, pmt_serial_tags.h and the behaviour of
pmt.serialize_str of 3.10.5 (grade A: the vectors of the tests come from it).
"""

import struct
from typing import Final, TypeAlias

from ..errors import StreamError

Pmt: TypeAlias = "bool | str | int | float | complex | bytes | tuple[Pmt, ...] | list[Pmt] | None"

TRUE, FALSE, SYMBOL, INT32, DOUBLE, COMPLEX, NULL, PAIR, VECTOR, DICT, UNIFORM, UINT64, TUPLE, INT64 = range(14)
COMMENT: Final = 0x3B
COMMENT_END: Final = 0x0A
# Octets of an element of a uniform vector, by its subtype: u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 c32 c64.
ELEMENT: Final = (1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16)
SUBTYPE: Final = 0x7F
DEEPEST: Final = 16  # values inside values; more is nonsense or an attack


def read_pmt(octets: bytes | memoryview, at: int = 0) -> tuple[Pmt, int]:
    """The value at octet `at`, and the index behind it.

    Lists, dictionaries and vectors become lists (a dictionary of its pairs, each a list), tuples tuples, uniform vectors bytes as
    they stand.

    Raises:
        StreamError: it is cut off, of an unknown kind, or nested too deeply.
    """
    view = memoryview(octets)
    try:
        return _read(view, at, 0)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise StreamError("a stream tag is cut off or damaged") from None


def write_pmt(value: Pmt) -> bytes:
    """The octets of None, a bool, text, number or tuple of such. Whole numbers from 0 on are written as uint64.

    Raises:
        TypeError: there is no octet form of it here.
    """
    if value is None:
        return bytes([NULL])
    if isinstance(value, bool):
        return bytes([TRUE if value else FALSE])
    if isinstance(value, str):
        text = value.encode()
        return struct.pack(">BH", SYMBOL, len(text)) + text
    if isinstance(value, int):
        return struct.pack(">BQ", UINT64, value) if value >= 0 else struct.pack(">Bq", INT64, value)
    if isinstance(value, float):
        return struct.pack(">Bd", DOUBLE, value)
    if isinstance(value, tuple):
        return struct.pack(">BI", TUPLE, len(value)) + b"".join(map(write_pmt, value))
    raise TypeError(f"cannot write {type(value).__name__} as a stream tag")


def _read(view: memoryview, at: int, depth: int) -> tuple[Pmt, int]:
    if depth > DEEPEST:
        raise StreamError(f"a stream tag is nested more than {DEEPEST} deep")
    kind, at = view[at], at + 1
    while kind == COMMENT:
        while view[at] != COMMENT_END:
            at += 1
        kind, at = view[at + 1], at + 2
    match kind:
        case 0x00 | 0x01:
            return kind == TRUE, at
        case 0x06:
            return None, at
        case 0x02:
            (size,) = struct.unpack_from(">H", view, at)
            return str(_octets(view, at + 2, size), "utf-8"), at + 2 + size
        case 0x07 | 0x09:
            return _read_list(view, at, depth)
        case 0x08 | 0x0C:
            (count,) = struct.unpack_from(">I", view, at)
            at += 4
            if count > len(view) - at:  # each takes an octet at least
                raise StreamError("a stream tag is cut off or damaged")
            items: list[Pmt] = []
            for _ in range(count):
                item, at = _read(view, at, depth + 1)
                items.append(item)
            return (tuple(items) if kind == TUPLE else items), at
        case 0x0A:
            subtype, count, padding = struct.unpack_from(">BIB", view, at)
            size = ELEMENT[subtype & SUBTYPE] * count
            at += 6 + padding
            return bytes(_octets(view, at, size)), at + size
    return _read_number(view, kind, at)


def _read_number(view: memoryview, kind: int, at: int) -> tuple[Pmt, int]:
    match kind:
        case 0x03:
            return struct.unpack_from(">i", view, at)[0], at + 4
        case 0x0D:
            return struct.unpack_from(">q", view, at)[0], at + 8
        case 0x0B:
            return struct.unpack_from(">Q", view, at)[0], at + 8
        case 0x04:
            return struct.unpack_from(">d", view, at)[0], at + 8
        case 0x05:
            return complex(*struct.unpack_from(">dd", view, at)), at + 16
    raise StreamError(f"a stream tag holds a value of unknown kind 0x{kind:02x}")


def _read_list(view: memoryview, at: int, depth: int) -> tuple[Pmt, int]:
    """Pairs whose second half is again a pair are a list; read in a loop, for such lists may be long."""
    items: list[Pmt] = []
    while True:
        item, at = _read(view, at, depth + 1)
        items.append(item)
        if view[at] not in (PAIR, DICT):
            last, at = _read(view, at, depth + 1)
            return items if last is None else [*items, last], at
        at += 1


def _octets(view: memoryview, at: int, size: int) -> memoryview:
    if at + size > len(view):
        raise StreamError("a stream tag is cut off or damaged")
    return view[at : at + size]
