"""Network variables: rows, updates and polls by selector, what a node sends itself, message tags; between nodes on a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    AliasConfig,
    Broadcast,
    ConfigurationError,
    DecodeError,
    Direction,
    DropReason,
    Group,
    GroupEntry,
    LocalProtocolError,
    Lpdu,
    MessageReceived,
    NetworkVariable,
    NodeState,
    RequestReceived,
    ResponseReceived,
    Service,
    Spdu,
    SubnetNode,
    TransactionDone,
    VariableConfig,
    VariableService,
    VariableUpdated,
)
from mac.classic_proxy import SendAddress
from mac.variable_layer import decode_head, encode_head

IN, OUT = Direction.INPUT, Direction.OUTPUT


@pytest.mark.parametrize(
    ("octets", "config"),
    [
        ("00 00 00", VariableConfig(0, IN, 0)),  # seen on a live stack
        ("3F FF 0F", VariableConfig(0x3FFF)),
        ("C1 23 F7", None),  # service code 3
        ("C1 23 B7", VariableConfig(0x123, OUT, 7, VariableService.REPEATED, True, True, True)),
        ("40 05 4F", VariableConfig(5, OUT, service=VariableService.UNACKNOWLEDGED)),
    ],
)
def test_row_bits(octets, config):
    if config is None:
        with pytest.raises(DecodeError):
            VariableConfig.decode(bytes.fromhex(octets))
    else:
        assert VariableConfig.decode(bytes.fromhex(octets)) == config
        assert config.encode() == bytes.fromhex(octets)


@given(st.binary(max_size=8))
def test_noise_in_rows_raises_only_decode_error(octets):
    for decode in (VariableConfig.decode, AliasConfig.decode, AliasConfig.decode_extended):
        try:
            decode(octets)
        except DecodeError:
            continue


def test_bound_and_unbound_selectors():
    assert VariableConfig(0x2FFF).bound
    assert not VariableConfig(0x3000).bound


@given(st.integers(0, 0x3FFF), st.sampled_from(Direction))
def test_message_head_round_trip(selector, direction):
    octets = encode_head(selector, direction)
    assert octets[0] & 0x80
    assert decode_head(octets) == (selector, direction)


def test_message_head_bits():
    assert encode_head(1, IN) == b"\x80\x01"  # an update (recorded)
    assert encode_head(1, OUT) == b"\xc0\x01"  # a poll (recorded)


def connected(make_node, make_line, sensor_service=VariableService.ACKNOWLEDGED, authenticated=False, **options):
    """A sensor 1/1 whose output reaches the input of an actuator 1/2 through row 0 of its address table, and the reverse."""
    to_actuator = SendAddress(SubnetNode(1, 2), retries=2, transmit_code=13, repeat_code=7).encode()
    to_sensor = SendAddress(SubnetNode(1, 1), retries=2, transmit_code=13).encode()
    sensor = make_node(
        1,
        address_rows=(to_actuator,),
        variables=(
            NetworkVariable(OUT, 2, "temperature", config=VariableConfig(5, OUT, 0, sensor_service, authenticated)),
            NetworkVariable(IN, 2, "unbound"),
        ),
    )
    actuator = make_node(
        2,
        address_rows=(to_sensor,),
        variables=(NetworkVariable(IN, 2, config=VariableConfig(5, IN, 0, authenticated=authenticated)),),
        **options,
    )
    return make_line([sensor, actuator])


@pytest.mark.parametrize("service", list(VariableService))
def test_an_output_updates_the_input_it_is_connected_to(make_node, make_line, service):
    line = connected(make_node, make_line, service)
    handles = line.nodes[0].variables.write(0, b"\x12\x34", 0.0)
    line.run(10.0)
    (event,) = line.of(1, VariableUpdated)
    assert (event.index, event.value, event.source) == (0, b"\x12\x34", SubnetNode(1, 1))
    assert line.nodes[1].variables.value(0) == b"\x12\x34"
    assert [(done.handle, done.success) for done in line.of(0, TransactionDone)] == [(handles[0], True)]
    assert not line.of(1, MessageReceived), "the application sees the value, not the message"
    assert line.nodes[1].statistics.messages == 1


def test_authenticated_variables_believe_only_who_knows_the_key(make_node, make_line):
    line = connected(make_node, make_line, authenticated=True)
    line.nodes[0].variables.write(0, b"\1\2", 0.0)
    line.run(10.0)
    assert line.of(1, VariableUpdated)[0].authenticated
    line.nodes[0].send_acknowledged(SubnetNode(1, 2), b"\x80\x05\xff\xff", 10.0)
    line.run(20.0)
    assert line.nodes[1].variables.value(0) == b"\1\2"
    assert line.nodes[1].managed.last_error == 160


def test_a_poll_brings_the_value_of_the_output(make_node, make_line):
    line = connected(make_node, make_line)
    line.nodes[0].variables.table.values[0] = b"\7\7"
    line.nodes[1].variables.poll(0, 0.0)
    line.run(10.0)
    (event,) = line.of(1, VariableUpdated)
    assert (event.value, event.source) == (b"\7\7", SubnetNode(1, 1))
    assert not line.of(1, ResponseReceived)
    assert line.nodes[1].variables.value(0) == b"\7\7"
    assert [done.success for done in line.of(1, TransactionDone)] == [True]


def test_a_poll_of_a_node_that_is_offline_brings_no_value(make_node, make_line):
    line = connected(make_node, make_line)
    line.nodes[0].set_state(NodeState.SOFT_OFFLINE)
    line.nodes[1].variables.poll(0, 0.0)
    line.run(10.0)
    assert [event.apdu.hex() for event in line.of(1, ResponseReceived)] == ["8005"]
    assert not line.of(1, VariableUpdated)


def test_an_alias_is_a_second_connection(make_node, make_line):
    to_group = GroupEntry(4, 3, 0, transmit_code=13).encode()
    output = NetworkVariable(OUT, 1, config=VariableConfig(1, OUT, 0))
    sender = make_node(1, address_rows=(to_group,), variables=(output,), aliases=1)
    sender.variables.table.aliases[0] = AliasConfig(VariableConfig(2, OUT, 0), 0)
    receivers = [
        make_node(2, groups=(GroupEntry(4, 3, 1),), variables=(NetworkVariable(IN, 1, config=VariableConfig(1)),)),
        make_node(3, groups=(GroupEntry(4, 3, 2),), variables=(NetworkVariable(IN, 1),), aliases=1),
    ]
    receivers[1].variables.table.aliases[0] = AliasConfig(VariableConfig(2), 0)
    line = make_line([sender, *receivers])
    assert len(sender.variables.write(0, b"\x42", 0.0)) == 2
    line.run(20.0)
    assert [line.nodes[i].variables.value(0) for i in (1, 2)] == [b"\x42", b"\x42"]
    assert [done.success for done in line.of(0, TransactionDone)] == [True, True]


def test_turnaround_connects_variables_of_one_node(make_node):
    variables = (
        NetworkVariable(OUT, 1, config=VariableConfig(9, OUT, turnaround=True)),
        NetworkVariable(IN, 1, config=VariableConfig(9)),
    )
    node = make_node(1, variables=variables)
    assert node.variables.write(0, b"\5", 0.0) == ()
    assert node.next_event() == VariableUpdated(1, b"\5", SubnetNode(1, 1), node.domains[0].domain, authenticated=True)


@pytest.mark.parametrize(
    ("apdu", "error", "reason"),
    [
        ("80 05 01", 130, DropReason.UNKNOWN_MESSAGE),  # wrong length
        ("80 05", 131, DropReason.TRUNCATED),
        ("80", 131, DropReason.TRUNCATED),
        ("C0 05 01 02", 143, DropReason.UNKNOWN_MESSAGE),  # an update for outputs
        ("80 06 01 02", 0, DropReason.UNKNOWN_MESSAGE),  # nobody is connected to this
    ],
)
def test_updates_that_change_nothing(make_node, make_line, apdu, error, reason):
    line = connected(make_node, make_line)
    line.nodes[0].send_acknowledged(SubnetNode(1, 2), bytes.fromhex(apdu), 0.0)
    line.run(10.0)
    assert line.nodes[1].variables.value(0) == b"\0\0"
    assert line.nodes[1].managed.last_error == error
    assert line.nodes[1].statistics.drops == {reason: 1}


@pytest.mark.parametrize(
    ("state", "value", "events"),
    [
        (NodeState.SOFT_OFFLINE, b"\1\2", 0),  # taken, but the application is not told
        (NodeState.HARD_OFFLINE, b"\0\0", 0),
        (NodeState.APPLICATIONLESS, b"\0\0", 0),
    ],
)
def test_updates_by_node_state(make_node, make_line, state, value, events):
    line = connected(make_node, make_line)
    line.nodes[1].set_state(state)
    line.nodes[0].variables.write(0, b"\1\2", 0.0)
    line.run(10.0)
    assert line.nodes[1].variables.value(0) == value
    assert len(line.of(1, VariableUpdated)) == events


@pytest.mark.parametrize(("apdu", "answer"), [("80 05", "C0050000"), ("C0 05", "8005"), ("C0 09", "8009"), ("80 05 01", None)])
def test_polls_are_answered_with_the_other_direction(make_node, make_line, apdu, answer):
    line = connected(make_node, make_line)
    line.nodes[0].send_request(SubnetNode(1, 2), bytes.fromhex(apdu), 0.0, retries=0)
    line.run(10.0)
    assert [event.apdu.hex().upper() for event in line.of(0, ResponseReceived)] == ([] if answer is None else [answer])


def test_two_variables_under_one_selector_are_not_polled(make_node, make_line):
    variables = (NetworkVariable(OUT, 1, config=VariableConfig(5, OUT)), NetworkVariable(OUT, 1, config=VariableConfig(5, OUT)))
    line = make_line([make_node(1), make_node(2, variables=variables)])
    line.nodes[0].send_request(SubnetNode(1, 2), b"\xc0\5", 0.0, retries=0)
    line.run(10.0)
    assert not line.of(0, ResponseReceived)


def test_a_node_without_variables_gives_the_messages_to_its_application(make_node, make_line):
    line = make_line([make_node(1), make_node(2)])
    line.nodes[0].send_acknowledged(SubnetNode(1, 2), b"\x80\5\1", 0.0)
    line.nodes[0].send_request(SubnetNode(1, 2), b"\xc0\5", 0.0, retries=0)
    line.run(10.0)
    assert [event.apdu for event in line.of(1, MessageReceived)] == [b"\x80\5\1"]
    assert [event.apdu for event in line.of(1, RequestReceived)] == [b"\xc0\5"]


@pytest.mark.parametrize(
    ("action", "error", "text"),
    [
        (lambda v: v.write(1, b"\1\2", 0.0), LocalProtocolError, "is an input"),
        (lambda v: v.write(0, b"\1", 0.0), ConfigurationError, "2 octets, got 1"),
        (lambda v: v.write(7, b"\1", 0.0), ConfigurationError, "number 7"),
        (lambda v: v.poll(0, 0.0), LocalProtocolError, "is an output"),
        (lambda v: v.value(-1), ConfigurationError, "number -1"),
    ],
)
def test_wrong_use_is_named(make_node, make_line, action, error, text):
    with pytest.raises(error, match=text):
        action(connected(make_node, make_line).nodes[0].variables)


def test_an_unbound_output_is_written_and_stays_at_home(make_node):
    node = make_node(1, variables=(NetworkVariable(OUT, 1),))
    assert node.variables.write(0, b"\1", 0.0) == ()
    assert node.variables.value(0) == b"\1"


@pytest.mark.parametrize("options", [{"length": 0}, {"length": 300}, {"length": 2, "value": b"1"}])
def test_impossible_variables_are_refused(options):
    with pytest.raises(ConfigurationError):
        NetworkVariable(IN, **options)
    with pytest.raises(ConfigurationError, match="config is not"):
        NetworkVariable(IN, 1, config=VariableConfig(1, OUT))


# --- message tags ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", list(Service))
@pytest.mark.parametrize(
    "row",
    [
        SendAddress(SubnetNode(1, 2), retries=1, transmit_code=13, repeat_code=5).encode(),
        SendAddress(Broadcast(1), retries=1, transmit_code=13, repeat_code=5, backlog=3).encode(),
        GroupEntry(6, 2, 0, 0, 1, 5, 13, 13).encode(),
    ],
    ids=["node", "broadcast", "group"],
)
def test_explicit_messages_go_where_their_tag_is_connected(make_node, make_line, service, row):
    line = make_line([make_node(1, address_rows=(bytes(5), row)), make_node(2, groups=(GroupEntry(6, 2, 1),))])

    def answer(index, event, now):
        if isinstance(event, RequestReceived):
            line.nodes[index].respond(event.request_id, b"\5 yes", now)

    line.on_event = answer
    handle = line.nodes[0].tags.send(1, service, b"\5 hello", 0.0)
    line.run(10.0)
    assert [(done.handle, done.success) for done in line.of(0, TransactionDone)] == [(handle, True)]
    kind = RequestReceived if service is Service.REQUEST else MessageReceived
    assert [event.apdu for event in line.of(1, kind)] == [b"\5 hello"]
    if service is Service.REQUEST:
        assert [event.apdu for event in line.of(0, ResponseReceived)] == [b"\5 yes"]
        sent = next(Lpdu.decode(frame.octets) for frame in line.log if frame.sender == 0)
        assert isinstance(sent.npdu.pdu, Spdu)
        assert sent.header.delta_backlog == {Broadcast: 3, Group: 1, SubnetNode: 1}[type(sent.npdu.destination)]


@pytest.mark.parametrize("row", ["00 00 00 00 00", "00 01 00 00 00", "02 00 35 0B 01", "05 00 00 00 00"])
def test_a_tag_that_is_connected_to_nobody(make_node, row):
    node = make_node(1, address_rows=(bytes.fromhex(row),))
    for index in (0, 20, -1):
        with pytest.raises(LocalProtocolError, match="names nobody"):
            node.tags.send(index, Service.ACKNOWLEDGED, b"\5", 0.0)
