"""Samples as files store them: types, memory maps, sound files, and IQ turned into line samples.

Integers are scaled so that full scale is 1.0; floats are taken as they are. Files are memory mapped, so that an hour
of samples never sits in memory.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from phy.iq import PassbandConverter

from .errors import RecordingError

SIGMF_TYPE: Final = re.compile(r"(?P<kind>[rc])(?P<number>f64|f32|i32|i16|u32|u16|i8|u8)(?P<order>_le|_be)?")
RAW_NAMES: Final = {
    "int8": "ri8",
    "uint8": "ru8",
    "int16": "ri16_le",
    "int32": "ri32_le",
    "float32": "rf32_le",
    "float64": "rf64_le",
    "ci16": "ci16_le",
    "cf32": "cf32_le",
    "complex64": "cf32_le",
}

Stored = NDArray[np.float32] | NDArray[np.complex64]


class Source(Protocol):
    """What a file format must give: real samples, or the I and Q of complex ones."""

    def read(self, first: int, count: int) -> Any:
        """(<= count,) float32 or complex64 from sample `first` on."""


@dataclass(frozen=True, slots=True)
class SampleType:
    """How a sample is stored: numpy type of a number, scale to +-1, value that means zero, whether two numbers are I and Q."""

    dtype: np.dtype[Any]
    scale: float
    zero: float
    is_complex: bool

    @classmethod
    def parse(cls, name: str) -> "SampleType":
        """From SigMF's name (`ri16_le`) or numpy's (`int16`). RecordingError when it is unknown."""
        match = SIGMF_TYPE.fullmatch(RAW_NAMES.get(name, name))
        if match is None:
            raise RecordingError(f"unknown sample type {name!r}; known are {', '.join(RAW_NAMES)} and SigMF's names")
        number = match["number"]
        octets = int(number[1:]) // 8
        if octets > 1 and match["order"] is None:
            raise RecordingError(f"sample type {name!r} does not say its byte order (_le or _be)")
        dtype = np.dtype((">" if match["order"] == "_be" else "<") + number[0] + str(octets))
        full_scale = 1.0 if number[0] == "f" else float(2 ** (8 * octets - 1))
        return cls(dtype, 1.0 / full_scale, full_scale if number[0] == "u" else 0.0, match["kind"] == "c")


class MappedSamples:
    """Samples of one type in a file, possibly interleaved channels."""

    def __init__(self, path: Path, kind: SampleType, offset: int, length: int, channels: int, channel: int) -> None:
        parts = 2 if kind.is_complex else 1
        self._array = np.memmap(path, kind.dtype, "r", offset, (length, channels, parts))[:, channel, :]
        self._kind = kind

    def read(self, first: int, count: int) -> Stored:
        """See `Source`."""
        stored = self._array[first : first + count]
        if self._kind.scale == 1.0:
            with np.errstate(over="ignore"):
                x = np.array(stored, np.float32)
        else:
            x = ((stored.astype(np.float64) - self._kind.zero) * self._kind.scale).astype(np.float32)
        return x.view(np.complex64)[:, 0] if self._kind.is_complex else x[:, 0]


class SoundSamples:
    """Samples that libsndfile reads: one channel, or the first two as I and Q."""

    def __init__(self, file: Any, channel: int | None) -> None:
        self._file, self._channel, self._next = file, channel, 0

    def read(self, first: int, count: int) -> Stored:
        """See `Source`."""
        if first != self._next:
            self._file.seek(first)
        x: NDArray[np.float32] = self._file.read(count, dtype="float32", always_2d=True)
        self._next = first + len(x)
        if self._channel is None:
            return np.ascontiguousarray(x[:, :2]).view(np.complex64)[:, 0]
        return np.ascontiguousarray(x[:, self._channel])


class PassbandSamples:
    """Real line samples of stored IQ samples, block by block; the last one converted is kept.

    Args:
        stored: complex samples. length: how many. converter: to the line.
    """

    def __init__(self, stored: Source, length: int, converter: PassbandConverter) -> None:
        self._stored, self._length, self._converter = stored, length, converter
        self._number, self._block = -1, np.empty(0, np.float32)

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """(<= count,) float32 from line sample `first` on; line sample k is at stored sample k / factor."""
        stop = max(first, min(first + count, self._length * self._converter.factor))
        x, at, size = np.empty(stop - first, np.float32), first, self._converter.block * self._converter.factor
        while at < stop:
            number, start = divmod(at, size)
            piece = self._converted(number)[start : start + stop - at]
            x[at - first : at - first + piece.size] = piece
            at += piece.size
        return x

    def _converted(self, number: int) -> NDArray[np.float32]:
        if number != self._number:
            block, margin = self._converter.block, self._converter.margin
            first = number * block - margin
            z = np.zeros(block + 2 * margin, np.complex64)
            low, high = max(first, 0), min(first + z.size, self._length)
            z[low - first : high - first] = self._stored.read(low, high - low)
            self._number, self._block = number, self._converter.at(z, number * block)
        return self._block
