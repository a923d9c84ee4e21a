"""`osgp-sdr frontend`: one front end of a graph, as a process."""

import click

from ..cli import DONE, INTERRUPTED, debug_option

KINDS = ("line",)


@click.command(
    epilog="Example: osgp-sdr frontend line demo --endpoint tcp://127.0.0.1:5570",
    help="""Run a front end until it is told to stop.

    KIND is `line`, the simulated power line of GRAPH (a file, or the name of a ready graph).""",
)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("graph")
@click.option("--endpoint", metavar="ZMQ", help="Where to bind; default: the graph's, or tcp://127.0.0.1:5570.")
@click.option("--record", metavar="FILE", help="Record what the graph's recorder hears (SigMF).")
@click.option("--events", metavar="ZMQ", help="Where to send events.")
@debug_option
def command(kind: str, graph: str, endpoint: str | None, record: str | None, events: str | None) -> int:
    from pathlib import Path

    from ..events import EventSender, StationEvent
    from ..frontends.simulated_line import run_line
    from ..graph import DEFAULT_ENDPOINT, load_graph
    from ..lifetime import Lifetime

    loaded = load_graph(graph)
    address = endpoint or loaded.endpoint or DEFAULT_ENDPOINT
    sender = EventSender(events)

    def report(text: str) -> None:
        if events:
            sender.send(StationEvent(kind, 0, "line", text))
        else:
            click.echo(text, err=True)

    try:
        with Lifetime() as lifetime:
            run_line(loaded, address, lifetime, Path(record) if record else None, report)
            return INTERRUPTED if lifetime.interrupted else DONE
    finally:
        sender.close()
