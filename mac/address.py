"""Addresses of ISO/IEC 14908-1: domain, subnet/node, broadcast, group and unique node id.

Frozen values, hashable, used both in PDUs and as destinations of a message. Each kind of destination knows
its layout in the NPDU: `FORMAT` (two-bit address format code), `SELECTOR` (the bit above the source node)
and `LENGTH` (octets).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Final, Self

from .errors import ConfigurationError, MalformedPdu

DOMAIN_LENGTHS: Final = (0, 1, 3, 6)  # octets, by domain length code 0..3; ISO/IEC 14908-1, clause unverified
UNIQUE_NODE_ID_LENGTH: Final = 6
PROGRAM_ID_LENGTH: Final = 8
MAX_SUBNET: Final = 255
MAX_NODE: Final = 127
MAX_GROUP: Final = 255
MAX_MEMBER: Final = 63

NODE_MARK: Final = 0x80  # bit 7 of a node octet: 1 on the wire, except in the source of format 2b (grade L)


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Refuse a field outside low..high."""
    if not low <= value <= high:
        raise ConfigurationError(f"{name} must be {low}..{high}, got {value}")


def check_length(name: str, octets: bytes, length: int) -> None:
    """Refuse octets of another length."""
    if len(octets) != length:
        raise ConfigurationError(f"{name} must have {length} octets, got {len(octets)}")


@dataclass(frozen=True, slots=True)
class DomainId:
    """Domain identifier of 0, 1, 3 or 6 octets; the empty one is the zero-length domain."""

    octets: bytes = b""

    def __post_init__(self) -> None:
        if len(self.octets) not in DOMAIN_LENGTHS:
            raise ConfigurationError(f"a domain id has 0, 1, 3 or 6 octets, got {len(self.octets)}")

    @property
    def length_code(self) -> int:
        """The two-bit code of the length in the NPDU."""
        return DOMAIN_LENGTHS.index(len(self.octets))

    @classmethod
    def decode(cls, octets: bytes) -> DomainId:
        """From 0, 1, 3 or 6 octets."""
        return _domain(octets)

    def __str__(self) -> str:
        return self.octets.hex() or "zero-length"


@dataclass(frozen=True, slots=True)
class SubnetNode:
    """Subnet 0..255 and node 0..127. 0/0 stands for a node that has no address on this domain."""

    FORMAT: ClassVar[int] = 2
    SELECTOR: ClassVar[int] = 1
    LENGTH: ClassVar[int] = 2

    subnet: int
    node: int

    def __post_init__(self) -> None:
        check_range("subnet", self.subnet, 0, MAX_SUBNET)
        check_range("node", self.node, 0, MAX_NODE)

    def encode(self) -> bytes:
        """Destination octets of the NPDU."""
        return bytes([self.subnet, NODE_MARK | self.node])

    @classmethod
    def decode(cls, octets: bytes) -> SubnetNode:
        """From `LENGTH` destination octets."""
        return subnet_node(octets[0], octets[1] & MAX_NODE)

    def __str__(self) -> str:
        return f"{self.subnet}/{self.node}"


NO_ADDRESS: Final = SubnetNode(0, 0)

# The few addresses of a network come again and again: each is built once, not for every frame.
subnet_node: Final = lru_cache(4096)(SubnetNode)
_domain: Final = lru_cache(256)(DomainId)


@dataclass(frozen=True, slots=True)
class Broadcast:
    """All nodes of a subnet 1..255, or of the whole domain (subnet 0)."""

    FORMAT: ClassVar[int] = 0
    SELECTOR: ClassVar[int] = 1
    LENGTH: ClassVar[int] = 1

    subnet: int = 0

    def __post_init__(self) -> None:
        check_range("subnet", self.subnet, 0, MAX_SUBNET)

    def encode(self) -> bytes:
        """Destination octets of the NPDU."""
        return bytes([self.subnet])

    @classmethod
    def decode(cls, octets: bytes) -> Broadcast:
        """From `LENGTH` destination octets."""
        return _broadcast(octets[0])

    def __str__(self) -> str:
        return f"broadcast {self.subnet or 'domain'}"


@dataclass(frozen=True, slots=True)
class Group:
    """Members of a group 0..255.

    Args:
        group: group number.
        size: members, sender included; not on the wire. 0: take it from the sender's address table.
    """

    FORMAT: ClassVar[int] = 1
    SELECTOR: ClassVar[int] = 1
    LENGTH: ClassVar[int] = 1

    group: int
    size: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        check_range("group", self.group, 0, MAX_GROUP)
        check_range("group size", self.size, 0, MAX_MEMBER + 1)

    def encode(self) -> bytes:
        """Destination octets of the NPDU."""
        return bytes([self.group])

    @classmethod
    def decode(cls, octets: bytes) -> Group:
        """From `LENGTH` destination octets."""
        return _group(octets[0])

    def __str__(self) -> str:
        return f"group {self.group}"


@dataclass(frozen=True, slots=True)
class GroupReply:
    """Address format 2b: the answer of one member to a multicast.

    Args:
        address: the node that sent the multicast.
        group: the group it was sent to.
        member: number of the answering member in the group, 0..63.
    """

    FORMAT: ClassVar[int] = 2
    SELECTOR: ClassVar[int] = 0
    LENGTH: ClassVar[int] = 4

    address: SubnetNode
    group: int
    member: int

    def __post_init__(self) -> None:
        check_range("group", self.group, 0, MAX_GROUP)
        check_range("member", self.member, 0, MAX_MEMBER)

    def encode(self) -> bytes:
        """Destination octets of the NPDU."""
        return self.address.encode() + bytes([self.group, self.member])

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From `LENGTH` destination octets."""
        if octets[3] > MAX_MEMBER:
            raise MalformedPdu(f"group member must be 0..{MAX_MEMBER}, got {octets[3]}")
        return cls(SubnetNode.decode(octets[:2]), octets[2], octets[3])

    def __str__(self) -> str:
        return f"{self.address} for member {self.member} of group {self.group}"


@dataclass(frozen=True, slots=True)
class UniqueId:
    """One node by its 48-bit unique node id; the subnet only guides routers (0: all)."""

    FORMAT: ClassVar[int] = 3
    SELECTOR: ClassVar[int] = 1
    LENGTH: ClassVar[int] = 7

    unique_node_id: bytes
    subnet: int = 0

    def __post_init__(self) -> None:
        check_length("unique node id", self.unique_node_id, UNIQUE_NODE_ID_LENGTH)
        check_range("subnet", self.subnet, 0, MAX_SUBNET)

    def encode(self) -> bytes:
        """Destination octets of the NPDU."""
        return bytes([self.subnet]) + self.unique_node_id

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """From `LENGTH` destination octets."""
        return cls(octets[1:], octets[0])

    def __str__(self) -> str:
        return f"unique id {self.unique_node_id.hex()}"


_broadcast: Final = lru_cache(256)(Broadcast)
_group: Final = lru_cache(256)(Group)

Destination = Broadcast | Group | SubnetNode | UniqueId
"""What a message of ours may be addressed to."""

NpduDestination = Destination | GroupReply
"""What an NPDU may carry."""
