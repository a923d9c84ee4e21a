"""Sample streams over ZeroMQ: the lock-step link between a line and its stations.

    station (DEALER, connects)                      line (ROUTER, binds)
      HELLO  name, coupler, next index it knows  ->
                                                 <- WELCOME  index, rate, block, latency, coupler
                                                 <- blocks k .. k+m-1 of the coupler           m = 1, 2, ...
      transmit blocks up to k+m + latency, or more ->
                                                 <- PING, while nothing comes
      PONG                                       ->
      BYE                                        -> (or <-)

The line emits block k when every joined station has delivered its transmit block k, so nobody is ever late and a
seeded run repeats exactly; with latency 1 or more, line and stations work at the same time. A station that knows that it
will not send for a while, or what it will send, delivers several blocks at once; the line then emits several in one
message. Stations still work block by block, so the result does not depend on how many travelled together. One ROUTER serves all
couplers: it knows from whom a message comes, so that a second station on a coupler is refused instead of getting
every other block, and it tells at once when a peer is gone. A dead peer is noticed when its connection closes, a
frozen station when it leaves pings unanswered; lock-step then goes on without it. It is told so when it wakes, and joins again.

A station that restarts joins at the line's index. A line that restarts resumes at the largest index that its stations
tell, so the sample clock never goes back.
"""

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from . import messages
from .clock import SampleClock
from .errors import StationError, StreamError
from .messages import Bye, Hello, Kind, Message, SampleBlock, Samples, Welcome
from .sockets import configure

POLL_MS: Final = 100  # how long a receive waits before it looks whether its peers are alive
MAX_AHEAD: Final = 64  # blocks; a transmit block further in the future than this is nonsense
MAX_TOGETHER: Final = 8  # blocks in one message of the line
MAX_JUMP_S: Final = 1.0  # a station may move a running line's clock forward by this much, not more


@dataclass(slots=True)
class LinkStatistics:
    """What went wrong on a link, by name."""

    malformed: int = 0  # not a message of ours
    stranger: int = 0  # a message from a peer that has not joined
    unexpected: int = 0  # a proper message of the wrong kind, size or rate
    late: int = 0  # a transmit block for a time that has passed
    gaps: int = 0  # a transmit block that skips some
    refused: int = 0  # HELLO that was answered with BYE
    lost_peers: int = 0  # peers that vanished without BYE, or were left behind


@dataclass(slots=True)
class Member:
    """A joined station as the line sees it."""

    identity: bytes
    name: str
    coupler: int
    next_sample: int  # transmit samples below this index are here or known to be silent
    blocks: dict[int, Samples] = field(default_factory=dict)
    unanswered: int = 0  # pings since it was last heard


class LinePort:
    """The line's end of the link.

    Args:
        endpoint: ZeroMQ endpoint to bind.
        couplers: number of couplers.    block: samples per block.    latency: blocks, at least 1.
        heartbeat_s: a station that answers nothing for so long while the line waits for it is left behind; 0 = never.
        report: called with one line of text when a station joins, leaves or is refused.
    """

    def __init__(
        self,
        endpoint: str,
        couplers: int,
        sample_rate: float,
        block: int,
        latency: int = 1,
        heartbeat_s: float = 0.9,
        report: Callable[[str], None] = lambda text: None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.couplers, self.sample_rate, self.block, self.latency = couplers, sample_rate, block, latency
        self.index = 0  # first sample of the next block to emit
        self.start_index = 0
        self.most_ahead = MAX_AHEAD
        self.statistics = LinkStatistics()
        self.members: dict[bytes, Member] = {}
        self._candidates: dict[bytes, tuple[Hello, int]] = {}
        self._running = False
        self._report = report
        self._most_unanswered = max(1, math.ceil(1000 * heartbeat_s / POLL_MS)) if heartbeat_s > 0 else 0
        self._socket: zmq.Socket[bytes] = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        configure(self._socket)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.RCVTIMEO, POLL_MS)
        self._socket.setsockopt(zmq.SNDTIMEO, POLL_MS)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise StationError(f"line: cannot bind {endpoint}: {error}") from None
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def start(self, names: Collection[str], stopped: Callable[[], bool], resume_wait_s: float = 1.0) -> bool:
        """Wait until every station of `names` has said HELLO, then welcome them all at one index.

        When a station tells an index above 0 this line was restarted: the others get `resume_wait_s` to come back.
        Returns False when `stopped()` became true first.
        """
        deadline: float | None = None
        while not stopped():
            waiting = set(names) - {hello.name for hello, _ in self._candidates.values()}
            if not waiting and self._candidates:
                break
            if any(index for _, index in self._candidates.values()):
                deadline = deadline or time.monotonic() + resume_wait_s
                if time.monotonic() > deadline:
                    break
            self._receive()
        else:
            return False
        self.index = self.start_index = self._aligned(max(index for _, index in self._candidates.values()))
        self._running = True
        for identity, (hello, _) in sorted(self._candidates.items(), key=lambda item: item[1][0].name):
            self._join(identity, hello)
        self._candidates.clear()
        return True

    def collect(self, stopped: Callable[[], bool]) -> int:
        """Wait for the transmit blocks of `self.index` of all joined stations.

        Returns how many blocks can be emitted together, 1..MAX_TOGETHER; 0 when `stopped()` became true.
        """
        while True:
            if self.members:
                known = min(member.next_sample for member in self.members.values())
                ready = (known - self.index) // self.block
                if ready > 0:
                    return min(ready, MAX_TOGETHER)
            if not self._receive() and stopped():
                return 0

    def sent(self, index: int) -> dict[int, Samples]:
        """The transmit blocks of one collected index that are not silent, by coupler."""
        found: dict[int, Samples] = {}
        for member in self.members.values():
            if member.blocks:
                samples = member.blocks.pop(index, None)
                if samples is not None:
                    found[member.coupler] = samples
        return found

    def emit(self, line: Samples) -> None:
        """Send row c of `line`, (couplers, n * block) float32 V, to the station at coupler c and go n blocks on."""
        index, rate, count = self.index, self.sample_rate, line.shape[1]
        self.index += count
        for member in list(self.members.values()):
            parts = messages.encode_samples(index, rate, line[member.coupler], count, member.coupler)
            self._send(member.identity, parts)

    def close(self, reason: str = "") -> None:
        """Say BYE to everybody and close the socket."""
        for identity in list(self.members):
            self._send(identity, messages.encode(Message(Kind.BYE, self.index, messages.pack(Bye(reason)))))
        self._socket.close()

    def _aligned(self, index: int) -> int:
        return -(-index // self.block) * self.block

    def _send(self, identity: bytes, parts: list[bytes]) -> bool:
        try:
            self._socket.send_multipart([identity, *parts])
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self._lose(identity)
            return False
        return True

    def _lose(self, identity: bytes) -> None:
        self._candidates.pop(identity, None)
        member = self.members.pop(identity, None)
        if member is not None:
            self.statistics.lost_peers += 1
            self._report(f"{member.name} vanished from coupler {member.coupler}")

    def _look_after(self) -> None:
        """Nothing has come for POLL_MS: is everybody still there?"""
        ping = messages.encode(Message(Kind.PING, self.index))
        for known in [*self.members, *self._candidates]:
            self._send(known, ping)
        if not (self._running and self._most_unanswered):
            return
        for identity, member in list(self.members.items()):
            member.unanswered += 1
            if member.unanswered > self._most_unanswered:
                self._lose(identity)
                self._leave_behind(identity)

    def _leave_behind(self, identity: bytes) -> None:
        reason = "the line has gone on without it"
        self._send(identity, messages.encode(Message(Kind.BYE, self.index, messages.pack(Bye(reason, again=True)))))

    def _receive(self) -> bool:
        """Take one message, or after POLL_MS without any see who is still there. True when there was a message."""
        try:
            identity, *parts = self._socket.recv_multipart()
        except zmq.Again:
            self._look_after()
            return False
        if (member := self.members.get(identity)) is not None:
            member.unanswered = 0
        try:
            message = messages.decode(parts)
            if isinstance(message, SampleBlock):
                self._take_block(identity, message)
            else:
                self._take_control(identity, message)
        except StreamError:
            self.statistics.malformed += 1
        return True

    def _take_block(self, identity: bytes, block: SampleBlock) -> None:
        member = self.members.get(identity)
        if member is None:
            self.statistics.stranger += 1
            self._leave_behind(identity)
            return
        first, size = block.first_sample, self.block
        end = first + block.count
        if block.count % size or first % size or end - self.index > (self.most_ahead + self.latency) * size:
            self.statistics.unexpected += 1
            return
        if first < member.next_sample:
            self.statistics.late += 1
            return
        if first > member.next_sample:
            self.statistics.gaps += 1
        if block.samples is not None:
            for offset in range(0, block.count, size):
                member.blocks[first + offset] = block.samples[offset : offset + size]
        member.next_sample = end

    def _take_control(self, identity: bytes, message: Message) -> None:
        if message.kind is Kind.HELLO:
            hello = messages.payload_as(message, Hello)
            problem = self._objection(identity, hello, message)
            if problem:
                self.statistics.refused += 1
                self._report(f"refused {hello.name!r}: {problem}")
                self._send(identity, messages.encode(Message(Kind.BYE, self.index, messages.pack(Bye(problem, True)))))
            elif self._running:
                self.index = max(self.index, self._aligned(message.first_sample))
                self._join(identity, hello)
            else:
                self._candidates[identity] = (hello, message.first_sample)
        elif message.kind is Kind.BYE:
            self._candidates.pop(identity, None)
            member = self.members.pop(identity, None)
            if member is not None:
                self._report(f"{member.name} left coupler {member.coupler}")
        elif message.kind is not Kind.PONG:
            self.statistics.unexpected += 1

    def _objection(self, identity: bytes, hello: Hello, message: Message) -> str:
        if not -1 <= hello.coupler < self.couplers:
            return f"the line has couplers 0..{self.couplers - 1}, not {hello.coupler}"
        if message.sample_rate not in (0.0, self.sample_rate):
            return f"the line runs at {self.sample_rate:g} Hz, the station at {message.sample_rate:g} Hz"
        ahead = message.first_sample - self.index
        if self._running and ahead > MAX_JUMP_S * self.sample_rate:
            return f"its clock is {ahead} samples ahead of the line"
        holders = [(other, member.name, member.coupler) for other, member in self.members.items()]
        holders += [(other, waiting.name, waiting.coupler) for other, (waiting, _) in self._candidates.items()]
        ping = messages.encode(Message(Kind.PING, self.index))
        for other, name, coupler in holders:
            if coupler == hello.coupler >= 0 and other != identity and self._send(other, ping):
                return f"coupler {coupler} is taken by {name}"
        if hello.coupler == -1 and self._free_coupler() is None:
            return f"all {self.couplers} couplers are taken"
        return ""

    def _free_coupler(self) -> int | None:
        """The highest free one: the graph counts its own stations from 0."""
        taken = {member.coupler for member in self.members.values()}
        taken |= {hello.coupler for hello, _ in self._candidates.values()}
        return next((c for c in reversed(range(self.couplers)) if c not in taken), None)

    def _join(self, identity: bytes, hello: Hello) -> None:
        coupler = hello.coupler if hello.coupler >= 0 else self._free_coupler()
        assert coupler is not None
        silent_until = self.index + (1 + self.latency) * self.block
        self.members[identity] = Member(identity, hello.name, coupler, silent_until)
        # The order of the sums in the mixer must not depend on who was faster.
        self.members = dict(sorted(self.members.items(), key=lambda item: item[1].coupler))
        payload = messages.pack(Welcome(self.latency, self.start_index))
        welcome = Message(Kind.WELCOME, self.index, payload, self.sample_rate, self.block, coupler)
        if self._send(identity, messages.encode(welcome)):
            self._report(f"{hello.name} joined at coupler {coupler}")


class StationPort:
    """A station's end of the link: it reconnects for ever and joins again when the line comes back.

    Args:
        endpoint: ZeroMQ endpoint to connect to.
        name: of the station.    coupler: wanted, or -1 for any free one.
        sample_rate: Hz, must be the line's; 0 takes whatever the line says.

    Attributes:
        clock: next expected sample; gaps, missing and late samples are counted there.
        welcome: the line's answer, None while not joined.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        coupler: int,
        sample_rate: float,
        report: Callable[[str], None] = lambda text: None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.name, self.coupler = name, coupler
        self.clock = SampleClock(sample_rate)
        self.statistics = LinkStatistics()
        self.block, self.latency = 0, 1
        self.welcome: Welcome | None = None
        self._wanted, self._report = coupler, report
        self._socket: zmq.Socket[bytes] = (context or zmq.Context.instance()).socket(zmq.DEALER)
        configure(self._socket)
        self._socket.setsockopt(zmq.RCVTIMEO, POLL_MS)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._socket.disable_monitor()
            self._socket.close(0)
            raise StationError(f"{name}: cannot connect to {endpoint}: {error}") from None

    def receive(self) -> SampleBlock | None:
        """The next block of the line, or None after POLL_MS without one. Late and malformed ones are dropped.

        Raises:
            StationError: the line refuses this station.
        """
        if self.welcome is None:
            ready = dict(self._poller.poll(POLL_MS))
            if self._monitor in ready:
                self._watch()
            if self._socket not in ready:
                return None
        try:
            parts = self._socket.recv_multipart()
        except zmq.Again:
            self._watch()
            return None
        try:
            message = messages.decode(parts)
            if isinstance(message, SampleBlock):
                return self._accept(message)
            self._take_control(message)
        except StreamError:
            self.statistics.malformed += 1
        return None

    def send(self, first_sample: int, samples: Samples | None, count: int | None = None) -> None:
        """Give the transmit block that starts at `first_sample`; None is silence. `count`: samples of several blocks."""
        count = self.block if count is None else count
        with contextlib.suppress(zmq.Again):  # only when the line is gone and the queue is full
            self._socket.send_multipart(
                messages.encode_samples(first_sample, self.clock.sample_rate, samples, count, self.coupler),
                zmq.NOBLOCK,
            )

    def close(self) -> None:
        """Say BYE and close."""
        with contextlib.suppress(zmq.Again):
            self._socket.send_multipart(
                messages.encode(Message(Kind.BYE, self.clock.next_sample, messages.pack(Bye()))), zmq.NOBLOCK
            )
        self._socket.disable_monitor()
        self._socket.close()

    def _accept(self, block: SampleBlock) -> SampleBlock | None:
        if self.welcome is None:
            self.statistics.stranger += 1
            return None
        if block.count % self.block or block.samples is None:
            self.statistics.unexpected += 1
            return None
        return block if self.clock.advance(block.first_sample, block.count) is not None else None

    def _take_control(self, message: Message) -> None:
        if message.kind is Kind.WELCOME:
            rate = self.clock.sample_rate or message.sample_rate
            if not rate == message.sample_rate > 0 or not 0 < message.count <= messages.MAX_BLOCK:
                self.statistics.unexpected += 1
                return
            self.clock.sample_rate = rate
            self.welcome = messages.payload_as(message, Welcome)
            self.block, self.latency, self.coupler = message.count, self.welcome.latency, message.station
            if self.clock.next_sample == 0:  # a station that starts now misses nothing
                self.clock.next_sample = message.first_sample
        elif message.kind is Kind.BYE:
            bye = messages.payload_as(message, Bye)
            if bye.refused:
                raise StationError(f"{self.name}: the line refuses: {bye.reason}")
            if bye.again and self.welcome is not None:
                self._lost(bye.reason)
                self._greet()
            self.welcome = None
        elif message.kind is Kind.PING:
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(messages.encode(Message(Kind.PONG, self.clock.next_sample)), zmq.NOBLOCK)
        else:
            self.statistics.unexpected += 1

    def _watch(self) -> None:
        for event in self._monitor_events():
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.welcome = None
                self._greet()
            elif self.welcome is not None:
                self.welcome = None
                self._lost("the line is gone, waiting for it")

    def _greet(self) -> None:
        hello = messages.pack(Hello(self.name, self._wanted))
        message = Message(Kind.HELLO, self.clock.next_sample, hello, self.clock.sample_rate)
        with contextlib.suppress(zmq.Again):  # a full queue: the line is gone, and its return will be noticed
            self._socket.send_multipart(messages.encode(message), zmq.NOBLOCK)

    def _lost(self, reason: str) -> None:
        self.statistics.lost_peers += 1
        self._report(f"{self.name}: {reason}")

    def _monitor_events(self) -> Iterator[int]:
        while self._monitor.poll(0):
            yield int(recv_monitor_message(self._monitor)["event"])
