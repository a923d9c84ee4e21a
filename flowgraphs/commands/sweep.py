"""`osgp-sdr sweep`: error-rate campaigns."""

import json
import shlex
import sys
from typing import TYPE_CHECKING

import click

from ..cli import DONE, debug_option

if TYPE_CHECKING:
    from ..campaign.plan import Plan
    from ..campaign.results import Row


@click.command(
    epilog="Example: osgp-sdr sweep awgn -o awgn-out",
    help="""Measure error rates against any parameters, with theory beside them.

    SPEC is a TOML file, or the name of one that comes with the package (awgn, receivers, codes). DIR receives results.parquet,
    figure.pdf, figure.svg and every finished unit of work: a campaign that was killed goes on where it was when the same command
    is given again, and gives the same result. A directory of another specification or version is refused. A specification may
    name Python files with stages of one's own, which are run.""",
)
@click.argument("spec", metavar="SPEC")
@click.option("-o", "--output", required=True, metavar="DIR", help="Directory of the campaign.")
@click.option("--jobs", type=click.IntRange(1, 4096), metavar="N", help="Processes; default: one for each core.")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Compute on a Dask cluster instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each point and receiver.")
@debug_option
def command(spec: str, output: str, jobs: int | None, scheduler: str | None, as_json: bool) -> int:
    from pathlib import Path

    from ..campaign.figure import write_figures
    from ..campaign.plan import fingerprint, make_plan, stage_files
    from ..campaign.progress import Progress
    from ..campaign.results import PARQUET, Provenance, json_line, rows, write_parquet
    from ..campaign.runner import Runner
    from ..campaign.spec import load_campaign
    from ..campaign.store import Store
    from ..campaign.version import code_version
    from ..campaign.workers import check_address, cores, make_workers
    from ..kernels import ensure_compiled

    if jobs is not None and scheduler is not None:
        raise click.BadParameter("has no meaning with --scheduler", param_hint="--jobs")
    if scheduler is not None:
        check_address(scheduler)
    campaign = load_campaign(spec)
    plan = make_plan(campaign)
    directory = Path(output)
    with Store(directory, fingerprint(plan), code_version()) as store:
        progress = Progress(plan)
        runner = Runner(plan, store, progress)
        progress.states = runner.states
        if not runner.finished and scheduler is None:
            ensure_compiled()
        try:
            runner.run(lambda: make_workers(jobs or cores(), scheduler))
        finally:
            progress.close()
        found = list(rows(plan, runner.states))
        words = ["osgp-sdr", "sweep", spec, "-o", output]
        provenance = Provenance(
            campaign.document.title, campaign.text, campaign.document.seed, code_version(), shlex.join(words),
            json.dumps(files) if (files := stage_files(plan)) else "",
        )  # fmt: skip
        write_parquet(directory / PARQUET, found, provenance)
        for path in [directory / PARQUET, *write_figures(directory, plan, found, provenance)]:
            click.echo(f"wrote {path}", err=True)
    for row in found:
        sys.stdout.write((json_line(row) if as_json else _line(plan, row)) + "\n")
    sys.stdout.flush()
    return DONE


def _line(plan: "Plan", row: "Row") -> str:
    where = "  ".join(f"{name} {value}" for name, value in row.coordinates.items())
    several = len(plan.setups[row.point].receivers) > 1
    text = (
        f"{where}  {row.receiver + '  ' if several else ''}PER {row.packet_error_ratio:.3e} [{row.low:.2e}, {row.high:.2e}]  "
        f"{row.errors} of {row.packets}  ideal {row.ideal:.3e}  "
        f"loss {row.loss_db:+.2f} dB [{row.loss_low_db:+.2f}, {row.loss_high_db:+.2f}]"
    )
    if several and (row.only_first or row.only_this):
        text += f"  only first {row.only_first}, only this {row.only_this}, p {row.same_p:.2g}"
    return text
