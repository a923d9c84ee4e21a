"""CN/IP (ISO/IEC 14908-4, EIA-852): LON frames in UDP datagrams, ports 1628 and 1629.

    octet 0   length     u16  header, extension and LPDU
          2   version    u8   1 in bits 4..0 (old routers: 0), bit 7 vendor-private
          3   type       u8   01 data
          4   extension  u8   length of the extended header in words of 4 octets
          5   protocol   u8   bit 5: authenticated, 16 octets of digest follow the packet; bits 4..0: 0 = EIA-709
          6   vendor     u16
          8   session    u32  random per start of the sender
          12  sequence   u32  +1 per packet
          16  timestamp  u32  ms of the common time, 0: not used
          20  extension, LPDU without CRC; further packets may follow in the same datagram

Grade L: accepted by a live peer's link and by tshark; escrow and staleness grade B (router read). Clause unverified.
"""

from __future__ import annotations

import binascii
import struct
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final, Self

from .errors import ConfigurationError, DecodeError, MalformedPdu, TruncatedPdu, UnknownPdu

PORT: Final = 1628
URGENT_PORT: Final = 1629  # accepted, never used for sending: whether priority frames belong there is not settled (D)
DATA: Final = 1
VERSIONS: Final = (0, 1)
DIGEST_LENGTH: Final = 16
CRC_LENGTH: Final = 2
MAX_DATAGRAM: Final = 1472  # octets of UDP payload in an Ethernet frame; how far `aggregate` goes (D)

_HEADER: Final = struct.Struct(">HBBBBHIII")
_WORD: Final = 4
_VENDOR_PRIVATE: Final = 0x80
_RESERVED: Final = 0x60
_VERSION_MASK: Final = 0x1F
_AUTHENTICATED: Final = 0x20
_PROTOCOL_MASK: Final = 0x1F
_LON: Final = 0
_WRAP: Final = 1 << 32
_BEHIND: Final = 99  # so far behind is a duplicate, further is a sender that started anew (B)


class CnipDrop(StrEnum):
    """Why a packet from the network went no further."""

    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"  # version, or vendor-private
    NOT_DATA = "not_data"  # registration, membership, acknowledge, requests ...: a static list of peers needs none
    FOREIGN_PROTOCOL = "foreign_protocol"
    AUTHENTICATED = "authenticated"  # how the digest is computed is not known
    BAD_CRC = "bad_crc"
    DUPLICATE = "duplicate"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class CnipPacket:
    """One packet.

    Args:
        body: LPDU without CRC of a data packet, anything else otherwise.
        type: 0..255, 1 = data.    version: 0 or 1.    vendor_private: the layout behind the header is the vendor's own.
        protocol: 0..31, 0 = LON.    vendor: 0..65535.    session, sequence: 0..2^32-1.    timestamp: ms, 0 = not used.
        extension: extended header, whole words of 4 octets.    digest: 16 octets of an authenticated packet, else empty.
    """

    HEADER_LENGTH: ClassVar[int] = _HEADER.size

    body: bytes
    sequence: int = 0
    session: int = 0
    timestamp: int = 0
    type: int = DATA
    version: int = 1
    vendor_private: bool = False
    protocol: int = _LON
    vendor: int = 0
    extension: bytes = b""
    digest: bytes = b""

    def __post_init__(self) -> None:
        if len(self.extension) % _WORD or len(self.extension) > 255 * _WORD:
            raise ConfigurationError(f"extended header must be 0..255 words of 4 octets, got {len(self.extension)} octets")
        if len(self.digest) not in (0, DIGEST_LENGTH):
            raise ConfigurationError(f"digest must have 16 octets or none, got {len(self.digest)}")
        if _HEADER.size + len(self.extension) + len(self.body) > 0xFFFF:
            raise ConfigurationError(f"packet of {len(self.body)} octets is too long")

    def encode(self) -> bytes:
        """Octets."""
        head = _HEADER.pack(
            _HEADER.size + len(self.extension) + len(self.body),
            self.version | (_VENDOR_PRIVATE if self.vendor_private else 0),
            self.type,
            len(self.extension) // _WORD,
            self.protocol | (_AUTHENTICATED if self.digest else 0),
            self.vendor,
            self.session,
            self.sequence,
            self.timestamp,
        )
        return head + self.extension + self.body + self.digest

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """The first packet of a datagram; `length` octets of it.

        Raises:
            DecodeError: truncated, malformed, or of a version that is not known.
        """
        if len(octets) < _HEADER.size:
            raise TruncatedPdu(f"CN/IP header needs {_HEADER.size} octets, got {len(octets)}")
        length, version, kind, words, protocol, vendor, session, sequence, timestamp = _HEADER.unpack_from(octets)
        body_at = _HEADER.size + _WORD * words
        end = length + (DIGEST_LENGTH if protocol & _AUTHENTICATED else 0)
        if version & _VERSION_MASK not in VERSIONS or version & _RESERVED:
            raise UnknownPdu(f"CN/IP version octet {version:02X}")
        if length < body_at:
            raise MalformedPdu(f"CN/IP length {length} is shorter than the header of {body_at} octets")
        if len(octets) < end:
            raise TruncatedPdu(f"CN/IP packet needs {end} octets, got {len(octets)}")
        return cls(
            body=octets[body_at:length],
            sequence=sequence,
            session=session,
            timestamp=timestamp,
            type=kind,
            version=version & _VERSION_MASK,
            vendor_private=bool(version & _VENDOR_PRIVATE),
            protocol=protocol & _PROTOCOL_MASK,
            vendor=vendor,
            extension=octets[_HEADER.size : body_at],
            digest=octets[length:end],
        )

    @property
    def encoded_length(self) -> int:
        """Octets that the packet takes."""
        return _HEADER.size + len(self.extension) + len(self.body) + len(self.digest)


def decode_datagram(octets: bytes) -> tuple[list[CnipPacket], DecodeError | None]:
    """All packets of a datagram, and what was wrong behind the last good one."""
    packets: list[CnipPacket] = []
    at = 0
    while at < len(octets):
        try:
            packet = CnipPacket.decode(octets[at:])
        except DecodeError as error:
            return packets, error
        packets.append(packet)
        at += packet.encoded_length
    return packets, None if packets else TruncatedPdu("empty CN/IP datagram")


def aggregate(packets: Iterable[CnipPacket], limit: int = MAX_DATAGRAM) -> list[bytes]:
    """As few datagrams of at most `limit` octets as the order allows; a packet longer than that stands alone."""
    datagrams: list[bytes] = []
    for packet in packets:
        octets = packet.encode()
        if datagrams and len(datagrams[-1]) + len(octets) <= limit:
            datagrams[-1] += octets
        else:
            datagrams.append(octets)
    return datagrams


class CnipSender:
    """Numbers the frames of one channel.

    Args:
        session: 0..2^32-1, drawn anew at each start.    timestamps: put the common time into packets; off: 0.
    """

    def __init__(self, session: int, timestamps: bool = False) -> None:
        self._session = session % _WRAP
        self._timestamps = timestamps
        self._sequence = 0

    def packet(self, lpdu: bytes, now: float) -> CnipPacket:
        """The next packet. `lpdu` without CRC; now: s of the common time."""
        timestamp = (round(1000 * now) % _WRAP) or 1 if self._timestamps else 0
        packet = CnipPacket(lpdu, self._sequence, self._session, timestamp)
        self._sequence = (self._sequence + 1) % _WRAP
        return packet


@dataclass(slots=True)
class _Peer:
    """What is known of a sender: next sequence number expected, packets ahead of it, and how long they are held."""

    session: int
    expected: int
    held: dict[int, bytes] = field(default_factory=dict)
    held_until: float | None = None


class CnipReceiver:
    """Frames in the order in which their senders sent them, once each.

    A packet that is ahead is held until those before it come, or the escrow time is over; then they count as lost.

    Args:
        escrow_time: s.    channel_timeout: s after which a packet with a time stamp is stale; 0 = off.
        strip_crc: packets carry the CRC behind the LPDU: check and remove it. No captured packet has one; off.
        peers: senders remembered; the one heard longest ago is forgotten.    most_held: packets held for one sender.

    Attributes:
        drops: packets by reason.    lost: numbers that never came.
    """

    def __init__(
        self,
        escrow_time: float = 0.064,
        channel_timeout: float = 0.0,
        strip_crc: bool = False,
        peers: int = 256,
        most_held: int = 32,
    ) -> None:
        self._escrow_time = escrow_time
        self._channel_timeout = channel_timeout
        self._strip_crc = strip_crc
        self._most_peers, self._most_held = peers, most_held
        self._peers: OrderedDict[object, _Peer] = OrderedDict()
        self.drops: Counter[CnipDrop] = Counter()
        self.lost = 0

    def receive(self, datagram: bytes, peer: object, now: float) -> list[bytes]:
        """Frames that can be delivered now: LPDUs without CRC. `peer`: who sent it, e.g. address and port; now: s."""
        frames: list[bytes] = []
        packets, error = decode_datagram(datagram)
        for packet in packets:
            reason = self._objection(packet, now)
            if reason is None:
                frames += self._in_order(packet, peer, now)
            else:
                self.drops[reason] += 1
        if error is not None:
            self.drops[_REASONS.get(type(error), CnipDrop.MALFORMED)] += 1
        return frames

    def next_timer(self) -> float | None:
        """When to call `on_timer`."""
        return min((p.held_until for p in self._peers.values() if p.held_until is not None), default=None)

    def on_timer(self, now: float) -> list[bytes]:
        """Frames whose predecessors have been waited for long enough."""
        frames: list[bytes] = []
        for peer in self._peers.values():
            if peer.held_until is not None and peer.held_until <= now:
                frames += self._skip_gap(peer, now)
        return frames

    def _objection(self, packet: CnipPacket, now: float) -> CnipDrop | None:
        if packet.vendor_private:
            return CnipDrop.UNKNOWN
        if packet.protocol != _LON:
            return CnipDrop.FOREIGN_PROTOCOL
        if packet.type != DATA:
            return CnipDrop.NOT_DATA
        if packet.digest:
            return CnipDrop.AUTHENTICATED
        if self._channel_timeout and packet.timestamp:
            late = (round(1000 * now) - packet.timestamp + _WRAP // 2) % _WRAP - _WRAP // 2
            if abs(late) > 1000 * self._channel_timeout:
                return CnipDrop.STALE
        if self._strip_crc and (len(packet.body) < CRC_LENGTH or crc16(packet.body[:-CRC_LENGTH]) != packet.body[-CRC_LENGTH:]):
            return CnipDrop.BAD_CRC
        return None

    def _in_order(self, packet: CnipPacket, name: object, now: float) -> list[bytes]:
        lpdu = packet.body[:-CRC_LENGTH] if self._strip_crc else packet.body
        peer = self._peers.get(name)
        ahead = 0 if peer is None else (packet.sequence - peer.expected) % _WRAP
        if peer is None or peer.session != packet.session or _BEHIND < _WRAP - ahead <= _WRAP // 2:
            before = [] if peer is None else self._release_all(peer)
            self._peers[name] = _Peer(packet.session, (packet.sequence + 1) % _WRAP)
            self._peers.move_to_end(name)
            while len(self._peers) > self._most_peers:
                before += self._release_all(self._peers.popitem(last=False)[1])
            return [*before, lpdu]
        self._peers.move_to_end(name)
        if ahead > _WRAP // 2 or packet.sequence in peer.held:
            self.drops[CnipDrop.DUPLICATE] += 1
            return []
        if ahead:
            peer.held[packet.sequence] = lpdu
            if peer.held_until is None:
                peer.held_until = now + self._escrow_time
            return self._skip_gap(peer, now) if len(peer.held) > self._most_held else []
        peer.expected = (peer.expected + 1) % _WRAP
        return [lpdu, *self._release(peer, now)]

    def _release(self, peer: _Peer, now: float) -> list[bytes]:
        """Held packets that follow without a gap."""
        frames: list[bytes] = []
        while peer.expected in peer.held:
            frames.append(peer.held.pop(peer.expected))
            peer.expected = (peer.expected + 1) % _WRAP
        peer.held_until = (now + self._escrow_time if frames else peer.held_until) if peer.held else None
        return frames

    def _skip_gap(self, peer: _Peer, now: float) -> list[bytes]:
        gap = min((number - peer.expected) % _WRAP for number in peer.held)
        self.lost += gap
        peer.expected = (peer.expected + gap) % _WRAP
        return self._release(peer, now)

    def _release_all(self, peer: _Peer) -> list[bytes]:
        numbers = sorted(peer.held, key=lambda number: (number - peer.expected) % _WRAP)
        return [peer.held[number] for number in numbers]


_REASONS: Final = {TruncatedPdu: CnipDrop.TRUNCATED, MalformedPdu: CnipDrop.MALFORMED, UnknownPdu: CnipDrop.UNKNOWN}


def crc16(octets: bytes) -> bytes:
    """CRC of an LPDU as it is sent: polynomial 0x1021, preset FFFF, inverted, high octet first."""
    return (binascii.crc_hqx(octets, 0xFFFF) ^ 0xFFFF).to_bytes(CRC_LENGTH, "big")
