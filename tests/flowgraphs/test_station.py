"""Stations face to face in virtual time: exchange, half duplex, promises, gaps."""

import random

import numpy as np
import pytest

import mac
from flowgraphs.binding import make_node
from flowgraphs.events import FrameSent, PacketReceived, StationEvent
from flowgraphs.frontends.simulated_line import Mixer
from flowgraphs.graph import parse_graph
from flowgraphs.station import Station

GRAPH = parse_graph("""\
block: 400
line: {couplers: 2, own_gain_db: -6, gain_db: -30, noise: [{kind: white, rms_v: 0.002}]}
stations:
  - {name: a, kind: concentrator, coupler: 0, unique_node_id: "000000000001", node: 1}
  - {name: b, kind: concentrator, coupler: 1, unique_node_id: "000000000002", node: 2}
""")
BLOCK, RATE = GRAPH.block, GRAPH.sample_rate
RESET_SILENCE_S = 2.0  # a node is silent so long after it has started; these started before the line did


class Silent:
    """An application that only remembers."""

    def __init__(self):
        self.seen, self.timer = [], None

    def start(self, now): ...

    def on_event(self, event, now):
        self.seen.append(event)

    def work(self, now): ...

    def next_timer(self):
        return self.timer

    def reports(self):
        return []


class Slots(random.Random):
    """Draws slots; the first one whenever `lowest` says so."""

    lowest = False

    def randrange(self, *bounds):
        return 0 if self.lowest else super().randrange(*bounds)


class World:
    """Two stations on a line, block by block."""

    def __init__(self):
        self.events, self.mixer, self.sent, self.index = [], Mixer(GRAPH), {}, 0
        self.applications = [Silent(), Silent()]
        self.rngs = [Slots(spec.name) for spec in GRAPH.stations]
        self.nodes = [make_node(GRAPH, spec, rng, -RESET_SILENCE_S) for spec, rng in zip(GRAPH.stations, self.rngs, strict=True)]
        self.stations = [
            Station(GRAPH, spec, node, application, self.events.append)
            for spec, node, application in zip(GRAPH.stations, self.nodes, self.applications, strict=True)
        ]
        self.promised = [0, 0]
        self.keeps = False  # whether promises are held against each other; what a test sends of its own accord breaks them

    def run(self, seconds):
        for _ in range(round(seconds * RATE / BLOCK)):
            heard = self.mixer.work(self.index, self.sent.pop(self.index, {}))
            at = self.index + 2 * BLOCK
            for k, station in enumerate(self.stations):
                station.work(self.index, heard[k], at)
                block = station.transmit(at, at + BLOCK)
                if block is not None:
                    self.sent.setdefault(at, {})[k] = block
                promise = station.decided_until(at + BLOCK, BLOCK)
                assert promise >= max(at + BLOCK, self.promised[k])  # a promise is not taken back
                self.promised[k] = promise if self.keeps else 0
            self.index += BLOCK

    def of(self, kind, station=None):
        return [e for e in self.events if isinstance(e, kind) and station in (None, e.station)]


@pytest.fixture
def world():
    world = World()
    world.run(0.1)  # time to learn the noise
    return world


def test_a_message_arrives_and_its_sender_does_not_hear_itself(world):
    world.nodes[0].send_acknowledged(mac.SubnetNode(1, 2), b"\x01hello", world.index / RATE)
    world.run(0.6)
    received = [e for e in world.applications[1].seen if isinstance(e, mac.MessageReceived)]
    assert [e.apdu for e in received] == [b"\x01hello"]
    done = [e for e in world.applications[0].seen if isinstance(e, mac.TransactionDone)]
    assert [e.success for e in done] == [True]
    frames, packets = world.of(FrameSent), world.of(PacketReceived)
    assert [f.station for f in frames] == ["a", "b"]
    assert [(p.station, p.crc_ok, p.lpdu) for p in packets] == [("b", True, frames[0].lpdu), ("a", True, frames[1].lpdu)]
    bit = RATE * world.stations[0].profile.bit_time
    for frame, packet in zip(frames, packets, strict=True):
        assert abs(frame.start_sample - packet.start_sample) < bit


def test_two_stations_that_want_the_line_at_once_both_get_through(world):
    now = world.index / RATE
    world.nodes[0].send_acknowledged(mac.SubnetNode(1, 2), b"\x01from a", now)
    world.nodes[1].send_acknowledged(mac.SubnetNode(1, 1), b"\x01from b", now)
    while world.index < now * RATE + 6.0 * RATE and not all(
        any(isinstance(e, mac.TransactionDone) for e in application.seen) for application in world.applications
    ):
        world.run(0.1)
    for application in world.applications:
        assert [e.success for e in application.seen if isinstance(e, mac.TransactionDone)] == [True]


def test_an_idle_station_promises_silence_up_to_its_next_timer(world):
    station = world.stations[0]
    at = world.index + 2 * BLOCK
    assert station.decided_until(at, BLOCK) >= at + 5 * BLOCK  # beta1 is 6.1 ms, a block 1 ms
    world.applications[0].timer = world.index / RATE
    assert station.decided_until(at, BLOCK) == at


def test_breaking_a_promise_is_an_error_and_not_a_clipped_packet(world):
    station = world.stations[0]
    promised = station.decided_until(world.index + 2 * BLOCK, BLOCK)
    with pytest.raises(RuntimeError, match="after promising silence"):
        station._start(bytes(8), False, promised - BLOCK)


def test_a_gap_is_told_and_packets_after_it_have_their_true_place(world):
    world.index += 1000 * BLOCK
    world.nodes[0].send_unacknowledged(mac.SubnetNode(1, 2), b"\x01late", world.index / RATE)
    world.run(0.4)
    gaps = [e for e in world.of(StationEvent) if e.name == "gap"]
    assert {e.station for e in gaps} == {"a", "b"} and "400000 samples are missing" in gaps[0].text
    (frame,), (packet,) = world.of(FrameSent), world.of(PacketReceived)
    assert packet.crc_ok and abs(packet.start_sample - frame.start_sample) < 112
    assert np.isfinite(packet.esn0_db)


@pytest.mark.parametrize("later", [0, 1, 2, 4])
def test_an_answer_that_comes_up_after_the_carrier_has_gone_breaks_no_promise(world, later):
    """The receiver hands a packet over a little after its carrier has gone; the answer may start beta1 after that."""
    world.rngs[1].lowest = world.keeps = True
    world.nodes[0].send_unacknowledged(mac.SubnetNode(1, 2), b"\x01question", world.index / RATE)
    station = world.stations[1]
    while not station._busy:
        world.run(BLOCK / RATE)
    while station._busy:
        world.run(BLOCK / RATE)
    world.run(later * BLOCK / RATE)
    world.nodes[1].send_unacknowledged(mac.SubnetNode(1, 1), b"\x01answer", world.index / RATE)
    world.run(1.0)
    assert [f.station for f in world.of(FrameSent)] == ["a", "b"]
