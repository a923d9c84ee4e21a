"""Runs of samples: where a canceller was at work."""

from itertools import pairwise
from typing import TypeAlias

Runs: TypeAlias = list[tuple[int, int, bool]]  # (first, last + 1, whether it was at work), in order and without gaps


def add_run(runs: Runs, first: int, last: int, active: bool) -> None:
    """The next samples, first .. last - 1, joined to the run before when nothing changes."""
    if runs and runs[-1][2] == active:
        first, _, _ = runs.pop()
    runs.append((first, last, active))


def either(a: Runs, b: Runs) -> Runs:
    """Runs of the same block in which the one or the other was at work."""
    runs: Runs = []
    edges = sorted({edge for first, last, _ in (*a, *b) for edge in (first, last)})
    for first, last in pairwise(edges):
        add_run(runs, first, last, any(low <= first < high and active for low, high, active in (*a, *b)))
    return runs
