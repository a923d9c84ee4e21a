"""Readers and writers of single fields: octets at a place of a buffer to a value and back. Table data is little endian.

A `Leaf` knows type and size, not the place, so that all tables of all devices share a few hundred of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .errors import TableError
from .fields import FieldSpec, Kind
from .types import CODECS, INTEGERS, decode_set, decode_text, encode_digits, encode_set, encode_text

Buffer = bytes | bytearray | memoryview
Read = Callable[[Buffer, int], Any]
Write = Callable[[bytearray, int, Any], None]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One field of fixed size.

    Attributes:
        size: octets (of the container for a bit field).    element: octets of an element that can be addressed by index, 0: none.
        read: (buffer, offset) -> value.    write: (buffer, offset, value), TableError when the value does not fit.
        zero: value of a single number or date whose octets are all zero; nothing for arrays.
        base: scalar type of the elements, "" without elements.
    """

    size: int
    element: int
    read: Read
    write: Write
    zero: Any
    base: str = ""


# struct codes by size and sign; other sizes go through int.from_bytes.
_CODES: Final = {(1, False): "B", (2, False): "H", (4, False): "I", (1, True): "b", (2, True): "h", (4, True): "i"}


@lru_cache(maxsize=2048)
def bits_leaf(base: str, lo: int, hi: int, container: int) -> Leaf:
    """A bit field inside a little-endian container."""
    width = hi - lo + 1
    mask = (1 << width) - 1
    clear = ~(mask << lo)
    signed, boolean = base == "INT", base == "BOOL"
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, mask)
    octet, name = lo // 8, f"{base}({lo})" if lo == hi else f"{base}({lo}..{hi})"

    def read(octets: Buffer, at: int) -> Any:
        number = int.from_bytes(octets[at : at + container], "little") >> lo & mask
        if boolean:
            return bool(number)
        return number - (1 << width) if signed and number >> width - 1 else number

    def read_flag(octets: Buffer, at: int) -> Any:
        return bool(octets[at + octet] >> lo % 8 & 1)

    def write(octets: bytearray, at: int, value: Any) -> None:
        if not isinstance(value, int) or not low <= value <= high:
            raise TableError(f"{name} must be an integer in {low}..{high}, got {value!r}")
        word = int.from_bytes(octets[at : at + container], "little") & clear | (int(value) & mask) << lo
        octets[at : at + container] = word.to_bytes(container, "little")

    return Leaf(container, 0, read_flag if boolean and width == 1 else read, write, False if boolean else 0)


@lru_cache(maxsize=1024)
def scalar_leaf(base: str) -> Leaf:
    """A scalar type."""
    codec = CODECS[base]
    size, decode, encode = codec.size, codec.decode, codec.encode

    def read(octets: Buffer, at: int) -> Any:
        return decode(bytes(octets[at : at + size]))

    def write(octets: bytearray, at: int, value: Any) -> None:
        octets[at : at + size] = encode(value)

    signed = base.startswith("INT")
    if base in INTEGERS and (size, signed) in _CODES:
        unpack = struct.Struct("<" + _CODES[size, signed]).unpack_from

        pack = struct.Struct("<" + _CODES[size, signed]).pack_into

        def read_integer(octets: Buffer, at: int) -> Any:
            return unpack(octets, at)[0]

        def write_integer(octets: bytearray, at: int, value: Any) -> None:
            try:
                pack(octets, at, value)
            except struct.error:
                write(octets, at, value)  # says what is wrong

        return Leaf(size, 0, read_integer, write_integer, codec.zero)
    return Leaf(size, 0, read, write, codec.zero)


@lru_cache(maxsize=2048)
def array_leaf(base: str, count: int) -> Leaf:
    """An array of a scalar type: a tuple."""
    codec = CODECS[base]
    element, decode, encode = codec.size, codec.decode, codec.encode
    size, signed = element * count, base.startswith("INT")

    def read(octets: Buffer, at: int) -> Any:
        return tuple(decode(bytes(octets[i : i + element])) for i in range(at, at + size, element))

    def write(octets: bytearray, at: int, value: Any) -> None:
        if isinstance(value, int) or len(value) > count:
            raise TableError(f"holds {count} elements, got {value if isinstance(value, int) else len(value)}")
        octets[at : at + size] = b"".join(encode(one) for one in value).ljust(size, b"\0")

    if base in INTEGERS and (element, signed) in _CODES:
        packer = struct.Struct(f"<{count}{_CODES[element, signed]}")
        unpack, pack = packer.unpack_from, packer.pack_into

        def write_integers(octets: bytearray, at: int, value: Any) -> None:
            try:
                pack(octets, at, *value)
            except (struct.error, TypeError):
                write(octets, at, value)  # too few, or says what is wrong

        return Leaf(size, element, unpack, write_integers, (), base)
    return Leaf(size, element, read, write, (), base)


@lru_cache(maxsize=2048)
def block_leaf(kind: Kind, size: int) -> Leaf:
    """Text, digits, sets and opaque octets."""

    def take(octets: Buffer, at: int) -> bytes:
        return bytes(octets[at : at + size])

    def opaque(value: Any, size: int) -> bytes:
        if not isinstance(value, bytes | bytearray) or len(value) > size:
            raise TableError(f"needs at most {size} octets, got {value!r}")
        return bytes(value).ljust(size, b"\0")

    decoders: dict[Kind, Callable[[bytes], Any]] = {
        Kind.TEXT: decode_text, Kind.DIGITS: bytes.hex, Kind.SET: decode_set, Kind.OPAQUE: bytes,
    }  # fmt: skip
    encoders: dict[Kind, Callable[[Any, int], bytes]] = {
        Kind.TEXT: encode_text, Kind.DIGITS: encode_digits, Kind.SET: encode_set, Kind.OPAQUE: opaque,
    }  # fmt: skip
    decode, encode = decoders[kind], encoders[kind]

    def read(octets: Buffer, at: int) -> Any:
        return decode(take(octets, at))

    def write(octets: bytearray, at: int, value: Any) -> None:
        octets[at : at + size] = encode(value, size)

    if kind is Kind.OPAQUE:
        return Leaf(size, 1, take, write, b"", "UINT8")
    return Leaf(size, 0, read, write, None)


def leaf_of(spec: FieldSpec, base: str, count: int) -> Leaf:
    """The leaf of a field.    base: its scalar type with number formats resolved.    count: its dimension, 1 without one."""
    match spec.kind:
        case Kind.BITS:
            return bits_leaf(spec.base, spec.lo, spec.hi, spec.container)
        case Kind.SCALAR | Kind.FORMAT:
            return scalar_leaf(base)
        case Kind.ARRAY:
            return array_leaf(base, count)
        case _:
            return block_leaf(spec.kind, count)
