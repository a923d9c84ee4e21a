"""Reading recordings block by block: SigMF, WAV and raw samples, real passband, one channel.

Integers are scaled so that full scale is 1.0; floats are taken as they are. Files are memory mapped, so that an hour
of samples never sits in memory. `open_recording` refuses what cannot be a whole recording; `check` reads it once for
the hash and for values that are no numbers.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import RecordingError
from .recorder import SIGMF_DATA, SIGMF_META, file_sha512, sigmf_paths

CHUNK: Final = 1 << 20  # samples that `check` looks at at a time
SIGMF_TYPE: Final = re.compile(r"(?P<kind>[rc])(?P<number>f64|f32|i32|i16|u32|u16|i8|u8)(?P<order>_le|_be)?")
RAW_NAMES: Final = {
    "int8": "ri8",
    "uint8": "ru8",
    "int16": "ri16_le",
    "int32": "ri32_le",
    "float32": "rf32_le",
    "float64": "rf64_le",
}
WAV_SUFFIXES: Final = {".wav", ".wave", ".flac", ".w64", ".rf64", ".aiff", ".aif", ".caf"}


class Source(Protocol):
    """What a file format must give."""

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """(<= count,) float32 from sample `first` on."""


@dataclass(frozen=True, slots=True)
class Recording:
    """An open recording. `name`: as the user wrote it.  `length`: samples.  `sha512`: what its metadata promise."""

    name: str
    path: Path
    sample_rate: float
    length: int
    source: Source
    may_hold_nan: bool
    sha512: str | None = None

    def blocks(self, size: int, first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Consecutive blocks of `size` samples, (N,) float32; the last may be shorter."""
        for start in range(first, self.length, size):
            yield self.source.read(start, min(size, self.length - start))

    def check(self) -> None:
        """Read everything once: does the hash fit, is every sample a number?

        Raises:
            RecordingError: naming the sample that is none.
        """
        if self.sha512 is not None and file_sha512(self.path) != self.sha512.lower():
            raise RecordingError(f"{self.path}: differs from the core:sha512 of its metadata: truncated or changed")
        if self.may_hold_nan:
            first = 0
            for x in self.blocks(CHUNK):
                bad = np.flatnonzero(~np.isfinite(x))
                if bad.size:
                    raise RecordingError(f"{self.path}: sample {first + int(bad[0])} is {x[bad[0]]}, not a number")
                first += x.size


@dataclass(frozen=True, slots=True)
class SampleType:
    """How a sample is stored: numpy type, scale to +-1, value that means zero."""

    dtype: np.dtype[Any]
    scale: float
    zero: float

    @classmethod
    def parse(cls, name: str) -> "SampleType":
        """From SigMF's name (`ri16_le`) or numpy's (`int16`). RecordingError when it is complex or unknown."""
        match = SIGMF_TYPE.fullmatch(RAW_NAMES.get(name, name))
        if match is None:
            raise RecordingError(f"unknown sample type {name!r}; known are {', '.join(RAW_NAMES)} and SigMF's names")
        if match["kind"] == "c":
            raise RecordingError(f"complex samples ({name}): only real passband recordings can be read")
        number = match["number"]
        octets = int(number[1:]) // 8
        if octets > 1 and match["order"] is None:
            raise RecordingError(f"sample type {name!r} does not say its byte order (_le or _be)")
        dtype = np.dtype((">" if match["order"] == "_be" else "<") + number[0] + str(octets))
        full_scale = 1.0 if number[0] == "f" else float(2 ** (8 * octets - 1))
        return cls(dtype, 1.0 / full_scale, full_scale if number[0] == "u" else 0.0)


class MappedSamples:
    """Samples of one type in a file, possibly interleaved channels."""

    def __init__(self, path: Path, kind: SampleType, offset: int, length: int, channels: int, channel: int) -> None:
        shape = (length, channels)
        self._array = np.memmap(path, kind.dtype, "r", offset, shape)[:, channel]
        self._kind = kind

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """See `Source`."""
        x = self._array[first : first + count]
        if self._kind.scale == 1.0:
            with np.errstate(over="ignore"):
                return np.array(x, np.float32)
        return ((x.astype(np.float64) - self._kind.zero) * self._kind.scale).astype(np.float32)


class SoundSamples:
    """Samples that libsndfile reads."""

    def __init__(self, file: Any, channel: int) -> None:
        self._file, self._channel, self._next = file, channel, 0

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """See `Source`."""
        if first != self._next:
            self._file.seek(first)
        x: NDArray[np.float32] = self._file.read(count, dtype="float32", always_2d=True)
        self._next = first + len(x)
        return np.ascontiguousarray(x[:, self._channel])


def open_recording(
    name: str, sample_rate: float | None = None, dtype: str | None = None, channel: int = 0
) -> Recording:
    """Open by suffix; `sample_rate` and `dtype` describe a raw file and are refused for the others.

    Raises:
        RecordingError: one line that begins with the file's name.
    """
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix == ".sigmf":
        raise RecordingError(f"{name}: SigMF archives are not read; unpack it and give the .sigmf-meta")
    meta, _ = sigmf_paths(path)
    is_sigmf = suffix in (SIGMF_META, SIGMF_DATA) or (not path.exists() and meta.exists())
    if (is_sigmf or suffix in WAV_SUFFIXES) and (sample_rate is not None or dtype is not None):
        raise RecordingError(f"{name}: --rate and --dtype are for raw files; this one tells its own")
    try:
        if is_sigmf:
            return _open_sigmf(name, path, channel)
        if path.is_dir():
            raise RecordingError(f"{name}: is a directory")
        if suffix in WAV_SUFFIXES:
            return _open_sound(name, path, channel)
        if not path.exists():
            raise RecordingError(f"{name}: no such file")
        if sample_rate is None or dtype is None:
            raise RecordingError(
                f"{name}: unknown type of recording {suffix!r}; SigMF and WAV are known by suffix, "
                "raw samples need --rate and --dtype"
            )
        kind = _typed(name, dtype)
        return _open_mapped(name, path, kind, sample_rate, 0, path.stat().st_size, 1, 0, None)
    except OSError as error:
        raise RecordingError(f"{error.filename or name}: {error.strerror or error}") from None


def _typed(name: str, dtype: str) -> SampleType:
    try:
        return SampleType.parse(dtype)
    except RecordingError as error:
        raise RecordingError(f"{name}: {error}") from None


def _open_mapped(
    name: str, path: Path, kind: SampleType, rate: float, offset: int, octets: int, channels: int, channel: int,
    sha512: str | None,
) -> Recording:
    if not 0 < rate < 1e9:
        raise RecordingError(f"{name}: a sample rate of {rate} Hz is not possible")
    if not 0 <= channel < channels:
        raise RecordingError(f"{name}: has channels 0..{channels - 1}, not {channel}")
    frame = kind.dtype.itemsize * channels
    if octets <= 0:
        raise RecordingError(f"{path}: holds no samples")
    if octets % frame:
        raise RecordingError(
            f"{path}: {octets} octets are not a whole number of samples of {frame} octets: truncated, or another type"
        )
    length = octets // frame
    samples = MappedSamples(path, kind, offset, length, channels, channel)
    return Recording(name, path, float(rate), length, samples, kind.dtype.kind == "f", sha512)


def _open_sigmf(name: str, path: Path, channel: int) -> Recording:
    meta_path, data_path = sigmf_paths(path)
    try:
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise RecordingError(f"{meta_path}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise RecordingError(f"{meta_path}:{error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise RecordingError(f"{meta_path}: not JSON: nested too deeply") from None
    head = meta.get("global") if isinstance(meta, dict) else None
    if not isinstance(head, dict):
        raise RecordingError(f"{meta_path}: no object 'global'")
    if "core:datatype" not in head:
        raise RecordingError(f"{meta_path}: core:datatype is missing")
    kind = _typed(str(meta_path), str(head["core:datatype"]))
    rate = _number(meta_path, head, "core:sample_rate", None)
    channels = int(_number(meta_path, head, "core:num_channels", 1))
    trailing = int(_number(meta_path, head, "core:trailing_bytes", 0))
    if "core:dataset" in head:
        data_path = meta_path.with_name(Path(str(head["core:dataset"])).name)
    captures = meta.get("captures", [])
    annotations = meta.get("annotations", [])
    for key, items in (("captures", captures), ("annotations", annotations)):
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise RecordingError(f"{meta_path}: {key!r} must be a list of objects")
    header = sum(int(_number(meta_path, item, "core:header_bytes", 0)) for item in captures)
    if header and len(captures) > 1:
        raise RecordingError(f"{meta_path}: several captures with core:header_bytes are not read")
    octets = data_path.stat().st_size - header - trailing
    sha512 = head.get("core:sha512")
    recording = _open_mapped(
        name, data_path, kind, rate, header, octets, channels, channel, str(sha512) if sha512 else None
    )
    for item in [*captures, *annotations]:
        end = _number(meta_path, item, "core:sample_start", 0) + _number(meta_path, item, "core:sample_count", 0)
        end -= _number(meta_path, head, "core:offset", 0)
        if end > recording.length:
            raise RecordingError(
                f"{data_path}: holds {recording.length} samples, its metadata speak of sample {end:.0f}: truncated"
            )
    return recording


def _number(path: Path, table: dict[str, Any], key: str, default: float | None) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63:
        raise RecordingError(f"{path}: {key} must be a number of 0 or more, got {value!r}")
    return value


def _open_sound(name: str, path: Path, channel: int) -> Recording:
    import soundfile

    if path.stat().st_size == 0:
        raise RecordingError(f"{name}: the file is empty")
    _check_riff(name, path)
    try:
        file = soundfile.SoundFile(path)
    except (RuntimeError, soundfile.SoundFileError) as error:
        reason = str(error).rsplit(": ", 1)[-1]
        raise RecordingError(f"{name}: no sound file: {reason}") from None
    if file.frames == 0:
        raise RecordingError(f"{name}: holds no samples")
    if not 0 <= channel < file.channels:
        raise RecordingError(f"{name}: has channels 0..{file.channels - 1}, not {channel}")
    may_hold_nan = file.subtype in ("FLOAT", "DOUBLE")
    return Recording(name, path, float(file.samplerate), file.frames, SoundSamples(file, channel), may_hold_nan)


def _check_riff(name: str, path: Path) -> None:
    """libsndfile reads a cut WAV without a word; its own chunk sizes tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            return
        position = 12
        while position + 8 <= size:
            file.seek(position)
            kind, length = struct.unpack("<4sI", file.read(8))
            position += 8
            if kind == b"data":
                if length != 0xFFFFFFFF and position + length > size:  # that value: written to a pipe, size unknown
                    raise RecordingError(f"{name}: truncated: {length} octets of samples promised, {size - position} held")
                return
            position += length + length % 2
    raise RecordingError(f"{name}: truncated: no samples in this WAV file")
