"""Many stations in virtual time on lines at the level of frames: no samples, no sleeping, the same seed the same run.

    from flowgraphs.network import Network
    from mac import DomainEntry, DomainId, SubnetNode

    network = Network(seed=1)
    for k in range(1, 11):
        network.add_node(domains=(DomainEntry(DomainId(b"Q"), 1, k),))
    network.node(0).send_request(SubnetNode(1, 5), b"\\x05", network.now)
    network.on_event = lambda index, event, now: print(f"{now:8.3f} s  node {index}: {event}")
    network.run(until=10.0)
    network.write_capture("run.pcapng")

A node that has nothing to send is told of the line only when something concerns it and then makes up for the time in between,
with exactly the result of following the line (`medium.py`); so a frame costs as much with ten nodes as with ten thousand.
"""

import gc
import heapq
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Final

import mac
from mac.access import BECAME_IDLE
from phy import Profile

from .error_table import ErrorTable
from .line_directory import Address, addressees, addresses_of
from .line_history import Frame, Listener
from .medium import Line, LineTiming, Outcome
from .network_parts import Application, NodeEvent, SentFrame
from .paths import Paths

_HISTORY: Final = 4096  # entries of a line's history, two for each frame, that are kept at most
_FULL_SCALE_DB: Final = 40.0  # Es/N0 that a node reports as strength 0 dB (choice, D)
# Order of what falls on one instant: a station that starts at the same instant as another one has not heard it.
_END, _REPORT, _CALL, _WAKE, _SENSED = range(5)
# Python 3.11 looks up a member of an Enum ten times slower than a name of the module.
_GOOD: Final = Outcome.GOOD
_BAD: Final = Outcome.BAD
_MISSED: Final = Outcome.MISSED


@dataclass(slots=True, eq=False)
class _Member(Listener):
    """A node and what the network keeps about it."""

    line: Line = field(kw_only=True)
    application: Application | None = None
    frame: Frame | None = None  # its own on the line
    active: bool = False  # has something to send: follows the line entry by entry
    wake_at: float | None = None
    tables: tuple[Sequence[object], Sequence[object]] = ((), ())
    addresses: frozenset[Address] = frozenset()


class Network:
    """Nodes on lines, and the clock that all of them share.

    Args:
        profile: physical layer by name, for airtime and error curves.    channel: 14908 channel by name, for access times.
        paths: of the first line; more lines with `add_line`.
        seed: of every draw in the network.    lazy: False follows the line with every node, for comparison.
        keep: keep frames and events; off for long runs, where `on_frame` and `on_event` see them.
        delays, capture, errors: see `medium.Line`.

    Attributes:
        now: s.    frames, events: what happened so far.    reports: (node, report) of the applications.
        on_frame: called with each frame when it has left its line.    on_event: called with (node, event, now).
    """

    def __init__(
        self,
        profile: str = "pl20a",
        channel: str | mac.ChannelTiming = "pl20a_nes",
        paths: Paths | None = None,
        seed: int = 0,
        lazy: bool = True,
        keep: bool = True,
        delays: LineTiming | None = None,
        capture: bool = True,
        errors: ErrorTable | None = None,
    ) -> None:
        self.profile = Profile.load(profile)
        self.timing = mac.ChannelTiming.load(channel) if isinstance(channel, str) else channel
        self.now = 0.0
        self.frames: list[SentFrame] = []
        self.events: list[NodeEvent] = []
        self.reports: list[tuple[int, Any]] = []
        self.on_frame: Callable[[SentFrame], None] | None = None
        self.on_event: Callable[[int, mac.Event, float], None] | None = None
        self.lines: list[Line] = []
        self._seed, self._lazy, self._keep = seed, lazy, keep
        self._line_options: dict[str, Any] = {"delays": delays, "capture": capture, "errors": errors}
        self._members: list[_Member] = []
        self._line_index: dict[Line, int] = {}
        self._line_members: dict[Line, list[int]] = {}
        self._active: dict[Line, set[int]] = {}
        self._directory: dict[Line, dict[Address, set[int]]] = {}
        self._heap: list[tuple[float, int, int, Any]] = []
        self._dirty: set[int] = set()
        self._serving: int | None = None  # the node whose events are being handed out
        self._calls = 0
        self._frame_count = 0
        self._kept: dict[int, Frame] = {}
        self.add_line(paths)

    # --- building ----------------------------------------------------------------------------------------------

    def add_line(self, paths: Paths | None = None) -> int:
        """Another line, which hears nothing of the others; returns its index."""
        index = len(self.lines)
        line = Line(self.profile, self.timing, paths or Paths(), self._seed + 7919 * index, **self._line_options)
        self.lines.append(line)
        self._line_index[line] = index
        self._line_members[line] = []
        self._active[line] = set()
        self._directory[line] = {}
        return index

    def add_node(self, line: int = 0, **config: Any) -> int:
        """A node from arguments of `mac.NodeConfig`; returns its index. Its unique id is made from the index if none is given.

        Its silence after power-up is 0 unless it is given.
        """
        index = len(self._members)
        options = {"unique_node_id": (0x02FC << 32 | index).to_bytes(6, "big"), "reset_silence": 0.0, "started_at": self.now}
        return self.add(mac.Node(mac.NodeConfig(**{**options, **config}), self.timing, self.rng(index)), line)

    def add(self, node: mac.Node, line: int = 0, application: Application | None = None) -> int:
        """A node made elsewhere with this network's `timing`, and what sits on it; returns its index."""
        index = len(self._members)
        on = self.lines[line]
        member = _Member(index, node, cursor=len(on.history.entries), line=on, application=application)
        self._members.append(member)
        self._line_members[on].append(index)
        if application is not None:
            application.start(self.now)
        self._dirty.add(index)
        return index

    def set_application(self, index: int, application: Application) -> None:
        """Put an application on a node."""
        self._members[index].application = application
        application.start(self.now)
        self._dirty.add(index)

    def rng(self, index: int) -> Random:
        """The random numbers of node `index`."""
        return Random(f"{self._seed}/{index}")

    def __len__(self) -> int:
        """Nodes."""
        return len(self._members)

    # --- using -------------------------------------------------------------------------------------------------

    def node(self, index: int) -> mac.Node:
        """A node, up to date, for sending, asking or changing something now."""
        member = self._members[index]
        if index != self._serving:
            member.line.catch_up(member)
            member.node.on_timer(self.now)
            self._dirty.add(index)
        return member.node

    def call_at(self, at: float, call: Callable[[float], None]) -> None:
        """Call something at an instant, s, not before now."""
        self._calls += 1
        heapq.heappush(self._heap, (max(at, self.now), _CALL, self._calls, call))

    def next_event_at(self) -> float | None:
        """Instant of the next thing that happens; None when nothing ever will."""
        if self._dirty:
            self._serve_dirty()
        heap = self._heap
        while heap:
            at, kind, index, _ = heap[0]
            if kind != _WAKE or self._members[index].wake_at == at:
                return at
            heapq.heappop(heap)
        return None

    def step(self) -> bool:
        """Let the next thing happen; False when there is none."""
        at = self.next_event_at()
        if at is None:
            return False
        self.now, kind, index, what = heapq.heappop(self._heap)
        if kind == _WAKE:
            self._wake(self._members[index])
        else:
            self._happen(kind, what)
        return True

    def run(self, until: float) -> None:
        """Advance to `until`, s."""
        # Python's collector would look through every object of every node again and again.
        freeze = gc.get_freeze_count() == 0
        if freeze:
            gc.freeze()
        try:
            self._run(until)
        finally:
            if freeze:
                gc.unfreeze()

    def _run(self, until: float) -> None:
        heap, members, pop = self._heap, self._members, heapq.heappop
        while True:
            if self._dirty:
                self._serve_dirty()
            if not heap or heap[0][0] > until:
                break
            at, kind, index, what = pop(heap)
            if kind != _WAKE:
                self.now = at
                self._happen(kind, what)
            elif members[index].wake_at == at:  # else a timer that was set anew
                self.now = at
                self._wake(members[index])
        self.now = max(self.now, until)

    def _happen(self, kind: int, what: Any) -> None:
        if kind == _END:
            self._end(what)
        elif kind == _CALL:
            what(self.now)
        else:
            self._tell(what, kind == _SENSED)

    def outcome(self, frame: SentFrame, receiver: int) -> Outcome:
        """What a node of the same line made of a frame; needs `keep`."""
        return self._members[receiver].line.outcome(self._kept[frame.number], receiver)

    def line_of(self, index: int) -> int:
        """Line of a node."""
        return self._line_index[self._members[index].line]

    def write_capture(self, path: str | Path, line: int | None = None) -> None:
        """Leave the frames, of all lines or of one, as pcapng or, when the name ends in .pcap, as pcap."""
        from .capture import CapturedPacket, write_capture

        write_capture(
            Path(path),
            (
                CapturedPacket(frame.start, frame.octets, frame.sender, frame.remark, frame.alternate)
                for frame in self.frames
                if line is None or frame.line == line
            ),
        )

    # --- what happens ------------------------------------------------------------------------------------------

    def _wake(self, member: _Member) -> None:
        member.wake_at = None
        if not member.active:
            member.line.catch_up(member)
        node = member.node
        node.on_timer(self.now)
        if member.active and member.frame is None and not node.has_news:
            self._set_timer(member)  # one of the many steps on the way to a slot
        else:
            self._serve(member, may_move=False)

    def _end(self, frame: Frame) -> None:
        member = self._members[frame.sender]
        line = member.line
        line.end(frame)
        member.frame = None
        if len(line.history.entries) > _HISTORY:
            self._begin_history_anew(line)
        if self._keep or self.on_frame is not None:
            self._note_sent(frame, self._line_index[line])
        member.node.transmission_done(self.now)
        self._serve(member, may_move=False)

    def _begin_history_anew(self, line: Line) -> None:
        """Bring everybody up to date, so that the past may be forgotten: memory does not grow with time."""
        for index in self._line_members[line]:
            member = self._members[index]
            line.catch_up(member)
            member.cursor = 0
        line.history.begin_anew()

    def _note_sent(self, frame: Frame, line: int) -> None:
        collided = bool(frame.overlaps)
        times = frame.start, frame.end
        sent = SentFrame(frame.number, line, frame.sender, *times, frame.octets, frame.alternate, collided)
        if self._keep:
            self.frames.append(sent)
            self._kept[frame.number] = frame
        if self.on_frame is not None:
            self.on_frame(sent)

    def _tell(self, frame: Frame, begins: bool) -> None:
        """A carrier is sensed, or a frame reported: tell those who have something to send, or to whom it is addressed."""
        sender, now = self._members[frame.sender], self.now
        line = sender.line
        alike = line.note_sensed(frame, now) if begins else line.note_report(frame, now)
        last = len(line.history.entries)
        if sender.cursor == last - 1:
            sender.cursor = last
        active = self._active[line]
        addressed: Collection[int] = () if begins else self._addressed(line, frame)
        if begins and self._lazy and len(active) == 1 and frame.sender in active:
            return
        told = active.union(addressed) if self._lazy else set(self._line_members[line])
        told.discard(frame.sender)
        if not told:
            return
        packets = [(frame.kind, 1)]
        for index in sorted(told) if len(told) > 1 else told:
            member = self._members[index]
            if alike and index in addressed and member.in_step and line.arrive(member, last, frame):
                self._note_reception(member, frame)
                member.node.take_frame(frame.octets, now)
                self._serve(member)
                continue
            if member.cursor < last - 1:
                line.catch_up(member, last - 1)
            member.cursor = last
            if not begins and (index in addressed or not self._lazy):
                self._report(member, frame, alike)
            elif alike or member.frame is not None:
                if alike or line.senses(frame, index):
                    member.carriers += 1 if begins else -1
                    if begins and member.carriers == 1:
                        member.node.on_channel(True, now)
                    if not begins and member.frame is not None and not member.carriers:
                        member.node.on_channel(False, now)
                if not begins and member.frame is None:
                    changes = [(frame.delta_backlog, now)]
                    if not member.carriers:
                        changes.append((BECAME_IDLE, now))
                    member.node.overhear(changes, packets)
            else:
                line.follow(member, last - 1, last)
            if begins or (member.active and index not in addressed):
                self._set_timer(member)
            else:
                self._serve(member)
            if self._lazy and not member.active:
                member.in_step = line.history.is_in_step(member, last)

    def _report(self, member: _Member, frame: Frame, alike: bool) -> None:
        line, node = member.line, member.node
        outcome = _GOOD if alike else line.outcome(frame, member.index) if member.frame is None else _MISSED
        if outcome is _GOOD:
            self._note_reception(member, frame)
            node.receive_frame(frame.octets, self.now)
        elif outcome is _BAD:
            node.receive_error(self.now)
        if alike or line.senses(frame, member.index):
            member.carriers -= 1
            if member.carriers == 0:
                node.on_channel(False, self.now)

    @staticmethod
    def _note_reception(member: _Member, frame: Frame) -> None:
        level = member.line.paths.esn0_db(frame.sender, member.index, frame.alternate)
        member.node.last_reception = _reception(level, frame.alternate)

    def _addressed(self, line: Line, frame: Frame) -> Collection[int]:
        addresses = addressees(frame.octets)
        if addresses is None:
            return self._line_members[line]
        directory = self._directory[line]
        found: Collection[int] = ()
        for address in addresses:
            if address in directory:
                found = directory[address] if not found else {*found, *directory[address]}
        return found

    def _serve_dirty(self) -> None:
        while self._dirty:
            for index in sorted(self._dirty):
                self._dirty.discard(index)
                self._serve(self._members[index])

    def _serve(self, member: _Member, may_move: bool = True) -> None:
        """Events to the application, a frame that has won access to the line, the next timer to the heap.

        `may_move`: the node may have got another address.
        """
        node, now, application = member.node, self.now, member.application
        if application is not None or node.has_news:
            self._hand_out_events(member)
            if member.frame is None:
                for outgoing in node.frames_to_send(now):
                    self._start(member, outgoing)
        active = member.frame is not None or node.frames_waiting > 0
        if active is not member.active:
            member.active = active
            if active:
                member.in_step = False
                self._active[member.line].add(member.index)
            else:
                self._active[member.line].discard(member.index)
        if may_move or application is not None:
            if not (active or member.in_step) and member.cursor == len(member.line.history.entries):
                member.in_step = self._lazy and member.line.history.is_in_step(member, member.cursor)
            self._note_addresses(member)
        self._set_timer(member)

    def _hand_out_events(self, member: _Member) -> None:
        node, now, application = member.node, self.now, member.application
        outer, self._serving = self._serving, member.index
        worked = application is None
        while True:
            while (event := node.next_event()) is not None:
                worked = application is None
                if self._keep:
                    self.events.append(NodeEvent(now, member.index, event))
                if self.on_event is not None:
                    self.on_event(member.index, event, now)
                if application is not None:
                    application.on_event(event, now)
            if worked or application is None:
                break
            application.work(now)
            self.reports += [(member.index, report) for report in application.reports()]
            worked = True
        self._serving = outer

    def _start(self, member: _Member, outgoing: mac.OutgoingFrame) -> None:
        line = member.line
        frame = line.start(self._frame_count, member.index, outgoing.octets, outgoing.alternate, self.now)
        self._frame_count += 1
        member.frame = frame
        heapq.heappush(self._heap, (self.now + line.delays.sense_delay, _SENSED, frame.number, frame))
        heapq.heappush(self._heap, (frame.end, _END, frame.number, frame))
        heapq.heappush(self._heap, (frame.end + line.delays.release_delay, _REPORT, frame.number, frame))

    def _note_addresses(self, member: _Member) -> None:
        node = member.node
        tables = node.domains, node.groups
        if tables == member.tables:
            return
        member.tables = tables
        addresses = addresses_of(node.config.unique_node_id, *tables)
        directory = self._directory[member.line]
        for address in member.addresses - addresses:
            directory[address].discard(member.index)
        for address in addresses - member.addresses:
            directory.setdefault(address, set()).add(member.index)
        member.addresses = addresses

    def _set_timer(self, member: _Member) -> None:
        at = member.node.next_start_timer()
        if member.application is not None:
            own = member.application.next_timer()
            at = own if at is None else at if own is None else min(at, own)
        at = None if at is None else max(at, self.now)
        if at != member.wake_at:
            member.wake_at = at
            if at is not None:
                heapq.heappush(self._heap, (at, _WAKE, member.index, None))


@lru_cache(1024)
def _reception(level: float | None, alternate: bool) -> mac.Reception:
    return mac.Reception(level, (level or 0.0) - _FULL_SCALE_DB, alternate)
