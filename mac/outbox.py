"""Outbox: checks what the node's user wants to send, and hands it to transaction control."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .address import Destination, DomainId, Group, check_range
from .errors import ConfigurationError, LocalProtocolError
from .events import Service
from .lpdu import MAX_DELTA_BACKLOG
from .network import NetworkLayer
from .npdu import ENHANCED_VERSION, NORMAL_VERSION
from .transaction import ANSWERED_SERVICES, MAX_APDU, Listener, OutgoingMessage
from .transaction_control import TransactionControl

MAX_RETRIES: Final = 15


def check_apdu(apdu: bytes) -> None:
    """Refuse an APDU that is empty or too long."""
    check_range("APDU length", len(apdu), 1, MAX_APDU)


class Outbox:
    """Makes a message of what the user asks for.

    Args:
        network, control: layers of the node.
        handles: names for the messages.
        enhanced_numbers: use 12-bit transaction numbers where the user does not say.
    """

    def __init__(
        self, network: NetworkLayer, control: TransactionControl, handles: Iterator[int], enhanced_numbers: bool
    ) -> None:
        self._network = network
        self._control = control
        self._handles = handles
        self._enhanced_numbers = enhanced_numbers

    def send(
        self,
        service: Service,
        destination: Destination,
        apdu: bytes,
        now: float,
        domain: int | DomainId,
        retries: int,
        interval: float,
        max_responses: int = 1,
        backlog: int = 0,
        priority: bool = False,
        alternate: bool | None = None,
        authenticated: bool = False,
        enhanced: bool | None = None,
        last_wait: float = 0.0,
        listener: Listener | None = None,
    ) -> int:
        """Submit a message; returns its handle. Arguments as of `Node.send_request` and `OutgoingMessage`."""
        check_apdu(apdu)
        check_range("retries", retries, 0, MAX_RETRIES)
        check_range("backlog", backlog, 0, MAX_DELTA_BACKLOG)
        if max_responses < 1:
            raise ConfigurationError(f"max_responses must be 1 or more, got {max_responses}")
        if interval < 0.0:
            raise ConfigurationError(f"the transmit or repeat time must not be negative, got {interval}")
        if not self._network.configured:
            raise LocalProtocolError("an unconfigured node originates nothing but its service message")
        index, domain_id, source = self._network.resolve_domain(domain)
        group_size, own_member = self._network.resolve_group(destination, index)
        if service in ANSWERED_SERVICES:
            if index is None:
                raise LocalProtocolError(f"no answer could reach us on domain {domain_id}: it is not in the table")
            if isinstance(destination, Group) and group_size < 2:
                raise LocalProtocolError(f"size of group {destination.group} must be 2 or more, got {group_size}")
        with_long_number = self._enhanced_numbers if enhanced is None else enhanced
        handle = next(self._handles)
        message = OutgoingMessage(
            handle=handle,
            service=service,
            destination=destination,
            domain=domain_id,
            domain_index=index,
            source=source,
            apdu=bytes(apdu),
            priority=priority,
            auth=authenticated,
            retries=retries,
            interval=interval,
            max_responses=max_responses,
            backlog=backlog,
            alternate=alternate,
            group_size=group_size,
            own_member=own_member,
            version=ENHANCED_VERSION if with_long_number and service is not Service.UNACKNOWLEDGED else NORMAL_VERSION,
            last_wait=last_wait,
            listener=listener,
        )
        self._control.submit(message, now)
        return handle
