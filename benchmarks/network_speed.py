"""How fast networks run in virtual time: cost of a packet and its growth from 10 to 10 000 nodes, on one core.

    python benchmarks/network_speed.py [--minutes 2] [--most 10000]

1. Streets: lines of 100 nodes, each node asks another one of its line once a minute. 1000 nodes must run at least 100 times
   faster than real time.
2. One line: a node asks the others in turn, 4 requests a second, whatever their number. A packet must not cost more with
   10 000 listeners than with 100.
3. One overloaded line: 1000 nodes ask once a minute each, five times what a line can carry, so that hundreds contend for
   each packet; for information.

Times are processor time; the figure of a loop of plain Python stands beside them, for comparing machines.
"""

import argparse
import sys
import time
from random import Random

from harness import verdict

from flowgraphs.network import Network
from flowgraphs.network_parts import SentFrame
from mac import DomainEntry, DomainId, Event, RequestReceived, SubnetNode, TransactionDone

DOMAIN = DomainId(b"Q")
FASTER = 100.0
GROWTH = 2.0  # a packet's cost from 100 to 10 000 listeners: caches of the processor, not work
ECHO = b"\x05what do you read?"


class Run:
    """A network whose nodes answer, and what came of it."""

    def __init__(self, nodes: int, on_a_line: int, seed: int = 1) -> None:
        self.network = Network(seed=seed, keep=False)
        self.packets = self.answered = self.failed = 0
        for k in range(nodes):
            if k and k % on_a_line == 0:
                self.network.add_line()
            self.network.add_node(line=k // on_a_line, domains=(DomainEntry(DOMAIN, *self.address(k % on_a_line)),))
        self.network.on_event = self._on_event
        self.network.on_frame = self._on_frame

    @staticmethod
    def address(k: int) -> tuple[int, int]:
        """Subnet and node of the k-th node of a line."""
        return 1 + k // 127, 1 + k % 127

    def ask(self, asking: int, asked_on_line: int, now: float) -> None:
        """One request."""
        self.network.node(asking).send_request(SubnetNode(*self.address(asked_on_line)), ECHO, now)

    def _on_event(self, index: int, event: Event, now: float) -> None:
        if isinstance(event, RequestReceived):
            self.network.node(index).respond(event.request_id, b"\x06 1234567 Wh", now)
        elif isinstance(event, TransactionDone):
            self.answered += event.success
            self.failed += not event.success

    def _on_frame(self, frame: SentFrame) -> None:
        self.packets += 1

    def timed(self, until: float) -> float:
        """Processor time of the run, s."""
        self.network.run(0.0)
        started = time.process_time()
        self.network.run(until)
        return time.process_time() - started

    def line(self, name: str, seconds: float, until: float) -> str:
        """One line of the report."""
        return (
            f"{name:40} {self.packets:7} packets  {1e6 * seconds / max(1, self.packets):7.0f} us a packet  "
            f"{until / seconds:8.0f} x real time   {self.answered} answered, {self.failed} failed"
        )


def streets(nodes: int, until: float, on_a_line: int = 100) -> tuple[Run, float]:
    """Each node asks once a minute at a random instant."""
    run, rng = Run(nodes, min(on_a_line, nodes)), Random(7)
    size = min(on_a_line, nodes)
    for k in range(nodes):
        at = rng.uniform(0, 60)
        while at < until:
            other = rng.randrange(size - 1)
            other += other >= k % size
            run.network.call_at(at, lambda now, k=k, other=other: run.ask(k, other, now))  # type: ignore[misc]
            at += 60
    return run, run.timed(until)


def one_line(nodes: int, until: float) -> tuple[Run, float]:
    """One node asks the others in turn, 4 a second."""
    run = Run(nodes, nodes)
    for number in range(int(4 * until)):
        to = 1 + number % (nodes - 1)
        run.network.call_at(0.25 * number, lambda now, to=to: run.ask(0, to, now))  # type: ignore[misc]
    return run, run.timed(until)


def plain_python() -> float:
    """A million turns of a loop, s."""
    started, total = time.process_time(), 0
    for k in range(1_000_000):
        total += k & 7
    return time.process_time() - started


def main() -> int:
    """Print the figures; exit 1 when a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="of simulated time of each run")
    parser.add_argument("--most", type=int, default=10_000, help="nodes of the largest networks")
    arguments = parser.parse_args()
    until = 60.0 * arguments.minutes
    sizes = [n for n in (10, 100, 1000, 10_000) if n <= arguments.most]
    print(f"a million turns of a loop of plain Python: {1e3 * plain_python():.0f} ms")
    passed = True
    for nodes in sizes:
        run, seconds = streets(nodes, until)
        text = run.line(f"streets of 100, {nodes} nodes", seconds, until)
        if nodes == 1000:
            fast = until / seconds >= FASTER
            passed &= fast
            text += f"   >= {FASTER:g} {verdict(fast)}"
        print(text, flush=True)
    cost = {}
    for nodes in sizes:
        run, seconds = one_line(nodes, until)
        cost[nodes] = seconds / max(1, run.packets)
        print(run.line(f"one line, {nodes} nodes", seconds, until), flush=True)
    if 10_000 in cost:
        flat = cost[10_000] <= GROWTH * cost[100]
        passed &= flat
        growth = cost[10_000] / cost[100]
        print(f"a packet with 10 000 listeners costs {growth:.2f} times one with 100   <= {GROWTH:g} {verdict(flat)}")
    run, seconds = streets(1000, 10.0, on_a_line=1000)
    print(run.line("one overloaded line, 1000 nodes, 10 s", seconds, 10.0))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
