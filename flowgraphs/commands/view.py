"""`osgp-sdr view`: a live page of a line."""

from typing import Any

import click

from ..cli import DONE, INTERRUPTED, debug_option
from .decode import parse_settings
from .recordings import recording_options
from .view_option import HERE, PORT, missing


@click.command(
    epilog="Example: osgp-sdr view quiet.sigmf-meta",
    help="""Serve a page with spectrum and waterfall, constellation, eye, loops and every packet with its fields.

    SOURCE is a recording (SigMF, WAV, raw with --rate and --dtype), which gets a slider, or a live source as a URL: soundcard:,
    pipe:, zmq+sub://, line:ENDPOINT of a running graph. `osgp-sdr run GRAPH --view` shows a graph with its stations. The page
    only looks. It is served to this machine; with another --host whoever opens it needs the token that is printed.""",
)
@click.argument("source")
@click.option("--host", default=HERE, show_default=True, metavar="ADDRESS", help="Where to serve.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A further host name of the page; then it needs a token.")
@click.option("--profile", default="auto", metavar="NAME|FILE", help="Channel; auto tries the A, then the C band.")
@recording_options
@click.option("--set", "settings", multiple=True, metavar="receiver.OPTION=VALUE", callback=parse_settings,
              help="Change an option of the receiver.")  # fmt: skip
@debug_option
def command(
    source: str, host: str, port: int, names: tuple[str, ...], profile: str, settings: dict[str, str], **file_options: Any
) -> int:
    from ..decoding import receiver_options
    from ..kernels import ensure_compiled
    from ..lifetime import Lifetime

    try:
        from ..view.serving import serve
    except ImportError as error:
        raise missing(error) from None
    from ..view.access import Access
    from ..view.opening import open_watch
    from ..view.serving import address_of, bind

    options = receiver_options(settings)
    listening = bind(host, port)
    try:
        watch = open_watch(source, profile, options, file_options)
        ensure_compiled()
        access = Access.of(host, names)
        with Lifetime() as lifetime:
            watch.start()
            click.echo(f"osgp-sdr: look at {address_of(access, listening)}", err=True)
            try:
                serve(watch, access, listening, lifetime.stopped)
            finally:
                watch.stop()
            return INTERRUPTED if lifetime.interrupted else DONE
    finally:
        listening.close()
