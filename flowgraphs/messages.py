"""What travels between the processes: sample blocks, control messages, frames and events.

A message is one ZeroMQ multipart message: a header of fixed size, then at most one payload.

    header, 32 octets, little endian
      0  magic         4s  "OSDR"
      4  version       u8  1
      5  kind          u8  Kind
      6  station       u16 number of the coupler that the station holds; 0xFFFF = not known yet
      8  first_sample  i64 absolute index of the first sample
     16  sample_rate   f64 Hz
     24  count         u32 samples that the message stands for
     28  flags         u32 bit 0: every sample is zero and the payload is left out

Samples are float32, little endian, in volts. The payload of the other kinds is MessagePack.
The second format, `gnuradio`, is the bare float32 items that GNU Radio's zeromq blocks exchange: no index, no rate,
so a loss cannot be seen in it. Whatever is malformed raises `StreamError`; the caller counts and drops it.
"""

import enum
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import StreamError

MAGIC: Final = b"OSDR"
VERSION: Final = 1
HEADER: Final = struct.Struct("<4sBBHqdII")
NO_STATION: Final = 0xFFFF
FLAG_SILENT: Final = 1
RUN_SHIFT: Final = 16  # of the flags
# Two bounds that only keep nonsense out: a block is at most 2^24 samples (42 s at 400 kS/s), a rate at most 1 GHz.
MAX_BLOCK: Final = 1 << 24
MAX_RATE: Final = 1e9
SAMPLE: Final = np.dtype("<f4")

Samples = NDArray[np.float32]


class Kind(enum.IntEnum):
    """What the payload is."""

    SAMPLES = 1
    HELLO = 2
    WELCOME = 3
    BYE = 4
    FRAME = 5
    EVENT = 6
    PING = 7
    PONG = 8


_SAMPLES: Final = int(Kind.SAMPLES)
_KINDS: Final = {int(kind): kind for kind in Kind}


class Hello(msgspec.Struct, frozen=True):
    """A station asks to join; the header's first_sample is the next index it knows. `coupler` -1: any free one."""

    name: str
    coupler: int = -1


class Welcome(msgspec.Struct, frozen=True):
    """The line accepts: the header carries first index, rate, block size and coupler.

    `latency`: a station answers block k with its transmit block k + 1 + latency.
    `start_index`: index at which this line process started; a station that joins the same line later sees it too.
    """

    latency: int
    start_index: int = 0


class Bye(msgspec.Struct, frozen=True):
    """The sender leaves, or the line refuses a station; `reason` is for the user.

    `again`: the line has gone on without this station, which may ask to join anew.
    """

    reason: str = ""
    refused: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """`count` samples from absolute index `first_sample` on. `samples` None: all zero, nothing was sent.

    Attributes:
        samples: (count,) float32 V, read only, or None.
        sample_rate: Hz.    station: number of the coupler, 0xFFFF = unknown.
        run: number that the sender drew when it started, 0 = not told.
    """

    first_sample: int
    count: int
    sample_rate: float
    samples: Samples | None = None
    station: int = NO_STATION
    run: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is not samples: its kind, the header's numbers and the undecoded payload."""

    kind: Kind
    first_sample: int
    payload: bytes = b""
    sample_rate: float = 0.0
    count: int = 0
    station: int = NO_STATION


def encode_samples(
    first_sample: int, sample_rate: float, samples: Samples | None, count: int, station: int = NO_STATION
) -> list[bytes]:
    """A block as the parts of one multipart message. `samples` None sends the header alone."""
    if samples is None:
        return [samples_header(first_sample, sample_rate, count, silent=True, station=station)]
    header = samples_header(first_sample, sample_rate, count, station=station)
    return [header, np.ascontiguousarray(samples, dtype=SAMPLE).tobytes()]


def samples_header(
    first_sample: int, sample_rate: float, count: int, silent: bool = False, station: int = NO_STATION, run: int = 0
) -> bytes:
    """The first part of a message of samples; arguments as the attributes of `SampleBlock`."""
    flags = (FLAG_SILENT if silent else 0) | run << RUN_SHIFT
    return HEADER.pack(MAGIC, VERSION, _SAMPLES, station, first_sample, sample_rate, count, flags)


def encode(message: Message) -> list[bytes]:
    """A control message, frame or event as the parts of one multipart message."""
    header = HEADER.pack(
        MAGIC, VERSION, message.kind, message.station, message.first_sample, message.sample_rate, message.count, 0
    )
    return [header, message.payload]


def decode(parts: Sequence[bytes]) -> SampleBlock | Message:
    """Inverse of `encode_samples` and `encode`.

    Raises:
        StreamError: wrong size, magic, version, kind or rate; a payload that does not fit the count or is not finite.
    """
    if not 1 <= len(parts) <= 2:
        raise StreamError(f"a message has 1 or 2 parts, got {len(parts)}")
    try:
        magic, version, kind, station, first_sample, sample_rate, count, flags = HEADER.unpack(parts[0])
    except struct.error:
        raise StreamError(f"the header has {HEADER.size} octets, got {len(parts[0])}") from None
    if magic != MAGIC:
        raise StreamError(f"not a message of this program: it starts with {magic.hex()}")
    if version != VERSION:
        raise StreamError(f"message version {version}, this program speaks {VERSION}")
    if first_sample < 0:
        raise StreamError(f"negative sample index {first_sample}")
    if not 0.0 <= sample_rate <= MAX_RATE:
        raise StreamError(f"sample rate {sample_rate} Hz is not possible")
    if kind == _SAMPLES:
        return _sample_block(parts, station, first_sample, sample_rate, count, flags)
    if kind not in _KINDS:
        raise StreamError(f"unknown message kind {kind}")
    payload = bytes(parts[1]) if len(parts) == 2 else b""
    return Message(_KINDS[kind], first_sample, payload, sample_rate, count, station)


def _sample_block(
    parts: Sequence[bytes], station: int, first_sample: int, sample_rate: float, count: int, flags: int
) -> SampleBlock:
    if not 0 < count <= MAX_BLOCK:
        raise StreamError(f"a block holds 1..{MAX_BLOCK} samples, got {count}")
    if flags & FLAG_SILENT:
        if len(parts) == 2 and len(parts[1]):
            raise StreamError("a silent block has no payload")
        return SampleBlock(first_sample, count, sample_rate, None, station, flags >> RUN_SHIFT)
    if len(parts) != 2 or len(parts[1]) != SAMPLE.itemsize * count:
        octets = len(parts[1]) if len(parts) == 2 else 0
        raise StreamError(f"{count} samples need {SAMPLE.itemsize * count} octets, got {octets}")
    samples = np.frombuffer(parts[1], dtype=SAMPLE)
    # One dot product is the cheapest test of a whole block: any NaN, infinity or absurd value makes it non-finite.
    if not math.isfinite(float(samples.dot(samples))):
        raise StreamError("samples are not finite")
    return SampleBlock(first_sample, count, sample_rate, samples, station, flags >> RUN_SHIFT)


PayloadType = TypeVar("PayloadType")


def payload_as(message: Message, payload_type: type[PayloadType]) -> PayloadType:
    """The payload as one of the structures above; StreamError when it is something else."""
    try:
        return msgspec.msgpack.decode(message.payload, type=payload_type)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise StreamError(f"{message.kind.name.lower()} message: {error}") from None


def pack(value: object) -> bytes:
    """A payload for `Message`."""
    return msgspec.msgpack.encode(value)


def encode_gnuradio(samples: Samples) -> bytes:
    """(N,) float32 V -> bare items, as a GNU Radio zeromq sink without tags sends them."""
    return np.ascontiguousarray(samples, dtype=SAMPLE).tobytes()


# GNU Radio gr-zeromq, lib/tag_headers.cc: a tag header starts with the 16-bit word 0x5FF0 and one octet of version.
GNURADIO_TAG_MAGIC: Final = struct.pack("<H", 0x5FF0)


def decode_gnuradio(octets: bytes) -> Samples:
    """Bare float32 items -> (N,) float32 V. Raises StreamError when they are none."""
    if len(octets) % SAMPLE.itemsize:
        if octets[:2] == GNURADIO_TAG_MAGIC:
            raise StreamError("the sender has 'Pass Tags' on; switch it off, this end takes bare float32 items")
        raise StreamError(f"float32 items need a multiple of {SAMPLE.itemsize} octets, got {len(octets)}")
    samples = np.frombuffer(octets, dtype=SAMPLE)
    if not math.isfinite(float(samples.dot(samples))):
        raise StreamError("samples are not finite: the sender's item type is probably not float32")
    return samples
