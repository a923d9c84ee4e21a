"""Frames that somebody captured: pcap and pcapng (CN/IP datagrams or raw frames) and recordings of the line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dpkt

from mac import cnip

from .errors import RecordingError

CNIP_PORTS: Final = frozenset((cnip.PORT, cnip.URGENT_PORT))
RAW_FRAMES: Final = 147  # link type USER0: LPDUs without CRC
ETHERNET, RAW_IP, IPV4 = 1, frozenset((12, 14, 101)), 228
MAGICS: Final = frozenset(bytes.fromhex(magic) for magic in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "0a0d0d0a"))


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame: when it began (s, any origin) and the LPDU without CRC."""

    at: float
    lpdu: bytes


def is_capture(name: str) -> bool:
    """Whether a file is pcap or pcapng, by its first octets. RecordingError when it cannot be read."""
    try:
        with Path(name).open("rb") as file:
            return file.read(4) in MAGICS
    except OSError as error:
        raise RecordingError(f"{name}: {error.strerror}") from None


def read_capture(name: str) -> Iterator[Heard]:
    """Frames of a pcap or pcapng file in its order; packets of other kinds are passed over.

    Raises:
        RecordingError: the file cannot be read, or ends within a packet.
    """
    try:
        with Path(name).open("rb") as file:
            reader: Any = dpkt.pcap.UniversalReader(file)
            link = reader.datalink()
            for at, octets in reader:
                for lpdu in (octets,) if link == RAW_FRAMES else _from_datagram(link, octets):
                    yield Heard(float(at), lpdu)
    except OSError as error:
        raise RecordingError(f"{name}: {error.strerror}") from None
    except (dpkt.UnpackError, ValueError, IndexError, KeyError) as error:
        raise RecordingError(f"{name}: not a whole capture: {str(error) or type(error).__name__}") from None


def _from_datagram(link: int, octets: bytes) -> Iterator[bytes]:
    """The LPDUs in a CN/IP datagram."""
    try:
        packet = dpkt.ethernet.Ethernet(octets).data if link == ETHERNET else octets
        ip = packet if isinstance(packet, dpkt.ip.IP) else dpkt.ip.IP(packet) if link in RAW_IP or link == IPV4 else None
        if ip is None or not isinstance(ip.data, dpkt.udp.UDP):
            return
        udp = ip.data
    except (dpkt.UnpackError, ValueError, IndexError):
        return
    if {udp.sport, udp.dport} & CNIP_PORTS:
        for found in cnip.decode_datagram(bytes(udp.data))[0]:
            if found.type == cnip.DATA and found.body:
                yield found.body
