"""Authentication: known answers of the transforms, and both sides of the exchange on one line and frame by frame."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mac import (
    AuthenticationKeys,
    AuthPdu,
    AuthPduType,
    Broadcast,
    ConfigurationError,
    DomainEntry,
    DomainId,
    DropReason,
    Group,
    GroupEntry,
    GroupReply,
    Lpdu,
    LpduHeader,
    MessageReceived,
    Npdu,
    RequestReceived,
    ResponseReceived,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    TransactionDone,
    UniqueId,
    management,
)
from mac.authentication import oma_destination

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "authentication.txt"
ROWS = [line.split("; ") for line in VECTORS.read_text().splitlines() if not line.startswith("#")]
KEY = bytes.fromhex("010203040506")
CHALLENGE = bytes.fromhex("1122334455667788")
OTHER_KEY = bytes.fromhex("0708090A0B0C")
SERVER = SubnetNode(1, 2)
ECHO = b"\x05 echo"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[3]}-{row[5]}")
def test_known_answers(row):
    bits, key, challenge, apdu, destination, reply, verdict, _ = row
    key, challenge, apdu, reply = map(bytes.fromhex, (key, challenge, apdu, reply))
    if bits == "48":
        rows = (key, OTHER_KEY), (OTHER_KEY, key)
        found = [AuthenticationKeys(pair).reply(challenge, apdu, index) for index, pair in enumerate(rows)]
    else:
        found = [AuthenticationKeys((key[:6], key[6:])).reply(challenge, apdu, i, bytes.fromhex(destination)) for i in (0, 1)]
    assert [value == reply for value in found] == [verdict == "right"] * 2


@pytest.mark.parametrize(
    ("destination", "domain", "block"),
    [
        (SubnetNode(35, 12), b"\x51", "51 00 00 00 00 00 01 23 0C"),
        (GroupReply(SubnetNode(35, 12), 7, 1), b"\x51", "51 00 00 00 00 00 01 23 0C"),
        (SubnetNode(7, 9), b"ABCDEF", "41 42 43 44 45 46 06 07 09"),
        (Group(7), b"ABC", "41 42 43 00 00 00 03 07 FF"),
        (Broadcast(9), b"", "00 00 00 00 00 00 00 FF FF"),
        (UniqueId(bytes.fromhex("02FC0000000C"), 3), b"\x51", "02 FC 00 00 00 0C FF FF FF"),
    ],
)
def test_destination_block_of_oma(destination, domain, block):
    assert oma_destination(destination, DomainId(domain)) == bytes.fromhex(block)


def test_key_increments_carry_over_no_octet():
    keys = AuthenticationKeys((KEY, OTHER_KEY))
    assert keys.increased((bytes.fromhex("FF 10 20 30 40 50"), bytes(6))).rows == (bytes.fromhex("00 12 23 34 45 56"), OTHER_KEY)


def test_keys_are_never_shown():
    keys = AuthenticationKeys((KEY, OTHER_KEY))
    assert not {repr(KEY), KEY.hex(), str(KEY)} & {repr(keys)}
    assert "rows" not in repr(keys)
    with pytest.raises(ConfigurationError) as caught:
        AuthenticationKeys((KEY, b"secret!"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("oma", [None, bytes(9)])
def test_every_key_bit_matters(oma):
    """For this challenge; for some others two keys give the same, the transform is no more than it is."""
    whole = int.from_bytes(KEY + OTHER_KEY, "big")
    first = 0 if oma else 48
    keys = [whole] + [whole ^ 1 << bit for bit in range(first, 96)]
    pairs = [key.to_bytes(12, "big") for key in keys]
    replies = {AuthenticationKeys((key[:6], key[6:])).reply(CHALLENGE, ECHO, 0, oma) for key in pairs}
    assert len(replies) == len(keys)


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=229), st.binary(min_size=12, max_size=12))
def test_any_message_gives_eight_octets(challenge, apdu, key):
    keys = AuthenticationKeys((key[:6], key[6:]))
    assert len(keys.reply(challenge, apdu, 1)) == len(keys.reply(challenge, apdu, 0, bytes(9))) == 8


# --- both sides ------------------------------------------------------------------------------------------------------


def row(domain, index, oma, key=KEY):
    return DomainEntry(domain, 1, index, key, authentication_type=int(oma))


def groups(member):
    return (GroupEntry(7, 4, member),)


@pytest.fixture
def four(make_node, make_line, domain):
    """Four members of group 7 with keys; 1/2.. echo requests; node 1/4 has another key."""

    def build(oma=False, **options):
        keys = {4: OTHER_KEY}
        nodes = [
            make_node(i, domains=(row(domain, i, oma, keys.get(i, KEY)),), groups=groups(i - 1), **options) for i in (1, 2, 3, 4)
        ]
        line = make_line(nodes)
        line.on_event = lambda i, e, now: (
            line.nodes[i].respond(e.request_id, e.apdu, now) if isinstance(e, RequestReceived) else None
        )
        return line

    return build


def kinds(line):
    """PDU types on the line, with the sender."""
    return [(frame.sender, Lpdu.decode(frame.octets).npdu.pdu.type.name) for frame in line.log]


@pytest.mark.parametrize("oma", [False, True])
@pytest.mark.parametrize("destination", [SERVER, UniqueId(bytes.fromhex("02FC00000002")), Broadcast(), Broadcast(1)], ids=str)
def test_message_is_delivered_as_authenticated(four, oma, destination):
    line = four(oma)
    line.nodes = line.nodes[:2]
    line.nodes[0].send_request(destination, ECHO, 0.0, authenticated=True)
    line.nodes[0].send_acknowledged(destination, b"\x06", 0.0, authenticated=True)
    line.nodes[0].send_request(destination, ECHO, 0.0)
    line.run(10.0)
    assert [done.success for done in line.of(0, TransactionDone)] == [True] * 3
    assert [(e.apdu, e.via.auth_asked, e.via.authenticated) for e in line.of(1, RequestReceived)] == [
        (ECHO, True, True),
        (ECHO, False, False),
    ]
    assert [(e.apdu, e.via.authenticated) for e in line.of(1, MessageReceived)] == [(b"\x06", True)]
    suffix = "_OMA" if oma else ""
    assert kinds(line)[:4] == [(0, "REQUEST"), (1, "CHALLENGE" + suffix), (0, "REPLY" + suffix), (1, "RESPONSE")]
    assert not line.nodes[1].statistics.drops


@pytest.mark.parametrize("oma", [False, True])
def test_group_members_challenge_one_by_one_and_a_wrong_key_shows(four, oma):
    line = four(oma)
    line.nodes[0].send_acknowledged(Group(7), ECHO, 0.0, authenticated=True, transmit_time=2.0)
    line.run(20.0)
    assert line.of(0, TransactionDone) == [TransactionDone(1, True, 1, 3)]
    flags = [line.of(i, MessageReceived)[0].via.authenticated for i in (1, 2, 3)]
    assert flags == [True, True, False], "delivered and acknowledged all the same"
    assert line.nodes[3].managed.last_error == 160


def test_oma_takes_the_second_half_of_its_key_from_a_blank_row(four):
    line = four(True)
    line.nodes = line.nodes[:2]
    for node in line.nodes:
        node._network.spare_keys[1] = OTHER_KEY
    line.nodes[0].send_acknowledged(SERVER, ECHO, 0.0, authenticated=True)
    line.run(5.0)
    line.nodes[1]._network.spare_keys[1] = KEY
    line.nodes[0].send_acknowledged(SERVER, ECHO, 5.0, authenticated=True)
    line.run(10.0)
    assert [event.via.authenticated for event in line.of(1, MessageReceived)] == [True, False]


@pytest.mark.parametrize("lost", ["CHALLENGE", "REPLY", "RESPONSE"])
def test_any_frame_of_the_exchange_may_be_lost(four, lost):
    line = four()
    line.nodes = line.nodes[:2]
    seen = []

    def loses(frame, receiver):
        name = Lpdu.decode(frame.octets).npdu.pdu.type.name
        seen.append(name)
        return name == lost and seen.count(lost) == 1

    line.lost = loses
    line.nodes[0].send_request(SERVER, ECHO, 0.0, authenticated=True)
    line.run(10.0)
    (request,) = line.of(1, RequestReceived)
    assert request.via.authenticated
    assert line.of(0, TransactionDone) == [TransactionDone(1, True, 2, 1)]
    challenges = {frame.octets for frame in line.log if Lpdu.decode(frame.octets).npdu.pdu.type.name == "CHALLENGE"}
    assert len(challenges) == 1, "a duplicate is challenged with the same octets"


def test_management_authentication_lets_the_key_holder_in(four):
    line = four(management_authentication=True)
    query = management.QueryDomain(0).encode()
    line.nodes[0].send_request(SERVER, query, 0.0)
    line.nodes[0].send_request(SERVER, query, 0.0, authenticated=True)
    line.nodes[0].send_request(SubnetNode(1, 4), query, 0.0, authenticated=True)  # has another key
    line.run(20.0)
    assert [response.apdu[0] for response in line.of(0, ResponseReceived)] == [0x0A, 0x2A, 0x0A]


def test_unconfigured_node_challenges_nobody(make_node, make_line):
    line = make_line([make_node(1), make_node(2, address=False)])
    request = management.QueryStatus().encode()
    line.nodes[0].send_request(UniqueId(line.nodes[1].config.unique_node_id), request, 0.0, authenticated=True)
    line.run(5.0)
    assert kinds(line) == [(0, "REQUEST"), (1, "RESPONSE")]


# --- frame by frame --------------------------------------------------------------------------------------------------

OURS = SubnetNode(1, 7)
OTHER = SubnetNode(1, 9)


@pytest.fixture
def node(make_node, domain):
    return make_node(7, domains=(row(domain, 7, False), DomainEntry(DomainId(b"Q"), 2, 7)), groups=(GroupEntry(5, 3, 1),))


def give(node, destination, domain, pdu, now=1.0, source=OTHER, version=0, **header):
    node.receive_frame(Lpdu(LpduHeader(**header), Npdu(source, destination, domain, pdu, version)).encode(), now)
    events = []
    while (event := node.next_event()) is not None:
        events.append(event)
    return events


def flushed(node, until):
    frames = []
    while (at := node.next_timer()) is not None and at <= until:
        node.on_timer(at)
        for frame in node.frames_to_send(at):
            frames.append(Lpdu.decode(frame.octets))
            node.transmission_done(at)
    return frames


def test_challenge_must_fit_the_running_transaction(node, domain):
    node.send_request(OTHER, ECHO, 0.0, authenticated=True)
    flushed(node, 0.2)
    challenge = AuthPdu(AuthPduType.CHALLENGE, 0, 2, CHALLENGE)
    wrong = [
        (OURS, domain, AuthPdu(AuthPduType.CHALLENGE, 1, 2, CHALLENGE), {}),
        (OURS, domain, AuthPdu(AuthPduType.CHALLENGE, 0, 3, CHALLENGE), {}),
        (OURS, domain, AuthPdu(AuthPduType.CHALLENGE, 0, 1, CHALLENGE, 5), {}),
        (OURS, domain, challenge, {"source": SubnetNode(1, 8)}),
        (OURS, domain, challenge, {"priority": True}),
        (SubnetNode(2, 7), DomainId(b"Q"), challenge, {}),
        (UniqueId(node.config.unique_node_id), DomainId(b"x"), challenge, {}),
        (OURS, domain, AuthPdu(AuthPduType.REPLY, 0, 2, CHALLENGE), {}),
    ]
    for destination, of_domain, pdu, options in wrong:
        give(node, destination, of_domain, pdu, **options)
    assert flushed(node, 1.4) == []
    assert node.statistics.drops[DropReason.AUTHENTICATION] == len(wrong)
    give(node, OURS, domain, challenge, now=1.4, alt_path=True)
    (reply,) = flushed(node, 1.5)
    value = AuthenticationKeys((KEY, bytes(6))).reply(CHALLENGE, ECHO, 0)
    assert reply.npdu.pdu == AuthPdu(AuthPduType.REPLY, 0, 2, value)
    assert (reply.npdu.source, reply.npdu.destination) == (OURS, OTHER)
    assert reply.header == LpduHeader(alt_path=True)


def test_message_without_the_flag_gets_no_reply(node, domain):
    node.send_request(OTHER, ECHO, 0.0)
    flushed(node, 0.2)
    give(node, OURS, domain, AuthPdu(AuthPduType.CHALLENGE, 0, 2, CHALLENGE))
    assert node.statistics.drops[DropReason.AUTHENTICATION] == 1


def test_copies_of_a_challenge_prolong_a_try_once(node, domain):
    node.send_request(OTHER, ECHO, 0.0, authenticated=True, transmit_time=1.0, retries=0)
    flushed(node, 0.3)
    for tenth in range(5, 40):
        give(node, OURS, domain, AuthPdu(AuthPduType.CHALLENGE, 0, 2, CHALLENGE), now=tenth / 10)
        node.on_timer(tenth / 10)
    node.on_timer(4.0)
    assert node._control._running[False] is None
    assert node.frames_waiting == 0, "its reply is withdrawn"


def test_replies_to_a_crowd_of_challengers_are_bounded_and_withdrawn_at_the_end(node, domain):
    node.send_acknowledged(Broadcast(), ECHO, 0.0, authenticated=True, retries=0, transmit_time=1.0)
    flushed(node, 0.5)
    node.on_channel(True, 0.6)
    for number in range(100):
        give(node, OURS, domain, AuthPdu(AuthPduType.CHALLENGE, 0, 0, CHALLENGE), now=0.7, source=SubnetNode(2, 1 + number))
    assert node.frames_waiting == node.statistics.challenges == 64
    assert node.statistics.drops[DropReason.AUTHENTICATION] == 36
    node.on_timer(1.7)
    assert node.next_event() == TransactionDone(1, False, 1)
    assert node.frames_waiting == 0


@pytest.mark.parametrize("named", [True, False])
def test_reply_to_the_challenge_of_a_broadcast_may_name_its_subnet(node, domain, named):
    give(node, Broadcast(1), domain, Tpdu(TpduType.ACKD, 3, True, ECHO))
    (challenge,) = flushed(node, 1.5)
    assert (challenge.npdu.pdu.address_format, challenge.npdu.pdu.group) == (0, None)
    value = AuthenticationKeys((KEY, bytes(6))).reply(challenge.npdu.pdu.value, ECHO, 0)
    reply = AuthPdu(AuthPduType.REPLY, 3, 0, value, 1 if named else None)
    (event,) = give(node, OURS, domain, reply, now=1.6)
    assert event.via.authenticated
    assert [frame.npdu.pdu.type for frame in flushed(node, 2.0)] == [TpduType.ACK]


def test_reply_must_fit_a_waiting_record(node, domain):
    give(node, OURS, domain, Spdu(SpduType.REQUEST, 3, True, ECHO))
    (challenge,) = flushed(node, 1.5)
    value = AuthenticationKeys((KEY, bytes(6))).reply(challenge.npdu.pdu.value, ECHO, 0)
    for pdu, options in [
        (AuthPdu(AuthPduType.REPLY, 4, 2, value), {}),
        (AuthPdu(AuthPduType.REPLY, 3, 3, value), {}),
        (AuthPdu(AuthPduType.REPLY, 3, 2, value), {"source": SubnetNode(1, 8)}),
        (AuthPdu(AuthPduType.REPLY, 3, 2, value), {"priority": True}),
        (AuthPdu(AuthPduType.REPLY, 3, 2, value), {"version": 2}),
        (AuthPdu(AuthPduType.REPLY, 3, 2, value), {"now": 100.0}),
    ]:
        assert give(node, OURS, domain, pdu, **options) == []
    assert node.statistics.drops[DropReason.AUTHENTICATION] == 6
    (event,) = give(node, OURS, domain, AuthPdu(AuthPduType.REPLY, 3, 2, value), now=2.0)
    assert event.via.authenticated
    assert give(node, OURS, domain, AuthPdu(AuthPduType.REPLY, 3, 2, value), now=2.0) == []


@pytest.mark.parametrize("kind", [AuthPduType.REPLY, AuthPduType.REPLY_OMA])
def test_wrong_reply_still_delivers(node, domain, kind):
    give(node, OURS, domain, Spdu(SpduType.REQUEST, 3, True, ECHO))
    flushed(node, 1.5)
    (event,) = give(node, OURS, domain, AuthPdu(kind, 3, 2, bytes(8)))
    assert (event.via.auth_asked, event.via.authenticated) == (True, False)


def test_message_on_a_foreign_domain_is_not_challenged(node):
    to = UniqueId(node.config.unique_node_id)
    (event,) = give(node, to, DomainId(b"x"), Spdu(SpduType.REQUEST, 3, True, ECHO))
    assert (event.via.auth_asked, event.via.authenticated) == (True, False)


def test_challenges_come_from_the_source_that_was_given(make_node, domain, timing):
    from mac import Node, NodeConfig

    config = NodeConfig(unique_node_id=bytes(6), domains=(row(domain, 7, False),), reset_silence=0.0)
    node = Node(config, timing, Random(1), challenges=lambda count: CHALLENGE[:count])
    give(node, OURS, domain, Tpdu(TpduType.ACKD, 3, True, ECHO))
    (challenge,) = flushed(node, 1.5)
    assert challenge.npdu.pdu.value == CHALLENGE
