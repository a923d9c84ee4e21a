"""Which stations of a line a frame concerns: the addresses in it and those that a node has."""

from collections.abc import Sequence

import mac
from mac.lpdu import decode_lpdu

Address = tuple[bytes, int, int] | tuple[bytes, int] | bytes
"""Subnet/node of a domain, group of a domain, or unique node id, as the directory of a line names them."""


def addressees(octets: bytes) -> tuple[Address, ...] | None:
    """Addresses under which stations must look at a frame: whom it is for, and its source; None: everybody.

    A node whose own address is the source has a double on the line and counts the frame differently.
    """
    try:
        npdu = decode_lpdu(octets).npdu
    except mac.DecodeError:
        return ()
    domain = npdu.domain.octets
    source = (domain, npdu.source.subnet, npdu.source.node)
    match npdu.destination:
        case mac.SubnetNode() as address:
            return ((domain, address.subnet, address.node), source)
        case mac.Broadcast():
            return None
        case mac.Group(group):
            return ((domain, group), source)
        case mac.UniqueId(unique_node_id):
            return (unique_node_id, source)
        case mac.GroupReply(address):
            return ((domain, address.subnet, address.node), source)


def addresses_of(
    unique_node_id: bytes,
    domains: Sequence[mac.DomainEntry | None],
    groups: Sequence[mac.GroupEntry],
) -> frozenset[Address]:
    """Addresses of a node, as `addressees` names them."""
    found: set[Address] = {unique_node_id}
    found |= {(entry.domain.octets, entry.address.subnet, entry.address.node) for entry in domains if entry is not None}
    for group in groups:
        entry = domains[group.domain_index] if group.domain_index < len(domains) else None
        if entry is not None:
            found.add((entry.domain.octets, group.group))
    return frozenset(found)
