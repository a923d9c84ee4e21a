"""Pictures: the line with its packets marked, one packet's constellation and eye, the timeline of all stations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from phy import Packet, Profile

from .airtime import carrier_edges
from .errors import RecordingError
from .recording import Recording

if TYPE_CHECKING:
    from .decoding import Decoded

COLOURS: Final = {"primary": "#1f6fb4", "secondary": "#d4661f"}
FALLBACK_COLOUR: Final = "#777777"
WINDOW_S: Final = 1.5  # seconds of line voltage in the waveform picture: more cannot be seen on paper
ENVELOPE_BINS: Final = 2000
EYE_BITS: Final = 2


@dataclass(frozen=True, slots=True)
class Mark:
    """A packet in a picture: samples, carrier, and what to write on it."""

    first_sample: int
    end_sample: int
    carrier: str
    label: str


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> Path:
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise RecordingError(f"{path}: cannot write: {error.strerror}") from None
    return path


def plot_line(
    path: Path, x: NDArray[np.float32], sample_rate: float, first_sample: int, marks: Sequence[Mark], profile: Profile
) -> Path:
    """Waveform above, spectrogram below, packets shaded. `x`: (N,) V from absolute index `first_sample` on."""
    from matplotlib.mlab import specgram

    figure, axes = _figure(2, 1, (12, 6.5))
    wave, picture = axes[0, 0], axes[1, 0]
    start_s = first_sample / sample_rate
    size = max(1, x.size // ENVELOPE_BINS)
    bins = x[: x.size // size * size].reshape(-1, size)
    times = start_s + (np.arange(len(bins)) + 0.5) * size / sample_rate
    wave.fill_between(times, bins.min(axis=1), bins.max(axis=1), color="#30475e", linewidth=0)
    wave.set_ylabel("line voltage [V]")
    wave.set_title("What the recording coupler hears; packets shaded")
    segment = min(2048, x.size)
    found: tuple[Any, ...] = specgram(x, segment, sample_rate, noverlap=segment * 3 // 4)  # with a Hann window
    power, freqs, at = found
    top_hz = min(sample_rate / 2, 1.6 * carrier_edges(profile, "primary")[1])
    keep = freqs <= top_hz
    level = 10 * np.log10(power[keep] + 1e-20)
    low, high = np.percentile(level, (20, 99.9))
    picture.pcolormesh(at + start_s, freqs[keep] / 1e3, level, vmin=low, vmax=high, cmap="magma", rasterized=True)
    picture.set_ylabel("frequency [kHz]")
    picture.set_xlabel("time [s]")
    for mark in marks:
        first, last = mark.first_sample / sample_rate, mark.end_sample / sample_rate
        if last < start_s or first > start_s + x.size / sample_rate:
            continue
        colour = COLOURS.get(mark.carrier, FALLBACK_COLOUR)
        wave.axvspan(first, last, color=colour, alpha=0.25, linewidth=0)
        wave.text(first, 0.98, mark.label, transform=wave.get_xaxis_transform(), fontsize=7, va="top", rotation=90)
        lower, upper = carrier_edges(profile, mark.carrier)
        corners_t = [first, last, last, first, first]
        corners_f = [lower, lower, upper, upper, lower]
        picture.plot(corners_t, np.array(corners_f) / 1e3, color="#7fdbff", linewidth=0.9)
    for axis in (wave, picture):
        axis.set_xlim(start_s, start_s + x.size / sample_rate)
    return _save(figure, path)


def baseband(x: NDArray[np.float32], sample_rate: float, hz: float, bit_rate: float) -> NDArray[np.complex128]:
    """(N,) line samples -> (N,) complex baseband: mixed down from `hz`, then smoothed over half a bit."""
    n = np.arange(x.size)
    mixed = x * np.exp(-2j * np.pi * hz / sample_rate * n)
    h = np.hanning(max(3, round(sample_rate / bit_rate)))
    return np.convolve(mixed, h / h.sum())[(h.size - 1) // 2 :][: x.size]


def plot_packet(path: Path, packet: Packet, x: NDArray[np.float32], sample_rate: float, profile: Profile) -> Path:
    """Constellation and eye of one packet. `x`: (N,) the samples from the packet's start_sample to its end_sample."""
    figure, axes = _figure(1, 2, (11, 5))
    constellation, eye = axes[0]
    symbols = packet.symbols
    constellation.plot(symbols.real, symbols.imag, ".", color=COLOURS.get(packet.carrier, FALLBACK_COLOUR), alpha=0.6)
    limit = 1.1 * max(1.5, float(np.percentile(np.abs(symbols), 99)) if symbols.size else 1.5)
    constellation.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="in phase", ylabel="quadrature", aspect="equal")
    constellation.axvline(0, color="#999999", linewidth=0.8)
    constellation.set_title(f"{symbols.size} bits, Es/N0 {packet.esn0_db:.1f} dB, {packet.clock_ppm:+.0f} ppm")
    stretch = 1 + packet.clock_ppm * 1e-6
    hz = profile.carrier_hz(packet.carrier) * stretch
    z = baseband(x, sample_rate, hz, profile.bit_rate)
    z = z * np.exp(-0.5j * np.angle(np.sum(z**2)))
    scale = float(np.sqrt(np.mean(z.real**2))) or 1.0
    bit = sample_rate / (profile.bit_rate * stretch)
    span = np.arange(-EYE_BITS / 2, EYE_BITS / 2, 0.02)
    for k in range(1, int(x.size / bit) - 1):
        centre = (k + 0.5) * bit
        eye.plot(span, np.interp(centre + span * bit, np.arange(x.size), z.real) / scale, color="#1f6fb4", alpha=0.15)
    eye.set(xlabel="time [bits]", ylabel="in phase, rms = 1", title=f"eye, {packet.carrier} carrier at {hz / 1e3:.3f} kHz")
    eye.set_ylim(-2.5, 2.5)
    return _save(figure, path)


def plot_timeline(path: Path, marks: Sequence[tuple[str, Mark]], sample_rate: float, stations: Sequence[str]) -> Path:
    """One row per station, one bar per packet that it sent. `marks`: (station, packet)."""
    figure, axes = _figure(1, 1, (13, 1.2 + 0.6 * len(stations)))
    axis = axes[0, 0]
    for row, station in enumerate(stations):
        for carrier, colour in COLOURS.items():
            bars = [
                (mark.first_sample / sample_rate, (mark.end_sample - mark.first_sample) / sample_rate)
                for sender, mark in marks
                if sender == station and mark.carrier == carrier
            ]
            axis.broken_barh(bars, (row - 0.35, 0.7), color=colour, label=carrier if row == 0 else None)
    axis.set_yticks(range(len(stations)), stations)
    axis.invert_yaxis()
    axis.set_xlabel("time [s]")
    axis.set_title("Who sent when")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8, frameon=False)
    return _save(figure, path)


def plot_recording(recording: Recording, shown: Sequence[Decoded], directory: Path) -> list[Path]:
    """Pictures of a decoded recording: its beginning with the packets marked, and the cleanest packet."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"{directory}: cannot create: {error.strerror}") from None
    stem = Path(recording.name).name.split(".")[0]
    profile = shown[0].profile if shown else Profile.load("pl20a")
    rate = recording.sample_rate
    x = recording.source.read(0, min(recording.length, round(WINDOW_S * rate)))
    marks = [
        Mark(item.packet.start_sample, item.packet.end_sample, item.packet.carrier, item.packet.lpdu.hex()[:16])
        for item in shown
    ]
    written = [plot_line(directory / f"{stem}-line.png", x, rate, 0, marks, profile)]
    good = [item for item in shown if item.packet.crc_ok]
    if good:
        best = max(good, key=lambda item: item.packet.esn0_db)
        first, last = max(0, best.packet.start_sample), min(recording.length, best.packet.end_sample)
        x = recording.source.read(first, last - first)
        written.append(plot_packet(directory / f"{stem}-packet.png", best.packet, x, rate, best.profile))
    return written
