"""NPDU: source, destination and domain of a packet, and the PDU it carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from .address import (
    DOMAIN_LENGTHS,
    Broadcast,
    DomainId,
    Group,
    GroupReply,
    NpduDestination,
    SubnetNode,
    UniqueId,
    subnet_node,
)
from .apdu import Apdu
from .authpdu import AuthPdu
from .errors import ConfigurationError, TruncatedPdu, UnknownPdu
from .spdu import Spdu
from .tpdu import Tpdu
from .transaction_header import MAX_NUMBER

NORMAL_VERSION: Final = 0
ENHANCED_VERSION: Final = 2  # 12-bit transaction numbers

EnclosedPdu = Tpdu | Spdu | AuthPdu | Apdu

PDU_TYPES: Final[dict[int, type[Tpdu] | type[Spdu] | type[AuthPdu] | type[Apdu]]] = {
    0: Tpdu,
    1: Spdu,
    2: AuthPdu,
    3: Apdu,
}
_PDU_CODES: Final = {pdu: code for code, pdu in PDU_TYPES.items()}

ADDRESS_TYPES: Final[tuple[type[NpduDestination], ...]] = (Broadcast, Group, SubnetNode, GroupReply, UniqueId)

# (format code, selector bit) -> destination type. The selector decides only in format 2; elsewhere it says
# nothing and is not checked.
_BY_FORMAT: Final = {(kind.FORMAT, 1 - kind.SELECTOR): kind for kind in ADDRESS_TYPES if kind.FORMAT != 2} | {
    (kind.FORMAT, kind.SELECTOR): kind for kind in ADDRESS_TYPES
}
_set: Final = object.__setattr__


class _Layout(NamedTuple):
    """What first octet and selector bit say about the rest: offsets of domain and PDU, and the types."""

    version: int
    pdu_type: type[Tpdu] | type[Spdu] | type[AuthPdu] | type[Apdu]
    address_type: type[NpduDestination]
    domain_at: int
    pdu_at: int


def _layout(first: int, selector: int) -> _Layout | None:
    version, pdu_code, format_code, domain_code = (first >> shift & 3 for shift in (6, 4, 2, 0))
    if version not in (NORMAL_VERSION, ENHANCED_VERSION):
        return None
    address_type = _BY_FORMAT[format_code, selector]
    domain_at = 3 + address_type.LENGTH
    return _Layout(version, PDU_TYPES[pdu_code], address_type, domain_at, domain_at + DOMAIN_LENGTHS[domain_code])


_LAYOUTS: Final = tuple(tuple(_layout(first, selector) for first in range(256)) for selector in (0, 1))


@dataclass(frozen=True, slots=True)
class Npdu:
    """Network PDU.                                            ISO/IEC 14908-1, clause unverified (grade A, B, L)

        octet 0  version(2) PDU type(2) address format(2) domain length code(2)
              1  source subnet
              2  selector(1) source node(7)                    selector 1 except in format 2b
              3  destination:  0 broadcast    subnet
                               1 multicast    group
                               2a unicast     subnet, 1(1) node(7)
                               2b reply       subnet, 1(1) node(7), group, member
                               3 unique id    subnet, unique node id[6]
              .  domain id, 0, 1, 3 or 6 octets
              .  enclosed PDU

    Args:
        source: subnet/node of the sender, 0/0 when it has none on this domain.
        destination: one of the five address types.
        domain: domain id.
        pdu: enclosed TPDU, SPDU, AuthPDU or APDU.
        version: 0, or 2 for 12-bit transaction numbers. Versions 1 and 3 are refused (our choice, grade D).
    """

    source: SubnetNode
    destination: NpduDestination
    domain: DomainId
    pdu: EnclosedPdu
    version: int = NORMAL_VERSION

    def __post_init__(self) -> None:
        if self.version not in (NORMAL_VERSION, ENHANCED_VERSION):
            raise ConfigurationError(f"NPDU version must be 0 or 2, got {self.version}")
        if self.version == NORMAL_VERSION and not isinstance(self.pdu, Apdu) and self.pdu.number > MAX_NUMBER:
            raise ConfigurationError(f"transaction number must be 0..{MAX_NUMBER}, got {self.pdu.number}")

    def encode(self) -> bytes:
        """Octets of the NPDU and everything in it."""
        to = self.destination
        first = self.version << 6 | _PDU_CODES[type(self.pdu)] << 4 | to.FORMAT << 2 | self.domain.length_code
        source = bytes([first, self.source.subnet, to.SELECTOR << 7 | self.source.node])
        enclosed = self.pdu.encode(enhanced=self.version == ENHANCED_VERSION)
        return source + to.encode() + self.domain.octets + enclosed

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Read an NPDU; raises `DecodeError`."""
        if len(octets) < 3:
            raise TruncatedPdu(f"NPDU needs at least 3 octets, got {len(octets)}")
        layout = _LAYOUTS[octets[2] >> 7][octets[0]]
        if layout is None:
            raise UnknownPdu(f"NPDU version {octets[0] >> 6} is unused")
        version, pdu_type, address_type, domain_at, pdu_at = layout
        if len(octets) < pdu_at:
            raise TruncatedPdu(f"NPDU header needs {pdu_at} octets, got {len(octets)}")
        npdu = object.__new__(cls)  # without the checks of a new value: the octets have passed all of them
        _set(npdu, "source", subnet_node(octets[1], octets[2] & 0x7F))
        _set(npdu, "destination", address_type.decode(octets[3:domain_at]))
        _set(npdu, "domain", DomainId.decode(octets[domain_at:pdu_at]))
        _set(npdu, "pdu", pdu_type.decode(octets[pdu_at:], version == ENHANCED_VERSION))
        _set(npdu, "version", version)
        return npdu
