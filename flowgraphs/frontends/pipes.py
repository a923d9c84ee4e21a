"""`pipe:-` (standard input or output) and `pipe:PATH` (a FIFO, a device, a file): raw samples without a header.

Source options: rate (required), dtype (float32), channels (1), channel (0), mains_channel, block (samples),
volts_per_full_scale (1).  Sink options: rate (required), dtype (float32), volts_per_full_scale (1).
Nothing is lost in a pipe: who is slow makes the other one wait.
"""

import contextlib
import os
import queue
import stat
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, Final, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from ..errors import FrontEndError, RecordingError
from ..samples import SampleType
from .contract import Address, Block, SinkStatistics, SourceStatistics
from .placing import Placer

BLOCK_S: Final = 5e-3
QUEUED: Final = 8  # reads that wait for the reader; then the pipe itself is what waits
LARGEST_V: Final = np.float32(1e9)  # what is beyond, or no number, is not a voltage


class PipeSource:
    """Raw samples as they come; the index counts from 0.

    Args:
        place: `-` or a path.    kind: of one number.    sample_rate: Hz.    channels: interleaved.
        channel, mains_channel: which is the line, which the mains zero crossing (None = none).
        block: samples that a block holds at most.    scale: V for full scale.
    """

    def __init__(
        self, place: str, kind: SampleType, sample_rate: float, channels: int = 1, channel: int = 0,
        mains_channel: int | None = None, block: int = 2000, scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.sample_rate, self.name = sample_rate, f"pipe {place}"
        self.statistics = SourceStatistics()
        self._place, self._kind, self._scale = place, kind, scale
        self._channels, self._channel, self._mains_channel = channels, channel, mains_channel
        self._frame = kind.dtype.itemsize * channels
        self._octets = block * self._frame
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUED)
        self._rest, self._next = b"", 0
        self._ended = self._closed = False
        self._problem = ""
        self._thread = threading.Thread(target=self._fill, name=self.name, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """The other end has closed and everything was read."""
        return self._ended

    def read(self, timeout_s: float) -> Block | None:
        """See SampleSource.

        Raises:
            FrontEndError: the pipe cannot be read.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ended:
            try:
                octets = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if octets is None:
                self._ended = True
                self.statistics.malformed += len(self._rest)
                if self._problem:
                    raise FrontEndError(f"{self.name}: {self._problem}")
                return None
            octets = self._rest + octets
            whole = len(octets) - len(octets) % self._frame
            self._rest = octets[whole:]
            if whole:
                return self._block(octets[:whole])
        return None

    def close(self) -> None:
        """Stop reading; octets on their way are lost."""
        self._closed = self._ended = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def _block(self, octets: bytes) -> Block:
        numbers = np.frombuffer(octets, self._kind.dtype).reshape(-1, self._channels)
        x = self._volts(numbers[:, self._channel], self._scale)
        mains = None if self._mains_channel is None else self._volts(numbers[:, self._mains_channel], 1.0)
        first, self._next = self._next, self._next + x.size
        return self.statistics.count(Block(first, x, 0, mains))

    def _volts(self, numbers: NDArray[np.generic], scale: float) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            x = ((numbers.astype(np.float64) - self._kind.zero) * (self._kind.scale * scale)).astype(np.float32)
            good = np.abs(x) < LARGEST_V
        if not good.all():
            self.statistics.malformed += int((~good).sum())
            x = np.where(good, x, np.float32(0))
        return x

    def _fill(self) -> None:
        try:
            with _opened(self._place, "rb", sys.stdin) as file:
                while not self._closed and (octets := os.read(file.fileno(), self._octets)):
                    self._queue.put(octets)
        except OSError as error:
            self._problem = error.strerror or str(error)
        if not self._closed:
            self._queue.put(None)


class PipeSink:
    """Raw samples to whoever reads; silence is filled in where nothing was written."""

    def __init__(self, place: str, kind: SampleType, sample_rate: float, scale: float = 1.0) -> None:
        self.sample_rate, self.name = sample_rate, f"pipe {place}"
        self.statistics = SinkStatistics()
        self._place, self._kind, self._scale = place, kind, scale
        self._placer = Placer(self.statistics)
        self._file: BinaryIO | None = None

    def write(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """See SampleSink.

        Raises:
            FrontEndError: the reader has gone; BrokenPipeError when that is standard output.
        """
        try:
            if self._file is None:
                self._file = _opened(self._place, "wb", sys.stdout)
            for piece in self._placer.place(first_sample, samples):
                self._file.write(self._numbers(piece).tobytes())
            self._file.flush()
        except OSError as error:
            self._file = None
            if self._place == "-" and isinstance(error, BrokenPipeError):
                raise
            raise FrontEndError(f"{self.name}: {error.strerror or error}") from None

    def close(self) -> None:
        """Close it; twice is once."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _numbers(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        y = x.astype(np.float64) / (self._kind.scale * self._scale)
        if self._kind.dtype.kind == "f":
            return y.astype(self._kind.dtype)
        limits = np.iinfo(self._kind.dtype)
        y = np.rint(y + self._kind.zero)
        self.statistics.clipped += int(((y < limits.min) | (y > limits.max)).sum())
        return np.clip(y, limits.min, limits.max).astype(self._kind.dtype)


def _opened(place: str, mode: Literal["rb", "wb"], standard: TextIO) -> BinaryIO:
    """The file behind a place. Opening a FIFO waits for the other end."""
    file: str | int = os.dup(standard.fileno()) if place == "-" else place
    return open(file, mode, buffering=0 if mode == "rb" else -1)  # noqa: PTH123


def _kind(address: Address) -> SampleType:
    try:
        kind = SampleType.parse(address.options.get("dtype", "float32"))
    except RecordingError as error:
        raise address.error(str(error)) from None
    if kind.is_complex:
        raise address.error("IQ samples in a pipe are not taken; write them to a file, or convert them to real ones")
    return kind


def open_pipe_source(address: Address) -> PipeSource:
    """`pipe:PLACE?rate=HZ`, see the top of this module."""
    address.check_options(("rate", "dtype", "channels", "channel", "mains_channel", "block", "volts_per_full_scale"))
    rate, kind = address.required_rate(), _kind(address)
    channels = address.integer("channels", 1, 1, 64)
    channel = address.integer("channel", 0, 0, channels - 1)
    mains = address.integer("mains_channel", 0, 0, channels - 1) if "mains_channel" in address.options else None
    block = address.integer("block", max(1, round(BLOCK_S * rate)), 1, 1 << 20)
    scale = address.number("volts_per_full_scale", 1.0, 1e-9, 1e9)
    assert scale is not None
    _check_place(address)
    if address.place != "-" and not Path(address.place).exists():
        raise address.error("no such file or FIFO")
    return PipeSource(address.place, kind, rate, channels, channel, mains, block, scale)


def open_pipe_sink(address: Address) -> PipeSink:
    """`pipe:PLACE?rate=HZ`, see the top of this module."""
    address.check_options(("rate", "dtype", "volts_per_full_scale"))
    scale = address.number("volts_per_full_scale", 1.0, 1e-9, 1e9)
    assert scale is not None
    _check_place(address)
    return PipeSink(address.place, _kind(address), address.required_rate(), scale)


def _check_place(address: Address) -> None:
    if not address.place:
        raise address.error("needs a place: pipe:- or pipe:PATH")
    path = Path(address.place)
    if address.place != "-" and path.exists() and stat.S_ISDIR(path.stat().st_mode):
        raise address.error("is a directory")
