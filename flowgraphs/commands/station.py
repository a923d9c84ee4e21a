"""`osgp-sdr station`: one station of a graph, as a process."""

import click

from ..cli import DONE, INTERRUPTED, debug_option


@click.command(
    epilog="Example: osgp-sdr station demo#meter-1 --endpoint tcp://127.0.0.1:5570",
    help="""Run one station until it is told to stop: GRAPH is a file or the name of a ready graph.

    It waits for the line and joins it again whenever it comes back.""",
)
@click.argument("selected", metavar="GRAPH#NAME")
@click.option("--endpoint", metavar="ZMQ", help="Where the line is; default: the graph's, or tcp://127.0.0.1:5570.")
@click.option("--events", metavar="ZMQ", help="Where to send events; default: print them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event.")
@debug_option
def command(selected: str, endpoint: str | None, events: str | None, as_json: bool) -> int:
    import warnings

    from osgp import WeakSecurityWarning

    from ..events import EventSender
    from ..graph import DEFAULT_ENDPOINT, load_graph
    from ..lifetime import Lifetime
    from ..processes import run_station
    from ..report import EventPrinter

    source, mark, name = selected.rpartition("#")
    if not mark or not source or not name:
        raise click.BadParameter(f"expected GRAPH#NAME, got {selected!r}", param_hint="GRAPH#NAME")
    graph = load_graph(source)
    graph.station(name)
    warnings.simplefilter("ignore", WeakSecurityWarning)  # who runs the graph says it once for all its stations
    address = endpoint or graph.endpoint or DEFAULT_ENDPOINT
    sender = EventSender(events)
    printer = EventPrinter(graph.sample_rate, as_json, packets=True)
    emit = sender.send if events else printer.show
    try:
        with Lifetime() as lifetime:
            run_station(graph, name, address, lifetime, emit)
            return INTERRUPTED if lifetime.interrupted else DONE
    finally:
        sender.close()
