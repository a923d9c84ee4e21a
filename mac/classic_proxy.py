"""The classic proxy (diagnostic command 52): one station asks another one for its identity or status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from .address import MAX_MEMBER, MAX_NODE, UNIQUE_NODE_ID_LENGTH, Broadcast, Destination, Group, SubnetNode, UniqueId, check_range
from .errors import MalformedPdu, TruncatedPdu
from .lpdu import MAX_DELTA_BACKLOG

_GROUP: Final = 0x80
_TIMER: Final = 0x0F


class ProxyQuestion(IntEnum):
    """What the target is asked for."""

    UNCONFIGURED_ID = 0  # unique node id and program id, answered by unconfigured nodes only
    STATUS = 1
    TRANSCEIVER_STATUS = 2


@dataclass(frozen=True, slots=True)
class SendAddress:
    """Whom to address, and how often: the address structure of messages.   ISO/IEC 14908-1, clause unverified (B, L)

        octet 0   01 subnet/node, 02 unique id, 03 broadcast, 80 | size group
              1   domain index(1), then node(7), backlog(6) or own member(7)
              2   repeat timer code(4) retries(4)
              3   receive timer code or largest number of responses(4) transmit timer code(4)
              4   subnet, or group
              5.. id[6], of a unique id only

    Args:
        destination: the address.
        retries: tries after the first, 0..15.    transmit_code, repeat_code: timer codes 0..15.
        domain_index: row of the domain table, 0 or 1.
        backlog: answers announced by a broadcast, 0..63.
        upper: the upper half of octet 3, 0..15.
    """

    LENGTH: ClassVar[int] = 5

    destination: Destination
    retries: int = 0
    transmit_code: int = 0
    repeat_code: int = 0
    domain_index: int = 0
    backlog: int = 0
    upper: int = 0

    def __post_init__(self) -> None:
        for name in ("retries", "transmit_code", "repeat_code", "upper"):
            check_range(name, getattr(self, name), 0, 15)
        check_range("domain_index", self.domain_index, 0, 1)
        check_range("backlog", self.backlog, 0, MAX_DELTA_BACKLOG)

    def encode(self) -> bytes:
        """5 octets, or 11 with a unique id."""
        unique_node_id = b""
        match self.destination:
            case SubnetNode(subnet, node):
                kind, second, last = 1, node, subnet
            case UniqueId(unique_node_id, subnet):
                kind, second, last = 2, 0, subnet
            case Broadcast(subnet):
                kind, second, last = 3, self.backlog, subnet
            case Group(group, size):
                kind, second, last = _GROUP | size, 0, group
        timers = bytes([self.repeat_code << 4 | self.retries, self.upper << 4 | self.transmit_code])
        return bytes([kind, self.domain_index << 7 | second]) + timers + bytes([last]) + unique_node_id

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Read it; raises `DecodeError`."""
        if len(octets) < cls.LENGTH:
            raise TruncatedPdu(f"send address needs {cls.LENGTH} octets, got {len(octets)}")
        kind, second, last = octets[0], octets[1], octets[4]
        wanted = cls.LENGTH + (UNIQUE_NODE_ID_LENGTH if kind == 2 else 0)
        if len(octets) != wanted:
            raise MalformedPdu(f"send address of type {kind} has {wanted} octets, got {len(octets)}")
        destination: Destination
        match kind:
            case 1:
                destination = SubnetNode(last, second & MAX_NODE)
            case 2:
                destination = UniqueId(octets[5:], last)
            case 3:
                destination = Broadcast(last)
            case _ if kind & _GROUP and kind & 0x7F <= MAX_MEMBER + 1:
                destination = Group(last, kind & 0x7F)
            case _:
                raise MalformedPdu(f"send address type {kind} is unused")
        backlog = second & MAX_DELTA_BACKLOG if kind == 3 else 0
        return cls(
            destination, octets[2] & 15, octets[3] & _TIMER, octets[2] >> 4, second >> 7, backlog, octets[3] >> 4
        )


@dataclass(frozen=True, slots=True)
class ClassicProxy:
    """Request to ask somebody else, or, without an address, the question itself.

        octet 0   52
              1   question
              2.. send address of the target: 5 octets, or 11 with a unique id

    Args:
        question: what to ask.    target: whom; None: the receiver itself.
    """

    CODE: ClassVar[int] = 0x52
    LENGTH_WITHOUT_TARGET: ClassVar[int] = 2

    question: ProxyQuestion
    target: SendAddress | None = None

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.question]) + (b"" if self.target is None else self.target.encode())

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """Read the whole APDU; raises `DecodeError`."""
        if len(apdu) < cls.LENGTH_WITHOUT_TARGET:
            raise TruncatedPdu(f"proxy command needs {cls.LENGTH_WITHOUT_TARGET} octets, got {len(apdu)}")
        try:
            question = ProxyQuestion(apdu[1])
        except ValueError:
            raise MalformedPdu(f"proxy sub-command must be 0..2, got {apdu[1]}") from None
        return cls(question, SendAddress.decode(apdu[2:]) if len(apdu) > cls.LENGTH_WITHOUT_TARGET else None)
