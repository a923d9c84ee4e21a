"""WAV files (32-bit float, V) that are readable at any time, also after the writer was killed.

libsndfile writes the sizes into the header when the file is closed; a killed process leaves a file of length 0. Here the
header is brought up to date after the samples are on their way to the file, so that it never promises more than is there.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from .errors import RecordingError

# RIFF, fmt (IEEE float = 3), fact, data; Multimedia Programming Interface and Data Specifications 1.0 and its update of 1994
HEADER: Final = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")
FLOAT: Final = 3
OCTETS: Final = 4
MOST_OCTETS: Final = 0xFFFFFFFF - 1024  # of samples: the sizes have 32 bits
ZEROS_AT_ONCE: Final = 1 << 16


def wave_header(sample_rate: int, channels: int, octets: int) -> bytes:
    """The header of a WAV with `octets` octets of float samples."""
    frame = OCTETS * channels
    return HEADER.pack(
        b"RIFF", HEADER.size - 8 + octets, b"WAVE", b"fmt ", 18, FLOAT, channels, sample_rate, sample_rate * frame,
        frame, 8 * OCTETS, 0, b"fact", 4, octets // frame, b"data", octets,
    )  # fmt: skip


class WaveWriter:
    """Writes one channel while it happens.

    Args:
        path: of the file.    sample_rate: Hz, a whole number.    first_sample: absolute index of its first sample.
        update_s: seconds of samples between two updates of the header.
    Raises:
        RecordingError: the file cannot be written, or is full (4 GiB).
    """

    def __init__(self, path: Path, sample_rate: float, first_sample: int = 0, update_s: float = 0.5) -> None:
        self.first_sample, self._path = first_sample, path
        self._rate, self._next = round(sample_rate), first_sample
        self._update, self._held = round(update_s * sample_rate), 0
        if self._rate != sample_rate:
            raise RecordingError(f"{path}: WAV needs a whole number of samples a second, not {sample_rate:.12g}; use SigMF")
        try:
            self._file: BinaryIO = path.open("wb", buffering=1 << 18)
        except OSError as error:
            raise RecordingError(f"{path}: cannot write: {error.strerror}") from None
        self._file.write(wave_header(self._rate, 1, 0))
        self._file.flush()

    def write(self, x: NDArray[np.float32], index: int) -> None:
        """(N,) float32 V whose first sample has the absolute index `index`; samples in between are zero."""
        while index > self._next:
            self._append(np.zeros(min(index - self._next, ZEROS_AT_ONCE), np.float32))
        self._append(x[max(0, self._next - index) :])

    def flush(self) -> None:
        """Everything written so far can be read by others."""
        self._file.flush()
        place = self._file.tell()
        self._file.seek(0)
        self._file.write(wave_header(self._rate, 1, place - HEADER.size))
        self._file.flush()
        self._file.seek(place)
        self._held = 0

    def close(self) -> None:
        """Finish the file; twice is once."""
        if not self._file.closed:
            self.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def _append(self, x: NDArray[np.float32]) -> None:
        if (self._next - self.first_sample + x.size) * OCTETS > MOST_OCTETS:
            raise RecordingError(f"{self._path}: a WAV holds 4 GiB and no more; rotate it or use SigMF")
        self._file.write(np.ascontiguousarray(x, "<f4").tobytes())
        self._next += x.size
        self._held += x.size
        if self._held >= self._update:
            self.flush()
