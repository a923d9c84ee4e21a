"""A graph's stations on something real: a sound card, a recording or any other source takes the place of the simulated line.

    source --> blocks --> LivePort --> stations
    sink  <-- limits  <-- LivePort <-- stations        index of the line = samples of the source since the stations joined

What a station sends is at its index on the line: the round trip of a card is taken off, and stations decide so much earlier.
A recording is only heard.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from phy import Profile

from ..errors import FrontEndError
from ..graph import Graph
from ..lifetime import Lifetime
from ..monitor import MonitorSender
from ..readiness import settle
from ..recorder import RecordingWriter
from ..stream import MAX_TOGETHER
from .contract import DUPLEX, Address, SampleSink, SampleSource, open_duplex, open_sink, open_source
from .echo_watch import EchoWatch
from .live_port import LivePort
from .round_trip import measure_round_trip
from .soundcard import USUAL_RATE, SoundCardSink, SoundCardSource
from .transmitting import GuardedSink, TransmitLimits, statement

READ_S: Final = 2e-3  # how long a read may keep transmit blocks waiting
TRAILER_S: Final = 0.05  # of silence after the end of a recording: its last packet shall get out of the receivers


@dataclass(slots=True)
class FrontEndRun:
    """What a front end did.

    samples: heard.    skipped: lost ones.    unsent: transmissions that nobody took.    late: decided after their instant.
    changes: of the round trip.
    """

    samples: int = 0
    skipped: int = 0
    unsent: int = 0
    late: int = 0
    changes: int = 0
    round_trip: int | None = None
    sink: GuardedSink | None = field(default=None, repr=False)


def at_rate(graph: Graph) -> Graph:
    """The graph at the sample rate of its front end, with blocks of the same duration.

    Raises:
        FrontEndError, RecordingError: the front end cannot be opened.
    """
    assert graph.frontend is not None
    address = Address.parse(graph.frontend)
    rate = address.rate(USUAL_RATE if address.scheme == "soundcard" else None)
    if rate is None:  # opened only where nobody says it: a stream would lose what comes meanwhile
        source = open_source(graph.frontend)
        rate = source.sample_rate
        source.close()
    block = max(8, math.floor(graph.block * rate / graph.sample_rate))
    return msgspec.structs.replace(graph, sample_rate=float(rate), block=block)


def transmit_level(graph: Graph, profile: Profile) -> float:
    """The highest level of the graph's stations, V peak."""
    usual = profile.transmit_vpp / 2
    return max(usual if station.level_v is None else station.level_v for station in graph.stations)


def run_front_end(
    graph: Graph,
    endpoint: str,
    lifetime: Lifetime,
    transmit: bool = False,
    record_to: Path | None = None,
    report: Callable[[str], None] = lambda text: None,
    monitor: MonitorSender | None = None,
) -> FrontEndRun:
    """Serve the stations of `graph` from its `frontend` until it ends or is told to stop.

    Args:
        graph: effective graph, at the front end's rate (see `at_rate`).    endpoint: to bind.    transmit: the user asked for it.
        record_to: writes what is heard.    monitor: gets it, too.    report: gets one line of text now and then.
    Raises:
        FrontEndError, RecordingError, StationError: one line that says what does not work.
    """
    url = graph.frontend
    assert url is not None
    profile = Profile.load(graph.profile)
    source, sink = _open(graph, url, transmit)
    run = FrontEndRun()
    try:
        if source.sample_rate != graph.sample_rate:
            raise FrontEndError(f"{url}: runs at {source.sample_rate:g} Hz, the graph at {graph.sample_rate:g} Hz")
        latency = graph.latency
        if transmit and sink is not None:
            level = transmit_level(graph, profile)
            limits = TransmitLimits.for_profile(profile, graph.duty_cycle)
            report(statement(sink.name, profile, level, limits))
            if isinstance(source, SoundCardSource) and isinstance(sink, SoundCardSink):
                latency = _latency(graph, source, sink, profile, level, run, report)
            run.sink = GuardedSink(sink, limits, _together(graph, level), profile.airtime(profile.max_octets), report)
        else:
            report(f"{source.name} is only heard: nothing is sent{'' if sink is None else ' without --transmit'}")
        couplers = max(graph.line.couplers, len(graph.stations))
        port = LivePort(endpoint, couplers, graph.sample_rate, graph.block, latency, graph.heartbeat, report)
        port.most_ahead = math.ceil(2 * profile.airtime(profile.max_octets) * graph.sample_rate / graph.block)
        try:
            settle()
            report(f"the front end is at {port.endpoint} and waits for {', '.join(s.name for s in graph.stations)}")
            if port.start([station.name for station in graph.stations], lifetime.stopped):
                _Loop(graph, port, source, run, lifetime, report).go(record_to, monitor)
        finally:
            port.close("the front end stops")
    finally:
        source.close()
        if sink is not None:
            sink.close()
        if monitor is not None:
            monitor.close()
    return run


def _open(graph: Graph, url: str, transmit: bool) -> tuple[SampleSource, SampleSink | None]:
    scheme = Address.parse(url).scheme
    if graph.transmit_to is not None and transmit:
        return open_source(url), open_sink(graph.transmit_to, rate=graph.sample_rate)
    if scheme in DUPLEX and transmit:
        return open_duplex(url)
    if transmit:
        raise FrontEndError(f"{url}: can only be heard; name where to send with transmit_to or leave out --transmit")
    return open_source(url), None


def _together(graph: Graph, level: float) -> float:
    """Stations of one graph share an output; what they send at the same time adds up."""
    return level * len(graph.stations)


def _latency(
    graph: Graph, source: SoundCardSource, sink: SoundCardSink, profile: Profile, level: float, run: FrontEndRun,
    report: Callable[[str], None],
) -> int:  # fmt: skip
    """Blocks between hearing and sending that the card needs; measures its round trip unless it was given."""
    card, rate = source.card, source.sample_rate
    if card.round_trip is None:
        found = measure_round_trip(source, sink, profile, level)
        card.round_trip = found.samples
        report(
            f"round trip of {source.name}: {found.samples} samples ({1e3 * found.samples / rate:.2f} ms), "
            f"gain {20 * math.log10(max(found.gain, 1e-12)):.1f} dB"
        )
    run.round_trip = card.round_trip
    ahead = card.round_trip + card.largest_callback + MAX_TOGETHER * graph.block + round(card.settings.margin_s * rate)
    if card.queue.patient:
        ahead += 2 * round(card.settings.queue_s * rate)
    latency = max(graph.latency, math.ceil(ahead / graph.block) - 1)
    report(f"stations decide {1e3 * (1 + latency) * graph.block / rate:.1f} ms before they are on the line")
    return latency


class _Loop:
    """The samples of the source to the stations, and back."""

    def __init__(
        self, graph: Graph, port: LivePort, source: SampleSource, run: FrontEndRun, lifetime: Lifetime,
        report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._port, self._source, self._run, self._lifetime, self._report = port, source, run, lifetime, report
        self._block = graph.block
        self._echo = EchoWatch(graph.sample_rate) if run.sink is not None and isinstance(source, SoundCardSource) else None
        self._base: int | None = None  # index of the source at index 0 of the line
        self._rest = np.zeros(0, np.float32)  # heard, but not a whole block yet
        self._handed = 0  # transmit blocks below this index were given to the sink
        self._writer: RecordingWriter | None = None
        self._monitor: MonitorSender | None = None
        self._trailer = -(-round(TRAILER_S * graph.sample_rate) // graph.block) * graph.block
        self._unsent_end = self._transmission_end = -1
        self._late = False  # the present transmission is left out
        # Where time stands still for a slow reader, it has to stand still for slow stations, too.
        self._patient = isinstance(source, SoundCardSource) and source.card.queue.patient

    def go(self, record_to: Path | None, monitor: MonitorSender | None = None) -> None:
        """Until the source has ended or somebody asks to stop."""
        port, source = self._port, self._source
        self._monitor = monitor
        self._handed = port.index
        if isinstance(source, SoundCardSource) and not self._start(source):
            return
        if record_to is not None:
            self._writer = RecordingWriter(record_to, port.sample_rate, first_sample=port.index, append=port.index > 0)
        try:
            while not self._lifetime.stopped():
                self._hand_over()
                block = source.read(READ_S)
                if block is not None:
                    self._take(block.first_sample, block.samples)
                elif source.ended:
                    self._take_samples(np.zeros(self._trailer, np.float32))
                    port.collect(self._lifetime.stopped)
                    self._report(f"{source.name} has ended")
                    return
        finally:
            if self._writer is not None:
                self._writer.close()
            self._report(self._summary())

    def _summary(self) -> str:
        run, statistics = self._run, self._source.statistics
        text = f"{run.samples} samples heard, {run.skipped} skipped, {statistics.clipped} clipped, {statistics.overruns} overruns"
        if run.sink is not None:
            sent = run.sink.statistics
            text += (
                f"; {run.sink.on_air} sent, {run.sink.held_back} held back, {run.late} transmissions too late, "
                f"{sent.late} samples late, {sent.clipped} clipped, {sent.underruns} underruns"
            )
        else:
            text += f"; {run.unsent} transmissions not sent"
        if self._echo is not None:
            text += f"; {self._echo.checks} own transmissions looked for, {self._echo.unheard} not heard, {run.changes} moved"
        return text

    def _start(self, source: SoundCardSource) -> bool:
        """Old samples for the stations until all of them are up to it, then the present; False when somebody asked to stop."""
        port = self._port
        heard: list[NDArray[np.float32]] = []
        most = (1 + port.latency + MAX_TOGETHER) * port.block  # beyond what counts as said before they joined
        while sum(part.size for part in heard) < most and not source.ended:
            block = source.read(0.1)
            if block is not None:
                heard.append(block.samples)
            if self._lifetime.stopped():
                return False
        past = np.concatenate(heard)[-most:]
        for first in range(0, most, port.block):
            if not port.collect(self._lifetime.stopped):
                return False
            port.emit(np.broadcast_to(past[first : first + port.block], (port.couplers, port.block)))
        if not port.caught_up(self._lifetime.stopped):
            return False
        while not source.card.queue.patient and source.read(0.0) is not None:
            pass
        statistics = source.statistics
        statistics.overruns = statistics.gaps = statistics.missing = 0
        return True

    def _hand_over(self) -> None:
        """Transmit blocks to the sink as soon as they are certain."""
        self._port.pump()
        until, blocks = self._port.decided(self._handed)
        self._handed = until
        sink = self._run.sink
        for index, x in blocks:
            if sink is None:
                self._run.unsent += index != self._unsent_end
                self._unsent_end = index + self._block
                continue
            assert self._base is not None
            if self._comes_too_late(index):
                continue
            if self._echo is not None:
                self._echo.sent(index, x)
            sink.write(index + self._base, x)

    def _comes_too_late(self, index: int) -> bool:
        """Is the first block of a transmission past its instant? Then nothing of it is sent: half a packet is only noise."""
        source = self._source
        if index != self._transmission_end:
            self._late = False
            if isinstance(source, SoundCardSource):
                assert self._base is not None
                missed = source.card.position - (index + self._base - (source.card.round_trip or 0))
                if missed > 0:
                    self._late = True
                    self._run.late += 1
                    text = f"a transmission at sample {index} was decided {1e3 * missed / source.sample_rate:.1f} ms too late"
                    self._report(f"{source.name}: {text}: give a larger margin_s")
        self._transmission_end = index + self._block
        return self._late

    def _take(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        port = self._port
        if self._base is None:
            self._base = first_sample - port.index
        index = first_sample - self._base
        expected = port.index + self._rest.size
        if index < expected:
            samples = samples[expected - index :]
        elif index > expected:
            port.skip_to(index)
            self._run.skipped += index - expected
            self._report(f"{self._source.name}: {index - expected} samples are missing")
            self._rest = np.zeros(0, np.float32)
            samples = samples[port.index - index :]
        if self._echo is not None and samples.size:
            self._correct(self._echo.heard(port.index + self._rest.size, samples))
        self._take_samples(samples)

    def _take_samples(self, samples: NDArray[np.float32]) -> None:
        port = self._port
        self._run.samples += samples.size
        x = np.concatenate((self._rest, samples))
        done = 0
        while x.size - done >= self._block:
            self._hand_over()
            if not port.members:  # nobody listens: time goes on
                port.index += self._block
                done += self._block
                continue
            together = port.collect(self._lifetime.stopped)
            if not together:
                return
            count = min(together, (x.size - done) // self._block) * self._block
            heard = x[done : done + count]
            if self._writer is not None:
                self._writer.write(heard, port.index)
            if self._monitor is not None:
                self._monitor.write(heard, port.index)
            port.emit(np.broadcast_to(heard, (port.couplers, count)))
            done += count
            if self._patient and not port.caught_up(self._lifetime.stopped):
                return
        self._rest = x[done:].copy()

    def _correct(self, deviation: int) -> None:
        if not deviation:
            return
        assert isinstance(self._source, SoundCardSource)
        card = self._source.card
        card.round_trip = (card.round_trip or 0) + deviation
        self._run.round_trip = card.round_trip
        self._run.changes += 1
        self._report(f"{self._source.name}: the round trip changed by {deviation} samples and is now {card.round_trip}")

