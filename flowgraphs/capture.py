"""Packet captures that Wireshark and tshark dissect: LON frames in CN/IP datagrams, as pcapng or pcap, whole or as they come.

    record: Ethernet | IPv4 10.0.x.y -> 239.1.2.3 | UDP 1628 | CN/IP | LPDU without CRC

    pcapng:  section header | interface for each carrier | enhanced packet, enhanced packet, ...

The source address names the coupler or node: number n is 10.0.0.1 plus n. Time stamps are those of the simulated or sample
clock, in pcapng to the nanosecond; the carrier is the interface's name, what else is known of a packet its comment.
"""

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import dpkt

from mac import cnip

from .errors import RecordingError

SESSION: Final = 1
MULTICAST_IP: Final = bytes([239, 1, 2, 3])  # the line as a whole: every station hears every packet
MULTICAST_MAC: Final = bytes.fromhex("01005e010203")
FORMATS: Final = ("pcapng", "pcap")
INTERFACES: Final = ("primary frequency", "secondary frequency")

_ETHERNET: Final = 1  # link type
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6  # block types
_BYTE_ORDER: Final = 0x1A2B3C4D
_COMMENT, _NAME, _RESOLUTION, _APPLICATION = 1, 2, 9, 4  # options
_NANOSECONDS: Final = 9
_SNAP_LENGTH: Final = 65535


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """A packet of a capture.

    Args:
        at: when it began, s.    lpdu: without CRC.    coupler: who sent it, 0..65000.
        comment: anything else that is known of it.    alternate: on the secondary frequency.
    """

    at: float
    lpdu: bytes
    coupler: int
    comment: str = ""
    alternate: bool = False


def ethernet_frame(packet: CapturedPacket, sequence: int) -> bytes:
    """The packet in its envelopes."""
    data = cnip.CnipPacket(packet.lpdu, sequence & 0xFFFFFFFF, SESSION).encode()
    udp = dpkt.udp.UDP(sport=cnip.PORT, dport=cnip.PORT, data=data)
    udp.ulen = len(udp)
    host = (packet.coupler + 1).to_bytes(2, "big")
    ip = dpkt.ip.IP(
        src=bytes([10, 0]) + host, dst=MULTICAST_IP, p=dpkt.ip.IP_PROTO_UDP, ttl=1, id=sequence & 0xFFFF, data=udp
    )
    ip.len = len(ip)
    ethernet = dpkt.ethernet.Ethernet(
        src=bytes([2, 0, 0, 0]) + host, dst=MULTICAST_MAC, type=dpkt.ethernet.ETH_TYPE_IP, data=ip
    )
    return bytes(ethernet)


class CaptureWriter:
    """Writes a capture packet by packet; after each the file is complete.

    Args:
        stream: binary, open for writing.    form: "pcapng" or "pcap".
    """

    def __init__(self, stream: BinaryIO, form: str = "pcapng") -> None:
        if form not in FORMATS:
            raise RecordingError(f"capture format must be one of {', '.join(FORMATS)}, got {form!r}")
        self._stream, self._form = stream, form
        self._numbers = itertools.count()
        if form == "pcapng":
            self._stream.write(_section() + b"".join(map(_interface, INTERFACES)))
        else:
            self._stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP_LENGTH, _ETHERNET))
        self._stream.flush()

    def write(self, packet: CapturedPacket) -> None:
        """Append a packet."""
        octets = ethernet_frame(packet, next(self._numbers))
        if self._form == "pcapng":
            record = _enhanced_packet(packet, octets)
        else:
            seconds, microseconds = divmod(round(1e6 * packet.at), 1_000_000)
            record = struct.pack("<IIII", seconds, microseconds, len(octets), len(octets)) + octets
        self._stream.write(record)
        self._stream.flush()


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _option(code: int, octets: bytes) -> bytes:
    return struct.pack("<HH", code, len(octets)) + _padded(octets)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _section() -> bytes:
    options = _option(_APPLICATION, b"osgp-sdr") + bytes(4)
    return _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + options)


def _interface(name: str) -> bytes:
    options = _option(_NAME, name.encode()) + _option(_RESOLUTION, bytes([_NANOSECONDS])) + bytes(4)
    return _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, _SNAP_LENGTH) + options)


def _enhanced_packet(packet: CapturedPacket, octets: bytes) -> bytes:
    at = round(1e9 * packet.at)
    head = struct.pack("<IIIII", int(packet.alternate), at >> 32, at & 0xFFFFFFFF, len(octets), len(octets))
    options = _option(_COMMENT, packet.comment.encode()) + bytes(4) if packet.comment else b""
    return _block(_PACKET, head + _padded(octets) + options)


def encode_capture(packets: Iterable[CapturedPacket], form: str = "pcap") -> bytes:
    """A whole file."""
    file = BytesIO()
    writer = CaptureWriter(file, form)
    for packet in packets:
        writer.write(packet)
    return file.getvalue()


def write_capture(path: Path, packets: Iterable[CapturedPacket]) -> None:
    """Write a file, pcap when its name ends in .pcap, else pcapng."""
    try:
        path.write_bytes(encode_capture(packets, "pcap" if path.suffix == ".pcap" else "pcapng"))
    except OSError as error:
        raise RecordingError(f"{path}: cannot write: {error.strerror}") from None
