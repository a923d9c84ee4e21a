"""The binary messages of the page: a header, then named arrays of float32. The browser's half is static/frames.js.

    header, 48 octets, little endian
      0  magic        4s   "OSDV"
      4  version      u8   1
      5  kind         u8   Kind
      6  arrays       u16  how many follow
      8  sequence     u32  counts up with every message of a session
     12  packet       i32  number of the packet in the log, -1: none
     16  sent_at      f64  s, Unix time: for the latency that the page shows
     24  first_s      f64  s, from where on the line the arrays are
     32  end_s        f64  s, up to where
     40  jump         u32  changes whenever the position did not just go on; what is drawn in a row must start anew
     44  reserved     u32  0

    then for each array: name 4s, number of float32 u32;  then all float32 in the same order
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import StreamError

MAGIC: Final = b"OSDV"
VERSION: Final = 1
HEADER: Final = struct.Struct("<4sBBHIidddII")
ENTRY: Final = struct.Struct("<4sI")
MAX_ARRAYS: Final = 32


class Kind(IntEnum):
    """What a message shows."""

    LINE = 1  # the line around the position: spectrum, waterfall rows, waveform
    PACKET = 2  # one packet: constellation, eye, loops, waveform


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What is drawn.    arrays: (N,) float32 by a name of four characters.    other values: see the header."""

    kind: Kind
    first_s: float
    end_s: float
    arrays: Mapping[str, NDArray[np.float32]]
    packet: int = -1


def encode(picture: Picture, sequence: int, sent_at: float, jump: int = 0) -> bytes:
    """A message for the page."""
    arrays = [(name.encode("ascii")[:4], np.ascontiguousarray(x, "<f4")) for name, x in picture.arrays.items()]
    head = HEADER.pack(
        MAGIC, VERSION, picture.kind, len(arrays), sequence & 0xFFFFFFFF, picture.packet, sent_at, picture.first_s,
        picture.end_s, jump & 0xFFFFFFFF, 0,
    )  # fmt: skip
    return b"".join((head, *(ENTRY.pack(name, x.size) for name, x in arrays), *(x.tobytes() for _, x in arrays)))


def decode(octets: bytes) -> tuple[Picture, int, float, int]:
    """Picture, sequence, sent_at and jump of a message; StreamError when it is none. For scripts and tests."""
    if len(octets) < HEADER.size:
        raise StreamError(f"a picture has at least {HEADER.size} octets, got {len(octets)}")
    magic, version, kind, count, sequence, packet, sent_at, first_s, end_s, jump, _ = HEADER.unpack_from(octets)
    if magic != MAGIC or version != VERSION or kind not in tuple(Kind) or count > MAX_ARRAYS:
        raise StreamError(f"not a picture of version {VERSION}: it starts with {octets[:8].hex()}")
    at = HEADER.size + count * ENTRY.size
    if len(octets) < at:
        raise StreamError("a picture ends within its list of arrays")
    arrays: dict[str, NDArray[np.float32]] = {}
    for number in range(count):
        name, size = ENTRY.unpack_from(octets, HEADER.size + number * ENTRY.size)
        if at + 4 * size > len(octets):
            raise StreamError(f"array {name!r} of {size} numbers does not fit")
        arrays[name.rstrip(b"\0").decode("latin-1")] = np.frombuffer(octets, "<f4", size, at)
        at += 4 * size
    return Picture(Kind(kind), first_s, end_s, arrays, packet), sequence, sent_at, jump
