"""`osgp-sdr emission`: a transmitter's spectrum against the limits of EN 50065-1."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..cli import ANSWER_IS_NO, DONE, debug_option

if TYPE_CHECKING:
    from phy.emission import EmissionReport

PICTURES: Final = (".pdf", ".png", ".svg")


@click.command(
    epilog="Example: osgp-sdr emission --profile pl20c --level-dbuv 121.9 --plot spectrum.pdf",
    help="""Compute what a transmitter puts on the mains and compare it with EN 50065-1.

    Sends packets of random octets through the transmitter of a profile and measures them at the given level. "psd" is the
    mean power in 200 Hz slices while packets are sent, "cispr" what a measuring receiver reads (peak in the band,
    quasi-peak beside it); both are printed, --detector says which decides. Exit code 0: every limit that decides holds,
    1: one is broken.""",
)
@click.option("--profile", default="pl20a", show_default=True, metavar="NAME|FILE", help="Channel.")
@click.option("--carrier", type=click.Choice(["primary", "secondary", "both"]), default="both", show_default=True)
@click.option("--level-dbuv", type=float, metavar="X", help="Reading of the carrier's peak. [default: the profile's level]")
@click.option("--detector", type=click.Choice(["psd", "cispr"]), default="psd", show_default=True, help="What decides.")
@click.option(
    "--equipment", type=click.Choice(["general", "class122", "class134"]), default="class122", show_default=True,
    help="Class of equipment above 95 kHz.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the random octets.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each carrier and each limit.")
@click.option("--plot", "picture", metavar="FILE.pdf|png", help="Picture of the spectrum with the limits.")
@debug_option
def command(
    profile: str,
    carrier: str,
    level_dbuv: float | None,
    detector: str,
    equipment: str,
    seed: int,
    as_json: bool,
    picture: str | None,
) -> int:
    from phy import Profile
    from phy.emission import emission

    path = None if picture is None else Path(picture)
    if path is not None and path.suffix not in PICTURES:
        raise click.BadParameter(f"a picture's name ends in {', '.join(PICTURES)}, got {picture!r}", param_hint="--plot")
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"{path.parent}: no such directory", param_hint="--plot")
    channel = Profile.load(profile)
    reports = [
        emission(channel, name, level_dbuv=level_dbuv, detector=detector, equipment=equipment, seed=seed)  # type: ignore[arg-type]
        for name in ("primary", "secondary")
        if carrier in (name, "both")
    ]
    for report in reports:
        for line in _json_lines(report) if as_json else _lines(report):
            sys.stdout.write(line + "\n")
    if path is not None:
        from ..emission_plot import plot_emission

        plot_emission(path, reports)
        if not as_json:
            sys.stdout.write(f"wrote {path}\n")
    sys.stdout.flush()
    return DONE if all(report.passed for report in reports) else ANSWER_IS_NO


def _json_lines(report: "EmissionReport") -> list[str]:
    summary: dict[str, Any] = {
        "profile": report.profile, "carrier": report.carrier, "carrier_hz": round(report.carrier_hz, 2), "band": report.band,
        "level_dbuv": round(report.level_dbuv, 2), "wide_band": report.wide_band, "width_20db_hz": round(report.width_20db_hz),
        "width_99_hz": round(report.width_99_hz), "rms_to_peak_db": round(report.rms_to_peak_db, 2),
        "densest_db": round(report.densest_db, 2), "edge_db": round(report.edge_db, 2),
        "beyond_db": round(report.beyond_db, 2), "passed": report.passed,
    }  # fmt: skip
    rows = [
        {
            "carrier": report.carrier, "limit": row.name, "detector": row.detector, "freq_hz": round(row.freq_hz),
            "limit_dbuv": round(row.limit_dbuv, 2), "value_dbuv": round(row.value_dbuv, 2),
            "margin_db": round(row.margin_db, 2), "passed": row.passed, "decisive": row.decisive,
        }
        for row in report.rows
    ]  # fmt: skip
    return [json.dumps(item) for item in (summary, *rows)]


def _lines(report: "EmissionReport") -> list[str]:
    kind = "wide-band" if report.wide_band else "narrow-band"
    lines = [
        f"{report.profile}, {report.carrier} carrier at {report.carrier_hz:.0f} Hz, {report.level_dbuv:.1f} dBuV, "
        f"band {report.band}: {kind}, {report.width_20db_hz / 1e3:.1f} kHz at -20 dB, "
        f"{report.width_99_hz / 1e3:.1f} kHz hold 99 %",
        f"mean power {-report.rms_to_peak_db:.2f} dB below the peak's; of the mean: densest 200 Hz {report.densest_db:.1f} dB, "
        f"200 Hz at the upper edge {report.edge_db:.1f} dB, all beyond it {report.beyond_db:.1f} dB",
    ]
    for row in report.rows:
        verdict = "holds" if row.passed else "BROKEN"
        note = "" if row.decisive else "  (does not decide)"
        lines.append(
            f"  {row.name:<26} {row.detector:<10} {row.freq_hz / 1e3:7.2f} kHz  limit {row.limit_dbuv:6.1f}  "
            f"value {row.value_dbuv:6.1f} dBuV  margin {row.margin_db:+6.1f} dB  {verdict}{note}"
        )
    return lines
