"""The node's own answers to network management and diagnostic messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Final, Protocol

from .configuration import ADDRESS_TABLE_SIZE, ConfigurationData, NodeConfig
from .entries import DomainEntry, GroupEntry
from .errors import DecodeError, DropReason
from .events import DomainChanged, Event, NodeState, StateChanged, Wink
from .management import (
    ClearStatus,
    DomainReport,
    IdReport,
    LeaveDomain,
    MemoryMode,
    NodeMode,
    QueryAddress,
    QueryDomain,
    QueryId,
    QuerySelector,
    QueryStatus,
    QueryStatusFlex,
    QueryTransceiverStatus,
    ReadMemory,
    RespondToQuery,
    SetNodeMode,
    StatusReport,
    TransceiverReport,
    UpdateAddress,
    UpdateDomain,
    UpdateKey,
    WinkCommand,
    WriteMemory,
)
from .message_codes import STATE_OCTETS, UNCONFIGURED_STATES, failure_code, success_code
from .network import Arrival, NetworkLayer
from .receive_record import ReceiveRecords
from .reception import Reception
from .statistics import Statistics
from .timing import ChannelTiming

POWER_UP_RESET: Final = 0x01  # reset causes (grade B)
SOFTWARE_RESET: Final = 0x14
CLEARED: Final = 0x00
INVALID_DOMAIN_ERROR: Final = 138  # error log values (grade B, 138 seen live)
AUTHENTICATION_ERROR: Final = 160
_BLANK_ADDRESS_ROW: Final = bytes(GroupEntry.LENGTH)
# Read-only structure behind the id, model and minor octets: no network variables, no self-documentation (grade L).
_READ_ONLY_POINTERS: Final = bytes.fromhex("00 FF FF 00 FF FF")


class Reset(Enum):
    """What the node has to do after its answer."""

    NONE = auto()
    SOFTWARE = auto()
    PHYSICAL = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a management message.

    Args:
        apdu: the response, None for silence.
        without_address: send it from source 0/0.
        reset: to be done afterwards.
    """

    apdu: bytes | None = None
    without_address: bool = False
    reset: Reset = Reset.NONE


SILENCE: Final = Reply()


class _Codec(Protocol):
    CODE: ClassVar[int]

    @classmethod
    def decode(cls, apdu: bytes) -> Any:
        """Read the request."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table.

    Args:
        request: class that reads the request.
        carry_out: method that answers it.
        by_message: also carried out when it comes without a request (and then not answered).
        by_request: carried out when it comes as a request.
        open: carried out without authentication even when management authentication is on.
    """

    request: type[_Codec]
    carry_out: Callable[[ManagementResponder, Any, Arrival], Reply]
    by_message: bool = False
    by_request: bool = True
    open: bool = False


class ManagementResponder:
    """Answers management requests and keeps what they change.

    Attributes:
        state: node state.    selected: by Respond to Query.    reset_cause, last_error: octets of Query Status.
        configuration: the 25 octets of configuration data.    address_rows: the address table.
        last_reception: how the newest frame was received; set by whoever drives the node.
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
        self._config = config
        self._network = network
        self._records = records
        self._statistics = statistics
        self._events = events
        self.state = config.initial_state
        self.selected = False
        self.reset_cause = POWER_UP_RESET
        self.last_error = 0
        self.configuration = ConfigurationData.of(config, timing)
        rows = [entry.encode() for entry in config.groups]
        self.address_rows = rows + [_BLANK_ADDRESS_ROW] * (ADDRESS_TABLE_SIZE - len(rows))
        self.last_reception: Reception | None = None
        network.configured = self.configured

    @property
    def configured(self) -> bool:
        """Whether the domain table is in force."""
        return self.state not in UNCONFIGURED_STATES

    def execute(self, apdu: bytes, arrival: Arrival, is_request: bool) -> Reply:
        """Carry out a message of the management or diagnostic family."""
        code = apdu[0]
        command = COMMANDS.get(code)
        if command is None or not (command.by_request if is_request else command.by_message):
            self._statistics.drops[DropReason.UNKNOWN_MESSAGE] += 1
            return _refusal(code)
        must_authenticate = self.configured and self.configuration.management_authentication and not command.open
        if must_authenticate and not arrival.authenticated:
            self.last_error = AUTHENTICATION_ERROR
            return _refusal(code)
        try:
            request = command.request.decode(apdu)
        except DecodeError as error:
            self._statistics.drops[error.reason] += 1
            return _refusal(code)
        return command.carry_out(self, request, arrival)

    def set_state(self, state: NodeState) -> None:
        """Change the node state and report it."""
        if state is not self.state:
            self.state = state
            self._network.configured = self.configured
            self._events.append(StateChanged(state))

    def set_domain(self, index: int, entry: DomainEntry | None) -> None:
        """Write a row of the domain table and report it."""
        self._network.domains[index] = entry
        self._events.append(DomainChanged(index, entry))

    def on_reset(self) -> None:
        """Forget what a reset forgets."""
        self.selected = False
        self.reset_cause = SOFTWARE_RESET
        if self.state is NodeState.SOFT_OFFLINE:
            self.set_state(NodeState.CONFIGURED)

    def _query_status(self, request: QueryStatus, arrival: Arrival) -> Reply:
        return Reply(self._status().encode())

    def _query_status_flex(self, request: QueryStatusFlex, arrival: Arrival) -> Reply:
        return Reply(self._status().encode(success_code(QueryStatusFlex.CODE)), without_address=True)

    def _status(self) -> StatusReport:
        config = self._config
        return StatusReport(
            self._statistics.word("transmission_errors"),
            self._statistics.word("transaction_timeouts"),
            self._statistics.word("receive_transaction_full"),
            self._statistics.word("lost"),
            self._statistics.word("missed"),
            self.reset_cause,
            STATE_OCTETS[self.state],
            config.firmware_version,
            self.last_error,
            config.model,
        )

    def _clear_status(self, request: ClearStatus, arrival: Arrival) -> Reply:
        self._statistics.clear()
        self.reset_cause = CLEARED
        self.last_error = 0
        return _success(request.CODE)

    def _query_transceiver_status(self, request: QueryTransceiverStatus, arrival: Arrival) -> Reply:
        reception = self.last_reception or Reception(alternate=arrival.header.alt_path)
        return Reply(TransceiverReport(reception).encode())

    def _query_id(self, request: QueryId, arrival: Arrival) -> Reply:
        if self._is_asked(request.selector) and self._holds(request):
            return Reply(IdReport(self._config.unique_node_id, self._config.program_id).encode())
        return SILENCE

    def _is_asked(self, selector: QuerySelector) -> bool:
        wants_selected = selector is not QuerySelector.UNCONFIGURED
        wants_unconfigured = selector is not QuerySelector.SELECTED
        return (self.selected or not wants_selected) and not (wants_unconfigured and self.configured)

    def _holds(self, request: QueryId) -> bool:
        if not request.octets:
            return True
        return self._read(request.mode, request.offset, len(request.octets)) == request.octets

    def _respond_to_query(self, request: RespondToQuery, arrival: Arrival) -> Reply:
        self.selected = request.selected
        return _success(request.CODE)

    def _update_domain(self, request: UpdateDomain, arrival: Arrival) -> Reply:
        if not self._has_row(request.index):
            return _refusal(request.CODE)
        self.set_domain(request.index, request.entry)
        return _success(request.CODE)

    def _leave_domain(self, request: LeaveDomain, arrival: Arrival) -> Reply:
        if not self._has_row(request.index):
            return _refusal(request.CODE)
        self.set_domain(request.index, None)
        reset = Reset.NONE
        if not any(self._network.domains):
            self.set_state(NodeState.UNCONFIGURED)
            reset = Reset.SOFTWARE
        if request.index == arrival.domain_index:
            return Reply(reset=reset)
        return Reply(bytes([success_code(request.CODE)]), reset=reset)

    def _update_key(self, request: UpdateKey, arrival: Arrival) -> Reply:
        if not self._has_row(request.index):
            return _refusal(request.CODE)
        entry = self._network.domains[request.index]
        if entry is None:
            return _refusal(request.CODE)
        key = bytes((k + i) % 256 for k, i in zip(entry.key, request.increment, strict=True))
        self.set_domain(request.index, entry.with_key(key))
        return _success(request.CODE)

    def _query_domain(self, request: QueryDomain, arrival: Arrival) -> Reply:
        if not self._has_row(request.index):
            return _refusal(request.CODE)
        return Reply(DomainReport(self._network.domains[request.index]).encode())

    def _has_row(self, index: int) -> bool:
        if index < len(self._network.domains):
            return True
        self.last_error = INVALID_DOMAIN_ERROR
        return False

    def _update_address(self, request: UpdateAddress, arrival: Arrival) -> Reply:
        if request.index >= len(self.address_rows):
            return _refusal(request.CODE)
        self.address_rows[request.index] = request.row
        entries = map(GroupEntry.decode, self.address_rows)
        self._network.groups = [entry for entry in entries if entry is not None]
        return _success(request.CODE)

    def _query_address(self, request: QueryAddress, arrival: Arrival) -> Reply:
        if request.index >= len(self.address_rows):
            return _refusal(request.CODE)
        return _success(request.CODE, self.address_rows[request.index])

    def _set_node_mode(self, request: SetNodeMode, arrival: Arrival) -> Reply:
        if request.state is not None:
            self.set_state(request.state)
            return _success(request.CODE)
        change = _MODE_CHANGES.get((request.mode, self.state))
        if change is not None:
            self.set_state(change)
        return Reply(reset=_MODE_RESETS.get(request.mode, Reset.NONE))

    def _read_memory(self, request: ReadMemory, arrival: Arrival) -> Reply:
        octets = self._read(request.mode, request.offset, request.count)
        return _refusal(request.CODE) if octets is None else _success(request.CODE, octets)

    def _read(self, mode: MemoryMode, offset: int, count: int) -> bytes | None:
        """Octets of a memory space, None outside it; there is no absolute memory in this node."""
        spaces: dict[MemoryMode, Callable[[], bytes]] = {
            MemoryMode.READ_ONLY: self._read_only,
            MemoryMode.CONFIGURATION: lambda: self.configuration.octets,
            MemoryMode.STATISTICS: lambda: self._statistics.words(),
        }
        if mode not in spaces:
            return None
        memory = spaces[mode]()
        return memory[offset : offset + count] if offset + count <= len(memory) else None

    def _read_only(self) -> bytes:
        config = self._config
        return config.unique_node_id + bytes([config.model]) + _READ_ONLY_POINTERS + config.program_id

    def _write_memory(self, request: WriteMemory, arrival: Arrival) -> Reply:
        end = request.offset + len(request.octets)
        if request.mode is not MemoryMode.CONFIGURATION or end > ConfigurationData.LENGTH:
            return _refusal(request.CODE)
        self.configuration = self.configuration.write(request.offset, request.octets)
        self._records.receive_code = self.configuration.receive_code
        reset = Reset.SOFTWARE if request.form & WriteMemory.RESET_FORM else Reset.NONE
        return Reply(bytes([success_code(request.CODE)]), reset=reset)

    def _wink(self, request: WinkCommand, arrival: Arrival) -> Reply:
        self._events.append(Wink())
        return SILENCE


def _success(request_code: int, octets: bytes = b"") -> Reply:
    return Reply(bytes([success_code(request_code)]) + octets)


def _refusal(request_code: int) -> Reply:
    return Reply(bytes([failure_code(request_code)]))


_MODE_CHANGES: Final = {
    (NodeMode.OFFLINE, NodeState.CONFIGURED): NodeState.SOFT_OFFLINE,
    (NodeMode.ONLINE, NodeState.SOFT_OFFLINE): NodeState.CONFIGURED,
}
_MODE_RESETS: Final = {NodeMode.RESET: Reset.SOFTWARE, NodeMode.PHYSICAL_RESET: Reset.PHYSICAL}

_R = ManagementResponder
COMMANDS: Final[dict[int, Command]] = {
    command.request.CODE: command
    for command in (
        Command(QueryStatus, _R._query_status, open=True),
        Command(QueryStatusFlex, _R._query_status_flex, open=True),
        Command(ClearStatus, _R._clear_status, by_message=True),
        Command(QueryTransceiverStatus, _R._query_transceiver_status),
        Command(QueryId, _R._query_id, open=True),
        Command(RespondToQuery, _R._respond_to_query, by_message=True, open=True),
        Command(UpdateDomain, _R._update_domain, by_message=True),
        Command(LeaveDomain, _R._leave_domain, by_message=True),
        Command(UpdateKey, _R._update_key, by_message=True),
        Command(UpdateAddress, _R._update_address, by_message=True),
        Command(QueryAddress, _R._query_address),
        Command(QueryDomain, _R._query_domain),
        Command(SetNodeMode, _R._set_node_mode, by_message=True),
        Command(ReadMemory, _R._read_memory),
        Command(WriteMemory, _R._write_memory, by_message=True),
        Command(WinkCommand, _R._wink, by_message=True, by_request=False),
    )
}
