"""`osgp-sdr read`: tables of a meter on a running line, or at its optical or MEP port."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option
from .security_option import security_option, with_security

if TYPE_CHECKING:
    from ..reading import Wanted


@click.command(
    epilog="Example: osgp-sdr read meter-1 BT23.summations BT52 --graph demo --endpoint ipc:///tmp/line; "
    "osgp-sdr read --optical /dev/ttyUSB0 BT23; osgp-sdr read --mep tcp:127.0.0.1:7001 'BT23.summations[0]'",
    help="""Read tables of one meter: on a running line, which is joined on a free coupler, or at one of its ports.

    METER is a station of the graph, a unique node id (12 hex digits), or subnet/node; a port needs none. TABLE is a name (BT23),
    a number (23, 2051), or a field of a table (BT23.summations, BT21.0.2). PLACE is a serial port, tcp:HOST:PORT, or an address
    that pyserial opens. Without a key the test key of simulated meters is tried. Exit code 1: the meter did not answer, or
    refused.""",
)
@click.argument("words", metavar="[METER] TABLE...", nargs=-1, required=True)
@click.option("--optical", metavar="PLACE", help="Read at the optical port (C12.18).")
@click.option("--mep", metavar="PLACE", help="Read at the MEP port.")
@click.option("--key", "keys", metavar="KIND=TEXT", multiple=True,
              help="MK, PK or RK for --optical, MAK or MBK for --mep: 20 ASCII characters, or hex: and digits.")  # fmt: skip
@click.option("--keys", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="A TOML file with keys.")
@click.option("--user-id", type=click.IntRange(0, 65535), default=1, show_default=True, help="For the meter's event log.")
@click.option("--tls", is_flag=True, help="TLS at the MEP port.")
@click.option("--graph", default="demo", show_default=True, help="Graph of the line: rate, domain and keys.")
@click.option("--via", metavar="METER", multiple=True,
              help="A meter on the way to one out of reach, written as METER; may be repeated, the nearest first.")  # fmt: skip
@click.option("--endpoint", metavar="ZMQ", help="Where the line is; default: the graph's, or tcp://127.0.0.1:5570.")
@security_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each table or field.")
@click.option("--wait", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, metavar="S",
              help="How long to wait for the line, or for an answer at a port.")  # fmt: skip
@debug_option
def command(
    words: tuple[str, ...],
    optical: str | None,
    mep: str | None,
    keys: tuple[str, ...],
    key_file: Path | None,
    user_id: int,
    tls: bool,
    graph: str,
    via: tuple[str, ...],
    endpoint: str | None,
    security: str | None,
    as_json: bool,
    wait: float,
) -> int:
    from ..lifetime import Lifetime

    if optical is not None and mep is not None:
        raise click.UsageError("--optical and --mep: one port at a time")
    if via and (optical is not None or mep is not None):
        raise click.UsageError("--via: there is no way over meters to a port")
    with Lifetime() as lifetime:
        if optical is not None or mep is not None:
            from ..ports.keys import read_keys
            from ..ports.reading import read_port
            from ..reading import parse_wanted

            wanted = [parse_wanted(text) for text in words]
            ring = read_keys(keys, key_file, defaults=True)
            who = optical or mep or ""
            problems, found = read_port(who, wanted, ring, lifetime, wait, mep=mep is not None, tls=tls, user_id=user_id)
        else:
            who, wanted, problems, found = _on_the_line(words, graph, via, endpoint, security, lifetime, wait)
        if lifetime.interrupted:
            return INTERRUPTED
    for item in wanted:
        if item.text in found:
            click.echo(item.show(found[item.text], as_json))
    for problem in problems:
        click.echo(f"osgp-sdr read: {who}: {problem}", err=True)
    return ANSWER_IS_NO if problems or len(found) < len({item.text for item in wanted}) else DONE


def _on_the_line(
    words: tuple[str, ...], graph: str, via: tuple[str, ...], endpoint: str | None, security: str | None, lifetime: Any,
    wait: float,
) -> "tuple[str, list[Wanted], list[str], dict[str, Any]]":  # fmt: skip
    from ..graph import DEFAULT_ENDPOINT, load_graph
    from ..kernels import ensure_compiled
    from ..reading import parse_wanted, read_tables, resolve_meter

    meter, *tables = words
    if not tables:
        raise click.UsageError("Missing argument 'TABLE...'.")
    loaded = with_security(load_graph(graph), security)
    location = endpoint or loaded.endpoint or DEFAULT_ENDPOINT
    wanted = [parse_wanted(text) for text in tables]
    target, way = resolve_meter(loaded, meter), [resolve_meter(loaded, name) for name in via]
    ensure_compiled()
    problems, found = read_tables(loaded, location, target, wanted, lifetime, wait, way)
    return meter, wanted, problems, found
