"""What the concentrator wants done by the network below. One action is out at a time.

`deadline` is the instant (s) at which the concentrator itself gives up waiting for the feedback.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Discover:
    """Ask all unconfigured nodes who they are. Feedback: `on_discovered` for each answer, then `on_discovery_done`."""

    round: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Commission:
    """Give the node with this 48-bit unique id the address subnet/node and put it online. Feedback: `on_commissioned`."""

    unique_node_id: bytes
    subnet: int
    node: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Request:
    """Send an application PDU (message code 0x00 to digest) as a request to subnet/node. Feedback: `on_response`."""

    request_id: int
    subnet: int
    node: int
    apdu: bytes
    deadline: float


Action = Discover | Commission | Request
