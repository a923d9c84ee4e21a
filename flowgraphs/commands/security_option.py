"""`--security`, shared by the commands that run or join a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..graph import Graph

Command = TypeVar("Command", bound=Callable[..., Any])
HELP = "What protects messages, instead of the graph's: aes, the weak oma, the broken rc4, or auto."


def security_option(command: Command) -> Command:
    """The option, given to the command as `security`."""
    return click.option("--security", type=click.Choice(["aes", "oma", "rc4", "auto"]), help=HELP)(command)


def with_security(graph: Graph, security: str | None) -> Graph:
    """The graph with that mode for every meter; None: as it is."""
    import msgspec

    from ..graph import MeterStation

    if security is None:
        return graph
    stations = [
        msgspec.structs.replace(station, security=None) if isinstance(station, MeterStation) else station
        for station in graph.stations
    ]
    return msgspec.structs.replace(graph, stations=stations, security=security)
