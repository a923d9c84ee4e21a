"""A wired M-Bus with its slaves, and the bus as a port that foreign masters can use.

    master's frame --> every slave --> one answer, none, or a collision
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import DecodeError
from .frame import Ack, Frame, FrameReader, LongFrame, ShortFrame, decode_frame
from .slave import DEFAULT_BAUD, MbusSlave

PAUSE: Final = 0.5  # s of silence after which a frame that has begun is given up: grade D


class MbusBus:
    """Slaves on two wires.    slaves: the devices.    exchanges: frames sent by masters.    collisions: answers that met."""

    def __init__(self, slaves: Sequence[MbusSlave] = ()) -> None:
        self.slaves = list(slaves)
        self.exchanges = self.collisions = 0

    def exchange(self, frame: ShortFrame | LongFrame, now: float, baud: int = DEFAULT_BAUD) -> bytes:
        """Send a frame; the octets that come back: a frame, nothing, or what is left of several.

        Acknowledgements are one octet each and look like one when they meet; other answers destroy each other.
        """
        self.exchanges += 1
        answers: list[Frame] = []
        for slave in self.slaves:
            if slave.baud == baud:
                answer = slave.receive(frame, now)
                if answer is not None:
                    answers.append(answer)
        if not answers:
            return b""
        if len(answers) == 1 or all(isinstance(answer, Ack) for answer in answers):
            return answers[0].encode()
        self.collisions += 1
        octets = [answer.encode() for answer in answers]
        # A space (0) of any slave wins: the current of one is enough to pull the line.
        return bytes(_and(row) for row in zip(*octets, strict=False))


def _and(octets: tuple[int, ...]) -> int:
    result = 0xFF
    for one in octets:
        result &= one
    return result


def answer_of(octets: bytes) -> Frame | None:
    """What a master understands of an answer; None: nothing or nonsense."""
    if not octets:
        return None
    try:
        return decode_frame(octets)
    except DecodeError:
        return None


class MbusPort:
    """A bus served to a master over a line. Sans I/O."""

    def __init__(self, bus: MbusBus) -> None:
        self._bus, self._reader = bus, FrameReader()
        self._out = bytearray()
        self._heard: float | None = None

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the master."""
        if self._heard is not None and now - self._heard > PAUSE:
            self._reader.reset()
        self._heard = now
        for frame in self._reader.push(octets):
            if not isinstance(frame, Ack):
                self._out += self._bus.exchange(frame, now)

    def octets_to_send(self, now: float) -> bytes:
        """Answers."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def next_timer(self) -> float | None:
        """None: it never acts by itself."""
        return None

    def on_timer(self, now: float) -> None:
        """Nothing."""

    def line_lost(self, now: float) -> None:
        """The master is gone."""
        self._reader.reset()
        self._out.clear()

    def next_event(self) -> None:
        """None: it tells nothing."""
        return None
