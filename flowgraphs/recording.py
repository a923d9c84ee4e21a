"""Reading recordings block by block: SigMF, WAV and raw samples, real passband or IQ, one channel.

Whatever is stored, `Recording` gives real line samples. `open_recording` refuses what cannot be a whole recording;
`check` reads it once for the hash and for values that are no numbers.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from phy.errors import ConfigurationError
from phy.iq import PassbandConverter

from .errors import RecordingError
from .recorder import SIGMF_DATA, SIGMF_META, file_sha512, sigmf_paths
from .samples import MappedSamples, PassbandSamples, SampleType, SoundSamples, Source

_UNKNOWN: Final = 0xFFFFFFFF  # size in a WAV that was written to a pipe, or in the first header of an RF64
CHUNK: Final = 1 << 20  # samples that `check` looks at at a time
WAV_SUFFIXES: Final = {".wav", ".wave", ".flac", ".w64", ".rf64", ".aiff", ".aif", ".caf"}


@dataclass(frozen=True, slots=True)
class Recording:
    """An open recording.

    Attributes:
        name: as the user wrote it. path: of the samples. stored: what the file holds, complex for IQ. stored_length: samples.
        sample_rate: of the real line samples, Hz. length: of them. source: reads them.
        factor: line samples for one sample of the file; 1 unless it is IQ.
        centre_hz: line frequency of 0 Hz in the file; None when it holds real samples.
        low_hz, high_hz: band of the line that it holds.
        may_hold_nan: the type of its samples allows it. sha512: what its metadata promise.
    """

    name: str
    path: Path
    stored: Source
    stored_length: int
    sample_rate: float
    length: int
    source: Source
    factor: int
    centre_hz: float | None
    low_hz: float
    high_hz: float
    may_hold_nan: bool
    sha512: str | None = None

    @property
    def stored_rate(self) -> float:
        """Sample rate of the file, Hz."""
        return self.sample_rate / self.factor

    def stored_sample(self, line_sample: int) -> int:
        """The sample of the file at which a line sample is, or which it follows."""
        return line_sample // self.factor

    def blocks(self, size: int, first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Consecutive blocks of `size` line samples from line sample `first` on, (N,) float32; the last may be shorter."""
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
            for first in range(0, self.stored_length, CHUNK):
                x = self.stored.read(first, min(CHUNK, self.stored_length - first))
                bad = np.flatnonzero(~np.isfinite(x))
                if bad.size:
                    raise RecordingError(f"{self.path}: sample {first + int(bad[0])} is {x[bad[0]]}, not a number")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the user said about a file: its name, the channel, the centre of IQ, and whether two channels are I and Q."""

    name: str
    channel: int
    frequency: float | None
    iq: bool

    def channel_of(self, channels: int) -> int:
        if not 0 <= self.channel < channels:
            raise RecordingError(f"{self.name}: has channels 0..{channels - 1}, not {self.channel}")
        return self.channel


def open_recording(
    name: str, sample_rate: float | None = None, dtype: str | None = None, channel: int = 0,
    frequency: float | None = None, iq: bool = False,
) -> Recording:
    """Open by suffix.

    Args:
        name: of the file. sample_rate, dtype: of raw samples; refused for the others.
        channel: of a file with several.
        frequency: Hz, line frequency of the centre of IQ samples; without it SigMF's core:frequency.
        iq: the first two channels of a sound file are I and Q.
    Raises:
        RecordingError: one line that begins with the file's name.
    """
    wanted = _Wanted(name, channel, frequency, iq)
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix == ".sigmf":
        raise RecordingError(f"{name}: SigMF archives are not read; unpack it and give the .sigmf-meta")
    meta, _ = sigmf_paths(path)
    is_sigmf = suffix in (SIGMF_META, SIGMF_DATA) or (not path.exists() and meta.exists())
    if (is_sigmf or suffix in WAV_SUFFIXES) and (sample_rate is not None or dtype is not None):
        raise RecordingError(f"{name}: --rate and --dtype are for raw files; this one tells its own")
    if iq and (is_sigmf or suffix not in WAV_SUFFIXES):
        raise RecordingError(f"{name}: --iq is for sound files with two channels; SigMF and --dtype tell by themselves")
    try:
        if is_sigmf:
            return _open_sigmf(wanted, path)
        if path.is_dir():
            raise RecordingError(f"{name}: is a directory")
        if suffix in WAV_SUFFIXES:
            return _open_sound(wanted, path)
        if not path.exists():
            raise RecordingError(f"{name}: no such file")
        if sample_rate is None or dtype is None:
            raise RecordingError(
                f"{name}: unknown type of recording {suffix!r}; SigMF and WAV are known by suffix, "
                "raw samples need --rate and --dtype"
            )
        kind = _typed(name, dtype)
        return _open_mapped(wanted, path, kind, sample_rate, 0, path.stat().st_size, 1, None)
    except OSError as error:
        raise RecordingError(f"{error.filename or name}: {error.strerror or error}") from None


def _typed(name: str, dtype: str) -> SampleType:
    try:
        return SampleType.parse(dtype)
    except RecordingError as error:
        raise RecordingError(f"{name}: {error}") from None


def _recording(
    wanted: _Wanted, path: Path, stored: Source, length: int, rate: float, is_complex: bool, frequency: float | None,
    may_hold_nan: bool, sha512: str | None,
) -> Recording:
    """`frequency`: centre by the file itself."""
    name = wanted.name
    if not is_complex:
        if wanted.frequency is not None:
            raise RecordingError(f"{name}: --frequency is for IQ samples; this file holds real ones")
        return Recording(
            name, path, stored, length, rate, length, stored, 1, None, 0.0, rate / 2, may_hold_nan, sha512
        )  # fmt: skip
    centre = wanted.frequency
    if centre is None:
        if not frequency:
            missing = "no core:frequency" if frequency is None else "core:frequency 0"
            raise RecordingError(
                f"{name}: IQ samples with {missing}: give the line frequency of their centre with --frequency HZ"
            )
        centre = frequency
    try:
        converter = PassbandConverter(rate, centre)
    except ConfigurationError as error:
        raise RecordingError(
            f"{name}: IQ at {rate:g} Hz around {centre:.12g} Hz: {error}; behind a converter or tuner, give the frequency "
            "on the line with --frequency HZ"
        ) from None
    return Recording(
        name, path, stored, length, converter.sample_rate, length * converter.factor,
        PassbandSamples(stored, length, converter), converter.factor, centre, converter.low_hz, converter.high_hz,
        may_hold_nan, sha512,
    )  # fmt: skip


def _open_mapped(
    wanted: _Wanted, path: Path, kind: SampleType, rate: float, offset: int, octets: int, channels: int,
    sha512: str | None, frequency: float | None = None,
) -> Recording:
    if not 0 < rate < 1e9:
        raise RecordingError(f"{wanted.name}: a sample rate of {rate} Hz is not possible")
    channel = wanted.channel_of(channels)
    frame = kind.dtype.itemsize * channels * (2 if kind.is_complex else 1)
    if octets <= 0:
        raise RecordingError(f"{path}: holds no samples")
    if octets % frame:
        raise RecordingError(
            f"{path}: {octets} octets are not a whole number of samples of {frame} octets: truncated, or another type"
        )
    length = octets // frame
    samples = MappedSamples(path, kind, offset, length, channels, channel)
    is_float = kind.dtype.kind == "f"
    return _recording(wanted, path, samples, length, float(rate), kind.is_complex, frequency, is_float, sha512)


def _open_sigmf(wanted: _Wanted, path: Path) -> Recording:
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
        wanted, data_path, kind, rate, header, octets, channels, str(sha512) if sha512 else None,
        _centre(meta_path, captures) if kind.is_complex and wanted.frequency is None else None,
    )  # fmt: skip
    for item in [*captures, *annotations]:
        end = _number(meta_path, item, "core:sample_start", 0) + _number(meta_path, item, "core:sample_count", 0)
        end -= _number(meta_path, head, "core:offset", 0)
        if end > recording.stored_length:
            raise RecordingError(
                f"{data_path}: holds {recording.stored_length} samples, its metadata speak of sample {end:.0f}: truncated"
            )
    return recording


def _centre(path: Path, captures: list[dict[str, Any]]) -> float | None:
    """core:frequency of all captures, Hz."""
    centres = {_number(path, item, "core:frequency", 0) if "core:frequency" in item else None for item in captures}
    if len(centres) > 1:
        told = ", ".join("none" if hz is None else f"{hz:.12g}" for hz in sorted(centres, key=lambda hz: hz or 0))
        raise RecordingError(f"{path}: its captures have different core:frequency ({told}); only one is read")
    return centres.pop() if centres else None


def _number(path: Path, table: dict[str, Any], key: str, default: float | None) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63:
        raise RecordingError(f"{path}: {key} must be a number of 0 or more, got {value!r}")
    return value


def _open_sound(wanted: _Wanted, path: Path) -> Recording:
    import soundfile

    name = wanted.name
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
    if wanted.iq and file.channels != 2:
        raise RecordingError(f"{name}: --iq needs two channels, I and Q; this file has {file.channels}")
    if wanted.iq and wanted.frequency is None:
        raise RecordingError(f"{name}: --iq needs the line frequency of the centre: --frequency HZ")
    if wanted.frequency is not None and not wanted.iq and file.channels == 2:
        raise RecordingError(f"{name}: --frequency is for IQ samples: add --iq when the two channels are I and Q")
    samples = SoundSamples(file, None if wanted.iq else wanted.channel_of(file.channels))
    may_hold_nan = file.subtype in ("FLOAT", "DOUBLE")
    return _recording(wanted, path, samples, file.frames, float(file.samplerate), wanted.iq, None, may_hold_nan, None)


def _check_riff(name: str, path: Path) -> None:
    """libsndfile reads a cut WAV without a word; its own chunk sizes tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
            return
        position, promised = 12, None
        while position + 8 <= size:
            file.seek(position)
            kind, length = struct.unpack("<4sI", file.read(8))
            position += 8
            if kind == b"ds64" and position + 16 <= size:  # RF64 keeps its sizes here: file, samples
                _, promised = struct.unpack("<QQ", file.read(16))
            if kind == b"data":
                length = promised if promised is not None and length == _UNKNOWN else length
                if length != _UNKNOWN and position + length > size:
                    raise RecordingError(f"{name}: truncated: {length} octets of samples promised, {size - position} held")
                return
            position += length + length % 2
    raise RecordingError(f"{name}: truncated: no samples in this WAV file")
