"""Code points of network management: response codes, node states, and the length check of its messages."""

from __future__ import annotations

from typing import Final

from .errors import MalformedPdu, TruncatedPdu
from .events import NodeState

STATE_OCTETS: Final = {  # node state in Query Status and Set Node Mode (grade B, L)
    NodeState.UNCONFIGURED: 0x02,
    NodeState.APPLICATIONLESS_UNCONFIGURED: 0x03,
    NodeState.CONFIGURED: 0x04,
    NodeState.HARD_OFFLINE: 0x06,
    NodeState.APPLICATIONLESS: 0x07,
    NodeState.SOFT_OFFLINE: 0x0C,
    NodeState.BYPASS: 0x8C,
}
STATE_BY_OCTET: Final = {octet: state for state, octet in STATE_OCTETS.items()}
UNCONFIGURED_STATES: Final = frozenset({NodeState.UNCONFIGURED, NodeState.APPLICATIONLESS_UNCONFIGURED})

SETTABLE_STATES: Final = frozenset(STATE_OCTETS) - {NodeState.BYPASS}  # bypass is entered by a host, not by the network (D)

# Requests whose responses have a layout of their own in `reports`; the codes of the others stand with their classes.
QUERY_STATUS: Final = 0x51
QUERY_TRANSCEIVER_STATUS: Final = 0x54
QUERY_STATUS_FLEX: Final = 0x56
SIGNAL_STRENGTH: Final = 0x57
COMPUTE_PHASE: Final = 0x58
FULL_VERSION: Final = 0x59
QUERY_ID: Final = 0x61
QUERY_DOMAIN: Final = 0x6A

EXPANDED: Final = 0x60  # the next octet is a sub-command, which the answer repeats
INSTALL: Final = 0x70  # wink, and with a further octet the install commands

_MANAGEMENT_FIRST: Final = 0x60


def success_code(request_code: int) -> int:
    """Response code of a request carried out: 20 | low five bits (management), 30 | low four bits (diagnostic)."""
    return 0x20 | request_code & 0x1F if request_code >= _MANAGEMENT_FIRST else 0x30 | request_code & 0x0F


def failure_code(request_code: int) -> int:
    """Response code of a request refused: 00 | low five bits (management), 10 | low four bits (diagnostic)."""
    return request_code & 0x1F if request_code >= _MANAGEMENT_FIRST else 0x10 | request_code & 0x0F


def take(octets: bytes, length: int, what: str) -> bytes:
    """The octets, when there are exactly `length` of them; raises `DecodeError`."""
    if len(octets) < length:
        raise TruncatedPdu(f"{what} needs {length} octets, got {len(octets)}")
    if len(octets) > length:
        raise MalformedPdu(f"{what} has {length} octets, got {len(octets)}")
    return octets
