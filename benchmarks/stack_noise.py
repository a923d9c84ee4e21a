"""Random and mutated frames into a node: no exception, no state corrupted, memory flat, each drop under a reason?

    python benchmarks/stack_noise.py [--frames 10000000] [--seed 1]

The node is configured, with two domains, groups, network management authentication on and messages of its own under way. A
third of the frames are random octets, a third random octets behind a header that addresses the node, a third recorded frames
with bits flipped, octets cut off, added or put together from two. Now and then the line is quiet for half a minute; then the
node must answer in every address format, authenticate a management request, and have its tables as they were. Every frame must
have been accepted or dropped under a reason. Prints the drops by reason, the growth of memory and the violations, which must
be none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

from mac import (
    AuthenticationKeys,
    AuthPdu,
    AuthPduType,
    Broadcast,
    ChannelTiming,
    DomainEntry,
    DomainId,
    Group,
    GroupEntry,
    Lpdu,
    LpduHeader,
    Node,
    NodeConfig,
    NodeState,
    Npdu,
    RequestReceived,
    Spdu,
    SpduType,
    SubnetNode,
    UniqueId,
    management,
)

RECORDED: Final = Path(__file__).parents[1] / "tests" / "vectors" / "mac" / "frames.txt"
DOMAIN, SECOND = DomainId(b"\x51"), DomainId(b"ABCDEF")
OURS: Final = SubnetNode(35, 12)
TESTER: Final = SubnetNode(77, 101)  # in no recorded frame
MOST_WAITING: Final = 8  # frames of messages that noise made it forward, which may go on for minutes
UNIQUE_ID: Final = bytes.fromhex("02FC0000000C")
KEY, SECOND_KEY = bytes.fromhex("010203040506"), bytes.fromhex("0708090A0B0C")
GROUPS: Final = (7, 8)
SPACING: Final = 0.05  # s from frame to frame: about as fast as short frames follow each other on the A band
QUIET: Final = 30.0  # s; every receive timer has run out after it
_TIMING: Final = ChannelTiming.load("pl20a_nes")


class Noise:
    """An endless supply of bad frames.

    Args:
        rng: draws them.
        recorded: good frames to start from.
    """

    def __init__(self, rng: Random, recorded: list[bytes]) -> None:
        self._rng = rng
        self._recorded = recorded
        self._heads = [head_of(destination, domain) for domain in (DOMAIN, SECOND) for destination in DESTINATIONS[domain]]

    def frames(self, count: int) -> Iterator[bytes]:
        """So many frames."""
        kinds = self._random, self._addressed, self._mutated
        for _ in range(count):
            yield self._rng.choice(kinds)()

    def _random(self) -> bytes:
        return self._rng.randbytes(self._rng.randrange(48))

    def _addressed(self) -> bytes:
        """Whatever it carries, its header names the node; any PDU type, both versions that are in use and those that are not."""
        draw = self._rng
        octets = bytearray(draw.choice(self._heads) + draw.randbytes(draw.randrange(1, draw.choice((4, 12, 40)))))
        octets[0] = draw.randrange(256)
        octets[1] |= draw.randrange(4) << 4 | (draw.randrange(4) << 6 if draw.random() < 0.2 else 0)
        octets[3] = octets[3] & 0x80 | draw.randrange(128)
        if draw.random() < 0.5:
            octets[-1:] = draw.choice(INTERESTING) + octets[-1:]
        return bytes(octets)

    def _mutated(self) -> bytes:
        draw = self._rng
        octets = bytearray(draw.choice(self._recorded))
        for _ in range(draw.randrange(1, 4)):
            match draw.randrange(6):
                case 0 | 1 | 2:
                    if octets:
                        octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
                case 3:
                    del octets[draw.randrange(len(octets) + 1) :]
                case 4:
                    octets += draw.randbytes(draw.randrange(1, 20))
                case 5:
                    other = draw.choice(self._recorded)
                    octets[draw.randrange(len(octets) + 1) :] = other[draw.randrange(len(other)) :]
        return bytes(octets)


class NoisyNode:
    """The node, what is done to it and what must hold.

    Attributes:
        now: virtual time, s.    sent: frames that the node sent.    violations: what did not hold.
        answered: probes that were answered.
    """

    def __init__(self, seed: int, oma: bool = False) -> None:
        self.rng = Random(seed)
        self.node = Node(
            NodeConfig(
                unique_node_id=UNIQUE_ID,
                program_id=bytes(8),
                domains=(
                    DomainEntry(DOMAIN, OURS.subnet, OURS.node, KEY, authentication_type=int(oma)),
                    DomainEntry(SECOND, 7, 9, SECOND_KEY),
                ),
                groups=(GroupEntry(GROUPS[0], 4, 1, receive_code=8), GroupEntry(GROUPS[1], 4, 2, domain_index=1)),
                management_authentication=True,
                reset_silence=0.0,
            ),
            _TIMING,
            Random(seed + 1),
        )
        self.now = 0.0
        self.sent: list[bytes] = []
        self.violations: list[str] = []
        self.answered = 0
        self._oma = oma
        self._before = self._tables()

    def push(self, octets: bytes) -> None:
        """One frame; a quarter of the requests that get through are answered by the application, late at times."""
        self.now += SPACING * (0.5 + self.rng.random())
        self._run(self.now)
        self.node.receive_frame(octets, self.now)
        self._take_events()
        self._send(self.now)
        self.sent.clear()

    def originate(self) -> None:
        """A message of its own, so that answers and challenges have something to answer."""
        to = self.rng.choice((SubnetNode(35, 15), Broadcast(), Group(GROUPS[0])))
        send = self.rng.choice((self.node.send_request, self.node.send_acknowledged))
        send(to, b"\x05own", self.now, authenticated=True, priority=self.rng.random() < 0.5)

    def check(self) -> None:
        """After a quiet time: are the tables as they were, does it still answer, is every frame accounted for?"""
        self._run(self.now + QUIET)
        self.now += QUIET
        self._take_events()
        self._check(self._tables() == self._before, "the tables changed")
        self._check(self.node.state is NodeState.CONFIGURED, f"the node is {self.node.state}")
        self._check(self.node.frames_waiting <= MOST_WAITING, f"{self.node.frames_waiting} frames wait")
        for domain, destinations in DESTINATIONS.items():
            for to in destinations:
                answers = self._ask(to, domain, management.QueryStatus().encode())
                self._check([a.npdu.pdu.apdu[:1] for a in answers] == [b"\x31"], f"no answer to {to} on {domain}")
        self._check_authentication()
        statistics = self.node.statistics
        fates = statistics.accepted + statistics.frames_dropped
        self._check(statistics.frames == fates, f"{statistics.frames} frames, but {fates} accepted or dropped")

    def _check_authentication(self) -> None:
        query = management.QueryDomain(0).encode()
        refusals = self._ask(OURS, DOMAIN, query)
        self._check([a.npdu.pdu.apdu for a in refusals] == [b"\x0a"], "management without authentication was not refused")
        self._run(self.now + QUIET)
        self.now += QUIET
        challenges = self._ask(OURS, DOMAIN, query, auth=True)
        keys = AuthenticationKeys((KEY, SECOND_KEY))
        block = bytes.fromhex("510000000000 01 23 0C") if self._oma else None
        value = keys.reply(challenges[0].npdu.pdu.value if challenges else bytes(8), query, 0, block)
        kind = AuthPduType.REPLY_OMA if self._oma else AuthPduType.REPLY
        answers = self._exchange(OURS, DOMAIN, AuthPdu(kind, 3, OURS.FORMAT, value))
        self._check([a.npdu.pdu.apdu[:1] for a in answers] == [b"\x2a"], "management with authentication was refused")

    def _ask(self, to: object, domain: DomainId, apdu: bytes, auth: bool = False) -> list[Lpdu]:
        return self._exchange(to, domain, Spdu(SpduType.REQUEST, 3, auth, apdu))

    def _exchange(self, to: object, domain: DomainId, pdu: object) -> list[Lpdu]:
        self.sent.clear()
        self.node.receive_frame(Lpdu(LpduHeader(), Npdu(TESTER, to, domain, pdu)).encode(), self.now)
        self._send(self.now)
        self._run(self.now + 5.0)
        self.now += 5.0
        frames = [Lpdu.decode(octets) for octets in self.sent]  # some may belong to messages that noise made it forward
        answers = [frame for frame in frames if getattr(frame.npdu.destination, "address", frame.npdu.destination) == TESTER]
        self.answered += len(answers)
        return answers

    def _run(self, until: float) -> None:
        while (at := self.node.next_timer()) is not None and at <= until:
            self.node.on_timer(at)
            self._send(at)

    def _send(self, at: float) -> None:
        for frame in self.node.frames_to_send(at):
            self.sent.append(frame.octets)
            self.node.transmission_done(at)

    def _take_events(self) -> None:
        while (event := self.node.next_event()) is not None:
            if isinstance(event, RequestReceived) and self.rng.random() < 0.25:
                self.node.respond(event.request_id, b"\x05 answer", self.now)

    def _tables(self) -> tuple[object, ...]:
        """All that network management could have changed, as it would read it."""
        return replace(self.node.snapshot(), last_error=0), self.node.groups

    def _check(self, holds: bool, what: str) -> None:
        if not holds:
            self.violations.append(f"{what} at {self.now:.2f} s")


DESTINATIONS: Final = {
    DOMAIN: (OURS, UniqueId(UNIQUE_ID), Broadcast(), Broadcast(OURS.subnet), Group(GROUPS[0])),
    SECOND: (SubnetNode(7, 9), UniqueId(UNIQUE_ID), Broadcast(), Broadcast(7), Group(GROUPS[1])),
}
INTERESTING: Final = tuple(bytes([code]) for code in (*range(0x50, 0x80), 0x4D, 0x05, 0x80, 0xC0))  # message codes


def head_of(destination: object, domain: DomainId) -> bytes:
    """Octets of a frame up to its PDU, which is left out; PDU type 0."""
    return Lpdu(LpduHeader(), Npdu(SubnetNode(35, 15), destination, domain, Spdu(SpduType.RESPONSE, 0))).encode()[:-1].replace(
        b"\x19", b"\x09", 1
    )


def recorded_frames() -> list[bytes]:
    """Frames exchanged with an independent stack, many of them with the node's address."""
    rows = (line for line in RECORDED.read_text().splitlines() if not line.startswith("#"))
    return [bytes.fromhex(row.split(";")[0]) for row in rows]


def resident_kib() -> int:
    """Memory of this process, KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4


def run(noisy: NoisyNode, frames: int, check_every: int, seed: int) -> Iterator[int]:
    """Push frames and check now and then; yields the number of violations after each check."""
    noise = Noise(Random(seed + 2), recorded_frames())
    for number, octets in enumerate(noise.frames(frames), 1):
        noisy.push(octets)
        if number % 500 == 0:
            noisy.originate()
        if number % check_every == 0 or number == frames:
            noisy.check()
            yield len(noisy.violations)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    memory: list[int] = []
    drops: Counter[str] = Counter()
    violations: list[str] = []
    frames = accepted = dropped = answered = 0
    for oma in (False, True):
        half = options.frames // 2
        noisy = NoisyNode(options.seed + oma, oma)
        for _ in run(noisy, half, max(1, min(50_000, half // 4)), options.seed):
            memory.append(resident_kib())
        violations += noisy.violations
        for violation in noisy.violations:
            print("violation:", violation, flush=True)
        statistics = noisy.node.statistics
        drops.update(statistics.drops)
        frames, answered = frames + statistics.frames, answered + noisy.answered
        accepted, dropped = accepted + statistics.accepted, dropped + statistics.frames_dropped
    took = time.perf_counter() - start
    settled = memory[len(memory) // 10]
    print(f"{frames} frames in {took:.0f} s, {took / frames * 1e6:.1f} us each, made and run; {accepted} accepted")
    for reason, count in drops.most_common():
        print(f"  {count:9d} {reason}")
    lost = frames - accepted - dropped
    print(f"frames without a fate: {lost} (must be 0)")
    print(f"{answered} probes answered; memory {settled} KiB after a tenth, {memory[-1]} KiB at the end, most {max(memory)} KiB")
    print(f"violations: {len(violations)} (must be 0)")
    return 1 if violations or lost else 0


if __name__ == "__main__":
    sys.exit(main())
