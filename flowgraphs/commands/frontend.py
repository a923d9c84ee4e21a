"""`osgp-sdr frontend`: one front end of a graph, as a process."""

import click

from ..cli import DONE, INTERRUPTED, debug_option

KINDS = ("line",)


@click.command(
    epilog="Example: osgp-sdr frontend line demo --endpoint tcp://127.0.0.1:5570",
    help="""Run a front end until it is told to stop, or until its recording has ended.

    KIND is `line`: the line of GRAPH (a file, or the name of a ready graph), simulated or what its `frontend` names.""",
)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("graph")
@click.option("--endpoint", metavar="ZMQ", help="Where to bind; default: the graph's, or tcp://127.0.0.1:5570.")
@click.option("--record", metavar="FILE", help="Record what the graph's recorder hears (SigMF).")
@click.option("--transmit", is_flag=True, help="Stations may send on a real line.")
@click.option("--monitor", metavar="ZMQ", help="Send there what the recorder's coupler hears, for a view.")
@click.option("--events", metavar="ZMQ", help="Where to send events.")
@debug_option
def command(
    kind: str, graph: str, endpoint: str | None, record: str | None, transmit: bool, monitor: str | None, events: str | None
) -> int:
    from pathlib import Path

    from ..events import EventSender, StationEvent
    from ..frontends.hardware_line import at_rate, run_front_end
    from ..frontends.simulated_line import run_line
    from ..graph import DEFAULT_ENDPOINT, load_graph
    from ..lifetime import Lifetime
    from ..monitor import MonitorSender

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
            record_to = Path(record) if record else None
            coupler = loaded.line.recorder.coupler if loaded.line.recorder is not None else 0
            onlooker = MonitorSender(monitor, coupler, loaded.sample_rate) if monitor else None
            if loaded.frontend is None:
                run_line(loaded, address, lifetime, record_to, report, onlooker)
            else:
                run_front_end(at_rate(loaded), address, lifetime, transmit, record_to, report, onlooker)
            return INTERRUPTED if lifetime.interrupted else DONE
    finally:
        sender.close()
