"""`osgp-sdr identify`: recordings of an unknown line to a profile."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..cli import ANSWER_IS_NO, DONE, USAGE, debug_option
from ..errors import FlowgraphError, RecordingError
from .recordings import FILES_HELP, open_with_options, recording_options

if TYPE_CHECKING:
    from phy.identify import Burst, Identification

    from ..recording import Recording

BLOCK: Final = 1 << 18  # samples read at a time
MOST_BURSTS: Final = 1500  # more teach nothing new, and their samples must fit into memory


@click.command(
    epilog="Example: osgp-sdr identify line-monday.wav line-tuesday.wav -o line.toml",
    help=f"""Learn the constants of an unknown line from recordings alone, and write them as a profile.

    {FILES_HELP} About a hundred packets at 20 dB are enough.
    Prints every value with its confidence, and what could not be determined with about how much more recording it would
    need. Exit code 0: a profile was written, 1: too little was found for one, 2: a file could not be read (the others
    still are).""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="PROFILE.toml", help="Profile to write.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each value and each open question.")
@recording_options
@debug_option
def command(files: tuple[str, ...], output: str, as_json: bool, **file_options: Any) -> int:
    from phy.errors import PhyError
    from phy.identify import identify

    from ..decoding import bands_not_held
    from ..kernels import ensure_compiled

    path = Path(output)
    if path.suffix != ".toml":
        raise click.BadParameter(f"a profile's name ends in .toml, got {output!r}", param_hint="-o")
    if not path.parent.is_dir():
        raise click.BadParameter(f"{path.parent}: no such directory", param_hint="-o")
    if path.is_dir():
        raise click.BadParameter(f"{output}: is a directory", param_hint="-o")
    bursts: list[Burst] = []
    narrow: list[str] = []
    seconds = 0.0
    unreadable = 0
    for name in files:
        try:
            recording = open_with_options(name, file_options)
            seconds += _collect(recording, bursts)
            narrow.append(bands_not_held(recording))
        except (FlowgraphError, PhyError) as error:
            unreadable += 1
            click.echo(f"osgp-sdr identify: {' '.join(str(error).split())}", err=True)
    if unreadable == len(files):
        return USAGE
    ensure_compiled()
    result = identify(bursts)
    if result.profile is not None:
        # A reader never sees half a profile, and an old one survives when the disk is full.
        partial = path.with_name(path.name + ".partial")
        partial.write_text(result.profile, encoding="utf-8")
        partial.replace(path)
    for line in _json_lines(result, output, seconds) if as_json else _lines(result, output, seconds):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    if result.profile is None or any(gap.subject in ("primary carrier", "secondary carrier") for gap in result.gaps):
        for text in filter(None, narrow):
            click.echo(f"osgp-sdr identify: {text}", err=True)
    if unreadable:
        return USAGE
    if result.profile is None:
        click.echo("no profile written: too little was found", err=True)
        return ANSWER_IS_NO
    return DONE


def _collect(recording: "Recording", bursts: "list[Burst]") -> float:
    """Append the recording's bursts; the seconds of it that were looked at."""
    from phy.errors import ConfigurationError
    from phy.identify import BurstFinder

    try:
        finder = BurstFinder(recording.sample_rate, low_hz=recording.low_hz, high_hz=recording.high_hz)
    except ConfigurationError as error:
        raise RecordingError(f"{recording.name}: {error}") from None
    read = 0
    for x in recording.blocks(BLOCK):
        bursts += finder.push(x)
        read += x.size
        if len(bursts) >= MOST_BURSTS:
            click.echo(f"{recording.name}: the first {read / recording.sample_rate:.0f} s hold packets enough", err=True)
            break
    else:
        bursts += finder.flush()
    return read / recording.sample_rate


def _more_seconds(result: "Identification", seconds: float, packets: int | None) -> float | None:
    """How long to record for so many more packets, at the rate at which they came."""
    if packets is None or result.packets == 0:
        return None
    return packets * seconds / result.packets


def _json_lines(result: "Identification", output: str, seconds: float) -> list[str]:
    items: list[dict[str, Any]] = [
        {"key": f.key, "value": f.value, "confidence": f.confidence, "grade": f.grade, "source": f.source}
        for f in result.findings
    ]
    for gap in result.gaps:
        more = _more_seconds(result, seconds, gap.more_packets)
        items.append({"open": gap.subject, "reason": gap.reason, "more_packets": gap.more_packets,
                      "more_s": None if more is None else round(more, 1)})  # fmt: skip
    items.append({
        "profile": output if result.profile is not None else None, "seconds": round(seconds, 3), "bursts": result.bursts,
        "packets": result.packets, "crc_ok": result.crc_ok, "tried": result.tried, "received": result.received,
        "notes": list(result.notes),
    })  # fmt: skip
    return [json.dumps(item) for item in items]


def _lines(result: "Identification", output: str, seconds: float) -> list[str]:
    lines = [f"{seconds:.1f} s recorded, {result.bursts} bursts, {result.packets} packets that begin alike"]
    for f in result.findings:
        value = f"table of {len(f.value)} words" if isinstance(f.value, list) else f"{f.value}"
        sure = f"{f.confidence:5.3f}" if f.confidence else "  -  "
        lines.append(f"{f.key:<33} {value:<26} {sure}  {f.grade}  {f.source}")
    lines += list(result.notes)
    if result.profile is not None:
        lines.append(f"{result.crc_ok} of {result.packets} packets pass their check sequence; "
                     f"the receiver with this profile decodes {result.received} of {result.tried}")  # fmt: skip
    for gap in result.gaps:
        more = _more_seconds(result, seconds, gap.more_packets)
        need = ""
        if gap.more_packets is not None:
            need = f" (about {gap.more_packets} more packets" + (f", {more:.0f} s of such a line)" if more is not None else ")")
        lines.append(f"open: {gap.subject}: {gap.reason}{need}")
    if result.profile is not None:
        lines.append(f"wrote {output}")
    return lines
