"""`osgp-sdr devices`: sound cards, their rates, and which band each can carry."""

import click

from ..cli import ANSWER_IS_NO, DONE, debug_option


@click.command(
    epilog="Example: osgp-sdr devices --json",
    help="""List sound cards. A name or number given here goes into soundcard:DEVICE. Exit code 1: there is none.""",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each device.")
@debug_option
def command(as_json: bool) -> int:
    import dataclasses
    import json

    from ..frontends.devices import devices
    from ..frontends.portaudio import portaudio

    found = devices(portaudio())
    for report in found:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(report)))
            continue
        mark = "*" if report.is_default else " "
        click.echo(f"{mark} {report.index:2d}  {report.name} ({report.host_api}, {report.inputs} in, {report.outputs} out)")
        click.echo(f"      rates in: {_shown(report.rates_in)}; out: {_shown(report.rates_out)}")
        if report.converts:
            click.echo("      may stand for a sound server that converts rates: what it takes is not what the card has")
        for band in report.bands:
            click.echo(f"      {band.band} band: {'yes' if band.carries else 'no'}, {band.why}")
    if not found:
        click.echo("no sound card; a container needs /dev/snd and /proc/asound; soundcard:loopback works without", err=True)
        return ANSWER_IS_NO
    return DONE


def _shown(rates: tuple[int, ...]) -> str:
    return ", ".join(f"{rate / 1000:g}" for rate in rates) + " kS/s" if rates else "none"
