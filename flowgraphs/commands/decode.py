"""`osgp-sdr decode`: recordings to packets."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from ..cli import ANSWER_IS_NO, DONE, USAGE, debug_option
from ..errors import FlowgraphError
from ..packet_record import packet_record
from .recordings import FILES_HELP, open_with_options, recording_options

if TYPE_CHECKING:
    from ..decoding import Decoded
    from ..recording import Recording


def parse_settings(_context: click.Context, _parameter: click.Parameter, items: tuple[str, ...]) -> dict[str, str]:
    """`name=value` of every --set."""
    settings = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise click.BadParameter(f"expected option=value, got {item!r}")
        settings[name] = value
    return settings


@click.command(
    epilog="Example: osgp-sdr decode --json quiet.sigmf-meta",
    help=f"""Find the packets of recordings and print them in order of time.

    {FILES_HELP} Exit code 0: packets were found, 1: none, 2: a file could not be read (the others still are).""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--profile", default="auto", metavar="NAME|FILE", help="Channel; auto tries the A, then the C band.")
@click.option("--all", "show_all", is_flag=True, help="Packets with a failed CRC, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each packet.")
@click.option("--plot", metavar="DIR", help="Draw waveform, constellation and eye into DIR.")
@recording_options
@click.option("--set", "settings", multiple=True, metavar="receiver.OPTION=VALUE", callback=parse_settings,
              help="Change an option of the receiver.")  # fmt: skip
@debug_option
def command(
    files: tuple[str, ...],
    profile: str,
    show_all: bool,
    as_json: bool,
    plot: str | None,
    settings: dict[str, str],
    **file_options: Any,
) -> int:
    from phy.errors import PhyError

    from ..decoding import decode_recording, receiver_options
    from ..kernels import ensure_compiled

    options = receiver_options(settings)
    unreadable = found = 0
    compiled = False
    for name in files:
        try:
            recording = open_with_options(name, file_options)
            packets = decode_recording(recording, profile, options, _note)
            if not compiled:
                ensure_compiled()
                compiled = True
            shown: list[Decoded] = []
            for decoded in packets:
                if decoded.packet.crc_ok:
                    found += 1
                elif not show_all:
                    continue
                _print(recording, decoded, as_json, len(files) > 1)
                if plot and len(shown) < 1000:
                    shown.append(decoded)
            if plot:
                _plot(recording, shown, plot)
        except (FlowgraphError, PhyError) as error:
            unreadable += 1
            click.echo(f"osgp-sdr decode: {' '.join(str(error).split())}", err=True)
    if unreadable:
        return USAGE
    if not found:
        if not as_json:
            click.echo("no packet found", err=True)
        return ANSWER_IS_NO
    return DONE


def _note(text: str) -> None:
    click.echo(f"osgp-sdr decode: {text}", err=True)


def _print(recording: "Recording", decoded: "Decoded", as_json: bool, several: bool) -> None:
    packet = decoded.packet
    if as_json:
        text = json.dumps(packet_record(recording.name, decoded))
    else:
        text = (
            f"{recording.name + '  ' if several else ''}{decoded.start_s:11.6f} s  {packet.carrier:<9}  "
            f"Es/N0 {packet.esn0_db:5.1f} dB  {packet.clock_ppm:+7.1f} ppm  {packet.corrected_bits:3d} corrected  "
            f"{'CRC ok ' if packet.crc_ok else 'CRC BAD'}  {packet.lpdu.hex()}"
        )
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _plot(recording: "Recording", shown: "list[Decoded]", directory: str) -> None:
    from pathlib import Path

    from ..plot import plot_recording

    for path in plot_recording(recording, shown, Path(directory)):
        click.echo(f"wrote {path}", err=True)
