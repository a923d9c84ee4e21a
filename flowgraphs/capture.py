"""Packet captures that Wireshark and tshark dissect: LON frames in CN/IP datagrams (ISO/IEC 14908-4, EIA-852).

    pcap record: Ethernet | IPv4 | UDP 1628 | CN/IP header, 20 octets, big endian | LPDU without CRC

      0  length     u16  header and LPDU
      2  version    u8   1
      3  type       u8   1: data
      4  extension  u8   0: no extended header
      5  protocol   u8   0: EIA-709, not authenticated
      6  vendor     u16  0
      8  session    u32  constant
     12  sequence   u32  +1 per packet
     16  timestamp  u32  0: not used

Layout read from the CN/IP digest of captured datagrams; clause unverified. Time stamps are the sample clock's.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import dpkt

from .errors import RecordingError

CNIP_PORT: Final = 1628
CNIP_HEADER: Final = struct.Struct(">HBBBBHIII")
CNIP_VERSION: Final = 1
CNIP_DATA: Final = 1
SESSION: Final = 1
MULTICAST_IP: Final = bytes([239, 1, 2, 3])  # the line as a whole: every station hears every packet
MULTICAST_MAC: Final = bytes.fromhex("01005e010203")


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """An LPDU without CRC, when it began (s, sample clock) and which coupler sent it."""

    at: float
    lpdu: bytes
    coupler: int


def cnip(lpdu: bytes, sequence: int) -> bytes:
    """A CN/IP data packet. `lpdu` without CRC."""
    header = CNIP_HEADER.pack(
        CNIP_HEADER.size + len(lpdu), CNIP_VERSION, CNIP_DATA, 0, 0, 0, SESSION, sequence & 0xFFFFFFFF, 0
    )
    return header + lpdu


def encode_capture(packets: Iterable[CapturedPacket]) -> bytes:
    """A pcap file; the coupler is the last octet of the source address 10.0.0.x (coupler 0 is 10.0.0.1)."""
    file = BytesIO()
    writer = dpkt.pcap.Writer(file, nano=False)
    for sequence, packet in enumerate(packets):
        udp = dpkt.udp.UDP(sport=CNIP_PORT, dport=CNIP_PORT, data=cnip(packet.lpdu, sequence))
        udp.ulen = len(udp)
        source = (packet.coupler + 1) & 0xFF
        ip = dpkt.ip.IP(
            src=bytes([10, 0, 0, source]), dst=MULTICAST_IP, p=dpkt.ip.IP_PROTO_UDP, ttl=1, id=sequence & 0xFFFF, data=udp
        )
        ip.len = len(ip)
        ethernet = dpkt.ethernet.Ethernet(
            src=bytes([2, 0, 0, 0, 0, source]), dst=MULTICAST_MAC, type=dpkt.ethernet.ETH_TYPE_IP, data=ip
        )
        writer.writepkt(bytes(ethernet), ts=packet.at)
    return file.getvalue()


def write_capture(path: Path, packets: Iterable[CapturedPacket]) -> None:
    """Write a pcap file."""
    try:
        path.write_bytes(encode_capture(packets))
    except OSError as error:
        raise RecordingError(f"{path}: cannot write: {error.strerror}") from None
