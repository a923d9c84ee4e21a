"""Stacks face to face over a line that loses, breaks, doubles and delays 30 % of the frames: does every promise hold?

    python benchmarks/stack_faults.py [--messages 1000000] [--loss 0.3] [--corruption 0.3] [--duplication 0.3] [--reordering 0.3]
                                      [--seed 1]

Two to five nodes in two domains exchange every service in every address format, in both priority classes, with short and long
transaction numbers, with and without authentication of 48 and 96 bits. Checked for every message: delivered to nobody
else, unchanged and at most once, authenticated exactly when it asked for it with the right key; acknowledged or answered only
by nodes to which it was delivered before; finished exactly once. Prints the violations, which must be none, and the rate.
A copy that comes when its receive record has expired is a new message by the standard's rules; such are counted apart. The
load is moderate, so that this is rare: on a saturated line a frame waits for access longer than any receive timer runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from faulty_line import Faults, FaultyLine

from mac import (
    Broadcast,
    ChannelTiming,
    Destination,
    DomainEntry,
    DomainId,
    Event,
    Group,
    GroupEntry,
    MessageReceived,
    Node,
    NodeConfig,
    RequestReceived,
    ResponseReceived,
    Service,
    SubnetNode,
    TransactionDone,
    UniqueId,
    receive_time,
    transmit_time,
)
from mac.timers import DEFAULT_RECEIVE_CODE, UNIQUE_ID_RECEIVE_TIME

DOMAINS: Final = (DomainId(b"NESDOM"), DomainId(b"Q"))
KEYS: Final = (bytes.fromhex("010203040506"), bytes.fromhex("0708090A0B0C"))
WRONG_KEY: Final = bytes.fromhex("AABBCCDDEEFF")
MESSAGE_CODE: Final = 5
RESPONSE_CODE: Final = 6
GROUP: Final = 7
MESSAGES_PER_WORLD: Final = 5000  # then other nodes, on another seed
_AT_ONCE: Final = 0.4  # of the messages follow the one before without a pause
_PAUSE: Final = 3.0  # s times nodes, longest, from the end of a message to the next of its class; so none starves another
_LIMIT: Final = 120.0  # s within which the last messages of a world must have ended
_LONGEST: Final = 30.0  # s that a message may take on the average
_RECEIVE_TIME: Final = receive_time(DEFAULT_RECEIVE_CODE)
_TIMING: Final = ChannelTiming.load("pl20a_nes")
_REPEATED, _REQUEST, _UNACKNOWLEDGED = Service.REPEATED, Service.REQUEST, Service.UNACKNOWLEDGED


@dataclass(slots=True)
class Message:
    """A message and what became of it: who got it and how often, who answered, how often it ended."""

    sender: int
    handle: int
    service: Service
    destination: Destination
    domain: int
    priority: bool
    authenticated: bool
    apdu: bytes
    receivers: frozenset[int]
    delivered: set[int] = field(default_factory=set)
    copies: Counter[int] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    done: int = 0


class World:
    """Nodes 0..n-1 with addresses 1/1.. and 2/1.. in two domains, all of them members of a group in each.

    Args:
        count: nodes, 2 to 5.    oma: authenticate with 96 bits.
        wrong_key: the last node has another key.
        first_member: number of the first node in the groups. From 14 on, the reminders need two frames; the members before are
            not there, so no group message succeeds.
    """

    def __init__(
        self,
        count: int,
        faults: Faults,
        seed: int,
        oma: bool = False,
        wrong_key: bool = False,
        first_member: int = 0,
        **options: object,
    ) -> None:
        self.rng = Random(seed)
        self.violations: list[str] = []
        self.messages: dict[int, Message] = {}
        self.tally: Counter[str] = Counter()
        self.left = 0
        self._by_handle: dict[tuple[int, int], int] = {}
        self._serial = 0
        self.name = f"{count} nodes, seed {seed}"
        self._wrong = count - 1 if wrong_key else -1
        self._first_member = first_member
        nodes = [self._node(index, count, oma, seed, options) for index in range(count)]
        self.line = FaultyLine(nodes, faults, Random(seed + 1), serial_of, self._on_event)

    def _node(self, index: int, count: int, oma: bool, seed: int, options: dict[str, object]) -> Node:
        keys = (WRONG_KEY, WRONG_KEY) if index == self._wrong else KEYS
        config = NodeConfig(
            unique_node_id=unique_id(index),
            domains=tuple(
                DomainEntry(domain, row + 1, index + 1, keys[row], authentication_type=int(oma))
                for row, domain in enumerate(DOMAINS)
            ),
            groups=tuple(
                GroupEntry(GROUP, self._first_member + count, self._first_member + index, row) for row in range(len(DOMAINS))
            ),
            **{"reset_silence": 0.0, "receive_records": 64, **options},
        )
        return Node(config, _TIMING, Random(seed * 100 + index))

    # --- sending ---------------------------------------------------------------------------------------------------

    def start(self, messages: int) -> None:
        """Let every node have a few messages on its hands until so many have been sent."""
        self.left = messages
        for index in range(len(self.line.nodes)):
            for priority in (False, True):
                self.send_any(index, priority)

    def send_any(self, sender: int, priority: bool) -> None:
        """One more message of any kind."""
        if self.left > 0:
            self.left -= 1
            draw = self.rng
            service = draw.choice(list(Service))
            other = draw.choice([index for index in range(len(self.line.nodes)) if index != sender])
            domain = draw.randrange(2)
            to = destination(draw.randrange(5), other, domain)
            self.send(sender, service, to, domain, priority, draw.random() < 0.3, draw.random() < 0.5)

    def _send_next(self, sender: int, octets: bytes) -> None:
        self.send_any(sender, bool(octets))

    def send(
        self, sender: int, service: Service, to: Destination, domain: int, priority: bool, authenticated: bool, enhanced: bool
    ) -> Message:
        """Send a message and note whom it must reach."""
        node, now, draw = self.line.nodes[sender], self.line.now, self.rng
        self._serial += 1
        apdu = bytes([MESSAGE_CODE]) + self._serial.to_bytes(4, "big") + draw.randbytes(draw.choice((0, 1, 8, 30)))
        authenticated = authenticated and service in (Service.ACKNOWLEDGED, _REQUEST)
        options: dict[str, object] = {"domain": domain, "priority": priority, "enhanced": enhanced}
        interval = transmit_time(draw.choice((9, 10, 11)))
        if service is _UNACKNOWLEDGED:
            handle = node.send_unacknowledged(to, apdu, now, domain=domain, priority=priority)
        elif service is _REPEATED:
            handle = node.send_repeated(to, apdu, now, repeats=draw.randrange(4), repeat_time=transmit_time(7), **options)
        else:
            options |= {"retries": draw.randrange(4), "transmit_time": interval, "authenticated": authenticated}
            options["backlog"] = len(self.line.nodes) - 1
            if service is _REQUEST:
                options["max_responses"] = draw.randrange(1, 4)
            send = node.send_request if service is _REQUEST else node.send_acknowledged
            handle = send(to, apdu, now, **options)
        receivers = receivers_of(to, sender, len(self.line.nodes))
        message = Message(sender, handle, service, to, domain, priority, authenticated, apdu, receivers)
        self.messages[self._serial] = message
        self._by_handle[sender, handle] = self._serial
        self.tally[service] += 1
        self.line.touch(sender)
        return message

    # --- checking --------------------------------------------------------------------------------------------------

    def finish(self) -> list[str]:
        """Run until nothing is due; returns all violations."""
        unfinished = sum(not message.done for message in self.messages.values())
        start, limit = self.line.now, _LIMIT + _LONGEST * (self.left + unfinished)
        while (self.left or any(not message.done for message in self.messages.values())) and self.line.now - start < limit:
            self.line.run(self.line.now + 10.0)
        for serial, message in self.messages.items():
            self._check(message.done == 1, f"message {serial} ended {message.done} times")
        for index, node in enumerate(self.line.nodes):
            fates = node.statistics.accepted + node.statistics.frames_dropped
            self._check(node.statistics.frames == fates, f"node {index} lost count of its frames")
        return self.violations

    def _check(self, holds: bool, what: str) -> None:
        if not holds:
            self.violations.append(f"{what} at {self.line.now:.3f} s")

    def _on_event(self, index: int, event: Event, now: float) -> None:
        match event:
            case RequestReceived():
                self._on_delivery(index, event, _REQUEST, now)
                self._respond(index, event)
            case MessageReceived():
                self._on_delivery(index, event, event.service, now)
            case ResponseReceived():
                self._on_response(index, event)
            case TransactionDone():
                self._on_done(index, event)
            case _:
                self._check(False, f"node {index} reported {type(event).__name__}")

    def _on_delivery(self, index: int, event: RequestReceived | MessageReceived, service: Service, now: float) -> None:
        serial = serial_of(event.apdu)
        message = self.messages.get(serial or 0)
        if message is None:
            self._check(False, f"node {index} got something that nobody sent")
            return
        lifetime = UNIQUE_ID_RECEIVE_TIME if isinstance(message.destination, UniqueId) else _RECEIVE_TIME
        expired = now - self.line.first_heard_at.get((index, serial), now) >= lifetime
        message.delivered.add(index)
        message.copies[index] += 1
        self.tally["expired"] += expired and message.copies[index] > 1
        via = event.via
        ours = SubnetNode(message.domain + 1, message.sender + 1)
        self._check(index in message.receivers, f"message {serial} went astray to node {index}")
        self._check(event.apdu == message.apdu and service is message.service, f"message {serial} was changed")
        once = message.copies[index] == 1 or service is _UNACKNOWLEDGED
        self._check(once or expired, f"message {serial} came twice to node {index}")
        self._check(event.source == ours and event.domain == DOMAINS[message.domain], f"message {serial} came from elsewhere")
        as_sent = via.destination == message.destination and via.priority == message.priority
        self._check(as_sent, f"message {serial} was relabelled")
        same_key = self._wrong not in (index, message.sender)
        self._check(via.auth_asked == message.authenticated, f"message {serial} asked wrongly")
        right = via.authenticated == (message.authenticated and same_key)
        forgotten = expired and not via.authenticated  # it was a reply to the challenge of the record before
        self._check(right or forgotten, f"message {serial} authenticated wrongly")

    def _respond(self, index: int, event: RequestReceived) -> None:
        fate = self.rng.random()
        response = bytes([RESPONSE_CODE]) + event.apdu[1:5] + bytes([index])
        if fate < 0.05:
            self.line.nodes[index].decline(event.request_id, self.line.now)
        elif fate < 0.7:
            self.line.nodes[index].respond(event.request_id, response, self.line.now)
        else:
            self.line.schedule(
                self.line.now + self.rng.random() * 0.3, self._respond_late, index, event.request_id.to_bytes(8, "big") + response
            )

    def _respond_late(self, index: int, octets: bytes) -> None:
        self.line.nodes[index].respond(int.from_bytes(octets[:8], "big"), octets[8:], self.line.now)
        self.line.touch(index)

    def _on_response(self, index: int, event: ResponseReceived) -> None:
        serial = self._by_handle[index, event.handle]
        message = self.messages[serial]
        responder = event.apdu[5] if len(event.apdu) > 5 else -1
        self._check(event.apdu[1:5] == serial.to_bytes(4, "big"), f"request {serial} got the response to another")
        self._check(responder in message.delivered, f"request {serial} was answered by node {responder} without having it")
        self._check(responder not in message.answered, f"request {serial} was answered twice by node {responder}")
        itself = SubnetNode(message.domain + 1, responder + 1)
        self._check(event.source == itself, f"request {serial} was answered from elsewhere")
        message.answered.add(responder)

    def _on_done(self, index: int, event: TransactionDone) -> None:
        serial = self._by_handle[index, event.handle]
        message = self.messages[serial]
        message.done += 1
        self.tally["success" if event.success else "failure"] += 1
        if event.success and message.service in (Service.ACKNOWLEDGED, _REQUEST):
            have = message.receivers & message.delivered
            enough = bool(have) if isinstance(message.destination, Broadcast) else have == message.receivers
            self._check(enough, f"message {serial} succeeded without being delivered")
        at_once = self.rng.random() < _AT_ONCE  # while copies of its answers may still be under way
        pause = 0.0 if at_once else self.rng.random() * _PAUSE * len(self.line.nodes)
        self.line.schedule(self.line.now + pause, self._send_next, index, b"priority" if message.priority else b"")


def destination(kind: int, node: int, domain: int) -> Destination:
    """One of the address formats that reaches a node, kind 0..4."""
    kinds = (SubnetNode(domain + 1, node + 1), UniqueId(unique_id(node)), Broadcast(), Broadcast(domain + 1), Group(GROUP))
    return kinds[kind]


def receivers_of(to: Destination, sender: int, count: int) -> frozenset[int]:
    """Nodes that a destination names."""
    match to:
        case SubnetNode(_, node):
            return frozenset({node - 1})
        case UniqueId(octets):
            return frozenset({octets[-1]})
    return frozenset(range(count)) - {sender}


def unique_id(index: int) -> bytes:
    """Unique node id of a node."""
    return b"\2\xfc\0\0\0" + bytes([index])


def serial_of(apdu: bytes) -> int | None:
    """Number of the message in an APDU of ours; None for anything else."""
    return int.from_bytes(apdu[1:5], "big") if apdu[:1] == bytes([MESSAGE_CODE]) else None


def worlds(messages: int, faults: Faults, seed: int, per_world: int = MESSAGES_PER_WORLD) -> Iterator[World]:
    """Worlds of every make in turn, run to their end."""
    for number in range(10**9):
        if messages <= 0:
            return
        kind = {"oma": number % 3 == 0, "wrong_key": number % 5 == 4, "first_member": 14 if number % 7 == 5 else 0}
        world = World(2 + number % 4, faults, seed * 100_000 + number, **kind)
        share = min(messages, per_world)
        messages -= share
        world.start(share)
        world.finish()
        yield world


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    for name in ("loss", "corruption", "duplication", "reordering"):
        parser.add_argument(f"--{name}", type=float, default=0.3)
    options = parser.parse_args()
    faults = Faults(options.loss, options.corruption, options.duplication, options.reordering)
    tally: Counter[str] = Counter()
    drops: Counter[str] = Counter()
    violations: list[str] = []
    frames = heard = 0
    seconds = 0.0
    start = time.perf_counter()
    for world in worlds(options.messages, faults, options.seed):
        tally += world.tally
        frames, heard, seconds = frames + world.line.frames, heard + world.line.heard, seconds + world.line.now
        for node in world.line.nodes:
            drops.update(node.statistics.drops)
        for violation in world.violations:
            print(f"violation in world {world.name}: {violation}", flush=True)
        violations += world.violations
    took = time.perf_counter() - start
    sent = sum(tally[service] for service in Service)
    kinds = ", ".join(f"{tally[service]} {service}" for service in Service)
    print(f"{sent} messages ({kinds}): {tally['success']} succeeded, {tally['failure']} failed")
    print(f"{tally['expired']} copies came after their receive record had expired")
    print(f"{frames} frames sent, {heard} good copies heard, in {seconds / 3600:.1f} h of virtual time")
    print("dropped:", ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items())))
    print(f"{sent / took:.0f} messages/s, {took / (frames + heard) * 1e6:.1f} us per frame sent or heard, line included")
    print(f"violations: {len(violations)} (must be 0)")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
