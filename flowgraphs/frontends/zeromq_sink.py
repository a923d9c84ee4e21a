"""`zmq+pub://HOST:PORT`, `zmq+push://HOST:PORT`: samples to anybody who takes them over ZeroMQ.

Options: rate (required), format (framed | gnuradio), tags (no: with gnuradio, its tag header with rx_rate before the items),
key (a filter key before each message of PUB), wait_s (how long a write may wait for a slow or absent receiver; 0 at PUB, where
each subscriber loses what it cannot take, 1 at PUSH), wait_peer_s (0: how long the first write waits for a receiver),
volts_per_unit (1), and those of endpoints.py.
"""

import secrets
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import zmq
from numpy.typing import NDArray

from ..messages import RUN_SHIFT, SAMPLE, samples_header
from .contract import Address, SinkStatistics
from .endpoints import SOCKET_OPTIONS, Link
from .gnuradio_messages import StreamTag, encode_tagged
from .placing import Placer

OPTIONS: Final = ("rate", "format", "tags", "key", "wait_s", "wait_peer_s", "volts_per_unit", *SOCKET_OPTIONS)
MESSAGE: Final = 8192  # samples in one; GNU Radio's own have no more
RATE_EVERY_S: Final = 1.0  # who joins late learns the rate soon


class ZeromqSink:
    """Samples to one stream. What is not written is silence, in each framing.

    Args:
        link: to the receivers.    sample_rate: Hz.    form: framed or gnuradio.    tags: with GNU Radio's tag header.
        key: sent before each message.    wait_s, wait_peer_s: see above.    scale: V of 1.0.
    """

    def __init__(
        self, link: Link, sample_rate: float, form: str = "framed", tags: bool = False, key: bytes = b"", wait_s: float = 0.0,
        wait_peer_s: float = 0.0, scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.link, self.sample_rate, self.name = link, sample_rate, f"ZeroMQ {link.endpoint}"
        self.statistics = SinkStatistics()
        self._placer = Placer(self.statistics)
        self._form, self._tags, self._key, self._scale = form, tags, key, np.float32(1 / scale)
        self._wait_s, self._wait_peer_s = wait_s, wait_peer_s
        self._run = secrets.randbelow((1 << 32 - RUN_SHIFT) - 1) + 1
        self._origin: int | None = None  # index at which GNU Radio's count begins
        self._rate_told_at = -1
        self._subscriptions = 0
        self._closed = False
        if link.kind_name == "PUB" and wait_s > 0:
            link.socket.setsockopt(zmq.XPUB_NODROP, 1)

    @property
    def peers(self) -> int:
        """Receivers that are connected, and at PUB have subscribed."""
        self._look()
        return self._subscriptions if self.link.kind_name == "PUB" else self.link.peers

    def write(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """See SampleSink. Samples that nobody takes within wait_s are dropped and counted."""
        if self._closed:
            return
        if self._origin is None:
            self._origin = first_sample
            self._await_peer()
        self._look()
        for piece in self._placer.place(first_sample, samples):
            assert self._placer.next_sample is not None
            index = self._placer.next_sample - piece.size
            for at in range(0, piece.size, MESSAGE):
                part = piece[at : at + MESSAGE]
                if not self._send(self._message(index + at, part)):
                    self.statistics.dropped += part.size

    def close(self) -> None:
        """Send what is waiting, as far as somebody takes it within the linger time."""
        self._closed = True
        self.link.close()

    def _message(self, index: int, x: NDArray[np.float32]) -> Sequence[bytes | memoryview]:
        assert self._origin is not None
        if self._form == "framed":
            silent = not x.any()
            header = samples_header(index, self.sample_rate, x.size, silent, run=self._run)
            # A copy of our own: the caller may use its array again while ours is on its way, from where it is not copied again.
            return [header] if silent else [header, self._scaled(x)]
        items: bytes | memoryview = self._scaled(x)
        if self._tags:
            offset = index - self._origin
            due = self._rate_told_at < 0 or offset - self._rate_told_at >= RATE_EVERY_S * self.sample_rate
            told = [StreamTag(offset, "rx_rate", float(self.sample_rate))] if due else []
            if due:
                self._rate_told_at = offset
            items = encode_tagged(offset, items, told)
        return [self._key, items] if self._key else [items]

    def _scaled(self, x: NDArray[np.float32]) -> memoryview:
        return np.array(x if self._scale == 1 else x * self._scale, SAMPLE, order="C").data.cast("B")

    def _send(self, parts: Sequence[bytes | memoryview]) -> bool:
        socket = self.link.socket
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                socket.send_multipart(parts, zmq.DONTWAIT, copy=False)
                return True
            except zmq.Again:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                # An XPUB that may not drop says that it is writable while one subscriber is full; then only trying helps.
                if socket.poll(max(1, round(1000 * left)), zmq.POLLOUT):
                    time.sleep(min(left, 1e-3))

    def _await_peer(self) -> None:
        deadline = time.monotonic() + self._wait_peer_s
        while self.peers == 0 and time.monotonic() < deadline:
            time.sleep(2e-3)

    def _look(self) -> None:
        self.link.look()
        if self.link.kind_name != "PUB":
            return
        while self.link.socket.poll(0):
            news = self.link.socket.recv(zmq.DONTWAIT)
            self._subscriptions = max(0, self._subscriptions + (1 if news[:1] == b"\x01" else -1))


def open_zeromq_sink(address: Address) -> ZeromqSink:
    """`zmq+pub://HOST:PORT?rate=HZ` or `zmq+push://HOST:PORT?rate=HZ`, see the top of this module."""
    address.check_options(OPTIONS)
    rate, form = address.required_rate(), address.choice("format", "auto", ("auto", "framed", "gnuradio"))
    tags, key = address.flag("tags"), address.options.get("key", "").encode()
    if tags and form != "gnuradio":
        raise address.error("tags are GNU Radio's: say format=gnuradio")
    if key and (form != "gnuradio" or address.scheme != "zmq+pub"):
        raise address.error("a filter key goes with zmq+pub and format=gnuradio")
    wait_s = address.number("wait_s", 0.0 if address.scheme == "zmq+pub" else 1.0, 0.0, 3600.0)
    wait_peer_s = address.number("wait_peer_s", 0.0, 0.0, 86_400.0)
    scale = address.number("volts_per_unit", 1.0, 1e-9, 1e9)
    assert wait_s is not None and wait_peer_s is not None and scale is not None

    def prepare(socket: zmq.Socket[bytes]) -> None:
        if address.scheme == "zmq+pub":
            socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # every subscriber counts, not only the first and the last

    return ZeromqSink(
        Link(address, True, prepare), rate, "framed" if form == "auto" else form, tags, key, wait_s, wait_peer_s, scale
    )
