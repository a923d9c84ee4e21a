"""Runs a fuzzer by the million: in chunks, with its memory watched, and with every slow request tried again.

    fork a copy that waits --> play a chunk --> nothing slow: the copy goes
                                            --> something slow: copies of the copy play the chunk again

A processor that other work takes away in the middle of a request, or a cache that it left cold, makes one request look slow. The
copies do the same requests from the same state; the least of the times of a request is what it costs.
"""

import gc
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

SLOW_MS: Final = 10.0  # the mark
WATCHED_MS: Final = 5.0  # requests that take longer are tried again
REPLAYS: Final = 3
CHUNK: Final = 20_000


class Fuzzer(Protocol):
    """Something that makes requests and judges what comes back."""

    text: str  # of the last request

    def one(self) -> float:
        """One request: ms of processor time that the meter took."""

    def between(self) -> None:
        """Between two chunks."""


@dataclass(slots=True)
class Timing:
    """What a run took.

    Attributes:
        requests: so far.    watched: (least ms, request) of the slowest tried again.    worst_ms: of the slowest of all.
        slow: requests over the mark.    tried_again: how many were.    rss_mib: memory, now and then.    seconds: of wall clock.
    """

    requests: int = 0
    watched: list[tuple[float, str]] = field(default_factory=list)
    worst_ms: float = 0.0
    slow: int = 0
    tried_again: int = 0
    rss_mib: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def growth_mib(self) -> float:
        """MiB gained over the last three quarters of the run: the interpreter's caches and the meter's logs fill before."""
        return max(0.0, self.rss_mib[-1] - self.rss_mib[len(self.rss_mib) // 4]) if len(self.rss_mib) > 1 else 0.0


Progress = Callable[[Timing], None]


def rss_mib() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def play(fuzzer: Fuzzer, count: int) -> dict[int, tuple[float, str]]:
    """Some requests; (ms, text) of those that took longer than WATCHED_MS, and under -1 the slowest of the others."""
    gc.collect()  # touches all objects: pages shared with a copy of the process are copied here and not while a request is timed
    found: dict[int, tuple[float, str]] = {}
    worst = 0.0
    for number in range(count):
        took = fuzzer.one()
        if took > WATCHED_MS:
            found[number] = (took, fuzzer.text)
        elif took > worst:
            worst = took
    return found | {-1: (worst, "")}


class _Copy:
    """This process as it is now, kept aside."""

    def __init__(self, fuzzer: Fuzzer, count: int) -> None:
        order, self._order = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._order)
            os.close(self._answer)
            try:
                if os.read(order, 1):
                    self._replay(fuzzer, count, answer)
            finally:
                os._exit(0)
        os.close(order)
        os.close(answer)

    @staticmethod
    def _replay(fuzzer: Fuzzer, count: int, answer: int) -> None:
        for _ in range(REPLAYS):
            child = os.fork()
            if child == 0:
                times = {number: took for number, (took, _) in play(fuzzer, count).items()}
                os.write(answer, json.dumps(times).encode() + b"\n")
                os._exit(0)
            os.waitpid(child, 0)

    def end(self, again: bool) -> list[dict[int, float]]:
        """Let it go; with `again` what each replay took beyond WATCHED_MS, by request."""
        if again:
            os.write(self._order, b"r")
        os.close(self._order)
        with os.fdopen(self._answer, "rb") as lines:
            found = [{int(number): took for number, took in json.loads(line).items()} for line in lines]
        os.waitpid(self.pid, 0)
        return found


def run(
    fuzzer: Fuzzer, count: int, *, chunk: int = CHUNK, copies: bool = True, progress: Progress | None = None
) -> Timing:
    """Make `count` requests.    copies: try slow ones again.    progress: told after each chunk."""
    timing, started = Timing(), time.monotonic()
    gc.disable()  # its pauses are the interpreter's; it runs between the chunks, and memory must stay flat all the same
    every = max(1, count // chunk // 200)
    try:
        while timing.requests < count:
            size = min(chunk, count - timing.requests)
            copy = _Copy(fuzzer, size) if copies else None
            seen = play(fuzzer, size)
            replays = copy.end(len(seen) > 1) if copy is not None else []
            timing.worst_ms = max(timing.worst_ms, seen.pop(-1)[0])
            for number, (took, text) in seen.items():
                least = min([took, *(again.get(number, WATCHED_MS) for again in replays)])
                timing.tried_again += bool(replays)
                timing.worst_ms = max(timing.worst_ms, least)
                timing.slow += least > SLOW_MS
                timing.watched = sorted([*timing.watched, (least, text)], reverse=True)[:10]
            timing.requests += size
            fuzzer.between()
            if (timing.requests // chunk) % every == 0 or timing.requests == count:
                timing.rss_mib.append(rss_mib())
            timing.seconds = time.monotonic() - started
            if progress is not None:
                progress(timing)
    finally:
        gc.enable()
    return timing


def report(timing: Timing) -> str:
    """The figures in one line, each with its mark."""
    each = timing.seconds / max(1, timing.requests) * 1e6
    return (
        f"{timing.requests} requests in {timing.seconds:.0f} s ({each:.0f} us each); slowest {timing.worst_ms:.1f} ms of "
        f"processor time, above {SLOW_MS:g} ms: {timing.slow} (mark 0), tried again {timing.tried_again}; "
        f"memory {timing.rss_mib[-1] if timing.rss_mib else 0.0:.0f} MiB, +{timing.growth_mib:.1f}"
        + "".join(f"; {took:.1f} ms: {text[:160]}" for took, text in timing.watched[:2] if took > SLOW_MS)
    )
