"""`osgp-sdr run`: any graph as processes."""

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option
from .security_option import security_option, with_security
from .view_option import view_beside, view_option


@click.command(
    epilog="Example: osgp-sdr run demo",
    help="""Run the line and every station of GRAPH (a file, or the name of a ready graph) as processes.

    Ends when the concentrators are done, when a recording given as --frontend has ended, or with Ctrl-C. Restarts nothing by
    itself. Exit code 1: a meter was not read, or nothing was heard by a graph that only listens.""",
)
@click.argument("graph")
@click.option("--out", metavar="DIR", help="Leave readings, packets, recording, capture and pictures in DIR.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Instead of the graph's.")
@click.option("--pace", type=click.Choice(["fast", "realtime"]), help="Instead of the graph's.")
@click.option("--endpoint", metavar="ZMQ", help="Where the line is, for `osgp-sdr read`; default: the graph's, or tcp://127.0.0.1:5570.")
@click.option("--frontend", metavar="URL", help="A real line instead of the simulated one: soundcard:, file:, zmq+sub: ...; "
              "`simulated` undoes the graph's.")  # fmt: skip
@click.option("--transmit", is_flag=True, help="Stations may send there; without it they only listen.")
@click.option("--transmit-to", metavar="URL", help="Where to send when the front end is only a source.")
@click.option("--duty-cycle", type=click.FloatRange(0, 1, min_open=True), help="Most of the time that may be sent; default 0.64.")
@click.option("--only", metavar="NAME", multiple=True, help="Run only this station of the graph here; may be repeated.")
@security_option
@view_option
@click.option("--packets", is_flag=True, help="Show every packet.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each event.")
@debug_option
def command(
    graph: str,
    out: str | None,
    seed: int | None,
    pace: str | None,
    endpoint: str | None,
    frontend: str | None,
    transmit: bool,
    transmit_to: str | None,
    duty_cycle: float | None,
    only: tuple[str, ...],
    security: str | None,
    view_port: int | None,
    packets: bool,
    as_json: bool,
) -> int:
    import msgspec

    from ..graph import DEFAULT_ENDPOINT, load_graph

    loaded = load_graph(graph)
    if frontend is not None:
        loaded = msgspec.structs.replace(loaded, frontend=None if frontend == "simulated" else frontend)
    if only:
        loaded = msgspec.structs.replace(loaded, stations=[loaded.station(name) for name in only])
    if loaded.frontend is None and (transmit or transmit_to):
        raise click.UsageError("--transmit is for a real line: name it with --frontend")
    if loaded.frontend is not None:
        from ..frontends.hardware_line import at_rate

        given = {"transmit_to": transmit_to, "duty_cycle": duty_cycle}
        loaded = msgspec.structs.replace(at_rate(loaded), **{key: value for key, value in given.items() if value is not None})
    changes = {"seed": seed, "pace": pace, "endpoint": endpoint or loaded.endpoint or DEFAULT_ENDPOINT}
    loaded = msgspec.structs.replace(loaded, **{key: value for key, value in changes.items() if value is not None})
    return run_graph(with_security(loaded, security), out, as_json, packets, transmit=transmit, view_port=view_port)


def run_graph(
    graph: object, out: str | None, as_json: bool, packets: bool, details: bool = True, transmit: bool = False,
    view_port: int | None = None,
) -> int:  # fmt: skip
    """Run a graph to its end and leave what was asked for; with `view_port` serve a page of it until Ctrl-C."""
    import contextlib
    import time
    from pathlib import Path

    from ..errors import StationError
    from ..graph import Graph
    from ..kernels import ensure_compiled
    from ..lifetime import Lifetime
    from ..processes import GraphRun
    from ..protection import weaknesses
    from ..report import EventPrinter, RunLog, readings_table, write_artefacts

    assert isinstance(graph, Graph)
    directory = Path(out) if out else None
    recording = None
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.BadParameter(f"{directory}: {error.strerror}", param_hint="--out") from None
        if graph.line.recorder is not None:
            recording = directory.resolve() / "line"
    ensure_compiled()
    started_at = time.monotonic()
    log = RunLog(graph)
    printer = EventPrinter(graph.sample_rate, as_json, packets, details)

    def on_event(event: object) -> None:
        log.add(event)  # type: ignore[arg-type]
        printer.show(event)  # type: ignore[arg-type]
        if view is not None:
            view.hear(event)  # type: ignore[arg-type]

    def report(text: str) -> None:
        click.echo(f"osgp-sdr: {text}", err=True)

    for weakness in weaknesses(graph):
        report(weakness)
    with Lifetime() as lifetime, contextlib.ExitStack() as stack:
        view = None if view_port is None else stack.enter_context(view_beside(graph, view_port))
        if view is not None:
            report(f"look at {view.address}")
        try:
            monitor = None if view is None else view.endpoint
            with GraphRun(graph, recording, on_event, report, transmit, monitor) as running:
                running.start()
                running.watch(lifetime.stopped)
                done = running.all_finished() or running.ended
        except StationError as error:
            report(str(error))
            return ANSWER_IS_NO
        wall = time.monotonic() - started_at
        if directory is not None and (done or not lifetime.interrupted):
            written = write_artefacts(log, directory, recording)
            click.echo(f"wrote {', '.join(path.name for path in written)} to {directory}", err=True)
        if lifetime.interrupted and not done:
            return INTERRUPTED
        if not as_json:
            click.echo("\n" + readings_table(log))
        simulated = 0.0 if log.finish is None else log.finish / graph.sample_rate
        click.echo(f"{simulated:.1f} s on the line took {wall:.1f} s", err=True)
        if graph.frontend is not None and not transmit:
            heard = log.good_packets()
            report(f"{heard} packets were heard")
            code = DONE if heard else ANSWER_IS_NO
        else:
            silent = log.silent_meters()
            if silent:
                report(f"not read: {', '.join(silent)}")
            code = ANSWER_IS_NO if silent else DONE
        if view is not None:
            report("the graph has ended; the page stays until Ctrl-C")
            view.stay(lifetime.stopped)
        return code
