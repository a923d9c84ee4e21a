"""Network variable messages: updates and polls from the network, and those that this node sends itself.

        octet 0  1(1) direction(1) selector, high bits(6)      direction 0: meant for inputs, 1: meant for outputs
              1  selector, low bits
              2..value                                         not in a poll

An update comes by any service but a request; a poll is a request, its response has the other direction bit (grade L).
"""

from __future__ import annotations

from typing import Final

from .error_log import ErrorLog
from .errors import ConfigurationError, DropReason, LocalProtocolError
from .events import NodeState, ResponseReceived, Service, VariableUpdated
from .implicit_addressing import ImplicitAddressing
from .message_codes import UNCONFIGURED_STATES
from .network import Arrival
from .responder import ManagedNode
from .session import SessionLayer
from .statistics import Statistics
from .transport import Delivery
from .variable_entry import Direction, VariableConfig, VariableService
from .variable_table import UpdateResult, VariableTable

_VARIABLE: Final = 0x80
_HEAD_LENGTH: Final = 2
_SERVICES: Final = {
    VariableService.ACKNOWLEDGED: Service.ACKNOWLEDGED,
    VariableService.REPEATED: Service.REPEATED,
    VariableService.UNACKNOWLEDGED: Service.UNACKNOWLEDGED,
}
_UPDATE_ERRORS: Final = {
    UpdateResult.LENGTH_MISMATCH: ErrorLog.VARIABLE_LENGTH_MISMATCH,
    UpdateResult.NOT_AUTHENTICATED: ErrorLog.AUTHENTICATION_MISMATCH,
}
_TAKES_UPDATES: Final = frozenset({NodeState.CONFIGURED, NodeState.SOFT_OFFLINE})


def encode_head(selector: int, direction: Direction) -> bytes:
    """First two octets of a network variable message: meant for variables of this direction."""
    return bytes([_VARIABLE | direction << 6 | selector >> 8, selector & 0xFF])


def decode_head(apdu: bytes) -> tuple[int, Direction]:
    """Selector, and for which direction a message is meant."""
    return (apdu[0] & 0x3F) << 8 | apdu[1], Direction(apdu[0] >> 6 & 1)


class VariableLayer:
    """The network variables of a node, towards the network and towards its application.

    Args:
        node: state and tables.    session: sends the answers to polls.    statistics: counters to keep.
        tags: sends the node's own messages to rows of the address table.
    """

    def __init__(
        self, node: ManagedNode, session: SessionLayer, statistics: Statistics, tags: ImplicitAddressing
    ) -> None:
        self._node = node
        self._session = session
        self._statistics = statistics
        self._tags = tags
        self._polls: dict[int, int] = {}

    def __len__(self) -> int:
        """How many variables there are."""
        return len(self.table)

    @property
    def table(self) -> VariableTable:
        """Values and connections."""
        return self._node.variables

    def value(self, index: int) -> bytes:
        """Value of a variable."""
        self._check(index)
        return self.table.values[index]

    # --- from the network ---------------------------------------------------------------------------------------

    def receive(self, delivery: Delivery, now: float) -> None:
        """Process an update or a poll; counts it as a message, or as a drop under its reason."""
        dropped = self._statistics.drops.total()
        if delivery.request_id is not None:
            self._session.respond(delivery.request_id, self._answer_to_poll(delivery), now)
        else:
            self._take_update(delivery.arrival, delivery.apdu)
        if self._statistics.drops.total() == dropped:
            self._statistics.messages += 1

    def _answer_to_poll(self, delivery: Delivery) -> bytes | None:
        """The response: without a value when there is none to give, None for silence (grade B)."""
        apdu = delivery.apdu
        if len(apdu) != _HEAD_LENGTH:
            self._node.log_error(ErrorLog.VARIABLE_MESSAGE_TOO_SHORT)
            self._statistics.drops[DropReason.MALFORMED] += 1
            return None
        if self._node.state in UNCONFIGURED_STATES:
            self._statistics.drops[DropReason.OFFLINE] += 1
            return None
        selector, direction = decode_head(apdu)
        head = encode_head(selector, Direction(1 - direction))
        found = self.table.find(selector, direction) if self._node.state is NodeState.CONFIGURED else []
        if len(found) > 1:
            return None  # whose value is wanted cannot be known
        if not found or (self.table.configs[found[0]].authenticated and not delivery.arrival.authenticated):
            return head
        return head + self.table.values[found[0]]

    def _take_update(self, arrival: Arrival, apdu: bytes) -> None:
        if len(apdu) <= _HEAD_LENGTH:
            self._node.log_error(ErrorLog.VARIABLE_MESSAGE_TOO_SHORT)
            self._statistics.drops[DropReason.TRUNCATED] += 1
            return
        if self._node.state not in _TAKES_UPDATES:
            self._statistics.drops[DropReason.OFFLINE] += 1
            return
        selector, direction = decode_head(apdu)
        if direction is Direction.OUTPUT:
            self._node.log_error(ErrorLog.UPDATE_OF_OUTPUT_VARIABLE)
            self._statistics.drops[DropReason.UNKNOWN_MESSAGE] += 1
            return
        found = self.table.find(selector, Direction.INPUT)
        if not found:
            self._statistics.drops[DropReason.UNKNOWN_MESSAGE] += 1
            return
        result = self.table.update(found[0], apdu[_HEAD_LENGTH:], arrival.authenticated)
        if result is UpdateResult.DONE:
            self._node.report_variable(found[0], arrival)
        else:
            self._node.log_error(_UPDATE_ERRORS[result])
            self._statistics.drops[DropReason.UNKNOWN_MESSAGE] += 1

    def on_response(self, event: ResponseReceived) -> ResponseReceived | VariableUpdated:
        """A response: when it answers a poll of ours and has a value, the variable takes it."""
        index = self._polls.get(event.handle)
        if index is None or len(event.apdu) <= _HEAD_LENGTH or not event.apdu[0] & _VARIABLE:
            return event
        value = event.apdu[_HEAD_LENGTH:]
        if len(value) != self.table.variables[index].length:
            self._node.log_error(ErrorLog.VARIABLE_LENGTH_MISMATCH)
            return event
        self.table.values[index] = value
        return VariableUpdated(index, value, event.source, event.domain)

    def on_done(self, handle: int) -> None:
        """A message of ours is finished."""
        self._polls.pop(handle, None)

    # --- to the network -----------------------------------------------------------------------------------------

    def write(self, index: int, value: bytes, now: float) -> tuple[int, ...]:
        """Give an output a new value and send it where it is connected; returns the handles of the messages.

        Raises `LocalProtocolError` for an input, and when the node is not configured and the variable connected.
        """
        self._check(index)
        variable = self.table.variables[index]
        if variable.direction is Direction.INPUT:
            raise LocalProtocolError(f"network variable {index} is an input, only the network writes it")
        if len(value) != variable.length:
            raise ConfigurationError(f"network variable {index} has {variable.length} octets, got {len(value)}")
        self.table.values[index] = bytes(value)
        handles = []
        for config in self.table.connections(index):
            if config.turnaround:
                self._turn_around(config, value)
            apdu = encode_head(config.selector, Direction.INPUT) + value
            handles += self._send(_SERVICES[config.service], config, apdu, now)
        return tuple(handles)

    def poll(self, index: int, now: float) -> tuple[int, ...]:
        """Ask the outputs connected to an input for their value; `VariableUpdated` follows. Returns the handles."""
        self._check(index)
        if self.table.variables[index].direction is Direction.OUTPUT:
            raise LocalProtocolError(f"network variable {index} is an output, only inputs poll")
        handles = []
        for config in self.table.connections(index):
            handles += self._send(Service.REQUEST, config, encode_head(config.selector, Direction.OUTPUT), now)
        self._polls.update(dict.fromkeys(handles, index))
        return tuple(handles)

    def _send(self, service: Service, config: VariableConfig, apdu: bytes, now: float) -> list[int]:
        """To whom the variable is connected, if anybody."""
        row = config.address_row
        if row is None or self._tags.target(row) is None:
            return []
        return [self._tags.send(row, service, apdu, now, config.priority, config.authenticated)]

    def _turn_around(self, config: VariableConfig, value: bytes) -> None:
        entry = next((row for row in self._node.network.domains if row is not None), None)
        for index in self.table.find(config.selector, Direction.INPUT):
            if self.table.update(index, value, authenticated=True) is UpdateResult.DONE and entry is not None:
                self._node.events.append(VariableUpdated(index, value, entry.address, entry.domain, authenticated=True))

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self.table):
            raise ConfigurationError(f"there are {len(self.table)} network variables, number {index} is none of them")
