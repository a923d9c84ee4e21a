"""What every front end is: a source of blocks of line samples, a sink that places them, and one form of URL for all kinds.

    SCHEME:PLACE?option=value&option=value        file:night.sigmf-meta?pace=realtime    pipe:-?rate=400000

A path without a scheme is a file. Options may stand in the URL or be given as arguments; arguments win.
"""

import importlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from ..errors import FrontEndError

# scheme -> module of this package and its function; it gets an `Address` and returns the front end.
SOURCES: Final[dict[str, tuple[str, str]]] = {
    "file": ("files", "open_file_source"),
    "pipe": ("pipes", "open_pipe_source"),
    "line": ("line_monitor", "open_line_source"),
    "soundcard": ("soundcard", "open_soundcard_source"),
    "zmq+sub": ("zeromq_source", "open_zeromq_source"),
    "zmq+pull": ("zeromq_source", "open_zeromq_source"),
}
SINKS: Final[dict[str, tuple[str, str]]] = {
    "file": ("files", "open_file_sink"),
    "pipe": ("pipes", "open_pipe_sink"),
    "soundcard": ("soundcard", "open_soundcard_sink"),
    "zmq+pub": ("zeromq_sink", "open_zeromq_sink"),
    "zmq+push": ("zeromq_sink", "open_zeromq_sink"),
}
DUPLEX: Final[dict[str, tuple[str, str]]] = {  # both directions with one count of samples
    "soundcard": ("soundcard", "open_soundcard_duplex"),
}
WORDS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive samples of a line.

    Attributes:
        first_sample: absolute index of samples[0].    samples: (N,) float32 V, N at least 1.
        missing_before: samples that were lost between the block before and this one; their place in the index is kept.
        mains_crossing: (N,) float32 second channel that watches the mains, full scale 1, where the front end has one.
    """

    first_sample: int
    samples: NDArray[np.float32]
    missing_before: int = 0
    mains_crossing: NDArray[np.float32] | None = None

    @property
    def end(self) -> int:
        """Absolute index of the sample that follows."""
        return self.first_sample + self.samples.size


@dataclass(slots=True)
class SourceStatistics:
    """What came, and everything that went wrong, by name.

    gaps, missing: how often samples were lost, and how many in all.    late, duplicated, reordered: blocks.
    overruns: the front end or the reader was too slow.    clipped: samples at full scale.    malformed: messages or octets.
    restarts: of the sender.    foreign: blocks of another sender.    wrong_rate: blocks of another sample rate.
    suspected: samples that the clock misses in a stream without an index.
    """

    blocks: int = 0
    samples: int = 0
    gaps: int = 0
    missing: int = 0
    late: int = 0
    duplicated: int = 0
    reordered: int = 0
    overruns: int = 0
    clipped: int = 0
    malformed: int = 0
    restarts: int = 0
    foreign: int = 0
    wrong_rate: int = 0
    suspected: int = 0

    def count(self, block: Block) -> Block:
        """Take note of a block that is handed out."""
        self.blocks += 1
        self.samples += block.samples.size
        if block.missing_before:
            self.gaps += 1
            self.missing += block.missing_before
        return block


@dataclass(slots=True)
class SinkStatistics:
    """What went out. late: samples whose instant had passed; underruns: the front end found nothing to send;
    clipped: samples beyond full scale; dropped: samples that nobody took; padded: zeros between blocks.
    """

    blocks: int = 0
    samples: int = 0
    late: int = 0
    underruns: int = 0
    clipped: int = 0
    dropped: int = 0
    padded: int = 0


@runtime_checkable
class SampleSource(Protocol):
    """Where line samples come from.

    Attributes:
        sample_rate: Hz.    name: for people, one line.    ended: nothing will come any more.
    """

    sample_rate: float
    name: str
    statistics: SourceStatistics

    @property
    def ended(self) -> bool:
        """Nothing will come any more."""

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None when none came within `timeout_s` or the source has ended."""

    def close(self) -> None:
        """Release it; twice is once."""


@runtime_checkable
class SampleSink(Protocol):
    """Where line samples go.

    Attributes:
        sample_rate: Hz.    name: for people, one line.
    """

    sample_rate: float
    name: str
    statistics: SinkStatistics

    def write(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """(N,) float32 V, sent so that samples[0] is at the absolute index `first_sample`; nothing written is silence."""

    def close(self) -> None:
        """Send what is waiting and release it; twice is once."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart. The getters name URL, option and what is expected when a value does not fit."""

    url: str
    scheme: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str, **options: Any) -> "Address":
        """`scheme:place?options`. Options that are None count as not given; values become text."""
        scheme, colon, rest = url.partition(":")
        if not colon or len(scheme) < 2 or not all(c.isalnum() or c in "+-." for c in scheme):  # C:\night.wav is a path
            scheme, rest = "file", url
        place, question, query = rest.rpartition("?")
        if not question or (scheme == "file" and "=" not in query):
            place, query = rest, ""
        found = dict(parse_qsl(query, keep_blank_values=True))
        given = {key: _text(value) for key, value in options.items() if value is not None and value is not False}
        return cls(url, scheme.lower(), place.removeprefix("//"), {**found, **given})

    def error(self, problem: str) -> FrontEndError:
        """One line that begins with the URL."""
        return FrontEndError(f"{self.url}: {problem}")

    def check_options(self, known: Collection[str]) -> None:
        """FrontEndError when an option is given that is not in `known`."""
        for key in self.options:
            if key not in known:
                raise self.error(f"{self.scheme}: has no option {key!r}; there are {', '.join(sorted(known)) or 'none'}")

    def number(self, key: str, default: float | None = None, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A number within low..high."""
        if key not in self.options:
            return default
        try:
            value = float(self.options[key])
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            limits = "" if math.isinf(low) and math.isinf(high) else f" from {low:g} to {high:g}"
            raise self.error(f"{key} must be a number{limits}, got {self.options[key]!r}")
        return value

    def rate(self, default: float | None = None) -> float | None:
        """`rate`, Hz."""
        return self.number("rate", default, 1000.0, 1e9)

    def required_rate(self) -> float:
        """`rate`, Hz; FrontEndError when it is missing."""
        rate = self.rate()
        if rate is None:
            raise self.error("its sample rate is not known: add ?rate=HZ")
        return rate

    def integer(self, key: str, default: int, low: int = 0, high: int = 2**62) -> int:
        """A whole number within low..high."""
        value = self.number(key, default, low, high)
        assert value is not None
        if value != int(value):
            raise self.error(f"{key} must be a whole number, got {self.options[key]!r}")
        return int(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """yes or no."""
        text = self.options.get(key, "yes" if default else "no").lower()
        if text not in WORDS:
            raise self.error(f"{key} must be yes or no, got {text!r}")
        return WORDS[text]

    def choice(self, key: str, default: str, allowed: Collection[str]) -> str:
        """One of some words."""
        value = self.options.get(key, default)
        if value not in allowed:
            raise self.error(f"{key} must be one of {', '.join(allowed)}, got {value!r}")
        return value


def open_source(url: str, **options: Any) -> SampleSource:
    """Open a source of line samples.

    Args:
        url: `SCHEME:PLACE?option=value...`; see the module of each scheme for its options.
        options: the same by name; they win over the URL's. None is not given.
    Raises:
        FrontEndError: one line that names the URL and what is wrong.  RecordingError: a file is none.
    """
    source: SampleSource = _open(SOURCES, "source", url, options)
    return source


def open_sink(url: str, **options: Any) -> SampleSink:
    """Open a sink for line samples; arguments and errors as in `open_source`."""
    sink: SampleSink = _open(SINKS, "sink", url, options)
    return sink


def open_duplex(url: str, **options: Any) -> tuple[SampleSource, SampleSink]:
    """Open both directions of one front end, whose samples are counted together; arguments and errors as in `open_source`."""
    pair: tuple[SampleSource, SampleSink] = _open(DUPLEX, "front end for both directions", url, options)
    return pair


def _open(kinds: Mapping[str, tuple[str, str]], what: str, url: str, options: Mapping[str, Any]) -> Any:
    address = Address.parse(url, **options)
    if address.scheme not in kinds:
        raise address.error(f"no {what} of kind {address.scheme!r}; there are {', '.join(kind + ':' for kind in kinds)}")
    module, function = kinds[address.scheme]
    return getattr(importlib.import_module(f".{module}", __package__), function)(address)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, float) else str(value)
