"""`osgp-sdr keys`: CURVE keys for sample streams that leave this machine."""

import click

from ..cli import DONE, debug_option


@click.command(
    epilog="Example: osgp-sdr keys bench && ls bench.key bench.key_secret",
    help="""Make a CURVE key pair: NAME.key is public and goes to the other end, NAME.key_secret stays here (mode 0600).

    The end that binds takes ?curve_secret=ITS.key_secret&curve_clients=DIR-OR-FILE, the one that connects
    ?curve_secret=OWN.key_secret&curve_server=ITS.key. The files are those of ZeroMQ's own tools (zmq.auth, CZMQ).
    A file that exists is never overwritten.""",
)
@click.argument("name")
@debug_option
def command(name: str) -> int:
    from ..frontends.curve import write_keys

    for path in write_keys(name):
        click.echo(f"wrote {path}", err=True)
    return DONE
