"""Answers to expanded network management (code 60); each repeats the sub-command."""

from __future__ import annotations

from typing import Final

from ..entries import DomainEntry
from ..error_log import ErrorLog
from ..management.expanded import (
    EXPANDED_VERSION,
    ROW_WITHOUT_KEY,
    CapabilityReport,
    InitConfig,
    QueryAddressMapping,
    QueryAliasRow,
    QueryDomainNoKey,
    QueryIpAddress,
    QueryKey,
    QueryVariableRow,
    QueryVersion,
    UpdateAliasRow,
    UpdateDomainNoKey,
    UpdateOmaKey,
    UpdateVariableByIndex,
    UpdateVariableRow,
)
from ..message_codes import EXPANDED
from ..network import Arrival
from ..variable_table import UpdateResult
from .command import Command
from .domains import add_octets, has_row
from .managed_node import BLANK_ADDRESS_ROW, ManagedNode
from .reply import Reply, refusal, success


def _done(subcode: int, octets: bytes = b"") -> Reply:
    return success(EXPANDED, bytes([subcode]) + octets)


def _refused(subcode: int) -> Reply:
    return refusal(EXPANDED, subcode)


def _query_version(node: ManagedNode, request: QueryVersion, arrival: Arrival) -> Reply:
    return _done(request.SUBCODE, CapabilityReport(EXPANDED_VERSION, node.config.capabilities).encode())


def _update_variable(node: ManagedNode, request: UpdateVariableByIndex, arrival: Arrival) -> Reply:
    result = node.variables.update_by_index(request.index, request.value, arrival.authenticated)
    if result is not UpdateResult.DONE:
        node.log_error(_ERRORS[result])
        return _refused(request.SUBCODE)
    node.report_variable(request.index, arrival)
    return _done(request.SUBCODE)


def _update_domain(node: ManagedNode, request: UpdateDomainNoKey, arrival: Arrival) -> Reply:
    if not has_row(node, request.index):
        return _refused(request.SUBCODE)
    key = node.row_key(request.index)
    node.network.spare_keys[request.index] = key
    node.set_domain(request.index, None if request.entry is None else request.entry.with_key(key))
    return _done(request.SUBCODE)


def _query_domain(node: ManagedNode, request: QueryDomainNoKey, arrival: Arrival) -> Reply:
    if not has_row(node, request.index):
        return _refused(request.SUBCODE)
    return _done(request.SUBCODE, node.domain_row(request.index)[:ROW_WITHOUT_KEY])


def _query_key(node: ManagedNode, request: QueryKey, arrival: Arrival) -> Reply:
    return _done(request.SUBCODE, node.row_key(0) + node.row_key(1))


def _update_key(node: ManagedNode, request: UpdateOmaKey, arrival: Arrival) -> Reply:
    for index in range(len(node.network.domains)):
        part = request.octets[index * DomainEntry.KEY_LENGTH :][: DomainEntry.KEY_LENGTH]
        node.set_row_key(index, add_octets(node.row_key(index), part) if request.increment else part)
    return _done(request.SUBCODE)


def _init_config(node: ManagedNode, request: InitConfig, arrival: Arrival) -> Reply:
    for index in range(len(node.address_rows)):
        node.set_address_row(index, BLANK_ADDRESS_ROW)
    node.variables.unbind(request.authenticated)
    node.changed()
    return _done(request.SUBCODE)


def _update_row(node: ManagedNode, request: UpdateVariableRow, arrival: Arrival) -> Reply:
    if request.index >= len(node.variables.configs):
        node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
        return _refused(request.SUBCODE)
    node.variables.set_config(request.index, request.row)
    node.changed()
    return _done(request.SUBCODE)


def _query_row(node: ManagedNode, request: QueryVariableRow, arrival: Arrival) -> Reply:
    if request.index >= len(node.variables.configs):
        node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
        return _refused(request.SUBCODE)
    return _done(request.SUBCODE, node.variables.configs[request.index].encode(extended=True))


def _update_alias(node: ManagedNode, request: UpdateAliasRow, arrival: Arrival) -> Reply:
    if request.index >= len(node.variables.aliases):
        node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
        return _refused(request.SUBCODE)
    node.variables.aliases[request.index] = request.row
    node.changed()
    return _done(request.SUBCODE)


def _query_alias(node: ManagedNode, request: QueryAliasRow, arrival: Arrival) -> Reply:
    if request.index >= len(node.variables.aliases):
        node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
        return _refused(request.SUBCODE)
    return _done(request.SUBCODE, node.variables.aliases[request.index].encode(extended=True))


def _query_mapping(node: ManagedNode, request: QueryAddressMapping, arrival: Arrival) -> Reply:
    return _refused(request.SUBCODE) if node.ip is None else _done(request.SUBCODE, node.ip.mapping.encode())


def _query_ip(node: ManagedNode, request: QueryIpAddress, arrival: Arrival) -> Reply:
    return _refused(request.SUBCODE) if node.ip is None else _done(request.SUBCODE, node.ip.address)


_ERRORS: Final = {
    UpdateResult.NO_SUCH_VARIABLE: ErrorLog.INVALID_VARIABLE_INDEX,
    UpdateResult.LENGTH_MISMATCH: ErrorLog.VARIABLE_LENGTH_MISMATCH,
    UpdateResult.OUTPUT: ErrorLog.UPDATE_OF_OUTPUT_VARIABLE,
    UpdateResult.NOT_AUTHENTICATED: ErrorLog.AUTHENTICATION_MISMATCH,
}

COMMANDS: Final = (
    Command(QueryVersion, _query_version, open=True),
    Command(UpdateVariableByIndex, _update_variable, by_message=True),
    Command(UpdateDomainNoKey, _update_domain, by_message=True),
    Command(QueryDomainNoKey, _query_domain),
    Command(QueryKey, _query_key),
    Command(UpdateOmaKey, _update_key, by_message=True),
    Command(InitConfig, _init_config, by_message=True),
    Command(UpdateVariableRow, _update_row, by_message=True),
    Command(QueryVariableRow, _query_row),
    Command(UpdateAliasRow, _update_alias, by_message=True),
    Command(QueryAliasRow, _query_alias),
    Command(QueryAddressMapping, _query_mapping),
    Command(QueryIpAddress, _query_ip, open=True),
)
