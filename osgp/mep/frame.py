"""Frames of the MEP port: a length word in front; zero as length word is an alert. Timing rules of the port.

    request, response   length(2 BE) | body            RC4 mode: PDU, digest (see security.mep); TLS mode: code, TLS records
    alert               00 00                          from the meter only, outside responses
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import ConfigurationError
from ..security.exchange import SEQUENCE_OCTETS, TAG_OCTETS

LENGTH_OCTETS: Final = 2
MAX_BODY: Final = 476  # octets behind the length word; grade A
MAX_RESPONSE: Final = MAX_BODY - TAG_OCTETS  # of a response PDU
MAX_READ: Final = MAX_RESPONSE - 3  # data octets of one read
MAX_WRITE: Final = MAX_BODY - TAG_OCTETS - SEQUENCE_OCTETS - 8  # data octets of one partial write: 456, grade A
ALERT: Final = bytes(LENGTH_OCTETS)


@dataclass(frozen=True, slots=True)
class MepTiming:
    """Timing rules of the port, s; grade A unless said otherwise.

    Args:
        between_octets: a frame that stops for longer is given up.
        between_requests: the meter takes one request in that time, the next one waits.
        segment: octets after which the meter pauses.    pause: for that long.
        alert: between two alerts, and after any received frame.
        response: a client sends the same octets again when no response begins within it.
        tries: how often it does; grade D.
        repeat: the meter answers the same octets with the stored response again; grade D.
    """

    between_octets: float = 0.05
    between_requests: float = 0.1
    segment: int = 117
    pause: float = 0.025
    alert: float = 1.0
    response: float = 0.5
    tries: int = 3
    repeat: float = 30.0

    def __post_init__(self) -> None:
        if min(self.between_octets, self.between_requests, self.pause, self.alert, self.response, self.repeat) < 0:
            raise ConfigurationError("MepTiming: no time may be below 0 s")
        if self.segment < 1 or self.tries < 1:
            raise ConfigurationError("MepTiming: segment and tries must be at least 1")


class MepDrop(Enum):
    """Why something received was not looked at."""

    GAP = "a frame that stopped too long"
    TOO_LONG = "longer than a frame may be"
    ZERO = "a zero length word from a client"
    BUSY = "more requests than the port keeps"
    UNEXPECTED = "a frame nobody waits for"


class FrameReader:
    """Finds frames in a stream of octets.

    Args:
        between_octets: see MepTiming.    max_body: longest frame body, octets.

    Attributes:
        drops: by reason.
    """

    def __init__(self, between_octets: float, max_body: int = MAX_BODY) -> None:
        self.drops: Counter[MepDrop] = Counter()
        self._between_octets, self._max_body = between_octets, max_body
        self._kept = bytearray()
        self._skipping = False  # behind a length that cannot be: until the line is silent
        self._octet_at = 0.0

    @property
    def waiting(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._kept) or self._skipping

    def deadline(self) -> float | None:
        """When a frame that has begun is given up."""
        return self._octet_at + self._between_octets if self.waiting else None

    def push(self, octets: bytes, now: float) -> list[bytes]:
        """Bodies of frames in order; an alert is an empty one."""
        self.expire(now)
        self._octet_at = now
        if self._skipping:
            return []
        kept = self._kept
        kept += octets
        bodies: list[bytes] = []
        while len(kept) >= LENGTH_OCTETS:
            length = int.from_bytes(kept[:LENGTH_OCTETS], "big")
            if length > self._max_body:
                self.drops[MepDrop.TOO_LONG] += 1
                kept.clear()
                self._skipping = True
                break
            if len(kept) < LENGTH_OCTETS + length:
                break
            bodies.append(bytes(kept[LENGTH_OCTETS : LENGTH_OCTETS + length]))
            del kept[: LENGTH_OCTETS + length]
        return bodies

    def expire(self, now: float) -> None:
        """Give up a frame that has stopped."""
        if self.waiting and now >= self._octet_at + self._between_octets:
            if self._kept:
                self.drops[MepDrop.GAP] += 1
            self._kept.clear()
            self._skipping = False

    def clear(self) -> None:
        """Forget what has been received."""
        self._kept.clear()
        self._skipping = False


def frame(body: bytes) -> bytes:
    """A body with its length word. ConfigurationError when it is longer than a frame may be."""
    if not 1 <= len(body) <= MAX_BODY:
        raise ConfigurationError(f"a MEP frame has 1..{MAX_BODY} octets behind its length, got {len(body)}")
    return len(body).to_bytes(LENGTH_OCTETS, "big") + body


class Pacer:
    """Lets octets out in segments with pauses between them."""

    def __init__(self, timing: MepTiming) -> None:
        self._timing = timing
        self._kept = bytearray()
        self._left = timing.segment
        self._not_before = 0.0

    def put(self, octets: bytes) -> None:
        """A response begins."""
        if not self._kept:
            self._left = self._timing.segment
        self._kept += octets

    def take(self, now: float) -> bytes:
        """What may go out now."""
        if not self._kept or now < self._not_before:
            return b""
        part = bytes(self._kept[: self._left])
        del self._kept[: self._left]
        if self._kept:
            self._not_before = now + self._timing.pause
            self._left = self._timing.segment
        return part

    @property
    def busy(self) -> bool:
        """Whether something is still to go out."""
        return bool(self._kept)

    def next_timer(self) -> float | None:
        """When more may go out."""
        return self._not_before if self._kept else None
