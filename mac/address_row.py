"""Rows of the address table as targets of implicit addressing: whom to send to, and with which timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from .address import MAX_MEMBER, MAX_NODE, Broadcast, Destination, Group, SubnetNode
from .entries import GroupEntry
from .errors import TruncatedPdu

_SUBNET_NODE: Final = 1
_BROADCAST: Final = 3
_GROUP: Final = 0x80


@dataclass(frozen=True, slots=True)
class RowTarget:
    """A row of the address table that names somebody to send to.     ISO/IEC 14908-1, clause unverified (grade B)

        subnet/node  01, domain(1) node(7), repeat timer(4) retries(4), 0(4) transmit timer(4), subnet
        broadcast    03, domain(1) 0(1) backlog(6), repeat retries, most responses(4) transmit timer(4), subnet
        group        see `GroupEntry`
        unassigned   00, 1 for turnaround, ..

    Args:
        destination: the address.    domain_index: row of the domain table.
        retries: tries after the first.    repeat_code, transmit_code: timer codes.
        backlog, max_responses: of a broadcast.
    """

    destination: Destination
    domain_index: int
    retries: int
    repeat_code: int
    transmit_code: int
    backlog: int = 0
    max_responses: int = 1

    @classmethod
    def decode(cls, row: bytes) -> Self | None:
        """From 5 octets; None for an unassigned row, or one of a kind that is not used."""
        if len(row) != GroupEntry.LENGTH:
            raise TruncatedPdu(f"address row needs {GroupEntry.LENGTH} octets, got {len(row)}")
        kind, second, repeat, timers, last = row
        domain_index, codes = second >> 7, (repeat & 15, repeat >> 4, timers & 15)
        if kind & _GROUP:
            entry = GroupEntry.decode(row)
            return None if entry is None else cls(Group(entry.group, entry.size), domain_index, *codes)
        if kind == _SUBNET_NODE:
            return cls(SubnetNode(last, second & MAX_NODE), domain_index, *codes)
        if kind == _BROADCAST:
            return cls(Broadcast(last), domain_index, *codes, second & MAX_MEMBER, max(1, timers >> 4))
        return None
