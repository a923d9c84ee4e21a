"""Channel access under load: the stack on a simulated line against an analysis of its own and published figures.

    python benchmarks/csma.py [--packets 20000] [--plot csma.png] [--nodes 2,5,10,20,50]

1. Saturated nodes on an ideal channel (one lattice of slots for all, no capture), unacknowledged: the textbook formula.
2. The same on the OSGP line (PL-20A NES) and on PL-20N with their real times: the last sender stands apart from the others.
3. Half of the packets announce another one, the window follows the backlog: a slot-by-slot model, beside it the Markov
   chain for equal estimates of the backlog in all nodes, which collisions between many nodes do not leave.
4. Every packet is acknowledged: the slot-by-slot model.
5. The answers to a broadcast that announced them, with complete nodes: exact.
6. Planning figure of the PLT-22 guide (C band): at 80 % load 10 packets of 11 octets a second, 4 % collisions. The octets are
   taken to be those of the network layer; collisions are counted by busy periods, and load and throughput compared where
   these are 4 %.

Throughput and collision rate must be within 10 % (a rate also passes within its own 95 % interval).
"""

import argparse
import math
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from random import Random
from statistics import mean, stdev
from types import SimpleNamespace
from typing import Any, Final

import csma_model
from csma_model import Channel, Saturated
from harness import verdict

from flowgraphs.medium import LineTiming
from flowgraphs.network import Network
from flowgraphs.network_parts import SentFrame
from mac import (
    Apdu,
    Broadcast,
    ChannelTiming,
    DomainEntry,
    DomainId,
    Event,
    Lpdu,
    LpduHeader,
    Npdu,
    OutgoingFrame,
    RequestReceived,
    ResponseReceived,
    Statistics,
    SubnetNode,
    Tpdu,
    TpduType,
)
from mac.link import LinkLayer
from phy import Profile

DOMAIN: Final = DomainId()
TOLERANCE: Final = 0.10
RUNS: Final = 4
PARTS: Final = 20  # of all runs together
NET_BIT: Final = 1 / 3987  # s; PLT-22 guide, table 3.3 (C)
PLT22: Final = LineTiming(sense_delay=7.3 * NET_BIT, release_delay=1.6 * NET_BIT)  # the same table
APDU: Final = bytes(6)  # makes NPDUs of 11 octets


class Traffic(Enum):
    """What stations send."""

    UNACKNOWLEDGED = auto()
    ANNOUNCING = auto()  # half of the packets have a delta backlog of 1
    ACKNOWLEDGED = auto()


class Station:
    """A link layer that always has a packet, or one at random instants, and may acknowledge what it is sent."""

    def __init__(self, index: int, count: int, timing: ChannelTiming, rng: Random, traffic: Traffic, rate: float | None) -> None:
        self._index, self._count, self._rng = index, count, rng
        self._traffic, self._acknowledge, self._rate = traffic, traffic is Traffic.ACKNOWLEDGED, rate
        self.statistics = Statistics()
        self.link = LinkLayer(timing, rng, self.statistics)
        self.config = SimpleNamespace(unique_node_id=index.to_bytes(6, "big"))
        self.address = SubnetNode(1 + index // 127, 1 + index % 127)
        self.domains, self.groups = (DomainEntry(DOMAIN, self.address.subnet, self.address.node),), ()
        self._next_at = 0.0 if rate is None else rng.expovariate(rate)
        self.sent = 0
        self.backlogs: list[int] = []
        self._events: deque[Any] = deque()
        self.last_reception = None
        if rate is None:
            self._submit(0.0)

    def _submit(self, now: float) -> None:
        to = self._rng.randrange(self._count - 1)
        to += to >= self._index
        pdu: Tpdu | Apdu
        if self._acknowledge:
            pdu = Tpdu(TpduType.ACKD, 1 + self.sent % 15, apdu=APDU[:-1])
            destination = SubnetNode(1 + to // 127, 1 + to % 127)
        else:
            pdu, destination = Apdu.decode(APDU), SubnetNode(255, 1)  # nobody: receivers need not look at it
        self.sent += 1
        announces = self._acknowledge or (self._traffic is Traffic.ANNOUNCING and self._rng.random() < 0.5)
        header = LpduHeader(delta_backlog=int(announces))
        self.link.submit(Lpdu(header, Npdu(self.address, destination, DOMAIN, pdu)), None, now)

    @property
    def frames_waiting(self) -> int:
        return len(self.link)

    @property
    def has_news(self) -> bool:
        return self.link.access.may_transmit

    def receive_frame(self, octets: bytes, now: float) -> None:
        self._take(self.link.receive(octets, now), now)

    def take_frame(self, octets: bytes, now: float) -> None:
        self._take(self.link.decode(octets), now)

    def _take(self, lpdu: Lpdu | None, now: float) -> None:
        if lpdu is None or not self._acknowledge or lpdu.npdu.destination != self.address:
            return
        if isinstance(lpdu.npdu.pdu, Tpdu) and lpdu.npdu.pdu.type is TpduType.ACKD:
            ack = Tpdu(TpduType.ACK, lpdu.npdu.pdu.number)
            self.link.submit(Lpdu(LpduHeader(), Npdu(self.address, lpdu.npdu.source, DOMAIN, ack)), None, now)

    def receive_error(self, now: float) -> None:
        self.link.receive_error(now)

    def on_channel(self, busy: bool, now: float) -> None:
        self.link.access.on_channel(busy, now)

    def overhear(self, changes: Any, packets: Any) -> None:
        self.link.overhear(changes)

    def line_state(self) -> Any:
        return self.link.access.line_state()

    def join(self, state: Any, good: int, bad: int, overflows: int, packets: Any) -> None:
        self.link.join(state, good, bad, overflows)

    def frames_to_send(self, now: float) -> list[OutgoingFrame]:
        frames = self.link.frames_to_send(now)
        if frames:
            self.backlogs.append(self.link.access.backlog.value)
        return frames

    def transmission_done(self, now: float) -> None:
        self.link.transmission_done(now)
        if self._rate is None and not len(self.link):
            self._submit(now)

    def next_start_timer(self) -> float | None:
        at = self.link.access.next_start_timer()
        if self._rate is None:
            return at
        return self._next_at if at is None else min(at, self._next_at)

    def on_timer(self, now: float) -> None:
        if self._rate is not None and self._next_at <= now:
            self._submit(now)
            self._next_at = now + self._rng.expovariate(self._rate)
        self.link.access.on_timer(now)

    def next_event(self) -> None:
        return None


@dataclass(frozen=True)
class Measured:
    """What a run gave.

    Attributes:
        collided: share of the packets.    interval: half of its 95 % interval, from the scatter between parts of the run.
        periods_collided: share of the busy periods with a collision.
    """

    collided: float
    interval: float
    periods_collided: float
    per_second: float
    backlog: float


def simulate(
    nodes: int,
    packets: int,
    timing: ChannelTiming,
    profile: str,
    delays: LineTiming,
    *,
    traffic: Traffic = Traffic.UNACKNOWLEDGED,
    offered: float | None = None,
) -> Measured:
    """So many packets in several runs, each behind a tenth that does not count; all hear all, frames that overlap are lost."""
    parts: list[float] = []
    sent = lost = periods = bad_periods = 0
    seconds = 0.0
    backlogs: list[int] = []
    for seed in range(RUNS):
        run = _Run(nodes, packets // RUNS, timing, profile, delays, traffic, offered, 1000 * (seed + 1) + nodes)
        size = len(run.fates) // (PARTS // RUNS)
        parts += [sum(run.fates[k * size : (k + 1) * size]) / size for k in range(PARTS // RUNS)]
        sent, lost, seconds = sent + len(run.fates), lost + sum(run.fates), seconds + run.seconds
        periods, bad_periods = periods + run.periods, bad_periods + run.bad_periods
        backlogs += run.backlogs
    interval = 2.09 * stdev(parts) / math.sqrt(PARTS)
    return Measured(lost / sent, interval, bad_periods / periods, (sent - lost) / seconds, mean(backlogs))


class _Run:
    """One run: the fate of each packet that counts, busy periods, the time that they took, and the backlogs of the senders."""

    def __init__(
        self,
        nodes: int,
        packets: int,
        timing: ChannelTiming,
        profile: str,
        delays: LineTiming,
        traffic: Traffic,
        offered: float | None,
        seed: int,
    ) -> None:
        network = Network(profile=profile, channel=timing, seed=seed, keep=False, delays=delays, capture=False)
        rate = None if offered is None else offered / nodes
        stations = [Station(k, nodes, timing, network.rng(k), traffic, rate) for k in range(nodes)]
        for station in stations:
            network.add(station)  # type: ignore[arg-type]
        self.fates: list[bool] = []
        self.periods = self.bad_periods = 0
        self._to_skip = packets // 10
        self._line_until = self._started_at = 0.0
        network.on_frame = self._on_frame
        while len(self.fates) < packets:
            network.step()
        self.seconds = network.now - self._started_at
        self.backlogs = [value for station in stations for value in station.backlogs[len(station.backlogs) // 10 :]]

    def _on_frame(self, frame: SentFrame) -> None:
        if self._to_skip:
            self._to_skip -= 1
            self._started_at = frame.end
        else:
            self.fates.append(frame.collided)
            if frame.start >= self._line_until:
                self.periods += 1
                self.bad_periods += frame.collided
        self._line_until = max(self._line_until, frame.end)


def ideal(timing: ChannelTiming) -> ChannelTiming:
    """The same channel with one lattice of slots for all: no priority slots, the same beta1 after sending and receiving."""
    formulas = replace(timing.formulas, post_tx_offset=timing.formulas.post_rx_offset)
    return replace(timing, formulas=formulas, xmit_interpacket=timing.recv_interpacket, channel_priorities=0)


def channel_of(timing: ChannelTiming, profile: str, delays: LineTiming, acknowledge: bool = False) -> Channel:
    """The channel as the analysis sees it."""
    before = timing.beta1_post_rx + timing.priority_area_post_rx
    offset = timing.beta1_post_tx + timing.priority_area_post_tx - before - delays.release_delay
    physical = Profile.load(profile)
    message, ack = (physical.airtime(6 + pdu + 2) for pdu in (len(APDU), 1))
    delay = delays.sense_delay, delays.release_delay
    return Channel(timing.beta2, before, offset, *delay, message, ack if acknowledge else message)


def compare(name: str, truth: Saturated, got: Measured) -> bool:
    """One line of the report; True when within the tolerance."""
    speed_off = got.per_second / truth.per_second - 1
    rate_close = abs(got.collided - truth.collided) <= max(TOLERANCE * truth.collided, got.interval)
    passed = abs(speed_off) <= TOLERANCE and rate_close
    print(
        f"{name:34} packets/s {got.per_second:6.2f}, truth {truth.per_second:6.2f} ({100 * speed_off:+5.1f} %)   "
        f"collided {100 * got.collided:5.2f} +-{100 * got.interval:4.2f} %, truth {100 * truth.collided:5.2f} %   "
        f"backlog {got.backlog:5.2f}, truth {truth.backlog:5.2f}   {verdict(passed)}",
        flush=True,
    )
    return passed


Row = tuple[int, Saturated, Measured]


def saturated(nodes: list[int], packets: int) -> Iterator[tuple[str, Row]]:
    """Series 1 to 4 of the report: (title, (nodes, truth, measured)) one by one."""
    nes, pl20n = ChannelTiming.load("pl20a_nes"), ChannelTiming.load("pl20n")
    quick = LineTiming(sense_delay=nes.beta2 / 2, release_delay=0.0)
    modem = Network().lines[0].delays
    model = {
        Traffic.UNACKNOWLEDGED: csma_model.unacknowledged,
        Traffic.ANNOUNCING: partial(csma_model.drawn, share=0.5),
        Traffic.ACKNOWLEDGED: csma_model.drawn,
    }
    for title, timing, profile, delays, traffic in (
        ("ideal, unacknowledged", ideal(nes), "pl20a", quick, Traffic.UNACKNOWLEDGED),
        ("PL-20A NES, unacknowledged", nes, "pl20a", modem, Traffic.UNACKNOWLEDGED),
        ("PL-20N, unacknowledged", pl20n, "pl20c", PLT22, Traffic.UNACKNOWLEDGED),
        ("ideal, half announce another", ideal(nes), "pl20a", quick, Traffic.ANNOUNCING),
        ("ideal, acknowledged", ideal(nes), "pl20a", quick, Traffic.ACKNOWLEDGED),
    ):
        for n in nodes:
            channel = channel_of(timing, profile, delays, traffic is Traffic.ACKNOWLEDGED)
            got = simulate(n, packets, timing, profile, delays, traffic=traffic)
            yield title, (n, model[traffic](n, channel), got)


def answered(nodes: int, rounds: int) -> tuple[float, float]:
    """Share of the answers to a broadcast that get through, and busy periods they take: complete nodes, ideal channel."""
    timing = ideal(ChannelTiming.load("pl20a_nes"))
    quick = LineTiming(sense_delay=timing.beta2 / 2, release_delay=0.0)
    through = periods = 0
    for seed in range(rounds):
        network = Network(channel=timing, seed=seed, delays=quick, capture=False)
        for k in range(nodes + 1):
            network.add_node(domains=(DomainEntry(DOMAIN, 1, k + 1),))

        def respond(index: int, event: Event, now: float, network: Network = network) -> None:
            if isinstance(event, RequestReceived):
                network.node(index).respond(event.request_id, bytes([index]), now)

        network.on_event = respond
        network.node(0).send_request(Broadcast(), b"\x05", 0.0, retries=0, max_responses=nodes, backlog=nodes, transmit_time=60.0)
        network.run(60.0)
        through += sum(isinstance(found.event, ResponseReceived) for found in network.events)
        starts = [frame.start for frame in network.frames[1:]]
        periods += len({round(start, 4) for start in starts})
    return through / rounds / nodes, periods / rounds


def planning(packets: int) -> bool:
    """The planning figure: load and throughput where 4 % of the busy periods of 20 stations at random instants are collisions.

    Load is packets a second times the packet cycle of a lone sender: beta1, the priority slots, 7.5 slots, the frame.
    """
    timing = ChannelTiming.load("pl20n")
    channel = channel_of(timing, "pl20c", PLT22)
    cycle = channel.before_slots + (csma_model.WINDOW - 1) / 2 * channel.slot + channel.airtime + channel.release
    low, high = (simulate(20, packets, timing, "pl20c", PLT22, offered=offered) for offered in (10.0, 11.0))
    share = (0.04 - low.periods_collided) / (high.periods_collided - low.periods_collided)
    load, through = (10.0 + share) * cycle, low.per_second + share * (high.per_second - low.per_second)
    passed = abs(load / 0.80 - 1) <= TOLERANCE and abs(through / 10.0 - 1) <= TOLERANCE
    print(
        f"PL-20N, 11 octets                   collisions {100 * low.periods_collided:.2f} % at 10 packets/s offered, "
        f"{100 * high.periods_collided:.2f} % at 11; 4 % at a load of {100 * load:.0f} % (published 80 %), "
        f"{through:.2f}/s get through (published 10)   {verdict(passed)}"
    )
    return passed


def draw(series: Mapping[str, list[Row]], path: Path) -> None:
    """Throughput and collisions against the number of nodes: models as lines, the stack as dots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    rate, collisions = figure.subplots(1, 2)
    for k, (title, rows) in enumerate(series.items()):
        nodes = [row[0] for row in rows]
        for axes, name, scale in ((rate, "per_second", 1.0), (collisions, "collided", 100.0)):
            axes.plot(nodes, [scale * getattr(row[1], name) for row in rows], color=f"C{k}", label=title)
            axes.plot(nodes, [scale * getattr(row[2], name) for row in rows], "o", color=f"C{k}")
    rate.set(ylabel="packets/s that get through", ylim=(0, None))
    collisions.set(ylabel="packets that collide, %", ylim=(0, 100))
    for axes in (rate, collisions):
        axes.set(xlabel="nodes that always have a packet", xscale="log")
        axes.set_xticks(ticks := [2, 5, 10, 20, 50], [str(n) for n in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    rate.legend(title="lines: model, dots: stack", fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Print the comparison; exit 1 when something is outside its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=20000, help="of each row")
    parser.add_argument("--bursts", type=int, default=200, help="broadcasts of series 5")
    parser.add_argument("--nodes", default="2,5,10,20,50")
    parser.add_argument("--plot", type=Path, help="draw the curves into this file")
    arguments = parser.parse_args()
    nodes = [int(n) for n in arguments.nodes.split(",")]
    passed = True
    series: dict[str, list[Row]] = {}
    for title, row in saturated(nodes, arguments.packets):
        series.setdefault(title, []).append(row)
        n, truth, got = row
        passed &= compare(f"{title}, {n} nodes", truth, got)
    line = channel_of(ideal(ChannelTiming.load("pl20a_nes")), "pl20a", LineTiming(0.0, 0.0))
    chain = [(n, csma_model.announcing(n, line)) for n in nodes]
    print("half announce another, chain      ", ", ".join(f"{n}: {100 * truth.collided:.2f} %" for n, truth in chain))
    for n in (5, 20):
        through, periods = answered(n, arguments.bursts)
        expected, expected_periods = csma_model.answers(n, n)
        close = abs(through / expected - 1) <= TOLERANCE and abs(periods / expected_periods - 1) <= TOLERANCE
        passed &= close
        print(
            f"{f'broadcast with {n} answers':34} get through {100 * through:5.2f} %, truth {100 * expected:5.2f} %   "
            f"busy periods {periods:5.2f}, truth {expected_periods:5.2f}   {verdict(close)}"
        )
    passed &= planning(arguments.packets)
    if arguments.plot:
        draw(series, arguments.plot)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
