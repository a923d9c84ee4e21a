"""C12.18 packets: octets to packets and acknowledgements, packets to octets.

    EE | identity(1) | control(1) | sequence(1) | length(2 BE) | payload | CRC(2, low octet first)

Control: bit 7 one of several packets, bit 6 the first of them, bit 5 toggle, which flips with every new packet. Sequence counts
down to 0. CRC-16/X-25 over EE to payload. Grade B (seven published frames), control bits 7 and 6 grade C.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

from ..errors import ConfigurationError, DecodeError, TruncatedMessage

START: Final = 0xEE
ACK: Final = 0x06
NAK: Final = 0x15
WAKE_UP: Final = 0x55  # four of them, 50 ms apart, before the first packet; grade B
ZERO: Final = 0x00  # half an alert of the MEP port, which shares the UART in older meters; grade B
HEADER_OCTETS: Final = 6
OVERHEAD: Final = 8  # header and CRC: a packet size of 64 leaves 56 octets of payload
MAX_PAYLOAD: Final = 8183  # ANSI C12.18; grade C
MULTIPLE: Final = 0x80
FIRST: Final = 0x40
TOGGLE: Final = 0x20
_CANDIDATES: Final = 4  # how many other starts are tried inside a packet whose CRC is wrong; bounds the work

_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def crc_x25(octets: bytes) -> int:
    """CRC-16/X-25 (0x1021 reflected, initial 0xFFFF, final XOR 0xFFFF); 0x906E for b"123456789"."""
    # The library's CRC goes over the same polynomial most significant bit first: turn octets and result round.
    crc = binascii.crc_hqx(octets.translate(_REVERSED), 0xFFFF)
    return (_REVERSED[crc & 0xFF] << 8 | _REVERSED[crc >> 8]) ^ 0xFFFF


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Args:
        payload: 0..8183 octets.    sequence: packets of the message that follow, 0..255.
        toggle, first, multiple: the control bits.    identity: 0..255; 0 on this port.
    """

    payload: bytes
    toggle: bool = False
    sequence: int = 0
    multiple: bool = False
    first: bool = False
    identity: int = 0

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD:
            raise ConfigurationError(f"a packet carries at most {MAX_PAYLOAD} octets, got {len(self.payload)}")
        if not 0 <= self.sequence <= 255 or not 0 <= self.identity <= 255:
            raise ConfigurationError(f"sequence and identity must be 0..255, got {self.sequence} and {self.identity}")

    def encode(self) -> bytes:
        """Octets with CRC."""
        control = self.multiple * MULTIPLE | self.first * FIRST | self.toggle * TOGGLE
        head = bytes((START, self.identity, control, self.sequence)) + len(self.payload).to_bytes(2, "big")
        return head + self.payload + crc_x25(head + self.payload).to_bytes(2, "little")

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Exactly one packet. Raises TruncatedMessage or DecodeError."""
        if len(octets) < OVERHEAD:
            raise TruncatedMessage(f"a packet has at least {OVERHEAD} octets, got {len(octets)}")
        if octets[0] != START:
            raise DecodeError(f"a packet starts with 0xee, got 0x{octets[0]:02x}")
        length = int.from_bytes(octets[4:6], "big")
        if len(octets) != OVERHEAD + length:
            raise DecodeError(f"a packet with {length} octets of payload has {OVERHEAD + length}, got {len(octets)}")
        if crc_x25(octets[:-2]) != int.from_bytes(octets[-2:], "little"):
            raise DecodeError("the CRC of a packet is wrong")
        control = octets[2]
        return cls(
            octets[HEADER_OCTETS:-2],
            bool(control & TOGGLE),
            octets[3],
            bool(control & MULTIPLE),
            bool(control & FIRST),
            octets[1],
        )


class Mark(Enum):
    """What else comes over the line."""

    ACK = "acknowledged"
    NAK = "not acknowledged"
    ZERO = "zero octet"
    BROKEN = "a packet that failed"


Item = Packet | Mark


class PacketReader:
    """Finds packets and acknowledgements in a stream of octets; everything else is skipped and counted.

    Args:
        max_payload: a packet that announces more is none; octets.

    Attributes:
        skipped: octets that belonged to nothing.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self.max_payload = max_payload
        self.skipped = 0
        self._kept = bytearray()

    @property
    def waiting(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._kept)

    def push(self, octets: bytes) -> list[Item]:
        """Items in order. Failures that follow each other are one."""
        kept = self._kept
        kept += octets
        items: list[Item] = []
        while kept:
            if kept[0] != START:
                self._outside(items)
                continue
            if len(kept) < HEADER_OCTETS:
                break
            size = OVERHEAD + int.from_bytes(kept[4:6], "big")
            if size > OVERHEAD + self.max_payload:
                del kept[0]
                self.skipped += 1
                self._broken(items)
                continue
            if len(kept) < size:
                break
            self._packet(size, items)
        return items

    def flush(self) -> list[Item]:
        """Give up the packet that has begun: the line has been silent for too long."""
        items: list[Item] = []
        if self._kept:
            self._broken(items)
            self._give_up(len(self._kept), items)
        return items

    def clear(self) -> None:
        """Forget what has been received."""
        self._kept.clear()

    def _outside(self, items: list[Item]) -> None:
        """Octets up to the next start."""
        end = self._kept.find(START)
        part = self._kept if end < 0 else self._kept[:end]
        # A flood of one-octet items would cost memory: of equal ones in a row the first is enough.
        for octet in part:
            mark = _MARKS.get(octet)
            if mark is None:
                self.skipped += 1
            elif not items or items[-1] is not mark:
                items.append(mark)
        del self._kept[: len(part)]

    def _packet(self, size: int, items: list[Item]) -> None:
        try:
            items.append(Packet.decode(bytes(self._kept[:size])))
            del self._kept[:size]
        except DecodeError:
            self._broken(items)
            self._give_up(size, items)

    def _give_up(self, size: int, items: list[Item]) -> None:
        """A false start may have swallowed a packet: look for one that is whole, otherwise drop all of it."""
        position = 0
        for _ in range(_CANDIDATES):
            position = self._kept.find(START, position + 1, size)
            if position < 0:
                break
            head = self._kept[position : position + HEADER_OCTETS]
            end = position + OVERHEAD + int.from_bytes(head[4:6], "big")
            if len(head) == HEADER_OCTETS and end <= len(self._kept) and end - position <= OVERHEAD + self.max_payload:
                try:
                    packet = Packet.decode(bytes(self._kept[position:end]))
                except DecodeError:
                    continue
                items[-1:] = [packet]
                self.skipped += position
                del self._kept[:end]
                return
        self.skipped += size
        del self._kept[:size]

    @staticmethod
    def _broken(items: list[Item]) -> None:
        if not items or items[-1] is not Mark.BROKEN:
            items.append(Mark.BROKEN)


_MARKS: Final = {ACK: Mark.ACK, NAK: Mark.NAK, ZERO: Mark.ZERO}
