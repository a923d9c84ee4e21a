"""Messages of proxy repeating: known octets, both ways, at their limits, and as noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    AgentPart,
    Broadcast,
    ConfigurationError,
    DecodeError,
    Group,
    HopEntry,
    ProxyMessage,
    ProxyMode,
    Service,
    SubnetNode,
    TargetAddress,
    TargetKind,
    UniqueId,
)
from mac.management import ProxyQuestion, SendAddress
from mac.proxy_timing import ProxyTiming, hop_time, last_wait

ID = bytes.fromhex("02FC0000000D")
K = TargetKind
NODE_13 = TargetAddress(K.SUBNET_NODE, SubnetNode(35, 13))
NODE_14 = TargetAddress(K.SUBNET_NODE, SubnetNode(35, 14))
QUERY = b"\x51"
HELLO = b"\x05\xa1\xa2"
DELTA = bytes.fromhex("102030405060")

KNOWN = [  # octets on four live stations (grade L), what they mean
    ("4D002C25230D51", ProxyMessage((), b""), AgentPart(NODE_13, QUERY, retries=2, timer_code=5)),
    (
        "4D01230D242C25230E51",
        ProxyMessage((HopEntry(13, 35),), b"", 2, 4),
        AgentPart(NODE_14, QUERY, retries=2, timer_code=5),
    ),
    (
        "4D01238D242C25230E51",
        ProxyMessage((HopEntry(13, 35, alternate=True),), b"", 2, 4),
        AgentPart(NODE_14, QUERY, retries=2, timer_code=5),
    ),
    (
        "4D810D24EC250E51",
        ProxyMessage((HopEntry(13),), b"", 2, 4, uniform_by_destination=True),
        AgentPart(TargetAddress(K.NODE_OF_AGENT, SubnetNode(0, 14)), QUERY, retries=2, timer_code=5),
    ),
    (
        "4D110D24AC250E51",
        ProxyMessage((HopEntry(13),), b"", 2, 4, uniform_by_source=True),
        AgentPart(TargetAddress(K.NODE_OF_SENDER, SubnetNode(0, 14)), QUERY, retries=2, timer_code=5),
    ),
    (
        "4D412363102C13230E51",
        ProxyMessage((HopEntry(99, 35),), b"", 1, 0, long_timer=True),
        AgentPart(NODE_14, QUERY, retries=1, timer_code=3),
    ),
    (
        "4D022363230D182C13230E51",
        ProxyMessage((HopEntry(99, 35), HopEntry(13, 35)), b"", 1, 8),
        AgentPart(NODE_14, QUERY, retries=1, timer_code=3),
    ),
    (
        "4D21230D242425230E05A1",
        ProxyMessage((HopEntry(13, 35),), b"", 2, 4, all_agents=True),
        AgentPart(NODE_14, b"\x05\xa1", Service.REPEATED, 2, 5),
    ),
    ("4D002025230D05A1A2", ProxyMessage((), b""), AgentPart(NODE_13, HELLO, Service.ACKNOWLEDGED, 2, 5)),
    ("4D002835230D05A1A2", ProxyMessage((), b""), AgentPart(NODE_13, HELLO, Service.UNACKNOWLEDGED, 3, 5)),
    (
        "4D004C250002FC0000000D51",
        ProxyMessage((), b""),
        AgentPart(TargetAddress(K.UNIQUE_ID, UniqueId(ID)), QUERY, retries=2, timer_code=5),
    ),
    (
        "4D00CC2502FC0000000D51",
        ProxyMessage((), b""),
        AgentPart(TargetAddress(K.UNIQUE_ID_COMPACT, UniqueId(ID)), QUERY, retries=2, timer_code=5),
    ),
    (
        "4D006C13230351",
        ProxyMessage((), b""),
        AgentPart(TargetAddress(K.BROADCAST, Broadcast(35), 3), QUERY, retries=1, timer_code=3),
    ),
    (
        "4D000835070305A1",
        ProxyMessage((), b""),
        AgentPart(TargetAddress(K.GROUP, Group(7, 3)), b"\x05\xa1", Service.UNACKNOWLEDGED, 3, 5),
    ),
    (
        "4D0084350705A1",
        ProxyMessage((), b""),
        AgentPart(TargetAddress(K.GROUP_COMPACT, Group(7)), b"\x05\xa1", Service.REPEATED, 3, 5),
    ),
    (
        "4D003C25230D51",
        ProxyMessage((), b""),
        AgentPart(NODE_13, QUERY, retries=2, timer_code=5, alternate=True),
    ),
    (
        "4D002E2500102030405060230D05A1A2",
        ProxyMessage((), b""),
        AgentPart(NODE_13, HELLO, Service.REQUEST, 2, 5, False, ProxyMode.ALTERNATE_KEY, DELTA),
    ),
    (
        "4D002E250110203040506070809000A0B0230D05A1A2",
        ProxyMessage((), b""),
        AgentPart(
            NODE_13, HELLO, Service.REQUEST, 2, 5, False, ProxyMode.ALTERNATE_KEY, bytes.fromhex("10203040506070809000A0B0")
        ),
    ),
]


@pytest.mark.parametrize(("octets", "frame", "part"), KNOWN, ids=[row[0] for row in KNOWN])
def test_known_octets_both_ways(octets, frame, part):
    apdu = bytes.fromhex(octets)
    message = ProxyMessage.decode(apdu)
    assert AgentPart.decode(message.agent_part) == part
    assert part.encode() == message.agent_part
    assert message.hops == frame.hops
    assert (message.retries, message.timer_code) == (frame.retries, frame.timer_code)
    for flag in ("uniform_by_destination", "uniform_by_source", "long_timer", "all_agents"):
        assert getattr(message, flag) == getattr(frame, flag)
    assert message.encode() == apdu


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("4D01230D242C25230E51", "4D002C25230E51"),
        ("4D810D24EC250E51", "4D80EC250E51"),
        ("4D110D24AC250E51", "4D10AC250E51"),
        ("4D412363102C13230E51", "4D402C13230E51"),
        ("4D022363230D182C13230E51", "4D01230D182C13230E51"),
        ("4D21230D242425230E05A1", "4D202425230E05A1"),
    ],
)
def test_repeater_takes_out_itself(before, after):
    assert ProxyMessage.decode(bytes.fromhex(before)).forwarded().encode() == bytes.fromhex(after)


def test_uniform_by_source_goes_before_by_destination():
    message = ProxyMessage((HopEntry(13),), b"\x2c\x25\x23\x0e\x51", uniform_by_source=True, uniform_by_destination=True)
    assert message.next_station(sender_subnet=9, own_subnet=35) == SubnetNode(9, 13)
    assert ProxyMessage((HopEntry(13, 4),), b"").next_station(9, 35) == SubnetNode(4, 13)


def test_compact_nodes_are_looked_for_where_they_should():
    assert TargetAddress(K.NODE_OF_SENDER, SubnetNode(0, 14)).resolve(9, 35) == SubnetNode(9, 14)
    assert TargetAddress(K.NODE_OF_AGENT, SubnetNode(0, 14)).resolve(9, 35) == SubnetNode(35, 14)
    assert NODE_14.resolve(9, 8) == SubnetNode(35, 14)


@pytest.mark.parametrize(
    "octets",
    [
        "4D",
        "4D002C25",
        "4D002C2523",  # four octets behind the code would do, but nothing is left for the address
        "4D0123",
        "4D01230D24",  # no agent part: four octets, and the hop list ends in them
        "4D02230D242C25",
        "4D0F" + "230D" * 15,  # tx control would lie behind the end
        "4D8F" + "0D" * 15,
    ],
)
def test_hop_list_or_address_past_the_end_is_refused(octets):
    message = bytes.fromhex(octets)
    if octets in ("4D002C2523", "4D01230D24", "4D02230D242C25"):
        decoded = ProxyMessage.decode(message)  # a repeater does not read the agent part
        with pytest.raises(DecodeError):
            AgentPart.decode(decoded.agent_part)
    else:
        with pytest.raises(DecodeError):
            ProxyMessage.decode(message)


@pytest.mark.parametrize("part", ["2E2502102030405060230D05", "2E2500102030405060230D", "0025074105", "2C25230D"])
def test_impossible_agent_parts_are_refused(part):
    with pytest.raises(DecodeError):
        AgentPart.decode(bytes.fromhex(part))


def test_fifteen_hops_and_whatever_follows_are_accepted():
    hops = tuple(HopEntry(node, 35) for node in range(1, 16))
    apdu = ProxyMessage(hops, bytes.fromhex("2C25230E51") + bytes(90)).encode()
    assert ProxyMessage.decode(apdu).count == 15
    assert ProxyMessage.decode(apdu).encode() == apdu


def test_key_increments_are_never_shown():
    part = KNOWN[-1][2]
    assert "10" not in repr(part).replace("timer_code", "") and "key_increment" not in repr(part)
    assert "agent_part" not in repr(ProxyMessage((), part.encode()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ProxyMessage(tuple(HopEntry(1, 1) for _ in range(16)), b""),
        lambda: ProxyMessage((HopEntry(1),), b""),
        lambda: ProxyMessage((HopEntry(1, 1),), b"", uniform_by_source=True),
        lambda: ProxyMessage((), b"", timer_code=16),
        lambda: AgentPart(NODE_13, QUERY, key_increment=DELTA),
        lambda: AgentPart(NODE_13, QUERY, mode=ProxyMode.ALTERNATE_KEY),
        lambda: AgentPart(NODE_13, QUERY, mode=ProxyMode.ALTERNATE_KEY, key_increment=bytes(7)),
        lambda: TargetAddress(K.GROUP, SubnetNode(1, 1)),
        lambda: TargetAddress(K.BROADCAST, Broadcast(1), 64),
        lambda: HopEntry(128),
    ],
)
def test_values_that_no_message_can_carry_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


NODES = st.integers(0, 127)
OCTET = st.integers(0, 255)
NIBBLE = st.integers(0, 15)
UNIQUE_IDS = st.builds(UniqueId, st.binary(min_size=6, max_size=6), OCTET)
ADDRESSES = st.one_of(
    st.builds(lambda g, s: TargetAddress(K.GROUP, Group(g, s)), OCTET, st.integers(0, 64)),
    st.builds(lambda g: TargetAddress(K.GROUP_COMPACT, Group(g)), OCTET),
    st.builds(lambda s, n: TargetAddress(K.SUBNET_NODE, SubnetNode(s, n)), OCTET, NODES),
    st.builds(lambda k, n: TargetAddress(k, SubnetNode(0, n)), st.sampled_from([K.NODE_OF_AGENT, K.NODE_OF_SENDER]), NODES),
    st.builds(lambda u: TargetAddress(K.UNIQUE_ID, u), UNIQUE_IDS),
    st.builds(lambda u: TargetAddress(K.UNIQUE_ID_COMPACT, UniqueId(u.unique_node_id)), UNIQUE_IDS),
    st.builds(lambda s, b: TargetAddress(K.BROADCAST, Broadcast(s), b), OCTET, st.integers(0, 63)),
)


@st.composite
def agent_parts(draw):
    mode = draw(st.sampled_from(ProxyMode))
    length = draw(st.sampled_from([6, 12])) if mode is ProxyMode.ALTERNATE_KEY else 0
    return AgentPart(
        draw(ADDRESSES),
        draw(st.binary(min_size=1, max_size=103)),
        draw(st.sampled_from(Service)),
        draw(NIBBLE),
        draw(NIBBLE),
        draw(st.booleans()),
        mode,
        draw(st.binary(min_size=length, max_size=length)),
    )


@st.composite
def messages(draw):
    by_destination, by_source = draw(st.booleans()), draw(st.booleans())
    subnets = st.none() if by_destination or by_source else OCTET
    hops = tuple(draw(st.lists(st.builds(HopEntry, NODES, subnets, st.booleans()), max_size=15)))
    control = (draw(NIBBLE), draw(NIBBLE)) if hops else (0, 0)
    part = draw(agent_parts()).encode()
    return ProxyMessage(hops, part, *control, by_destination, by_source, draw(st.booleans()), draw(st.booleans()))


@given(agent_parts())
def test_every_agent_part_comes_back(part):
    again = AgentPart.decode(part.encode())
    assert again == part
    assert again.target.destination == part.target.destination
    assert getattr(again.target.destination, "size", 0) == getattr(part.target.destination, "size", 0)


@given(messages())
def test_every_message_comes_back_and_shrinks_to_its_agent_part(message):
    assert ProxyMessage.decode(message.encode()) == message
    while message.hops:
        count = message.count
        message = ProxyMessage.decode(message.forwarded().encode())
        assert message.count == count - 1
    assert message.encode()[2:] == message.agent_part


@given(st.binary(max_size=60))
def test_noise_raises_only_decode_error(noise):
    for decode in (ProxyMessage.decode, AgentPart.decode, SendAddress.decode):
        try:
            decoded = decode(noise)
        except DecodeError:
            continue
        assert decode(decoded.encode()) == decoded


@given(st.builds(SendAddress, UNIQUE_IDS, NIBBLE, NIBBLE, NIBBLE, st.integers(0, 1), st.just(0), NIBBLE))
def test_send_address_comes_back(address):
    assert SendAddress.decode(address.encode()) == address
    assert ProxyQuestion.STATUS == 1


@pytest.mark.parametrize(
    ("code", "long_timer", "count", "wait"),
    [
        (0, False, 3, 0.256),
        (3, False, 0, 0.256),
        (7, False, 9, 0.256),
        (8, False, 1, 0.256),
        (9, False, 3, 0.768),
        (10, False, 2, 1.024),
        (15, False, 0, 0.0),
        (0, True, 4, 2.048),
        (8, True, 1, 0.512),
    ],
)
def test_wait_after_the_last_try(code, long_timer, count, wait):
    assert last_wait(code, long_timer, count) == pytest.approx(wait)


def test_long_timers_continue_the_table():
    assert [hop_time(code, long_timer=True) for code in range(5)] == [4.096, 6.144, 8.192, 12.288, 16.384]
    assert hop_time(11) == 0.768


@given(st.integers(0, 15), st.floats(0.02, 0.2))
def test_rule_of_thumb_lets_a_failure_come_back(count, frame_time):
    """The agent ends before the last repeater, each repeater before the one ahead of it, all before the source."""
    timing = ProxyTiming.for_count(count, frame_time)
    chain = [timing.agent_time(frame_time), *(timing.repeater_time(k, frame_time) for k in range(count))]
    own = (timing.source_retries + 1) * (timing.source_time + frame_time) + timing.source_last_wait
    waits = [*chain[1:], own if count == 0 else timing.source_time]
    for inner, outer in zip(chain, waits, strict=True):
        assert inner + 2 * frame_time <= outer + 1e-9


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.768, 0.768), (1, 4.0, 5.0), (2, 4.0, 5.0), (3, 12, 24), (15, 12, 24)])
def test_rule_of_thumb_in_figures(count, low, high):
    assert low <= ProxyTiming.for_count(count).source_time <= high
