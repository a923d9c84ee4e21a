"""What survives a restart: octets both ways, damage of every kind, and a node that starts again."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    AliasConfig,
    ChannelTiming,
    ConfigurationError,
    DecodeError,
    Direction,
    DomainEntry,
    DomainId,
    GroupEntry,
    NetworkVariable,
    Node,
    NodeConfig,
    NodeSnapshot,
    NodeState,
    SubnetNode,
    VariableConfig,
    VariableService,
)

TIMING = ChannelTiming.load("pl20a_nes")
ID, PROGRAM = bytes.fromhex("02FC0000000D"), bytes.fromhex("9FFFFF0000000001")
KEY = bytes.fromhex("112233445566")
VARIABLES = (NetworkVariable(Direction.INPUT, 2, persistent=True), NetworkVariable(Direction.OUTPUT, 1))
CONFIG = NodeConfig(ID, PROGRAM, variables=VARIABLES, aliases=1)


def start(saved=None, **options):
    return Node(replace(CONFIG, saved=saved, **options), TIMING, Random(1))


def changed_node():
    node = start()
    node.set_domain(0, DomainEntry(DomainId(b"NESDOM"), 1, 7, KEY))
    node.set_state(NodeState.CONFIGURED)
    managed = node.managed
    managed.set_row_key(1, b"secret")
    managed.set_address_row(3, GroupEntry(7, 3, 1).encode())
    managed.set_configuration(managed.configuration.write(2, b"cellar\x1c"[:6]).write(24, b"\x98"))
    managed.variables.set_config(0, VariableConfig(5, service=VariableService.REPEATED))
    managed.variables.aliases[0] = AliasConfig(VariableConfig(6), 0)
    managed.variables.values[:] = [b"\1\2", b"\3"]
    managed.log_error(138)
    managed.changed()
    return node


def test_a_node_is_the_same_after_a_restart():
    before = changed_node()
    after = start(NodeSnapshot.decode(before.snapshot().encode()))
    assert after.snapshot() == replace(before.snapshot(), values=(b"\1\2", b""))
    assert after.state is NodeState.CONFIGURED
    assert after.address() == SubnetNode(1, 7)
    assert after.managed.network.keys.rows == (KEY, b"secret")
    assert [entry.group for entry in after.groups] == [7]
    assert after.managed.configuration.octets[2:8] == b"cellar"
    assert after.managed.configuration.management_authentication
    assert after._records.receive_code == 9
    assert after.managed.last_error == 138
    assert after.managed.reset_cause == 1, "the reset cause is that of this start"
    assert after.managed.variables.values == [b"\1\2", b"\0"], "only the persistent value is kept"
    assert list(after.variables.table.connections(0)) == [VariableConfig(5, service=VariableService.REPEATED), VariableConfig(6)]


def test_soft_offline_does_not_survive():
    node = changed_node()
    node.set_state(NodeState.SOFT_OFFLINE)
    assert NodeSnapshot.decode(node.snapshot().encode()).state is NodeState.CONFIGURED


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node.set_state(NodeState.HARD_OFFLINE),
        lambda node: node.set_domain(1, DomainEntry(DomainId(), 1, 1)),
        lambda node: node.managed.set_row_key(0, b"123456"),
        lambda node: node.managed.set_address_row(0, b"\1\2\3\4\5"),
        lambda node: node.managed.log_error(139),
        lambda node: node.managed.set_configuration(node.managed.configuration.write(0, b"\1")),
    ],
)
def test_each_change_is_noticed(change):
    node = changed_node()
    before, revision = node.snapshot(), node.managed.revision
    change(node)
    assert node.managed.revision > revision
    assert node.snapshot() != before


def test_what_is_volatile_changes_nothing():
    node = changed_node()
    revision, before = node.managed.revision, node.snapshot()
    node.managed.selected = True
    node.receive_error(1.0)
    assert (node.managed.revision, node.snapshot()) == (revision, before)


def test_a_wrong_checksum_starts_the_node_unconfigured():
    saved = changed_node().snapshot()
    assert saved.intact
    broken = replace(saved, configuration=b"\xff" + saved.configuration[1:])
    node = start(NodeSnapshot.decode(broken.encode()))
    assert node.state is NodeState.UNCONFIGURED
    assert node.managed.last_error == 153
    assert node.domains[0] is not None, "the tables stay, they are only not in force"
    assert node.snapshot().intact


def test_other_variables_make_their_rows_void():
    saved = changed_node().snapshot()
    assert start(saved, program_id=bytes(8)).variables.table.configs[0].selector == 0x3FFF
    assert start(saved, variables=VARIABLES[:1]).variables.table.configs[0].selector == 0x3FFF
    assert start(saved, variables=VARIABLES[:1]).state is NodeState.CONFIGURED


def test_data_of_another_node_are_refused():
    with pytest.raises(ConfigurationError, match="another node"):
        start(changed_node().snapshot(), unique_node_id=bytes(6))


def test_no_key_is_shown():
    text = repr(changed_node().snapshot())
    assert "secret" not in text
    assert '3DUf' not in text
    assert "\\x113" not in text


entries = st.none() | st.builds(
    DomainEntry,
    st.sampled_from([DomainId(), DomainId(b"Q"), DomainId(b"abc"), DomainId(b"NESDOM")]),
    st.integers(0, 255),
    st.integers(0, 127),
    st.binary(min_size=6, max_size=6),
)
configs = st.builds(
    VariableConfig,
    st.integers(0, 0x3FFF),
    st.sampled_from(Direction),
    st.integers(0, 255),
    st.sampled_from(VariableService),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@st.composite
def snapshots(draw):
    domains = draw(st.tuples(entries, entries))
    keys = tuple(b"\xff" * 6 if entry is not None else draw(st.binary(min_size=6, max_size=6)) for entry in domains)
    rows = draw(st.lists(configs, max_size=3))
    return NodeSnapshot(
        draw(st.binary(min_size=6, max_size=6)),
        draw(st.binary(min_size=8, max_size=8)),
        draw(st.sampled_from([s for s in NodeState if s not in (NodeState.BYPASS, NodeState.SOFT_OFFLINE)])),
        domains,
        keys,
        tuple(draw(st.lists(st.binary(min_size=5, max_size=5), max_size=15))),
        draw(st.binary(min_size=25, max_size=25)),
        tuple(rows),
        tuple(draw(st.binary(max_size=31)) for _ in rows),
        tuple(draw(st.lists(st.builds(AliasConfig, configs, st.integers(0, 0xFFFF)), max_size=2))),
        draw(st.integers(0, 255)),
        draw(st.integers(0, 255)),
    )


@given(snapshots())
def test_round_trip(snapshot):
    assert NodeSnapshot.decode(snapshot.encode()) == snapshot


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_damaged_octet_is_noticed(position, flip):
    octets = bytearray(changed_node().snapshot().encode())
    octets[position % len(octets)] ^= flip
    with pytest.raises(DecodeError):
        NodeSnapshot.decode(bytes(octets))


@given(st.integers(0, 400))
def test_any_cut_is_noticed(length):
    octets = changed_node().snapshot().encode()
    with pytest.raises(DecodeError):
        NodeSnapshot.decode(octets[: length % len(octets)])
    with pytest.raises(DecodeError):
        NodeSnapshot.decode(octets + b"\0")


@given(st.binary(max_size=200))
def test_noise_is_no_node_data(noise):
    with pytest.raises(DecodeError):
        NodeSnapshot.decode(noise)


def test_another_version_is_named():
    octets = bytearray(changed_node().snapshot().encode())
    octets[13] = 9
    with pytest.raises(DecodeError, match="version 9"):
        NodeSnapshot.decode(bytes(octets))
