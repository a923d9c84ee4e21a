"""Enhanced proxy repeating over 1 to 8 repeaters: delivery and time, against the arithmetic of its timers.

    python benchmarks/repeating.py [--timing rule] [--loss 0.1] [--runs 200] [--seed 1]

`--timing`: "rule" for `ProxyTiming.for_count`, the default of a route, or "lossy" for `ProxyTiming.for_lossy_line`.

A source asks a target through repeaters and an agent, every station hears its neighbours only, every frame on every
link is lost with the given probability. Beside each measured figure stands what follows from the timers alone: a
program of thirty lines that knows of tries, waits, frame times and losses, and nothing of the stack. Then one station
of the chain is dead: how often the report names the right link (without other losses it must always), and the longest
time until it came, beside the longest that the timers allow. Fails when measured and computed differ by more than
chance (three standard errors and 2 %) allows, or a limit is passed.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from chain_line import CHANNEL, LONGEST_ACCESS_S, Chain, airtime, stations, with_loss

from mac import ProxyDone, ProxyHop, ProxyOutcome, ProxyRoute, ProxyTiming, SubnetNode
from mac.proxy_timing import hop_time, last_wait
from mac.timers import transmit_time

REQUEST = b"\x05\x00\x01\x02\x03\x04\x05\x06\x07"
NPDU_OCTETS = 8  # L2 header, addresses, one octet of domain, SPDU header
MAX_REPEATERS = 8
CONFIDENCE = 3.0  # standard errors
MODEL_SLACK = 0.02  # of the delivery ratio: what the arithmetic leaves out, overlapping frames above all
TIME_SLACK = 0.15  # of the mean time, likewise
Timing = Callable[[int], ProxyTiming]
TIMINGS: dict[str, Timing] = {"rule": ProxyTiming.for_count, "lossy": ProxyTiming.for_lossy_line}
RULE = TIMINGS["rule"]


@dataclass(frozen=True)
class Run:
    """What became of one message, and when, s."""

    done: ProxyDone
    time_s: float
    frames: int


def route(repeaters: int, timing: Timing = RULE) -> ProxyRoute:
    """Through `repeaters` and an agent to the target, all neighbours: 35/1 is the source."""
    hops = tuple(ProxyHop(SubnetNode(35, node)) for node in range(2, repeaters + 3))
    return ProxyRoute(hops, SubnetNode(35, repeaters + 3), timing=timing(repeaters))


def send(repeaters: int, loss: float, seed: int, dead: int | None = None, timing: Timing = RULE) -> Run:
    """One message over a fresh chain; dead: number of the station that is, 1 for the first after the source."""
    chain = Chain(
        stations(repeaters + 3, seed),
        with_loss(loss, seed),
        dead=frozenset() if dead is None else frozenset({dead}),
    )
    chain.nodes[0].send_proxied(route(repeaters, timing), REQUEST, 0.0)
    chain.run(lambda: any(isinstance(event, ProxyDone) for _, _, event in chain.events))
    done, time_s = next((event, at) for at, _, event in chain.events if isinstance(event, ProxyDone))
    return Run(done, time_s, len(chain.log))


@dataclass(frozen=True)
class Link:
    """One link of the arithmetic: retries, wait after each try, more after the last, duration of message and answer, s."""

    retries: int
    wait_s: float
    last_wait_s: float
    message_s: float
    answer_s: float


def links_of(repeaters: int, chosen: Timing = RULE) -> list[Link]:
    """The links of `route(repeaters)`, from the source on."""
    way = route(repeaters, chosen)
    timing, message = way.chosen_timing, way.message(REQUEST)
    answer_s = airtime(bytes(NPDU_OCTETS + len(REQUEST)))
    links = []
    for index in range(repeaters + 1):
        message_s = airtime(bytes(NPDU_OCTETS + len(message.encode())))
        if index == 0:
            links.append(Link(timing.source_retries, timing.source_time, timing.source_last_wait, message_s, answer_s))
        else:
            wait_s = hop_time(timing.hop_timer_code, timing.long_timer)
            extra_s = last_wait(timing.hop_timer_code, timing.long_timer, repeaters - index)
            links.append(Link(timing.hop_retries, wait_s, extra_s, message_s, answer_s))
        message = message.forwarded() if message.hops else message
    to_target_s = airtime(bytes(NPDU_OCTETS + len(REQUEST)))
    links.append(Link(timing.target_retries, transmit_time(timing.target_timer_code), 0.0, to_target_s, answer_s))
    return links


def compute(links: list[Link], loss: float, rng: Random, now_s: float = 0.0) -> tuple[bool, float]:
    """Whether the answer comes back over `links`, and when: nothing but tries, waits, frame times and losses."""
    if not links:
        return True, now_s
    link, inner = links[0], None
    end_s = now_s
    for tries in range(link.retries + 1):
        end_s += access(rng) + link.message_s
        wait_s = link.wait_s + (link.last_wait_s if tries == link.retries else 0.0)
        answers = []
        if rng.random() >= loss:
            if inner is None:
                inner = compute(links[1:], loss, rng, end_s)
                answers.append(inner[1])
            elif inner[1] <= end_s:
                answers.append(end_s)
        if inner is not None and not answers and end_s < inner[1]:
            answers.append(inner[1])  # still to come, from an earlier try
        for answer_s in answers:
            arrives_s = answer_s + access(rng) + link.answer_s
            if arrives_s <= end_s + wait_s and rng.random() >= loss:
                return inner is not None and inner[0], arrives_s
        end_s += wait_s
    return False, end_s


def access(rng: Random) -> float:
    """Wait for the line: beta1 and a slot of one or two windows, according to what was announced before."""
    return CHANNEL.beta1_post_rx + rng.randrange(2 * CHANNEL.w_base) * CHANNEL.beta2


def longest_s(repeaters: int, dead: int, timing: Timing = RULE) -> float:
    """Longest time that the timers allow until the source knows that station `dead` is: the station before it gives up.

    One try on the way may be lost, because stations two links apart do not hear each other and may collide.
    """
    links = links_of(repeaters, timing)
    frame_s = max(max(link.message_s, link.answer_s) for link in links) + LONGEST_ACCESS_S
    giving_up = links[dead - 1]
    tries_s = (giving_up.retries + 1) * (giving_up.wait_s + frame_s) + giving_up.last_wait_s
    collision_s = max(link.wait_s for link in links[:dead]) + frame_s if dead > 1 else 0.0
    return tries_s + 2 * (dead - 1) * frame_s + collision_s


@dataclass(frozen=True)
class Figures:
    """Measured and computed, for one number of repeaters."""

    repeaters: int
    runs: int
    delivered: float
    computed: float
    mean_s: float
    computed_mean_s: float
    frames: float

    @property
    def agree(self) -> bool:
        """Measured and computed differ by no more than chance and what the arithmetic leaves out."""
        ratio_error = math.sqrt(max(self.computed * (1 - self.computed), 1.0 / self.runs) / self.runs)
        within_ratio = abs(self.delivered - self.computed) <= CONFIDENCE * ratio_error + MODEL_SLACK
        return within_ratio and abs(self.mean_s / self.computed_mean_s - 1.0) <= TIME_SLACK + CONFIDENCE / math.sqrt(self.runs)


def measure(repeaters: int, loss: float, runs: int, seed: int, timing: Timing = RULE) -> Figures:
    """Many messages, each over a fresh chain, and many more computed ones."""
    start = partial(send, repeaters, loss, timing=timing)
    done = [start(seed * 100_000 + repeaters * 1000 + run) for run in range(runs)]
    good = [run.time_s for run in done if run.done.outcome is ProxyOutcome.RESPONSE]
    rng = Random(seed)
    computed = [compute(links_of(repeaters, timing), loss, rng) for _ in range(max(10 * runs, 1000))]
    computed_good = [time_s for delivered, time_s in computed if delivered]
    return Figures(
        repeaters,
        runs,
        len(good) / runs,
        len(computed_good) / len(computed),
        sum(good) / len(good),
        sum(computed_good) / len(computed_good),
        sum(run.frames for run in done) / runs,
    )


def main() -> int:
    """Print both tables; 1 when a figure is outside its limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timing", choices=TIMINGS, default="rule")
    parser.add_argument("--loss", type=float, default=0.1)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bad, timing = False, TIMINGS[options.timing]
    print(f"Every frame is lost with probability {options.loss} on every link; {options.runs} messages each")
    print("repeaters   delivered  computed    mean time  computed   frames")
    for repeaters in range(1, MAX_REPEATERS + 1):
        f = measure(repeaters, options.loss, options.runs, options.seed, timing)
        bad |= not f.agree
        print(
            f"{repeaters:9d}   {f.delivered:8.1%}  {f.computed:8.1%}   {f.mean_s:8.2f} s {f.computed_mean_s:8.2f} s"
            f" {f.frames:8.1f}{'' if f.agree else '   DIFFERS'}"
        )
    print("\nOne station is dead, no other losses")
    print("repeaters   right link   longest time until the report, and limit, by the link that is dead (2, 3, ..)")
    for repeaters in range(1, MAX_REPEATERS + 1):
        right, cells = True, []
        for dead in range(2, repeaters + 3):
            seeds = range(options.seed * 1000, options.seed * 1000 + max(options.runs // 40, 2))
            runs = [send(repeaters, 0.0, seed, dead, timing) for seed in seeds]
            right &= all(run.done.dead_link == dead for run in runs)
            worst, limit = max(run.time_s for run in runs), longest_s(repeaters, dead, timing)
            bad |= worst > limit
            cells.append(f"{worst:.1f}<{limit:.1f}" if worst <= limit else f"{worst:.1f}>{limit:.1f}!")
        bad |= not right
        print(f"{repeaters:9d}   {'always' if right else 'NOT ALWAYS':>10s}   {' '.join(cells)}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
