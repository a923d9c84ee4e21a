"""What a live stream carries: framing, item type, rate, level, gaps and message sizes, from a few seconds of it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from .. import messages
from ..errors import StreamError
from .contract import SourceStatistics
from .gnuradio_messages import decode_tagged, rate_of, starts_like_tags
from .item_types import ItemGuess, guess_item_type
from .received import BARE, FRAMED, TAGGED
from .zeromq_source import Stream

GUESS_OCTETS: Final = 1 << 16
MOST_TAG_KEYS: Final = 32
LARGE_ERROR: Final = 0.01  # of the rate that is told against the one that is measured
LEAST_S: Final = 0.5  # shorter says nothing about the rate
MOST_SIZES: Final = 256
SIZES_SHOWN: Final = 5
UNKNOWN_RATE: Final = 400_000.0  # only the patience with blocks out of order depends on it


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was seen.

    Attributes:
        messages, octets, seconds: in all; seconds between the first and the last message.
        framing: `framed`, `gnuradio`, `gnuradio with tags`, or "" when no message made sense.    keyed: with a filter key.
        item_type, item_reason: a guess and why.    rate_told, rate_measured: Hz, None = not known.
        rms_v, peak_v, mean_v: level, as float32 is read.    sizes: octets of a message -> how many, the most frequent first.
        tags: keys of stream tags.    missing, gaps, late, duplicated, reordered, restarts, malformed: see SourceStatistics.
        problem: why messages do not fit, "".
    """

    messages: int
    octets: int
    seconds: float
    framing: str
    keyed: bool
    item_type: str
    item_reason: str
    rate_told: float | None
    rate_measured: float | None
    rms_v: float | None
    peak_v: float | None
    mean_v: float | None
    sizes: dict[int, int]
    tags: tuple[str, ...]
    missing: int
    gaps: int
    late: int
    duplicated: int
    reordered: int
    restarts: int
    malformed: int
    problem: str


class Probe:
    """Looks at the messages of a stream. Take each as it arrives, then ask for the report."""

    def __init__(self) -> None:
        self.messages = self.octets = 0
        self._statistics = SourceStatistics()
        self._stream = Stream(self._statistics, rate=UNKNOWN_RATE)
        self._framing, self._keyed, self._rate = "", False, 0.0
        self._sizes: Counter[int] = Counter()
        self._tags: dict[str, None] = {}
        self._sample = bytearray()
        self._first_at = self._last_at = 0.0
        self._items = self._first_items = 0
        self._count, self._sum, self._square, self._peak = 0, 0.0, 0.0, 0.0

    def put(self, parts: Sequence[memoryview], now: float) -> None:
        """Take a message that arrived at `now` s."""
        size = sum(len(part) for part in parts)
        self._sizes[size] += 1
        if len(self._sizes) > MOST_SIZES:
            self._sizes = Counter(dict(self._sizes.most_common(MOST_SIZES // 2)))
        items = self._look(parts)
        if self.messages == 0:
            self._first_at, self._first_items = now, items
        self.messages, self.octets, self._last_at = self.messages + 1, self.octets + size, now
        self._items += items
        self._stream.put(parts, now)
        self._drain(now)

    def report(self, now: float) -> ProbeReport:
        """What was seen so far."""
        self._drain(now + 1.0)
        guess, s = guess_item_type(bytes(self._sample)), self._statistics
        if " has 8 octets" in self._stream.misfit:
            guess = ItemGuess("complex64", "the sender's offsets count items of 8 octets")
        seconds = self._last_at - self._first_at
        measured = (self._items - self._first_items) / seconds if seconds >= LEAST_S else None
        count = self._count if guess.name in ("float32", "unknown") else 0
        return ProbeReport(
            self.messages, self.octets, seconds, self._framing, self._keyed, guess.name, guess.reason,
            self._rate or None, measured,
            math.sqrt(self._square / count) if count else None,
            self._peak if count else None,
            self._sum / count if count else None,
            dict(self._sizes.most_common(SIZES_SHOWN)), tuple(self._tags),
            s.missing, s.gaps, s.late, s.duplicated, s.reordered, s.restarts, s.malformed, self._stream.misfit,
        )  # fmt: skip

    def _look(self, parts: Sequence[memoryview]) -> int:
        """Framing, rate and tags of a message; returns how many items of 4 octets it holds."""
        if bytes(parts[0][:4]) == messages.MAGIC:
            self._framing = FRAMED
            try:
                header = messages.decode([bytes(part) for part in parts])
            except StreamError:
                return 0
            if header.sample_rate:
                self._told(header.sample_rate)
            if len(parts) == 2:
                self._keep(parts[1])
            return header.count
        if len(parts) == 2:
            self._keyed = True
        items = parts[-1]
        self._framing = BARE
        if starts_like_tags(items):
            self._framing = TAGGED
            try:
                message = decode_tagged(items)
            except StreamError:
                return 0
            items = message.items
            for tag in message.tags[:MOST_TAG_KEYS]:
                if len(self._tags) < MOST_TAG_KEYS:
                    self._tags[tag.key] = None
            rate = rate_of(message.last("rx_rate"))
            if rate is not None:
                self._told(rate)
        self._keep(items)
        return len(items) // messages.SAMPLE.itemsize

    def _told(self, rate: float) -> None:
        if self._rate == 0.0:
            self._rate = self._stream.sample_rate = rate

    def _keep(self, payload: memoryview) -> None:
        room = GUESS_OCTETS - len(self._sample)
        if room > 0:
            self._sample += payload[:room]

    def _drain(self, now: float) -> None:
        while (block := self._stream.get(now)) is not None:
            x = block.samples
            self._count += x.size
            self._sum += float(x.sum(dtype=np.float64))
            self._square += float(x.dot(x))
            self._peak = max(self._peak, float(np.abs(x).max()))


def remarks(report: ProbeReport) -> list[str]:
    """What a tester should know about a stream, a line each."""
    found = []
    if report.problem:
        found.append(report.problem)
    if report.framing == BARE:
        found.append("bare items tell neither rate nor index: say ?rate=HZ; only pauses show ('Pass Tags' adds an index)")
    if report.framing != BARE and report.rate_told is None and report.framing:
        found.append("the stream has not told its rate so far: say ?rate=HZ")
    told, measured = report.rate_told, report.rate_measured
    if told and measured and abs(measured / told - 1) > LARGE_ERROR:
        found.append(f"samples come at {measured:.0f} a second, the stream says {told:g}: slower than real time, or losses")
    if report.item_type == "unknown" and report.item_reason == "all octets are zero":
        found.append("all samples are zero")
    return found
