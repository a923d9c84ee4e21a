"""The figure of a campaign, for a paper: vector graphics, labelled axes, confidence bars, theory, provenance in the metadata."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import CampaignError
from .plan import Plan
from .results import Provenance, Row

LABELS: Final = {
    "esn0_db": "Es/N0 [dB]",
    "clock_ppm": "clock error [ppm]",
    "octets": "octets in the LPDU",
    "sample_rate": "sample rate [Hz]",
    "gap_bits": "gap [bits]",
}
MARKERS: Final = "osD^vP*X<>"
STYLES: Final[Any] = {
    "font.family": "serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "svg.hashsalt": "osgp-sdr",
}
_CURVE_POINTS: Final = 80


def write_figures(directory: Path, plan: Plan, found: Sequence[Row], provenance: Provenance) -> list[Path]:
    """`figure.pdf` and `figure.svg`; the same rows give the same octets."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    horizontal = x_axis(plan)
    paths = [directory / "figure.pdf", directory / "figure.svg"]
    with matplotlib.rc_context(STYLES):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw(axes, plan, found, horizontal)
        axes.set_title(plan.campaign.document.title)
        origin = f"seed {provenance.seed}; {provenance.version}; {provenance.command}"
        metadata: dict[str, dict[str, Any]] = {
            ".pdf": {"Title": provenance.title, "Keywords": origin, "Subject": provenance.spec, "CreationDate": None},
            ".svg": {"Title": provenance.title, "Description": f"{origin}\n{provenance.spec}", "Date": None},
        }
        for path in paths:
            partial = path.with_name("partial-" + path.name)
            try:
                figure.savefig(partial, metadata=metadata[path.suffix])
                partial.replace(path)
            except OSError as error:
                raise CampaignError(f"{path}: cannot write: {error.strerror}") from None
    return paths


def x_axis(plan: Plan) -> str:
    """The axis that goes to the right: the first of numbers in the specification, or the first of all."""
    names = plan.campaign.axes
    numeric = [n for n in names if all(_number(point.coordinates[n]) for point in plan.campaign.points)]
    return numeric[0] if numeric else names[0]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _draw(axes: Any, plan: Plan, found: Sequence[Row], horizontal: str) -> None:
    numeric = all(_number(point.coordinates[horizontal]) for point in plan.campaign.points)
    names: list[Any] = list(dict.fromkeys(_key(point.coordinates[horizontal]) for point in plan.campaign.points))
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        others = ", ".join(f"{_short(n)} {_key(v)}" for n, v in row.coordinates.items() if n != horizontal)
        lines.setdefault((row.receiver, others), []).append(row)
    several = len({receiver for receiver, _ in lines}) > 1

    def place(row: Row) -> float:
        value = row.coordinates[horizontal]
        return float(value) if numeric else float(names.index(_key(value)))

    for k, ((receiver, others), members) in enumerate(lines.items()):
        label = ", ".join(part for part in (receiver if several or not others else "", others) if part)
        shown = sorted((row for row in members if row.errors), key=place)
        x, y = [place(row) for row in shown], np.array([row.packet_error_ratio for row in shown])
        bars = [y - [row.low for row in shown], [row.high for row in shown] - y]
        axes.errorbar(x, y, bars, fmt=MARKERS[k % len(MARKERS)] + "-", capsize=2, elinewidth=0.7, color=f"C{k % 10}", label=label)
        none = [row for row in members if not row.errors]
        if none:  # no error at all: the upper bound alone
            axes.plot([place(r) for r in none], [r.high for r in none], "v", fillstyle="none", color=f"C{k % 10}")
    _theory(axes, plan, found, horizontal, place)
    if not numeric:
        axes.set_xticks(range(len(names)), [str(n) for n in names])
    axes.set_yscale("log")
    axes.set_ylabel("packet error ratio")
    axes.set_xlabel(LABELS.get(_short(horizontal), horizontal))
    axes.grid(True, which="minor", alpha=0.15)
    axes.legend(fontsize=7)


def _theory(axes: Any, plan: Plan, found: Sequence[Row], horizontal: str, place: Any) -> None:
    """Ideal soft decoding: a curve for each word code and length, or for each line when Es/N0 is not what goes to the right."""
    styles = ["k-", "k--", "k:", "k-."]
    if _short(horizontal) == "esn0_db":
        setups = {(setup.code.name, setup.octets): setup for setup in plan.setups}
        for k, ((code, octets), setup) in enumerate(setups.items()):
            members = [row for row in found if (row.code, row.octets) == (code, octets)]
            if not members:
                continue
            x = np.linspace(min(row.esn0_db for row in members), max(row.esn0_db for row in members), _CURVE_POINTS)
            y = np.array([setup.ideal(float(v)) for v in x])
            shown = y > min((row.low for row in members if row.errors), default=1e-6) / 3
            label = f"ideal, {code}, {octets} octets" if len(setups) > 1 else f"ideal soft decoding, {code}"
            axes.plot(x[shown], y[shown], styles[k % 4], linewidth=0.9, label=label, zorder=1)
        return
    lines: dict[str, dict[float, float]] = {}
    for row in found:
        others = ", ".join(f"{n} {v}" for n, v in row.coordinates.items() if n != horizontal and not n.startswith("receiver"))
        lines.setdefault(others, {})[place(row)] = max(row.ideal, 1e-300)
    for k, (others, at) in enumerate(lines.items()):
        label = f"ideal, {others}" if others else "ideal soft decoding, white noise"
        axes.plot(list(at), list(at.values()), styles[k % 4], linewidth=0.9, label=label, zorder=1)


def _short(name: str) -> str:
    return name.removeprefix("packet.").removeprefix("receiver.").removeprefix("line.")


def _key(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else str(value)
