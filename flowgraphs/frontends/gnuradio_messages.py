"""Messages of GNU Radio's zeromq stream blocks: bare items, or a header with the stream's tags before the items.

    0   u16 magic 0x5FF0      little endian, as the sender's machine writes it
    2   u8  version 1
    3   u64 offset            index of the first item since the sender's flow graph started
    11  u64 number of tags
    19  tags: u64 offset, then key, value and source as PMTs; then the items

A sink with a filter key sends the key as a part of its own before this. Source: behaviour of the blocks of GNU Radio 3.10.5
(grade A).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import StreamError
from .pmt import Pmt, read_pmt, write_pmt

TAG_HEADER: Final = struct.Struct("<HBQQ")
MAGIC: Final = 0x5FF0
VERSION: Final = 1
START: Final = struct.pack("<HB", MAGIC, VERSION)
MOST_TAGS: Final = 4096  # in one message; the largest message of a block has 8192 items


@dataclass(frozen=True, slots=True)
class StreamTag:
    """Something said about one item: offset is the item's index, in the same count as the message's offset."""

    offset: int
    key: str
    value: Pmt


@dataclass(frozen=True, slots=True)
class TaggedItems:
    """A message with a tag header: offset of the first item, tags, and the octets of the items."""

    offset: int
    tags: tuple[StreamTag, ...]
    items: memoryview

    def last(self, key: str) -> StreamTag | None:
        """The latest tag with that key."""
        return next((tag for tag in reversed(self.tags) if tag.key == key), None)


def starts_like_tags(octets: bytes | memoryview) -> bool:
    """Does a message begin with a tag header? Bare float32 items do so once in 10^20 messages or less."""
    view = memoryview(octets)
    if len(view) < TAG_HEADER.size or bytes(view[:3]) != START:
        return False
    _, _, offset, count = TAG_HEADER.unpack_from(view)
    return bool(count <= MOST_TAGS and offset < 1 << 62)


def decode_tagged(octets: bytes | memoryview) -> TaggedItems:
    """Take a message with a tag header apart.

    Raises:
        StreamError: it has none, of another version, or the tags are damaged.
    """
    view = memoryview(octets)
    if len(view) < TAG_HEADER.size:
        raise StreamError(f"a GNU Radio tag header has {TAG_HEADER.size} octets at least, the message {len(view)}")
    magic, version, offset, count = TAG_HEADER.unpack_from(view)
    if magic != MAGIC or version != VERSION:
        raise StreamError(f"no GNU Radio tag header of version {VERSION}: it starts with {bytes(view[:3]).hex()}")
    if count > MOST_TAGS:
        raise StreamError(f"{count} tags in one message; more than {MOST_TAGS} are not taken")
    at = TAG_HEADER.size
    tags = []
    for _ in range(count):
        if at + 8 > len(view):
            raise StreamError("a stream tag is cut off or damaged")
        (tag_offset,) = struct.unpack_from("<Q", view, at)
        key, at = read_pmt(view, at + 8)
        value, at = read_pmt(view, at)
        _source, at = read_pmt(view, at)
        tags.append(StreamTag(tag_offset, key if isinstance(key, str) else "", value))
    return TaggedItems(offset, tuple(tags), view[at:])


def encode_tagged(offset: int, items: bytes | memoryview, tags: Sequence[StreamTag] = ()) -> bytes:
    """A message as a GNU Radio source with 'Pass Tags' on expects it."""
    parts = [TAG_HEADER.pack(MAGIC, VERSION, offset, len(tags))]
    for tag in tags:
        parts += [struct.pack("<Q", tag.offset), write_pmt(tag.key), write_pmt(tag.value), write_pmt(False)]
    return b"".join([*parts, memoryview(items).cast("B")])


def rate_of(tag: StreamTag | None) -> float | None:
    """Hz of an `rx_rate` tag, None when it holds no positive number."""
    if tag is None or isinstance(tag.value, bool) or not isinstance(tag.value, int | float):
        return None
    return float(tag.value) if 0 < tag.value <= 1e9 else None


def time_of(tag: StreamTag) -> tuple[int, float] | None:
    """Whole seconds and fraction of an `rx_time` tag: a tuple of uint64 and double."""
    match tag.value:
        case (int(seconds), float(fraction), *_) if 0 <= fraction < 1 and seconds < 1 << 40:
            return seconds, fraction
    return None
