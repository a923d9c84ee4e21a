"""`osgp-sdr doctor`: versions, caches, and what is missing for which feature."""

import click

from ..cli import ANSWER_IS_NO, DONE, debug_option


@click.command(
    epilog="Example: osgp-sdr doctor --json",
    help="""Look at the installation. Exit code 1: something will fail.""",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding.")
@debug_option
def command(as_json: bool) -> int:
    import dataclasses
    import json

    from ..diagnosis import diagnose

    findings = diagnose()
    for finding in findings:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(finding)))
        else:
            click.echo(f"{finding.status:<8} {finding.name:<20} {finding.detail}")
    return ANSWER_IS_NO if any(finding.status == "problem" for finding in findings) else DONE
