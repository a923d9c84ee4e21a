"""Pictures of a stretch of line: spectrum, rows of the waterfall, envelope of the waveform, level of each carrier.

Everything is reduced here to what a page can show, by its largest value, so that nothing short is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phy import Profile
from phy.profile import CARRIERS

from ..airtime import carrier_edges
from .frame import Kind, Picture

RESOLUTION_HZ: Final = 250.0  # distance of the lines of a transform: a tenth of a carrier's main lobe
COLUMNS: Final = 512  # of the spectrum and the waterfall
ENVELOPE: Final = 480  # pairs of smallest and largest value
FLOOR: Final = 1e-14  # V^2, -140 dB: nothing is below
MOST_SEGMENTS: Final = 900  # transforms for one picture; beyond it some samples are not looked at
SHOWN_HZ: Final = 2.0  # times the highest carrier edge: what is above it is not shown

Read = Callable[[int, int], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Painter:
    """Makes pictures of a line.

    Args:
        sample_rate: Hz.    profile: whose carriers are marked.    read: (first, count) -> (count,) float32 V, 0 where there is
            nothing.    low_hz, high_hz: band that the samples hold.
    Attributes:
        edges_hz: frequencies between which the columns lie.
    """

    sample_rate: float
    profile: Profile
    read: Read
    low_hz: float
    high_hz: float
    size: int = field(init=False)
    edges_hz: tuple[float, float] = field(init=False)
    _window: NDArray[np.float32] = field(init=False)
    _columns: NDArray[np.int64] = field(init=False)
    _bands: tuple[slice, ...] = field(init=False)

    def __post_init__(self) -> None:
        size = 1 << max(6, math.ceil(math.log2(self.sample_rate / RESOLUTION_HZ)))
        spacing = self.sample_rate / size
        top = min(self.high_hz, SHOWN_HZ * max(carrier_edges(self.profile, name)[1] for name in CARRIERS))
        first, last = math.floor(self.low_hz / spacing), min(size // 2, math.ceil(top / spacing))
        count = min(COLUMNS, last - first)
        columns = first + (np.arange(count) * (last - first)) // count
        window = np.hanning(size + 1)[:-1]
        bands = []
        for name in CARRIERS:
            low, high = carrier_edges(self.profile, name)
            bands.append(slice(min(size // 2, round(low / spacing)), min(size // 2, round(high / spacing)) + 1))
        put = object.__setattr__
        put(self, "size", size)
        put(self, "edges_hz", (first * spacing, last * spacing))
        # A sine of 1 V rms reads 0 dB.
        put(self, "_window", (window * (math.sqrt(2) / window.sum())).astype(np.float32))
        put(self, "_columns", columns)
        put(self, "_bands", tuple(bands))
        put(self, "_last", last)

    _last: int = field(init=False, default=0)

    @property
    def columns(self) -> int:
        """How many columns spectrum and waterfall have."""
        return int(self._columns.size)

    def picture(self, first: int, end: int, rows: int, wave: int) -> Picture:
        """Samples first .. end - 1 in so many rows of the waterfall, and the waveform of the last `wave` samples.

        Arrays: `spec` (columns,) dB, the largest of the rows within that; `rows` (rows * columns,) dB, the oldest first; `lev0`,
        `lev1` (rows,) dB, power within the main lobe of each carrier; `wave` (2 * n,) V, smallest and largest by turns.
        """
        power, level = self._rows(first, end, rows)
        recent = min(rows, max(1, round(rows * wave / (end - first))))
        arrays = {
            "spec": _db(power[-recent:].max(axis=0)),
            "rows": _db(power).ravel(),
            "lev0": _db(level[:, 0]),
            "lev1": _db(level[:, 1]),
        }
        arrays["wave"] = envelope(self.read(end - wave, wave), ENVELOPE)
        return Picture(Kind.LINE, first / self.sample_rate, end / self.sample_rate, arrays)

    def _rows(self, first: int, end: int, rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(rows, columns) and (rows, 2) power, V^2, each the largest of the transforms within its row."""
        size, step = self.size, (end - first) / rows
        each = max(1, min(math.ceil(step / (size // 2)), MOST_SEGMENTS // rows))
        # Transforms are centred within the row; short rows share samples with their neighbours.
        centres = first + (np.arange(rows * each) + 0.5) * (step / each)
        starts = np.round(centres - size / 2).astype(np.int64)
        base = int(starts[0])
        x = self.read(base, int(starts[-1]) + size - base)
        power = np.empty((rows, self.columns), np.float32)
        level = np.empty((rows, 2), np.float32)
        batch = max(1, 64 // each)
        for low in range(0, rows, batch):
            places = starts[low * each : (low + batch) * each] - base
            segments = np.lib.stride_tricks.sliding_window_view(x, size)[places] * self._window
            z = fft.rfft(segments, axis=1)[:, : self._last + 1]
            p = z.real**2 + z.imag**2
            p = p.reshape(-1, each, p.shape[1]).max(axis=1)
            power[low : low + batch] = np.maximum.reduceat(p[:, : self._last], self._columns, axis=1)
            for number, band in enumerate(self._bands):
                # The Hann window spreads a line over 1.5 of them.
                part = p[:, band]
                level[low : low + batch, number] = part.sum(axis=1) / 1.5 if part.shape[1] else 0.0
        return power, level


def _db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return (10 * np.log10(np.maximum(power, FLOOR))).astype(np.float32)


def envelope(x: NDArray[np.float32], pairs: int) -> NDArray[np.float32]:
    """(N,) -> (2 * min(N, pairs),): smallest and largest value of equal stretches by turns."""
    count = min(pairs, x.size)
    if count == 0:
        return np.empty(0, np.float32)
    starts = (np.arange(count) * x.size) // count
    found = np.empty((count, 2), np.float32)
    found[:, 0], found[:, 1] = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    return found.ravel()
