"""What one coupler of a simulated line hears, for whoever only looks: sent aside, and dropped rather than waited for.

    line (PUB, connects)  -- blocks of some 20 ms -->  onlooker (SUB, binds)

The line never waits for an onlooker; what one misses is a gap in the sample index, and counted there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import zmq
from numpy.typing import NDArray

from . import messages
from .errors import StationError, StreamError
from .frontends.contract import Block, SourceStatistics
from .messages import SampleBlock
from .sockets import configure

TOGETHER_S: Final = 0.02  # s of line in one message


class MonitorSender:
    """The line's end.    endpoint: of the onlooker.    coupler: whose voltage it is.    sample_rate: Hz."""

    def __init__(self, endpoint: str, coupler: int, sample_rate: float) -> None:
        self.coupler = coupler
        self._sample_rate = sample_rate
        self._least = max(1, round(TOGETHER_S * sample_rate))
        self._waiting: list[NDArray[np.float32]] = []
        self._count = self._first = 0
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
        configure(self._socket)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise StationError(f"--monitor: cannot connect to {endpoint}: {error}") from None

    def write(self, x: NDArray[np.float32], index: int) -> None:
        """(N,) float32 V from the absolute sample `index` on."""
        if self._waiting and index != self._first + self._count:
            self._send()
        if not self._waiting:
            self._first = index
        self._waiting.append(x.copy())
        self._count += x.size
        if self._count >= self._least:
            self._send()

    def close(self) -> None:
        """Send what is left and close."""
        if self._waiting:
            self._send()
        self._socket.close()

    def _send(self) -> None:
        x = np.concatenate(self._waiting)
        self._socket.send_multipart(messages.encode_samples(self._first, self._sample_rate, x, x.size, self.coupler), zmq.NOBLOCK)
        self._waiting, self._count = [], 0


class MonitorSource:
    """The onlooker's end, a `SampleSource`.

    Args:
        endpoint: to bind.    sample_rate: Hz, that of the line.    name: for people.
    Attributes:
        endpoint: where it is bound.
    """

    def __init__(self, endpoint: str, sample_rate: float, name: str) -> None:
        self.sample_rate, self.name = sample_rate, name
        self.statistics = SourceStatistics()
        self.ended = False
        self._next: int | None = None
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        configure(self._socket)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise StationError(f"cannot bind {endpoint}: {error}") from None
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def read(self, timeout_s: float) -> Block | None:
        """See `SampleSource`."""
        if self.ended or not self._socket.poll(max(1, round(1000 * timeout_s))):
            return None
        try:
            message = messages.decode(self._socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return None
        except StreamError:
            self.statistics.malformed += 1
            return None
        if not isinstance(message, SampleBlock) or message.samples is None or message.sample_rate != self.sample_rate:
            self.statistics.malformed += 1
            return None
        first = message.first_sample
        if self._next is not None and first < self._next:
            self.statistics.late += 1
            return None
        missing = 0 if self._next is None else first - self._next
        self._next = first + message.count
        return self.statistics.count(Block(first, message.samples, missing))

    def close(self) -> None:
        """See `SampleSource`."""
        if not self._socket.closed:
            self._socket.close(0)
        self.ended = True
