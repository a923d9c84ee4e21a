"""The figure of a campaign, for a paper: vector graphics, labelled axes, confidence bars, theory, provenance in the metadata."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import CampaignError
from .plan import Plan
from .results import Provenance, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
_NO_ERROR: Final = "no error: upper bound"
_INSIDE: Final = 5  # entries of a legend that leave room for the curves; more of them go below
_ROW_IN: Final = 0.17  # inches of a legend's row below


def write_figures(directory: Path, plan: Plan, found: Sequence[Row], provenance: Provenance) -> list[Path]:
    """`figure.pdf` and `figure.svg`; the same rows give the same octets."""
    import matplotlib

    paths = [directory / "figure.pdf", directory / "figure.svg"]
    with matplotlib.rc_context(STYLES):
        figure = draw(plan, found)
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


def draw(plan: Plan, found: Sequence[Row]) -> "Figure":
    """The figure, in the style that is set."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    entries = _draw(axes, plan, found, x_axis(plan))
    title = axes.set_title(plan.campaign.document.title)
    ticks = axes.get_xticklabels()
    for text in (title, axes.xaxis.label, *ticks, *_legend(figure, axes, entries, plan.rule.confidence)):
        text.set_parse_math(_is_math(text.get_text()))
    return figure


def _is_math(text: str) -> bool:
    """Whether what stands between dollar signs can be set as a formula; otherwise they are dollars."""
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return False
    return True


def _legend(figure: Any, axes: Any, entries: dict[str, Any], confidence: float) -> list[Any]:
    """What each line is, the ideal first and the bounds last; gives its texts."""
    names = sorted(entries, key=lambda name: (name == _NO_ERROR, not name.startswith("ideal")))
    options: dict[str, Any] = {
        "handles": [entries[name] for name in names], "labels": names, "fontsize": 7,
        "title": f"bars: {100 * confidence:g} % confidence", "title_fontsize": 7,
    }  # fmt: skip
    if len(names) <= _INSIDE:
        legend = axes.legend(**options)
    else:
        columns = 2 if max(map(len, names)) < 40 else 1
        figure.set_figheight(figure.get_figheight() + _ROW_IN * (1 - (-len(names) // columns)))
        legend = figure.legend(loc="outside lower center", ncols=columns, **options)
    return list(legend.get_texts())


def x_axis(plan: Plan) -> str:
    """The axis that goes to the right: the first of numbers in the specification, or the first of all."""
    names = plan.campaign.axes
    numeric = [n for n in names if all(_number(point.coordinates[n]) for point in plan.campaign.points)]
    return numeric[0] if numeric else names[0]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _draw(axes: Any, plan: Plan, found: Sequence[Row], horizontal: str) -> dict[str, Any]:
    """Everything but title and legend; gives what the legend says: label -> what it stands for."""
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

    entries: dict[str, Any] = {}
    strokes = ("-", "--", ":", "-.")
    for k, ((receiver, others), members) in enumerate(lines.items()):
        label = ", ".join(part for part in (receiver if several or not others else "", others) if part)
        shown = sorted((row for row in members if row.errors), key=place)
        x, y = [place(row) for row in shown], np.array([row.packet_error_ratio for row in shown])
        bars = [y - [row.low for row in shown], [row.high for row in shown] - y]
        style = MARKERS[k % len(MARKERS)] + strokes[k // 10 % len(strokes)]  # colours and markers come again after ten
        entries[label or receiver] = axes.errorbar(x, y, bars, fmt=style, capsize=2, elinewidth=0.7, color=f"C{k % 10}")
        none = [row for row in members if not row.errors]
        if none:  # no error at all: the upper bound alone
            bound = axes.plot([place(r) for r in none], [r.high for r in none], "v", fillstyle="none", color=f"C{k % 10}")
            entries[_NO_ERROR] = bound[0]
    entries |= _theory(axes, plan, found, horizontal, place)
    if not numeric:
        axes.set_xticks(range(len(names)), [str(n) for n in names])
    axes.set_yscale("log")
    axes.set_ylabel("packet error ratio")
    axes.set_xlabel(LABELS.get(_short(horizontal), horizontal))
    axes.grid(True, which="minor", alpha=0.15)
    return entries


def _theory(axes: Any, plan: Plan, found: Sequence[Row], horizontal: str, place: Any) -> dict[str, Any]:
    """Ideal soft decoding: a curve for each word code and length, or for each line when Es/N0 is not what goes to the right.

    Gives label -> line.
    """
    entries: dict[str, Any] = {}
    styles = ["k-", "k--", "k:", "k-."]
    if _short(horizontal) == "esn0_db":
        setups = {(setup.code.name, setup.octets, setup.copies): setup for setup in plan.setups}
        for k, ((code, octets, copies), setup) in enumerate(setups.items()):
            members = [row for row in found if (row.code, row.octets, row.copies) == (code, octets, copies)]
            if not members:
                continue
            x = np.linspace(min(row.esn0_db for row in members), max(row.esn0_db for row in members), _CURVE_POINTS)
            y = np.array([setup.ideal(float(v)) for v in x])
            shown = y > min((row.low for row in members if row.errors), default=1e-6) / 3
            label = f"ideal, {code}, {octets} octets" if len(setups) > 1 else f"ideal soft decoding, {code}"
            label += f", {copies} copies together" if copies > 1 else ""
            entries[label] = axes.plot(x[shown], y[shown], styles[k % 4], linewidth=0.9, zorder=1)[0]
        return entries
    lines: dict[str, dict[float, float]] = {}
    for row in found:
        others = ", ".join(f"{n} {v}" for n, v in row.coordinates.items() if n != horizontal and not n.startswith("receiver"))
        lines.setdefault(others, {})[place(row)] = max(row.ideal, 1e-300)
    for k, (others, at) in enumerate(lines.items()):
        label = f"ideal, {others}" if others else "ideal soft decoding, white noise"
        entries[label] = axes.plot(list(at), list(at.values()), styles[k % 4], linewidth=0.9, zorder=1)[0]
    return entries


def _short(name: str) -> str:
    return name.removeprefix("packet.").removeprefix("receiver.").removeprefix("line.")


def _key(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else str(value)
