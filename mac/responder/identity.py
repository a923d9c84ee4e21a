"""Answers about who the node is: Query ID, Respond to Query, wink, install commands."""

from __future__ import annotations

from typing import Final

from ..events import Wink
from ..management.identity import QueryId, QueryNvInfo, QuerySelector, RespondToQuery, SendIdInfo, WinkCommand
from ..network import Arrival
from ..reports import IdInfoReport, IdReport
from .command import Command
from .managed_node import ManagedNode
from .memory import read
from .reply import SILENCE, Reply, refusal, success


def _query_id(node: ManagedNode, request: QueryId, arrival: Arrival) -> Reply:
    if not _is_asked(node, request.selector):
        return SILENCE
    if request.octets:
        octets = read(node, request.mode, request.offset, len(request.octets), identity_only=True)
        if octets is None:
            return refusal(request.CODE)  # memory that may not be compared (grade B)
        if octets != request.octets:
            return SILENCE
    return Reply(IdReport(node.config.unique_node_id, node.config.program_id).encode())


def _is_asked(node: ManagedNode, selector: QuerySelector) -> bool:
    wants_selected = selector is not QuerySelector.UNCONFIGURED
    wants_unconfigured = selector is not QuerySelector.SELECTED
    return (node.selected or not wants_selected) and not (wants_unconfigured and node.configured)


def _respond_to_query(node: ManagedNode, request: RespondToQuery, arrival: Arrival) -> Reply:
    node.selected = request.selected
    return success(request.CODE)


def _wink(node: ManagedNode, request: WinkCommand, arrival: Arrival) -> Reply:
    node.events.append(Wink())
    return SILENCE


def _send_id_info(node: ManagedNode, request: SendIdInfo, arrival: Arrival) -> Reply:
    if request.interface:
        return refusal(request.CODE)
    return Reply(IdInfoReport(node.config.unique_node_id, node.config.program_id).encode())


def _query_nv_info(node: ManagedNode, request: QueryNvInfo, arrival: Arrival) -> Reply:
    octets = node.config.variable_info[request.offset : request.offset + request.count]
    return success(request.CODE, octets) if len(octets) == request.count else refusal(request.CODE)


COMMANDS: Final = (
    Command(QueryId, _query_id, open=True),
    Command(RespondToQuery, _respond_to_query, by_message=True, open=True),
    Command(WinkCommand, _wink, by_message=True, by_request=False),
    Command(SendIdInfo, _send_id_info),
    Command(QueryNvInfo, _query_nv_info),
)
