"""Recorded management and diagnostic exchanges with an independent stack: our node in its place answers octet for octet.

One node goes through all of them in their order, as the recorded one did, so that what one message changes the next one
shows. Where the answer is not the recorded one, the difference is named with its reason.
"""

from pathlib import Path
from random import Random

from mac import (
    ChannelTiming,
    Direction,
    DomainEntry,
    DomainId,
    Lpdu,
    NetworkVariable,
    Node,
    NodeConfig,
    NodeState,
    RequestReceived,
    SubnetNode,
    VariableConfig,
    VariableUpdated,
)
from mac.lonip import lonip_channel
from mac.management import Capability

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "exchanges.txt"
REQUESTS = "network management / diagnostics requests"
COMMISSIONING = "commissioning (6-byte domain)"
DOMAIN = DomainId(b"\x51")
UNIQUE_ID = bytes.fromhex("02FC0000000C")

# The variables of that stack's example application, which was running: five inputs, and outputs that follow the last four.
LENGTHS = (7, 2, 4, 2, 4)
VARIABLES = tuple(
    NetworkVariable(Direction.INPUT, length, config=VariableConfig(selector, Direction.INPUT, 0))
    for selector, length in enumerate(LENGTHS)
) + tuple(
    NetworkVariable(Direction.OUTPUT, length, config=VariableConfig(selector, Direction.OUTPUT, 0))
    for selector, length in enumerate(LENGTHS)
    if selector
)

COUNTERS = "the recorded stack counts other things and has one counter more"
DIFFERENT = {  # request -> why the octets behind the response code are not compared
    "6D03000010": COUNTERS,
}


def read_scenarios():
    scenarios, current = {}, None
    for line in VECTORS.read_text().splitlines():
        if line.startswith("## "):
            current = scenarios.setdefault(line[3:], [])
        elif not line.startswith("#"):
            at, direction, octets = line.split()
            current.append((float(at), direction, bytes.fromhex(octets)))
    return scenarios


SCENARIOS = read_scenarios()


class Peer:
    """Our node with the recorded stack's identity, tables and test application."""

    def __init__(self, **options):
        config = {
            "unique_node_id": UNIQUE_ID,
            "program_id": bytes.fromhex("9FFFFF0000000001"),
            "domains": (
                DomainEntry(DOMAIN, 35, 12, bytes.fromhex("010203040506"), dhcp=True),
                DomainEntry(DomainId(b"\x7a"), 0, 0, bytes.fromhex("0708090A0B0C")),
            ),
            "address_rows": (bytes.fromhex("010F000023"),),
            "firmware_version": 4,
            "firmware_minor": 1,
            "firmware_build": 1,
            "model": 0xA8,
            "receive_code": 8,
            "node_priority": 1,
            "reset_silence": 0.0,
            "variables": VARIABLES,
            "self_identification": bytes.fromhex("010D0901000080A180A1"),
            "capabilities": Capability(0x0653),
            **options,
        }
        self.node = Node(NodeConfig(**config), ChannelTiming.load(lonip_channel()), Random(1))
        self.now, self.sent = 0.0, []

    def run(self, until):
        while (at := self.node.next_timer()) is not None and at <= until:
            self.node.on_timer(at)
            for frame in self.node.frames_to_send(at):
                self.sent.append(frame.octets)
                self.node.transmission_done(at)
            self.collect(at)
        self.now = max(self.now, until)

    def receive(self, octets):
        self.node.receive_frame(octets, self.now)
        self.collect(self.now)
        self.run(self.now + 0.01)

    def collect(self, at):
        while (event := self.node.next_event()) is not None:
            if isinstance(event, RequestReceived):
                self.node.respond(event.request_id, event.apdu[:1] + event.apdu[:0:-1], at)
            elif isinstance(event, VariableUpdated):
                self.node.managed.variables.values[event.index + 4] = event.value


def apdu_of(octets):
    return getattr(Lpdu.decode(octets).npdu.pdu, "apdu", b"")


def blanked(octets, request):
    """An answer without what is not compared: counters of a status, and what `DIFFERENT` names."""
    apdu = apdu_of(octets)
    if apdu[:1] in (b"\x31", b"\x32", b"\x36") and len(apdu) == 16:
        return octets[:-15] + bytes(10) + octets[-5:]
    if request in DIFFERENT:
        return octets[: -len(apdu) + 1] + bytes(len(apdu) - 1)
    return octets


def rounds(frames):
    """(tester's frame, answers to it up to the next one) of a scenario."""
    current = None
    for at, direction, octets in frames:
        if direction == ">":
            if current is not None:
                yield current
            current = (at, octets, [])
        elif current is not None:
            current[2].append(octets)
    yield current


def replay(peer, scenario):
    start = peer.now + 30.0  # the recorded node had forgotten the scenario before
    peer.run(start)
    for at, octets, recorded in rounds(SCENARIOS[scenario]):
        peer.run(start + at)
        peer.sent.clear()
        peer.receive(octets)
        request = apdu_of(octets).hex().upper()
        ours = [blanked(answer, request).hex() for answer in peer.sent]
        assert ours == [blanked(answer, request).hex() for answer in recorded], f"{scenario}: {request}"


def test_management_requests_as_recorded():
    """All 42, and the service message at the end."""
    peer = Peer()
    frames = SCENARIOS[REQUESTS]
    service_message = frames[-1][2]
    SCENARIOS["requests alone"] = frames[:-1]
    replay(peer, "requests alone")
    peer.sent.clear()
    peer.node.send_service_message(peer.now)
    peer.run(peer.now + 1.0)
    assert peer.sent == [service_message]


def test_one_node_through_the_later_scenarios():
    """What was recorded with row 1 on a domain of six octets: the error log stays at 138 from the bad index on."""
    row = DomainEntry(DomainId(b"ABCDEF"), 7, 9, bytes.fromhex("0708090A0B0C"))
    peer = Peer()
    peer.node.set_domain(1, row)
    for scenario in (
        "nv_update",
        "nv_poll_dir1",
        "nm_update_address_group",
        "domain1_6byte",
        "flex_domain_uid",
        "flex_query_id",
        "bcast_other_subnet",
        "nm_update_domain_bad",
        "nm_update_key",
        "nm_write_mem",
    ):
        replay(peer, scenario)
    peer.node.set_state(NodeState.SOFT_OFFLINE)  # by a message that is not among the recorded native frames
    for scenario in ("offline_appmsg", "nm_mode_online", "nm_unconfig", "unconfigured"):
        replay(peer, scenario)
    peer.node.set_state(NodeState.CONFIGURED)
    for scenario in ("wink", "product_query", "misc"):
        replay(peer, scenario)
    assert peer.node.managed.last_error == 0x8A


def test_signal_strength_and_configuration_data_as_recorded():
    for name in ("bidirectional signal strength", "query config data"):
        replay(Peer(), f"classic proxy / misc: {name}")


def test_commissioning_as_recorded():
    """The sequence by which a node gets its domain, address, key and state, and then refuses strangers.

    The last error differs: that stack logs a code of its own (38 hex), we the standard's "authentication mismatch".
    """
    peer = Peer(unique_node_id=bytes.fromhex("02FC0000000D"), domains=(), address_rows=())
    start = 0.0
    for at, octets, recorded in rounds(SCENARIOS[COMMISSIONING]):
        peer.run(start + at)
        peer.sent.clear()
        peer.receive(octets)
        expected = [frame.replace(bytes.fromhex("043800A8"[:4]), bytes.fromhex("04A0")) for frame in recorded]
        assert [frame.hex() for frame in peer.sent] == [frame.hex() for frame in expected]
    assert peer.node.state is NodeState.CONFIGURED
    assert peer.node.address() == SubnetNode(1, 7)
    assert peer.node.domains[0].key == bytes.fromhex("112233445566")
