"""`file:PATH`: recordings played as fast as they are read or in real time, and line samples written as recordings.

Source options: rate, dtype (raw files), channel, frequency, iq as in `open_recording`; mains_channel: of a file with several,
the mains zero crossing; pace: fast or realtime; block: samples; start_s: where to begin; volts_per_full_scale: scales what
the file holds.  Sink options: rate (required), first_sample; SigMF, or WAV for names that end in .wav.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..recorder import RecordingWriter
from ..recording import Recording, open_recording
from ..wave_writer import WaveWriter
from .contract import Address, Block, SinkStatistics, SourceStatistics
from .placing import Pacer, Placer

BLOCK_S: Final = 10e-3  # of a block, when no option says otherwise and the pace is the clock's
FAST_BLOCK: Final = 1 << 15  # samples, when there is no hurry
SOURCE_OPTIONS: Final = (
    "rate", "dtype", "channel", "frequency", "iq", "mains_channel", "pace", "block", "start_s", "volts_per_full_scale",
)  # fmt: skip


class FileSource:
    """Plays a recording. Sample 0 of the file has index 0.

    Args:
        recording: an open one.    mains: the channel with the mains zero crossing, or None.
        realtime: no faster than the clock on the wall.    block: samples.    scale: V for each unit of the file.
        first: line sample to begin with.
    """

    def __init__(
        self, recording: Recording, mains: Recording | None = None, realtime: bool = False, block: int = FAST_BLOCK,
        scale: float = 1.0, first: int = 0,
    ) -> None:  # fmt: skip
        self.recording = recording
        self.sample_rate = recording.sample_rate
        self.name = f"recording {recording.name}"
        self.statistics = SourceStatistics()
        self._mains, self._block, self._scale, self._next = mains, block, np.float32(scale), first
        self._pacer = Pacer(self.sample_rate) if realtime else None
        self._closed = False

    @property
    def ended(self) -> bool:
        """The whole file was read, or it was closed."""
        return self._closed or self._next >= self.recording.length

    def read(self, timeout_s: float) -> Block | None:
        """See SampleSource. Samples that are no numbers become 0 and count as malformed."""
        if self.ended:
            return None
        first, count = self._next, min(self._block, self.recording.length - self._next)
        if self._pacer is not None and not self._pacer.wait(first + count, timeout_s):
            return None
        x: NDArray[np.float32] = self.recording.source.read(first, count)
        bad = ~np.isfinite(x) if self.recording.may_hold_nan else None
        if bad is not None and bad.any():
            self.statistics.malformed += int(bad.sum())
            x = np.where(bad, np.float32(0), x)
        mains = None if self._mains is None else self._mains.source.read(first, count)
        self._next = first + count
        return self.statistics.count(Block(first, x * self._scale, 0, mains))

    def close(self) -> None:
        """End it."""
        self._closed = True


class FileSink:
    """Writes what it gets into a recording that is complete at any time.

    Args:
        path: SigMF, or WAV with the suffix .wav.    sample_rate: Hz.
        first_sample: index of the file's first sample; None = that of the first block.
    """

    def __init__(self, path: Path, sample_rate: float, first_sample: int | None = None) -> None:
        self.sample_rate, self.name = sample_rate, f"recording {path}"
        self.statistics = SinkStatistics()
        self._path, self._placer = path, Placer(self.statistics, first_sample)
        self._writer: RecordingWriter | WaveWriter | None = None

    def write(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """See SampleSink."""
        for piece in self._placer.place(first_sample, samples):
            assert self._placer.next_sample is not None
            index = self._placer.next_sample - piece.size
            if self._writer is None:
                self._writer = _writer(self._path, self.sample_rate, index)
            self._writer.write(piece, index)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _writer(path: Path, sample_rate: float, first_sample: int) -> RecordingWriter | WaveWriter:
    if path.suffix.lower() == ".wav":
        return WaveWriter(path, sample_rate, first_sample)
    return RecordingWriter(path, sample_rate, first_sample)


def open_file_source(address: Address) -> FileSource:
    """`file:PATH`, see the top of this module."""
    address.check_options(SOURCE_OPTIONS)
    rate, dtype, frequency = address.rate(), address.options.get("dtype"), address.number("frequency")

    def opened(channel: int) -> Recording:
        return open_recording(address.place, rate, dtype, channel, frequency, address.flag("iq"))

    recording = opened(address.integer("channel", 0))
    mains = opened(address.integer("mains_channel", 0)) if "mains_channel" in address.options else None
    realtime = address.choice("pace", "fast", ("fast", "realtime")) == "realtime"
    usual = round(BLOCK_S * recording.sample_rate) if realtime else FAST_BLOCK
    start_s = address.number("start_s", 0.0, 0.0)
    scale = address.number("volts_per_full_scale", 1.0, 1e-9, 1e9)
    assert start_s is not None and scale is not None
    block = address.integer("block", usual, 1, 1 << 24)
    return FileSource(recording, mains, realtime, block, scale, round(start_s * recording.sample_rate))


def open_file_sink(address: Address) -> FileSink:
    """`file:PATH?rate=HZ`, see the top of this module."""
    address.check_options(("rate", "first_sample"))
    path = Path(address.place)
    if not address.place or path.is_dir():
        raise address.error("needs the name of a file")
    if not path.parent.is_dir():
        raise address.error(f"there is no directory {path.parent}")
    if path.suffix.lower() not in ("", ".wav", ".sigmf-meta", ".sigmf-data"):
        raise address.error(f"unknown suffix {path.suffix!r}; use .wav or .sigmf-meta")
    first = address.integer("first_sample", 0) if "first_sample" in address.options else None
    return FileSink(path, address.required_rate(), first)
