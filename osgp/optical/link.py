"""The C12.18 data link of either end: messages to acknowledged packets and back. Sans I/O; time is an argument.

    message --> send_message --> packets, one at a time, until each is acknowledged --> MessageSent | LinkFailed
    octets  --> receive_octets --> ACK or NAK, toggle, countdown --> MessageReceived
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import ConfigurationError, LocalProtocolError
from .packet import ACK, MAX_PAYLOAD, NAK, OVERHEAD, Item, Mark, Packet, PacketReader

# Defaults of ANSI C12.18 until something else is negotiated; grade C.
PACKET_SIZE: Final = 64
PACKETS: Final = 1
MIN_PACKET_SIZE: Final = 32  # below it a security request would need several packets; grade D
MAX_PACKETS: Final = 255


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """Instants of the data link, s.

    Args:
        acknowledgement: wait that long for the octet that answers a packet; grade C.
        between_octets: a packet that stops for longer is given up; grade C.
        tries: how often a packet is sent at most; grade B.
    """

    acknowledgement: float = 2.0
    between_octets: float = 0.5
    tries: int = 3

    def __post_init__(self) -> None:
        if not (self.acknowledgement > 0 and self.between_octets > 0):
            raise ConfigurationError("LinkTiming: acknowledgement and between_octets must be above 0 s")
        if not 1 <= self.tries <= 20:
            raise ConfigurationError(f"LinkTiming.tries must be 1..20, got {self.tries}")


class LinkDrop(Enum):
    """Why something received was not passed on."""

    BROKEN = "a packet failed its CRC or ended too early"
    DUPLICATE = "the same packet again"
    WRONG_IDENTITY = "another identity"
    OUT_OF_ORDER = "packets of a message are missing"
    TOO_LONG = "more packets than we can put together"
    FIRST = "the first packet of a sleeping port"


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A whole message arrived at `at`."""

    payload: bytes
    at: float


@dataclass(frozen=True, slots=True)
class MessageSent:
    """The last packet of our message was acknowledged at `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """A packet of ours was not acknowledged in all its tries."""

    at: float


LinkEvent = MessageReceived | MessageSent | LinkFailed


class Link:
    """One end of an optical line.

    Args:
        timing: instants.    max_payload: largest packet payload that is accepted, octets.
        max_packets: most packets of a received message, 1..256.
        zero_is_ack: take 0x00 for an acknowledgement: older meters mix alerts of the MEP port into the line (grade B).
        lose_first: the first packet after `sleep` is answered NAK and lost, as by older meters (grade A).

    Attributes:
        packet_size, packets: what we may send at most; negotiated.    drops: counted by reason.
    """

    def __init__(
        self,
        timing: LinkTiming | None = None,
        *,
        max_payload: int = MAX_PAYLOAD,
        max_packets: int = MAX_PACKETS,
        zero_is_ack: bool = False,
        lose_first: bool = False,
    ) -> None:
        self.timing = timing or LinkTiming()
        self.packet_size = PACKET_SIZE
        self.packets = PACKETS
        self.drops: Counter[LinkDrop] = Counter()
        self._reader = PacketReader(max_payload)
        self._max_packets = max_packets
        self._zero_is_ack = zero_is_ack
        self._lose_first = lose_first
        self._asleep = True
        self._output = bytearray()
        self._events: deque[LinkEvent] = deque()
        self._octet_at = 0.0
        self._sending: list[bytes] = []  # packets of the message on its way, the first is out
        self._message: list[bytes] = []  # all packets of the last message
        self._sent_times = 0
        self._again_at: float | None = None
        self._toggle = False
        self._last: tuple[bool, bytes] | None = None  # toggle and octets of the last packet accepted
        self._parts: list[bytes] = []
        self._expected: int | None = None  # sequence of the next packet of a message

    @property
    def capacity(self) -> int:
        """Octets of the longest message we may send."""
        return self.packets_room(self.packets)

    def packets_room(self, packets: int) -> int:
        """Octets of a message of that many packets."""
        return (self.packet_size - OVERHEAD) * packets

    @property
    def busy(self) -> bool:
        """Whether a message of ours is on its way."""
        return bool(self._sending)

    @property
    def receiving(self) -> bool:
        """Whether a packet or a message has begun to arrive."""
        return self._reader.waiting or bool(self._parts)

    def start_over(self) -> None:
        """Back to the first day: default sizes, no memory of toggles. A message on its way goes on."""
        self.packet_size, self.packets = PACKET_SIZE, PACKETS
        self._asleep = True
        self._toggle = False
        self._last = None
        self._parts.clear()
        self._expected = None

    def sleep(self) -> None:
        """The same, and nothing is on its way any more."""
        self.start_over()
        self.abandon()

    def abandon(self) -> None:
        """Give up the message on its way without an event."""
        self._sending.clear()
        self._again_at = None

    def send_message(self, payload: bytes, now: float) -> None:
        """Send one message. LocalProtocolError when one is on its way, ConfigurationError when it does not fit."""
        if self._sending:
            raise LocalProtocolError("a message is on its way already")
        if len(payload) > self.capacity:
            raise ConfigurationError(f"a message has at most {self.capacity} octets here, got {len(payload)}")
        room = self.packet_size - OVERHEAD
        parts = [payload[start : start + room] for start in range(0, len(payload), room)] or [b""]
        several = len(parts) > 1
        for number, part in enumerate(parts):
            packet = Packet(part, self._toggle, len(parts) - 1 - number, several, several and number == 0)
            self._toggle = not self._toggle
            self._sending.append(packet.encode())
        self._message = list(self._sending)
        self._sent_times = 0
        self._send(now)

    def resend(self, now: float) -> None:
        """Send the last message again, octet for octet; parts of an answer are forgotten."""
        self._reader.clear()
        self._parts.clear()
        self._expected = None
        self._sending = list(self._message)
        self._sent_times = 0
        self._send(now)

    def _send(self, now: float) -> None:
        self._output += self._sending[0]
        self._sent_times += 1
        self._again_at = now + self.timing.acknowledgement

    def _acknowledged(self, now: float) -> None:
        if not self._sending:
            return
        del self._sending[0]
        self._sent_times = 0
        if self._sending:
            self._send(now)
        else:
            self._again_at = None
            self._events.append(MessageSent(now))

    def _again(self, now: float) -> None:
        if self._sent_times < self.timing.tries:
            self._send(now)
        else:
            self.abandon()
            self._events.append(LinkFailed(now))

    def receive_octets(self, octets: bytes, now: float) -> None:
        """Octets from the line, any number."""
        if self._reader.waiting and now - self._octet_at >= self.timing.between_octets:
            self._take(self._reader.flush(), now)
        self._octet_at = now
        self._take(self._reader.push(octets), now)

    def _take(self, items: list[Item], now: float) -> None:
        for item in items:
            if isinstance(item, Packet):
                self._packet(item, now)
            elif item is Mark.ACK or (item is Mark.ZERO and self._zero_is_ack):
                self._acknowledged(now)
            elif item is Mark.NAK:
                if self._sending:
                    self._again(now)
            elif item is Mark.BROKEN:
                self.drops[LinkDrop.BROKEN] += 1
                self._output.append(NAK)

    def _packet(self, packet: Packet, now: float) -> None:
        if packet.identity:
            self.drops[LinkDrop.WRONG_IDENTITY] += 1
            return
        if self._asleep:
            self._asleep = False
            if self._lose_first:
                self.drops[LinkDrop.FIRST] += 1
                self._output.append(NAK)
                return
        octets = packet.encode()
        if self._last == (packet.toggle, octets):
            self._duplicate(packet, now)
            return
        if packet.sequence >= self._max_packets:
            self.drops[LinkDrop.TOO_LONG] += 1
            self._output.append(NAK)
            return
        if self._expected is not None and not packet.first and packet.sequence != self._expected:
            self.drops[LinkDrop.OUT_OF_ORDER] += 1
            self._parts.clear()
            self._expected = None
            self._output.append(NAK)
            return
        if packet.first or self._expected is None:
            self._parts.clear()
        # A new packet says that its sender has done with whatever we sent.
        self.abandon()
        self._output.append(ACK)
        self._last = (packet.toggle, octets)
        self._parts.append(packet.payload)
        if packet.sequence:
            self._expected = packet.sequence - 1
            return
        self._expected = None
        message = b"".join(self._parts)
        self._parts.clear()
        self._events.append(MessageReceived(message, now))

    def _duplicate(self, packet: Packet, now: float) -> None:
        """Our acknowledgement was lost, or our answer: say both again. Somebody who has both gets the acknowledgement only."""
        self.drops[LinkDrop.DUPLICATE] += 1
        self._output.append(ACK)
        if self._sending and not packet.sequence:
            self._again(now)

    def repeatable(self) -> None:
        """The next packet is a new one, whatever its toggle says."""
        self._last = None

    def octets_to_send(self, now: float) -> bytes:
        """Everything that must go out now."""
        octets = bytes(self._output)
        self._output.clear()
        return octets

    def drop_output(self) -> None:
        """What would go out does not: the port ignores the line."""
        self._output.clear()

    def next_timer(self) -> float | None:
        """When `on_timer` is wanted."""
        timers = []
        if self._again_at is not None:
            timers.append(self._again_at)
        if self._reader.waiting:
            timers.append(self._octet_at + self.timing.between_octets)
        return min(timers, default=None)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        if self._reader.waiting and now >= self._octet_at + self.timing.between_octets:
            self._take(self._reader.flush(), now)
        if self._again_at is not None and now >= self._again_at:
            self._again(now)

    def next_event(self) -> LinkEvent | None:
        """What happened, oldest first."""
        return self._events.popleft() if self._events else None
