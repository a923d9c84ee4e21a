"""Answers to management messages about network variables: rows of their tables, values, descriptions."""

from __future__ import annotations

from typing import Final

from ..error_log import ErrorLog
from ..errors import DecodeError
from ..management.variables import FetchVariable, QuerySelfIdentification, QueryVariableConfig, UpdateVariableConfig
from ..network import Arrival
from ..variable_entry import AliasConfig, VariableConfig
from .command import Command
from .managed_node import ManagedNode
from .reply import Reply, refusal, success


def _query_config(node: ManagedNode, request: QueryVariableConfig, arrival: Arrival) -> Reply:
    """Indices behind the variables stand for the alias table."""
    variables = node.variables
    if request.index < len(variables.configs):
        return success(request.CODE, variables.configs[request.index].encode())
    alias = request.index - len(variables.configs)
    if alias < len(variables.aliases):
        return success(request.CODE, variables.aliases[alias].encode())
    node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
    return refusal(request.CODE)


def _update_config(node: ManagedNode, request: UpdateVariableConfig, arrival: Arrival) -> Reply:
    variables = node.variables
    alias = request.index - len(variables.configs)
    if alias >= len(variables.aliases):
        node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
        return refusal(request.CODE)
    try:
        if alias < 0:
            variables.set_config(request.index, VariableConfig.decode(request.row[: VariableConfig.LENGTH]))
        else:
            row = request.row
            variables.aliases[alias] = AliasConfig.decode(row[:4] if len(row) == 5 else row)
    except DecodeError:
        return refusal(request.CODE)
    node.changed()
    return success(request.CODE)


def _fetch(node: ManagedNode, request: FetchVariable, arrival: Arrival) -> Reply:
    if request.index >= len(node.variables.values):
        node.log_error(ErrorLog.INVALID_VARIABLE_INDEX)
        return refusal(request.CODE)
    return success(request.CODE, request.answer_index() + node.variables.values[request.index])


def _query_self_identification(node: ManagedNode, request: QuerySelfIdentification, arrival: Arrival) -> Reply:
    octets = node.config.self_identification[request.offset : request.offset + request.count]
    return success(request.CODE, octets) if len(octets) == request.count else refusal(request.CODE)


COMMANDS: Final = (
    Command(QueryVariableConfig, _query_config),
    Command(UpdateVariableConfig, _update_config, by_message=True),
    Command(FetchVariable, _fetch),
    Command(QuerySelfIdentification, _query_self_identification),
)
