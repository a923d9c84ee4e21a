"""Keys and nonces of a graph's stations, and what is weak about its security. Nothing here prints or reports a key."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import osgp

from .graph import Graph, MeterStation, station_random


@dataclass(frozen=True, slots=True)
class MeterKeys:
    """Keys of one meter."""

    omak: osgp.Key
    psk: osgp.Key
    broadcast: osgp.Key | None


def meter_keys(graph: Graph, spec: MeterStation | None) -> MeterKeys:
    """Keys of a meter, None: of one that the graph does not know."""
    broadcast = graph.broadcast_psk
    return MeterKeys(
        osgp.Key.from_text("OMAK", (spec and spec.omak) or graph.omak),
        osgp.Key.from_text("PSK", (spec and spec.psk) or graph.psk),
        None if broadcast is None else osgp.Key.from_text("PSK-BROADCAST", broadcast),
    )


def weaknesses(graph: Graph) -> list[str]:
    """What somebody who runs this graph should know about its security, a line each."""
    modes = {graph.security_of(s) for s in graph.stations if isinstance(s, MeterStation)}
    lines = []
    if "oma" in modes or "auto" in modes:
        lines.append("the OMA digest is on: it encrypts nothing and its key can be recovered (eprint 2015/428)")
    if "rc4" in modes:
        lines.append(osgp.RC4_WEAKNESS)
    return lines


def entropy(graph: Graph, name: str) -> Callable[[int], bytes]:
    """Where a station draws its nonces: a simulation repeats itself, a run in real time may have real peers and does not."""
    return station_random(graph, name, "nonces").randbytes if graph.pace == "fast" else secrets.token_bytes
