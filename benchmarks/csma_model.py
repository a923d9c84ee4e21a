"""What predictive p-persistent CSMA must do when every node always has a packet: an analysis of its own, without the stack.

Slots are drawn uniformly, the smallest draw sends, equal draws collide (slotted CSMA with a variable window). The textbook
formula for the probability that one of n nodes succeeds in a window of W slots,

    P = n/W * sum_{s=1..W} ((W - s)/W)^(n-1),

is the one that the published analyses start from (M. Miskowicz, Sensors 2007, 7(12), 3535: Markov chain over the backlog,
consistent estimates in all nodes, no limit on concurrent transactions). Solved here:

- unacknowledged packets announce nothing, the backlog stays 1 and W = 16; the last sender may stand apart from the others,
  by its longer beta1, by 16 slots on a channel with priority slots, and by what receivers need to notice the end of a packet;
- packets of which a share announces one more: a Markov chain over the backlog 1..63, the same estimate in all nodes;
- the same, and packets with their acknowledgements, with an estimate in each node: slot by slot, by drawing;
- the answers to a broadcast that announced them, exactly.
"""

import math
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from numpy.typing import NDArray

WINDOW = 16
MOST = 63


@dataclass(frozen=True)
class Channel:
    """Times of a channel, s.

    Args:
        slot: beta2.    before_slots: from the instant at which listeners find the line free until their first slot.
        sender_offset: how much later (or earlier) the last sender's first slot is.
        sense: from the start of a packet until others hold back.    release: from its end until they find the line free.
        airtime: of a packet; of an acknowledgement.
    """

    slot: float
    before_slots: float
    sender_offset: float
    sense: float
    release: float
    airtime: float
    ack_airtime: float = 0.0


@dataclass(frozen=True)
class Saturated:
    """Results.

    Attributes:
        success: probability that a busy period carries one packet.    collided: share of the packets that collide.
        per_second: packets a second that got through, acknowledgements included.    backlog: its mean.
    """

    success: float
    collided: float
    per_second: float
    backlog: float = 1.0


def textbook_success(n: int, window: int) -> float:
    """Probability of success of the formula above."""
    return n / window * sum(((window - s) / window) ** (n - 1) for s in range(1, window + 1))


def _round(listeners: int, senders: int, channel: Channel) -> tuple[float, float, float, float]:
    """One contention: (success, packets sent, packets collided, s until the line is found free again), window of 16 slots.

    Args:
        listeners, senders: nodes whose last activity was a reception, and an own packet.
    """
    groups = [
        (listeners, np.arange(WINDOW) * channel.slot),
        (senders, np.arange(WINDOW) * channel.slot + channel.sender_offset),
    ]
    success = sent = collided = length = 0.0
    for x in sorted({float(t) for _, times in groups for t in times}):
        at = [float(np.mean(np.isclose(times, x))) for _, times in groups]
        before_end = [float(np.mean((times >= x - 1e-9) & (times <= x + channel.sense + 1e-9))) for _, times in groups]
        after = [float(np.mean(times > x + channel.sense + 1e-9)) for _, times in groups]
        for a in range(listeners + 1):
            for b in range(senders + 1):
                some, none = 1.0, 1.0
                for k, n, p, q, s in zip((a, b), (listeners, senders), at, before_end, after, strict=True):
                    ways = math.comb(n, k) * s ** (n - k)
                    some, none = some * ways * q**k, none * ways * (q - p) ** k
                probability = some - none
                success += probability * (a + b == 1)
                sent += probability * (a + b)
                collided += probability * (a + b if a + b > 1 else 0)
                length += probability * (channel.before_slots + x + channel.airtime + channel.release)
    return success, sent, collided, length


def unacknowledged(n: int, channel: Channel) -> Saturated:
    """n nodes with unacknowledged packets. After a collision the senders have heard each other: all are listeners then."""
    alone = _round(n - 1, 1, channel)
    none = _round(n, 0, channel)
    after_success = none[0] / (1 - alone[0] + none[0])  # share of the rounds that follow a success
    success, sent, collided, length = (after_success * a + (1 - after_success) * b for a, b in zip(alone, none, strict=True))
    return Saturated(success, collided / sent, success / length)


def announcing(n: int, channel: Channel, share: float = 0.5) -> Saturated:
    """n nodes that always contend; a share of the packets announces one more, the others none.

    A Markov chain over the backlog, taken to be the same in all nodes: W = 16 x backlog; a packet that gets through raises or
    lowers it by one, each 16 slots of waiting lower it by one, a collision, which nobody can read, leaves it.
    """
    chain: NDArray[np.float64] = np.zeros((MOST, MOST))
    success, sent, collided, length, waited_to = (np.zeros(MOST) for _ in range(5))
    for k in range(MOST):
        window = WINDOW * (k + 1)
        for s in range(window):
            later, from_here = (window - s - 1) / window, (window - s) / window
            first = from_here**n - later**n
            one = n / window * later ** (n - 1)
            waited = max(0, k - s // WINDOW)
            chain[k, waited] += first - one
            chain[k, min(MOST - 1, waited + 1)] += one * share
            chain[k, max(0, waited - 1)] += one * (1 - share)
            waited_to[k] += first * (waited + 1)
            success[k] += one
            at = n / window * from_here ** (n - 1)  # of n nodes those at slot s, given that none is before
            sent[k] += at
            collided[k] += at - one
            length[k] += first * (channel.before_slots + s * channel.slot + channel.airtime + channel.release)
    balance = np.vstack((chain.T - np.eye(MOST), np.ones(MOST)))
    vector = np.linalg.lstsq(balance, np.concatenate((np.zeros(MOST), [1.0])), rcond=None)[0]
    return Saturated(
        float(vector @ success),
        float(vector @ collided / (vector @ sent)),
        float(vector @ success / (vector @ length)),
        float(vector @ waited_to),
    )


def drawn(n: int, channel: Channel, share: float | None = None, rounds: int = 100_000, seed: int = 0) -> Saturated:
    """n nodes that always contend, each with an estimate of the backlog of its own: slot by slot, without the stack's code.

    Estimates part at collisions: a sender counts its own packet, which it cannot know to be lost; the others heard nothing.

    Args:
        share: of the packets that announce one more, at random; None: each packet announces its acknowledgement, which the
            node it was for sends behind the packet that it has at hand.
    """
    rng = Random(seed)
    backlog = [1] * n
    acks = [0] * n  # waiting in each node behind the packet at its head
    quiet = [share is not None and rng.random() >= share for _ in range(n)]  # whether the packet at the head announces nothing
    success = sent = collided = 0
    length = total_backlog = 0.0
    for k in range(rounds):
        slots = [rng.randrange(WINDOW * value) for value in backlog]
        first = min(slots)
        backlog = [max(1, value - first // WINDOW) for value in backlog]
        winners = [i for i, slot in enumerate(slots) if slot == first]
        if k >= rounds // 10:
            total_backlog += sum(backlog[i] for i in winners) / len(winners)
            success += len(winners) == 1
            sent += len(winners)
            collided += len(winners) if len(winners) > 1 else 0
            is_ack = share is None and all(quiet[i] for i in winners)
            air = channel.ack_airtime if is_ack else channel.airtime
            length += channel.before_slots + first * channel.slot + air + channel.release
        for i in range(n) if len(winners) == 1 else winners:
            step = -1 if quiet[winners[0] if len(winners) == 1 else i] else 1
            backlog[i] = min(MOST, max(1, backlog[i] + step))
        if share is None and len(winners) == 1 and not quiet[winners[0]]:
            to = rng.randrange(n - 1)
            acks[to + (to >= winners[0])] += 1
        for i in winners:
            if share is None:
                quiet[i] = acks[i] > 0
                acks[i] -= quiet[i]
            else:
                quiet[i] = rng.random() >= share
    counted = rounds - rounds // 10
    return Saturated(success / counted, collided / sent, success / length, total_backlog / counted)


def answers(nodes: int, announced: int) -> tuple[float, float]:
    """A broadcast that announces so many answers, and each of `nodes` gives one: (share that gets through, busy periods).

    Exact: from j nodes that still have an answer and a backlog b, the next busy period takes one or several of them away.
    """

    @cache
    def left(j: int, b: int) -> tuple[float, float]:
        if not j:
            return 0.0, 0.0
        window = WINDOW * b
        through = periods = 0.0
        for s in range(window):
            here, later = 1 / window, (window - s - 1) / window
            waited = max(1, b - s // WINDOW)
            for c in range(1, j + 1):
                probability = math.comb(j, c) * here**c * later ** (j - c)
                if probability:
                    rest = left(j - c, max(1, waited - 1) if c == 1 else waited)
                    through += probability * ((c == 1) + rest[0])
                    periods += probability * (1 + rest[1])
        return through, periods

    through, periods = left(nodes, min(MOST, 1 + announced))
    return through / nodes, periods
