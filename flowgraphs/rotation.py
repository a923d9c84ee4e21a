"""Continuous recording: SigMF pieces that follow each other, with an annotation for each packet and each gap.

A piece is complete at any time: the samples are on their way to the file before the metadata speak of them, and metadata are
replaced as a whole. After kill -9 everything but the last half second can be read.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import RecordingError
from .recorder import Annotation, RecordingWriter, sigmf_paths, write_meta

SAVE_S: Final = 0.5  # of samples between two moments at which everything is in the files
IDLE_S: Final = 0.5  # without a packet, before a piece is cut
PATIENCE_S: Final = 10.0  # that a piece may become longer because the line is never idle
MOST_ANNOTATIONS: Final = 100_000  # in one piece; a hostile line shall not fill the memory


@dataclass(slots=True)
class _Piece:
    """A file of the recording. first_sample, end: absolute."""

    path: Path
    first_sample: int
    end: int
    started: datetime
    annotations: list[Annotation] = field(default_factory=list)
    changed: bool = False


class RotatingRecorder:
    """Writes what a line carries into a directory.

    Args:
        directory: is made when missing.    sample_rate: Hz.    rotate_s: length of a piece.
        keep: number of pieces, older ones are deleted; None keeps all.    description: for the metadata.
        started: time of sample 0 of the stream.
    Attributes:
        pieces: names of the files so far, without suffix.
    Raises:
        RecordingError: the directory cannot be used.
    """

    def __init__(
        self, directory: Path, sample_rate: float, rotate_s: float = 3600.0, keep: int | None = None, description: str = "",
        started: datetime | None = None,
    ) -> None:  # fmt: skip
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"{directory}: cannot be made: {error.strerror}") from None
        self._directory, self._rate, self._keep, self._description = directory, sample_rate, keep, description
        self._rotate, self._save, self._idle, self._patience = (
            round(s * sample_rate) for s in (rotate_s, SAVE_S, IDLE_S, PATIENCE_S)
        )
        self._started = started or datetime.now(UTC)
        self._zero: int | None = None  # first sample of the stream
        self.pieces: deque[Path] = deque()
        self._piece: _Piece | None = None
        self._previous: _Piece | None = None
        self._writer: RecordingWriter | None = None
        self._saved = self._busy_at = 0

    def write(self, first_sample: int, samples: NDArray[np.float32], busy: bool, missing_before: int = 0) -> None:
        """(N,) float32 V at an absolute index. `busy`: a packet may be on the line, this is no place to cut."""
        if busy:
            self._busy_at = first_sample + samples.size
        piece = self._piece
        if piece is not None and self._is_full(piece, first_sample):
            self._close_piece()
            piece = None
        if piece is None:
            piece = self._open_piece(first_sample)
        assert self._writer is not None
        if missing_before and first_sample - missing_before >= piece.first_sample:
            self._annotate(piece, _gap(first_sample - missing_before - piece.first_sample, missing_before, self._rate))
        self._writer.write(samples, first_sample - piece.first_sample)
        piece.end = first_sample + samples.size
        if piece.end - self._saved >= self._save:
            self._save_all()

    def annotate(self, first_sample: int, count: int, lower_hz: float, upper_hz: float, label: str, lpdu: str, carrier: str,
                 start_sample: int) -> None:  # fmt: skip
        """A packet; samples are absolute. It belongs to the piece in which its bit 0 begins."""
        for piece in (self._piece, self._previous):
            if piece is not None and piece.first_sample <= start_sample < piece.end:
                end = min(first_sample + count, piece.end)
                first = max(first_sample, piece.first_sample) - piece.first_sample
                count, start = end - piece.first_sample - first, start_sample - piece.first_sample
                self._annotate(piece, Annotation(first, count, lower_hz, upper_hz, label, lpdu, carrier, start))
                return

    def close(self) -> None:
        """Finish the last piece; twice is once."""
        if self._piece is not None:
            self._close_piece()

    def _is_full(self, piece: _Piece, now: int) -> bool:
        length = now - piece.first_sample
        return length >= self._rotate and (now - self._busy_at >= self._idle or length >= self._rotate + self._patience)

    def _open_piece(self, first_sample: int) -> _Piece:
        if self._zero is None:
            self._zero = first_sample
        started = self._started + timedelta(seconds=(first_sample - self._zero) / self._rate)
        path = self._directory / f"line-{started:%Y%m%dT%H%M%S}.{started.microsecond // 1000:03d}Z-{first_sample}"
        piece = self._piece = _Piece(path, first_sample, first_sample, started)
        self._writer = RecordingWriter(path, self._rate)
        self._write_meta(piece)
        self._saved = first_sample
        self.pieces.append(path)
        while self._keep is not None and len(self.pieces) > self._keep:
            for part in sigmf_paths(self.pieces.popleft()):
                part.unlink(missing_ok=True)
        return piece

    def _close_piece(self) -> None:
        self._save_all()
        if self._writer is not None:
            self._writer.close()
        self._previous, self._piece, self._writer = self._piece, None, None

    def _save_all(self) -> None:
        if self._writer is not None:
            self._writer.flush()
        for piece in (self._piece, self._previous):
            if piece is not None and piece.changed and piece.path in self.pieces:
                self._write_meta(piece)
        if self._piece is not None:
            self._saved = self._piece.end

    def _write_meta(self, piece: _Piece) -> None:
        piece.changed = False
        stamp = f"{piece.started:%Y-%m-%dT%H:%M:%S.%f}Z"
        write_meta(
            piece.path, self._rate, self._description, piece.annotations, first_sample=piece.first_sample, datetime=stamp
        )  # fmt: skip

    def _annotate(self, piece: _Piece, annotation: Annotation) -> None:
        if len(piece.annotations) < MOST_ANNOTATIONS:
            piece.annotations.append(annotation)
            piece.changed = True


def _gap(first_sample: int, count: int, sample_rate: float) -> Annotation:
    return Annotation(first_sample, count, 0.0, sample_rate / 2, "samples missing", "", "", first_sample)
