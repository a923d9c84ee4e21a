"""`osgp-sdr read`: tables of a meter on a running line."""

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option


@click.command(
    epilog="Example: osgp-sdr read meter-1 BT23.summations BT52 --graph demo --endpoint ipc:///tmp/line",
    help="""Join a running line on a free coupler and read tables of one meter.

    METER is a station of the graph, a unique node id (12 hex digits), or subnet/node. TABLE is a name (BT23), a number
    (23, 2051), or a field of a table (BT23.summations, BT21.0.2). Exit code 1: the meter did not answer, or refused.""",
)
@click.argument("meter")
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@click.option("--graph", default="demo", show_default=True, help="Graph of the line: rate, domain and keys.")
@click.option("--endpoint", metavar="ZMQ", help="Where the line is; default: the graph's, or tcp://127.0.0.1:5570.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each table or field.")
@click.option("--wait", type=click.FloatRange(1, 3600), default=10.0, show_default=True, metavar="S",
              help="How long to wait for the line.")  # fmt: skip
@debug_option
def command(
    meter: str,
    tables: tuple[str, ...],
    graph: str,
    endpoint: str | None,
    as_json: bool,
    wait: float,
) -> int:
    from ..graph import DEFAULT_ENDPOINT, load_graph
    from ..kernels import ensure_compiled
    from ..lifetime import Lifetime
    from ..reading import Wanted, parse_wanted, read_tables, resolve_meter

    loaded = load_graph(graph)
    location = endpoint or loaded.endpoint or DEFAULT_ENDPOINT
    wanted: list[Wanted] = [parse_wanted(text) for text in tables]
    target = resolve_meter(loaded, meter)
    ensure_compiled()
    with Lifetime() as lifetime:
        problems, found = read_tables(loaded, location, target, wanted, lifetime, wait)
        if lifetime.interrupted:
            return INTERRUPTED
    for item in wanted:
        if item.text in found:
            click.echo(item.show(found[item.text], as_json))
    for problem in problems:
        click.echo(f"osgp-sdr read: {meter}: {problem}", err=True)
    return ANSWER_IS_NO if problems or len(found) < len({item.text for item in wanted}) else DONE
