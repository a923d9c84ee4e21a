"""`line:ENDPOINT`: listens to a running graph's line at a free coupler and sends nothing.

Options: coupler (a certain one), wait_s (5: how long to wait for the line), queue_s (2: samples that wait for the reader).
The line is in lock-step with whoever has joined; a thread therefore answers it at once, whatever the reader does.
"""

import os
import threading
from typing import Final

from ..errors import FrontEndError, StationError
from ..graph import DEFAULT_ENDPOINT
from ..stream import StationPort
from .contract import Address, Block, SourceStatistics
from .waiting import BlockQueue

PROMISED: Final = 24  # blocks of silence promised beyond what the line needs to go on


class LineSource:
    """What a free coupler of a line hears. It stays while the line is away and goes on when it is back.

    Args:
        endpoint: of the line.    coupler: wanted, -1 = any free one.    wait_s: for the line.    queue_s: that wait to be read.
    Raises:
        FrontEndError: no line answers, or it refuses.
    """

    def __init__(self, endpoint: str, coupler: int = -1, wait_s: float = 5.0, queue_s: float = 2.0) -> None:
        self.name, self.sample_rate = f"line {endpoint}", 0.0
        self.statistics = SourceStatistics()
        self._endpoint, self._coupler, self._queue_s = endpoint, coupler, queue_s
        self._queue: BlockQueue | None = None
        self._stop, self._joined = threading.Event(), threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._follow, name=self.name, daemon=True)
        self._thread.start()
        answered = self._joined.wait(wait_s)
        if self._problem or not answered:
            self.close()
            raise FrontEndError(self._problem or f"{self.name}: no line answers within {wait_s:g} s")

    @property
    def ended(self) -> bool:
        """It was closed, or refused by a line that came back."""
        return self._queue is None or self._queue.ended

    def read(self, timeout_s: float) -> Block | None:
        """See SampleSource."""
        return None if self._queue is None else self._queue.get(timeout_s)

    def close(self) -> None:
        """Leave the line."""
        self._stop.set()
        self._thread.join(2.0)

    def _follow(self) -> None:
        port: StationPort | None = None
        try:
            port = StationPort(self._endpoint, f"monitor-{os.getpid()}-{id(self) & 0xFFFF:04x}", self._coupler, 0.0)
            self._listen(port)
        except StationError as error:
            self._problem = str(error)
        finally:
            if port is not None:
                port.close()
            if self._queue is not None:
                self._queue.finish()
            self._joined.set()

    def _listen(self, port: StationPort) -> None:
        welcome: object = None
        promised = 0
        while not self._stop.is_set():
            block = port.receive()
            if port.welcome is not welcome:
                welcome, promised = port.welcome, 0
            if port.welcome is not None and self._queue is None:
                self.sample_rate = port.clock.sample_rate
                self._queue = BlockQueue(self.statistics, round(self._queue_s * self.sample_rate))
                self._joined.set()
            if block is None or block.samples is None or self._queue is None:
                continue
            end = block.first_sample + block.count
            until = end + (1 + port.latency + PROMISED) * port.block
            start = max(promised, block.first_sample + (1 + port.latency) * port.block)
            if until - start >= PROMISED // 2 * port.block:
                port.send(start, None, until - start)
                promised = until
            self._queue.put(block.first_sample, block.samples)


def open_line_source(address: Address) -> LineSource:
    """`line:ENDPOINT`, see the top of this module."""
    address.check_options(("coupler", "wait_s", "queue_s"))
    endpoint = address.place or DEFAULT_ENDPOINT
    if "://" not in endpoint:
        endpoint = f"tcp://{endpoint}"
    wait_s = address.number("wait_s", 5.0, 0.0, 3600.0)
    queue_s = address.number("queue_s", 2.0, 0.01, 60.0)
    assert wait_s is not None and queue_s is not None
    try:
        return LineSource(endpoint, address.integer("coupler", -1, -1, 999), wait_s, queue_s)
    except FrontEndError as error:
        raise address.error(str(error)) from None
