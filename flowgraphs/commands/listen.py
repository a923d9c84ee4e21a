"""`osgp-sdr listen`: a live source to packets, and to recordings."""

import json
import sys
from typing import TYPE_CHECKING

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option
from ..packet_record import packet_record
from .decode import parse_settings

if TYPE_CHECKING:
    from ..live import Heard, Line
    from ..rotation import RotatingRecorder


@click.command(
    epilog="Example: osgp-sdr listen soundcard:loopback --seconds 3",
    help="""Find packets in a live source and print each as it ends, until the source ends or Ctrl-C.

    URL is soundcard:DEVICE, file:PATH?pace=realtime, pipe:-?rate=HZ, zmq+sub://HOST:PORT, line:ENDPOINT ... Exit code 1: no
    packet was found.""",
)
@click.argument("url")
@click.option("--profile", "profiles", multiple=True, default=("pl20a",), show_default=True, metavar="NAME|FILE",
              help="Channel; may be repeated.")  # fmt: skip
@click.option("--all", "show_all", is_flag=True, help="Packets with a failed CRC, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each packet, as `decode`.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so many seconds of samples.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many good packets.")
@click.option("--record", metavar="DIR", help="Record into DIR: SigMF pieces with an annotation for each packet.")
@click.option("--rotate", type=click.FloatRange(1), default=3600.0, show_default=True, metavar="S", help="Length of a piece.")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Keep the newest N pieces only.")
@click.option("--meter", is_flag=True, help="Show the level on stderr; on a terminal it is shown anyway.")
@click.option("--set", "settings", multiple=True, metavar="receiver.OPTION=VALUE", callback=parse_settings,
              help="Change an option of the receiver.")  # fmt: skip
@debug_option
def command(
    url: str,
    profiles: tuple[str, ...],
    show_all: bool,
    as_json: bool,
    seconds: float | None,
    count: int | None,
    record: str | None,
    rotate: float,
    keep: int | None,
    meter: bool,
    settings: dict[str, str],
) -> int:
    from pathlib import Path

    from ..decoding import receiver_options
    from ..kernels import ensure_compiled
    from ..level_meter import LevelMeter
    from ..lifetime import Lifetime
    from ..live import Line
    from ..readiness import load_kernels
    from ..rotation import RotatingRecorder

    options = receiver_options(settings)
    ensure_compiled()
    load_kernels()
    found = 0
    with Lifetime() as lifetime, Line(url, profiles, options=options) as line:
        recorder = None
        if record is not None:
            recorder = RotatingRecorder(Path(record), line.sample_rate, rotate, keep, f"osgp-sdr listen {line.source.name}")
        level = LevelMeter(line.sample_rate) if meter or sys.stderr.isatty() else None
        first: int | None = None
        try:
            while not lifetime.stopped() and not line.ended and (count is None or found < count):
                block = line.step()
                if block is not None:
                    first = block.first_sample if first is None else first
                    if recorder is not None:
                        recorder.write(block.first_sample, block.samples, line.busy, block.missing_before)
                    if level is not None and level.add(block.samples):
                        _show(level.text(line.source.statistics))
                while (heard := line.receive(0.0, crc_ok=not show_all)) is not None:
                    found += heard.crc_ok
                    _print(url, heard, as_json, level is not None)
                    if recorder is not None:
                        _annotate(recorder, heard, line)
                past = 0 if block is None or first is None else block.end - first
                if seconds is not None and past >= seconds * line.sample_rate:
                    break
        finally:
            if recorder is not None:
                recorder.close()
        _summary(line, recorder)
        if lifetime.interrupted:
            return INTERRUPTED
    return DONE if found else ANSWER_IS_NO


def _show(text: str) -> None:
    sys.stderr.write(f"\r{text:<100}" if sys.stderr.isatty() else text + "\n")
    sys.stderr.flush()


def _print(url: str, heard: "Heard", as_json: bool, metered: bool) -> None:
    packet = heard.packet
    if as_json:
        text = json.dumps(packet_record(url, heard))
    else:
        text = (
            f"{heard.start_s:11.6f} s  {packet.carrier:<9}  Es/N0 {packet.esn0_db:5.1f} dB  {packet.clock_ppm:+7.1f} ppm  "
            f"{packet.level_v:8.4f} V  {'CRC ok ' if packet.crc_ok else 'CRC BAD'}  {packet.lpdu.hex()}"
        )
    if metered and sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 100 + "\r")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _annotate(recorder: "RotatingRecorder", heard: "Heard", line: "Line") -> None:
    from ..airtime import carrier_edges

    ramp = round(heard.profile.ramp_bits * heard.profile.bit_time * line.sample_rate)
    first = heard.start_sample - ramp
    low, high = carrier_edges(heard.profile, heard.packet.carrier)
    recorder.annotate(
        first, heard.end_sample + ramp - first, low, high, "LPDU" if heard.crc_ok else "LPDU, CRC bad", heard.lpdu.hex(),
        heard.packet.carrier, heard.start_sample,
    )  # fmt: skip


def _summary(line: "Line", recorder: "RotatingRecorder | None") -> None:
    statistics = line.source.statistics
    text = (
        f"osgp-sdr listen: {statistics.samples} samples, {statistics.gaps} gaps, {statistics.missing} missing, "
        f"{statistics.overruns} overruns, {statistics.clipped} clipped"
    )
    if recorder is not None:
        text += f"; recorded {len(recorder.pieces)} pieces"
    click.echo(("\n" if sys.stderr.isatty() else "") + text, err=True)
