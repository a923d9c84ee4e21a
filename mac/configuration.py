"""Configuration of a node: what its user gives, and the 25 octets of it that network management sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from .address import PROGRAM_ID_LENGTH, UNIQUE_NODE_ID_LENGTH, check_length, check_range
from .entries import DomainEntry, GroupEntry
from .errors import ConfigurationError, TruncatedPdu
from .events import NodeState
from .management.expanded import Capability
from .network import DOMAIN_TABLE_SIZE
from .snapshot import NodeSnapshot
from .timers import DEFAULT_RECEIVE_CODE, RESET_SILENCE
from .timing import ChannelTiming
from .variable_table import NetworkVariable

ADDRESS_TABLE_SIZE: Final = 15  # rows, as the classic node has them (grade C)
_COMM_CLOCK: Final = 3  # comm clock code, value seen on a live peer (grade L, meaning on power line unverified)
_MANAGEMENT_AUTHENTICATION: Final = 0x08
_SPECIAL_PURPOSE: Final = 2
POWER_UP_RESET: Final = 0x01  # reset causes (grade B)
DEFAULT_CAPABILITIES: Final = (
    Capability.OMA
    | Capability.PROXY
    | Capability.SIGNAL_STRENGTH
    | Capability.INIT_CONFIG
    | Capability.UPDATE_VARIABLE_BY_INDEX
    | Capability.COMPATIBLE_OR_ENHANCED
)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What makes one node.

    Args:
        unique_node_id: 6 octets, the factory-set 48-bit id.
        program_id: 8 octets.
        domains: up to two rows of the domain table; None is a blank row.
        groups: group memberships, up to 15.
        state: state at power-up; None: configured when there is a domain row, unconfigured otherwise.
        firmware_version, model: octets of Query Status.
        location: up to 6 octets.    channel_id: 0..65535.
        node_priority: priority slot 1.., 0 for none.
        receive_code: code 0..15 of the receive timer, must outlive all tries of the slowest sender (see `timers`).
        management_authentication: refuse most management requests that are not authenticated.
        receive_records: messages whose duplicates are recognised at a time.
        number_records: destinations whose last transaction number is remembered, per priority class. The stack read
            for this has 10 and then makes new destinations wait up to 24 s; more only removes that wait (choice, D).
        reset_silence: s without originating anything after power-up or reset.
        hear_service_messages: report service messages from any domain.
        alternate_repeats: every other copy of a repeated message over the alternate path (choice, D: off by default,
            as in the stacks read for this).
        enhanced_numbers: originate with 12-bit transaction numbers (NPDU version 2). Answers always follow the request.
        started_at: instant of power-up, s.
        configuration: the 25 octets of configuration data at first power-up; None: from the fields above and the channel.
        address_rows: the address table at first power-up, 5 octets a row; empty: the rows of `groups`.
        variables: network variables.    aliases: rows of the alias table, 0..254.
        self_identification, variable_info: octets that Query SI Data and query NV info hand out; what the application's
            description says, opaque here.
        read_write_protect: keep the network from most of the memory.
        capabilities: what Query Version says of the node.
        firmware_minor, firmware_build: octets of the full version.
        reset_cause: why the node starts, an octet of Query Status (0x01 power-up, 0x02 external, 0x0C watchdog).
        saved: what survived a restart; it goes before domains, groups, state and everything else it holds.
    """

    unique_node_id: bytes
    program_id: bytes = bytes(PROGRAM_ID_LENGTH)
    domains: tuple[DomainEntry | None, ...] = ()
    groups: tuple[GroupEntry, ...] = ()
    state: NodeState | None = None
    firmware_version: int = 1
    model: int = 0x80  # 128 and up: stacks that are no Neuron (grade B)
    location: bytes = b""
    channel_id: int = 0
    node_priority: int = 0
    receive_code: int = DEFAULT_RECEIVE_CODE
    management_authentication: bool = False
    receive_records: int = 16
    number_records: int = 256
    reset_silence: float = RESET_SILENCE
    hear_service_messages: bool = True
    alternate_repeats: bool = False
    enhanced_numbers: bool = False
    started_at: float = 0.0
    configuration: bytes | None = None
    address_rows: tuple[bytes, ...] = ()
    variables: tuple[NetworkVariable, ...] = ()
    aliases: int = 0
    self_identification: bytes = b""
    variable_info: bytes = b""
    read_write_protect: bool = False
    capabilities: Capability = DEFAULT_CAPABILITIES
    firmware_minor: int = 0
    firmware_build: int = 0
    reset_cause: int = POWER_UP_RESET
    saved: NodeSnapshot | None = None

    def __post_init__(self) -> None:
        check_length("unique_node_id", self.unique_node_id, UNIQUE_NODE_ID_LENGTH)
        check_length("program_id", self.program_id, PROGRAM_ID_LENGTH)
        if len(self.domains) > DOMAIN_TABLE_SIZE:
            raise ConfigurationError(f"the domain table has {DOMAIN_TABLE_SIZE} rows, got {len(self.domains)}")
        if len(self.groups) > ADDRESS_TABLE_SIZE:
            raise ConfigurationError(f"the address table has {ADDRESS_TABLE_SIZE} rows, got {len(self.groups)}")
        if len(self.location) > ConfigurationData.LOCATION_LENGTH:
            raise ConfigurationError(f"location has at most 6 octets, got {len(self.location)}")
        for name, low, high in _RANGES:
            check_range(name, getattr(self, name), low, high)
        if len(self.address_rows) > ADDRESS_TABLE_SIZE:
            raise ConfigurationError(f"the address table has {ADDRESS_TABLE_SIZE} rows, got {len(self.address_rows)}")
        for row in self.address_rows:
            check_length("address row", row, GroupEntry.LENGTH)
        if self.configuration is not None:
            check_length("configuration", self.configuration, ConfigurationData.LENGTH)
        if self.saved is not None and self.saved.unique_node_id != self.unique_node_id:
            raise ConfigurationError("the saved data belong to another node: their unique node id differs")
        if self.reset_silence < 0:
            raise ConfigurationError(f"reset_silence must not be negative, got {self.reset_silence}")

    @property
    def initial_state(self) -> NodeState:
        """State at power-up."""
        if self.saved is not None:
            return self.saved.state
        if self.state is not None:
            return self.state
        return NodeState.CONFIGURED if any(self.domains) else NodeState.UNCONFIGURED

    @property
    def initial_node_priority(self) -> int:
        """Priority slot at power-up: as the configuration data have it, where there are any."""
        octets = self.configuration if self.saved is None else self.saved.configuration
        return self.node_priority if octets is None else octets[ConfigurationData.NODE_PRIORITY_AT]

    @property
    def initial_address_rows(self) -> tuple[bytes, ...]:
        """The whole address table at power-up."""
        rows = self.address_rows or tuple(entry.encode() for entry in self.groups)
        if self.saved is not None:
            rows = self.saved.address_rows
        return rows[:ADDRESS_TABLE_SIZE] + (bytes(GroupEntry.LENGTH),) * (ADDRESS_TABLE_SIZE - len(rows))


_RANGES: Final = (
    ("firmware_version", 0, 255),
    ("model", 0, 255),
    ("channel_id", 0, 0xFFFF),
    ("node_priority", 0, 255),
    ("receive_code", 0, 15),
    ("receive_records", 1, 65535),
    ("number_records", 1, 1 << 20),
    ("aliases", 0, 254),
    ("firmware_minor", 0, 255),
    ("firmware_build", 0, 255),
    ("reset_cause", 0, 255),
)


@dataclass(frozen=True, slots=True)
class ConfigurationData:
    """Configuration structure of a node.                     ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0..1    channel id
              2..7    location
              8       comm clock(5) input clock(3)
              9       comm type(3) pins(5)
              10..14  preamble, packet cycle, beta2 control, xmit interpacket, recv interpacket
              15      node priority
              16      channel priorities
              17..23  transceiver parameters
              24      receive timer code(4) management authentication(1) preempt timeout(3)

    Octet 24 acts at once when network management writes it, the node priority at the next start; the other octets of the
    channel are kept as written, the channel itself is chosen by who starts the node (our choice, grade D).
    """

    LENGTH: ClassVar[int] = 25
    LOCATION_LENGTH: ClassVar[int] = 6
    NODE_PRIORITY_AT: ClassVar[int] = 15

    octets: bytes

    @classmethod
    def of(cls, config: NodeConfig, timing: ChannelTiming) -> Self:
        """From what survived a restart, or what the user gave."""
        if config.saved is not None:
            return cls(config.saved.configuration)
        if config.configuration is not None:
            return cls(config.configuration)
        last = config.receive_code << 4 | (_MANAGEMENT_AUTHENTICATION if config.management_authentication else 0)
        channel = (
            _COMM_CLOCK << 3 | timing.clock_code,
            timing.comm_type,
            timing.preamble,
            timing.packet_cycle_octet,
            timing.beta2_control,
            timing.xmit_interpacket,
            timing.recv_interpacket,
            config.node_priority,
            timing.channel_priorities,
        )
        head = config.channel_id.to_bytes(2, "big") + config.location.ljust(cls.LOCATION_LENGTH, b"\0")
        return cls(head + bytes(channel) + timing.transceiver + bytes([last]))

    def __post_init__(self) -> None:
        if len(self.octets) != self.LENGTH:
            raise TruncatedPdu(f"configuration data needs {self.LENGTH} octets, got {len(self.octets)}")

    @property
    def receive_code(self) -> int:
        """Code of the receive timer."""
        return self.octets[-1] >> 4

    @property
    def special_purpose(self) -> bool:
        """Whether the transceiver is one with registers; the top bit of the octet is used otherwise (grade C)."""
        return self.octets[9] >> 5 & 3 == _SPECIAL_PURPOSE

    @property
    def management_authentication(self) -> bool:
        """Whether management requests must be authenticated."""
        return bool(self.octets[-1] & _MANAGEMENT_AUTHENTICATION)

    def write(self, offset: int, octets: bytes) -> Self:
        """With `octets` put at `offset`."""
        return replace(self, octets=self.octets[:offset] + octets + self.octets[offset + len(octets) :])
