"""Picture of a transmitter's spectrum with the limits of EN 50065-1."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from phy.emission import EmissionReport, band_of, limit_at, limits

from .errors import FlowgraphError

MEAN, PEAK, LIMIT = "#1f6fb4", "#d4661f", "#b3123f"
DBUV: Final = "dB\N{GREEK SMALL LETTER MU}V"
LOWEST_HZ: Final = 9e3
FLOOR_DBUV: Final = 0.0
NEAR_HZ: Final = 14e3  # to each side of the carrier in the picture at the right


def plot_emission(path: Path, reports: Sequence[EmissionReport]) -> Path:
    """One row for each report: all frequencies at the left, the carrier's surroundings at the right. The suffix is the format."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2 * len(reports)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(reports), 2, squeeze=False, width_ratios=(1.5, 1))
    for report, (whole, near) in zip(reports, axes, strict=True):
        _whole(whole, report)
        _near(near, report)
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise FlowgraphError(f"{path}: cannot write: {error.strerror}") from None
    return path


def _dbuv(power: Any) -> Any:
    return 10 * np.log10(np.maximum(power, 1e-30)) + 120


def _whole(axis: Any, report: EmissionReport) -> None:
    values, lines = limits()["receiver"], limits()["disturbance"]["quasi_peak"]
    _, band = band_of(report.carrier_hz)
    freqs, border = report.spectrum.frequencies_hz, values["band_b_from_hz"]
    low = (freqs >= LOWEST_HZ) & (freqs <= border)
    high = (freqs >= border) & (freqs < freqs[-1] - values["band_b_slice_hz"])
    wide = _dbuv(report.spectrum.slices(values["band_b_slice_hz"]))
    axis.plot(freqs[low] / 1e3, _dbuv(report.spectrum.slices(values["slice_hz"]))[low], color=MEAN, linewidth=1, label="mean")
    axis.plot(freqs[high] / 1e3, wide[high], color=MEAN, linewidth=1)
    seen = (report.receiver_hz >= LOWEST_HZ) & (report.receiver_hz <= border)
    axis.plot(report.receiver_hz[seen] / 1e3, report.quasi_peak_dbuv[seen], color=PEAK, linewidth=0.8, label="quasi-peak")
    label = "limit beside the band (quasi-peak)"
    for points in lines:
        at = np.geomspace(points[0][0], min(points[-1][0], freqs[-1]), 400)
        if at[0] < at[-1]:
            outside = np.where((at >= band["lowest_hz"]) & (at <= band["highest_hz"]), np.nan, limit_at(points, at))
            axis.plot(at / 1e3, outside, color=LIMIT, linewidth=1.5, label=label)
            label = "_"
    axis.axvspan(band["lowest_hz"] / 1e3, band["highest_hz"] / 1e3, color="#dfe8d8", linewidth=0, zorder=0)
    axis.axvline(border / 1e3, color="#999999", linewidth=0.8, linestyle=":")
    axis.annotate(f"{values['slice_hz']:.0f} Hz | {values['band_b_slice_hz'] / 1e3:.0f} kHz", (border / 1e3, 131), ha="center",
                  fontsize=8, color="#666666")  # fmt: skip
    axis.set(xscale="log", xlim=(LOWEST_HZ / 1e3, freqs[-1] / 1e3), ylim=(FLOOR_DBUV, 140), xlabel="frequency [kHz]")
    axis.set_xticks([10, 20, 50, 100, 200, 500], ["10", "20", "50", "100", "200", "500"])
    axis.set_ylabel(f"level [{DBUV}]")
    title = f"{report.profile}, {report.carrier} carrier, {report.level_dbuv:.1f} {DBUV}; band {report.band} shaded"
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left")


def _near(axis: Any, report: EmissionReport) -> None:
    slice_hz = limits()["receiver"]["slice_hz"]
    offset = (report.spectrum.frequencies_hz - report.carrier_hz) / 1e3
    axis.plot(offset, _dbuv(report.spectrum.slices(slice_hz)), color=MEAN, linewidth=1, label="mean")
    axis.plot((report.receiver_hz - report.carrier_hz) / 1e3, report.peak_dbuv, color=PEAK, linewidth=0.9, label="peak")
    inside = [row for row in report.rows if row.name.startswith("each ")]
    if inside:
        axis.axhline(inside[0].limit_dbuv, color=LIMIT, linewidth=1.5, label=f"limit of each {slice_hz:.0f} Hz")
    low, high = report.spectrum.band_within(20.0, slice_hz)
    densest = float(_dbuv(report.spectrum.slices(slice_hz)).max())
    ends = [(low - report.carrier_hz) / 1e3, (high - report.carrier_hz) / 1e3]
    axis.plot(ends, [densest - 20] * 2, "k|-", linewidth=1, label=f"-20 dB: {report.width_20db_hz / 1e3:.1f} kHz")
    axis.set(xlim=(-NEAR_HZ / 1e3, NEAR_HZ / 1e3), ylim=(30, 140), xlabel="offset from the carrier [kHz]")
    axis.set_title(f"in {slice_hz:.0f} Hz", fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="lower center")
