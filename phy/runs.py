"""Runs and spans of samples: where a canceller was at work, what has been computed."""

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


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans (first, last + 1) in order, those that touch joined to one; empty ones are left out.

    >>> merged([(8, 9), (1, 3), (3, 5), (7, 7)])
    [(1, 5), (8, 9)]
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted(span for span in spans if span[0] < span[1]):
        if joined and first <= joined[-1][1]:
            first, last = joined[-1][0], max(joined.pop()[1], last)
        joined.append((first, last))
    return joined
