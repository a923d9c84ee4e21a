"""Running a campaign: which unit next, when a point is done, and how much is left.

A point's result is that of its units 0..k, where k is the first after which the stopping rule holds, counted in order. Units
that were computed beyond k, because several workers were busy, do not enter it: so the number of workers, the order in which
they finish and any number of interruptions make no difference.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from phy.measure import ErrorCount, StoppingRule

from .plan import Plan, PointSetup
from .store import Store
from .unit import Tally, UnitResult, unit_seed
from .workers import Task, Workers

_GUESS: Final = 0.05  # error ratio assumed of a point before anything is known about it


@dataclass
class PointState:
    """What is known about a point.

    Attributes:
        results: its finished units by number. counted: how many from 0 on are in the totals. totals: per receiver, over these.
        reason: why it ended, or None. pending: units being computed.
        paired: per receiver, packets that only the first receiver delivered and packets that only this one did.
    """

    setup: PointSetup
    results: dict[int, UnitResult] = field(default_factory=dict)
    counted: int = 0
    packets: int = 0
    totals: list[Tally] = field(default_factory=list)
    reason: str | None = None
    pending: set[int] = field(default_factory=set)
    paired: list[tuple[int, int]] = field(default_factory=list)

    def add(self, unit: int, result: UnitResult, rule: StoppingRule) -> None:
        """Take a finished unit, and count as far as the order allows."""
        self.pending.discard(unit)
        self.results[unit] = result
        while self.reason is None and self.counted in self.results:
            counted = self.results[self.counted]
            self.counted += 1
            self.packets += counted.packets
            before = self.totals or [Tally(0)] * len(counted.tallies)
            self.totals = [sum_tallies(a, b) for a, b in zip(before, counted.tallies, strict=True)]
            pairs = [_discordant(counted.tallies[0], tally) for tally in counted.tallies]
            paired = self.paired or [(0, 0)] * len(pairs)
            self.paired = [(a + c, b + d) for (a, b), (c, d) in zip(paired, pairs, strict=True)]
            reasons = [rule.met(ErrorCount(tally.errors, self.packets)) for tally in self.totals]
            if all(reasons):
                # The one that took longest: with several receivers, trials before confidence before errors.
                self.reason = max((r for r in reasons if r), key=("errors", "confidence", "trials").index)

    def next_unit(self) -> int:
        """The first unit that is neither done nor being computed."""
        unit = self.counted
        while unit in self.results or unit in self.pending:
            unit += 1
        return unit

    def planned_packets(self) -> int:
        """Packets that are done but not counted yet, or being computed."""
        ahead = sum(result.packets for unit, result in self.results.items() if unit >= self.counted)
        return ahead + sum(self.setup.unit_packets(unit) for unit in self.pending)

    def remaining_packets(self, rule: StoppingRule) -> float:
        """An estimate of the packets still to count before the rule holds."""
        if self.reason is not None:
            return 0.0
        fewest = min((tally.errors for tally in self.totals), default=0)
        ratio = (fewest + 1) / (self.packets + 1 / _GUESS)
        needed = float(rule.errors)
        if rule.relative_width:
            needed = min(needed, (3.92 / rule.relative_width) ** 2)
        return max(1.0, min(float(rule.trials), needed / ratio) - self.packets)


def _discordant(first: Tally, this: Tally) -> tuple[int, int]:
    """Packets of a unit that only the first receiver delivered, and that only this one did: both heard the same noise."""
    a, b = int(first.failed or "0", 16), int(this.failed or "0", 16)
    return (b & ~a).bit_count(), (a & ~b).bit_count()


def sum_tallies(a: Tally, b: Tally) -> Tally:
    """Two tallies of one receiver as one; which packets failed is not carried on."""
    return Tally(
        a.errors + b.errors,
        a.missed + b.missed,
        a.residual + b.residual,
        a.false + b.false,
        "",
        a.words + b.words,
        a.word_errors + b.word_errors,
        a.channel_bits + b.channel_bits,
        a.channel_bit_errors + b.channel_bit_errors,
    )


@dataclass(frozen=True, slots=True)
class Status:
    """How far a campaign is: points done of all, units counted or computed, packets left by estimate, packets done now."""

    points_done: int
    points: int
    packets_left: float
    packets_now: int
    finished: tuple[int, ...]


class Runner:
    """Runs a plan in a directory.

    Args:
        store: what has been done before is taken from it. report: called after every change.
    """

    def __init__(self, plan: Plan, store: Store, report: Callable[[Status], None] = lambda status: None) -> None:
        self.plan, self.store, self._report = plan, store, report
        self.states = [PointState(setup) for setup in plan.setups]
        self._now = 0
        for point, unit, result in store.units():
            if point < len(self.states):
                self.states[point].add(unit, result, plan.rule)

    @property
    def finished(self) -> bool:
        """Whether every point is done."""
        return all(state.reason is not None for state in self.states)

    def run(self, make_workers: Callable[[], Workers]) -> None:
        """Compute what is missing; when it is interrupted, what is done stays in the store."""
        self._tell(())
        if self.finished:
            return
        workers = make_workers()
        try:
            running = 0
            while not self.finished:
                for task in self._tasks(workers.wanted - running):
                    workers.submit(task)
                    running += 1
                ended = []
                for done in workers.collect():
                    running -= 1
                    self.store.add(done.point, done.unit, done.result)
                    self._now += done.result.packets
                    state = self.states[done.point]
                    open_before = state.reason is None
                    state.add(done.unit, done.result, self.plan.rule)
                    if open_before and state.reason is not None:
                        ended.append(done.point)
                self._tell(tuple(ended))
        finally:
            workers.close()

    def _tasks(self, count: int) -> Iterator[Task]:
        """The next units: each of the point that lacks most, so that the long ones do not come last and alone."""
        for _ in range(count):
            rule = self.plan.rule
            open_points = [(k, state) for k, state in enumerate(self.states) if state.reason is None]
            k, state = max(
                open_points,
                key=lambda item: (not item[1].pending and not item[1].results, self._lacking(item[1], rule), -item[0]),
            )
            unit = state.next_unit()
            if state.pending and (self._lacking(state, rule) <= 0 or not state.setup.unit_packets(unit)):
                return  # enough is on its way
            state.pending.add(unit)
            seed = unit_seed(self.plan.campaign.document.seed, self.plan.noise_of[k], unit)
            yield Task(k, unit, state.setup, seed, state.setup.unit_packets(unit))

    @staticmethod
    def _lacking(state: PointState, rule: StoppingRule) -> float:
        return state.remaining_packets(rule) - state.planned_packets()

    def _tell(self, ended: tuple[int, ...]) -> None:
        rule = self.plan.rule
        self._report(
            Status(
                points_done=sum(state.reason is not None for state in self.states),
                points=len(self.states),
                packets_left=sum(state.remaining_packets(rule) for state in self.states),
                packets_now=self._now,
                finished=ended,
            )
        )
