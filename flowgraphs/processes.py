"""Processes of a running graph: the loop of one station, and the runner that starts and watches all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import mac

from .binding import make_application, make_node
from .errors import StationError
from .events import Event, EventReceiver, Finished, StationEvent
from .graph import AnyStation, ConcentratorStation, Graph, dump_graph, station_random
from .lifetime import PARENT_VARIABLE, Lifetime
from .readiness import load_kernels, settle
from .station import Application, Station
from .stream import MAX_TOGETHER, StationPort

LINE: Final = "line"
POLL_MS: Final = 100
STOP_WAIT_S: Final = 5.0
STOP_CHECK: Final = 200  # blocks between two looks at the signals while a station is busy


def run_station(
    graph: Graph,
    name: str,
    endpoint: str,
    lifetime: Lifetime,
    emit: Callable[[Event], None],
    make: Callable[[Graph, AnyStation, mac.Node], Application] = make_application,
    coupler: int | None = None,
    finished: Callable[[], bool] = lambda: False,
) -> None:
    """One station as a process: joins the line and works block by block until it is told to stop.

    Args:
        make: makes the application on top of the node.    coupler: instead of the graph's; -1 takes any free one.
        finished: asked after every block; true ends the station.
    """
    spec = graph.station(name)
    load_kernels()

    def report(text: str) -> None:
        emit(StationEvent(name, port.clock.next_sample, "link", text))

    port = StationPort(endpoint, name, spec.coupler if coupler is None else coupler, graph.sample_rate, report)
    station: Station | None = None
    countdown = STOP_CHECK
    welcome = None
    delivered = 0  # transmit samples below this index are on their way
    try:
        while True:
            block = port.receive()
            countdown -= 1
            if block is None or countdown == 0:
                countdown = STOP_CHECK
                if lifetime.stopped() or finished():
                    return
                if block is None:
                    continue
            if station is None:
                now = block.first_sample / graph.sample_rate
                node = make_node(graph, spec, station_random(graph, name, "mac"), now)
                application = make(graph, spec, node)
                on_slots = graph.frontend is not None
                station = Station(graph, spec, node, application, emit, block.first_sample, on_slots)
                settle()
            assert block.samples is not None
            size, ahead = port.block, (1 + port.latency) * port.block
            for offset in range(0, block.count, size):
                first = block.first_sample + offset
                station.work(first, block.samples[offset : offset + size], first + ahead)
            if port.welcome is not welcome:  # joined anew: what was delivered before is lost
                welcome, delivered = port.welcome, 0
            # What was promised before is delivered; a station that has just joined begins behind the first block.
            start = max(delivered, block.first_sample + ahead)
            least = block.first_sample + block.count + ahead
            decided = station.decided_until(least, size)
            # On a real line a packet is handed over as a whole: only its start is pressed for time.
            delivered = decided if graph.frontend is not None else min(decided, least + (MAX_TOGETHER - 1) * size)
            if delivered > start:
                port.send(start, station.transmit(start, delivered), delivered - start)
            delivered = max(start, delivered)
            if finished():
                return
    finally:
        port.close()


class Standstill:
    """For how long the line has stood still, told by the blocks that whoever listens to it has worked off.

    It counts from the first question on: kernels are loaded before that, which takes a slow machine seconds.
    """

    def __init__(self) -> None:
        self._blocks, self._since = -1, 0.0

    def seconds(self, blocks: int) -> float:
        """How long ago `blocks` became what it is."""
        now = time.monotonic()
        if blocks != self._blocks:
            self._blocks, self._since = blocks, now
        return now - self._since


def private_endpoint(directory: Path, name: str) -> str:
    """An endpoint that only this user reaches: a Unix socket where there are such, else a loopback port.

    Measured with 4 stations and 0.5 ms blocks: 88 us a block over ipc, 96 us over loopback TCP.
    """
    if os.name == "posix":
        return f"ipc://{directory / name}"
    return "tcp://127.0.0.1:*"


@dataclass(slots=True)
class Child:
    """A process that was started: its name in the graph and where its stderr goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    reported: bool = False

    def failure(self) -> str:
        """One line about how it ended."""
        code = self.process.returncode
        if code < 0:
            return f"{self.name} was killed by {signal.Signals(-code).name}"
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"{self.name} failed with exit code {code}{': ' + lines[-1] if lines else ''}"


class GraphRun:
    """A graph as processes: the line and every station, and the events they send.

    Args:
        graph: effective graph (its seed and pace already set).
        record_to: where the line's recorder writes, None = nowhere.    monitor: where it sends what its coupler hears.
        on_event: gets every event as it arrives.    report: gets one line of text about processes.
        transmit: stations may send on a real front end.
    Attributes:
        ended: the front end has ended by itself, as a recording does.
    """

    def __init__(
        self,
        graph: Graph,
        record_to: Path | None,
        on_event: Callable[[Event], None],
        report: Callable[[str], None],
        transmit: bool = False,
        monitor: str | None = None,
    ) -> None:
        self.graph, self.record_to, self.transmit, self.monitor = graph, record_to, transmit, monitor
        self.ended = False
        self.finished: dict[str, Finished] = {}
        self.children: list[Child] = []
        self._on_event, self._report = on_event, report
        self._directory = tempfile.TemporaryDirectory(prefix="osgp-sdr-")  # mode 0700
        directory = Path(self._directory.name)
        self.endpoint = graph.endpoint or private_endpoint(directory, "line")
        self.graph_file = directory / "graph.yaml"
        self.graph_file.write_text(dump_graph(graph), encoding="utf-8")
        self._receiver = EventReceiver(private_endpoint(directory, "events"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the line and every station of the graph."""
        arguments = ["frontend", LINE, str(self.graph_file), "--endpoint", self.endpoint]
        if self.record_to is not None:
            arguments += ["--record", str(self.record_to)]
        if self.transmit:
            arguments.append("--transmit")
        if self.monitor is not None:
            arguments += ["--monitor", self.monitor]
        self.spawn(LINE, arguments)
        for station in self.graph.stations:
            self.spawn(station.name, ["station", f"{self.graph_file}#{station.name}", "--endpoint", self.endpoint])

    def spawn(self, name: str, arguments: list[str]) -> Child:
        """Start one process of this program."""
        log = Path(self._directory.name) / f"{name}.log"
        # A session of its own: Ctrl-C reaches the runner alone, which then stops its children in good order.
        stderr: IO[bytes]
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "flowgraphs", *arguments, "--events", self._receiver.endpoint],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
                env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def watch(self, until: Callable[[], bool]) -> None:
        """Pass events on and watch the processes until `until()` is true or nothing is left to wait for.

        Raises:
            StationError: a process failed before anything ran, or nobody is left.
        """
        while not until():
            for event in self._receiver.receive(POLL_MS):
                if isinstance(event, Finished):
                    self.finished[event.station] = event
                self._on_event(event)
            self._look_after()
            if self.ended or self.all_finished():
                return

    def all_finished(self) -> bool:
        """Every station that ends by itself has done so; where nothing can be sent, the line decides."""
        if self.graph.frontend is not None and not self.transmit:
            return False
        ending = {
            spec.name
            for spec in self.graph.stations
            if isinstance(spec, ConcentratorStation) and spec.period_s is None
        }
        return bool(ending) and ending <= set(self.finished)

    def _look_after(self) -> None:
        for child in self.children:
            if child.process.poll() is None or child.reported:
                continue
            child.reported = True
            if child.name == LINE and child.process.returncode == 0:
                self.ended = True
                continue
            text = child.failure()
            essential = child.name == LINE or child.name in self._concentrators()
            if essential and child.process.returncode > 0:
                raise StationError(text)
            self._report(f"{text}; the others go on")
        if all(child.process.poll() is not None for child in self.children):
            raise StationError("every process of the graph has ended: " + self.children[-1].failure())

    def _concentrators(self) -> set[str]:
        return {spec.name for spec in self.graph.stations if isinstance(spec, ConcentratorStation)}

    def stop(self) -> None:
        """End every process, give them time to finish their files, take their last events."""
        running = [child for child in self.children if child.process.poll() is None]
        for child in running:
            child.process.terminate()
        deadline = time.monotonic() + STOP_WAIT_S
        while any(child.process.poll() is None for child in running) and time.monotonic() < deadline:
            for event in self._receiver.receive(20):
                self._on_event(event)
        for child in running:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()
        for event in self._receiver.receive(20):
            self._on_event(event)
        self._receiver.close()
        self._directory.cleanup()
