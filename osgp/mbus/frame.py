"""Link layer of the wired M-Bus: the three frames of EN 13757-2 and a reader that finds them in a stream.

    acknowledgement  E5
    short            10  C  A  checksum  16
    long             68  L  L  68  C  A  CI  data  checksum  16        L = 3 + data, checksum = sum of C A CI data modulo 256
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..errors import DecodeError

ACK: Final = 0xE5
SHORT: Final = 0x10
LONG: Final = 0x68
STOP: Final = 0x16
MAX_DATA: Final = 252  # octets behind CI

# C fields, EN 13757-2
SND_NKE: Final = 0x40
SND_UD: Final = 0x53  # FCB is bit 5
REQ_UD1: Final = 0x5A
REQ_UD2: Final = 0x5B
RSP_UD: Final = 0x08
FCB: Final = 0x20
FCV: Final = 0x10
# addresses
UNCONFIGURED: Final = 0
SELECTED: Final = 253
TEST: Final = 254  # everybody answers
BROADCAST: Final = 255  # nobody answers
LAST_PRIMARY: Final = 250


@dataclass(frozen=True, slots=True)
class Ack:
    """The single octet E5."""

    def encode(self) -> bytes:
        """One octet."""
        return bytes((ACK,))


@dataclass(frozen=True, slots=True)
class ShortFrame:
    """A frame without data.    control: C.    address: A."""

    control: int
    address: int

    def encode(self) -> bytes:
        """Five octets."""
        return bytes((SHORT, self.control, self.address, self.control + self.address & 0xFF, STOP))


@dataclass(frozen=True, slots=True)
class LongFrame:
    """A frame with data, possibly none (then it is a control frame).    information: CI."""

    control: int
    address: int
    information: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Octets. DecodeError when the data is too long."""
        if len(self.data) > MAX_DATA:
            raise DecodeError(f"an M-Bus frame holds at most {MAX_DATA} octets of data, got {len(self.data)}")
        body = bytes((self.control, self.address, self.information)) + self.data
        return bytes((LONG, len(body), len(body), LONG)) + body + bytes((sum(body) & 0xFF, STOP))


Frame = Ack | ShortFrame | LongFrame


def decode_frame(octets: bytes) -> Frame:
    """One whole frame. DecodeError says what is wrong with it."""
    if octets == bytes((ACK,)):
        return Ack()
    if octets[:1] == bytes((SHORT,)):
        if len(octets) != 5 or octets[4] != STOP:
            raise DecodeError(f"a short M-Bus frame has 5 octets and ends with 16, got {octets.hex()}")
        if octets[1] + octets[2] & 0xFF != octets[3]:
            raise DecodeError(f"wrong checksum of a short M-Bus frame {octets.hex()}")
        return ShortFrame(octets[1], octets[2])
    if len(octets) < 9 or octets[0] != LONG or octets[3] != LONG or octets[1] != octets[2]:
        raise DecodeError(f"no M-Bus frame: {octets[:8].hex()}")
    if octets[1] < 3 or len(octets) != octets[1] + 6 or octets[-1] != STOP:
        raise DecodeError(f"a long M-Bus frame of L = {octets[1]} has {octets[1] + 6} octets, got {len(octets)}")
    body = octets[4:-2]
    if sum(body) & 0xFF != octets[-2]:
        raise DecodeError("wrong checksum of a long M-Bus frame")
    return LongFrame(body[0], body[1], body[2], body[3:])


class FrameReader:
    """Finds frames in octets as they come.    skipped: octets that belonged to none."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self.skipped = 0

    def push(self, octets: bytes) -> list[Frame]:
        """Octets in, whole frames out. What cannot be a frame is skipped octet by octet and counted."""
        self._octets += octets
        found: list[Frame] = []
        while self._octets:
            length = self._length()
            if length is None:
                break
            try:
                found.append(decode_frame(bytes(self._octets[:length])))
                del self._octets[:length]
            except DecodeError:
                del self._octets[0]
                self.skipped += 1
        return found

    def reset(self) -> None:
        """A pause on the line: what has begun will not end."""
        self.skipped += len(self._octets)
        self._octets.clear()

    def _length(self) -> int | None:
        """Octets of the frame that begins here, None: not all are there; 1 for octets that begin none."""
        start = self._octets[0]
        if start == SHORT:
            return 5 if len(self._octets) >= 5 else None
        if start != LONG:
            return 1
        if len(self._octets) < 4:
            return None
        if self._octets[3] != LONG or self._octets[1] != self._octets[2] or self._octets[1] < 3:
            return 1
        return self._octets[1] + 6 if len(self._octets) >= self._octets[1] + 6 else None
