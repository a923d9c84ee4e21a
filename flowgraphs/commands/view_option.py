"""`--view` of the commands that run a graph."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..errors import MissingFeature

if TYPE_CHECKING:
    from ..graph import Graph
    from ..view.beside import ViewBeside

Command = TypeVar("Command", bound=Callable[..., Any])
PORT: Final = 8714
HERE: Final = "127.0.0.1"


def view_option(command: Command) -> Command:
    """--view and --view-port; the command gets `view_port`, None when no page is wanted."""

    def port_of(context: click.Context, _parameter: click.Parameter, wanted: bool) -> int | None:
        port = int(context.params.pop("view_at"))
        return port if wanted else None

    for option in (
        click.option("--view", "view_port", is_flag=True, callback=port_of,
                     help="Serve a live page of what the recorder's coupler hears."),
        click.option("--view-port", "view_at", type=click.IntRange(0, 65535), default=PORT, show_default=True, is_eager=True,
                     help="Where; 0 takes a free one."),
    ):  # fmt: skip
        command = option(command)
    return command


def missing(error: ImportError) -> MissingFeature:
    """What to say when the page's libraries are not there."""
    return MissingFeature(f"a page needs the extra 'web' (pip install 'osgp-sdr[web]'): {error}")


def view_beside(graph: "Graph", port: int) -> "ViewBeside":
    """The page of a graph; FlowgraphError when it cannot be served."""
    try:
        from ..view.beside import ViewBeside
    except ImportError as error:
        raise missing(error) from None
    return ViewBeside(graph, HERE, port)
