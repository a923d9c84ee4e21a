"""Stacks face to face under loss, corruption, duplication and reordering; hypothesis drives the faults.

The traffic and the checks are those of `benchmarks/stack_faults.py`, which runs a million messages.
"""

import re

import pytest
from faulty_line import NO_FAULTS, Faults
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from stack_faults import World, destination, worlds

from mac import (
    AuthenticationKeys,
    DomainId,
    Lpdu,
    LpduHeader,
    MessageReceived,
    Node,
    Npdu,
    Service,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
)
from mac.network import NetworkLayer
from mac.receive_record import ReceiveRecord
from mac.statistics import Statistics
from mac.transaction_control import TransactionControl

rates = st.floats(0.0, 0.5)
faults = st.builds(Faults, rates, rates, rates, rates, st.floats(0.0, 0.5))


def test_every_promise_holds_at_30_percent_of_every_fault():
    sent, succeeded, delivered = 0, 0, 0
    for world in worlds(2500, Faults(), seed=7, per_world=500):
        assert world.violations == []
        sent += len(world.messages)
        succeeded += world.tally["success"]
        delivered += sum(bool(message.delivered) for message in world.messages.values())
    assert sent == 2500
    assert 0.6 * sent < succeeded < 0.8 * sent
    assert 0.7 * sent < delivered < 0.9 * sent, "so the faults were faults, not the end of all traffic"


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_on_a_good_line_everything_arrives_and_succeeds(count):
    world = World(count, NO_FAULTS, seed=count, oma=count % 2 == 0)
    world.start(150)
    assert world.finish() == []
    arrived = sum(message.receivers == message.delivered for message in world.messages.values())
    assert arrived >= 0.9 * 150, "only frames that start in the same slot are lost"
    assert world.tally["success"] >= 0.9 * 150, "and some requests are declined"


def always(result):
    return lambda *args, **options: result


@pytest.mark.parametrize(
    ("owner", "name", "broken", "complaint"),
    [
        (ReceiveRecord, "is_duplicate", always(False), "came twice"),
        (TransactionControl, "_fits", always(True), "succeeded without being delivered|got the response to another"),
        (TransactionControl, "_is_new_answer", always(True), "answered twice|succeeded without"),
        (NetworkLayer, "_accepts", always(True), "went astray"),
        (AuthenticationKeys, "reply", always(bytes(8)), "authenticated wrongly"),
        (TransactionControl, "_report", always(None), "ended 0 times"),
        (Statistics, "frames_dropped", property(always(0)), "lost count of its frames"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_checks_see_a_broken_stack(monkeypatch, owner, name, broken, complaint):
    monkeypatch.setattr(owner, name, broken)
    world = World(3, Faults(), seed=2, wrong_key=True)
    world.start(200)
    assert re.search(complaint, " ".join(world.finish()))


def test_a_stack_that_spins_is_seen(monkeypatch):
    monkeypatch.setattr(TransactionControl, "_timeout", always(None))
    world = World(2, Faults(), seed=2)
    world.start(20)
    with pytest.raises(RuntimeError, match="time stands still"):
        world.finish()


def test_reminders_of_two_frames_are_on_the_line_too(monkeypatch):
    world = World(4, Faults(), seed=3, first_member=14)
    seen = set()
    receive = Node.receive_frame

    def look(node, octets, now):
        seen.add(getattr(Lpdu.decode(octets).npdu.pdu, "type", None))
        receive(node, octets, now)

    monkeypatch.setattr(Node, "receive_frame", look)
    world.start(400)
    assert world.finish() == []
    assert seen >= {TpduType.REMINDER, SpduType.REMINDER, TpduType.REM_MSG, SpduType.REM_MSG}


@settings(max_examples=25)
@given(faults, st.integers(2, 4), st.integers(0, 1000), st.booleans(), st.booleans(), st.sampled_from((0, 14)))
def test_promises_hold_whatever_the_faults(faults, count, seed, oma, wrong_key, first_member):
    world = World(count, faults, seed, oma, wrong_key, first_member)
    world.start(30)
    assert world.finish() == []


class FacingStacks(RuleBasedStateMachine):
    """Messages, waiting and changing faults in any order."""

    @initialize(count=st.integers(2, 4), seed=st.integers(0, 1000), oma=st.booleans(), records=st.sampled_from((1, 2, 16)))
    def build(self, count, seed, oma, records):
        self.world = World(count, NO_FAULTS, seed, oma, receive_records=records)

    @rule(
        sender=st.integers(0, 3),
        step=st.integers(1, 3),
        service=st.sampled_from(list(Service)),
        kind=st.integers(0, 4),
        domain=st.integers(0, 1),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    )
    def send(self, sender, step, service, kind, domain, flags):
        count = len(self.world.line.nodes)
        sender %= count
        other = (sender + 1 + (step - 1) % (count - 1)) % count
        self.world.send(sender, service, destination(kind, other, domain), domain, *flags)

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds):
        self.world.line.run(self.world.line.now + seconds)

    @rule(faults=faults)
    def change(self, faults):
        self.world.line.faults = faults

    @precondition(lambda self: self.world.messages)
    @rule()
    def let_all_end(self):
        assert self.world.finish() == []

    @invariant()
    def nothing_is_broken(self):
        if hasattr(self, "world"):
            assert self.world.violations == []

    def teardown(self):
        if hasattr(self, "world"):
            assert self.world.finish() == []
            assert [node.frames_waiting for node in self.world.line.nodes] == [0] * len(self.world.line.nodes)


TestFacingStacks = FacingStacks.TestCase
TestFacingStacks.settings = settings(max_examples=15, stateful_step_count=25)


def test_copy_that_comes_after_a_newer_message_is_a_new_message(make_node, domain):
    """One record per sender and way of addressing is what the standard keeps; that is why the line here lets none overtake."""
    node = make_node(7)
    for number, apdu in ((1, b"\x05 old"), (2, b"\x05 new"), (1, b"\x05 old")):
        npdu = Npdu(SubnetNode(1, 9), SubnetNode(1, 7), DomainId(domain.octets), Tpdu(TpduType.ACKD, number, apdu=apdu))
        node.receive_frame(Lpdu(LpduHeader(), npdu).encode(), 1.0)
    events = [node.next_event() for _ in range(3)]
    assert [type(event) for event in events] == [MessageReceived] * 3
