"""The node's own answers to network management and diagnostic messages.

`ManagedNode` holds what the messages read and change; one file for each topic carries its requests out; the table of
commands says which message is which, and who may send it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ..configuration import NodeConfig
from ..entries import DomainEntry
from ..error_log import ErrorLog
from ..errors import DecodeError, DropReason, TruncatedPdu
from ..events import Event, NodeState
from ..message_codes import EXPANDED
from ..network import Arrival, NetworkLayer
from ..receive_record import ReceiveRecords
from ..reception import Reception
from ..statistics import Statistics
from ..timing import ChannelTiming
from . import addresses, domains, expanded, identity, memory, mode, proxy, status, variables
from .command import Command, CommandKey, command_key
from .managed_node import CHECKSUM_PERIOD_S, IpIdentity, ManagedNode
from .reply import Reply, Reset, refusal

__all__ = ["COMMANDS", "Command", "IpIdentity", "ManagedNode", "ManagementResponder", "Reply", "Reset"]

_TOPICS: Final = (status, proxy, identity, domains, addresses, mode, memory, variables, expanded)
COMMANDS: Final[dict[CommandKey, Command]] = {command.key: command for topic in _TOPICS for command in topic.COMMANDS}


class ManagementResponder:
    """Answers management requests.

    Attributes:
        node: what they read and change.    checksum_check_at: when a wrong configuration checksum will be noticed, if any.
    """

    def __init__(
        self,
        config: NodeConfig,
        timing: ChannelTiming,
        network: NetworkLayer,
        records: ReceiveRecords,
        statistics: Statistics,
        events: deque[Event],
    ) -> None:
        self.node: Final = ManagedNode(config, timing, network, records, statistics, events)
        self._statistics = statistics
        self.checksum_check_at: float | None = None

    @property
    def state(self) -> NodeState:
        """Node state."""
        return self.node.state

    @property
    def configured(self) -> bool:
        """Whether the domain table is in force."""
        return self.node.configured

    @property
    def last_reception(self) -> Reception | None:
        """How the newest frame was received."""
        return self.node.last_reception

    @last_reception.setter
    def last_reception(self, reception: Reception | None) -> None:
        self.node.last_reception = reception

    def own_registers(self) -> bytes:
        """Transceiver registers of the newest reception, empty when nobody knows."""
        return b"" if self.last_reception is None else self.last_reception.encode()

    def execute(self, apdu: bytes, arrival: Arrival, is_request: bool, now: float) -> Reply:
        """Carry out a message of the management or diagnostic family."""
        command = COMMANDS.get(command_key(apdu))
        if command is None or not (command.by_request if is_request else command.by_message):
            self._statistics.drops[DropReason.UNKNOWN_MESSAGE] += 1
            return _refuse(apdu)
        if self._must_authenticate(command) and not arrival.authenticated:
            self.node.log_error(ErrorLog.AUTHENTICATION_MISMATCH)
            return _refuse(apdu)
        try:
            request = command.request.decode(apdu)
        except DecodeError as error:
            self._statistics.drops[error.reason] += 1
            if isinstance(error, TruncatedPdu):
                self.node.log_error(ErrorLog.INCOMPLETE_MESSAGE)
            return _refuse(apdu)
        reply = command.carry_out(self.node, request, arrival)
        self._watch_checksum(now)
        return reply

    def set_state(self, state: NodeState) -> None:
        """Change the node state and report it."""
        self.node.set_state(state)

    def set_domain(self, index: int, entry: DomainEntry | None) -> None:
        """Write a row of the domain table and report it."""
        self.node.set_domain(index, entry)

    def on_reset(self) -> None:
        """Forget what a reset forgets."""
        self.node.on_reset()

    def next_timer(self) -> float | None:
        """When to call `on_timer`: a wrong configuration checksum is noticed then."""
        return self.checksum_check_at

    def on_timer(self, now: float) -> Reset:
        """Check the configuration checksum where that is due; a configured node with a wrong one must reset."""
        if self.checksum_check_at is None or now < self.checksum_check_at:
            return Reset.NONE
        self.checksum_check_at = None
        if not self.configured or self.node.checksum == self.node.computed_checksum():
            return Reset.NONE
        self.node.log_error(ErrorLog.CONFIGURATION_CHECKSUM)
        self.node.set_state(NodeState.UNCONFIGURED)
        return Reset.SOFTWARE

    def _must_authenticate(self, command: Command) -> bool:
        return self.configured and self.node.configuration.management_authentication and not command.open

    def _watch_checksum(self, now: float) -> None:
        if not self.configured or self.node.checksum == self.node.computed_checksum():
            self.checksum_check_at = None
        elif self.checksum_check_at is None:
            self.checksum_check_at = now + CHECKSUM_PERIOD_S


def _refuse(apdu: bytes) -> Reply:
    return refusal(apdu[0], apdu[1] if apdu[0] == EXPANDED and len(apdu) > 1 else None)
