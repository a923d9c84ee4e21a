"""An LPDU cut into the parts that LON/IP carries in other places, whatever PDU it encloses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self

from .address import DOMAIN_LENGTHS, NODE_MARK, DomainId, SubnetNode
from .errors import TruncatedPdu, UnknownPdu

Kind = Literal["broadcast", "group", "subnet_node", "group_reply", "unique_id"]

_NORMAL, _ENHANCED = 0, 2  # NPDU versions
_FORMATS: Final[dict[Kind, tuple[int, int]]] = {  # address format code, octets of the destination
    "broadcast": (0, 1),
    "group": (1, 1),
    "subnet_node": (2, 2),
    "group_reply": (2, 4),
    "unique_id": (3, 7),
}
_KINDS: Final[dict[int, Kind]] = {0: "broadcast", 1: "group", 2: "subnet_node", 3: "unique_id"}
_TRANSACTION_PDUS: Final = (0, 1)  # PDU types TPDU and SPDU


@dataclass(frozen=True, slots=True)
class NpduParts:
    """Fields of the LPDU header and NPDU, and the PDU as octets.

    Args:
        priority, delta_backlog: of the LPDU header; the alternate path is not kept.
        enhanced: NPDU version 2.    pdu_type: 0 TPDU, 1 SPDU, 2 AuthPDU, 3 APDU.
        kind: of the destination.    destination: its octets in the NPDU.
        source, domain: of the NPDU.    pdu: everything behind the domain.
    """

    priority: bool
    delta_backlog: int
    enhanced: bool
    pdu_type: int
    kind: Kind
    source: SubnetNode
    destination: bytes
    domain: DomainId
    pdu: bytes

    @property
    def expects_answers(self) -> bool:
        """An acknowledged message or a request, first sending; reminders are neither."""
        return self.pdu_type in _TRANSACTION_PDUS and bool(self.pdu) and self.pdu[0] >> 4 & 7 == 0

    @classmethod
    def split(cls, lpdu: bytes) -> Self:
        """Cut an LPDU without CRC; raises `DecodeError`."""
        if len(lpdu) < 4:
            raise TruncatedPdu(f"LPDU needs at least 4 octets, got {len(lpdu)}")
        version, pdu_type, code, length_code = (lpdu[1] >> shift & 3 for shift in (6, 4, 2, 0))
        if version not in (_NORMAL, _ENHANCED):
            raise UnknownPdu(f"NPDU version {version} is unused")
        kind: Kind = "group_reply" if code == 2 and not lpdu[3] & NODE_MARK else _KINDS[code]
        domain_at = 4 + _FORMATS[kind][1]
        pdu_at = domain_at + DOMAIN_LENGTHS[length_code]
        if len(lpdu) < pdu_at:
            raise TruncatedPdu(f"NPDU header needs {pdu_at} octets, got {len(lpdu)}")
        return cls(
            bool(lpdu[0] & 0x80),
            lpdu[0] & 0x3F,
            version == _ENHANCED,
            pdu_type,
            kind,
            SubnetNode(lpdu[2], lpdu[3] & ~NODE_MARK),
            lpdu[4:domain_at],
            DomainId(lpdu[domain_at:pdu_at]),
            lpdu[pdu_at:],
        )

    def join(self) -> bytes:
        """The LPDU again, alternate path off."""
        header = self.priority << 7 | self.delta_backlog
        version = _ENHANCED if self.enhanced else _NORMAL
        first = version << 6 | self.pdu_type << 4 | _FORMATS[self.kind][0] << 2 | self.domain.length_code
        node = self.source.node | (0 if self.kind == "group_reply" else NODE_MARK)
        return bytes([header, first, self.source.subnet, node]) + self.destination + self.domain.octets + self.pdu
