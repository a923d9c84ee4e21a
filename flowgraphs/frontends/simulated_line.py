"""The simulated line: N couplers, a path between each two of them, noise at each, and optionally a recorder.

    transmit block of coupler s --> path s->d (gain, echoes ...) --(+)--> coupler d
                                                                    ^
                                              noise of coupler d ---+

Every voltage is a function of the seed and the absolute sample index, so a restarted line goes on exactly where the
old one stopped.
"""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phy import channel

from ..graph import Graph
from ..lifetime import Lifetime
from ..messages import Samples
from ..monitor import MonitorSender
from ..readiness import settle
from ..recorder import RecordingWriter
from ..stream import LinePort

NOISE_CHUNK: Final = 100  # blocks of noise made at a time: the calls cost more than the numbers
PROMPT_CHUNK_S: Final = 0.005  # of noise in real time, where nobody is to wait for the numbers of 100 blocks
QUIET_AFTER_S: Final = 0.02  # s; a path whose input was silent this long is at rest (its memory is below 1 ms)
STOP_CHECK: Final = 200  # blocks between two looks at the signals while the line is busy


class Mixer:
    """What every coupler hears, block by block.

    Args:
        graph: line, rate, block and seed are taken from it.
        listeners: couplers whose voltage is wanted; the others stay zero and cost nothing.
    """

    def __init__(self, graph: Graph, listeners: Collection[int] | None = None) -> None:
        line = graph.line
        n = line.couplers
        self.block, self.sample_rate = graph.block, graph.sample_rate
        gains_db = np.full((n, n), line.gain_db)
        np.fill_diagonal(gains_db, line.own_gain_db)
        self._elements: dict[tuple[int, int], list[channel.Element]] = {}
        for path in line.paths:
            a, b = path.between
            gains_db[a, b] = gains_db[b, a] = path.gain_db
            if path.elements:
                for way in ((a, b), (b, a)):
                    self._elements[way] = [_element(graph, item) for item in path.elements]
        gains = 10.0 ** (gains_db / 20.0)
        self._path_gains = gains.astype(np.float32)
        for way in self._elements:
            gains[way] = 0.0  # these go through their elements, not through the matrix
        self._gains = gains.astype(np.float32)
        self._quiet_at = dict.fromkeys(self._elements, 0)  # index from which the path is at rest
        self._noise = [_noise(graph, coupler) for coupler in range(n)]
        prompt = max(1, round(PROMPT_CHUNK_S * graph.sample_rate / graph.block))
        self._chunk_blocks = min(NOISE_CHUNK, prompt) if graph.pace == "realtime" else NOISE_CHUNK
        self._chunk = np.zeros((n, 0), np.float32)
        self._chunk_first = 0
        self._listeners: frozenset[int] = frozenset()
        self.listen(range(n) if listeners is None else listeners)

    def listen(self, listeners: Collection[int]) -> None:
        """Change the couplers whose voltage is wanted. What they hear does not depend on when they began to listen."""
        self._listeners = frozenset(listeners)
        self._chunk = self._chunk[:, :0]

    def work(self, index: int, sent: Mapping[int, Samples]) -> NDArray[np.float32]:
        """(couplers, block) float32 V from absolute sample `index` on. `sent`: transmit blocks that are not silent."""
        noise = self._noise_block(index)
        if not sent and all(index >= quiet for quiet in self._quiet_at.values()):
            return noise
        heard: NDArray[np.float32] = noise.copy()
        for coupler, x in sent.items():
            heard += self._gains[coupler][:, np.newaxis] * x
        for way, elements in self._elements.items():
            source, listener = way
            if source in sent:
                x = sent[source]
                if index >= self._quiet_at[way]:
                    for element in elements:
                        element.reset()
                self._quiet_at[way] = index + round(QUIET_AFTER_S * self.sample_rate)
            elif index < self._quiet_at[way]:
                x = np.zeros(self.block, np.float32)
            else:
                continue
            y = self._path_gains[way] * x
            for element in elements:
                y = element.process(y)
            heard[listener] += y
        return heard

    def _noise_block(self, index: int) -> NDArray[np.float32]:
        offset = index - self._chunk_first
        if not 0 <= offset < self._chunk.shape[1]:
            count = self._chunk_blocks * self.block
            self._chunk_first, offset = index, 0
            self._chunk = np.zeros((len(self._noise), count), np.float32)
            for coupler in self._listeners:
                self._chunk[coupler] = self._noise[coupler].samples(index, count)
        return self._chunk[:, offset : offset + self.block]


def _element(graph: Graph, item: Mapping[str, object]) -> channel.Element:
    parameters = {key: value for key, value in item.items() if key != "kind"}
    return channel.element(str(item["kind"]), sample_rate=graph.sample_rate, **parameters)


def _noise(graph: Graph, coupler: int) -> channel.LineNoise:
    """The noise of one coupler: each source of the graph that is heard there, with a stream number of its own."""
    sources = []
    for place, item in enumerate(graph.line.noise):
        if coupler in item.get("couplers", [coupler]):
            parameters = {key: value for key, value in item.items() if key not in ("kind", "couplers")}
            stream = place * graph.line.couplers + coupler
            parameters = {"seed": graph.seed, "stream": stream, **parameters}
            sources.append(channel.source(item["kind"], sample_rate=graph.sample_rate, **parameters))
    return channel.LineNoise(graph.sample_rate, sources)


def run_line(
    graph: Graph,
    endpoint: str,
    lifetime: Lifetime,
    record_to: Path | None = None,
    report: Callable[[str], None] = lambda text: None,
    monitor: MonitorSender | None = None,
) -> int:
    """The line as a process: waits for the graph's stations, then runs in lock-step until it is told to stop.

    What the coupler of `monitor` hears is sent there, too.

    Returns the index of the first sample that was not emitted.
    """
    port = LinePort(
        endpoint,
        graph.line.couplers,
        graph.sample_rate,
        graph.block,
        graph.latency,
        graph.heartbeat,
        report,
    )
    mixer = Mixer(graph)
    writer: RecordingWriter | None = None
    try:
        names = [station.name for station in graph.stations]
        mixer.work(port.index, {})  # loads its kernels
        settle()
        report(f"the line is at {port.endpoint} and waits for {', '.join(names)}")
        if not port.start(names, lifetime.stopped):
            return 0
        report(f"the line starts at sample {port.index}")
        recorder = graph.line.recorder
        if recorder is not None and record_to is not None:
            writer = RecordingWriter(record_to, graph.sample_rate, first_sample=port.index, append=port.index > 0)
        _loop(graph, port, mixer, writer, monitor, lifetime)
    finally:
        if writer is not None:
            writer.close()
        if monitor is not None:
            monitor.close()
        port.close("the line stops")
    return port.index


def _loop(
    graph: Graph, port: LinePort, mixer: Mixer, writer: RecordingWriter | None, monitor: MonitorSender | None, lifetime: Lifetime
) -> None:
    recorded = graph.line.recorder.coupler if graph.line.recorder is not None and writer is not None else -1
    heard_aside = {recorded, -1 if monitor is None else monitor.coupler} - {-1}
    paced = graph.pace == "realtime"
    started_at, first = time.monotonic(), port.index
    countdown = STOP_CHECK
    members: object = None
    while True:
        together = port.collect(lifetime.stopped)
        if not together:
            return
        index, block = port.index, port.block
        if port.members is not members:  # a new mapping means that somebody joined
            members = port.members
            mixer.listen({member.coupler for member in members.values()} | heard_aside)
        heard = np.concatenate([mixer.work(k, port.sent(k)) for k in range(index, index + together * block, block)], axis=1)
        port.emit(heard)
        if writer is not None:
            writer.write(heard[recorded], index)
        if monitor is not None:
            monitor.write(heard[monitor.coupler], index)
        countdown -= 1
        if countdown == 0:
            countdown = STOP_CHECK
            if lifetime.stopped():
                return
        if paced:
            ahead = (port.index - first) / graph.sample_rate - (time.monotonic() - started_at)
            if ahead > 0:
                time.sleep(ahead)
