"""Answers to messages about the domain table, keys included."""

from __future__ import annotations

from typing import Final

from ..authentication import BLANK_KEY
from ..error_log import ErrorLog
from ..events import NodeState
from ..management.domains import LeaveDomain, QueryDomain, UpdateDomain, UpdateKey
from ..message_codes import success_code
from ..network import Arrival
from .command import Command
from .managed_node import ManagedNode
from .reply import Reply, Reset, refusal, success


def has_row(node: ManagedNode, index: int) -> bool:
    """Whether the domain table has such a row; logs the error when it has not."""
    if index < len(node.network.domains):
        return True
    node.log_error(ErrorLog.INVALID_DOMAIN)
    return False


def add_octets(key: bytes, increment: bytes) -> bytes:
    """Sum of a key and its increment, octet by octet modulo 256."""
    return bytes((k + i) & 0xFF for k, i in zip(key, increment, strict=True))


def _update_domain(node: ManagedNode, request: UpdateDomain, arrival: Arrival) -> Reply:
    if not has_row(node, request.index):
        return refusal(request.CODE)
    node.network.spare_keys[request.index] = request.blank_key
    node.set_domain(request.index, request.entry)
    return success(request.CODE)


def _leave_domain(node: ManagedNode, request: LeaveDomain, arrival: Arrival) -> Reply:
    if not has_row(node, request.index):
        return refusal(request.CODE)
    node.network.spare_keys[request.index] = BLANK_KEY
    node.set_domain(request.index, None)
    reset = Reset.NONE
    if not any(node.network.domains):
        node.set_state(NodeState.UNCONFIGURED)
        reset = Reset.SOFTWARE
    if request.index == arrival.domain_index:
        return Reply(reset=reset)
    return Reply(bytes([success_code(request.CODE)]), reset=reset)


def _update_key(node: ManagedNode, request: UpdateKey, arrival: Arrival) -> Reply:
    if not has_row(node, request.index):
        return refusal(request.CODE)
    node.set_row_key(request.index, add_octets(node.row_key(request.index), request.increment))
    return success(request.CODE)


def _query_domain(node: ManagedNode, request: QueryDomain, arrival: Arrival) -> Reply:
    if not has_row(node, request.index):
        return refusal(request.CODE)
    return success(request.CODE, node.domain_row(request.index))


COMMANDS: Final = (
    Command(UpdateDomain, _update_domain, by_message=True),
    Command(LeaveDomain, _leave_domain, by_message=True),
    Command(UpdateKey, _update_key, by_message=True),
    Command(QueryDomain, _query_domain),
)
