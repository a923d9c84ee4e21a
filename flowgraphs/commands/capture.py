"""`osgp-sdr capture`: packets of a running line, or of recordings, for Wireshark."""

from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option
from .recordings import FILES_HELP, open_with_options, recording_options

if TYPE_CHECKING:
    from ..capture import CapturedPacket


@click.command(
    epilog="Example: osgp-sdr capture -w - | wireshark -k -i -",
    help=f"""Write the packets of a running line, or of recordings, as pcapng: each LON frame in a CN/IP datagram.

    Without FILE it joins the line of a running graph as a listener that never sends, and writes each packet as it is heard, until
    Ctrl-C or --count. {FILES_HELP} Exit code 1: no packet.""",
)
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("-w", "--write", "output", metavar="FILE|-", default="-", show_default=True, help="Where to; - is stdout.")
@click.option("--format", "form", type=click.Choice(["pcapng", "pcap"]), help="Default: pcap for a name in .pcap, else pcapng.")
@click.option("-c", "--count", type=click.IntRange(1), metavar="N", help="End after N packets.")
@click.option("--all", "show_all", is_flag=True, help="Packets with a failed CRC, too; their comment says so.")
@click.option("--graph", default="demo", show_default=True, help="Graph of the running line.")
@click.option("--endpoint", metavar="ZMQ", help="Where the line is; default: the graph's, or tcp://127.0.0.1:5570.")
@click.option("--wait", type=click.FloatRange(1, 86400), default=3600.0, show_default=True, metavar="S",
              help="How long to wait for the line.")  # fmt: skip
@click.option("--profile", default="auto", metavar="NAME|FILE", help="Channel of the recordings.")
@recording_options
@debug_option
def command(
    files: tuple[str, ...],
    output: str,
    form: str | None,
    count: int | None,
    show_all: bool,
    graph: str,
    endpoint: str | None,
    wait: float,
    profile: str,
    **file_options: Any,
) -> int:
    import sys

    from ..capture import CaptureWriter
    from ..kernels import ensure_compiled
    from ..lifetime import Lifetime
    from ..listening import listen, recorded

    if output == "-" and sys.stdout.isatty():
        raise click.BadParameter("a capture is no text; give a file, or a pipe: -w - | wireshark -k -i -", param_hint="-w")
    recordings = [open_with_options(name, file_options) for name in files]
    ensure_compiled()
    written = 0
    with click.open_file(output, "wb") as stream, Lifetime() as lifetime:
        writer = CaptureWriter(cast(BinaryIO, stream), form or ("pcap" if output.endswith(".pcap") else "pcapng"))

        def take(packet: "CapturedPacket", crc_ok: bool) -> bool:
            """Returns whether more are wanted."""
            nonlocal written
            if crc_ok or show_all:
                writer.write(packet)
                written += 1
            return written != count and not lifetime.stopped()

        if recordings:
            recorded(recordings, profile, take)
        else:
            listen(graph, endpoint, lifetime, wait, take)
        if lifetime.interrupted and written != count:
            return INTERRUPTED
    click.echo(f"{written} packets", err=True)
    return DONE if written else ANSWER_IS_NO
