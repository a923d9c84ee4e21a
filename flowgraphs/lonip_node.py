"""A node of ISO/IEC 14908-1 on UDP: the engine, its sockets, the clock, its state file and its application."""

from __future__ import annotations

import math
import os
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import mac
from mac import lonip
from mac.management import Capability
from mac.responder import IpIdentity
from mac.statistics import STATISTIC_WORDS

from .errors import CommandError, SocketError, StateFileError
from .lifetime import Lifetime
from .lonip_sockets import LonIpSockets
from .node_commands import Quit, Status, carry_out, parse_command
from .state_file import save_state
from .virtual_line import VirtualLine

RECEIVE_CODE: Final = 8  # receive timer code: 2048 ms, as a live independent stack on LON/IP has it (grade L)
NODE_PRIORITY: Final = 1  # as that stack's configuration data say
CAPABILITIES: Final = (
    Capability.OMA
    | Capability.INIT_CONFIG
    | Capability.UPDATE_VARIABLE_BY_INDEX
    | Capability.COMPATIBLE_OR_ENHANCED
    | Capability.ADDRESS_ANNOUNCEMENTS
)
_DUE_S: Final = 1e-6  # a timer so close is worked off at once
_LONGEST_WAIT_S: Final = 0.5  # how often to ask whether to stop
_SAVE_AGAIN_S: Final = 10.0  # after the state file could not be written
_READ: Final = 65536
_LONGEST_LINE: Final = 65536  # of the command input


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """Where a running node reports.

    Args:
        event: takes every event of the node.
        note: takes other facts, a name and its values.
    """

    event: Callable[[mac.Event], None]
    note: Callable[[str, dict[str, object]], None]


Application = Callable[[mac.Node, mac.Event, float], None]


def echo(node: mac.Node, event: mac.Event, now: float) -> None:
    """Answer each request with its code and its payload reversed; copy an updated input to the outputs of its selector."""
    if isinstance(event, mac.RequestReceived):
        node.respond(event.request_id, event.apdu[:1] + event.apdu[:0:-1], now)
    elif isinstance(event, mac.VariableUpdated):
        table = node.variables.table
        for index in table.find(table.configs[event.index].selector, mac.Direction.OUTPUT):
            if table.variables[index].length == len(event.value):
                node.variables.write(index, event.value, now)


def silent(node: mac.Node, event: mac.Event, now: float) -> None:
    """Leave everything to whoever reads the events."""


APPLICATIONS: Final[dict[str, Application]] = {"echo": echo, "none": silent}


class LonIpNode:
    """A running node.

    Args:
        config: identity and tables.    address: 4 octets of its IPv4 address.
        sockets: opened on that address; or a virtual line, which is link and sockets in one.    application: takes its events.
        output: where to report.
        state_file: keeps what survives a restart; None: nothing is kept.
        commands: file descriptor to read commands from, one JSON object a line.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        config: mac.NodeConfig,
        address: bytes,
        sockets: LonIpSockets | VirtualLine,
        application: Application,
        output: NodeOutput,
        state_file: Path | None = None,
        commands: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._started = clock()
        channel = mac.ChannelTiming.load(lonip.lonip_channel())
        self.node = mac.Node(config, channel, random.Random(secrets.randbits(64)), secrets.token_bytes)
        self._address = address
        self._link: lonip.LonIpLink | VirtualLine
        if isinstance(sockets, VirtualLine):
            self._link = sockets
        else:
            self._link = lonip.LonIpLink(address)
            self.node.managed.ip = IpIdentity(address)
        self._sockets = sockets
        self._application = application
        self._output = output
        self._state_file = state_file
        self._revision = -1
        self._save_again_at = math.inf
        self._commands = commands
        self._line = b""
        self._stopped = False
        if commands is not None:
            sockets.register(commands)

    @property
    def now(self) -> float:
        """Seconds since the node started."""
        return self._clock() - self._started

    def run(self, lifetime: Lifetime) -> None:
        """Serve until asked to stop.

        Raises:
            SocketError: a multicast address of the start cannot be joined. One of a later change is only reported.
            StateFileError: the state file cannot be written at the start. Later this is reported and tried again.
        """
        problems = self._listen()
        if problems:
            raise SocketError(problems[0])
        self._save()
        self._output.note("listening", {"multicast": sorted(".".join(map(str, group)) for group in self._sockets.joined)})
        while not (self._stopped or lifetime.stopped()):
            self._work(self.now)
            for file in self._sockets.wait(self._wait_s()):
                self._read_commands(file)
            for payload, source in self._sockets.receive():
                self.receive(payload, source)
        self._work(self.now)

    def receive(self, payload: bytes, source: bytes) -> None:
        """Process a datagram."""
        now = self.now
        try:
            lpdu = self._link.decode(payload, source, now)
        except mac.TruncatedPdu:
            self.node.receive_error(now)
            return
        except mac.DecodeError as error:
            self.node.statistics.drops[error.reason] += 1
            return
        if lpdu is None:
            assert isinstance(self._link, lonip.LonIpLink)
            self.node.managed.ip = IpIdentity(self._address, self._link.mapping)
            return
        self.node.receive_frame(lpdu, now)
        self._work(now)

    def _wait_s(self) -> float:
        due = [at for at in (self.node.next_timer(), self._link.next_timer()) if at is not None]
        return min(max(0.0, min(due, default=_LONGEST_WAIT_S) - self.now), _LONGEST_WAIT_S)

    def _work(self, now: float) -> None:
        """Bring the node up to now: timers, frames, events, in turns until nothing is left."""
        for datagram in self._link.on_timer(now):
            self._send(datagram)
        while True:
            sent, told = self._send_frames(now), self._take_events(now)
            if sent or told:  # the end of a frame, or the application, may have brought the next one
                continue
            at = self.node.next_timer()
            if at is None or at > now + _DUE_S:
                break
            now = max(now, at)
            self.node.on_timer(now)
        self._follow_tables(now)

    def _send(self, datagram: lonip.LonIpDatagram) -> None:
        problem = self._sockets.send(datagram)
        if problem is not None:
            self._output.note("not_sent", {"text": problem})

    def _send_frames(self, now: float) -> bool:
        frames = self.node.frames_to_send(now)
        for frame in frames:
            self._send(self._link.encode(frame.octets))
            self.node.transmission_done(now)
        return bool(frames)

    def _take_events(self, now: float) -> bool:
        told = False
        while (event := self.node.next_event()) is not None:
            told = True
            self._output.event(event)
            self._application(self.node, event, now)
        return told

    def _follow_tables(self, now: float) -> None:
        """After a change of the tables: new address and memberships, and the state file."""
        if self.node.managed.revision == self._revision and now < self._save_again_at:
            return
        for problem in self._listen():
            self._output.note("not_joined", {"text": problem})
        try:
            self._save()
        except StateFileError as error:
            self._save_again_at = now + _SAVE_AGAIN_S
            self._output.note("not_saved", {"text": str(error)})

    def _listen(self) -> list[str]:
        row = self.node.domains[0]
        self._link.own = mac.SubnetNode(0, 0) if row is None else row.address
        self._link.domain = mac.DomainId() if row is None else row.domain
        groups = (entry.group for entry in self.node.groups)
        return self._sockets.listen(lonip.memberships(self.node.domains, groups))

    def _save(self) -> None:
        self._revision = self.node.managed.revision
        if self._state_file is not None:
            save_state(self._state_file, self.node.snapshot())
        self._save_again_at = math.inf

    def _status(self) -> dict[str, object]:
        statistics, address = self.node.statistics, self.node.address()
        return {
            "state": str(self.node.state),
            "address": None if address is None else str(address),
            "last_error": self.node.managed.last_error,
            "counters": {name: statistics.word(name) for name in STATISTIC_WORDS},
            "drops": {str(reason): count for reason, count in statistics.drops.items()},
        }

    def _read_commands(self, file: int) -> None:
        octets = os.read(file, _READ)
        if not octets:
            self._sockets.unregister(file)
            return
        *lines, self._line = (self._line + octets).split(b"\n")
        if len(self._line) > _LONGEST_LINE:
            self._line = b""
            self._output.note("refused", {"text": f"a line of more than {_LONGEST_LINE} octets"})
        for line in filter(None, (line.strip() for line in lines)):
            self._carry_out(line)

    def _carry_out(self, line: bytes) -> None:
        try:
            command = parse_command(line)
            if isinstance(command, Quit):
                self._stopped = True
                return
            if isinstance(command, Status):
                self._output.note("status", self._status())
                return
            handles = carry_out(self.node, command, self.now)
        except CommandError as error:
            self._output.note("refused", {"text": str(error)})
            return
        self._output.note("accepted", {"do": type(command).__struct_config__.tag, "handles": list(handles)})
