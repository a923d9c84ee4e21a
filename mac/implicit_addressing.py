"""Implicit addressing: messages to whom a row of the address table names, with the timers that stand there.

The rows are what network management connects message tags and network variables with.
"""

from __future__ import annotations

from typing import Final, Protocol

from .address import Broadcast, Destination
from .classic_proxy import SendAddress
from .errors import DecodeError, LocalProtocolError
from .events import Service
from .responder import ManagedNode
from .timers import transmit_time


class Send(Protocol):
    """How a node sends a message; see `Node`."""

    def __call__(
        self,
        service: Service,
        destination: Destination,
        apdu: bytes,
        now: float,
        domain: int,
        retries: int,
        interval: float,
        *,
        max_responses: int = 1,
        backlog: int = 0,
        priority: bool = False,
        authenticated: bool = False,
    ) -> int:
        """Returns a handle."""
        ...


class ImplicitAddressing:
    """Sends to rows of the address table.

    Args:
        node: its address table.    send: sends the node's own messages.
    """

    def __init__(self, node: ManagedNode, send: Send) -> None:
        self._node = node
        self._send: Final = send

    def target(self, row: int) -> SendAddress | None:
        """Whom a row names; None for no such row, an unassigned one, or one of an unused kind."""
        if not 0 <= row < len(self._node.address_rows):
            return None
        try:
            return SendAddress.decode(self._node.address_rows[row])
        except DecodeError:
            return None

    def send(
        self, row: int, service: Service, apdu: bytes, now: float, priority: bool = False, authenticated: bool = False
    ) -> int:
        """Send an explicit message under a message tag, the index of its row; events carry the returned handle.

        Args:
            row: 0..14.    service: any of the four.    apdu: message code and payload.
            priority: use the priority queue.    authenticated: ask to be authenticated.

        Raises:
            LocalProtocolError: the row names nobody, or the node may not send now.
        """
        target = self.target(row)
        if target is None:
            raise LocalProtocolError(f"row {row} of the address table names nobody: nothing is connected to this tag")
        unacknowledged = service is Service.UNACKNOWLEDGED
        code = target.repeat_code if service is Service.REPEATED else target.transmit_code
        broadcast = isinstance(target.destination, Broadcast)
        return self._send(
            service,
            target.destination,
            apdu,
            now,
            target.domain_index,
            0 if unacknowledged else target.retries,
            0.0 if unacknowledged else transmit_time(code),
            max_responses=max(1, target.upper) if broadcast else 1,
            backlog=target.backlog,
            priority=priority,
            authenticated=authenticated and not unacknowledged,
        )
