"""What nodes report to network management: identity, status, a domain row, transceiver status, phase, version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from .address import PROGRAM_ID_LENGTH, UNIQUE_NODE_ID_LENGTH, check_length, check_range
from .entries import BLANK_DOMAIN, DomainEntry
from .errors import ConfigurationError, MalformedPdu
from .events import NodeState
from .message_codes import (
    COMPUTE_PHASE,
    FULL_VERSION,
    INSTALL,
    QUERY_DOMAIN,
    QUERY_ID,
    QUERY_STATUS,
    QUERY_TRANSCEIVER_STATUS,
    SIGNAL_STRENGTH,
    STATE_BY_OCTET,
    success_code,
    take,
)
from .reception import Reception

QUERY_ID_ANSWER: Final = success_code(QUERY_ID)
QUERY_STATUS_ANSWER: Final = success_code(QUERY_STATUS)
QUERY_DOMAIN_ANSWER: Final = success_code(QUERY_DOMAIN)
QUERY_TRANSCEIVER_ANSWER: Final = success_code(QUERY_TRANSCEIVER_STATUS)
SIGNAL_STRENGTH_ANSWER: Final = success_code(SIGNAL_STRENGTH)


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


@dataclass(frozen=True, slots=True)
class IdInfoReport:
    """Response to the install command "send id info" (30): interface state(8), unique node id, program id.

    Args:
        interface_down: the interface asked for does not work.
        unique_node_id: 6 octets.    program_id: 8 octets.
    """

    unique_node_id: bytes
    program_id: bytes
    interface_down: bool = False

    def __post_init__(self) -> None:
        check_length("unique_node_id", self.unique_node_id, UNIQUE_NODE_ID_LENGTH)
        check_length("program_id", self.program_id, PROGRAM_ID_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([success_code(INSTALL), self.interface_down]) + self.unique_node_id + self.program_id

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 2 + UNIQUE_NODE_ID_LENGTH + PROGRAM_ID_LENGTH, "id info report")
        return cls(apdu[2 : 2 + UNIQUE_NODE_ID_LENGTH], apdu[2 + UNIQUE_NODE_ID_LENGTH :], bool(apdu[1]))


@dataclass(frozen=True, slots=True)
class SignalStrengthReport:
    """Response to the bidirectional signal strength request (37): how the target heard the request.

    On the line it has the seven registers of the target; the asking stack appends seven of its own, those of the
    response, before its user sees it.
    """

    target: Reception
    requester: Reception | None = None

    def encode(self) -> bytes:
        """The whole APDU."""
        own = b"" if self.requester is None else self.requester.encode()
        return bytes([SIGNAL_STRENGTH_ANSWER]) + self.target.encode() + own

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU, with or without the asking side's registers."""
        length = 1 + Reception.LENGTH
        if len(apdu) == length + Reception.LENGTH:
            return cls(Reception.decode(apdu[1:length]), Reception.decode(apdu[length:]))
        take(apdu, length, "signal strength report")
        return cls(Reception.decode(apdu[1:]))


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """Response to Compute Phase (38): where the node sits on the three-phase mains.

        octet 1  phase angle/60 + 1, 0 unknown      2  mains frequency, Hz      3  raw reading      4  certainty, signed

    Args:
        phase_deg: 0, 60 .. 300; None when unknown.
        mains_hz: 50 or 60.    raw: reading of the input.    certainty: -7..7, the closer to 0 the better.
    """

    phase_deg: int | None
    mains_hz: int
    raw: int = 0
    certainty: int = 0

    def __post_init__(self) -> None:
        if self.phase_deg is not None and self.phase_deg not in range(0, 360, 60):
            raise ConfigurationError(f"phase_deg must be 0, 60 .. 300 or None, got {self.phase_deg}")
        check_range("mains_hz", self.mains_hz, 0, 255)
        check_range("raw", self.raw, 0, 255)
        check_range("certainty", self.certainty, -128, 127)

    def encode(self) -> bytes:
        """The whole APDU."""
        phase = 0 if self.phase_deg is None else self.phase_deg // 60 + 1
        return bytes([success_code(COMPUTE_PHASE), phase, self.mains_hz, self.raw, self.certainty & 0xFF])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 5, "phase report")
        if apdu[1] > 6:
            raise MalformedPdu(f"phase code must be 0..6, got {apdu[1]}")
        certainty = apdu[4] - 256 if apdu[4] > 127 else apdu[4]
        return cls((apdu[1] - 1) * 60 if apdu[1] else None, apdu[2], apdu[3], certainty)


@dataclass(frozen=True, slots=True)
class VersionReport:
    """Response to Get Full Version (39): six octets, version first as in Query Status."""

    version: int
    variant: int = 0
    rom: int = 0
    minor: int = 0
    build: int = 0
    code: int = 0

    def __post_init__(self) -> None:
        for name in ("version", "variant", "rom", "minor", "build", "code"):
            check_range(name, getattr(self, name), 0, 255)

    def encode(self) -> bytes:
        """The whole APDU."""
        answer = success_code(FULL_VERSION)
        return bytes([answer, self.version, self.variant, self.rom, self.minor, self.build, self.code])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        return cls(*take(apdu, 7, "version report")[1:])
