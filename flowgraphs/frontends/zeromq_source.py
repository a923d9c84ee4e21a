"""`zmq+sub://HOST:PORT`, `zmq+pull://HOST:PORT`: samples from anybody who sends them over ZeroMQ.

Options: rate (Hz; needed when the stream does not tell it), format (auto | framed | gnuradio), key (a filter key of SUB), wait_s
(5: how long to wait for a stream that tells its rate), reorder_s (0.02), volts_per_unit (1), and those of endpoints.py. The
framings are described in WIRE_FORMAT.md.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import zmq

from ..errors import FrontEndError, StreamError
from .contract import Address, Block, SourceStatistics
from .endpoints import LARGEST_MESSAGE, PARTNER, SOCKET_OPTIONS, Link
from .ordering import REORDER_S, BareOrder, StreamOrder
from .received import BARE, FORMATS, MessageReader, Piece

OPTIONS: Final = ("rate", "format", "key", "wait_s", "reorder_s", "volts_per_unit", *SOCKET_OPTIONS)
LOOK_S: Final = 0.02  # between two looks at the connections while messages flow
MISFIT_S: Final = 1.0  # a stream in which nothing fits for so long is an error
FEW: Final = 3  # messages that do not fit are enough when none ever did
SAME_RATE: Final = 1e-6


class Stream:
    """Messages made into blocks: everything of a source but its socket and its clock.

    Args:
        form: see MessageReader.    rate: Hz, None = what the stream tells.    reorder_s: see StreamOrder.    scale: V of 1.0.

    Attributes:
        sample_rate: Hz, None until it is known.    misfit: why messages do not fit, "" while they do.
    """

    def __init__(
        self, statistics: SourceStatistics, form: str = "auto", rate: float | None = None, reorder_s: float = REORDER_S,
        scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.statistics, self.sample_rate = statistics, rate
        self.reader = MessageReader(form)
        self.misfit, self.misfits = "", 0
        self.misfit_since = 0.0
        self.fitted = 0  # messages
        self._reorder_s, self._scale = reorder_s, np.float32(scale)
        self._order: StreamOrder | BareOrder | None = None
        self._ready: deque[Block] = deque()
        self._end = 0  # of what was given out
        self._framing = ""  # of the blocks in order

    @property
    def ordered(self) -> bool:
        """Has the stream an index?"""
        return not isinstance(self._order, BareOrder)

    def put(self, parts: Sequence[memoryview], now: float) -> None:
        """Take a message that arrived at `now` s."""
        try:
            for piece in self.reader.read(parts):
                self._take(piece, now)
            self.misfit, self.misfits = "", 0
            self.fitted += 1
        except StreamError as error:
            self.statistics.malformed += 1
            self._note_misfit(str(error), now)

    def get(self, now: float) -> Block | None:
        """The next block in order, or None."""
        if self._order is None:
            return None
        block = self._ready.popleft() if self._ready else self._order.get(now)
        if block is None:
            return None
        self._end = block.end
        return block if self._scale == 1 else Block(block.first_sample, block.samples * self._scale, block.missing_before)

    def wait_s(self, now: float) -> float | None:
        """See StreamOrder."""
        return None if self._order is None else self._order.wait_s(now)

    def interrupted(self) -> None:
        """The sender's connection was lost."""
        if isinstance(self._order, BareOrder):
            self._order.interrupted()

    def _take(self, piece: Piece, now: float) -> None:
        if piece.rate is not None:
            if self.sample_rate is None:
                self.sample_rate = piece.rate
            elif abs(piece.rate / self.sample_rate - 1) > SAME_RATE:
                self.statistics.wrong_rate += 1
                self.statistics.malformed -= 1
                raise StreamError(f"the sender's rate is {piece.rate:g} Hz, this end works at {self.sample_rate:g} Hz")
        if self.sample_rate is None:
            kind = "a stream of bare items" if piece.first_sample is None else "this stream"
            raise StreamError(f"{kind} does not tell its sample rate: add ?rate=HZ")
        if self._order is None or self.reader.framing != self._framing:
            self._framing = self.reader.framing
            self._change_order(piece.first_sample is None)
        if isinstance(self._order, BareOrder):
            self._order.put(piece.samples, now)
        else:
            assert self._order is not None and piece.first_sample is not None
            self._order.put(piece.first_sample, piece.samples, piece.run, now)

    def _change_order(self, bare: bool) -> None:
        """The first message, or a sender that came back with another framing."""
        assert self.sample_rate is not None
        end = self._end
        while self._order is not None and (block := self._order.get(float("inf"))) is not None:
            self._ready.append(block)
            end = block.end
        again = self._order is not None
        self.statistics.restarts += again
        start = end + 1 if again else None
        if bare:
            self._order = BareOrder(self.statistics, self.sample_rate, first=start)
        else:
            self._order = StreamOrder(self.statistics, self.sample_rate, self._reorder_s, first=start)

    def _note_misfit(self, text: str, now: float) -> None:
        if not self.misfit:
            self.misfit_since = now
        self.misfit = text
        self.misfits += 1


class ZeromqSource:
    """Samples of one stream.

    Args:
        link: to the sender.    rate: Hz, or None.    form, reorder_s, scale: see Stream.
        wait_s: for a stream that tells its rate.
    Raises:
        FrontEndError: no rate is given, and no stream comes within wait_s that tells one.
    """

    def __init__(
        self, link: Link, rate: float | None = None, form: str = "auto", wait_s: float = 5.0, reorder_s: float = REORDER_S,
        scale: float = 1.0, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.statistics = SourceStatistics()
        self.link, self.stream = link, Stream(self.statistics, form, rate, reorder_s, scale)
        self._clock, self._closed = clock, False
        self._looked_at, self._lost = 0.0, 0
        self._parted = False  # a connection was lost, and nothing that came later has been read
        self._unread = 0  # messages taken since the queue was empty
        self._full_at = -math.inf  # newest block of a queue that was nearly full
        self.sample_rate = 0.0
        self.name = f"ZeroMQ {link.endpoint}"
        if rate is None:
            try:
                self._learn_rate(wait_s)
            except FrontEndError:
                self.close()
                raise
        assert self.stream.sample_rate is not None
        self.sample_rate = self.stream.sample_rate

    @property
    def ended(self) -> bool:
        """It was closed; a sender that is away may come back."""
        return self._closed

    def read(self, timeout_s: float) -> Block | None:
        """See SampleSource.

        Raises:
            FrontEndError: for a second nothing in the stream fits: another item type, rate or framing; the text says which.
                The source goes on when it is read again.
        """
        if self._closed:
            return None
        stream, now = self.stream, self._clock()
        deadline = now + timeout_s
        while True:
            block = stream.get(now)
            if block is not None:
                return self._watch_queue(block)
            self._check(now)
            held_s = stream.wait_s(now)
            until = deadline if held_s is None else min(deadline, now + held_s)
            arrived = self._receive(max(0.0, until - now))
            now = self._clock()
            if not arrived and now >= deadline:
                last = stream.get(now)
                return None if last is None else self._watch_queue(last)

    def close(self) -> None:
        """Leave the stream."""
        self._closed = True
        self.link.close()

    def advice(self) -> str:
        """What to check when nothing comes."""
        return advice(self.link)

    def _receive(self, timeout_s: float) -> bool:
        """Take one message; whether there was one."""
        link, now = self.link, self._clock()
        if now - self._looked_at > LOOK_S:
            self._look(now)
        self._judge_parting(link.peers > 0 and self._unread <= 1)
        if not link.socket.poll(0):
            self._unread = 0
            self._judge_parting(True)
            if not link.socket.poll(math.ceil(1000 * timeout_s)):
                return False
            now = self._clock()
            self._look(now)
            self._judge_parting(link.peers > 0)
        self._unread += 1
        parts = link.socket.recv_multipart(copy=False)
        self.stream.put([part.buffer for part in parts], now)
        return True

    def _judge_parting(self, all_read: bool) -> None:
        """A lost connection breaks a stream of bare items, but not before what had come until then was read."""
        if self._parted and all_read:
            self._parted = False
            self.stream.interrupted()

    def _watch_queue(self, block: Block) -> Block:
        """What is missing behind a queue that was full was lost here, not by the sender."""
        count = self.statistics.blocks
        if block.missing_before and count - self._full_at <= self.link.high_water_mark:
            self.statistics.overruns += 1
            self._full_at = -math.inf
        if self._unread >= 0.9 * self.link.high_water_mark:
            self._full_at = count
        return block

    def _look(self, now: float) -> None:
        self._looked_at = now
        self.link.look()
        self._parted |= self.link.lost != self._lost
        self._lost = self.link.lost

    def _check(self, now: float) -> None:
        stream = self.stream
        if stream.misfit and (now - stream.misfit_since >= MISFIT_S or (not stream.fitted and stream.misfits >= FEW)):
            text, stream.misfit, stream.misfits = stream.misfit, "", 0
            raise self.link.address.error(text)

    def _learn_rate(self, wait_s: float) -> None:
        deadline = self._clock() + wait_s
        while self.stream.sample_rate is None:
            left = deadline - self._clock()
            if left <= 0:
                raise self.link.address.error(self.stream.misfit or f"nothing came within {wait_s:g} s: {self.advice()}")
            self._receive(left)
            # The first messages of GNU Radio may come before the one with the rx_rate tag; bare items will never tell.
            if self.stream.misfits >= FEW and self.stream.reader.framing in ("", BARE):
                self._check(self._clock())


def advice(link: Link) -> str:
    """What to check when nothing comes over a link."""
    link.look()
    partner = PARTNER[link.kind_name]
    if link.problem:
        return link.problem
    if link.peers:
        key = "; its filter key may be another (key=)" if link.kind_name == "SUB" else ""
        return f"the other end is connected and sends nothing: is its flow graph running?{key}"
    if link.lost:
        return (
            f"the other end connects and goes away again: it stopped, or its messages are larger than {LARGEST_MESSAGE} octets"
        )
    if link.bind:
        return f"no {partner} has connected to {link.endpoint}; if it binds as well, say bind=no here"
    return f"no {partner} answers at {link.endpoint}: is it running, is the port right? If it connects as well, say bind=yes here"


def open_zeromq_source(address: Address) -> ZeromqSource:
    """`zmq+sub://HOST:PORT` or `zmq+pull://HOST:PORT`, see the top of this module."""
    address.check_options(OPTIONS)
    rate, form = address.rate(), address.choice("format", "auto", FORMATS)
    wait_s = address.number("wait_s", 5.0, 0.0, 86_400.0)
    reorder_s = address.number("reorder_s", REORDER_S, 0.0, 1.0)
    scale = address.number("volts_per_unit", 1.0, 1e-9, 1e9)
    assert wait_s is not None and reorder_s is not None and scale is not None
    key = address.options.get("key", "").encode()
    if key and address.scheme != "zmq+sub":
        raise address.error("a filter key is for zmq+sub")

    def prepare(socket: zmq.Socket[bytes]) -> None:
        if address.scheme == "zmq+sub":
            socket.setsockopt(zmq.SUBSCRIBE, key)

    link = Link(address, False, prepare)
    return ZeromqSource(link, rate, form, wait_s, reorder_s, scale)
