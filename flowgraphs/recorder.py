"""Writing recordings: SigMF (rf32_le, volts) and WAV, with an annotation for each packet."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

from .errors import RecordingError

SIGMF_VERSION: Final = "1.0.0"
SIGMF_META: Final = ".sigmf-meta"
SIGMF_DATA: Final = ".sigmf-data"
NAMESPACE: Final = {"name": "osgp", "version": "0.1.0", "optional": True}
SAMPLE: Final = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A packet in a recording: where it is, between which frequencies, and what it says.

    first_sample, count: samples from the first ramp on.    lpdu: hex, CRC included.    sender: station or "".
    """

    first_sample: int
    count: int
    lower_hz: float
    upper_hz: float
    label: str
    lpdu: str
    carrier: str
    start_sample: int
    sender: str = ""

    def as_sigmf(self) -> dict[str, Any]:
        """The annotation object of SigMF; keys outside `core:` are in our own namespace."""
        return {
            "core:sample_start": self.first_sample,
            "core:sample_count": self.count,
            "core:freq_lower_edge": self.lower_hz,
            "core:freq_upper_edge": self.upper_hz,
            "core:label": self.label,
            "osgp:lpdu": self.lpdu,
            "osgp:carrier": self.carrier,
            "osgp:start_sample": self.start_sample,
            "osgp:sender": self.sender,
        }


def sigmf_paths(path: Path) -> tuple[Path, Path]:
    """(meta, data) of a recording named with either suffix or with none."""
    name = path.name.removesuffix(SIGMF_META).removesuffix(SIGMF_DATA)
    return path.with_name(name + SIGMF_META), path.with_name(name + SIGMF_DATA)


def write_meta(
    path: Path,
    sample_rate: float,
    description: str,
    annotations: Iterable[Annotation] = (),
    *,
    first_sample: int = 0,
    sha512: str | None = None,
    datetime: str | None = None,
) -> None:
    """The .sigmf-meta of a rf32_le recording in V. Replaces the file at once, never leaves half of one."""
    head: dict[str, Any] = {
        "core:datatype": "rf32_le",
        "core:sample_rate": sample_rate,
        "core:version": SIGMF_VERSION,
        "core:num_channels": 1,
        "core:description": description,
        "core:recorder": "osgp-sdr",
        "core:extensions": [NAMESPACE],
        "osgp:unit": "V",
    }
    if sha512 is not None:
        head["core:sha512"] = sha512
    captures: dict[str, Any] = {"core:sample_start": 0}
    if first_sample:
        captures["core:global_index"] = first_sample
    if datetime is not None:
        captures["core:datetime"] = datetime
    ordered = sorted(annotations, key=lambda annotation: (annotation.first_sample, annotation.sender))
    document = {"global": head, "captures": [captures], "annotations": [item.as_sigmf() for item in ordered]}
    meta, _ = sigmf_paths(path)
    partial = meta.with_name(meta.name + ".part")
    try:
        partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        partial.replace(meta)
    except OSError as error:
        raise RecordingError(f"{meta}: cannot write: {error.strerror}") from None


def file_sha512(path: Path) -> str:
    """Hash of a file, as SigMF stores it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


class RecordingWriter:
    """Writes a SigMF recording while it happens; the file is a valid recording at any time.

    Args:
        path: with or without suffix.    sample_rate: Hz.
        first_sample: absolute index of sample 0 of the file.
        append: go on with an existing file (its own first sample is kept).
    """

    def __init__(self, path: Path, sample_rate: float, first_sample: int = 0, append: bool = False) -> None:
        self._meta, self._data = sigmf_paths(path)
        self._sample_rate = sample_rate
        exists = append and self._data.exists()
        self.first_sample = 0 if exists else first_sample
        try:
            self._file: BinaryIO = self._data.open("r+b" if exists else "wb", buffering=1 << 18)
        except OSError as error:
            raise RecordingError(f"{self._data}: cannot write: {error.strerror}") from None
        self._next = self.first_sample + (os.fstat(self._file.fileno()).st_size // SAMPLE.itemsize if exists else 0)
        self._file.seek((self._next - self.first_sample) * SAMPLE.itemsize)
        if not exists:
            write_meta(path, sample_rate, "line voltage at a coupler", first_sample=first_sample)

    def write(self, x: NDArray[np.float32], index: int) -> None:
        """(N,) float32 V whose first sample has the absolute index `index`; samples in between stay zero."""
        if index != self._next:
            self._file.seek((index - self.first_sample) * SAMPLE.itemsize)
        self._file.write(np.ascontiguousarray(x, SAMPLE).tobytes())
        self._next = index + x.size

    def flush(self) -> None:
        """Everything written so far can be read by others."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def finish_recording(
    path: Path, sample_rate: float, end_sample: int, description: str, annotations: Iterable[Annotation]
) -> None:
    """Cut a recording that began at sample 0 at `end_sample` and describe every packet that lies in it whole."""
    _, data = sigmf_paths(path)
    try:
        held = data.stat().st_size // SAMPLE.itemsize
        end_sample = min(end_sample, held)
        os.truncate(data, end_sample * SAMPLE.itemsize)
    except OSError as error:
        raise RecordingError(f"{data}: cannot finish: {error.strerror}") from None
    inside = [item for item in annotations if item.first_sample + item.count <= end_sample]
    write_meta(path, sample_rate, description, inside, sha512=file_sha512(data))


def write_recording(
    path: Path, x: NDArray[np.float32], sample_rate: float, description: str, annotations: Iterable[Annotation]
) -> None:
    """A whole recording: WAV (32-bit float) for .wav, SigMF for .sigmf-meta, .sigmf-data or no suffix.

    Raises:
        RecordingError: another suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".wav":
        import soundfile

        try:
            soundfile.write(path, x, round(sample_rate), subtype="FLOAT", format="WAV")
        except (OSError, RuntimeError) as error:
            raise RecordingError(f"{path}: cannot write: {error}") from None
        return
    if suffix not in (SIGMF_META, SIGMF_DATA, ".sigmf", ""):
        raise RecordingError(f"{path}: unknown suffix {suffix!r}; use .wav or .sigmf-meta")
    base = path.with_suffix("") if suffix == ".sigmf" else path
    with RecordingWriter(base, sample_rate) as writer:
        writer.write(x, 0)
    finish_recording(base, sample_rate, x.size, description, annotations)
