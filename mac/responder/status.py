"""Answers to network diagnostics: status, counters, transceiver registers, phase, version."""

from __future__ import annotations

from typing import Final

from ..management.status import (
    ClearStatus,
    ComputePhase,
    GetFullVersion,
    QuerySignalStrength,
    QueryStatus,
    QueryStatusFlex,
    QueryTransceiverStatus,
)
from ..message_codes import QUERY_TRANSCEIVER_STATUS, SIGNAL_STRENGTH, STATE_OCTETS, success_code
from ..network import Arrival
from ..reception import Reception
from ..reports import StatusReport, VersionReport
from .command import Command
from .managed_node import CLEARED, ManagedNode
from .reply import Reply, refusal, success

_NO_REGISTERS: Final = bytes(Reception.LENGTH)  # of a node that was not told how a frame was received (grade L)


def status_report(node: ManagedNode) -> StatusReport:
    """Status of the node as it stands."""
    word = node.statistics.word
    return StatusReport(
        word("transmission_errors"),
        word("transaction_timeouts"),
        word("receive_transaction_full"),
        word("lost"),
        word("missed"),
        node.reset_cause,
        STATE_OCTETS[node.state],
        node.config.firmware_version,
        node.last_error,
        node.config.model,
    )


def registers(node: ManagedNode) -> bytes:
    """Seven transceiver registers of the newest reception."""
    return _NO_REGISTERS if node.last_reception is None else node.last_reception.encode()


def _query_status(node: ManagedNode, request: QueryStatus, arrival: Arrival) -> Reply:
    return Reply(status_report(node).encode())


def _query_status_flex(node: ManagedNode, request: QueryStatusFlex, arrival: Arrival) -> Reply:
    return Reply(status_report(node).encode(success_code(request.CODE)), without_address=True)


def _clear_status(node: ManagedNode, request: ClearStatus, arrival: Arrival) -> Reply:
    node.statistics.clear()
    node.reset_cause = CLEARED
    node.log_error(0)
    return success(request.CODE)


def _query_transceiver_status(node: ManagedNode, request: QueryTransceiverStatus, arrival: Arrival) -> Reply:
    if not node.configuration.special_purpose:
        return refusal(QUERY_TRANSCEIVER_STATUS)
    return success(QUERY_TRANSCEIVER_STATUS, registers(node))


def _query_signal_strength(node: ManagedNode, request: QuerySignalStrength, arrival: Arrival) -> Reply:
    return success(SIGNAL_STRENGTH, registers(node))


def _compute_phase(node: ManagedNode, request: ComputePhase, arrival: Arrival) -> Reply:
    return refusal(request.CODE) if node.phase is None else Reply(node.phase.encode())


def _get_full_version(node: ManagedNode, request: GetFullVersion, arrival: Arrival) -> Reply:
    config = node.config
    return Reply(VersionReport(config.firmware_version, minor=config.firmware_minor, build=config.firmware_build).encode())


COMMANDS: Final = (
    Command(QueryStatus, _query_status, open=True),
    Command(QueryStatusFlex, _query_status_flex, open=True),
    Command(ClearStatus, _clear_status, by_message=True),
    Command(QueryTransceiverStatus, _query_transceiver_status),
    Command(QuerySignalStrength, _query_signal_strength, open=True),
    Command(ComputePhase, _compute_phase),
    Command(GetFullVersion, _get_full_version, open=True),
)
