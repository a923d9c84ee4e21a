"""A line of the table of requirements, and how packet error rates become one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import harness
from harness import Count, Traffic
from intervals import claims_at_most, consistent_at_least, consistent_at_most, interval


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, what is true or asked for, and whether it is met (None: for information).

    open: not met, but not disproved either: more packets would tell.
    """

    measured: str
    mark: str
    passed: bool | None
    open: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One line: `measure(scale)` runs it with `scale` times the usual number of packets."""

    id: str
    name: str
    condition: str
    measure: Callable[[float], Outcome]


def scaled(packets: int, scale: float, least: int = 40) -> int:
    """A number of packets under --scale."""
    return max(least, round(packets * scale))


def rate(errors: int, trials: int) -> str:
    """`3.1 % [2.1, 4.4] of 1000`."""
    low, high = interval(errors, trials)
    return f"{100 * errors / trials:.3g} % [{100 * low:.2g}, {100 * high:.2g}] of {trials}"


def strays(count: Count) -> str:
    """What else came out of the receiver, where there was any."""
    names = ("residual", "false")
    found = [f"{getattr(count, name)} {name}" for name in names if getattr(count, name)]
    return "; " + ", ".join(found) if found else ""


def verdict(got: Count, mark: float) -> tuple[bool, bool]:
    """(the count proves the mark and nothing came wrong with a good CRC, it neither proves nor disproves it)."""
    clean = not got.residual and not got.false
    passed = clean and claims_at_most(got.errors, got.sent, mark)
    return passed, clean and not passed and consistent_at_most(got.errors, got.sent, mark)


def per_case(
    id_: str,
    name: str,
    condition: str,
    traffic: Traffic,
    packets: int,
    mark: float | None,
    *,
    truth: str | Callable[[], str] = "",
    not_below: float | None = None,
    **arguments: Any,
) -> Case:
    """A packet error rate with a mark (None: for information) that the count has to prove.

    truth: what the ideal reaches; a function where that takes long.
    not_below: an error rate that no receiver gets below: a check of the measurement itself.
    """
    measure = partial(_per, id_, condition, traffic, packets, mark, truth, not_below, arguments)
    return Case(id_, name, condition, measure)


def _per(
    id_: str,
    condition: str,
    traffic: Traffic,
    packets: int,
    mark: float | None,
    truth: str | Callable[[], str],
    not_below: float | None,
    arguments: dict[str, Any],
    scale: float,
) -> Outcome:
    n = scaled(packets, scale)
    got = harness.run(traffic, n, harness.seed_of(id_, condition), **arguments)
    passed: bool | None = None
    undecided = False
    text = f"PER {rate(got.errors, got.sent)}{strays(got)}"
    if mark is not None:
        passed, undecided = verdict(got, mark)
    if not_below is not None and not consistent_at_least(got.errors, got.sent, not_below):
        passed, text = False, text + "; BETTER THAN THE IDEAL: is Es/N0 right?"
    known = truth if isinstance(truth, str) else truth()
    asked = "for information" if mark is None else f"PER <= {100 * mark:g} %"
    return Outcome(text, asked + (f"; {known}" if known else ""), passed, undecided)
