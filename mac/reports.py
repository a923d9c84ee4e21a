"""What nodes report to network management: identity, status, a domain row, transceiver status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from .address import PROGRAM_ID_LENGTH, UNIQUE_NODE_ID_LENGTH, check_length
from .entries import BLANK_DOMAIN, DomainEntry
from .events import NodeState
from .message_codes import (
    QUERY_DOMAIN,
    QUERY_ID,
    QUERY_STATUS,
    QUERY_TRANSCEIVER_STATUS,
    STATE_BY_OCTET,
    success_code,
    take,
)
from .reception import Reception

QUERY_ID_ANSWER: Final = success_code(QUERY_ID)
QUERY_STATUS_ANSWER: Final = success_code(QUERY_STATUS)
QUERY_DOMAIN_ANSWER: Final = success_code(QUERY_DOMAIN)
QUERY_TRANSCEIVER_ANSWER: Final = success_code(QUERY_TRANSCEIVER_STATUS)


def encode_row(entry: DomainEntry | None) -> bytes:
    """Row of the domain table; None gives a blank one."""
    return BLANK_DOMAIN if entry is None else entry.encode()


@dataclass(frozen=True, slots=True)
class IdReport:
    """Unique node id and program id: response to Query ID (21), or a service message of its own (7F).

    octet 0  code;  1..6 unique node id;  7..14 program id
    """

    unique_node_id: bytes
    program_id: bytes

    def __post_init__(self) -> None:
        check_length("unique_node_id", self.unique_node_id, UNIQUE_NODE_ID_LENGTH)
        check_length("program_id", self.program_id, PROGRAM_ID_LENGTH)

    def encode(self, code: int = QUERY_ID_ANSWER) -> bytes:
        """The whole APDU."""
        return bytes([code]) + self.unique_node_id + self.program_id

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU, whatever its code."""
        take(apdu, 1 + UNIQUE_NODE_ID_LENGTH + PROGRAM_ID_LENGTH, "id report")
        return cls(apdu[1 : 1 + UNIQUE_NODE_ID_LENGTH], apdu[1 + UNIQUE_NODE_ID_LENGTH :])


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Response to Query Status (31) and Query Status Flex (36).

        octet 0      code
              1..10  five big-endian words: transmission errors, transaction timeouts, receive transaction full, lost, missed
              11     reset cause      12  node state      13  firmware version
              14     last error       15  model
    """

    transmission_errors: int
    transaction_timeouts: int
    receive_transaction_full: int
    lost: int
    missed: int
    reset_cause: int
    state_octet: int
    firmware_version: int
    last_error: int
    model: int

    @property
    def state(self) -> NodeState | None:
        """Node state, None for an octet that stands for no valid state."""
        return STATE_BY_OCTET.get(self.state_octet)

    def encode(self, code: int = QUERY_STATUS_ANSWER) -> bytes:
        """The whole APDU."""
        words = (
            self.transmission_errors,
            self.transaction_timeouts,
            self.receive_transaction_full,
            self.lost,
            self.missed,
        )
        tail = bytes([self.reset_cause, self.state_octet, self.firmware_version, self.last_error, self.model])
        return bytes([code]) + b"".join(word.to_bytes(2, "big") for word in words) + tail

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU, whatever its code."""
        take(apdu, 16, "status report")
        words = (int.from_bytes(apdu[i : i + 2], "big") for i in range(1, 11, 2))
        return cls(*words, *apdu[11:])


@dataclass(frozen=True, slots=True)
class DomainReport:
    """Response to Query Domain (2A); entry is None for a blank row."""

    entry: DomainEntry | None

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([QUERY_DOMAIN_ANSWER]) + encode_row(self.entry)

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 1 + DomainEntry.LENGTH, "domain report")
        return cls(DomainEntry.decode(apdu[1:]))


@dataclass(frozen=True, slots=True)
class TransceiverReport:
    """Response to Query Transceiver Status (34): how the target heard the request."""

    reception: Reception

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([QUERY_TRANSCEIVER_ANSWER]) + self.reception.encode()

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 1 + Reception.LENGTH, "transceiver report")
        return cls(Reception.decode(apdu[1:]))
