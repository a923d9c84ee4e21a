"""`osgp-sdr demo`: a concentrator finds and reads meters over a simulated, noisy power line."""

import click

from ..cli import debug_option
from .security_option import security_option, with_security
from .view_option import view_option

MAX_METERS = 20


@click.command(
    epilog="Example: osgp-sdr demo --out demo-out --seed 7",
    help="""Start a power line full of noise, three meters and a data concentrator, each a process of its own.

    The concentrator finds the meters, gives them addresses and reads them. Exit code 1: a meter was not read.""",
)
@click.option("--out", metavar="DIR", help="Leave readings, packets, recording, capture and pictures in DIR.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of noise and random slots; the same seed, the same run.")
@click.option("--meters", type=click.IntRange(1, MAX_METERS), help="Another number of meters than three.")
@click.option("--endpoint", metavar="ZMQ", help="Where the line is, for `osgp-sdr read`; default: private.")
@security_option
@view_option
@click.option("--packets", is_flag=True, help="Show every packet.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each event.")
@debug_option
def command(
    out: str | None,
    seed: int | None,
    meters: int | None,
    endpoint: str | None,
    security: str | None,
    view_port: int | None,
    packets: bool,
    as_json: bool,
) -> int:
    import msgspec

    from ..graph import load_graph, with_meters
    from .run import run_graph

    graph = load_graph("demo")
    if meters is not None:
        graph = with_meters(graph, meters)
    changes = {"seed": seed, "endpoint": endpoint}
    graph = msgspec.structs.replace(graph, **{key: value for key, value in changes.items() if value is not None})
    return run_graph(with_security(graph, security), out, as_json, packets, details=False, view_port=view_port)
