"""What a station tells the world: frames and events on a ZeroMQ bus, from every process to the one that runs the graph.

The header's first_sample is the instant, so that whoever collects them can sort by the sample clock: the order in
which processes happen to be scheduled never shows.
"""

import contextlib
from typing import Any, Final

import msgspec
import zmq

from . import messages
from .errors import StreamError
from .messages import Kind, Message, SampleBlock
from .sockets import configure

Scalar = str | int | float | bool | None


class FrameSent(msgspec.Struct, frozen=True, tag=True):
    """A frame that a station put on the line: `count` samples from `first_sample`, ramps included.

    `start_sample` is the start of bit 0. `lpdu` includes the CRC.
    """

    station: str
    first_sample: int
    count: int
    start_sample: int
    carrier: str
    lpdu: bytes


class PacketReceived(msgspec.Struct, frozen=True, tag=True):
    """A packet as a station's receiver reported it; `own` marks one that overlaps the station's own transmission."""

    station: str
    start_sample: int
    end_sample: int
    carrier: str
    lpdu: bytes
    crc_ok: bool
    esn0_db: float
    clock_ppm: float
    corrected_bits: int
    own: bool = False


class StationEvent(msgspec.Struct, frozen=True, tag=True):
    """Anything else that happened at a station. `sample` is when; `text` is one line for a person."""

    station: str
    sample: int
    name: str
    text: str = ""
    values: dict[str, Scalar] = {}


class Reading(msgspec.Struct, frozen=True, tag=True):
    """Everything read from one meter in one pass; `reading` is plain data for JSON."""

    station: str
    sample: int
    unique_node_id: str
    address: str
    reading: dict[str, Any] = {}


class Finished(msgspec.Struct, frozen=True, tag=True):
    """A station has done what it was started for, e.g. a concentrator's single pass. `ok` False: somebody is silent."""

    station: str
    sample: int
    ok: bool
    text: str = ""


Event = FrameSent | PacketReceived | StationEvent | Reading | Finished

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Event)


def instant(event: Event) -> int:
    """The sample index by which events are sorted: when the thing was known to the station."""
    if isinstance(event, FrameSent):
        return event.first_sample
    if isinstance(event, PacketReceived):
        return event.end_sample
    return event.sample


def encode_event(event: Event) -> list[bytes]:
    """An event as the parts of one multipart message."""
    kind = Kind.FRAME if isinstance(event, FrameSent | PacketReceived) else Kind.EVENT
    return messages.encode(Message(kind, instant(event), _ENCODER.encode(event)))


def decode_event(parts: list[bytes]) -> Event:
    """Inverse of `encode_event`; StreamError when it is none."""
    message = messages.decode(parts)
    if isinstance(message, SampleBlock) or message.kind not in (Kind.FRAME, Kind.EVENT):
        raise StreamError("neither a frame nor an event")
    try:
        event: Event = _DECODER.decode(message.payload)
        return event
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise StreamError(f"{message.kind.name.lower()} message: {error}") from None


class EventSender:
    """The station's end of the bus. Without an endpoint events go nowhere."""

    def __init__(self, endpoint: str | None, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._socket: zmq.Socket[bytes] | None = None
        self.dropped = 0
        if endpoint:
            self._socket = (context or zmq.Context.instance()).socket(zmq.PUSH)
            configure(self._socket)
            self._socket.connect(endpoint)

    def send(self, event: Event) -> None:
        """Never waits: an event that finds the queue full is counted and dropped."""
        if self._socket is not None:
            try:
                self._socket.send_multipart(encode_event(event), zmq.NOBLOCK)
            except zmq.Again:
                self.dropped += 1

    def close(self) -> None:
        """Deliver what is queued (up to the linger time) and close."""
        if self._socket is not None:
            self._socket.close()


class EventReceiver:
    """The collecting end of the bus."""

    def __init__(self, endpoint: str, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._socket: zmq.Socket[bytes] = (context or zmq.Context.instance()).socket(zmq.PULL)
        configure(self._socket)
        self._socket.setsockopt(zmq.RCVHWM, 0)  # events are few and must not be lost
        self._socket.bind(endpoint)
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.malformed = 0

    def receive(self, timeout_ms: int) -> list[Event]:
        """All events that are there; waits up to `timeout_ms` for the first."""
        found: list[Event] = []
        if not self._socket.poll(timeout_ms):
            return found
        with contextlib.suppress(zmq.Again):
            while True:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
                try:
                    found.append(decode_event(parts))
                except StreamError:
                    self.malformed += 1
        return found

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(0)
