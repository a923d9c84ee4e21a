"""Proxy repeating on four recorded stations: ours in their places send the same octets at the same times."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest

from mac import ChannelTiming, DomainEntry, DomainId, MessageReceived, Node, NodeConfig, RequestReceived, SubnetNode

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "repeating.txt"
INSTANT = replace(ChannelTiming.load("pl20a_nes"), input_clock_hz=10**13)
DOMAIN = DomainId(b"\x51")
TESTER = 15
NEIGHBOURS = {12: (13,), 13: (12, 14), 14: (13,)}  # and the tester, who hears 12
AIRTIME = 0.001  # s
TOLERANCE = 0.012  # s; the recorded stack polls its timers every few ms
CLASSIC_TOLERANCE = 0.1  # s; there, the recording itself hesitated once
PAUSE = 40.0  # s, after which no receive record of the scenario before is left
RECORDED_DEFECT = bytes.fromhex("05A100")  # end of the all-agents copy, which has an octet too many
AGENT_KEYS = bytes(range(1, 7)), bytes(range(7, 13))
TARGET_KEYS = bytes.fromhex("112233445566"), bytes.fromhex("7788990AABBC")


def read_scenarios():
    scenarios = {}
    for line in VECTORS.read_text().splitlines():
        if line.startswith("## "):
            frames = scenarios.setdefault(line[3:], [])
        elif not line.startswith("#"):
            at, sender, octets = line.split()
            frames.append((float(at), int(sender), bytes.fromhex(octets)))
    return scenarios


SCENARIOS = read_scenarios()
KEYED = ("altkey 96-bit", "no altkey (wrong key at target)", "altkey 48-bit")
ONE_RUN = [name for name in SCENARIOS if name not in KEYED]


class FourStations:
    """12, 13 and 14 in a line, the tester before them; every frame takes 1 ms and is heard by the neighbours."""

    def __init__(self, domains=lambda node: (DomainEntry(DOMAIN, 35, node),), challenges=None):
        self.nodes = {}
        for number in NEIGHBOURS:
            config = NodeConfig(
                unique_node_id=bytes.fromhex("02FC000000") + bytes([number]),
                domains=domains(number),
                firmware_version=4,
                model=0xA8,
                receive_code=8,
                reset_silence=0.0,
            )
            draw = None if challenges is None else (lambda n, left=challenges[number]: left.pop(0))
            self.nodes[number] = Node(config, INSTANT, Random(number), draw)
        self.now = 0.0
        self.sent, self.events = [], []
        self._on_line = []
        self._order = count()

    def run(self, until):
        while True:
            due = [at for node in self.nodes.values() if (at := node.next_timer()) is not None]
            due += [end for end, *_ in self._on_line]
            if not due or min(due) > until:
                break
            self.now = max(min(due), self.now)
            self._step()
        self.now = until

    def _step(self):
        for frame in sorted(f for f in self._on_line if f[0] <= self.now):
            self._on_line.remove(frame)
            _, _, sender, octets = frame
            self.nodes[sender].transmission_done(self.now)
            for receiver in NEIGHBOURS[sender]:
                self.nodes[receiver].receive_frame(octets, self.now)
        for number, node in self.nodes.items():
            node.on_timer(self.now)
            for frame in node.frames_to_send(self.now):
                assert frame.alternate == bool(frame.octets[0] & 0x40)
                self.sent.append((self.now, number, frame.octets))
                self._on_line.append((self.now + AIRTIME, next(self._order), number, frame.octets))
            while (event := node.next_event()) is not None:
                self.events.append((number, event))
                if isinstance(event, RequestReceived):
                    node.respond(event.request_id, event.apdu[:1] + event.apdu[:0:-1], self.now)

    def play(self, frames):
        """Send the tester's frames at their times; returns what was sent and reported by the last recorded one."""
        start, self.sent, self.events = self.now, [], []
        for at, sender, octets in frames:
            if sender == TESTER:
                self.run(start + at)
                self.nodes[12].receive_frame(octets, self.now)
        self.run(start + frames[-1][0] + 0.1)
        sent = [(at - start, sender, octets) for at, sender, octets in self.sent]
        events = self.events
        self.run(start + PAUSE)
        return sent, events


def compare(frames, sent, tolerance=TOLERANCE):
    for number in NEIGHBOURS:
        recorded = [(at, octets) for at, sender, octets in frames if sender == number]
        ours = [(at, octets) for at, sender, octets in sent if sender == number]
        assert [octets.hex() for _, octets in ours] == [without_defect(octets).hex() for _, octets in recorded]
        for (at, _), (recorded_at, _) in zip(ours, recorded, strict=True):
            assert abs(at - recorded_at) < tolerance


def without_defect(octets):
    return octets[:-1] if octets.endswith(RECORDED_DEFECT) else octets


def test_one_run_as_recorded():
    stations = FourStations()
    delivered = {}
    for name in ONE_RUN:
        sent, events = stations.play(SCENARIOS[name])
        try:
            compare(SCENARIOS[name], sent)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        delivered[name] = [(number, event.apdu) for number, event in events if isinstance(event, MessageReceived)]
    assert {name: messages for name, messages in delivered.items() if messages} == {
        "ackd service to target (app msg)": [(13, b"\x05\xa1\xa2")],
        "unackd repeated service to target": [(13, b"\x05\xa1\xa2")],
        "unackd service to target": [(13, b"\x05\xa1\xa2")],
        "all agents, unackd rpt over repeater": [(14, b"\x05\xa1")],
        "PS repeated service": [(14, b"\x05\xa1")],
    }


def test_twenty_scenarios_make_the_run():
    assert len(ONE_RUN) == 20


@pytest.mark.parametrize("name", KEYED)
def test_alternate_keys_as_recorded(name):
    oma = name == "altkey 96-bit"

    def domains(node):
        first, second = (TARGET_KEYS if node == 13 else AGENT_KEYS)
        own = DomainEntry(DOMAIN, 35, node, first, authentication_type=int(oma and node == 13))
        return own, DomainEntry(DomainId(bytes([node])), 1, node, second)

    frames = SCENARIOS[name]
    challenges = {number: [] for number in NEIGHBOURS}
    for _, sender, octets in frames:
        if octets[1] == 0x29 and not octets[7] & 0x20:
            challenges[sender].append(octets[8:])
    sent, events = FourStations(domains, challenges).play(frames)
    compare(frames, sent)
    (request,) = [event for number, event in events if isinstance(event, RequestReceived) and number == 13]
    assert request.via.auth_asked
    assert request.via.authenticated == (name != "no altkey (wrong key at target)")


CLASSIC = "classic proxy / misc: classic proxy "


def read_classic_scenarios():
    """Exchanges of the other recording that begin with a classic proxy request."""
    scenarios = {}
    for line in (VECTORS.parent / "exchanges.txt").read_text().splitlines():
        if line.startswith("## "):
            frames = scenarios.setdefault(line[3:], [])
        elif not line.startswith("#"):
            at, _, text = line.split()
            octets = bytes.fromhex(text)
            frames.append((float(at), octets[3] & 0x7F, octets))
    return {name.removeprefix(CLASSIC): frames for name, frames in scenarios.items() if name.startswith(CLASSIC)}


def test_classic_proxy_as_recorded():
    """Its numbers are the agent's own: one more message went out between the second and the third recorded one."""
    scenarios = read_classic_scenarios()
    assert list(scenarios) == ["query status via SN", "xcvr status", "by unique id", "to missing node"]
    stations = FourStations()
    for name, frames in scenarios.items():
        if name == "by unique id":
            stations.nodes[12].send_repeated(SubnetNode(35, 15), b"\x05", stations.now, repeats=0)
            stations.run(stations.now + PAUSE)
        compare(frames, stations.play(frames)[0], CLASSIC_TOLERANCE)
