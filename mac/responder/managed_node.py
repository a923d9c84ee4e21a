"""What network management reads and changes in a node, and when each change takes effect."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from ..configuration import ConfigurationData, NodeConfig
from ..entries import BLANK_DOMAIN, DomainEntry, GroupEntry
from ..error_log import ErrorLog
from ..events import DomainChanged, Event, NodeState, StateChanged, VariableUpdated
from ..management.expanded import AddressMappingReport
from ..message_codes import UNCONFIGURED_STATES
from ..network import Arrival, NetworkLayer
from ..receive_record import ReceiveRecords
from ..reception import Reception
from ..reports import PhaseReport
from ..snapshot import NodeSnapshot, exclusive_or
from ..statistics import Statistics
from ..timing import ChannelTiming
from ..variable_table import VariableTable

SOFTWARE_RESET: Final = 0x14  # reset causes, see `NodeConfig.reset_cause` (grade B)
CLEARED: Final = 0x00
CHECKSUM_PERIOD_S: Final = 1.0  # how soon a wrong configuration checksum is noticed (grade B)
ADDRESS_ROW_LENGTH: Final = GroupEntry.LENGTH
BLANK_ADDRESS_ROW: Final = bytes(ADDRESS_ROW_LENGTH)


@dataclass(frozen=True, slots=True)
class IpIdentity:
    """What a LON/IP node says of its address.

    Args:
        address: 4 octets of its IPv4 address.
        mapping: periods of address announcements.
    """

    address: bytes
    mapping: AddressMappingReport = field(default_factory=AddressMappingReport)


class ManagedNode:
    """The data of a node that network management reads and writes.

    Attributes:
        config: what its user gave.    state: node state.    selected: by Respond to Query.
        reset_cause, last_error: octets of Query Status.
        configuration: the 25 octets of configuration data.    address_rows: the address table.
        variables: network variables and aliases.
        last_reception, phase, ip: how the newest frame was received, on which mains phase the node sits, its LON/IP
            address; set by whoever drives the node, None where there is none.
        revision: counts changes of what survives a restart.
        checksum: of the configuration image, as last made right; see `recalculate_checksum`.
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
        self.config = config
        self.network = network
        self.statistics = statistics
        self.events = events
        self._records = records
        self.state = config.initial_state
        self.selected = False
        self.reset_cause = config.reset_cause
        self.last_error = 0
        self.configuration = ConfigurationData.of(config, timing)
        self.address_rows = list(config.initial_address_rows)
        self.variables = VariableTable(config.variables, config.aliases)
        self.last_reception: Reception | None = None
        self.phase: PhaseReport | None = None
        self.ip: IpIdentity | None = None
        self.revision = 0
        if config.saved is not None:
            network.domains[:] = config.saved.domains
            network.spare_keys[:] = config.saved.spare_keys
            self._restore_variables(config.saved)
            self.last_error = config.saved.last_error
        records.receive_code = self.configuration.receive_code
        network.configured = self.configured
        self._take_groups()
        self.recalculate_checksum()
        if config.saved is not None and not config.saved.intact and self.configured:
            self._start_unconfigured()

    def _start_unconfigured(self) -> None:
        """What a node does that finds its configuration checksum wrong when it starts."""
        self.last_error = ErrorLog.CONFIGURATION_CHECKSUM
        self.state = NodeState.UNCONFIGURED
        self.network.configured = False
        self.revision += 1

    def _restore_variables(self, saved: NodeSnapshot) -> None:
        """Rows of the same application only: with another program id, or other variables, they mean nothing."""
        variables = self.variables
        if saved.program_id == self.config.program_id and len(saved.variable_configs) == len(variables):
            for index, (config, value) in enumerate(zip(saved.variable_configs, saved.values, strict=True)):
                variables.set_config(index, config)
                if len(value) == variables.variables[index].length:
                    variables.values[index] = value
            if len(saved.aliases) == len(variables.aliases):
                variables.aliases = list(saved.aliases)

    def snapshot(self) -> NodeSnapshot:
        """What survives a restart, as it stands now."""
        variables = self.variables
        return NodeSnapshot(
            self.config.unique_node_id,
            self.config.program_id,
            self.state,
            tuple(self.network.domains),
            tuple(self.network.spare_keys),
            tuple(self.address_rows),
            self.configuration.octets,
            tuple(variables.configs),
            tuple(variables.persistent_values()),
            tuple(variables.aliases),
            self.last_error,
            self.checksum,
        )

    @property
    def configured(self) -> bool:
        """Whether the domain table is in force."""
        return self.state not in UNCONFIGURED_STATES

    def set_state(self, state: NodeState) -> None:
        """Change the node state and report it."""
        if state is not self.state:
            self.state = state
            self.network.configured = self.configured
            self.events.append(StateChanged(state))
            self.changed()

    def set_domain(self, index: int, entry: DomainEntry | None) -> None:
        """Write a row of the domain table and report it."""
        self.network.domains[index] = entry
        self.events.append(DomainChanged(index, entry))
        self.changed()

    def set_row_key(self, index: int, key: bytes) -> None:
        """Write the key of a row of the domain table, blank or not."""
        entry = self.network.domains[index]
        if entry is None:
            self.network.spare_keys[index] = key
            self.changed()
        else:
            self.set_domain(index, entry.with_key(key))

    def row_key(self, index: int) -> bytes:
        """Key of a row of the domain table, blank or not."""
        return self.domain_row(index)[-DomainEntry.KEY_LENGTH :]

    def set_address_row(self, index: int, row: bytes) -> None:
        """Write a row of the address table; group memberships follow."""
        self.address_rows[index] = row
        self._take_groups()
        self.changed()

    def _take_groups(self) -> None:
        entries = map(GroupEntry.decode, self.address_rows)
        self.network.groups = [entry for entry in entries if entry is not None]

    def report_variable(self, index: int, arrival: Arrival) -> None:
        """Tell the application that the network wrote a variable."""
        npdu = arrival.npdu
        value = self.variables.values[index]
        if self.variables.variables[index].persistent:
            self.revision += 1
        if self.state is NodeState.CONFIGURED:
            self.events.append(VariableUpdated(index, value, npdu.source, npdu.domain, arrival.authenticated))

    def set_configuration(self, configuration: ConfigurationData) -> None:
        """Write the configuration data; the receive timer and management authentication act at once."""
        self.configuration = configuration
        self._records.receive_code = configuration.receive_code
        self.revision += 1

    def changed(self) -> None:
        """Something that survives a restart has changed in an orderly way, its checksum with it."""
        self.revision += 1
        self.recalculate_checksum()

    def log_error(self, number: int) -> None:
        """Write the error log, which survives a restart."""
        if number != self.last_error:
            self.last_error = number
            self.revision += 1

    def on_reset(self) -> None:
        """Forget what a reset forgets."""
        self.selected = False
        self.reset_cause = SOFTWARE_RESET
        if self.state is NodeState.SOFT_OFFLINE:
            self.set_state(NodeState.CONFIGURED)

    # --- the configuration image and its checksum ---------------------------------------------------------------

    def image(self) -> bytes:
        """Configuration data, domain, address and network variable tables in a row, as the checksum covers them."""
        rows = b"".join(self.domain_row(index) for index in range(len(self.network.domains)))
        return self.configuration.octets + rows + b"".join(self.address_rows) + self.variables.rows()

    def domain_row(self, index: int) -> bytes:
        """15 octets of the domain table; a blank row still has a key, which the 96-bit authentication uses."""
        entry = self.network.domains[index]
        if entry is not None:
            return entry.encode()
        return BLANK_DOMAIN[: -DomainEntry.KEY_LENGTH] + self.network.spare_keys[index]

    def computed_checksum(self) -> int:
        """What the checksum should be."""
        return exclusive_or(self.image())

    def recalculate_checksum(self) -> None:
        """Make the checksum right."""
        self.checksum = self.computed_checksum()
