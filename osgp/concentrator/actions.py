"""What the concentrator wants done by the network below. One action is out at a time.

`deadline` is the instant (s) at which the concentrator itself gives up waiting for the feedback. `route`: meters that repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from .topology import DIRECT, Route


@dataclass(frozen=True, slots=True)
class Discover:
    """Ask all unconfigured nodes who they are. Feedback: `on_discovered` for each answer, then `on_discovery_done`.

    Along a route the last station of it asks those that it hears, and tells of the first that answers.
    """

    round: int
    deadline: float
    route: Route = DIRECT


@dataclass(frozen=True, slots=True)
class Commission:
    """Give the node with this 48-bit unique id the address subnet/node and put it online. Feedback: `on_commissioned`."""

    unique_node_id: bytes
    subnet: int
    node: int
    deadline: float
    route: Route = DIRECT


@dataclass(frozen=True, slots=True)
class Request:
    """Send an application PDU (message code 0x00 to digest) as a request to subnet/node. Feedback: `on_response`."""

    request_id: int
    subnet: int
    node: int
    apdu: bytes
    deadline: float
    route: Route = DIRECT


@dataclass(frozen=True, slots=True)
class Measure:
    """Find out how well the node at subnet/node hears the station before it on the route. Feedback: `on_measured`."""

    subnet: int
    node: int
    deadline: float
    route: Route = DIRECT


Action = Discover | Commission | Measure | Request
