"""Options, commands, events and state files of a node, and its loop under mutated datagrams, without a process."""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mac
from flowgraphs.errors import CommandError, NodeOptionError, StateFileError
from flowgraphs.lonip_node import APPLICATIONS, LonIpNode, NodeOutput
from flowgraphs.node_commands import Request, Write, parse_command, parse_destination
from flowgraphs.node_events import event_line, event_object
from flowgraphs.node_options import NodeOptions, parse_variable
from flowgraphs.state_file import load_state, save_state

SNAPSHOT = mac.NodeSnapshot(
    bytes(6), bytes(8), mac.NodeState.CONFIGURED, (None, None), (b"secret", b"\xff" * 6), (), bytes(25)
)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({"lonip": "10.81.35.12"}, mac.DomainEntry(mac.DomainId(b"\x51"), 35, 12, dhcp=True)),
        ({"lonip": "192.168.1.2"}, mac.DomainEntry(mac.DomainId(), 1, 2, dhcp=True)),
        ({"lonip": "127.0.35.12"}, mac.DomainEntry(mac.DomainId(b"\x7f\0\0"), 35, 12, dhcp=True)),
        ({"lonip": "127.0.0.1", "domain": "4E4553444F4D", "address": "1/7"}, mac.DomainEntry(mac.DomainId(b"NESDOM"), 1, 7)),
        ({"lonip": "10.81.35.12", "domain": "", "key": "010203040506"},
         mac.DomainEntry(mac.DomainId(), 35, 12, bytes.fromhex("010203040506"))),
    ],
)  # fmt: skip
def test_the_address_says_what_the_options_do_not(options, row):
    assert NodeOptions(**options).config().domains == (row,)


def test_a_node_to_be_commissioned():
    config = NodeOptions("127.0.0.1", unconfigured=True).config()
    assert (config.domains, config.initial_state) == ((), mac.NodeState.UNCONFIGURED)
    assert config.unique_node_id == bytes.fromhex("024C7F000001")


def test_a_key_may_stand_in_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("010203040506\n")
    entry = NodeOptions("10.81.35.12", key=f"@{file}").config().domains[0]
    assert entry.key == bytes.fromhex("010203040506")
    with pytest.raises(NodeOptionError, match="nowhere"):
        NodeOptions("10.81.35.12", key=f"@{tmp_path}/nowhere").config()


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("in:2", mac.NetworkVariable(mac.Direction.INPUT, 2)),
        ("out:4:0005", mac.NetworkVariable(mac.Direction.OUTPUT, 4, config=mac.VariableConfig(5, mac.Direction.OUTPUT))),
        ("in:1:3fff:3", mac.NetworkVariable(mac.Direction.INPUT, 1, config=mac.VariableConfig(0x3FFF, address_index=3))),
    ],
)
def test_variables(text, variable):
    assert parse_variable(text) == variable


@pytest.mark.parametrize("text", ["", "in", "in:0", "in:999", "both:1", "in:1:ffff", "in:1:1:999"])
def test_wrong_variables_are_named(text):
    with pytest.raises(NodeOptionError, match="--variable"):
        parse_variable(text)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("35/12", mac.SubnetNode(35, 12)),
        ("broadcast", mac.Broadcast()),
        ("broadcast 35", mac.Broadcast(35)),
        ("group 7", mac.Group(7)),
        ("group 7/4", mac.Group(7, 4)),
        ("02fc0000000d", mac.UniqueId(bytes.fromhex("02FC0000000D"))),
    ],
)
def test_destinations(text, destination):
    found = parse_destination(text)
    assert found == destination
    assert getattr(found, "size", 0) == getattr(destination, "size", 0)


def test_commands():
    assert parse_command(b'{"do": "request", "to": "35/12", "apdu": "51"}') == Request("35/12", "51")
    assert parse_command(b'{"do": "write", "variable": 2, "value": "12"}') == Write(2, "12")


@pytest.mark.parametrize("line", [b"", b"51", b"{}", b'{"do": "no"}', b'{"do": "write"}', b'{"do": "quit", "now": 1}', b"\xff"])
def test_wrong_commands_are_named(line):
    with pytest.raises(CommandError):
        parse_command(line)


@given(st.binary(max_size=60))
def test_noise_is_a_wrong_command(line):
    try:
        parse_command(line)
    except CommandError:
        return


def test_events_have_no_key():
    entry = mac.DomainEntry(mac.DomainId(b"\x51"), 35, 12, b"secret")
    event = mac.DomainChanged(0, entry)
    shown = event_object(event)
    assert shown["event"] == "domain_changed"
    assert shown["entry"]["domain"] == "51"
    assert "key" not in shown["entry"]
    for text in (str(shown), event_line(event)):
        assert "secret" not in text
        assert b"secret".hex() not in text


def test_a_line_leaves_out_what_says_nothing():
    via = mac.Via(mac.SubnetNode(35, 12), 0)
    event = mac.MessageReceived(mac.SubnetNode(35, 15), mac.DomainId(b"\x51"), b"\5\1", via, mac.Service.ACKNOWLEDGED)
    assert event_line(event) == (
        "message received: source 35/15, domain 51, apdu 0501, via (destination 35/12, domain_index 0), service acknowledged"
    )
    assert event_line(mac.Wink()) == "wink"


def test_state_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "state"
    assert load_state(path) is None
    save_state(path, SNAPSHOT)
    assert load_state(path) == SNAPSHOT
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StateFileError, match="No space left"):
        save_state(path, SNAPSHOT)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_a_file_that_is_no_state_is_refused(tmp_path):
    path = tmp_path / "state"
    for octets in (b"", b"hello", SNAPSHOT.encode()[:-1]):
        path.write_bytes(octets)
        with pytest.raises(StateFileError, match="remove the file"):
            load_state(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StateFileError, match="cannot be read"):
        load_state(path)


class Sink:
    """In the place of the sockets: takes everything."""

    joined = frozenset()

    def __init__(self):
        self.sent = []

    def listen(self, groups):
        assert all(len(group) == 4 for group in groups)
        return []

    def send(self, datagram):
        self.sent.append(datagram)


def mutated(rng, payloads):
    octets = bytearray(rng.choice(payloads))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        octets[rng.randrange(len(octets))] = rng.randrange(256)
    return bytes(octets[: rng.randrange(len(octets) + 1)] if rng.random() < 0.2 else octets)


@pytest.mark.parametrize("unconfigured", [False, True])
def test_mutated_datagrams_leave_no_frame_behind(unconfigured):
    vectors = Path(__file__).parents[1] / "vectors" / "mac" / "lonudp.txt"
    payloads = [bytes.fromhex(line.split()[2]) for line in vectors.read_text().splitlines() if line[0] in "<>"]
    rng, clock, sink = Random(4), [0.0], Sink()
    options = NodeOptions("10.81.35.12", "02FC0000000C", unconfigured=unconfigured, silence_s=0.0, variables=("in:2:0001",))
    output = NodeOutput(lambda event: None, lambda name, values: None)
    for _ in range(5):
        node = LonIpNode(options.config(), options.ip(), sink, APPLICATIONS["echo"], output, clock=lambda: clock[0])
        for _ in range(500):
            clock[0] += 0.01
            node.receive(mutated(rng, payloads), bytes([10, 81, 35, 15]) if rng.random() < 0.8 else rng.randbytes(4))
            if node.node.frames_waiting:  # for a slot of what little medium access is left
                assert node.node.next_timer() - clock[0] < 1e-3
            assert node.node.next_event() is None
    assert len(sink.sent) > 50
