"""Answers to messages about the address table."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..address import Group
from ..entries import GroupEntry
from ..error_log import ErrorLog
from ..management.addresses import QueryAddress, UpdateAddress, UpdateGroupAddress
from ..network import Arrival
from .command import Command
from .managed_node import ManagedNode
from .reply import Reply, refusal, success


def _has_row(node: ManagedNode, index: int) -> bool:
    if index < len(node.address_rows):
        return True
    node.log_error(ErrorLog.INVALID_ADDRESS_INDEX)
    return False


def _update_address(node: ManagedNode, request: UpdateAddress, arrival: Arrival) -> Reply:
    if not _has_row(node, request.index):
        return refusal(request.CODE)
    node.set_address_row(request.index, request.row)
    return success(request.CODE)


def _query_address(node: ManagedNode, request: QueryAddress, arrival: Arrival) -> Reply:
    if not _has_row(node, request.index):
        return refusal(request.CODE)
    return success(request.CODE, node.address_rows[request.index])


def _update_group_address(node: ManagedNode, request: UpdateGroupAddress, arrival: Arrival) -> Reply:
    """Takes the row through which the message came in, whatever group the request names; member and domain stay."""
    if not isinstance(arrival.npdu.destination, Group) or arrival.member is None:
        return refusal(request.CODE)
    for index, row in enumerate(node.address_rows):
        entry = GroupEntry.decode(row)
        if entry is not None and (entry.group, entry.domain_index) == (arrival.member.group, arrival.member.domain_index):
            new = replace(request.entry, group=entry.group, member=entry.member, domain_index=entry.domain_index)
            node.set_address_row(index, new.encode())
            return success(request.CODE)
    return refusal(request.CODE)


COMMANDS: Final = (
    Command(UpdateAddress, _update_address, by_message=True),
    Command(QueryAddress, _query_address),
    Command(UpdateGroupAddress, _update_group_address, by_message=True),
)
